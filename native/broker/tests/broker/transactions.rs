//! Transactions of both versions: who may write, what readers see, what a group's offsets come to.

use bytes::Bytes;
use dohle_broker::{Broker, BrokerOptions};
use dohle_protocol::{
    ErrorCode,
    messages::{
        AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, ApiVersionsRequest, DescribeProducersRequest,
        DescribeTransactionsRequest, EndTxnRequest, InitProducerIdRequest, ListOffsetsRequest, ListTransactionsRequest,
        OffsetFetchRequest, TxnOffsetCommitRequest, WriteTxnMarkersRequest,
        add_partitions_to_txn_request::AddPartitionsToTxnTopic,
        describe_producers_request::TopicRequest,
        fetch_response::PartitionData,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
        offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
        txn_offset_commit_request::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic},
        write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic},
    },
    records::batches,
};

use crate::support::*;

/// The versions that clients of transactions v1 use, and those of v2.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Version {
    V1,
    V2,
}
use Version::{V1, V2};

struct Producer {
    version: Version,
    transactional_id: &'static str,
    id: i64,
    epoch: i16,
    /// Of each partition.
    sequences: [i32; 2],
}

async fn topic() -> (Broker, Connection) {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    // The records are of long ago, the markers of now: they would not be in one segment, and so not in one fetch.
    connection.create_topic("t", 2, &[("segment.ms", "9223372036854775807")]).await;
    (broker, connection)
}

async fn init(
    connection: &mut Connection,
    id: &str,
    timeout: i32,
    expected: (i64, i16),
) -> Result<(i64, i16), ErrorCode> {
    let request = InitProducerIdRequest {
        transactional_id: Some(id.into()),
        transaction_timeout_ms: timeout,
        producer_id: expected.0,
        producer_epoch: expected.1,
        ..Default::default()
    };
    let answer = connection.ask(5, &request).await;
    match ErrorCode(answer.error_code) {
        ErrorCode::NONE => Ok((answer.producer_id, answer.producer_epoch)),
        code => Err(code),
    }
}

impl Producer {
    async fn new(connection: &mut Connection, version: Version, transactional_id: &'static str) -> Self {
        let (id, epoch) = init(connection, transactional_id, 60_000, (-1, -1)).await.unwrap();
        Self { version, transactional_id, id, epoch, sequences: [0; 2] }
    }

    fn batch(&self, partition: i32, values: &[&str], transactional: bool) -> Bytes {
        let stamp = (self.id, self.epoch, self.sequences[partition as usize]);
        Records { stamp, transactional, ..Records::new(values) }.build()
    }

    /// Sends one batch; in v1 its partition must have been added.
    async fn send(&mut self, connection: &mut Connection, partition: i32, values: &[&str]) -> ErrorCode {
        let version = if self.version == V1 { 11 } else { 12 };
        let mut request = produce_request("t", partition, self.batch(partition, values, true));
        request.transactional_id = Some(self.transactional_id.into());
        let answer = connection.ask(version, &request).await;
        let code = ErrorCode(answer.responses[0].partition_responses[0].error_code);
        if code == ErrorCode::NONE {
            self.sequences[partition as usize] += values.len() as i32;
        }
        code
    }

