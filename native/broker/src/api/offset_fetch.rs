//! OffsetFetch (key 9): the offsets a group has committed; −1 where there is none, also for a group that does not exist.
//!
//! Behaviour: no topics named (null) means all that are committed. Who requires stable offsets is told to wait
//! (UNSTABLE_OFFSET_COMMIT) for those that an open transaction may change.
//! Versions: 2 all topics, top-level error · 3 throttle time · 5 leader epoch · 6 flexible · 7 require stable ·
//! 8 several groups · 9 member id and epoch, checked for groups of KIP-848 · 10 topic ids.

use std::collections::BTreeMap;

use dohle_protocol::{
    ErrorCode, Uuid,
    messages::{
        OffsetFetchRequest, OffsetFetchResponse,
        offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
        offset_fetch_response::{
            OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
            OffsetFetchResponseTopic, OffsetFetchResponseTopics,
        },
    },
};

use super::{Api, Call, Coordinated, Reply};
use crate::{
    group::{Committed, Group},
    node::Node,
    security::authorizer::{Operation, Resource},
};

pub(super) struct OffsetFetch;

impl Api for OffsetFetch {
    type Request = OffsetFetchRequest;
    const VERSIONS: (i16, i16) = (1, 10);

    async fn handle(call: &Call, request: OffsetFetchRequest) -> Reply<Self> {
        if call.version >= 8 {
            let groups = request.groups.iter().map(|group| fetch(call, group, request.require_stable)).collect();
            return Reply::With(OffsetFetchResponse { groups, ..Default::default() });
        }
        let fetched = fetch(call, &as_group(&request), request.require_stable);
        Reply::With(OffsetFetchResponse {
            topics: fetched.topics.into_iter().map(old_topic).collect(),
            error_code: fetched.error_code,
            ..Default::default()
        })
    }

    fn coordinated(request: &OffsetFetchRequest) -> Vec<Coordinated> {
        let one = request.groups.is_empty().then(|| request.group_id.clone());
        request.groups.iter().map(|group| group.group_id.clone()).chain(one).map(Coordinated::Group).collect()
    }

    fn refuse(request: &OffsetFetchRequest, code: ErrorCode) -> OffsetFetchResponse {
        if !request.groups.is_empty() {
            let group = |group: &OffsetFetchRequestGroup| OffsetFetchResponseGroup {
                group_id: group.group_id.clone(),
                error_code: code.0,
                ..Default::default()
            };
            let groups = request.groups.iter().map(group).collect();
            return OffsetFetchResponse { groups, ..Default::default() };
        }
        let topics = as_group(request).topics.unwrap_or_default().into_iter().map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|index| partition(*index, Err(code))).collect();
            old_topic(OffsetFetchResponseTopics { name: topic.name, partitions, ..Default::default() })
        });
        OffsetFetchResponse { error_code: code.0, topics: topics.collect(), ..Default::default() }
    }

    fn targets(node: &Node, request: &OffsetFetchRequest) -> Vec<(String, i32)> {
        let one = request.groups.is_empty().then(|| as_group(request));
        let topics = request.groups.iter().chain(&one).flat_map(|group| group.topics.iter().flatten());
        let partitions = |topic: &OffsetFetchRequestTopics| {
            let name = name_of(node, topic).unwrap_or_default();
            topic.partition_indexes.iter().map(move |index| (name.clone(), *index)).collect::<Vec<_>>()
        };
        topics.flat_map(partitions).collect()
    }
}

/// The form of a request before version 8, as one group of the later form.
fn as_group(request: &OffsetFetchRequest) -> OffsetFetchRequestGroup {
    let topics = request.topics.as_ref().map(|topics| {
        let topic = topics.iter().map(|topic| OffsetFetchRequestTopics {
            name: topic.name.clone(),
            partition_indexes: topic.partition_indexes.clone(),
            ..Default::default()
        });
        topic.collect()
    });
    OffsetFetchRequestGroup { group_id: request.group_id.clone(), topics, ..Default::default() }
}

fn old_topic(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partition = |p: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: p.partition_index,
        committed_offset: p.committed_offset,
        committed_leader_epoch: p.committed_leader_epoch,
        metadata: p.metadata,
        error_code: p.error_code,
        ..Default::default()
    };
    let partitions = topic.partitions.into_iter().map(partition).collect();
    OffsetFetchResponseTopic { name: topic.name, partitions, ..Default::default() }
}

