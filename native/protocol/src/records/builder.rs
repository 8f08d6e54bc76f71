//! Building a magic 2 batch in wire format.
//!
//! Records are appended straight behind 61 reserved bytes of one buffer, so that an uncompressed batch is sealed without a
//! copy. Not thread-safe and without an opinion on size: the producer decides when to seal and what to do on failure.

use bytes::{Bytes, BytesMut};

use super::header::{Attributes, BATCH_HEADER_LEN, LOG_OVERHEAD, at, put, put_crc};
use super::varint::{MAX_VARINT, MAX_VARLONG, put_varlong, varint_len};
use super::{Headers, RecordRef};
use crate::compress::{Compression, Compressor};

/// An open batch.
#[derive(Debug)]
pub struct BatchBuilder {
    bytes: BytesMut,
    count: u32,
    base_timestamp: i64,
    max_timestamp: i64,
    capacity: usize,
}

impl BatchBuilder {
    /// An empty batch with room for `capacity` bytes, header included; it grows when more is appended.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self::with_buffer(BytesMut::with_capacity(capacity.max(BATCH_HEADER_LEN)))
    }

    /// An empty batch in this buffer, whatever was in it; it grows when more is appended than it has room for.
    #[must_use]
    pub fn with_buffer(mut bytes: BytesMut) -> Self {
        let capacity = bytes.capacity();
        bytes.clear();
        bytes.resize(BATCH_HEADER_LEN, 0);
        Self { bytes, count: 0, base_timestamp: -1, max_timestamp: -1, capacity }
    }

    /// Goes on in this buffer, which is larger.
    pub fn move_to(&mut self, mut bytes: BytesMut) {
        bytes.clear();
        bytes.extend_from_slice(&self.bytes);
        self.capacity = bytes.capacity();
        self.bytes = bytes;
    }

    /// The bytes that the buffer has room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The buffer, to be used again. After [`Self::seal_reset`] it is the one of before unless the sealed bytes are in it.
    #[must_use]
    pub fn into_buffer(self) -> BytesMut {
        self.bytes
    }

    /// Appends a record and returns its place in the batch. The first record's timestamp becomes the base timestamp.
    ///
    /// # Panics
    /// When the batch would grow beyond 2 GiB; check [`Self::record_size_bound`] against a limit before.
    pub fn append(&mut self, record: &RecordRef<'_>) -> u32 {
        if self.bytes.is_empty() {
            self.bytes.reserve(self.capacity.max(BATCH_HEADER_LEN));
            self.bytes.resize(BATCH_HEADER_LEN, 0);
        }
        let index = self.count;
        if index == 0 {
            self.base_timestamp = record.timestamp;
            self.max_timestamp = record.timestamp;
        }
        write_record(&mut self.bytes, record.timestamp.wrapping_sub(self.base_timestamp), index as i32, record);
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        self.count += 1;
        index
    }

    /// The most bytes that `record` can take in any batch.
    #[must_use]
    pub fn record_size_bound(record: &RecordRef<'_>) -> usize {
        MAX_VARINT + 1 + MAX_VARLONG + MAX_VARINT + payload_len(record)
    }

    /// Records appended so far.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Bytes so far, header included, before compression.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len().max(BATCH_HEADER_LEN)
    }

    /// Whether nothing has been appended.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The largest timestamp, −1 when empty.
    #[must_use]
    pub const fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// Closes the batch: compresses (a batch that would not get smaller stays plain) and fills in the header, except what
    /// [`SealedBatch::stamp`] sets.
    #[must_use]
    pub fn seal(mut self, compressor: &mut Compressor, transactional: bool) -> SealedBatch {
        self.seal_reset(compressor, transactional)
    }

    /// As [`Self::seal`], and leaves the builder empty; its buffer stays when the sealed bytes did not need it.
    #[must_use]
    pub fn seal_reset(&mut self, compressor: &mut Compressor, transactional: bool) -> SealedBatch {
        self.seal_with(compressor, transactional, BytesMut::with_capacity)
    }

    /// As [`Self::seal_reset`]; compressed bytes go into the buffer that `room` gives, with room for as many as it is told.
    #[must_use]
    pub fn seal_with(
        &mut self,
        compressor: &mut Compressor,
        transactional: bool,
        room: impl FnOnce(usize) -> BytesMut,
    ) -> SealedBatch {
        debug_assert!(self.count > 0, "an empty batch is never sealed");
        let plain = self.bytes.get(BATCH_HEADER_LEN..).unwrap_or_default();
        let compressed = match compressor.compression() {
            Compression::None => None,
            // A codec can only fail for want of memory; the plain form is always right.
            _ => compressor.compress(plain).ok().filter(|packed| packed.len() < plain.len()),
        };
        let (compression, mut bytes) = match compressed {
            Some(packed) => {
                let mut bytes = room(BATCH_HEADER_LEN + packed.len());
                bytes.clear();
                bytes.resize(BATCH_HEADER_LEN, 0);
                bytes.extend_from_slice(packed);
                self.bytes.truncate(BATCH_HEADER_LEN);
                (compressor.compression(), bytes)
            }
            None => (Compression::None, std::mem::take(&mut self.bytes)),
        };
        let head = Head {
            attributes: Attributes::build(compression, transactional, false),
            last_offset_delta: self.count.saturating_sub(1) as i32,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            record_count: self.count as i32,
        };
        head.write(&mut bytes);
        let sealed = SealedBatch {
            bytes: bytes.freeze(),
            count: self.count,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            base_sequence: -1,
            stamped: false,
        };
        (self.count, self.base_timestamp, self.max_timestamp) = (0, -1, -1);
        sealed
    }
}

