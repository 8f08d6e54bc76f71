//! Reads a recording entry by entry: what is held is one entry, and memory follows what is really in the file.

use std::{io, path::Path, sync::Arc};

use bytes::{Buf, Bytes, BytesMut};
use dohle_protocol::records::crc32c;

use super::format::{self, ENTRY_HEAD, Entry, HEAD, LEAST, MAGIC, VERSION};
use crate::disk::{Disk, DiskFile};

/// Read at once.
const STEP: usize = 64 * 1024;

/// Why a recording cannot be read, or not further.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("this is no recording of dohle's")]
    Foreign,
    /// A newer dohle has written it.
    #[error("the recording is of version {0}, this program reads version {VERSION}")]
    Version(u16),
    /// Its last entry is not all there, as after a crash; all before it has been read.
    #[error("the recording ends in the middle of an entry, at byte {at}")]
    Torn {
        /// Where the entry begins.
        at: u64,
    },
    /// An entry was changed.
    #[error("the recording is damaged at byte {at}: {why}")]
    Damaged {
        /// Where the entry begins.
        at: u64,
        /// What is wrong.
        why: &'static str,
    },
}

/// A recording that is being read.
pub struct Recording {
    file: Arc<dyn DiskFile>,
    len: u64,
    /// Where the next entry begins.
    at: u64,
    /// What was read from there on.
    ahead: BytesMut,
    began_us: i64,
}

impl Recording {
    /// Opens a file.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Self, RecordingError> {
        let file = disk.open_to_read(path)?;
        let mut head = [0; HEAD];
        if file.read_at(&mut head, 0)? < HEAD || &head[..8] != MAGIC {
            return Err(RecordingError::Foreign);
        }
        let mut rest = &head[8..];
        let (version, _, began_us, crc) = (rest.get_u16(), rest.get_u16(), rest.get_i64(), rest.get_u32());
        if version != VERSION {
            return Err(RecordingError::Version(version));
        }
        if crc != crc32c(&head[..HEAD - 4]) {
            return Err(RecordingError::Damaged { at: 0, why: "the checksum of its head is wrong" });
        }
        let len = file.len()?;
        Ok(Self { file, len, at: HEAD as u64, ahead: BytesMut::new(), began_us })
    }

    /// Microseconds since 1970 when it began.
    pub fn began_us(&self) -> i64 {
        self.began_us
    }

    /// Bytes read, and bytes in all.
    pub fn progress(&self) -> (u64, u64) {
        (self.at, self.len)
    }

    /// Another reader of the same file, at its beginning.
    pub fn again(&self) -> Self {
        let (file, len, began_us) = (self.file.clone(), self.len, self.began_us);
        Self { file, len, at: HEAD as u64, ahead: BytesMut::new(), began_us }
    }

    /// The entry at a place that [`progress`](Self::progress) told before it was read. Reading goes on behind it.
    pub fn read_at(&mut self, place: u64) -> Result<Entry, RecordingError> {
        self.ahead.clear();
        self.at = place.min(self.len);
        self.next()?.ok_or(RecordingError::Torn { at: place })
    }

    /// The next entry; none at the end. Behind an error nothing follows.
    #[allow(clippy::should_implement_trait)] // It ends with an error.
    pub fn next(&mut self) -> Result<Option<Entry>, RecordingError> {
        let (at, left) = (self.at, self.len - self.at);
        let read = if left == 0 { Ok(None) } else { self.read(at, left).map(Some) };
        if read.is_err() {
            self.at = self.len;
        }
        read
    }

    fn read(&mut self, at: u64, left: u64) -> Result<Entry, RecordingError> {
        let torn = || RecordingError::Torn { at };
        if left < ENTRY_HEAD as u64 {
            return Err(torn());
        }
        self.fill(ENTRY_HEAD)?;
        let mut head = &self.ahead[..ENTRY_HEAD];
        let (length, crc) = (head.get_u32(), head.get_u32());
        // Zeros are what some file systems leave behind a crash.
        if u64::from(length) > left - ENTRY_HEAD as u64 || length == 0 {
            return Err(torn());
        }
        if (length as usize) < LEAST {
            return Err(RecordingError::Damaged { at, why: "an entry is too short" });
        }
        let whole = ENTRY_HEAD + length as usize;
        self.fill(whole)?;
        let mut entry: Bytes = self.ahead.split_to(whole).freeze();
        entry.advance(ENTRY_HEAD);
        if crc32c(&entry) != crc {
            let last = left == whole as u64;
            return Err(if last {
                torn()
            } else {
                RecordingError::Damaged { at, why: "the checksum of an entry is wrong" }
            });
        }
        self.at += whole as u64;
        format::decode(entry).map_err(|why| RecordingError::Damaged { at, why })
    }

    /// Has so many bytes from the next entry on; the caller knows that the file has them.
    fn fill(&mut self, needed: usize) -> Result<(), RecordingError> {
        if self.ahead.len() >= needed {
            return Ok(());
        }
        let have = self.ahead.len();
        let more = (needed - have).max(STEP);
        self.ahead.resize(have + more, 0);
        let read = self.file.read_at(&mut self.ahead[have..], self.at + have as u64)?;
        self.ahead.truncate(have + read);
        if self.ahead.len() < needed {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(())
    }
}
