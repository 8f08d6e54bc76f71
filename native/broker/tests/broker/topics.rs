//! Creating, describing, growing and deleting topics.

use dohle_broker::{Broker, BrokerOptions};
use dohle_protocol::{
    ErrorCode, Uuid,
    messages::{
        CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
        DescribeTopicPartitionsRequest, IncrementalAlterConfigsRequest, MetadataRequest,
        create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic},
        create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig},
        delete_topics_request::DeleteTopicState,
        describe_configs_request::DescribeConfigsResource,
        incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
        metadata_request::MetadataRequestTopic,
    },
};

use crate::support::*;

fn topic(name: &str) -> CreatableTopic {
    CreatableTopic { name: name.into(), num_partitions: -1, replication_factor: -1, ..Default::default() }
}

async fn create(connection: &mut Connection, topics: Vec<CreatableTopic>) -> Vec<(String, ErrorCode)> {
    let response = connection.ask(7, &CreateTopicsRequest { topics, ..Default::default() }).await;
    response.topics.into_iter().map(|topic| (topic.name, ErrorCode(topic.error_code))).collect()
}

#[tokio::test]
async fn each_topic_is_created_or_refused_for_itself() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    let config = |name: &str, value: &str| CreatableTopicConfig {
        name: name.into(),
        value: Some(value.into()),
        ..Default::default()
    };
    let assignment = CreatableReplicaAssignment { partition_index: 0, broker_ids: vec![2], ..Default::default() };
    let asked = vec![
        topic("good"),
        topic("a/b"),
        CreatableTopic { num_partitions: 0, ..topic("none") },
        CreatableTopic { replication_factor: 3, ..topic("three") },
        CreatableTopic { configs: vec![config("cleanup.policy", "shred")], ..topic("shred") },
        CreatableTopic { assignments: vec![assignment], ..topic("elsewhere") },
        topic("twice"),
        topic("twice"),
    ];
    let expected = [
        ("good", ErrorCode::NONE),
        ("a/b", ErrorCode::INVALID_TOPIC_EXCEPTION),
        ("none", ErrorCode::INVALID_PARTITIONS),
        ("three", ErrorCode::INVALID_REPLICATION_FACTOR),
        ("shred", ErrorCode::INVALID_CONFIG),
        ("elsewhere", ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        ("twice", ErrorCode::INVALID_REQUEST),
    ];
    let created = create(&mut connection, asked).await;
    assert_eq!(created, expected.map(|(name, code)| (name.to_string(), code)));
    assert_eq!(create(&mut connection, vec![topic("good")]).await[0].1, ErrorCode::TOPIC_ALREADY_EXISTS);
}

