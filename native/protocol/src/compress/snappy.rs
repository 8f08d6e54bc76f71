//! snappy in Xerial's framing, which Java writes, or raw, which others write.
//!
//! Xerial: 8 bytes of magic, two version numbers, then blocks of (big-endian length, raw snappy). Its magic cannot start a
//! raw stream of any sensible size.

use super::{CompressError, Compression, Sink, room};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
/// What Java's SnappyOutputStream uses.
const BLOCK: usize = 32 * 1024;
/// The densest element, a copy of 64 bytes in 3, bounds what a block can become.
const MAX_RATIO: usize = 22;

pub(super) struct Writer(snap::raw::Encoder);

impl Default for Writer {
    fn default() -> Self {
        Self(snap::raw::Encoder::new())
    }
}

impl Writer {
    pub(super) fn compress(&mut self, input: &[u8], scratch: &mut Vec<u8>) -> Result<usize, CompressError> {
        let blocks = input.len().div_ceil(BLOCK);
        let bound = HEADER.len() + blocks * (4 + snap::raw::max_compress_len(BLOCK));
        let out = room(scratch, bound);
        out[..HEADER.len()].copy_from_slice(&HEADER);
        let mut used = HEADER.len();
        for block in input.chunks(BLOCK) {
            let len = self
                .0
                .compress(block, &mut out[used + 4..])
                .map_err(|_| CompressError::Failed { codec: Compression::Snappy, reason: "no space" })?;
            out[used..used + 4].copy_from_slice(&(len as u32).to_be_bytes());
            used += 4 + len;
        }
        Ok(used)
    }
}

pub(super) fn decompress(input: &[u8], sink: &mut Sink<'_>) -> Result<(), CompressError> {
    if !input.starts_with(&MAGIC) {
        return block(input, 0, sink);
    }
    let mut position = 0;
    while position < input.len() {
        // Streams may be concatenated: the header can come again where a block's length would stand.
        if input[position..].starts_with(&MAGIC) {
            if input.len() - position < HEADER.len() {
                return Err(sink.truncated("Xerial header", position));
            }
            position += HEADER.len();
            continue;
        }
        let Some((len, rest)) = input[position..].split_first_chunk::<4>() else {
            return Err(sink.truncated("Block length", position));
        };
        let len = usize::try_from(i32::from_be_bytes(*len)).map_err(|_| sink.corrupt("Block length", position))?;
        let Some(bytes) = rest.get(..len) else {
            return Err(sink.truncated("Block", position + 4));
        };
        if len > 0 {
            block(bytes, position + 4, sink)?;
        }
        position += 4 + len;
    }
    Ok(())
}

fn block(bytes: &[u8], offset: usize, sink: &mut Sink<'_>) -> Result<(), CompressError> {
    if bytes.is_empty() {
        return Err(sink.truncated("Block", offset));
    }
    let len = snap::raw::decompress_len(bytes).map_err(|_| sink.corrupt("Uncompressed length", offset))?;
    if len > bytes.len().saturating_mul(MAX_RATIO) {
        return Err(sink.corrupt("Uncompressed length", offset));
    }
    if len > sink.left() {
        return Err(sink.too_large());
    }
    sink.fill(len, |out| snap::raw::Decoder::new().decompress(bytes, out)).map_err(|error| {
        let field = match error {
            snap::Error::Literal { .. } => "Literal",
            snap::Error::CopyRead { .. } | snap::Error::CopyWrite { .. } | snap::Error::Offset { .. } => "Copy",
            _ => "Block",
        };
        sink.corrupt(field, offset)
    })
}
