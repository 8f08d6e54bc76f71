//! One partition as a log: no group, no position, nothing gathered.

use std::time::Duration;

use bytes::Bytes;
use dohle_broker::{Action, Rule, When};
use dohle_client::partition::{FetchLimits, Partition, Record};
use dohle_client::producer::Persistence;
use dohle_protocol::compress::Compression;
use dohle_protocol::{ApiKey, ErrorCode};

use crate::support::*;

async fn log(topic: &str) -> (Cluster, Partition) {
    let cluster = Cluster::start().await;
    cluster.create(topic, 2).await;
    let log = Partition::new(&cluster.client, topic, 1).unwrap();
    (cluster, log)
}

fn values(records: &[Record]) -> Vec<&[u8]> {
    records.iter().map(|record| record.value.as_deref().unwrap()).collect()
}

#[tokio::test]
async fn what_is_produced_is_fetched_as_it_was_with_every_codec() {
    let (_cluster, log) = log("codecs").await;
    let mut next = 0;
    for codec in Compression::ALL {
        let records = vec![
            Record {
                timestamp: Some(1_234),
                key: None,
                value: Some(Bytes::from_static(b"v")),
                headers: vec![
                    (Bytes::from_static(b"name"), Some(Bytes::from_static(b"one"))),
                    (Bytes::from_static(b"name"), None),
                ],
                ..Record::default()
            },
            Record { timestamp: Some(5_678), key: Some(Bytes::from_static(b"")), value: None, ..Record::default() },
        ];
        let produced = log.clone().with_compression(codec).produce(&records).await.unwrap();
        assert_eq!((produced.offset, produced.append_time), (next, None));
        let fetched = log.fetch(next, FetchLimits::default()).await.unwrap();
        let expected: Vec<Record> =
            records.into_iter().zip(next..).map(|(record, offset)| Record { offset, ..record }).collect();
        assert_eq!(fetched.records, expected);
        next += 2;
        assert_eq!((fetched.next_offset, fetched.high_watermark, fetched.log_start), (next, next, 0));
    }
}

#[tokio::test]
async fn a_call_is_one_batch_and_reading_begins_in_the_middle_of_one() {
    let (_cluster, log) = log("middle").await;
    let records: Vec<Record> = (0..10).map(|i| Record::new("k", format!("{i}"))).collect();
    log.produce(&records[..6]).await.unwrap();
    assert_eq!(log.produce(&records[6..]).await.unwrap().offset, 6);
    let all = log.fetch(4, FetchLimits::default()).await.unwrap();
    assert_eq!(values(&all.records), [b"4", b"5", b"6", b"7", b"8", b"9"]);
    // A byte is less than a batch: the first comes whole, and no other.
    let first = log.fetch(4, FetchLimits { max_bytes: 1, ..FetchLimits::default() }).await.unwrap();
    assert_eq!(values(&first.records), [b"4", b"5"]);
    assert_eq!(first.next_offset, 6);
}

#[tokio::test]
async fn at_the_end_nothing_comes_and_a_record_that_comes_ends_the_wait() {
    let (_cluster, log) = log("end").await;
    let none = log.fetch(0, FetchLimits { max_wait: Duration::ZERO, ..FetchLimits::default() }).await.unwrap();
    assert_eq!((none.records.len(), none.next_offset, none.high_watermark), (0, 0, 0));
    // It would wait for ten minutes.
    let patient = FetchLimits { max_wait: Duration::from_secs(600), ..FetchLimits::default() };
    let record = [Record::new("k", "v")];
    let (fetched, produced) = tokio::join!(log.fetch(0, patient), log.produce(&record));
    assert_eq!(values(&fetched.unwrap().records), [b"v"]);
    assert_eq!(produced.unwrap().offset, 0);
}

#[tokio::test]
async fn a_fetch_that_waits_or_was_given_up_keeps_no_other_waiting() {
    let (_cluster, log) = log("beside").await;
    log.produce(&[Record::new("k", "old")]).await.unwrap();
    let patient = FetchLimits { max_wait: Duration::from_secs(60), ..FetchLimits::default() };
    let mut tail = Box::pin(log.fetch(1, patient.clone()));
    let begun = std::time::Instant::now();
    for _ in 0..3 {
        tokio::select! {
            biased;
            _ = &mut tail => panic!("what is there came after what is not"),
            old = log.fetch(0, FetchLimits::default()) => assert_eq!(values(&old.unwrap().records), [b"old"]),
        }
    }
    drop(tail);
    assert_eq!(values(&log.fetch(0, FetchLimits::default()).await.unwrap().records), [b"old"]);
    assert!(begun.elapsed() < patient.max_wait, "it waited for the answer to one that was given up");
}

