//! Offsets in the group: commits of what is finished or of what the user names, and what was committed before.
//! Not what "finished" means (subscription.rs) nor who is a member (group/).
//! Driven by the user, by the timer of automatic commits, by the membership before partitions go, by new partitions.
//!
//! Commits take turns (`Shared::commit_turn`), each reads what is finished when its turn has come: so a commit never
//! overtakes an older one and never regresses. A commit is tried again until its time limit; across a rebalance it goes
//! on with the new generation, for what is still ours.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dohle_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use dohle_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use dohle_protocol::{ErrorCode, Uuid};

use crate::collections::Map;
use crate::net::{Backoff, Lane};
use crate::{Error, ErrorKind, Result};

use super::group::Identity;
use super::group::verdict::{self, Verdict};
use super::handover::{Position, TopicPartition};
use super::shared::Shared;
use super::{CommittedOffset, ConsumerEvent};

/// What one request commits.
pub(super) type Offsets = Vec<(TopicPartition, CommittedOffset)>;

/// Commits what is finished, of these partitions or of all, where the group does not have it yet.
pub(crate) async fn finished(shared: &Shared, only: Option<&[TopicPartition]>, limit: Duration) -> Result<()> {
    within(shared, limit, Some(UNKNOWN_ATTEMPTS), |_| Ok(collect_finished(shared, only))).await
}

/// We have read from them, so topics that are unknown this often in a row are deleted: a rebalance, or the end of a
/// consumer, does not wait for their offsets.
const UNKNOWN_ATTEMPTS: u32 = 3;

/// Commits what the user names. `owned`: since when we own each of these partitions ([`Partition::owned`]); none outside of
/// a group. Who was thrown out of the group and came back may have the same partitions again, and another member may have
/// gone on with them in between: an offset from before is not committed then, however often it is tried.
///
/// [`Partition::owned`]: super::subscription::Partition::owned
pub(crate) async fn named(shared: &Shared, offsets: Offsets, owned: Option<Vec<u32>>, limit: Duration) -> Result<()> {
    let collect = |done: &[TopicPartition]| {
        if let Some(owned) = &owned {
            let lost = shared.with(|s| {
                let mut pairs = offsets.iter().zip(owned);
                pairs
                    .find(|((tp, _), since)| s.get(tp).is_none_or(|p| p.owned != **since))
                    .map(|((tp, _), _)| tp.clone())
            });
            if let Some(tp) = lost {
                let doing = format_args!("OffsetCommit of {tp}, which went to another member meanwhile").to_string();
                return Err(Error::broker(ErrorCode::ILLEGAL_GENERATION, doing));
            }
        }
        Ok(offsets.iter().filter(|(tp, _)| !done.contains(tp)).cloned().collect())
    };
    within(shared, limit, None, collect).await
}

/// Commits automatically, until the task is ended. One attempt per turn, so that a partition which cannot be committed
/// (its topic was deleted, say) holds up nobody's commits.
pub(crate) async fn run_automatic(shared: Arc<Shared>) {
    let mut backoff = shared.backoff();
    let mut delay = shared.options.auto_commit_interval;
    loop {
        tokio::time::sleep(delay).await;
        delay = shared.options.auto_commit_interval;
        let outcome = {
            let _turn = shared.commit_turn.lock().await;
            attempt(&shared, &shared.group.identity(), &collect_finished(&shared, None), &mut Vec::new()).await
        };
        match outcome.map_err(|error| (verdict::of(&error), error)) {
            Ok(()) => backoff.reset(),
            Err((Verdict::Fatal, error)) => shared.raise(error),
            // A lost membership is the membership's to tell; all else is tried again.
            Err((verdict, error)) => {
                if verdict != Verdict::Reset {
                    delay = delay.min(backoff.next(&**shared.client.world()));
                }
                shared.sink.event(ConsumerEvent::CommitFailed(error));
            }
        }
    }
}

fn collect_finished(shared: &Shared, only: Option<&[TopicPartition]>) -> Offsets {
    shared.with(|s| s.uncommitted(only)).into_iter().map(|(tp, at)| (tp, at.into())).collect()
}

