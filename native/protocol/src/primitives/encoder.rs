//! Writes Kafka's types into one growing buffer; large byte fields are linked in, not copied.
//! It writes no socket and knows no message.
//! Driven by generated code; fallible methods take `Struct.field`, which is only used in an error.

use super::{Uuid, varint};
use crate::{EncodeError, RawTaggedField};
use bytes::{BufMut, Bytes, BytesMut};

type Result<T> = std::result::Result<T, EncodeError>;

/// From this size on a byte field becomes a segment of its own.
const LINK_FROM: usize = 4096;

/// A buffer to encode into.
#[derive(Debug, Default)]
pub struct Encoder {
    own: BytesMut,
    /// Bytes that belong in front of `own[position]`; positions ascend.
    linked: Vec<(usize, Bytes)>,
    linked_len: usize,
}

/// What was encoded, in order, ready for a vectored write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments(pub Vec<Bytes>);

impl Segments {
    /// Bytes in all segments.
    pub fn total_len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// One contiguous copy (none is made when there is one segment).
    pub fn to_bytes(&self) -> Bytes {
        match self.0.as_slice() {
            [one] => one.clone(),
            many => many.concat().into(),
        }
    }
}

impl IntoIterator for Segments {
    type Item = Bytes;
    type IntoIter = std::vec::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

macro_rules! fixed {
    ($($name:ident $type:ty, $put:ident;)*) => {$(
        #[doc = concat!("Writes a big-endian `", stringify!($type), "`.")]
        #[inline]
        pub fn $name(&mut self, value: $type) {
            self.own.$put(value);
        }
    )*};
}

impl Encoder {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty one with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Encoder { own: BytesMut::with_capacity(capacity), ..Self::default() }
    }

    /// Bytes written so far, linked ones included.
    pub fn len(&self) -> usize {
        self.own.len() + self.linked_len
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was written.
    pub fn finish(mut self) -> Segments {
        let mut segments = Vec::with_capacity(self.linked.len() * 2 + 1);
        let mut done = 0;
        for (position, bytes) in self.linked {
            if position > done {
                segments.push(self.own.split_to(position - done).freeze());
                done = position;
            }
            segments.push(bytes);
        }
        if !self.own.is_empty() {
            segments.push(self.own.freeze());
        }
        Segments(segments)
    }

    /// Puts the number of bytes that follow the first four into those four.
    pub(crate) fn set_frame_length(&mut self) -> Result<()> {
        let length = self.len() - 4;
        let prefix = i32::try_from(length).map_err(|_| EncodeError::TooLong { field: "frame", length })?;
        self.own[..4].copy_from_slice(&prefix.to_be_bytes());
        Ok(())
    }

    fixed! {
        i8 i8, put_i8; i16 i16, put_i16; u16 u16, put_u16; i32 i32, put_i32; u32 u32, put_u32; i64 i64, put_i64;
        f64 f64, put_f64;
    }

    /// Writes 1 or 0.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.own.put_u8(u8::from(value));
    }

    /// Writes 16 bytes.
    #[inline]
    pub fn uuid(&mut self, value: Uuid) {
        self.own.put_slice(&value.0);
    }

    /// Writes an unsigned varint.
    #[inline]
    pub fn varint(&mut self, value: u32) {
        let mut out = [0; 10];
        let used = varint::write_u64(&mut out, u64::from(value));
        self.own.put_slice(&out[..used]);
    }

