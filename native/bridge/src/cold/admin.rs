//! Admin operations, on a client.
//!
//! Those about several topics succeed when all of them do; otherwise the failure is that of the first, and tells all.

use std::time::Duration;

use dohle_client::Client;
use dohle_client::admin as engine;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::{Operation, Target};
use crate::environment::Resource;
use crate::failure::Failure;

/// The admin calls of a client.
pub struct Admin(engine::Admin);

impl Admin {
    fn new(client: &Client) -> Self {
        Self(engine::Admin::new(client))
    }
}

impl Target for Admin {
    const NAME: &'static str = "admin";

    fn of(resource: &Resource) -> Option<Self> {
        match resource {
            Resource::Client(client) => Some(Self::new(&client.client)),
            _ => None,
        }
    }
}

fn timeout(ms: Option<u32>) -> Option<Duration> {
    ms.map(|ms| Duration::from_millis(ms.into()))
}

/// What came of all items, or the failure of the first that failed, which tells of the others too.
fn all<T>(doing: &str, items: Vec<engine::Item<T>>) -> Result<Vec<(String, T)>, Failure> {
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
        failure.message = format!("{doing}: {} of {count} topics failed; {name}: {}", failed.len(), failure.message);
        failure.causes = failed.iter().map(|(name, error)| format!("{name}: {error}")).collect();
    }
    Err(failure)
}

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

/// Describes topics and their partitions. Fails when one of them does not exist.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DescribeTopics {
    /// Their names.
    pub topics: Vec<String>,
    /// How long the call may take in milliseconds, retries included.
    ///
    /// Default: `defaultApiTimeoutMs` of the client.
    pub timeout_ms: Option<u32>,
}

/// A topic in full.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopicDescription {
    /// Its name.
    pub topic: String,
    /// Its id; none with brokers older than 2.8.
    pub id: Option<String>,
    /// Whether it is Kafka's own.
    pub internal: bool,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition in full.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartitionDescription {
    /// Its number.
    pub partition: i32,
    /// The leader's node id; none while there is none.
    pub leader: Option<i32>,
    /// The leader's epoch; none if the broker does not tell.
    pub leader_epoch: Option<i32>,
    /// Nodes with a copy, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Nodes whose copy is in sync.
    pub in_sync: Vec<i32>,
    /// Nodes with a copy that are down.
    pub offline: Vec<i32>,
}

impl From<engine::PartitionDescription> for PartitionDescription {
    fn from(of: engine::PartitionDescription) -> Self {
        Self {
            partition: of.partition,
            leader: of.leader,
            leader_epoch: of.leader_epoch,
            replicas: of.replicas,
            in_sync: of.in_sync,
            offline: of.offline,
        }
    }
}

impl Operation for DescribeTopics {
    const NAME: &'static str = "admin.describeTopics";
    type Target = Admin;
    type Response = Vec<TopicDescription>;

    async fn run(self, admin: Admin) -> Result<Self::Response, Failure> {
        let items = admin.0.describe_topics(self.topics, timeout(self.timeout_ms)).await?;
        let description = |(topic, of): (String, engine::TopicDescription)| TopicDescription {
            topic,
            id: of.id.map(|id| id.to_string()),
            internal: of.internal,
            partitions: of.partitions.into_iter().map(Into::into).collect(),
        };
        Ok(all("describeTopics", items)?.into_iter().map(description).collect())
    }
}

/// Describes the cluster: its id, its controller and its brokers.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DescribeCluster {
    /// How long the call may take in milliseconds, retries included.
    ///
    /// Default: `defaultApiTimeoutMs` of the client.
    pub timeout_ms: Option<u32>,
}

/// The cluster.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterDescription {
    /// Its id, where the broker tells it.
    pub cluster_id: Option<String>,
    /// The node that takes admin requests; with KRaft any broker, which passes them on.
    pub controller: Option<i32>,
    /// The brokers that are up, by node id.
    pub brokers: Vec<BrokerDescription>,
}

/// A broker of the cluster.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrokerDescription {
    /// Its node id.
    pub id: i32,
    /// The host that clients reach it by.
    pub host: String,
    /// Its port.
    pub port: i32,
    /// Its rack, if it has one.
    pub rack: Option<String>,
}

impl Operation for DescribeCluster {
    const NAME: &'static str = "admin.describeCluster";
    type Target = Admin;
    type Response = ClusterDescription;

    async fn run(self, admin: Admin) -> Result<ClusterDescription, Failure> {
        let cluster = admin.0.describe_cluster(timeout(self.timeout_ms)).await?;
        let broker = |of: engine::Broker| BrokerDescription { id: of.id, host: of.host, port: of.port, rack: of.rack };
        Ok(ClusterDescription {
            cluster_id: cluster.cluster_id,
            controller: cluster.controller,
            brokers: cluster.brokers.into_iter().map(broker).collect(),
        })
    }
}
