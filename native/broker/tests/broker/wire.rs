//! Frames, versions, and clients that mean harm.

use std::time::Duration;

use dohle_broker::{Broker, BrokerError, BrokerOptions};
use dohle_protocol::{
    ErrorCode, Request,
    messages::{self, ApiVersionsRequest, ApiVersionsResponse},
};
use tokio::io::AsyncWriteExt;

use crate::support::*;

/// What Kafka 4.3.1 tells, as its own tool prints it: `kafka-broker-api-versions`.
const KAFKA_4_3: &[(i16, i16, i16)] = &[
    (0, 0, 13),
    (1, 4, 18),
    (2, 1, 11),
    (3, 0, 13),
    (8, 2, 10),
    (9, 1, 10),
    (10, 0, 6),
    (11, 0, 9),
    (12, 0, 4),
    (13, 0, 5),
    (14, 0, 5),
    (15, 0, 6),
    (16, 0, 5),
    (17, 0, 1),
    (18, 0, 4),
    (19, 2, 7),
    (20, 1, 6),
    (21, 0, 2),
    (22, 0, 5),
    (23, 2, 4),
    (24, 0, 5),
    (25, 0, 4),
    (26, 0, 5),
    (27, 1, 2),
    (28, 0, 5),
    (29, 1, 3),
    (30, 1, 3),
    (31, 1, 3),
    (32, 1, 4),
    (33, 0, 2),
    (34, 1, 2),
    (35, 1, 5),
    (36, 0, 2),
    (37, 0, 3),
    (38, 1, 3),
    (39, 1, 2),
    (40, 1, 2),
    (41, 1, 3),
    (42, 0, 2),
    (43, 0, 2),
    (44, 0, 1),
    (45, 0, 1),
    (46, 0, 0),
    (47, 0, 0),
    (48, 0, 1),
    (49, 0, 1),
    (50, 0, 0),
    (51, 0, 0),
    (55, 0, 2),
    (57, 0, 2),
    (60, 0, 2),
    (61, 0, 0),
    (64, 0, 0),
    (65, 0, 0),
    (66, 0, 2),
    (68, 0, 1),
    (69, 0, 1),
    (74, 0, 1),
    (75, 0, 0),
    (80, 0, 1),
    (81, 0, 0),
];

async fn api_versions(connection: &mut Connection, version: i16) -> ApiVersionsResponse {
    let named = |text: &str| if version >= 3 { text.into() } else { String::new() };
    let request = ApiVersionsRequest {
        client_software_name: named("dohle"),
        client_software_version: named("0.1"),
        ..Default::default()
    };
    connection.ask(version, &request).await
}

#[tokio::test]
async fn the_versions_told_are_those_of_kafka_4_3() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    for version in 0..=4 {
        let response = api_versions(&mut connection, version).await;
        let told: Vec<_> =
            response.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect();
        assert_eq!(told, KAFKA_4_3);
        assert_eq!(response.finalized_features.is_empty(), version < 3);
    }
}

#[tokio::test]
async fn an_api_versions_request_from_the_future_is_answered_in_version_0() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    // Header of version 2 with an empty client id and no tags, then bytes that nobody knows.
    let frame = [0, 18, 0, 99, 0, 0, 0, 7, 0, 0, 0, 1, 2, 3, 4];
    connection.stream.write_i32(frame.len() as i32).await.unwrap();
    connection.stream.write_all(&frame).await.unwrap();
    let answer = connection.frame().await.unwrap();
    let (id, response) = dohle_protocol::frame::decode_response::<ApiVersionsRequest>(answer, 0).unwrap();
    assert_eq!((id, ErrorCode(response.error_code)), (7, ErrorCode::UNSUPPORTED_VERSION));
    assert_eq!(response.api_keys.iter().map(|api| api.api_key).collect::<Vec<_>>(), [18]);
    api_versions(&mut connection, 3).await;
}

#[tokio::test]
async fn a_client_that_does_not_name_itself_properly_is_told_so() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    let request = ApiVersionsRequest { client_software_name: "-bad-".into(), ..Default::default() };
    assert_eq!(ErrorCode(connection.ask(3, &request).await.error_code), ErrorCode::INVALID_REQUEST);
}

/// Every version of one API answers a request that says nothing, with something that can be read.
async fn answers<R: Request>(broker: &Broker) {
    let (_, min, max) = *KAFKA_4_3.iter().find(|(key, ..)| *key == R::API_KEY.0).unwrap();
    for version in min.max(R::MIN_VERSION)..=max {
        let mut connection = Connection::to(broker).await;
        let answer = tokio::time::timeout(Duration::from_secs(5), connection.try_ask(version, &R::default())).await;
        let answered = answer.unwrap_or_else(|_| panic!("{} {version}: no answer", R::NAME)).is_some();
        // Acks 0 is not answered, and here it is not an error.
        assert!(answered, "{} {version}: closed", R::NAME);
    }
}

