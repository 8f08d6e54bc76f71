//! `max.poll.interval.ms`: loops that are slow, and those that only look it.

use std::time::Duration;

use dohle_client::consumer::{ConsumerEvent, ConsumerOptions};

use crate::support::*;

fn quick(group: &str) -> ConsumerOptions {
    ConsumerOptions { max_poll_interval: Duration::from_secs(3), ..options(group, "cooperative-sticky") }
}

fn thrown_out(member: &Member) -> bool {
    member.event(|event| matches!(event, ConsumerEvent::MaxPollExceeded(_)).then_some(())).is_some()
}

fn joins(member: &Member) -> usize {
    member.told.events.lock().iter().filter(|event| matches!(event, ConsumerEvent::Joined { .. })).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_that_is_stuck_leaves_its_group_and_comes_back_with_its_next_step() {
    let cluster = Cluster::start().await;
    let (topic, group) = (cluster.topic(2).await, unique("group"));
    let stuck = Member::stuck(&cluster.client(), quick(&group));
    stuck.consumer.subscribe(vec![topic.clone()]).unwrap();
    stuck.until("thrown out", thrown_out).await;
    let error = stuck.event(|event| match event {
        ConsumerEvent::MaxPollExceeded(error) => Some(error.clone()),
        _ => None,
    });
    assert_eq!(error.unwrap().code(), "MAX_POLL_EXCEEDED");
    assert_eq!(stuck.owned(), 0);

    // Others have the partitions long before the session is over.
    let other = Member::subscribed(&cluster, options(&group, "cooperative-sticky"), &topic);
    shared_out(&[(&other, 2)]).await;
    let before = joins(&stuck);
    assert!(stuck.consumer.next_chunk().unwrap().is_none());
    stuck.until("joined again", |stuck| joins(stuck) > before).await;
    shared_out(&[(&stuck, 1), (&other, 1)]).await;
    stuck.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_that_waits_for_records_is_never_slow() {
    let cluster = Cluster::start().await;
    let (topic, group) = (cluster.topic(1).await, unique("group"));
    let options = ConsumerOptions { max_poll_interval: Duration::from_millis(300), ..quick(&group) };
    let member = Member::subscribed(&cluster, options, &topic);
    shared_out(&[(&member, 1)]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!thrown_out(&member), "{}", member.story());
    member.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_loop_that_unsubscribes_or_closes_is_not_waited_for() {
    let cluster = Cluster::start().await;
    let (topic, group) = (cluster.topic(1).await, unique("group"));
    for close in [true, false] {
        let stuck = Member::stuck(&cluster.client(), quick(&group));
        stuck.consumer.subscribe(vec![topic.clone()]).unwrap();
        stuck.until("thrown out", thrown_out).await;
        if !close {
            stuck.consumer.unsubscribe().await.unwrap();
            stuck.consumer.subscribe(vec![topic.clone()]).unwrap();
            shared_out(&[(&stuck, 1)]).await;
        }
        stuck.close().await;
    }
}
