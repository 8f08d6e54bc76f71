//! The records of a group of KIP-848 in `__consumer_offsets`, in the versions of Kafka 4.4: its epoch, what each member has said, what it shall
//! have, and where it stands on its way there. Only their form: `journal` writes them, `loading` reads them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use dohle_protocol::{
    Decoder, ErrorCode, Uuid,
    messages::{
        ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue,
        ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey,
        ConsumerGroupMetadataValue, ConsumerGroupTargetAssignmentMemberKey, ConsumerGroupTargetAssignmentMemberValue,
        ConsumerGroupTargetAssignmentMetadataKey, ConsumerGroupTargetAssignmentMetadataValue,
        consumer_group_current_member_assignment_value::TopicPartitions,
        consumer_group_member_metadata_value::{ClassicMemberMetadata, ClassicProtocol},
        consumer_group_target_assignment_member_value::TopicPartition,
    },
};

use super::{
    super::{Loading, embedded, records::Written},
    Assignor, Consumer, Member, OldProtocol, Partitions,
    member::{Given, Progress},
};
use crate::{
    coordinator::codec::{key, read, value},
    topics::Topics,
};

/// The types of keys.
mod kind {
    pub const GROUP: i16 = 3;
    pub const MEMBER: i16 = 5;
    pub const TARGET_EPOCH: i16 = 6;
    pub const TARGET: i16 = 7;
    pub const CURRENT: i16 = 8;
}

/// There is one version of each value.
const VERSION: i16 = 0;

/// Whether a key says that its group is one of KIP-848.
pub(in super::super) fn is_consumer(key: &Bytes) -> bool {
    key.starts_with(&kind::GROUP.to_be_bytes())
}

impl Consumer {
    /// What says all of it.
    pub(in super::super) fn records(&self, group: &str) -> Result<Written, ErrorCode> {
        let mut all = Written::new();
        let group_id = || group.to_string();
        let epoch = ConsumerGroupMetadataValue { epoch: self.epoch, ..Default::default() };
        all.insert(key(kind::GROUP, &ConsumerGroupMetadataKey { group_id: group_id() })?, value(VERSION, &epoch)?);
        let target = ConsumerGroupTargetAssignmentMetadataValue {
            assignment_epoch: self.assignment_epoch,
            ..Default::default()
        };
        let of = ConsumerGroupTargetAssignmentMetadataKey { group_id: group_id() };
        all.insert(key(kind::TARGET_EPOCH, &of)?, value(VERSION, &target)?);
        for member in self.members.values() {
            let member_id = || member.id.clone();
            let of = ConsumerGroupMemberMetadataKey { group_id: group_id(), member_id: member_id() };
            all.insert(key(kind::MEMBER, &of)?, value(VERSION, &member.said())?);
            let of = ConsumerGroupTargetAssignmentMemberKey { group_id: group_id(), member_id: member_id() };
            all.insert(key(kind::TARGET, &of)?, value(VERSION, &member.shall_have())?);
            let of = ConsumerGroupCurrentMemberAssignmentKey { group_id: group_id(), member_id: member_id() };
            all.insert(key(kind::CURRENT, &of)?, value(VERSION, &member.stands())?);
        }
        Ok(all)
    }

    /// The group that its records say; sessions begin anew.
    pub(in super::super) fn from_records(written: &Written, topics: &Topics, with: &Loading) -> Result<Self, String> {
        let (mut epoch, mut assignment_epoch, mut members) = (0, 0, BTreeMap::<String, Member>::new());
        let mut described = BTreeSet::new();
        for (key, value) in written {
            let (kind, member_id) = named(key)?;
            match kind {
                kind::GROUP => epoch = read::<ConsumerGroupMetadataValue>(value)?.epoch,
                kind::TARGET_EPOCH => {
                    assignment_epoch = read::<ConsumerGroupTargetAssignmentMetadataValue>(value)?.assignment_epoch;
                }
                kind::MEMBER => {
                    members.entry(member_id.clone()).or_default().has_said(read(value)?);
                    described.insert(member_id);
                }
                kind::TARGET => members.entry(member_id).or_default().target = target(read(value)?),
                kind::CURRENT => members.entry(member_id).or_default().goes_on(read(value)?),
                // Of other releases: what they say follows from the rest.
                _ => {}
            }
        }
        members.retain(|id, _| described.contains(id));
        for (id, member) in &mut members {
            let session = member.classic.as_ref().map_or(with.session_timeout, |classic| classic.session_timeout);
            member.id.clone_from(id);
            member.session_deadline = Some(with.clock.now + session);
            let revokes = member.progress == Progress::Unrevoked;
            member.revoke_deadline = revokes.then(|| with.clock.now + member.rebalance_timeout);
        }
        let mut group = Self::with_members(epoch, members.into_values());
        (group.assignment_epoch, group.changed) = (assignment_epoch, false);
        group.subscription.refresh(group.members.values(), topics);
        Ok(group)
    }
}