#[tokio::test]
async fn every_version_of_every_api_answers_a_request_that_says_nothing() {
    let broker = broker().await;
    answers::<messages::FetchRequest>(&broker).await;
    answers::<messages::ListOffsetsRequest>(&broker).await;
    answers::<messages::MetadataRequest>(&broker).await;
    answers::<messages::OffsetCommitRequest>(&broker).await;
    answers::<messages::OffsetFetchRequest>(&broker).await;
    answers::<messages::FindCoordinatorRequest>(&broker).await;
    answers::<messages::JoinGroupRequest>(&broker).await;
    answers::<messages::HeartbeatRequest>(&broker).await;
    answers::<messages::LeaveGroupRequest>(&broker).await;
    answers::<messages::SyncGroupRequest>(&broker).await;
    answers::<messages::DescribeGroupsRequest>(&broker).await;
    answers::<messages::ListGroupsRequest>(&broker).await;
    answers::<messages::ApiVersionsRequest>(&broker).await;
    answers::<messages::CreateTopicsRequest>(&broker).await;
    answers::<messages::DeleteTopicsRequest>(&broker).await;
    answers::<messages::DeleteRecordsRequest>(&broker).await;
    answers::<messages::InitProducerIdRequest>(&broker).await;
    answers::<messages::OffsetForLeaderEpochRequest>(&broker).await;
    answers::<messages::AddPartitionsToTxnRequest>(&broker).await;
    answers::<messages::AddOffsetsToTxnRequest>(&broker).await;
    answers::<messages::EndTxnRequest>(&broker).await;
    answers::<messages::WriteTxnMarkersRequest>(&broker).await;
    answers::<messages::TxnOffsetCommitRequest>(&broker).await;
    answers::<messages::DescribeConfigsRequest>(&broker).await;
    answers::<messages::CreatePartitionsRequest>(&broker).await;
    answers::<messages::DeleteGroupsRequest>(&broker).await;
    answers::<messages::IncrementalAlterConfigsRequest>(&broker).await;
    answers::<messages::ListPartitionReassignmentsRequest>(&broker).await;
    answers::<messages::OffsetDeleteRequest>(&broker).await;
    answers::<messages::DescribeClusterRequest>(&broker).await;
    answers::<messages::DescribeProducersRequest>(&broker).await;
    answers::<messages::DescribeTransactionsRequest>(&broker).await;
    answers::<messages::ListTransactionsRequest>(&broker).await;
    answers::<messages::ConsumerGroupHeartbeatRequest>(&broker).await;
    answers::<messages::ConsumerGroupDescribeRequest>(&broker).await;
    answers::<messages::DescribeTopicPartitionsRequest>(&broker).await;
}

#[tokio::test]
async fn hostile_frames_close_their_connection_and_no_other() {
    let broker = broker().await;
    let mut good = Connection::to(&broker).await;
    api_versions(&mut good, 3).await;
    let huge = (i32::MAX).to_be_bytes();
    let cases: [&[u8]; 8] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &[0x16, 3, 1, 0, 200, 1, 0, 0],
        &(-1i32).to_be_bytes(),
        &huge,
        &[0, 0, 0, 0],
        &[0, 0, 0, 2, 0, 3],
        // An API that does not exist, a version that does not exist, an array of two billion topics.
        &[0, 0, 0, 10, 0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
        &[0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff],
    ];
    for bytes in cases {
        let mut bad = Connection::to(&broker).await;
        bad.stream.write_all(bytes).await.unwrap();
        let closed = tokio::time::timeout(Duration::from_secs(5), bad.frame()).await;
        assert!(closed.expect("the connection is closed").is_none(), "{bytes:?}");
    }
    api_versions(&mut good, 3).await;
}

#[tokio::test]
async fn versions_that_are_told_but_not_served_close_the_connection() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    // Produce 2, which is told for the sake of older librdkafka only.
    connection.stream.write_all(&[0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0, 1, 0xff, 0xff]).await.unwrap();
    assert!(connection.frame().await.is_none());
}

#[tokio::test]
async fn a_frame_is_read_however_it_is_cut() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    let request = messages::MetadataRequest { topics: None, ..Default::default() };
    let frame = dohle_protocol::frame::encode_request(12, 5, None, &request).unwrap().to_bytes();
    connection.stream.set_nodelay(true).unwrap();
    for byte in &frame {
        connection.stream.write_all(std::slice::from_ref(byte)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(connection.frame().await.is_some());
    // Three at once are answered in order.
    let three = [&frame[..], &frame[..], &frame[..]].concat();
    connection.stream.write_all(&three).await.unwrap();
    for _ in 0..3 {
        assert!(connection.frame().await.is_some());
    }
}

#[tokio::test]
async fn other_machines_are_kept_out_unless_it_is_asked_for() {
    let refused = Broker::start_default(BrokerOptions::new().with_address("0.0.0.0", 0)).await;
    assert!(matches!(refused, Err(BrokerError::NotLoopback { .. })));
    let mut options = BrokerOptions::new().with_address("0.0.0.0", 0);
    options.allow_non_loopback = true;
    let broker = Broker::start_default(options).await.unwrap();
    assert!(broker.address().ip().is_unspecified());
    // Clients are told the address that they came to.
    let mut connection = Connection::at(("127.0.0.1", broker.address().port())).await;
    let told = connection.ask(12, &messages::MetadataRequest::default()).await.brokers.remove(0);
    assert_eq!((told.host.as_str(), told.port), ("127.0.0.1", i32::from(broker.address().port())));
    let zero = BrokerOptions::new().with_partitions(0);
    let error = Broker::start_default(zero).await.err().unwrap();
    assert_eq!(error.to_string(), "partitions: 0 is below 1");
}

#[tokio::test]
async fn a_name_listens_on_all_its_addresses() {
    let broker = Broker::start_default(BrokerOptions::new().with_address("localhost", 0)).await.unwrap();
    assert!(broker.address().ip().is_loopback());
    let mut connection = Connection::at(("localhost", broker.address().port())).await;
    api_versions(&mut connection, 3).await;
}

#[tokio::test]
async fn stop_closes_everything_and_frees_the_port() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    api_versions(&mut connection, 3).await;
    let address = broker.address();
    broker.stop().await;
    broker.stop().await;
    assert!(connection.frame().await.is_none());
    let again = BrokerOptions::new().with_address("127.0.0.1", address.port());
    let again = Broker::start_default(again).await.unwrap();
    assert_eq!(again.address(), address);
}
