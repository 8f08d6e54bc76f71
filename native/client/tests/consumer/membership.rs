//! Members come and go; partitions are shared out and handed over.

use std::sync::atomic::Ordering;
use std::time::Duration;

use dohle_client::consumer::{
    Ask, Assignment, CommittedOffset, ConsumerEvent, ConsumerOptions, GroupExit, StartAt, TopicPartition,
};
use dohle_protocol::messages::CreatePartitionsRequest;
use dohle_protocol::messages::create_partitions_request::CreatePartitionsTopic;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_members_share_and_one_takes_over_when_the_other_leaves() {
    let cluster = Cluster::start().await;
    for strategy in ["range", "cooperative-sticky"] {
        let (topic, group) = (cluster.topic(4).await, unique("group"));
        let one = Member::subscribed(&cluster, options(&group, strategy), &topic);
        shared_out(&[(&one, 4)]).await;
        let two = Member::subscribed(&cluster, options(&group, strategy), &topic);
        shared_out(&[(&one, 2), (&two, 2)]).await;
        let mut all = [one.consumer.assignment(), two.consumer.assignment()].concat();
        all.sort();
        assert_eq!(all, (0..4).map(|p| TopicPartition::new(topic.as_str(), p)).collect::<Vec<_>>());
        two.close().await;
        shared_out(&[(&one, 4)]).await;
        assert!(!one.lost(), "{}", one.story());
        one.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_one_client_do_not_wait_for_each_other() {
    let cluster = Cluster::start().await;
    let client = cluster.client();
    for strategy in ["range", "cooperative-sticky"] {
        let (topic, group) = (cluster.topic(6).await, unique("group"));
        let members: Vec<Member> = (0..3).map(|_| Member::new(&client, options(&group, strategy))).collect();
        for member in &members {
            member.consumer.subscribe(vec![topic.clone()]).unwrap();
        }
        shared_out(&members.iter().map(|member| (member, 2)).collect::<Vec<_>>()).await;
        for member in members {
            assert!(!member.lost(), "{}", member.story());
            member.close().await;
        }
    }
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cooperative_rebalance_takes_only_what_moves() {
    let cluster = Cluster::start().await;
    let (topic, group) = (cluster.topic(6).await, unique("group"));
    let one = Member::subscribed(&cluster, options(&group, "cooperative-sticky"), &topic);
    shared_out(&[(&one, 6)]).await;
    let two = Member::subscribed(&cluster, options(&group, "cooperative-sticky"), &topic);
    shared_out(&[(&one, 3), (&two, 3)]).await;
    let mut moved = one.revoked();
    moved.sort();
    assert_eq!(moved, two.consumer.assignment(), "{}", one.story());
    assert_eq!(two.revoked(), vec![]);
    one.close().await;
    two.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_go_to_the_next_owner_only_after_the_language_has_answered() {
    let cluster = Cluster::start().await;
    for strategy in ["range", "cooperative-sticky"] {
        let group = unique("group");
        // Ten heartbeats later the answer is still awaited, we are still a member, and nobody has what we hold.
        hands_over_when_answered(&cluster, || options(&group, strategy), Duration::from_secs(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_language_that_never_answers_holds_the_group_up_only_for_a_while() {
    let cluster = Cluster::start().await;
    let (topic, group) = (cluster.topic(2).await, unique("group"));
    let quick = || ConsumerOptions { max_poll_interval: Duration::from_secs(10), ..options(&group, "range") };
    let one = Member::subscribed(&cluster, quick(), &topic);
    shared_out(&[(&one, 2)]).await;
    one.until("asked", |one| !one.told.questions.lock().is_empty()).await;
    one.told.silent.store(true, Ordering::SeqCst);
    let two = Member::subscribed(&cluster, quick(), &topic);
    shared_out(&[(&one, 1), (&two, 1)]).await;
    assert!(!one.lost(), "{}", one.story());
    two.close().await;
    // Also close asks, and settles without an answer.
    one.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_static_member_comes_back_to_its_partitions_without_a_rebalance() {
    let cluster = Cluster::start().await;
    let (topic, group) = (cluster.topic(4).await, unique("group"));
    let named = |name: &str| ConsumerOptions { group_instance_id: Some(name.to_owned()), ..options(&group, "range") };
    let one = Member::subscribed(&cluster, named("one"), &topic);
    shared_out(&[(&one, 4)]).await;
    let two = Member::subscribed(&cluster, named("two"), &topic);
    shared_out(&[(&one, 2), (&two, 2)]).await;
    let before = two.consumer.assignment();
    let generation = one.consumer.group_metadata().unwrap().generation;
    two.close().await;
    let two = Member::subscribed(&cluster, named("two"), &topic);
    shared_out(&[(&one, 2), (&two, 2)]).await;
    assert_eq!(two.consumer.assignment(), before);
    assert_eq!(one.consumer.group_metadata().unwrap().generation, generation);
    one.close().await;
    two.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_static_member_that_is_told_to_leave_gives_its_partitions_up_at_once_and_one_told_to_remain_keeps_them() {
    let cluster = Cluster::start().await;
    let (topic, group) = (cluster.topic(4).await, unique("group"));
    let fixed = |name: &str| ConsumerOptions { group_instance_id: Some(name.to_owned()), ..options(&group, "range") };
    let one = Member::subscribed(&cluster, fixed("one"), &topic);
    let two = Member::subscribed(&cluster, fixed("two"), &topic);
    shared_out(&[(&one, 2), (&two, 2)]).await;
    two.consumer.close_with(Some(PATIENCE), GroupExit::Leave).await.unwrap();
    shared_out(&[(&one, 4)]).await;

    // One without an instance id remains too, if it is told to: until its session is over.
    let short = ConsumerOptions { session_timeout: Duration::from_secs(6), ..options(&group, "range") };
    let three = Member::subscribed(&cluster, short, &topic);
    shared_out(&[(&one, 2), (&three, 2)]).await;
    let closed = tokio::time::Instant::now();
    three.consumer.close_with(Some(PATIENCE), GroupExit::Remain).await.unwrap();
    shared_out(&[(&one, 4)]).await;
    assert!(closed.elapsed() > Duration::from_secs(3), "it left: {:?}", closed.elapsed());
    one.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_static_member_that_was_replaced_ends_with_a_fatal_error() {
    let cluster = Cluster::start().await;
    let (topic, group) = (cluster.topic(1).await, unique("group"));
    let named = || ConsumerOptions { group_instance_id: Some("one".to_owned()), ..options(&group, "range") };
    let old = Member::subscribed(&cluster, named(), &topic);
    shared_out(&[(&old, 1)]).await;
    let new = Member::subscribed(&cluster, named(), &topic);
    shared_out(&[(&new, 1)]).await;
    old.until("the loop ends", |old| matches!(old.consumer.next_chunk(), Err(error) if error.fatal())).await;
    assert_eq!(old.consumer.next_chunk().unwrap_err().code(), "FENCED_INSTANCE_ID");
    assert_eq!(old.owned(), 0);
    old.close().await;
    new.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_appears_later_is_assigned() {
    let cluster = Cluster::start().await;
    let (topic, group) = (unique("later"), unique("group"));
    let options = ConsumerOptions { allow_auto_create_topics: false, ..options(&group, "range") };
    let member = Member::subscribed(&cluster, options, &topic);
    member.until("joined", |member| member.consumer.group_metadata().unwrap().generation > 0).await;
    assert_eq!(member.owned(), 0);
    cluster.create(&topic, 2).await;
    shared_out(&[(&member, 2)]).await;
    member.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_are_added_are_assigned() {
    let cluster = Cluster::start().await;
    let (topic, group) = (cluster.topic(1).await, unique("group"));
    let client = cluster.client();
    let member = Member::new(&client, options(&group, "cooperative-sticky"));
    member.consumer.subscribe(vec![topic.clone()]).unwrap();
    shared_out(&[(&member, 1)]).await;
    let more = CreatePartitionsTopic { name: topic.clone(), count: 3, assignments: None, ..Default::default() };
    let request = CreatePartitionsRequest { topics: vec![more], timeout_ms: 30_000, ..Default::default() };
    let answer = client.request_any(|_| Ok(request.clone()), PATIENCE).await.unwrap();
    assert_eq!(answer.results[0].error_code, 0, "{answer:?}");
    // Found with the next refresh of the metadata; a real cluster needs a moment until all brokers know.
    member
        .until("three partitions", |member| {
            client.metadata().request_update();
            member.owned() == 3
        })
        .await;
    assert_eq!(member.revoked(), vec![]);
    member.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_can_change_and_end() {
    let cluster = Cluster::start().await;
    for strategy in ["range", "cooperative-sticky"] {
        let (first, second, group) = (cluster.topic(2).await, cluster.topic(3).await, unique("group"));
        let member = Member::subscribed(&cluster, options(&group, strategy), &first);
        shared_out(&[(&member, 2)]).await;
        member.consumer.subscribe(vec![first.clone(), second.clone()]).unwrap();
        shared_out(&[(&member, 5)]).await;
        member.consumer.subscribe(vec![second.clone()]).unwrap();
        shared_out(&[(&member, 3)]).await;
        assert!(member.consumer.assign(vec![]).is_err());
        member.consumer.unsubscribe().await.unwrap();
        assert_eq!((member.owned(), member.consumer.subscription().len()), (0, 0));
        assert_eq!(member.consumer.group_metadata().unwrap().generation, -1);

        let partition = TopicPartition::new(first.as_str(), 1);
        member.consumer.assign(vec![Assignment { partition: partition.clone(), start: StartAt::Offset(0) }]).unwrap();
        assert_eq!(member.consumer.assignment(), vec![partition]);
        assert!(member.consumer.subscribe(vec![second.clone()]).is_err());
        member.consumer.unsubscribe().await.unwrap();
        member.consumer.subscribe(vec![first]).unwrap();
        shared_out(&[(&member, 2)]).await;
        assert!(!member.lost(), "{}", member.story());
        member.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_partitions_are_not_read_before_the_language_has_answered() {
    let cluster = Cluster::start().await;
    let (topic, group) = (cluster.topic(1).await, unique("group"));
    let member = Member::new(&cluster.client(), options(&group, "range"));
    member.told.silent.store(true, Ordering::SeqCst);
    member.consumer.subscribe(vec![topic.clone()]).unwrap();
    let asked = |member: &Member| {
        let questions = member.told.questions.lock();
        questions.iter().find(|q| matches!(q.what, Ask::Assigned(_))).map(|q| q.id)
    };
    member.until("asked", |member| asked(member).is_some()).await;
    // The callback of the user seeks; the look-up of the committed offset does not undo it.
    let partition = TopicPartition::new(topic.as_str(), 0);
    member.consumer.seek(&partition, StartAt::Offset(0)).unwrap();
    assert_eq!(member.consumer.position(&partition).unwrap(), Some(0));
    member.consumer.answer(asked(&member).unwrap());
    member.told.silent.store(false, Ordering::SeqCst);
    member.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_asked_about_the_revocation_may_commit_while_the_consumer_closes() {
    let cluster = Cluster::start().await;
    let (topic, group) = (cluster.topic(1).await, unique("group"));
    let member = Member::subscribed(&cluster, options(&group, "range"), &topic);
    shared_out(&[(&member, 1)]).await;
    member.told.silent.store(true, Ordering::SeqCst);
    let closing = member.consumer.close(Some(PATIENCE));
    let committing = async {
        let asked = |member: &Member| {
            let questions = member.told.questions.lock();
            questions.iter().find(|q| matches!(q.what, Ask::Revoke(_))).map(|q| q.id)
        };
        member.until("asked", |member| asked(member).is_some()).await;
        let partition = TopicPartition::new(topic.as_str(), 0);
        member
            .consumer
            .commit(Some(vec![(
                partition.clone(),
                CommittedOffset { offset: 7, leader_epoch: -1, metadata: String::new() },
            )]))
            .await
            .unwrap();
        let found = member.consumer.committed(vec![partition]).await.unwrap();
        assert_eq!(found[0].1.as_ref().map(|at| at.offset), Some(7));
        member.consumer.answer(asked(&member).unwrap());
    };
    let (closed, ()) = tokio::join!(closing, committing);
    closed.unwrap();
    assert_eq!(member.consumer.commit(None).await.unwrap_err().code(), "CLOSED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_in_the_middle_of_joining_can_be_closed_and_a_closed_one_says_so() {
    let cluster = Cluster::start().await;
    let (topic, group) = (cluster.topic(1).await, unique("group"));
    let member = Member::subscribed(&cluster, options(&group, "range"), &topic);
    member.consumer.close(Some(PATIENCE)).await.unwrap();
    member.consumer.close(None).await.unwrap();
    assert_eq!(member.consumer.next_chunk().unwrap_err().code(), "CLOSED");
    assert_eq!(member.consumer.subscribe(vec![topic]).unwrap_err().code(), "CLOSED");
    assert_eq!(member.consumer.commit(None).await.unwrap_err().code(), "CLOSED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_are_dropped_without_close_are_replaced_after_their_session() {
    let cluster = Cluster::start().await;
    let (topic, group) = (cluster.topic(2).await, unique("group"));
    let quick = ConsumerOptions { session_timeout: Duration::from_secs(6), ..options(&group, "range") };
    let client = cluster.client();
    let gone = Member::new(&client, quick.clone());
    gone.consumer.subscribe(vec![topic.clone()]).unwrap();
    shared_out(&[(&gone, 2)]).await;
    client.close().await; // the connections break: the coordinator hears nothing more
    let next = Member::subscribed(&cluster, quick, &topic);
    shared_out(&[(&next, 2)]).await;
    gone.until("its loop ends", |gone| gone.consumer.next_chunk().is_err()).await;
    next.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_members_come_and_go_and_each_partition_has_one_owner() {
    let cluster = Cluster::start().await;
    let (topic, group) = (cluster.topic(12).await, unique("group"));
    let client = cluster.client();
    let mut members: Vec<Member> = Vec::new();
    for round in 0..10 {
        for _ in 0..3 {
            let member = Member::new(&client, options(&group, "cooperative-sticky"));
            member.consumer.subscribe(vec![topic.clone()]).unwrap();
            members.push(member);
        }
        if round % 2 == 1 {
            members.swap_remove(0).close().await;
            members.swap_remove(0).close().await;
        }
        members.retain(|member| {
            let failed = member.event(|event| matches!(event, ConsumerEvent::Lost(_)).then_some(()));
            assert!(failed.is_none(), "{}", member.story());
            true
        });
    }
    members
        .first()
        .unwrap()
        .until("each partition has one owner", |_| {
            let mut all: Vec<_> = members.iter().flat_map(|member| member.consumer.assignment()).collect();
            all.sort();
            all == (0..12).map(|p| TopicPartition::new(topic.as_str(), p)).collect::<Vec<_>>()
                && members.iter().all(|member| member.owned() <= 1)
        })
        .await;
    for member in members {
        member.close().await;
    }
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_subscribed_and_does_not_exist_is_told_once_and_read_when_it_does() {
    let cluster = Cluster::start().await;
    let (topic, group) = (unique("late"), unique("group"));
    let options = ConsumerOptions { allow_auto_create_topics: false, ..options(&group, "range") };
    let member = Member::subscribed(&cluster, options, &topic);
    let told = |member: &Member| {
        member.event(|event| match event {
            ConsumerEvent::Retrying(error) => Some(error.to_string()).filter(|text| text.contains(&topic)),
            _ => None,
        })
    };
    member.until("it is told", |member| told(member).is_some()).await;
    assert!(told(&member).unwrap().contains("does not exist"), "{}", member.story());
    cluster.create(&topic, 2).await;
    shared_out(&[(&member, 2)]).await;
    assert_eq!(member.story().matches("is subscribed and does not exist").count(), 1, "{}", member.story());
    member.close().await;
}
