//! Against a real cluster named by `DOHLE_TEST_BROKERS`; without it these tests say so and pass.

use std::time::Duration;

use dohle_client::generated::options::{Acks, Compression};
use dohle_client::producer::{Persistence, ProducerOptions};
use dohle_client::{Client, Lane};
use dohle_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use dohle_protocol::messages::{CreateTopicsRequest, DeleteTopicsRequest};
use dohle_protocol::records::{Headers, RecordRef};

use crate::common::*;

struct Real {
    client: Client,
    topics: Vec<String>,
}

impl Real {
    fn new() -> Option<Self> {
        let Ok(brokers) = std::env::var("DOHLE_TEST_BROKERS") else {
            eprintln!("skipped: DOHLE_TEST_BROKERS is not set");
            return None;
        };
        Some(Self { client: client_at(&brokers, |_| {}), topics: Vec::new() })
    }

    async fn topic(&mut self, what: &str, partitions: i32, configs: &[(&str, &str)]) -> String {
        let random: u64 = std::process::id().into();
        let name = format!("dohle-producer-{what}-{random}-{}", self.topics.len());
        let configs = configs.iter().map(|(name, value)| CreatableTopicConfig {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
            ..Default::default()
        });
        let topic = CreatableTopic {
            name: name.clone(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 20_000, ..Default::default() };
        self.client.metadata().refresh().await.unwrap();
        let controller = self.client.metadata().snapshot().controller;
        let answer = self.client.request(controller, Lane::General, &request, Duration::from_secs(20)).await.unwrap();
        assert_eq!(answer.topics[0].error_code, 0, "{:?}", answer.topics[0].error_message);
        self.topics.push(name.clone());
        name
    }

    async fn end(self) {
        let request = DeleteTopicsRequest {
            topics: self
                .topics
                .iter()
                .map(|name| dohle_protocol::messages::delete_topics_request::DeleteTopicState {
                    name: Some(name.clone()),
                    ..Default::default()
                })
                .collect(),
            topic_names: self.topics.clone(),
            timeout_ms: 20_000,
            ..Default::default()
        };
        let controller = self.client.metadata().snapshot().controller;
        let _ = self.client.request(controller, Lane::General, &request, Duration::from_secs(20)).await;
        self.client.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_takes_every_codec_in_order_once() {
    let Some(mut real) = Real::new() else { return };
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd]
    {
        let name = real.topic("codec", 3, &[]).await;
        let (producer, ledger) = producer_on(&real.client, ProducerOptions { compression, ..Default::default() });
        let topic = producer.topic(&name).unwrap();
        let mut placed = Vec::new();
        for i in 0..30_000 {
            let value = format!("{{\"record\":{i}}}");
            let record = RecordRef { timestamp: i, key: None, value: Some(value.as_bytes()), headers: Headers::None };
            placed.push(producer.append(topic, Some(i as i32 % 3), &record).unwrap());
            if i % 100 == 0 {
                producer.poke();
                tokio::task::yield_now().await;
            }
        }
        producer.flush().await;
        for (i, placed) in placed.iter().enumerate() {
            let outcome = ledger.get(*placed).unwrap();
            assert_eq!((outcome.partition, outcome.offset), (i as i32 % 3, i as i64 / 3), "{compression:?}");
        }
        for partition in 0..3 {
            let (records, batches) = read(&real.client, &name, partition).await;
            assert_eq!(records.len(), 10_000);
            assert!(batches.iter().all(|batch| batch.producer_id >= 0));
            assert!(records.iter().enumerate().all(|(at, r)| r.timestamp == at as i64 * 3 + i64::from(partition)));
        }
        producer.close(None).await;
    }
    real.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_refuses_records_one_by_one_and_takes_the_others() {
    let Some(mut real) = Real::new() else { return };
    let name = real.topic("compact", 1, &[("cleanup.policy", "compact")]).await;
    for acks in [Acks::All, Acks::One] {
        let options = ProducerOptions { acks, linger: Some(Duration::from_millis(20)), ..Default::default() };
        let (producer, ledger) = producer_on(&real.client, options);
        let topic = producer.topic(&name).unwrap();
        let before = read(&real.client, &name, 0).await.0.len();
        let mut placed = Vec::new();
        for i in 0..100 {
            let (key, value) = (i.to_string(), i.to_string());
            let key = (i % 10 != 3).then_some(key.as_bytes());
            let record = RecordRef { timestamp: 1, key, value: Some(value.as_bytes()), headers: Headers::None };
            placed.push(producer.append(topic, Some(0), &record).unwrap());
        }
        producer.flush().await;
        for (i, placed) in placed.iter().enumerate() {
            let outcome = ledger.get(*placed).unwrap();
            if i % 10 == 3 {
                assert_eq!(
                    (outcome.code().as_str(), outcome.persistence),
                    ("INVALID_RECORD", Persistence::NotPersisted)
                );
            } else {
                assert!(outcome.error.is_none(), "record {i}: {:?}", outcome.error);
            }
        }
        let values: Vec<_> = read(&real.client, &name, 0).await.0.into_iter().skip(before).collect();
        let values: Vec<_> = values.iter().map(|r| String::from_utf8(r.value.clone().unwrap()).unwrap()).collect();
        let expected: Vec<_> = (0..100).filter(|i| i % 10 != 3).map(|i| i.to_string()).collect();
        assert_eq!(values, expected);
        // The sequences go on as if nothing had been.
        let record = RecordRef { timestamp: 1, key: Some(b"k"), value: Some(b"after"), headers: Headers::None };
        let placed = producer.append(topic, Some(0), &record).unwrap();
        producer.flush().await;
        assert!(ledger.get(placed).unwrap().error.is_none());
        producer.close(None).await;
    }
    real.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_gets_a_batch_that_it_finds_too_large_in_parts() {
    let Some(mut real) = Real::new() else { return };
    let name = real.topic("split", 1, &[("max.message.bytes", "4000")]).await;
    let options = ProducerOptions { linger: Some(Duration::from_millis(20)), ..Default::default() };
    let (producer, ledger) = producer_on(&real.client, options);
    let topic = producer.topic(&name).unwrap();
    let values: Vec<String> = (0..500).map(|i| format!("{i:0100}")).collect();
    let placed: Vec<_> = values.iter().map(|value| producer.append(topic, Some(0), &record(value)).unwrap()).collect();
    let alone = producer.append(topic, Some(0), &record(&"x".repeat(6_000))).unwrap();
    let after = producer.append(topic, Some(0), &record("after")).unwrap();
    producer.flush().await;
    assert_eq!(ledger.get(alone).unwrap().code(), "MESSAGE_TOO_LARGE");
    for (i, placed) in placed.iter().chain([&after]).enumerate() {
        assert_eq!(ledger.get(*placed).unwrap().offset, i as i64);
    }
    let log: Vec<_> = read(&real.client, &name, 0)
        .await
        .0
        .into_iter()
        .map(|r| String::from_utf8(r.value.unwrap()).unwrap())
        .collect();
    assert_eq!(log[..500], values);
    producer.close(None).await;
    real.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_gets_a_thousand_concurrent_sends_once_each_in_order() {
    let Some(mut real) = Real::new() else { return };
    let name = real.topic("concurrent", 1, &[]).await;
    let (producer, ledger) = producer_on(&real.client, ProducerOptions::default());
    let topic = producer.topic(&name).unwrap();
    let mut placed = Vec::new();
    for i in 0..1000 {
        placed.push(producer.append(topic, None, &record(&i.to_string())).unwrap());
        producer.poke();
        if i % 7 == 0 {
            tokio::task::yield_now().await;
        }
    }
    producer.close(None).await;
    for (i, placed) in placed.iter().enumerate() {
        assert_eq!(ledger.get(*placed).unwrap().offset, i as i64);
    }
    let log = read(&real.client, &name, 0).await.0;
    assert!(log.iter().enumerate().all(|(i, r)| r.value.as_deref() == Some(i.to_string().as_bytes())));
    assert_eq!(log.len(), 1000);
    real.end().await;
}
