//! Groups of KIP-848, as members meet them. The tests that need no options of the broker's are true of Apache Kafka too:
//! `DOHLE_KAFKA=host:port` runs them there. Kafka 4.3 decides anew at most once a second; ours does it at once.

mod migration;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use dohle_broker::{Broker, BrokerOptions};
use dohle_protocol::{
    ErrorCode, Uuid,
    messages::{
        ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
        CreatePartitionsRequest, DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest, HeartbeatRequest,
        IncrementalAlterConfigsRequest, JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest,
        OffsetDeleteRequest, OffsetFetchRequest,
        consumer_group_describe_response::DescribedGroup,
        consumer_group_heartbeat_request::TopicPartitions,
        create_partitions_request::CreatePartitionsTopic,
        incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
        join_group_request::JoinGroupRequestProtocol,
        leave_group_request::MemberIdentity,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic},
        offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
    },
};

use crate::support::*;

/// A broker for one test, and names that no other test uses there.
struct Place {
    _broker: Option<Broker>,
    address: SocketAddr,
    run: String,
}

impl Place {
    async fn new() -> Self {
        match std::env::var("DOHLE_KAFKA") {
            Ok(address) => Self { _broker: None, address: address.parse().unwrap(), run: Self::run() },
            Err(_) => Self::with(BrokerOptions::new()).await,
        }
    }

    async fn with(options: BrokerOptions) -> Self {
        let broker = Broker::start_default(options).await.unwrap();
        Self { address: broker.address(), _broker: Some(broker), run: Self::run() }
    }

    fn run() -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
    }

    fn name(&self, what: &str) -> String {
        format!("{what}-{}", self.run)
    }

    async fn connection(&self) -> Connection {
        Connection::at(self.address).await
    }

    /// A topic under its own name, known to the group coordinator.
    async fn topic(&self, what: &str, partitions: i32) -> Topic {
        let name = self.name(what);
        let mut connection = self.connection().await;
        let id = connection.create_topic(&name, partitions, &[]).await;
        while connection.metadata(&name).await.1 != partitions as usize {}
        let coordinator = FindCoordinatorRequest { coordinator_keys: vec!["g".into()], ..Default::default() };
        while connection.ask(4, &coordinator).await.coordinators[0].error_code != 0 {}
        Topic { name, id }
    }

    async fn describe(&self) -> DescribedGroup {
        let request = ConsumerGroupDescribeRequest { group_ids: vec![self.name("g")], ..Default::default() };
        self.connection().await.ask(1, &request).await.groups.remove(0)
    }
}

/// Until the next assignment may be decided.
async fn pause() {
    if std::env::var("DOHLE_KAFKA").is_ok() {
        tokio::time::sleep(Duration::from_millis(1_200)).await;
    }
}

struct Topic {
    name: String,
    id: Uuid,
}

/// A member of group `g` that does what it is told, one heartbeat at a time.
struct Member {
    connection: Connection,
    group: String,
    id: String,
    epoch: i32,
    instance: Option<String>,
    topics: Option<Vec<String>>,
    regex: Option<String>,
    assignor: Option<String>,
    rebalance_ms: i32,
    has: BTreeMap<Uuid, BTreeSet<i32>>,
}

impl Member {
    async fn new(place: &Place, id: &str, topics: &[&Topic]) -> Self {
        Self {
            connection: place.connection().await,
            group: place.name("g"),
            id: id.into(),
            epoch: 0,
            instance: None,
            topics: Some(topics.iter().map(|topic| topic.name.clone()).collect()),
            regex: None,
            assignor: None,
            rebalance_ms: 60_000,
            has: BTreeMap::new(),
        }
    }

    fn owned(&self) -> Vec<TopicPartitions> {
        let topic = |(id, partitions): (&Uuid, &BTreeSet<i32>)| TopicPartitions {
            topic_id: *id,
            partitions: partitions.iter().copied().collect(),
            ..Default::default()
        };
        self.has.iter().map(topic).collect()
    }

