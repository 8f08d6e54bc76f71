//! What a log in files does beside what every log does: opening, making safe, cutting its end, closing. A log in memory answers at
//! once that all is well. After a sync that failed nobody knows what is on the disk: such a log takes nothing more until the broker
//! starts again.

use std::{cell::Cell, io, path::PathBuf, sync::Arc};

use dohle_protocol::ErrorCode;

use super::{
    Aborted, Log, Segment,
    disk::{aborted, epochs::Epochs, names, open, open::Known, place::Place, rebuild::State, snapshot},
    segment,
};
use crate::{
    config::TopicConfig,
    disk::{Disk, DiskFile},
};

/// The files of a log.
pub(super) struct Files {
    pub place: Place,
    /// What is before it is safe.
    recovery_point: i64,
    failed: bool,
    before_cut: Option<BeforeCut>,
    /// Entries in the active segment's file of aborted transactions.
    aborted: usize,
    /// The closed segment that was read last, whose file is open.
    last_read: Cell<i64>,
}

/// Told where a log's end will be when it is cut.
pub(crate) type BeforeCut = Box<dyn Fn(i64) -> io::Result<()> + Send>;

/// What the broker's checkpoint files have of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub recovery_point: i64,
    pub start_offset: i64,
    pub high_watermark: i64,
    /// Up to where it is compacted, if it was.
    pub compacted_to: Option<i64>,
}

/// What makes a log safe up to an offset; it needs no lock.
pub(crate) struct Flush {
    files: Vec<Arc<dyn DiskFile>>,
    folder: Option<(Arc<dyn Disk>, PathBuf)>,
    to: i64,
}

impl Log {
    /// Opens the log in a folder, which is made when there is none.
    pub fn open(place: Place, config: Arc<TopicConfig>, seed: u64, known: Known, now_ms: i64) -> io::Result<Self> {
        let found = open::open(&place, &config, known, now_ms)?;
        let active = found.segments.back().map_or(0, |segment| segment.base_offset);
        let aborted = found.transactions.aborted_with_markers(active, i64::MAX).len();
        let (recovery_point, last_read) = (found.recovery_point, Cell::new(active));
        let mut log = Self::new(config, seed);
        log.files = Some(Files { place, recovery_point, failed: false, before_cut: None, aborted, last_read });
        log.compacted_to = known.compacted_to.clamp(0, active);
        (log.start_offset, log.next_offset) = (found.start_offset, found.next_offset);
        log.high_watermark =
            known.committed.map_or(found.next_offset, |offset| offset.clamp(found.start_offset, found.next_offset));
        (log.segments, log.epochs) = (found.segments, found.epochs);
        (log.producers, log.transactions) = (found.producers, found.transactions);
        log.transactions.forget_before(log.start_offset);
        for segment in &mut log.segments {
            segment.files().into_iter().for_each(|file| file.rest());
        }
        Ok(log)
    }

    /// What is to be done before its end is cut, under its lock; if it cannot be, nothing is cut.
    pub fn before_cut(&mut self, work: BeforeCut) {
        if let Some(files) = &mut self.files {
            files.before_cut = Some(work);
        }
    }