fn name_of(node: &Node, topic: &OffsetFetchRequestTopics) -> Option<String> {
    if topic.topic_id.is_zero() {
        return Some(topic.name.clone());
    }
    node.topics.with_id(topic.topic_id).map(|topic| topic.name.to_string())
}

fn fetch(call: &Call, asked: &OffsetFetchRequestGroup, stable: bool) -> OffsetFetchResponseGroup {
    // Before version 8 the request as a whole needs it.
    if let Err(code) = call.needs(Operation::Describe, Resource::Group(&asked.group_id)) {
        return OffsetFetchResponseGroup { group_id: asked.group_id.clone(), error_code: code.0, ..Default::default() };
    }
    if let Err(code) = call.node.groups.ready(&asked.group_id) {
        return OffsetFetchResponseGroup { group_id: asked.group_id.clone(), error_code: code.0, ..Default::default() };
    }
    let member = (asked.member_id.as_deref(), asked.member_epoch);
    let allowed = call.node.groups.with(&asked.group_id, |group| {
        group.and_then(Group::consumer).map_or(Ok(()), |consumer| consumer.may_fetch(member.0, member.1))
    });
    if let Err(code) = allowed {
        return OffsetFetchResponseGroup { group_id: asked.group_id.clone(), error_code: code.0, ..Default::default() };
    }
    let topics = match &asked.topics {
        Some(topics) => topics.iter().map(|topic| fetch_topic(call, &asked.group_id, topic, stable)).collect(),
        None => fetch_all(call, &asked.group_id, stable),
    };
    OffsetFetchResponseGroup { group_id: asked.group_id.clone(), topics, ..Default::default() }
}

fn fetch_topic(
    call: &Call,
    group_id: &str,
    asked: &OffsetFetchRequestTopics,
    stable: bool,
) -> OffsetFetchResponseTopics {
    let name = name_of(&call.node, asked);
    let partitions = asked.partition_indexes.iter().map(|index| {
        let found = name.as_deref().ok_or(ErrorCode::UNKNOWN_TOPIC_ID).and_then(|name| {
            let committed = |group: Option<&Group>| group.map_or(Ok(None), |group| read(group, name, *index, stable));
            call.plan.guard((name, *index), || call.node.groups.with(group_id, committed))
        });
        partition(*index, found)
    });
    let partitions = partitions.collect();
    OffsetFetchResponseTopics { name: asked.name.clone(), topic_id: asked.topic_id, partitions, ..Default::default() }
}

fn read(group: &Group, topic: &str, index: i32, stable: bool) -> Result<Option<Committed>, ErrorCode> {
    if stable && group.offsets.is_unstable(topic, index) {
        return Err(ErrorCode::UNSTABLE_OFFSET_COMMIT);
    }
    Ok(group.offsets.committed(topic, index).cloned())
}

fn fetch_all(call: &Call, group_id: &str, stable: bool) -> Vec<OffsetFetchResponseTopics> {
    let id = |name: &str| call.node.topics.named(name).map_or(Uuid::default(), |topic| topic.id);
    let committed: Vec<(String, Vec<OffsetFetchResponsePartitions>)> = call.node.groups.with(group_id, |group| {
        let Some(group) = group else { return Vec::new() };
        let topic = |(name, all): (&str, &BTreeMap<i32, Committed>)| {
            let partitions = all.keys().map(|index| partition(*index, read(group, name, *index, stable)));
            (name.to_string(), partitions.collect())
        };
        group.offsets.all().map(topic).collect()
    });
    let topic = |(name, partitions): (String, Vec<_>)| OffsetFetchResponseTopics {
        topic_id: if call.version >= 10 { id(&name) } else { Uuid::default() },
        name,
        partitions,
        ..Default::default()
    };
    let seen = committed.into_iter().filter(|(name, _)| call.may_see(Operation::Describe, Resource::Topic(name)));
    seen.map(topic).collect()
}

fn partition(partition_index: i32, found: Result<Option<Committed>, ErrorCode>) -> OffsetFetchResponsePartitions {
    let error_code = found.as_ref().err().map_or(0, |code| code.0);
    let none = Committed { offset: -1, leader_epoch: -1, ..Default::default() };
    let committed = found.ok().flatten().unwrap_or(none);
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: committed.offset,
        committed_leader_epoch: committed.leader_epoch,
        metadata: Some(committed.metadata),
        error_code,
        ..Default::default()
    }
}
