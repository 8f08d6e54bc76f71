//! ExpireDelegationToken (key 40): ends a token, or lets it end earlier.
//!
//! Behaviour: tokens are for those who have logged in: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, as a real broker says on a
//! listener without authentication. Versions: 2 flexible.

use dohle_protocol::{
    ErrorCode,
    messages::{ExpireDelegationTokenRequest, ExpireDelegationTokenResponse},
};

use super::{Api, Call, Reply};

pub(super) struct ExpireDelegationToken;

impl Api for ExpireDelegationToken {
    type Request = ExpireDelegationTokenRequest;
    const VERSIONS: (i16, i16) = (1, 2);

    async fn handle(_: &Call, request: ExpireDelegationTokenRequest) -> Reply<Self> {
        Reply::With(Self::refuse(&request, ErrorCode::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED))
    }

    fn refuse(_: &ExpireDelegationTokenRequest, code: ErrorCode) -> ExpireDelegationTokenResponse {
        ExpireDelegationTokenResponse { error_code: code.0, ..Default::default() }
    }
}
