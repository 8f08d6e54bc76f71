//! Operations on a producer that are not hot.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Operation, Target};
use crate::environment::Resource;
use crate::failure::Failure;
use crate::producer::ProducerResource;

impl Target for Arc<ProducerResource> {
    const NAME: &'static str = "producer";

    fn of(resource: &Resource) -> Option<Self> {
        match resource {
            Resource::Producer(producer) => Some(producer.clone()),
            _ => None,
        }
    }
}

/// Sends what was appended before without lingering; completes when all of it is settled.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ProducerFlush")]
pub struct Flush {}

impl Operation for Flush {
    const NAME: &'static str = "producer.flush";
    type Target = Arc<ProducerResource>;
    type Response = ();

    async fn run(self, target: Self::Target) -> Result<(), Failure> {
        target.producer.flush().await;
        Ok(())
    }
}

/// Takes no more records, sends what there is, and completes when every record is settled.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ProducerClose")]
#[serde(rename_all = "camelCase")]
pub struct Close {
    /// What is not settled after this time in milliseconds fails. Default: `delivery.timeout.ms` bounds it.
    pub timeout_ms: Option<u32>,
}

impl Operation for Close {
    const NAME: &'static str = "producer.close";
    const CLOSES: bool = true;
    type Target = Arc<ProducerResource>;
    type Response = ();

    async fn run(self, target: Self::Target) -> Result<(), Failure> {
        target.producer.close(self.timeout_ms.map(|ms| Duration::from_millis(ms.into()))).await;
        Ok(())
    }
}
