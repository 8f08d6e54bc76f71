//! InitProducerId (key 22): an id for an idempotent producer.
//!
//! Behaviour: without a transactional id, always a new producer id with epoch 0, as Kafka does even when the producer
//! names one it had (KIP-360). Transactions are not served yet: a transactional id is refused.
//! Versions: 2 flexible · 3 the producer's present id and epoch · 4 PRODUCER_FENCED · 5 transactions v2.

use dohle_protocol::{
    ErrorCode,
    messages::{InitProducerIdRequest, InitProducerIdResponse},
};

use super::{Api, Call, Reply};

pub(super) struct InitProducerId;

impl Api for InitProducerId {
    type Request = InitProducerIdRequest;
    const VERSIONS: (i16, i16) = (0, 5);

    async fn handle(call: &Call, request: InitProducerIdRequest) -> Reply<Self> {
        let refused = match request.transactional_id.as_deref() {
            None => None,
            Some("") => Some(ErrorCode::INVALID_REQUEST),
            Some(_) => Some(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
        };
        if let Some(code) = refused {
            return Reply::With(Self::refuse(&request, code));
        }
        let producer_id = call.node.new_producer_id();
        Reply::With(InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() })
    }

    fn refuse(_: &InitProducerIdRequest, code: ErrorCode) -> InitProducerIdResponse {
        InitProducerIdResponse { error_code: code.0, producer_id: -1, producer_epoch: -1, ..Default::default() }
    }
}