async fn within(
    shared: &Shared,
    limit: Duration,
    unknown_attempts: Option<u32>,
    collect: impl Fn(&[TopicPartition]) -> Result<Offsets>,
) -> Result<()> {
    let mut last = None;
    let outcome = tokio::time::timeout(limit, attempts(shared, unknown_attempts, collect, &mut last)).await;
    outcome.unwrap_or_else(|_| {
        Err(last.unwrap_or_else(|| {
            let text = format!("the commit did not end within {} ms", limit.as_millis());
            shared.client.too_late(Error::new(ErrorKind::RequestTimedOut, text))
        }))
    })
}

async fn attempts(
    shared: &Shared,
    unknown_attempts: Option<u32>,
    collect: impl Fn(&[TopicPartition]) -> Result<Offsets>,
    last: &mut Option<Error>,
) -> Result<()> {
    let _turn = shared.commit_turn.lock().await;
    let mut backoff = shared.backoff();
    let mut done = Vec::new();
    let mut unknown = 0;
    loop {
        // Before the offsets: what was collected as a member of one generation is never sent as one of the next.
        let identity = shared.group.identity();
        let offsets = collect(&done)?;
        if offsets.is_empty() {
            return Ok(());
        }
        let Err(error) = attempt(shared, &identity, &offsets, &mut done).await else { return Ok(()) };
        unknown = if is_unknown_topic(&error) { unknown + 1 } else { 0 };
        match verdict::of(&error) {
            _ if unknown_attempts == Some(unknown) => return Err(error),
            Verdict::Retry | Verdict::Rediscover | Verdict::Rejoin => {}
            // Sent with the old generation while a rebalance ended: again with the new one.
            Verdict::Reset if identity.joining || shared.group.identity() != identity => {}
            Verdict::Reset | Verdict::Fatal => return Err(error),
        }
        *last = Some(error);
        tokio::time::sleep(backoff.next(&**shared.client.world())).await;
    }
}

/// One request. What it committed is noted and added to `done`.
async fn attempt(
    shared: &Shared,
    identity: &Identity,
    offsets: &Offsets,
    done: &mut Vec<TopicPartition>,
) -> Result<()> {
    if offsets.is_empty() {
        return Ok(());
    }
    let names: BTreeSet<&Arc<str>> = offsets.iter().map(|(tp, _)| &tp.topic).collect();
    let ids = topic_ids(shared, names.into_iter()).await?;
    // A topic that is gone stands before nobody else.
    let mut failed = offsets.iter().find(|(tp, _)| !ids.contains_key(&tp.topic)).map(|(tp, _)| unknown_topic(tp));
    let topics = group_by_topic(offsets.iter().filter(|(tp, _)| ids.contains_key(&tp.topic)));
    if topics.is_empty() {
        return failed.map_or(Ok(()), Err);
    }
    let make = |version: i16| {
        let mut request = OffsetCommitRequest {
            group_id: shared.group_id()?.to_owned(),
            generation_id_or_member_epoch: identity.generation,
            member_id: identity.member_id.clone(),
            group_instance_id: match identity.is_member() {
                true => shared.instance_id(version >= 7)?,
                false => None,
            },
            ..Default::default()
        };
        for (name, partitions) in &topics {
            let mut topic = OffsetCommitRequestTopic { partitions: partitions.clone(), ..Default::default() };
            match version >= 10 {
                true => topic.topic_id = ids[name],
                false => topic.name = name.to_string(),
            }
            request.topics.push(topic);
        }
        Ok(request)
    };
    let timeout = shared.client.options().request_timeout;
    let answer = shared.ask_coordinator(Lane::Coordinator, make, first_coordinator_error, timeout).await?;

    for topic in &answer.topics {
        let Some(name) = name_of(&ids, &topic.name, topic.topic_id) else { continue };
        for partition in &topic.partitions {
            let tp = TopicPartition::new(name.clone(), partition.partition_index);
            match ErrorCode(partition.error_code) {
                ErrorCode::NONE => done.push(tp),
                code => {
                    if matches!(code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID) {
                        shared.client.metadata().request_update();
                    }
                    failed.get_or_insert_with(|| Error::broker(code, format_args!("OffsetCommit of {tp}")));
                }
            }
        }
    }
    shared.with(|s| {
        for (tp, offset) in offsets.iter().filter(|(tp, _)| done.contains(tp)) {
            s.committed(tp, Position { offset: offset.offset, leader_epoch: offset.leader_epoch });
        }
    });
    failed.map_or(Ok(()), Err)
}

