//! DeleteTopics (key 20): deletes topics, each for itself, with all their records; fetches that wait for them end.
//!
//! Behaviour: gone at once (Kafka's brokers learn it a little later). Offsets that groups committed for them go too. With
//! `delete.topic.enable=false` nothing is deleted.
//! Versions: 1 throttle time · 4 flexible · 5 error message · 6 topics by id.

use dohle_protocol::{
    ErrorCode,
    messages::{
        DeleteTopicsRequest, DeleteTopicsResponse, delete_topics_request::DeleteTopicState,
        delete_topics_response::DeletableTopicResult,
    },
};

use super::{Api, Call, Reply};
use crate::{config::broker, coordinator::internal, node::Node, words::words};

pub(super) struct DeleteTopics;

impl Api for DeleteTopics {
    type Request = DeleteTopicsRequest;
    const VERSIONS: (i16, i16) = (1, 6);

    async fn handle(call: &Call, request: DeleteTopicsRequest) -> Reply<Self> {
        let responses = states(&request).into_iter().map(|state| {
            let deleted = delete(call, &state);
            answer(state, deleted.err())
        });
        Reply::With(DeleteTopicsResponse { responses: responses.collect(), ..Default::default() })
    }

    fn refuse(request: &DeleteTopicsRequest, code: ErrorCode) -> DeleteTopicsResponse {
        let responses = states(request).into_iter().map(|state| answer(state, Some(code))).collect();
        DeleteTopicsResponse { responses, ..Default::default() }
    }

    fn targets(node: &Node, request: &DeleteTopicsRequest) -> Vec<(String, i32)> {
        let by_id = |state: &DeleteTopicState| node.topics.with_id(state.topic_id).map(|topic| topic.name.to_string());
        let states = states(request).into_iter();
        states.filter_map(|state| Some((state.name.clone().or_else(|| by_id(&state))?, -1))).collect()
    }
}

/// The topics asked for, however the version names them.
fn states(request: &DeleteTopicsRequest) -> Vec<DeleteTopicState> {
    let named =
        request.topic_names.iter().map(|name| DeleteTopicState { name: Some(name.clone()), ..Default::default() });
    request.topics.iter().cloned().chain(named).collect()
}

fn delete(call: &Call, state: &DeleteTopicState) -> Result<(), ErrorCode> {
    let node = &call.node;
    if !broker::enabled(&node.options, "delete.topic.enable") {
        return Err(ErrorCode::TOPIC_DELETION_DISABLED);
    }
    let name = match &state.name {
        Some(name) => name.clone(),
        None => node.topics.with_id(state.topic_id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?.name.to_string(),
    };
    call.plan.guard((&name, -1), || {
        let topic = node.topics.delete(&name)?;
        match &*topic.name {
            internal::OFFSETS | internal::TRANSACTIONS => node.cluster.each_node(|node| node.coordinate_anew()),
            name => node.cluster.each_node(|node| node.groups.forget_topic(name)),
        }
        tracing::debug!(topic = %topic.name, "topic deleted");
        Ok(())
    })
}

fn answer(state: DeleteTopicState, code: Option<ErrorCode>) -> DeletableTopicResult {
    DeletableTopicResult {
        name: state.name,
        topic_id: state.topic_id,
        error_code: code.map_or(0, |code| code.0),
        error_message: code.map(words),
        ..Default::default()
    }
}
