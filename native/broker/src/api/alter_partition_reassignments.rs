//! AlterPartitionReassignments (key 45): moves partitions to other brokers.
//!
//! Behaviour: a move begins at once and is over when all new copies are in sync; null stops it. Versions: 1 whether the number of
//! replicas may change.

use dohle_protocol::{
    ErrorCode,
    messages::{
        AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
        alter_partition_reassignments_response::{ReassignablePartitionResponse, ReassignableTopicResponse},
    },
};

use super::{Api, Call, Reply};
use crate::{node::Node, topics::Refusal, words::words};

pub(super) struct AlterPartitionReassignments;

impl Api for AlterPartitionReassignments {
    type Request = AlterPartitionReassignmentsRequest;
    const VERSIONS: (i16, i16) = (0, 1);

    async fn handle(call: &Call, request: AlterPartitionReassignmentsRequest) -> Reply<Self> {
        let resizing = request.allow_replication_factor_change;
        let checked = |topic: &str, partition: i32, replicas: Option<&[i32]>| {
            let mut refusal = None;
            let moved = call.plan.guard((topic, partition), || {
                reassign(&call.node, topic, partition, replicas, resizing).map_err(|why| refusal.insert(why).0)
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

fn reassign(node: &Node, topic: &str, partition: i32, replicas: Option<&[i32]>, resizing: bool) -> Result<(), Refusal> {
    let unknown = |what: String| (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, what);
    let found = node.topics.named(topic).ok_or_else(|| unknown(format!("Unable to find a topic named {topic}.")))?;
    let Some(of) = found.partition(partition) else {
        return Err(unknown(format!("Unable to find partition {topic}:{partition}.")));
    };
    if let Some(replicas) = replicas {
        let refused = |reason: String| (ErrorCode::INVALID_REPLICA_ASSIGNMENT, reason);
        node.cluster.check_replicas(replicas).map_err(refused)?;
        let now = of.standing().target().len();
        if !resizing && now != replicas.len() {
            let reason = format!("The replication factor is changed from {now} to {}", replicas.len());
            return Err((ErrorCode::INVALID_REPLICATION_FACTOR, reason));
        }
    }
    node.cluster.reassign(topic, partition, replicas).map_err(|code| match code {
        // Kafka leaves the words to the client.
        ErrorCode::NO_REASSIGNMENT_IN_PROGRESS => (code, String::new()),
        code => (code, words(code)),
    })
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
