//! DeleteAcls (key 31): takes out the access rules that filters match, and tells them.
//!
//! Versions: 1 pattern types · 2 flexible · 3 users (KIP-373).

use dohle_protocol::{
    ErrorCode,
    messages::{
        DeleteAclsRequest, DeleteAclsResponse,
        delete_acls_request::DeleteAclsFilter,
        delete_acls_response::{DeleteAclsFilterResult, DeleteAclsMatchingAcl},
    },
};

use super::{Api, Call, Reply};
use crate::{
    acls::{Acl, Filter},
    topics::Refusal,
};

pub(super) struct DeleteAcls;

impl Api for DeleteAcls {
    type Request = DeleteAclsRequest;
    const VERSIONS: (i16, i16) = (1, 3);

    async fn handle(call: &Call, request: DeleteAclsRequest) -> Reply<Self> {
        let results = request
            .filters
            .into_iter()
            .map(|asked| answer(call.needs_authorizer().and_then(|()| call.node.acls.delete(&filter(asked)))));
        Reply::With(DeleteAclsResponse { filter_results: results.collect(), ..Default::default() })
    }

    fn refuse(request: &DeleteAclsRequest, code: ErrorCode) -> DeleteAclsResponse {
        let results = request.filters.iter().map(|_| answer(Err((code, code.text().into()))));
        DeleteAclsResponse { filter_results: results.collect(), ..Default::default() }
    }
}

fn filter(asked: DeleteAclsFilter) -> Filter {
    Filter {
        resource_type: asked.resource_type_filter,
        resource_name: asked.resource_name_filter,
        pattern_type: asked.pattern_type_filter,
        principal: asked.principal_filter,
        host: asked.host_filter,
        operation: asked.operation,
        permission: asked.permission_type,
    }
}

fn answer(deleted: Result<Vec<Acl>, Refusal>) -> DeleteAclsFilterResult {
    let matching = |acl: Acl| DeleteAclsMatchingAcl {
        error_message: None,
        resource_type: acl.resource_type,
        resource_name: acl.resource_name,
        pattern_type: acl.pattern_type,
        principal: acl.principal,
        host: acl.host,
        operation: acl.operation,
        permission_type: acl.permission,
        ..Default::default()
    };
    match deleted {
        Ok(acls) => DeleteAclsFilterResult {
            error_message: None,
            matching_acls: acls.into_iter().map(matching).collect(),
            ..Default::default()
        },
        Err((code, why)) => {
            DeleteAclsFilterResult { error_code: code.0, error_message: Some(why), ..Default::default() }
        }
    }
}
