//! The 61 bytes in front of a magic 2 batch.
//!
//! Field positions, parsing and the few in-place edits that a log may make. Reader and builder use it; the broker edits
//! offsets, epoch and log append time of batches that it stores.

use super::error::RecordErrorKind;
use super::{RecordError, crc32c};
use crate::compress::Compression;

/// Bytes of `BaseOffset` and `BatchLength`, which `BatchLength` does not count.
pub const LOG_OVERHEAD: usize = 12;
/// Bytes of a magic 2 batch in front of its records.
pub const BATCH_HEADER_LEN: usize = 61;

pub(crate) mod at {
    pub const BASE_OFFSET: usize = 0;
    pub const LENGTH: usize = 8;
    pub const LEADER_EPOCH: usize = 12;
    pub const MAGIC: usize = 16;
    pub const CRC: usize = 17;
    pub const ATTRIBUTES: usize = 21;
    pub const LAST_OFFSET_DELTA: usize = 23;
    pub const BASE_TIMESTAMP: usize = 27;
    pub const MAX_TIMESTAMP: usize = 35;
    pub const PRODUCER_ID: usize = 43;
    pub const PRODUCER_EPOCH: usize = 51;
    pub const BASE_SEQUENCE: usize = 53;
    pub const RECORD_COUNT: usize = 57;
}

/// A record costs at least 7 bytes: length, attributes, timestamp delta, offset delta, key, value, header count.
pub(crate) const MIN_RECORD_LEN: usize = 7;

/// The header of a magic 2 batch, as written. For magic 0 and 1 the same fields, as far as they exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset of the first record the batch was written with; compaction may have removed that record.
    pub base_offset: i64,
    /// Bytes after this field ([`LOG_OVERHEAD`] less than the whole batch).
    pub length: i32,
    /// Epoch of the leader that appended the batch, −1 when unknown. Not covered by the CRC.
    pub partition_leader_epoch: i32,
    /// 2 here; 0 or 1 for message sets.
    pub magic: i8,
    /// CRC-32C from the attributes to the end (magic 0 and 1: CRC-32 from the magic byte).
    pub crc: u32,
    /// Codec, timestamp type and flags.
    pub attributes: Attributes,
    /// The last record's offset minus the base offset, kept by compaction.
    pub last_offset_delta: i32,
    /// The first record's timestamp, or the delete horizon when that flag is set. Record timestamps are deltas to it.
    pub base_timestamp: i64,
    /// The largest timestamp; with log append time that of every record.
    pub max_timestamp: i64,
    /// −1 when the producer is not idempotent.
    pub producer_id: i64,
    /// −1 when the producer is not idempotent.
    pub producer_epoch: i16,
    /// Sequence of the first record, −1 when the producer is not idempotent.
    pub base_sequence: i32,
    /// How many records follow; 0 is legal after compaction.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header of a magic 2 batch; `bytes` is the whole batch, `position` its place in the record set (for errors).
    ///
    /// # Errors
    /// When a length or count contradicts the bytes that are there.
    pub fn parse(bytes: &[u8], position: usize) -> Result<Self, RecordError> {
        if bytes.len() < BATCH_HEADER_LEN {
            return Err(RecordError::truncated("RecordBatch", position, BATCH_HEADER_LEN, bytes.len()));
        }
        let header = Self {
            base_offset: i64::from_be_bytes(array(bytes, at::BASE_OFFSET)),
            length: i32::from_be_bytes(array(bytes, at::LENGTH)),
            partition_leader_epoch: i32::from_be_bytes(array(bytes, at::LEADER_EPOCH)),
            magic: bytes[at::MAGIC] as i8,
            crc: u32::from_be_bytes(array(bytes, at::CRC)),
            attributes: Attributes(i16::from_be_bytes(array(bytes, at::ATTRIBUTES))),
            last_offset_delta: i32::from_be_bytes(array(bytes, at::LAST_OFFSET_DELTA)),
            base_timestamp: i64::from_be_bytes(array(bytes, at::BASE_TIMESTAMP)),
            max_timestamp: i64::from_be_bytes(array(bytes, at::MAX_TIMESTAMP)),
            producer_id: i64::from_be_bytes(array(bytes, at::PRODUCER_ID)),
            producer_epoch: i16::from_be_bytes(array(bytes, at::PRODUCER_EPOCH)),
            base_sequence: i32::from_be_bytes(array(bytes, at::BASE_SEQUENCE)),
            record_count: i32::from_be_bytes(array(bytes, at::RECORD_COUNT)),
        };
        header.check(bytes, position).map_err(|error| error.in_batch(header.base_offset))?;
        Ok(header)
    }

    /// Compares the CRC with the bytes; `bytes` is the whole batch.
    pub(crate) fn check_crc(&self, bytes: &[u8], position: usize) -> Result<(), RecordError> {
        let (expected, actual) = (self.crc, crc32c(&bytes[at::ATTRIBUTES..]));
        if expected == actual {
            return Ok(());
        }
        let kind = RecordErrorKind::Crc { expected, actual };
        Err(RecordError::new(kind, "Crc", position + at::CRC).in_batch(self.base_offset))
    }

    fn check(&self, bytes: &[u8], position: usize) -> Result<(), RecordError> {
        let len = bytes.len();
        if self.magic != 2 {
            return Err(RecordError::new(RecordErrorKind::Magic(self.magic), "Magic", position + at::MAGIC));
        }
        if usize::try_from(self.length).ok().map(|length| length + LOG_OVERHEAD) != Some(len) {
            return Err(RecordError::invalid("BatchLength", position + at::LENGTH, i64::from(self.length)));
        }
        if self.base_offset < 0 {
            return Err(RecordError::invalid("BaseOffset", position, self.base_offset));
        }
        // There must be an offset behind the last one.
        let next = self.base_offset.checked_add(i64::from(self.last_offset_delta) + 1);
        if self.last_offset_delta < 0 || next.is_none() {
            let value = i64::from(self.last_offset_delta);
            // What the CRC covers and is impossible was most likely changed on the way: that is what is said of it then.
            self.check_crc(bytes, position)?;
            return Err(RecordError::invalid("LastOffsetDelta", position + at::LAST_OFFSET_DELTA, value));
        }
        // A count beyond the deltas' range (or, uncompressed, beyond what the bytes can hold) is a lie.
        let plain = self.attributes.compression() == Some(Compression::None);
        let count = i64::from(self.record_count);
        if count < 0
            || count > i64::from(self.last_offset_delta) + 1
            || plain && count > ((len - BATCH_HEADER_LEN) / MIN_RECORD_LEN) as i64
        {
            self.check_crc(bytes, position)?;
            return Err(RecordError::invalid("RecordCount", position + at::RECORD_COUNT, count));
        }
        Ok(())
    }

    /// The offset of the batch's last record as it was written; the next fetch starts behind it.
    #[must_use]
    pub const fn last_offset(&self) -> i64 {
        self.base_offset + self.last_offset_delta as i64
    }

    /// The sequence of the last record, wrapping as Kafka's do; −1 without one.
    #[must_use]
    pub const fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        // Sequences run from 0 to i32::MAX and start again at 0.
        (self.base_sequence.wrapping_add(self.last_offset_delta)) & i32::MAX
    }

    /// The time after which tombstones and markers of this batch may be removed, when compaction has set one.
    #[must_use]
    pub const fn delete_horizon(&self) -> Option<i64> {
        if self.attributes.has_delete_horizon() { Some(self.base_timestamp) } else { None }
    }
}

