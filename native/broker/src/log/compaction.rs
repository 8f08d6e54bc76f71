//! Compaction (`cleanup.policy=compact`), as Kafka's LogCleaner does it: of each key the last record stays, closed segments
//! only, offsets as they were. When, and in what segments, is here; what stays of a batch is in `survivors`.
//! Driven by the housekeeping task: it looks under the log's lock, works without it, and puts the result in under it.

mod survivors;
#[cfg(test)]
mod tests;

use std::{io, sync::Arc};

use super::{
    Aborted, Log, Place, Segment,
    disk::{
        self,
        batches::{Source, damaged},
        names,
    },
    producers::Last,
    validate::Decompressors,
};
use crate::{collections::Map, config::TopicConfig};
use survivors::{Kept, Survivors};

/// A log that shall be compacted: its closed segments as they were when that was found, and what decides over their records.
pub(crate) struct Compacting {
    segments: Vec<Snapshot>,
    /// Records from here on have not been compacted before.
    dirty_from: i64,
    /// The base offset of the first segment that is left alone.
    to: i64,
    /// Transactions that were aborted, by their beginning.
    aborted: Vec<Aborted>,
    producers: Map<i64, Last>,
    config: Arc<TopicConfig>,
    now_ms: i64,
    deletions: u64,
    /// Where the log's files are; none in memory.
    place: Option<Place>,
}

struct Snapshot {
    base_offset: i64,
    /// Where the next segment begins.
    end_offset: i64,
    modified_ms: i64,
    batches: Source,
}

/// What is left.
pub(crate) struct Compacted {
    segments: Vec<Segment>,
    /// How many segments these replace.
    replaces: usize,
    to: i64,
    aborted: Vec<Aborted>,
    deletions: u64,
}

/// When a log is to be compacted.
pub(crate) enum Need {
    Now(Box<Compacting>),
    /// Time alone may bring it about then, in milliseconds since 1970.
    Later(Option<i64>),
}

/// What compaction works with.
pub(crate) struct Tools<'a> {
    pub decompressors: &'a Decompressors,
    pub max_decompressed_bytes: usize,
}

impl Log {
    /// Whether it is time to compact, by Kafka's rules: enough of what could be compacted never was, or some of it has waited
    /// for `max.compaction.lag.ms`.
    pub fn compact(&self, now_ms: i64) -> Need {
        if !self.config.compacted || self.check_disk().is_err() {
            return Need::Later(None);
        }
        let rules = self.config.compaction;
        let dirty_from = self.compacted_to.max(self.start_offset);
        let closed = self.segments.len() - 1;
        let dirty = self.index_of(dirty_from).unwrap_or(closed);
        // Neither an open transaction nor a record that is too young, nor anything behind them.
        let young = |segment: &Segment| segment.largest_timestamp() > now_ms.saturating_sub(rules.min_lag_ms);
        let first_young = (dirty..closed).find(|at| rules.min_lag_ms > 0 && young(&self.segments[*at]));
        let stable = self.index_of(self.last_stable_offset()).unwrap_or(closed);
        let end = closed.min(stable).min(first_young.unwrap_or(closed));

        let bytes =
            |from: usize, to: usize| self.segments.range(from.min(to)..to).map(Segment::len).sum::<u64>() as f64;
        let (clean, cleanable) = (bytes(0, dirty.min(end)), bytes(dirty, end));
        let oldest = self.segments.range(dirty.min(closed)..closed).filter_map(Segment::first_timestamp).min();
        let overdue = oldest.is_some_and(|oldest| oldest < now_ms.saturating_sub(rules.max_lag_ms));
        let enough = cleanable / (clean + cleanable) > rules.min_dirty_ratio;
        if cleanable > 0.0 && (overdue || enough) {
            match self.compacting(dirty_from, end, now_ms) {
                Ok(work) => return Need::Now(Box::new(work)),
                Err(error) => tracing::error!(%error, "a partition cannot be compacted"),
            }
        }
        let waits = [
            first_young.map(|at| self.segments[at].largest_timestamp().saturating_add(rules.min_lag_ms)),
            oldest.map(|oldest| oldest.saturating_add(rules.max_lag_ms).saturating_add(1)),
        ];
        Need::Later(waits.into_iter().flatten().filter(|due| *due > now_ms && *due < i64::MAX).min())
    }

    fn compacting(&self, dirty_from: i64, end: usize, now_ms: i64) -> io::Result<Compacting> {
        let to = self.segments[end].base_offset;
        let snapshot = |at: usize| {
            let (segment, next) = (&self.segments[at], &self.segments[at + 1]);
            let (base_offset, end_offset, modified_ms) = (segment.base_offset, next.base_offset, segment.modified_ms);
            Ok(Snapshot { base_offset, end_offset, modified_ms, batches: segment.source()? })
        };
        Ok(Compacting {
            segments: (0..end).map(snapshot).collect::<io::Result<_>>()?,
            dirty_from,
            to,
            aborted: self.transactions.aborted_before(to),
            producers: self.producers.last_records(now_ms),
            config: self.config.clone(),
            now_ms,
            deletions: self.deletions,
            place: self.place().cloned(),
        })
    }

