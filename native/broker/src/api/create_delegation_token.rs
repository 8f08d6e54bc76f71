//! CreateDelegationToken (key 38): makes a token to log in with.
//!
//! Behaviour: tokens are for those who have logged in: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, as a real broker says on a
//! listener without authentication. Versions: 2 flexible · 3 for others (KIP-373).

use dohle_protocol::{
    ErrorCode,
    messages::{CreateDelegationTokenRequest, CreateDelegationTokenResponse},
};

use super::{Api, Call, Reply};

pub(super) struct CreateDelegationToken;

impl Api for CreateDelegationToken {
    type Request = CreateDelegationTokenRequest;
    const VERSIONS: (i16, i16) = (1, 3);

    async fn handle(_: &Call, request: CreateDelegationTokenRequest) -> Reply<Self> {
        Reply::With(Self::refuse(&request, ErrorCode::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED))
    }

    fn refuse(_: &CreateDelegationTokenRequest, code: ErrorCode) -> CreateDelegationTokenResponse {
        CreateDelegationTokenResponse { error_code: code.0, ..Default::default() }
    }
}
