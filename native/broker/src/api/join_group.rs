//! JoinGroup (key 11): becomes or stays a member of a classic group; answered when the rebalance is complete.
//!
//! Behaviour: see `group`. A newcomer gets its member id first and comes back with it (version 4 on); static members keep
//! their place under a new id (version 5 on).
//! Versions: 1 rebalance timeout · 2 throttle time · 4 MEMBER_ID_REQUIRED · 5 instance ids · 6 flexible · 7 protocol type ·
//! 8 reason · 9 skipped assignment.

use std::time::Duration;

use dohle_protocol::{
    ErrorCode,
    messages::{JoinGroupRequest, JoinGroupResponse, join_group_response::JoinGroupResponseMember},
};

use super::{Api, Call, Coordinated, Reply};
use crate::{
    group::{JoinAsk, JoinReply},
    node,
};

pub(super) struct JoinGroup;

impl Api for JoinGroup {
    type Request = JoinGroupRequest;
    const VERSIONS: (i16, i16) = (0, 9);

    async fn handle(call: &Call, request: JoinGroupRequest) -> Reply<Self> {
        if let Err(code) = check(call, &request) {
            return Reply::With(Self::refuse(&request, code));
        }
        let asked = request.member_id.clone();
        let reply = call.node.groups.join(ask(call, request), &call.node.topics).await;
        // The group was deleted, or the broker stops.
        let reply = reply.unwrap_or_else(|_| JoinReply::refused(&asked, ErrorCode::COORDINATOR_NOT_AVAILABLE));
        Reply::With(answer(call.version, reply))
    }

    fn coordinated(request: &JoinGroupRequest) -> Vec<Coordinated> {
        vec![Coordinated::Group(request.group_id.clone())]
    }

    fn refuse(request: &JoinGroupRequest, code: ErrorCode) -> JoinGroupResponse {
        answer(0, JoinReply::refused(&request.member_id, code))
    }
}

fn check(call: &Call, request: &JoinGroupRequest) -> Result<(), ErrorCode> {
    let options = &call.node.options;
    let allowed = options.group_min_session_timeout_ms..=options.group_max_session_timeout_ms;
    if request.group_id.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    if !allowed.contains(&request.session_timeout_ms) {
        return Err(ErrorCode::INVALID_SESSION_TIMEOUT);
    }
    Ok(())
}

fn ask(call: &Call, request: JoinGroupRequest) -> JoinAsk {
    let millis = |ms: i32| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    let client_id = call.client_id.clone().unwrap_or_default();
    // As Kafka: static members are named after their instance, the others after their client.
    let prefix = request.group_instance_id.as_ref().unwrap_or(&client_id);
    let new_member_id = format!("{prefix}-{}", node::hex(call.node.random_uuid()));
    JoinAsk {
        new_member_id,
        session_timeout: millis(request.session_timeout_ms),
        rebalance_timeout: millis(if call.version >= 1 {
            request.rebalance_timeout_ms
        } else {
            request.session_timeout_ms
        }),
        group_id: request.group_id,
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        client_id,
        client_host: format!("/{}", call.session.peer.ip().to_canonical()),
        protocol_type: request.protocol_type,
        protocols: request.protocols.into_iter().map(|protocol| (protocol.name, protocol.metadata)).collect(),
        id_first: call.version >= 4,
        may_skip_assignment: call.version >= 9,
        initial_delay: Duration::from_millis(call.node.options.group_initial_rebalance_delay_ms.into()),
    }
}

fn answer(version: i16, reply: JoinReply) -> JoinGroupResponse {
    let member = |(member_id, group_instance_id, metadata)| JoinGroupResponseMember {
        member_id,
        group_instance_id,
        metadata,
        ..Default::default()
    };
    JoinGroupResponse {
        error_code: reply.error.0,
        generation_id: reply.generation,
        protocol_type: reply.protocol_type,
        // Null exists from version 7 on.
        protocol_name: reply.protocol.or_else(|| (version < 7).then(String::new)),
        leader: reply.leader,
        skip_assignment: reply.skip_assignment,
        member_id: reply.member_id,
        members: reply.members.into_iter().map(member).collect(),
        ..Default::default()
    }
}
