//! Zstandard, whole buffers at once.
//!
//! Java does not write the content size, so the blocks are counted first: each is at most 128 KiB, which bounds the output
//! closely. One-shot decoding then needs no window buffer, whatever window a frame claims.

use std::ops::RangeInclusive;

use zstd::zstd_safe::{self, CCtx, CParameter, DCtx};

use super::{CompressError, Compression, Sink, room};

const MAGIC: u32 = 0xfd2f_b528;
const SKIPPABLE: u32 = 0x184d_2a50;
const MAX_BLOCK: usize = 128 * 1024;

/// What the default level looks matches up in: 192 KiB, which stay in a core's cache from one batch to the next. zstd's own
/// choice grows with the input, to 768 KiB, and for 128 to 256 KiB looks for matches of 4 bytes. Measured on batches of
/// 250 KiB: JSON a third less CPU and 10 % smaller, source code and prose 11 % less CPU and as small.
const SMALL_TABLES: [CParameter; 3] = [CParameter::MinMatch(5), CParameter::ChainLog(14), CParameter::HashLog(15)];

pub(super) fn levels() -> RangeInclusive<i32> {
    zstd_safe::min_c_level()..=zstd_safe::max_c_level()
}

pub(super) struct Writer(CCtx<'static>);

impl Writer {
    pub(super) fn new(level: Option<i32>) -> Result<Self, CompressError> {
        let mut context = CCtx::try_create().ok_or_else(|| failed(None))?;
        let level = level.unwrap_or(zstd_safe::CLEVEL_DEFAULT);
        let mut set = |parameter| context.set_parameter(parameter).map_err(|code| failed(Some(code)));
        set(CParameter::CompressionLevel(level))?;
        if level == zstd_safe::CLEVEL_DEFAULT {
            SMALL_TABLES.into_iter().try_for_each(|parameter| set(parameter).map(drop))?;
        }
        Ok(Self(context))
    }

    pub(super) fn compress(&mut self, input: &[u8], scratch: &mut Vec<u8>) -> Result<usize, CompressError> {
        let out = room(scratch, zstd_safe::compress_bound(input.len()));
        self.0.compress2(out, input).map_err(|code| failed(Some(code)))
    }
}

fn failed(code: Option<zstd_safe::ErrorCode>) -> CompressError {
    let reason = code.map_or("out of memory", zstd_safe::get_error_name);
    CompressError::Failed { codec: Compression::Zstd, reason }
}

#[derive(Default)]
pub(super) struct Reader(Option<DCtx<'static>>);

impl Reader {
    pub(super) fn decompress(&mut self, input: &[u8], sink: &mut Sink<'_>) -> Result<(), CompressError> {
        let bound = bound(input, sink)?;
        if self.0.is_none() {
            self.0 = DCtx::try_create();
        }
        let Some(context) = &mut self.0 else { return Err(failed(None)) };
        let limited = bound > sink.left();
        sink.fill(bound, |out| context.decompress(out, input)).map_err(|code| match zstd_safe::get_error_name(code) {
            "Destination buffer is too small" if limited => sink.too_large(),
            "Restored data doesn't match checksum" => sink.checksum("Content checksum", 0),
            "Dictionary mismatch" => sink.unsupported("a dictionary", 0),
            _ => sink.corrupt("Block", 0),
        })
    }
}

/// The most that the frames can become, from their headers and block headers alone.
fn bound(input: &[u8], sink: &Sink<'_>) -> Result<usize, CompressError> {
    let (mut position, mut bound) = (0, 0usize);
    loop {
        let magic = u32::from_le_bytes(*array(input, position, "Magic", sink)?);
        if magic & !0x0f == SKIPPABLE {
            let len = u32::from_le_bytes(*array(input, position + 4, "Skippable frame", sink)?) as usize;
            if len > input.len() - position - 8 {
                return Err(sink.truncated("Skippable frame", position));
            }
            position += 8 + len;
        } else if magic == MAGIC {
            bound = bound.saturating_add(frame(input, &mut position, sink)?);
        } else {
            return Err(sink.corrupt("Magic", position));
        }
        if position == input.len() {
            return Ok(bound);
        }
    }
}

fn frame(input: &[u8], position: &mut usize, sink: &Sink<'_>) -> Result<usize, CompressError> {
    let start = *position;
    let [descriptor] = *array::<1>(input, start + 4, "Frame header", sink)?;
    let single_segment = descriptor & 0x20 != 0;
    if descriptor & 0x08 != 0 {
        return Err(sink.corrupt("Frame header", start + 4));
    }
    let window = usize::from(!single_segment);
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 0x03)];
    let size = [usize::from(single_segment), 2, 4, 8][usize::from(descriptor >> 6)];
    let size_at = start + 5 + window + dictionary;
    let content = match size {
        0 => None,
        1 => Some(u64::from(array::<1>(input, size_at, "Content size", sink)?[0])),
        2 => Some(u64::from(u16::from_le_bytes(*array(input, size_at, "Content size", sink)?)) + 256),
        4 => Some(u64::from(u32::from_le_bytes(*array(input, size_at, "Content size", sink)?))),
        _ => Some(u64::from_le_bytes(*array(input, size_at, "Content size", sink)?)),
    };
    *position = size_at + size;
    let mut bound = 0usize;
    loop {
        let [a, b, c] = *array::<3>(input, *position, "Block header", sink)?;
        let header = u32::from_le_bytes([a, b, c, 0]);
        let size = (header >> 3) as usize;
        let (taken, becomes) = match (header >> 1) & 0x03 {
            0 => (size, size),
            1 => (1, size),
            2 => (size, MAX_BLOCK),
            _ => return Err(sink.corrupt("Block header", *position)),
        };
        if becomes > MAX_BLOCK {
            return Err(sink.corrupt("Block size", *position));
        }
        if taken > input.len() - *position - 3 {
            return Err(sink.truncated("Block", *position));
        }
        *position += 3 + taken;
        bound += becomes;
        if header & 1 != 0 {
            break;
        }
    }
    if descriptor & 0x04 != 0 {
        array::<4>(input, *position, "Content checksum", sink)?;
        *position += 4;
    }
    // A true content size is the exact answer; a false one makes the codec fail, not us allocate.
    Ok(content.and_then(|size| usize::try_from(size).ok()).map_or(bound, |size| size.min(bound)))
}

fn array<'a, const N: usize>(
    input: &'a [u8],
    position: usize,
    field: &'static str,
    sink: &Sink<'_>,
) -> Result<&'a [u8; N], CompressError> {
    input
        .get(position..)
        .and_then(|rest| rest.first_chunk())
        .ok_or_else(|| sink.truncated(field, position.min(input.len())))
}
