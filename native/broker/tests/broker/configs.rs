//! Configurations: described, changed, inherited, refused.

use dohle_broker::{Broker, BrokerOptions};
use dohle_protocol::{
    ErrorCode,
    messages::{
        AlterConfigsRequest, DeleteTopicsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest,
        ListConfigResourcesRequest, alter_configs_request,
        delete_topics_request::DeleteTopicState,
        describe_configs_request::DescribeConfigsResource,
        describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult},
        incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
    },
};

use crate::support::*;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;
/// Operations of IncrementalAlterConfigs.
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

async fn describe(connection: &mut Connection, kind: i8, name: &str, keys: &[&str]) -> DescribeConfigsResult {
    let keys = keys.iter().map(|key| key.to_string()).collect();
    let resource = DescribeConfigsResource {
        resource_type: kind,
        resource_name: name.into(),
        configuration_keys: Some(keys),
        ..Default::default()
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: true,
        ..Default::default()
    };
    connection.ask(4, &request).await.results.remove(0)
}

async fn one(connection: &mut Connection, kind: i8, name: &str, key: &str) -> DescribeConfigsResourceResult {
    let mut described = describe(connection, kind, name, &[key]).await;
    assert_eq!(described.configs.len(), 1, "{key}: {:?}", described.error_message);
    described.configs.remove(0)
}

/// Value and source.
async fn value(connection: &mut Connection, kind: i8, name: &str, key: &str) -> (String, i8) {
    let config = one(connection, kind, name, key).await;
    (config.value.unwrap_or("null".into()), config.config_source)
}

type Change<'a> = (i8, &'a str, Option<&'a str>);

async fn try_alter(connection: &mut Connection, kind: i8, name: &str, changes: &[Change<'_>]) -> (ErrorCode, String) {
    let config = |(operation, name, value): &Change<'_>| AlterableConfig {
        name: name.to_string(),
        config_operation: *operation,
        value: value.map(str::to_string),
        ..Default::default()
    };
    let resource = AlterConfigsResource {
        resource_type: kind,
        resource_name: name.into(),
        configs: changes.iter().map(config).collect(),
        ..Default::default()
    };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    let answer = connection.ask(1, &request).await.responses.remove(0);
    (ErrorCode(answer.error_code), answer.error_message.unwrap_or_default())
}

async fn alter(connection: &mut Connection, kind: i8, name: &str, changes: &[Change<'_>]) {
    assert_eq!(try_alter(connection, kind, name, changes).await, (ErrorCode::NONE, String::new()));
}

#[tokio::test]
async fn a_topic_inherits_from_the_broker_what_it_does_not_set_also_what_changes_later() {
    let mut options = BrokerOptions::new();
    options.set("log.retention.hours", "1").unwrap();
    let broker = Broker::start_default(options).await.unwrap();
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 1, &[]).await;
    let own = &mut connection;
    assert_eq!(value(own, TOPIC, "t", "retention.ms").await, ("3600000".into(), 4));
    alter(own, BROKER, "", &[(SET, "log.retention.ms", Some("2000")), (SET, "message.max.bytes", Some("100"))]).await;
    assert_eq!(value(own, TOPIC, "t", "retention.ms").await, ("2000".into(), 3));
    alter(own, BROKER, "1", &[(SET, "log.retention.ms", Some("3000"))]).await;
    let retention = one(own, TOPIC, "t", "retention.ms").await;
    let chain: Vec<_> =
        retention.synonyms.iter().map(|of| (&*of.name, of.value.as_deref().unwrap(), of.source)).collect();
    let expected =
        [("log.retention.ms", "3000", 2), ("log.retention.ms", "2000", 3), ("log.retention.hours", "3600000", 4)];
    assert_eq!(chain, expected);
    assert_eq!((retention.value.as_deref(), retention.config_type), (Some("3000"), 5));
    assert!(retention.documentation.unwrap().contains("Milliseconds"));
    // What the broker acts on follows, for topics that were there and for new ones.
    let large = batch(["x".repeat(200)]);
    let code = own.produce("t", 0, large.clone()).await.error_code;
    assert_eq!(ErrorCode(code), ErrorCode::MESSAGE_TOO_LARGE);
    own.create_topic("u", 1, &[]).await;
    assert_eq!(ErrorCode(own.produce("u", 0, large.clone()).await.error_code), ErrorCode::MESSAGE_TOO_LARGE);
    alter(own, TOPIC, "t", &[(SET, "max.message.bytes", Some("1000"))]).await;
    assert_eq!(own.produce("t", 0, large.clone()).await.error_code, 0);
    alter(own, BROKER, "", &[(DELETE, "message.max.bytes", None)]).await;
    assert_eq!(own.produce("u", 0, large).await.error_code, 0);
    assert_eq!(value(own, TOPIC, "t", "max.message.bytes").await, ("1000".into(), 1));
    assert_eq!(value(own, TOPIC, "u", "max.message.bytes").await, ("1048588".into(), 5));
}

