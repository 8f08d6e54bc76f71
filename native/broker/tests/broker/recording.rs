//! A session that was recorded, and sent again: to a broker that does the same, and to one that does not.

use std::{path::PathBuf, sync::Arc};

use dohle_broker::{
    Action, Broker, BrokerError, BrokerOptions, BrokerWorld, Rule, TokioWorld, When,
    recording::{Entry, Recording, What, replay, stand_in::StandIn},
};
use dohle_protocol::{
    ApiKey, ErrorCode,
    messages::{
        AddPartitionsToTxnRequest, EndTxnRequest, FetchRequest, HeartbeatRequest, InitProducerIdRequest,
        ProduceRequest, add_partitions_to_txn_request::AddPartitionsToTxnTopic,
    },
};

use crate::support::*;

/// A file that goes with the test.
struct File(PathBuf);

impl File {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dohle-recording-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        Self(path)
    }

    async fn broker(&self) -> Broker {
        Broker::start_default(BrokerOptions::new().with_record(&self.0)).await.unwrap()
    }

    fn open(&self) -> Recording {
        Recording::open(&*TokioWorld.disk(), &self.0).unwrap()
    }

    fn entries(&self) -> Vec<Entry> {
        let mut recording = self.open();
        std::iter::from_fn(|| recording.next().unwrap()).collect()
    }

    async fn replay(&self, to: &Broker) -> replay::Report {
        replay::replay(&TokioWorld, self.open(), to.address(), 0.0).await.unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Records of an idempotent producer and of a transaction, read by another connection, by topic ids and names.
async fn session(broker: &Broker) {
    let mut writer = Connection::to(broker).await;
    let mut reader = Connection::to(broker).await;
    writer.create_topic("t", 2, &[]).await;
    reader.metadata("t").await;
    for partition in 0..2 {
        writer.produce("t", partition, batch(["one", "two"])).await;
    }
    assert_eq!(offsets(reader.fetch("t", 0, 0).await.records), [0, 1]);
    let init = InitProducerIdRequest {
        transactional_id: Some("tx".into()),
        transaction_timeout_ms: 60_000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    let given = writer.ask(4, &init).await;
    let topic = AddPartitionsToTxnTopic { name: "t".into(), partitions: vec![0], ..Default::default() };
    let add = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: "tx".into(),
        v3_and_below_producer_id: given.producer_id,
        v3_and_below_producer_epoch: given.producer_epoch,
        v3_and_below_topics: vec![topic],
        ..Default::default()
    };
    writer.ask(3, &add).await;
    let mut records = Records::new(["in a transaction"]);
    records.stamp = (given.producer_id, given.producer_epoch, 0);
    records.transactional = true;
    let request = ProduceRequest { transactional_id: Some("tx".into()), ..produce_request("t", 0, records.build()) };
    let written = writer.ask(9, &request).await;
    assert_eq!(written.responses[0].partition_responses[0].error_code, 0);
    let end = EndTxnRequest {
        transactional_id: "tx".into(),
        producer_id: given.producer_id,
        producer_epoch: given.producer_epoch,
        committed: true,
        ..Default::default()
    };
    assert_eq!(writer.ask(3, &end).await.error_code, 0);
    assert_eq!(reader.fetch("t", 0, 2).await.error_code, 0);
    let unknown: FetchRequest = fetch_request("nobody", 0, 0);
    reader.ask(12, &unknown).await;
}

#[tokio::test]
async fn every_frame_is_in_the_file_before_its_answer_is_out() {
    let file = File::new("frames");
    let broker = file.broker().await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 1, &[]).await;
    connection.produce("t", 0, batch(["a"])).await;
    // Not stopped: as after a crash.
    let entries = file.entries();
    let kinds: Vec<_> = entries.iter().map(|entry| std::mem::discriminant(&entry.what)).collect();
    let [opened, asked, answered] = [0, 1, 2].map(|at| kinds[at]);
    assert!(matches!(entries[0].what, What::Opened(_)) && matches!(entries[1].what, What::Request(_)));
    assert_eq!(kinds, [opened, asked, answered, asked, answered]);
    assert!(entries.is_sorted_by_key(|entry| entry.at_us));
    drop(connection);
    broker.stop().await;
    let entries = file.entries();
    assert!(matches!(entries[entries.len() - 2..], [Entry { what: What::Closed, .. }, Entry { what: What::End, .. }]));
}

#[tokio::test]
async fn a_recording_is_not_written_over() {
    let file = File::new("again");
    file.broker().await.stop().await;
    let before = std::fs::read(&file.0).unwrap();
    let again = Broker::start_default(BrokerOptions::new().with_record(&file.0)).await;
    assert!(matches!(again, Err(BrokerError::Record { .. })));
    assert_eq!(std::fs::read(&file.0).unwrap(), before);
}

