//! Describing topics.

use dohle_client::admin as engine;
use dohle_client::admin::AclOperation;

use super::all;
use super::shape::Wire;
use crate::cold::values::Open;

response! {
    /// A topic in full.
    TopicDescription from engine::TopicDescription {
        /// Its name.
        topic: String,
        /// Its id; none with brokers older than 2.8.
        id: Option<String>,
        /// Whether it is Kafka's own.
        internal: bool,
        /// Its partitions, by number.
        partitions: Vec<PartitionDescription>,
        /// What this client may do with it, if that was asked for.
        authorized_operations: Option<Vec<Open<AclOperation>>>,
    }
}

response! {
    /// A partition in full.
    PartitionDescription from engine::PartitionDescription {
        /// Its number.
        partition: i32,
        /// The leader's node id; none while there is none.
        leader: Option<i32>,
        /// The leader's epoch; none if the broker does not tell.
        leader_epoch: Option<i32>,
        /// Nodes with a copy, the preferred leader first.
        replicas: Vec<i32>,
        /// Nodes whose copy is in sync.
        in_sync: Vec<i32>,
        /// Nodes with a copy that are down.
        offline: Vec<i32>,
        /// Nodes that are not in sync and may lead without a loss all the same (KIP-966); none if the broker does not tell.
        eligible: Option<Vec<i32>>,
        /// Nodes that were eligible when the last of them went (KIP-966); none if the broker does not tell.
        last_known_eligible: Option<Vec<i32>>,
    }
}

operation! {
    /// Describes topics and their partitions, however many: page by page with Kafka 3.8 or newer (KIP-966). Fails when one of
    /// them does not exist.
    DescribeTopics "admin.describeTopics" -> Vec<TopicDescription> {
        /// Their names.
        topics: Vec<String>,
        /// What this client may do with each; from Kafka 2.3 on.
        ///
        /// Default: false.
        include_authorized_operations: Option<bool>,
        /// How many partitions the broker may tell at once. The result is the same.
        ///
        /// Default: 2000.
        #[schemars(range(min = 1))]
        partitions_per_request: Option<i32>,
    }
    |request, admin, timeout| {
        let (operations, page) = (request.include_authorized_operations, request.partitions_per_request);
        let items = admin.describe_topics(request.topics, operations.unwrap_or(false), page, timeout).await?;
        Ok(all("describeTopics", items)?.into_iter().map(|(_, topic)| Wire::wire(topic)).collect())
    }
}
