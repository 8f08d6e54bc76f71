//! LZ4 frames over lz4_flex's block functions.
//!
//! Written: independent blocks of 64 KiB, no checksums but the header's, as Java's reader wants them. Read: any valid
//! frame, one or several, with dependent blocks, content size, checksums and skippable frames; dictionaries have no place here.

use std::hash::Hasher;

use lz4_flex::block::{CompressTable, DecompressError, compress_into_with_table, get_maximum_output_size};
use twox_hash::XxHash32;

use super::{CompressError, Compression, Sink, room};

const MAGIC: u32 = 0x184d_2204;
const SKIPPABLE: u32 = 0x184d_2a50;
/// Magic, version 1 with independent blocks, blocks of 64 KiB, and the checksum of those two bytes.
const HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
const BLOCK: usize = 64 * 1024;
const PLAIN_BLOCK: u32 = 1 << 31;
/// A dependent block refers back this far at most.
const WINDOW: usize = 64 * 1024;
/// A byte of match length stands for at most 255 bytes.
const MAX_RATIO: usize = 255;

/// From here on a table of 32-bit entries is the faster one, by a fifth (measured on JSON); it is larger to clear.
const LARGE_TABLE: usize = 4 * 1024;

pub(super) struct Writer {
    small: CompressTable,
    large: CompressTable,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { small: CompressTable::small(), large: CompressTable::large() }
    }

    pub(super) fn compress(&mut self, input: &[u8], scratch: &mut Vec<u8>) -> Result<usize, CompressError> {
        let blocks = input.len().div_ceil(BLOCK);
        let bound = HEADER.len() + blocks * (4 + get_maximum_output_size(BLOCK)) + 4;
        let out = room(scratch, bound);
        out[..HEADER.len()].copy_from_slice(&HEADER);
        let mut used = HEADER.len();
        for block in input.chunks(BLOCK) {
            let table = if block.len() < LARGE_TABLE { &mut self.small } else { &mut self.large };
            let len = compress_into_with_table(block, &mut out[used + 4..], table)
                .map_err(|_| CompressError::Failed { codec: Compression::Lz4, reason: "no space" })?;
            let (size, len) = if len < block.len() {
                (len as u32, len)
            } else {
                out[used + 4..used + 4 + block.len()].copy_from_slice(block);
                (block.len() as u32 | PLAIN_BLOCK, block.len())
            };
            out[used..used + 4].copy_from_slice(&size.to_le_bytes());
            used += 4 + len;
        }
        out[used..used + 4].fill(0); // end mark
        Ok(used + 4)
    }
}

/// `header_checksum` is false for magic 0 message sets, whose writers computed it over the wrong bytes.
pub(super) fn decompress(input: &[u8], sink: &mut Sink<'_>, header_checksum: bool) -> Result<(), CompressError> {
    let mut cursor = Cursor { input, position: 0 };
    loop {
        let start = cursor.position;
        let magic = cursor.u32("Magic", sink)?;
        if magic & !0x0f == SKIPPABLE {
            let len = cursor.u32("Skippable frame", sink)? as usize;
            cursor.take(len, "Skippable frame", sink)?;
        } else if magic == MAGIC {
            let header = Header::read(&mut cursor, sink, header_checksum)?;
            header.frame(&mut cursor, sink)?;
        } else {
            return Err(sink.corrupt("Magic", start));
        }
        if cursor.position == input.len() {
            return Ok(());
        }
    }
}

struct Header {
    independent: bool,
    block_checksum: bool,
    content_checksum: bool,
    content_size: Option<u64>,
    max_block: usize,
}

impl Header {
    fn read(cursor: &mut Cursor<'_>, sink: &Sink<'_>, header_checksum: bool) -> Result<Self, CompressError> {
        let start = cursor.position;
        let [flags, descriptor] = *cursor.array::<2>("Frame descriptor", sink)?;
        if flags >> 6 != 1 || flags & 0x02 != 0 {
            return Err(sink.corrupt("Flags", start));
        }
        if flags & 0x01 != 0 {
            return Err(sink.unsupported("a dictionary", start));
        }
        if descriptor & 0x8f != 0 || descriptor >> 4 < 4 {
            return Err(sink.corrupt("Block size", start + 1));
        }
        let content_size = match flags & 0x08 {
            0 => None,
            _ => Some(u64::from_le_bytes(*cursor.array("Content size", sink)?)),
        };
        let described = &cursor.input[start..cursor.position];
        let [checksum] = *cursor.array::<1>("Header checksum", sink)?;
        if header_checksum && checksum != (xxh32(described) >> 8) as u8 {
            return Err(sink.checksum("Header checksum", cursor.position - 1));
        }
        Ok(Self {
            independent: flags & 0x20 != 0,
            block_checksum: flags & 0x10 != 0,
            content_checksum: flags & 0x04 != 0,
            content_size,
            max_block: 1 << (8 + 2 * (descriptor >> 4)),
        })
    }

