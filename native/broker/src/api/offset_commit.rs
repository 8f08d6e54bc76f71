//! OffsetCommit (key 8): stores offsets for a group.
//!
//! Behaviour: who may commit is in `group`; a partition that does not exist is refused, metadata is limited to 4,096
//! bytes. How long offsets are kept is in `group::offsets`; a client of an old version may say it.
//! Versions: 2–4 retention time · 3 throttle time · 6 leader epoch · 7 instance ids · 8 flexible · 9 GROUP_ID_NOT_FOUND and
//! STALE_MEMBER_EPOCH (KIP-848) · 10 topic ids.

use std::{sync::Arc, time::Duration};

use dohle_protocol::{
    ErrorCode, Uuid,
    messages::{
        OffsetCommitRequest, OffsetCommitResponse,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic},
    },
};

use super::{Api, Call, Coordinated, Reply};
use crate::{
    coordinator::Origin,
    group::{Commit, Committed, Identity, MAX_METADATA_BYTES, Offset},
    node::Node,
    topics::Topic,
};

pub(super) struct OffsetCommit;

impl Api for OffsetCommit {
    type Request = OffsetCommitRequest;
    const VERSIONS: (i16, i16) = (2, 10);

    async fn handle(call: &Call, request: OffsetCommitRequest) -> Reply<Self> {
        let who = Identity {
            member_id: request.member_id.clone(),
            instance_id: request.group_instance_id.clone(),
            generation: request.generation_id_or_member_epoch,
        };
        let mut response = OffsetCommitResponse::default();
        let partitions = named(&call.node, &request);
        let from = Origin::Coordinator;
        let commit = Commit { who: &who, partitions: &partitions, from, knows_epochs: call.version >= 9 };
        let keep = u64::try_from(request.retention_time_ms).ok().map(Duration::from_millis);
        let allowed = call.node.groups.commit(&request.group_id, &commit, || {
            let mut offsets = Vec::new();
            let topics = request.topics.iter().map(|topic| commit_topic(call, &mut offsets, topic, keep));
            response.topics = topics.collect();
            offsets
        });
        call.node.housekeeping.touch_offsets();
        Reply::With(match allowed {
            Ok(()) => response,
            Err(ErrorCode::ILLEGAL_GENERATION)
                if call.version >= 9 && call.node.groups.with(&request.group_id, |group| group.is_none()) =>
            {
                Self::refuse(&request, ErrorCode::GROUP_ID_NOT_FOUND)
            }
            Err(code) => Self::refuse(&request, code),
        })
    }

    fn coordinated(request: &OffsetCommitRequest) -> Vec<Coordinated> {
        vec![Coordinated::Group(request.group_id.clone())]
    }

    fn refuse(request: &OffsetCommitRequest, code: ErrorCode) -> OffsetCommitResponse {
        let topics = request.topics.iter().map(|topic| answer(topic, |_| code)).collect();
        OffsetCommitResponse { topics, ..Default::default() }
    }

    fn targets(node: &Node, request: &OffsetCommitRequest) -> Vec<(String, i32)> {
        let partitions = |topic: &OffsetCommitRequestTopic| {
            let name = find(node, topic).map_or_else(|| topic.name.clone(), |topic| topic.name.to_string());
            topic.partitions.iter().map(move |p| (name.clone(), p.partition_index)).collect::<Vec<_>>()
        };
        request.topics.iter().flat_map(partitions).collect()
    }
}

fn find(node: &Node, topic: &OffsetCommitRequestTopic) -> Option<Arc<Topic>> {
    if topic.topic_id.is_zero() { node.topics.named(&topic.name) } else { node.topics.with_id(topic.topic_id) }
}

/// The partitions that exist of those committed.
fn named(node: &Node, request: &OffsetCommitRequest) -> Vec<(Uuid, i32)> {
    let topics = request.topics.iter().filter_map(|asked| Some((find(node, asked)?.id, &asked.partitions)));
    topics.flat_map(|(id, partitions)| partitions.iter().map(move |p| (id, p.partition_index))).collect()
}

fn commit_topic(
    call: &Call,
    offsets: &mut Vec<Offset>,
    asked: &OffsetCommitRequestTopic,
    keep: Option<Duration>,
) -> OffsetCommitResponseTopic {
    let topic = find(&call.node, asked);
    let unknown = if call.version >= 10 { ErrorCode::UNKNOWN_TOPIC_ID } else { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION };
    answer(asked, |partition| {
        let name = topic.as_ref().map_or(&*asked.name, |topic| &*topic.name);
        let done = call.plan.guard((name, partition.partition_index), || match &topic {
            None => Err(unknown),
            Some(topic) => commit_partition(offsets, topic, partition, keep),
        });
        done.err().unwrap_or(ErrorCode::NONE)
    })
}

fn commit_partition(
    offsets: &mut Vec<Offset>,
    topic: &Topic,
    asked: &OffsetCommitRequestPartition,
    keep: Option<Duration>,
) -> Result<(), ErrorCode> {
    let (offset, leader_epoch) = (asked.committed_offset, asked.committed_leader_epoch);
    let metadata = asked.committed_metadata.clone().unwrap_or_default();
    let committed = Committed { offset, leader_epoch, metadata, keep, ..Default::default() };
    check(Some(topic), asked.partition_index, &committed)?;
    let (topic, topic_id, partition) = (topic.name.clone(), topic.id, asked.partition_index);
    offsets.push(Offset { topic, topic_id, partition, committed });
    Ok(())
}

/// What every offset must be that is committed, with a transaction or without.
pub(super) fn check<'t>(topic: Option<&'t Topic>, index: i32, committed: &Committed) -> Result<&'t Topic, ErrorCode> {
    let topic = topic.filter(|topic| topic.partition(index).is_some()).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if committed.metadata.len() > MAX_METADATA_BYTES {
        return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
    }
    Ok(topic)
}

fn answer(
    topic: &OffsetCommitRequestTopic,
    mut code: impl FnMut(&OffsetCommitRequestPartition) -> ErrorCode,
) -> OffsetCommitResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| OffsetCommitResponsePartition {
        partition_index: partition.partition_index,
        error_code: code(partition).0,
        ..Default::default()
    });
    let partitions = partitions.collect();
    OffsetCommitResponseTopic { name: topic.name.clone(), topic_id: topic.topic_id, partitions, ..Default::default() }
}
