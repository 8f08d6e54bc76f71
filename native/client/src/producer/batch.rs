//! A batch from its first record to its fate, and whose records are in it.
//! Not the bytes: those are `records::BatchBuilder` and `SealedBatch`. Appends fill an [`OpenBatch`] under the lock of its
//! partition; from then on the sender owns it as a [`Batch`].

use std::ops::Range;

use dohle_protocol::records::{BATCH_HEADER_LEN, BatchBuilder, RecordRef, SealedBatch};
use smallvec::SmallVec;
use tokio::time::Instant;

use super::buffers::Buffers;
use super::memory::Memory;
use crate::error::Error;

/// Memory is taken in steps, doubling from this or from what the partition's batches had lately, so that `buffer.memory`
/// costs nothing per record, a busy partition copies nothing to grow, and a quiet one holds little.
pub(crate) const FIRST_STEP: usize = 2 * 1024;

/// Records of one group that lie side by side in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    group: u32,
    first_index: u32,
    /// Position in the batch of its first record.
    first: u32,
}

/// Whose records a batch holds: usually one run, more when a waiting room was emptied into it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
    runs: SmallVec<[Run; 1]>,
    count: u32,
}

impl Runs {
    /// The record at the next position is this one.
    pub fn push(&mut self, group: u32, index: u32) {
        let position = self.count;
        self.count += 1;
        let goes_on = self
            .runs
            .last()
            .is_some_and(|run| run.group == group && run.first_index.wrapping_add(position - run.first) == index);
        if !goes_on {
            self.runs.push(Run { group, first_index: index, first: position });
        }
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    /// Group, first index and count of the runs, cut to a range of positions, each with its first position.
    pub fn within(&self, range: Range<u32>) -> impl Iterator<Item = (u32, u32, u32, u32)> + '_ {
        let end = range.end.min(self.count);
        self.runs.iter().enumerate().filter_map(move |(i, run)| {
            let to = self.runs.get(i + 1).map_or(self.count, |next| next.first).min(end);
            let from = run.first.max(range.start);
            (from < to).then(|| (run.group, run.first_index.wrapping_add(from - run.first), to - from, from))
        })
    }

    /// Group and index of the record at a position.
    pub fn at(&self, position: u32) -> Option<(u32, u32)> {
        self.within(position..position + 1).next().map(|(group, index, _, _)| (group, index))
    }
}

/// A batch that takes records.
pub(crate) struct OpenBatch {
    pub builder: BatchBuilder,
    pub runs: Runs,
    /// The group of records that were appended straight to it, and how many those are.
    group: u32,
    own: u32,
    /// Bytes of `buffer.memory` it holds.
    pub reserved: usize,
    pub created: Instant,
}

/// Whether a record fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    Yes,
    BatchFull,
    NoMemory,
}

impl OpenBatch {
    /// A batch for a first record of up to `bound` bytes; none if there is no memory. `accepted`: the record was taken
    /// before, from a waiting room, and finds a place whatever the memory says.
    /// `usual`: bytes that such a batch is likely to have.
    pub fn new(
        group: u32,
        bound: usize,
        usual: usize,
        memory: &Memory,
        buffers: &Buffers,
        accepted: bool,
    ) -> Option<Self> {
        let least = BATCH_HEADER_LEN + bound;
        let mut reserved = memory.take(least, buffers.round(least.max(usual)));
        if reserved == 0 {
            if !accepted {
                return None;
            }
            memory.take_anyway(least);
            reserved = least;
        }
        Some(Self {
            builder: BatchBuilder::with_buffer(buffers.take(reserved)),
            runs: Runs::default(),
            group,
            own: 0,
            reserved,
            created: Instant::now(),
        })
    }

    /// Makes room for a record of up to `bound` bytes in a batch of at most `limit`.
    pub fn fit(&mut self, bound: usize, limit: usize, memory: &Memory, buffers: &Buffers, accepted: bool) -> Fit {
        let needed = self.builder.len() + bound;
        if needed > limit {
            return Fit::BatchFull;
        }
        if needed <= self.reserved {
            return Fit::Yes;
        }
        self.grow(needed, limit, memory, buffers, accepted)
    }

    #[cold]
    fn grow(&mut self, needed: usize, limit: usize, memory: &Memory, buffers: &Buffers, accepted: bool) -> Fit {
        let least = needed - self.reserved;
        let ideal = buffers.round(needed.max((self.reserved * 2).min(limit))) - self.reserved;
        let taken = memory.take(least, ideal);
        if taken == 0 {
            if !accepted {
                return Fit::NoMemory;
            }
            memory.take_anyway(least);
        }
        self.reserved += taken.max(if taken == 0 { least } else { 0 });
        if self.builder.capacity() < self.reserved {
            // Doubles where memory comes by the record, or every record would copy the batch.
            let room = self.reserved.max((self.builder.capacity() * 2).min(limit));
            self.builder.move_to(buffers.take(room));
        }
        Fit::Yes
    }

    /// Appends a record that belongs to this batch's own group; returns group and index.
    pub fn append(&mut self, record: &RecordRef<'_>) -> (u32, u32) {
        let place = (self.group, self.own);
        self.own += 1;
        self.append_for(record, place.0, place.1);
        place
    }

