//! DescribeTransactions (key 65): what the coordinator knows of transactional ids.
//!
//! Versions: 0.

use std::collections::BTreeMap;

use dohle_protocol::{
    ErrorCode,
    messages::{
        DescribeTransactionsRequest, DescribeTransactionsResponse,
        describe_transactions_response::{TopicData, TransactionState},
    },
};

use super::{Api, Call, Reply};
use crate::{
    security::authorizer::{Operation, Resource},
    transactions::Transaction,
};

pub(super) struct DescribeTransactions;

impl Api for DescribeTransactions {
    type Request = DescribeTransactionsRequest;
    const VERSIONS: (i16, i16) = (0, 0);

    async fn handle(call: &Call, request: DescribeTransactionsRequest) -> Reply<Self> {
        let state = |id: &String| {
            if let Err(code) = call.needs(Operation::Describe, Resource::TransactionalId(id)) {
                return unknown(id, code);
            }
            let state = call.node.transactions.with(&call.node, id, |known| match known {
                None => unknown(id, ErrorCode::TRANSACTIONAL_ID_NOT_FOUND),
                Some(transaction) => describe(id, transaction),
            });
            let mut state = state.unwrap_or_else(|code| unknown(id, code));
            state.topics.retain(|of| call.may_see(Operation::Describe, Resource::Topic(&of.topic)));
            state
        };
        let transaction_states = request.transactional_ids.iter().map(state).collect();
        Reply::With(DescribeTransactionsResponse { transaction_states, ..Default::default() })
    }

    fn refuse(request: &DescribeTransactionsRequest, code: ErrorCode) -> DescribeTransactionsResponse {
        let transaction_states = request.transactional_ids.iter().map(|id| unknown(id, code)).collect();
        DescribeTransactionsResponse { transaction_states, ..Default::default() }
    }
}

fn unknown(id: &str, code: ErrorCode) -> TransactionState {
    TransactionState { transactional_id: id.into(), error_code: code.0, ..Default::default() }
}

fn describe(id: &str, transaction: &Transaction) -> TransactionState {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, index) in transaction.partitions() {
        topics.entry(topic).or_default().push(index);
    }
    let topic =
        |(topic, partitions): (&str, Vec<i32>)| TopicData { topic: topic.into(), partitions, ..Default::default() };
    TransactionState {
        transactional_id: id.into(),
        transaction_state: transaction.state().name().into(),
        transaction_timeout_ms: transaction.timeout_ms(),
        transaction_start_time_ms: transaction.started_ms().unwrap_or(-1),
        producer_id: transaction.producer().id,
        producer_epoch: transaction.producer().epoch,
        topics: topics.into_iter().map(topic).collect(),
        ..Default::default()
    }
}
