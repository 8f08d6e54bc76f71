//! ConsumerGroupHeartbeat (key 68): all that a member of a group of KIP-848 says and is told.
//!
//! Behaviour: see `group::consumer`. Epoch 0 joins, −1 leaves, −2 says that a static member goes and comes back; a field that
//! is null has not changed. The assignment is told when it is news, and to whoever says everything.
//! Versions: 1 the member's id is its own (KIP-1082), regular expressions.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use dohle_protocol::{
    ErrorCode, Uuid,
    messages::{
        ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
        consumer_group_heartbeat_response::{Assignment, TopicPartitions},
    },
};

use super::{Api, Call, Coordinated, Reply};
use crate::{
    config::MAX_INT,
    group::consumer::{Assignor, Beat, LEAVES, Partitions, Sight},
    node,
    security::authorizer::{Operation, Resource},
    topics::Refusal,
};

pub(super) struct ConsumerGroupHeartbeat;

impl Api for ConsumerGroupHeartbeat {
    type Request = ConsumerGroupHeartbeatRequest;
    const VERSIONS: (i16, i16) = (0, 1);

    async fn handle(call: &Call, request: ConsumerGroupHeartbeatRequest) -> Reply<Self> {
        if !call.node.options.as_version.has_consumer_groups() {
            return Reply::With(Self::refuse(&request, ErrorCode::UNSUPPORTED_VERSION));
        }
        let answered = check(call.version, &request).and_then(|()| match request.member_epoch {
            0.. => beat(call, request),
            _ => leave(call, &request),
        });
        Reply::With(answered.unwrap_or_else(|(code, message)| ConsumerGroupHeartbeatResponse {
            error_code: code.0,
            error_message: Some(message),
            ..Default::default()
        }))
    }

    fn coordinated(request: &ConsumerGroupHeartbeatRequest) -> Vec<Coordinated> {
        vec![Coordinated::Group(request.group_id.clone())]
    }

    fn refuse(_: &ConsumerGroupHeartbeatRequest, code: ErrorCode) -> ConsumerGroupHeartbeatResponse {
        let error_message = Some(code.text().into());
        ConsumerGroupHeartbeatResponse { error_code: code.0, error_message, ..Default::default() }
    }
}

/// What Kafka demands of a request before it looks at the group.
fn check(version: i16, request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refusal> {
    let refuse = |reason: &str| Err((ErrorCode::INVALID_REQUEST, reason.to_string()));
    let empty = |text: &Option<String>| text.as_ref().is_some_and(String::is_empty);
    let epoch = request.member_epoch;
    if (version >= 1 || epoch > 0 || epoch == LEAVES) && request.member_id.is_empty() {
        return refuse("MemberId can't be empty.");
    }
    if request.group_id.is_empty() {
        return refuse("GroupId can't be empty.");
    }
    if empty(&request.instance_id) {
        return refuse("InstanceId can't be empty.");
    }
    if empty(&request.rack_id) {
        return refuse("RackId can't be empty.");
    }
    if epoch == 0 {
        if request.rebalance_timeout_ms == -1 {
            return refuse("RebalanceTimeoutMs must be provided in first request.");
        }
        if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) {
            return refuse("TopicPartitions must be empty when (re-)joining.");
        }
        if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
            return refuse("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.");
        }
    }
    if epoch == -2 && request.instance_id.is_none() {
        return refuse("InstanceId can't be null.");
    }
    if epoch < -2 {
        return refuse(&format!("MemberEpoch is {epoch}, but must be greater than or equal to -2."));
    }
    match request.server_assignor.as_deref().filter(|name| Assignor::named(name).is_none()) {
        None => Ok(()),
        Some(name) => {
            let names = Assignor::NAMES;
            let reason = format!("ServerAssignor {name} is not supported. Supported assignors: {names}.");
            Err((ErrorCode::UNSUPPORTED_ASSIGNOR, reason))
        }
    }
}

/// An expression finds what its client may describe. The group outlives the node's part in it: it does not keep the node.
fn sight(call: &Call) -> Sight {
    if call.node.authorizer.is_none() {
        return Sight::default();
    }
    let (node, session) = (Arc::downgrade(&call.node), call.session.clone());
    Sight::of(move |topic| {
        let Some(node) = node.upgrade() else { return false };
        let resource = Resource::Topic(topic);
        node.authorizer.as_ref().is_none_or(|of| of.quietly_allows(&node.acls, &session, Operation::Describe, resource))
    })
}

fn beat(call: &Call, request: ConsumerGroupHeartbeatRequest) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
    let options = &call.node.options;
    let configs = &call.node.configs;
    let of_group = |name: &str| configs.of_group(&request.group_id, name).clamp(0, MAX_INT) as i32;
    let heartbeat_interval_ms = of_group("consumer.heartbeat.interval.ms");
    let session_timeout = node::millis(of_group("consumer.session.timeout.ms"));
    let member_id = match request.member_id {
        id if id.is_empty() => call.node.random_uuid().to_string(),
        id => id,
    };
    let owned = request.topic_partitions.map(|topics| {
        let partitions = topics.iter().flat_map(|topic| topic.partitions.iter().map(|index| (topic.topic_id, *index)));
        partitions.collect::<BTreeSet<(Uuid, i32)>>()
    });
    let beat = Beat {
        group_id: request.group_id,
        member_id: member_id.clone(),
        epoch: request.member_epoch,
        instance_id: request.instance_id,
        rack_id: request.rack_id,
        client_id: call.client_id.clone().unwrap_or_default(),
        client_host: format!("/{}", call.session.peer.ip().to_canonical()),
        rebalance_timeout: u64::try_from(request.rebalance_timeout_ms).ok().map(Duration::from_millis),
        topics: request.subscribed_topic_names,
        sight: if request.subscribed_topic_regex.is_some() { sight(call) } else { Sight::default() },
        regex: request.subscribed_topic_regex,
        assignor: request.server_assignor.as_deref().and_then(Assignor::named),
        owned,
        session_timeout,
        max_size: usize::try_from(options.group_consumer_max_size).unwrap_or(usize::MAX),
    };
    let told = call.node.groups.beat(beat, &call.node.topics)?;
    Ok(ConsumerGroupHeartbeatResponse {
        member_id: Some(member_id),
        member_epoch: told.epoch,
        heartbeat_interval_ms,
        assignment: told.assignment.map(assignment),
        ..Default::default()
    })
}

fn leave(call: &Call, request: &ConsumerGroupHeartbeatRequest) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
    let (member_id, topics) = (&request.member_id, &call.node.topics);
    let who = (member_id.as_str(), request.instance_id.as_deref());
    let member_epoch = call.node.groups.part(&request.group_id, who, request.member_epoch, topics)?;
    call.node.housekeeping.touch_offsets();
    Ok(ConsumerGroupHeartbeatResponse { member_id: Some(member_id.clone()), member_epoch, ..Default::default() })
}

fn assignment(partitions: Partitions) -> Assignment {
    let topic = |(topic_id, partitions): (Uuid, BTreeSet<i32>)| TopicPartitions {
        topic_id,
        partitions: partitions.into_iter().collect(),
        ..Default::default()
    };
    Assignment { topic_partitions: partitions.into_iter().map(topic).collect(), ..Default::default() }
}
