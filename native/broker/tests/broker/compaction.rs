//! What compaction leaves, as clients see it. True of Apache Kafka too: `DOHLE_KAFKA=host:port` runs it there, where it takes
//! until the cleaner looks (`log.cleaner.backoff.ms`, 15 s).

use bytes::Bytes;
use dohle_broker::{Broker, BrokerOptions, BrokerWorld, TokioWorld};
use dohle_protocol::{
    ErrorCode,
    compress::{Compression, Compressor, Decompressor},
    messages::{EndTxnRequest, InitProducerIdRequest},
    records::{BatchBuilder, Headers, RawBatch, RecordRef, batches},
};

use crate::support::*;

const HOUR: i64 = 3_600_000;

struct Writer {
    connection: Connection,
    topic: String,
    /// Of the next batch. Every batch is younger than the one before by more than `segment.ms`: each begins a segment.
    timestamp: i64,
}

#[derive(Clone, Copy)]
struct Style<'a> {
    compression: Compression,
    stamp: (i64, i16, i32),
    transactional_id: Option<&'a str>,
}

const PLAIN: Style<'_> = Style { compression: Compression::None, stamp: (-1, -1, -1), transactional_id: None };

impl Writer {
    async fn new(address: std::net::SocketAddr) -> Self {
        let mut connection = Connection::at(address).await;
        let now_ms = TokioWorld.wall_clock_ms();
        let topic = format!("compacted-{now_ms}-{}", std::process::id());
        // Never more than all is dirty: nothing is compacted until the test wants it.
        let configs = [("cleanup.policy", "compact"), ("segment.ms", "100"), ("min.cleanable.dirty.ratio", "1")];
        connection.create_topic(&topic, 1, &configs).await;
        while connection.metadata(&topic).await.1 == 0 {}
        Self { connection, topic, timestamp: now_ms - HOUR }
    }

    async fn write(&mut self, records: &[(&str, Option<&str>)], style: Style<'_>) -> i64 {
        let mut builder = BatchBuilder::new(1024);
        for (key, value) in records {
            let (key, value) = (Some(key.as_bytes()), value.map(str::as_bytes));
            builder.append(&RecordRef { timestamp: self.timestamp, key, value, headers: Headers::None });
        }
        self.timestamp += 1000;
        let mut compressor = Compressor::new(style.compression, None).unwrap();
        let mut sealed = builder.seal(&mut compressor, style.transactional_id.is_some());
        sealed.stamp(style.stamp.0, style.stamp.1, style.stamp.2);
        let mut request = produce_request(&self.topic, 0, sealed.bytes());
        request.transactional_id = style.transactional_id.map(str::to_string);
        loop {
            let answer = self.connection.ask(12, &request).await.responses.remove(0).partition_responses.remove(0);
            match ErrorCode(answer.error_code) {
                ErrorCode::NONE => return answer.base_offset,
                // What a real coordinator may say of its first moments.
                ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::CONCURRENT_TRANSACTIONS => {}
                code => panic!("{code}: {:?}", answer.error_message),
            }
        }
    }

    async fn producer(&mut self, transactional_id: Option<&str>) -> (i64, i16) {
        let transactional_id = transactional_id.map(str::to_string);
        let request = InitProducerIdRequest { transactional_id, transaction_timeout_ms: 60_000, ..unnamed() };
        loop {
            let answer = self.connection.ask(5, &request).await;
            match ErrorCode(answer.error_code) {
                ErrorCode::NONE => return (answer.producer_id, answer.producer_epoch),
                ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
                | ErrorCode::CONCURRENT_TRANSACTIONS
                | ErrorCode::NOT_COORDINATOR
                | ErrorCode::COORDINATOR_NOT_AVAILABLE => {}
                code => panic!("{code}"),
            }
        }
    }

    async fn end(&mut self, transactional_id: &str, producer: (i64, i16), committed: bool) -> (i64, i16) {
        let request = EndTxnRequest {
            transactional_id: transactional_id.into(),
            producer_id: producer.0,
            producer_epoch: producer.1,
            committed,
            ..Default::default()
        };
        let before = self.connection.offset_at(&self.topic, -1).await.0;
        let answer = self.connection.ask(5, &request).await;
        assert_eq!(ErrorCode(answer.error_code), ErrorCode::NONE);
        // Its marker is there.
        while self.connection.offset_at(&self.topic, -1).await.0 == before {}
        (answer.producer_id, answer.producer_epoch)
    }

    async fn all(&mut self) -> Bytes {
        let (mut all, mut at) = (Vec::new(), 0);
        loop {
            let fetched = self.connection.fetch(&self.topic.clone(), 0, at).await;
            let bytes = fetched.records.unwrap_or_default();
            match batches(bytes.clone()).last() {
                Some(last) => at = last.unwrap().last_offset() + 1,
                None => return all.into(),
            }
            all.extend_from_slice(&bytes);
            if at == fetched.high_watermark {
                return all.into();
            }
        }
    }
}

fn unnamed() -> InitProducerIdRequest {
    InitProducerIdRequest { producer_id: -1, producer_epoch: -1, ..Default::default() }
}

