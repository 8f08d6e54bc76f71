//! Opens a partition's folder (Kafka's LogLoader). After a clean stop only the tail of the last segment is looked at; else every
//! batch from the recovery point on is read, what is torn is cut, and indexes are made anew. A folder's contents are believed only
//! as far as they were checked: what is impossible is cut or is an error, never a panic.

use std::{collections::VecDeque, io};

use dohle_protocol::records::RawBatch;

use super::{
    FileSegment, aborted, batches::Source, epochs::Epochs, invalid, names, place::Place, rebuild::State, swap,
};
use crate::{
    config::TopicConfig,
    log::{producers::Producers, segment::Segment, transactions::Transactions},
};

/// What the checkpoints of the broker know of a partition.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// Where the log was made to start.
    pub start_offset: i64,
    /// Up to where it is safe on the disk.
    pub recovery_point: i64,
    /// What was committed, as far as that is known; none: all that is there.
    pub committed: Option<i64>,
    /// Up to where it was compacted.
    pub compacted_to: i64,
    /// The broker was stopped, and did not just end.
    pub clean: bool,
    /// Nothing but a torn end may be cut: a log with a hole is not opened.
    pub whole: bool,
}

/// What a folder has.
pub(in crate::log) struct Found {
    pub segments: VecDeque<Segment>,
    pub start_offset: i64,
    pub next_offset: i64,
    pub recovery_point: i64,
    pub epochs: Epochs,
    pub producers: Producers,
    pub transactions: Transactions,
}

struct Opening<'a> {
    place: &'a Place,
    config: &'a TopicConfig,
    known: Known,
    segments: Vec<Segment>,
    epochs: Epochs,
    /// The first segment whose batches were read because they, or what was derived from them, are not believed.
    first_read: Option<usize>,
}

/// Opens a folder, which is made when there is none.
pub(in crate::log) fn open(place: &Place, config: &TopicConfig, known: Known, now_ms: i64) -> io::Result<Found> {
    place.disk.create_folder(&place.folder)?;
    swap::settle(place)?;
    let epochs = Epochs::read(place)?.unwrap_or_default();
    let mut opening = Opening { place, config, known, segments: Vec::new(), epochs, first_read: None };
    opening.segments()?;
    let next_offset = opening.reopen_last()?;
    opening.finish(next_offset, now_ms)
}

