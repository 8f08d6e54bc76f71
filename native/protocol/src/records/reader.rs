//! Reading record sets without copying.
//!
//! [`batches`] cuts a record set into batches, a batch gives its plain records, and those are iterated here or indexed in
//! `index.rs`. Every length is checked against the bytes that are there before it is used.

use std::ops::Range;

use bytes::Bytes;

use super::header::{BATCH_HEADER_LEN, BatchHeader, LOG_OVERHEAD, MIN_RECORD_LEN, array, at};
use super::record::{check_end, parse_record, record_timestamp};
use super::{LegacyBatch, RecordError, RecordErrorKind, RecordRef, WireHeaders};
use crate::compress::{Compression, Decompressor, Output};

/// Cuts a record set, as in a fetch response or a log segment, into batches.
#[must_use]
pub const fn batches(records: Bytes) -> Batches {
    Batches { records, position: 0, failed: false }
}

/// Iterates over the batches of a record set. A last batch that is not all there is left out; see [`Batches::rest`].
/// Behind an error nothing follows.
#[derive(Debug, Clone)]
pub struct Batches {
    records: Bytes,
    position: usize,
    failed: bool,
}

impl Batches {
    /// Where the next batch starts; at the end, where the truncated one starts.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// Bytes not yet read: at the end, those of a truncated last batch.
    #[must_use]
    pub fn rest(&self) -> usize {
        self.records.len() - self.position
    }

    fn read(&mut self) -> Result<Option<RawBatch>, RecordError> {
        let (position, rest) = (self.position, &self.records[self.position..]);
        // The shortest message is longer than this; less is a truncated one.
        if rest.len() <= at::MAGIC {
            return Ok(None);
        }
        let base_offset = i64::from_be_bytes(array(rest, at::BASE_OFFSET));
        let length = i32::from_be_bytes(array(rest, at::LENGTH));
        let magic = rest[at::MAGIC] as i8;
        let least = match magic {
            0 | 1 => super::legacy::min_len(magic),
            2 => BATCH_HEADER_LEN - LOG_OVERHEAD,
            _ => {
                let kind = RecordErrorKind::Magic(magic);
                return Err(RecordError::new(kind, "Magic", position + at::MAGIC).in_batch(base_offset));
            }
        };
        let length = usize::try_from(length).ok().filter(|&length| length >= least).ok_or_else(|| {
            RecordError::invalid("BatchLength", position + at::LENGTH, i64::from(length)).in_batch(base_offset)
        })?;
        if length > rest.len() - LOG_OVERHEAD {
            return Ok(None);
        }
        let end = position + LOG_OVERHEAD + length;
        let bytes = self.records.slice(position..end);
        let batch = if magic == 2 {
            RawBatch::V2(Batch { header: BatchHeader::parse(&bytes, position)?, bytes, position })
        } else {
            RawBatch::Legacy(LegacyBatch::parse(bytes, position)?)
        };
        self.position = end;
        Ok(Some(batch))
    }
}

impl Iterator for Batches {
    type Item = Result<RawBatch, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let item = self.read().transpose();
        self.failed = matches!(item, Some(Err(_)));
        item
    }
}

/// One batch of a record set, still as it was written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RawBatch {
    /// Magic 2, all that has been written since Kafka 0.11.
    V2(Batch),
    /// Magic 0 or 1: a single message, or a compressed set of them.
    Legacy(LegacyBatch),
}

impl RawBatch {
    /// The header. Of magic 0 and 1, whose header lacks most of it, what is known before decompression.
    #[must_use]
    pub fn header(&self) -> BatchHeader {
        match self {
            Self::V2(batch) => batch.header,
            Self::Legacy(batch) => batch.header(),
        }
    }

    /// The batch as written.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        match self {
            Self::V2(batch) => &batch.bytes,
            Self::Legacy(batch) => batch.bytes(),
        }
    }

    /// The offset of the last record; the next fetch starts behind it.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.header().last_offset()
    }

    /// Compares the CRC with the bytes.
    ///
    /// # Errors
    /// [`RecordErrorKind::Crc`].
    pub fn verify_crc(&self) -> Result<(), RecordError> {
        match self {
            Self::V2(batch) => batch.verify_crc(),
            Self::Legacy(batch) => batch.verify_crc(),
        }
    }

    /// The records, uncompressed: a slice of the record set when they were not compressed.
    ///
    /// # Errors
    /// When the codec is unknown, refuses its input, or yields more than `max` bytes.
    pub fn plain(&self, decompressor: &mut Decompressor, max: usize) -> Result<PlainBatch, RecordError> {
        match self {
            Self::V2(batch) => batch.plain(decompressor, max),
            Self::Legacy(batch) => batch.plain(decompressor, max),
        }
    }

    /// Appends the records, uncompressed and in magic 2 form, to `out`, and returns the header that describes them.
    ///
    /// # Errors
    /// As [`Self::plain`]; `out` is then as it was.
    pub fn plain_into(
        &self,
        decompressor: &mut Decompressor,
        max: usize,
        out: &mut Output,
    ) -> Result<BatchHeader, RecordError> {
        match self {
            Self::V2(batch) => batch.plain_into(decompressor, max, out),
            Self::Legacy(batch) => {
                let plain = batch.plain(decompressor, max)?;
                out.extend_from_slice(plain.records());
                Ok(*plain.header())
            }
        }
    }

    /// Where the records lie in the record set, if they can be read there as they are (magic 2, not compressed).
    #[must_use]
    pub fn plain_range(&self) -> Option<Range<usize>> {
        match self {
            Self::V2(batch) if batch.header.attributes.compression() == Some(Compression::None) => {
                Some(batch.position + BATCH_HEADER_LEN..batch.position + batch.bytes.len())
            }
            _ => None,
        }
    }
}

