//! The four codecs of record batches.
//!
//! Whole buffers in, whole buffers out, with reused state and a cap on what comes out; no streams, no threads, and no
//! opinion on when to compress. The batch builder drives [`Compressor`], the reader [`Decompressor`].

mod gzip;
mod lz4;
mod output;
mod snappy;
mod zstd;

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

pub use output::Output;

/// A codec of record batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Records as they are.
    #[default]
    None,
    /// RFC 1952, one member when we write it, any number when we read it.
    Gzip,
    /// Xerial's framing when we write it; that or raw when we read it.
    Snappy,
    /// An LZ4 frame with independent blocks of 64 KiB when we write it; any valid frame when we read it.
    Lz4,
    /// Zstandard frames.
    Zstd,
}

impl Compression {
    /// All codecs, by number.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The number in a batch's attributes.
    #[must_use]
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The codec with this number.
    #[must_use]
    pub const fn from_id(id: u8) -> Option<Self> {
        if (id as usize) < Self::ALL.len() { Some(Self::ALL[id as usize]) } else { None }
    }

    /// The name, as in Kafka's `compression.type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The levels that Kafka's `compression.<codec>.level` allows; `None` for a codec without levels. For lz4 they are
    /// accepted and all mean the same: one fast effort.
    #[must_use]
    pub fn levels(self) -> Option<RangeInclusive<i32>> {
        match self {
            Self::None | Self::Snappy => None,
            Self::Gzip => Some(1..=9),
            Self::Lz4 => Some(1..=17),
            Self::Zstd => Some(zstd::levels()),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compression {
    type Err = CompressError;

    fn from_str(name: &str) -> Result<Self, CompressError> {
        Self::ALL.into_iter().find(|codec| codec.name() == name).ok_or(CompressError::UnknownCodec)
    }
}

/// The levels of a codec, as the end of an error.
fn allowed(codec: Compression) -> String {
    match codec.levels() {
        Some(levels) => format!(": it takes {} to {}", levels.start(), levels.end()),
        None => String::new(),
    }
}

/// What can go wrong in a codec. Offsets count from the first compressed byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompressError {
    /// No codec has this name.
    #[error("unknown codec: none, gzip, snappy, lz4 and zstd are known")]
    UnknownCodec,
    /// The codec has no such level.
    #[error("{codec} has no level {level}{}", allowed(*.codec))]
    InvalidLevel {
        /// The codec.
        codec: Compression,
        /// The level asked for.
        level: i32,
    },
    /// The input ends too early.
    #[error("{codec}: {field} at byte {offset} is cut off")]
    Truncated {
        /// The codec.
        codec: Compression,
        /// What was being read.
        field: &'static str,
        /// Where it starts.
        offset: usize,
    },
    /// The input is not what the codec writes.
    #[error("{codec}: {field} at byte {offset} is invalid")]
    Corrupt {
        /// The codec.
        codec: Compression,
        /// What was being read.
        field: &'static str,
        /// Where it starts.
        offset: usize,
    },
    /// A checksum inside the compressed data does not match.
    #[error("{codec}: {field} at byte {offset} does not match")]
    Checksum {
        /// The codec.
        codec: Compression,
        /// Which checksum.
        field: &'static str,
        /// Where it starts.
        offset: usize,
    },
    /// Valid, but needs something that Kafka never uses.
    #[error("{codec}: {feature} at byte {offset} is not supported")]
    Unsupported {
        /// The codec.
        codec: Compression,
        /// What it needs.
        feature: &'static str,
        /// Where it says so.
        offset: usize,
    },
    /// More would come out than the caller allows.
    #[error("{codec}: more than {limit} bytes when decompressed")]
    TooLarge {
        /// The codec.
        codec: Compression,
        /// The cap.
        limit: usize,
    },
    /// The codec failed while compressing, which only a lack of memory explains.
    #[error("{codec}: compression failed: {reason}")]
    Failed {
        /// The codec.
        codec: Compression,
        /// The codec's own words.
        reason: &'static str,
    },
}

/// Compresses batches one after the other, with state that is made once. One per thread or per producer.
pub struct Compressor {
    compression: Compression,
    state: State,
    // Grown, never shrunk: `..used` of it is the last result.
    scratch: Vec<u8>,
}

enum State {
    None,
    Gzip(gzip::Writer),
    Snappy(Box<snappy::Writer>),
    Lz4(lz4::Writer),
    Zstd(zstd::Writer),
}

impl Compressor {
    /// A compressor for `compression` at `level`, or at the codec's default level.
    ///
    /// # Errors
    /// [`CompressError::InvalidLevel`]; also when a level is given for a codec that has none.
    pub fn new(compression: Compression, level: Option<i32>) -> Result<Self, CompressError> {
        if let Some(level) = level
            && !compression.levels().is_some_and(|levels| levels.contains(&level))
        {
            return Err(CompressError::InvalidLevel { codec: compression, level });
        }
        let state = match compression {
            Compression::None => State::None,
            Compression::Gzip => State::Gzip(gzip::Writer::new(level)),
            Compression::Snappy => State::Snappy(Box::default()),
            Compression::Lz4 => State::Lz4(lz4::Writer::new()),
            Compression::Zstd => State::Zstd(zstd::Writer::new(level)?),
        };
        Ok(Self { compression, state, scratch: Vec::new() })
    }

    /// The codec.
    #[must_use]
    pub const fn compression(&self) -> Compression {
        self.compression
    }

    /// Compresses `input` as a whole. The result lives in the compressor until the next call.
    ///
    /// # Errors
    /// When the codec runs out of memory.
    pub fn compress<'a>(&'a mut self, input: &'a [u8]) -> Result<&'a [u8], CompressError> {
        let scratch = &mut self.scratch;
        let used = match &mut self.state {
            State::None => return Ok(input),
            State::Gzip(writer) => writer.compress(input, scratch)?,
            State::Snappy(writer) => writer.compress(input, scratch)?,
            State::Lz4(writer) => writer.compress(input, scratch)?,
            State::Zstd(writer) => writer.compress(input, scratch)?,
        };
        Ok(&self.scratch[..used])
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("compression", &self.compression).finish_non_exhaustive()
    }
}

/// Makes the first `len` bytes of `scratch` writable.
fn room(scratch: &mut Vec<u8>, len: usize) -> &mut [u8] {
    if scratch.len() < len {
        scratch.resize(len, 0);
    }
    &mut scratch[..len]
}

/// Decompresses batches one after the other, with state that is made when first needed. One per thread.
#[derive(Default)]
pub struct Decompressor {
    gzip: gzip::Reader,
    zstd: zstd::Reader,
}

impl Decompressor {
    /// A decompressor for all codecs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the decompressed `input`, all of it, to `out`; at most `max` bytes.
    ///
    /// Never allocates more than the blocks present in `input` can become.
    ///
    /// # Errors
    /// When the input is malformed or too much would come out; `out` is then as it was.
    pub fn decompress(
        &mut self,
        compression: Compression,
        input: &[u8],
        max: usize,
        out: &mut Output,
    ) -> Result<(), CompressError> {
        self.run(compression, input, max, out, true)
    }

    /// As [`Self::decompress`], for message sets: those of magic 0 have a wrong header checksum in lz4.
    pub(crate) fn decompress_legacy(
        &mut self,
        compression: Compression,
        magic: i8,
        input: &[u8],
        max: usize,
        out: &mut Output,
    ) -> Result<(), CompressError> {
        self.run(compression, input, max, out, magic != 0)
    }

    fn run(
        &mut self,
        compression: Compression,
        input: &[u8],
        max: usize,
        out: &mut Output,
        lz4_header_checksum: bool,
    ) -> Result<(), CompressError> {
        let start = out.len();
        let mut sink = Sink { codec: compression, out, start, max };
        let result = match compression {
            Compression::None => sink.copy(input),
            Compression::Gzip => self.gzip.decompress(input, &mut sink),
            Compression::Snappy => snappy::decompress(input, &mut sink),
            Compression::Lz4 => lz4::decompress(input, &mut sink, lz4_header_checksum),
            Compression::Zstd => self.zstd.decompress(input, &mut sink),
        };
        if result.is_err() {
            out.truncate(start);
        }
        result
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").finish_non_exhaustive()
    }
}

/// Where decompressed bytes go: the caller's buffer and its cap.
struct Sink<'a> {
    codec: Compression,
    out: &'a mut Output,
    start: usize,
    max: usize,
}

impl Sink<'_> {
    /// Bytes written so far.
    fn written(&self) -> usize {
        self.out.len() - self.start
    }