#[tokio::test]
async fn validate_only_creates_nothing() {
    let broker = Broker::start_default(BrokerOptions::new().with_auto_create_topics(false)).await.unwrap();
    let mut connection = Connection::to(&broker).await;
    let request = CreateTopicsRequest { topics: vec![topic("t")], validate_only: true, ..Default::default() };
    let response = connection.ask(7, &request).await;
    assert_eq!((response.topics[0].error_code, response.topics[0].num_partitions), (0, 1));
    assert_eq!(connection.metadata("t").await.0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[tokio::test]
async fn metadata_creates_topics_only_when_broker_and_client_allow_it() {
    let broker = Broker::start_default(BrokerOptions::new().with_partitions(3)).await.unwrap();
    let mut connection = Connection::to(&broker).await;
    let ask = |name: &str, allow_auto_topic_creation| MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { name: Some(name.into()), ..Default::default() }]),
        allow_auto_topic_creation,
        ..Default::default()
    };
    let code = |response: dohle_protocol::messages::MetadataResponse| ErrorCode(response.topics[0].error_code);
    assert_eq!(code(connection.ask(12, &ask("t", false)).await), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(code(connection.ask(12, &ask("a b", true)).await), ErrorCode::INVALID_TOPIC_EXCEPTION);
    let created = connection.ask(12, &ask("t", true)).await;
    assert_eq!((created.topics[0].error_code, created.topics[0].partitions.len()), (0, 3));
    assert_eq!(created.brokers[0].port, i32::from(broker.address().port()));

    let refusing = Broker::start_default(BrokerOptions::new().with_auto_create_topics(false)).await.unwrap();
    let mut connection = Connection::to(&refusing).await;
    assert_eq!(code(connection.ask(12, &ask("t", true)).await), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[tokio::test]
async fn metadata_of_all_or_no_topics_follows_the_version() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("a", 1, &[]).await;
    connection.create_topic("b", 1, &[]).await;
    let none = MetadataRequest::default();
    let all = MetadataRequest { topics: None, ..Default::default() };
    assert_eq!(connection.ask(0, &none).await.topics.len(), 2, "version 0: no names mean all");
    assert_eq!(connection.ask(1, &none).await.topics.len(), 0);
    assert_eq!(connection.ask(1, &all).await.topics.len(), 2);
}

#[tokio::test]
async fn a_topic_is_found_by_its_id_and_deleted_by_it() {
    let broker = Broker::start_default(BrokerOptions::new().with_auto_create_topics(false)).await.unwrap();
    let mut connection = Connection::to(&broker).await;
    let id = connection.create_topic("t", 1, &[]).await;
    let by_id = |topic_id| MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { topic_id, name: None, ..Default::default() }]),
        ..Default::default()
    };
    assert_eq!(connection.ask(12, &by_id(id)).await.topics[0].name.as_deref(), Some("t"));
    let unknown = connection.ask(12, &by_id(Uuid([9; 16]))).await;
    assert_eq!(ErrorCode(unknown.topics[0].error_code), ErrorCode::UNKNOWN_TOPIC_ID);
    let delete = DeleteTopicsRequest {
        topics: vec![DeleteTopicState { name: None, topic_id: id, ..Default::default() }],
        ..Default::default()
    };
    assert_eq!(connection.ask(6, &delete).await.responses[0].error_code, 0);
    let again = connection.ask(6, &delete).await;
    assert_eq!(ErrorCode(again.responses[0].error_code), ErrorCode::UNKNOWN_TOPIC_ID);
    assert_eq!(connection.metadata("t").await.0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[tokio::test]
async fn partitions_are_added_and_never_taken_away() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 2, &[]).await;
    let to = |count| CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic { name: "t".into(), count, assignments: None, ..Default::default() }],
        ..Default::default()
    };
    assert_eq!(ErrorCode(connection.ask(3, &to(2)).await.results[0].error_code), ErrorCode::INVALID_PARTITIONS);
    assert_eq!(connection.ask(3, &to(5)).await.results[0].error_code, 0);
    assert_eq!(connection.metadata("t").await.1, 5);
}

#[tokio::test]
async fn topics_are_described_page_by_page() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("a", 3, &[]).await;
    connection.create_topic("b", 3, &[]).await;
    let mut request = DescribeTopicPartitionsRequest { response_partition_limit: 2, ..Default::default() };
    let mut seen = Vec::new();
    loop {
        let page = connection.ask(0, &request).await;
        for topic in &page.topics {
            let name = topic.name.clone().unwrap();
            seen.extend(topic.partitions.iter().map(|partition| (name.clone(), partition.partition_index)));
        }
        let Some(next) = page.next_cursor else { break };
        request.cursor = Some(dohle_protocol::messages::describe_topic_partitions_request::Cursor {
            topic_name: next.topic_name,
            partition_index: next.partition_index,
            ..Default::default()
        });
    }
    let all = ["a", "b"].iter().flat_map(|name| (0..3).map(move |index| (name.to_string(), index)));
    assert_eq!(seen, all.collect::<Vec<_>>());
}

#[tokio::test]
async fn configurations_are_shown_with_defaults_and_changed() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 1, &[("max.message.bytes", "5000")]).await;
    let alter = |name: &str, config_operation, value: &str| IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: 2,
            resource_name: "t".into(),
            configs: vec![AlterableConfig {
                name: name.into(),
                config_operation,
                value: Some(value.into()),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    assert_eq!(connection.ask(1, &alter("cleanup.policy", 2, "compact")).await.responses[0].error_code, 0);
    assert_eq!(connection.ask(1, &alter("max.message.bytes", 1, "")).await.responses[0].error_code, 0);
    let wrong = connection.ask(1, &alter("max.message.bytes", 0, "many")).await;
    assert_eq!(ErrorCode(wrong.responses[0].error_code), ErrorCode::INVALID_CONFIG);
    let describe = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: 2,
            resource_name: "t".into(),
            configuration_keys: None,
            ..Default::default()
        }],
        include_synonyms: true,
        ..Default::default()
    };
    let described = connection.ask(4, &describe).await.results.remove(0);
    let value = |name: &str| {
        let config = described.configs.iter().find(|config| config.name == name).unwrap();
        (config.value.clone().unwrap(), config.config_source)
    };
    assert_eq!(value("cleanup.policy"), ("delete,compact".into(), 1));
    assert_eq!(value("max.message.bytes"), ("1048588".into(), 5));
    assert!(described.configs.len() > 30, "the defaults too");
}

