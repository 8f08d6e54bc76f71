//! DescribeGroups (key 15): state and members of classic groups.
//!
//! Behaviour: a group that does not exist, or is one of KIP-848, is `Dead` (before version 6) or GROUP_ID_NOT_FOUND.
//! Versions: 1 throttle time · 3 authorised operations · 4 instance ids · 5 flexible · 6 error message.

use dohle_protocol::{
    ErrorCode,
    messages::{
        DescribeGroupsRequest, DescribeGroupsResponse,
        describe_groups_response::{DescribedGroup, DescribedGroupMember},
    },
};

use super::{Api, Call, Reply};
use crate::{
    group::{Group, State},
    security::authorizer::{Operation, Resource},
};

pub(super) struct DescribeGroups;

impl Api for DescribeGroups {
    type Request = DescribeGroupsRequest;
    const VERSIONS: (i16, i16) = (0, 6);

    async fn handle(call: &Call, request: DescribeGroupsRequest) -> Reply<Self> {
        let mut groups: Vec<DescribedGroup> = Vec::with_capacity(request.groups.len());
        for id in &request.groups {
            let allowed = call.needs(Operation::Describe, Resource::Group(id));
            if let Err(code) = allowed.and_then(|()| call.node.groups.ready(id)) {
                groups.push(refused(id, code));
                continue;
            }
            let mut described = call.node.groups.with(id, |group| describe(call.version, id, group));
            if request.include_authorized_operations {
                described.authorized_operations = call.operations(Resource::Group(id));
            }
            groups.push(described);
        }
        Reply::With(DescribeGroupsResponse { groups, ..Default::default() })
    }

    fn refuse(request: &DescribeGroupsRequest, code: ErrorCode) -> DescribeGroupsResponse {
        let groups = request.groups.iter().map(|id| refused(id, code)).collect();
        DescribeGroupsResponse { groups, ..Default::default() }
    }
}

fn refused(id: &str, code: ErrorCode) -> DescribedGroup {
    DescribedGroup { group_id: id.into(), error_code: code.0, ..Default::default() }
}

fn describe(version: i16, id: &str, group: Option<&Group>) -> DescribedGroup {
    let Some(classic) = group.and_then(Group::classic) else {
        let missing = version >= 6;
        let reason = if group.is_some() { "is not a classic group" } else { "not found" };
        return DescribedGroup {
            group_id: id.into(),
            group_state: "Dead".into(),
            error_code: if missing { ErrorCode::GROUP_ID_NOT_FOUND.0 } else { 0 },
            error_message: missing.then(|| format!("Group {id} {reason}.")),
            ..Default::default()
        };
    };
    // Assignments and the assignor are shown once they are settled.
    let settled = classic.state() == State::Stable;
    let member = |member: &crate::group::Member| DescribedGroupMember {
        member_id: member.id.clone(),
        group_instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        member_metadata: if settled { member.metadata(classic.protocol()) } else { Default::default() },
        member_assignment: if settled { member.assignment.clone() } else { Default::default() },
        ..Default::default()
    };
    DescribedGroup {
        group_id: id.into(),
        group_state: classic.state().name().into(),
        protocol_type: classic.protocol_type().into(),
        protocol_data: if settled { classic.protocol().into() } else { String::new() },
        members: classic.members().map(member).collect(),
        ..Default::default()
    }
}
