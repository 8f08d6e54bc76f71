//! A segment in files (Kafka's LogSegment): batches in `.log`, found by `.index` and `.timeindex`. Appends are written through,
//! reads are of the file. What of it is safe is the log's to know.

mod reads;

use std::{
    cell::{Cell, RefCell},
    io,
    path::PathBuf,
    sync::Arc,
};

use super::{
    batches::Source,
    heads::Heads,
    index::{Entry, OffsetEntry, Sparse, TimeEntry},
    invalid, names,
    place::Place,
};
use crate::disk::DiskFile;
pub use reads::Read;

/// Largest offset behind the first of a segment, and largest position: what the entries of its indexes can hold.
const LARGEST: i64 = i32::MAX as i64;

/// A segment's files.
pub struct FileSegment {
    place: Place,
    base_offset: i64,
    /// Behind the names of all its files: nothing, `.cleaned` or `.swap`.
    suffix: &'static str,
    /// Bytes of batches; what the file has behind them was never acknowledged.
    len: u64,
    /// Of its last batch; of a closed segment, the offset before the next one's.
    last_offset: i64,
    offsets: Sparse<OffsetEntry>,
    times: Sparse<TimeEntry>,
    /// Bytes since the last entry.
    since_entry: u64,
    /// The largest timestamp, and the last offset of the batch that has it.
    largest: (i64, i64),
    /// Opened when it is needed.
    file: RefCell<Option<Arc<dyn DiskFile>>>,
    /// Where the last read ended: offset and position. Who reads on begins there.
    hint: Cell<(i64, u64)>,
}

impl FileSegment {
    /// Begins a new one.
    pub fn create(place: Place, base_offset: i64, suffix: &'static str) -> io::Result<Self> {
        let file = place.disk.create(&place.path(&format!("{}{suffix}", names::name(base_offset, names::LOG))))?;
        let new = Self::unknown(place, base_offset, suffix, file)?;
        // Many partitions stay empty: they need no open files.
        new.rest();
        Ok(new)
    }

    /// One of which only the batches are believed: [`note`](Self::note) tells of each.
    pub fn recover(place: Place, base_offset: i64) -> io::Result<Self> {
        let file = place.disk.open(&place.path(&names::name(base_offset, names::LOG)))?;
        Self::unknown(place, base_offset, "", file)
    }

    fn unknown(place: Place, base_offset: i64, suffix: &'static str, file: Arc<dyn DiskFile>) -> io::Result<Self> {
        let path = |kind: &str| place.path(&format!("{}{suffix}", names::name(base_offset, kind)));
        let offsets = Sparse::create(&*place.disk, path(names::INDEX))?;
        let times = Sparse::create(&*place.disk, path(names::TIME_INDEX))?;
        place.disk.remove(&path(names::TXN_INDEX))?;
        let file = RefCell::new(Some(file));
        let new = Self {
            base_offset,
            suffix,
            len: 0,
            last_offset: base_offset - 1,
            offsets,
            times,
            since_entry: 0,
            largest: (-1, base_offset),
            file,
            hint: Cell::new((base_offset, 0)),
            place,
        };
        Ok(new)
    }

