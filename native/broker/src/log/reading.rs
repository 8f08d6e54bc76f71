//! What readers ask of a log: batches from an offset on, how much there is, what was written at a time, where it begins and ends.

use bytes::Bytes;
use dohle_protocol::ErrorCode;

use super::{Isolation, Log, Slice, disk::segment::Read};

impl Log {
    pub fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// What is committed, and may be read, ends here.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// What readers of committed records may see ends here.
    pub fn last_stable_offset(&self) -> i64 {
        let first_open = self.transactions.first_open().unwrap_or(self.high_watermark);
        first_open.min(self.high_watermark).max(self.start_offset)
    }

    /// The end of the log for a reader.
    pub fn end_for(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadUncommitted => self.high_watermark,
            Isolation::ReadCommitted => self.last_stable_offset(),
            Isolation::Uncommitted => self.next_offset,
        }
    }

    /// The largest leader epoch up to this one, and where it ended; none when nothing is known of it.
    pub fn end_of_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        match epoch {
            // Known as soon as there is a leader, and so also of an empty log.
            epoch if epoch == self.part.epoch() => Some((epoch, self.next_offset)),
            ..0 => None,
            _ => self.epochs.end_of(epoch, self.next_offset),
        }
    }

    /// Bytes kept.
    pub fn size(&self) -> u64 {
        self.end_position() - self.segments[0].start_position
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
        let read = Read { offset, max_bytes, at_least_one, below };
        let (mut bytes, mut end) = (Bytes::new(), offset);
        // Compaction may have left nothing of its own segment from `offset` on.
        for at in self.index_of(offset).unwrap_or(self.segments.len())..self.segments.len() {
            if let Some(found) = self.segments[at].read(read).map_err(|error| self.failed(error))? {
                (bytes, end) = found;
                self.rest_others(at);
                break;
            }
        }
        Ok(Slice {
            bytes,
            start_offset: self.start_offset,
            high_watermark: self.high_watermark,
            last_stable_offset: self.last_stable_offset(),
            aborted: (isolation == Isolation::ReadCommitted).then(|| self.transactions.aborted(offset, end)),
        })
    }

    /// How many bytes a reader at `offset` has before it.
    pub fn available(&self, offset: i64, isolation: Isolation) -> Result<u64, ErrorCode> {
        self.check_range(offset)?;
        let end = self.position_of(self.end_for(isolation))?;
        Ok(end.saturating_sub(self.position_of(offset)?))
    }

    fn position_of(&self, offset: i64) -> Result<u64, ErrorCode> {
        match self.index_of(offset) {
            None => Ok(self.end_position()),
            Some(at) => self.segments[at].position_of(offset).map_err(|error| self.failed(error)),
        }
    }

    /// The first batch with a record of at least `timestamp` and an offset of at least `from`.
    pub fn batch_at_time(&self, timestamp: i64, from: i64) -> Result<Option<Bytes>, ErrorCode> {
        for segment in self.segments.iter().filter(|segment| segment.max_timestamp >= timestamp) {
            if let Some(bytes) = segment.find_time(timestamp, from).map_err(|error| self.failed(error))? {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// The largest timestamp of the log, none when it is empty.
    pub fn max_timestamp(&self) -> Option<i64> {
        let max = self.segments.iter().map(|segment| segment.max_timestamp).max();
        max.filter(|_| self.next_offset > self.start_offset)
    }

    fn check_range(&self, offset: i64) -> Result<(), ErrorCode> {
        if offset < self.start_offset || offset > self.next_offset {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        Ok(())
    }
}