/// The attribute bits of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes(pub i16);

/// Who set the timestamps of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer, record by record.
    CreateTime,
    /// The broker: every record has the batch's maximum timestamp.
    LogAppendTime,
}

impl Attributes {
    pub(super) const CODEC: i16 = 0x07;
    const TIMESTAMP_TYPE: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;
    pub(super) const DELETE_HORIZON: i16 = 0x40;

    pub(crate) const fn build(compression: Compression, transactional: bool, control: bool) -> Self {
        Self(
            compression.id() as i16
                | if transactional { Self::TRANSACTIONAL } else { 0 }
                | if control { Self::CONTROL } else { 0 },
        )
    }

    /// The number of the codec, as written.
    #[must_use]
    pub const fn codec_id(self) -> u8 {
        (self.0 & Self::CODEC) as u8
    }

    /// The codec; `None` for a number that no codec has.
    #[must_use]
    pub const fn compression(self) -> Option<Compression> {
        Compression::from_id(self.codec_id())
    }

    /// Who set the timestamps.
    #[must_use]
    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::TIMESTAMP_TYPE == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }

    /// Whether the batch is part of a transaction.
    #[must_use]
    pub const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Whether the batch holds a marker instead of records.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// Whether the base timestamp is a delete horizon (set by compaction).
    #[must_use]
    pub const fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }
}

/// Sets what a log decides about a batch that it appends. Neither field is covered by the CRC.
///
/// # Panics
/// When `batch` is shorter than [`BATCH_HEADER_LEN`].
pub fn set_offsets(batch: &mut [u8], base_offset: i64, partition_leader_epoch: i32) {
    put(batch, at::BASE_OFFSET, &base_offset.to_be_bytes());
    put(batch, at::LEADER_EPOCH, &partition_leader_epoch.to_be_bytes());
}

/// Turns a batch into one with log append time, and renews its CRC.
///
/// # Panics
/// When `batch` is shorter than [`BATCH_HEADER_LEN`].
pub fn set_log_append_time(batch: &mut [u8], timestamp: i64) {
    let attributes = i16::from_be_bytes(array(batch, at::ATTRIBUTES)) | Attributes::TIMESTAMP_TYPE;
    put(batch, at::ATTRIBUTES, &attributes.to_be_bytes());
    put(batch, at::MAX_TIMESTAMP, &timestamp.to_be_bytes());
    put_crc(batch);
}

pub(crate) fn put_crc(batch: &mut [u8]) {
    let crc = crc32c(&batch[at::ATTRIBUTES..]);
    put(batch, at::CRC, &crc.to_be_bytes());
}

pub(crate) fn put(bytes: &mut [u8], position: usize, field: &[u8]) {
    bytes[position..position + field.len()].copy_from_slice(field);
}

/// The caller has checked the length.
pub(crate) fn array<const N: usize>(bytes: &[u8], position: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[position..position + N]);
    array
}
