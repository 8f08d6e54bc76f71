//! ListGroups (key 16): all groups, with their states.
//!
//! Versions: 1 throttle time · 3 flexible · 4 states, also as a filter · 5 types, also as a filter (KIP-848).

use dohle_protocol::{
    ErrorCode,
    messages::{ListGroupsRequest, ListGroupsResponse, list_groups_response::ListedGroup},
};

use super::{Api, Call, Reply};
use crate::security::authorizer::{Operation, Resource};

pub(super) struct ListGroups;

impl Api for ListGroups {
    type Request = ListGroupsRequest;
    const VERSIONS: (i16, i16) = (0, 5);

    async fn handle(call: &Call, request: ListGroupsRequest) -> Reply<Self> {
        let wanted =
            |filter: &[String], value: &str| filter.is_empty() || filter.iter().any(|f| f.eq_ignore_ascii_case(value));
        let all = call.may_see(Operation::Describe, Resource::Cluster);
        let mut groups = Vec::new();
        call.node.groups.each(|id, group| {
            let state = group.state();
            let (group_type, protocol_type) = match group.classic() {
                Some(classic) => ("classic", classic.protocol_type()),
                None => ("consumer", "consumer"),
            };
            let seen = all || call.may_see(Operation::Describe, Resource::Group(id));
            if seen && wanted(&request.states_filter, state) && wanted(&request.types_filter, group_type) {
                groups.push(ListedGroup {
                    group_id: id.into(),
                    protocol_type: protocol_type.into(),
                    group_state: state.into(),
                    group_type: group_type.into(),
                    ..Default::default()
                });
            }
        });
        Reply::With(ListGroupsResponse { groups, ..Default::default() })
    }

    fn refuse(_: &ListGroupsRequest, code: ErrorCode) -> ListGroupsResponse {
        ListGroupsResponse { error_code: code.0, ..Default::default() }
    }
}
