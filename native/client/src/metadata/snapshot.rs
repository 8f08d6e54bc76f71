//! An immutable picture of the cluster.
//!
//! It is never changed, only replaced; readers keep an `Arc` for as long as they like.

use std::sync::Arc;

use dohle_protocol::{ErrorCode, Uuid};

use crate::collections::Map;
use crate::net::Endpoint;

/// The cluster as last seen.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Grows by one with each snapshot.
    pub version: u64,
    /// The cluster's id, where the broker tells it.
    pub cluster_id: Option<Arc<str>>,
    /// The node that takes admin requests; −1 when unknown.
    pub controller: i32,
    /// The brokers, by node id.
    pub brokers: Map<i32, BrokerMeta>,
    pub(super) topics: Map<Arc<str>, Arc<TopicMeta>>,
    pub(super) names: Map<Uuid, Arc<str>>,
    pub(super) errors: Map<Arc<str>, ErrorCode>,
}

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerMeta {
    /// Its node id.
    pub id: i32,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Its rack, if it has one.
    pub rack: Option<Arc<str>>,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMeta {
    /// Its name.
    pub name: Arc<str>,
    /// Its id; [`Uuid::ZERO`] with brokers older than 2.8.
    pub id: Uuid,
    /// Whether it is Kafka's own, such as `__consumer_offsets`.
    pub internal: bool,
    /// Its partitions: the position is the partition's number.
    pub partitions: Vec<PartitionMeta>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMeta {
    /// The leader's node id; −1 while there is none.
    pub leader: i32,
    /// The leader's epoch; −1 when the broker does not tell (reliably).
    pub leader_epoch: i32,
    /// The error answered for it, NONE usually.
    pub error: ErrorCode,
    /// Nodes with a copy.
    pub replicas: Arc<[i32]>,
    /// Nodes whose copy is in sync.
    pub in_sync: Arc<[i32]>,
    /// Nodes with a copy that are down.
    pub offline: Arc<[i32]>,
}

impl TopicMeta {
    /// Whether no partition is without a leader.
    pub fn has_all_leaders(&self) -> bool {
        self.partitions.iter().all(|partition| partition.leader >= 0)
    }
}

impl Snapshot {
    /// A topic by name.
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicMeta>> {
        self.topics.get(name)
    }

    /// A topic by id.
    pub fn topic_by_id(&self, id: Uuid) -> Option<&Arc<TopicMeta>> {
        self.topics.get(self.names.get(&id)?)
    }

    /// All topics known, in no particular order.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<TopicMeta>> {
        self.topics.values()
    }

    /// What the broker answered for a topic, if that was an error.
    pub fn topic_error(&self, name: &str) -> Option<ErrorCode> {
        self.errors.get(name).copied()
    }

    /// A partition's leader and its epoch; none while unknown.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<(i32, i32)> {
        let partition = self.topic(topic)?.partitions.get(usize::try_from(partition).ok()?)?;
        (partition.leader >= 0).then_some((partition.leader, partition.leader_epoch))
    }
}
