//! The offsets that a group has committed. Kept until the group, or the topic, is deleted: there is no expiry.

use std::collections::BTreeMap;

/// `offset.metadata.max.bytes`.
pub(crate) const MAX_METADATA_BYTES: usize = 4096;

/// One committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: String,
}

/// All committed offsets of a group, by topic and partition.
#[derive(Default)]
pub(crate) struct Offsets {
    topics: BTreeMap<String, BTreeMap<i32, Committed>>,
    /// What open transactions will commit: by producer, then topic and partition.
    pending: BTreeMap<i64, BTreeMap<(String, i32), Committed>>,
}

impl Offsets {
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.pending.is_empty()
    }

    pub fn store(&mut self, topic: &str, partition: i32, committed: Committed) {
        if let Some(partitions) = self.topics.get_mut(topic) {
            partitions.insert(partition, committed);
        } else {
            self.topics.insert(topic.into(), BTreeMap::from([(partition, committed)]));
        }
    }

    /// Stores an offset that counts when the producer's transaction is committed.
    pub fn store_pending(&mut self, producer_id: i64, topic: &str, partition: i32, committed: Committed) {
        self.pending.entry(producer_id).or_default().insert((topic.into(), partition), committed);
    }

    /// The producer's transaction ended.
    pub fn end_transaction(&mut self, producer_id: i64, commit: bool) {
        for ((topic, partition), committed) in self.pending.remove(&producer_id).unwrap_or_default() {
            if commit {
                self.store(&topic, partition, committed);
            }
        }
    }

    /// Whether an open transaction may change this offset.
    pub fn is_unstable(&self, topic: &str, partition: i32) -> bool {
        self.pending.values().any(|offsets| offsets.keys().any(|(t, p)| t == topic && *p == partition))
    }

    pub fn committed(&self, topic: &str, partition: i32) -> Option<&Committed> {
        self.topics.get(topic)?.get(&partition)
    }

    /// Every topic and its partitions.
    pub fn all(&self) -> impl Iterator<Item = (&str, &BTreeMap<i32, Committed>)> {
        self.topics.iter().map(|(topic, partitions)| (topic.as_str(), partitions))
    }

    pub fn delete(&mut self, topic: &str, partition: i32) {
        if let Some(partitions) = self.topics.get_mut(topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                self.topics.remove(topic);
            }
        }
    }

    pub fn forget_topic(&mut self, topic: &str) {
        self.topics.remove(topic);
        self.pending.values_mut().for_each(|offsets| offsets.retain(|(name, _), _| name != topic));
        self.pending.retain(|_, offsets| !offsets.is_empty());
    }
}