    async fn add(&self, connection: &mut Connection, partitions: &[i32]) -> Vec<ErrorCode> {
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.transactional_id.into(),
            v3_and_below_producer_id: self.id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                name: "t".into(),
                partitions: partitions.to_vec(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let answer = connection.ask(3, &request).await.results_by_topic_v3_and_below.remove(0);
        answer.results_by_partition.iter().map(|result| ErrorCode(result.partition_error_code)).collect()
    }

    async fn begin(&self, connection: &mut Connection, partitions: &[i32]) {
        if self.version == V1 {
            assert!(self.add(connection, partitions).await.iter().all(|code| *code == ErrorCode::NONE));
        }
    }

    async fn end(&mut self, connection: &mut Connection, committed: bool) -> ErrorCode {
        let version = if self.version == V1 { 4 } else { 5 };
        let request = EndTxnRequest {
            transactional_id: self.transactional_id.into(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            committed,
            ..Default::default()
        };
        let answer = connection.ask(version, &request).await;
        if answer.error_code == 0 && self.version == V2 {
            assert_eq!((answer.producer_id, answer.producer_epoch), (self.id, self.epoch + 1));
            (self.epoch, self.sequences) = (answer.producer_epoch, [0; 2]);
        }
        ErrorCode(answer.error_code)
    }
}

async fn fetch(connection: &mut Connection, partition: i32, offset: i64, committed: bool) -> PartitionData {
    let mut request = fetch_request("t", partition, offset);
    request.isolation_level = committed.into();
    connection.ask(12, &request).await.part()
}

/// What a client with read_committed shows of partition 0, by the rules for clients.
async fn committed(connection: &mut Connection) -> Vec<String> {
    let part = fetch(connection, 0, 0, true).await;
    let mut aborted: Vec<(i64, i64)> =
        part.aborted_transactions.unwrap().iter().map(|one| (one.first_offset, one.producer_id)).collect();
    let (mut values, mut left_out) = (Vec::new(), Vec::new());
    for batch in batches(part.records.unwrap()) {
        let batch = batch.unwrap();
        let header = batch.header();
        aborted.retain(|&(first, producer)| {
            let reached = first <= header.last_offset();
            if reached {
                left_out.push(producer);
            }
            !reached
        });
        if header.attributes.is_control() {
            left_out.retain(|producer| *producer != header.producer_id);
        } else if !left_out.contains(&header.producer_id) {
            values.extend(read(Some(batch.bytes().clone())).into_iter().map(|(_, _, value)| value));
        }
    }
    values
}

#[tokio::test]
async fn committed_records_are_seen_after_the_commit_and_aborted_ones_never() {
    for version in [V1, V2] {
        let (_broker, mut connection) = topic().await;
        let mut producer = Producer::new(&mut connection, version, "x").await;
        producer.begin(&mut connection, &[0, 1]).await;
        assert_eq!(producer.send(&mut connection, 0, &["a", "b"]).await, ErrorCode::NONE);
        assert_eq!(producer.send(&mut connection, 1, &["other"]).await, ErrorCode::NONE);
        assert_eq!(committed(&mut connection).await, Vec::<String>::new());
        let part = fetch(&mut connection, 0, 0, true).await;
        assert_eq!((part.high_watermark, part.last_stable_offset), (2, 0));
        assert_eq!(offsets(fetch(&mut connection, 0, 0, false).await.records), [0, 1], "read_uncommitted");

        assert_eq!(producer.end(&mut connection, true).await, ErrorCode::NONE);
        assert_eq!(committed(&mut connection).await, ["a", "b"]);
        producer.begin(&mut connection, &[0]).await;
        assert_eq!(producer.send(&mut connection, 0, &["gone"]).await, ErrorCode::NONE);
        assert_eq!(producer.end(&mut connection, false).await, ErrorCode::NONE);
        producer.begin(&mut connection, &[0]).await;
        assert_eq!(producer.send(&mut connection, 0, &["c"]).await, ErrorCode::NONE);
        assert_eq!(producer.end(&mut connection, true).await, ErrorCode::NONE);
        assert_eq!(committed(&mut connection).await, ["a", "b", "c"], "{version:?}");
        let part = fetch(&mut connection, 0, 0, true).await;
        assert_eq!((part.high_watermark, part.last_stable_offset), (7, 7));
        assert!(fetch(&mut connection, 0, 5, true).await.aborted_transactions.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_reader_of_committed_records_waits_for_the_commit() {
    let (broker, mut connection) = topic().await;
    let mut producer = Producer::new(&mut connection, V2, "x").await;
    producer.send(&mut connection, 0, &["a"]).await;
    let mut reader = Connection::to(&broker).await;
    let mut request = fetch_request("t", 0, 0);
    (request.isolation_level, request.max_wait_ms) = (1, 600_000);
    let id = reader.send(12, &request).await;
    producer.end(&mut connection, true).await;
    let frame = reader.frame().await.unwrap();
    let (answered, response) =
        dohle_protocol::frame::decode_response::<dohle_protocol::messages::FetchRequest>(frame, 12).unwrap();
    assert_eq!(answered, id);
    assert_eq!(response.part().last_stable_offset, 2);
}

#[tokio::test]
async fn latest_is_the_last_stable_offset_for_who_reads_committed() {
    let (_broker, mut connection) = topic().await;
    connection.produce("t", 0, batch(["before"])).await;
    let mut producer = Producer::new(&mut connection, V2, "x").await;
    producer.send(&mut connection, 0, &["a"]).await;
    for (isolation_level, expected) in [(0, 2), (1, 1)] {
        let partition = ListOffsetsPartition { partition_index: 0, timestamp: -1, ..Default::default() };
        let topic = ListOffsetsTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
        let request = ListOffsetsRequest { replica_id: -1, isolation_level, topics: vec![topic], ..Default::default() };
        let answer = connection.ask(7, &request).await;
        assert_eq!(answer.topics[0].partitions[0].offset, expected);
    }
}

#[tokio::test]
async fn a_successor_fences_its_predecessor_and_aborts_what_it_left() {
    for version in [V1, V2] {
        let (_broker, mut connection) = topic().await;
        let mut old = Producer::new(&mut connection, version, "x").await;
        old.begin(&mut connection, &[0]).await;
        old.send(&mut connection, 0, &["left"]).await;
        let mut new = Producer::new(&mut connection, version, "x").await;
        assert!(new.id == old.id && new.epoch > old.epoch);
        assert_eq!(old.send(&mut connection, 0, &["more"]).await, ErrorCode::INVALID_PRODUCER_EPOCH);
        assert_eq!(old.end(&mut connection, true).await, ErrorCode::PRODUCER_FENCED);
        if version == V1 {
            assert_eq!(old.add(&mut connection, &[0]).await, [ErrorCode::PRODUCER_FENCED]);
        }
        new.begin(&mut connection, &[0]).await;
        new.send(&mut connection, 0, &["mine"]).await;
        new.end(&mut connection, true).await;
        assert_eq!(committed(&mut connection).await, ["mine"]);
    }
}

#[tokio::test]
async fn a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() {
    let (_broker, mut connection) = topic().await;
    let (id, epoch) = init(&mut connection, "x", 50, (-1, -1)).await.unwrap();
    let mut producer = Producer { version: V2, transactional_id: "x", id, epoch, sequences: [0; 2] };
    producer.send(&mut connection, 0, &["slow"]).await;
    while fetch(&mut connection, 0, 0, true).await.last_stable_offset == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(committed(&mut connection).await, Vec::<String>::new());
    assert_eq!(producer.send(&mut connection, 0, &["late"]).await, ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(producer.end(&mut connection, true).await, ErrorCode::INVALID_TXN_STATE);
}

#[tokio::test]
async fn what_is_out_of_turn_is_refused_with_kafkas_codes() {
    let (_broker, mut connection) = topic().await;
    let mut one = Producer::new(&mut connection, V1, "one").await;
    assert_eq!(one.send(&mut connection, 0, &["not added"]).await, ErrorCode::INVALID_TXN_STATE);
    assert_eq!(one.end(&mut connection, true).await, ErrorCode::INVALID_TXN_STATE);
    assert_eq!(
        one.add(&mut connection, &[0, 9]).await,
        [ErrorCode::OPERATION_NOT_ATTEMPTED, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION]
    );
    one.begin(&mut connection, &[0]).await;
    one.send(&mut connection, 0, &["a"]).await;
    let plain = produce_request("t", 0, one.batch(0, &["not transactional"], false));
    let answer = connection.ask(11, &plain).await;
    assert_eq!(ErrorCode(answer.responses[0].partition_responses[0].error_code), ErrorCode::INVALID_TXN_STATE);
    let unnamed = produce_request("t", 0, one.batch(0, &["without its id"], true));
    let answer = connection.ask(11, &unnamed).await;
    let code = ErrorCode(answer.responses[0].partition_responses[0].error_code);
    assert_eq!(code, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    assert_eq!(one.end(&mut connection, true).await, ErrorCode::NONE);
    assert_eq!(one.end(&mut connection, true).await, ErrorCode::NONE, "asked again");
    assert_eq!(one.end(&mut connection, false).await, ErrorCode::INVALID_TXN_STATE);

    let mut two = Producer::new(&mut connection, V2, "two").await;
    assert_eq!(two.end(&mut connection, true).await, ErrorCode::INVALID_TXN_STATE);
    assert_eq!(two.end(&mut connection, false).await, ErrorCode::NONE, "an abort of nothing, for the new epoch");
    two.send(&mut connection, 0, &["b"]).await;
    let epoch = two.epoch;
    assert_eq!(two.end(&mut connection, true).await, ErrorCode::NONE);
    let mut again = Producer { epoch, ..two };
    assert_eq!(again.end(&mut connection, true).await, ErrorCode::NONE, "asked again with the epoch before");
    again.id += 1;
    assert_eq!(again.end(&mut connection, true).await, ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    let mut nobody = Producer { transactional_id: "nobody", ..again };
    assert_eq!(nobody.send(&mut connection, 0, &["c"]).await, ErrorCode::INVALID_PRODUCER_ID_MAPPING);

    for timeout in [0, -1, 900_001] {
        assert_eq!(init(&mut connection, "x", timeout, (-1, -1)).await, Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT));
    }
    assert_eq!(init(&mut connection, "", 1, (-1, -1)).await, Err(ErrorCode::INVALID_REQUEST));
}

#[tokio::test]
async fn a_producer_that_names_itself_goes_on_and_a_stranger_is_fenced() {
    let (_broker, mut connection) = topic().await;
    let first = init(&mut connection, "x", 1000, (-1, -1)).await.unwrap();
    let second = init(&mut connection, "x", 1000, first).await.unwrap();
    assert_eq!(second, (first.0, first.1 + 1));
    assert_eq!(init(&mut connection, "x", 1000, first).await, Ok(second), "its answer was lost");
    let third = init(&mut connection, "x", 1000, second).await.unwrap();
    assert_eq!(init(&mut connection, "x", 1000, first).await, Err(ErrorCode::PRODUCER_FENCED));
    assert_eq!(init(&mut connection, "x", 1000, (third.0 + 1, 0)).await, Err(ErrorCode::PRODUCER_FENCED));
}

#[tokio::test]
async fn epochs_run_out_into_a_new_producer_id() {
    let (_broker, mut connection) = topic().await;
    let (id, mut last) = init(&mut connection, "x", 1000, (-1, -1)).await.unwrap();
    let mut producer = (id, last);
    while producer.0 == id {
        last = producer.1;
        producer = init(&mut connection, "x", 1000, (-1, -1)).await.unwrap();
    }
    assert_eq!((last, producer.1), (i16::MAX - 1, 0));
}

async fn commit_offset(connection: &mut Connection, version: i16, producer: &Producer, offset: i64) -> ErrorCode {
    let partition =
        TxnOffsetCommitRequestPartition { partition_index: 0, committed_offset: offset, ..Default::default() };
    let topic = TxnOffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
    let request = TxnOffsetCommitRequest {
        transactional_id: producer.transactional_id.into(),
        group_id: "g".into(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        topics: vec![topic],
        ..Default::default()
    };
    let answer = connection.ask(version, &request).await;
    ErrorCode(answer.topics[0].partitions[0].error_code)
}

async fn committed_offset(connection: &mut Connection, require_stable: bool) -> Result<i64, ErrorCode> {
    let topic = OffsetFetchRequestTopics { name: "t".into(), partition_indexes: vec![0], ..Default::default() };
    let group = OffsetFetchRequestGroup { group_id: "g".into(), topics: Some(vec![topic]), ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![group], require_stable, ..Default::default() };
    let answer = connection.ask(9, &request).await;
    let partition = &answer.groups[0].topics[0].partitions[0];
    match ErrorCode(partition.error_code) {
        ErrorCode::NONE => Ok(partition.committed_offset),
        code => Err(code),
    }
}

#[tokio::test]
async fn offsets_of_a_group_count_when_the_transaction_is_committed() {
    for version in [V1, V2] {
        let (_broker, mut connection) = topic().await;
        let mut producer = Producer::new(&mut connection, version, "x").await;
        let api = if version == V1 { 4 } else { 5 };
        if version == V1 {
            assert_eq!(commit_offset(&mut connection, api, &producer, 5).await, ErrorCode::INVALID_TXN_STATE);
            let request = AddOffsetsToTxnRequest {
                transactional_id: "x".into(),
                producer_id: producer.id,
                producer_epoch: producer.epoch,
                group_id: "g".into(),
                ..Default::default()
            };
            assert_eq!(connection.ask(4, &request).await.error_code, 0);
        }
        assert_eq!(commit_offset(&mut connection, api, &producer, 5).await, ErrorCode::NONE);
        assert_eq!(committed_offset(&mut connection, false).await, Ok(-1));
        assert_eq!(committed_offset(&mut connection, true).await, Err(ErrorCode::UNSTABLE_OFFSET_COMMIT));
        producer.end(&mut connection, true).await;
        assert_eq!(committed_offset(&mut connection, true).await, Ok(5));
        if version == V2 {
            commit_offset(&mut connection, api, &producer, 9).await;
            producer.end(&mut connection, false).await;
            assert_eq!(committed_offset(&mut connection, true).await, Ok(5), "an abort leaves them");
        }
    }
}

#[tokio::test]
async fn an_admin_sees_who_writes_and_ends_what_hangs() {
    let (_broker, mut connection) = topic().await;
    let mut producer = Producer::new(&mut connection, V2, "x").await;
    producer.send(&mut connection, 1, &["a"]).await;

    let request = DescribeTransactionsRequest { transactional_ids: vec!["x".into(), "y".into()], ..Default::default() };
    let states = connection.ask(0, &request).await.transaction_states;
    assert_eq!((states[0].transaction_state.as_str(), states[0].producer_id), ("Ongoing", producer.id));
    assert_eq!((states[0].topics[0].topic.as_str(), &states[0].topics[0].partitions[..]), ("t", &[1][..]));
    assert_eq!(ErrorCode(states[1].error_code), ErrorCode::TRANSACTIONAL_ID_NOT_FOUND);
    let filter = |state: &str| ListTransactionsRequest { state_filters: vec![state.into()], ..Default::default() };
    assert_eq!(connection.ask(0, &filter("Ongoing")).await.transaction_states.len(), 1);
    assert_eq!(connection.ask(0, &filter("Empty")).await.transaction_states.len(), 0);
    assert_eq!(connection.ask(0, &filter("Nonsense")).await.unknown_state_filters, ["Nonsense"]);

    let topics = vec![TopicRequest { name: "t".into(), partition_indexes: vec![1], ..Default::default() }];
    let describe = DescribeProducersRequest { topics, ..Default::default() };
    let active = |answer: &dohle_protocol::messages::DescribeProducersResponse| {
        let one = &answer.topics[0].partitions[0].active_producers[0];
        (one.producer_id, one.current_txn_start_offset)
    };
    assert_eq!(active(&connection.ask(0, &describe).await), (producer.id, 0));
    let marker = WritableTxnMarker {
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        transaction_result: false,
        topics: vec![WritableTxnMarkerTopic { name: "t".into(), partition_indexes: vec![1], ..Default::default() }],
        ..Default::default()
    };
    let request = WriteTxnMarkersRequest { markers: vec![marker], ..Default::default() };
    assert_eq!(connection.ask(1, &request).await.markers[0].topics[0].partitions[0].error_code, 0);
    assert_eq!(active(&connection.ask(0, &describe).await), (producer.id, -1));
    assert_eq!(fetch(&mut connection, 1, 0, true).await.last_stable_offset, 2);
}

#[tokio::test]
async fn the_feature_level_is_told_as_it_was_set() {
    for (level, told) in [(0, None), (1, Some(1)), (2, Some(2))] {
        let broker = Broker::start_default(BrokerOptions::new().with_transaction_version(level)).await.unwrap();
        let mut connection = Connection::to(&broker).await;
        let name = || "test".to_string();
        let request =
            ApiVersionsRequest { client_software_name: name(), client_software_version: name(), ..Default::default() };
        let answer = connection.ask(4, &request).await;
        let finalized = answer.finalized_features.iter().find(|feature| feature.name == "transaction.version");
        assert_eq!(finalized.map(|feature| feature.max_version_level), told);
        assert!(answer.supported_features.iter().any(|feature| feature.name == "transaction.version"));
        let old = connection.ask(3, &request).await;
        assert!(old.supported_features.iter().all(|feature| feature.min_version > 0), "KAFKA-17492");
    }
}

#[tokio::test]
async fn a_topic_that_was_recreated_gets_no_marker_of_its_predecessors() {
    let (_broker, mut connection) = topic().await;
    let mut producer = Producer::new(&mut connection, V2, "x").await;
    producer.send(&mut connection, 0, &["a"]).await;
    let request = dohle_protocol::messages::DeleteTopicsRequest { topic_names: vec!["t".into()], ..Default::default() };
    connection.ask(5, &request).await;
    connection.create_topic("t", 1, &[]).await;
    assert_eq!(producer.end(&mut connection, true).await, ErrorCode::NONE);
    assert_eq!(fetch(&mut connection, 0, 0, false).await.high_watermark, 0);
}
