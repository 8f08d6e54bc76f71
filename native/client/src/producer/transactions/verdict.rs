//! What an error of the transaction coordinator, the group's coordinator or a leader means for a transaction.
//! No I/O; decides nothing about time. Java's rules (`TransactionManager`), but where an abort shows by itself whether the
//! producer is still the one that may write: there an unknown error is no reason to give the producer up.

use dohle_protocol::{ApiKey, ErrorCode};

use crate::error::{Error, ErrorKind};

/// What to do about an error of a request to a coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The same again after a pause.
    Retry,
    /// The coordinator is another one or cannot be reached: look it up, then again.
    Rediscover,
    /// It stays like this.
    Stays,
}

/// Whether to ask again.
pub(super) fn of(api: ApiKey, error: &Error) -> Verdict {
    match error.kind() {
        // There is nothing of ours to be aborted when an id is taken.
        ErrorKind::Broker(ErrorCode::TRANSACTION_ABORTABLE) if api == ApiKey::INIT_PRODUCER_ID => Verdict::Retry,
        ErrorKind::Broker(
            ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR | ErrorCode::REQUEST_TIMED_OUT,
        ) => Verdict::Rediscover,
        ErrorKind::Broker(code) if code.is_retriable() => Verdict::Retry,
        ErrorKind::Broker(_) => Verdict::Stays,
        // Also an answer that was changed on the way.
        _ if error.retriable() => Verdict::Rediscover,
        _ => Verdict::Stays,
    }
}

/// Errors that end the producer, whoever tells them. Not INVALID_PRODUCER_EPOCH of a leader: the transaction may have been
/// aborted for its age, and the coordinator knows (KIP-588).
pub(super) fn always_fatal(error: &Error) -> bool {
    matches!(
        error.broker_code(),
        Some(
            ErrorCode::PRODUCER_FENCED
                | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
                | ErrorCode::UNSUPPORTED_VERSION
        )
    )
}

/// Whether an error of AddPartitionsToTxn, AddOffsetsToTxn or TxnOffsetCommit ends the producer; otherwise the transaction.
pub(super) fn ends_producer(error: &Error) -> bool {
    always_fatal(error)
        || error.broker_code() == Some(ErrorCode::INVALID_PRODUCER_EPOCH)
        || matches!(error.kind(), ErrorKind::Closed | ErrorKind::Unsupported)
}

/// Whether an error of EndTxn leaves a way out: a bump of the epoch (KIP-360), which the coordinator refuses to one that was
/// fenced.
pub(super) fn recoverable_end(error: &Error) -> bool {
    matches!(
        error.broker_code(),
        Some(
            ErrorCode::TRANSACTION_ABORTABLE
                | ErrorCode::INVALID_TXN_STATE
                | ErrorCode::UNKNOWN_PRODUCER_ID
                | ErrorCode::INVALID_PRODUCER_ID_MAPPING
        )
    )
}
