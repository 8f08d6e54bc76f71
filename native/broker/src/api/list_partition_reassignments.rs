//! ListPartitionReassignments (key 46): the partitions that move, and where to; `kafka-topics --describe` asks.
//!
//! Versions: 0.

use dohle_protocol::{
    ErrorCode,
    messages::{
        ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
        list_partition_reassignments_response::{OngoingPartitionReassignment, OngoingTopicReassignment},
    },
};

use super::{Api, Call, Reply};

pub(super) struct ListPartitionReassignments;

impl Api for ListPartitionReassignments {
    type Request = ListPartitionReassignmentsRequest;
    const VERSIONS: (i16, i16) = (0, 0);

    async fn handle(call: &Call, request: ListPartitionReassignmentsRequest) -> Reply<Self> {
        let wanted = |topic: &str, index: i32| {
            let named = |topics: &Vec<_>| topics.iter().any(|of: &_| is(of, topic, index));
            request.topics.as_ref().is_none_or(named)
        };
        let mut topics = Vec::new();
        for topic in call.node.topics.all() {
            let moving = (0..).zip(topic.partitions()).filter(|(index, _)| wanted(&topic.name, *index));
            let partitions = moving.filter_map(|(partition_index, partition)| {
                let standing = partition.standing();
                standing.is_moving().then(|| OngoingPartitionReassignment {
                    partition_index,
                    replicas: standing.replicas.clone(),
                    adding_replicas: standing.adding.clone(),
                    removing_replicas: standing.removing.clone(),
                    ..Default::default()
                })
            });
            let partitions: Vec<_> = partitions.collect();
            if !partitions.is_empty() {
                topics.push(OngoingTopicReassignment {
                    name: topic.name.to_string(),
                    partitions,
                    ..Default::default()
                });
            }
        }
        Reply::With(ListPartitionReassignmentsResponse { error_message: None, topics, ..Default::default() })
    }

    fn refuse(_: &ListPartitionReassignmentsRequest, code: ErrorCode) -> ListPartitionReassignmentsResponse {
        ListPartitionReassignmentsResponse { error_code: code.0, error_message: None, ..Default::default() }
    }
}

fn is(
    of: &dohle_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics,
    topic: &str,
    index: i32,
) -> bool {
    of.name == topic && of.partition_indexes.contains(&index)
}
