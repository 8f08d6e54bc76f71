//! What an answer that refuses a batch tells by itself: which records it is about, and whether they may be in the log.
//! Not what is done about it: that is `answers`.

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::produce_response::PartitionProduceResponse;

/// Whether the answer tells some records of the batch apart from others that are good.
pub(super) fn names_some(result: &PartitionProduceResponse, count: u32) -> bool {
    let mut indexes: Vec<_> = result.record_errors.iter().map(|error| error.batch_index).collect();
    indexes.sort_unstable();
    indexes.dedup();
    !indexes.is_empty()
        && indexes.iter().all(|index| (0..count as i32).contains(index))
        && (indexes.len() as u32) < count
}

/// Whether a batch may be in the log although the broker answered with this error: it was appended and then not
/// replicated in time, or nobody can say. Everything that is checked before the append leaves no doubt.
pub(crate) fn may_be_kept(code: ErrorCode) -> bool {
    !matches!(
        code,
        ErrorCode::CORRUPT_MESSAGE
            | ErrorCode::MESSAGE_TOO_LARGE
            | ErrorCode::INVALID_TOPIC_EXCEPTION
            | ErrorCode::RECORD_LIST_TOO_LARGE
            | ErrorCode::NOT_ENOUGH_REPLICAS
            | ErrorCode::INVALID_REQUIRED_ACKS
            | ErrorCode::TOPIC_AUTHORIZATION_FAILED
            | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
            | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            | ErrorCode::INVALID_TIMESTAMP
            | ErrorCode::UNSUPPORTED_VERSION
            | ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT
            | ErrorCode::POLICY_VIOLATION
            | ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
            | ErrorCode::DUPLICATE_SEQUENCE_NUMBER
            | ErrorCode::INVALID_PRODUCER_EPOCH
            | ErrorCode::PRODUCER_FENCED
            | ErrorCode::UNKNOWN_PRODUCER_ID
            | ErrorCode::UNSUPPORTED_COMPRESSION_TYPE
            | ErrorCode::INVALID_RECORD
            | ErrorCode::INVALID_TXN_STATE
            | ErrorCode::INVALID_PRODUCER_ID_MAPPING
            | ErrorCode::CONCURRENT_TRANSACTIONS
            | ErrorCode::TRANSACTION_ABORTABLE
            | ErrorCode::UNKNOWN_TOPIC_ID
            | ErrorCode::INCONSISTENT_TOPIC_ID
    )
}
