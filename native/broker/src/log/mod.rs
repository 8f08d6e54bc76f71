//! The log of one partition, in memory or in files: what was appended, in segments, with Kafka's producer-state checks.
//! It knows offsets and bytes, not requests; validation of what clients send is in `validate`, the formats of files are in `disk`.
//! Driven by the Produce, Fetch, ListOffsets and DeleteRecords APIs under the partition's lock.

mod compaction;
mod disk;
mod on_disk;
mod producers;
mod reading;
mod replication;
mod retention;
mod segment;
#[cfg(test)]
pub(crate) mod tests;
mod transactions;
pub(crate) mod validate;
mod waiters;

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use dohle_protocol::{
    ErrorCode,
    records::{ControlType, control_batch},
};

pub(crate) use compaction::{Need, Tools};
use disk::epochs::Epochs;
pub(crate) use disk::{open::Known, place::Place};
pub(crate) use on_disk::Checkpoint;
use on_disk::Files;
use producers::Producers;
pub(crate) use producers::{ActiveProducer, ProducerStamp};
pub(crate) use replication::Feed;
use replication::Part;
use segment::Segment;
pub(crate) use transactions::Aborted;
use transactions::Transactions;
pub(crate) use validate::Batch;
pub(crate) use waiters::{Waiter, Waiters};

use crate::config::TopicConfig;