    async fn send(&mut self, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
        let request = ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone(),
            member_id: self.id.clone(),
            instance_id: self.instance.clone(),
            ..request
        };
        self.connection.ask(1, &request).await
    }

    /// Everything said, with an epoch; what it is told is not taken over.
    async fn say(&mut self, epoch: i32, owned: Vec<TopicPartitions>) -> ConsumerGroupHeartbeatResponse {
        let request = ConsumerGroupHeartbeatRequest {
            member_epoch: epoch,
            rebalance_timeout_ms: self.rebalance_ms,
            subscribed_topic_names: self.topics.clone(),
            subscribed_topic_regex: self.regex.clone(),
            server_assignor: self.assignor.clone(),
            topic_partitions: Some(owned),
            ..Default::default()
        };
        self.send(request).await
    }

    async fn join(&mut self) -> i32 {
        self.has.clear();
        let told = self.say(0, Vec::new()).await;
        self.obey(told)
    }

    /// Says all, also what it has.
    async fn beat(&mut self) -> i32 {
        let told = self.say(self.epoch, self.owned()).await;
        self.obey(told)
    }

    /// Says nothing but that it lives.
    async fn nod(&mut self) -> ConsumerGroupHeartbeatResponse {
        self.send(ConsumerGroupHeartbeatRequest { member_epoch: self.epoch, ..Default::default() }).await
    }

    fn obey(&mut self, told: ConsumerGroupHeartbeatResponse) -> i32 {
        assert_eq!(ErrorCode(told.error_code), ErrorCode::NONE, "{:?}", told.error_message);
        self.epoch = told.member_epoch;
        if let Some(assignment) = told.assignment {
            let topics = assignment.topic_partitions.into_iter();
            self.has = topics.map(|topic| (topic.topic_id, topic.partitions.into_iter().collect())).collect();
        }
        self.epoch
    }

    fn count(&self) -> usize {
        self.has.values().map(BTreeSet::len).sum()
    }

    async fn leave(&mut self, epoch: i32) -> ErrorCode {
        let left = self.send(ConsumerGroupHeartbeatRequest { member_epoch: epoch, ..Default::default() }).await;
        ErrorCode(left.error_code)
    }

    async fn commit(&mut self, version: i16, epoch: i32, topic: &Topic, partitions: &[i32]) -> Vec<ErrorCode> {
        let partition = |index: &i32| OffsetCommitRequestPartition {
            partition_index: *index,
            committed_offset: 5,
            ..Default::default()
        };
        let named = OffsetCommitRequestTopic {
            name: if version < 10 { topic.name.clone() } else { String::new() },
            topic_id: if version < 10 { Uuid::ZERO } else { topic.id },
            partitions: partitions.iter().map(partition).collect(),
            ..Default::default()
        };
        let request = OffsetCommitRequest {
            group_id: self.group.clone(),
            member_id: self.id.clone(),
            generation_id_or_member_epoch: epoch,
            topics: vec![named],
            ..Default::default()
        };
        let topic = self.connection.ask(version, &request).await.topics.remove(0);
        topic.partitions.iter().map(|partition| ErrorCode(partition.error_code)).collect()
    }

    async fn fetch(&mut self, epoch: i32, topic: &Topic) -> ErrorCode {
        let wanted =
            OffsetFetchRequestTopics { name: topic.name.clone(), partition_indexes: vec![0], ..Default::default() };
        let group = OffsetFetchRequestGroup {
            group_id: self.group.clone(),
            member_id: Some(self.id.clone()),
            member_epoch: epoch,
            topics: Some(vec![wanted]),
            ..Default::default()
        };
        let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
        ErrorCode(self.connection.ask(9, &request).await.groups[0].error_code)
    }
}

fn code(response: &ConsumerGroupHeartbeatResponse) -> ErrorCode {
    ErrorCode(response.error_code)
}

