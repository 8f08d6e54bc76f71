//! ListTransactions (key 66): all transactional ids, filtered.
//!
//! Behaviour: the pattern is a whole-name regular expression in Kafka (RE2); here it may be a name, with `.*` for any text.
//! Versions: 1 filter by how long a transaction is open · 2 filter by pattern of the transactional id.

use dohle_protocol::{
    ErrorCode,
    messages::{ListTransactionsRequest, ListTransactionsResponse, list_transactions_response::TransactionState},
};

use super::{Api, Call, Reply};
use crate::security::authorizer::{Operation, Resource};

pub(super) struct ListTransactions;

/// Kafka's names; those without an equal here match nothing.
const STATES: [&str; 8] = [
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Empty",
    "PrepareEpochFence",
    "Dead",
];

impl Api for ListTransactions {
    type Request = ListTransactionsRequest;
    const VERSIONS: (i16, i16) = (0, 2);

    async fn handle(call: &Call, request: ListTransactionsRequest) -> Reply<Self> {
        let pattern = match request.transactional_id_pattern.as_deref().map(parts).transpose() {
            Ok(pattern) => pattern,
            Err(code) => return Reply::With(Self::refuse(&request, code)),
        };
        let now_ms = call.node.world.wall_clock_ms();
        let mut response = ListTransactionsResponse::default();
        let unknown = request.state_filters.iter().filter(|state| !STATES.contains(&state.as_str()));
        response.unknown_state_filters = unknown.cloned().collect();
        call.node.transactions.each(&call.node, |id, transaction| {
            let (state, producer_id) = (transaction.state().name(), transaction.producer().id);
            let open_for = transaction.started_ms().map_or(-1, |started| now_ms - started);
            let wanted = (request.state_filters.is_empty()
                || request.state_filters.iter().any(|filter| filter == state))
                && (request.producer_id_filters.is_empty() || request.producer_id_filters.contains(&producer_id))
                && (request.duration_filter < 0 || open_for > request.duration_filter)
                && pattern.as_ref().is_none_or(|parts| matches(parts, id))
                && call.may_see(Operation::Describe, Resource::TransactionalId(id));
            if wanted {
                response.transaction_states.push(TransactionState {
                    transactional_id: id.into(),
                    producer_id,
                    transaction_state: state.into(),
                    ..Default::default()
                });
            }
        });
        Reply::With(response)
    }

    fn refuse(_: &ListTransactionsRequest, code: ErrorCode) -> ListTransactionsResponse {
        ListTransactionsResponse { error_code: code.0, ..Default::default() }
    }
}

/// The literal parts between `.*`.
fn parts(pattern: &str) -> Result<Vec<String>, ErrorCode> {
    let literal = |part: &str| {
        let mut text = String::new();
        let mut chars = part.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => text.push(chars.next().ok_or(ErrorCode::INVALID_REGULAR_EXPRESSION)?),
                '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '^' | '$' => {
                    return Err(ErrorCode::INVALID_REGULAR_EXPRESSION);
                }
                c => text.push(c),
            }
        }
        Ok(text)
    };
    pattern.split(".*").map(literal).collect()
}

fn matches(parts: &[String], id: &str) -> bool {
    let [first, middle @ .., last] = parts else { return parts.first().is_none_or(|only| only == id) };
    let Some(mut rest) = id.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str())) else {
        return false;
    };
    for part in middle {
        let Some(at) = rest.find(part.as_str()) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_for_the_whole_name() {
        let is = |pattern: &str, id: &str| matches(&parts(pattern).unwrap(), id);
        assert!(is("orders", "orders") && !is("orders", "orders-1") && is("orders.*", "orders-1"));
        assert!(is(".*-1", "orders-1") && is("a.*c.*e", "abcde") && !is("a.*e.*c", "abcde") && !is("ab.*ba", "aba"));
        assert!(is(r"a\.b", "a.b") && !is(r"a\.b", "axb"));
        assert_eq!(parts("a|b").unwrap_err(), ErrorCode::INVALID_REGULAR_EXPRESSION);
    }
}
