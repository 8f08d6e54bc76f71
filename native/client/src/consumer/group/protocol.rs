//! What members tell each other through the coordinator: subscriptions and assignments (`ConsumerProtocol` 0–3).
//! No I/O. The broker does not read these bytes; Java and librdkafka members do.
//! Driven by `membership`.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use dohle_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use dohle_protocol::messages::{consumer_protocol_assignment, consumer_protocol_subscription};
use dohle_protocol::{Decoder, Encoder, Message};

use super::super::handover::TopicPartition;
use crate::Result;

/// The newest version there is. Readers of older ones ignore what follows the fields they know, so it is always written.
const VERSION: i16 = 3;

/// A member of the group as the leader sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Given by the coordinator.
    pub id: String,
    /// `group.instance.id`
    pub instance_id: Option<String>,
    /// What it subscribes to.
    pub topics: Vec<Arc<str>>,
    /// What it owns while the group rebalances; nothing, if it is an eager one.
    pub owned: Vec<TopicPartition>,
    /// Of which generation `owned` is; −1 unknown.
    pub generation: i32,
    /// `client.rack`
    pub rack: Option<String>,
    /// What its assignor has written for ours.
    pub user_data: Option<Bytes>,
}

impl Member {
    /// Whether partitions of this topic may go to this member.
    pub fn subscribes(&self, topic: &str) -> bool {
        self.topics.iter().any(|t| &**t == topic)
    }
}

/// What a member says of itself when it joins.
pub(crate) struct Subscription<'a> {
    pub topics: &'a [Arc<str>],
    pub owned: &'a [TopicPartition],
    pub generation: i32,
    pub rack: &'a str,
    pub user_data: Option<Bytes>,
}

impl Subscription<'_> {
    /// The bytes for JoinGroup.
    pub fn encode(&self) -> Result<Bytes> {
        let message = ConsumerProtocolSubscription {
            topics: self.topics.iter().map(|t| t.to_string()).collect(),
            user_data: self.user_data.clone(),
            owned_partitions: by_topic(self.owned)
                .into_iter()
                .map(|(topic, partitions)| consumer_protocol_subscription::TopicPartition { topic, partitions })
                .collect(),
            generation_id: self.generation,
            rack_id: (!self.rack.is_empty()).then(|| self.rack.to_owned()),
        };
        versioned(&message)
    }
}

/// Reads a member's subscription from what it joined with.
pub(crate) fn decode_member(id: &str, instance_id: Option<&str>, bytes: Bytes) -> Result<Member> {
    let (message, version): (ConsumerProtocolSubscription, i16) = read(bytes)?;
    let owned = message
        .owned_partitions
        .iter()
        .flat_map(|t| {
            let topic: Arc<str> = t.topic.as_str().into();
            t.partitions.iter().map(move |&p| TopicPartition::new(topic.clone(), p))
        })
        .collect();
    let generation = match (message.generation_id, &message.user_data) {
        // Java's cooperative assignor before version 2 of the subscription: the generation is in the user data.
        (-1, Some(data)) if version == 1 && data.len() == 4 => i32::from_be_bytes([data[0], data[1], data[2], data[3]]),
        (generation, _) => generation,
    };
    Ok(Member {
        rack: message.rack_id.filter(|rack| !rack.is_empty()),
        user_data: message.user_data,
        id: id.to_owned(),
        instance_id: instance_id.map(str::to_owned),
        topics: message.topics.iter().map(|t| t.as_str().into()).collect(),
        owned,
        generation,
    })
}

/// The bytes for SyncGroup.
pub(crate) fn encode_assignment(partitions: &[TopicPartition]) -> Result<Bytes> {
    let message = ConsumerProtocolAssignment {
        assigned_partitions: by_topic(partitions)
            .into_iter()
            .map(|(topic, partitions)| consumer_protocol_assignment::TopicPartition { topic, partitions })
            .collect(),
        user_data: None,
    };
    versioned(&message)
}

/// Reads our assignment from SyncGroup's answer, sorted. No bytes: nothing is assigned.
pub(crate) fn decode_assignment(bytes: Bytes) -> Result<Vec<TopicPartition>> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let (message, _): (ConsumerProtocolAssignment, i16) = read(bytes)?;
    let mut partitions: Vec<_> = message
        .assigned_partitions
        .iter()
        .flat_map(|t| {
            let topic: Arc<str> = t.topic.as_str().into();
            t.partitions.iter().map(move |&p| TopicPartition::new(topic.clone(), p))
        })
        .collect();
    partitions.sort_unstable();
    partitions.dedup();
    Ok(partitions)
}

/// Groups by topic, both in order.
pub(crate) fn by_topic(partitions: &[TopicPartition]) -> Vec<(String, Vec<i32>)> {
    let mut sorted: Vec<_> = partitions.iter().collect();
    sorted.sort_unstable();
    let mut topics: Vec<(String, Vec<i32>)> = Vec::new();
    for tp in sorted {
        match topics.last_mut() {
            Some((topic, list)) if **topic == *tp.topic => list.push(tp.partition),
            _ => topics.push((tp.topic.to_string(), vec![tp.partition])),
        }
    }
    topics
}

fn versioned<M: Message>(message: &M) -> Result<Bytes> {
    let mut encoder = Encoder::new();
    message.encode(&mut encoder, VERSION)?;
    let mut bytes = BytesMut::new();
    bytes.put_i16(VERSION);
    for segment in encoder.finish().0 {
        bytes.put(segment);
    }
    Ok(bytes.freeze())
}

/// A newer version than we know begins with the fields that we know: what follows is ignored, as Java does.
fn read<M: Message>(bytes: Bytes) -> Result<(M, i16)> {
    let mut decoder = Decoder::new(bytes);
    let version = decoder.i16("version")?.clamp(0, M::MAX_VERSION);
    Ok((M::decode(&mut decoder, version)?, version))
}
