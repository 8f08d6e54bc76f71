//! What coordinators keep in `__consumer_offsets`, as clients see it: the topic itself, and what is there after the broker was stopped
//! or just ended.

use bytes::Bytes;
use dohle_broker::{Broker, BrokerOptions};
use dohle_protocol::{
    ErrorCode,
    messages::{
        DeleteGroupsRequest, DeleteTopicsRequest, DescribeGroupsRequest, EndTxnRequest, FindCoordinatorRequest,
        HeartbeatRequest, InitProducerIdRequest, JoinGroupRequest, MetadataRequest, OffsetCommitRequest,
        OffsetFetchRequest, SyncGroupRequest, TxnOffsetCommitRequest,
        join_group_request::JoinGroupRequestProtocol,
        metadata_request::MetadataRequestTopic,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
        sync_group_request::SyncGroupRequestAssignment,
        txn_offset_commit_request::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic},
    },
};

use crate::{disk::Folder, support::*};

const TOPIC: &str = "__consumer_offsets";

async fn find(connection: &mut Connection, group: &str) -> ErrorCode {
    let request = FindCoordinatorRequest { coordinator_keys: vec![group.into()], ..Default::default() };
    ErrorCode(connection.ask(4, &request).await.coordinators[0].error_code)
}

async fn commit(connection: &mut Connection, group: &str, offset: i64) -> ErrorCode {
    let partition = OffsetCommitRequestPartition {
        committed_offset: offset,
        committed_leader_epoch: 0,
        committed_metadata: Some("note".into()),
        ..Default::default()
    };
    let topic = OffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
    let request = OffsetCommitRequest {
        group_id: group.into(),
        generation_id_or_member_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    ErrorCode(connection.ask(8, &request).await.topics[0].partitions[0].error_code)
}

/// Offset, leader epoch, metadata.
async fn committed(connection: &mut Connection, group: &str) -> (i64, i32, String) {
    let topic = OffsetFetchRequestTopics { name: "t".into(), partition_indexes: vec![0], ..Default::default() };
    let asked = OffsetFetchRequestGroup { group_id: group.into(), topics: Some(vec![topic]), ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![asked], require_stable: true, ..Default::default() };
    let found = connection.ask(8, &request).await.groups.remove(0).topics.remove(0).partitions.remove(0);
    assert_eq!(ErrorCode(found.error_code), ErrorCode::NONE);
    (found.committed_offset, found.committed_leader_epoch, found.metadata.unwrap_or_default())
}

fn noted(offset: i64) -> (i64, i32, String) {
    (offset, 0, "note".into())
}

/// Commits an offset in a transaction of version 2, and ends it if that is said.
async fn commit_in_transaction(connection: &mut Connection, group: &str, offset: i64, end: Option<bool>) {
    let init = InitProducerIdRequest {
        transactional_id: Some(format!("of {group}")),
        transaction_timeout_ms: 60_000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    let producer = connection.ask(5, &init).await;
    let partition = TxnOffsetCommitRequestPartition {
        committed_offset: offset,
        committed_leader_epoch: 0,
        committed_metadata: Some("note".into()),
        ..Default::default()
    };
    let topic = TxnOffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
    let request = TxnOffsetCommitRequest {
        transactional_id: format!("of {group}"),
        group_id: group.into(),
        producer_id: producer.producer_id,
        producer_epoch: producer.producer_epoch,
        generation_id_or_member_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    assert_eq!(connection.ask(5, &request).await.topics[0].partitions[0].error_code, 0);
    if let Some(committed) = end {
        let (producer_id, producer_epoch) = (producer.producer_id, producer.producer_epoch);
        let transactional_id = format!("of {group}");
        let end = EndTxnRequest { transactional_id, producer_id, producer_epoch, committed, ..Default::default() };
        assert_eq!(connection.ask(5, &end).await.error_code, 0);
    }
}

/// Joins alone and brings the assignment; answers the member's id and generation.
async fn join(connection: &mut Connection, group: &str) -> (String, i32) {
    let protocol =
        JoinGroupRequestProtocol { name: "range".into(), metadata: Bytes::from_static(b"meta"), ..Default::default() };
    let ask = JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        ..Default::default()
    };
    let first = connection.ask(9, &ask).await;
    let joined = connection.ask(9, &JoinGroupRequest { member_id: first.member_id, ..ask }).await;
    let (member_id, generation_id) = (joined.member_id.clone(), joined.generation_id);
    let assignment = Bytes::from_static(b"assigned");
    let given = SyncGroupRequestAssignment { member_id: member_id.clone(), assignment, ..Default::default() };
    assert_eq!(sync(connection, group, (&member_id, generation_id), vec![given]).await, "assigned");
    (member_id, generation_id)
}

async fn sync(
    connection: &mut Connection,
    group: &str,
    (member_id, generation_id): (&str, i32),
    assignments: Vec<SyncGroupRequestAssignment>,
) -> Bytes {
    let (group_id, member_id) = (group.into(), member_id.into());
    let sync = SyncGroupRequest { group_id, generation_id, member_id, assignments, ..Default::default() };
    let synced = connection.ask(4, &sync).await;
    assert_eq!(ErrorCode(synced.error_code), ErrorCode::NONE);
    synced.assignment
}

async fn heartbeat(connection: &mut Connection, group: &str, (member_id, generation_id): (&str, i32)) -> ErrorCode {
    let (group_id, member_id) = (group.into(), member_id.into());
    let beat = HeartbeatRequest { group_id, generation_id, member_id, ..Default::default() };
    ErrorCode(connection.ask(4, &beat).await.error_code)
}

#[tokio::test]
async fn the_first_who_looks_for_a_groups_coordinator_makes_its_topic_which_is_internal() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    assert!(connection.ask(12, &MetadataRequest { topics: None, ..Default::default() }).await.topics.is_empty());
    assert_eq!(find(&mut connection, "g").await, ErrorCode::NONE);
    let all = connection.ask(12, &MetadataRequest { topics: None, ..Default::default() }).await.topics;
    let [topic] = &all[..] else { panic!("{all:?}") };
    assert_eq!((topic.name.as_deref(), topic.is_internal, topic.partitions.len()), (Some(TOPIC), true, 50));
    let refused = connection.produce(TOPIC, 0, batch(["mine"])).await;
    assert_eq!(ErrorCode(refused.error_code), ErrorCode::INVALID_TOPIC_EXCEPTION);
    assert_eq!(refused.error_message.as_deref(), Some("Cannot append to internal topic __consumer_offsets"));
}

#[tokio::test]
async fn its_metadata_make_it_with_as_many_partitions_as_a_commit_does() {
    for by_metadata in [true, false] {
        let mut options = BrokerOptions::new();
        options.set("offsets.topic.num.partitions", "7").unwrap();
        let broker = Broker::start_default(options).await.unwrap();
        let mut connection = Connection::to(&broker).await;
        connection.create_topic("t", 1, &[]).await;
        if by_metadata {
            let name = MetadataRequestTopic { name: Some(TOPIC.into()), ..Default::default() };
            let request =
                MetadataRequest { topics: Some(vec![name]), allow_auto_topic_creation: true, ..Default::default() };
            assert_eq!(connection.ask(12, &request).await.topics[0].partitions.len(), 7);
        }
        assert_eq!(commit(&mut connection, "g", 5).await, ErrorCode::NONE);
        assert_eq!(connection.metadata(TOPIC).await.1, 7);
        // Of Java's hash of "g", which is 103.
        let slice = connection.fetch(TOPIC, 103 % 7, 0).await;
        assert_eq!((slice.high_watermark, slice.error_code), (1, 0));
    }
}

#[tokio::test]
async fn what_a_group_has_committed_is_there_after_a_stop_and_after_an_end_without_one() {
    let folder = Folder::new("offsets");
    let (broker, mut connection) = folder.start().await;
    connection.create_topic("t", 1, &[]).await;
    for group in ["kept", "deleted", "committed", "aborted", "open"] {
        assert_eq!(commit(&mut connection, group, 1).await, ErrorCode::NONE);
    }
    assert_eq!(commit(&mut connection, "kept", 7).await, ErrorCode::NONE);
    commit_in_transaction(&mut connection, "committed", 8, Some(true)).await;
    commit_in_transaction(&mut connection, "aborted", 9, Some(false)).await;
    commit_in_transaction(&mut connection, "new", 10, Some(true)).await;
    let delete = DeleteGroupsRequest { groups_names: vec!["deleted".into()], ..Default::default() };
    assert_eq!(connection.ask(2, &delete).await.results[0].error_code, 0);
    broker.stop().await;
    for stopped in [true, false, true] {
        if !stopped {
            // What a process that is killed leaves.
            std::fs::remove_file(folder.0.join(".kafka_cleanshutdown")).unwrap();
        }
        let (broker, mut connection) = folder.start().await;
        assert_eq!(committed(&mut connection, "kept").await, noted(7));
        assert_eq!(committed(&mut connection, "committed").await, noted(8));
        assert_eq!(committed(&mut connection, "aborted").await, noted(1));
        assert_eq!(committed(&mut connection, "new").await, noted(10));
        assert_eq!(committed(&mut connection, "deleted").await, (-1, -1, String::new()));
        broker.stop().await;
    }
}

#[tokio::test]
async fn a_member_goes_on_in_its_group_when_the_broker_comes_back() {
    let folder = Folder::new("members");
    let (broker, mut connection) = folder.start().await;
    connection.create_topic("t", 1, &[]).await;
    let (member_id, generation) = join(&mut connection, "g").await;
    let who = (member_id.as_str(), generation);
    broker.stop().await;
    let (_broker, mut connection) = folder.start().await;
    assert_eq!(heartbeat(&mut connection, "g", who).await, ErrorCode::NONE);
    assert_eq!(sync(&mut connection, "g", who, Vec::new()).await, "assigned");
    let describe = DescribeGroupsRequest { groups: vec!["g".into()], ..Default::default() };
    let described = connection.ask(5, &describe).await.groups.remove(0);
    assert_eq!((described.group_state.as_str(), described.members.len()), ("Stable", 1));
    assert_eq!((&*described.members[0].client_id, &*described.protocol_data), ("test", "range"));
    assert_eq!(heartbeat(&mut connection, "g", (&member_id, generation + 1)).await, ErrorCode::ILLEGAL_GENERATION);
}

#[tokio::test]
async fn offsets_of_a_deleted_topic_are_gone_for_good_and_all_are_with_their_topic() {
    let folder = Folder::new("deleted");
    let (broker, mut connection) = folder.start().await;
    for delete in ["t", TOPIC] {
        connection.create_topic("t", 1, &[]).await;
        assert_eq!(commit(&mut connection, "g", 7).await, ErrorCode::NONE);
        let request = DeleteTopicsRequest { topic_names: vec![delete.into()], ..Default::default() };
        assert_eq!(connection.ask(5, &request).await.responses[0].error_code, 0);
        assert_eq!(committed(&mut connection, "g").await.0, -1);
    }
    assert_eq!(commit(&mut connection, "g", 8).await, ErrorCode::NONE);
    broker.stop().await;
    let (_broker, mut connection) = folder.start().await;
    assert_eq!(committed(&mut connection, "g").await, noted(8));
}
