//! DescribeDelegationToken (key 41): the tokens that there are.
//!
//! Behaviour: tokens are for those who have logged in, and not with a token: else DELEGATION_TOKEN_REQUEST_NOT_ALLOWED. Without
//! `delegation.token.secret.key` there are none: DELEGATION_TOKEN_AUTH_DISABLED. Versions: 2 flexible · 3 who asked for it.

use dohle_protocol::{
    ErrorCode,
    messages::{
        DescribeDelegationTokenRequest, DescribeDelegationTokenResponse,
        describe_delegation_token_response::{DescribedDelegationToken, DescribedDelegationTokenRenewer},
    },
};

use super::{Api, Call, Reply};
use crate::security::{
    Principal,
    authorizer::{Operation, Resource},
    tokens::Token,
};

pub(super) struct DescribeDelegationToken;

impl Api for DescribeDelegationToken {
    type Request = DescribeDelegationTokenRequest;
    const VERSIONS: (i16, i16) = (1, 3);

    async fn handle(call: &Call, request: DescribeDelegationTokenRequest) -> Reply<Self> {
        let Some(who) = call.session.may_have_tokens() else {
            return Reply::With(Self::refuse(&request, ErrorCode::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED));
        };
        if !call.node.tokens.enabled() {
            return Reply::With(Self::refuse(&request, ErrorCode::DELEGATION_TOKEN_AUTH_DISABLED));
        }
        let owners: Option<Vec<Principal>> = request
            .owners
            .as_ref()
            .map(|owners| owners.iter().map(|of| Principal::new(&of.principal_type, &of.principal_name)).collect());
        let mut tokens = call.node.tokens.all(call.node.world.wall_clock_ms());
        tokens.retain(|token| {
            owners.as_ref().is_none_or(|owners| owners.contains(&token.owner))
                && (token.is_of(&who)
                    || call.may_see(Operation::Describe, Resource::DelegationToken(&token.id))
                    || call.may_see(Operation::DescribeTokens, Resource::User(&token.owner.to_string())))
        });
        let tokens = tokens.into_iter().map(|token| described(call.version, token)).collect();
        Reply::With(DescribeDelegationTokenResponse { tokens, ..Default::default() })
    }

    fn refuse(_: &DescribeDelegationTokenRequest, code: ErrorCode) -> DescribeDelegationTokenResponse {
        DescribeDelegationTokenResponse { error_code: code.0, ..Default::default() }
    }
}

fn described(version: i16, token: Token) -> DescribedDelegationToken {
    let since_3 = |text: &str| if version >= 3 { text.into() } else { String::new() };
    let renewer = |of: &Principal| DescribedDelegationTokenRenewer {
        principal_type: of.kind().into(),
        principal_name: of.name().into(),
        ..Default::default()
    };
    DescribedDelegationToken {
        principal_type: token.owner.kind().into(),
        principal_name: token.owner.name().into(),
        token_requester_principal_type: since_3(token.requester.kind()),
        token_requester_principal_name: since_3(token.requester.name()),
        issue_timestamp: token.issued_ms,
        expiry_timestamp: token.expires_ms,
        max_timestamp: token.max_ms,
        token_id: token.id,
        hmac: token.hmac,
        renewers: token.renewers.iter().map(renewer).collect(),
        ..Default::default()
    }
}
