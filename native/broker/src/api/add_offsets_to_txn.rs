//! AddOffsetsToTxn (key 25): takes the offsets of a group into a transaction, opening it.
//!
//! Versions: 2 PRODUCER_FENCED · 3 flexible · 4 TRANSACTION_ABORTABLE.

use dohle_protocol::{
    ErrorCode,
    messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse},
};

use super::{Api, Call, Coordinated, Reply, add_partitions_to_txn::fenced};
use crate::transactions::{Producer, Sender};

pub(super) struct AddOffsetsToTxn;

impl Api for AddOffsetsToTxn {
    type Request = AddOffsetsToTxnRequest;
    const VERSIONS: (i16, i16) = (0, 4);

    async fn handle(call: &Call, request: AddOffsetsToTxnRequest) -> Reply<Self> {
        let sender = Sender {
            transactional_id: &request.transactional_id,
            producer: Producer { id: request.producer_id, epoch: request.producer_epoch },
        };
        let done = call.node.transactions.add_group(sender, &request.group_id, &call.node);
        let code = done.err().map_or(ErrorCode::NONE, |code| fenced(code, call.version, 2));
        Reply::With(Self::refuse(&request, code))
    }

    fn coordinated(request: &AddOffsetsToTxnRequest) -> Vec<Coordinated> {
        vec![Coordinated::TransactionalId(request.transactional_id.clone())]
    }

    fn refuse(_: &AddOffsetsToTxnRequest, code: ErrorCode) -> AddOffsetsToTxnResponse {
        AddOffsetsToTxnResponse { error_code: code.0, ..Default::default() }
    }
}
