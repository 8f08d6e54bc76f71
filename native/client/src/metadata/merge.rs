//! How an answer, or a leader hint, becomes the next snapshot.
//!
//! Pure functions: no clock, no I/O. They never go back to an older leader epoch of the same topic, and trust no count or
//! index from the wire.

use std::sync::Arc;

use dohle_protocol::messages::MetadataResponse;
use dohle_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use dohle_protocol::{ErrorCode, Uuid};

use super::LeaderHint;
use super::snapshot::{BrokerMeta, PartitionMeta, Snapshot, TopicMeta};
use crate::collections::{Map, Set};
use crate::net::Endpoint;

/// Leader epochs of older versions may be stale on mixed clusters (KAFKA-9212): they are not used.
const RELIABLE_EPOCHS: i16 = 9;
/// A response may leave partitions out, but one index far beyond the others is not believed.
const GAP: usize = 1024;

/// What a response was asked about.
pub(super) enum Asked {
    /// Every topic of the cluster: those not in the answer do not exist.
    All,
    /// These topics; what else is known stays.
    Topics(Vec<Arc<str>>),
}

/// The snapshot after an answer.
pub(super) fn merge(old: &Snapshot, response: MetadataResponse, version: i16, asked: &Asked) -> Snapshot {
    let cluster_id: Option<Arc<str>> = response.cluster_id.as_deref().map(Arc::from);
    let another_cluster = matches!((&old.cluster_id, &cluster_id), (Some(a), Some(b)) if a != b);
    if another_cluster {
        tracing::warn!(was = ?old.cluster_id, now = ?cluster_id, "the servers belong to another cluster now");
    }
    let mut next = if another_cluster { Snapshot::default() } else { old.clone() };
    next.version = old.version + 1;
    next.cluster_id = cluster_id.or(next.cluster_id);
    next.controller = response.controller_id;
    next.brokers = brokers(&response);

    let mut answered: Set<Arc<str>> = Set::default();
    for topic in response.topics {
        let Some(name) = topic_name(&topic, old) else { continue };
        answered.insert(name.clone());
        merge_topic(&mut next, name, topic, version);
    }
    match asked {
        Asked::All => {
            next.topics.retain(|name, _| answered.contains(name));
            next.errors.retain(|name, _| answered.contains(name));
        }
        // A broker that leaves a topic out has not heard of it.
        Asked::Topics(names) => {
            for name in names.iter().filter(|name| !answered.contains(*name)) {
                next.topics.remove(name);
                next.errors.insert(name.clone(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
            }
        }
    }
    index_names(&mut next);
    next
}

/// Drops topics nobody wants any more. None if there are none.
pub(super) fn retain(old: &Snapshot, wanted: impl Fn(&str) -> bool) -> Option<Snapshot> {
    if old.topics.keys().chain(old.errors.keys()).all(|name| wanted(name)) {
        return None;
    }
    let mut next = old.clone();
    next.version += 1;
    next.topics.retain(|name, _| wanted(name));
    next.errors.retain(|name, _| wanted(name));
    index_names(&mut next);
    Some(next)
}

/// The snapshot after leader hints; none if they bring no news.
pub(super) fn apply_hints(old: &Snapshot, hints: &[LeaderHint<'_>], brokers: &[(i32, Endpoint)]) -> Option<Snapshot> {
    let mut next: Option<Snapshot> = None;
    for hint in hints {
        let current = next.as_ref().unwrap_or(old);
        let Some(topic) = current.topics.get(hint.topic) else { continue };
        let Some(index) = usize::try_from(hint.partition).ok() else { continue };
        let Some(partition) = topic.partitions.get(index) else { continue };
        let leader_known =
            current.brokers.contains_key(&hint.leader) || brokers.iter().any(|(id, _)| *id == hint.leader);
        if hint.leader < 0 || hint.leader_epoch <= partition.leader_epoch || !leader_known {
            continue;
        }
        let mut changed = TopicMeta::clone(topic);
        changed.partitions[index].leader = hint.leader;
        changed.partitions[index].leader_epoch = hint.leader_epoch;
        changed.partitions[index].error = ErrorCode::NONE;
        next.get_or_insert_with(|| old.clone()).topics.insert(changed.name.clone(), Arc::new(changed));
    }
    let mut next = next?;
    next.version = old.version + 1;
    for (id, endpoint) in brokers {
        let known = next.brokers.get(id);
        let rack = known.and_then(|broker| broker.rack.clone());
        next.brokers.insert(*id, BrokerMeta { id: *id, endpoint: endpoint.clone(), rack });
    }
    Some(next)
}

/// The snapshot without the leader epoch of a partition; none if it had none.
pub(super) fn without_epoch(old: &Snapshot, topic: &str, partition: i32) -> Option<Snapshot> {
    let mut changed = TopicMeta::clone(old.topics.get(topic)?);
    let slot = changed.partitions.get_mut(usize::try_from(partition).ok()?)?;
    if slot.leader_epoch < 0 {
        return None;
    }
    tracing::warn!("the leader of {topic}-{partition} does not know epoch {}: forgotten", slot.leader_epoch);
    slot.leader_epoch = -1;
    let mut next = old.clone();
    next.version += 1;
    next.topics.insert(changed.name.clone(), Arc::new(changed));
    Some(next)
}

/// The snapshot without leaders that the cluster does not list; none if there are none.
pub(super) fn without_unlisted_leaders(old: &Snapshot) -> Option<Snapshot> {
    let mut next: Option<Snapshot> = None;
    for (name, topic) in &old.topics {
        let is_unlisted = |leader: i32| leader >= 0 && !old.brokers.contains_key(&leader);
        if !topic.partitions.iter().any(|partition| is_unlisted(partition.leader)) {
            continue;
        }
        let mut changed = TopicMeta::clone(topic);
        for partition in changed.partitions.iter_mut().filter(|partition| is_unlisted(partition.leader)) {
            tracing::warn!("{name}: leader {} is no broker of the cluster: forgotten", partition.leader);
            (partition.leader, partition.leader_epoch) = (-1, -1);
        }
        next.get_or_insert_with(|| old.clone()).topics.insert(name.clone(), Arc::new(changed));
    }
    let mut next = next?;
    next.version += 1;
    Some(next)
}

fn brokers(response: &MetadataResponse) -> Map<i32, BrokerMeta> {
    let usable = response.brokers.iter().filter_map(|broker| {
        let port = u16::try_from(broker.port).ok().filter(|port| *port > 0)?;
        let rack = broker.rack.as_deref().map(Arc::from);
        let meta = BrokerMeta { id: broker.node_id, endpoint: Endpoint::new(&broker.host, port), rack };
        (broker.node_id >= 0 && !broker.host.is_empty()).then_some((broker.node_id, meta))
    });
    usable.collect()
}

/// Questions by id are answered without a name when the topic is gone.
fn topic_name(topic: &MetadataResponseTopic, old: &Snapshot) -> Option<Arc<str>> {
    match topic.name.as_deref() {
        Some(name) if !name.is_empty() => {
            Some(old.topics.get_key_value(name).map_or_else(|| name.into(), |(known, _)| known.clone()))
        }
        _ => old.names.get(&topic.topic_id).cloned(),
    }
}

fn merge_topic(next: &mut Snapshot, name: Arc<str>, topic: MetadataResponseTopic, version: i16) {
    let error = ErrorCode(topic.error_code);
    if error != ErrorCode::NONE {
        next.errors.insert(name.clone(), error);
        // For a moment without a leader, or a broker that is starting, what is known is better than nothing.
        if error == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            || error == ErrorCode::UNKNOWN_TOPIC_ID
            || !error.is_retriable()
        {
            next.topics.remove(&name);
        }
        return;
    }
    next.errors.remove(&name);
    let known = next.topics.get(&name).filter(|known| same_topic(known.id, topic.topic_id));
    let partitions = merge_partitions(known.map_or(&[], |known| &known.partitions), topic.partitions, version);
    let id = if topic.topic_id == Uuid::ZERO { known.map_or(Uuid::ZERO, |known| known.id) } else { topic.topic_id };
    let merged = TopicMeta { name: name.clone(), id, internal: topic.is_internal, partitions };
    if known.is_none_or(|known| **known != merged) {
        next.topics.insert(name, Arc::new(merged));
    }
}

/// Another id under the same name is another topic: deleted and created again, its epochs start anew.
fn same_topic(known: Uuid, told: Uuid) -> bool {
    known == told || known == Uuid::ZERO || told == Uuid::ZERO
}

fn merge_partitions(known: &[PartitionMeta], told: Vec<MetadataResponsePartition>, version: i16) -> Vec<PartitionMeta> {
    // Partitions are never taken away from a topic: a shorter answer comes from a broker that lags behind.
    let mut merged = known.to_vec();
    let limit = told.len() + known.len() + GAP;
    for partition in told {
        let Some(index) = usize::try_from(partition.partition_index).ok().filter(|index| *index < limit) else {
            tracing::warn!(index = partition.partition_index, "a partition number that cannot be; left out");
            continue;
        };
        while merged.len() <= index {
            merged.push(unknown_partition());
        }
        let leader_epoch = if version >= RELIABLE_EPOCHS { partition.leader_epoch } else { -1 };
        let outdated = leader_epoch >= 0 && leader_epoch < merged[index].leader_epoch;
        let slot = &mut merged[index];
        if !outdated {
            slot.leader = partition.leader_id.max(-1);
            slot.leader_epoch = leader_epoch;
            slot.error = ErrorCode(partition.error_code);
        }
        replace(&mut slot.replicas, &partition.replica_nodes);
        replace(&mut slot.in_sync, &partition.isr_nodes);
        replace(&mut slot.offline, &partition.offline_replicas);
    }
    merged
}

fn unknown_partition() -> PartitionMeta {
    let none: Arc<[i32]> = Arc::from([]);
    PartitionMeta {
        leader: -1,
        leader_epoch: -1,
        error: ErrorCode::LEADER_NOT_AVAILABLE,
        replicas: none.clone(),
        in_sync: none.clone(),
        offline: none,
    }
}

fn replace(slot: &mut Arc<[i32]>, nodes: &[i32]) {
    if **slot != *nodes {
        *slot = nodes.into();
    }
}

fn index_names(snapshot: &mut Snapshot) {
    let identified = snapshot.topics.values().filter(|topic| topic.id != Uuid::ZERO);
    snapshot.names = identified.map(|topic| (topic.id, topic.name.clone())).collect();
}