    /// One that is there and whole, closed. None when its indexes are missing or cannot be its own: it must be recovered.
    pub fn open(place: Place, base_offset: i64, len: u64, end_offset: i64) -> io::Result<Option<Self>> {
        let path = |kind: &str| place.path(&names::name(base_offset, kind));
        let (Some(offsets), Some(times)) = (
            Sparse::<OffsetEntry>::open(&*place.disk, path(names::INDEX))?,
            Sparse::<TimeEntry>::open(&*place.disk, path(names::TIME_INDEX))?,
        ) else {
            return Ok(None);
        };
        let (last, largest) = (offsets.last(&*place.disk)?, times.last(&*place.disk)?);
        let inside = |entry: OffsetEntry| u64::try_from(entry.position).is_ok_and(|position| position < len);
        let outside = |entry: OffsetEntry| entry.relative < 0 || !inside(entry);
        // A tail of zeros is what Kafka's own files have when it was killed.
        let empty = |entry: OffsetEntry| entry == OffsetEntry::default() && offsets.len() > 1;
        if last.is_some_and(|entry| outside(entry) || empty(entry)) {
            return Ok(None);
        }
        if largest.is_some_and(|entry| entry.timestamp < 0 || entry.relative < 0) {
            return Ok(None);
        }
        let largest =
            largest.map_or((-1, base_offset), |entry| (entry.timestamp, base_offset + i64::from(entry.relative)));
        let (file, hint) = (RefCell::new(None), Cell::new((base_offset, 0)));
        let (suffix, last_offset, since_entry) = ("", end_offset - 1, 0);
        Ok(Some(Self {
            place,
            base_offset,
            suffix,
            len,
            last_offset,
            offsets,
            times,
            since_entry,
            largest,
            file,
            hint,
        }))
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn last_offset(&self) -> i64 {
        self.last_offset
    }

    /// Largest timestamp; −1 when no record has one.
    pub fn max_timestamp(&self) -> i64 {
        self.largest.0
    }

    /// Whether it can take a batch with this last offset.
    pub fn fits(&self, last_offset: i64, size: usize, index_bytes: usize) -> bool {
        let entries = |entry: usize| index_bytes / entry;
        last_offset - self.base_offset <= LARGEST
            && self.len.saturating_add(size as u64) <= LARGEST.unsigned_abs()
            && self.offsets.len() < entries(OffsetEntry::SIZE).max(1)
            && self.times.len() < entries(TimeEntry::SIZE).max(1)
    }

    /// Writes a batch behind the others. After an error nothing of it is there for a reader.
    pub fn push(&mut self, batch: &[u8], last_offset: i64, max_timestamp: i64, interval: usize) -> io::Result<()> {
        self.file()?.write_at(batch, self.len)?;
        self.note(batch.len(), last_offset, max_timestamp, interval)
    }

    /// A batch is in the file behind the others: the indexes learn of it.
    pub fn note(&mut self, size: usize, last_offset: i64, max_timestamp: i64, interval: usize) -> io::Result<()> {
        let relative = i32::try_from(last_offset - self.base_offset);
        let (Ok(relative), Ok(position)) = (relative, i32::try_from(self.len)) else {
            return Err(invalid("a segment cannot hold more"));
        };
        if max_timestamp > self.largest.0 {
            self.largest = (max_timestamp, last_offset);
        }
        if self.since_entry > interval as u64 {
            self.offsets.push(OffsetEntry { relative, position });
            self.note_time();
            self.since_entry = 0;
        }
        self.since_entry += size as u64;
        self.len += size as u64;
        self.last_offset = last_offset;
        Ok(())
    }

    /// The largest timestamp goes into the index, if it is larger than the last one there.
    fn note_time(&mut self) {
        let (timestamp, offset) = self.largest;
        if timestamp > self.times.newest().map_or(-1, |entry| entry.timestamp)
            && let Ok(relative) = i32::try_from(offset - self.base_offset)
        {
            self.times.push(TimeEntry { timestamp, relative });
        }
    }

    /// No more appends: nothing is in its file behind its batches, its indexes are complete and leave the memory.
    pub fn seal(&mut self) -> io::Result<()> {
        self.cut_excess()?;
        self.times.reopen(&*self.place.disk)?;
        self.note_time();
        self.offsets.close(&*self.place.disk)?;
        self.times.close(&*self.place.disk)
    }

    /// No batch that it has ends at or behind this offset.
    pub fn closed(&mut self, end: i64) {
        self.last_offset = end - 1;
    }

    /// Cuts what is in the file behind its batches: it was never acknowledged.
    fn cut_excess(&mut self) -> io::Result<()> {
        let file = self.file()?;
        if file.len()? > self.len { file.truncate(self.len) } else { Ok(()) }
    }

    /// Its file need not stay open.
    pub fn rest(&self) {
        self.file.take();
    }

    /// It shall be written to again: what only a reader of all its tail knows is found.
    pub fn reopen(&mut self) -> io::Result<()> {
        let file = self.file()?;
        let start = self.offsets.last(&*self.place.disk)?.map_or(0, |entry| entry.position as u64);
        let mut heads = Heads::new(&*file, start, self.len);
        self.last_offset = self.base_offset - 1;
        let (mut end, mut largest) = (start, self.largest);
        while let Some(head) = heads.next()? {
            if head.base_offset <= self.last_offset || head.last_offset - self.base_offset > LARGEST {
                return Err(invalid(format!("a batch has offset {}, behind {}", head.base_offset, self.last_offset)));
            }
            (end, self.last_offset) = (head.end(), head.last_offset);
            if head.max_timestamp > largest.0 && !head.empty {
                largest = (head.max_timestamp, head.last_offset);
            }
        }
        self.offsets.reopen(&*self.place.disk)?;
        self.times.reopen(&*self.place.disk)?;
        (self.len, self.since_entry, self.largest) = (end, end - start, largest);
        Ok(())
    }

    /// The files to sync, so that all of a closed segment is safe.
    pub fn closed_files(&mut self) -> io::Result<Vec<Arc<dyn DiskFile>>> {
        let disk = &*self.place.disk;
        let mut files = vec![self.offsets.flush(disk)?, self.times.flush(disk)?, self.file()?];
        match disk.open(&self.path(names::TXN_INDEX)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => files.push(opened?),
        }
        Ok(files)
    }

    pub fn file(&self) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = &*self.file.borrow() {
            return Ok(file.clone());
        }
        let path = self.path(names::LOG);
        let file = self.place.disk.open(&path)?;
        self.file.replace(Some(file.clone()));
        Ok(file)
    }

