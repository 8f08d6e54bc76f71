//! InitProducerId (key 22): an id for an idempotent producer, or the one producer of a transactional id.
//!
//! Behaviour: without a transactional id, always a new producer id with epoch 0, as Kafka does even when the producer
//! names one it had (KIP-360). With one, the producer before it is fenced and what it left open is aborted at once, where
//! Kafka answers CONCURRENT_TRANSACTIONS until that is done.
//! Versions: 2 flexible · 3 the producer's present id and epoch · 4 PRODUCER_FENCED · 5 transactions v2.

use dohle_protocol::{
    ErrorCode,
    messages::{InitProducerIdRequest, InitProducerIdResponse},
};

use super::{Api, Call, Coordinated, Reply};
use crate::transactions::Producer;

pub(super) struct InitProducerId;

impl Api for InitProducerId {
    type Request = InitProducerIdRequest;
    const VERSIONS: (i16, i16) = (0, 5);

    async fn handle(call: &Call, request: InitProducerIdRequest) -> Reply<Self> {
        Reply::With(match producer(call, &request) {
            Ok(Producer { id, epoch }) => {
                InitProducerIdResponse { producer_id: id, producer_epoch: epoch, ..Default::default() }
            }
            Err(ErrorCode::PRODUCER_FENCED) if call.version < 4 => {
                Self::refuse(&request, ErrorCode::INVALID_PRODUCER_EPOCH)
            }
            Err(code) => Self::refuse(&request, code),
        })
    }

    fn coordinated(request: &InitProducerIdRequest) -> Vec<Coordinated> {
        request.transactional_id.iter().cloned().map(Coordinated::TransactionalId).collect()
    }

    fn refuse(_: &InitProducerIdRequest, code: ErrorCode) -> InitProducerIdResponse {
        InitProducerIdResponse { error_code: code.0, producer_id: -1, producer_epoch: -1, ..Default::default() }
    }
}

fn producer(call: &Call, request: &InitProducerIdRequest) -> Result<Producer, ErrorCode> {
    let expected = match (request.producer_id, request.producer_epoch) {
        (-1, -1) => None,
        (id, epoch) if id >= 0 && epoch >= 0 => Some(Producer { id, epoch }),
        _ => return Err(ErrorCode::INVALID_REQUEST),
    };
    match request.transactional_id.as_deref() {
        None => Ok(Producer { id: call.node.new_producer_id(), epoch: 0 }),
        Some("") => Err(ErrorCode::INVALID_REQUEST),
        Some(id) => call.node.transactions.init(&call.node, id, request.transaction_timeout_ms, expected),
    }
}