#[tokio::test]
async fn an_offset_that_is_not_there_is_an_error_at_once() {
    let (_cluster, log) = log("range").await;
    let error = log.fetch(7, FetchLimits::default()).await.unwrap_err();
    assert_eq!(error.broker_code(), Some(ErrorCode::OFFSET_OUT_OF_RANGE));
    assert!(log.fetch(-1, FetchLimits::default()).await.is_err());
    assert!(log.produce(&[]).await.is_err());
}

#[tokio::test]
async fn a_topic_or_partition_that_does_not_exist_is_named() {
    let (cluster, _) = log("there").await;
    let named = async |topic, partition| {
        // Both may still be created, so they are asked for again until the time is over.
        let client = connect_with(cluster.broker.address().to_string(), |options| {
            options.default_api_timeout = Duration::from_secs(5);
        });
        let log = Partition::new(&client, topic, partition).unwrap();
        let error = log.fetch(0, FetchLimits::default()).await.unwrap_err();
        assert_eq!(error.broker_code(), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION), "{error}");
        assert!(error.to_string().contains(&format!("{topic}-{partition}")), "{error}");
    };
    tokio::join!(named("there", 9), named("not-there", 0));
    assert!(Partition::new(&cluster.client, "no/name", 0).is_err());
    assert!(Partition::new(&cluster.client, "there", -1).is_err());
}

#[tokio::test]
async fn errors_that_say_that_nothing_happened_are_tried_again() {
    let (cluster, log) = log("moved").await;
    for code in [ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::FENCED_LEADER_EPOCH, ErrorCode::NOT_ENOUGH_REPLICAS] {
        let action = Action::Error { code: code.0, when: When::Before };
        cluster.broker.faults().add(Rule::new(action).api(ApiKey::PRODUCE.0).count(2));
        log.produce(&[Record::new("k", "v")]).await.unwrap();
    }
    for action in [
        Action::Error { code: ErrorCode::NOT_LEADER_OR_FOLLOWER.0, when: When::Before },
        Action::Close { when: When::Before },
        Action::Close { when: When::After },
    ] {
        cluster.broker.faults().add(Rule::new(action).api(ApiKey::FETCH.0).count(2));
        assert_eq!(log.fetch(0, FetchLimits::default()).await.unwrap().records.len(), 3);
    }
}

#[tokio::test]
async fn a_batch_whose_answer_was_lost_is_not_written_a_second_time() {
    let (cluster, log) = log("once").await;
    for action in [
        Action::Close { when: When::After },
        Action::Error { code: ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND.0, when: When::After },
    ] {
        let before = log.fetch(0, FetchLimits::default()).await.unwrap().high_watermark;
        cluster.broker.faults().add(Rule::new(action).api(ApiKey::PRODUCE.0));
        let error = log.produce(&[Record::new("k", "v")]).await.unwrap_err();
        assert!(error.to_string().contains("may have been written"), "{error}");
        assert_eq!(error.persistence, Persistence::PossiblyPersisted);
        assert_eq!(log.fetch(before, FetchLimits::default()).await.unwrap().records.len(), 1);
    }
}

/// A leader that gives up its place while it waits for its followers says what one says that never was leader, but with the
/// offset of the batch.
#[tokio::test]
async fn a_batch_that_was_written_by_a_leader_that_is_none_any_more_is_not_written_a_second_time() {
    let (cluster, log) = log("given-up").await;
    // First it is not leader; then it was, and has written. A rule for a topic: one for all of the request knows no offsets.
    for when in [When::Before, When::After] {
        let action = Action::Error { code: ErrorCode::NOT_LEADER_OR_FOLLOWER.0, when };
        let nth = if when == When::Before { 1 } else { 2 };
        cluster.broker.faults().add(Rule::new(action).api(ApiKey::PRODUCE.0).topic("given-up").nth(nth));
    }
    let error = log.produce(&[Record::new("k", "v")]).await.unwrap_err();
    assert_eq!(error.persistence, Persistence::PossiblyPersisted);
    assert_eq!(error.error.broker_code(), Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    assert_eq!(log.fetch(0, FetchLimits::default()).await.unwrap().high_watermark, 1);
}

#[tokio::test]
async fn a_batch_that_is_refused_is_an_error_without_doubt() {
    let (cluster, log) = log("refused").await;
    let action = Action::Error { code: ErrorCode::TOPIC_AUTHORIZATION_FAILED.0, when: When::Before };
    cluster.broker.faults().add(Rule::new(action).api(ApiKey::PRODUCE.0));
    let error = log.produce(&[Record::new("k", "v")]).await.unwrap_err();
    assert_eq!(error.error.broker_code(), Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
    assert!(!error.to_string().contains("may have been written"), "{error}");
    assert_eq!(error.persistence, Persistence::NotPersisted);
    assert_eq!(log.produce(&[]).await.unwrap_err().persistence, Persistence::NotPersisted);
}
