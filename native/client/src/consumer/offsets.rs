//! Offsets that are not known but asked for: ListOffsets and OffsetForLeaderEpoch.
//! No state: what an answer means for a partition is the fetcher's to decide.
//! Driven by the fetcher and by `Consumer::offsets_at`.

use std::sync::Arc;
use std::time::Duration;

use dohle_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use dohle_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use dohle_protocol::messages::{ListOffsetsRequest, OffsetForLeaderEpochRequest};
use dohle_protocol::{ErrorClass, ErrorCode};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::collections::{Map, Set};
use crate::net::Backoff;
use crate::{Client, Error, ErrorKind, Lane, Result};

use super::StartAt;
use super::handover::{Position, TopicPartition};
use super::subscription::ResetTo;

const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

impl ResetTo {
    /// The timestamp to ask ListOffsets for.
    pub fn timestamp(self, client: &Client) -> i64 {
        match self {
            Self::Earliest => EARLIEST,
            Self::Latest => LATEST,
            Self::Timestamp(ms) => ms,
            Self::Ago(ms) => client.world().wall_clock_ms().saturating_sub(ms).max(0),
        }
    }
}

/// One partition of a look-up.
#[derive(Clone, Debug)]
pub(crate) struct LookUp {
    pub tp: TopicPartition,
    /// The partition's epoch in the subscription, for who asks.
    pub epoch: u32,
    /// The leader's epoch as far as we know, else −1.
    pub leader_epoch: i32,
    /// For ListOffsets a timestamp (or −1, −2); for OffsetForLeaderEpoch the position's leader epoch.
    pub value: i64,
}

/// What was answered per partition, in the order of the look-ups.
pub(crate) type Answers = Vec<(LookUp, Result<Position, ErrorCode>)>;

/// Asks one broker for offsets by time. A partition without a record at or after its timestamp has offset −1. One that
/// the broker left out counts as unknown to it.
pub(crate) async fn list(
    client: &Client,
    node: i32,
    read_committed: bool,
    look_ups: Vec<LookUp>,
    timeout: Duration,
) -> Result<Answers> {
    let request = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: i8::from(read_committed),
        topics: by_topic(&look_ups)
            .into_iter()
            .map(|(name, look_ups)| ListOffsetsTopic {
                name: name.to_string(),
                partitions: look_ups
                    .into_iter()
                    .map(|look_up| ListOffsetsPartition {
                        partition_index: look_up.tp.partition,
                        current_leader_epoch: look_up.leader_epoch,
                        timestamp: look_up.value,
                        ..ListOffsetsPartition::default()
                    })
                    .collect(),
                ..ListOffsetsTopic::default()
            })
            .collect(),
        timeout_ms: timeout.as_millis().try_into().unwrap_or(i32::MAX),
        ..ListOffsetsRequest::default()
    };
    let response = client.request(node, Lane::General, &request, timeout).await?;
    let mut found = Map::default();
    for topic in response.topics {
        for partition in topic.partitions {
            let position = Position { offset: partition.offset, leader_epoch: partition.leader_epoch };
            let answer = ErrorCode(partition.error_code).ok().map(|()| position);
            found.entry((topic.name.clone(), partition.partition_index)).or_insert(answer);
        }
    }
    Ok(paired(look_ups, found))
}

/// Asks one broker where the leader epochs of positions end. None when it is too old to be asked (before version 3 the
/// request needs a permission that clients do not have). An epoch that the log no longer has ends at offset −1.
pub(crate) async fn epoch_ends(
    client: &Client,
    node: i32,
    look_ups: Vec<LookUp>,
    timeout: Duration,
) -> Result<Option<Answers>> {
    let topics = by_topic(&look_ups)
        .into_iter()
        .map(|(topic, look_ups)| OffsetForLeaderTopic {
            topic: topic.to_string(),
            partitions: look_ups
                .into_iter()
                .map(|look_up| OffsetForLeaderPartition {
                    partition: look_up.tp.partition,
                    current_leader_epoch: look_up.leader_epoch,
                    leader_epoch: look_up.value as i32,
                    ..OffsetForLeaderPartition::default()
                })
                .collect(),
            ..OffsetForLeaderTopic::default()
        })
        .collect();
    let request = OffsetForLeaderEpochRequest { replica_id: -1, topics, ..OffsetForLeaderEpochRequest::default() };
    let connection = client.connection(node, Lane::General).await?;
    match connection.version::<OffsetForLeaderEpochRequest>() {
        Ok(3..) => {}
        _ => return Ok(None),
    }
    let response = client.request(node, Lane::General, &request, timeout).await?;
    let mut found = Map::default();
    for topic in response.topics {
        for partition in topic.partitions {
            let position = Position { offset: partition.end_offset, leader_epoch: partition.leader_epoch };
            let answer = ErrorCode(partition.error_code).ok().map(|()| position);
            found.entry((topic.topic.clone(), partition.partition)).or_insert(answer);
        }
    }
    Ok(Some(paired(look_ups, found)))
}

