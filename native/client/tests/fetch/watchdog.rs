use std::time::Duration;

use dohle_broker::{Action, Rule, When};
use dohle_client::Error;
use dohle_client::consumer::{ConsumerEvent, ConsumerOptions, PartitionStatistics, Stall, StallReason, StartAt};
use dohle_protocol::compress::Compression;
use dohle_protocol::{ApiKey, ErrorCode};

use crate::support::*;

/// So short that a test need not wait, and longer than a fetch that works.
fn watched() -> ConsumerOptions {
    ConsumerOptions {
        stalled_report: Duration::from_millis(400),
        fetch_max_wait: Duration::from_millis(50),
        ..ConsumerOptions::default()
    }
}

async fn filled(topic: &str, partitions: i32) -> Cluster {
    let cluster = Cluster::start().await;
    cluster.create(topic, partitions).await;
    cluster.produce(topic, 0, &numbered(0, 20), Compression::None).await;
    cluster
}

fn stalls(reader: &Reader) -> Vec<Stall> {
    let stalled = |event: &ConsumerEvent| match event {
        ConsumerEvent::Stalled(stall) => Some(stall.clone()),
        _ => None,
    };
    reader.sink.events.lock().iter().filter_map(stalled).collect()
}

/// Waits for the report about a partition that has this reason. The reader reads nothing meanwhile.
async fn stall(reader: &Reader, partition: i32, reason: StallReason) -> Stall {
    let found = || stalls(reader).into_iter().find(|s| s.partition.partition == partition && s.reason == reason);
    let reported = async {
        loop {
            match found() {
                Some(stall) => return stall,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let late = tokio::time::timeout(SILENCE, reported).await;
    late.unwrap_or_else(|_| {
        panic!("no {reason:?} of {partition}: {:?}, {:?}", stalls(reader), reader.consumer.statistics())
    })
}

fn statistics(reader: &Reader, partition: i32) -> PartitionStatistics {
    reader.consumer.statistics().into_iter().find(|s| s.partition.partition == partition).unwrap()
}

fn code(error: &Option<Error>) -> Option<ErrorCode> {
    error.as_ref().and_then(|error| error.broker_code())
}

#[tokio::test]
async fn a_paused_partition_is_reported_until_it_moves_again() {
    let cluster = filled("paused", 1).await;
    let mut reader = cluster.reader(watched());
    reader.assign("paused", 1, StartAt::Earliest);
    reader.take(20).await;
    reader.consumer.pause(&[tp("paused", 0)]).unwrap();
    // Nothing fetches, so nobody but the watchdog can find out that there is more.
    cluster.produce("paused", 0, &numbered(20, 5), Compression::None).await;
    let told = stall(&reader, 0, StallReason::Paused).await;
    assert_eq!((told.position, told.lag), (Some(20), Some(5)));
    assert!(told.idle >= Duration::from_millis(400), "{told:?}");
    let still = statistics(&reader, 0);
    assert_eq!((still.stalled, still.lag), (Some(StallReason::Paused), Some(5)));
    let told = stalls(&reader).len();
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(stalls(&reader).len(), told, "told once");
    reader.consumer.resume(&[tp("paused", 0)]).unwrap();
    reader.take(5).await;
    let moved = statistics(&reader, 0);
    assert_eq!((moved.stalled, moved.lag, moved.idle), (None, Some(0), Duration::ZERO));
    assert!(moved.stalls >= 1);
}

#[tokio::test]
async fn a_loop_that_does_not_ask_is_the_reason_that_is_told() {
    let cluster = filled("asleep", 1).await;
    let mut reader = cluster.reader(watched());
    reader.assign("asleep", 1, StartAt::Earliest);
    let told = stall(&reader, 0, StallReason::NotAsked).await;
    assert_eq!((told.position, told.lag), (Some(0), Some(20)));
    // A record in hand is not asked for either.
    reader.take(3).await;
    let told = tokio::time::timeout(SILENCE, async {
        while stalls(&reader).len() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stalls(&reader).pop().unwrap()
    });
    let told = told.await.expect("it stood still a second time");
    assert_eq!((told.reason, told.position, told.lag), (StallReason::NotAsked, Some(3), Some(17)));
    assert!(statistics(&reader, 0).stalls >= 2);
}

#[tokio::test]
async fn a_partition_behind_a_full_buffer_has_no_credit() {
    let cluster = filled("full", 2).await;
    let reader = cluster.reader(ConsumerOptions { fetch_buffer_bytes: 1, ..watched() });
    reader.assign("full", 2, StartAt::Earliest);
    stall(&reader, 0, StallReason::NotAsked).await;
    cluster.produce("full", 1, &numbered(0, 3), Compression::None).await;
    let told = stall(&reader, 1, StallReason::NoCredit).await;
    assert_eq!((told.position, told.lag), (Some(0), Some(3)));
}

#[tokio::test]
async fn what_fails_again_and_again_is_told_with_its_cause() {
    let cluster = filled("broken", 1).await;
    let action = Action::Error { code: ErrorCode::KAFKA_STORAGE_ERROR.0, when: When::Before };
    let rule = cluster.broker.faults().add(Rule::new(action).api(ApiKey::FETCH.0).forever());
    let mut reader = cluster.reader(watched());
    reader.assign("broken", 1, StartAt::Earliest);
    // Between two attempts; the other moments are seen as fetching, and a change of the reason is told.
    let told = stall(&reader, 0, StallReason::BackingOff).await;
    assert_eq!((told.position, code(&told.cause)), (Some(0), Some(ErrorCode::KAFKA_STORAGE_ERROR)));
    cluster.broker.faults().remove(rule);
    assert_eq!(reader.take(20).await.len(), 20);
}

#[tokio::test]
async fn a_fetch_that_is_never_answered_is_seen() {
    let cluster = filled("hanging", 1).await;
    cluster.broker.faults().add(Rule::new(Action::Drop { when: When::Before }).api(ApiKey::FETCH.0).forever());
    let reader = cluster.reader(watched());
    reader.assign("hanging", 1, StartAt::Earliest);
    let told = stall(&reader, 0, StallReason::Fetching).await;
    // The fetches say nothing: the end was looked up beside them.
    assert_eq!((told.position, told.lag), (Some(0), Some(20)));
}

#[tokio::test]
async fn a_look_up_that_is_never_answered_is_seen() {
    let cluster = filled("lost", 1).await;
    let drop = Rule::new(Action::Drop { when: When::Before }).api(ApiKey::LIST_OFFSETS.0).forever();
    cluster.broker.faults().add(drop);
    let reader = cluster.reader(watched());
    reader.assign("lost", 1, StartAt::Latest);
    let told = stall(&reader, 0, StallReason::LookingUp).await;
    assert_eq!((told.position, told.lag), (None, None));
}

#[tokio::test]
async fn a_topic_that_is_not_there_has_no_leader() {
    let cluster = Cluster::start().await;
    let reader = cluster.reader(ConsumerOptions { allow_auto_create_topics: false, ..watched() });
    reader.assign("nowhere", 1, StartAt::Earliest);
    let told = stall(&reader, 0, StallReason::NoLeader).await;
    assert_eq!(code(&told.cause), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
}

#[tokio::test]
async fn a_partition_that_waits_for_a_seek_is_told_too() {
    let cluster = filled("nowhere-to-begin", 1).await;
    let mut reader = cluster.reader(ConsumerOptions { auto_offset_reset: "none".to_owned(), ..watched() });
    reader.assign("nowhere-to-begin", 1, StartAt::Offset(1_000));
    reader.next().await.unwrap_err();
    stall(&reader, 0, StallReason::Failed).await;
    reader.consumer.seek(&tp("nowhere-to-begin", 0), StartAt::Offset(15)).unwrap();
    assert_eq!(reader.take(5).await.len(), 5);
    assert_eq!(statistics(&reader, 0).stalled, None);
}

#[tokio::test]
async fn an_assignment_that_nobody_confirms_is_a_rebalance() {
    let cluster = filled("held", 1).await;
    let group =
        ConsumerOptions { group_id: Some("held".to_owned()), auto_offset_reset: "earliest".to_owned(), ..watched() };
    // The sink of these tests leaves questions unanswered.
    let reader = cluster.reader(group);
    reader.consumer.subscribe(vec!["held".to_owned()]).unwrap();
    stall(&reader, 0, StallReason::Rebalancing).await;
}

#[tokio::test]
async fn who_has_read_all_there_is_waits_without_a_report() {
    let cluster = filled("calm", 2).await;
    let mut reader = cluster.reader(watched());
    reader.assign("calm", 2, StartAt::Earliest);
    reader.take(20).await;
    let before = stalls(&reader).len();
    assert!(reader.comes_within(Duration::from_millis(1600)).await.is_none());
    assert_eq!(stalls(&reader).len(), before, "{:?}", stalls(&reader));
    assert!(reader.consumer.statistics().iter().all(|s| s.lag == Some(0) && s.stalled.is_none()));
}

#[tokio::test]
async fn no_limit_means_no_reports() {
    let cluster = filled("unwatched", 1).await;
    let mut reader = cluster.reader(ConsumerOptions { stalled_report: Duration::ZERO, ..watched() });
    reader.assign("unwatched", 1, StartAt::Earliest);
    reader.take(1).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(stalls(&reader).is_empty());
    assert_eq!(statistics(&reader, 0).lag, Some(19));
}
