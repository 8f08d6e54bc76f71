//! What readers of committed records need to know of one partition: where its first open transaction begins, and which
//! transactions were aborted. Not who coordinates them: that is `transactions`. Driven by the log, under its lock.

use std::collections::BTreeMap;

use crate::collections::Map;

/// A transaction that was aborted, as Fetch tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub producer_id: i64,
    pub first_offset: i64,
    /// The offset of its marker.
    pub(super) last_offset: i64,
    /// Where the next open transaction began when it ended, or where the log did: readers up to there have met all aborted ones
    /// before it.
    pub(super) last_stable_offset: i64,
}

/// The transactions of one partition.
#[derive(Default)]
pub(super) struct Transactions {
    /// First offset to producer, and back.
    open: BTreeMap<i64, i64>,
    first_offsets: Map<i64, i64>,
    /// In the order of their markers.
    aborted: Vec<Aborted>,
}

impl Transactions {
    /// A record of a transaction was appended; the first one opens it.
    pub fn appended(&mut self, producer_id: i64, offset: i64) {
        if !self.first_offsets.contains_key(&producer_id) {
            self.first_offsets.insert(producer_id, offset);
            self.open.insert(offset, producer_id);
        }
    }

    /// A marker was appended. A transaction without records here leaves no trace; what is answered is one that was aborted.
    pub fn ended(&mut self, producer_id: i64, marker: i64, aborted: bool) -> Option<Aborted> {
        let first_offset = self.first_offsets.remove(&producer_id)?;
        self.open.remove(&first_offset);
        let last_stable_offset = self.first_open().unwrap_or(marker + 1);
        let ended = Aborted { producer_id, first_offset, last_offset: marker, last_stable_offset };
        if aborted {
            self.aborted.push(ended);
        }
        aborted.then_some(ended)
    }

    /// An aborted one was found in a file.
    pub fn found(&mut self, aborted: Aborted) {
        self.aborted.push(aborted);
    }

    /// The aborted ones whose markers are in `from..end`.
    pub fn aborted_with_markers(&self, from: i64, end: i64) -> Vec<Aborted> {
        let at = |offset: i64| self.aborted.partition_point(|aborted| aborted.last_offset < offset);
        self.aborted[at(from)..at(end)].to_vec()
    }

    /// The log now ends at an offset. What is open is to be told anew.
    pub fn truncate_from(&mut self, end: i64) {
        self.aborted.truncate(self.aborted.partition_point(|aborted| aborted.last_offset < end));
        self.open.clear();
        self.first_offsets.clear();
    }

    /// Where the oldest open transaction begins.
    pub fn first_open(&self) -> Option<i64> {
        self.open.first_key_value().map(|(offset, _)| *offset)
    }

    /// The producers of the open ones, the oldest first.
    pub fn open_producers(&self) -> Vec<i64> {
        self.open.values().copied().collect()
    }

    /// Where this producer's open transaction begins.
    pub fn open_since(&self, producer_id: i64) -> Option<i64> {
        self.first_offsets.get(&producer_id).copied()
    }

    /// The aborted ones with records in `from..end`.
    pub fn aborted(&self, from: i64, end: i64) -> Vec<Aborted> {
        let first = self.aborted.partition_point(|aborted| aborted.last_offset < from);
        self.aborted[first..].iter().filter(|aborted| aborted.first_offset < end).copied().collect()
    }

    /// All aborted ones that begin before an offset, by their beginning.
    pub fn aborted_before(&self, offset: i64) -> Vec<Aborted> {
        let mut before: Vec<Aborted> =
            self.aborted.iter().filter(|aborted| aborted.first_offset < offset).copied().collect();
        before.sort_unstable_by_key(|aborted| aborted.first_offset);
        before
    }

    /// Compaction has been there up to an offset, and these are the aborted ones that readers may still meet there.
    pub fn compacted(&mut self, to: i64, kept: &[Aborted]) {
        self.aborted.retain(|aborted| aborted.last_offset >= to || kept.contains(aborted));
    }

    /// Forgets what lies before the log's start.
    pub fn forget_before(&mut self, start: i64) {
        let gone = self.aborted.partition_point(|aborted| aborted.last_offset < start);
        self.aborted.drain(..gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_open_transaction_holds_readers_back_until_it_ends() {
        let mut all = Transactions::default();
        all.appended(7, 10);
        all.appended(8, 11);
        all.appended(7, 12);
        assert_eq!((all.first_open(), all.open_since(8)), (Some(10), Some(11)));
        all.ended(7, 13, false);
        assert_eq!(all.first_open(), Some(11));
        all.ended(8, 14, true);
        assert_eq!(all.first_open(), None);
        assert_eq!(
            all.aborted(0, 100),
            [Aborted { producer_id: 8, first_offset: 11, last_offset: 14, last_stable_offset: 15 }]
        );
    }

    #[test]
    fn aborted_ones_are_told_to_readers_of_their_offsets_only() {
        let mut all = Transactions::default();
        for (producer, first) in [(1, 0), (2, 10), (3, 20)] {
            all.appended(producer, first);
            all.ended(producer, first + 5, true);
        }
        let told = |from, end| all.aborted(from, end).iter().map(|aborted| aborted.producer_id).collect::<Vec<_>>();
        assert_eq!(told(0, 10), [1]);
        assert_eq!(told(5, 11), [1, 2]);
        assert!(told(16, 20).is_empty());
        assert_eq!(told(16, 21), [3]);
        all.forget_before(16);
        assert_eq!(all.aborted(0, 100).len(), 1);
    }

    #[test]
    fn a_marker_without_records_leaves_no_trace() {
        let mut all = Transactions::default();
        all.ended(5, 0, true);
        assert!(all.aborted(0, 1).is_empty());
    }
}
