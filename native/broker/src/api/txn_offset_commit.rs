//! TxnOffsetCommit (key 28): offsets of a group that count when the transaction is committed.
//!
//! Behaviour: as OffsetCommit for what is stored; who may commit is in `group`, whether the transaction is open in `transactions`.
//! Until the transaction ends, OffsetFetch tells whoever wants stable offsets to wait.
//! Versions: 2 leader epoch · 3 flexible, the member (KIP-447) · 4 TRANSACTION_ABORTABLE · 5 transactions v2: the group
//! need not be added before.

use std::sync::Arc;

use dohle_protocol::{
    ErrorCode, Uuid,
    messages::{
        TxnOffsetCommitRequest, TxnOffsetCommitResponse,
        txn_offset_commit_request::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic},
        txn_offset_commit_response::{TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic},
    },
};

use super::{Api, Call, Coordinated, Reply, offset_commit::check};
use crate::{
    coordinator::Origin,
    group::{Commit, Committed, Identity, Offset},
    node::Node,
    transactions::{Adding, Producer, Sender, as_leaders_say},
};

pub(super) struct TxnOffsetCommit;

impl Api for TxnOffsetCommit {
    type Request = TxnOffsetCommitRequest;
    const VERSIONS: (i16, i16) = (0, 5);

    async fn handle(call: &Call, request: TxnOffsetCommitRequest) -> Reply<Self> {
        let sender = Sender {
            transactional_id: &request.transactional_id,
            producer: Producer { id: request.producer_id, epoch: request.producer_epoch },
        };
        let who = Identity {
            member_id: request.member_id.clone(),
            instance_id: request.group_instance_id.clone(),
            generation: request.generation_id_or_member_epoch,
        };
        let adding = if call.version >= 5 { Adding::Implicit } else { Adding::Before };
        let mut response = TxnOffsetCommitResponse::default();
        let taken = take_in(call, sender, &request.group_id, adding).await;
        let mut commit = |coordinator: &Arc<Node>, adding| {
            coordinator.transactions.commit_offsets(sender, &request.group_id, adding, coordinator, || {
                let partitions = named(&call.node, &request);
                let from = Origin::Transaction { producer_id: request.producer_id, epoch: request.producer_epoch };
                let commit = Commit { who: &who, partitions: &partitions, from, knows_epochs: true };
                call.node.groups.commit(&request.group_id, &commit, || {
                    let mut offsets = Vec::new();
                    let topics = request.topics.iter().map(|topic| commit_topic(call, &mut offsets, topic));
                    response.topics = topics.collect();
                    offsets
                })
            })
        };
        let done = taken.and_then(|(coordinator, adding)| commit(&coordinator, adding)).map_err(|code| match code {
            // A group's coordinator says so of itself.
            ErrorCode::NOT_ENOUGH_REPLICAS => ErrorCode::COORDINATOR_NOT_AVAILABLE,
            code => code,
        });
        Reply::With(match done {
            Ok(()) => response,
            Err(code) => Self::refuse(&request, code),
        })
    }

    fn coordinated(request: &TxnOffsetCommitRequest) -> Vec<Coordinated> {
        vec![Coordinated::Group(request.group_id.clone())]
    }

    fn refuse(request: &TxnOffsetCommitRequest, code: ErrorCode) -> TxnOffsetCommitResponse {
        let topics = request.topics.iter().map(|topic| answer(topic, |_| code)).collect();
        TxnOffsetCommitResponse { topics, ..Default::default() }
    }

    fn targets(_: &Node, request: &TxnOffsetCommitRequest) -> Vec<(String, i32)> {
        let topics = request.topics.iter();
        topics.flat_map(|topic| topic.partitions.iter().map(|p| (topic.name.clone(), p.partition_index))).collect()
    }
}

/// The node that coordinates the transaction. In a cluster the group is known to be in it before anything is written.
async fn take_in(
    call: &Call,
    sender: Sender<'_>,
    group_id: &str,
    adding: Adding,
) -> Result<(Arc<Node>, Adding), ErrorCode> {
    let coordinator = call.node.transactions_of(sender.transactional_id).map_err(as_leaders_say)?;
    if call.node.cluster.options.is_alone() || adding == Adding::Before {
        return Ok((coordinator, adding));
    }
    let since = coordinator.transactions.epoch(sender.transactional_id);
    coordinator.transactions.commit_offsets(sender, group_id, adding, &coordinator, || Ok(()))?;
    coordinator.transactions.committed(sender.transactional_id, since).await.map_err(as_leaders_say)?;
    Ok((coordinator, Adding::Before))
}

/// The partitions that exist of those committed.
fn named(node: &Node, request: &TxnOffsetCommitRequest) -> Vec<(Uuid, i32)> {
    let topics =
        request.topics.iter().filter_map(|asked| Some((node.topics.named(&asked.name)?.id, &asked.partitions)));
    topics.flat_map(|(id, partitions)| partitions.iter().map(move |p| (id, p.partition_index))).collect()
}

fn commit_topic(
    call: &Call,
    offsets: &mut Vec<Offset>,
    asked: &TxnOffsetCommitRequestTopic,
) -> TxnOffsetCommitResponseTopic {
    let topic = call.node.topics.named(&asked.name);
    answer(asked, |partition| {
        let index = partition.partition_index;
        let done = call.plan.guard((&asked.name, index), || {
            let (offset, leader_epoch) = (partition.committed_offset, partition.committed_leader_epoch);
            let metadata = partition.committed_metadata.clone().unwrap_or_default();
            let committed = Committed { offset, leader_epoch, metadata, ..Default::default() };
            let topic = check(topic.as_deref(), index, &committed)?;
            let (topic, topic_id) = (topic.name.clone(), topic.id);
            offsets.push(Offset { topic, topic_id, partition: index, committed });
            Ok(())
        });
        done.err().unwrap_or(ErrorCode::NONE)
    })
}

fn answer(
    topic: &TxnOffsetCommitRequestTopic,
    mut code: impl FnMut(&TxnOffsetCommitRequestPartition) -> ErrorCode,
) -> TxnOffsetCommitResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| TxnOffsetCommitResponsePartition {
        partition_index: partition.partition_index,
        error_code: code(partition).0,
        ..Default::default()
    });
    let partitions = partitions.collect();
    TxnOffsetCommitResponseTopic { name: topic.name.clone(), partitions, ..Default::default() }
}
