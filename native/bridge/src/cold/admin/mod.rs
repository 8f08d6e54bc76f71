//! Admin operations, on a client, by topic.
//!
//! Those that change something, and descriptions of topics and configs, succeed when all their items do; otherwise the
//! failure is that of the first, and tells all. Other reads about several items tell the error of each beside the rest.
//!
//! File map: `topics`, `describe_topics`, `partitions`, `replicas`, `configs`, `groups`, `group_lag`, `share_groups`, `acls`, `quotas`, `security`,
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
use crate::failure::{FailedItem, Failure};

#[macro_use]
mod shape;
pub mod acls;
pub mod cluster;
pub mod configs;
pub mod describe_topics;
pub mod group_lag;
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
    let items: Vec<FailedItem> = failed.iter().map(|(name, error)| item(doing, name.to_string(), error)).collect();
    let Some((first, (_, error))) = items.first().zip(failed.first()) else { return Ok(done) };
    let mut failure = Failure::from(error);
    if count > 1 {
        let text = format!("{doing}: {} of {count} failed; {}: {}", failed.len(), first.name, first.error.message);
        failure.message = text;
        let cause = |of: &FailedItem| format!("{}: {}: {}", of.name, of.error.code, of.error.message);
        failure.causes = items.iter().map(cause).collect();
    }
    failure.items = items;
    Err(failure)
}

/// An item that failed. Its error no longer says which call and which item it is of.
fn item(doing: &str, name: String, error: &dohle_client::Error) -> FailedItem {
    let mut of = Failure::from(error);
    for known in [doing, &name] {
        let shorter = of.message.strip_prefix(known).and_then(|rest| rest.strip_prefix(": ")).map(str::to_owned);
        of.message = shorter.unwrap_or(of.message);
    }
    FailedItem { name, error: of }
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

#[cfg(test)]
mod tests {
    use dohle_client::Error;
    use dohle_protocol::ErrorCode;

    use super::*;

    fn failed(name: &str, code: ErrorCode) -> engine::Item<()> {
        let error = Error::broker_with(code, format_args!("createTopics: {name}"), Some("no"));
        engine::Item { name: name.to_owned(), result: Err(error) }
    }

    #[test]
    fn what_failed_of_several_is_told_item_by_item_and_nothing_is_said_twice() {
        let done = engine::Item { name: "b".to_owned(), result: Ok(()) };
        let items = vec![failed("a", ErrorCode::TOPIC_ALREADY_EXISTS), done, failed("c", ErrorCode::POLICY_VIOLATION)];
        let failure = all("createTopics", items).unwrap_err();
        assert_eq!(failure.message, "createTopics: 2 of 3 failed; a: no");
        assert_eq!(failure.code, "TOPIC_ALREADY_EXISTS");
        let told: Vec<_> = failure.items.iter().map(|of| (&*of.name, &*of.error.code, &*of.error.message)).collect();
        assert_eq!(told, [("a", "TOPIC_ALREADY_EXISTS", "no"), ("c", "POLICY_VIOLATION", "no")]);
        assert_eq!(failure.causes, ["a: TOPIC_ALREADY_EXISTS: no", "c: POLICY_VIOLATION: no"]);
    }

    #[test]
    fn the_only_item_of_a_call_is_told_too() {
        let failure = all("createTopics", vec![failed("a", ErrorCode::POLICY_VIOLATION)]).unwrap_err();
        assert_eq!(failure.message, "createTopics: a: no");
        assert_eq!((failure.items.len(), &*failure.items[0].name), (1, "a"));
    }
}
