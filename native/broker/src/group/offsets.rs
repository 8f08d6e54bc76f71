//! The offsets that a group has committed, and how long they are kept (`offsets.retention.minutes`).

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::Offset;
use crate::coordinator::Origin;

/// `offset.metadata.max.bytes`.
pub(crate) const MAX_METADATA_BYTES: usize = 4096;

/// One committed offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Committed {
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: String,
    /// How long the client wants it kept, whoever reads it meanwhile (OffsetCommit before version 5).
    pub keep: Option<Duration>,
    /// When it was committed; set when it is stored.
    pub at: Option<Instant>,
}

/// From when on the offsets of a group grow old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ageing {
    /// From their commit.
    FromCommit,
    /// Since the group has lost its last member.
    Since(Instant),
    /// They do not.
    Never,
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

    pub fn store(&mut self, topic: &str, partition: i32, mut committed: Committed) {
        committed.at.get_or_insert_with(Instant::now);
        if let Some(partitions) = self.topics.get_mut(topic) {
            partitions.insert(partition, committed);
        } else {
            self.topics.insert(topic.into(), BTreeMap::from([(partition, committed)]));
        }
    }

    /// Stores what was committed.
    pub fn commit(&mut self, offsets: Vec<Offset>, from: Origin) {
        for Offset { topic, partition, committed, .. } in offsets {
            match from {
                Origin::Coordinator => self.store(&topic, partition, committed),
                Origin::Transaction { producer_id, .. } => {
                    self.store_pending(producer_id, &topic, partition, committed)
                }
            }
        }
    }

    /// Whether there is nothing but these.
    pub fn has_only(&self, offsets: &[(String, i32)]) -> bool {
        self.pending.is_empty() && self.topics.values().map(BTreeMap::len).sum::<usize>() == offsets.len()
    }

    /// The committed ones' topics and partitions.
    pub fn keys(&self) -> impl Iterator<Item = (String, i32)> {
        let partitions = |(topic, partitions): (&String, &BTreeMap<i32, Committed>)| {
            partitions.keys().map(|partition| (topic.clone(), *partition)).collect::<Vec<_>>()
        };
        self.topics.iter().flat_map(partitions)
    }

    /// Stores an offset that counts when the producer's transaction is committed.
    pub fn store_pending(&mut self, producer_id: i64, topic: &str, partition: i32, mut committed: Committed) {
        committed.at.get_or_insert_with(Instant::now);
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

    /// What is too old, and when there is next something. What a member reads, or a transaction may change, is not.
    pub fn expired(
        &self,
        now: Instant,
        keep: Duration,
        ageing: Ageing,
        read: impl Fn(&str) -> bool,
    ) -> (Vec<(String, i32)>, Option<Instant>) {
        let (mut expired, mut next) = (Vec::new(), None::<Instant>);
        if ageing == Ageing::Never {
            return (expired, next);
        }
        for (topic, partitions) in self.topics.iter().filter(|(topic, _)| !read(topic)) {
            for (partition, committed) in partitions {
                let from = match ageing {
                    Ageing::Since(since) => Some(since),
                    _ => committed.at,
                };
                let ends = match committed.keep {
                    Some(keep) => committed.at.and_then(|at| at.checked_add(keep)),
                    None => from.and_then(|from| from.checked_add(keep)),
                };
                match ends {
                    None => {}
                    Some(ends) if ends > now => next = Some(next.map_or(ends, |next| next.min(ends))),
                    Some(_) if self.is_unstable(topic, *partition) => {}
                    Some(_) => expired.push((topic.clone(), *partition)),
                }
            }
        }
        (expired, next)
    }

    pub fn forget_topic(&mut self, topic: &str) {
        self.topics.remove(topic);
        self.pending.values_mut().for_each(|offsets| offsets.retain(|(name, _), _| name != topic));
        self.pending.retain(|_, offsets| !offsets.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Duration = Duration::from_secs(100);

    fn expire(
        offsets: &mut Offsets,
        now: Instant,
        keep: Duration,
        ageing: Ageing,
        read: impl Fn(&str) -> bool,
    ) -> Option<Instant> {
        let (expired, next) = offsets.expired(now, keep, ageing, read);
        expired.iter().for_each(|(topic, partition)| offsets.delete(topic, *partition));
        next
    }

    fn left(offsets: &Offsets) -> Vec<(&str, i32)> {
        offsets.all().flat_map(|(topic, partitions)| partitions.keys().map(move |index| (topic, *index))).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn offsets_go_when_they_are_old_enough_and_nobody_reads_the_topic() {
        let (start, mut offsets) = (Instant::now(), Offsets::default());
        offsets.store("a", 0, Committed::default());
        tokio::time::advance(Duration::from_secs(10)).await;
        offsets.store("a", 1, Committed::default());
        offsets.store("b", 0, Committed::default());
        offsets.store("b", 1, Committed { keep: Some(Duration::from_secs(5)), ..Committed::default() });
        let after = |seconds| start + Duration::from_secs(seconds);
        let nobody = |_: &str| false;
        assert_eq!(expire(&mut offsets, after(14), KEEP, Ageing::FromCommit, nobody), Some(after(15)));
        assert_eq!(expire(&mut offsets, after(100), KEEP, Ageing::Never, nobody), None);
        assert_eq!(left(&offsets).len(), 4);
        assert_eq!(expire(&mut offsets, after(100), KEEP, Ageing::FromCommit, nobody), Some(after(110)));
        assert_eq!(left(&offsets), [("a", 1), ("b", 0)]);
        assert_eq!(expire(&mut offsets, after(110), KEEP, Ageing::FromCommit, |topic| topic == "a"), None);
        assert_eq!(left(&offsets), [("a", 1)]);
        assert_eq!(expire(&mut offsets, after(110), KEEP, Ageing::Since(after(50)), nobody), Some(after(150)));
        assert_eq!(expire(&mut offsets, after(150), KEEP, Ageing::Since(after(50)), nobody), None);
        assert!(offsets.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_transaction_keeps_what_it_may_change() {
        let mut offsets = Offsets::default();
        offsets.store("a", 0, Committed::default());
        offsets.store_pending(7, "a", 0, Committed::default());
        let later = Instant::now() + KEEP;
        expire(&mut offsets, later, KEEP, Ageing::FromCommit, |_| false);
        assert_eq!(left(&offsets), [("a", 0)]);
        offsets.end_transaction(7, false);
        expire(&mut offsets, later, KEEP, Ageing::FromCommit, |_| false);
        assert!(offsets.is_empty());
    }
}
