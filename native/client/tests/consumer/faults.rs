//! A coordinator that fails in every way Kafka knows: the member goes on, or says why not.

use dohle_broker::{Action, Faults, Rule, When};
use dohle_client::consumer::{CommittedOffset, ConsumerEvent, ConsumerOptions, GroupProtocol, TopicPartition};
use dohle_protocol::{ApiKey, ErrorCode};

use crate::support::*;

fn fail(api: ApiKey, code: ErrorCode) -> Rule {
    Rule::new(Action::Error { code: code.0, when: When::Before }).api(api.0)
}

fn faults(cluster: &Cluster) -> &Faults {
    cluster.broker.as_ref().unwrap().faults()
}

fn at(offset: i64) -> CommittedOffset {
    CommittedOffset { offset, leader_epoch: -1, metadata: String::new() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_is_tried_again() {
    let passing = [
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::NOT_COORDINATOR,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode::REBALANCE_IN_PROGRESS,
    ];
    for code in passing {
        let cluster = Cluster::embedded().await;
        let (topic, group) = (cluster.topic(2).await, unique("group"));
        for api in [ApiKey::JOIN_GROUP, ApiKey::SYNC_GROUP, ApiKey::HEARTBEAT, ApiKey::OFFSET_COMMIT] {
            faults(&cluster).add(fail(api, code).count(3));
        }
        if code != ErrorCode::REBALANCE_IN_PROGRESS {
            faults(&cluster).add(fail(ApiKey::OFFSET_FETCH, code).count(3));
            faults(&cluster).add(fail(ApiKey::FIND_COORDINATOR, ErrorCode::COORDINATOR_NOT_AVAILABLE).count(3));
        }
        let member = Member::subscribed(&cluster, options(&group, "range"), &topic);
        shared_out(&[(&member, 2)]).await;
        let tp = TopicPartition::new(topic.as_str(), 1);
        member.consumer.commit(Some(vec![(tp.clone(), at(0))])).await.unwrap();
        assert_eq!(member.consumer.committed(vec![tp.clone()]).await.unwrap(), vec![(tp, Some(at(0)))]);
        assert!(!member.lost(), "{code:?}: {}", member.story());
        member.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_forgotten_loses_its_partitions_and_joins_anew() {
    for code in [ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::ILLEGAL_GENERATION] {
        for api in [ApiKey::HEARTBEAT, ApiKey::SYNC_GROUP, ApiKey::JOIN_GROUP] {
            let cluster = Cluster::embedded().await;
            let (topic, group) = (cluster.topic(2).await, unique("group"));
            // A dynamic member joins twice: the first answer is its id.
            faults(&cluster).add(fail(api, code).nth(if api == ApiKey::JOIN_GROUP { 2 } else { 1 }));
            // What the coordinator still remembers of the first life is gone after its session.
            let quick = std::time::Duration::from_secs(2);
            let options = ConsumerOptions { session_timeout: quick, ..options(&group, "cooperative-sticky") };
            let member = Member::subscribed(&cluster, options, &topic);
            if api == ApiKey::HEARTBEAT {
                member.until("lost", Member::lost).await;
            }
            shared_out(&[(&member, 2)]).await;
            member.close().await;
        }
    }
}

/// As a coordinator does that was started again without what it knew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_the_coordinator_has_lost_is_joined_anew_and_ends_no_loop() {
    for (group_protocol, api) in [
        (GroupProtocol::Classic, ApiKey::OFFSET_COMMIT),
        (GroupProtocol::Consumer, ApiKey::OFFSET_COMMIT),
        (GroupProtocol::Consumer, ApiKey::CONSUMER_GROUP_HEARTBEAT),
    ] {
        let cluster = Cluster::embedded().await;
        let (topic, group) = (cluster.topic(1).await, unique("group"));
        let options = ConsumerOptions {
            group_id: Some(group),
            group_protocol,
            auto_offset_reset: "earliest".into(),
            auto_commit_interval: std::time::Duration::from_millis(20),
            ..ConsumerOptions::default()
        };
        let member = Member::subscribed(&cluster, options, &topic);
        shared_out(&[(&member, 1)]).await;
        let rule = faults(&cluster).add(fail(api, ErrorCode::GROUP_ID_NOT_FOUND));
        cluster.produce(&cluster.client(), &topic, 0, 0, 3).await;
        let mut program = Loop::default();
        while program.next(&member).await.offset < 2 {}
        program.finish_in_hand();
        member.until("the group is gone", |_| faults(&cluster).hits(rule).fired > 0).await;
        if api == ApiKey::OFFSET_COMMIT {
            let told = |event: &ConsumerEvent| matches!(event, ConsumerEvent::CommitFailed(_)).then_some(());
            member.until("told", |member| member.event(told).is_some()).await;
        } else {
            member.until("lost", Member::lost).await;
            shared_out(&[(&member, 1)]).await;
        }
        // The loop goes on: another record comes, and is committed.
        cluster.produce(&cluster.client(), &topic, 0, 3, 1).await;
        while program.next(&member).await.offset < 3 {}
        program.finish_in_hand();
        let tp = TopicPartition::new(topic.as_str(), 0);
        let committed = async {
            let offset =
                |found: Vec<(TopicPartition, Option<CommittedOffset>)>| Some(found.first()?.1.as_ref()?.offset);
            while offset(member.consumer.committed(vec![tp.clone()]).await.unwrap()) != Some(4) {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, committed).await.expect("committed");
        member.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nothing_mends_ends_the_loop() {
    for api in
        [ApiKey::FIND_COORDINATOR, ApiKey::JOIN_GROUP, ApiKey::SYNC_GROUP, ApiKey::HEARTBEAT, ApiKey::OFFSET_FETCH]
    {
        let cluster = Cluster::embedded().await;
        let (topic, group) = (cluster.topic(1).await, unique("group"));
        faults(&cluster).add(fail(api, ErrorCode::GROUP_AUTHORIZATION_FAILED).forever());
        let member = Member::subscribed(&cluster, options(&group, "range"), &topic);
        member.until("the loop ends", |member| matches!(member.consumer.next_chunk(), Err(e) if e.fatal())).await;
        let error = member.consumer.next_chunk().unwrap_err();
        assert_eq!(error.code(), "GROUP_AUTHORIZATION_FAILED", "{api:?}");
        member.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_of_a_member_that_was_forgotten_fails_and_is_not_repeated() {
    let cluster = Cluster::embedded().await;
    let (topic, group) = (cluster.topic(1).await, unique("group"));
    let options = ConsumerOptions { enable_auto_commit: false, ..options(&group, "range") };
    let member = Member::subscribed(&cluster, options, &topic);
    shared_out(&[(&member, 1)]).await;
    let rule = faults(&cluster).add(fail(ApiKey::OFFSET_COMMIT, ErrorCode::UNKNOWN_MEMBER_ID).forever());
    let tp = TopicPartition::new(topic.as_str(), 0);
    let error = member.consumer.commit(Some(vec![(tp, at(1))])).await.unwrap_err();
    assert_eq!(error.code(), "UNKNOWN_MEMBER_ID");
    assert_eq!(faults(&cluster).hits(rule).fired, 1);
    member.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_settles_when_the_cluster_is_gone() {
    let cluster = Cluster::embedded().await;
    let (topic, group) = (cluster.topic(1).await, unique("group"));
    let member = Member::subscribed(&cluster, options(&group, "range"), &topic);
    shared_out(&[(&member, 1)]).await;
    cluster.broker.as_ref().unwrap().stop().await;
    // Settles; whether leaving failed or its time was over, the consumer is closed.
    let _ = member.consumer.close(Some(std::time::Duration::from_secs(2))).await;
    assert_eq!(member.consumer.next_chunk().unwrap_err().code(), "CLOSED");
    assert_eq!(member.owned(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_at_any_step_are_made_again() {
    for api in [
        ApiKey::FIND_COORDINATOR,
        ApiKey::JOIN_GROUP,
        ApiKey::SYNC_GROUP,
        ApiKey::HEARTBEAT,
        ApiKey::OFFSET_FETCH,
        ApiKey::OFFSET_COMMIT,
    ] {
        for nth in 1..3 {
            let cluster = Cluster::embedded().await;
            let (topic, group) = (cluster.topic(1).await, unique("group"));
            faults(&cluster).add(Rule::new(Action::Close { when: When::After }).api(api.0).nth(nth));
            let member = Member::subscribed(&cluster, options(&group, "range"), &topic);
            shared_out(&[(&member, 1)]).await;
            let tp = TopicPartition::new(topic.as_str(), 0);
            for offset in 0..2 {
                member.consumer.commit(Some(vec![(tp.clone(), at(offset))])).await.unwrap();
            }
            assert_eq!(member.consumer.committed(vec![tp.clone()]).await.unwrap(), vec![(tp, Some(at(1)))]);
            member.close().await;
        }
    }
}

/// A member is thrown out while its commit is being tried again, and comes back with the same partition. In between somebody
/// else may have gone further: the offset from before must not be committed under the new generation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_does_not_outlive_the_loss_of_its_partition() {
    let cluster = Cluster::embedded().await;
    let (topic, group) = (cluster.topic(1).await, unique("group"));
    let options = ConsumerOptions { enable_auto_commit: false, ..options(&group, "range") };
    let member = Member::subscribed(&cluster, options, &topic);
    shared_out(&[(&member, 1)]).await;
    let tp = TopicPartition::new(topic.as_str(), 0);
    faults(&cluster).add(fail(ApiKey::OFFSET_COMMIT, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS).forever());
    let consumer = member.consumer.clone();
    let mut committing = Box::pin(async move { consumer.commit(Some(vec![(tp, at(3))])).await });
    tokio::select! {
        biased;
        _ = &mut committing => panic!("committed, though the coordinator is loading"),
        () = std::future::ready(()) => {} // it has begun
    }
    let committing = tokio::spawn(committing);
    faults(&cluster).add(fail(ApiKey::HEARTBEAT, ErrorCode::UNKNOWN_MEMBER_ID));
    member.until("lost", Member::lost).await;
    shared_out(&[(&member, 1)]).await;
    faults(&cluster).clear();
    let error = committing.await.unwrap().unwrap_err();
    assert_eq!(error.code(), "ILLEGAL_GENERATION", "{error}");
    let tp = TopicPartition::new(topic.as_str(), 0);
    assert_eq!(member.consumer.committed(vec![tp.clone()]).await.unwrap(), vec![(tp.clone(), None)]);
    // What is committed now, counts.
    member.consumer.commit(Some(vec![(tp.clone(), at(4))])).await.unwrap();
    assert_eq!(member.consumer.committed(vec![tp.clone()]).await.unwrap(), vec![(tp, Some(at(4)))]);
    member.close().await;
}