/// What test/strangers sees of Apache Kafka 4.3.1, and people see in the messages of their tools.
#[tokio::test]
async fn refusals_of_topics_and_partitions_are_in_the_words_of_kafka() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    let assigned = |rows: &[(i32, &[i32])]| CreatableTopic {
        assignments: rows
            .iter()
            .map(|(index, ids)| CreatableReplicaAssignment {
                partition_index: *index,
                broker_ids: ids.to_vec(),
                ..Default::default()
            })
            .collect(),
        ..topic("assigned")
    };
    let long = "n".repeat(250);
    let too_long = format!("Topic name is invalid: the length of '{long}' is longer than the max allowed length 249");
    let cases = [
        (
            CreatableTopic { num_partitions: 0, ..topic("none") },
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (topic("."), "Topic name is invalid: '.' is not allowed"),
        (topic(&long), &*too_long),
        (
            assigned(&[(0, &[7])]),
            "The manual partition assignment includes broker 7, but no such broker is registered.",
        ),
        (assigned(&[(0, &[1, 1])]), "The manual partition assignment includes the broker 1 more than once."),
        (assigned(&[(1, &[1])]), "partitions should be a consecutive 0-based integer sequence"),
        (assigned(&[(0, &[1]), (0, &[1])]), "Found multiple manual partition assignments for partition 0"),
        (
            CreatableTopic { replication_factor: 3, num_partitions: 1, ..topic("wide") },
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because \
             only 1 broker(s) are registered or some brokers have all their log directories cordoned.",
        ),
    ];
    for (asked, said) in cases {
        let answer = connection.ask(7, &CreateTopicsRequest { topics: vec![asked], ..Default::default() }).await;
        assert_eq!(answer.topics[0].error_message.as_deref(), Some(said));
    }

    create(&mut connection, vec![CreatableTopic { num_partitions: 2, ..topic("t") }]).await;
    let ids = |rows: &[i32]| {
        let one = |id: &i32| CreatePartitionsAssignment { broker_ids: vec![*id], ..Default::default() };
        Some(rows.iter().map(one).collect())
    };
    let grow = |name: &str, count, assignments| CreatePartitionsTopic {
        name: name.into(),
        count,
        assignments,
        ..Default::default()
    };
    let cases = [
        (grow("t", 2, None), "Topic already has 2 partition(s)."),
        (grow("t", 1, None), "The topic t currently has 2 partition(s); 1 would not be an increase."),
        (grow("x", 1, None), "This server does not host this topic-partition."),
        (
            grow("t", 3, ids(&[1, 1])),
            "Attempted to add 1 additional partition(s), but only 2 assignment(s) were specified.",
        ),
        (
            grow("t", 3, ids(&[7])),
            "The manual partition assignment includes broker 7, but no such broker is registered.",
        ),
    ];
    for (asked, said) in cases {
        let answer = connection.ask(3, &CreatePartitionsRequest { topics: vec![asked], ..Default::default() }).await;
        assert_eq!(answer.results[0].error_message.as_deref(), Some(said));
    }

    let topics = vec![DeleteTopicState { name: Some("x".into()), ..Default::default() }];
    let answer = connection.ask(6, &DeleteTopicsRequest { topics, ..Default::default() }).await;
    let said = Some("This server does not host this topic-partition.");
    assert_eq!(answer.responses[0].error_message.as_deref(), said);
}

#[tokio::test]
async fn one_request_creates_ten_thousand_partitions_at_most() {
    let broker = Broker::start_default(BrokerOptions::new()).await.unwrap();
    let mut connection = Connection::to(&broker).await;
    let topic = |name: &str, num_partitions| CreatableTopic {
        name: name.into(),
        num_partitions,
        replication_factor: -1,
        ..Default::default()
    };
    let mut create = async |topics: Vec<CreatableTopic>| {
        let request = CreateTopicsRequest { topics, ..Default::default() };
        connection.ask(7, &request).await.topics.iter().map(|topic| ErrorCode(topic.error_code)).collect::<Vec<_>>()
    };
    let refused = create(vec![topic("a", 9_999), topic("b", 2)]).await;
    assert_eq!(refused, [ErrorCode::POLICY_VIOLATION; 2]);
    assert_eq!(create(vec![topic("a", 9_999), topic("b", 1)]).await, [ErrorCode::NONE; 2]);
}
