//! Record headers in their three forms: a list, a language's packed form, and the wire.
//!
//! Nothing here allocates. Bridges hand in [`PackedHeaders`], the reader hands out [`WireHeaders`].

use super::RecordError;
use super::error::RecordErrorKind;
use super::varint::{VarintError, put_varlong, read_varint, varint_len};

/// The headers of a record that is about to be appended.
#[derive(Debug, Clone, Copy, Default)]
pub enum Headers<'a> {
    /// No headers.
    #[default]
    None,
    /// Name and value, in order.
    List(&'a [(&'a [u8], Option<&'a [u8]>)]),
    /// As packed by a language's edge.
    Packed(PackedHeaders<'a>),
    /// As read from another batch.
    Wire(WireHeaders<'a>),
}

impl<'a> Headers<'a> {
    /// How many headers there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        match self {
            Self::None => 0,
            Self::List(list) => list.len(),
            Self::Packed(packed) => packed.count as usize,
            Self::Wire(wire) => wire.count as usize,
        }
    }

    /// Bytes on the wire without the count in front.
    pub(crate) fn wire_len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::List(list) => list.iter().map(|&(name, value)| header_len(name, value)).sum(),
            Self::Packed(packed) => packed.wire_len,
            Self::Wire(wire) => wire.bytes.len(),
        }
    }

    pub(crate) fn write(&self, out: &mut bytes::BytesMut) {
        match self {
            Self::None => {}
            Self::List(list) => list.iter().for_each(|&(name, value)| write_header(out, name, value)),
            Self::Packed(packed) => packed.iter().for_each(|(name, value)| write_header(out, name, value)),
            Self::Wire(wire) => out.extend_from_slice(wire.bytes),
        }
    }
}

fn header_len(name: &[u8], value: Option<&[u8]>) -> usize {
    varint_len(name.len() as i32)
        + name.len()
        + value.map_or(varint_len(-1), |value| varint_len(value.len() as i32) + value.len())
}

fn write_header(out: &mut bytes::BytesMut, name: &[u8], value: Option<&[u8]>) {
    let (mut prefix, mut used) = ([0; 8], 0);
    put_varlong(&mut prefix, &mut used, name.len() as i64);
    out.extend_from_slice(&prefix[..used]);
    out.extend_from_slice(name);
    used = 0;
    put_varlong(&mut prefix, &mut used, value.map_or(-1, |value| value.len() as i64));
    out.extend_from_slice(&prefix[..used]);
    out.extend_from_slice(value.unwrap_or_default());
}

/// Headers as a language's edge packs them: `u32` count, then per header `u32` name length, name, `i32` value length
/// (−1 for null), value; all little-endian. Validated once by [`PackedHeaders::parse`], then read without checks that can fail.
#[derive(Debug, Clone, Copy)]
pub struct PackedHeaders<'a> {
    body: &'a [u8],
    count: u32,
    wire_len: usize,
}

impl<'a> PackedHeaders<'a> {
    /// Checks `bytes`, which must be exactly one packed list; no bytes at all are no headers.
    ///
    /// # Errors
    /// When a length runs over the end, a name is not UTF-8, or bytes are left over.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let Some((count, body)) = split_u32(bytes) else {
            if bytes.is_empty() {
                return Ok(Self { body: bytes, count: 0, wire_len: 0 });
            }
            return Err(RecordError::truncated("HeaderCount", 0, 4, bytes.len()));
        };
        let position = |rest: &[u8]| bytes.len() - rest.len();
        let (mut rest, mut wire_len) = (body, 0);
        // 8 bytes is the shortest header, so a false count ends the loop early instead of costing anything.
        for _ in 0..count {
            let (name_len, after) =
                split_u32(rest).ok_or_else(|| RecordError::truncated("HeaderName", position(rest), 4, rest.len()))?;
            let (name, after) = after
                .split_at_checked(name_len as usize)
                .ok_or_else(|| RecordError::truncated("HeaderName", position(after), name_len as usize, after.len()))?;
            if std::str::from_utf8(name).is_err() {
                return Err(RecordError::new(RecordErrorKind::Utf8, "HeaderName", position(rest) + 4));
            }
            let (value_len, after) = split_u32(after)
                .ok_or_else(|| RecordError::truncated("HeaderValue", position(after), 4, after.len()))?;
            let value;
            (value, rest) = match value_len as i32 {
                -1 => (None, after),
                len if len < 0 => {
                    return Err(RecordError::invalid("HeaderValue", position(after) - 4, i64::from(len)));
                }
                len => match after.split_at_checked(len as usize) {
                    Some((value, rest)) => (Some(value), rest),
                    None => {
                        return Err(RecordError::truncated("HeaderValue", position(after), len as usize, after.len()));
                    }
                },
            };
            wire_len += header_len(name, value);
        }
        if !rest.is_empty() {
            return Err(RecordError::new(RecordErrorKind::TrailingBytes(rest.len()), "Headers", position(rest)));
        }
        Ok(Self { body, count, wire_len })
    }

    /// How many headers there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count as usize
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let mut rest = self.body;
        (0..self.count).map_while(move |_| {
            let (name_len, after) = split_u32(rest)?;
            let (name, after) = after.split_at_checked(name_len as usize)?;
            let (value_len, after) = split_u32(after)?;
            if value_len as i32 == -1 {
                rest = after;
                return Some((name, None));
            }
            let (value, after) = after.split_at_checked(value_len as usize)?;
            rest = after;
            Some((name, Some(value)))
        })
    }
}

fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    bytes.split_first_chunk::<4>().map(|(head, rest)| (u32::from_le_bytes(*head), rest))
}

/// Headers as they stand in a batch, without the count in front. Made by the reader, which has checked every length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WireHeaders<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) count: u32,
}

impl<'a> WireHeaders<'a> {
    /// Checks `bytes` as exactly `count` headers in wire form, such as the header range of a chunk's index.
    ///
    /// # Errors
    /// When a length is impossible or bytes are left over.
    pub fn parse(bytes: &'a [u8], count: u32) -> Result<Self, RecordError> {
        let mut position = 0;
        skip_headers(bytes, &mut position, count)?;
        if position != bytes.len() {
            let kind = RecordErrorKind::TrailingBytes(bytes.len() - position);
            return Err(RecordError::new(kind, "Headers", position));
        }
        Ok(Self { bytes, count })
    }

    /// How many headers there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count as usize
    }

    /// The bytes in wire form.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Names and values, in order. A name is what the producer wrote: usually, not surely, UTF-8.
    #[must_use]
    pub const fn iter(&self) -> HeaderIter<'a> {
        HeaderIter { bytes: self.bytes, position: 0, left: self.count }
    }
}

/// Iterates over [`WireHeaders`].
#[derive(Debug, Clone)]
pub struct HeaderIter<'a> {
    bytes: &'a [u8],
    position: usize,
    left: u32,
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        // The lengths were checked when the headers were made; a failure could only end the list.
        let name = read_field(self.bytes, &mut self.position, "HeaderKey").ok()??;
        let value = read_field(self.bytes, &mut self.position, "HeaderValue").ok()?;
        Some((name, value))
    }
}

/// A header's name, and its value unless that is null.
pub type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// The first of headers in wire form, and what follows it; `None` when there is none, or none that is whole.
#[must_use]
pub fn split_first_header(bytes: &[u8]) -> Option<(Header<'_>, &[u8])> {
    let mut position = 0;
    let name = read_field(bytes, &mut position, "HeaderKey").ok()??;
    let value = read_field(bytes, &mut position, "HeaderValue").ok()?;
    Some(((name, value), &bytes[position..]))
}

/// Moves over `count` headers. A false count fails at the end of the bytes: it allocates nothing.
pub(crate) fn skip_headers(bytes: &[u8], position: &mut usize, count: u32) -> Result<(), RecordError> {
    for _ in 0..count {
        let start = *position;
        if read_field(bytes, position, "HeaderKey")?.is_none() {
            return Err(RecordError::invalid("HeaderKey", start, -1));
        }
        read_field(bytes, position, "HeaderValue")?;
    }
    Ok(())
}

/// A varint length (−1 is null) and that many bytes.
#[inline(always)]
pub(crate) fn read_field<'a>(
    bytes: &'a [u8],
    position: &mut usize,
    field: &'static str,
) -> Result<Option<&'a [u8]>, RecordError> {
    let start = *position;
    let len = read_varint(bytes, position).map_err(|error| varint_error(error, field, start))?;
    if len < 0 {
        return if len == -1 { Ok(None) } else { Err(RecordError::invalid(field, start, i64::from(len))) };
    }
    let end = *position + len as usize;
    match bytes.get(*position..end) {
        Some(slice) => {
            *position = end;
            Ok(Some(slice))
        }
        None => Err(RecordError::truncated(field, *position, len as usize, bytes.len().saturating_sub(*position))),
    }
}

#[cold]
pub(crate) fn varint_error(error: VarintError, field: &'static str, position: usize) -> RecordError {
    match error {
        VarintError::End => RecordError::truncated(field, position, 1, 0),
        VarintError::Long => RecordError::new(RecordErrorKind::Varint, field, position),
    }
}