    /// Appends a record that was placed in another group before.
    pub fn append_for(&mut self, record: &RecordRef<'_>, group: u32, index: u32) {
        self.builder.append(record);
        self.runs.push(group, index);
    }
}

/// The bytes of a batch.
pub(crate) enum Body {
    /// Not yet compressed.
    Plain(BatchBuilder),
    /// Being compressed elsewhere.
    Away,
    /// As it goes out.
    Sealed(SealedBatch),
}

/// What the sender knows of a batch that it took over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// To be sent, or sent again.
    Idle,
    /// In a request that is being made or under way.
    OnWire,
    /// The broker refused its sequence; it is not in the log and goes again under a new epoch.
    Refused,
}

/// A batch that takes no more records.
pub(crate) struct Batch {
    /// Names it in requests under way. Never reused.
    pub id: u64,
    /// Its place in the order of flushing; parts of a split batch share it.
    pub serial: u64,
    pub body: Body,
    pub runs: Runs,
    pub reserved: usize,
    pub created: Instant,
    pub state: State,
    /// Times it was written.
    pub attempts: u32,
    pub sequence: Option<i32>,
    /// Its header is complete, for a producer without sequences.
    pub stamped: bool,
    /// A request with it was lost, or an answer leaves open whether it was kept.
    pub maybe_persisted: bool,
    /// Its records were told their fate while it was on the wire. It stays until the wire has let go of it.
    pub settled: bool,
    /// Why it was not acknowledged so far.
    pub last_error: Option<Error>,
}

impl Batch {
    pub fn new(id: u64, open: OpenBatch) -> Self {
        Self {
            id,
            serial: id,
            body: Body::Plain(open.builder),
            runs: open.runs,
            reserved: open.reserved,
            created: open.created,
            state: State::Idle,
            attempts: 0,
            sequence: None,
            stamped: false,
            maybe_persisted: false,
            settled: false,
            last_error: None,
        }
    }

    /// A batch made of records of this one.
    pub fn part(&self, id: u64, body: Body, runs: Runs) -> Self {
        Self {
            id,
            serial: self.serial,
            body,
            runs,
            reserved: 0,
            created: self.created,
            state: State::Idle,
            attempts: self.attempts,
            sequence: None,
            stamped: false,
            maybe_persisted: self.maybe_persisted,
            settled: false,
            last_error: self.last_error.clone(),
        }
    }

    pub fn count(&self) -> u32 {
        self.runs.count()
    }

    /// Bytes it adds to a request, before compression if it is not compressed yet.
    pub fn len(&self) -> usize {
        match &self.body {
            Body::Plain(builder) => builder.len(),
            Body::Sealed(sealed) => sealed.len(),
            Body::Away => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dohle_protocol::records::Headers;

    fn record(value: &[u8]) -> RecordRef<'_> {
        RecordRef { timestamp: 1, key: None, value: Some(value), headers: Headers::None }
    }

    #[test]
    fn runs_tell_which_records_of_which_group_lie_where() {
        let mut runs = Runs::default();
        for (group, index) in [(5, 0), (5, 1), (5, 3), (5, 4), (9, 0), (9, 1), (9, 2)] {
            runs.push(group, index);
        }
        let all: Vec<_> = runs.within(0..7).collect();
        assert_eq!(all, [(5, 0, 2, 0), (5, 3, 2, 2), (9, 0, 3, 4)]);
        assert_eq!(runs.within(1..5).collect::<Vec<_>>(), [(5, 1, 1, 1), (5, 3, 2, 2), (9, 0, 1, 4)]);
        assert_eq!(runs.at(3), Some((5, 4)));
        assert_eq!(runs.at(7), None);
        assert_eq!(runs.count(), 7);
    }

    #[test]
    fn memory_is_taken_in_steps_and_never_beyond_the_limit() {
        let (memory, buffers) = (Memory::new(1 << 20), Buffers::new(100_000, 1 << 20));
        let value = [0; 1000];
        let bound = BatchBuilder::record_size_bound(&record(&value));
        let mut batch = OpenBatch::new(1, bound, FIRST_STEP, &memory, &buffers, false).unwrap();
        let mut steps = vec![batch.reserved];
        while batch.fit(bound, 100_000, &memory, &buffers, false) == Fit::Yes {
            batch.append(&record(&value));
            if *steps.last().unwrap() != batch.reserved {
                steps.push(batch.reserved);
            }
        }
        assert_eq!(steps, [2048, 4096, 8192, 16384, 32768, 100_000]);
        assert_eq!(batch.builder.capacity(), 100_000);
        assert_eq!(memory.used(), 100_000);
        assert!(batch.builder.len() <= batch.reserved);
    }

    #[test]
    fn without_memory_only_records_accepted_before_are_taken() {
        let (memory, buffers) = (Memory::new(2000), Buffers::new(10_000, 2000));
        let mut batch = OpenBatch::new(1, 1500, 10_000, &memory, &buffers, false).unwrap();
        batch.append(&record(&[0; 1490]));
        assert_eq!(batch.fit(1500, 10_000, &memory, &buffers, false), Fit::NoMemory);
        assert_eq!(batch.fit(1500, 10_000, &memory, &buffers, true), Fit::Yes);
        assert!(OpenBatch::new(2, 100, 10_000, &memory, &buffers, false).is_none());
        assert!(OpenBatch::new(2, 100, 10_000, &memory, &buffers, true).is_some());
    }
}
