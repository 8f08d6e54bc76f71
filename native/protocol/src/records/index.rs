//! The index of a chunk: ten 32-bit numbers per record.
//!
//! This is what a language reads instead of parsing records. The fetcher drives it, run by run, so that a large batch
//! becomes several chunks; one pass over the bytes, nothing else touched.

use super::RecordError;
use super::header::BatchHeader;
use super::record::{check_end, parse_record, record_timestamp};

/// Numbers per record: offset delta, timestamp (low, high half), key start and length, value start and length, headers
/// start, length in bytes and count. A length of −1 is null. Starts count from the chunk's first byte.
pub const INDEX_WIDTH: usize = 10;

/// Indexes the plain records of one batch, in runs.
#[derive(Debug, Clone)]
pub struct Indexer<'a> {
    header: BatchHeader,
    records: &'a [u8],
    position: usize,
    next: u32,
}

/// What to index next, and for which chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Records below are left out.
    pub from_offset: i64,
    /// What offset deltas are written relative to. They must fit 32 bits.
    pub base_offset: i64,
    /// Turns a position in the batch's plain records into one in the chunk's bytes; negative when the chunk starts
    /// inside them.
    pub shift: i64,
    /// The most bytes of records.
    pub max_bytes: usize,
    /// Take one record even if it alone is larger: for a chunk that is still empty.
    pub at_least_one: bool,
}

/// What a run has indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexedRun {
    /// How many records.
    pub count: u32,
    /// The largest offset among them, or of those that were skipped; −1 when there was none of either.
    pub last_offset: i64,
    /// Where the first indexed record starts in the batch's plain records.
    pub start: usize,
    /// Where the last indexed record ends.
    pub end: usize,
}

impl<'a> Indexer<'a> {
    /// Starts at the first record of `records`, the plain records of the batch with `header`.
    #[must_use]
    pub const fn new(header: &BatchHeader, records: &'a [u8]) -> Self {
        Self { header: *header, records, position: 0, next: 0 }
    }

    /// Whether all records have been seen.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.next as i32 >= self.header.record_count
    }

    /// Where the next record starts in the plain records.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// Passes over the records below `offset` without indexing them.
    ///
    /// # Errors
    /// When a record is malformed.
    pub fn skip_below(&mut self, offset: i64) -> Result<(), RecordError> {
        while !self.is_done() {
            let mut position = self.position;
            let parsed = self.locate(parse_record(self.records, &mut position, self.header.last_offset_delta))?;
            if self.header.base_offset + i64::from(parsed.offset_delta) >= offset {
                return Ok(());
            }
            self.position = position;
            self.next += 1;
        }
        check_end(self.records, self.position, &self.header)
    }

    /// Appends records to `index` until the run is full or the batch ends.
    ///
    /// # Errors
    /// When a record is malformed; `index` is then as it was.
    pub fn run(&mut self, run: &Run, index: &mut Vec<i32>) -> Result<IndexedRun, RecordError> {
        let before = index.len();
        let done = self.fill(run, index);
        if done.is_err() {
            index.truncate(before);
        }
        done
    }

    fn fill(&mut self, run: &Run, index: &mut Vec<i32>) -> Result<IndexedRun, RecordError> {
        let (records, header, shift) = (self.records, self.header, run.shift);
        let rebase = header.base_offset - run.base_offset;
        let mut done = IndexedRun { count: 0, last_offset: -1, start: self.position, end: self.position };
        index.reserve(self.expected(run.max_bytes) * INDEX_WIDTH);
        let mut position = self.position;
        while !self.is_done() {
            let start = position;
            let parsed = match parse_record(records, &mut position, header.last_offset_delta) {
                Ok(parsed) => parsed,
                error => self.locate(error)?,
            };
            let offset = header.base_offset + i64::from(parsed.offset_delta);
            if offset < run.from_offset {
                (done.start, done.end) = (position, position);
            } else if position - done.start > run.max_bytes && (done.count > 0 || !run.at_least_one) {
                position = start;
                break;
            } else {
                let timestamp = record_timestamp(&header, parsed.timestamp_delta);
                index.extend_from_slice(&[
                    (rebase + i64::from(parsed.offset_delta)) as i32,
                    timestamp as i32,
                    (timestamp >> 32) as i32,
                    (parsed.key.0 as i64 + shift) as i32,
                    parsed.key.1,
                    (parsed.value.0 as i64 + shift) as i32,
                    parsed.value.1,
                    (parsed.headers_start as i64 + shift) as i32,
                    parsed.headers_len as i32,
                    parsed.header_count as i32,
                ]);
                done.count += 1;
                done.end = position;
            }
            done.last_offset = done.last_offset.max(offset);
            self.next += 1;
        }
        self.position = position;
        if self.is_done() {
            check_end(records, position, &header)?;
        }
        Ok(done)
    }

    /// How many records the next `max_bytes` hold, if the rest of the batch is even. The count was checked against the bytes.
    fn expected(&self, max_bytes: usize) -> usize {
        let left = (self.header.record_count as usize).saturating_sub(self.next as usize);
        let bytes = (self.records.len() - self.position).max(1);
        if bytes <= max_bytes { left } else { (left as u64 * max_bytes as u64 / bytes as u64) as usize + 16 }
    }

    fn locate<T>(&self, result: Result<T, RecordError>) -> Result<T, RecordError> {
        result.map_err(|error| error.in_batch(self.header.base_offset).in_record(self.next))
    }
}
