//! Clusters with a log folder: what nodes that were stopped, killed or lost have when they come back, and what all have when the
//! whole broker does.

use std::fs;

use dohle_broker::{BrokerError, LogDirError};

use super::*;
use crate::disk::Folder;

async fn start(folder: &Folder) -> Broker {
    Broker::start_default(options(&[]).with_log_dir(&folder.0)).await.unwrap()
}

/// Sends records to who leads now, one by one, until each is acknowledged.
pub async fn send(broker: &Broker, values: std::ops::Range<i32>) {
    for value in values {
        until("a record is acknowledged", async || {
            let Some(leader) = broker.cluster().leader("t", 0) else { return false };
            if !broker.cluster().nodes().iter().any(|node| node.id == leader && node.running) {
                return false;
            }
            produce(&mut to(broker, leader).await, 0, -1, batch([value])).await == ErrorCode::NONE
        })
        .await;
    }
}

fn texts(values: std::ops::Range<i32>) -> Vec<String> {
    values.map(|value| value.to_string()).collect()
}

pub async fn have(broker: &Broker, values: std::ops::Range<i32>) {
    let texts = texts(values);
    all_have(broker, &[1, 2, 3], 0, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

fn meta(folder: &Folder, node: i32) -> String {
    fs::read_to_string(folder.0.join(format!("node-{node}/meta.properties"))).unwrap()
}

#[tokio::test]
async fn a_cluster_has_all_again_after_a_stop_and_after_an_end_without_one() {
    let folder = Folder::new("cluster");
    let broker = start(&folder).await;
    let cluster_id = broker.cluster_id().to_string();
    let id = to(&broker, 1).await.create_topic("t", 3, &[("min.insync.replicas", "2")]).await;
    send(&broker, 0..10).await;
    let leaders = |broker: &Broker| [0, 1, 2].map(|partition| broker.cluster().leader("t", partition));
    let before = leaders(&broker);
    broker.stop().await;
    assert_eq!(folder.names(), [".lock", "__cluster_metadata-0", "meta.properties", "node-1", "node-2", "node-3"]);
    for node in 1..=3 {
        assert!(meta(&folder, node).contains(&format!("node.id={node}\n")), "{}", meta(&folder, node));
        assert!(meta(&folder, node).contains(&format!("cluster.id={cluster_id}\n")));
        assert!(folder.0.join(format!("node-{node}/t-0/00000000000000000000.log")).metadata().unwrap().len() > 0);
        assert!(folder.0.join(format!("node-{node}/.kafka_cleanshutdown")).exists());
    }

    let broker = start(&folder).await;
    assert_eq!((broker.cluster_id(), leaders(&broker)), (&*cluster_id, before), "nobody has taken over from another");
    let answer = metadata(&mut to(&broker, 2).await).await;
    assert_eq!(answer.topics.iter().find(|topic| topic.name.as_deref() == Some("t")).unwrap().topic_id, id);
    in_sync(&broker, &broker.cluster().in_sync("t", 0).unwrap().1).await;
    send(&broker, 10..20).await;
    drop(broker);

    // The one before lets go of the folder when its tasks have ended.
    let mut found = None;
    until("the folder is free", async || {
        found = Broker::start_default(options(&[]).with_log_dir(&folder.0)).await.ok();
        found.is_some()
    })
    .await;
    let broker = found.unwrap();
    have(&broker, 0..20).await;
    send(&broker, 20..21).await;
    broker.stop().await;
}

#[tokio::test]
async fn a_node_that_was_killed_comes_back_with_its_files_and_gets_what_it_has_missed() {
    let folder = Folder::new("cluster-kill");
    let broker = start(&folder).await;
    to(&broker, 1).await.create_topic("t", 1, &[]).await;
    let replicas = broker.cluster().in_sync("t", 0).unwrap().1;
    let mut sent = 0;
    for node in [replicas[0], replicas[1], replicas[0]] {
        send(&broker, sent..sent + 5).await;
        broker.cluster().kill_node(node).unwrap();
        send(&broker, sent + 5..sent + 10).await;
        sent += 10;
        broker.start_node(node).await.unwrap();
        in_sync(&broker, &replicas).await;
        have(&broker, 0..sent).await;
    }
    // One that is stopped is found as it was left.
    broker.cluster().stop_node(replicas[2]).await.unwrap();
    assert!(folder.0.join(format!("node-{}/.kafka_cleanshutdown", replicas[2])).exists());
    broker.start_node(replicas[2]).await.unwrap();
    in_sync(&broker, &replicas).await;
    broker.stop().await;
}

#[tokio::test]
async fn what_only_a_killed_leader_had_is_cut_from_its_files() {
    let folder = Folder::new("cluster-cut");
    let broker = start(&folder).await;
    to(&broker, 1).await.create_topic("t", 1, &[("min.insync.replicas", "2")]).await;
    let replicas = broker.cluster().in_sync("t", 0).unwrap().1;
    send(&broker, 0..3).await;
    for other in &replicas[1..] {
        broker.cluster().cut(replicas[0], *other).unwrap();
    }
    // Acknowledged by nobody but itself.
    let alone = produce(&mut to(&broker, replicas[0]).await, 0, 1, batch(["lost"])).await;
    assert_eq!(alone, ErrorCode::NONE);
    broker.cluster().kill_node(replicas[0]).unwrap();
    send(&broker, 3..6).await;
    for other in &replicas[1..] {
        broker.cluster().heal(replicas[0], *other).unwrap();
    }
    broker.start_node(replicas[0]).await.unwrap();
    in_sync(&broker, &replicas).await;
    have(&broker, 0..6).await;
    broker.stop().await;
    let broker = start(&folder).await;
    have(&broker, 0..6).await;
    broker.stop().await;
}

#[tokio::test]
async fn a_node_that_has_lost_its_folder_takes_all_from_the_others() {
    let folder = Folder::new("cluster-lost");
    let broker = start(&folder).await;
    to(&broker, 1).await.create_topic("t", 1, &[]).await;
    let replicas = broker.cluster().in_sync("t", 0).unwrap().1;
    send(&broker, 0..10).await;
    broker.cluster().kill_node(replicas[0]).unwrap();
    // While the others run, and while nobody does.
    send(&broker, 10..11).await;
    fs::remove_dir_all(folder.0.join(format!("node-{}", replicas[0]))).unwrap();
    broker.start_node(replicas[0]).await.unwrap();
    in_sync(&broker, &replicas).await;
    have(&broker, 0..11).await;
    broker.cluster().move_leader("t", 0, replicas[0]).unwrap();
    broker.stop().await;
    fs::remove_dir_all(folder.0.join(format!("node-{}", replicas[0]))).unwrap();
    let broker = start(&folder).await;
    in_sync(&broker, &replicas).await;
    assert_ne!(broker.cluster().leader("t", 0), Some(replicas[0]), "it had nothing");
    have(&broker, 0..11).await;
    // Or only of a partition.
    broker.cluster().move_leader("t", 0, replicas[0]).unwrap();
    broker.stop().await;
    fs::remove_dir_all(folder.0.join(format!("node-{}/t-0", replicas[0]))).unwrap();
    let broker = start(&folder).await;
    in_sync(&broker, &replicas).await;
    assert_ne!(broker.cluster().leader("t", 0), Some(replicas[0]), "it had nothing of it");
    have(&broker, 0..11).await;
    // Or only the end of one.
    broker.cluster().move_leader("t", 0, replicas[0]).unwrap();
    broker.stop().await;
    let log = folder.0.join(format!("node-{}/t-0/00000000000000000000.log", replicas[0]));
    let file = fs::OpenOptions::new().write(true).open(&log).unwrap();
    file.set_len(log.metadata().unwrap().len() / 2).unwrap();
    let broker = start(&folder).await;
    in_sync(&broker, &replicas).await;
    assert_ne!(broker.cluster().leader("t", 0), Some(replicas[0]), "it had half of it");
    have(&broker, 0..11).await;
    // Those that were behind have more than one that was not, and has lost all.
    for node in [replicas[0], replicas[1]] {
        broker.cluster().kill_node(node).unwrap();
    }
    send(&broker, 11..12).await;
    broker.stop().await;
    fs::remove_dir_all(folder.0.join(format!("node-{}", replicas[2]))).unwrap();
    let broker = start(&folder).await;
    in_sync(&broker, &replicas).await;
    have(&broker, 0..11).await;
    broker.stop().await;
}

#[tokio::test]
async fn groups_and_settings_of_a_cluster_are_there_again() {
    let folder = Folder::new("cluster-groups");
    let broker = start(&folder).await;
    to(&broker, 1).await.create_topic("t", 1, &[]).await;
    let commit = |offset| OffsetCommitRequest {
        group_id: "g".into(),
        topics: vec![OffsetCommitRequestTopic {
            name: "t".into(),
            partitions: vec![OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() }],
            ..Default::default()
        }],
        ..Default::default()
    };
    commit_offset(&broker, &commit(7)).await;
    let set =
        AlterableConfig { name: "log.retention.bytes".into(), value: Some("12345678".into()), ..Default::default() };
    let of_two =
        AlterConfigsResource { resource_type: 4, resource_name: "2".into(), configs: vec![set], ..Default::default() };
    let altered = to(&broker, 2)
        .await
        .ask(1, &IncrementalAlterConfigsRequest { resources: vec![of_two], ..Default::default() })
        .await;
    assert_eq!(ErrorCode(altered.responses[0].error_code), ErrorCode::NONE);
    broker.stop().await;

    let broker = start(&folder).await;
    let mut connection = to(&broker, coordinator(&broker).await).await;
    let group = OffsetFetchRequestGroup { group_id: "g".into(), topics: None, ..Default::default() };
    let fetched = connection.ask(8, &OffsetFetchRequest { groups: vec![group], ..Default::default() }).await;
    assert_eq!(fetched.groups[0].topics[0].partitions[0].committed_offset, 7);
    let described = DescribeConfigsResource { resource_type: 4, resource_name: "2".into(), ..Default::default() };
    let answer =
        to(&broker, 2).await.ask(4, &DescribeConfigsRequest { resources: vec![described], ..Default::default() }).await;
    let found = answer.results[0].configs.iter().find(|config| config.name == "log.retention.bytes").unwrap();
    assert_eq!(found.value.as_deref(), Some("12345678"));
    broker.stop().await;
}

async fn coordinator(broker: &Broker) -> i32 {
    let mut found = -1;
    until("the group has a coordinator", async || {
        let ask = FindCoordinatorRequest { coordinator_keys: vec!["g".into()], ..Default::default() };
        let answer = to(broker, 1).await.ask(4, &ask).await;
        found = answer.coordinators[0].node_id;
        ErrorCode(answer.coordinators[0].error_code) == ErrorCode::NONE
    })
    .await;
    found
}

async fn commit_offset(broker: &Broker, commit: &OffsetCommitRequest) {
    until("an offset is committed", async || {
        let mut connection = to(broker, coordinator(broker).await).await;
        let answer = connection.ask(8, commit).await;
        ErrorCode(answer.topics[0].partitions[0].error_code) == ErrorCode::NONE
    })
    .await;
}

#[tokio::test]
async fn a_folder_of_one_node_is_not_one_of_several_and_the_other_way_round() {
    let folder = Folder::new("cluster-kind");
    let why = async |options: BrokerOptions| match Broker::start_default(options).await.map(drop) {
        Err(BrokerError::LogDir { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    let (broker, mut connection) = folder.start().await;
    connection.create_topic("t", 1, &[]).await;
    broker.stop().await;
    let told = why(options(&[]).with_log_dir(&folder.0)).await;
    assert!(matches!(&told, LogDirError::OfOne { found } if found == "t-0"), "{told}");

    // Also before it has a topic.
    let empty = Folder::new("cluster-kind-empty");
    empty.start().await.0.stop().await;
    let told = why(options(&[]).with_log_dir(&empty.0)).await;
    assert!(matches!(told, LogDirError::OfOne { .. }), "{told}");

    let several = Folder::new("cluster-kind-several");
    let broker = start(&several).await;
    let told = why(options(&[]).with_log_dir(&several.0)).await;
    assert!(matches!(told, LogDirError::InUse), "{told}");
    broker.stop().await;
    let told = why(several.options()).await;
    assert!(matches!(&told, LogDirError::OfSeveral { found } if found.starts_with("node-")), "{told}");
    // With fewer nodes, the others are missing; they may still come.
    let mut two = options(&[]).with_log_dir(&several.0);
    two.nodes = 2;
    let broker = Broker::start_default(two).await.unwrap();
    broker.start_node(3).await.unwrap();
    broker.stop().await;

    fs::write(several.0.join("node-2/meta.properties"), "version=1\ncluster.id=other\nnode.id=2\n").unwrap();
    let told = why(options(&[]).with_log_dir(&several.0)).await;
    assert!(matches!(&told, LogDirError::OtherCluster { found, .. } if found == "other"), "{told}");
    fs::remove_dir_all(several.0.join("__cluster_metadata-0")).unwrap();
    let told = why(options(&[]).with_log_dir(&several.0)).await;
    assert!(told.to_string().starts_with("__cluster_metadata-0 is missing, though node-1 is there"), "{told}");
}

#[tokio::test]
async fn a_node_whose_folder_could_not_be_opened_starts_when_it_can() {
    let folder = Folder::new("cluster-again");
    let broker = start(&folder).await;
    to(&broker, 1).await.create_topic("t", 1, &[]).await;
    let replicas = broker.cluster().in_sync("t", 0).unwrap().1;
    send(&broker, 0..3).await;
    broker.cluster().kill_node(2).unwrap();
    let (own, aside) = (folder.0.join("node-2/t-0"), folder.0.join("aside"));
    fs::rename(&own, &aside).unwrap();
    fs::write(&own, "no folder").unwrap();
    for _ in 0..2 {
        let told = broker.start_node(2).await.unwrap_err().to_string();
        assert!(told.contains("node-2") && !told.contains("another broker"), "{told}");
    }
    fs::remove_file(&own).unwrap();
    fs::rename(&aside, &own).unwrap();
    broker.start_node(2).await.unwrap();
    in_sync(&broker, &replicas).await;
    have(&broker, 0..3).await;
    broker.stop().await;
    assert!(broker.start_node(2).await.unwrap_err().to_string().contains("stopped"));
}