/// One node's log of a partition.
pub(crate) struct Log {
    start_offset: i64,
    /// The log's end.
    next_offset: i64,
    /// What is committed ends here: what all copies in sync have.
    high_watermark: i64,
    /// Never empty; the last one is written to.
    segments: VecDeque<Segment>,
    config: Arc<TopicConfig>,
    /// Decides how much `segment.jitter.ms` takes off.
    seed: u64,
    producers: Producers,
    transactions: Transactions,
    epochs: Epochs,
    part: Part,
    /// None: it is in memory.
    files: Option<Files>,
    /// Up to where it is compacted.
    compacted_to: i64,
    /// Counts deletions of segments: compaction works on what was there when it began.
    deletions: u64,
}

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
    /// All, whether they are committed or not: a follower, or a coordinator that reads what it wrote.
    Uncommitted,
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
    /// One in memory.
    pub fn new(config: Arc<TopicConfig>, seed: u64) -> Self {
        let first = Segment::in_memory(0, 0, segment::FIRST_CAPACITY);
        let producers = Producers::new(config.producer_expiration_ms);
        Self {
            start_offset: 0,
            next_offset: 0,
            high_watermark: 0,
            segments: VecDeque::from([first]),
            config,
            seed,
            producers,
            transactions: Transactions::default(),
            epochs: Epochs::default(),
            part: Part::alone(),
            files: None,
            compacted_to: 0,
            deletions: 0,
        }
    }

    /// The topic's configuration has changed.
    pub fn set_config(&mut self, config: Arc<TopicConfig>) {
        self.producers.expiration_ms = config.producer_expiration_ms;
        self.config = config;
        self.advance();
    }

    /// Appends a validated batch: checks the producer's state, gives offsets, frees what is beyond the bytes to keep.
    pub fn append(&mut self, batch: &Batch, now_ms: i64) -> Result<Appended, ErrorCode> {
        self.check_leader(-1)?;
        let known = batch.producer.as_ref().map(|producer| self.producers.check(producer, now_ms)).transpose()?;
        if let Some((base_offset, append_time)) = known.flatten() {
            return Ok(Appended { base_offset, append_time, duplicate: true });
        }
        let opened = batch.producer.as_ref().is_some_and(|stamp| self.transactions.open_since(stamp.id).is_some());
        if opened && !batch.transactional {
            return Err(ErrorCode::INVALID_TXN_STATE);
        }
        let begins = batch.producer.filter(|stamp| batch.v2 && !opened && stamp.first_sequence != 0);
        if begins.is_some_and(|stamp| !self.producers.has_written(stamp.id, now_ms)) {
            return Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        }
        let base_offset = self.push(batch, now_ms)?;
        if let Some(producer) = &batch.producer {
            self.producers.appended(producer, base_offset..=self.next_offset - 1, batch.append_time, now_ms);
            if batch.transactional {
                self.transactions.appended(producer.id, base_offset);
            }
        }
        self.appended()?;
        self.retain_bytes();
        Ok(Appended { base_offset, append_time: batch.append_time, duplicate: false })
    }

    /// Whether this batch is here already.
    pub fn knows(&self, producer: &ProducerStamp, now_ms: i64) -> bool {
        matches!(self.producers.check(producer, now_ms), Ok(Some(_)))
    }

    /// Ends a producer's transaction in this partition.
    pub fn append_marker(&mut self, marker: &Marker, now_ms: i64) -> Result<(), ErrorCode> {
        self.check_leader(-1)?;
        self.check_disk()?;
        self.producers.ended(marker, now_ms)?;
        let Marker { producer_id, epoch, commit, coordinator_epoch } = *marker;
        let control = if commit { ControlType::Commit } else { ControlType::Abort };
        let batch = Batch {
            bytes: control_batch(control, producer_id, epoch, coordinator_epoch, now_ms),
            last_offset_delta: 0,
            max_timestamp: now_ms,
            append_time: -1,
            producer: None,
            transactional: true,
            v2: false,
        };
        let offset = self.push(&batch, now_ms)?;
        if let Some(aborted) = self.transactions.ended(producer_id, offset, !commit) {
            self.note_aborted(&aborted)?;
        }
        self.appended()
    }

    /// Aborts what is open of the producers that `which` names: the coordinator does not know of it, and nobody else would ever end it.
    pub fn abort_open(&mut self, now_ms: i64, which: impl Fn(i64) -> bool) -> Result<(), ErrorCode> {
        for producer_id in self.transactions.open_producers().into_iter().filter(|id| which(*id)) {
            let (epoch, coordinator_epoch) = self.producers.epochs(producer_id).unwrap_or((0, 0));
            let coordinator_epoch = coordinator_epoch.max(0);
            tracing::warn!(producer_id, epoch, "a transaction that was open when the broker ended is aborted");
            self.append_marker(&Marker { producer_id, epoch, commit: false, coordinator_epoch }, now_ms)?;
        }
        Ok(())
    }

    /// The producers that have written here, with where their open transactions begin.
    pub fn producers(&self, now_ms: i64) -> Vec<(ActiveProducer, Option<i64>)> {
        let producers = self.producers.active(now_ms);
        producers.map(|active| (active, self.transactions.open_since(active.id))).collect()
    }

    /// Writes a batch at the log's end; answers its offset.
    fn push(&mut self, batch: &Batch, now_ms: i64) -> Result<i64, ErrorCode> {
        let (base_offset, epoch) = (self.next_offset, self.part.epoch());
        self.check_disk()?;
        self.note_epoch(epoch, base_offset)?;
        let written = self
            .segment_for(batch, now_ms)
            .and_then(|(segment, config)| segment.append(batch, base_offset, epoch, now_ms, config));
        written.map_err(|error| self.failed(error))?;
        self.next_offset = base_offset + i64::from(batch.last_offset_delta) + 1;
        Ok(base_offset)
    }

    /// After an append: what must be safe before it is acknowledged is made safe, and is committed then if nobody else needs it.
    fn appended(&mut self) -> Result<(), ErrorCode> {
        self.flush_if_due()?;
        self.advance();
        Ok(())
    }

    /// Moves the log's start (DeleteRecords); −1 means the high watermark. Answers the new start.
    pub fn delete_before(&mut self, offset: i64) -> Result<i64, ErrorCode> {
        let offset = if offset == -1 { self.high_watermark } else { offset };
        if offset < 0 || offset > self.high_watermark {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        self.start_offset = self.start_offset.max(offset);
        let passed = self.segments.iter().skip(1).take_while(|next| next.base_offset <= self.start_offset).count();
        self.remove_first(passed);
        Ok(self.start_offset)
    }

    /// Removes the first segments, with their files; the log starts no earlier than the one behind them.
    fn remove_first(&mut self, count: usize) {
        if count == 0 {
            return self.forget_before_start();
        }
        for segment in self.segments.drain(..count) {
            let base_offset = segment.base_offset;
            if let Err(error) = segment.delete() {
                // They are before the log's start, wherever they still are.
                tracing::error!(%error, base_offset, "the files of a segment cannot be deleted");
            }
        }
        self.deletions += 1;
        self.start_offset = self.start_offset.max(self.segments[0].base_offset);
        self.forget_before_start();
    }

    fn forget_before_start(&mut self) {
        self.transactions.forget_before(self.start_offset);
        if self.epochs.forget_before(self.start_offset) {
            self.write_epochs();
        }
    }

    fn index_of(&self, offset: i64) -> Option<usize> {
        let after = self.segments.partition_point(|segment| segment.base_offset <= offset);
        after.checked_sub(1).filter(|_| offset < self.next_offset)
    }

    /// The segment that a batch goes to: a new one when the active one is full or, by `segment.ms`, old.
    fn segment_for(&mut self, batch: &Batch, now_ms: i64) -> std::io::Result<(&mut Segment, &TopicConfig)> {
        let (active, length) = (self.active(), batch.bytes.len());
        let last_offset = self.next_offset + i64::from(batch.last_offset_delta);
        let full = active.len() + length as u64 > self.config.segment_bytes as u64
            || !active.fits(last_offset, length, &self.config);
        let old =
            || active.age_at(batch.max_timestamp, now_ms) > self.config.segment_ms - self.jitter(active.base_offset);
        if !active.is_empty() && (full || old()) {
            // One that was begun for its age may stay small.
            let capacity = if full { self.config.segment_bytes.max(length) } else { length };
            self.roll(capacity)?;
        }
        Ok((self.segments.back_mut().expect("a log has at least one segment"), &self.config))
    }

    /// The segment that is written to.
    fn active(&self) -> &Segment {
        self.segments.back().expect("a log has at least one segment")
    }

    /// Begins a new segment.
    fn roll(&mut self, capacity: usize) -> std::io::Result<()> {
        let (base_offset, position) = (self.next_offset, self.end_position());
        let new = match &self.files {
            None => Segment::in_memory(base_offset, position, capacity),
            Some(files) => Segment::in_files(&files.place, base_offset, position, "")?,
        };
        self.segments.back_mut().expect("a log has at least one segment").seal()?;
        self.segments.push_back(new);
        self.rolled()
    }

    /// What `segment.jitter.ms` takes off for the segment that begins at this offset.
    fn jitter(&self, base_offset: i64) -> i64 {
        match self.config.segment_jitter_ms.min(self.config.segment_ms) {
            ..=0 => 0,
            most => (mix(self.seed ^ base_offset.cast_unsigned()) % most.cast_unsigned()).cast_signed(),
        }
    }

    fn end_position(&self) -> u64 {
        self.segments.back().map_or(0, |segment| segment.start_position + segment.len())
    }
}

/// SplitMix64's finalizer: all bits of the result depend on all bits of `x`.
const fn mix(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}
