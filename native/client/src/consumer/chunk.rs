//! From the records of one partition in a fetch response to chunks: checks, decompresses, leaves out, indexes.
//! No I/O, no lock and no state between responses; it may run on any thread.
//! Driven by the fetcher for each partition of a response.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use dohle_protocol::compress::{Decompressor, Output};
use dohle_protocol::records::{BatchHeader, ControlType, Indexer, RawBatch, RecordError, Run, batches};

use crate::collections::Set;

use super::handover::{Chunk, Position};
use super::spare::Spare;

/// A chunk holds at most this much of records, unless one record is larger.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;

/// The records of one partition, and what was asked for.
pub(crate) struct Fetched {
    pub topic: Arc<str>,
    pub partition: i32,
    /// The partition's epoch when the fetch was sent.
    pub epoch: u32,
    /// Where the fetch was to begin. The first batch may begin before.
    pub from: Position,
    pub records: Bytes,
    /// `(producer id, first offset)`, in any order: brokers differ.
    pub aborted: Vec<(i64, i64)>,
    pub high_watermark: i64,
}

/// What does not differ between partitions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub read_committed: bool,
    pub check_crcs: bool,
    pub max_decompressed: usize,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Cut {
    pub chunks: Vec<Chunk>,
    /// Where to go on: behind the last batch that was read, or at the one that could not be.
    pub next: Position,
    /// Why reading ended early. What came before it is good.
    pub error: Option<CutError>,
    /// What the chunks charge together.
    pub charge: usize,
}

/// Why records could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CutError {
    /// A batch is malformed.
    Record(RecordError),
    /// There are bytes, but no batch that reaches the asked offset: asking again would answer the same for ever.
    NoBatch { bytes: usize },
}

impl fmt::Display for CutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(error) => error.fmt(f),
            Self::NoBatch { bytes } => write!(f, "{bytes} bytes without a whole batch at or behind this offset"),
        }
    }
}

impl From<RecordError> for CutError {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

/// Cuts the records of one partition into chunks. Stops at a batch boundary when the chunks charge `budget` (the rest comes
/// with the next fetch): a response that unpacks to many times its size does not have to be held as a whole.
pub(crate) fn cut(
    fetched: Fetched,
    rules: Rules,
    budget: usize,
    decompressor: &mut Decompressor,
    spare: &Arc<Spare>,
) -> Cut {
    let mut cutter = Cutter::new(fetched, rules, spare);
    let error = cutter.run(budget, decompressor).err();
    cutter.flush();
    spare.give(std::mem::take(&mut cutter.packed).into_memory().0);
    // What follows the last chunk without records (markers, aborted data, compacted offsets) is passed with it.
    if let Some(last) = cutter.chunks.last_mut() {
        last.next = cutter.next;
    }
    Cut { chunks: cutter.chunks, next: cutter.next, error, charge: cutter.charge }
}

struct Cutter<'a> {
    spare: &'a Arc<Spare>,
    fetched: Fetched,
    rules: Rules,
    aborted: Aborted,
    next: Position,
    chunks: Vec<Chunk>,
    charge: usize,
    open: Option<Open>,
    /// Small decompressed batches of the open chunk, one behind the other; empty while it is a slice.
    packed: Output,
}

/// The chunk that is being filled.
struct Open {
    /// Where its bytes are, when they exist already: in the response, or in one large decompressed batch.
    slice: Option<(Bytes, Range<usize>)>,
    base_offset: i64,
    index: Vec<i32>,
    count: u32,
    next: Position,
}

impl<'a> Cutter<'a> {
    fn new(mut fetched: Fetched, rules: Rules, spare: &'a Arc<Spare>) -> Self {
        let aborted = Aborted::new(std::mem::take(&mut fetched.aborted));
        let next = fetched.from;
        let packed = Output::new();
        Cutter { spare, fetched, rules, aborted, next, chunks: Vec::new(), charge: 0, open: None, packed }
    }

    fn run(&mut self, budget: usize, decompressor: &mut Decompressor) -> Result<(), CutError> {
        let start = self.next.offset;
        for batch in batches(self.fetched.records.clone()) {
            let batch = batch?;
            if batch.last_offset() < self.next.offset {
                continue;
            }
            if self.rules.check_crcs {
                batch.verify_crc()?;
            }
            if !self.is_left_out(&batch, decompressor)? {
                self.add(&batch, decompressor)?;
            }
            self.pass(&batch);
            if self.charge + self.packed.len() >= budget {
                return Ok(());
            }
        }
        if self.next.offset == start && !self.fetched.records.is_empty() {
            return Err(CutError::NoBatch { bytes: self.fetched.records.len() });
        }
        Ok(())
    }

    /// Whether a batch is a marker or belongs to an aborted transaction. Takes note of markers.
    fn is_left_out(&mut self, batch: &RawBatch, decompressor: &mut Decompressor) -> Result<bool, RecordError> {
        let header = batch.header();
        let control = header.attributes.is_control();
        if !self.rules.read_committed {
            return Ok(control);
        }
        self.aborted.open_until(header.last_offset());
        if !control {
            return Ok(header.attributes.is_transactional() && self.aborted.contains(header.producer_id));
        }
        let marker = batch.plain(decompressor, self.rules.max_decompressed)?;
        if marker.control_type() == Some(ControlType::Abort) {
            self.aborted.close(header.producer_id);
        }
        Ok(true)
    }

    /// Moves behind a batch that was read as a whole, whatever records it had.
    fn pass(&mut self, batch: &RawBatch) {
        let header = batch.header();
        self.next = Position { offset: header.last_offset() + 1, leader_epoch: header.partition_leader_epoch };
        if let Some(open) = &mut self.open {
            open.next = self.next;
        }
    }

