//! DescribeAcls (key 29): the access rules that a filter matches, by resource.
//!
//! Versions: 1 pattern types · 2 flexible · 3 users (KIP-373).

use dohle_protocol::{
    ErrorCode,
    messages::{
        DescribeAclsRequest, DescribeAclsResponse,
        describe_acls_response::{AclDescription, DescribeAclsResource},
    },
};

use super::{Api, Call, Reply};
use crate::acls::{Acl, Filter};

pub(super) struct DescribeAcls;

impl Api for DescribeAcls {
    type Request = DescribeAclsRequest;
    const VERSIONS: (i16, i16) = (1, 3);

    async fn handle(call: &Call, request: DescribeAclsRequest) -> Reply<Self> {
        let filter = Filter {
            resource_type: request.resource_type_filter,
            resource_name: request.resource_name_filter.clone(),
            pattern_type: request.pattern_type_filter,
            principal: request.principal_filter.clone(),
            host: request.host_filter.clone(),
            operation: request.operation,
            permission: request.permission_type,
        };
        Reply::With(match call.needs_authorizer().and_then(|()| call.node.acls.find(&filter)) {
            Ok(found) => {
                DescribeAclsResponse { error_message: None, resources: by_resource(found), ..Default::default() }
            }
            Err((code, why)) => DescribeAclsResponse { error_message: Some(why), ..Self::refuse(&request, code) },
        })
    }

    fn refuse(_: &DescribeAclsRequest, code: ErrorCode) -> DescribeAclsResponse {
        DescribeAclsResponse { error_code: code.0, error_message: None, ..Default::default() }
    }
}

/// They are sorted by resource.
fn by_resource(found: Vec<Acl>) -> Vec<DescribeAclsResource> {
    let mut resources: Vec<DescribeAclsResource> = Vec::new();
    for acl in found {
        let description = AclDescription {
            principal: acl.principal,
            host: acl.host,
            operation: acl.operation,
            permission_type: acl.permission,
            ..Default::default()
        };
        let (kind, name, pattern) = (acl.resource_type, acl.resource_name, acl.pattern_type);
        match resources.last_mut() {
            Some(last) if (last.resource_type, &last.resource_name, last.pattern_type) == (kind, &name, pattern) => {
                last.acls.push(description);
            }
            _ => resources.push(DescribeAclsResource {
                resource_type: kind,
                resource_name: name,
                pattern_type: pattern,
                acls: vec![description],
                ..Default::default()
            }),
        }
    }
    resources
}
