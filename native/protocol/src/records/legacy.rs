//! Message sets of magic 0 and 1: what old log segments may still hold.
//!
//! Read only. A message, or a compressed wrapper of messages, is turned into magic 2 records, so that nothing behind this
//! file knows that they exist. Kafka 4 cannot write them.

use bytes::{Bytes, BytesMut};

use super::builder::write_record;
use super::header::{Attributes, BatchHeader, LOG_OVERHEAD, TimestampType, array, at};
use super::{Headers, PlainBatch, RecordError, RecordErrorKind, RecordRef};
use crate::compress::{Compression, Decompressor, Output};

const TIMESTAMP: usize = 18;

/// The least `MessageSize`: CRC, magic, attributes, (timestamp), key and value length.
pub(crate) const fn min_len(magic: i8) -> usize {
    if magic == 0 { 14 } else { 22 }
}

/// A message of magic 0 or 1.
#[derive(Debug, Clone)]
pub struct LegacyBatch {
    bytes: Bytes,
    position: usize,
    message: Message,
}

/// The fields of one message; key and value are ranges of its bytes.
#[derive(Debug, Clone, Copy)]
struct Message {
    offset: i64,
    magic: i8,
    attributes: i8,
    timestamp: i64,
    key: Option<(usize, usize)>,
    value: Option<(usize, usize)>,
}

impl LegacyBatch {
    pub(crate) fn parse(bytes: Bytes, position: usize) -> Result<Self, RecordError> {
        let message = Message::parse(&bytes, position)?;
        // There must be an offset behind it.
        if message.offset == i64::MAX {
            return Err(RecordError::invalid("Offset", position, message.offset));
        }
        Ok(Self { bytes, position, message })
    }

    /// The message as written.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What is known before decompression: a wrapper's offset is that of its last message.
    #[must_use]
    pub fn header(&self) -> BatchHeader {
        let message = &self.message;
        BatchHeader {
            base_offset: message.offset,
            length: (self.bytes.len() - LOG_OVERHEAD) as i32,
            partition_leader_epoch: -1,
            magic: message.magic,
            crc: u32::from_be_bytes(array(&self.bytes, LOG_OVERHEAD)),
            // The low four bits mean what they mean in magic 2; magic 0 has no timestamp type.
            attributes: Attributes(i16::from(message.attributes) & if message.magic == 0 { 0x07 } else { 0x0f }),
            last_offset_delta: 0,
            base_timestamp: message.timestamp,
            max_timestamp: message.timestamp,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: 1,
        }
    }

    /// Compares the CRC-32 with the bytes.
    ///
    /// # Errors
    /// [`RecordErrorKind::Crc`].
    pub fn verify_crc(&self) -> Result<(), RecordError> {
        verify_crc(&self.bytes, self.position).map_err(|error| error.in_batch(self.message.offset))
    }

    /// The messages as magic 2 records, with a header to match. Of a wrapper, the inner CRCs are verified too.
    ///
    /// # Errors
    /// When the codec refuses its input or yields more than `max` bytes, or an inner message is malformed.
    pub fn plain(&self, decompressor: &mut Decompressor, max: usize) -> Result<PlainBatch, RecordError> {
        self.convert(decompressor, max).map_err(|error| error.in_batch(self.message.offset))
    }

    fn convert(&self, decompressor: &mut Decompressor, max: usize) -> Result<PlainBatch, RecordError> {
        let mut header = self.header();
        let attributes = header.attributes;
        let compression = attributes.compression().filter(|&compression| compression != Compression::Zstd);
        let Some(compression) = compression else {
            let (position, value) = (self.position + LOG_OVERHEAD + 5, i64::from(attributes.codec_id()));
            return Err(RecordError::invalid("Attributes", position, value));
        };
        header.attributes.0 &= !0x07;
        let mut out = BytesMut::new();
        if compression == Compression::None {
            self.message.write(&self.bytes, 0, 0, &mut out);
            return Ok(PlainBatch::new(header, out.freeze()));
        }

        let value = self.message.value.map(|(start, end)| &self.bytes[start..end]).unwrap_or_default();
        let mut inner = Output::new();
        decompressor.decompress_legacy(compression, self.message.magic, value, max, &mut inner).map_err(|error| {
            let position = self.position + self.bytes.len() - value.len();
            RecordError::new(RecordErrorKind::Compression(error), "Value", position)
        })?;
        let messages = self.inner_messages(&inner)?;
        let (Some((_, first)), Some((_, last))) = (messages.first(), messages.last()) else {
            header.record_count = 0;
            return Ok(PlainBatch::new(header, Bytes::new()));
        };
        // Magic 1 counts inner offsets from the wrapper's first message, and the wrapper has the last one's offset.
        let shift = if self.message.magic == 0 { 0 } else { self.message.offset.wrapping_sub(last.offset) };
        header.base_offset = first.offset.wrapping_add(shift);
        header.base_timestamp = first.timestamp;
        if attributes.timestamp_type() == TimestampType::CreateTime {
            header.max_timestamp = messages.iter().map(|(_, message)| message.timestamp).max().unwrap_or(-1);
        }
        header.record_count = messages.len() as i32;
        let mut previous = -1;
        for (record, (start, message)) in messages.iter().enumerate() {
            let delta = message.offset.wrapping_add(shift).wrapping_sub(header.base_offset);
            let next = header.base_offset.checked_add(delta.wrapping_add(1));
            if delta <= previous || delta > i64::from(i32::MAX) || header.base_offset < 0 || next.is_none() {
                return Err(RecordError::invalid("Offset", *start, message.offset).in_record(record as u32));
            }
            previous = delta;
            let timestamp_delta = message.timestamp.wrapping_sub(header.base_timestamp);
            message.write(&inner[*start..], timestamp_delta, delta as i32, &mut out);
        }
        header.last_offset_delta = previous as i32;
        Ok(PlainBatch::new(header, out.freeze()))
    }

