//! Control batches: the markers that end a transaction.
//!
//! A control batch is never shown to a program, but the position moves past it. The fetcher reads the type to drop a
//! producer from its list of aborted ones; the broker writes them.

use bytes::{Bytes, BytesMut};

use super::builder::{Head, write_record};
use super::header::{Attributes, BATCH_HEADER_LEN, at, put, put_crc};
use super::{Headers, PlainBatch, RecordRef};
use crate::compress::Compression;

/// What a control batch says. Types 2 to 6 belong to KRaft's own log; all but the first two are ignored by clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlType {
    /// The transaction was aborted.
    Abort,
    /// The transaction was committed.
    Commit,
    /// Anything else.
    Other(i16),
}

impl ControlType {
    /// The number on the wire.
    #[must_use]
    pub const fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::Other(id) => id,
        }
    }
}

impl PlainBatch {
    /// The type of a control batch, from its first record; `None` when the batch is not one, is empty, or its key is
    /// none that is known.
    #[must_use]
    pub fn control_type(&self) -> Option<ControlType> {
        if !self.header().attributes.is_control() {
            return None;
        }
        let key = self.iter().next()?.ok()?.key?;
        // int16 version, int16 type; later versions may add fields behind.
        let (version, rest) = key.split_first_chunk::<2>()?;
        let id = i16::from_be_bytes(*rest.first_chunk::<2>()?);
        if i16::from_be_bytes(*version) < 0 {
            return None;
        }
        Some(match id {
            0 => ControlType::Abort,
            1 => ControlType::Commit,
            id => ControlType::Other(id),
        })
    }
}

/// A transaction marker, ready for the log: transactional, control, one record, CRC set, base offset 0.
#[must_use]
pub fn control_batch(
    control: ControlType,
    producer_id: i64,
    producer_epoch: i16,
    coordinator_epoch: i32,
    timestamp: i64,
) -> Bytes {
    let mut bytes = BytesMut::with_capacity(BATCH_HEADER_LEN + 24);
    bytes.resize(BATCH_HEADER_LEN, 0);
    let mut key = [0; 4];
    key[2..].copy_from_slice(&control.id().to_be_bytes());
    let mut value = [0; 6];
    value[2..].copy_from_slice(&coordinator_epoch.to_be_bytes());
    let record = RecordRef { timestamp, key: Some(&key), value: Some(&value), headers: Headers::None };
    write_record(&mut bytes, 0, 0, &record);
    let attributes = Attributes::build(Compression::None, true, true);
    let (base_timestamp, max_timestamp) = (timestamp, timestamp);
    Head { attributes, last_offset_delta: 0, base_timestamp, max_timestamp, record_count: 1 }.write(&mut bytes);
    put(&mut bytes, at::PRODUCER_ID, &producer_id.to_be_bytes());
    put(&mut bytes, at::PRODUCER_EPOCH, &producer_epoch.to_be_bytes());
    put_crc(&mut bytes);
    bytes.freeze()
}
