//! SaslHandshake (key 17): the client names the mechanism that it will log in with.
//!
//! Behaviour: on a listener without SASL, and after the log-in where sessions have no end (KIP-368) or began less than a second ago,
//! ILLEGAL_SASL_STATE. A mechanism that is not offered is told with those that are, and the connection closed.
//! Versions: 0 the messages of the mechanism are frames of their own · 1 they are in SaslAuthenticate requests.

use dohle_protocol::{
    ErrorCode,
    messages::{SaslHandshakeRequest, SaslHandshakeResponse},
};

use super::{Api, Call, Reply};

pub(super) struct SaslHandshake;

impl Api for SaslHandshake {
    type Request = SaslHandshakeRequest;
    const VERSIONS: (i16, i16) = (0, 1);

    async fn handle(call: &Call, request: SaslHandshakeRequest) -> Reply<Self> {
        let (code, mechanisms) = call.session.handshake(call.version, &request.mechanism);
        let response = SaslHandshakeResponse { error_code: code.0, mechanisms };
        match code {
            ErrorCode::UNSUPPORTED_SASL_MECHANISM => {
                Reply::Farewell(response, "the client asked for a mechanism that is not offered".into())
            }
            _ => Reply::With(response),
        }
    }

    fn refuse(_: &SaslHandshakeRequest, code: ErrorCode) -> SaslHandshakeResponse {
        SaslHandshakeResponse { error_code: code.0, ..Default::default() }
    }
}
