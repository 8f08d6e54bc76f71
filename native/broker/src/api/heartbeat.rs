//! Heartbeat (key 12): a member is alive; it learns that the group rebalances.
//!
//! Versions: 1 throttle time · 3 instance ids · 4 flexible.

use dohle_protocol::{
    ErrorCode,
    messages::{HeartbeatRequest, HeartbeatResponse},
};

use super::{Api, Call, Reply};
use crate::group::Identity;

pub(super) struct Heartbeat;

impl Api for Heartbeat {
    type Request = HeartbeatRequest;
    const VERSIONS: (i16, i16) = (0, 4);

    async fn handle(call: &Call, request: HeartbeatRequest) -> Reply<Self> {
        let who = Identity {
            member_id: request.member_id.clone(),
            instance_id: request.group_instance_id.clone(),
            generation: request.generation_id,
        };
        let code = call.node.groups.heartbeat(&request.group_id, &who).err().unwrap_or(ErrorCode::NONE);
        Reply::With(Self::refuse(&request, code))
    }

    fn refuse(_: &HeartbeatRequest, code: ErrorCode) -> HeartbeatResponse {
        HeartbeatResponse { error_code: code.0, ..Default::default() }
    }
}
