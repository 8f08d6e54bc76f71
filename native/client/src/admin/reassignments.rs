//! Moving the copies of partitions to other brokers (KIP-455).

use std::time::Duration;

use dohle_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use dohle_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use dohle_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
};

use super::each::{Answer, Call, Route, whole};
use super::partitions::by_topic;
use super::since::needs;
use super::{Admin, Item};
use crate::consumer::TopicPartition;
use crate::error::Result;

/// A partition whose copies are being moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassignment {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// Nodes with a copy now, those that come and those that go included.
    pub replicas: Vec<i32>,
    /// Nodes that are to get one.
    pub adding: Vec<i32>,
    /// Nodes whose copy goes.
    pub removing: Vec<i32>,
}

impl Admin {
    /// Begins to move copies; none for a partition: stops what was begun. One result per partition, in the order given.
    pub async fn alter_partition_reassignments(
        &self,
        moves: Vec<(TopicPartition, Option<Vec<i32>>)>,
        allow_factor_change: bool,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<(), TopicPartition>>> {
        let doing = "alterPartitionReassignments";
        let (partitions, replicas): (Vec<_>, Vec<_>) = moves.into_iter().unzip();
        let wanted = partitions.clone();
        let make = |version, pending: &[usize], timeout_ms| {
            needs(!allow_factor_change, version, 1, "allowReplicationFactorChange", "4.1")?;
            let partition = |index: usize| ReassignablePartition {
                partition_index: wanted[index].partition,
                replicas: replicas[index].clone(),
                ..Default::default()
            };
            let topic = |(name, indices): (&str, Vec<usize>)| ReassignableTopic {
                name: name.to_owned(),
                partitions: indices.into_iter().map(partition).collect(),
                ..Default::default()
            };
            let topics = by_topic(&wanted, pending).into_iter().map(topic).collect();
            let allow_replication_factor_change = allow_factor_change;
            Ok(AlterPartitionReassignmentsRequest {
                timeout_ms,
                allow_replication_factor_change,
                topics,
                ..Default::default()
            })
        };
        let call = Call::new(doing, partitions, &|_| Route::Controller, timeout);
        self.each(call, make, |response: AlterPartitionReassignmentsResponse| {
            whole(response.error_code, doing, response.error_message.as_deref())?;
            let mut answers = Vec::new();
            for topic in response.responses {
                for of in topic.partitions {
                    let key = TopicPartition::new(topic.name.as_str(), of.partition_index);
                    answers.push(Answer::new(key, of.error_code, ()).saying(of.error_message));
                }
            }
            Ok(answers)
        })
        .await
    }

    /// What is being moved now, of these partitions or of all.
    pub async fn list_partition_reassignments(
        &self,
        partitions: Option<&[TopicPartition]>,
        timeout: Option<Duration>,
    ) -> Result<Vec<Reassignment>> {
        let doing = "listPartitionReassignments";
        let topics = partitions.map(|all| {
            let indices: Vec<usize> = (0..all.len()).collect();
            let topic = |(name, indices): (&str, Vec<usize>)| ListPartitionReassignmentsTopics {
                name: name.to_owned(),
                partition_indexes: indices.into_iter().map(|index| all[index].partition).collect(),
                ..Default::default()
            };
            by_topic(all, &indices).into_iter().map(topic).collect::<Vec<_>>()
        });
        let make = |_, timeout_ms| {
            let topics = topics.clone();
            Ok(ListPartitionReassignmentsRequest { timeout_ms, topics, ..Default::default() })
        };
        let read = |response: ListPartitionReassignmentsResponse| {
            whole(response.error_code, doing, response.error_message.as_deref())?;
            let mut moving = Vec::new();
            for topic in response.topics {
                moving.extend(topic.partitions.into_iter().map(|of| Reassignment {
                    topic: topic.name.clone(),
                    partition: of.partition_index,
                    replicas: of.replicas,
                    adding: of.adding_replicas,
                    removing: of.removing_replicas,
                }));
            }
            Ok(moving)
        };
        self.one(doing, Route::Controller, timeout, make, read).await
    }
}
