//! How a segment's file is read: a place is found by the index, or known from the last read, and from there the heads of batches say
//! where the wanted one is.

use std::io;

use bytes::Bytes;

use super::{
    super::{
        heads::{Head, Heads},
        invalid,
    },
    FileSegment,
};

/// What is asked of a read.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    pub offset: i64,
    pub max_bytes: usize,
    pub at_least_one: bool,
    /// Only batches that end below.
    pub below: i64,
}

impl FileSegment {
    /// Whole batches, and the offset behind them; none when there is no batch at or behind the offset.
    pub fn read(&self, read: Read) -> io::Result<Option<(Bytes, i64)>> {
        let Some(first) = self.find(read.offset)? else { return Ok(None) };
        let fits = read.max_bytes as u64 >= first.size || read.at_least_one;
        if !fits || first.last_offset >= read.below {
            return Ok(Some((Bytes::new(), read.offset)));
        }
        let wanted = (read.max_bytes as u64).max(first.size).min(self.len - first.position);
        let mut bytes = vec![0; wanted as usize];
        let there = self.file()?.read_at(&mut bytes, first.position)?;
        if (there as u64) < first.size {
            return Err(invalid("a segment is shorter than it was"));
        }
        let (mut end, mut next) = (0, read.offset);
        while let Some(head) = Head::parse(&bytes[end..there], end as u64)? {
            if head.end() > there as u64 || head.last_offset >= read.below {
                break;
            }
            (end, next) = (head.end() as usize, head.last_offset + 1);
        }
        bytes.truncate(end);
        self.hint.set((next, first.position + end as u64));
        Ok(Some((bytes.into(), next)))
    }

    /// Where the first batch is that ends at or behind an offset; the end when there is none.
    pub fn position_of(&self, offset: i64) -> io::Result<u64> {
        match self.hint.get() {
            (hinted, position) if hinted == offset && position <= self.len => Ok(position),
            _ => Ok(self.find(offset)?.map_or(self.len, |head| head.position)),
        }
    }

    /// The first batch that ends at or behind an offset.
    pub fn find(&self, offset: i64) -> io::Result<Option<Head>> {
        let from = match self.hint.get() {
            (hinted, position) if hinted == offset && position <= self.len => position,
            _ => self.position_before(offset)?,
        };
        self.find_from(from, |head| head.last_offset >= offset)
    }

    /// The first batch with a record of at least this time and an offset of at least `from`.
    pub fn find_time(&self, timestamp: i64, from: i64) -> io::Result<Option<Bytes>> {
        let entry = self.times.last_where(&*self.place.disk, |entry| entry.timestamp < timestamp)?;
        let offset = entry.map_or(self.base_offset, |entry| self.base_offset + i64::from(entry.relative));
        let start = self.position_before(offset.max(from))?;
        let found =
            self.find_from(start, |head| head.max_timestamp >= timestamp && head.last_offset >= from && !head.empty)?;
        let Some(head) = found else { return Ok(None) };
        let mut bytes = vec![0; head.size as usize];
        let there = self.file()?.read_at(&mut bytes, head.position)?;
        if there == bytes.len() { Ok(Some(bytes.into())) } else { Err(invalid("a segment is shorter than it was")) }
    }

    /// Where to begin to look for an offset.
    fn position_before(&self, offset: i64) -> io::Result<u64> {
        let relative = offset - self.base_offset;
        let entry = self.offsets.last_where(&*self.place.disk, |entry| i64::from(entry.relative) <= relative)?;
        Ok(entry.map_or(0, |entry| entry.position as u64))
    }

    fn find_from(&self, position: u64, wanted: impl Fn(&Head) -> bool) -> io::Result<Option<Head>> {
        let file = self.file()?;
        let mut heads = Heads::new(&*file, position, self.len);
        while let Some(head) = heads.next()? {
            if wanted(&head) {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    /// Its first batch.
    pub fn first(&self) -> io::Result<Option<Head>> {
        if self.len == 0 { Ok(None) } else { self.find_from(0, |_| true) }
    }
}