/// A closed batch: immutable but for [`Self::stamp`].
#[derive(Debug, Clone)]
pub struct SealedBatch {
    bytes: Bytes,
    count: u32,
    base_timestamp: i64,
    max_timestamp: i64,
    base_sequence: i32,
    stamped: bool,
}

impl SealedBatch {
    /// Sets the producer's fields (−1 for a producer that is not idempotent) and the CRC. Bytes that someone else still
    /// holds, such as a socket write, are copied first and keep their old stamp.
    pub fn stamp(&mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) {
        let mut bytes = match std::mem::take(&mut self.bytes).try_into_mut() {
            Ok(bytes) => bytes,
            Err(shared) => BytesMut::from(&shared[..]),
        };
        put(&mut bytes, at::PRODUCER_ID, &producer_id.to_be_bytes());
        put(&mut bytes, at::PRODUCER_EPOCH, &producer_epoch.to_be_bytes());
        put(&mut bytes, at::BASE_SEQUENCE, &base_sequence.to_be_bytes());
        put_crc(&mut bytes);
        self.bytes = bytes.freeze();
        self.base_sequence = base_sequence;
        self.stamped = true;
    }

    /// The batch as it goes on the wire. A clone of the handle, not of the bytes.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        debug_assert!(self.stamped, "a batch is stamped before it is written");
        self.bytes.clone()
    }

    /// The bytes' buffer, to be used again; none while someone else, such as a socket write, still has them.
    #[must_use]
    pub fn into_buffer(self) -> Option<BytesMut> {
        self.bytes.try_into_mut().ok()
    }

    /// How many records it holds.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Bytes on the wire.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Never: a batch with no records is not sealed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first record's timestamp.
    #[must_use]
    pub const fn base_timestamp(&self) -> i64 {
        self.base_timestamp
    }

    /// The largest timestamp.
    #[must_use]
    pub const fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// The sequence of the last stamp, −1 without one.
    #[must_use]
    pub const fn base_sequence(&self) -> i32 {
        self.base_sequence
    }
}

/// What a writer says in a header; offsets, epoch, producer and CRC come from others.
pub(crate) struct Head {
    pub attributes: Attributes,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub record_count: i32,
}