/// OffsetCommit has no error of its own: the coordinator repeats it in every partition.
fn first_coordinator_error(answer: &OffsetCommitResponse) -> i16 {
    let codes = answer.topics.iter().flat_map(|topic| topic.partitions.iter().map(|partition| partition.error_code));
    let of_group = |&code: &i16| {
        matches!(
            ErrorCode(code),
            ErrorCode::NOT_COORDINATOR
                | ErrorCode::COORDINATOR_NOT_AVAILABLE
                | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
                | ErrorCode::REBALANCE_IN_PROGRESS
                | ErrorCode::ILLEGAL_GENERATION
                | ErrorCode::UNKNOWN_MEMBER_ID
                | ErrorCode::GROUP_ID_NOT_FOUND
                | ErrorCode::FENCED_INSTANCE_ID
                | ErrorCode::FENCED_MEMBER_EPOCH
                | ErrorCode::STALE_MEMBER_EPOCH
                | ErrorCode::GROUP_AUTHORIZATION_FAILED
        )
    };
    codes.into_iter().find(of_group).unwrap_or(0)
}

fn group_by_topic<'a>(
    offsets: impl Iterator<Item = &'a (TopicPartition, CommittedOffset)>,
) -> BTreeMap<Arc<str>, Vec<OffsetCommitRequestPartition>> {
    let mut topics = BTreeMap::<Arc<str>, Vec<_>>::new();
    for (tp, offset) in offsets {
        topics.entry(tp.topic.clone()).or_default().push(OffsetCommitRequestPartition {
            partition_index: tp.partition,
            committed_offset: offset.offset,
            committed_leader_epoch: offset.leader_epoch,
            committed_metadata: Some(offset.metadata.clone()),
            ..Default::default()
        });
    }
    topics
}

/// Topic ids for requests that name topics by id (OffsetCommit and OffsetFetch from version 10). Brokers without ids
/// give [`Uuid::ZERO`], and do not offer those versions.
pub(super) async fn topic_ids(shared: &Shared, names: impl Iterator<Item = &Arc<str>>) -> Result<Map<Arc<str>, Uuid>> {
    let metadata = shared.client.metadata();
    let names: Vec<Arc<str>> = names.cloned().collect();
    let missing: Vec<&str> = names.iter().filter(|name| metadata.topic(name).is_none()).map(|name| &**name).collect();
    if !missing.is_empty() {
        metadata.refresh_topics(&missing).await?;
    }
    let snapshot = metadata.snapshot();
    Ok(names.into_iter().filter_map(|name| Some((name.clone(), snapshot.topic(&name)?.id))).collect())
}

/// A topic that the cluster does not have, as far as we know.
pub(super) fn unknown_topic(tp: &TopicPartition) -> Error {
    Error::broker(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format_args!("offset of {tp}"))
}

fn is_unknown_topic(error: &Error) -> bool {
    let unknown = [ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::UNKNOWN_TOPIC_ID];
    error.broker_code().is_some_and(|code| unknown.contains(&code))
}

/// The topic an answer is about, by name or by id.
pub(super) fn name_of(ids: &Map<Arc<str>, Uuid>, name: &str, id: Uuid) -> Option<Arc<str>> {
    match name.is_empty() {
        false => Some(name.into()),
        true => ids.iter().find(|(_, known)| **known == id).map(|(name, _)| name.clone()),
    }
}

impl Shared {
    /// Delays between attempts.
    pub fn backoff(&self) -> Backoff {
        let options = self.client.options();
        Backoff::new(options.retry_backoff, options.retry_backoff_max)
    }
}
