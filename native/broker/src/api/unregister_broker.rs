//! UnregisterBroker (key 64): forgets a broker that is gone.
//!
//! Behaviour: one that is alive is not gone; Kafka would forget it all the same. Versions: 0.

use dohle_protocol::{
    ErrorCode,
    messages::{UnregisterBrokerRequest, UnregisterBrokerResponse},
};

use super::{Api, Call, Reply};

pub(super) struct UnregisterBroker;

impl Api for UnregisterBroker {
    type Request = UnregisterBrokerRequest;
    const VERSIONS: (i16, i16) = (0, 0);

    async fn handle(call: &Call, request: UnregisterBrokerRequest) -> Reply<Self> {
        if call.node.cluster.forget(request.broker_id) {
            return Reply::With(Self::refuse(&request, ErrorCode::NONE));
        }
        let error_message = Some(format!("Broker ID {} is not currently registered", request.broker_id));
        Reply::With(UnregisterBrokerResponse {
            error_message,
            ..Self::refuse(&request, ErrorCode::BROKER_ID_NOT_REGISTERED)
        })
    }

    fn refuse(_: &UnregisterBrokerRequest, code: ErrorCode) -> UnregisterBrokerResponse {
        UnregisterBrokerResponse { error_code: code.0, error_message: None, ..Default::default() }
    }
}
