//! Records of a topic whose partition cannot be told yet: the topic's metadata is unknown, or an explicit partition is
//! beyond those known. In call order, counted in `buffer.memory`, for at most `max.block.ms`.
//! Not a batch: nothing here is ever sent; the sender moves records on when metadata comes, or fails them.

use std::collections::VecDeque;
use std::time::Duration;

use dohle_protocol::compress::{Compression, Compressor, Decompressor};
use dohle_protocol::records::{BATCH_HEADER_LEN, BatchBuilder, PlainBatch, RecordRef, batches};
use tokio::time::Instant;

use super::batch::Runs;
use super::memory::Memory;

/// Bytes after which a new chunk is begun.
const CHUNK: usize = 64 * 1024;

/// Records that arrived within a short time, stored in wire format.
pub(crate) struct Chunk {
    builder: BatchBuilder,
    /// The partition each record asked for, −1 for none.
    partitions: Vec<i32>,
    pub runs: Runs,
    pub reserved: usize,
    pub created: Instant,
    group: u32,
    own: u32,
    /// Takes new records: not one of those put back.
    open: bool,
}

impl Chunk {
    fn new(group: u32, created: Instant, open: bool) -> Self {
        let (partitions, runs) = (Vec::new(), Runs::default());
        Self { builder: BatchBuilder::new(0), partitions, runs, reserved: 0, created, group, own: 0, open }
    }

    /// An empty one for those of this chunk's records that must stay.
    pub fn rest(&self) -> Self {
        Self::new(self.group, self.created, false)
    }

    /// Keeps a record that cannot be placed yet.
    pub fn keep(&mut self, partition: i32, record: &RecordRef<'_>, place: (u32, u32), memory: &Memory) {
        let needed = BatchBuilder::record_size_bound(record) + size_of::<i32>();
        memory.take_anyway(needed);
        self.reserved += needed;
        self.push(partition, record, place);
    }

    fn push(&mut self, partition: i32, record: &RecordRef<'_>, place: (u32, u32)) {
        self.builder.append(record);
        self.partitions.push(partition);
        self.runs.push(place.0, place.1);
    }

    /// Calls `each` with partition asked for, record, group and index, in call order.
    pub fn for_each(self, mut each: impl FnMut(i32, &RecordRef<'_>, (u32, u32))) {
        if self.builder.is_empty() {
            return;
        }
        let plain = plain(self.builder);
        let places = self
            .runs
            .within(0..u32::MAX)
            .flat_map(|(group, index, count, _)| (index..index + count).map(move |i| (group, i)));
        for ((record, place), partition) in plain.iter().zip(places).zip(&self.partitions) {
            let Ok(record) = record else { unreachable!("a batch of our own is readable") };
            each(*partition, &record.as_ref(), place);
        }
    }
}

fn plain(builder: BatchBuilder) -> PlainBatch {
    let read = || {
        let mut sealed = builder.seal(&mut Compressor::new(Compression::None, None).ok()?, false);
        sealed.stamp(-1, -1, -1);
        batches(sealed.bytes()).next()?.ok()?.plain(&mut Decompressor::new(), usize::MAX).ok()
    };
    match read() {
        Some(plain) => plain,
        None => unreachable!("a batch of our own is readable"),
    }
}

/// The waiting room of one topic.
#[derive(Default)]
pub(crate) struct WaitingRoom {
    chunks: VecDeque<Chunk>,
    /// The sender knows that there is something here.
    pub listed: bool,
    pub closed: bool,
    /// Chunks begun so far, and of these the ones that are gone: flush waits for the one to reach the other.
    begun: u64,
    gone: u64,
}

impl WaitingRoom {
    /// Takes a record in; none if there is no memory. `group` is asked for a new group when one is needed.
    pub fn append(
        &mut self,
        partition: i32,
        record: &RecordRef<'_>,
        max_block: Duration,
        memory: &Memory,
        group: impl FnOnce() -> u32,
    ) -> Option<(u32, u32)> {
        let bound = BatchBuilder::record_size_bound(record) + size_of::<i32>();
        let now = Instant::now();
        // A chunk expires as one. It spans little time against max.block.ms so that nothing expires much early.
        let fits = self.chunks.back().is_some_and(|last| {
            last.open && last.builder.len() + bound <= CHUNK && now.duration_since(last.created) <= max_block / 50
        });
        let needed = if fits { bound } else { BATCH_HEADER_LEN + bound };
        if memory.take(needed, needed) == 0 {
            return None;
        }
        if !fits {
            self.chunks.push_back(Chunk::new(group(), now, true));
            self.begun += 1;
        }
        let last = self.chunks.back_mut()?;
        last.reserved += needed;
        let place = (last.group, last.own);
        last.own += 1;
        last.push(partition, record, place);
        Some(place)
    }