fn by_topic(look_ups: &[LookUp]) -> Vec<(Arc<str>, Vec<&LookUp>)> {
    let mut topics: Vec<(Arc<str>, Vec<&LookUp>)> = Vec::new();
    let mut places: Map<&str, usize> = Map::default();
    for look_up in look_ups {
        let place = *places.entry(&look_up.tp.topic).or_insert_with(|| {
            topics.push((look_up.tp.topic.clone(), Vec::new()));
            topics.len() - 1
        });
        topics[place].1.push(look_up);
    }
    topics
}

fn paired(look_ups: Vec<LookUp>, mut found: Map<(String, i32), Result<Position, ErrorCode>>) -> Answers {
    look_ups
        .into_iter()
        .map(|look_up| {
            let answer = found.remove(&(look_up.tp.topic.to_string(), look_up.tp.partition));
            (look_up, answer.unwrap_or(Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)))
        })
        .collect()
}

/// For `Consumer::offsets_at`: asks the leaders, with retries, within `default.api.timeout.ms`.
pub(crate) async fn offsets_at(
    client: &Client,
    read_committed: bool,
    asked: Vec<(TopicPartition, StartAt)>,
) -> Result<Vec<(TopicPartition, Option<i64>)>> {
    let timestamps = asked.iter().map(|(tp, at)| match at {
        StartAt::Earliest => Ok(EARLIEST),
        StartAt::Latest => Ok(LATEST),
        StartAt::Timestamp(ms) if *ms >= 0 => Ok(*ms),
        other => Err(Error::invalid_argument(format!("{tp}: there is no offset to look up for {other:?}"))),
    });
    let timestamps = timestamps.collect::<Result<Vec<i64>>>()?;
    let limit = client.options().default_api_timeout;
    let deadline = Instant::now() + limit;
    let mut backoff = Backoff::new(client.options().retry_backoff, client.options().retry_backoff_max);
    // By place as well: one partition may be asked for several, which go out one per round.
    let mut offsets: Map<(TopicPartition, i64), Option<i64>> = Map::default();
    let mut last: Option<Error> = None;
    let mut refresh = false;
    loop {
        let open = || asked.iter().zip(&timestamps).filter(|((tp, _), at)| !offsets.contains_key(&(tp.clone(), **at)));
        if open().next().is_none() {
            let places = asked.iter().zip(&timestamps);
            return Ok(places.map(|((tp, _), &at)| (tp.clone(), offsets[&(tp.clone(), at)])).collect());
        }
        let missing = |tp: &TopicPartition| client.metadata().snapshot().leader(&tp.topic, tp.partition).is_none();
        if refresh || open().any(|((tp, _), _)| missing(tp)) {
            let mut topics: Vec<&str> = open().map(|((tp, _), _)| &*tp.topic).collect();
            topics.sort_unstable();
            topics.dedup();
            match tokio::time::timeout_at(deadline, client.metadata().refresh_topics(&topics)).await {
                Ok(Err(error)) if !error.retriable() => return Err(error),
                Ok(Err(error)) => last = Some(error),
                Ok(Ok(_)) => topics.iter().try_for_each(|topic| client.metadata().fail_if_hopeless(topic))?,
                Err(_) => {}
            }
        }
        let snapshot = client.metadata().snapshot();
        let mut leaders: Map<i32, Vec<LookUp>> = Map::default();
        let known = offsets.len();
        let mut this_round = Set::default();
        for ((tp, _), &value) in open() {
            if !this_round.insert(tp) {
                continue;
            }
            match snapshot.leader(&tp.topic, tp.partition) {
                Some((leader, leader_epoch)) => {
                    leaders.entry(leader).or_default().push(LookUp { tp: tp.clone(), epoch: 0, leader_epoch, value });
                }
                None => {
                    last = Some(Error::broker(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format_args!("offsets of {tp}")))
                }
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let within = client.options().request_timeout.min(left);
        let rounds = leaders.into_iter().map(|(node, list_of)| list(client, node, read_committed, list_of, within));
        for outcome in join_all(rounds).await {
            match outcome {
                Ok(answers) => {
                    for (look_up, answer) in answers {
                        match answer {
                            Ok(position) => {
                                let offset = (position.offset >= 0).then_some(position.offset);
                                offsets.insert((look_up.tp, look_up.value), offset);
                            }
                            Err(code) => {
                                let error = Error::broker(code, format_args!("offsets of {}", look_up.tp));
                                if !code.is_retriable() {
                                    return Err(error);
                                }
                                refresh |= code.class() == ErrorClass::RefreshRetriable;
                                last = Some(error);
                            }
                        }
                    }
                }
                Err(error) if !error.retriable() => return Err(error),
                Err(error) => {
                    refresh = true;
                    last = Some(error);
                }
            }
        }
        if offsets.len() == known + this_round.len() {
            continue;
        }
        let pause = backoff.next(&**client.world());
        if Instant::now() + pause >= deadline {
            return Err(last.unwrap_or_else(|| {
                let message = format!("offsets were not found within {} ms", limit.as_millis());
                client.too_late(Error::new(ErrorKind::RequestTimedOut, message))
            }));
        }
        tokio::time::sleep(pause).await;
    }
}
