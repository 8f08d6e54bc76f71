//! What the group has committed: for the user, and for partitions that start there.
//! Not where a partition without a committed offset starts: that is `reset_policy`, looked up by the fetcher.
//! Driven by its own task, woken by `Shared::lookups`, and by the user.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dohle_protocol::messages::OffsetFetchRequest;
use dohle_protocol::messages::OffsetFetchResponse;
use dohle_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use dohle_protocol::{ErrorCode, Uuid};

use crate::collections::Map;
use crate::net::Lane;
use crate::{Error, ErrorKind, Result};

use super::commit::{name_of, topic_ids, unknown_topic};
use super::group::protocol::by_topic;
use super::group::verdict::{self, Verdict};
use super::handover::{Position, TopicPartition};
use super::shared::Shared;
use super::subscription::FetchState;
use super::{CommittedOffset, ConsumerEvent};

/// Per partition what the group has, or why it cannot be told.
type Found = Vec<(TopicPartition, Result<Option<CommittedOffset>>)>;

/// Asks until it has an answer for all of them, or `limit` is over.
pub(crate) async fn committed(
    shared: &Shared,
    partitions: &[TopicPartition],
    limit: Duration,
) -> Result<Vec<(TopicPartition, Option<CommittedOffset>)>> {
    let mut last = None;
    let attempts = async {
        let mut backoff = shared.backoff();
        loop {
            let found = ask(shared, partitions).await;
            let found = found.and_then(|found| found.into_iter().map(|(tp, at)| Ok((tp, at?))).collect::<Result<_>>());
            let error = match found {
                Ok(found) => return Ok(found),
                Err(error) if verdict::of(&error) == Verdict::Fatal => return Err(error),
                Err(error) => error,
            };
            last = Some(error);
            tokio::time::sleep(backoff.next(&**shared.client.world())).await;
        }
    };
    match tokio::time::timeout(limit, attempts).await {
        Ok(outcome) => outcome,
        Err(_) => Err(last.unwrap_or_else(|| {
            let text = format!("no committed offsets within {} ms", limit.as_millis());
            shared.client.too_late(Error::new(ErrorKind::RequestTimedOut, text))
        })),
    }
}

/// Places partitions that start where the group has committed, until the task is ended. Those that came meanwhile are
/// found in the next turn: `lookups` keeps a permit.
pub(crate) async fn run_lookups(shared: Arc<Shared>) {
    let mut backoff = shared.backoff();
    loop {
        let waiting: Vec<(TopicPartition, u32)> = shared.with(|s| {
            let waits = s.iter().filter(|(_, partition)| partition.state == FetchState::Committed);
            waits.map(|(tp, partition)| (tp.clone(), partition.epoch)).collect()
        });
        if waiting.is_empty() {
            shared.lookups.notified().await;
            continue;
        }
        let partitions: Vec<_> = waiting.iter().map(|(tp, _)| tp.clone()).collect();
        match ask(&shared, &partitions).await {
            Ok(found) => match place(&shared, &waiting, found) {
                None => {
                    backoff.reset();
                    continue;
                }
                Some(error) => shared.sink.event(ConsumerEvent::Retrying(error)),
            },
            Err(error) if verdict::of(&error) == Verdict::Fatal => return shared.raise(error.into_fatal()),
            Err(error) => shared.sink.event(ConsumerEvent::Retrying(error)),
        }
        tokio::time::sleep(backoff.next(&**shared.client.world())).await;
    }
}

/// Places what was found. An error: some have no answer yet and must be asked for again.
fn place(shared: &Shared, waiting: &[(TopicPartition, u32)], found: Found) -> Option<Error> {
    let mut found: Map<TopicPartition, Result<Option<CommittedOffset>>> = found.into_iter().collect();
    let (mut again, mut failed) = (None, Vec::new());
    shared.change(|s| {
        for (tp, epoch) in waiting {
            let outcome = found.remove(tp).unwrap_or_else(|| {
                Err(Error::new(
                    ErrorKind::RequestTimedOut,
                    format!("OffsetFetch: the coordinator did not answer for {tp}"),
                ))
            });
            match (outcome, shared.reset_policy) {
                (Ok(Some(at)), _) => {
                    let position = Position { offset: at.offset, leader_epoch: at.leader_epoch };
                    if s.resolved(tp, *epoch, position) {
                        s.committed(tp, position);
                    }
                }
                // A transaction was aborted before the group had anything of this partition.
                (Ok(None), _) if s.origin(tp).is_some() => {
                    let origin = s.origin(tp).unwrap_or(Position::at(0));
                    s.resolved(tp, *epoch, origin);
                }
                (Ok(None), Some(to)) => {
                    s.reset(tp, *epoch, to);
                }
                (Ok(None), None) if s.fail(tp, *epoch) => failed.push(Error::new(
                    ErrorKind::NoOffset,
                    format!(
                        "{tp} has no committed offset and auto.offset.reset is none: seek, or choose earliest or latest"
                    ),
                )),
                (Ok(None), None) => {}
                (Err(error), _) if verdict::of(&error) == Verdict::Fatal => {
                    if s.fail(tp, *epoch) {
                        failed.push(error);
                    }
                }
                (Err(error), _) => again = Some(error),
            }
        }
    });
    failed.into_iter().for_each(|error| shared.raise(error));
    again
}

