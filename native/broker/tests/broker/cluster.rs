//! Clusters of several nodes in this process: copies, leaders that die and come back, coordinators that move.

use std::time::Duration;

use bytes::Bytes;
use dohle_broker::{Broker, BrokerOptions};
use dohle_protocol::{
    ErrorCode,
    messages::{
        AlterPartitionReassignmentsRequest, DeleteTopicsRequest, DescribeConfigsRequest, ElectLeadersRequest,
        FindCoordinatorRequest, IncrementalAlterConfigsRequest, ListPartitionReassignmentsRequest, MetadataRequest,
        MetadataResponse, OffsetCommitRequest, OffsetFetchRequest, OffsetForLeaderEpochRequest, ProduceResponse,
        alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic},
        delete_topics_request::DeleteTopicState,
        describe_configs_request::DescribeConfigsResource,
        elect_leaders_request::TopicPartitions,
        incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
        metadata_response::MetadataResponsePartition,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch_request::OffsetFetchRequestGroup,
        offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic},
    },
};

use crate::support::*;

mod bad_disk;
mod on_disk;
mod transactions;

/// Three nodes whose controller finds the dead soon.
async fn three(properties: &[(&str, &str)]) -> Broker {
    Broker::start_default(options(properties)).await.unwrap()
}

fn options(properties: &[(&str, &str)]) -> BrokerOptions {
    let mut options = BrokerOptions::new().with_nodes(3);
    let quick = [
        // The records of these tests are of long ago.
        ("log.retention.ms", "-1"),
        ("broker.heartbeat.interval.ms", "50"),
        ("broker.session.timeout.ms", "500"),
        ("replica.lag.time.max.ms", "500"),
    ];
    for (name, value) in quick.iter().chain(properties) {
        options.set(name, value).unwrap();
    }
    options
}

async fn to(broker: &Broker, node: i32) -> Connection {
    let nodes = broker.cluster().nodes();
    Connection::at(nodes.iter().find(|of| of.id == node).unwrap().address).await
}

async fn to_leader(broker: &Broker, partition: i32) -> Connection {
    to(broker, broker.cluster().leader("t", partition).unwrap()).await
}

