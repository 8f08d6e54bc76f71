//! CreateDelegationToken (key 38): makes a token to log in with.
//!
//! Behaviour: tokens are for those who have logged in, and not with a token: else DELEGATION_TOKEN_REQUEST_NOT_ALLOWED. Without
//! `delegation.token.secret.key` there are none: DELEGATION_TOKEN_AUTH_DISABLED. Versions: 2 flexible · 3 for others (KIP-373).

use dohle_protocol::{
    ErrorCode,
    messages::{CreateDelegationTokenRequest, CreateDelegationTokenResponse},
};

use super::{Api, Call, Reply};
use crate::security::{
    Principal,
    authorizer::{Operation, Resource},
    tokens::Token,
};

pub(super) struct CreateDelegationToken;

impl Api for CreateDelegationToken {
    type Request = CreateDelegationTokenRequest;
    const VERSIONS: (i16, i16) = (1, 3);

    async fn handle(call: &Call, request: CreateDelegationTokenRequest) -> Reply<Self> {
        let since_3 = |text: &str| if call.version >= 3 { text.into() } else { String::new() };
        Reply::With(match create(call, &request) {
            Err(code) => Self::refuse(&request, code),
            Ok(token) => CreateDelegationTokenResponse {
                principal_type: token.owner.kind().into(),
                principal_name: token.owner.name().into(),
                token_requester_principal_type: since_3(token.requester.kind()),
                token_requester_principal_name: since_3(token.requester.name()),
                issue_timestamp_ms: token.issued_ms,
                expiry_timestamp_ms: token.expires_ms,
                max_timestamp_ms: token.max_ms,
                token_id: token.id,
                hmac: token.hmac,
                ..Default::default()
            },
        })
    }

    fn refuse(_: &CreateDelegationTokenRequest, code: ErrorCode) -> CreateDelegationTokenResponse {
        CreateDelegationTokenResponse { error_code: code.0, ..Default::default() }
    }
}

fn create(call: &Call, request: &CreateDelegationTokenRequest) -> Result<Token, ErrorCode> {
    let requester = call.session.may_have_tokens().ok_or(ErrorCode::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED)?;
    let owner = match (request.owner_principal_type.as_deref(), request.owner_principal_name.as_deref()) {
        (Some(kind), Some(name)) if !kind.is_empty() || !name.is_empty() => Principal::new(kind, name),
        _ => requester.clone(),
    };
    if owner != requester {
        call.needs(Operation::CreateTokens, Resource::User(&owner.to_string()))?;
    }
    if !call.node.tokens.enabled() {
        return Err(ErrorCode::DELEGATION_TOKEN_AUTH_DISABLED);
    }
    let renewers: Vec<_> =
        request.renewers.iter().map(|of| Principal::new(&of.principal_type, &of.principal_name)).collect();
    if [&owner].into_iter().chain(&renewers).any(|principal| principal.kind() != "User") {
        return Err(ErrorCode::INVALID_PRINCIPAL_TYPE);
    }
    let now_ms = call.node.world.wall_clock_ms();
    let made = call.node.tokens.create(now_ms, [owner, requester], renewers, request.max_lifetime_ms);
    made.ok_or(ErrorCode::DELEGATION_TOKEN_AUTH_DISABLED)
}
