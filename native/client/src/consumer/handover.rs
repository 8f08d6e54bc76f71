//! What crosses from the engine to a loop: chunks of records and the words both sides share.
//! Not how chunks are made (chunk.rs) nor what is committed (commit.rs).
//! Driven by `Consumer::next_chunk` on the language's thread; the engine only reads the words.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;

/// Words of `i32` that [`Chunk::index`] holds per record.
pub const INDEX_WORDS: usize = 10;

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: i32,
}

impl TopicPartition {
    /// A partition by name and number.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        TopicPartition { topic: topic.into(), partition }
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A place in a partition: the offset of the next record, and the leader epoch of the record before it
/// (−1: unknown). The epoch is what KIP-320 compares to find a truncated log; it is committed with the offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Offset of the next record.
    pub offset: i64,
    /// Leader epoch of the record before `offset`, or −1.
    pub leader_epoch: i32,
}

impl Position {
    /// A place whose leader epoch is not known.
    pub fn at(offset: i64) -> Self {
        Position { offset, leader_epoch: -1 }
    }
}

/// The words that a loop and the engine share for one chunk. The language writes `finished` and `stepped` with plain
/// stores, without a crossing; the engine writes `revoked`. All three start at 0.
///
/// The order that a loop keeps at each step, for the record at index `k`:
/// 1. `finished = k` (all before `k` are done; only a loop that finishes by asking does this),
/// 2. `revoked != 0`? then yield nothing more of this chunk and go on with `next_chunk`,
/// 3. `stepped = k + 1`, yield the record.
///
/// At the end of the chunk `finished = count` is written before `next_chunk` is called.
#[repr(C)]
#[derive(Debug, Default)]
pub struct ChunkControl {
    /// How many records of this chunk, from its start, the loop has finished. Never goes back.
    pub finished: AtomicU32,
    /// How many records of this chunk the loop has been given. Any change counts as a poll for `max.poll.interval.ms`;
    /// `position`, and `pause` (which gives back what was not yet yielded), read it.
    pub stepped: AtomicU32,
    /// 1 after a seek, a pause, a revocation or the end of the assignment: nothing more of this chunk is yielded.
    pub revoked: AtomicU32,
}

/// Records of one partition, decompressed and indexed.
///
/// `index` has [`INDEX_WORDS`] words per record: offset delta (to `base_offset`), timestamp low, timestamp high, key
/// start, key length (−1: null), value start, value length (−1: null), headers start, headers length (bytes, wire
/// format), header count. Starts are positions in `bytes`. The timestamp is milliseconds since the epoch, one `i64`
/// in two halves.
#[derive(Debug)]
pub struct Chunk {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: i32,
    /// What the offset deltas in `index` are relative to.
    pub base_offset: i64,
    /// Leader epoch of the records (of the last one, if there are several), or −1.
    pub leader_epoch: i32,
    /// The bytes that `index` points into: a slice of the response, or what was decompressed.
    pub bytes: Bytes,
    /// See the type's documentation. Shared, so that the engine can read offsets of sparse chunks; never written.
    pub index: Arc<Vec<i32>>,
    /// Number of records: `index.len() / INDEX_WORDS`, at least 1.
    pub count: u32,
    /// The partition's high watermark when the records were fetched.
    pub high_watermark: i64,
    /// Where reading goes on after this chunk. Can be beyond the last record: control batches, aborted transactions
    /// and compacted offsets that follow it are passed over.
    pub next: Position,
    /// The words shared with the loop.
    pub control: Arc<ChunkControl>,
    /// The partition's epoch when the fetch was sent. A chunk of an older epoch is never handed over.
    pub(crate) epoch: u32,
    /// What this chunk counts for in `fetch.buffer.bytes` until it is handed over.
    pub(crate) charge: usize,
}

impl Chunk {
    /// The partition that the records are of.
    pub fn topic_partition(&self) -> TopicPartition {
        TopicPartition { topic: self.topic.clone(), partition: self.partition }
    }

    /// Grows with every change of the partition's assignment and place: which ownership the records were read under.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Offset of the record at position `k`.
    pub fn offset(&self, k: u32) -> i64 {
        self.base_offset + i64::from(self.index[k as usize * INDEX_WORDS])
    }
}

/// The engine's half of a chunk that the language has: enough to turn the progress words into offsets.
#[derive(Debug)]
pub(crate) struct InHand {
    pub control: Arc<ChunkControl>,
    /// Where reading stood before this chunk.
    start: Position,
    base_offset: i64,
    leader_epoch: i32,
    next: Position,
    count: u32,
    /// `None` when offsets are dense from `base_offset`, so that a chunk in hand does not hold its index.
    deltas: Option<Arc<Vec<i32>>>,
    /// `stepped` as the poll clock saw it last.
    seen: u32,
}

impl InHand {
    pub fn new(chunk: &Chunk, start: Position) -> Self {
        let last = chunk.count.saturating_sub(1);
        // Deltas grow strictly, so a last delta equal to its position means that none is missing.
        let dense = chunk.index.get(last as usize * INDEX_WORDS).copied() == Some(last as i32);
        InHand {
            control: chunk.control.clone(),
            start,
            base_offset: chunk.base_offset,
            leader_epoch: chunk.leader_epoch,
            next: chunk.next,
            count: chunk.count,
            deltas: (!dense).then(|| chunk.index.clone()),
            seen: 0,
        }
    }

    /// The place after the first `k` records.
    pub fn after(&self, k: u32) -> Position {
        match k {
            0 => self.start,
            k if k >= self.count => self.next,
            k => {
                let delta = match &self.deltas {
                    Some(index) => i64::from(index[(k as usize - 1) * INDEX_WORDS]),
                    None => i64::from(k) - 1,
                };
                Position { offset: self.base_offset + delta + 1, leader_epoch: self.leader_epoch }
            }
        }
    }

    pub fn finished(&self) -> u32 {
        self.control.finished.load(Ordering::Acquire).min(self.count)
    }

    pub fn stepped(&self) -> u32 {
        self.control.stepped.load(Ordering::Acquire).min(self.count).max(self.finished())
    }

    pub fn is_finished(&self) -> bool {
        self.finished() == self.count
    }

    pub fn revoke(&self) {
        self.control.revoked.store(1, Ordering::SeqCst);
    }

    /// Forgets the records that were not given to the loop; what was given can still be finished.
    pub fn truncate(&mut self) {
        let stepped = self.stepped();
        self.next = self.after(stepped);
        self.count = stepped;
    }

    /// Whether the loop has stepped since the last call.
    pub fn take_step(&mut self) -> bool {
        let now = self.control.stepped.load(Ordering::Relaxed);
        std::mem::replace(&mut self.seen, now) != now
    }
}
