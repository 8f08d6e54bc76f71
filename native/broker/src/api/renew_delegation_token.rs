//! RenewDelegationToken (key 39): makes a token last longer.
//!
//! Behaviour: tokens are for those who have logged in: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, as a real broker says on a
//! listener without authentication. Versions: 2 flexible.

use dohle_protocol::{
    ErrorCode,
    messages::{RenewDelegationTokenRequest, RenewDelegationTokenResponse},
};

use super::{Api, Call, Reply};

pub(super) struct RenewDelegationToken;

impl Api for RenewDelegationToken {
    type Request = RenewDelegationTokenRequest;
    const VERSIONS: (i16, i16) = (1, 2);

    async fn handle(_: &Call, request: RenewDelegationTokenRequest) -> Reply<Self> {
        Reply::With(Self::refuse(&request, ErrorCode::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED))
    }

    fn refuse(_: &RenewDelegationTokenRequest, code: ErrorCode) -> RenewDelegationTokenResponse {
        RenewDelegationTokenResponse { error_code: code.0, ..Default::default() }
    }
}
