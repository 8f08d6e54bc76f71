//! What an error of the coordinator means: one place for membership, commits and look-ups.
//! No I/O; decides nothing about time.

use dohle_protocol::ErrorCode;

use crate::{Error, ErrorKind};

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The same again after a back-off.
    Retry,
    /// The coordinator is another one or cannot be reached: look it up, then again.
    Rediscover,
    /// The group rebalances: join again with the member id we have.
    Rejoin,
    /// The group does not know us (any more): all partitions are lost, join as a new member.
    Reset,
    /// Nothing will mend it: the loop ends with it.
    Fatal,
}

/// What an error of a group request means.
pub(crate) fn of(error: &Error) -> Verdict {
    match error.kind() {
        ErrorKind::Broker(code) => of_code(code),
        ErrorKind::BrokerUnreachable
        | ErrorKind::Disconnected
        | ErrorKind::RequestTimedOut
        | ErrorKind::MaxBlockTimeout => Verdict::Rediscover,
        // The answer was changed on the way.
        _ if error.retriable() => Verdict::Rediscover,
        _ => Verdict::Fatal,
    }
}

/// What an error code of a group request means.
pub(crate) fn of_code(code: ErrorCode) -> Verdict {
    match code {
        ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR | ErrorCode::REQUEST_TIMED_OUT => {
            Verdict::Rediscover
        }
        // KIP-848: the next heartbeat brings the epoch that is meant.
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS | ErrorCode::STALE_MEMBER_EPOCH => Verdict::Retry,
        ErrorCode::REBALANCE_IN_PROGRESS => Verdict::Rejoin,
        ErrorCode::UNKNOWN_MEMBER_ID
        | ErrorCode::ILLEGAL_GENERATION
        | ErrorCode::FENCED_MEMBER_EPOCH
        // The coordinator has lost the whole group: a commit and a heartbeat of KIP-848 are told so.
        | ErrorCode::GROUP_ID_NOT_FOUND => Verdict::Reset,
        code if code.is_retriable() => Verdict::Retry,
        _ => Verdict::Fatal,
    }
}
