//! ElectLeaders (key 43): elects the preferred, or any, leaders of partitions.
//!
//! Behaviour: ELECTION_NOT_NEEDED for a partition that is named and has such a leader; of all partitions (no topics) those that
//! need none are left out, as Kafka does. Versions: 1 kinds of election · 2 flexible.

use dohle_protocol::{
    ErrorCode,
    messages::{
        ElectLeadersRequest, ElectLeadersResponse,
        elect_leaders_request::TopicPartitions,
        elect_leaders_response::{PartitionResult, ReplicaElectionResult},
    },
};

use super::{Api, Call, Reply};
use crate::{cluster::Election, node::Node, topics::Topic, words::words};

pub(super) struct ElectLeaders;

impl Api for ElectLeaders {
    type Request = ElectLeadersRequest;
    const VERSIONS: (i16, i16) = (0, 2);

    async fn handle(call: &Call, request: ElectLeadersRequest) -> Reply<Self> {
        if !matches!(request.election_type, 0 | 1) {
            return Reply::With(Self::refuse_in(call.version, &request, ErrorCode::INVALID_REQUEST));
        }
        let how = if request.election_type == 0 { Election::Preferred } else { Election::Unclean };
        let elect = |topic: &str, index: i32| match call
            .plan
            .guard((topic, index), || call.node.cluster.elect(topic, index, how))
        {
            Ok(true) => (ErrorCode::NONE, None),
            Ok(false) => (ErrorCode::ELECTION_NOT_NEEDED, Some(words(ErrorCode::ELECTION_NOT_NEEDED))),
            Err(code @ ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => {
                (code, Some(format!("No such partition as {topic}-{index}")))
            }
            Err(code) => (code, Some(words(code))),
        };
        if request.topic_partitions.is_some() {
            return Reply::With(answer(&request, elect));
        }
        let all = |topic: std::sync::Arc<Topic>| TopicPartitions {
            topic: topic.name.to_string(),
            partitions: (0..topic.partition_count()).collect(),
            ..Default::default()
        };
        let all = call.node.topics.all().into_iter().map(all).collect();
        let mut answered = answer(&ElectLeadersRequest { topic_partitions: Some(all), ..request }, elect);
        for topic in &mut answered.replica_election_results {
            topic.partition_result.retain(|of| of.error_code != ErrorCode::ELECTION_NOT_NEEDED.0);
        }
        answered.replica_election_results.retain(|topic| !topic.partition_result.is_empty());
        Reply::With(answered)
    }

    fn refuse(request: &ElectLeadersRequest, code: ErrorCode) -> ElectLeadersResponse {
        ElectLeadersResponse { error_code: code.0, ..answer(request, |_, _| (code, Some(words(code)))) }
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

fn answer(
    request: &ElectLeadersRequest,
    mut elect: impl FnMut(&str, i32) -> (ErrorCode, Option<String>),
) -> ElectLeadersResponse {
    let mut replica_election_results = Vec::new();
    for topic in request.topic_partitions.iter().flatten() {
        let mut partition_result = Vec::new();
        for index in &topic.partitions {
            let (code, why) = elect(&topic.topic, *index);
            partition_result.push(PartitionResult {
                partition_id: *index,
                error_code: code.0,
                error_message: why,
                ..Default::default()
            });
        }
        let topic = topic.topic.clone();
        replica_election_results.push(ReplicaElectionResult { topic, partition_result, ..Default::default() });
    }
    ElectLeadersResponse { replica_election_results, ..Default::default() }
}
