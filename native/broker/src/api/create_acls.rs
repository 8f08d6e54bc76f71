//! CreateAcls (key 30): adds access rules, each for itself.
//!
//! Behaviour: a rule holds from the next request on (`security::authorizer`). Without an authorizer, SECURITY_DISABLED, as in Kafka.
//! Versions: 1 pattern types · 2 flexible · 3 users (KIP-373).

use dohle_protocol::{
    ErrorCode,
    messages::{CreateAclsRequest, CreateAclsResponse, create_acls_response::AclCreationResult},
};

use super::{Api, Call, Reply};
use crate::{acls::Acl, topics::Refusal};

pub(super) struct CreateAcls;

impl Api for CreateAcls {
    type Request = CreateAclsRequest;
    const VERSIONS: (i16, i16) = (1, 3);

    async fn handle(call: &Call, request: CreateAclsRequest) -> Reply<Self> {
        let results = request.creations.into_iter().map(|asked| {
            let acl = Acl {
                resource_type: asked.resource_type,
                resource_name: asked.resource_name,
                pattern_type: asked.resource_pattern_type,
                principal: asked.principal,
                host: asked.host,
                operation: asked.operation,
                permission: asked.permission_type,
            };
            answer(call.needs_authorizer().and_then(|()| call.node.acls.add(acl)))
        });
        Reply::With(CreateAclsResponse { results: results.collect(), ..Default::default() })
    }

    fn refuse(request: &CreateAclsRequest, code: ErrorCode) -> CreateAclsResponse {
        let results = request.creations.iter().map(|_| answer(Err((code, code.text().into())))).collect();
        CreateAclsResponse { results, ..Default::default() }
    }
}

fn answer(added: Result<(), Refusal>) -> AclCreationResult {
    let (error_code, error_message) = added.err().map_or((0, None), |(code, why)| (code.0, Some(why)));
    AclCreationResult { error_code, error_message, ..Default::default() }
}
