//! A broker that passes for an older release of Kafka, as clients find out.

use dohle_broker::{Broker, BrokerOptions, Release};
use dohle_protocol::{
    ErrorCode, Uuid,
    messages::{
        ApiVersionsRequest, ApiVersionsResponse, ConsumerGroupHeartbeatRequest, MetadataRequest,
        metadata_request::MetadataRequestTopic,
    },
};

use crate::support::*;

async fn at(release: &str) -> (Broker, Connection) {
    let release: Release = release.parse().unwrap();
    let broker = Broker::start_default(BrokerOptions::new().with_as_version(release)).await.unwrap();
    let connection = Connection::to(&broker).await;
    (broker, connection)
}

async fn told(connection: &mut Connection, version: i16) -> ApiVersionsResponse {
    let named = |text: &str| if version >= 3 { text.into() } else { String::new() };
    let request = ApiVersionsRequest {
        client_software_name: named("dohle"),
        client_software_version: named("0.1"),
        ..Default::default()
    };
    connection.ask(version, &request).await
}

fn newest(response: &ApiVersionsResponse, key: i16) -> Option<i16> {
    response.api_keys.iter().find(|api| api.api_key == key).map(|api| api.max_version)
}

#[tokio::test]
async fn an_older_release_tells_its_own_versions_and_features() {
    // Produce, Fetch, Metadata, OffsetCommit, ApiVersions, IncrementalAlterConfigs, DescribeTopicPartitions.
    let keys = [0, 1, 3, 8, 18, 44, 75];
    for (release, asked, expected, features) in [
        ("2.1", 2, [Some(7), Some(10), Some(7), Some(6), Some(2), None, None], &[][..]),
        ("2.8", 3, [Some(9), Some(12), Some(11), Some(8), Some(3), Some(1), None], &[]),
        ("3.9", 4, [Some(11), Some(17), Some(12), Some(9), Some(4), Some(1), Some(0)], &["metadata.version"]),
        (
            "4.3",
            4,
            [Some(13), Some(18), Some(13), Some(10), Some(4), Some(1), Some(0)],
            &["group.version", "metadata.version", "transaction.version"],
        ),
    ] {
        let (_broker, mut connection) = at(release).await;
        let response = told(&mut connection, asked).await;
        assert_eq!(keys.map(|key| newest(&response, key)), expected, "{release}");
        let finalized: Vec<&str> = response.finalized_features.iter().map(|feature| &*feature.name).collect();
        assert_eq!(finalized, features, "{release}");
    }
}

#[tokio::test]
async fn a_request_that_the_release_does_not_know_closes_its_connection() {
    let (broker, mut connection) = at("2.8").await;
    assert!(connection.try_ask(12, &MetadataRequest::default()).await.is_none());
    let mut connection = Connection::to(&broker).await;
    let topic = MetadataRequestTopic { name: Some("t".into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: true, ..Default::default() };
    let answered = connection.ask(11, &request).await;
    assert_ne!(answered.topics[0].topic_id, Uuid::ZERO, "topic ids came with 2.8");
}

#[tokio::test]
async fn an_api_versions_request_that_is_too_new_is_answered_as_the_release_does() {
    for (release, keys) in [("2.1", &[][..]), ("2.8", &[18])] {
        let (_broker, mut connection) = at(release).await;
        connection.send(4, &ApiVersionsRequest::default()).await;
        let frame = connection.frame().await.expect("an answer");
        let (_, response) = dohle_protocol::frame::decode_response::<ApiVersionsRequest>(frame, 0).unwrap();
        assert_eq!(ErrorCode(response.error_code), ErrorCode::UNSUPPORTED_VERSION, "{release}");
        assert_eq!(response.api_keys.iter().map(|api| api.api_key).collect::<Vec<_>>(), keys, "{release}");
    }
}

#[tokio::test]
async fn records_go_in_and_out_in_the_versions_of_2_1() {
    let (_broker, mut connection) = at("2.1").await;
    let topic = MetadataRequestTopic { name: Some("t".into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: true, ..Default::default() };
    assert_eq!(connection.ask(7, &request).await.topics[0].error_code, 0);
    let produced = connection.ask(7, &produce_request("t", 0, batch(["a", "b"]))).await;
    assert_eq!(produced.responses[0].partition_responses[0].error_code, 0);
    let fetched = connection.ask(10, &fetch_request("t", 0, 0)).await.part();
    assert_eq!(offsets(fetched.records), [0, 1]);
}

#[tokio::test]
async fn groups_of_kip_848_are_refused_by_3_9_as_there() {
    let (_broker, mut connection) = at("3.9").await;
    let request = ConsumerGroupHeartbeatRequest { group_id: "g".into(), ..Default::default() };
    assert_eq!(ErrorCode(connection.ask(0, &request).await.error_code), ErrorCode::UNSUPPORTED_VERSION);
}
