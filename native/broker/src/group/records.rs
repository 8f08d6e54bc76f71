//! The records of `__consumer_offsets` (Kafka's coordinator records): a key is its type and what it names, a value its version and what
//! is known of it. Of offsets and classic groups; those of KIP-848 are in `consumer::records`.

use std::{collections::BTreeMap, time::Duration};

use super::Committed;
use crate::coordinator::{
    Clock, Entry,
    codec::{key, value},
};
use bytes::Bytes;
use dohle_protocol::{
    Decoder, ErrorCode, Message, Uuid,
    messages::{GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue},
};

pub(super) use crate::coordinator::codec::read;

/// The types of keys.
pub(super) mod kind {
    /// Of offsets before Kafka 0.8.2 kept leader epochs; read as the next.
    pub const OLD_OFFSET: i16 = 0;
    pub const OFFSET: i16 = 1;
    pub const CLASSIC: i16 = 2;
}

/// The version that classic groups and offsets with a time to go are written in, as by Kafka 4.3.
const CLASSIC_VERSION: i16 = 3;
const OFFSET_VERSION: i16 = 4;
const TIMED_OFFSET_VERSION: i16 = 1;

/// The records of a group, beside its offsets.
pub(super) type Written = BTreeMap<Bytes, Bytes>;

/// An offset to commit.
pub(crate) struct Offset {
    pub topic: std::sync::Arc<str>,
    pub topic_id: Uuid,
    pub partition: i32,
    pub committed: Committed,
}

/// What a key names.
#[derive(Debug, PartialEq)]
pub(super) enum Key {
    Offset(OffsetCommitKey),
    /// A group's, of this type.
    Group(String, i16),
    /// Of share groups, of streams, of later versions.
    Other(i16),
}

impl Key {
    pub fn read(bytes: &Bytes) -> Result<Self, String> {
        let mut decoder = Decoder::new(bytes.clone());
        let kind = decoder.i16("type").map_err(|error| error.to_string())?;
        Ok(match kind {
            kind::OLD_OFFSET | kind::OFFSET => {
                Self::Offset(OffsetCommitKey::decode(&mut decoder, 0).map_err(|error| error.to_string())?)
            }
            // All of these begin with the group.
            2..=8 | 16 => Self::Group(decoder.string("group", false).map_err(|error| error.to_string())?, kind),
            _ => Self::Other(kind),
        })
    }
}

/// A committed offset.
pub(super) fn offset(group: &str, offset: &Offset, now_ms: i64) -> Result<Entry, ErrorCode> {
    let Committed { offset: at, leader_epoch, metadata, keep, .. } = &offset.committed;
    let expires = keep.map(|keep| now_ms.saturating_add(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX)));
    let known = OffsetCommitValue {
        offset: *at,
        leader_epoch: *leader_epoch,
        metadata: metadata.clone(),
        commit_timestamp: now_ms,
        expire_timestamp: expires.unwrap_or(-1),
        topic_id: offset.topic_id,
        ..Default::default()
    };
    let version = if expires.is_some() { TIMED_OFFSET_VERSION } else { OFFSET_VERSION };
    Ok(Entry { value: Some(value(version, &known)?), ..no_offset(group, &offset.topic, offset.partition)? })
}

/// An offset that is gone.
pub(super) fn no_offset(group: &str, topic: &str, partition: i32) -> Result<Entry, ErrorCode> {
    let named = OffsetCommitKey { group: group.into(), topic: topic.into(), partition };
    Ok(Entry { key: key(kind::OFFSET, &named)?, value: None })
}

impl Committed {
    pub(super) fn from_record(read: OffsetCommitValue, clock: &Clock) -> Self {
        let keep = u64::try_from(read.expire_timestamp.saturating_sub(read.commit_timestamp));
        Self {
            offset: read.offset,
            leader_epoch: read.leader_epoch,
            metadata: read.metadata,
            keep: keep.ok().filter(|_| read.expire_timestamp >= 0).map(Duration::from_millis),
            at: Some(clock.at(read.commit_timestamp)),
        }
    }
}

/// The key of a classic group.
pub(super) fn classic_key(group: &str) -> Result<Bytes, ErrorCode> {
    key(kind::CLASSIC, &GroupMetadataKey { group: group.into() })
}

pub(super) fn is_classic(key: &Bytes) -> bool {
    key.starts_with(&kind::CLASSIC.to_be_bytes())
}

/// A classic group.
pub(super) fn classic(group: &GroupMetadataValue) -> Result<Bytes, ErrorCode> {
    value(CLASSIC_VERSION, group)
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn an_offset_is_read_back_as_it_was_committed() {
        let committed =
            Committed { offset: 7, leader_epoch: 3, metadata: "m".into(), keep: None, at: Some(Instant::now()) };
        let clock = Clock { now: committed.at.unwrap(), now_ms: 1000 };
        for keep in [None, Some(Duration::from_secs(5))] {
            let given = Committed { keep, ..committed.clone() };
            let one = Offset { topic: "t".into(), topic_id: Uuid([1; 16]), partition: 2, committed: given.clone() };
            let entry = offset("g", &one, 1000).unwrap();
            let named = OffsetCommitKey { group: "g".into(), topic: "t".into(), partition: 2 };
            assert_eq!(Key::read(&entry.key), Ok(Key::Offset(named)));
            let found = Committed::from_record(read(&entry.value.unwrap()).unwrap(), &clock);
            // The version that has a time to go has no leader epoch.
            let leader_epoch = if keep.is_some() { -1 } else { 3 };
            assert_eq!(found, Committed { leader_epoch, ..given });
        }
    }

    #[test]
    fn a_key_that_is_torn_or_of_another_type_is_told() {
        let entry = no_offset("group", "topic", 2).unwrap();
        for cut in 0..entry.key.len() {
            assert!(Key::read(&entry.key.slice(..cut)).is_err(), "cut at {cut}");
        }
        assert_eq!(Key::read(&Bytes::from_static(&[0, 11, 0, 1, b'g'])), Ok(Key::Other(11)));
        assert!(read::<OffsetCommitValue>(&Bytes::from_static(&[0, 99])).is_err());
        assert!(no_offset(&"x".repeat(40_000), "t", 0).is_err());
    }
}