    fn frame(&self, cursor: &mut Cursor<'_>, sink: &mut Sink<'_>) -> Result<(), CompressError> {
        sink.reserve(self.bound(*cursor));
        let frame_start = sink.out.len();
        loop {
            let start = cursor.position;
            let size = cursor.u32("Block size", sink)?;
            if size == 0 {
                break;
            }
            let len = (size & !PLAIN_BLOCK) as usize;
            if len > self.max_block {
                return Err(sink.corrupt("Block size", start));
            }
            let block = cursor.take(len, "Block", sink)?;
            if self.block_checksum {
                let at = cursor.position;
                if cursor.u32("Block checksum", sink)? != xxh32(block) {
                    return Err(sink.checksum("Block checksum", at));
                }
            }
            if size & PLAIN_BLOCK != 0 {
                sink.copy(block)?;
            } else {
                self.block(block, start + 4, frame_start, sink)?;
            }
        }
        let content = sink.out.len() - frame_start;
        if self.content_size.is_some_and(|size| size != content as u64) {
            return Err(sink.corrupt("Content size", cursor.position));
        }
        if self.content_checksum {
            let at = cursor.position;
            if cursor.u32("Content checksum", sink)? != xxh32(&sink.out[frame_start..]) {
                return Err(sink.checksum("Content checksum", at));
            }
        }
        Ok(())
    }

    fn block(&self, block: &[u8], offset: usize, frame_start: usize, sink: &mut Sink<'_>) -> Result<(), CompressError> {
        let cap = self.max_block.min(block.len() * MAX_RATIO);
        let (left, end) = (sink.left(), sink.out.len());
        let limited = cap > left;
        let (before, fresh) = sink.out.split(cap.min(left));
        let result = if self.independent {
            lz4_flex::block::decompress_into(block, fresh)
        } else {
            let window = frame_start.max(end.saturating_sub(WINDOW));
            lz4_flex::block::decompress_into_with_dict(block, fresh, &before[window..])
        };
        match result {
            Ok(used) => {
                sink.out.grow(used);
                Ok(())
            }
            Err(DecompressError::OutputTooSmall { .. }) if limited => Err(sink.too_large()),
            Err(DecompressError::OffsetOutOfBounds | DecompressError::OffsetZero) => {
                Err(sink.corrupt("Match offset", offset))
            }
            Err(_) => Err(sink.corrupt("Block", offset)),
        }
    }

    /// What the blocks that are there can become at most: close to the truth, since only the last one is not full.
    fn bound(&self, mut cursor: Cursor<'_>) -> usize {
        let mut bound = 0usize;
        while let Some((size, rest)) = cursor.input[cursor.position..].split_first_chunk::<4>() {
            let size = u32::from_le_bytes(*size);
            let len = (size & !PLAIN_BLOCK) as usize;
            if size == 0 || len > rest.len() {
                break;
            }
            bound += if size & PLAIN_BLOCK != 0 { len } else { self.max_block.min(len * MAX_RATIO) };
            cursor.position += 4 + len + if self.block_checksum { 4.min(rest.len() - len) } else { 0 };
        }
        bound
    }
}

#[derive(Clone, Copy)]
struct Cursor<'a> {
    input: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize, field: &'static str, sink: &Sink<'_>) -> Result<&'a [u8], CompressError> {
        let bytes = self.input[self.position..].get(..len).ok_or_else(|| sink.truncated(field, self.position))?;
        self.position += len;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self, field: &'static str, sink: &Sink<'_>) -> Result<&'a [u8; N], CompressError> {
        let array = self.input[self.position..].first_chunk().ok_or_else(|| sink.truncated(field, self.position))?;
        self.position += N;
        Ok(array)
    }

    fn u32(&mut self, field: &'static str, sink: &Sink<'_>) -> Result<u32, CompressError> {
        self.array(field, sink).map(|bytes| u32::from_le_bytes(*bytes))
    }
}

fn xxh32(bytes: &[u8]) -> u32 {
    let mut hasher = XxHash32::with_seed(0);
    hasher.write(bytes);
    hasher.finish() as u32
}
