//! A broker, a client, a producer whose sink keeps a ledger, and a reader that fetches a log back without the consumer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dohle_broker::{Broker, BrokerOptions};
use dohle_client::producer::{
    AppendError, Delivery, DeliverySink, Persistence, Placed, Producer, ProducerOptions, TopicId,
};
use dohle_client::{Client, ClientOptions, Error, Lane, TokioWorld};
use dohle_protocol::compress::Decompressor;
use dohle_protocol::messages::FetchRequest;
use dohle_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use dohle_protocol::records::{BatchHeader, Headers, RawBatch, RecordRef, batches};
use dohle_protocol::{ErrorCode, Uuid};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The fate of one record.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub partition: i32,
    pub offset: i64,
    pub append_time: i64,
    pub persistence: Persistence,
    pub error: Option<Arc<Error>>,
}

impl Outcome {
    pub fn code(&self) -> String {
        self.error.as_ref().map_or(String::new(), |error| error.code().into_owned())
    }
}

/// Keeps the fate of every record, and panics when one has two.
#[derive(Default)]
pub struct Ledger {
    entries: Mutex<BTreeMap<(u32, u32), Outcome>>,
    pub deliveries: AtomicU64,
    pub spaces: AtomicU64,
    changed: Notify,
}

impl DeliverySink for Ledger {
    fn delivered(&self, d: Delivery) {
        let mut entries = self.entries.lock();
        for i in 0..d.count {
            let outcome = Outcome {
                partition: d.partition,
                offset: if d.base_offset < 0 { -1 } else { d.base_offset + i64::from(i) },
                append_time: d.append_time,
                persistence: d.persistence,
                error: d.error.clone(),
            };
            let before = entries.insert((d.group, d.first_index + i), outcome);
            assert!(before.is_none(), "settled twice: group {} index {}", d.group, d.first_index + i);
        }
        self.deliveries.fetch_add(1, Ordering::SeqCst);
        drop(entries);
        self.changed.notify_waiters();
    }

    fn space_available(&self) {
        self.spaces.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
    }
}

impl Ledger {
    pub fn get(&self, placed: Placed) -> Option<Outcome> {
        self.entries.lock().get(&(placed.group, placed.index)).cloned()
    }

    pub fn len(&self) -> usize {
        self.entries.lock().len()
    }

    /// Waits until `done` says so; panics after 60 s.
    pub async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if done(self) {
                    return;
                }
                changed.await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
        assert!(waited.is_ok(), "in vain: {what}; settled {}", self.len());
    }

    pub async fn outcome(&self, placed: Placed) -> Outcome {
        self.until("the fate of a record", |ledger| ledger.get(placed).is_some()).await;
        self.get(placed).unwrap()
    }
}

pub struct Bench {
    pub broker: Option<Broker>,
    pub client: Client,
    pub ledger: Arc<Ledger>,
    pub producer: Producer,
}

pub async fn broker(options: BrokerOptions) -> Broker {
    Broker::start_default(options).await.unwrap()
}

pub fn client_at(address: &str, change: impl FnOnce(&mut ClientOptions)) -> Client {
    let mut options = ClientOptions { bootstrap_servers: vec![address.to_owned()], ..ClientOptions::default() };
    change(&mut options);
    Client::new(Arc::new(TokioWorld::current()), options).unwrap()
}

pub fn producer_on(client: &Client, options: ProducerOptions) -> (Producer, Arc<Ledger>) {
    let ledger = Arc::new(Ledger::default());
    (Producer::new(client, options, ledger.clone()).unwrap(), ledger)
}

/// A broker with `partitions` per topic and a producer on it.
pub async fn bench(partitions: i32, options: ProducerOptions) -> Bench {
    bench_with(BrokerOptions::new().with_partitions(partitions), options, |_| {}).await
}

pub async fn bench_with(
    broker_options: BrokerOptions,
    options: ProducerOptions,
    change: impl FnOnce(&mut ClientOptions),
) -> Bench {
    let broker = broker(broker_options).await;
    let client = client_at(&broker.address().to_string(), change);
    let (producer, ledger) = producer_on(&client, options);
    Bench { broker: Some(broker), client, ledger, producer }
}