/// Waits until something is so.
async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    for _ in 0..6000 {
        if is().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

async fn metadata(connection: &mut Connection) -> MetadataResponse {
    connection.ask(12, &MetadataRequest { topics: None, ..Default::default() }).await
}

async fn partition(connection: &mut Connection, index: usize) -> MetadataResponsePartition {
    let mut answer = metadata(connection).await;
    let topic = answer.topics.iter_mut().find(|topic| topic.name.as_deref() == Some("t")).unwrap();
    topic.partitions.remove(index)
}

/// All that a node has of a partition, committed.
async fn all(broker: &Broker, node: i32, partition: i32) -> Vec<String> {
    let mut connection = to(broker, node).await;
    let (mut values, mut offset) = (Vec::new(), 0);
    loop {
        let part = connection.fetch("t", partition, offset).await;
        assert_eq!(ErrorCode(part.error_code), ErrorCode::NONE, "node {node}, offset {offset} {part:?}");
        let found = read(part.records);
        let Some((last, ..)) = found.last() else { return values };
        offset = last + 1;
        values.extend(found.into_iter().map(|(_, _, value)| value));
    }
}

async fn all_have(broker: &Broker, nodes: &[i32], partition: i32, values: &[&str]) {
    for node in nodes {
        until("a copy has all", async || all(broker, *node, partition).await == values).await;
    }
}

async fn produce(connection: &mut Connection, partition: i32, acks: i16, records: Bytes) -> ErrorCode {
    let request = dohle_protocol::messages::ProduceRequest { acks, ..produce_request("t", partition, records) };
    let mut answer: ProduceResponse = connection.ask(12, &request).await;
    ErrorCode(answer.responses.remove(0).partition_responses.remove(0).error_code)
}

async fn in_sync(broker: &Broker, nodes: &[i32]) {
    until("these are in sync", async || broker.cluster().in_sync("t", 0).unwrap().0 == nodes).await;
}

#[tokio::test]
async fn each_node_listens_leads_its_share_and_says_who_leads_the_rest() {
    let broker = three(&[]).await;
    let mut one = to(&broker, 1).await;
    one.create_topic("t", 3, &[]).await;
    let answer = metadata(&mut one).await;
    let mut ports: Vec<i32> = answer.brokers.iter().map(|of| of.port).collect();
    ports.dedup();
    assert_eq!((answer.brokers.iter().map(|of| of.node_id).collect::<Vec<_>>(), ports.len()), (vec![1, 2, 3], 3));
    let topic = answer.topics.iter().find(|topic| topic.name.as_deref() == Some("t")).unwrap();
    let mut leaders: Vec<i32> = topic.partitions.iter().map(|of| of.leader_id).collect();
    leaders.sort_unstable();
    assert_eq!(leaders, [1, 2, 3]);
    for of in &topic.partitions {
        assert_eq!((of.replica_nodes.len(), of.isr_nodes.len(), of.offline_replicas.len()), (3, 3, 0));
    }
    let elsewhere = topic.partitions.iter().find(|of| of.leader_id != 1).unwrap();
    let mut refused = one.ask(12, &produce_request("t", elsewhere.partition_index, batch(["a"]))).await;
    let part = refused.responses.remove(0).partition_responses.remove(0);
    assert_eq!(ErrorCode(part.error_code), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(part.current_leader.leader_id, elsewhere.leader_id);
    assert_eq!(refused.node_endpoints.len(), 3);
    // Versions before 11 know of no reading from followers.
    let part = one.ask(10, &fetch_request("t", elsewhere.partition_index, 0)).await.part();
    assert_eq!(ErrorCode(part.error_code), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    broker.stop().await;
}

#[tokio::test]
async fn what_is_acknowledged_is_on_all_copies_in_sync_and_survives_its_leader() {
    let broker = three(&[]).await;
    to(&broker, 1).await.create_topic("t", 1, &[]).await;
    let leader = broker.cluster().leader("t", 0).unwrap();
    let mut connection = to(&broker, leader).await;
    for n in 0..20 {
        assert_eq!(produce(&mut connection, 0, -1, batch([n])).await, ErrorCode::NONE);
    }
    let values: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    all_have(&broker, &[1, 2, 3], 0, &values).await;
    broker.cluster().kill_node(leader).unwrap();
    let others: Vec<i32> = (1..=3).filter(|node| *node != leader).collect();
    let mut other = to(&broker, others[0]).await;
    until("another leads", async || broker.cluster().leader("t", 0) != Some(leader)).await;
    let now = partition(&mut other, 0).await;
    assert!(now.leader_epoch > 0 && now.offline_replicas == [leader], "{now:?}");
    until("clients are not told of it", async || metadata(&mut other).await.brokers.len() == 2).await;
    assert_eq!(all(&broker, now.leader_id, 0).await, values);
    assert_eq!(produce(&mut to_leader(&broker, 0).await, 0, -1, batch(["later"])).await, ErrorCode::NONE);
    broker.start_node(leader).await.unwrap();
    until("all are in sync", async || broker.cluster().in_sync("t", 0).unwrap().0.len() == 3).await;
    all_have(&broker, &[1, 2, 3], 0, &[&values[..], &["later"]].concat()).await;
    broker.stop().await;
}

#[tokio::test]
async fn a_leader_that_comes_back_loses_what_was_never_committed() {
    let broker = three(&[]).await;
    to(&broker, 1).await.create_topic("t", 1, &[]).await;
    let cluster = broker.cluster();
    let leader = cluster.leader("t", 0).unwrap();
    let mut connection = to(&broker, leader).await;
    assert_eq!(produce(&mut connection, 0, -1, batch(["both"])).await, ErrorCode::NONE);
    let others: Vec<i32> = (1..=3).filter(|node| *node != leader).collect();
    let ends = || cluster.copies("t", 0).into_iter().map(|of| (of.node, of.high_watermark, of.end_offset));
    until("all know what is committed", async || ends().eq((1..=3).map(|node| (node, 1, 1)))).await;
    others.iter().for_each(|other| cluster.cut(leader, *other).unwrap());
    assert_eq!(produce(&mut connection, 0, 1, batch(["lost", "too"])).await, ErrorCode::NONE, "acks 1");
    let part = connection.fetch("t", 0, 1).await;
    assert_eq!((part.high_watermark, read(part.records)), (1, vec![]), "nobody reads what is not committed");
    assert!(ends().eq((1..=3).map(|node| (node, 1, if node == leader { 3 } else { 1 }))));
    cluster.kill_node(leader).unwrap();
    until("another leads", async || cluster.leader("t", 0).is_some_and(|of| of != leader)).await;
    let mut new = to_leader(&broker, 0).await;
    assert_eq!(produce(&mut new, 0, -1, batch(["kept"])).await, ErrorCode::NONE);
    others.iter().for_each(|other| cluster.heal(leader, *other).unwrap());
    broker.start_node(leader).await.unwrap();
    all_have(&broker, &[1, 2, 3], 0, &["both", "kept"]).await;
    until("all know that it is committed", async || ends().eq((1..=3).map(|node| (node, 2, 2)))).await;
    let copies = [1, 2, 3].map(|node| cluster.read_copy(node, "t", 0, 1).unwrap());
    assert!(!copies[0].is_empty() && copies[0] == copies[1] && copies[1] == copies[2]);
    assert_eq!(cluster.read_copy(1, "t", 0, 2), Ok(Bytes::new()));
    assert_eq!(cluster.read_copy(4, "t", 0, 0), Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    // KIP-320: a reader finds out where the logs have parted.
    let asked = OffsetForLeaderPartition { leader_epoch: 0, current_leader_epoch: -1, ..Default::default() };
    let topics = vec![OffsetForLeaderTopic { topic: "t".into(), partitions: vec![asked], ..Default::default() }];
    let end = new.ask(4, &OffsetForLeaderEpochRequest { replica_id: -1, topics, ..Default::default() }).await;
    assert_eq!((end.topics[0].partitions[0].leader_epoch, end.topics[0].partitions[0].end_offset), (0, 1));
    in_sync(&broker, &cluster.in_sync("t", 0).unwrap().1).await;
    cluster.move_leader("t", 0, leader).unwrap();
    assert_eq!(all(&broker, leader, 0).await, ["both", "kept"]);
    broker.stop().await;
}

#[tokio::test]
async fn copies_that_are_behind_leave_those_in_sync_and_too_few_take_nothing() {
    let broker = three(&[]).await;
    to(&broker, 1).await.create_topic("t", 1, &[("min.insync.replicas", "2")]).await;
    let cluster = broker.cluster();
    let leader = cluster.leader("t", 0).unwrap();
    let others: Vec<i32> = (1..=3).filter(|node| *node != leader).collect();
    let mut connection = to(&broker, leader).await;
    cluster.cut(leader, others[0]).unwrap();
    assert_eq!(produce(&mut connection, 0, 1, batch(["one"])).await, ErrorCode::NONE);
    until("one is behind", async || cluster.in_sync("t", 0).unwrap().0.len() == 2).await;
    assert_eq!(produce(&mut connection, 0, -1, batch(["two"])).await, ErrorCode::NONE);
    cluster.cut(leader, others[1]).unwrap();
    assert_eq!(produce(&mut connection, 0, 1, batch(["three"])).await, ErrorCode::NONE);
    until("both are behind", async || cluster.in_sync("t", 0).unwrap().0 == [leader]).await;
    assert_eq!(produce(&mut connection, 0, -1, batch(["four"])).await, ErrorCode::NOT_ENOUGH_REPLICAS);
    others.iter().for_each(|other| cluster.heal(*other, leader).unwrap());
    until("all are in sync", async || cluster.in_sync("t", 0).unwrap().0.len() == 3).await;
    assert_eq!(produce(&mut connection, 0, -1, batch(["four"])).await, ErrorCode::NONE);
    all_have(&broker, &[1, 2, 3], 0, &["one", "two", "three", "four"]).await;
    broker.stop().await;
}

#[tokio::test]
async fn only_an_unclean_election_makes_a_leader_of_one_that_is_behind() {
    let broker = three(&[]).await;
    to(&broker, 1).await.create_topic("t", 1, &[]).await;
    let cluster = broker.cluster();
    let leader = cluster.leader("t", 0).unwrap();
    let others: Vec<i32> = (1..=3).filter(|node| *node != leader).collect();
    others.iter().for_each(|other| cluster.cut(leader, *other).unwrap());
    let mut connection = to(&broker, leader).await;
    assert_eq!(produce(&mut connection, 0, 1, batch(["lost"])).await, ErrorCode::NONE);
    in_sync(&broker, &[leader]).await;
    cluster.kill_node(leader).unwrap();
    let mut other = to(&broker, others[0]).await;
    until("nobody leads", async || cluster.leader("t", 0).is_none()).await;
    let leaderless = partition(&mut other, 0).await;
    assert_eq!(ErrorCode(leaderless.error_code), ErrorCode::LEADER_NOT_AVAILABLE);
    assert_eq!((leaderless.leader_id, leaderless.isr_nodes), (-1, vec![leader]), "it is waited for");
    let asked = TopicPartitions { topic: "t".into(), partitions: vec![0], ..Default::default() };
    let unclean = ElectLeadersRequest { election_type: 1, topic_partitions: Some(vec![asked]), ..Default::default() };
    let elected = other.ask(2, &unclean).await;
    assert_eq!(elected.replica_election_results[0].partition_result[0].error_code, 0);
    let now = cluster.leader("t", 0).unwrap();
    assert_ne!(now, leader);
    assert_eq!(produce(&mut to(&broker, now).await, 0, -1, batch(["kept"])).await, ErrorCode::NONE);
    others.iter().for_each(|other| cluster.heal(leader, *other).unwrap());
    broker.start_node(leader).await.unwrap();
    all_have(&broker, &[1, 2, 3], 0, &["kept"]).await;
    broker.stop().await;
}

#[tokio::test]
async fn a_node_that_stops_hands_over_and_one_more_can_be_added() {
    let broker = three(&[]).await;
    to(&broker, 1).await.create_topic("t", 3, &[]).await;
    let cluster = broker.cluster();
    cluster.stop_node(2).await.unwrap();
    assert!((0..3).all(|index| cluster.leader("t", index).is_some_and(|of| of != 2)), "at once");
    assert!(cluster.stop_node(2).await.is_err() && broker.start_node(1).await.is_err());
    broker.start_node(4).await.unwrap();
    let mut one = to(&broker, 1).await;
    assert_eq!(metadata(&mut one).await.brokers.iter().map(|of| of.node_id).collect::<Vec<_>>(), [1, 3, 4]);
    for value in ["a", "b"] {
        assert_eq!(produce(&mut to_leader(&broker, 0).await, 0, -1, batch([value])).await, ErrorCode::NONE);
    }
    // The partition moves to the new node, with all that it has.
    let moved = ReassignablePartition { partition_index: 0, replicas: Some(vec![4, 3]), ..Default::default() };
    let topics = vec![ReassignableTopic { name: "t".into(), partitions: vec![moved], ..Default::default() }];
    let request = AlterPartitionReassignmentsRequest { topics, ..Default::default() };
    let answer = one.ask(1, &request).await;
    assert_eq!(ErrorCode(answer.responses[0].partitions[0].error_code), ErrorCode::NONE, "{answer:?}");
    until("it has moved", async || cluster.in_sync("t", 0).unwrap().1 == [4, 3]).await;
    let none = one.ask(0, &ListPartitionReassignmentsRequest { topics: None, ..Default::default() }).await;
    assert_eq!(none.topics.len(), 0);
    until("its leader is one of them", async || matches!(cluster.leader("t", 0), Some(3 | 4))).await;
    all_have(&broker, &[3, 4], 0, &["a", "b"]).await;
    let preferred = TopicPartitions { topic: "t".into(), partitions: vec![0], ..Default::default() };
    let request = ElectLeadersRequest { topic_partitions: Some(vec![preferred]), ..Default::default() };
    let mut code = ErrorCode::NONE;
    until("the first one can lead", async || {
        let answer = one.ask(2, &request).await;
        code = ErrorCode(answer.replica_election_results[0].partition_result[0].error_code);
        matches!(code, ErrorCode::NONE | ErrorCode::ELECTION_NOT_NEEDED)
    })
    .await;
    assert_eq!(cluster.leader("t", 0), Some(4));
    broker.start_node(2).await.unwrap();
    until("all four are there", async || metadata(&mut one).await.brokers.len() == 4).await;
    broker.stop().await;
}

async fn coordinator(broker: &Broker, asked: i32, key: &str, key_type: i8) -> i32 {
    let mut connection = to(broker, asked).await;
    let request = FindCoordinatorRequest { coordinator_keys: vec![key.into()], key_type, ..Default::default() };
    let mut found = -1;
    until("there is a coordinator", async || {
        let answer = connection.ask(5, &request).await;
        found = answer.coordinators[0].node_id;
        answer.coordinators[0].error_code == 0
    })
    .await;
    found
}

#[tokio::test]
async fn a_group_is_coordinated_elsewhere_with_all_its_offsets_when_its_coordinator_dies() {
    let broker = three(&[]).await;
    to(&broker, 1).await.create_topic("t", 1, &[]).await;
    let first = coordinator(&broker, 1, "g", 0).await;
    let partition = OffsetCommitRequestPartition { committed_offset: 7, ..Default::default() };
    let topic = OffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
    let commit = OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    let mut connection = to(&broker, first).await;
    until("it is committed", async || {
        let answer = connection.ask(9, &commit).await;
        answer.topics[0].partitions[0].error_code == 0
    })
    .await;
    let elsewhere = (1..=3).find(|node| *node != first).unwrap();
    let refused = to(&broker, elsewhere).await.ask(9, &commit).await;
    assert_eq!(ErrorCode(refused.topics[0].partitions[0].error_code), ErrorCode::NOT_COORDINATOR);
    broker.cluster().kill_node(first).unwrap();
    let group = OffsetFetchRequestGroup { group_id: "g".into(), topics: None, ..Default::default() };
    let fetch = OffsetFetchRequest { groups: vec![group], ..Default::default() };
    until("another one has them", async || {
        let now = coordinator(&broker, elsewhere, "g", 0).await;
        if now == first {
            return false;
        }
        let answer = to(&broker, now).await.ask(9, &fetch).await;
        let found = &answer.groups[0];
        found.error_code == 0 && found.topics[0].partitions[0].committed_offset == 7
    })
    .await;
    broker.stop().await;
}

#[tokio::test]
async fn a_consumer_is_sent_to_the_copy_in_its_own_rack() {
    let mut options = BrokerOptions::new().with_nodes(3).with_racks(["a", "b", "c"].map(String::from));
    options.set("replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector").unwrap();
    let broker = Broker::start_default(options).await.unwrap();
    to(&broker, 1).await.create_topic("t", 1, &[]).await;
    let leader = broker.cluster().leader("t", 0).unwrap();
    let mut connection = to(&broker, leader).await;
    assert_eq!(metadata(&mut connection).await.brokers[1].rack.as_deref(), Some("b"));
    assert_eq!(produce(&mut connection, 0, -1, batch(["a"])).await, ErrorCode::NONE);
    let near = (1..=3).find(|node| *node != leader).unwrap();
    let rack_id = ["a", "b", "c"][near as usize - 1].to_string();
    let asked = dohle_protocol::messages::FetchRequest { rack_id, max_wait_ms: 60_000, ..fetch_request("t", 0, 0) };
    let part = connection.ask(12, &asked).await.part();
    assert_eq!((part.preferred_read_replica, part.records.map_or(0, |bytes| bytes.len())), (near, 0));
    // In a session too, each time.
    let mut session = dohle_protocol::messages::FetchRequest { session_epoch: 0, ..asked.clone() };
    for epoch in 1..3 {
        let answer = connection.ask(12, &session).await;
        session = dohle_protocol::messages::FetchRequest {
            session_id: answer.session_id,
            session_epoch: epoch,
            topics: Vec::new(),
            ..asked.clone()
        };
        assert_eq!(answer.part().preferred_read_replica, near);
    }
    let part = to(&broker, near).await.ask(12, &asked).await.part();
    assert_eq!((part.preferred_read_replica, offsets(part.records)), (-1, vec![0]));
    broker.stop().await;
}

#[tokio::test]
async fn a_topic_that_is_deleted_keeps_nobody_waiting() {
    let broker = three(&[("replica.lag.time.max.ms", "600000")]).await;
    to(&broker, 1).await.create_topic("t", 1, &[]).await;
    let leader = broker.cluster().leader("t", 0).unwrap();
    let other = (1..=3).find(|node| *node != leader).unwrap();
    broker.cluster().cut(leader, other).unwrap();
    let mut producer = to(&broker, leader).await;
    let request = dohle_protocol::messages::ProduceRequest {
        timeout_ms: 600_000,
        ..produce_request("t", 0, batch(["waits for a copy"]))
    };
    producer.send(12, &request).await;
    until("it is written", async || {
        let mut connection = to(&broker, leader).await;
        connection.offset_at("t", -1).await == (0, -1) && connection.metadata("t").await.1 == 1
    })
    .await;
    let topics = vec![DeleteTopicState { name: Some("t".into()), ..Default::default() }];
    to(&broker, other).await.ask(6, &DeleteTopicsRequest { topics, ..Default::default() }).await;
    assert!(producer.frame().await.is_some(), "it is answered");
    broker.stop().await;
}

#[tokio::test]
async fn what_is_set_is_set_on_a_node_that_comes_back_or_comes() {
    let broker = three(&[]).await;
    let mut one = to(&broker, 1).await;
    one.create_topic("t", 1, &[]).await;
    let config =
        AlterableConfig { name: "log.retention.ms".into(), value: Some("123456".into()), ..Default::default() };
    let resources = vec![AlterConfigsResource { resource_type: 4, configs: vec![config], ..Default::default() }];
    let changed = one.ask(1, &IncrementalAlterConfigsRequest { resources, ..Default::default() }).await;
    assert_eq!(changed.responses[0].error_code, 0);
    broker.cluster().kill_node(2).unwrap();
    broker.start_node(2).await.unwrap();
    broker.start_node(4).await.unwrap();
    for node in [1, 2, 4] {
        let asked = DescribeConfigsResource { resource_type: 4, resource_name: node.to_string(), ..Default::default() };
        let request = DescribeConfigsRequest { resources: vec![asked], ..Default::default() };
        let told = to(&broker, node).await.ask(4, &request).await.results.remove(0);
        let of = told.configs.iter().find(|config| config.name == "log.retention.ms").unwrap();
        assert_eq!(of.value.as_deref(), Some("123456"), "node {node}");
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_broker_of_one_node_stays_that() {
    let broker = Broker::start_default(BrokerOptions::new()).await.unwrap();
    assert!(broker.start_node(2).await.is_err());
    assert!(broker.cluster().kill_node(1).is_err() && broker.cluster().stop_node(1).await.is_err());
    assert!(broker.cluster().cut(1, 2).is_err() && broker.cluster().heal(1, 2).is_err());
    broker.stop().await;
}

#[tokio::test]
async fn nodes_that_are_none_are_refused() {
    let broker = three(&[]).await;
    to(&broker, 1).await.create_topic("t", 1, &[]).await;
    let cluster = broker.cluster();
    assert!(cluster.cut(1, 1).is_err() && cluster.cut(1, 99).is_err() && cluster.heal(99, 1).is_err());
    let told = cluster.move_leader("t", 0, 99).unwrap_err().to_string();
    assert!(told.contains("no node 99"), "{told}");
    let told = broker.start_node(0).await.unwrap_err().to_string();
    assert!(told.contains("before the id of the first node"), "{told}");
    broker.stop().await;
}

#[tokio::test]
async fn a_cluster_must_be_one() {
    let mut large = BrokerOptions::new().with_nodes(3);
    large.node_id = i32::MAX - 1;
    assert!(Broker::start_default(large).await.err().unwrap().to_string().contains("node_id"));
    let high = BrokerOptions::new().with_nodes(3).with_address("127.0.0.1", 65_534);
    assert!(Broker::start_default(high).await.err().unwrap().to_string().contains("port"));
    for nodes in [0, -1, 101] {
        assert!(Broker::start_default(BrokerOptions::new().with_nodes(nodes)).await.is_err());
    }
}