/// The type of a key, and the member that it names, if it does.
fn named(key: &Bytes) -> Result<(i16, String), String> {
    let mut decoder = Decoder::new(key.clone());
    let mut read = || {
        let kind = decoder.i16("type")?;
        decoder.string("group", false)?;
        let of_member = matches!(kind, kind::MEMBER | kind::TARGET | kind::CURRENT);
        Ok((kind, if of_member { decoder.string("member", false)? } else { String::new() }))
    };
    read().map_err(|error: dohle_protocol::DecodeError| error.to_string())
}

impl Member {
    fn said(&self) -> ConsumerGroupMemberMetadataValue {
        let old = self.classic.as_ref();
        ConsumerGroupMemberMetadataValue {
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            subscribed_topic_names: self.topics.iter().cloned().collect(),
            subscribed_topic_regex: self.regex.clone(),
            rebalance_timeout_ms: millis(self.rebalance_timeout),
            server_assignor: self.assignor.map(|assignor| assignor.name().into()),
            classic_member_metadata: old.map(|old| ClassicMemberMetadata {
                session_timeout_ms: millis(old.session_timeout),
                supported_protocols: old.protocols.iter().map(protocol).collect(),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn has_said(&mut self, read: ConsumerGroupMemberMetadataValue) {
        (self.instance_id, self.rack_id) = (read.instance_id, read.rack_id);
        (self.client_id, self.client_host) = (read.client_id, read.client_host);
        self.topics = read.subscribed_topic_names.into_iter().collect();
        self.regex = read.subscribed_topic_regex.filter(|regex| !regex.is_empty());
        self.rebalance_timeout = duration(read.rebalance_timeout_ms);
        self.assignor = read.server_assignor.as_deref().and_then(Assignor::named);
        self.classic = read.classic_member_metadata.map(|old| {
            let protocols: Vec<(String, Bytes)> =
                old.supported_protocols.into_iter().map(|one| (one.name, one.metadata)).collect();
            let subscription = protocols.first().and_then(|(_, metadata)| embedded::Subscription::read(metadata));
            OldProtocol {
                session_timeout: duration(old.session_timeout_ms),
                version: subscription.map_or(0, |read| read.version),
                protocols,
                rejoin_deadline: None,
                sync_deadline: None,
            }
        });
    }

    fn shall_have(&self) -> ConsumerGroupTargetAssignmentMemberValue {
        let topic_partitions = self.target.iter().map(|(topic, partitions)| TopicPartition {
            topic_id: *topic,
            partitions: partitions.iter().copied().collect(),
            ..Default::default()
        });
        ConsumerGroupTargetAssignmentMemberValue { topic_partitions: topic_partitions.collect(), ..Default::default() }
    }

    fn stands(&self) -> ConsumerGroupCurrentMemberAssignmentValue {
        ConsumerGroupCurrentMemberAssignmentValue {
            member_epoch: self.epoch,
            previous_member_epoch: self.previous_epoch,
            state: self.progress.number(),
            assigned_partitions: written(&self.assigned),
            partitions_pending_revocation: written(&self.revoking),
            ..Default::default()
        }
    }

    fn goes_on(&mut self, read: ConsumerGroupCurrentMemberAssignmentValue) {
        (self.epoch, self.previous_epoch) = (read.member_epoch, read.previous_member_epoch);
        self.progress = Progress::of_number(read.state);
        self.assigned = given(&read.assigned_partitions, read.member_epoch);
        self.revoking = given(&read.partitions_pending_revocation, read.member_epoch);
    }
}

impl Progress {
    fn number(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::Unrevoked => 1,
            Self::Unreleased => 2,
        }
    }

    fn of_number(number: i8) -> Self {
        match number {
            1 => Self::Unrevoked,
            2 => Self::Unreleased,
            _ => Self::Stable,
        }
    }
}

fn target(read: ConsumerGroupTargetAssignmentMemberValue) -> Partitions {
    read.topic_partitions.into_iter().map(|of| (of.topic_id, of.partitions.into_iter().collect())).collect()
}

fn written(given: &Given) -> Vec<TopicPartitions> {
    let mut topics = BTreeMap::<Uuid, (Vec<i32>, Vec<i32>)>::new();
    for ((topic, partition), epoch) in given {
        let (partitions, epochs) = topics.entry(*topic).or_default();
        partitions.push(*partition);
        epochs.push(*epoch);
    }
    let of = |(topic_id, (partitions, epochs))| TopicPartitions {
        topic_id,
        partitions,
        assignment_epochs: Some(epochs),
        ..Default::default()
    };
    topics.into_iter().map(of).collect()
}

/// Before KIP-1251 a record says no epochs: all are the member's.
fn given(read: &[TopicPartitions], member_epoch: i32) -> Given {
    let of = |topic: &TopicPartitions| {
        let epochs = topic.assignment_epochs.clone().unwrap_or_default();
        let epochs = epochs.into_iter().chain(std::iter::repeat(member_epoch));
        let topic_id = topic.topic_id;
        let partitions: Vec<_> =
            topic.partitions.iter().zip(epochs).map(|(of, epoch)| ((topic_id, *of), epoch)).collect();
        partitions
    };
    read.iter().flat_map(of).collect()
}

fn protocol((name, metadata): &(String, Bytes)) -> ClassicProtocol {
    ClassicProtocol { name: name.clone(), metadata: metadata.clone(), ..Default::default() }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

fn duration(millis: i32) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
