//! Operations on a client.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Operation, Target};
use crate::client::ClientResource;
use crate::environment::Resource;
use crate::failure::Failure;

impl Target for Arc<ClientResource> {
    const NAME: &'static str = "client";

    fn of(resource: &Resource) -> Option<Self> {
        match resource {
            Resource::Client(client) => Some(client.clone()),
            _ => None,
        }
    }
}

/// Closes all connections. What still waits fails with `CLOSED`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ClientClose")]
pub struct Close {}

impl Operation for Close {
    const NAME: &'static str = "client.close";
    const CLOSES: bool = true;
    type Target = Arc<ClientResource>;
    type Response = ();

    async fn run(self, target: Self::Target) -> Result<(), Failure> {
        target.client.close().await;
        Ok(())
    }
}
