//! Offsets of a group within a transaction: kept by the group's coordinator until the transaction ends.
//! Not which offsets (consumer/transactional.rs). Driven by `commit_offsets`, in a task of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use dohle_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use dohle_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use dohle_protocol::{ErrorCode, Request, Uuid};
use tokio::time::Instant;

use super::Transactions;
use super::coordinator::told;
use super::verdict;
use crate::client::CoordinatorKind;
use crate::consumer::{Consumer, GroupMetadata, TransactionOffsets};
use crate::error::{Error, ErrorKind, Result};
use crate::producer::idempotence::ProducerId;

/// The newest version before KIP-890: higher ones mean that brokers add the group by themselves.
const BEFORE_V2: i16 = 4;
/// From this version on topics have ids only, and an old epoch of a member is told as such (KIP-1319).
const FIRST_WITH_IDS: i16 = 6;
/// The first version that fences members of an older generation (KIP-447).
const FIRST_WITH_GENERATION: i16 = 3;

/// Topics by name, with their ids.
type Ids = BTreeMap<Arc<str>, Uuid>;

impl Transactions {
    /// Commits offsets. A member that has another epoch meanwhile, and still has the partitions, commits them with that.
    pub(super) async fn send_offsets(
        &self,
        v2: bool,
        given: &TransactionOffsets,
        member: Option<&Consumer>,
    ) -> Result<()> {
        self.state().start();
        let deadline = Instant::now() + self.config().max_block;
        let in_vain = || Instant::now() >= deadline;
        let outcome = async {
            if !v2 {
                self.add_group(&given.group.group_id, in_vain).await?;
            }
            let ids = self.topic_ids(given);
            let cap = match &ids {
                _ if !v2 => BEFORE_V2,
                None => FIRST_WITH_IDS - 1,
                Some(_) => TxnOffsetCommitRequest::MAX_STABLE_VERSION,
            };
            let ids = ids.unwrap_or_default();
            let mut group = given.group.clone();
            loop {
                let make = |version| self.offsets_request(version, given, &group, &ids);
                let of = (CoordinatorKind::Group, group.group_id.as_str());
                let error = match self.ask_of(of, cap, make, |answer| first_error(answer, &ids), in_vain).await {
                    Err(error) if is_of_another_epoch(&error) => error,
                    outcome => return outcome.map(drop),
                };
                let Some(member) = member else { return Err(error) };
                match member.renewed(given, &group, || in_vain() || self.is_closed()).await {
                    Some(now) => group = now,
                    None => return Err(error),
                }
            }
        };
        outcome.await.map_err(|e| if verdict::ends_producer(&e) { e.into_fatal() } else { e })
    }

    /// Tells the transaction's coordinator of the group (before KIP-890).
    async fn add_group(&self, group_id: &str, in_vain: impl Fn() -> bool) -> Result<()> {
        let doing = format!("AddOffsetsToTxn of group {group_id}");
        let make = |_| {
            let ProducerId { id, epoch } = self.current()?;
            Ok(AddOffsetsToTxnRequest {
                transactional_id: self.id().to_owned(),
                producer_id: id,
                producer_epoch: epoch,
                group_id: group_id.to_owned(),
                ..Default::default()
            })
        };
        let read = |answer: &AddOffsetsToTxnResponse| told(answer.error_code, &doing);
        self.ask(i16::MAX, make, read, in_vain).await.map(drop)
    }

    /// The ids of the topics, as they are when the commit begins: it never becomes one of a topic that was created again.
    /// None when one of them is not known; then names do.
    fn topic_ids(&self, given: &TransactionOffsets) -> Option<Ids> {
        let snapshot = self.client().metadata().snapshot();
        let id = |name: &Arc<str>| snapshot.topic(name).map(|topic| topic.id).filter(|id| *id != Uuid::ZERO);
        given.offsets.iter().map(|(tp, _)| Some((tp.topic.clone(), id(&tp.topic)?))).collect()
    }

    fn offsets_request(
        &self,
        version: i16,
        given: &TransactionOffsets,
        group: &GroupMetadata,
        ids: &Ids,
    ) -> Result<TxnOffsetCommitRequest> {
        if version < FIRST_WITH_GENERATION {
            let text =
                "the broker is too old to commit a member's offsets within a transaction: Kafka 2.5 does (KIP-447)";
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
        let ProducerId { id, epoch } = self.current()?;
        let mut topics = BTreeMap::<&Arc<str>, Vec<TxnOffsetCommitRequestPartition>>::new();
        for (tp, at) in &given.offsets {
            topics.entry(&tp.topic).or_default().push(TxnOffsetCommitRequestPartition {
                partition_index: tp.partition,
                committed_offset: at.offset,
                committed_leader_epoch: at.leader_epoch,
                committed_metadata: Some(at.metadata.clone()),
                ..Default::default()
            });
        }
        // The encoding takes the one that the version has.
        let topic = |(name, partitions): (&Arc<str>, _)| TxnOffsetCommitRequestTopic {
            name: name.to_string(),
            topic_id: ids.get(name).copied().unwrap_or(Uuid::ZERO),
            partitions,
            ..Default::default()
        };
        Ok(TxnOffsetCommitRequest {
            transactional_id: self.id().to_owned(),
            group_id: group.group_id.clone(),
            producer_id: id,
            producer_epoch: epoch,
            generation_id_or_member_epoch: group.generation,
            member_id: group.member_id.clone(),
            group_instance_id: group.group_instance_id.clone(),
            topics: topics.into_iter().map(topic).collect(),
            ..Default::default()
        })
    }
}

/// Before version 6 coordinators say ILLEGAL_GENERATION for both kinds of groups.
fn is_of_another_epoch(error: &Error) -> bool {
    matches!(error.broker_code(), Some(ErrorCode::STALE_MEMBER_EPOCH | ErrorCode::ILLEGAL_GENERATION))
}

/// The error that says most: one that stays before one that passes.
fn first_error(answer: &TxnOffsetCommitResponse, ids: &Ids) -> Result<()> {
    let partitions = answer
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(move |p| (topic, p.partition_index, ErrorCode(p.error_code))));
    let mut failed: Vec<_> = partitions.filter(|(_, _, code)| code.is_error()).collect();
    failed.sort_by_key(|(_, _, code)| code.is_retriable());
    let Some((topic, partition, code)) = failed.first() else { return Ok(()) };
    let named = ids.iter().find(|(_, id)| topic.name.is_empty() && **id == topic.topic_id);
    let name = named.map_or(&*topic.name, |(name, _)| name);
    Err(Error::broker(*code, format_args!("TxnOffsetCommit of {name}-{partition}")))
}
