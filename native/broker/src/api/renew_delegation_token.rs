//! RenewDelegationToken (key 39): makes a token last longer.
//!
//! Behaviour: tokens are for those who have logged in, and not with a token: else DELEGATION_TOKEN_REQUEST_NOT_ALLOWED. Without
//! `delegation.token.secret.key` there are none: DELEGATION_TOKEN_AUTH_DISABLED. Versions: 2 flexible.

use dohle_protocol::{
    ErrorCode,
    messages::{RenewDelegationTokenRequest, RenewDelegationTokenResponse},
};

use super::{Api, Call, Reply};

pub(super) struct RenewDelegationToken;

impl Api for RenewDelegationToken {
    type Request = RenewDelegationTokenRequest;
    const VERSIONS: (i16, i16) = (1, 2);

    async fn handle(call: &Call, request: RenewDelegationTokenRequest) -> Reply<Self> {
        let after = Some(request.renew_period_ms);
        Reply::With(match call.change_token(&request.hmac, after) {
            Err(code) => Self::refuse(&request, code),
            Ok(expiry_timestamp_ms) => RenewDelegationTokenResponse { expiry_timestamp_ms, ..Default::default() },
        })
    }

    fn refuse(_: &RenewDelegationTokenRequest, code: ErrorCode) -> RenewDelegationTokenResponse {
        RenewDelegationTokenResponse { error_code: code.0, ..Default::default() }
    }
}