    /// Its batches as they are now.
    pub fn source(&self) -> io::Result<Source> {
        Ok(Source::File { file: self.file()?, len: self.len })
    }

    /// Cuts everything from the first batch on that ends at or behind an offset; it must be open for appends.
    pub fn truncate(&mut self, offset: i64) -> io::Result<()> {
        let Some(head) = self.find(offset)? else { return Ok(()) };
        self.cut(head.position, offset)
    }

    /// Cuts at a position, where the batch with this offset would begin.
    pub fn cut(&mut self, position: u64, offset: i64) -> io::Result<()> {
        let disk = &*self.place.disk;
        let relative = offset - self.base_offset;
        self.offsets.truncate(disk, |entry| (entry.position as u64) < position)?;
        self.times.truncate(disk, |entry| i64::from(entry.relative) < relative)?;
        self.file()?.truncate(position)?;
        self.hint.set((self.base_offset, 0));
        self.len = position;
        let last = self
            .times
            .last(disk)?
            .map_or((-1, self.base_offset), |entry| (entry.timestamp, self.base_offset + i64::from(entry.relative)));
        self.largest = last;
        self.reopen()
    }

    /// Where one of its files is.
    pub fn path(&self, kind: &str) -> PathBuf {
        self.place.path(&format!("{}{}", names::name(self.base_offset, kind), self.suffix))
    }

    /// Gives all its files another suffix.
    pub fn rename(&mut self, suffix: &'static str) -> io::Result<()> {
        let disk = self.place.disk.clone();
        self.file.take();
        for kind in names::OF_SEGMENT {
            let from = self.path(kind);
            let to = self.place.path(&format!("{}{suffix}", names::name(self.base_offset, kind)));
            match disk.rename(&from, &to) {
                // The last one need not exist.
                Err(error) if error.kind() == io::ErrorKind::NotFound && kind == names::TXN_INDEX => {}
                renamed => renamed?,
            }
        }
        self.suffix = suffix;
        self.offsets.renamed(self.path(names::INDEX));
        self.times.renamed(self.path(names::TIME_INDEX));
        Ok(())
    }

    /// Deletes its files: first all get the suffix of those that go, so that a crash in between leaves no half of it.
    pub fn delete(mut self) -> io::Result<()> {
        self.rename(names::DELETED)?;
        names::OF_SEGMENT.iter().try_for_each(|kind| self.place.disk.remove(&self.path(kind)))
    }
}
