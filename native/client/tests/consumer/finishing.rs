//! What is finished is committed, and nothing else: steps of a loop against offsets in the group.

use std::sync::atomic::Ordering;
use std::time::Duration;

use dohle_client::Client;
use dohle_client::consumer::{Assignment, Consumer, ConsumerEvent, ConsumerOptions, StartAt, TopicPartition};

use crate::support::*;

/// No commit by time within a test.
fn rarely(group: &str) -> ConsumerOptions {
    ConsumerOptions { auto_commit_interval: Duration::from_secs(3600), ..options(group, "range") }
}

async fn offset(consumer: &Consumer, tp: &TopicPartition) -> Option<i64> {
    consumer.committed(vec![tp.clone()]).await.unwrap().remove(0).1.map(|at| at.offset)
}

struct Scene {
    cluster: Cluster,
    client: Client,
    topic: String,
    group: String,
    tp: TopicPartition,
}

async fn scene(records: usize) -> Scene {
    let cluster = Cluster::start().await;
    let client = cluster.client();
    let (topic, group) = (cluster.topic(1).await, unique("group"));
    cluster.produce(&client, &topic, 0, 0, records).await;
    let tp = TopicPartition::new(topic.as_str(), 0);
    Scene { cluster, client, topic, group, tp }
}

impl Scene {
    fn member(&self, options: ConsumerOptions) -> Member {
        let member = Member::new(&self.client, options);
        member.consumer.subscribe(vec![self.topic.clone()]).unwrap();
        member
    }

