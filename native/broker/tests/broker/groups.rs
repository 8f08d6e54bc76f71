//! Classic groups and their offsets, as members meet them.

use std::time::Duration;

use bytes::Bytes;
use dohle_broker::{Broker, BrokerOptions};
use dohle_protocol::{
    ErrorCode, Uuid,
    messages::{
        DeleteGroupsRequest, DescribeGroupsRequest, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
        LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
        SyncGroupResponse,
        join_group_request::JoinGroupRequestProtocol,
        leave_group_request::MemberIdentity,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
        sync_group_request::SyncGroupRequestAssignment,
    },
};
use tokio::time::Instant;

use crate::support::*;

/// A member of group `g` on a connection of its own.
struct Member {
    connection: Connection,
    id: String,
    instance: Option<String>,
    generation: i32,
    session_ms: i32,
    rebalance_ms: i32,
    protocols: Vec<&'static str>,
}

impl Member {
    async fn new(broker: &Broker) -> Self {
        Self {
            connection: Connection::to(broker).await,
            id: String::new(),
            instance: None,
            generation: -1,
            session_ms: 10_000,
            rebalance_ms: 10_000,
            protocols: vec!["range"],
        }
    }

    async fn static_member(broker: &Broker, instance: &str) -> Self {
        Self { instance: Some(instance.into()), ..Self::new(broker).await }
    }

    async fn try_join(&mut self) -> JoinGroupResponse {
        let protocols = self.protocols.iter().map(|name| JoinGroupRequestProtocol {
            name: name.to_string(),
            metadata: Bytes::from_static(b"meta"),
            ..Default::default()
        });
        let request = JoinGroupRequest {
            group_id: "g".into(),
            session_timeout_ms: self.session_ms,
            rebalance_timeout_ms: self.rebalance_ms,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            protocol_type: "consumer".into(),
            protocols: protocols.collect(),
            ..Default::default()
        };
        self.connection.ask(9, &request).await
    }

    /// Joins, with the id that the broker gives first.
    async fn join(&mut self) -> JoinGroupResponse {
        let mut joined = self.try_join().await;
        if ErrorCode(joined.error_code) == ErrorCode::MEMBER_ID_REQUIRED {
            self.id = joined.member_id;
            joined = self.try_join().await;
        }
        assert_eq!(ErrorCode(joined.error_code), ErrorCode::NONE);
        (self.id, self.generation) = (joined.member_id.clone(), joined.generation_id);
        joined
    }

    /// Syncs; the leader gives every member its own name.
    async fn sync(&mut self, joined: &JoinGroupResponse) -> SyncGroupResponse {
        let assignment = |id: &String| SyncGroupRequestAssignment {
            member_id: id.clone(),
            assignment: Bytes::from(format!("for {id}")),
            ..Default::default()
        };
        let request = SyncGroupRequest {
            group_id: "g".into(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: joined.protocol_name.clone(),
            assignments: joined.members.iter().map(|member| assignment(&member.member_id)).collect(),
            ..Default::default()
        };
        self.connection.ask(5, &request).await
    }

    async fn heartbeat(&mut self) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: "g".into(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            ..Default::default()
        };
        ErrorCode(self.connection.ask(4, &request).await.error_code)
    }

    async fn leave(&mut self) -> ErrorCode {
        let member = MemberIdentity {
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            ..Default::default()
        };
        let request = LeaveGroupRequest { group_id: "g".into(), members: vec![member], ..Default::default() };
        ErrorCode(self.connection.ask(5, &request).await.members[0].error_code)
    }

    async fn commit(&mut self, offset: i64) -> ErrorCode {
        let request = commit_request(self.generation, &self.id, "t", offset);
        ErrorCode(self.connection.ask(9, &request).await.topics[0].partitions[0].error_code)
    }
}

fn commit_request(generation: i32, member_id: &str, topic: &str, committed_offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition {
        committed_offset,
        committed_leader_epoch: 0,
        committed_metadata: Some("note".into()),
        ..Default::default()
    };
    let topic = OffsetCommitRequestTopic { name: topic.into(), partitions: vec![partition], ..Default::default() };
    OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: generation,
        member_id: member_id.into(),
        topics: vec![topic],
        ..Default::default()
    }
}

/// Two members in a stable group.
async fn pair(broker: &Broker) -> (Member, Member) {
    stable(Member::new(broker).await, Member::new(broker).await).await
}

