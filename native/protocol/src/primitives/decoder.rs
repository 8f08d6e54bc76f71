//! Reads Kafka's types from one block of bytes, without copying what can be sliced.
//! It never panics, and checks a length or count against the bytes that are left before it allocates.
//! Driven by generated code; every method takes the field's name, which is only used in an error.

use super::{Uuid, varint};
use crate::{DecodeError, DecodeErrorKind as Kind, RawTaggedField};
use bytes::Bytes;

type Result<T> = std::result::Result<T, DecodeError>;

/// A cursor over [`Bytes`].
#[derive(Clone, Debug)]
pub struct Decoder {
    bytes: Bytes,
    at: usize,
    end: usize,
}

macro_rules! fixed {
    ($($name:ident $type:ty)*) => {$(
        #[doc = concat!("Reads a big-endian `", stringify!($type), "`.")]
        #[inline]
        pub fn $name(&mut self, field: &'static str) -> Result<$type> {
            const SIZE: usize = size_of::<$type>();
            match self.rest().first_chunk::<SIZE>() {
                Some(bytes) => {
                    let value = <$type>::from_be_bytes(*bytes);
                    self.at += SIZE;
                    Ok(value)
                }
                None => Err(self.truncated(field, SIZE)),
            }
        }
    )*};
}

impl Decoder {
    /// Starts at the first byte.
    pub fn new(bytes: Bytes) -> Self {
        let end = bytes.len();
        Decoder { bytes, at: 0, end }
    }

    /// Bytes read so far: the offset that errors name.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Bytes left.
    pub fn remaining(&self) -> usize {
        self.end - self.at
    }

