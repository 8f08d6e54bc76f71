//! AlterPartitionReassignments (key 45): moves partitions to other brokers.
//!
//! Behaviour: there is one broker, so a move to it is done already and one elsewhere is INVALID_REPLICA_ASSIGNMENT; there
//! is never a move to stop (NO_REASSIGNMENT_IN_PROGRESS). Versions: 1 whether the number of replicas may change.

use dohle_protocol::{
    ErrorCode,
    messages::{
        AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
        alter_partition_reassignments_response::{ReassignablePartitionResponse, ReassignableTopicResponse},
    },
};

use super::{Api, Call, Reply};
use crate::{
    node::Node,
    topics::Refusal,
    words::{check_replicas, words},
};

pub(super) struct AlterPartitionReassignments;

impl Api for AlterPartitionReassignments {
    type Request = AlterPartitionReassignmentsRequest;
    const VERSIONS: (i16, i16) = (0, 1);

    async fn handle(call: &Call, request: AlterPartitionReassignmentsRequest) -> Reply<Self> {
        let checked = |topic: &str, partition: i32, replicas: Option<&[i32]>| {
            let mut refusal = None;
            let moved = call.plan.guard((topic, partition), || {
                check(&call.node, topic, partition, replicas).map_err(|why| refusal.insert(why).0)
            });
            moved.map_err(|code| refusal.filter(|why| why.0 == code).unwrap_or((code, words(code))))
        };
        Reply::With(answer(&request, checked))
    }

    fn refuse(request: &AlterPartitionReassignmentsRequest, code: ErrorCode) -> AlterPartitionReassignmentsResponse {
        AlterPartitionReassignmentsResponse {
            error_code: code.0,
            ..answer(request, |_, _, _| Err((code, words(code))))
        }
    }

    fn targets(_: &Node, request: &AlterPartitionReassignmentsRequest) -> Vec<(String, i32)> {
        let topics = request.topics.iter();
        topics.flat_map(|topic| topic.partitions.iter().map(|p| (topic.name.clone(), p.partition_index))).collect()
    }
}

fn check(node: &Node, topic: &str, partition: i32, replicas: Option<&[i32]>) -> Result<(), Refusal> {
    let unknown = |what: String| (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, what);
    let found = node.topics.named(topic).ok_or_else(|| unknown(format!("Unable to find a topic named {topic}.")))?;
    if found.partition(partition).is_none() {
        return Err(unknown(format!("Unable to find partition {topic}:{partition}.")));
    }
    match replicas {
        // Kafka leaves the words to the client.
        None => Err((ErrorCode::NO_REASSIGNMENT_IN_PROGRESS, String::new())),
        Some(replicas) => check_replicas(node.options.node_id, replicas)
            .map_err(|reason| (ErrorCode::INVALID_REPLICA_ASSIGNMENT, reason)),
    }
}

fn answer(
    request: &AlterPartitionReassignmentsRequest,
    mut checked: impl FnMut(&str, i32, Option<&[i32]>) -> Result<(), Refusal>,
) -> AlterPartitionReassignmentsResponse {
    let mut responses = Vec::new();
    for topic in &request.topics {
        let mut partitions = Vec::new();
        for asked in &topic.partitions {
            let failed = checked(&topic.name, asked.partition_index, asked.replicas.as_deref()).err();
            let (error_code, error_message) =
                failed.map_or((0, None), |(code, why)| (code.0, Some(why).filter(|why| !why.is_empty())));
            partitions.push(ReassignablePartitionResponse {
                partition_index: asked.partition_index,
                error_code,
                error_message,
                ..Default::default()
            });
        }
        responses.push(ReassignableTopicResponse { name: topic.name.clone(), partitions, ..Default::default() });
    }
    AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        error_message: None,
        responses,
        ..Default::default()
    }
}
