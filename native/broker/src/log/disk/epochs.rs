//! Where each leader epoch of a partition began (Kafka's LeaderEpochFileCache, KIP-101): `leader-epoch-checkpoint` has it on disk.
//! A follower, or a reader after a change of leaders, finds with it where two logs part.

use std::io;

use super::place::Place;
use crate::storage::checkpoint;

const FILE: &str = "leader-epoch-checkpoint";

/// Epochs and where they began, both ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    entries: Vec<(i32, i64)>,
}

impl Epochs {
    /// From the partition's file. A damaged one is as good as none: it is rebuilt from the batches.
    pub fn read(place: &Place) -> io::Result<Option<Self>> {
        let lines = match checkpoint::read(&*place.disk, &place.path(FILE)) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(None),
            read => read?,
        };
        let entry = |line: &String| {
            let (epoch, start) = line.split_once(' ')?;
            Some((epoch.parse().ok()?, start.trim().parse().ok()?))
        };
        let entries = lines.as_ref().map(|lines| lines.iter().map(entry).collect::<Option<Vec<(i32, i64)>>>());
        let ascending = |two: &[(i32, i64)]| two[0].0 < two[1].0 && two[0].1 <= two[1].1;
        Ok(entries.flatten().filter(|entries| entries.windows(2).all(ascending)).map(|entries| Self { entries }))
    }

    pub fn write(&self, place: &Place) -> io::Result<()> {
        let lines: Vec<String> = self.entries.iter().map(|(epoch, start)| format!("{epoch} {start}")).collect();
        checkpoint::write(&*place.disk, &place.path(FILE), &lines)
    }

    /// A batch of this epoch is at an offset; answers whether that is news.
    pub fn assign(&mut self, epoch: i32, offset: i64) -> bool {
        let news = epoch >= 0 && self.latest().is_none_or(|latest| epoch > latest);
        if news {
            self.entries.push((epoch, offset));
        }
        news
    }

    /// Where an epoch began.
    pub fn start_of(&self, epoch: i32) -> Option<i64> {
        self.entries.iter().rev().find(|(known, _)| *known == epoch).map(|(_, start)| *start)
    }

    pub fn latest(&self) -> Option<i32> {
        self.entries.last().map(|(epoch, _)| *epoch)
    }

    /// The largest epoch that is not larger than this one, and where it ended in a log that ends at `end`; an epoch before all that
    /// are known ended where these begin. None when nothing is known of it.
    pub fn end_of(&self, epoch: i32, end: i64) -> Option<(i32, i64)> {
        let behind = self.entries.partition_point(|(known, _)| *known <= epoch);
        let Some(last) = behind.checked_sub(1) else { return self.entries.first().map(|(_, start)| (epoch, *start)) };
        let found = self.entries[last].0;
        // Of an epoch that is still to come nothing is known.
        if behind == self.entries.len() && found != epoch {
            return None;
        }
        Some((found, self.entries.get(behind).map_or(end, |(_, start)| *start)))
    }

    /// The log now ends at an offset; answers whether that changed anything.
    pub fn truncate_from(&mut self, end: i64) -> bool {
        let before = self.entries.len();
        self.entries.truncate(self.entries.partition_point(|(_, start)| *start < end));
        self.entries.len() != before
    }

    /// The log now starts at an offset; answers whether that changed anything.
    pub fn forget_before(&mut self, start: i64) -> bool {
        let passed = self.entries.partition_point(|(_, begun)| *begun <= start);
        let Some(last) = passed.checked_sub(1) else { return false };
        let changed = last > 0 || self.entries[0].1 != start;
        self.entries.drain(..last);
        self.entries[0].1 = start;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(of: &[(i32, i64)]) -> Epochs {
        let mut epochs = Epochs::default();
        of.iter().for_each(|(epoch, start)| assert!(epochs.assign(*epoch, *start)));
        epochs
    }

    #[test]
    fn an_epoch_ends_where_the_next_one_begins_and_the_last_one_with_the_log() {
        let known = epochs(&[(1, 10), (3, 20)]);
        assert_eq!(known.end_of(1, 50), Some((1, 20)));
        assert_eq!(known.end_of(2, 50), Some((1, 20)), "one that nobody wrote in");
        assert_eq!(known.end_of(3, 50), Some((3, 50)));
        assert_eq!(known.end_of(0, 50), Some((0, 10)), "before all that is known");
        assert_eq!((known.end_of(4, 50), Epochs::default().end_of(0, 50)), (None, None));
    }

    #[test]
    fn only_a_newer_epoch_is_news() {
        let mut known = epochs(&[(1, 10)]);
        assert!(!known.assign(1, 11) && !known.assign(0, 12) && !known.assign(-1, 13));
        assert_eq!(known, epochs(&[(1, 10)]));
    }

    #[test]
    fn what_a_log_loses_at_either_end_its_epochs_lose_too() {
        let mut known = epochs(&[(1, 10), (3, 20), (4, 30)]);
        assert!(known.truncate_from(30) && !known.truncate_from(30));
        assert_eq!(known, epochs(&[(1, 10), (3, 20)]));
        assert!(known.forget_before(15));
        assert_eq!(known, epochs(&[(1, 15), (3, 20)]));
        assert!(known.forget_before(20));
        assert_eq!(known, epochs(&[(3, 20)]));
    }
}