impl Opening<'_> {
    fn segments(&mut self) -> io::Result<()> {
        let files = self.place.disk.list(&self.place.folder)?;
        let logs: Vec<(i64, u64, i64)> = files
            .iter()
            .filter_map(|file| match names::parse(&file.name)? {
                (base_offset, names::LOG) => Some((base_offset, file.len, file.modified_ms)),
                _ => None,
            })
            .collect();
        self.remove_orphans(files.iter().filter_map(|file| names::parse(&file.name)), &logs)?;
        for (at, (base_offset, len, modified_ms)) in logs.iter().copied().enumerate() {
            let end_offset = logs.get(at + 1).map_or(i64::MAX, |(next, ..)| *next);
            let believed = self.known.clean || end_offset <= self.known.recovery_point;
            let opened = match believed {
                true => FileSegment::open(self.place.clone(), base_offset, len, end_offset)?,
                false => None,
            };
            let whole = opened.is_some();
            let (file, cut) = match opened {
                Some(file) => (file, false),
                None => self.recover(base_offset, len, end_offset)?,
            };
            if !whole {
                self.first_read.get_or_insert(at);
            }
            self.segments.push(Segment::found(file, base_offset, modified_ms)?);
            if cut && !believed {
                // Behind a hole nothing can be kept: its offsets would be given twice.
                self.remove_behind(&logs[at + 1..])?;
                break;
            }
        }
        Ok(())
    }

    /// Reads all batches of a segment. Answers whether something had to be cut.
    fn recover(&mut self, base_offset: i64, len: u64, end_offset: i64) -> io::Result<(FileSegment, bool)> {
        let mut segment = FileSegment::recover(self.place.clone(), base_offset)?;
        let (file, mut next) = (segment.file()?, base_offset);
        let source = Source::File { file: file.clone(), len };
        let mut batches = source.batches(0);
        let why = loop {
            let batch = match batches.next() {
                None => break "it ends within a batch".to_string(),
                Some(Err(error)) if error.kind() == io::ErrorKind::InvalidData => break error.to_string(),
                Some(batch) => batch?,
            };
            let header = batch.header();
            if let Err(error) = batch.verify_crc() {
                break error.to_string();
            }
            if matches!(batch, RawBatch::Legacy(_)) {
                let path = segment.path(names::LOG);
                return Err(invalid(format!("{}: batches of magic {} are not read", path.display(), header.magic)));
            }
            if header.base_offset < next || header.last_offset() >= end_offset {
                break format!("a batch has offset {}, behind {next}", header.base_offset);
            }
            let max_timestamp = if header.record_count > 0 { header.max_timestamp } else { i64::MIN };
            let (size, interval) = (batch.bytes().len(), self.config.index_interval_bytes);
            if segment.note(size, header.last_offset(), max_timestamp, interval).is_err() {
                break "its offsets are too far apart".into();
            }
            self.epochs.assign(header.partition_leader_epoch, header.base_offset);
            next = header.last_offset() + 1;
        };
        let cut = segment.len() < len;
        if cut {
            let (path, from) = (segment.path(names::LOG), segment.len());
            // A crash tears the end of the last segment, and nothing before it.
            if self.known.whole && (end_offset < i64::MAX || source.has_whole_batch(from + 1, next)?) {
                let path = path.display();
                return Err(invalid(format!("{path}: damaged at byte {from}, {why}; there are records behind it")));
            }
            tracing::warn!(path = %path.display(), from, len, why, "the end of a segment is cut off");
            file.truncate(from)?;
        }
        segment.seal()?;
        Ok((segment, cut))
    }

    /// Files of segments that have no batches, and snapshots that belong to none.
    fn remove_orphans<'n>(
        &self,
        all: impl Iterator<Item = (i64, &'n str)>,
        logs: &[(i64, u64, i64)],
    ) -> io::Result<()> {
        let has_log = |offset: i64| logs.binary_search_by_key(&offset, |(base_offset, ..)| *base_offset).is_ok();
        for (offset, kind) in all {
            if names::OF_SEGMENT[1..].contains(&kind) && !has_log(offset) {
                self.place.disk.remove(&self.place.path(&names::name(offset, kind)))?;
            }
        }
        Ok(())
    }

    fn remove_behind(&self, logs: &[(i64, u64, i64)]) -> io::Result<()> {
        for (base_offset, ..) in logs {
            tracing::warn!(base_offset, folder = %self.place.folder.display(), "a segment behind a cut one is deleted");
            for kind in names::OF_SEGMENT {
                self.place.disk.remove(&self.place.path(&names::name(*base_offset, kind)))?;
            }
        }
        Ok(())
    }

    /// The last segment takes appends; answers the log's end.
    fn reopen_last(&mut self) -> io::Result<i64> {
        let start_offset = self.known.start_offset.max(0);
        let Some(at) = self.segments.len().checked_sub(1) else {
            self.segments.push(Segment::in_files(self.place, start_offset, 0, "")?);
            return Ok(start_offset);
        };
        let base_offset = self.segments[at].base_offset;
        if let Some(file) = self.segments[at].files() {
            match file.reopen() {
                // It is not what a clean stop leaves.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    let (len, modified_ms) = (file.len(), self.segments[at].modified_ms);
                    let (mut file, _) = self.recover(base_offset, len, i64::MAX)?;
                    file.reopen()?;
                    self.first_read = Some(self.first_read.map_or(at, |first| first.min(at)));
                    self.segments[at] = Segment::found(file, base_offset, modified_ms)?;
                }
                reopened => reopened?,
            }
        }
        let end = self.segments[at].files().map_or(base_offset, |file| file.last_offset() + 1);
        self.segments[at].learn_times();
        if end >= start_offset {
            return Ok(end);
        }
        // All that is there was deleted before.
        tracing::warn!(end, start_offset, folder = %self.place.folder.display(), "the log ends before its start: it begins anew");
        self.segments.drain(..).try_for_each(Segment::delete)?;
        self.segments.push(Segment::in_files(self.place, start_offset, 0, "")?);
        self.first_read = None;
        Ok(start_offset)
    }

    fn finish(mut self, next_offset: i64, now_ms: i64) -> io::Result<Found> {
        let mut position = 0;
        for segment in &mut self.segments {
            segment.start_position = position;
            position += segment.len();
        }
        let start_offset = self.known.start_offset.max(self.segments[0].base_offset);
        let mut epochs = self.epochs.clone();
        if epochs.truncate_from(next_offset) | epochs.forget_before(start_offset) || self.first_read.is_some() {
            epochs.write(self.place)?;
        }
        let (mut transactions, first_read) = self.aborted()?;
        let mut producers = Producers::new(self.config.producer_expiration_ms);
        let segments: VecDeque<Segment> = self.segments.into();
        let at = first_read.unwrap_or(segments.len());
        let limit = segments.get(at).map_or(next_offset, |segment| segment.base_offset);
        let mut state = State { producers: &mut producers, transactions: &mut transactions };
        let from = state.load(self.place, limit, next_offset, now_ms)?;
        // After a clean stop without a snapshot there were no producers.
        if from.is_some() || first_read.is_some() || !self.known.clean {
            state.replay(&segments, from.unwrap_or(start_offset), limit)?;
            for (at, segment) in segments.iter().enumerate().skip(at) {
                let end = segments.get(at + 1).map_or(i64::MAX, |next| next.base_offset);
                aborted::write_segment(self.place, segment.base_offset, end, &transactions)?;
            }
        }
        let safe = if self.known.clean && first_read.is_none() { next_offset } else { self.known.recovery_point };
        let recovery_point = safe.clamp(0, next_offset);
        Ok(Found { segments, start_offset, next_offset, recovery_point, epochs, producers, transactions })
    }

    /// The aborted transactions of the segments that are believed, and the first segment that is not.
    fn aborted(&self) -> io::Result<(Transactions, Option<usize>)> {
        let mut transactions = Transactions::default();
        let believed = self.first_read.unwrap_or(self.segments.len());
        for (at, segment) in self.segments.iter().enumerate().take(believed) {
            match aborted::read(self.place, segment.base_offset) {
                Ok(found) => found.into_iter().for_each(|aborted| transactions.found(aborted)),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::warn!(%error, "the aborted transactions of a segment are read anew");
                    return Ok((transactions, Some(at)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok((transactions, self.first_read))
    }
}
