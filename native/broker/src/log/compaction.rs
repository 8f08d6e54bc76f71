//! Compaction (`cleanup.policy=compact`), as Kafka's LogCleaner does it: of each key the last record stays, closed segments
//! only, offsets as they were. When, and in what segments, is here; what stays of a batch is in `survivors`.
//! Driven by the housekeeping task: it looks under the log's lock, works without it, and puts the result in under it.

mod survivors;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use dohle_protocol::records::{RecordError, batches};

use super::{Aborted, Log, Segment, producers::Last, validate::Decompressors};
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
}

struct Snapshot {
    base_offset: i64,
    /// Where the next segment begins.
    end_offset: i64,
    modified_ms: i64,
    bytes: Bytes,
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
        if !self.config.compacted {
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
            |from: usize, to: usize| self.segments.range(from.min(to)..to).map(Segment::len).sum::<usize>() as f64;
        let (clean, cleanable) = (bytes(0, dirty.min(end)), bytes(dirty, end));
        let oldest = self.segments.range(dirty.min(closed)..closed).filter_map(Segment::first_timestamp).min();
        let overdue = oldest.is_some_and(|oldest| oldest < now_ms.saturating_sub(rules.max_lag_ms));
        let enough = cleanable / (clean + cleanable) > rules.min_dirty_ratio;
        if cleanable > 0.0 && (overdue || enough) {
            return Need::Now(Box::new(self.compacting(dirty_from, end, now_ms)));
        }
        let waits = [
            first_young.map(|at| self.segments[at].largest_timestamp().saturating_add(rules.min_lag_ms)),
            oldest.map(|oldest| oldest.saturating_add(rules.max_lag_ms).saturating_add(1)),
        ];
        Need::Later(waits.into_iter().flatten().filter(|due| *due > now_ms && *due < i64::MAX).min())
    }

    fn compacting(&self, dirty_from: i64, end: usize, now_ms: i64) -> Compacting {
        let to = self.segments[end].base_offset;
        let snapshot = |at: usize| Snapshot {
            base_offset: self.segments[at].base_offset,
            end_offset: self.segments[at + 1].base_offset,
            modified_ms: self.segments[at].modified_ms,
            bytes: self.segments[at].sealed(),
        };
        Compacting {
            segments: (0..end).map(snapshot).collect(),
            dirty_from,
            to,
            aborted: self.transactions.aborted_before(to),
            producers: self.producers.last_records(now_ms),
            config: self.config.clone(),
            now_ms,
            deletions: self.deletions,
        }
    }

    /// Puts compacted segments in the place of those they came from. Not when some of these are gone meanwhile.
    pub fn replace(&mut self, compacted: Compacted) -> bool {
        if self.deletions != compacted.deletions {
            return false;
        }
        let before = self.size();
        self.segments.drain(..compacted.replaces);
        compacted.segments.into_iter().rev().for_each(|segment| self.segments.push_front(segment));
        let mut position = 0;
        for segment in &mut self.segments {
            segment.start_position = position;
            position += segment.len() as u64;
        }
        self.transactions.compacted(compacted.to, &compacted.aborted);
        self.compacted_to = compacted.to;
        tracing::debug!(to = compacted.to, before, after = self.size(), "compacted");
        true
    }
}

impl Compacting {
    /// Does the work, which may be long: it lets others run every now and then.
    pub async fn run(self, tools: &Tools<'_>) -> Result<Compacted, RecordError> {
        let (mut survivors, mut turn) = (Survivors::new(&self, tools), Turn::default());
        for segment in self.segments.iter().filter(|segment| segment.end_offset > self.dirty_from) {
            for batch in batches(segment.bytes.clone()) {
                let batch = batch?;
                survivors.learn(&batch)?;
                turn.over(batch.bytes().len()).await;
            }
        }
        survivors.learned();
        let mut segments: Vec<Segment> = Vec::new();
        let mut group_bytes = 0;
        for snapshot in &self.segments {
            // Small ones become one, as long as they were no larger together than one may be.
            group_bytes += snapshot.bytes.len();
            if segments.is_empty() || group_bytes > self.config.segment_bytes {
                group_bytes = snapshot.bytes.len();
                segments.push(Segment::new(snapshot.base_offset, 0, 0));
            }
            let into = segments.last_mut().expect("one was pushed");
            for batch in batches(snapshot.bytes.clone()) {
                let batch = batch?;
                match survivors.keep(&batch)? {
                    Kept::Nothing => {}
                    Kept::Records(bytes, max_timestamp) => into.push(&bytes, batch.last_offset(), max_timestamp),
                    Kept::Header(bytes) => into.push(&bytes, batch.last_offset(), i64::MIN),
                }
                turn.over(batch.bytes().len()).await;
            }
            into.modified_ms = snapshot.modified_ms;
        }
        segments.iter_mut().for_each(Segment::seal);
        let (replaces, aborted) = (self.segments.len(), survivors.into_aborted());
        Ok(Compacted { segments, replaces, to: self.to, aborted, deletions: self.deletions })
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