    /// The messages inside a wrapper, with their positions. Each takes at least 26 bytes, so the list stays in proportion.
    fn inner_messages(&self, inner: &[u8]) -> Result<Vec<(usize, Message)>, RecordError> {
        let mut messages = Vec::new();
        let mut position = 0;
        while position < inner.len() {
            let in_record = |error: RecordError| error.in_record(messages.len() as u32);
            let rest = &inner[position..];
            if rest.len() < LOG_OVERHEAD + min_len(0) {
                let needed = LOG_OVERHEAD + min_len(0);
                return Err(in_record(RecordError::truncated("Message", position, needed, rest.len())));
            }
            let size = i32::from_be_bytes(array(rest, at::LENGTH));
            let len = usize::try_from(size).ok().and_then(|size| size.checked_add(LOG_OVERHEAD));
            let Some(bytes) = len.and_then(|len| rest.get(..len)) else {
                return Err(in_record(RecordError::invalid("MessageSize", position + at::LENGTH, i64::from(size))));
            };
            let message = Message::parse(bytes, position).map_err(in_record)?;
            if message.magic != self.message.magic || message.attributes & 0x07 != 0 {
                let value = i64::from(message.attributes);
                return Err(in_record(RecordError::invalid("Attributes", position + at::MAGIC, value)));
            }
            verify_crc(bytes, position).map_err(in_record)?;
            messages.push((position, message));
            position += bytes.len();
        }
        Ok(messages)
    }
}

impl Message {
    fn parse(bytes: &[u8], position: usize) -> Result<Self, RecordError> {
        let offset = i64::from_be_bytes(array(bytes, at::BASE_OFFSET));
        let fail = |error: RecordError| Err(error.in_batch(offset));
        let magic = bytes[at::MAGIC] as i8;
        if !(0..=1).contains(&magic) {
            return fail(RecordError::new(RecordErrorKind::Magic(magic), "Magic", position + at::MAGIC));
        }
        let needed = LOG_OVERHEAD + min_len(magic);
        if bytes.len() < needed {
            return fail(RecordError::truncated("Message", position, needed, bytes.len()));
        }
        if offset < 0 {
            return fail(RecordError::invalid("Offset", position, offset));
        }
        let timestamp = if magic == 0 { -1 } else { i64::from_be_bytes(array(bytes, TIMESTAMP)) };
        let mut cursor = if magic == 0 { TIMESTAMP } else { TIMESTAMP + 8 };
        let key = match read_bytes(bytes, &mut cursor, "Key", position) {
            Ok(key) => key,
            Err(error) => return fail(error),
        };
        let value = match read_bytes(bytes, &mut cursor, "Value", position) {
            Ok(value) => value,
            Err(error) => return fail(error),
        };
        if cursor != bytes.len() {
            let kind = RecordErrorKind::TrailingBytes(bytes.len() - cursor);
            return fail(RecordError::new(kind, "Message", position + cursor));
        }
        Ok(Self { offset, magic, attributes: bytes[at::MAGIC + 1] as i8, timestamp, key, value })
    }

    fn write(&self, bytes: &[u8], timestamp_delta: i64, offset_delta: i32, out: &mut BytesMut) {
        let slice = |range: Option<(usize, usize)>| range.map(|(start, end)| &bytes[start..end]);
        let (key, value) = (slice(self.key), slice(self.value));
        let record = RecordRef { timestamp: self.timestamp, key, value, headers: Headers::None };
        write_record(out, timestamp_delta, offset_delta, &record);
    }
}

type Range = Option<(usize, usize)>;

fn read_bytes(bytes: &[u8], cursor: &mut usize, field: &'static str, position: usize) -> Result<Range, RecordError> {
    let at = *cursor;
    let left = bytes.len() - at;
    if left < 4 {
        return Err(RecordError::truncated(field, position + at, 4, left));
    }
    let len = i32::from_be_bytes(array(bytes, at));
    *cursor += 4;
    if len == -1 {
        return Ok(None);
    }
    let Ok(len) = usize::try_from(len) else {
        return Err(RecordError::invalid(field, position + at, i64::from(len)));
    };
    if len > left - 4 {
        return Err(RecordError::truncated(field, position + at, len, left - 4));
    }
    *cursor += len;
    Ok(Some((at + 4, at + 4 + len)))
}

fn verify_crc(bytes: &[u8], position: usize) -> Result<(), RecordError> {
    let expected = u32::from_be_bytes(array(bytes, LOG_OVERHEAD));
    let actual = crc_fast::crc32_iso_hdlc(&bytes[at::MAGIC..]);
    if expected == actual {
        return Ok(());
    }
    Err(RecordError::new(RecordErrorKind::Crc { expected, actual }, "Crc", position + LOG_OVERHEAD))
}
