//! Client quotas: set, found, removed, and kept to.

use std::time::{Duration, Instant};

use dohle_protocol::{
    ErrorCode,
    messages::{
        AlterClientQuotasRequest, DescribeClientQuotasRequest,
        alter_client_quotas_request::{EntityData, EntryData, OpData},
        describe_client_quotas_request::ComponentData,
    },
};

use crate::support::*;

type Names<'a> = &'a [(&'a str, Option<&'a str>)];

fn entry(entity: Names<'_>, key: &str, value: Option<f64>) -> AlterClientQuotasRequest {
    let of = |(kind, name): &(&str, Option<&str>)| EntityData {
        entity_type: kind.to_string(),
        entity_name: name.map(str::to_string),
        ..Default::default()
    };
    let op = OpData { key: key.into(), value: value.unwrap_or(0.0), remove: value.is_none(), ..Default::default() };
    let entry = EntryData { entity: entity.iter().map(of).collect(), ops: vec![op], ..Default::default() };
    AlterClientQuotasRequest { entries: vec![entry], ..Default::default() }
}

async fn alter(own: &mut Connection, entity: Names<'_>, key: &str, value: Option<f64>) -> (ErrorCode, String) {
    let answer = own.ask(1, &entry(entity, key, value)).await.entries.remove(0);
    (ErrorCode(answer.error_code), answer.error_message.unwrap_or_default())
}

async fn count(own: &mut Connection, components: &[(&str, i8, Option<&str>)], strict: bool) -> usize {
    let component = |(kind, match_type, name): &(&str, i8, Option<&str>)| ComponentData {
        entity_type: kind.to_string(),
        match_type: *match_type,
        r#match: name.map(str::to_string),
        ..Default::default()
    };
    let components = components.iter().map(component).collect();
    let request = DescribeClientQuotasRequest { components, strict, ..Default::default() };
    own.ask(1, &request).await.entries.unwrap().len()
}

#[tokio::test]
async fn quotas_are_set_found_by_filters_and_removed() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    let own = &mut connection;
    let none = (ErrorCode::NONE, String::new());
    assert_eq!(alter(own, &[("user", Some("u"))], "producer_byte_rate", Some(1e9)).await, none);
    assert_eq!(alter(own, &[("user", Some("u")), ("client-id", None)], "request_percentage", Some(99.5)).await, none);
    assert_eq!(alter(own, &[("user", None)], "consumer_byte_rate", Some(1e9)).await, none);
    assert_eq!(alter(own, &[("ip", Some("127.0.0.1"))], "connection_creation_rate", Some(9.0)).await, none);
    let (exact, default, any) = (0, 1, 2);
    assert_eq!(count(own, &[], false).await, 4);
    assert_eq!(count(own, &[("user", exact, Some("u"))], false).await, 2);
    assert_eq!(count(own, &[("user", exact, Some("u"))], true).await, 1);
    assert_eq!(count(own, &[("user", default, None)], true).await, 1);
    assert_eq!(count(own, &[("user", any, None)], false).await, 3);
    assert_eq!(count(own, &[("user", any, None), ("client-id", default, None)], true).await, 1);
    let refused = alter(own, &[("user", Some("u"))], "nope", Some(1.0)).await;
    assert_eq!(refused, (ErrorCode::INVALID_REQUEST, "Invalid configuration key nope".into()));
    let mut only = entry(&[("user", Some("u"))], "producer_byte_rate", None);
    only.validate_only = true;
    assert_eq!(own.ask(1, &only).await.entries[0].error_code, 0);
    assert_eq!(count(own, &[("user", exact, Some("u"))], true).await, 1);
    alter(own, &[("user", Some("u"))], "producer_byte_rate", None).await;
    assert_eq!(count(own, &[("user", exact, Some("u"))], true).await, 0);
}

#[tokio::test]
async fn who_produces_too_much_is_told_and_not_read_for_as_long() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    let own = &mut connection;
    own.create_topic("t", 1, &[]).await;
    // Ten seconds count at least: the first 100,000 bytes are free.
    alter(own, &[("client-id", Some("test"))], "producer_byte_rate", Some(10_000.0)).await;
    let produce = |bytes: usize| produce_request("t", 0, batch(["x".repeat(bytes)]));
    assert_eq!(own.ask(12, &produce(90_000)).await.throttle_time_ms, 0);
    let since = Instant::now();
    let answer = own.ask(12, &produce(11_000)).await;
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0, "what is throttled is written");
    assert!((1..1000).contains(&answer.throttle_time_ms), "{}", answer.throttle_time_ms);
    own.metadata("t").await;
    let waited = since.elapsed();
    assert!(waited >= Duration::from_millis(answer.throttle_time_ms as u64), "{waited:?}");
    let mut other = Connection::to(&broker).await;
    other.metadata("t").await;
    alter(own, &[("client-id", Some("test"))], "producer_byte_rate", None).await;
    assert_eq!(own.ask(12, &produce(90_000)).await.throttle_time_ms, 0);
}

#[tokio::test]
async fn who_fetches_too_much_gets_it_and_then_waits() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    let own = &mut connection;
    own.create_topic("t", 1, &[]).await;
    own.produce("t", 0, batch(["x".repeat(60_000)])).await;
    alter(own, &[("user", None)], "consumer_byte_rate", Some(10_000.0)).await;
    let first = own.ask(12, &fetch_request("t", 0, 0)).await;
    assert_eq!(first.throttle_time_ms, 0);
    let second = own.ask(12, &fetch_request("t", 0, 0)).await;
    assert!(second.throttle_time_ms > 1000, "{}", second.throttle_time_ms);
    assert_eq!(offsets(second.part().records), [0]);
}
