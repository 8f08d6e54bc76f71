//! DescribeDelegationToken (key 41): the tokens that there are.
//!
//! Behaviour: tokens are for those who have logged in: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, as a real broker says on a
//! listener without authentication. Versions: 2 flexible · 3 who asked for it.

use dohle_protocol::{
    ErrorCode,
    messages::{DescribeDelegationTokenRequest, DescribeDelegationTokenResponse},
};

use super::{Api, Call, Reply};

pub(super) struct DescribeDelegationToken;

impl Api for DescribeDelegationToken {
    type Request = DescribeDelegationTokenRequest;
    const VERSIONS: (i16, i16) = (1, 3);

    async fn handle(_: &Call, request: DescribeDelegationTokenRequest) -> Reply<Self> {
        Reply::With(Self::refuse(&request, ErrorCode::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED))
    }

    fn refuse(_: &DescribeDelegationTokenRequest, code: ErrorCode) -> DescribeDelegationTokenResponse {
        DescribeDelegationTokenResponse { error_code: code.0, ..Default::default() }
    }
}