    /// Fails unless everything has been read.
    pub fn finish(&self) -> Result<()> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(DecodeError::new(Kind::TrailingBytes(left), self.at)),
        }
    }

    fixed! { i8 i8  i16 i16  u16 u16  i32 i32  u32 u32  i64 i64  f64 f64 }

    /// Reads a byte; anything but 0 is true, as in Kafka.
    #[inline]
    pub fn bool(&mut self, field: &'static str) -> Result<bool> {
        Ok(self.i8(field)? != 0)
    }

    /// Reads 16 bytes.
    #[inline]
    pub fn uuid(&mut self, field: &'static str) -> Result<Uuid> {
        match self.rest().first_chunk::<16>() {
            Some(bytes) => {
                let value = Uuid(*bytes);
                self.at += 16;
                Ok(value)
            }
            None => Err(self.truncated(field, 16)),
        }
    }

    /// Reads an unsigned varint of 32 bits.
    #[inline]
    pub fn varint(&mut self, field: &'static str) -> Result<u32> {
        match varint::read_u32(self.rest()) {
            Some((value, used)) => {
                self.at += used;
                Ok(value)
            }
            None => Err(self.bad_varint(field)),
        }
    }

    /// Reads `size` bytes as a slice of the input.
    pub fn take(&mut self, field: &'static str, size: usize) -> Result<Bytes> {
        if size > self.remaining() {
            return Err(self.truncated(field, size));
        }
        let slice = self.bytes.slice(self.at..self.at + size);
        self.at += size;
        Ok(slice)
    }

    /// Reads a string.
    pub fn string(&mut self, field: &'static str, flexible: bool) -> Result<String> {
        let start = self.at;
        self.string_opt(field, flexible, true)?.ok_or_else(|| null(field, start))
    }

    /// Reads a string that may be null where `nullable`.
    pub fn string_opt(&mut self, field: &'static str, flexible: bool, nullable: bool) -> Result<Option<String>> {
        let start = self.at;
        let length = if flexible { i64::from(self.varint(field)?) - 1 } else { i64::from(self.i16(field)?) };
        let Some(length) = self.length(field, start, length, nullable)? else { return Ok(None) };
        if length > i16::MAX as usize {
            return Err(error(Kind::InvalidLength(length as i64), start, field));
        }
        let text = std::str::from_utf8(&self.rest()[..length]).map_err(|_| error(Kind::InvalidUtf8, self.at, field))?;
        let text = text.to_owned();
        self.at += length;
        Ok(Some(text))
    }

    /// Reads bytes.
    pub fn bytes(&mut self, field: &'static str, flexible: bool) -> Result<Bytes> {
        let start = self.at;
        self.bytes_opt(field, flexible, true)?.ok_or_else(|| null(field, start))
    }

    /// Reads bytes that may be null where `nullable`.
    pub fn bytes_opt(&mut self, field: &'static str, flexible: bool, nullable: bool) -> Result<Option<Bytes>> {
        let start = self.at;
        let length = self.long_length(field, flexible)?;
        let Some(length) = self.length(field, start, length, nullable)? else { return Ok(None) };
        self.take(field, length).map(Some)
    }

    /// Reads an array; an element takes at least `min_size` bytes.
    pub fn array<T>(
        &mut self,
        field: &'static str,
        flexible: bool,
        min_size: usize,
        element: impl FnMut(&mut Decoder) -> Result<T>,
    ) -> Result<Vec<T>> {
        let start = self.at;
        self.array_opt(field, flexible, true, min_size, element)?.ok_or_else(|| null(field, start))
    }

    /// Reads an array that may be null where `nullable`; an element takes at least `min_size` bytes.
    pub fn array_opt<T>(
        &mut self,
        field: &'static str,
        flexible: bool,
        nullable: bool,
        min_size: usize,
        mut element: impl FnMut(&mut Decoder) -> Result<T>,
    ) -> Result<Option<Vec<T>>> {
        let Some(count) = self.count(field, flexible, nullable, min_size)? else { return Ok(None) };
        // An element in memory is larger than on the wire: what is reserved up front stays below the bytes present.
        let mut elements = Vec::with_capacity(count.min(self.remaining() / size_of::<T>().max(1) + 1));
        for index in 0..count {
            elements.push(element(self).map_err(|e| e.inside(field, Some(index)))?);
        }
        Ok(Some(elements))
    }

    /// Reads a struct.
    pub fn object<T>(&mut self, field: &'static str, read: impl FnOnce(&mut Decoder) -> Result<T>) -> Result<T> {
        read(self).map_err(|e| e.inside(field, None))
    }

    /// Reads a struct that, where `nullable`, a byte in front says to be there or not (KIP-893).
    pub fn object_opt<T>(
        &mut self,
        field: &'static str,
        nullable: bool,
        read: impl FnOnce(&mut Decoder) -> Result<T>,
    ) -> Result<Option<T>> {
        if nullable && self.i8(field)? < 0 {
            return Ok(None);
        }
        self.object(field, read).map(Some)
    }

    /// The same in a tagged field, where the byte is a varint: 0 is none.
    pub fn object_opt_tagged<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Decoder) -> Result<T>,
    ) -> Result<Option<T>> {
        if self.varint(field)? == 0 {
            return Ok(None);
        }
        self.object(field, read).map(Some)
    }

    /// Reads the tagged fields at the end of a struct. `known` reads a field into its place and says whether it knew
    /// the tag; the others are returned. A field must fill its size exactly.
    #[inline]
    pub fn tags(&mut self, mut known: impl FnMut(&mut Decoder, u32) -> Result<bool>) -> Result<Vec<RawTaggedField>> {
        // Most structs have none.
        if self.rest().first() == Some(&0) {
            self.at += 1;
            return Ok(Vec::new());
        }
        self.some_tags(&mut known)
    }

    /// Exists once, not once for each struct.
    fn some_tags(&mut self, known: &mut dyn FnMut(&mut Decoder, u32) -> Result<bool>) -> Result<Vec<RawTaggedField>> {
        let mut unknown = Vec::new();
        let mut previous = None;
        for _ in 0..self.varint("tagged_fields")? {
            let start = self.at;
            let tag = self.varint("tagged_fields")?;
            if previous.is_some_and(|p| tag <= p) {
                return Err(error(Kind::InvalidTagOrder(tag), start, "tagged_fields"));
            }
            previous = Some(tag);
            let size = self.varint("tagged_fields")? as usize;
            if size > self.remaining() {
                return Err(self.truncated("tagged_fields", size));
            }
            let outer_end = std::mem::replace(&mut self.end, self.at + size);
            if !known(self, tag)? {
                unknown.push(RawTaggedField { tag, data: self.take("tagged_fields", size)? });
            }
            self.finish().map_err(|e| e.inside("tagged_fields", Some(tag as usize)))?;
            self.end = outer_end;
        }
        Ok(unknown)
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..self.end]
    }

    fn long_length(&mut self, field: &'static str, flexible: bool) -> Result<i64> {
        Ok(if flexible { i64::from(self.varint(field)?) - 1 } else { i64::from(self.i32(field)?) })
    }

    /// Checks a length of bytes against what is left; −1 is null.
    fn length(&self, field: &'static str, start: usize, length: i64, nullable: bool) -> Result<Option<usize>> {
        match usize::try_from(length) {
            Ok(length) if length <= self.remaining() => Ok(Some(length)),
            Ok(length) => Err(self.truncated(field, length)),
            Err(_) if length == -1 && nullable => Ok(None),
            Err(_) if length == -1 => Err(null(field, start)),
            Err(_) => Err(error(Kind::InvalidLength(length), start, field)),
        }
    }

    fn count(&mut self, field: &'static str, flexible: bool, nullable: bool, min_size: usize) -> Result<Option<usize>> {
        let start = self.at;
        let count = self.long_length(field, flexible)?;
        let remaining = self.remaining();
        match usize::try_from(count) {
            Ok(count) if count <= remaining / min_size.max(1) => Ok(Some(count)),
            Ok(count) => Err(error(Kind::InvalidCount { count: count as u64, remaining }, start, field)),
            Err(_) if count == -1 && nullable => Ok(None),
            Err(_) if count == -1 => Err(null(field, start)),
            Err(_) => Err(error(Kind::InvalidLength(count), start, field)),
        }
    }

    #[cold]
    fn truncated(&self, field: &'static str, needed: usize) -> DecodeError {
        error(Kind::Truncated { needed, remaining: self.remaining() }, self.at, field)
    }

    #[cold]
    fn bad_varint(&self, field: &'static str) -> DecodeError {
        let rest = self.rest();
        if rest.len() < 5 && rest.iter().all(|b| *b >= 0x80) {
            return self.truncated(field, rest.len() + 1);
        }
        error(Kind::InvalidVarint, self.at, field)
    }
}

