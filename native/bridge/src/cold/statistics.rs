//! What clients, producers and consumers have done and hold now. The document itself, in librdkafka's words, is the engine's.

use std::sync::Arc;
use std::time::Duration;

use dohle_client::statistics::{Reader, Statistics, prometheus};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Operation;
use super::consumer::Consumer;
use crate::client::ClientResource;
use crate::failure::Failure;
use crate::producer::ProducerResource;

/// What a consumer has done and holds now. Its windows cover the time since the last call.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConsumerStatistics")]
pub struct OfConsumer {}

impl Operation for OfConsumer {
    const NAME: &'static str = "consumer.statistics";
    type Target = Consumer;
    type Response = Statistics;

    async fn run(self, target: Consumer) -> Result<Statistics, Failure> {
        let statistics = target.client.client.statistics_of(target.consumer.name(), Reader::Call).await;
        statistics.ok_or_else(|| Failure::closed("consumer"))
    }
}

/// What a producer has done and holds now. Its windows cover the time since the last call.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ProducerStatistics")]
pub struct OfProducer {}

impl Operation for OfProducer {
    const NAME: &'static str = "producer.statistics";
    type Target = Arc<ProducerResource>;
    type Response = Statistics;

    async fn run(self, target: Self::Target) -> Result<Statistics, Failure> {
        let statistics = target.client.client.statistics_of(target.producer.name(), Reader::Call).await;
        statistics.ok_or_else(|| Failure::closed("producer"))
    }
}

/// What each open producer and consumer of a client has done and holds now. Its windows cover the time since the last call.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ClientStatistics")]
pub struct OfClient {}

impl Operation for OfClient {
    const NAME: &'static str = "client.statistics";
    type Target = Arc<ClientResource>;
    type Response = Vec<Statistics>;

    async fn run(self, target: Self::Target) -> Result<Vec<Statistics>, Failure> {
        Ok(target.client.statistics(Reader::Call).await)
    }
}

/// The statistics of a client as text that Prometheus reads (exposition format 0.0.4).
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ClientMetrics")]
pub struct Metrics {}

impl Operation for Metrics {
    const NAME: &'static str = "client.metrics";
    type Target = Arc<ClientResource>;
    type Response = String;

    async fn run(self, target: Self::Target) -> Result<String, Failure> {
        Ok(prometheus(&target.client.statistics(Reader::Metrics).await))
    }
}

/// The id that a broker gave a producer for its metrics (KIP-714).
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ProducerClientInstanceId")]
#[serde(rename_all = "camelCase")]
pub struct IdOfProducer {
    /// How many milliseconds to wait for it.
    pub timeout_ms: u32,
}

impl Operation for IdOfProducer {
    const NAME: &'static str = "producer.clientInstanceId";
    type Target = Arc<ProducerResource>;
    type Response = String;

    async fn run(self, target: Self::Target) -> Result<String, Failure> {
        let timeout = Duration::from_millis(self.timeout_ms.into());
        Ok(target.producer.client_instance_id(timeout).await?.to_string())
    }
}

/// The id that a broker gave a consumer for its metrics (KIP-714).
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConsumerClientInstanceId")]
#[serde(rename_all = "camelCase")]
pub struct IdOfConsumer {
    /// How many milliseconds to wait for it.
    pub timeout_ms: u32,
}

impl Operation for IdOfConsumer {
    const NAME: &'static str = "consumer.clientInstanceId";
    type Target = Consumer;
    type Response = String;

    async fn run(self, target: Consumer) -> Result<String, Failure> {
        let timeout = Duration::from_millis(self.timeout_ms.into());
        Ok(target.consumer.client_instance_id(timeout).await?.to_string())
    }
}