    /// Writes bytes as they are, without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.own.put_slice(bytes);
    }

    /// Writes a string.
    pub fn string(&mut self, field: &'static str, value: &str, flexible: bool) -> Result<()> {
        let length = value.len();
        if length > i16::MAX as usize {
            return Err(EncodeError::TooLong { field, length });
        }
        if flexible {
            self.varint(length as u32 + 1);
        } else {
            self.i16(length as i16);
        }
        self.raw(value.as_bytes());
        Ok(())
    }

    /// Writes a string, or null where `nullable`.
    pub fn string_opt(
        &mut self,
        field: &'static str,
        value: Option<&str>,
        flexible: bool,
        nullable: bool,
    ) -> Result<()> {
        match value {
            Some(value) => self.string(field, value, flexible),
            None if !nullable => Err(EncodeError::UnexpectedNull { field }),
            None => {
                if flexible {
                    self.varint(0)
                } else {
                    self.i16(-1)
                }
                Ok(())
            }
        }
    }

    /// Writes bytes; many are linked in, not copied.
    pub fn bytes(&mut self, field: &'static str, value: &Bytes, flexible: bool) -> Result<()> {
        self.array_len(field, value.len(), flexible)?;
        if value.len() < LINK_FROM {
            self.raw(value);
        } else {
            self.linked.push((self.own.len(), value.clone()));
            self.linked_len += value.len();
        }
        Ok(())
    }

    /// Writes bytes, or null where `nullable`.
    pub fn bytes_opt(
        &mut self,
        field: &'static str,
        value: Option<&Bytes>,
        flexible: bool,
        nullable: bool,
    ) -> Result<()> {
        match value {
            Some(value) => self.bytes(field, value, flexible),
            None => self.null(field, flexible, nullable),
        }
    }

    /// Writes the number of elements that follow.
    pub fn array_len(&mut self, field: &'static str, length: usize, flexible: bool) -> Result<()> {
        if length >= i32::MAX as usize {
            return Err(EncodeError::TooLong { field, length });
        }
        if flexible {
            self.varint(length as u32 + 1);
        } else {
            self.i32(length as i32);
        }
        Ok(())
    }

    /// Writes the number of elements, or null where `nullable`, and returns the elements that are to follow.
    pub fn array_opt<'a, T>(
        &mut self,
        field: &'static str,
        value: &'a Option<Vec<T>>,
        flexible: bool,
        nullable: bool,
    ) -> Result<&'a [T]> {
        match value {
            Some(value) => self.array_len(field, value.len(), flexible).map(|()| value.as_slice()),
            None => self.null(field, flexible, nullable).map(|()| [].as_slice()),
        }
    }

    /// Where `nullable`, writes the byte that says whether a struct follows (KIP-893); returns the struct.
    pub fn object_opt<'a, T>(
        &mut self,
        field: &'static str,
        value: &'a Option<T>,
        nullable: bool,
    ) -> Result<Option<&'a T>> {
        if value.is_none() && !nullable {
            return Err(EncodeError::UnexpectedNull { field });
        }
        if nullable {
            self.i8(if value.is_some() { 1 } else { -1 });
        }
        Ok(value.as_ref())
    }

    /// The same in a tagged field, where the byte is a varint: 0 is none.
    pub fn object_opt_tagged<'a, T>(&mut self, value: &'a Option<T>) -> Option<&'a T> {
        self.varint(value.is_some().into());
        value.as_ref()
    }

    /// Ends a struct that has no known tagged fields.
    pub fn tags(
        &mut self,
        message: &'static str,
        unknown: &[RawTaggedField],
        version: i16,
        flexible: bool,
    ) -> Result<()> {
        if flexible {
            return self.known_tags(message, unknown, 0).finish();
        }
        match unknown {
            [] => Ok(()),
            _ => Err(EncodeError::UnsupportedField { field: message, version }),
        }
    }

    /// Starts the tagged fields of a struct; `known` fields will be written besides the unknown ones.
    pub fn known_tags<'a>(
        &'a mut self,
        message: &'static str,
        unknown: &'a [RawTaggedField],
        known: usize,
    ) -> TagWriter<'a> {
        self.varint((unknown.len() + known) as u32);
        TagWriter { encoder: self, message, unknown, previous: None }
    }

    fn null(&mut self, field: &'static str, flexible: bool, nullable: bool) -> Result<()> {
        if !nullable {
            return Err(EncodeError::UnexpectedNull { field });
        }
        if flexible {
            self.varint(0)
        } else {
            self.i32(-1)
        }
        Ok(())
    }

    /// Puts the varint size of what was written since (`own`, `linked`) in front of it.
    fn insert_size(&mut self, own: usize, linked: usize) {
        let linked_size: usize = self.linked[linked..].iter().map(|(_, bytes)| bytes.len()).sum();
        let end = self.own.len();
        self.varint((end - own + linked_size) as u32);
        let used = self.own.len() - end;
        self.own[own..].rotate_right(used);
        for (position, _) in &mut self.linked[linked..] {
            *position += used;
        }
    }
}