/// Heartbeats of all members in turn until nothing changes any more.
async fn settle(members: &mut [&mut Member]) {
    let mut before = None;
    loop {
        let mut now = Vec::new();
        for member in members.iter_mut() {
            member.beat().await;
            now.push((member.epoch, member.has.clone()));
        }
        if before.as_ref() == Some(&now) {
            return;
        }
        before = Some(now);
        pause().await;
    }
}

#[tokio::test]
async fn one_member_gets_everything() {
    let place = Place::new().await;
    let topic = place.topic("t", 3).await;
    let mut one = Member::new(&place, "one", &[&topic]).await;
    one.join().await;
    settle(&mut [&mut one]).await;
    assert!(one.epoch >= 2, "1 is for members of a group that has no assignment yet");
    assert_eq!(one.has, BTreeMap::from([(topic.id, BTreeSet::from([0, 1, 2]))]));
    let told = one.nod().await;
    assert_eq!((code(&told), told.assignment), (ErrorCode::NONE, None), "nothing new");
    assert_eq!((told.member_epoch, told.member_id.as_deref()), (one.epoch, Some("one")));
}

#[tokio::test]
async fn a_partition_is_given_up_before_another_member_gets_it() {
    let place = Place::new().await;
    let topic = place.topic("t", 4).await;
    let mut one = Member::new(&place, "one", &[&topic]).await;
    one.join().await;
    settle(&mut [&mut one]).await;
    let first = one.epoch;
    let mut two = Member::new(&place, "two", &[&topic]).await;
    two.join().await;
    pause().await;
    two.beat().await;
    assert_eq!((two.epoch, two.count()), (first + 1, 0), "all are held by the first");

    let all = one.has.clone();
    assert_eq!(one.beat().await, first, "it still has all: it stays in its epoch");
    assert_eq!(one.count(), 2);
    let lost: BTreeSet<i32> = all[&topic.id].difference(&one.has[&topic.id]).copied().collect();
    assert_eq!(two.beat().await, first + 1);
    assert_eq!(two.count(), 0, "they have been taken away, not given up");
    let told = one.nod().await;
    assert_eq!((told.member_epoch, told.assignment), (first, None), "it says nothing of what it has");

    assert_eq!(one.beat().await, first + 1);
    two.beat().await;
    assert_eq!(two.has[&topic.id], lost);
    assert_eq!(place.describe().await.group_state, "Stable");
}

