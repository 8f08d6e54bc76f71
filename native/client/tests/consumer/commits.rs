//! Offsets in the group: committed by name, read back, started from.

use dohle_client::consumer::Consumer;
use dohle_client::consumer::{Assignment, CommittedOffset, ConsumerOptions, StartAt, TopicPartition};

use crate::support::*;

fn at(offset: i64, metadata: &str) -> CommittedOffset {
    CommittedOffset { offset, leader_epoch: -1, metadata: metadata.to_owned() }
}

fn manual(group: &str) -> ConsumerOptions {
    ConsumerOptions { enable_auto_commit: false, ..options(group, "range") }
}

async fn committed(consumer: &Consumer, tp: &TopicPartition) -> Option<CommittedOffset> {
    consumer.committed(vec![tp.clone()]).await.unwrap().remove(0).1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_committed_is_read_back_with_epoch_and_metadata() {
    let cluster = Cluster::start().await;
    let (topic, group) = (cluster.topic(3).await, unique("group"));
    let member = Member::subscribed(&cluster, manual(&group), &topic);
    shared_out(&[(&member, 3)]).await;
    let all = member.consumer.assignment();
    assert_eq!(committed(&member.consumer, &all[0]).await, None);
    let offset = CommittedOffset { offset: 7, leader_epoch: 0, metadata: "mine".to_owned() };
    let offsets = vec![(all[0].clone(), offset.clone()), (all[2].clone(), at(0, ""))];
    member.consumer.commit(Some(offsets)).await.unwrap();
    let read = member.consumer.committed(all.clone()).await.unwrap();
    let of = |tp: &TopicPartition| read.iter().find(|(other, _)| other == tp).unwrap().1.clone();
    assert_eq!((of(&all[0]), of(&all[1]), of(&all[2])), (Some(offset), None, Some(at(0, ""))));
    member.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_owner_starts_where_the_last_one_committed() {
    let cluster = Cluster::start().await;
    let (topic, group) = (cluster.topic(1).await, unique("group"));
    let tp = TopicPartition::new(topic.as_str(), 0);
    let one = Member::subscribed(&cluster, manual(&group), &topic);
    shared_out(&[(&one, 1)]).await;
    one.consumer.commit(Some(vec![(tp.clone(), at(0, ""))])).await.unwrap();
    one.close().await;

    // By hand, in the same group, with no member in it.
    let two = Member::new(&cluster.client(), manual(&group));
    two.consumer.assign(vec![Assignment { partition: tp.clone(), start: StartAt::Committed }]).unwrap();
    two.until("placed", |two| two.consumer.position(&tp).unwrap() == Some(0)).await;
    two.consumer.commit(Some(vec![(tp.clone(), at(0, "by hand"))])).await.unwrap();
    assert_eq!(committed(&two.consumer, &tp).await, Some(at(0, "by hand")));
    two.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_assigned_can_be_committed_by_a_member() {
    let cluster = Cluster::start().await;
    let (topic, group) = (cluster.topic(2).await, unique("group"));
    let one = Member::subscribed(&cluster, manual(&group), &topic);
    shared_out(&[(&one, 2)]).await;
    let two = Member::subscribed(&cluster, manual(&group), &topic);
    shared_out(&[(&one, 1), (&two, 1)]).await;
    let foreign = two.consumer.assignment().remove(0);
    let error = one.consumer.commit(Some(vec![(foreign.clone(), at(1, ""))])).await.unwrap_err();
    assert_eq!(error.code(), "INVALID_ARGUMENT");
    assert!(error.message().contains(&foreign.to_string()), "{error}");
    assert_eq!(committed(&one.consumer, &foreign).await, None);
    one.close().await;
    two.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_committed_offset_the_policy_none_is_an_error_of_the_loop() {
    let cluster = Cluster::start().await;
    let (topic, group) = (cluster.topic(1).await, unique("group"));
    let options = ConsumerOptions { auto_offset_reset: "none".to_owned(), ..manual(&group) };
    let member = Member::subscribed(&cluster, options, &topic);
    let mut error = None;
    member
        .until("an error", |member| {
            error = error.take().or(member.consumer.next_chunk().err());
            error.is_some()
        })
        .await;
    let error = error.unwrap();
    assert_eq!((&*error.code(), error.fatal()), ("NO_OFFSET", false));
    // A seek goes on.
    let tp = TopicPartition::new(topic.as_str(), 0);
    assert_eq!(member.consumer.position(&tp).unwrap(), None);
    member.consumer.seek(&tp, StartAt::Offset(0)).unwrap();
    assert_eq!(member.consumer.position(&tp).unwrap(), Some(0));
    assert!(member.consumer.next_chunk().unwrap().is_none());
    member.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_need_a_group_say_so_without_one() {
    let cluster = Cluster::start().await;
    let member = Member::new(&cluster.client(), ConsumerOptions::default());
    let tp = TopicPartition::new("t", 0);
    for error in [
        member.consumer.subscribe(vec!["t".to_owned()]).unwrap_err(),
        member.consumer.commit(None).await.unwrap_err(),
        member.consumer.committed(vec![tp.clone()]).await.unwrap_err(),
        member.consumer.assign(vec![Assignment { partition: tp.clone(), start: StartAt::Committed }]).unwrap_err(),
        member.consumer.group_metadata().unwrap_err(),
    ] {
        assert!(error.code() == "INVALID_CONFIG" && error.message().contains("group.id"), "{error}");
    }
    member.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_arguments_and_options_name_themselves() {
    let cluster = Cluster::start().await;
    let client = cluster.client();
    let bad = |change: fn(&mut ConsumerOptions), says: &str| {
        let mut options = options("g", "range");
        change(&mut options);
        let sink = std::sync::Arc::new(Told::default());
        let error = Consumer::new(&client, options, sink).err().unwrap();
        assert!(error.code() == "INVALID_CONFIG" && error.message().contains(says), "{error}");
    };
    bad(|o| o.auto_offset_reset = "first".to_owned(), "auto.offset.reset");
    bad(|o| o.partition_assignment_strategy = vec!["lucky".to_owned()], "partition.assignment.strategy");
    bad(|o| o.heartbeat_interval = o.session_timeout, "heartbeat.interval.ms");
    bad(|o| o.group_id = Some(String::new()), "group.id");

    let member = Member::new(&client, options("g", "range"));
    let tp = |topic: &str, partition| TopicPartition::new(topic, partition);
    let assign = |partition, start| member.consumer.assign(vec![Assignment { partition, start }]).unwrap_err();
    for error in [
        member.consumer.subscribe(vec![]).unwrap_err(),
        member.consumer.subscribe(vec!["a b".to_owned()]).unwrap_err(),
        member.consumer.subscribe(vec!["x".repeat(250)]).unwrap_err(),
        assign(tp("t", -1), StartAt::Earliest),
        assign(tp("t", 0), StartAt::Offset(-1)),
        assign(tp("", 0), StartAt::Latest),
        member.consumer.seek(&tp("t", 0), StartAt::Offset(1)).unwrap_err(),
        member.consumer.pause(&[tp("t", 0)]).unwrap_err(),
        member.consumer.lag(&tp("t", 0)).unwrap_err(),
        member.consumer.commit(Some(vec![(tp("t", 0), at(-1, ""))])).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), "INVALID_ARGUMENT", "{error}");
    }
    member.close().await;
    client.close().await;
}
