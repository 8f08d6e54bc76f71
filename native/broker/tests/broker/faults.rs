//! Fault rules, as a client meets them.

use std::time::Duration;

use dohle_broker::{Action, Rule, When};
use dohle_protocol::{
    ApiKey, ErrorCode,
    messages::{HeartbeatRequest, MetadataRequest},
};
use tokio::{io::AsyncReadExt, time::Instant};

use crate::support::*;

fn error(code: ErrorCode, when: When) -> Rule {
    Rule::new(Action::Error { code: code.0, when })
}

#[tokio::test]
async fn an_error_is_answered_instead_of_or_after_the_append() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 2, &[]).await;
    let before = error(ErrorCode::NOT_LEADER_OR_FOLLOWER, When::Before).api(ApiKey::PRODUCE.0).topic("t").partition(0);
    let after = error(ErrorCode::REQUEST_TIMED_OUT, When::After).api(ApiKey::PRODUCE.0).topic("t").partition(0).nth(2);
    let (before, after) = (broker.faults().add(before), broker.faults().add(after));
    let mut both = produce_request("t", 0, batch(["a"]));
    let second = both.topic_data[0].partition_data[0].clone();
    both.topic_data[0].partition_data.push(second);
    both.topic_data[0].partition_data[1].index = 1;
    let (mut codes, mut offsets) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let response = connection.ask(12, &both).await;
        offsets.push(response.responses[0].partition_responses[0].base_offset);
        codes.push(
            response.responses[0].partition_responses.iter().map(|p| ErrorCode(p.error_code)).collect::<Vec<_>>(),
        );
    }
    let (none, moved, late) = (ErrorCode::NONE, ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::REQUEST_TIMED_OUT);
    assert_eq!(codes, [[moved, none], [late, none], [none, none]]);
    assert_eq!(offsets, [-1, 0, 1], "a leader that has written says where, whatever it cannot promise");
    assert_eq!(connection.fetch("t", 0, 0).await.high_watermark, 2, "before: not appended; after: appended");
    assert_eq!(connection.fetch("t", 1, 0).await.high_watermark, 3);
    assert_eq!((broker.faults().hits(before).fired, broker.faults().hits(after).fired), (1, 1));
    assert_eq!(broker.faults().hits(before).matched, 3);
}

#[tokio::test]
async fn a_request_as_a_whole_can_be_refused() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    let rule = error(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, When::Before).api(ApiKey::HEARTBEAT.0).forever();
    let id = broker.faults().add(rule);
    for _ in 0..3 {
        let code = connection.ask(4, &HeartbeatRequest::default()).await.error_code;
        assert_eq!(ErrorCode(code), ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    }
    assert!(broker.faults().remove(id));
    let code = connection.ask(4, &HeartbeatRequest::default()).await.error_code;
    assert_eq!(ErrorCode(code), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[tokio::test]
async fn a_fetch_session_meets_errors_of_its_partitions() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    let id = connection.create_topic("t", 1, &[]).await;
    let mut request = fetch_request("", 0, 0);
    request.topics[0].topic_id = id;
    (request.session_id, request.session_epoch) = (0, 0);
    let session = connection.ask(17, &request).await.session_id;
    broker.faults().add(error(ErrorCode::NOT_LEADER_OR_FOLLOWER, When::Before).api(1).topic("t"));
    request.topics.clear();
    (request.session_id, request.session_epoch) = (session, 1);
    let answer = connection.ask(17, &request).await;
    assert_eq!(ErrorCode(answer.part().error_code), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    request.session_epoch = 2;
    assert_eq!(connection.ask(17, &request).await.part().error_code, 0, "told that the error is over");
}

#[tokio::test]
async fn a_dropped_answer_leaves_the_connection_open_and_silent() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 1, &[]).await;
    broker.faults().add(Rule::new(Action::Drop { when: When::After }).api(ApiKey::PRODUCE.0));
    connection.send(12, &produce_request("t", 0, batch(["a"]))).await;
    connection.send(12, &MetadataRequest::default()).await;
    assert!(tokio::time::timeout(Duration::from_millis(100), connection.frame()).await.is_err());
    let mut other = Connection::to(&broker).await;
    assert_eq!(other.fetch("t", 0, 0).await.high_watermark, 1, "it was appended");
    broker.faults().add(Rule::new(Action::Drop { when: When::Before }).api(ApiKey::PRODUCE.0));
    other.send(12, &produce_request("t", 0, batch(["a"]))).await;
    assert!(tokio::time::timeout(Duration::from_millis(50), other.frame()).await.is_err());
    assert_eq!(Connection::to(&broker).await.fetch("t", 0, 0).await.high_watermark, 1);
}

