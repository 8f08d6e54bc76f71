//! SaslAuthenticate (key 36): a message of the mechanism that SaslHandshake named.
//!
//! Behaviour: who is refused is told after `connection.failed.authentication.delay.ms`, and the connection closed. What is told
//! does not say whether there is such a user.
//! Versions: 1 how long the session lives (KIP-368) · 2 flexible.

use dohle_protocol::{
    ErrorCode,
    messages::{SaslAuthenticateRequest, SaslAuthenticateResponse},
};

use super::{Api, Call, Reply};

pub(super) struct SaslAuthenticate;

impl Api for SaslAuthenticate {
    type Request = SaslAuthenticateRequest;
    const VERSIONS: (i16, i16) = (0, 2);

    async fn handle(call: &Call, request: SaslAuthenticateRequest) -> Reply<Self> {
        match call.session.authenticate(&call.node, &request.auth_bytes) {
            Ok(said) => Reply::With(SaslAuthenticateResponse {
                error_message: None,
                auth_bytes: said.bytes,
                session_lifetime_ms: said.lifetime_ms,
                ..Default::default()
            }),
            Err((code, why)) => {
                let response = SaslAuthenticateResponse {
                    error_code: code.0,
                    error_message: Some(why.clone()),
                    ..Default::default()
                };
                match code {
                    ErrorCode::ILLEGAL_SASL_STATE => Reply::With(response),
                    _ => Reply::Farewell(response, why),
                }
            }
        }
    }

    fn refuse(_: &SaslAuthenticateRequest, code: ErrorCode) -> SaslAuthenticateResponse {
        SaslAuthenticateResponse { error_code: code.0, error_message: Some(code.text().into()), ..Default::default() }
    }
}
