//! The log of one partition, in memory: what was appended, in segments, with Kafka's producer-state checks.
//! It knows offsets and bytes, not requests; validation of what clients send is in `validate`.
//! Driven by the Produce, Fetch, ListOffsets and DeleteRecords APIs under the partition's lock.

mod producers;
mod segment;
mod transactions;
pub(crate) mod validate;
mod waiters;

use std::collections::VecDeque;

use bytes::Bytes;
use dohle_protocol::{
    ErrorCode,
    records::{ControlType, control_batch},
};

use producers::Producers;
pub(crate) use producers::{ActiveProducer, ProducerStamp};
use segment::Segment;
pub(crate) use transactions::Aborted;
use transactions::Transactions;
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
    transactions: Transactions,
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
    /// The first offset of an open transaction, or the high watermark.
    pub last_stable_offset: i64,
    /// What a reader of committed records must leave out; none for one of all records.
    pub aborted: Option<Vec<Aborted>>,
}

/// Which records a reader gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// All up to the high watermark.
    ReadUncommitted,
    /// Those before the last stable offset.
    ReadCommitted,
}

impl Isolation {
    /// From its number in a request.
    pub fn of(level: i8) -> Self {
        if level == 1 { Self::ReadCommitted } else { Self::ReadUncommitted }
    }
}

/// A marker that ends a producer's transaction in this partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marker {
    pub producer_id: i64,
    /// Transactions v2 write the epoch that comes after the transaction's own.
    pub epoch: i16,
    pub commit: bool,
    pub coordinator_epoch: i32,
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
            transactions: Transactions::default(),
        }
    }

    pub fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// One replica: what is written is committed, so the high watermark is the log's end.
    pub fn high_watermark(&self) -> i64 {
        self.next_offset
    }

    /// What readers of committed records may see ends here.
    pub fn last_stable_offset(&self) -> i64 {
        self.transactions.first_open().unwrap_or(self.next_offset).max(self.start_offset)
    }

    /// The end of the log for a reader.
    pub fn end_for(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadUncommitted => self.next_offset,
            Isolation::ReadCommitted => self.last_stable_offset(),
        }
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
        let opened = batch.producer.as_ref().is_some_and(|stamp| self.transactions.open_since(stamp.id).is_some());
        if opened && !batch.transactional {
            return Err(ErrorCode::INVALID_TXN_STATE);
        }
        let base_offset = self.push(batch);
        if let Some(producer) = &batch.producer {
            self.producers.appended(producer, base_offset, batch.append_time, now_ms);
            if batch.transactional {
                self.transactions.appended(producer.id, base_offset);
            }
        }
        self.apply_retention(retention);
        Ok(Appended { base_offset, append_time: batch.append_time, duplicate: false })
    }

    /// Whether this batch is here already.
    pub fn knows(&self, producer: &ProducerStamp, now_ms: i64) -> bool {
        matches!(self.producers.check(producer, now_ms), Ok(Some(_)))
    }

    /// Ends a producer's transaction in this partition.
    pub fn append_marker(&mut self, marker: &Marker, now_ms: i64) -> Result<(), ErrorCode> {
        self.producers.ended(marker, now_ms)?;
        let Marker { producer_id, epoch, commit, coordinator_epoch } = *marker;
        let control = if commit { ControlType::Commit } else { ControlType::Abort };
        let offset = self.push(&Batch {
            bytes: control_batch(control, producer_id, epoch, coordinator_epoch, now_ms),
            last_offset_delta: 0,
            max_timestamp: now_ms,
            append_time: -1,
            producer: None,
            transactional: true,
        });
        self.transactions.ended(producer_id, offset, !commit);
        Ok(())
    }

    /// The producers that have written here, with where their open transactions begin.
    pub fn producers(&self, now_ms: i64) -> Vec<(ActiveProducer, Option<i64>)> {
        let producers = self.producers.active(now_ms);
        producers.map(|active| (active, self.transactions.open_since(active.id))).collect()
    }

    /// Writes a batch at the log's end; answers its offset.
    fn push(&mut self, batch: &Batch) -> i64 {
        let base_offset = self.next_offset;
        self.segment_for(batch.bytes.len()).append(batch, base_offset, LEADER_EPOCH);
        self.next_offset = base_offset + i64::from(batch.last_offset_delta) + 1;
        base_offset
    }

    /// Whole batches from the one that holds `offset` on, at most `max_bytes`, or one batch if `at_least_one`.
    pub fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        at_least_one: bool,
        isolation: Isolation,
    ) -> Result<Slice, ErrorCode> {
        self.check_range(offset)?;
        let below = self.end_for(isolation);
        let (bytes, end) = match self.segment_of(offset) {
            Some(segment) => segment.read(offset, max_bytes, at_least_one, below),
            None => (Bytes::new(), offset),
        };
        Ok(Slice {
            bytes,
            start_offset: self.start_offset,
            high_watermark: self.next_offset,
            last_stable_offset: self.last_stable_offset(),
            aborted: (isolation == Isolation::ReadCommitted).then(|| self.transactions.aborted(offset, end)),
        })
    }

    /// How many bytes a reader at `offset` has before it.
    pub fn available(&self, offset: i64, isolation: Isolation) -> Result<u64, ErrorCode> {
        self.check_range(offset)?;
        Ok(self.position_of(self.end_for(isolation)).saturating_sub(self.position_of(offset)))
    }

    fn position_of(&self, offset: i64) -> u64 {
        self.segment_of(offset).map_or(self.end_position(), |segment| segment.position_of(offset))
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
        self.transactions.forget_before(self.start_offset);
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
            self.transactions.forget_before(self.start_offset);
        }
    }
}
