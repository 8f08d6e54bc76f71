//! What may be appended, and what an idempotent producer may rely on.

use bytes::{Bytes, BytesMut};
use dohle_broker::{Broker, BrokerOptions, BrokerWorld, TokioWorld};
use dohle_protocol::{
    ErrorCode, Uuid,
    compress::Compression,
    messages::{
        InitProducerIdRequest, ListOffsetsRequest,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
    },
};

use crate::support::*;

async fn topic(configs: &[(&str, &str)]) -> (Broker, Connection) {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 1, configs).await;
    (broker, connection)
}

async fn code(connection: &mut Connection, records: Bytes) -> ErrorCode {
    ErrorCode(connection.produce("t", 0, records).await.error_code)
}

fn changed(records: Bytes, change: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut bytes = BytesMut::from(&records[..]);
    change(&mut bytes);
    bytes.freeze()
}

#[tokio::test]
async fn every_codec_comes_back_as_it_went_in_every_version() {
    let (_broker, mut connection) = topic(&[]).await;
    let id = connection.create_topic("u", 1, &[]).await;
    let mut next = 0;
    for version in 3..=13 {
        for compression in Compression::ALL {
            if compression == Compression::Zstd && version < 7 {
                continue;
            }
            let records = Records { compression, ..Records::new((0..50).map(|n| format!("{version} {n}").repeat(9))) };
            let mut request = produce_request("u", 0, records.build());
            if version >= 13 {
                request.topic_data[0].topic_id = id;
                request.topic_data[0].name.clear();
            }
            let response = connection.ask(version, &request).await;
            let partition = &response.responses[0].partition_responses[0];
            assert_eq!((partition.error_code, partition.base_offset), (0, next), "{version} {compression:?}");
            let fetched = connection.fetch("u", 0, next).await;
            let values: Vec<String> = read(fetched.records).into_iter().map(|(_, _, value)| value).collect();
            assert_eq!(values, records.values);
            next += 50;
        }
    }
}

#[tokio::test]
async fn a_batch_is_stored_as_received_but_for_offset_and_epoch() {
    let (_broker, mut connection) = topic(&[]).await;
    connection.produce("t", 0, batch(["before"])).await;
    let sent = batch(["a", "b"]);
    connection.produce("t", 0, sent.clone()).await;
    let stored = connection.fetch("t", 0, 1).await.records.unwrap();
    assert_eq!(stored[..8], 1i64.to_be_bytes());
    assert_eq!(stored[8..12], sent[8..12]);
    assert_eq!(stored[12..16], 0i32.to_be_bytes());
    assert_eq!(stored[16..], sent[16..]);
}

