//! A broker with a log folder, as clients see it: what is there after it was stopped, or just ended, and whose the folder is.

use std::path::{Path, PathBuf};

use dohle_broker::{Broker, BrokerError, BrokerOptions, LogDirError};
use dohle_protocol::{
    ErrorCode,
    messages::{
        CreatePartitionsRequest, DeleteRecordsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
        DescribeLogDirsRequest, InitProducerIdRequest,
        create_partitions_request::CreatePartitionsTopic,
        delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
        describe_configs_request::DescribeConfigsResource,
    },
};

use crate::support::*;

/// A folder that goes with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dohle-disk-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    pub fn options(&self) -> BrokerOptions {
        BrokerOptions::new().with_log_dir(&self.0)
    }

    pub async fn start(&self) -> (Broker, Connection) {
        let broker = Broker::start_default(self.options()).await.unwrap();
        let connection = Connection::to(&broker).await;
        (broker, connection)
    }

    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn values(connection: &mut Connection, topic: &str, partition: i32) -> Vec<String> {
    read(connection.fetch(topic, partition, 0).await.records).into_iter().map(|(.., value)| value).collect()
}

#[tokio::test]
async fn topics_and_records_are_there_after_a_stop_and_after_an_end_without_one() {
    let folder = Folder::new("restart");
    let (broker, mut connection) = folder.start().await;
    let cluster_id = broker.cluster_id().to_string();
    let id = connection.create_topic("t", 2, &[("retention.ms", "-1"), ("segment.bytes", "2000000")]).await;
    connection.create_topic("gone", 1, &[]).await;
    for n in 0..10 {
        assert_eq!(connection.produce("t", n % 2, batch([format!("value {n}")])).await.error_code, 0);
    }
    let grow = CreatePartitionsTopic { name: "t".into(), count: 3, assignments: None, ..Default::default() };
    let grow = CreatePartitionsRequest { topics: vec![grow], timeout_ms: 1000, ..Default::default() };
    assert_eq!(connection.ask(3, &grow).await.results[0].error_code, 0);
    let delete = DeleteTopicsRequest { topic_names: vec!["gone".into()], ..Default::default() };
    assert_eq!(connection.ask(5, &delete).await.responses[0].error_code, 0);
    let partitions = vec![DeleteRecordsPartition { partition_index: 1, offset: 2, ..Default::default() }];
    let records = DeleteRecordsTopic { name: "t".into(), partitions, ..Default::default() };
    let records = DeleteRecordsRequest { topics: vec![records], ..Default::default() };
    assert_eq!(connection.ask(2, &records).await.topics[0].partitions[0].error_code, 0);
    assert!(folder.names().iter().all(|name| !name.starts_with("gone")), "{:?}", folder.names());

    for stopped in [true, false, true] {
        if stopped {
            broker.stop().await;
            assert!(folder.0.join(".kafka_cleanshutdown").exists());
        } else {
            // What a process that is killed leaves.
            std::fs::remove_file(folder.0.join(".kafka_cleanshutdown")).unwrap();
        }
        let (broker, mut connection) = folder.start().await;
        assert!(!folder.0.join(".kafka_cleanshutdown").exists());
        assert_eq!(broker.cluster_id(), cluster_id);
        assert_eq!(connection.metadata("t").await.1, 3);
        assert_eq!(values(&mut connection, "t", 0).await, ["value 0", "value 2", "value 4", "value 6", "value 8"]);
        assert_eq!(connection.fetch("t", 1, 0).await.error_code, ErrorCode::OFFSET_OUT_OF_RANGE.0);
        assert_eq!(offsets(connection.fetch("t", 1, 2).await.records), [2, 3, 4]);
        assert_eq!(offsets(connection.fetch("t", 2, 0).await.records), [0_i64; 0]);
        let resource = DescribeConfigsResource {
            resource_type: 2,
            resource_name: "t".into(),
            configuration_keys: Some(vec!["retention.ms".into(), "segment.bytes".into()]),
            ..Default::default()
        };
        let configs = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
        let told = connection.ask(4, &configs).await.results.remove(0).configs;
        let told: Vec<_> = told.into_iter().map(|config| (config.name, config.value.unwrap())).collect();
        assert_eq!(told, [("retention.ms".into(), "-1".into()), ("segment.bytes".into(), "2000000".to_string())]);
        let again = connection.create_topic("gone", 1, &[]).await;
        assert_ne!(again, id);
        let delete = DeleteTopicsRequest { topic_names: vec!["gone".into()], ..Default::default() };
        assert_eq!(connection.ask(5, &delete).await.responses[0].error_code, 0);
        broker.stop().await;
    }
}

#[tokio::test]
async fn a_sequence_goes_on_after_a_restart_and_no_producer_id_comes_twice() {
    let folder = Folder::new("producers");
    let (broker, mut connection) = folder.start().await;
    // The records' times are of long ago.
    connection.create_topic("t", 1, &[("retention.ms", "-1")]).await;
    let ask =
        InitProducerIdRequest { transactional_id: None, producer_id: -1, producer_epoch: -1, ..Default::default() };
    let id = connection.ask(4, &ask).await.producer_id;
    assert!(id >= 0);
    let stamped = |sequence: i32| Records { stamp: (id, 0, sequence), ..Records::new(["v"]) }.build();
    for sequence in 0..3 {
        assert_eq!(connection.produce("t", 0, stamped(sequence)).await.base_offset, i64::from(sequence));
    }
    broker.stop().await;
    assert!(folder.0.join(".kafka_cleanshutdown").exists());
    let (_broker, mut connection) = folder.start().await;
    assert_eq!(connection.produce("t", 0, stamped(2)).await.base_offset, 2, "it is here already");
    let gap = connection.produce("t", 0, stamped(4)).await.error_code;
    assert_eq!(ErrorCode(gap), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(connection.produce("t", 0, stamped(3)).await.base_offset, 3);
    assert!(connection.ask(4, &ask).await.producer_id > id);
}

#[tokio::test]
async fn a_folder_is_one_brokers_at_a_time_and_of_one_cluster_and_node() {
    let folder = Folder::new("identity");
    let (broker, mut connection) = folder.start().await;
    let why = |options: BrokerOptions| async move {
        match Broker::start_default(options).await {
            Err(BrokerError::LogDir { source, .. }) => source,
            other => panic!("{:?}", other.map(|broker| broker.address())),
        }
    };
    assert!(matches!(why(folder.options()).await, LogDirError::InUse));
    let described = connection.ask(4, &DescribeLogDirsRequest { topics: None, ..Default::default() }).await;
    assert_eq!(Path::new(&described.results[0].log_dir), folder.0);
    assert!(!cfg!(unix) || described.results[0].usable_bytes > 0);
    let cluster_id = broker.cluster_id().to_string();
    broker.stop().await;
    drop((broker, connection));
    let (mut other, mut node) = (folder.options(), folder.options());
    (other.cluster_id, node.node_id) = (Some("other".into()), 5);
    let told = why(other).await;
    assert!(matches!(&told, LogDirError::OtherCluster { found, .. } if *found == cluster_id), "{told}");
    let told = why(node).await;
    assert!(matches!(told, LogDirError::OtherNode { found: 1, given: 5 }), "{told}");
    assert!(folder.0.join(".kafka_cleanshutdown").exists(), "who may not have it leaves it as it is");
    std::fs::write(folder.0.join("meta.properties"), "version=0\n").unwrap();
    assert!(matches!(why(folder.options()).await, LogDirError::Damaged(_)));
}