    fn add(&mut self, batch: &RawBatch, decompressor: &mut Decompressor) -> Result<(), RecordError> {
        let header = batch.header();
        // Deltas are 32-bit; compaction can put two batches further apart.
        if self.open.as_ref().is_some_and(|open| header.last_offset() - open.base_offset > i64::from(i32::MAX)) {
            self.flush();
        }
        if let Some(range) = batch.plain_range() {
            let records = self.fetched.records.clone();
            return self.add_slice(&header, &records, range);
        }
        self.add_packed(batch, decompressor)
    }

    /// A batch whose records need no work: the chunk is a slice of what is there, over as many batches as fit.
    fn add_slice(&mut self, header: &BatchHeader, of: &Bytes, range: Range<usize>) -> Result<(), RecordError> {
        let from_offset = self.next.offset;
        let mut indexer = Indexer::new(header, &of[range.clone()]);
        indexer.skip_below(from_offset)?;
        let same = |slice: &(Bytes, Range<usize>)| slice.0.as_ptr() == of.as_ptr();
        if self.open.as_ref().is_some_and(|open| !open.slice.as_ref().is_some_and(same)) {
            self.flush();
        }
        while !indexer.is_done() {
            let at = range.start + indexer.position();
            let open = self.open.get_or_insert_with(|| Open::new(header, self.next, Some((of.clone(), at..at))));
            let Some((_, span)) = &mut open.slice else { break };
            let run = Run {
                from_offset,
                base_offset: open.base_offset,
                shift: range.start as i64 - span.start as i64,
                max_bytes: CHUNK_BYTES.saturating_sub(at - span.start),
                at_least_one: open.count == 0,
            };
            let done = indexer.run(&run, &mut open.index)?;
            if done.count > 0 {
                span.end = range.start + done.end;
                open.count += done.count;
                open.next = Position { offset: done.last_offset + 1, leader_epoch: header.partition_leader_epoch };
                self.next = open.next;
            }
            if !indexer.is_done() {
                self.flush();
            }
        }
        Ok(())
    }

    /// A batch that must be decompressed (or rewritten, when it is of magic 0 or 1): behind the open chunk's others if
    /// they fit together, else cut where it is.
    fn add_packed(&mut self, batch: &RawBatch, decompressor: &mut Decompressor) -> Result<(), RecordError> {
        if self.open.as_ref().is_some_and(|open| open.slice.is_some()) {
            self.flush();
        }
        if self.packed.room() == 0 {
            self.packed = self.spare.take();
        }
        let start = self.packed.len();
        let header = batch.plain_into(decompressor, self.rules.max_decompressed, &mut self.packed)?;
        if self.packed.len() > CHUNK_BYTES {
            let all = self.spare.seal(&mut self.packed);
            if let Some(open) = &mut self.open {
                open.slice = Some((all.clone(), 0..start));
            }
            self.flush();
            return self.add_slice(&header, &all, start..all.len());
        }
        let open = self.open.get_or_insert_with(|| Open::new(&header, self.next, None));
        let run = Run {
            from_offset: self.next.offset,
            base_offset: open.base_offset,
            shift: start as i64,
            max_bytes: CHUNK_BYTES,
            at_least_one: true,
        };
        match Indexer::new(&header, &self.packed[start..]).run(&run, &mut open.index) {
            Ok(done) => open.count += done.count,
            Err(error) => {
                self.packed.truncate(start);
                return Err(error);
            }
        }
        Ok(())
    }

    fn flush(&mut self) {
        let Some(open) = self.open.take().filter(|open| open.count > 0) else { return self.packed.clear() };
        let bytes = match open.slice {
            Some((of, range)) => of.slice(range),
            None => self.spare.seal(&mut self.packed),
        };
        let charge = bytes.len() + size_of_val(&open.index[..]);
        self.charge += charge;
        self.chunks.push(Chunk {
            topic: self.fetched.topic.clone(),
            partition: self.fetched.partition,
            base_offset: open.base_offset,
            leader_epoch: open.next.leader_epoch,
            bytes,
            index: Arc::new(open.index),
            count: open.count,
            high_watermark: self.fetched.high_watermark,
            next: open.next,
            control: Arc::default(),
            epoch: self.fetched.epoch,
            charge,
        });
    }
}

impl Open {
    /// The base is the first offset that can come, so that offsets without gaps have deltas 0, 1, 2, ….
    fn new(header: &BatchHeader, next: Position, slice: Option<(Bytes, Range<usize>)>) -> Self {
        let base_offset = header.base_offset.max(next.offset);
        Open { slice, base_offset, index: Vec::new(), count: 0, next }
    }
}

/// The aborted transactions of one response: which producers' records are to be left out at the current offset.
struct Aborted {
    /// Not yet begun, the first one last.
    ahead: Vec<(i64, i64)>,
    producers: Set<i64>,
}

impl Aborted {
    fn new(mut list: Vec<(i64, i64)>) -> Self {
        list.sort_unstable_by_key(|&(_, first_offset)| std::cmp::Reverse(first_offset));
        Aborted { ahead: list, producers: Set::default() }
    }

    /// Takes up all transactions that begin at or before `offset`.
    fn open_until(&mut self, offset: i64) {
        while let Some(&(producer_id, first_offset)) = self.ahead.last()
            && first_offset <= offset
        {
            self.producers.insert(producer_id);
            self.ahead.pop();
        }
    }

    /// An abort marker; it may have no entry, when all its records are behind the log's start or were compacted away.
    fn close(&mut self, producer_id: i64) {
        self.producers.remove(&producer_id);
    }

    fn contains(&self, producer_id: i64) -> bool {
        self.producers.contains(&producer_id)
    }
}

#[cfg(test)]
mod tests;
