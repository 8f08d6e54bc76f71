//! A run of batches in one buffer. While it is written to, reads copy; once sealed, they are slices of it.
//! (Copying costs 0.1 ms per MiB; the alternative, a frozen piece per read, would cut the log into tiny reads.)

use bytes::{Bytes, BytesMut};
use dohle_protocol::records;

use super::Batch;

/// Capacity of a log's first segment, which grows as it is written to: many partitions stay empty, or tiny.
pub(super) const FIRST_CAPACITY: usize = 0;

pub(super) struct Segment {
    pub base_offset: i64,
    /// Bytes of the log before this segment.
    pub start_position: u64,
    pub max_timestamp: i64,
    /// Of the first batch: what `segment.ms` counts from. Negative when it has none.
    first_timestamp: i64,
    /// When it was written to first and last, in milliseconds since 1970.
    begun_ms: i64,
    pub modified_ms: i64,
    data: Data,
    batches: Vec<Entry>,
}

enum Data {
    Open(BytesMut),
    Sealed(Bytes),
}

/// One batch of a segment. One that compaction has emptied has no timestamp that anyone could look for.
pub(super) struct Entry {
    pub last_offset: i64,
    pub max_timestamp: i64,
    start: usize,
    end: usize,
}

impl Segment {
    pub fn new(base_offset: i64, start_position: u64, capacity: usize) -> Self {
        let data = Data::Open(BytesMut::with_capacity(capacity));
        Self {
            base_offset,
            start_position,
            max_timestamp: i64::MIN,
            first_timestamp: -1,
            begun_ms: 0,
            modified_ms: 0,
            data,
            batches: Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.batches.last().map_or(0, |batch| batch.end)
    }

    /// The offset of its last batch's end.
    pub fn last_offset(&self) -> Option<i64> {
        self.batches.last().map(|batch| batch.last_offset)
    }

    /// Of its first batch, when that has one.
    pub fn first_timestamp(&self) -> Option<i64> {
        Some(self.first_timestamp).filter(|timestamp| *timestamp > 0)
    }

    /// The bytes of a sealed segment.
    pub fn sealed(&self) -> Bytes {
        self.slice(0, self.len())
    }

    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Appends a batch as received, but for the base offset and the leader epoch, which its CRC does not cover.
    pub fn append(&mut self, batch: &Batch, base_offset: i64, leader_epoch: i32, now_ms: i64) {
        if self.batches.is_empty() {
            self.begun_ms = now_ms;
        }
        self.modified_ms = now_ms;
        let start = self.len();
        self.push(&batch.bytes, base_offset + i64::from(batch.last_offset_delta), batch.max_timestamp);
        if let Data::Open(data) = &mut self.data {
            records::set_offsets(&mut data[start..], base_offset, leader_epoch);
        }
    }

    /// Appends a batch as it is.
    pub fn push(&mut self, batch: &[u8], last_offset: i64, max_timestamp: i64) {
        let Data::Open(data) = &mut self.data else { unreachable!("a sealed segment is never written to") };
        let start = data.len();
        data.extend_from_slice(batch);
        if self.batches.is_empty() {
            self.first_timestamp = max_timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(max_timestamp);
        self.batches.push(Entry { last_offset, max_timestamp, start, end: data.len() });
    }

    /// The time of its youngest record, by which it is kept; of its last append when no record has one.
    pub fn largest_timestamp(&self) -> i64 {
        if self.max_timestamp >= 0 { self.max_timestamp } else { self.modified_ms }
    }

    /// For how long it has been written to when a batch of this time comes: by the records' times if they have one.
    pub fn age_at(&self, timestamp: i64, now_ms: i64) -> i64 {
        match self.first_timestamp {
            ..0 => now_ms.saturating_sub(self.begun_ms),
            first => timestamp.saturating_sub(first),
        }
    }

    /// No more appends; from here on reads do not copy. A buffer much larger than its contents is given back.
    pub fn seal(&mut self) {
        if let Data::Open(data) = &mut self.data {
            let data = std::mem::take(data);
            let wasteful = data.capacity() - data.len() > data.len() / 4;
            self.data = Data::Sealed(if wasteful { Bytes::copy_from_slice(&data) } else { data.freeze() });
        }
    }

    /// Whole batches from the one that holds `offset` (or the next one) on, all `below` an offset; and where they end.
    pub fn read(&self, offset: i64, max_bytes: usize, at_least_one: bool, below: i64) -> (Bytes, i64) {
        let nothing = (Bytes::new(), offset);
        let first = self.index_of(offset);
        let Some(start) = self.batches.get(first).map(|batch| batch.start) else { return nothing };
        let fit = self.batches.partition_point(|batch| batch.end <= start.saturating_add(max_bytes));
        let wanted = if at_least_one { fit.max(first + 1) } else { fit };
        let readable = self.batches.partition_point(|batch| batch.last_offset < below);
        match wanted.min(readable).checked_sub(1).filter(|last| *last >= first) {
            None => nothing,
            Some(last) => (self.slice(start, self.batches[last].end), self.batches[last].last_offset + 1),
        }
    }

    /// Position in the log of the batch that holds `offset`.
    pub fn position_of(&self, offset: i64) -> u64 {
        let start = self.batches.get(self.index_of(offset)).map_or(self.len(), |batch| batch.start);
        self.start_position + start as u64
    }

    pub fn batch_where(&self, wanted: impl FnMut(&&Entry) -> bool) -> Option<Bytes> {
        self.batches.iter().find(wanted).map(|batch| self.slice(batch.start, batch.end))
    }

    fn index_of(&self, offset: i64) -> usize {
        self.batches.partition_point(|batch| batch.last_offset < offset)
    }

    fn slice(&self, start: usize, end: usize) -> Bytes {
        match &self.data {
            Data::Open(data) => Bytes::copy_from_slice(&data[start..end]),
            Data::Sealed(data) => data.slice(start..end),
        }
    }
}