    /// Bytes that may still come.
    fn left(&self) -> usize {
        self.max - self.written()
    }

    fn too_large(&self) -> CompressError {
        CompressError::TooLarge { codec: self.codec, limit: self.max }
    }

    /// Reserves for about `bound` bytes, which the input was found able to become.
    fn reserve(&mut self, bound: usize) {
        self.out.reserve(bound.min(self.left()));
    }

    fn copy(&mut self, bytes: &[u8]) -> Result<(), CompressError> {
        if bytes.len() > self.left() {
            return Err(self.too_large());
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// Lets `fill` write into at most `len` fresh bytes, of which it says how many it used.
    fn fill<E>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<(), E> {
        let len = len.min(self.left());
        let used = fill(self.out.split(len).1)?;
        self.out.grow(used);
        Ok(())
    }

    fn truncated(&self, field: &'static str, offset: usize) -> CompressError {
        CompressError::Truncated { codec: self.codec, field, offset }
    }

    fn corrupt(&self, field: &'static str, offset: usize) -> CompressError {
        CompressError::Corrupt { codec: self.codec, field, offset }
    }

    fn checksum(&self, field: &'static str, offset: usize) -> CompressError {
        CompressError::Checksum { codec: self.codec, field, offset }
    }

    fn unsupported(&self, feature: &'static str, offset: usize) -> CompressError {
        CompressError::Unsupported { codec: self.codec, feature, offset }
    }
}

#[cfg(test)]
mod tests;