/// One request for all of them. Topics that do not exist (yet) are answered here, and stand before nobody else.
async fn ask(shared: &Shared, partitions: &[TopicPartition]) -> Result<Found> {
    let names: BTreeSet<&Arc<str>> = partitions.iter().map(|tp| &tp.topic).collect();
    let ids = topic_ids(shared, names.into_iter()).await?;
    let (known, unknown): (Vec<_>, Vec<_>) = partitions.iter().cloned().partition(|tp| ids.contains_key(&tp.topic));
    let mut found: Found = unknown.into_iter().map(|tp| (tp.clone(), Err(unknown_topic(&tp)))).collect();
    if known.is_empty() {
        return Ok(found);
    }
    let topics = by_topic(&known);
    let make = |version: i16| request(shared, version, &topics, &ids);
    let code = |answer: &OffsetFetchResponse| match answer.groups.first() {
        Some(group) => group.error_code,
        None => answer.error_code,
    };
    let timeout = shared.client.options().request_timeout;
    let answer = shared.ask_coordinator(Lane::Coordinator, make, code, timeout).await?;
    read(shared, answer, &ids, &mut found);
    Ok(found)
}

fn request(
    shared: &Shared,
    version: i16,
    topics: &[(String, Vec<i32>)],
    ids: &Map<Arc<str>, Uuid>,
) -> Result<OffsetFetchRequest> {
    let group_id = shared.group_id()?.to_owned();
    // Offsets of a transaction that is still open are waited for (KIP-447), never read past.
    let mut request = OffsetFetchRequest { require_stable: version >= 7, ..Default::default() };
    if version < 8 {
        let topic = |(name, partitions): &(String, Vec<i32>)| OffsetFetchRequestTopic {
            name: name.clone(),
            partition_indexes: partitions.clone(),
            ..Default::default()
        };
        request.group_id = group_id;
        request.topics = Some(topics.iter().map(topic).collect());
        return Ok(request);
    }
    let mut group = OffsetFetchRequestGroup { group_id, topics: Some(Vec::new()), ..Default::default() };
    for (name, partitions) in topics {
        let mut topic = OffsetFetchRequestTopics { partition_indexes: partitions.clone(), ..Default::default() };
        match version >= 10 {
            true => topic.topic_id = ids.get(name.as_str()).copied().unwrap_or_default(),
            false => topic.name = name.clone(),
        }
        group.topics.get_or_insert_default().push(topic);
    }
    request.groups = vec![group];
    Ok(request)
}

fn read(shared: &Shared, answer: OffsetFetchResponse, ids: &Map<Arc<str>, Uuid>, found: &mut Found) {
    let mut note =
        |name: &str, id: Uuid, partition: i32, code: i16, offset: i64, epoch: i32, metadata: Option<&str>| {
            let Some(name) = name_of(ids, name, id) else { return };
            let tp = TopicPartition::new(name, partition);
            let outcome = match ErrorCode(code) {
                ErrorCode::NONE => Ok((offset >= 0).then(|| CommittedOffset {
                    offset,
                    leader_epoch: epoch,
                    metadata: metadata.unwrap_or_default().to_owned(),
                })),
                code => {
                    if matches!(code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID) {
                        shared.client.metadata().request_update();
                    }
                    Err(Error::broker(code, format_args!("OffsetFetch of {tp}")))
                }
            };
            found.push((tp, outcome));
        };
    for topic in &answer.topics {
        for p in &topic.partitions {
            let (offset, epoch) = (p.committed_offset, p.committed_leader_epoch);
            note(&topic.name, Uuid::ZERO, p.partition_index, p.error_code, offset, epoch, p.metadata.as_deref());
        }
    }
    for topic in answer.groups.iter().flat_map(|group| &group.topics) {
        for p in &topic.partitions {
            let (offset, epoch) = (p.committed_offset, p.committed_leader_epoch);
            note(&topic.name, topic.topic_id, p.partition_index, p.error_code, offset, epoch, p.metadata.as_deref());
        }
    }
}