async fn stable(mut a: Member, mut b: Member) -> (Member, Member) {
    let joined = a.join().await;
    a.sync(&joined).await;
    b.id = b.try_join().await.member_id;
    let (joined_b, joined_a) = tokio::join!(b.join(), async {
        while a.heartbeat().await != ErrorCode::REBALANCE_IN_PROGRESS {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        a.join().await
    });
    let (synced_a, synced_b) = tokio::join!(a.sync(&joined_a), b.sync(&joined_b));
    assert_eq!(synced_a.assignment, format!("for {}", a.id));
    assert_eq!(synced_b.assignment, format!("for {}", b.id));
    (a, b)
}

async fn state(broker: &Broker) -> (String, usize) {
    let mut connection = Connection::to(broker).await;
    let request = DescribeGroupsRequest { groups: vec!["g".into()], ..Default::default() };
    let group = connection.ask(5, &request).await.groups.remove(0);
    (group.group_state, group.members.len())
}

/// Waits until the group is in this state, for as long as it takes on a machine that is busy.
async fn becomes(broker: &Broker, expected: &str) {
    tokio::time::timeout(Duration::from_secs(60), async {
        while state(broker).await.0 != expected {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("the group never became {expected}"));
}

#[tokio::test]
async fn a_newcomer_gets_its_id_first_and_comes_back_with_it() {
    let broker = broker().await;
    let mut member = Member::new(&broker).await;
    let first = member.try_join().await;
    assert_eq!(ErrorCode(first.error_code), ErrorCode::MEMBER_ID_REQUIRED);
    assert!(first.member_id.starts_with("test-"), "{}", first.member_id);
    member.id = first.member_id;
    let joined = member.try_join().await;
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    assert_eq!((joined.leader, joined.members.len()), (member.id.clone(), 1));
    let mut stranger = Member::new(&broker).await;
    stranger.id = "made up".into();
    assert_eq!(ErrorCode(stranger.try_join().await.error_code), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[tokio::test]
async fn two_members_rebalance_and_share_and_one_leaves() {
    let broker = broker().await;
    let (mut a, mut b) = pair(&broker).await;
    assert_eq!((a.generation, b.generation), (2, 2));
    assert_eq!(state(&broker).await, ("Stable".into(), 2));
    assert_eq!(b.leave().await, ErrorCode::NONE);
    assert_eq!(a.heartbeat().await, ErrorCode::REBALANCE_IN_PROGRESS);
    let joined = a.join().await;
    assert_eq!((joined.generation_id, joined.members.len()), (3, 1));
    a.sync(&joined).await;
    assert_eq!(a.heartbeat().await, ErrorCode::NONE);
    assert_eq!(b.heartbeat().await, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[tokio::test]
async fn the_others_rebalance_when_a_member_stops_its_heartbeats() {
    let broker = broker().await;
    let (a, mut b) = (Member::new(&broker).await, Member::new(&broker).await);
    b.session_ms = 60;
    let (mut a, mut b) = stable(a, b).await;
    let start = Instant::now();
    while a.heartbeat().await == ErrorCode::NONE {
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    let joined = a.join().await;
    assert_eq!((joined.generation_id, joined.members.len()), (3, 1));
    assert_eq!(b.heartbeat().await, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[tokio::test]
async fn a_silent_member_expires_and_the_group_goes_on_without_it() {
    let broker = broker().await;
    let mut member = Member { session_ms: 2_000, ..Member::new(&broker).await };
    let joined = member.join().await;
    member.sync(&joined).await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2_500) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(member.heartbeat().await, ErrorCode::NONE, "heartbeats keep it alive");
    }
    becomes(&broker, "Dead").await;
    assert_eq!(member.heartbeat().await, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[tokio::test]
async fn who_is_late_for_a_rebalance_is_out() {
    let broker = broker().await;
    let (mut a, mut b) = (Member::new(&broker).await, Member::new(&broker).await);
    (a.rebalance_ms, b.rebalance_ms) = (100, 100);
    let joined = a.join().await;
    a.sync(&joined).await;
    let start = Instant::now();
    let joined = b.join().await;
    assert!(start.elapsed() >= Duration::from_millis(90), "the first member was waited for");
    assert_eq!((joined.members.len(), joined.leader), (1, b.id.clone()));
    assert_eq!(a.heartbeat().await, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[tokio::test]
async fn who_joins_and_never_syncs_is_out() {
    let broker = broker().await;
    let mut a = Member { rebalance_ms: 80, ..Member::new(&broker).await };
    a.join().await;
    becomes(&broker, "Dead").await;
}

#[tokio::test]
async fn generations_and_sessions_are_checked() {
    let broker = broker().await;
    let (mut a, _b) = pair(&broker).await;
    a.generation = 1;
    assert_eq!(a.heartbeat().await, ErrorCode::ILLEGAL_GENERATION);
    let mut odd = Member { protocols: vec!["sticky"], ..Member::new(&broker).await };
    assert_eq!(ErrorCode(odd.try_join().await.error_code), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let mut long = Member { session_ms: i32::MAX, ..Member::new(&broker).await };
    assert_eq!(ErrorCode(long.try_join().await.error_code), ErrorCode::INVALID_SESSION_TIMEOUT);
}

#[tokio::test]
async fn the_protocol_that_all_offer_and_most_like_best_is_chosen() {
    let broker = broker().await;
    let mut a = Member { protocols: vec!["range", "cooperative-sticky"], ..Member::new(&broker).await };
    let joined = a.join().await;
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    a.sync(&joined).await;
    let mut b = Member { protocols: vec!["cooperative-sticky"], ..Member::new(&broker).await };
    b.id = b.try_join().await.member_id;
    let (joined, _) = tokio::join!(b.join(), async {
        while a.heartbeat().await != ErrorCode::REBALANCE_IN_PROGRESS {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        a.join().await
    });
    assert_eq!(joined.protocol_name.as_deref(), Some("cooperative-sticky"));
}

#[tokio::test]
async fn a_static_member_comes_back_without_a_rebalance_and_fences_its_old_self() {
    let broker = broker().await;
    let mut old = Member::static_member(&broker, "i1").await;
    let joined = old.join().await;
    old.sync(&joined).await;
    let mut new = Member::static_member(&broker, "i1").await;
    let joined = new.join().await;
    assert_eq!((joined.generation_id, joined.skip_assignment), (1, true));
    assert_ne!(new.id, old.id);
    let synced = new.sync(&joined).await;
    assert_eq!(synced.assignment, format!("for {}", old.id), "what it had");
    assert_eq!(old.heartbeat().await, ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(new.heartbeat().await, ErrorCode::NONE);
    // An admin client removes it by its instance alone.
    let member = MemberIdentity { group_instance_id: Some("i1".into()), ..Default::default() };
    let request = LeaveGroupRequest { group_id: "g".into(), members: vec![member], ..Default::default() };
    assert_eq!(old.connection.ask(5, &request).await.members[0].error_code, 0);
    assert_eq!(new.heartbeat().await, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[tokio::test]
async fn the_first_rebalance_waits_for_more_members_when_told_to() {
    let mut options = BrokerOptions::new();
    options.group_initial_rebalance_delay_ms = 150;
    let broker = Broker::start_default(options).await.unwrap();
    let (mut a, mut b) = (Member::new(&broker).await, Member::new(&broker).await);
    let (one, two) = tokio::join!(a.join(), b.join());
    assert_eq!((one.generation_id, two.generation_id), (1, 1));
    assert_eq!(one.members.len() + two.members.len(), 2, "both in the first generation");
}

#[tokio::test]
async fn only_members_of_the_generation_commit() {
    let broker = broker().await;
    Connection::to(&broker).await.create_topic("t", 1, &[]).await;
    let (mut a, _b) = pair(&broker).await;
    assert_eq!(a.commit(5).await, ErrorCode::NONE);
    a.generation -= 1;
    assert_eq!(a.commit(6).await, ErrorCode::ILLEGAL_GENERATION);
    let mut connection = Connection::to(&broker).await;
    let mut outside = async |generation, member_id: &str| {
        let response = connection.ask(9, &commit_request(generation, member_id, "t", 7)).await;
        ErrorCode(response.topics[0].partitions[0].error_code)
    };
    assert_eq!(outside(-1, "").await, ErrorCode::UNKNOWN_MEMBER_ID, "not while the group has members");
    assert_eq!(outside(2, "nobody").await, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[tokio::test]
async fn a_commit_that_lay_behind_another_request_when_its_client_went_is_none() {
    let mut options = BrokerOptions::new();
    options.group_initial_rebalance_delay_ms = 400;
    let broker = Broker::start_default(options).await.unwrap();
    let mut other = Connection::to(&broker).await;
    other.create_topic("t", 1, &[]).await;
    let mut gone = Connection::to(&broker).await;
    let protocol = JoinGroupRequestProtocol { name: "range".into(), ..Default::default() };
    let waits = JoinGroupRequest {
        group_id: "waits".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        ..Default::default()
    };
    // Without a member id that must be taken along: it is answered when the delay is over.
    gone.send(3, &waits).await;
    gone.send(8, &commit_request(-1, "", "t", 7)).await;
    drop(gone);
    // The same member's later commit, on its next connection.
    let response = other.ask(8, &commit_request(-1, "", "t", 9)).await;
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
    while broker.connections() > 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let group = OffsetFetchRequestGroup { group_id: "g".into(), topics: None, ..Default::default() };
    let fetched = other.ask(8, &OffsetFetchRequest { groups: vec![group], ..Default::default() }).await;
    assert_eq!(fetched.groups[0].topics[0].partitions[0].committed_offset, 9);
}

#[tokio::test]
async fn committed_offsets_come_back_in_every_form() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    let id = connection.create_topic("t", 2, &[]).await;
    let response = connection.ask(2, &commit_request(-1, "", "t", 3)).await;
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
    let mut by_id = commit_request(-1, "", "", 4);
    by_id.topics[0].topic_id = id;
    by_id.topics[0].partitions[0].partition_index = 1;
    assert_eq!(connection.ask(10, &by_id).await.topics[0].partitions[0].error_code, 0);
    by_id.topics[0].topic_id = Uuid([1; 16]);
    let unknown = connection.ask(10, &by_id).await.topics[0].partitions[0].error_code;
    assert_eq!(ErrorCode(unknown), ErrorCode::UNKNOWN_TOPIC_ID);
    let missing = connection.ask(9, &commit_request(-1, "", "none", 4)).await.topics[0].partitions[0].error_code;
    assert_eq!(ErrorCode(missing), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);

    let all = connection.ask(7, &OffsetFetchRequest { group_id: "g".into(), topics: None, ..Default::default() }).await;
    let committed: Vec<i64> = all.topics[0].partitions.iter().map(|partition| partition.committed_offset).collect();
    assert_eq!(committed, [3, 4]);
    let topics = OffsetFetchRequestTopics { topic_id: id, partition_indexes: vec![1, 7], ..Default::default() };
    let group = |group_id: &str| OffsetFetchRequestGroup {
        group_id: group_id.into(),
        topics: Some(vec![topics.clone()]),
        ..Default::default()
    };
    let request = OffsetFetchRequest { groups: vec![group("g"), group("none")], ..Default::default() };
    let response = connection.ask(10, &request).await;
    let committed = |n: usize| -> Vec<(i64, Option<String>)> {
        let partitions = &response.groups[n].topics[0].partitions;
        partitions.iter().map(|p| (p.committed_offset, p.metadata.clone())).collect()
    };
    assert_eq!(committed(0), [(4, Some("note".into())), (-1, Some(String::new()))]);
    assert_eq!(committed(1), [(-1, Some(String::new())), (-1, Some(String::new()))]);
}

#[tokio::test]
async fn groups_are_listed_and_deleted_when_empty() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 1, &[]).await;
    let delete = DeleteGroupsRequest { groups_names: vec!["g".into()], ..Default::default() };
    let missing = connection.ask(2, &delete).await.results[0].error_code;
    assert_eq!(ErrorCode(missing), ErrorCode::GROUP_ID_NOT_FOUND);
    let (mut a, mut b) = pair(&broker).await;
    a.commit(1).await;
    let busy = connection.ask(2, &delete).await.results[0].error_code;
    assert_eq!(ErrorCode(busy), ErrorCode::NON_EMPTY_GROUP);
    a.leave().await;
    b.leave().await;
    let list = |state: &str| ListGroupsRequest { states_filter: vec![state.into()], ..Default::default() };
    assert_eq!(connection.ask(5, &list("Stable")).await.groups.len(), 0);
    let empty = connection.ask(5, &list("Empty")).await.groups;
    assert_eq!((empty[0].group_id.as_str(), empty[0].group_type.as_str()), ("g", "classic"));
    assert_eq!(connection.ask(2, &delete).await.results[0].error_code, 0);
    assert_eq!(connection.ask(5, &ListGroupsRequest::default()).await.groups.len(), 0);
}
