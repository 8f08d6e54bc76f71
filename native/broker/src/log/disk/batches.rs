//! Whole batches of a segment, one after the other, wherever it is: for compaction, recovery and what is rebuilt from records. A
//! file is read piece by piece, so that no segment is ever in memory as a whole.

use std::{io, sync::Arc};

use bytes::Bytes;
use dohle_protocol::records::{self, LOG_OVERHEAD, RawBatch, RecordError};

use super::invalid;
use crate::disk::DiskFile;

/// Bytes that are read of a file at once.
const PIECE: u64 = 1 << 20;

/// Where the batches of a segment are. It holds them, also when the segment goes.
#[derive(Clone)]
pub enum Source {
    Memory(Bytes),
    File { file: Arc<dyn DiskFile>, len: u64 },
}

impl Source {
    /// Bytes in all.
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// The batches from a position on.
    pub fn batches(&self, position: u64) -> Batches {
        let nothing = records::batches(Bytes::new());
        Batches { source: self.clone(), piece: nothing, piece_at: position, position, failed: false }
    }

    /// Whether a whole batch, of an offset that may come, begins anywhere from a position on.
    pub fn has_whole_batch(&self, from: u64, next_offset: i64) -> io::Result<bool> {
        /// Up to the magic number.
        const HEAD: usize = LOG_OVERHEAD + 5;
        let mut at = from;
        loop {
            let piece = self.read(at, PIECE)?;
            if piece.len() < HEAD {
                return Ok(false);
            }
            for (position, head) in (at..).zip(piece.windows(HEAD)) {
                let base_offset = i64::from_be_bytes(head[..8].try_into().expect("8 bytes"));
                let may_come = base_offset >= next_offset && base_offset - next_offset < i64::from(i32::MAX);
                if may_come && head[HEAD - 1] == 2 && self.is_whole(position)? {
                    return Ok(true);
                }
            }
            at += (piece.len() - (HEAD - 1)) as u64;
        }
    }

    fn is_whole(&self, position: u64) -> io::Result<bool> {
        let batch = match self.batches(position).next() {
            Some(Err(error)) if error.kind() != io::ErrorKind::InvalidData => return Err(error),
            batch => batch.and_then(Result::ok),
        };
        Ok(batch.is_some_and(|batch| batch.verify_crc().is_ok()))
    }

    /// Bytes from a position on; fewer where it ends.
    fn read(&self, position: u64, len: u64) -> io::Result<Bytes> {
        let len = len.min(self.len().saturating_sub(position));
        match self {
            Self::Memory(bytes) => Ok(bytes.slice(position as usize..(position + len) as usize)),
            Self::File { file, .. } => {
                let mut piece = vec![0; len as usize];
                let read = file.read_at(&mut piece, position)?;
                piece.truncate(read);
                Ok(piece.into())
            }
        }
    }
}

/// The batches of a [`Source`]. Behind an error, or a batch that is not all there, nothing follows.
pub struct Batches {
    source: Source,
    piece: records::Batches,
    piece_at: u64,
    /// Behind the last batch that was read.
    position: u64,
    failed: bool,
}

impl Batches {
    fn read(&mut self) -> io::Result<Option<RawBatch>> {
        if let Some(batch) = self.of_piece()? {
            return Ok(Some(batch));
        }
        let left = self.source.len().saturating_sub(self.position);
        if left < LOG_OVERHEAD as u64 {
            return Ok(None);
        }
        self.take(PIECE)?;
        if let Some(batch) = self.of_piece()? {
            return Ok(Some(batch));
        }
        // One that is larger than a piece, or not all there.
        let size = self.size_here()?;
        if size <= PIECE || size > left {
            return Ok(None);
        }
        self.take(size)?;
        self.of_piece()
    }

    fn take(&mut self, len: u64) -> io::Result<()> {
        self.piece_at = self.position;
        self.piece = records::batches(self.source.read(self.position, len)?);
        Ok(())
    }

    fn of_piece(&mut self) -> io::Result<Option<RawBatch>> {
        let batch = self.piece.next().transpose().map_err(damaged)?;
        self.position = self.piece_at + self.piece.position() as u64;
        Ok(batch)
    }

    fn size_here(&self) -> io::Result<u64> {
        let head = self.source.read(self.position, LOG_OVERHEAD as u64)?;
        let length = head.get(8..12).and_then(|length| length.try_into().ok()).map(i32::from_be_bytes).unwrap_or(0);
        let length = u64::try_from(length).map_err(|_| invalid(format!("a batch of length {length}")))?;
        Ok(length + LOG_OVERHEAD as u64)
    }
}

impl Iterator for Batches {
    type Item = io::Result<RawBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let item = self.read().transpose();
        self.failed = !matches!(item, Some(Ok(_)));
        item
    }
}

/// What is wrong with a batch, as an error of its file.
pub fn damaged(error: RecordError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
