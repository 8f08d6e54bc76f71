//! CreatePartitions (key 37): adds partitions to topics.
//!
//! Versions: 1 the same · 2 flexible · 3 quota errors.

use dohle_protocol::{
    ErrorCode,
    messages::{
        CreatePartitionsRequest, CreatePartitionsResponse, create_partitions_request::CreatePartitionsTopic,
        create_partitions_response::CreatePartitionsTopicResult,
    },
};

use super::{Api, Call, Reply};
use crate::{node::Node, topics::Refusal, words::words};

pub(super) struct CreatePartitions;

impl Api for CreatePartitions {
    type Request = CreatePartitionsRequest;
    const VERSIONS: (i16, i16) = (0, 3);

    async fn handle(call: &Call, request: CreatePartitionsRequest) -> Reply<Self> {
        let results = request.topics.iter().map(|asked| {
            let grown = call.plan.guard_saying((&asked.name, -1), || grow(call, asked, request.validate_only));
            answer(&asked.name, grown.err())
        });
        let results = results.collect();
        Reply::With(CreatePartitionsResponse { results, ..Default::default() })
    }

    fn refuse(request: &CreatePartitionsRequest, code: ErrorCode) -> CreatePartitionsResponse {
        let results = request.topics.iter().map(|asked| answer(&asked.name, Some((code, words(code))))).collect();
        CreatePartitionsResponse { results, ..Default::default() }
    }

    fn targets(_: &Node, request: &CreatePartitionsRequest) -> Vec<(String, i32)> {
        request.topics.iter().map(|topic| (topic.name.clone(), -1)).collect()
    }
}

fn grow(call: &Call, asked: &CreatePartitionsTopic, validate_only: bool) -> Result<(), Refusal> {
    let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let topic = call.node.topics.named(&asked.name).ok_or_else(|| (code, words(code)))?;
    topic.may_grow(asked.count)?;
    if let Some(assignments) = &asked.assignments {
        let refused = |reason: String| (ErrorCode::INVALID_REPLICA_ASSIGNMENT, reason);
        let added = asked.count.saturating_sub(topic.partition_count());
        if assignments.len() as i64 != i64::from(added) {
            let given = assignments.len();
            return Err(refused(format!(
                "Attempted to add {added} additional partition(s), but only {given} assignment(s) were specified."
            )));
        }
        for assignment in assignments {
            call.node.cluster.check_replicas(&assignment.broker_ids).map_err(refused)?;
        }
    }
    if validate_only {
        return Ok(());
    }
    let cluster = &call.node.cluster;
    let standings = match &asked.assignments {
        Some(of) => cluster.standings_of(of.iter().map(|assignment| assignment.broker_ids.clone()).collect()),
        None => {
            // As many copies as the others have.
            let copies = topic.partition(0).map_or(1, |partition| partition.standing().target().len());
            cluster.standings(asked.count.saturating_sub(topic.partition_count()).max(0), copies)?
        }
    };
    topic.grow(asked.count, standings)?;
    cluster.begun(&topic);
    Ok(())
}

fn answer(name: &str, refusal: Option<Refusal>) -> CreatePartitionsTopicResult {
    let (error_code, error_message) = refusal.map_or((0, None), |(code, message)| (code.0, Some(message)));
    CreatePartitionsTopicResult { name: name.into(), error_code, error_message, ..Default::default() }
}
