//! The sparse indexes of a segment: `.index` (Kafka's OffsetIndex) from offsets to positions, `.timeindex` (TimeIndex) from times
//! to offsets. Entries of one size, ascending, without a header. That of the segment that is written to is in memory, and in
//! its file when it was flushed; those of closed segments are searched in the file.

use std::{io, path::PathBuf};

use super::invalid;
use crate::disk::{Disk, DiskFile};

/// An entry of an index.
pub trait Entry: Copy + Default {
    const SIZE: usize;
    fn write(self, into: &mut Vec<u8>);
    /// From `SIZE` bytes.
    fn read(bytes: &[u8]) -> Self;
}

/// An offset, relative to the segment's first, and the position of the batch that ends with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OffsetEntry {
    pub relative: i32,
    pub position: i32,
}

/// The largest timestamp so far, and the last offset of the batch that has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeEntry {
    pub timestamp: i64,
    pub relative: i32,
}

impl Entry for OffsetEntry {
    const SIZE: usize = 8;

    fn write(self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.relative.to_be_bytes());
        into.extend_from_slice(&self.position.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Self {
        Self { relative: int(bytes, 0), position: int(bytes, 4) }
    }
}

impl Entry for TimeEntry {
    const SIZE: usize = 12;

    fn write(self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.timestamp.to_be_bytes());
        into.extend_from_slice(&self.relative.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Self {
        let timestamp = i64::from(int(bytes, 0)) << 32 | i64::from(int(bytes, 4).cast_unsigned());
        Self { timestamp, relative: int(bytes, 8) }
    }
}

fn int(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// An index.
pub struct Sparse<E> {
    path: PathBuf,
    state: State<E>,
}

enum State<E> {
    /// All entries, and how many of them are in the file.
    Open {
        entries: Vec<E>,
        written: usize,
    },
    Closed {
        count: usize,
    },
}

impl<E: Entry> Sparse<E> {
    /// A new one, with an empty file.
    pub fn create(disk: &dyn Disk, path: PathBuf) -> io::Result<Self> {
        disk.create(&path)?;
        Ok(Self { path, state: State::Open { entries: Vec::new(), written: 0 } })
    }

    /// One that is there, closed. None when its file is missing or cannot be one.
    pub fn open(disk: &dyn Disk, path: PathBuf) -> io::Result<Option<Self>> {
        let len = match disk.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?.len()?,
        };
        if len % E::SIZE as u64 != 0 {
            return Ok(None);
        }
        Ok(Some(Self { path, state: State::Closed { count: (len / E::SIZE as u64) as usize } }))
    }

    /// The file has another name now.
    pub fn renamed(&mut self, path: PathBuf) {
        self.path = path;
    }

    pub fn len(&self) -> usize {
        match &self.state {
            State::Open { entries, .. } => entries.len(),
            State::Closed { count } => *count,
        }
    }

    /// Adds an entry, which is in the file when the index is flushed; the index must be open.
    pub fn push(&mut self, entry: E) {
        match &mut self.state {
            State::Open { entries, .. } => entries.push(entry),
            State::Closed { .. } => debug_assert!(false, "a closed index is never written to"),
        }
    }

    /// The last entry of an open index.
    pub fn newest(&self) -> Option<E> {
        match &self.state {
            State::Open { entries, .. } => entries.last().copied(),
            State::Closed { .. } => None,
        }
    }

    /// Writes what is not in the file yet, which is returned to be synced.
    pub fn flush(&mut self, disk: &dyn Disk) -> io::Result<std::sync::Arc<dyn DiskFile>> {
        let file = disk.open(&self.path)?;
        if let State::Open { entries, written } = &mut self.state {
            let mut bytes = Vec::with_capacity((entries.len() - *written) * E::SIZE);
            entries[*written..].iter().for_each(|entry| entry.write(&mut bytes));
            file.write_at(&bytes, (*written * E::SIZE) as u64)?;
            *written = entries.len();
        }
        Ok(file)
    }

    /// No more entries: they leave the memory.
    pub fn close(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let count = self.len();
        self.flush(disk)?.truncate((count * E::SIZE) as u64)?;
        self.state = State::Closed { count };
        Ok(())
    }

    /// Takes the entries into memory, so that more can be added.
    pub fn reopen(&mut self, disk: &dyn Disk) -> io::Result<()> {
        if let State::Closed { count } = self.state {
            let mut bytes = vec![0; count * E::SIZE];
            let read = disk.open(&self.path)?.read_at(&mut bytes, 0)?;
            let entries: Vec<E> = bytes[..read].chunks_exact(E::SIZE).map(E::read).collect();
            self.state = State::Open { written: entries.len(), entries };
        }
        Ok(())
    }

    /// Keeps the first entries, as long as `stays` says so; the index must be open.
    pub fn truncate(&mut self, disk: &dyn Disk, stays: impl FnMut(&E) -> bool) -> io::Result<()> {
        let State::Open { entries, written } = &mut self.state else {
            return Err(invalid("a closed index is never written to"));
        };
        entries.truncate(entries.partition_point(stays));
        if *written > entries.len() {
            *written = entries.len();
            disk.open(&self.path)?.truncate((entries.len() * E::SIZE) as u64)?;
        }
        Ok(())
    }

    /// The last entry.
    pub fn last(&self, disk: &dyn Disk) -> io::Result<Option<E>> {
        self.last_where(disk, |_| true)
    }

    /// The last entry that `holds` is true of; it must be true of all before that, and of none behind.
    pub fn last_where(&self, disk: &dyn Disk, mut holds: impl FnMut(&E) -> bool) -> io::Result<Option<E>> {
        let count = match &self.state {
            State::Open { entries, .. } => {
                let behind = entries.partition_point(holds);
                return Ok(behind.checked_sub(1).map(|at| entries[at]));
            }
            State::Closed { count: 0 } => return Ok(None),
            State::Closed { count } => *count,
        };
        let file = disk.open(&self.path)?;
        let (mut low, mut high, mut found) = (0, count, None);
        let mut at = count - 1;
        while low < high {
            let entry = read_entry::<E>(&*file, at)?;
            if holds(&entry) {
                (low, found) = (at + 1, Some(entry));
            } else {
                high = at;
            }
            at = low + (high - low) / 2;
        }
        Ok(found)
    }
}

fn read_entry<E: Entry>(file: &dyn DiskFile, at: usize) -> io::Result<E> {
    let mut bytes = [0; 16];
    let bytes = &mut bytes[..E::SIZE];
    match file.read_at(bytes, (at * E::SIZE) as u64)? {
        read if read == E::SIZE => Ok(E::read(bytes)),
        _ => Err(invalid("an index is shorter than it was")),
    }
}
