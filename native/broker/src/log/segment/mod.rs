//! A segment of a log, in memory or in files: what both have in common, and which of them it is. In memory nothing of it fails.

mod memory;

use std::io;

use bytes::Bytes;
use dohle_protocol::records;

use super::{
    Batch,
    disk::{FileSegment, batches::Source, place::Place, segment::Read},
};
use crate::config::TopicConfig;
use memory::Memory;

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
    body: Body,
}

enum Body {
    Memory(Memory),
    File(Box<FileSegment>),
}

impl Segment {
    fn with(base_offset: i64, start_position: u64, body: Body) -> Self {
        let (max_timestamp, first_timestamp) = (i64::MIN, -1);
        Self { base_offset, start_position, max_timestamp, first_timestamp, begun_ms: 0, modified_ms: 0, body }
    }

    /// A new one in memory.
    pub fn in_memory(base_offset: i64, start_position: u64, capacity: usize) -> Self {
        Self::with(base_offset, start_position, Body::Memory(Memory::new(capacity)))
    }

    /// A new one in files, whose names end with this.
    pub fn in_files(place: &Place, base_offset: i64, start_position: u64, suffix: &'static str) -> io::Result<Self> {
        let file = FileSegment::create(place.clone(), base_offset, suffix)?;
        Ok(Self::with(base_offset, start_position, Body::File(Box::new(file))))
    }

    /// One that was there.
    pub fn found(file: FileSegment, base_offset: i64, modified_ms: i64) -> io::Result<Self> {
        let (first, max_timestamp) = (file.first()?, file.max_timestamp());
        let found = Self::with(base_offset, 0, Body::File(Box::new(file)));
        let first_timestamp = first.map_or(-1, |head| head.max_timestamp);
        Ok(Self { max_timestamp, first_timestamp, begun_ms: modified_ms, modified_ms, ..found })
    }

    pub fn len(&self) -> u64 {
        match &self.body {
            Body::Memory(memory) => memory.len() as u64,
            Body::File(file) => file.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Of its first batch, when that has one.
    pub fn first_timestamp(&self) -> Option<i64> {
        Some(self.first_timestamp).filter(|timestamp| *timestamp > 0)
    }

    /// Whether its files can take a batch.
    pub fn fits(&self, last_offset: i64, size: usize, config: &TopicConfig) -> bool {
        match &self.body {
            Body::Memory(_) => true,
            Body::File(file) => file.fits(last_offset, size, config.index_bytes),
        }
    }

    /// Appends a batch as received, but for the base offset and the leader epoch, which its CRC does not cover.
    pub fn append(
        &mut self,
        batch: &Batch,
        base_offset: i64,
        leader_epoch: i32,
        now_ms: i64,
        config: &TopicConfig,
    ) -> io::Result<()> {
        let begins = self.is_empty();
        let (last_offset, max_timestamp) = (base_offset + i64::from(batch.last_offset_delta), batch.max_timestamp);
        let head = |bytes: &mut [u8]| records::set_offsets(bytes, base_offset, leader_epoch);
        match &mut self.body {
            Body::Memory(memory) => memory.push(&batch.bytes, last_offset, max_timestamp, head),
            Body::File(file) => {
                let mut bytes = batch.bytes.to_vec();
                head(&mut bytes);
                file.push(&bytes, last_offset, max_timestamp, config.index_interval_bytes)?;
            }
        }
        if begins {
            (self.begun_ms, self.first_timestamp) = (now_ms, max_timestamp);
        }
        self.modified_ms = now_ms;
        self.max_timestamp = self.max_timestamp.max(max_timestamp);
        Ok(())
    }

    /// Appends a batch as it is.
    pub fn push(&mut self, batch: &[u8], last_offset: i64, max_timestamp: i64, config: &TopicConfig) -> io::Result<()> {
        let begins = self.is_empty();
        match &mut self.body {
            Body::Memory(memory) => memory.push(batch, last_offset, max_timestamp, |_| {}),
            Body::File(file) => file.push(batch, last_offset, max_timestamp, config.index_interval_bytes)?,
        }
        if begins {
            self.first_timestamp = max_timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(max_timestamp);
        Ok(())
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

    /// No more appends.
    pub fn seal(&mut self) -> io::Result<()> {
        match &mut self.body {
            Body::Memory(memory) => memory.seal(),
            Body::File(file) => file.seal()?,
        }
        Ok(())
    }

    /// Whole batches from the one that holds the offset (or the next one) on, and where they end; none when there is none.
    pub fn read(&self, read: Read) -> io::Result<Option<(Bytes, i64)>> {
        match &self.body {
            Body::Memory(memory) => Ok(memory.read(read)),
            Body::File(file) => file.read(read),
        }
    }

    /// Position in the log of the batch that holds `offset`, or the next one.
    pub fn position_of(&self, offset: i64) -> io::Result<u64> {
        let position = match &self.body {
            Body::Memory(memory) => memory.position_of(offset) as u64,
            Body::File(file) => file.position_of(offset)?,
        };
        Ok(self.start_position + position)
    }

    /// The first batch with a record of at least this time and an offset of at least `from`.
    pub fn find_time(&self, timestamp: i64, from: i64) -> io::Result<Option<Bytes>> {
        match &self.body {
            Body::Memory(memory) => Ok(memory.find_time(timestamp, from)),
            Body::File(file) => file.find_time(timestamp, from),
        }
    }

    /// Its batches as they are now.
    pub fn source(&self) -> io::Result<Source> {
        match &self.body {
            Body::Memory(memory) => Ok(Source::Memory(memory.bytes())),
            Body::File(file) => file.source(),
        }
    }

    /// Cuts everything from the first batch on that ends at or behind an offset, and takes appends again.
    pub fn truncate(&mut self, offset: i64) -> io::Result<()> {
        self.max_timestamp = match &mut self.body {
            Body::Memory(memory) => {
                memory.truncate(offset);
                memory.max_timestamp()
            }
            Body::File(file) => {
                file.reopen()?;
                file.truncate(offset)?;
                file.max_timestamp()
            }
        };
        if self.is_empty() {
            self.first_timestamp = -1;
        }
        Ok(())
    }

    /// Its files know the times of its records now.
    pub fn learn_times(&mut self) {
        if let Body::File(file) = &self.body {
            self.max_timestamp = file.max_timestamp();
        }
    }

    /// The files behind it, if there are any.
    pub fn files(&mut self) -> Option<&mut FileSegment> {
        match &mut self.body {
            Body::Memory(_) => None,
            Body::File(file) => Some(file),
        }
    }

    /// Its file need not stay open.
    pub fn rest(&self) {
        if let Body::File(file) = &self.body {
            file.rest();
        }
    }

    /// It goes, with its files.
    pub fn delete(self) -> io::Result<()> {
        match self.body {
            Body::Memory(_) => Ok(()),
            Body::File(file) => file.delete(),
        }
    }
}
