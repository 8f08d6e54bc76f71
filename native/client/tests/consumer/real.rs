//! Groups by KIP-848, whose coordinator only a real cluster has (DOHLE_TEST_BROKERS); does nothing without one.

use std::sync::Arc;
use std::time::Duration;

use dohle_broker::{BrokerOptions, Release};
use dohle_client::consumer::{ConsumerEvent, ConsumerOptions, GroupExit, GroupProtocol, TopicMatcher, re2_of};

use dohle_client::{Client, CoordinatorKind, Lane, Result};
use dohle_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::support::*;

async fn real() -> Option<Cluster> {
    let cluster = Cluster::start().await;
    cluster.broker.is_none().then_some(cluster)
}

fn modern(group: &str) -> ConsumerOptions {
    ConsumerOptions {
        group_id: Some(group.to_owned()),
        auto_offset_reset: "earliest".to_owned(),
        group_protocol: GroupProtocol::Consumer,
        ..ConsumerOptions::default()
    }
}

fn identity(member: &Member) -> (String, i32) {
    let identity = member.consumer.group_metadata().unwrap();
    (identity.member_id, identity.generation)
}

/// Says something in a member's name, behind its back.
async fn impersonate(
    client: &Client,
    group: &str,
    member_id: String,
    epoch: i32,
    topics: Vec<String>,
) -> ConsumerGroupHeartbeatResponse {
    let node = client.coordinator(CoordinatorKind::Group, group).await.unwrap();
    let request = ConsumerGroupHeartbeatRequest {
        group_id: group.to_owned(),
        member_id,
        member_epoch: epoch,
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: (epoch == 0).then_some(topics),
        topic_partitions: (epoch == 0).then(Vec::new),
        ..Default::default()
    };
    client.request(node, Lane::General, &request, PATIENCE).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_by_kip_848_share_partitions_and_only_what_moves_is_revoked() {
    let Some(cluster) = real().await else { return };
    let (topic, group) = (cluster.topic(6).await, unique("group"));
    let client = cluster.client();
    for partition in 0..6 {
        cluster.produce(&client, &topic, partition, 0, 10).await;
    }
    let one = Member::subscribed(&cluster, modern(&group), &topic);
    shared_out(&[(&one, 6)]).await;
    let mut given = Vec::new();
    let mut reading = Loop::default();
    for _ in 0..30 {
        given.push(reading.next(&one).await);
    }
    let two = Member::subscribed(
        &cluster,
        ConsumerOptions { group_remote_assignor: Some("range".into()), ..modern(&group) },
        &topic,
    );
    shared_out(&[(&one, 3), (&two, 3)]).await;
    let mut moved = one.revoked();
    moved.sort();
    assert_eq!(moved, two.consumer.assignment(), "{}", one.story());
    // What the first one had finished of them is committed: the second goes on behind it, and nothing is left out.
    let mut second = Loop::default();
    while given.iter().map(|g| (g.partition, g.offset)).collect::<std::collections::BTreeSet<_>>().len() < 60 {
        while let Some(more) = reading.step(&one.consumer) {
            given.push(more);
        }
        while let Some(more) = second.step(&two.consumer) {
            given.push(more);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // At most the record in hand comes twice.
    assert!(given.len() <= 61, "{} records", given.len());
    two.close().await;
    shared_out(&[(&one, 6)]).await;
    assert!(!one.lost(), "{}", one.story());
    one.consumer.unsubscribe().await.unwrap();
    assert_eq!(identity(&one), (String::new(), -1));
    one.consumer.subscribe(vec![topic]).unwrap();
    shared_out(&[(&one, 6)]).await;
    one.close().await;
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_kip_848_partitions_go_to_the_next_owner_only_after_the_language_has_answered() {
    let Some(cluster) = real().await else { return };
    let group = unique("group");
    hands_over_when_answered(&cluster, || modern(&group), Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_forgotten_or_fenced_loses_everything_and_comes_back_with_its_id() {
    let Some(cluster) = real().await else { return };
    let (topic, group) = (cluster.topic(3).await, unique("group"));
    let client = cluster.client();
    let member = Member::subscribed(&cluster, modern(&group), &topic);
    shared_out(&[(&member, 3)]).await;
    let (id, _) = identity(&member);
    let losses = |member: &Member| {
        member.told.events.lock().iter().filter(|event| matches!(event, ConsumerEvent::Lost(_))).count()
    };
    // UNKNOWN_MEMBER_ID
    assert_eq!(impersonate(&client, &group, id.clone(), -1, vec![]).await.error_code, 0);
    member.until("lost", |member| losses(member) == 1).await;
    shared_out(&[(&member, 3)]).await;
    // FENCED_MEMBER_EPOCH: somebody with its id has begun anew and gone on, by more than one epoch.
    let mut turns = 0;
    while losses(&member) < 2 && turns < 100 {
        for topics in [vec![], vec![topic.clone()], vec![]] {
            assert_eq!(impersonate(&client, &group, id.clone(), 0, topics).await.error_code, 0);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        turns += 1;
    }
    shared_out(&[(&member, 3)]).await;
    assert_eq!(identity(&member).0, id);
    let codes: Vec<String> = member
        .told
        .events
        .lock()
        .iter()
        .filter_map(|event| match event {
            ConsumerEvent::Retrying(error) => Some(error.code().into_owned()),
            _ => None,
        })
        .collect();
    assert!(
        codes.contains(&"UNKNOWN_MEMBER_ID".to_owned()) && codes.contains(&"FENCED_MEMBER_EPOCH".to_owned()),
        "{codes:?}"
    );
    member.close().await;
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_static_member_by_kip_848_comes_back_to_its_partitions_and_a_second_one_of_its_name_is_refused() {
    let Some(cluster) = real().await else { return };
    let (topic, group) = (cluster.topic(4).await, unique("group"));
    let named = |name: &str| ConsumerOptions { group_instance_id: Some(name.to_owned()), ..modern(&group) };
    let one = Member::subscribed(&cluster, named("one"), &topic);
    let two = Member::subscribed(&cluster, named("two"), &topic);
    shared_out(&[(&one, 2), (&two, 2)]).await;
    let before = two.consumer.assignment();

    let thief = Member::subscribed(&cluster, named("two"), &topic);
    thief.until("refused", |thief| matches!(thief.consumer.next_chunk(), Err(error) if error.fatal())).await;
    assert_eq!(thief.consumer.next_chunk().unwrap_err().code(), "UNRELEASED_INSTANCE_ID");
    thief.close().await;

    two.close().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(one.owned(), 2, "{}", one.story());
    let two = Member::subscribed(&cluster, named("two"), &topic);
    shared_out(&[(&one, 2), (&two, 2)]).await;
    assert_eq!(two.consumer.assignment(), before);
    two.consumer.close_with(Some(PATIENCE), GroupExit::Leave).await.unwrap();
    shared_out(&[(&one, 4)]).await;
    one.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_loop_leaves_a_group_by_kip_848_too_and_comes_back() {
    let Some(cluster) = real().await else { return };
    let (topic, group) = (cluster.topic(1).await, unique("group"));
    let client = cluster.client();
    let quick = ConsumerOptions { max_poll_interval: Duration::from_secs(3), ..modern(&group) };
    let member = Member::stuck(&client, quick);
    member.consumer.subscribe(vec![topic.clone()]).unwrap();
    let exceeded = |event: &ConsumerEvent| matches!(event, ConsumerEvent::MaxPollExceeded(_)).then_some(());
    member.until("told", |member| member.event(exceeded).is_some()).await;
    assert_eq!(member.owned(), 0);
    let other = Member::subscribed(&cluster, modern(&group), &topic);
    shared_out(&[(&other, 1)]).await;
    other.close().await;
    assert!(member.consumer.next_chunk().unwrap().is_none());
    shared_out(&[(&member, 1)]).await;
    member.close().await;
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_go_through_while_the_epoch_of_the_member_changes() {
    let Some(cluster) = real().await else { return };
    let (topic, group) = (cluster.topic(4).await, unique("group"));
    let client = cluster.client();
    cluster.produce(&client, &topic, 0, 0, 500).await;
    let one = Member::new(&client, ConsumerOptions { enable_auto_commit: false, ..modern(&group) });
    one.consumer.subscribe(vec![topic.clone()]).unwrap();
    let mut reading = Loop::default();
    let first = reading.next(&one).await;
    assert_eq!((first.partition, first.offset), (0, 0));
    let churn = async {
        for _ in 0..6 {
            let other = Member::subscribed(&cluster, modern(&group), &topic);
            other.until("joined", |other| identity(other).1 > 0).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            other.close().await;
        }
    };
    tokio::pin!(churn);
    let mut commits = 0;
    loop {
        tokio::select! {
            () = &mut churn => break,
            () = tokio::time::sleep(Duration::from_millis(1)) => {
                let _ = reading.step(&one.consumer);
                one.consumer.commit(None).await.unwrap();
                commits += 1;
            }
        }
    }
    assert!(commits > 20 && !one.lost(), "{commits} commits\n{}", one.story());
    one.close().await;
    client.close().await;
}

/// Finds names that a source finds itself in, as far as these tests go: a prefix.
struct Prefix(String);

impl TopicMatcher for Prefix {
    fn matching(&self, topics: Vec<Arc<str>>) -> BoxFuture<'static, Result<Vec<Arc<str>>>> {
        let found = topics.into_iter().filter(|topic| topic.starts_with(&self.0)).collect();
        std::future::ready(Ok(found)).boxed()
    }

    fn re2(&self) -> Option<String> {
        re2_of(&format!("^{}", self.0), false)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_finds_the_same_topics_by_both_protocols() {
    let Some(cluster) = real().await else { return };
    let text = unique("part");
    cluster.create(&format!("{text}-1"), 2).await;
    cluster.create(&format!("x-{text}-1"), 2).await;
    let client = cluster.client();
    let classic = Member::new(&client, options(&unique("group"), "range"));
    let modern = Member::new(&client, modern(&unique("group")));
    for member in [&classic, &modern] {
        member.consumer.subscribe_matching(Arc::new(Prefix(text.clone()))).unwrap();
    }
    shared_out(&[(&classic, 2), (&modern, 2)]).await;
    assert_eq!(classic.consumer.assignment(), modern.consumer.assignment());
    cluster.create(&format!("{text}-2"), 3).await;
    let more = |member: &Member| {
        client.metadata().request_update();
        member.owned() == 5
    };
    classic.until("five", more).await;
    modern.until("five", more).await;
    assert_eq!(classic.consumer.assignment(), modern.consumer.assignment());
    assert_eq!(classic.consumer.subscription(), modern.consumer.subscription());
    // Names take the place of the pattern at the coordinator, and the other way round.
    modern.consumer.subscribe(vec![format!("x-{text}-1")]).unwrap();
    shared_out(&[(&modern, 2)]).await;
    modern.consumer.subscribe_matching(Arc::new(Prefix(text.clone()))).unwrap();
    shared_out(&[(&modern, 5)]).await;
    classic.close().await;
    modern.close().await;
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auto_is_kip_848_where_it_is_offered_and_no_option_of_the_classic_protocol_is_set() {
    let auto = |group: &str| ConsumerOptions { group_protocol: GroupProtocol::Auto, ..modern(group) };
    let by = |member: &Member| if identity(member).0.starts_with("dohle-") { "classic" } else { "consumer" };
    let set = |group: &str| ConsumerOptions { heartbeat_interval: Duration::from_millis(200), ..auto(group) };
    let embedded = Cluster::embedded().await;
    // 2.8 does not have it; 3.9 tells its APIs, and refuses them.
    let without = Cluster::of(BrokerOptions::new().with_as_version(Release::V2_8)).await;
    let refusing = Cluster::of(BrokerOptions::new().with_as_version(Release::V3_9)).await;
    let mut cases = vec![
        (&embedded, auto(&unique("group")), "consumer"),
        (&embedded, set(&unique("group")), "classic"),
        (&without, auto(&unique("group")), "classic"),
        (&refusing, auto(&unique("group")), "classic"),
    ];
    let real = real().await;
    if let Some(real) = &real {
        cases.push((real, auto(&unique("group")), "consumer"));
        cases.push((real, set(&unique("group")), "classic"));
    }
    for (cluster, options, expected) in cases {
        let topic = cluster.topic(1).await;
        let member = Member::subscribed(cluster, options, &topic);
        shared_out(&[(&member, 1)]).await;
        assert_eq!(by(&member), expected);
        member.close().await;
    }
    // Where it is asked for and not offered, the loop ends.
    let topic = without.topic(1).await;
    let member = Member::subscribed(&without, modern(&unique("group")), &topic);
    member.until("refused", |member| matches!(member.consumer.next_chunk(), Err(error) if error.fatal())).await;
    let error = member.consumer.next_chunk().unwrap_err();
    assert!(error.code() == "UNSUPPORTED" && error.message().contains("group.protocol"), "{error}");
    member.close().await;
}