#[cold]
fn error(kind: Kind, offset: usize, field: &'static str) -> DecodeError {
    DecodeError::new(kind, offset).inside(field, None)
}

#[cold]
fn null(field: &'static str, offset: usize) -> DecodeError {
    error(Kind::UnexpectedNull, offset, field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(bytes: &'static [u8]) -> Decoder {
        Decoder::new(Bytes::from_static(bytes))
    }

    #[test]
    fn an_error_names_the_field_path_and_the_byte() {
        let mut d = decoder(&[0, 0, 0, 2, 0, 1, b'a', 0, 9]);
        let error = d.array("topics", false, 2, |d| d.object("", |d| d.string("name", false))).unwrap_err();
        assert_eq!(error.to_string(), "topics[1].name at byte 9: needs 9 bytes, 0 are left");
    }

    #[test]
    fn a_count_that_cannot_fit_is_refused_before_anything_is_allocated() {
        let error = decoder(&[0x7f, 0xff, 0xff, 0xff, 1, 2, 3]).array("ids", false, 4, |d| d.i32("")).unwrap_err();
        assert_eq!(error.kind(), &Kind::InvalidCount { count: 0x7fff_ffff, remaining: 3 });
    }

    #[test]
    fn negative_lengths_below_null_are_invalid_and_null_needs_permission() {
        let read = |bytes| decoder(bytes).string_opt("s", false, true);
        assert_eq!(read(&[0xff, 0xff]), Ok(None));
        assert_eq!(read(&[0xff, 0xfe]).unwrap_err().kind(), &Kind::InvalidLength(-2));
        assert_eq!(decoder(&[0xff, 0xff]).string("s", false).unwrap_err().kind(), &Kind::UnexpectedNull);
        assert_eq!(decoder(&[0]).bytes("b", true).unwrap_err().kind(), &Kind::UnexpectedNull);
    }

    #[test]
    fn text_must_be_utf8_and_varints_must_end() {
        assert_eq!(decoder(&[0, 1, 0xff]).string("s", false).unwrap_err().kind(), &Kind::InvalidUtf8);
        assert_eq!(decoder(&[0xff; 6]).varint("n").unwrap_err().kind(), &Kind::InvalidVarint);
        assert!(matches!(decoder(&[0xff]).varint("n").unwrap_err().kind(), Kind::Truncated { .. }));
    }

    #[test]
    fn tags_must_ascend_and_fill_their_size() {
        let unknown = |_: &mut Decoder, _| Ok(false);
        assert_eq!(decoder(&[2, 1, 1, 7, 3, 0]).tags(unknown).unwrap().len(), 2);
        assert_eq!(decoder(&[2, 1, 0, 1, 0]).tags(unknown).unwrap_err().kind(), &Kind::InvalidTagOrder(1));
        let short = decoder(&[1, 0, 2, 1, 1]).tags(|d, _| d.i8("x").map(|_| true));
        assert_eq!(short.unwrap_err().kind(), &Kind::TrailingBytes(1));
        assert!(matches!(decoder(&[1, 0, 9]).tags(unknown).unwrap_err().kind(), Kind::Truncated { .. }));
    }
}
