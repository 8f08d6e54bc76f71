//! Describing topics: with DescribeTopicPartitions, page by page (KIP-966), where the broker has it; else with Metadata.

use std::time::Duration;

use dohle_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use dohle_protocol::messages::describe_topic_partitions_response::{
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use dohle_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use dohle_protocol::messages::{DescribeTopicPartitionsRequest, MetadataRequest, MetadataResponse};
use dohle_protocol::{ErrorCode, Uuid};

use super::each::unanswered;
use super::names::{AclOperation, operations};
use super::since::needs;
use super::topics::{known_id, metadata_request};
use super::{Admin, Attempts, Item};
use crate::collections::Map;
use crate::error::{Error, ErrorKind, Result};

/// A topic in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub topic: String,
    /// Its id; none with brokers older than 2.8.
    pub id: Option<Uuid>,
    /// Whether it is Kafka's own.
    pub internal: bool,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionDescription>,
    /// What this client may do with it, if that was asked for.
    pub authorized_operations: Option<Vec<AclOperation>>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Nodes that are not in sync and have all committed records all the same; none if the broker does not tell.
    pub eligible: Option<Vec<i32>>,
    /// Nodes that were eligible when the last of them went; none if the broker does not tell.
    pub last_known_eligible: Option<Vec<i32>>,
}

impl Admin {
    /// Topics in full. One result per topic, in the order given; asking creates none. `page`: how many partitions a request
    /// may bring; none leaves it to the broker.
    pub async fn describe_topics(
        &self,
        names: Vec<String>,
        with_operations: bool,
        page: Option<i32>,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<TopicDescription>>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut attempts = self.start("describeTopics", timeout);
        let told = match self.pages(&mut attempts, &names, with_operations, page).await {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                self.by_metadata(&mut attempts, &names, with_operations).await?
            }
            told => told?,
        };
        let describe = |name: String| {
            let doing = format!("describeTopics: {name}");
            let result = match told.get(&name) {
                None => Err(unanswered(&doing)),
                Some(Ok(topic)) => Ok(topic.clone()),
                Some(Err(code)) => Err(Error::broker(*code, doing)),
            };
            Item { name, result }
        };
        Ok(names.into_iter().map(describe).collect())
    }

    async fn pages(
        &self,
        attempts: &mut Attempts,
        names: &[String],
        with_operations: bool,
        page: Option<i32>,
    ) -> Result<Map<String, Result<TopicDescription, ErrorCode>>> {
        let mut sorted: Vec<&String> = names.iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut told: Map<String, Result<TopicDescription, ErrorCode>> = Map::default();
        let mut cursor: Option<Cursor> = None;
        loop {
            let topic = |name: &&String| TopicRequest { name: (*name).clone(), ..Default::default() };
            let request = DescribeTopicPartitionsRequest {
                // What comes before the cursor was answered.
                topics: sorted
                    .iter()
                    .filter(|n| cursor.as_ref().is_none_or(|c| ***n >= c.topic_name))
                    .map(topic)
                    .collect(),
                response_partition_limit: page.unwrap_or(2_000),
                cursor: cursor.clone(),
                ..Default::default()
            };
            let response = self.ask_any(attempts, |_| Ok(request.clone())).await?;
            for topic in response.topics {
                let Some(name) = topic.name.clone() else { continue };
                match told.get_mut(&name) {
                    // The rest of a topic that began on the page before.
                    Some(Ok(begun)) => begun.partitions.extend(topic.partitions.iter().map(partition)),
                    _ => {
                        told.insert(name.clone(), described(name, topic, with_operations));
                    }
                }
            }
            let next = response.next_cursor.map(|next| Cursor {
                topic_name: next.topic_name,
                partition_index: next.partition_index,
                ..Default::default()
            });
            if next.is_none() || next == cursor {
                break;
            }
            cursor = next;
        }
        told.values_mut().flatten().for_each(|topic| topic.partitions.sort_unstable_by_key(|of| of.partition));
        Ok(told)
    }

    async fn by_metadata(
        &self,
        attempts: &mut Attempts,
        names: &[String],
        with_operations: bool,
    ) -> Result<Map<String, Result<TopicDescription, ErrorCode>>> {
        let make = |version| {
            needs(with_operations, version, 8, "includeAuthorizedOperations", "2.3")?;
            let request = metadata_request(version, Some(names));
            Ok(MetadataRequest { include_topic_authorized_operations: with_operations, ..request })
        };
        let response: MetadataResponse = self.ask_any(attempts, make).await?;
        let topic = |topic: MetadataResponseTopic| {
            let name = topic.name.clone()?;
            Some((name.clone(), ErrorCode(topic.error_code).ok().map(|()| by_metadata(name, &topic))))
        };
        Ok(response.topics.into_iter().filter_map(topic).collect())
    }
}

fn described(
    name: String,
    topic: DescribeTopicPartitionsResponseTopic,
    with_operations: bool,
) -> Result<TopicDescription, ErrorCode> {
    ErrorCode(topic.error_code).ok()?;
    Ok(TopicDescription {
        topic: name,
        id: known_id(topic.topic_id),
        internal: topic.is_internal,
        partitions: topic.partitions.iter().map(partition).collect(),
        authorized_operations: operations(topic.topic_authorized_operations).filter(|_| with_operations),
    })
}

fn partition(of: &DescribeTopicPartitionsResponsePartition) -> PartitionDescription {
    PartitionDescription {
        partition: of.partition_index,
        leader: (of.leader_id >= 0).then_some(of.leader_id),
        leader_epoch: (of.leader_epoch >= 0).then_some(of.leader_epoch),
        replicas: of.replica_nodes.clone(),
        in_sync: of.isr_nodes.clone(),
        offline: of.offline_replicas.clone(),
        eligible: of.eligible_leader_replicas.clone(),
        last_known_eligible: of.last_known_elr.clone(),
    }
}

fn by_metadata(name: String, topic: &MetadataResponseTopic) -> TopicDescription {
    let partition = |of: &MetadataResponsePartition| PartitionDescription {
        partition: of.partition_index,
        leader: (of.leader_id >= 0).then_some(of.leader_id),
        leader_epoch: (of.leader_epoch >= 0).then_some(of.leader_epoch),
        replicas: of.replica_nodes.clone(),
        in_sync: of.isr_nodes.clone(),
        offline: of.offline_replicas.clone(),
        eligible: None,
        last_known_eligible: None,
    };
    let mut partitions: Vec<PartitionDescription> = topic.partitions.iter().map(partition).collect();
    partitions.sort_unstable_by_key(|partition| partition.partition);
    let authorized_operations = operations(topic.topic_authorized_operations);
    TopicDescription {
        topic: name,
        id: known_id(topic.topic_id),
        internal: topic.is_internal,
        partitions,
        authorized_operations,
    }
}