#[tokio::test]
async fn members_come_and_go_and_the_others_share_what_is_there() {
    let place = Place::new().await;
    let topic = place.topic("t", 6).await;
    let mut one = Member::new(&place, "one", &[&topic]).await;
    let mut two = Member::new(&place, "two", &[&topic]).await;
    let mut three = Member::new(&place, "three", &[&topic]).await;
    for member in [&mut one, &mut two, &mut three] {
        member.join().await;
    }
    settle(&mut [&mut one, &mut two, &mut three]).await;
    assert_eq!([one.count(), two.count(), three.count()], [2, 2, 2]);
    let kept = one.has.clone();
    assert_eq!(two.leave(-1).await, ErrorCode::NONE);
    settle(&mut [&mut one, &mut three]).await;
    assert_eq!([one.count(), three.count()], [3, 3]);
    assert!(kept[&topic.id].is_subset(&one.has[&topic.id]), "what one has it keeps");
    assert_eq!(code(&two.nod().await), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(two.leave(-1).await, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[tokio::test]
async fn an_epoch_that_is_not_the_members_own_fences_it() {
    let place = Place::new().await;
    let topic = place.topic("t", 1).await;
    let mut one = Member::new(&place, "one", &[&topic]).await;
    assert_eq!(code(&one.say(1, Vec::new()).await), ErrorCode::GROUP_ID_NOT_FOUND);
    one.join().await;
    settle(&mut [&mut one]).await;
    let first = one.epoch;
    assert_eq!(code(&one.say(first + 1, Vec::new()).await), ErrorCode::FENCED_MEMBER_EPOCH);
    let mut stranger = Member::new(&place, "stranger", &[&topic]).await;
    assert_eq!(code(&stranger.say(1, Vec::new()).await), ErrorCode::UNKNOWN_MEMBER_ID);

    // The answer that took it to the next epoch was lost: it says the one before, and is told again.
    pause().await;
    one.topics = Some(vec![topic.name.clone(), place.name("missing")]);
    for _ in 0..2 {
        let told = one.say(first, one.owned()).await;
        assert_eq!((code(&told), told.member_epoch), (ErrorCode::NONE, first + 1));
    }
    let more = TopicPartitions { topic_id: topic.id, partitions: vec![0, 1], ..Default::default() };
    assert_eq!(
        code(&one.say(first, vec![more]).await),
        ErrorCode::FENCED_MEMBER_EPOCH,
        "it claims what it was not given"
    );
    assert_eq!(one.join().await, first + 1, "joining again is always allowed");
    assert_eq!(one.count(), 1);
}

#[tokio::test]
async fn the_previous_epoch_is_no_longer_good_after_the_next_one() {
    let place = Place::new().await;
    let topic = place.topic("t", 1).await;
    let mut one = Member::new(&place, "one", &[&topic]).await;
    one.join().await;
    settle(&mut [&mut one]).await;
    let first = one.epoch;
    for n in 1..3 {
        pause().await;
        one.topics.as_mut().unwrap().push(place.name(&format!("missing{n}")));
        assert_eq!(one.beat().await, first + n);
    }
    assert_eq!(code(&one.say(first, one.owned()).await), ErrorCode::FENCED_MEMBER_EPOCH);
    assert_eq!(code(&one.say(first + 1, one.owned()).await), ErrorCode::NONE);
}

#[tokio::test]
async fn a_static_member_keeps_its_place_while_it_is_away_and_only_then() {
    let place = Place::new().await;
    let topic = place.topic("t", 2).await;
    let mut one = Member::new(&place, "one", &[&topic]).await;
    let mut two = Member::new(&place, "two", &[&topic]).await;
    (one.instance, two.instance) = (Some("i".into()), Some("j".into()));
    one.join().await;
    two.join().await;
    settle(&mut [&mut one, &mut two]).await;
    let (epoch, had) = (one.epoch, one.has.clone());

    let mut again = Member::new(&place, "again", &[&topic]).await;
    again.instance = Some("i".into());
    assert_eq!(code(&again.say(0, Vec::new()).await), ErrorCode::UNRELEASED_INSTANCE_ID);
    assert_eq!(code(&again.say(epoch, Vec::new()).await), ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(one.leave(-2).await, ErrorCode::NONE);
    two.beat().await;
    assert_eq!(two.count(), 1, "nothing moves");
    assert_eq!(place.describe().await.members.len(), 2);

    assert_eq!(again.join().await, epoch, "nothing changed: the group's epoch is the same");
    assert_eq!(again.has, had);
    assert_eq!(code(&one.nod().await), ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(one.leave(-1).await, ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(again.leave(-1).await, ErrorCode::NONE);
    settle(&mut [&mut two]).await;
    assert_eq!(two.count(), 2);
    assert_eq!(code(&again.nod().await), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[tokio::test]
async fn who_does_not_give_up_what_it_must_is_out() {
    let place = Place::new().await;
    let topic = place.topic("t", 2).await;
    let mut one = Member::new(&place, "one", &[&topic]).await;
    one.rebalance_ms = 100;
    one.join().await;
    settle(&mut [&mut one]).await;
    let mut two = Member::new(&place, "two", &[&topic]).await;
    two.join().await;
    // It lives, and does not say that it has given up anything.
    while code(&one.nod().await) == ErrorCode::NONE {
        two.beat().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(code(&one.nod().await), ErrorCode::UNKNOWN_MEMBER_ID);
    settle(&mut [&mut two]).await;
    assert_eq!(two.count(), 2);
}

#[tokio::test]
async fn who_says_nothing_is_out() {
    let mut options = BrokerOptions::new();
    options.group_consumer_session_timeout_ms = 50;
    let place = Place::with(options).await;
    let topic = place.topic("t", 2).await;
    let mut one = Member::new(&place, "one", &[&topic]).await;
    one.join().await;
    while place.describe().await.group_state != "Empty" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(code(&one.nod().await), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[tokio::test]
async fn an_expression_selects_topics_by_their_whole_names_also_those_that_come_later() {
    let place = Place::with(BrokerOptions::new()).await; // Kafka itself looks for new topics every 10 s
    let (eu, _other) = (place.topic("orders-eu", 1).await, place.topic("x-orders-eu", 1).await);
    let mut one = Member::new(&place, "one", &[]).await;
    (one.topics, one.regex) = (None, Some("orders-.*".into()));
    one.join().await;
    assert_eq!(one.has.keys().copied().collect::<Vec<_>>(), [eu.id]);
    let us = place.topic("orders-us", 2).await;
    settle(&mut [&mut one]).await;
    assert_eq!((one.count(), one.has[&us.id].len()), (3, 2));
    let grown = CreatePartitionsTopic { name: us.name.clone(), count: 4, assignments: None, ..Default::default() };
    let request = CreatePartitionsRequest { topics: vec![grown], ..Default::default() };
    place.connection().await.ask(3, &request).await;
    settle(&mut [&mut one]).await;
    assert_eq!(one.count(), 5);
    assert_eq!(place.describe().await.members[0].subscribed_topic_regex.as_deref(), Some("orders-.*"));
    // The expression goes, and with it what it selected.
    (one.topics, one.regex) = (Some(vec![eu.name.clone()]), Some(String::new()));
    settle(&mut [&mut one]).await;
    assert_eq!(one.has.keys().copied().collect::<Vec<_>>(), [eu.id]);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_and_change_nothing() {
    let place = Place::new().await;
    let topic = place.topic("t", 1).await;
    let mut one = Member::new(&place, "one", &[&topic]).await;
    one.regex = Some("(".into());
    assert_eq!(code(&one.say(0, Vec::new()).await), ErrorCode::INVALID_REGULAR_EXPRESSION);
    one.regex = None;
    one.assignor = Some("sticky".into());
    assert_eq!(code(&one.say(0, Vec::new()).await), ErrorCode::UNSUPPORTED_ASSIGNOR);
    one.assignor = None;
    let owns = TopicPartitions { topic_id: topic.id, partitions: vec![0], ..Default::default() };
    assert_eq!(code(&one.say(0, vec![owns]).await), ErrorCode::INVALID_REQUEST);
    assert_eq!(one.leave(-2).await, ErrorCode::INVALID_REQUEST, "a member without an instance leaves for good");
    assert_eq!(code(&one.nod().await), ErrorCode::INVALID_REQUEST, "a join says everything");
    one.topics = None;
    assert_eq!(code(&one.say(0, Vec::new()).await), ErrorCode::INVALID_REQUEST);
    assert_eq!(ErrorCode(place.describe().await.error_code), ErrorCode::GROUP_ID_NOT_FOUND);
}

#[tokio::test]
async fn a_group_that_is_full_takes_no_one_more() {
    let mut options = BrokerOptions::new();
    options.group_consumer_max_size = 1;
    let place = Place::with(options).await;
    let topic = place.topic("t", 2).await;
    let mut one = Member::new(&place, "one", &[&topic]).await;
    let mut two = Member::new(&place, "two", &[&topic]).await;
    one.join().await;
    assert_eq!(code(&two.say(0, Vec::new()).await), ErrorCode::GROUP_MAX_SIZE_REACHED);
    one.join().await;
    one.leave(-1).await;
    two.join().await;
    assert_eq!(two.count(), 2);
}

#[tokio::test]
async fn members_choose_the_assignor_by_majority() {
    let place = Place::new().await;
    let (a, b) = (place.topic("a", 3).await, place.topic("b", 3).await);
    let mut members = Vec::new();
    for id in ["one", "two"] {
        let mut member = Member::new(&place, id, &[&a, &b]).await;
        member.assignor = Some("range".into());
        member.join().await;
        members.push(member);
    }
    let [one, two] = &mut members[..] else { unreachable!() };
    settle(&mut [one, two]).await;
    assert_eq!(one.has[&a.id], one.has[&b.id], "the same of both");
    assert_eq!(BTreeSet::from([one.count(), two.count()]), BTreeSet::from([2, 4]));
    assert_eq!(place.describe().await.assignor_name, "range");
}

#[tokio::test]
async fn offsets_are_for_members_in_their_epoch_and_for_what_they_had_before_it() {
    let place = Place::new().await;
    let topic = place.topic("t", 2).await;
    let mut one = Member::new(&place, "one", &[&topic]).await;
    let mut stranger = Member::new(&place, "stranger", &[&topic]).await;
    one.join().await;
    settle(&mut [&mut one]).await;
    let first = one.epoch;
    assert_eq!(one.commit(9, first, &topic, &[0]).await, [ErrorCode::NONE]);
    assert_eq!(one.commit(10, first, &topic, &[0]).await, [ErrorCode::NONE]);
    assert_eq!(one.commit(9, first + 1, &topic, &[0]).await, [ErrorCode::STALE_MEMBER_EPOCH]);
    assert_eq!(one.commit(8, first, &topic, &[0]).await, [ErrorCode::UNSUPPORTED_VERSION]);
    assert_eq!(stranger.commit(9, first, &topic, &[0]).await, [ErrorCode::UNKNOWN_MEMBER_ID]);
    let mut admin = Member::new(&place, "", &[&topic]).await;
    assert_eq!(admin.commit(9, -1, &topic, &[0]).await, [ErrorCode::UNKNOWN_MEMBER_ID], "there are members");
    assert_eq!(one.fetch(first, &topic).await, ErrorCode::NONE);
    assert_eq!(one.fetch(0, &topic).await, ErrorCode::STALE_MEMBER_EPOCH);
    assert_eq!(stranger.fetch(first, &topic).await, ErrorCode::UNKNOWN_MEMBER_ID);

    // Another one comes: what stays with the first may still be committed in the epoch that it was given in.
    let mut two = Member::new(&place, "two", &[&topic]).await;
    two.join().await;
    settle(&mut [&mut one, &mut two]).await;
    assert_eq!((one.epoch, one.count()), (first + 1, 1));
    let (kept, gone) = (*one.has[&topic.id].first().unwrap(), *two.has[&topic.id].first().unwrap());
    assert_eq!(one.commit(9, first, &topic, &[kept]).await, [ErrorCode::NONE]);
    assert_eq!(one.commit(9, first, &topic, &[gone]).await, [ErrorCode::STALE_MEMBER_EPOCH]);
    assert_eq!(one.commit(9, first, &topic, &[kept, gone]).await, [ErrorCode::STALE_MEMBER_EPOCH; 2]);
    assert_eq!(two.commit(9, first, &topic, &[gone]).await, [ErrorCode::STALE_MEMBER_EPOCH], "given later");
    for member in [&mut one, &mut two] {
        assert_eq!(member.leave(-1).await, ErrorCode::NONE);
    }
    assert_eq!(admin.commit(9, -1, &topic, &[0]).await, [ErrorCode::NONE], "the group is empty");
}

#[tokio::test]
async fn a_group_is_described_and_listed_as_what_it_is() {
    let place = Place::new().await;
    let topic = place.topic("t", 2).await;
    let mut one = Member::new(&place, "one", &[&topic]).await;
    one.join().await;
    settle(&mut [&mut one]).await;
    let described = place.describe().await;
    assert_eq!((&*described.group_state, &*described.assignor_name), ("Stable", "uniform"));
    assert_eq!((described.group_epoch, described.assignment_epoch), (one.epoch, one.epoch));
    let member = &described.members[0];
    assert_eq!((&*member.member_id, member.member_epoch, member.member_type), ("one", one.epoch, 1));
    assert_eq!((&*member.client_id, &*member.client_host), ("test", "/127.0.0.1"));
    assert_eq!(member.subscribed_topic_names, std::slice::from_ref(&topic.name));
    let assigned = &member.assignment.topic_partitions[0];
    assert_eq!(
        (assigned.topic_id, &assigned.topic_name, &assigned.partitions[..]),
        (topic.id, &topic.name, &[0, 1][..])
    );
    assert_eq!(member.assignment, member.target_assignment);

    let list = |types: &[&str]| ListGroupsRequest {
        types_filter: types.iter().map(|kind| kind.to_string()).collect(),
        ..Default::default()
    };
    let listed = one.connection.ask(5, &list(&["consumer"])).await.groups;
    let found = listed.iter().find(|group| group.group_id == one.group).expect("listed");
    assert_eq!((&*found.group_type, &*found.protocol_type, &*found.group_state), ("consumer", "consumer", "Stable"));
    let classic = one.connection.ask(5, &list(&["classic"])).await.groups;
    assert!(classic.iter().all(|group| group.group_id != one.group));
    let request = DescribeGroupsRequest { groups: vec![one.group.clone()], ..Default::default() };
    let described = one.connection.ask(6, &request).await.groups.remove(0);
    assert_eq!((ErrorCode(described.error_code), &*described.group_state), (ErrorCode::GROUP_ID_NOT_FOUND, "Dead"));
    let request = DeleteGroupsRequest { groups_names: vec![one.group.clone()], ..Default::default() };
    let deleted = |response: dohle_protocol::messages::DeleteGroupsResponse| ErrorCode(response.results[0].error_code);
    assert_eq!(deleted(one.connection.ask(2, &request).await), ErrorCode::NON_EMPTY_GROUP);

    let partition = OffsetDeleteRequestPartition { partition_index: 0 };
    let subscribed = OffsetDeleteRequestTopic { name: topic.name.clone(), partitions: vec![partition] };
    let offsets = OffsetDeleteRequest { group_id: one.group.clone(), topics: vec![subscribed] };
    let refused = one.connection.ask(0, &offsets).await.topics[0].partitions[0].error_code;
    assert_eq!(ErrorCode(refused), ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC);

    assert_eq!(one.leave(-1).await, ErrorCode::NONE);
    assert_eq!(place.describe().await.group_state, "Empty");
    assert_eq!(deleted(one.connection.ask(2, &request).await), ErrorCode::NONE);
    assert_eq!(ErrorCode(place.describe().await.error_code), ErrorCode::GROUP_ID_NOT_FOUND);
}

fn classic_join(member: &Member) -> JoinGroupRequest {
    // Version 1 of a subscription to nothing.
    let metadata = bytes::Bytes::from_static(&[0, 1, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0]);
    let range = JoinGroupRequestProtocol { name: "range".into(), metadata, ..Default::default() };
    JoinGroupRequest {
        group_id: member.group.clone(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        protocol_type: "consumer".into(),
        protocols: vec![range],
        ..Default::default()
    }
}

#[tokio::test]
async fn a_group_without_members_becomes_one_of_the_other_protocol_and_keeps_its_offsets() {
    let place = Place::new().await;
    let topic = place.topic("t", 1).await;
    let mut one = Member::new(&place, "one", &[&topic]).await;
    one.join().await;
    settle(&mut [&mut one]).await;
    assert_eq!(one.commit(9, one.epoch, &topic, &[0]).await, [ErrorCode::NONE]);
    one.leave(-1).await;

    let mut classic = Member::new(&place, "", &[&topic]).await;
    let joined = classic.connection.ask(3, &classic_join(&classic)).await;
    assert_eq!(ErrorCode(joined.error_code), ErrorCode::NONE);
    assert_eq!(ErrorCode(place.describe().await.error_code), ErrorCode::GROUP_ID_NOT_FOUND);
    let leaves =
        LeaveGroupRequest { group_id: classic.group.clone(), member_id: joined.member_id, ..Default::default() };
    assert_eq!(classic.connection.ask(2, &leaves).await.error_code, 0);

    one.join().await;
    let list = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup { group_id: one.group.clone(), topics: None, ..Default::default() }],
        ..Default::default()
    };
    let fetched = one.connection.ask(8, &list).await.groups.remove(0);
    assert_eq!(fetched.topics[0].partitions[0].committed_offset, 5);
}

#[tokio::test]
async fn of_the_classic_protocols_requests_a_member_of_the_other_may_leave_and_no_more() {
    let place = Place::new().await;
    let topic = place.topic("t", 1).await;
    let mut one = Member::new(&place, "one", &[&topic]).await;
    one.join().await;
    let heartbeat = HeartbeatRequest {
        group_id: one.group.clone(),
        generation_id: 1,
        member_id: "one".into(),
        ..Default::default()
    };
    assert_eq!(ErrorCode(one.connection.ask(4, &heartbeat).await.error_code), ErrorCode::UNKNOWN_MEMBER_ID);
    let member = MemberIdentity { member_id: "one".into(), ..Default::default() };
    let leave = LeaveGroupRequest { group_id: one.group.clone(), members: vec![member], ..Default::default() };
    assert_eq!(ErrorCode(one.connection.ask(5, &leave).await.members[0].error_code), ErrorCode::NONE);
    assert!(place.describe().await.members.is_empty());
    assert_eq!(ErrorCode(one.connection.ask(5, &leave).await.members[0].error_code), ErrorCode::UNKNOWN_MEMBER_ID);
}

async fn configure_group(connection: &mut Connection, group: &str, name: &str, value: &str) {
    let config = AlterableConfig { name: name.into(), value: Some(value.into()), ..Default::default() };
    let resource = AlterConfigsResource {
        resource_type: 32,
        resource_name: group.into(),
        configs: vec![config],
        ..Default::default()
    };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    let changed = connection.ask(1, &request).await.responses.remove(0);
    assert_eq!(ErrorCode(changed.error_code), ErrorCode::NONE, "{:?}", changed.error_message);
}

#[tokio::test]
async fn a_heartbeat_interval_set_for_a_group_is_told_from_the_next_heartbeat_on() {
    let place = Place::new().await;
    let topic = place.topic("t", 1).await;
    let mut one = Member::new(&place, "one", &[&topic]).await;
    one.join().await;
    let group = one.group.clone();
    configure_group(&mut one.connection, &group, "consumer.heartbeat.interval.ms", "6123").await;
    while one.nod().await.heartbeat_interval_ms != 6123 {}
    assert_ne!(one.say(one.epoch, Vec::new()).await.heartbeat_interval_ms, 100);
}

#[tokio::test]
async fn a_session_timeout_set_for_a_group_holds_from_the_next_heartbeat_on() {
    let mut options = BrokerOptions::new();
    options.set("group.consumer.min.session.timeout.ms", "1").unwrap();
    let place = Place::with(options).await;
    let topic = place.topic("t", 1).await;
    let mut one = Member::new(&place, "one", &[&topic]).await;
    one.join().await;
    let group = one.group.clone();
    configure_group(&mut one.connection, &group, "consumer.session.timeout.ms", "1").await;
    assert_eq!(place.describe().await.members.len(), 1, "until now it has 45 s");
    one.nod().await;
    while !place.describe().await.members.is_empty() {
        tokio::task::yield_now().await;
    }
}