    /// What the checkpoint files have of it; none in memory.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        let files = self.files.as_ref()?;
        Some(Checkpoint {
            recovery_point: files.recovery_point,
            start_offset: self.start_offset,
            high_watermark: self.high_watermark,
            compacted_to: Some(self.compacted_to).filter(|_| self.config.compacted),
        })
    }

    /// Where its files are; none in memory.
    pub(super) fn place(&self) -> Option<&Place> {
        Some(&self.files.as_ref()?.place)
    }

    /// Whether it takes anything at all.
    pub fn check_disk(&self) -> Result<(), ErrorCode> {
        match &self.files {
            Some(files) if files.failed => Err(ErrorCode::KAFKA_STORAGE_ERROR),
            _ => Ok(()),
        }
    }

    /// What a client is told when the disk fails. The operator is told all, unless nobody wants the log any more.
    pub(super) fn failed(&self, error: io::Error) -> ErrorCode {
        if self.is_abandoned() {
            return ErrorCode::KAFKA_STORAGE_ERROR;
        }
        let folder = self.files.as_ref().map(|files| files.place.folder.display());
        tracing::error!(folder = folder.map(tracing::field::display), %error, "a log cannot be read or written");
        ErrorCode::KAFKA_STORAGE_ERROR
    }

    /// Something went wrong halfway: what is on the disk is not what is known of it.
    pub(super) fn broken(&mut self, error: io::Error) -> ErrorCode {
        if let Some(files) = self.files.as_mut().filter(|files| !files.place.is_left()) {
            files.failed = true;
            tracing::error!(folder = %files.place.folder.display(), "the log takes nothing more until the broker starts again");
        }
        self.failed(error)
    }

    /// A leader's epoch begins, if it is news.
    pub(super) fn note_epoch(&mut self, epoch: i32, offset: i64) -> Result<(), ErrorCode> {
        if self.epochs.latest().is_none_or(|latest| latest < epoch) {
            let mut epochs = self.epochs.clone();
            epochs.assign(epoch, offset);
            if let Some(files) = &self.files {
                epochs.write(&files.place).map_err(|error| self.failed(error))?;
            }
            self.epochs = epochs;
        }
        Ok(())
    }

    pub(super) fn write_epochs(&self) {
        if let Some(files) = &self.files
            && let Err(error) = self.epochs.write(&files.place)
        {
            // What it has too much of is known to be before the log's start.
            tracing::error!(%error, "the leader epochs of a log cannot be written");
        }
    }

    /// A transaction was aborted with the last marker.
    pub(super) fn note_aborted(&mut self, aborted: &Aborted) -> Result<(), ErrorCode> {
        let base_offset = self.active().base_offset;
        let Some(files) = &mut self.files else { return Ok(()) };
        match aborted::append(&files.place, base_offset, files.aborted, aborted) {
            Ok(()) => {
                files.aborted += 1;
                Ok(())
            }
            // The marker is in the log, and its file is made anew from that.
            Err(error) => Err(self.broken(error)),
        }
    }

    /// A new segment was begun: what is known of producers here spares who opens the log all that is before.
    pub(super) fn rolled(&mut self) -> io::Result<()> {
        let closed = self.segments.len().checked_sub(2).map(|at| self.segments[at].base_offset);
        let Some(files) = &mut self.files else { return Ok(()) };
        files.aborted = 0;
        // Its indexes are not safe yet, whatever is.
        files.recovery_point = files.recovery_point.min(closed.unwrap_or(0));
        let entries = self.producers.snapshot(|id| self.transactions.open_since(id));
        snapshot::write(&files.place, self.next_offset, entries).map(drop)
    }

    /// `flush.messages`: so many may be lost when the machine fails.
    pub(super) fn flush_if_due(&mut self) -> Result<(), ErrorCode> {
        let most = self.config.flush_messages;
        match &self.files {
            Some(files) if self.next_offset - files.recovery_point >= most => self.flush(),
            _ => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), ErrorCode> {
        let due = self.due_flush().map_err(|error| self.failed(error))?;
        let Some(flush) = due else { return Ok(()) };
        match flush.run() {
            Ok(to) => {
                self.flushed(to);
                Ok(())
            }
            Err(error) => Err(self.broken(error)),
        }
    }

    /// What is to be done so that all is safe; none when it is.
    pub fn due_flush(&mut self) -> io::Result<Option<Flush>> {
        let Some(files) = self.files.as_ref().filter(|files| !files.failed) else { return Ok(None) };
        let (from, to, last) = (files.recovery_point, self.next_offset, self.segments.len() - 1);
        if from >= to {
            return Ok(None);
        }
        let first = self.segments.partition_point(|segment| segment.base_offset <= from).saturating_sub(1);
        // Names that are new since then.
        let new = self.segments.range(first..).any(|segment| segment.base_offset >= from);
        let folder = new.then(|| (files.place.disk.clone(), files.place.folder.to_path_buf()));
        let mut to_sync = Vec::new();
        for (at, segment) in self.segments.iter_mut().enumerate().skip(first) {
            match segment.files() {
                Some(file) if at < last => {
                    to_sync.extend(file.closed_files()?);
                    file.rest();
                }
                // Its indexes are made anew when it is opened after a crash.
                Some(file) => to_sync.push(file.file()?),
                None => {}
            }
        }
        Ok(Some(Flush { files: to_sync, folder, to }))
    }

    /// It was done.
    pub fn flushed(&mut self, to: i64) {
        if let Some(files) = &mut self.files {
            files.recovery_point = files.recovery_point.max(to);
        }
    }

    /// It could not be done.
    pub fn flush_failed(&mut self, error: io::Error) {
        self.broken(error);
    }

    /// The broker stops: everything is written and safe, so that nothing must be read when it starts again.
    pub fn close(&mut self) -> io::Result<()> {
        let Some(files) = &mut self.files else { return Ok(()) };
        if files.failed {
            return Err(io::Error::other("the disk had failed before"));
        }
        let entries = self.producers.snapshot(|id| self.transactions.open_since(id));
        let place = files.place.clone();
        let active = self.segments.back_mut().expect("a log has at least one segment");
        let base_offset = active.base_offset;
        active.seal()?;
        if let Some(file) = active.files() {
            file.closed_files()?.iter().try_for_each(|file| file.sync())?;
            file.rest();
        }
        // As if it were closed: the others are made safe as well.
        if let Some(flush) = self.due_flush()? {
            flush.run()?;
        }
        snapshot::write(&place, self.next_offset, entries)?.sync()?;
        // Those that are at no segment's beginning and not the last one.
        let of_none = |offset| offset != self.next_offset && self.segments.iter().all(|of| of.base_offset != offset);
        remove_snapshots(&place, of_none)?;
        place.disk.sync_folder(&place.folder)?;
        tracing::trace!(base_offset, next_offset = self.next_offset, "a log is closed");
        self.flushed(self.next_offset);
        // Nobody writes to it any more.
        self.abandon();
        Ok(())
    }

    /// Its topic is deleted: nothing is written to its files any more.
    pub fn abandon(&mut self) {
        if let Some(files) = &mut self.files {
            files.failed = true;
            files.place.leave();
        }
    }

    /// It is closed, or its topic was deleted.
    pub fn is_abandoned(&self) -> bool {
        self.files.as_ref().is_some_and(|files| files.place.is_left())
    }

    /// The files of closed segments need not stay open when another is read.
    pub(super) fn rest_others(&self, read: usize) {
        let Some(files) = &self.files else { return };
        let base_offset = self.segments[read].base_offset;
        if read + 1 == self.segments.len() || files.last_read.get() == base_offset {
            return;
        }
        let before = files.last_read.replace(base_offset);
        if let Some(at) = self.index_of(before).filter(|at| at + 1 < self.segments.len()) {
            self.segments[at].rest();
        }
    }

    /// Cuts the log's end, so that the next batch gets this offset, if it has as much (a follower whose leader has another history,
    /// KIP-101).
    pub fn truncate_to(&mut self, offset: i64, now_ms: i64) -> Result<(), ErrorCode> {
        if offset >= self.next_offset {
            return self.forget_empty_epochs();
        }
        self.check_disk()?;
        let offset = offset.max(0);
        if let Some(work) = self.files.as_ref().and_then(|files| files.before_cut.as_ref()) {
            work(offset).map_err(|error| self.failed(error))?;
        }
        self.cut_to(offset, now_ms).map_err(|error| self.broken(error))
    }

    /// A leader that wrote nothing in its epoch has that at its end, where the next one knows of none: it would part from there
    /// for ever (as in Kafka's UnifiedLog.truncateTo).
    fn forget_empty_epochs(&mut self) -> Result<(), ErrorCode> {
        if self.epochs.truncate_from(self.next_offset) {
            let written = self.files.as_ref().map_or(Ok(()), |files| self.epochs.write(&files.place));
            written.map_err(|error| self.broken(error))?;
        }
        Ok(())
    }

    /// All that is known of what was before goes: the log begins at an offset.
    pub(super) fn begun_at(&mut self, offset: i64) -> io::Result<()> {
        self.epochs = Epochs::default();
        self.producers.clear();
        self.transactions.truncate_from(0);
        let Some(files) = &mut self.files else { return Ok(()) };
        (files.recovery_point, files.aborted) = (offset, 0);
        self.epochs.write(&files.place)?;
        // As Kafka's ProducerStateManager.truncateFullyAndStartAt: what was open before would be again.
        remove_snapshots(&files.place, |_| true)
    }

    fn cut_to(&mut self, offset: i64, now_ms: i64) -> io::Result<()> {
        let keep = self.segments.partition_point(|segment| segment.base_offset <= offset);
        for segment in self.segments.drain(keep..) {
            segment.delete()?;
        }
        self.deletions += 1;
        match self.segments.back_mut() {
            Some(active) => active.truncate(offset)?,
            None => self.segments.push_back(match &self.files {
                None => Segment::in_memory(offset, 0, segment::FIRST_CAPACITY),
                Some(files) => Segment::in_files(&files.place, offset, 0, "")?,
            }),
        }
        self.next_offset = offset;
        self.start_offset = self.start_offset.min(offset);
        self.high_watermark = self.high_watermark.min(offset);
        self.compacted_to = self.compacted_to.min(self.active().base_offset);
        if self.epochs.truncate_from(offset) {
            self.files.as_ref().map_or(Ok(()), |files| self.epochs.write(&files.place))?;
        }
        self.transactions.truncate_from(offset);
        self.producers.clear();
        let mut state = State { producers: &mut self.producers, transactions: &mut self.transactions };
        let known = match &mut self.files {
            None => None,
            Some(files) => {
                files.recovery_point = files.recovery_point.min(offset);
                state.load(&files.place, offset, offset, now_ms)?
            }
        };
        state.replay(&self.segments, known.unwrap_or(self.start_offset), i64::MAX)?;
        let base_offset = self.active().base_offset;
        let aborted = self.transactions.aborted_with_markers(base_offset, i64::MAX).len();
        if let Some(files) = &mut self.files {
            aborted::write_segment(&files.place, base_offset, i64::MAX, &self.transactions)?;
            files.aborted = aborted;
        }
        Ok(())
    }
}

/// Removes the snapshots at those offsets that go.
fn remove_snapshots(place: &Place, go: impl Fn(i64) -> bool) -> io::Result<()> {
    let files = place.disk.list(&place.folder)?;
    let mut gone = snapshot::offsets(files.iter().map(|file| file.name.as_str())).into_iter().filter(|at| go(*at));
    gone.try_for_each(|offset| place.disk.remove(&place.path(&names::name(offset, names::SNAPSHOT))))
}

impl Flush {
    /// Does it; answers up to where the log is safe then.
    pub fn run(&self) -> io::Result<i64> {
        self.files.iter().try_for_each(|file| file.sync())?;
        if let Some((disk, folder)) = &self.folder {
            disk.sync_folder(folder)?;
        }
        Ok(self.to)
    }
}
