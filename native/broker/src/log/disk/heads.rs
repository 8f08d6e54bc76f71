//! Walks over the heads of a segment's batches, without their records: how a read finds its place behind the entry of the index.

use std::io;

use dohle_protocol::records::{BATCH_HEADER_LEN, LOG_OVERHEAD};

use super::invalid;
use crate::disk::DiskFile;

/// Bytes that are read at once: as many as lie between two entries of an index, and a few more.
const WINDOW: u64 = 8 << 10;

/// What a batch begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Where it is in the file.
    pub position: u64,
    /// Bytes of the whole batch.
    pub size: u64,
    pub base_offset: i64,
    pub last_offset: i64,
    pub leader_epoch: i32,
    pub max_timestamp: i64,
    /// Without its records: compaction has left only what its producer needs.
    pub empty: bool,
}

impl Head {
    /// Reads the head at the beginning of `bytes`, none when they are too few.
    pub fn parse(bytes: &[u8], position: u64) -> io::Result<Option<Self>> {
        let Some(head) = bytes.get(..BATCH_HEADER_LEN) else { return Ok(None) };
        let number = |at: usize| i32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let long = |at: usize| i64::from(number(at)) << 32 | i64::from(number(at + 4).cast_unsigned());
        let (base_offset, length, delta, magic) = (long(0), number(8), number(23), head[16]);
        if magic != 2 {
            return Err(invalid(format!("a batch of magic {magic} at position {position}: only 2 is read")));
        }
        let size = u64::try_from(length).ok().map(|length| length + LOG_OVERHEAD as u64);
        let size = size.filter(|size| *size >= BATCH_HEADER_LEN as u64);
        let last_offset = base_offset.checked_add(delta.into());
        // There must be an offset behind the last one.
        let last_offset = last_offset.filter(|last| base_offset >= 0 && delta >= 0 && *last < i64::MAX);
        let (Some(size), Some(last_offset)) = (size, last_offset) else {
            return Err(invalid(format!("a batch of length {length} and offset {base_offset} at position {position}")));
        };
        let (leader_epoch, max_timestamp, empty) = (number(12), long(35), number(57) == 0);
        Ok(Some(Self { position, size, base_offset, last_offset, leader_epoch, max_timestamp, empty }))
    }

    /// Where the next batch begins.
    pub fn end(&self) -> u64 {
        self.position + self.size
    }
}

/// The heads of the batches between two positions of a file.
pub struct Heads<'a> {
    file: &'a dyn DiskFile,
    position: u64,
    end: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl<'a> Heads<'a> {
    pub fn new(file: &'a dyn DiskFile, position: u64, end: u64) -> Self {
        Self { file, position, end, window: Vec::new(), window_at: position }
    }

    /// The next one. A last batch that is not all there is none.
    pub fn next(&mut self) -> io::Result<Option<Head>> {
        let left = self.end.saturating_sub(self.position);
        if left < BATCH_HEADER_LEN as u64 {
            return Ok(None);
        }
        let head = match Head::parse(self.ahead(), self.position)? {
            Some(head) => Some(head),
            None => {
                self.window.resize(left.min(WINDOW) as usize, 0);
                self.window_at = self.position;
                let read = self.file.read_at(&mut self.window, self.position)?;
                self.window.truncate(read);
                Head::parse(&self.window, self.position)?
            }
        };
        let head = head.filter(|head| head.size <= left);
        self.position = head.map_or(self.end, |head| head.end());
        Ok(head)
    }

    /// What was read of the file from here on.
    fn ahead(&self) -> &[u8] {
        usize::try_from(self.position - self.window_at).ok().and_then(|at| self.window.get(at..)).unwrap_or_default()
    }
}