    /// Puts compacted segments in the place of those they came from. Not when some of these are gone meanwhile, or all.
    pub fn replace(&mut self, mut compacted: Compacted) -> bool {
        if self.is_abandoned() {
            return false;
        }
        if self.deletions != compacted.deletions {
            compacted.segments.into_iter().for_each(discard);
            return false;
        }
        let before = self.size();
        let old: Vec<Segment> = self.segments.drain(..compacted.replaces).collect();
        if let Err(error) = swap(self.place(), old, &mut compacted.segments) {
            self.broken(error);
        }
        compacted.segments.into_iter().rev().for_each(|segment| self.segments.push_front(segment));
        let mut position = 0;
        for segment in &mut self.segments {
            segment.start_position = position;
            position += segment.len();
        }
        self.transactions.compacted(compacted.to, &compacted.aborted);
        self.compacted_to = compacted.to;
        tracing::debug!(to = compacted.to, before, after = self.size(), "compacted");
        true
    }
}

/// Puts the files of compacted segments in the place of old ones, as Kafka does: a crash in between leaves one or the other.
fn swap(place: Option<&Place>, old: Vec<Segment>, new: &mut [Segment]) -> io::Result<()> {
    let Some(place) = place else { return Ok(()) };
    for file in new.iter_mut().filter_map(Segment::files) {
        file.rename(names::SWAP)?;
    }
    place.disk.sync_folder(&place.folder)?;
    old.into_iter().try_for_each(Segment::delete)?;
    for file in new.iter_mut().filter_map(Segment::files) {
        file.rename("")?;
    }
    place.disk.sync_folder(&place.folder)
}

fn discard(segment: Segment) {
    if let Err(error) = segment.delete() {
        tracing::warn!(%error, "the files of a compaction that came too late cannot be deleted");
    }
}

impl Compacting {
    /// Does the work, which may be long: it lets others run every now and then.
    pub async fn run(self, tools: &Tools<'_>) -> io::Result<Compacted> {
        let (mut survivors, mut turn) = (Survivors::new(&self, tools), Turn::default());
        for segment in self.segments.iter().filter(|segment| segment.end_offset > self.dirty_from) {
            for batch in segment.batches.batches(0) {
                let batch = batch?;
                survivors.learn(&batch).map_err(damaged)?;
                turn.over(batch.bytes().len()).await;
            }
        }
        survivors.learned();
        let mut segments: Vec<Segment> = Vec::new();
        let mut group_bytes: u64 = 0;
        for snapshot in &self.segments {
            // Small ones become one, as long as they were no larger together than one may be.
            group_bytes += snapshot.batches.len();
            if segments.is_empty() || group_bytes > self.config.segment_bytes as u64 {
                group_bytes = snapshot.batches.len();
                segments.push(self.begin(snapshot.base_offset)?);
            }
            let into = segments.last_mut().expect("one was pushed");
            for batch in snapshot.batches.batches(0) {
                let batch = batch?;
                match survivors.keep(&batch).map_err(damaged)? {
                    Kept::Nothing => {}
                    Kept::Records(bytes, time) => into.push(&bytes, batch.last_offset(), time, &self.config)?,
                    Kept::Header(bytes) => into.push(&bytes, batch.last_offset(), i64::MIN, &self.config)?,
                }
                turn.over(batch.bytes().len()).await;
            }
            into.modified_ms = snapshot.modified_ms;
        }
        let (replaces, aborted) = (self.segments.len(), survivors.into_aborted());
        self.finish(&mut segments, &aborted)?;
        Ok(Compacted { segments, replaces, to: self.to, aborted, deletions: self.deletions })
    }
}

impl Compacting {
    fn begin(&self, base_offset: i64) -> io::Result<Segment> {
        match &self.place {
            None => Ok(Segment::in_memory(base_offset, 0, 0)),
            Some(place) => Segment::in_files(place, base_offset, 0, names::CLEANED),
        }
    }

    /// The segments are complete, and safe.
    fn finish(&self, segments: &mut [Segment], aborted: &[Aborted]) -> io::Result<()> {
        let ends: Vec<i64> = segments.iter().skip(1).map(|next| next.base_offset).chain([self.to]).collect();
        for (segment, end) in segments.iter_mut().zip(ends) {
            segment.seal()?;
            let base_offset = segment.base_offset;
            let (Some(file), Some(place)) = (segment.files(), &self.place) else { continue };
            file.closed(end);
            let of_segment: Vec<Aborted> =
                aborted.iter().filter(|aborted| (base_offset..end).contains(&aborted.last_offset)).copied().collect();
            let name = format!("{}{}", names::name(base_offset, names::TXN_INDEX), names::CLEANED);
            disk::aborted::write(place, &name, &of_segment)?;
            file.closed_files()?.iter().try_for_each(|file| file.sync())?;
            file.rest();
        }
        Ok(())
    }
}

/// Counts bytes, and lets others run when there were many.
#[derive(Default)]
struct Turn {
    bytes: usize,
}

impl Turn {
    /// About a millisecond's work.
    const LENGTH: usize = 128 << 10;

    async fn over(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes >= Self::LENGTH {
            self.bytes = 0;
            tokio::task::yield_now().await;
        }
    }
}