#[tokio::test]
async fn the_broker_tells_its_properties_and_without_a_name_only_what_was_set_for_all() {
    let broker = Broker::start_default(BrokerOptions::new().with_partitions(3)).await.unwrap();
    let mut connection = Connection::to(&broker).await;
    let own = &mut connection;
    let partitions = one(own, BROKER, "1", "num.partitions").await;
    assert_eq!((partitions.value.as_deref(), partitions.read_only, partitions.config_source), (Some("3"), true, 4));
    assert_eq!(partitions.synonyms.len(), 2);
    let all = describe(own, BROKER, "1", &[]).await.configs;
    assert!(all.len() > 200 && all.iter().any(|of| of.name == "num.network.threads"), "{}", all.len());
    let key = all.iter().find(|of| of.name == "ssl.keystore.key").unwrap();
    assert!(key.is_sensitive && key.value.is_none() && key.read_only, "{key:?}");
    assert_eq!(describe(own, BROKER, "", &[]).await.configs, []);
    alter(own, BROKER, "", &[(SET, "log.cleaner.threads", Some("2"))]).await;
    let everyone = describe(own, BROKER, "", &[]).await.configs;
    assert_eq!(
        everyone.iter().map(|of| (&*of.name, of.config_source)).collect::<Vec<_>>(),
        [("log.cleaner.threads", 3)]
    );
    assert_eq!(value(own, BROKER, "1", "log.cleaner.threads").await, ("2".into(), 3));
    let other = describe(own, BROKER, "7", &[]).await;
    assert_eq!(ErrorCode(other.error_code), ErrorCode::INVALID_REQUEST);
    assert!(other.error_message.unwrap().contains("expected 1 or empty string, but received 7"));
}

#[tokio::test]
async fn a_wrong_change_is_refused_as_apache_kafka_does_and_changes_nothing() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 1, &[]).await;
    let cases: &[(i8, &str, &[Change<'_>], ErrorCode, &str)] = &[
        (TOPIC, "t", &[(SET, "nope", Some("5"))], ErrorCode::INVALID_CONFIG, "Unknown topic config name: nope"),
        (
            TOPIC,
            "t",
            &[(SET, "flush.ms", Some("9")), (SET, "retention.ms", Some("x"))],
            ErrorCode::INVALID_CONFIG,
            "Invalid value x for configuration retention.ms: Not a number of type LONG",
        ),
        (
            TOPIC,
            "t",
            &[(APPEND, "retention.ms", Some("5"))],
            ErrorCode::INVALID_CONFIG,
            "Can't APPEND to key retention.ms because its type is not LIST.",
        ),
        (
            TOPIC,
            "t",
            &[(SET, "retention.ms", None)],
            ErrorCode::INVALID_REQUEST,
            "Null value not supported for : retention.ms",
        ),
        (
            TOPIC,
            "none",
            &[(SET, "retention.ms", Some("5"))],
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            "The topic 'none' does not exist.",
        ),
        (
            TOPIC,
            "t",
            &[(SET, "remote.storage.enable", Some("true"))],
            ErrorCode::INVALID_CONFIG,
            "Tiered Storage functionality is disabled in the broker. \
             Topic cannot be configured with remote log storage.",
        ),
        (
            BROKER,
            "1",
            &[(SET, "num.partitions", Some("3"))],
            ErrorCode::INVALID_REQUEST,
            "Cannot update these configs dynamically: [num.partitions]",
        ),
        (
            BROKER,
            "",
            &[(SET, "message.max.bytes", Some("-5"))],
            ErrorCode::INVALID_REQUEST,
            "Invalid value -5 for configuration message.max.bytes: Value must be at least 0",
        ),
        (
            BROKER,
            "1",
            &[(APPEND, "message.max.bytes", Some("5"))],
            ErrorCode::INVALID_CONFIG,
            "Config value append is not allowed for config key: message.max.bytes",
        ),
        (
            GROUP,
            "g",
            &[(SET, "consumer.session.timeout.ms", Some("1"))],
            ErrorCode::INVALID_CONFIG,
            "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms",
        ),
        (GROUP, "g", &[(SET, "nope", Some("1"))], ErrorCode::INVALID_CONFIG, "Unknown group config name: nope"),
        (
            CLIENT_METRICS,
            "m",
            &[(SET, "interval.ms", Some("1"))],
            ErrorCode::INVALID_REQUEST,
            "Invalid value 1 for interval.ms, interval must be between 100 and 3600000 (1 hour)",
        ),
        (
            CLIENT_METRICS,
            "m",
            &[(SET, "match", Some("x"))],
            ErrorCode::INVALID_CONFIG,
            "Illegal client matching pattern: x",
        ),
        (
            8,
            "1",
            &[(SET, "root", Some("DEBUG"))],
            ErrorCode::INVALID_REQUEST,
            "The levels of this broker's log are those of the process it is embedded in.",
        ),
    ];
    for (kind, name, changes, code, message) in cases {
        assert_eq!(try_alter(&mut connection, *kind, name, changes).await, (*code, message.to_string()));
    }
    assert_eq!(value(&mut connection, TOPIC, "t", "flush.ms").await.1, 5, "the good half of a bad change");
}

#[tokio::test]
async fn lists_grow_and_shrink_and_a_replaced_configuration_forgets_the_rest() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 1, &[("flush.ms", "5")]).await;
    let own = &mut connection;
    alter(own, TOPIC, "t", &[(APPEND, "cleanup.policy", Some("compact"))]).await;
    assert_eq!(value(own, TOPIC, "t", "cleanup.policy").await.0, "delete,compact");
    alter(own, TOPIC, "t", &[(SUBTRACT, "cleanup.policy", Some("delete"))]).await;
    assert_eq!(value(own, TOPIC, "t", "cleanup.policy").await, ("compact".into(), 1));
    let config = alter_configs_request::AlterableConfig {
        name: "retention.ms".into(),
        value: Some("7".into()),
        ..Default::default()
    };
    let resource = |validate_only| AlterConfigsRequest {
        resources: vec![alter_configs_request::AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: "t".into(),
            configs: vec![config.clone()],
            ..Default::default()
        }],
        validate_only,
        ..Default::default()
    };
    assert_eq!(own.ask(2, &resource(true)).await.responses[0].error_code, 0);
    assert_eq!(value(own, TOPIC, "t", "flush.ms").await, ("5".into(), 1));
    assert_eq!(own.ask(2, &resource(false)).await.responses[0].error_code, 0);
    assert_eq!(value(own, TOPIC, "t", "flush.ms").await.1, 5);
    assert_eq!(value(own, TOPIC, "t", "retention.ms").await, ("7".into(), 1));
}