/// A magic 2 batch.
#[derive(Debug, Clone)]
pub struct Batch {
    header: BatchHeader,
    bytes: Bytes,
    position: usize,
}

impl Batch {
    /// The header, checked against the length of the batch.
    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The batch as written.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// As [`RawBatch::verify_crc`].
    ///
    /// # Errors
    /// [`RecordErrorKind::Crc`].
    pub fn verify_crc(&self) -> Result<(), RecordError> {
        self.header.check_crc(&self.bytes, self.position)
    }

    /// As [`RawBatch::plain`].
    ///
    /// # Errors
    /// See there.
    pub fn plain(&self, decompressor: &mut Decompressor, max: usize) -> Result<PlainBatch, RecordError> {
        if self.header.attributes.compression() == Some(Compression::None) {
            return Ok(PlainBatch { header: self.header, records: self.bytes.slice(BATCH_HEADER_LEN..) });
        }
        let mut out = Output::new();
        self.plain_into(decompressor, max, &mut out)?;
        Ok(PlainBatch { header: self.header, records: Bytes::from(out) })
    }

    fn plain_into(
        &self,
        decompressor: &mut Decompressor,
        max: usize,
        out: &mut Output,
    ) -> Result<BatchHeader, RecordError> {
        let in_batch = |error: RecordError| error.in_batch(self.header.base_offset);
        let attributes = self.header.attributes;
        let Some(compression) = attributes.compression() else {
            let position = self.position + at::ATTRIBUTES;
            return Err(in_batch(RecordError::invalid("Attributes", position, i64::from(attributes.codec_id()))));
        };
        let start = out.len();
        decompressor.decompress(compression, &self.bytes[BATCH_HEADER_LEN..], max, out).map_err(|error| {
            let position = self.position + BATCH_HEADER_LEN;
            in_batch(RecordError::new(RecordErrorKind::Compression(error), "Records", position))
        })?;
        if self.header.record_count as usize > (out.len() - start) / MIN_RECORD_LEN {
            out.truncate(start);
            let position = self.position + at::RECORD_COUNT;
            return Err(in_batch(RecordError::invalid("RecordCount", position, i64::from(self.header.record_count))));
        }
        Ok(self.header)
    }
}

/// The records of a batch, uncompressed and in magic 2 form.
#[derive(Debug, Clone)]
pub struct PlainBatch {
    header: BatchHeader,
    records: Bytes,
}

impl PlainBatch {
    pub(crate) const fn new(header: BatchHeader, records: Bytes) -> Self {
        Self { header, records }
    }

    /// The header that describes them.
    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The bytes of the records.
    #[must_use]
    pub const fn records(&self) -> &Bytes {
        &self.records
    }

    /// Iterates over the records.
    #[must_use]
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter::new(&self.header, &self.records)
    }
}

/// Iterates over the records of one batch; ends after an error, and reports bytes behind the last record.
#[derive(Debug, Clone)]
pub struct RecordIter<'a> {
    header: BatchHeader,
    records: &'a [u8],
    position: usize,
    next: u32,
    done: bool,
}

impl<'a> RecordIter<'a> {
    /// Reads `records`, the uncompressed records of the batch with `header`.
    #[must_use]
    pub const fn new(header: &BatchHeader, records: &'a [u8]) -> Self {
        Self { header: *header, records, position: 0, next: 0, done: false }
    }

    fn read(&mut self) -> Result<RecordView<'a>, RecordError> {
        let parsed = parse_record(self.records, &mut self.position, self.header.last_offset_delta)?;
        let slice = |(start, len): (usize, i32)| (len >= 0).then(|| &self.records[start..start + len as usize]);
        let headers = &self.records[parsed.headers_start..parsed.headers_start + parsed.headers_len];
        Ok(RecordView {
            offset: self.header.base_offset + i64::from(parsed.offset_delta),
            timestamp: record_timestamp(&self.header, parsed.timestamp_delta),
            key: slice(parsed.key),
            value: slice(parsed.value),
            headers: WireHeaders { bytes: headers, count: parsed.header_count },
        })
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<RecordView<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        if self.next as i32 >= self.header.record_count {
            self.done = true;
            return check_end(self.records, self.position, &self.header).err().map(Err);
        }
        let record = self.next;
        self.next += 1;
        let item = self.read().map_err(|error| error.in_batch(self.header.base_offset).in_record(record));
        self.done = item.is_err();
        Some(item)
    }
}

/// One record on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Its offset in the partition.
    pub offset: i64,
    /// Milliseconds since the epoch; −1 in magic 0, which has none.
    pub timestamp: i64,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: WireHeaders<'a>,
}

impl<'a> RecordView<'a> {
    /// The same record, ready to be appended to another batch.
    #[must_use]
    pub const fn as_ref(&self) -> RecordRef<'a> {
        let (timestamp, key, value) = (self.timestamp, self.key, self.value);
        RecordRef { timestamp, key, value, headers: super::Headers::Wire(self.headers) }
    }
}