impl Bench {
    pub fn faults(&self) -> &dohle_broker::Faults {
        self.broker.as_ref().unwrap().faults()
    }

    pub fn send(&self, topic: TopicId, partition: Option<i32>, value: &str) -> Placed {
        let placed = self.append(topic, partition, &record(value)).unwrap();
        self.producer.poke();
        placed
    }

    pub fn append(
        &self,
        topic: TopicId,
        partition: Option<i32>,
        record: &RecordRef<'_>,
    ) -> Result<Placed, AppendError> {
        self.producer.append(topic, partition, record)
    }

    /// A topic whose metadata is here, so that records go straight to their partitions.
    pub async fn known_topic(&self, name: &str) -> TopicId {
        let topic = self.producer.topic(name).unwrap();
        self.client.metadata().wait_for_topic(name, Duration::from_secs(20)).await.unwrap();
        // The sender has seen it when a flush has come back.
        self.producer.flush().await;
        topic
    }

    /// Waits until all of `buffer.memory` is back: a batch that expired on the wire is held until its request has ended.
    pub async fn memory_back(&self) {
        for _ in 0..300 {
            if self.producer.buffered_bytes() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} bytes are not given back", self.producer.buffered_bytes());
    }

    pub async fn values(&self, topic: &str, partition: i32) -> Vec<String> {
        let records = read(&self.client, topic, partition).await.0;
        records.into_iter().map(|record| String::from_utf8(record.value.unwrap()).unwrap()).collect()
    }
}

pub fn record(value: &str) -> RecordRef<'_> {
    RecordRef { timestamp: -1, key: None, value: Some(value.as_bytes()), headers: Headers::None }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Everything in a partition's log, and the headers of its batches.
pub async fn read(client: &Client, topic: &str, partition: i32) -> (Vec<Read>, Vec<BatchHeader>) {
    let meta = client.metadata().wait_for_topic(topic, Duration::from_secs(60)).await.unwrap();
    let leader = meta.partitions[partition as usize].leader;
    let (mut records, mut headers, mut offset) = (Vec::new(), Vec::new(), 0);
    loop {
        let (bytes, high_watermark) = fetch(client, leader, topic, meta.id, partition, offset).await;
        for batch in batches(bytes) {
            let RawBatch::V2(batch) = batch.unwrap() else { panic!("an old message set") };
            batch.verify_crc().unwrap();
            headers.push(*batch.header());
            let plain = batch.plain(&mut Decompressor::new(), 1 << 30).unwrap();
            for record in plain.iter() {
                let record = record.unwrap();
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                records.push(Read {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                    headers: record.headers.iter().map(|(k, v)| (text(k), v.map(<[u8]>::to_vec))).collect(),
                });
                offset = record.offset + 1;
            }
        }
        if offset >= high_watermark {
            return (records, headers);
        }
    }
}

async fn fetch(client: &Client, leader: i32, topic: &str, id: Uuid, partition: i32, offset: i64) -> (Bytes, i64) {
    let request = FetchRequest {
        replica_id: -1,
        max_wait_ms: 100,
        min_bytes: 1,
        max_bytes: 50 << 20,
        session_epoch: -1,
        topics: vec![FetchTopic {
            topic: topic.to_owned(),
            topic_id: id,
            partitions: vec![FetchPartition {
                partition,
                fetch_offset: offset,
                partition_max_bytes: 10 << 20,
                ..FetchPartition::default()
            }],
            ..FetchTopic::default()
        }],
        ..FetchRequest::default()
    };
    // A topic that was just created may not have its leader yet.
    for _ in 0..600 {
        let answer = client.request(leader, Lane::General, &request, Duration::from_secs(20)).await.unwrap();
        let partition = &answer.responses[0].partitions[0];
        let code = ErrorCode(answer.error_code.max(partition.error_code));
        if code.is_none() {
            return (partition.records.clone().unwrap_or_default(), partition.high_watermark);
        }
        assert!(code.is_retriable(), "{code}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{topic}-{partition} cannot be read");
}
