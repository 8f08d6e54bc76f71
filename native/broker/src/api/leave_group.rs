//! LeaveGroup (key 13): members leave, the others rebalance at once.
//!
//! Behaviour: an admin client removes a static member by its instance id alone.
//! Versions: 1 throttle time · 3 several members · 4 flexible · 5 reason.

use dohle_protocol::{
    ErrorCode,
    messages::{LeaveGroupRequest, LeaveGroupResponse, leave_group_response::MemberResponse},
};

use super::{Api, Call, Coordinated, Reply};

pub(super) struct LeaveGroup;

impl Api for LeaveGroup {
    type Request = LeaveGroupRequest;
    const VERSIONS: (i16, i16) = (0, 5);

    async fn handle(call: &Call, request: LeaveGroupRequest) -> Reply<Self> {
        if call.version < 3 {
            let left =
                call.node.groups.leave(&request.group_id, &[(request.member_id.clone(), None)], &call.node.topics);
            let code = left.first().and_then(|left| left.err()).unwrap_or(ErrorCode::NONE);
            return Reply::With(Self::refuse(&request, code));
        }
        let members: Vec<(String, Option<String>)> =
            request.members.into_iter().map(|member| (member.member_id, member.group_instance_id)).collect();
        let left = call.node.groups.leave(&request.group_id, &members, &call.node.topics);
        call.node.housekeeping.touch_offsets();
        let member = |((member_id, group_instance_id), left): (_, Result<(), ErrorCode>)| MemberResponse {
            member_id,
            group_instance_id,
            error_code: left.err().map_or(0, |code| code.0),
            ..Default::default()
        };
        let members = members.into_iter().zip(left).map(member).collect();
        Reply::With(LeaveGroupResponse { members, ..Default::default() })
    }

    fn coordinated(request: &LeaveGroupRequest) -> Vec<Coordinated> {
        vec![Coordinated::Group(request.group_id.clone())]
    }

    fn refuse(_: &LeaveGroupRequest, code: ErrorCode) -> LeaveGroupResponse {
        LeaveGroupResponse { error_code: code.0, ..Default::default() }
    }
}