#[tokio::test]
async fn what_kafka_refuses_is_refused_with_its_code() {
    let (_broker, mut connection) = topic(&[("max.message.bytes", "2000")]).await;
    let good = batch(["a", "b"]);
    let big = batch(["x".repeat(3000)]);
    let two = Bytes::from([&good[..], &good[..]].concat());
    let cut = good.slice(..good.len() - 1);
    let flipped = changed(good.clone(), |bytes| *bytes.last_mut().unwrap() ^= 1);
    let old = changed(good.clone(), |bytes| bytes[16] = 1);
    let offset = changed(good.clone(), |bytes| bytes[7] = 5);
    let cases = [
        ("too large", big, ErrorCode::MESSAGE_TOO_LARGE),
        ("two batches", two, ErrorCode::INVALID_RECORD),
        ("cut", cut, ErrorCode::INVALID_RECORD),
        ("no batch", Bytes::new(), ErrorCode::INVALID_RECORD),
        ("a flipped bit", flipped, ErrorCode::CORRUPT_MESSAGE),
        ("magic 1", old, ErrorCode::INVALID_RECORD),
        ("a base offset", offset, ErrorCode::INVALID_RECORD),
    ];
    for (what, records, expected) in cases {
        assert_eq!(code(&mut connection, records).await, expected, "{what}");
    }
    assert_eq!(code(&mut connection, good).await, ErrorCode::NONE);
    let unknown = connection.produce("t", 7, batch(["a"])).await;
    assert_eq!(ErrorCode(unknown.error_code), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let mut request = produce_request("", 0, batch(["a"]));
    request.topic_data[0].topic_id = Uuid([3; 16]);
    let response = connection.ask(13, &request).await;
    let partition = &response.responses[0].partition_responses[0];
    assert_eq!(ErrorCode(partition.error_code), ErrorCode::UNKNOWN_TOPIC_ID);
}

#[tokio::test]
async fn zstd_before_version_7_is_refused() {
    let (_broker, mut connection) = topic(&[]).await;
    let records = Records { compression: Compression::Zstd, ..Records::new(["z".repeat(500)]) };
    let response = connection.ask(6, &produce_request("t", 0, records.build())).await;
    let partition = &response.responses[0].partition_responses[0];
    assert_eq!(ErrorCode(partition.error_code), ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
}

#[tokio::test]
async fn a_record_without_key_on_a_compacted_topic_is_named() {
    let (_broker, mut connection) = topic(&[("cleanup.policy", "compact")]).await;
    let keyless = Records { key: None, ..Records::new(["a", "b"]) };
    let refused = connection.produce("t", 0, keyless.build()).await;
    assert_eq!(ErrorCode(refused.error_code), ErrorCode::INVALID_RECORD);
    assert_eq!(refused.record_errors.iter().map(|error| error.batch_index).collect::<Vec<_>>(), [0, 1]);
    assert!(refused.error_message.unwrap().contains("without key"));
    assert_eq!(code(&mut connection, batch(["with key"])).await, ErrorCode::NONE);
}

fn wall_clock_ms() -> i64 {
    TokioWorld.wall_clock_ms()
}

#[tokio::test]
async fn log_append_time_is_the_brokers_and_create_time_the_producers() {
    let (_broker, mut connection) = topic(&[("message.timestamp.type", "LogAppendTime")]).await;
    let before = wall_clock_ms();
    let appended = connection.produce("t", 0, batch(["a", "b"])).await;
    assert!(appended.log_append_time_ms >= before);
    let read = read(connection.fetch("t", 0, 0).await.records);
    assert!(read.iter().all(|(_, timestamp, _)| *timestamp == appended.log_append_time_ms));

    connection.create_topic("c", 1, &[]).await;
    assert_eq!(connection.produce("c", 0, batch(["a", "b"])).await.log_append_time_ms, -1);
    let read: Vec<i64> =
        crate::support::read(connection.fetch("c", 0, 0).await.records).into_iter().map(|(_, t, _)| t).collect();
    assert_eq!(read, [NOW, NOW + 1]);
    let far = Records { timestamp: wall_clock_ms() + 7_200_000, ..Records::new(["a"]) };
    let refused = connection.produce("c", 0, far.build()).await;
    assert_eq!(ErrorCode(refused.error_code), ErrorCode::INVALID_TIMESTAMP);
    assert_eq!(refused.record_errors.len(), 1);
}

#[tokio::test]
async fn acks_0_is_not_answered_and_its_errors_close_the_connection() {
    let (broker, mut connection) = topic(&[]).await;
    let mut request = produce_request("t", 0, batch(["a"]));
    request.acks = 0;
    connection.send(9, &request).await;
    assert_eq!(connection.fetch("t", 0, 0).await.high_watermark, 1, "the next answer is the fetch's");
    request.topic_data[0].partition_data[0].index = 9;
    connection.send(9, &request).await;
    assert!(connection.frame().await.is_none());
    let mut connection = Connection::to(&broker).await;
    let mut request = produce_request("t", 0, batch(["a"]));
    request.acks = 2;
    let refused = connection.ask(9, &request).await;
    let partition = &refused.responses[0].partition_responses[0];
    assert_eq!(ErrorCode(partition.error_code), ErrorCode::INVALID_REQUIRED_ACKS);
}

#[tokio::test]
async fn an_idempotent_producer_gets_every_batch_in_once_and_in_order() {
    let (_broker, mut connection) = topic(&[]).await;
    let id = connection.ask(4, &InitProducerIdRequest { transactional_id: None, ..Default::default() }).await;
    assert_eq!((id.error_code, id.producer_epoch), (0, 0));
    let id = id.producer_id;
    let batch = |epoch, sequence| Records { stamp: (id, epoch, sequence), ..Records::new(["a", "b"]) }.build();
    for n in 0..6 {
        assert_eq!(connection.produce("t", 0, batch(0, n * 2)).await.base_offset, i64::from(n) * 2);
    }
    let again = connection.produce("t", 0, batch(0, 4)).await;
    assert_eq!((again.error_code, again.base_offset), (0, 4), "one of the last five: answered, not appended");
    assert_eq!(code(&mut connection, batch(0, 0)).await, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(code(&mut connection, batch(0, 20)).await, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(connection.produce("t", 0, batch(1, 0)).await.base_offset, 12);
    assert_eq!(code(&mut connection, batch(0, 12)).await, ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(connection.fetch("t", 0, 0).await.high_watermark, 14);
    let other = connection.ask(4, &InitProducerIdRequest { transactional_id: None, ..Default::default() }).await;
    assert_ne!(other.producer_id, id);
    let empty = InitProducerIdRequest { transactional_id: Some(String::new()), ..Default::default() };
    assert_eq!(ErrorCode(connection.ask(4, &empty).await.error_code), ErrorCode::INVALID_REQUEST);
}

#[tokio::test]
async fn retention_drops_whole_segments_from_the_front() {
    let mut options = BrokerOptions::new();
    options.segment_bytes = Some(1000);
    options.retention_bytes = Some(3000);
    let broker = Broker::start_default(options).await.unwrap();
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 1, &[]).await;
    let mut start = 0;
    for _ in 0..50 {
        start = connection.produce("t", 0, batch(["x".repeat(200)])).await.log_start_offset;
    }
    assert!((30..50).contains(&start), "{start}");
    let early = connection.fetch("t", 0, start - 1).await;
    assert_eq!(ErrorCode(early.error_code), ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(offsets(connection.fetch("t", 0, start).await.records)[0], start);
}

#[tokio::test]
async fn offsets_are_found_by_time() {
    let (_broker, mut connection) = topic(&[]).await;
    for (n, compression) in [Compression::None, Compression::Lz4, Compression::None].into_iter().enumerate() {
        let values = (0..10).map(|n| format!("value {n} ").repeat(10));
        let records = Records { timestamp: NOW + n as i64 * 100, compression, ..Records::new(values) };
        connection.produce("t", 0, records.build()).await;
    }
    let mut find = async |timestamp: i64| {
        let partition = ListOffsetsPartition { timestamp, ..Default::default() };
        let topics = vec![ListOffsetsTopic { name: "t".into(), partitions: vec![partition], ..Default::default() }];
        let found = connection.ask(11, &ListOffsetsRequest { replica_id: -1, topics, ..Default::default() }).await;
        let found = &found.topics[0].partitions[0];
        assert_eq!(found.error_code, 0);
        (found.offset, found.timestamp)
    };
    assert_eq!(find(-1).await, (30, -1));
    assert_eq!(find(-2).await, (0, -1));
    assert_eq!(find(-3).await, (29, NOW + 209));
    assert_eq!(find(-4).await, (0, -1));
    assert_eq!(find(-5).await, (-1, -1));
    assert_eq!(find(0).await, (0, NOW));
    assert_eq!(find(NOW + 105).await, (15, NOW + 105));
    assert_eq!(find(NOW + 150).await, (20, NOW + 200));
    assert_eq!(find(NOW + 210).await, (-1, -1));
}
