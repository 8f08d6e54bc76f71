//! Against a real cluster named by `DOHLE_TEST_BROKERS`; without it these tests say so and pass.

use std::sync::Arc;
use std::time::Duration;

use dohle_client::producer::{Placed, Producer, ProducerOptions, TopicId};
use dohle_client::{Client, Lane};
use dohle_protocol::messages::{CreateTopicsRequest, create_topics_request::CreatableTopic};

use crate::common::*;

struct Real {
    client: Client,
    run: String,
}

impl Real {
    async fn new(what: &str) -> Option<Self> {
        let Ok(brokers) = std::env::var("DOHLE_TEST_BROKERS") else {
            eprintln!("skipped: DOHLE_TEST_BROKERS is not set");
            return None;
        };
        let client = client_at(&brokers, |_| {});
        client.metadata().refresh().await.unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        Some(Self { client, run: format!("dohle-transactions-{what}-{now}") })
    }

    async fn topic(&self, partitions: i32) -> String {
        let topic = CreatableTopic {
            name: self.run.clone(),
            num_partitions: partitions,
            replication_factor: 1,
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 20_000, ..Default::default() };
        let controller = self.client.metadata().snapshot().controller;
        let answer = self.client.request(controller, Lane::General, &request, Duration::from_secs(20)).await.unwrap();
        assert_eq!(answer.topics[0].error_code, 0, "{:?}", answer.topics[0].error_message);
        self.run.clone()
    }

    fn producer(&self) -> (Producer, Arc<Ledger>) {
        let options = ProducerOptions { transactional_id: Some(self.run.clone()), ..Default::default() };
        producer_on(&self.client, options)
    }

    /// Batches as they lie in the log: producer epoch, whether they are transactional, whether they are markers.
    async fn log(&self, topic: &str, partition: i32) -> Vec<(i16, bool, bool)> {
        let (_, headers) = read(&self.client, topic, partition).await;
        headers.iter().map(|h| (h.producer_epoch, h.attributes.is_transactional(), h.attributes.is_control())).collect()
    }
}

fn send(producer: &Producer, topic: TopicId, partition: i32, value: &str) -> Placed {
    let placed = producer.append(topic, Some(partition), &record(value)).unwrap();
    producer.poke();
    placed
}

#[tokio::test(flavor = "multi_thread")]
async fn each_transaction_has_its_marker_and_since_version_2_its_epoch() {
    let Some(real) = Real::new("epochs").await else { return };
    let name = real.topic(2).await;
    let (producer, ledger) = real.producer();
    let topic = producer.topic(&name).unwrap();
    for round in 0..6 {
        producer.begin_transaction().await.unwrap();
        let sent = [0, 1].map(|partition| send(&producer, topic, partition, &format!("{round}")));
        for placed in sent {
            assert!(ledger.outcome(placed).await.error.is_none());
        }
        match round % 2 {
            0 => producer.commit_transaction().await.unwrap(),
            _ => producer.abort_transaction().await.unwrap(),
        }
    }
    for partition in [0, 1] {
        let log = real.log(&name, partition).await;
        let records: Vec<_> = log.iter().filter(|(_, _, control)| !control).collect();
        let markers: Vec<_> = log.iter().filter(|(_, _, control)| *control).collect();
        // The log is read up to its last record: the last marker may be behind it.
        assert!(records.len() == 6 && markers.len() >= 5, "{log:?}");
        assert!(log.iter().all(|(_, transactional, _)| *transactional));
        // The cluster of the tests has transaction.version 2.
        assert!(records.windows(2).all(|two| two[1].0 == two[0].0 + 1), "{log:?}");
    }
    producer.close(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_producer_fences_the_first_and_aborts_what_it_left() {
    let Some(real) = Real::new("fenced").await else { return };
    let name = real.topic(1).await;
    let (first, ledger) = real.producer();
    let topic = first.topic(&name).unwrap();
    first.begin_transaction().await.unwrap();
    assert!(ledger.outcome(send(&first, topic, 0, "left")).await.error.is_none());

    let (second, _) = real.producer();
    let topic_of_second = second.topic(&name).unwrap();
    second.begin_transaction().await.unwrap();
    send(&second, topic_of_second, 0, "mine");
    second.commit_transaction().await.unwrap();

    let refused = ledger.outcome(send(&first, topic, 0, "late")).await.error.unwrap();
    assert_eq!((refused.code().as_ref(), refused.abortable()), ("INVALID_PRODUCER_EPOCH", true));
    // The coordinator knows that it is not only late.
    let error = first.commit_transaction().await.unwrap_err();
    assert!(error.fatal() && !error.abortable(), "{error}");
    assert!(first.begin_transaction().await.unwrap_err().fatal());
    second.begin_transaction().await.unwrap();
    second.abort_transaction().await.unwrap();
    let (records, _) = read(&real.client, &name, 0).await;
    let values: Vec<_> = records.iter().filter_map(|record| record.value.clone()).collect();
    assert!(!values.contains(&b"late".to_vec()));
    first.close(None).await;
    second.close(None).await;
}
