//! What the members of classic groups of type `consumer` tell each other through the coordinator (Kafka's ConsumerProtocol), as
//! far as the coordinator reads and writes it: to protect offsets, and when a group changes its protocol.

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes, BytesMut};
use dohle_protocol::{
    Decoder, Encoder, Message, Uuid,
    messages::{
        ConsumerProtocolAssignment, ConsumerProtocolSubscription, consumer_protocol_assignment::TopicPartition,
    },
};

use super::consumer::Partitions;
use crate::topics::Topics;

/// The protocol type of consumers.
pub(super) const TYPE: &str = "consumer";

/// What a member wants, and has.
pub(super) struct Subscription {
    pub topics: Vec<String>,
    pub owned: Vec<(String, Vec<i32>)>,
    pub rack_id: Option<String>,
    /// The version that the member writes, and so reads.
    pub version: i16,
}

impl Subscription {
    /// From what a member joined with; none when that is something else.
    pub fn read(metadata: &Bytes) -> Option<Self> {
        let mut decoder = Decoder::new(metadata.clone());
        let version = decoder.i16("version").ok()?;
        let known = version.min(ConsumerProtocolSubscription::MAX_VERSION);
        let read = ConsumerProtocolSubscription::decode(&mut decoder, known).ok()?;
        let owned = read.owned_partitions.into_iter().map(|of| (of.topic, of.partitions)).collect();
        Some(Self { topics: read.topics, owned, rack_id: read.rack_id.filter(|rack| !rack.is_empty()), version })
    }

    /// What it has of the topics that exist.
    pub fn owned(&self, topics: &Topics) -> BTreeSet<(Uuid, i32)> {
        let known = self.owned.iter().filter_map(|(name, partitions)| Some((topics.named(name)?.id, partitions)));
        known.flat_map(|(id, partitions)| partitions.iter().map(move |index| (id, *index))).collect()
    }
}

/// What a member was given, of the topics that exist; nothing when it cannot be read.
pub(super) fn read_assignment(bytes: &Bytes, topics: &Topics) -> Partitions {
    let mut decoder = Decoder::new(bytes.clone());
    let version = decoder.i16("version").map(|version| version.min(ConsumerProtocolAssignment::MAX_VERSION));
    let read = version.ok().and_then(|version| ConsumerProtocolAssignment::decode(&mut decoder, version).ok());
    let assigned = read.into_iter().flat_map(|read| read.assigned_partitions);
    assigned.filter_map(|of| Some((topics.named(&of.topic)?.id, of.partitions.into_iter().collect()))).collect()
}

/// What a member is given, in the version that it reads. Topics that are gone are left out: they have no name.
pub(super) fn write_assignment(partitions: &Partitions, version: i16, topics: &Topics) -> Bytes {
    let version = version.clamp(0, ConsumerProtocolAssignment::MAX_VERSION);
    let named = |(id, partitions): (&Uuid, &BTreeSet<i32>)| {
        let topic = topics.with_id(*id)?.name.to_string();
        Some(TopicPartition { topic, partitions: partitions.iter().copied().collect() })
    };
    let assigned_partitions = partitions.iter().filter_map(named).collect();
    let message = ConsumerProtocolAssignment { assigned_partitions, user_data: None };
    let mut bytes = BytesMut::new();
    bytes.put_i16(version);
    let mut encoder = Encoder::new();
    // It cannot fail: names and counts are those of the broker.
    if message.encode(&mut encoder, version).is_ok() {
        bytes.extend_from_slice(&encoder.finish().to_bytes());
    }
    bytes.freeze()
}