/// A batch in one line. Producers and times are told from those of other runs.
fn line(batch: &RawBatch, producers: &[i64], start_ms: i64) -> String {
    batch.verify_crc().unwrap();
    let header = batch.header();
    let attributes = header.attributes;
    let mut line = format!("{}..={}", header.base_offset, header.last_offset());
    if let Some(producer) = producers.iter().position(|id| *id == header.producer_id) {
        line += &format!(" p{producer}/{}/{}", header.producer_epoch, header.base_sequence);
    }
    let words = [
        (attributes.compression() == Some(Compression::Lz4), " lz4"),
        (attributes.is_transactional(), " txn"),
        (attributes.is_control(), " control"),
        (attributes.has_delete_horizon(), " horizon"),
    ];
    words.iter().filter(|(is, _)| *is).for_each(|(_, word)| line += word);
    if !attributes.is_control() {
        line += &format!(" max{:+}", header.max_timestamp - start_ms);
    }
    let plain = batch.plain(&mut Decompressor::new(), 1 << 20).unwrap();
    for record in plain.iter().map(Result::unwrap).filter(|_| !attributes.is_control()) {
        let text = |bytes: Option<&[u8]>| bytes.map_or("-".into(), |bytes| String::from_utf8(bytes.to_vec()).unwrap());
        let (key, value, time) = (text(record.key), text(record.value), record.timestamp - start_ms);
        line += &format!(" {}:{key}={value}@{time}", record.offset);
    }
    if attributes.is_control() {
        line += &format!(" {} record", header.record_count);
    }
    line
}

#[tokio::test]
async fn compaction_leaves_what_apache_kafka_leaves() {
    let mut options = BrokerOptions::new();
    options.set("log.cleaner.backoff.ms", "1").unwrap();
    let own = Broker::start_default(options).await.unwrap();
    let kafka = std::env::var("DOHLE_KAFKA").ok().map(|address| address.parse().unwrap());
    let mut writer = Writer::new(kafka.unwrap_or(own.address())).await;
    let start_ms = writer.timestamp;
    let id = writer.topic.clone();

    let lz4 = Style { compression: Compression::Lz4, ..PLAIN };
    let long = "x".repeat(200);
    writer.write(&[("a", Some(&long)), ("b", Some(&long)), ("a", Some("2"))], lz4).await;
    writer.write(&[("c", Some("1")), ("b", Some("2"))], lz4).await;
    let idempotent = writer.producer(None).await;
    for sequence in 0..2 {
        let stamp = (idempotent.0, idempotent.1, sequence);
        writer.write(&[("p", Some("1"))], Style { stamp, ..PLAIN }).await;
    }
    writer.write(&[("c", None), ("q", Some("1"))], PLAIN).await;
    let first = writer.producer(Some(&id)).await;
    let style =
        |of: (i64, i16), sequence| Style { stamp: (of.0, of.1, sequence), transactional_id: Some(&id), ..PLAIN };
    writer.write(&[("a", Some("aborted"))], style(first, 0)).await;
    writer.write(&[("b", Some("aborted")), ("n", Some("aborted"))], style(first, 1)).await;
    let second = writer.end(&id, first, false).await;
    writer.write(&[("t", Some("1"))], style(second, 0)).await;
    writer.write(&[("t", Some("2"))], style(second, 1)).await;
    writer.end(&id, second, true).await;
    writer.timestamp += 2 * HOUR - 60_000;
    writer.write(&[("p", Some("3")), ("q", Some("2"))], PLAIN).await;
    writer.write(&[("q", Some("3"))], PLAIN).await;
    let active = writer.write(&[("t", Some("active"))], PLAIN).await;
    writer.timestamp = start_ms;

    let topic = writer.topic.clone();
    writer.connection.configure(&topic, &[("min.cleanable.dirty.ratio", "0.01")]).await;
    let all = loop {
        let all = writer.all().await;
        // The first batch loses its first two records.
        if batches(all.clone()).next().unwrap().unwrap().header().record_count == 1 {
            break all;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    let producers = [idempotent.0, first.0];
    let left: Vec<String> = batches(all).map(|batch| line(&batch.unwrap(), &producers, start_ms)).collect();
    assert_eq!(left, EXPECTED, "{left:#?}");
    assert_eq!(active, 19);
}

/// As Apache Kafka 4.3.1 leaves it. 5 is an older batch of a producer whose last one, 6, stays as a header; 9 to 11 were aborted.
const EXPECTED: &[&str] = &[
    "0..=2 lz4 max+0 2:a=2@0",
    "3..=4 max+1000 4:b=2@1000",
    "6..=6 p0/0/1 max+3000",
    "7..=8 horizon max+4000 7:c=-@4000",
    "12..=12 p1/1/-1 txn control 1 record",
    "14..=14 p1/1/1 txn max+8000 14:t=2@8000",
    "15..=15 p1/2/-1 txn control 1 record",
    "16..=17 max+7149000 16:p=3@7149000",
    "18..=18 max+7150000 18:q=3@7150000",
    "19..=19 max+7151000 19:t=active@7151000",
];
