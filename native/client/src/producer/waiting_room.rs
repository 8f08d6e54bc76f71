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