/// Writes tagged fields in ascending order, the unknown ones in between.
pub struct TagWriter<'a> {
    encoder: &'a mut Encoder,
    message: &'static str,
    unknown: &'a [RawTaggedField],
    previous: Option<u32>,
}

impl TagWriter<'_> {
    /// Writes a known field; tags must ascend.
    pub fn field(&mut self, tag: u32, write: impl FnOnce(&mut Encoder) -> Result<()>) -> Result<()> {
        while self.unknown.first().is_some_and(|next| next.tag < tag) {
            self.unknown_field()?;
        }
        self.tag(tag)?;
        let (own, linked) = (self.encoder.own.len(), self.encoder.linked.len());
        write(self.encoder)?;
        self.encoder.insert_size(own, linked);
        Ok(())
    }

    /// Writes what is left of the unknown ones.
    pub fn finish(mut self) -> Result<()> {
        while !self.unknown.is_empty() {
            self.unknown_field()?;
        }
        Ok(())
    }

    fn unknown_field(&mut self) -> Result<()> {
        let Some((next, rest)) = self.unknown.split_first() else { return Ok(()) };
        self.unknown = rest;
        self.tag(next.tag)?;
        self.encoder.varint(next.data.len() as u32);
        self.encoder.raw(&next.data);
        Ok(())
    }

    fn tag(&mut self, tag: u32) -> Result<()> {
        if self.previous.is_some_and(|previous| tag <= previous) {
            return Err(EncodeError::InvalidTag { message: self.message, tag });
        }
        self.previous = Some(tag);
        self.encoder.varint(tag);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_bytes_are_linked_small_ones_copied() {
        let big = Bytes::from(vec![7; LINK_FROM]);
        let mut e = Encoder::new();
        e.bytes("a", &Bytes::from_static(b"xy"), false).unwrap();
        e.bytes("b", &big, true).unwrap();
        e.i8(1);
        let expected_len = e.len();
        let segments = e.finish();
        assert_eq!(segments.0.len(), 3);
        assert_eq!(segments.0[1].as_ptr(), big.as_ptr());
        assert_eq!((segments.total_len(), segments.to_bytes().len()), (expected_len, expected_len));
    }

    #[test]
    fn tagged_fields_are_sorted_sized_and_may_hold_linked_bytes() {
        let unknown = [RawTaggedField { tag: 1, data: Bytes::from_static(b"u") }];
        let big = Bytes::from(vec![7; LINK_FROM]);
        let mut e = Encoder::new();
        let mut tags = e.known_tags("M", &unknown, 2);
        tags.field(0, |e| e.string("s", "a", true)).unwrap();
        tags.field(2, |e| e.bytes("b", &big, true)).unwrap();
        tags.finish().unwrap();
        let mut d = crate::Decoder::new(e.finish().to_bytes());
        let read = d.tags(|_, _| Ok(false)).unwrap();
        assert_eq!(
            read.iter().map(|f| (f.tag, f.data.len())).collect::<Vec<_>>(),
            [(0, 2), (1, 1), (2, LINK_FROM + 2)]
        );
        d.finish().unwrap();
    }

    #[test]
    fn an_unknown_tag_that_collides_with_a_known_one_is_refused() {
        let unknown = [RawTaggedField { tag: 0, data: Bytes::new() }];
        let mut e = Encoder::new();
        let mut tags = e.known_tags("M", &unknown, 1);
        tags.field(0, |_| Ok(())).unwrap();
        assert_eq!(tags.finish(), Err(EncodeError::InvalidTag { message: "M", tag: 0 }));
    }

    #[test]
    fn null_and_length_limits_are_checked() {
        let mut e = Encoder::new();
        assert_eq!(e.string_opt("f", None, true, false), Err(EncodeError::UnexpectedNull { field: "f" }));
        let long = "x".repeat(0x8000);
        assert_eq!(e.string("f", &long, true), Err(EncodeError::TooLong { field: "f", length: 0x8000 }));
    }
}
