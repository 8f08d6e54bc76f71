//! gzip by libdeflate, whole buffers at once.
//!
//! libdeflate neither says how much input a member took nor grows its output: when a second member is possible, or the
//! size in the trailer does not fit, flate2 reads the input as a stream. Both verify the CRC-32 of each member.

use std::io::{ErrorKind, Read};

use super::{CompressError, Compression, Sink, room};

const DEFAULT_LEVEL: i32 = 6;
/// The shortest member: 10 bytes of header, 2 of deflate, 8 of trailer.
const MIN_MEMBER: usize = 20;
/// Deflate cannot expand further than this.
const MAX_RATIO: usize = 1032;
const STEP: usize = 64 * 1024;

pub(super) struct Writer(libdeflater::Compressor);

impl Writer {
    pub(super) fn new(level: Option<i32>) -> Self {
        // Checked against 1..=9, all of which libdeflate has.
        let level = libdeflater::CompressionLvl::new(level.unwrap_or(DEFAULT_LEVEL)).unwrap_or_default();
        Self(libdeflater::Compressor::new(level))
    }

    pub(super) fn compress(&mut self, input: &[u8], scratch: &mut Vec<u8>) -> Result<usize, CompressError> {
        let bound = self.0.gzip_compress_bound(input.len());
        self.0
            .gzip_compress(input, room(scratch, bound))
            .map_err(|_| CompressError::Failed { codec: Compression::Gzip, reason: "no space" })
    }
}

#[derive(Default)]
pub(super) struct Reader(Option<libdeflater::Decompressor>);

impl Reader {
    pub(super) fn decompress(&mut self, input: &[u8], sink: &mut Sink<'_>) -> Result<(), CompressError> {
        if input.len() < MIN_MEMBER {
            return Err(sink.truncated("Member", 0));
        }
        if let Some(size) = single_member_size(input)
            && size <= sink.left()
        {
            let decompressor = self.0.get_or_insert_with(libdeflater::Decompressor::new);
            let done = sink.fill(size, |out| match decompressor.gzip_decompress(input, out) {
                Ok(used) if used == size => Ok(used),
                _ => Err(()),
            });
            if done.is_ok() {
                return Ok(());
            }
        }
        stream(input, sink)
    }
}

/// The size that the trailer states, if the input can only be one member and can become that large. A member of its own
/// has to start with these three bytes, so their absence is proof.
fn single_member_size(input: &[u8]) -> Option<usize> {
    let mut rest = &input[3..];
    while let Some(at) = rest.iter().position(|&byte| byte == 0x1f) {
        rest = &rest[at + 1..];
        if rest.starts_with(&[0x8b, 0x08]) {
            return None;
        }
    }
    let size = u32::from_le_bytes(*input.last_chunk()?) as usize;
    (size <= input.len().saturating_mul(MAX_RATIO)).then_some(size)
}

/// Any number of members, read step by step; finds out what exactly is wrong with a bad one.
fn stream(input: &[u8], sink: &mut Sink<'_>) -> Result<(), CompressError> {
    let mut decoder = flate2::bufread::MultiGzDecoder::new(input);
    loop {
        // One byte more than allowed tells "exactly full" from "too much".
        if sink.left() == 0 {
            return match decoder.read(&mut [0]) {
                Ok(0) => Ok(()),
                Ok(_) => Err(sink.too_large()),
                Err(error) => Err(classify(&error, input.len() - decoder.get_ref().len(), sink)),
            };
        }
        let mut used = 0;
        let result = sink.fill(STEP, |out| decoder.read(out).inspect(|&read| used = read));
        match result {
            Ok(()) if used == 0 => return Ok(()),
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(classify(&error, input.len() - decoder.get_ref().len(), sink)),
        }
    }
}

fn classify(error: &std::io::Error, offset: usize, sink: &Sink<'_>) -> CompressError {
    match error.kind() {
        ErrorKind::UnexpectedEof => sink.truncated("Member", offset),
        ErrorKind::InvalidInput => sink.corrupt("Member header or checksum", offset),
        _ => sink.corrupt("Deflate data", offset),
    }
}
