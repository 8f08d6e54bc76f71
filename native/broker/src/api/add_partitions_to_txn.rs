//! AddPartitionsToTxn (key 24): takes partitions into a transaction, opening it.
//!
//! Behaviour: all or nothing within one transaction: beside one that does not exist, the others are OPERATION_NOT_ATTEMPTED.
//! Versions: 2 PRODUCER_FENCED · 3 flexible · 4 several transactions, also to verify only (brokers ask so; KIP-890) ·
//! 5 TRANSACTION_ABORTABLE.

use std::sync::Arc;

use dohle_protocol::{
    ErrorCode,
    messages::{
        AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
        add_partitions_to_txn_request::{AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction},
        add_partitions_to_txn_response::{
            AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
        },
    },
};

use super::{Api, Call, Coordinated, Reply};
use crate::{
    node::Node,
    partition::Partition,
    transactions::{Producer, Sender},
};

pub(super) struct AddPartitionsToTxn;

impl Api for AddPartitionsToTxn {
    type Request = AddPartitionsToTxnRequest;
    const VERSIONS: (i16, i16) = (0, 5);

    async fn handle(call: &Call, request: AddPartitionsToTxnRequest) -> Reply<Self> {
        if call.version < 4 {
            let results = add(call, &as_transaction(&request));
            return Reply::With(AddPartitionsToTxnResponse {
                results_by_topic_v3_and_below: results,
                ..Default::default()
            });
        }
        let result = |asked: &AddPartitionsToTxnTransaction| AddPartitionsToTxnResult {
            transactional_id: asked.transactional_id.clone(),
            topic_results: add(call, asked),
            ..Default::default()
        };
        let results_by_transaction = request.transactions.iter().map(result).collect();
        Reply::With(AddPartitionsToTxnResponse { results_by_transaction, ..Default::default() })
    }

    fn coordinated(request: &AddPartitionsToTxnRequest) -> Vec<Coordinated> {
        let one = request.transactions.is_empty().then(|| request.v3_and_below_transactional_id.clone());
        let several = request.transactions.iter().map(|asked| asked.transactional_id.clone());
        several.chain(one).map(Coordinated::TransactionalId).collect()
    }

    fn refuse(request: &AddPartitionsToTxnRequest, code: ErrorCode) -> AddPartitionsToTxnResponse {
        if request.transactions.is_empty() {
            let results = answer(&as_transaction(request).topics, |_, _| code);
            return AddPartitionsToTxnResponse { results_by_topic_v3_and_below: results, ..Default::default() };
        }
        AddPartitionsToTxnResponse { error_code: code.0, ..Default::default() }
    }

    fn targets(_: &Node, request: &AddPartitionsToTxnRequest) -> Vec<(String, i32)> {
        let one = request.transactions.is_empty().then(|| as_transaction(request));
        let topics = request.transactions.iter().chain(&one).flat_map(|asked| &asked.topics);
        topics.flat_map(|topic| topic.partitions.iter().map(|index| (topic.name.clone(), *index))).collect()
    }
}

/// The form of a request before version 4, as one transaction of the later form.
fn as_transaction(request: &AddPartitionsToTxnRequest) -> AddPartitionsToTxnTransaction {
    AddPartitionsToTxnTransaction {
        transactional_id: request.v3_and_below_transactional_id.clone(),
        producer_id: request.v3_and_below_producer_id,
        producer_epoch: request.v3_and_below_producer_epoch,
        verify_only: false,
        topics: request.v3_and_below_topics.clone(),
        ..Default::default()
    }
}

fn add(call: &Call, asked: &AddPartitionsToTxnTransaction) -> Vec<AddPartitionsToTxnTopicResult> {
    let sender = Sender {
        transactional_id: &asked.transactional_id,
        producer: Producer { id: asked.producer_id, epoch: asked.producer_epoch },
    };
    let found = |topic: &str, index: i32| -> Result<(Arc<str>, Arc<Partition>), ErrorCode> {
        call.plan.guard((topic, index), || {
            let topic = call.node.topics.named(topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
            let partition = topic.partition(index).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
            Ok((topic.name.clone(), partition))
        })
    };
    let mut partitions = Vec::new();
    let mut missing = crate::collections::Map::default();
    for topic in &asked.topics {
        for &index in &topic.partitions {
            match found(&topic.name, index) {
                Ok((name, partition)) => partitions.push((name, index, partition)),
                Err(code) => drop(missing.insert((topic.name.clone(), index), code)),
            }
        }
    }
    if !missing.is_empty() {
        let code = |topic: &str, index| missing.get(&(topic.to_string(), index)).copied();
        return answer(&asked.topics, |topic, index| code(topic, index).unwrap_or(ErrorCode::OPERATION_NOT_ATTEMPTED));
    }
    if asked.verify_only {
        let verify = |topic: &str, index| call.node.transactions.verify(sender, &topic.into(), index);
        return answer(&asked.topics, |topic, index| verify(topic, index).err().unwrap_or(ErrorCode::NONE));
    }
    let partitions = partitions.iter().map(|(topic, index, partition)| (topic, *index, partition));
    let done = call.node.transactions.add_partitions(sender, partitions, &call.node);
    let code = done.err().map_or(ErrorCode::NONE, |code| fenced(code, call.version, 2));
    answer(&asked.topics, |_, _| code)
}

/// PRODUCER_FENCED is known from a version on; before, it is said as INVALID_PRODUCER_EPOCH.
pub(super) fn fenced(code: ErrorCode, version: i16, since: i16) -> ErrorCode {
    if code == ErrorCode::PRODUCER_FENCED && version < since { ErrorCode::INVALID_PRODUCER_EPOCH } else { code }
}

fn answer(
    topics: &[AddPartitionsToTxnTopic],
    code: impl Fn(&str, i32) -> ErrorCode,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let result = |topic: &str, partition_index: i32| AddPartitionsToTxnPartitionResult {
        partition_index,
        partition_error_code: code(topic, partition_index).0,
        ..Default::default()
    };
    let topics = topics.iter().map(|topic| AddPartitionsToTxnTopicResult {
        name: topic.name.clone(),
        results_by_partition: topic.partitions.iter().map(|index| result(&topic.name, *index)).collect(),
        ..Default::default()
    });
    topics.collect()
}