    /// What the group has, asked by somebody else.
    async fn committed(&self) -> Option<i64> {
        let outside = Member::new(&self.client, ConsumerOptions { enable_auto_commit: false, ..rarely(&self.group) });
        let found = offset(&outside.consumer, &self.tp).await;
        outside.close().await;
        found
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_commits_what_the_loop_asked_past_and_the_next_owner_goes_on_there() {
    let scene = scene(100).await;
    let (member, mut reading) = (scene.member(rarely(&scene.group)), Loop::default());
    for i in 0..40 {
        let given = reading.next(&member).await;
        assert_eq!((given.offset, given.value), (i, i as usize));
    }
    assert_eq!(member.consumer.position(&scene.tp).unwrap(), Some(40));
    member.close().await;
    // The fortieth was in hand: a loop that ends with it, by break or throw, has not finished it.
    assert_eq!(scene.committed().await, Some(39));

    let (member, mut reading) = (scene.member(rarely(&scene.group)), Loop::default());
    for i in 39..100 {
        assert_eq!(reading.next(&member).await.offset, i);
    }
    assert_eq!(reading.step(&member.consumer), None); // asks past the last
    member.close().await;
    assert_eq!(scene.committed().await, Some(100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_takes_what_is_finished_now_and_with_the_record_in_hand_that_too() {
    let scene = scene(100).await;
    let manual = ConsumerOptions { enable_auto_commit: false, ..rarely(&scene.group) };
    let (member, mut reading) = (scene.member(manual), Loop::default());
    for _ in 0..10 {
        reading.next(&member).await;
    }
    member.consumer.commit(None).await.unwrap();
    assert_eq!(offset(&member.consumer, &scene.tp).await, Some(9));
    reading.finish_in_hand();
    member.consumer.commit(None).await.unwrap();
    assert_eq!(offset(&member.consumer, &scene.tp).await, Some(10));
    for _ in 0..5 {
        reading.next(&member).await;
    }
    // Not automatic: what was finished since is not committed by close.
    member.close().await;
    assert_eq!(scene.committed().await, Some(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn automatic_commits_follow_the_loop_and_never_pass_it() {
    let scene = scene(300).await;
    let often = ConsumerOptions { auto_commit_interval: Duration::from_millis(10), ..options(&scene.group, "range") };
    let (member, mut reading) = (scene.member(often), Loop::default());
    let mut before = 0;
    for i in 0..300 {
        assert_eq!(reading.next(&member).await.offset, i);
        if i % 10 == 0 {
            let committed = offset(&member.consumer, &scene.tp).await.unwrap_or(0);
            assert!(before <= committed && committed <= i, "{committed} after {i} were finished, {before} before");
            before = committed;
        }
    }
    let mut committed = None;
    for _ in 0..600 {
        committed = offset(&member.consumer, &scene.tp).await;
        if committed == Some(299) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(committed, Some(299));
    member.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_log_is_committed_by_who_starts_there_and_reads_nothing() {
    let scene = scene(50).await;
    let latest = ConsumerOptions { auto_offset_reset: "latest".to_owned(), ..rarely(&scene.group) };
    let member = scene.member(latest);
    member.until("placed", |member| matches!(member.consumer.position(&scene.tp), Ok(Some(50)))).await;
    member.close().await;
    // What comes until the next start is not missed.
    assert_eq!(scene.committed().await, Some(50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_records_with_a_slow_handler_each_never_leave_the_group() {
    let scene = scene(1000).await;
    let quick = ConsumerOptions { max_poll_interval: Duration::from_secs(4), ..options(&scene.group, "range") };
    let (member, mut reading) = (scene.member(quick), Loop::default());
    let first = reading.next(&member).await;
    assert_eq!(first.offset, 0);
    // Three times the limit in one chunk, with no call into the engine.
    for i in 1..120 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(reading.step(&member.consumer).unwrap().offset, i);
    }
    let thrown_out = member.event(|event| matches!(event, ConsumerEvent::MaxPollExceeded(_)).then_some(()));
    assert!(thrown_out.is_none() && member.owned() == 1, "{}", member.story());
    member.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_is_stuck_loses_its_partition_and_the_loop_goes_on_where_it_stood() {
    let scene = scene(100).await;
    let quick = ConsumerOptions { max_poll_interval: Duration::from_secs(2), ..rarely(&scene.group) };
    let (member, mut reading) = (scene.member(quick), Loop::default());
    for i in 0..5 {
        assert_eq!(reading.next(&member).await.offset, i);
    }
    member
        .until("thrown out", |member| {
            member.event(|event| matches!(event, ConsumerEvent::MaxPollExceeded(_)).then_some(())).is_some()
        })
        .await;
    assert_eq!(scene.committed().await, Some(4));
    // The fifth was not finished when it was lost: it comes again, nothing else does.
    for i in 4..100 {
        assert_eq!(reading.next(&member).await.offset, i);
    }
    member.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_seek_and_pause_nothing_from_before_is_given() {
    let scene = scene(1000).await;
    let (member, mut reading) = (scene.member(rarely(&scene.group)), Loop::default());
    for i in 0..10 {
        assert_eq!(reading.next(&member).await.offset, i);
    }
    member.consumer.pause(std::slice::from_ref(&scene.tp)).unwrap();
    assert_eq!(reading.step(&member.consumer), None);
    assert_eq!(member.consumer.paused(), vec![scene.tp.clone()]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(reading.step(&member.consumer), None);
    assert_eq!(member.consumer.position(&scene.tp).unwrap(), Some(10));
    // What was given before the pause is finished by asking, also while it lasts.
    member.consumer.commit(None).await.unwrap();
    assert_eq!(offset(&member.consumer, &scene.tp).await, Some(10));
    member.consumer.resume(std::slice::from_ref(&scene.tp)).unwrap();
    for i in 10..20 {
        assert_eq!(reading.next(&member).await.offset, i);
    }
    for target in [700, 3, 999, 500] {
        member.consumer.seek(&scene.tp, StartAt::Offset(target)).unwrap();
        assert_eq!(member.consumer.position(&scene.tp).unwrap(), Some(target));
        assert_eq!(reading.next(&member).await.offset, target);
    }
    assert_eq!(member.consumer.lag(&scene.tp).unwrap(), Some(499));
    member.close().await;
    assert_eq!(scene.committed().await, Some(500));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_assigned_by_hand_start_anywhere_and_commit_when_they_go() {
    let scene = scene(100).await;
    let start_at = |start| vec![Assignment { partition: scene.tp.clone(), start }];
    let (member, mut reading) = (Member::new(&scene.client, rarely(&scene.group)), Loop::default());
    for (start, first) in [(StartAt::Offset(70), 70), (StartAt::Earliest, 0), (StartAt::Timestamp(0), 0)] {
        member.consumer.assign(start_at(start)).unwrap();
        assert_eq!(reading.next(&member).await.offset, first);
    }
    for _ in 0..20 {
        reading.next(&member).await;
    }
    member.consumer.unsubscribe().await.unwrap();
    assert_eq!(scene.committed().await, Some(20));
    member.consumer.assign(start_at(StartAt::Committed)).unwrap();
    assert_eq!(reading.next(&member).await.offset, 20);
    member.consumer.assign(start_at(StartAt::Latest)).unwrap();
    member.until("placed", |member| matches!(member.consumer.position(&scene.tp), Ok(Some(100)))).await;
    scene.cluster.produce(&scene.client, &scene.topic, 0, 100, 1).await;
    assert_eq!(reading.next(&member).await.offset, 100);
    member.close().await;
    assert_eq!(scene.committed().await, Some(100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_that_is_dropped_unread_is_not_committed() {
    let scene = scene(100).await;
    let member = scene.member(rarely(&scene.group));
    let mut chunk = None;
    member
        .until("a chunk", |member| {
            chunk = member.consumer.next_chunk().unwrap();
            chunk.is_some()
        })
        .await;
    chunk.as_ref().unwrap().control.finished.store(3, Ordering::Release);
    drop(chunk);
    member.close().await;
    assert_eq!(scene.committed().await, Some(3));
}
