//! EndTxn (key 26): commits or aborts a transaction.
//!
//! Behaviour: markers are written, and offsets of groups settled, before the answer; Kafka does it after.
//! Versions: 2 PRODUCER_FENCED · 3 flexible · 4 TRANSACTION_ABORTABLE · 5 transactions v2: the answer has the producer's next
//! epoch, and an abort of nothing is allowed (KIP-890).

use dohle_protocol::{
    ErrorCode,
    messages::{EndTxnRequest, EndTxnResponse},
};

use super::{Api, Call, Coordinated, Reply, add_partitions_to_txn::fenced};
use crate::transactions::{Producer, Sender};

pub(super) struct EndTxn;

impl Api for EndTxn {
    type Request = EndTxnRequest;
    const VERSIONS: (i16, i16) = (0, 5);

    async fn handle(call: &Call, request: EndTxnRequest) -> Reply<Self> {
        let sender = Sender {
            transactional_id: &request.transactional_id,
            producer: Producer { id: request.producer_id, epoch: request.producer_epoch },
        };
        let v2 = call.version >= 5;
        Reply::With(match call.node.transactions.end(&call.node, sender, request.committed, v2).await {
            Ok(Producer { id, epoch }) if v2 => {
                EndTxnResponse { producer_id: id, producer_epoch: epoch, ..Default::default() }
            }
            Ok(_) => EndTxnResponse::default(),
            Err(code) => Self::refuse(&request, fenced(code, call.version, 2)),
        })
    }

    fn coordinated(request: &EndTxnRequest) -> Vec<Coordinated> {
        vec![Coordinated::TransactionalId(request.transactional_id.clone())]
    }

    fn refuse(_: &EndTxnRequest, code: ErrorCode) -> EndTxnResponse {
        EndTxnResponse { error_code: code.0, ..Default::default() }
    }
}
