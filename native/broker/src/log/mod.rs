//! The log of one partition, in memory: what was appended, in segments, with Kafka's producer-state checks.
//! It knows offsets and bytes, not requests; validation of what clients send is in `validate`.
//! Driven by the Produce, Fetch, ListOffsets and DeleteRecords APIs under the partition's lock.

mod producers;
mod segment;
pub(crate) mod validate;
mod waiters;

use std::collections::VecDeque;

use bytes::Bytes;
use dohle_protocol::ErrorCode;

use producers::Producers;
use segment::Segment;
pub(crate) use validate::Batch;
pub(crate) use waiters::{Waiter, Waiters};

/// A partition's log. The leader epoch is constant: one node is always the leader.
pub(crate) struct Log {
    start_offset: i64,
    next_offset: i64,
    /// Never empty; the last one is written to.
    segments: VecDeque<Segment>,
    segment_bytes: usize,
    producers: Producers,
}

/// The leader epoch of every partition.
pub(crate) const LEADER_EPOCH: i32 = 0;

/// Where an append went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub base_offset: i64,
    /// Log append time, −1 when the topic keeps the producer's time.
    pub append_time: i64,
    /// The batch was here already: nothing was appended.
    pub duplicate: bool,
}

/// What a read at an offset found.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    /// Whole batches; empty at the end of the log.
    pub bytes: Bytes,
    pub start_offset: i64,
    pub high_watermark: i64,
}

impl Log {
    pub fn new(segment_bytes: usize) -> Self {
        let first = Segment::new(0, 0, segment::FIRST_CAPACITY);
        Self {
            start_offset: 0,
            next_offset: 0,
            segments: VecDeque::from([first]),
            segment_bytes,
            producers: Producers::default(),
        }
    }

    pub fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// One replica: what is written is committed, so the high watermark is the log's end.
    pub fn high_watermark(&self) -> i64 {
        self.next_offset
    }

    /// Bytes kept.
    pub fn size(&self) -> u64 {
        self.end_position() - self.segments[0].start_position
    }

    /// Appends a validated batch: checks the producer's state, gives offsets, applies retention.
    pub fn append(&mut self, batch: &Batch, now_ms: i64, retention: Option<u64>) -> Result<Appended, ErrorCode> {
        let known = batch.producer.as_ref().map(|producer| self.producers.check(producer, now_ms)).transpose()?;
        if let Some((base_offset, append_time)) = known.flatten() {
            return Ok(Appended { base_offset, append_time, duplicate: true });
        }
        let base_offset = self.next_offset;
        let last_offset = base_offset + i64::from(batch.last_offset_delta);
        self.segment_for(batch.bytes.len()).append(batch, base_offset, LEADER_EPOCH);
        self.next_offset = last_offset + 1;
        if let Some(producer) = &batch.producer {
            self.producers.appended(producer, base_offset, batch.append_time, now_ms);
        }
        self.apply_retention(retention);
        Ok(Appended { base_offset, append_time: batch.append_time, duplicate: false })
    }

    /// Whole batches from the one that holds `offset` on, at most `max_bytes`, or one batch if `at_least_one`.
    pub fn read(&self, offset: i64, max_bytes: usize, at_least_one: bool) -> Result<Slice, ErrorCode> {
        self.check_range(offset)?;
        let bytes = match self.segment_of(offset) {
            Some(segment) => segment.read(offset, max_bytes, at_least_one),
            None => Bytes::new(),
        };
        Ok(Slice { bytes, start_offset: self.start_offset, high_watermark: self.next_offset })
    }

    /// How many bytes a reader at `offset` has before it.
    pub fn available(&self, offset: i64) -> Result<u64, ErrorCode> {
        self.check_range(offset)?;
        let position = self.segment_of(offset).map_or(self.end_position(), |segment| segment.position_of(offset));
        Ok(self.end_position() - position)
    }

    /// The first batch with a record of at least `timestamp` and an offset of at least `from`.
    pub fn batch_at_time(&self, timestamp: i64, from: i64) -> Option<Bytes> {
        self.segments.iter().filter(|segment| segment.max_timestamp >= timestamp).find_map(|segment| {
            segment.batch_where(|batch| batch.max_timestamp >= timestamp && batch.last_offset >= from)
        })
    }

    /// The largest timestamp of the log, none when it is empty.
    pub fn max_timestamp(&self) -> Option<i64> {
        let max = self.segments.iter().map(|segment| segment.max_timestamp).max();
        max.filter(|_| self.next_offset > self.start_offset)
    }

    /// Moves the log's start (DeleteRecords); −1 means the high watermark. Answers the new start.
    pub fn delete_before(&mut self, offset: i64) -> Result<i64, ErrorCode> {
        let offset = if offset == -1 { self.next_offset } else { offset };
        if offset < 0 || offset > self.next_offset {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        self.start_offset = self.start_offset.max(offset);
        while self.segments.len() > 1 && self.segments[1].base_offset <= self.start_offset {
            self.segments.pop_front();
        }
        Ok(self.start_offset)
    }

    fn check_range(&self, offset: i64) -> Result<(), ErrorCode> {
        if offset < self.start_offset || offset > self.next_offset {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        Ok(())
    }

    /// The segment that holds `offset`, none at the log's end.
    fn segment_of(&self, offset: i64) -> Option<&Segment> {
        if offset >= self.next_offset {
            return None;
        }
        let after = self.segments.partition_point(|segment| segment.base_offset <= offset);
        self.segments.get(after.checked_sub(1)?)
    }

    /// The segment that the next `length` bytes go to.
    fn segment_for(&mut self, length: usize) -> &mut Segment {
        let last = self.segments.len() - 1;
        let active = &self.segments[last];
        if !active.is_empty() && active.len() + length > self.segment_bytes {
            self.segments[last].seal();
            let capacity = self.segment_bytes.max(length);
            self.segments.push_back(Segment::new(self.next_offset, self.end_position(), capacity));
        }
        self.segments.back_mut().expect("a log has at least one segment")
    }

    fn end_position(&self) -> u64 {
        self.segments.back().map_or(0, |segment| segment.start_position + segment.len() as u64)
    }

    fn apply_retention(&mut self, retention: Option<u64>) {
        let Some(retention) = retention else { return };
        // As Kafka: a segment goes only when what is left is still at least the limit.
        while self.segments.len() > 1 && self.size() - self.segments[0].len() as u64 >= retention {
            self.segments.pop_front();
            self.start_offset = self.start_offset.max(self.segments[0].base_offset);
        }
    }
}
