//! ExpireDelegationToken (key 40): ends a token, or lets it end earlier.
//!
//! Behaviour: tokens are for those who have logged in, and not with a token: else DELEGATION_TOKEN_REQUEST_NOT_ALLOWED. Without
//! `delegation.token.secret.key` there are none: DELEGATION_TOKEN_AUTH_DISABLED. Versions: 2 flexible.

use dohle_protocol::{
    ErrorCode,
    messages::{ExpireDelegationTokenRequest, ExpireDelegationTokenResponse},
};

use super::{Api, Call, Reply};

pub(super) struct ExpireDelegationToken;

impl Api for ExpireDelegationToken {
    type Request = ExpireDelegationTokenRequest;
    const VERSIONS: (i16, i16) = (1, 2);

    async fn handle(call: &Call, request: ExpireDelegationTokenRequest) -> Reply<Self> {
        let after = Some(request.expiry_time_period_ms).filter(|period| *period >= 0);
        Reply::With(match call.change_token(&request.hmac, after) {
            Err(code) => Self::refuse(&request, code),
            Ok(expiry_timestamp_ms) => ExpireDelegationTokenResponse { expiry_timestamp_ms, ..Default::default() },
        })
    }

    fn refuse(_: &ExpireDelegationTokenRequest, code: ErrorCode) -> ExpireDelegationTokenResponse {
        ExpireDelegationTokenResponse { error_code: code.0, ..Default::default() }
    }
}
