//! Admin operations, on a client, by topic.
//!
//! Those that change something, and descriptions of topics and configs, succeed when all their items do; otherwise the
//! failure is that of the first, and tells all. Other reads about several items tell the error of each beside the rest.
//!
//! File map: `topics`, `describe_topics`, `partitions`, `replicas`, `configs`, `groups`, `share_groups`, `acls`, `quotas`, `security`,
//! `cluster`, `transactions` what they say · `shape` how an operation and its
//! types are written down · `names` Kafka's open enums.

use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

use dohle_client::Client;
use dohle_client::admin as engine;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::Target;
use crate::environment::Resource;
use crate::failure::Failure;

#[macro_use]
mod shape;
pub mod acls;
pub mod cluster;
pub mod configs;
pub mod describe_topics;
pub mod groups;
pub mod names;
pub mod partitions;
pub mod quotas;
pub mod replicas;
pub mod security;
pub mod share_groups;
pub mod topics;
pub mod transactions;

use shape::Wire;

/// The admin calls of a client.
pub struct Admin(engine::Admin);

impl Target for Admin {
    const NAME: &'static str = "admin";

    fn of(resource: &Resource) -> Option<Self> {
        match resource {
            Resource::Client(client) => Some(Self::new(&client.client)),
            _ => None,
        }
    }
}

impl Admin {
    fn new(client: &Client) -> Self {
        Self(engine::Admin::new(client))
    }
}

fn timeout(ms: Option<u32>) -> Option<Duration> {
    ms.map(|ms| Duration::from_millis(ms.into()))
}

/// What came of all items, or the failure of the first that failed, which tells of the others too.
fn all<T, K: Display>(doing: &str, items: Vec<engine::Item<T, K>>) -> Result<Vec<(K, T)>, Failure> {
    let count = items.len();
    let (mut done, mut failed) = (Vec::with_capacity(count), Vec::new());
    for engine::Item { name, result } in items {
        match result {
            Ok(value) => done.push((name, value)),
            Err(error) => failed.push((name, error)),
        }
    }
    let Some((name, first)) = failed.first() else { return Ok(done) };
    let mut failure = Failure::from(first);
    if count > 1 {
        failure.message = format!("{doing}: {} of {count} failed; {name}: {}", failed.len(), failure.message);
        failure.causes = failed.iter().map(|(name, error)| format!("{name}: {error}")).collect();
    }
    Err(failure)
}

/// The error of one item of a call that goes on with the others. Each language has its own class for it.
#[derive(Clone, Debug, Serialize)]
pub struct ItemError(Failure);

impl Wire<dohle_client::Error> for ItemError {
    fn wire(from: dohle_client::Error) -> Self {
        Self(from.into())
    }
}

impl JsonSchema for ItemError {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ItemError".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "format": "failure" })
    }
}

/// What was told of an item and its error: one of them.
fn told<T>(result: dohle_client::Result<T>) -> (Option<T>, Option<ItemError>) {
    match result {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(ItemError::wire(error))),
    }
}