    /// Records and bytes that wait here.
    pub fn size(&self) -> (u64, u64) {
        self.chunks
            .iter()
            .fold((0, 0), |(records, bytes), chunk| (records + u64::from(chunk.own), bytes + chunk.reserved as u64))
    }

    /// Takes everything out, in call order.
    pub fn take(&mut self) -> VecDeque<Chunk> {
        self.gone += self.chunks.len() as u64;
        std::mem::take(&mut self.chunks)
    }

    /// Puts the rest of a chunk back that was taken out, in call order.
    pub fn put_back(&mut self, rest: Chunk) {
        if !rest.builder.is_empty() {
            self.chunks.push_back(rest);
            self.gone -= 1;
        }
    }

    /// Takes out what has been here for `max_block`.
    pub fn expired(&mut self, now: Instant, max_block: Duration) -> Vec<Chunk> {
        let mut expired = Vec::new();
        while self.chunks.front().is_some_and(|chunk| now.duration_since(chunk.created) >= max_block) {
            expired.extend(self.chunks.pop_front());
            self.gone += 1;
        }
        expired
    }

    pub fn oldest(&self) -> Option<Instant> {
        self.chunks.front().map(|chunk| chunk.created)
    }

    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Everything that is here now is gone when [`Self::passed`] says so of this mark.
    pub fn mark(&self) -> u64 {
        self.begun
    }

    pub fn passed(&self, mark: u64) -> bool {
        self.gone >= mark
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dohle_protocol::records::Headers;

    fn record(value: &str) -> RecordRef<'_> {
        let headers: &[(&[u8], Option<&[u8]>)] = &[(b"h", None)];
        RecordRef { timestamp: 3, key: Some(b"k"), value: Some(value.as_bytes()), headers: Headers::List(headers) }
    }

    const BLOCK: Duration = Duration::from_secs(60);

    #[test]
    fn records_come_out_in_call_order_with_what_they_asked_for() {
        let (mut room, memory) = (WaitingRoom::default(), Memory::new(1 << 20));
        let places: Vec<_> = (0..1000)
            .map(|i| room.append(i % 3 - 1, &record(&format!("{i:0100}")), BLOCK, &memory, || 7 + i as u32).unwrap())
            .collect();
        let mark = room.mark();
        assert!(!room.passed(mark) && memory.used() > 100_000);
        let (mut at, mut reserved) = (0, 0);
        for chunk in room.take() {
            reserved += chunk.reserved;
            chunk.for_each(|partition, record, place| {
                assert_eq!((partition, place), (at % 3 - 1, places[at as usize]));
                assert_eq!(record.value.unwrap(), format!("{at:0100}").as_bytes());
                assert_eq!((record.timestamp, record.key, record.headers.count()), (3, Some(&b"k"[..]), 1));
                at += 1;
            });
        }
        assert_eq!(at, 1000);
        assert!(room.passed(mark) && room.is_empty());
        assert_eq!(memory.used(), reserved);
    }

    #[test]
    fn what_cannot_be_placed_stays_with_its_place_and_age_and_takes_no_new_records() {
        let (mut room, memory) = (WaitingRoom::default(), Memory::new(1 << 20));
        let first = room.append(5, &record("stays"), BLOCK, &memory, || 1).unwrap();
        let mark = room.mark();
        let (created, chunk) = (room.oldest(), room.take().pop_front().unwrap());
        let mut rest = chunk.rest();
        let released = chunk.reserved;
        chunk.for_each(|partition, record, place| rest.keep(partition, record, place, &memory));
        room.put_back(rest);
        let _ = memory.give(released);
        assert!(!room.passed(mark), "it is still here");
        assert_eq!(room.oldest(), created);
        let second = room.append(5, &record("new"), BLOCK, &memory, || 2).unwrap();
        assert_eq!((first, second), ((1, 0), (2, 0)));
        let places: Vec<_> = room.take().iter().flat_map(|chunk| chunk.runs.at(0)).collect();
        assert_eq!(places, [first, second]);
    }

    #[tokio::test(start_paused = true)]
    async fn records_expire_by_their_own_age() {
        let (mut room, memory) = (WaitingRoom::default(), Memory::new(1 << 20));
        for group in 0..3 {
            room.append(-1, &record("x"), BLOCK, &memory, || group).unwrap();
            tokio::time::advance(Duration::from_secs(10)).await;
        }
        assert!(room.expired(Instant::now(), BLOCK).is_empty());
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(room.expired(Instant::now(), BLOCK).len(), 1);
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(room.expired(Instant::now(), BLOCK).len(), 2);
    }

    #[test]
    fn a_full_buffer_memory_takes_no_record() {
        let (mut room, memory) = (WaitingRoom::default(), Memory::new(300));
        assert!(room.append(-1, &record(&"x".repeat(100)), BLOCK, &memory, || 1).is_some());
        assert!(room.append(-1, &record(&"x".repeat(100)), BLOCK, &memory, || 1).is_none());
    }
}
