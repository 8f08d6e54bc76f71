//! DeleteGroups (key 42): deletes groups without members, with their offsets.
//!
//! Versions: 1 the same · 2 flexible.

use dohle_protocol::{
    ErrorCode,
    messages::{DeleteGroupsRequest, DeleteGroupsResponse, delete_groups_response::DeletableGroupResult},
};

use super::{Api, Call, Coordinated, Reply};
use crate::security::authorizer::{Operation, Resource};

pub(super) struct DeleteGroups;

impl Api for DeleteGroups {
    type Request = DeleteGroupsRequest;
    const VERSIONS: (i16, i16) = (0, 2);

    async fn handle(call: &Call, request: DeleteGroupsRequest) -> Reply<Self> {
        let results = request.groups_names.iter().map(|id| {
            let allowed = call.needs(Operation::Delete, Resource::Group(id));
            answer(id, allowed.and_then(|()| call.node.groups.delete(id)).err())
        });
        Reply::With(DeleteGroupsResponse { results: results.collect(), ..Default::default() })
    }

    fn coordinated(request: &DeleteGroupsRequest) -> Vec<Coordinated> {
        request.groups_names.iter().cloned().map(Coordinated::Group).collect()
    }

    fn refuse(request: &DeleteGroupsRequest, code: ErrorCode) -> DeleteGroupsResponse {
        let results = request.groups_names.iter().map(|id| answer(id, Some(code))).collect();
        DeleteGroupsResponse { results, ..Default::default() }
    }
}

fn answer(id: &str, code: Option<ErrorCode>) -> DeletableGroupResult {
    DeletableGroupResult { group_id: id.into(), error_code: code.map_or(0, |code| code.0), ..Default::default() }
}