impl Head {
    pub(crate) fn write(&self, bytes: &mut [u8]) {
        let length = (bytes.len() - LOG_OVERHEAD) as i32;
        put(bytes, at::BASE_OFFSET, &0i64.to_be_bytes());
        put(bytes, at::LENGTH, &length.to_be_bytes());
        put(bytes, at::LEADER_EPOCH, &(-1i32).to_be_bytes());
        put(bytes, at::MAGIC, &[2]);
        put(bytes, at::ATTRIBUTES, &self.attributes.0.to_be_bytes());
        put(bytes, at::LAST_OFFSET_DELTA, &self.last_offset_delta.to_be_bytes());
        put(bytes, at::BASE_TIMESTAMP, &self.base_timestamp.to_be_bytes());
        put(bytes, at::MAX_TIMESTAMP, &self.max_timestamp.to_be_bytes());
        put(bytes, at::PRODUCER_ID, &(-1i64).to_be_bytes());
        put(bytes, at::PRODUCER_EPOCH, &(-1i16).to_be_bytes());
        put(bytes, at::BASE_SEQUENCE, &(-1i32).to_be_bytes());
        put(bytes, at::RECORD_COUNT, &self.record_count.to_be_bytes());
    }
}

/// Bytes of key, value and headers with their lengths.
fn payload_len(record: &RecordRef<'_>) -> usize {
    field_len(record.key)
        + field_len(record.value)
        + varint_len(record.headers.count() as i32)
        + record.headers.wire_len()
}

fn field_len(field: Option<&[u8]>) -> usize {
    field.map_or(1, |field| varint_len(field.len() as i32) + field.len())
}

/// Attributes, both deltas and the key's length; rounded up.
const HEAD: usize = 32;
const _: () = assert!(1 + MAX_VARLONG + MAX_VARINT + MAX_VARINT + MAX_VARINT <= HEAD);
/// A length or a count; rounded up.
const NECK: usize = 8;

/// Writes one record. What is in front of key, value and headers is put together on the stack, the length last.
#[inline]
pub(crate) fn write_record(out: &mut BytesMut, timestamp_delta: i64, offset_delta: i32, record: &RecordRef<'_>) {
    let (mut head, mut head_len) = ([0; HEAD], 1); // attributes, 0: none are defined
    put_varlong(&mut head, &mut head_len, timestamp_delta);
    put_varlong(&mut head, &mut head_len, i64::from(offset_delta));
    put_varlong(&mut head, &mut head_len, i64::from(len_of(record.key)));
    let (mut neck, mut neck_len) = ([0; NECK], 0);
    put_varlong(&mut neck, &mut neck_len, i64::from(len_of(record.value)));
    let (mut tail, mut tail_len) = ([0; NECK], 0);
    put_varlong(&mut tail, &mut tail_len, record.headers.count() as i64);
    let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());

    let body = head_len + key.len() + neck_len + value.len() + tail_len + record.headers.wire_len();
    assert!(out.len() + body + MAX_VARINT <= i32::MAX as usize, "a record batch cannot exceed 2 GiB");
    let (mut length, mut length_len) = ([0; NECK], 0);
    put_varlong(&mut length, &mut length_len, body as i64);

    // With room to spare the parts are copied with their padding, which is cut off again: a copy of a constant size is
    // two moves, one of a few bytes is a call.
    let padded = out.capacity() - out.len() >= body + MAX_VARINT + HEAD;
    if !padded {
        out.reserve(body + MAX_VARINT);
    }
    put_part(out, &length, length_len, padded);
    put_part(out, &head, head_len, padded);
    if !key.is_empty() {
        out.extend_from_slice(key);
    }
    put_part(out, &neck, neck_len, padded);
    out.extend_from_slice(value);
    put_part(out, &tail, tail_len, padded);
    if !matches!(record.headers, Headers::None) {
        record.headers.write(out);
    }
}

#[inline(always)]
fn put_part<const N: usize>(out: &mut BytesMut, part: &[u8; N], used: usize, padded: bool) {
    if padded {
        let end = out.len() + used;
        out.extend_from_slice(part);
        out.truncate(end);
    } else {
        out.extend_from_slice(&part[..used]);
    }
}

fn len_of(field: Option<&[u8]>) -> i32 {
    field.map_or(-1, |field| field.len() as i32)
}
