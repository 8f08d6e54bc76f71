//! SyncGroup (key 14): the leader brings the assignment, every member gets its part.
//!
//! Behaviour: see `group`. Members wait until the leader has come.
//! Versions: 1 throttle time · 3 instance ids · 4 flexible · 5 protocol type and name are checked.

use dohle_protocol::{
    ErrorCode,
    messages::{SyncGroupRequest, SyncGroupResponse},
};

use super::{Api, Call, Coordinated, Reply};
use crate::group::{Identity, SyncAsk, SyncReply};

pub(super) struct SyncGroup;

impl Api for SyncGroup {
    type Request = SyncGroupRequest;
    const VERSIONS: (i16, i16) = (0, 5);

    async fn handle(call: &Call, request: SyncGroupRequest) -> Reply<Self> {
        if request.group_id.is_empty() {
            return Reply::With(Self::refuse(&request, ErrorCode::INVALID_GROUP_ID));
        }
        let ask = SyncAsk {
            who: Identity {
                member_id: request.member_id,
                instance_id: request.group_instance_id,
                generation: request.generation_id,
            },
            protocol_type: request.protocol_type,
            protocol: request.protocol_name,
            assignments: request.assignments.into_iter().map(|one| (one.member_id, one.assignment)).collect(),
        };
        let reply = call.node.groups.sync(&request.group_id, ask, &call.node.topics).await;
        Reply::With(answer(reply.unwrap_or_else(|_| SyncReply::refused(ErrorCode::COORDINATOR_NOT_AVAILABLE))))
    }

    fn coordinated(request: &SyncGroupRequest) -> Vec<Coordinated> {
        vec![Coordinated::Group(request.group_id.clone())]
    }

    fn refuse(_: &SyncGroupRequest, code: ErrorCode) -> SyncGroupResponse {
        answer(SyncReply::refused(code))
    }
}

fn answer(reply: SyncReply) -> SyncGroupResponse {
    SyncGroupResponse {
        error_code: reply.error.0,
        protocol_type: reply.protocol_type,
        protocol_name: reply.protocol,
        assignment: reply.assignment,
        ..Default::default()
    }
}
