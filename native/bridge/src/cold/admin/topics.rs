//! Creating, deleting and listing topics.

use std::collections::BTreeMap;

use dohle_client::admin as engine;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Admin, all, timeout};
use crate::cold::Operation;
use crate::failure::Failure;

/// A topic to create.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewTopic {
    /// Its name: 1 to 249 of `a-z A-Z 0-9 . _ -`.
    pub topic: String,
    /// How many partitions. Must be absent when `assignments` are given.
    ///
    /// Default: the broker's (`num.partitions`).
    #[schemars(range(min = 1))]
    pub partitions: Option<i32>,
    /// How many copies of each partition. Must be absent when `assignments` are given.
    ///
    /// Default: the broker's (`default.replication.factor`).
    #[schemars(range(min = 1))]
    pub replication_factor: Option<i16>,
    /// For each partition the nodes that hold it, the preferred leader first.
    ///
    /// Default: the broker chooses.
    pub assignments: Option<Vec<Vec<i32>>>,
    /// Topic configuration by Kafka's names, such as `cleanup.policy`.
    ///
    /// Default: none.
    pub configs: Option<BTreeMap<String, String>>,
}

impl From<NewTopic> for engine::NewTopic {
    fn from(topic: NewTopic) -> Self {
        Self {
            name: topic.topic,
            partitions: topic.partitions,
            replication_factor: topic.replication_factor,
            assignments: topic.assignments.unwrap_or_default(),
            configs: topic.configs.unwrap_or_default().into_iter().collect(),
        }
    }
}

/// Creates topics. When some cannot be created the others are, and the call fails.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateTopics {
    /// The topics.
    pub topics: Vec<NewTopic>,
    /// Only check whether they could be created.
    ///
    /// Default: false.
    pub validate_only: Option<bool>,
    /// How long the call may take in milliseconds, retries included.
    ///
    /// Default: `defaultApiTimeoutMs` of the client.
    pub timeout_ms: Option<u32>,
}

/// A topic that was created.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedTopic {
    /// Its name.
    pub topic: String,
    /// Its id; none with brokers older than 2.8.
    pub id: Option<String>,
    /// Its partitions; none if the broker does not tell.
    pub partitions: Option<i32>,
    /// Its copies; none if the broker does not tell.
    pub replication_factor: Option<i16>,
}

impl Operation for CreateTopics {
    const NAME: &'static str = "admin.createTopics";
    type Target = Admin;
    type Response = Vec<CreatedTopic>;

    async fn run(self, admin: Admin) -> Result<Self::Response, Failure> {
        let topics = self.topics.into_iter().map(Into::into).collect();
        let items =
            admin.0.create_topics(topics, self.validate_only.unwrap_or(false), timeout(self.timeout_ms)).await?;
        let created = |(topic, of): (String, engine::CreatedTopic)| CreatedTopic {
            topic,
            id: of.id.map(|id| id.to_string()),
            partitions: of.partitions,
            replication_factor: of.replication_factor,
        };
        Ok(all("createTopics", items)?.into_iter().map(created).collect())
    }
}

/// Deletes topics with all their records. When some cannot be deleted the others are, and the call fails.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteTopics {
    /// Their names.
    pub topics: Vec<String>,
    /// How long the call may take in milliseconds, retries included.
    ///
    /// Default: `defaultApiTimeoutMs` of the client.
    pub timeout_ms: Option<u32>,
}

impl Operation for DeleteTopics {
    const NAME: &'static str = "admin.deleteTopics";
    type Target = Admin;
    type Response = ();

    async fn run(self, admin: Admin) -> Result<(), Failure> {
        all("deleteTopics", admin.0.delete_topics(self.topics, timeout(self.timeout_ms)).await?)?;
        Ok(())
    }
}

/// Lists all topics that this client may see, by name.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListTopics {
    /// Kafka's own topics too.
    ///
    /// Default: false.
    pub include_internal: Option<bool>,
    /// How long the call may take in milliseconds, retries included.
    ///
    /// Default: `defaultApiTimeoutMs` of the client.
    pub timeout_ms: Option<u32>,
}

/// A topic in a list.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopicListing {
    /// Its name.
    pub topic: String,
    /// Its id; none with brokers older than 2.8.
    pub id: Option<String>,
    /// Whether it is Kafka's own.
    pub internal: bool,
}

impl Operation for ListTopics {
    const NAME: &'static str = "admin.listTopics";
    type Target = Admin;
    type Response = Vec<TopicListing>;

    async fn run(self, admin: Admin) -> Result<Self::Response, Failure> {
        let topics = admin.0.list_topics(self.include_internal.unwrap_or(false), timeout(self.timeout_ms)).await?;
        let listing = |of: engine::TopicListing| TopicListing {
            topic: of.name,
            id: of.id.map(|id| id.to_string()),
            internal: of.internal,
        };
        Ok(topics.into_iter().map(listing).collect())
    }
}

operation! {
    /// Deletes topics by their ids, so that one created again under the same name is safe (KIP-516; Kafka 2.8 or newer). When
    /// some cannot be deleted the others are, and the call fails.
    DeleteTopicsById "admin.deleteTopicsById" -> () {
        /// Their ids, as `createTopics` and `listTopics` tell them.
        ids: Vec<String>,
    }
    |request, admin, timeout| {
        let id = |(index, id): (usize, &String)| {
            id.parse().map_err(|_| Failure::argument(&format!("ids[{index}]"), "is not an id of Kafka's"))
        };
        let ids = request.ids.iter().enumerate().map(id).collect::<Result<_, Failure>>()?;
        all("deleteTopicsById", admin.delete_topics_by_id(ids, timeout).await?)?;
        Ok(())
    }
}
