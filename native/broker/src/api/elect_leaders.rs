//! ElectLeaders (key 43): elects the preferred, or any, leaders of partitions.
//!
//! Behaviour: the one broker leads everything: ELECTION_NOT_NEEDED for a partition that is named; of all partitions (no
//! topics) those that need none are left out, as Kafka does. Versions: 1 kinds of election · 2 flexible.

use dohle_protocol::{
    ErrorCode,
    messages::{
        ElectLeadersRequest, ElectLeadersResponse,
        elect_leaders_response::{PartitionResult, ReplicaElectionResult},
    },
};

use super::{Api, Call, Reply};
use crate::{node::Node, topics::Refusal, words::words};

pub(super) struct ElectLeaders;

impl Api for ElectLeaders {
    type Request = ElectLeadersRequest;
    const VERSIONS: (i16, i16) = (0, 2);

    async fn handle(call: &Call, request: ElectLeadersRequest) -> Reply<Self> {
        if !matches!(request.election_type, 0 | 1) {
            return Reply::With(Self::refuse_in(call.version, &request, ErrorCode::INVALID_REQUEST));
        }
        let elect = |topic: &str, index: i32| {
            let there = call.node.topics.named(topic).is_some_and(|topic| topic.partition(index).is_some());
            match call.plan.guard((topic, index), || Ok(())) {
                Err(code) => (code, words(code)),
                Ok(()) if there => {
                    let code = ErrorCode::ELECTION_NOT_NEEDED;
                    (code, words(code))
                }
                Ok(()) => (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("No such partition as {topic}-{index}")),
            }
        };
        Reply::With(answer(&request, elect))
    }

    fn refuse(request: &ElectLeadersRequest, code: ErrorCode) -> ElectLeadersResponse {
        ElectLeadersResponse { error_code: code.0, ..answer(request, |_, _| (code, words(code))) }
    }

    fn refuse_in(version: i16, request: &ElectLeadersRequest, code: ErrorCode) -> ElectLeadersResponse {
        let refused = Self::refuse(request, code);
        // Version 0 has no place for it beside the partitions' own.
        ElectLeadersResponse { error_code: if version == 0 { 0 } else { code.0 }, ..refused }
    }

    fn targets(_: &Node, request: &ElectLeadersRequest) -> Vec<(String, i32)> {
        let topics = request.topic_partitions.iter().flatten();
        topics.flat_map(|topic| topic.partitions.iter().map(|index| (topic.topic.clone(), *index))).collect()
    }
}

fn answer(request: &ElectLeadersRequest, mut elect: impl FnMut(&str, i32) -> Refusal) -> ElectLeadersResponse {
    let mut replica_election_results = Vec::new();
    for topic in request.topic_partitions.iter().flatten() {
        let mut partition_result = Vec::new();
        for index in &topic.partitions {
            let (code, why) = elect(&topic.topic, *index);
            partition_result.push(PartitionResult {
                partition_id: *index,
                error_code: code.0,
                error_message: Some(why),
                ..Default::default()
            });
        }
        let topic = topic.topic.clone();
        replica_election_results.push(ReplicaElectionResult { topic, partition_result, ..Default::default() });
    }
    ElectLeadersResponse { replica_election_results, ..Default::default() }
}
