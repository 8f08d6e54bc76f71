//! DescribeTopicPartitions (key 75): topics with their partitions, page by page (KIP-966).
//!
//! Behaviour: topics come sorted by name; no topics named means all; the answer holds at most the asked number of
//! partitions (and at most 2,000) and says where to go on.
//! Versions: 0.

use std::sync::Arc;

use dohle_protocol::{
    ErrorCode,
    messages::{
        DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
        describe_topic_partitions_response::{
            Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
        },
    },
};

use super::{Api, Call, Reply};
use crate::{
    coordinator::internal,
    node::Node,
    security::authorizer::{Operation, Resource},
    topics::Topic,
};

pub(super) struct DescribeTopicPartitions;

/// `max.request.partition.size.limit`.
const LIMIT: i32 = 2000;

impl Api for DescribeTopicPartitions {
    type Request = DescribeTopicPartitionsRequest;
    const VERSIONS: (i16, i16) = (0, 0);

    async fn handle(call: &Call, request: DescribeTopicPartitionsRequest) -> Reply<Self> {
        let node = &call.node;
        let mut names: Vec<String> = request.topics.iter().map(|topic| topic.name.clone()).collect();
        if names.is_empty() {
            names = node.topics.all().iter().map(|topic| topic.name.to_string()).collect();
            names.retain(|name| call.may_see(Operation::Describe, Resource::Topic(name)));
        }
        names.sort();
        names.dedup();
        let (from_topic, from_partition) =
            request.cursor.map_or_else(Default::default, |cursor| (cursor.topic_name, cursor.partition_index));
        let mut left = request.response_partition_limit.clamp(1, LIMIT);
        let mut response = DescribeTopicPartitionsResponse::default();
        for name in names.into_iter().filter(|name| *name >= from_topic) {
            let first = if name == from_topic { from_partition.max(0) } else { 0 };
            if left == 0 {
                response.next_cursor = Some(Cursor { topic_name: name, partition_index: first, ..Default::default() });
                break;
            }
            let found = call.plan.guard((&name, -1), || {
                crate::topics::check_name(&name).map_err(|_| ErrorCode::INVALID_TOPIC_EXCEPTION)?;
                node.topics.named(&name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
            });
            let topic = match found {
                Ok(topic) => topic,
                Err(code) => {
                    response.topics.push(unknown(name, code));
                    continue;
                }
            };
            let end = topic.partition_count().min(first.saturating_add(left));
            response.topics.push(DescribeTopicPartitionsResponseTopic {
                topic_authorized_operations: call.operations(Resource::Topic(&topic.name)),
                ..describe(node, &topic, first..end)
            });
            left -= (end - first).max(0);
            if end < topic.partition_count() {
                response.next_cursor = Some(Cursor { topic_name: name, partition_index: end, ..Default::default() });
                break;
            }
        }
        Reply::With(response)
    }

    fn refuse(request: &DescribeTopicPartitionsRequest, code: ErrorCode) -> DescribeTopicPartitionsResponse {
        let topics = request.topics.iter().map(|topic| unknown(topic.name.clone(), code)).collect();
        DescribeTopicPartitionsResponse { topics, ..Default::default() }
    }

    fn targets(_: &Node, request: &DescribeTopicPartitionsRequest) -> Vec<(String, i32)> {
        request.topics.iter().map(|topic| (topic.name.clone(), -1)).collect()
    }
}

fn describe(node: &Arc<Node>, topic: &Topic, range: std::ops::Range<i32>) -> DescribeTopicPartitionsResponseTopic {
    let alive = node.cluster.alive();
    let partition = |partition_index| {
        let standing = topic.partition(partition_index).map(|partition| partition.standing()).unwrap_or_default();
        let leader = standing.leader.filter(|leader| alive.contains(leader));
        DescribeTopicPartitionsResponsePartition {
            error_code: leader.map_or(ErrorCode::LEADER_NOT_AVAILABLE, |_| ErrorCode::NONE).0,
            partition_index,
            leader_id: leader.unwrap_or(-1),
            leader_epoch: standing.leader_epoch,
            replica_nodes: standing.replicas.clone(),
            isr_nodes: standing.in_sync.clone(),
            offline_replicas: standing.replicas.iter().copied().filter(|node| !alive.contains(node)).collect(),
            eligible_leader_replicas: Some(Vec::new()),
            last_known_elr: Some(Vec::new()),
            ..Default::default()
        }
    };
    DescribeTopicPartitionsResponseTopic {
        name: Some(topic.name.to_string()),
        topic_id: topic.id,
        is_internal: internal::is_internal(&topic.name),
        partitions: range.map(partition).collect(),
        ..Default::default()
    }
}

fn unknown(name: String, code: ErrorCode) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic { error_code: code.0, name: Some(name), ..Default::default() }
}
