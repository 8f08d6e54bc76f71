//! Reading one record of a batch: the inner loop of the iterator and of the indexer.
//!
//! Every length is checked against the bytes that are there before it is used; no field reads behind its own record.

use super::RecordError;
use super::error::RecordErrorKind;
use super::header::{BatchHeader, TimestampType};
use super::headers::{read_field, skip_headers, varint_error};
use super::varint::{read_varint, read_varlong};

/// A record's parts, as ranges of the records' bytes. A length of −1 is null.
pub(crate) struct Parsed {
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub key: (usize, i32),
    pub value: (usize, i32),
    pub headers_start: usize,
    pub headers_len: usize,
    pub header_count: u32,
}

/// Reads the record at `*position` and moves behind it.
#[inline(always)]
pub(crate) fn parse_record(
    records: &[u8],
    position: &mut usize,
    last_offset_delta: i32,
) -> Result<Parsed, RecordError> {
    let start = *position;
    let length = read_varint(records, position).map_err(|error| varint_error(error, "Length", start))?;
    if length < 0 {
        return Err(RecordError::invalid("Length", start, i64::from(length)));
    }
    let end = *position + length as usize;
    // From here on no field can read behind the end of its own record.
    let Some(bytes) = records.get(..end) else {
        return Err(RecordError::truncated("Length", start, length as usize, records.len() - *position));
    };
    if *position == end {
        return Err(RecordError::truncated("Attributes", *position, 1, 0));
    }
    *position += 1; // record attributes: unused
    let at = *position;
    let timestamp_delta = read_varlong(bytes, position).map_err(|error| varint_error(error, "TimestampDelta", at))?;
    let at = *position;
    let offset_delta = read_varint(bytes, position).map_err(|error| varint_error(error, "OffsetDelta", at))?;
    if offset_delta < 0 || offset_delta > last_offset_delta {
        return Err(RecordError::invalid("OffsetDelta", at, i64::from(offset_delta)));
    }
    let key = range(bytes, position, "Key")?;
    let value = range(bytes, position, "Value")?;
    let at = *position;
    let header_count = read_varint(bytes, position).map_err(|error| varint_error(error, "HeaderCount", at))?;
    if header_count < 0 {
        return Err(RecordError::invalid("HeaderCount", at, i64::from(header_count)));
    }
    let headers_start = *position;
    if header_count > 0 {
        skip_headers(bytes, position, header_count as u32)?;
    }
    if *position != end {
        return Err(RecordError::new(RecordErrorKind::TrailingBytes(end - *position), "Record", *position));
    }
    Ok(Parsed {
        timestamp_delta,
        offset_delta,
        key,
        value,
        headers_start,
        headers_len: end - headers_start,
        header_count: header_count as u32,
    })
}

#[inline(always)]
fn range(bytes: &[u8], position: &mut usize, field: &'static str) -> Result<(usize, i32), RecordError> {
    let slice = read_field(bytes, position, field)?;
    Ok(match slice {
        Some(slice) => (*position - slice.len(), slice.len() as i32),
        None => (*position, -1),
    })
}

/// The timestamp of a record: with log append time the batch's own, else base plus delta (also with a delete horizon:
/// compaction writes the deltas anew).
#[inline(always)]
pub(crate) const fn record_timestamp(header: &BatchHeader, delta: i64) -> i64 {
    match header.attributes.timestamp_type() {
        TimestampType::LogAppendTime => header.max_timestamp,
        TimestampType::CreateTime => header.base_timestamp.wrapping_add(delta),
    }
}

pub(crate) fn check_end(records: &[u8], position: usize, header: &BatchHeader) -> Result<(), RecordError> {
    match records.len() - position {
        0 => Ok(()),
        left => {
            let kind = RecordErrorKind::TrailingBytes(left);
            Err(RecordError::new(kind, "Records", position).in_batch(header.base_offset))
        }
    }
}
