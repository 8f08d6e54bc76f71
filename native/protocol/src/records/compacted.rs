//! Batches as compaction leaves them: fewer records, or none, and everything else that others rely on as it was: offsets,
//! leader epoch, producer and sequences. Which records stay is the log's business.

use bytes::{Bytes, BytesMut};

use super::builder::{Head, write_record};
use super::header::{Attributes, BATCH_HEADER_LEN, at, put, put_crc};
use super::{BatchHeader, RecordView, TimestampType, set_offsets};
use crate::compress::{CompressError, Compression, Compressor};

/// A batch with some of its records, which keep their offsets and times, compressed by `compressor`. With a delete horizon the
/// batch tells until when its tombstones, or its marker, are kept.
///
/// # Errors
/// When the codec fails, for want of memory.
///
/// # Panics
/// When there are no records (see [`emptied`]), or when they take more than 2 GiB.
pub fn thinned(
    header: &BatchHeader,
    records: &[RecordView<'_>],
    delete_horizon: Option<i64>,
    compressor: &mut Compressor,
) -> Result<Bytes, CompressError> {
    let base_timestamp = delete_horizon.unwrap_or(records[0].timestamp);
    let mut plain = BytesMut::new();
    plain.resize(BATCH_HEADER_LEN, 0);
    for record in records {
        let delta = (record.offset - header.base_offset) as i32;
        write_record(&mut plain, record.timestamp.wrapping_sub(base_timestamp), delta, &record.as_ref());
    }
    let bytes = match compressor.compression() {
        Compression::None => plain,
        _ => {
            let packed = compressor.compress(&plain[BATCH_HEADER_LEN..])?;
            let mut bytes = BytesMut::with_capacity(BATCH_HEADER_LEN + packed.len());
            bytes.resize(BATCH_HEADER_LEN, 0);
            bytes.extend_from_slice(packed);
            bytes
        }
    };
    let max_timestamp = match header.attributes.timestamp_type() {
        TimestampType::LogAppendTime => header.max_timestamp,
        TimestampType::CreateTime => records.iter().map(|record| record.timestamp).max().unwrap_or(-1),
    };
    let attributes = header.attributes.with(compressor.compression(), delete_horizon.is_some());
    let head = Head {
        attributes,
        last_offset_delta: header.last_offset_delta,
        base_timestamp,
        max_timestamp,
        record_count: records.len() as i32,
    };
    Ok(write(bytes, header, &head))
}

/// A batch without its records: what is left to say where a producer stands.
#[must_use]
pub fn emptied(header: &BatchHeader) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.resize(BATCH_HEADER_LEN, 0);
    let head = Head {
        attributes: header.attributes.with(Compression::None, false),
        last_offset_delta: header.last_offset_delta,
        base_timestamp: -1,
        max_timestamp: header.max_timestamp,
        record_count: 0,
    };
    write(bytes, header, &head)
}

fn write(mut bytes: BytesMut, header: &BatchHeader, head: &Head) -> Bytes {
    head.write(&mut bytes);
    set_offsets(&mut bytes, header.base_offset, header.partition_leader_epoch);
    put(&mut bytes, at::PRODUCER_ID, &header.producer_id.to_be_bytes());
    put(&mut bytes, at::PRODUCER_EPOCH, &header.producer_epoch.to_be_bytes());
    put(&mut bytes, at::BASE_SEQUENCE, &header.base_sequence.to_be_bytes());
    put_crc(&mut bytes);
    bytes.freeze()
}

impl Attributes {
    /// The same, but for the codec and whether there is a delete horizon.
    const fn with(self, compression: Compression, delete_horizon: bool) -> Self {
        let rest = self.0 & !(Self::CODEC | Self::DELETE_HORIZON);
        Self(rest | compression.id() as i16 | if delete_horizon { Self::DELETE_HORIZON } else { 0 })
    }
}