#[tokio::test]
async fn groups_and_subscriptions_keep_what_is_set_and_are_listed() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 1, &[]).await;
    let own = &mut connection;
    assert_eq!(value(own, GROUP, "g", "consumer.session.timeout.ms").await, ("45000".into(), 5));
    alter(own, GROUP, "g", &[(SET, "consumer.session.timeout.ms", Some("50000"))]).await;
    alter(own, CLIENT_METRICS, "m", &[(SET, "match", Some("client_id=a.*"))]).await;
    assert_eq!(value(own, GROUP, "g", "consumer.session.timeout.ms").await, ("50000".into(), 8));
    assert_eq!(value(own, CLIENT_METRICS, "m", "match").await, ("client_id=a.*".into(), 7));
    let list = |types: &[i8]| ListConfigResourcesRequest { resource_types: types.to_vec(), ..Default::default() };
    let listed = own.ask(1, &list(&[])).await.config_resources;
    let listed: Vec<_> = listed.iter().map(|of| (of.resource_type, &*of.resource_name)).collect();
    assert_eq!(listed, [(TOPIC, "t"), (BROKER, "1"), (8, "1"), (CLIENT_METRICS, "m"), (GROUP, "g")]);
    assert_eq!(own.ask(0, &list(&[])).await.config_resources.len(), 1);
    assert_eq!(ErrorCode(own.ask(1, &list(&[99])).await.error_code), ErrorCode::UNSUPPORTED_VERSION);
    alter(own, CLIENT_METRICS, "m", &[(DELETE, "match", None)]).await;
    assert_eq!(own.ask(0, &list(&[])).await.config_resources.len(), 0);
}

#[tokio::test]
async fn a_start_with_an_unknown_or_wrong_property_fails_and_topics_may_be_undeletable() {
    let mut options = BrokerOptions::new();
    assert_eq!(options.set("no.such", "1").unwrap_err(), "Unknown broker config name: no.such");
    assert!(options.set("default.replication.factor", "0").unwrap_err().contains("at least 1"));
    let mut wrong = options.clone();
    wrong.properties.insert("log.retention.ms".into(), "x".into());
    assert!(Broker::start_default(wrong).await.err().unwrap().to_string().contains("Not a number of type LONG"));
    options.set("delete.topic.enable", "false").unwrap();
    let broker = Broker::start_default(options).await.unwrap();
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 1, &[]).await;
    let topics = vec![DeleteTopicState { name: Some("t".into()), ..Default::default() }];
    let deleted = connection.ask(6, &DeleteTopicsRequest { topics, ..Default::default() }).await;
    assert_eq!(ErrorCode(deleted.responses[0].error_code), ErrorCode::TOPIC_DELETION_DISABLED);
    assert_eq!(connection.metadata("t").await, (ErrorCode::NONE, 1));
}