#[tokio::test]
async fn a_connection_is_closed_before_or_after_the_append() {
    let broker = broker().await;
    Connection::to(&broker).await.create_topic("t", 1, &[]).await;
    for (when, appended) in [(When::Before, 0), (When::After, 1)] {
        broker.faults().add(Rule::new(Action::Close { when }).api(ApiKey::PRODUCE.0).client_id("test"));
        let mut connection = Connection::to(&broker).await;
        assert!(connection.try_ask(12, &produce_request("t", 0, batch(["a"]))).await.is_none());
        assert_eq!(Connection::to(&broker).await.fetch("t", 0, 0).await.high_watermark, appended);
    }
}

#[tokio::test]
async fn a_late_request_is_applied_although_its_client_has_gone() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 1, &[]).await;
    broker.faults().add(Rule::new(Action::Delay { millis: 80, when: When::Before }).api(ApiKey::PRODUCE.0));
    connection.send(12, &produce_request("t", 0, batch(["a"]))).await;
    let mut other = Connection::to(&broker).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    drop(connection);
    assert_eq!(other.fetch("t", 0, 0).await.high_watermark, 0);
    let mut wait = fetch_request("t", 0, 0);
    wait.max_wait_ms = 5000;
    assert_eq!(offsets(other.ask(12, &wait).await.part().records), [0]);
}

#[tokio::test]
async fn a_delay_delays_and_clear_ends_it() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    broker.faults().add(Rule::new(Action::Delay { millis: 60, when: When::After }).forever());
    let start = Instant::now();
    connection.ask(12, &MetadataRequest::default()).await;
    assert!(start.elapsed() >= Duration::from_millis(55));
    broker.faults().clear();
    assert!(broker.faults().rules().is_empty());
    connection.ask(12, &MetadataRequest::default()).await;
}

#[tokio::test]
async fn a_rule_holds_requests_until_it_releases_them() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 1, &[]).await;
    let held = |when| broker.faults().add(Rule::new(Action::Hold { when }).api(ApiKey::PRODUCE.0));
    for (when, appended) in [(When::Before, 0), (When::After, 2)] {
        let rule = held(when);
        connection.send(12, &produce_request("t", 0, batch(["a"]))).await;
        while broker.faults().hits(rule).held == 0 {
            tokio::task::yield_now().await;
        }
        let mut other = Connection::to(&broker).await;
        assert_eq!(other.fetch("t", 0, 0).await.high_watermark, appended);
        assert_eq!(broker.faults().release(rule), 1);
        connection.frame().await.expect("the answer");
        assert!(broker.faults().remove(rule));
    }
    // A broker that stops does not wait for who is held.
    held(When::Before);
    connection.send(12, &produce_request("t", 0, batch(["a"]))).await;
    broker.stop().await;
}

#[tokio::test]
async fn an_answer_is_cut_after_some_bytes() {
    let broker = broker().await;
    Connection::to(&broker).await.create_topic("t", 1, &[]).await;
    for bytes in [0, 3, 4, 9] {
        broker.faults().add(Rule::new(Action::Truncate { bytes }).api(ApiKey::PRODUCE.0));
        let mut connection = Connection::to(&broker).await;
        connection.send(12, &produce_request("t", 0, batch(["a"]))).await;
        let mut got = Vec::new();
        connection.stream.read_to_end(&mut got).await.unwrap();
        assert_eq!(got.len(), bytes);
    }
    assert_eq!(Connection::to(&broker).await.fetch("t", 0, 0).await.high_watermark, 4, "the requests took effect");
}

#[tokio::test]
async fn a_corrupted_fetch_is_whole_but_for_its_records() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 1, &[]).await;
    connection.produce("t", 0, batch(["a"])).await;
    let good = connection.fetch("t", 0, 0).await;
    broker.faults().add(Rule::new(Action::Corrupt { at: None }).api(ApiKey::FETCH.0));
    let bad = connection.fetch("t", 0, 0).await;
    let (good, mut bad) = (good, bad);
    let (was, is) = (good.records.clone().unwrap(), bad.records.take().unwrap());
    assert_eq!(was.len(), is.len());
    assert_eq!(was.iter().zip(&is).filter(|(a, b)| a != b).count(), 1);
    bad.records = Some(was.clone());
    assert_eq!(bad, good, "nothing else");
    assert_eq!(connection.fetch("t", 0, 0).await.records.unwrap(), was, "what is kept is as it was");
    // The first byte of the correlation id.
    broker.faults().add(Rule::new(Action::Corrupt { at: Some(4) }).api(ApiKey::FETCH.0));
    let id = connection.send(12, &fetch_request("t", 0, 0)).await;
    let frame = connection.frame().await.unwrap();
    assert_ne!(frame[..4], id.to_be_bytes());
}

#[tokio::test]
async fn a_throttled_client_is_told_and_not_read_from() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    broker.faults().add(Rule::new(Action::Throttle { millis: 60 }).api(ApiKey::METADATA.0).version(12).node(1));
    let start = Instant::now();
    assert_eq!(connection.ask(12, &MetadataRequest::default()).await.throttle_time_ms, 60);
    assert_eq!(connection.ask(12, &MetadataRequest::default()).await.throttle_time_ms, 0);
    assert!(start.elapsed() >= Duration::from_millis(60), "the second was read late");
}