#[tokio::test]
async fn a_session_replayed_to_a_fresh_broker_has_the_same_answers() {
    let file = File::new("same");
    let recorded = file.broker().await;
    session(&recorded).await;
    recorded.stop().await;
    let fresh = broker().await;
    let report = file.replay(&fresh).await;
    assert_eq!(report.told, []);
    assert_eq!((report.connections, report.left_out, report.torn), (2, 0, false));
    assert_eq!(report.requests, report.compared);
    // It really did it all again, with ids of its own.
    let mut connection = Connection::to(&fresh).await;
    assert_eq!(offsets(connection.fetch("t", 1, 0).await.records), [0, 1]);
    let values: Vec<_> = read(connection.fetch("t", 0, 0).await.records).into_iter().map(|(.., value)| value).collect();
    assert!(values.contains(&"in a transaction".to_string()), "{values:?}");
}

#[tokio::test]
async fn what_several_nodes_were_sent_goes_to_the_nodes_of_the_same_ids() {
    let file = File::new("nodes");
    let three = |record| {
        let mut options = BrokerOptions::new().with_nodes(3);
        options.record = record;
        Broker::start_default(options)
    };
    let recorded = three(Some(file.0.clone())).await.unwrap();
    let nodes = recorded.cluster().nodes();
    Connection::to(&recorded).await.create_topic("t", 6, &[]).await;
    for partition in 0..6 {
        let leader = recorded.cluster().leader("t", partition).unwrap();
        for node in &nodes {
            let mut connection = Connection::at(node.address).await;
            let written = connection.produce("t", partition, batch(["one", "two"])).await;
            assert_eq!(written.error_code != 0, node.id != leader, "{written:?}");
        }
        // A copy may be asked as well.
        let mut connection = Connection::at(nodes[partition as usize % 3].address).await;
        assert_eq!(connection.fetch("t", partition, 0).await.error_code, 0);
    }
    recorded.stop().await;
    let ids: std::collections::BTreeSet<i32> = file
        .entries()
        .into_iter()
        .filter_map(|entry| if let What::Opened(of) = entry.what { Some(of.node) } else { None })
        .collect();
    assert_eq!(ids.into_iter().collect::<Vec<_>>(), nodes.iter().map(|node| node.id).collect::<Vec<_>>());
    let fresh = three(None).await.unwrap();
    let report = file.replay(&fresh).await;
    assert_eq!(report.told, []);
    assert_eq!((report.connections, report.requests), (25, report.compared));
    // One node alone leads what others have refused.
    let alone = broker().await;
    let report = file.replay(&alone).await;
    let told: Vec<&str> = report.told.iter().map(|of| of.what.as_str()).collect();
    assert!(told.iter().any(|what| what.contains("was 6, is 0")), "{told:#?}");
}

#[tokio::test]
async fn what_a_broker_answers_otherwise_is_told() {
    let file = File::new("other");
    let recorded = file.broker().await;
    session(&recorded).await;
    recorded.stop().await;
    // One that already has records, and refuses a transaction's end.
    let other = broker().await;
    let mut connection = Connection::to(&other).await;
    connection.create_topic("t", 2, &[]).await;
    connection.produce("t", 1, batch(["before"])).await;
    let refuse = Action::Error { code: ErrorCode::COORDINATOR_NOT_AVAILABLE.0, when: When::Before };
    other.faults().add(Rule::new(refuse).api(ApiKey::END_TXN.0));
    let report = file.replay(&other).await;
    let told: Vec<String> = report.told.iter().map(|of| format!("{}: {}", of.request, of.what)).collect();
    let has = |what: &str| assert!(told.iter().any(|of| of.contains(what)), "{what}: {told:#?}");
    has("CreateTopics v");
    has("baseOffset: was 0, is 1");
    has("EndTxn v3: errorCode: was 0, is 15");
    assert_eq!(report.differences as usize, told.len());
}

#[tokio::test]
async fn clients_get_from_a_recording_what_was_recorded() {
    let file = File::new("clients");
    let recorded = file.broker().await;
    session(&recorded).await;
    recorded.stop().await;
    let stand_in = StandIn::start(Arc::new(TokioWorld), file.0.clone(), "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let mut client = Connection::at(stand_in.address()).await;
    assert_eq!(client.metadata("t").await, (ErrorCode::NONE, 2));
    assert_eq!(client.metadata("nobody").await.0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let fetched = client.fetch("t", 0, 1).await;
    let values: Vec<_> = read(fetched.records).into_iter().map(|(offset, _, value)| (offset, value)).collect();
    // The whole batch that has the offset, as brokers do, and what was fetched behind it.
    assert_eq!(values[..3], [(0, "one".into()), (1, "two".into()), (2, "in a transaction".into())]);
    // Written, and never fetched.
    assert_eq!(offsets(client.fetch("t", 1, 0).await.records), [0, 1]);
    assert_eq!(client.fetch("t", 1, 77).await.error_code, ErrorCode::OFFSET_OUT_OF_RANGE.0);
    let written = client.produce("t", 1, batch(["again"])).await;
    assert_eq!((written.error_code, written.base_offset), (0, 0));
    // Nothing of the kind was recorded: an error, not silence.
    let again = client.produce("t", 1, batch(["and again"])).await;
    assert_eq!(again.error_code, ErrorCode::INVALID_REQUEST.0);
    let heartbeat = client.ask(4, &HeartbeatRequest { group_id: "g".into(), ..Default::default() }).await;
    assert_eq!(heartbeat.error_code, ErrorCode::INVALID_REQUEST.0);
    stand_in.stop().await;
}
