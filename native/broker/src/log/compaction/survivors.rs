//! What stays of each batch when a log is compacted, as Kafka's Cleaner decides: the last record of a key, a tombstone or a
//! marker for `delete.retention.ms` after it could have gone, nothing of an aborted transaction; and of each producer the last
//! batch, if only its header, so that its sequences go on.

use std::collections::VecDeque;

use bytes::Bytes;
use dohle_protocol::{
    compress::{Compression, Compressor},
    records::{
        BatchHeader, ControlType, PlainBatch, RawBatch, RecordError, RecordErrorKind, RecordView, emptied, thinned,
    },
};

use super::{Aborted, Compacting, Last, Tools};
use crate::collections::{Map, Set};

/// Decides. First it is told all that is new ([`learn`](Self::learn)), then asked about everything ([`keep`](Self::keep)).
pub(super) struct Survivors<'a> {
    work: &'a Compacting,
    tools: &'a Tools<'a>,
    /// The last offset of each key among what is new.
    latest: Map<Box<[u8]>, i64>,
    transactions: Walk,
    compressors: [Option<Compressor>; Compression::ALL.len()],
}

/// What stays of a batch.
pub(super) enum Kept {
    Nothing,
    /// This batch, and its largest timestamp.
    Records(Bytes, i64),
    /// Only what its producer needs.
    Header(Bytes),
}

impl<'a> Survivors<'a> {
    pub fn new(work: &'a Compacting, tools: &'a Tools<'a>) -> Self {
        let transactions = Walk::new(&work.aborted, work.dirty_from);
        Self { work, tools, latest: Map::default(), transactions, compressors: Default::default() }
    }

    /// Takes a batch's keys in.
    pub fn learn(&mut self, batch: &RawBatch) -> Result<(), RecordError> {
        let plain = self.plain(batch)?;
        if self.transactions.pass(batch, &plain) || batch.header().attributes.is_control() {
            return Ok(());
        }
        for record in plain.iter() {
            let record = record?;
            if let Some(key) = record.key.filter(|_| record.offset >= self.work.dirty_from) {
                match self.latest.get_mut(key) {
                    Some(offset) => *offset = record.offset,
                    None => drop(self.latest.insert(key.into(), record.offset)),
                }
            }
        }
        Ok(())
    }

    /// All that is new has been told.
    pub fn learned(&mut self) {
        self.transactions = Walk::new(&self.work.aborted, 0);
    }

    /// What stays of a batch.
    pub fn keep(&mut self, batch: &RawBatch) -> Result<Kept, RecordError> {
        let (header, plain) = (batch.header(), self.plain(batch)?);
        let over = self.transactions.pass(batch, &plain);
        let control = header.attributes.is_control();
        let horizon = header.delete_horizon();
        let expired = horizon.is_some_and(|horizon| horizon <= self.work.now_ms);
        // A marker that nobody needs any more stays for a while, as a tombstone does.
        let discarded = over && (!control || expired);
        let mut kept = Vec::new();
        if !discarded {
            for record in plain.iter() {
                let record = record?;
                if control || self.survives(&record, expired) {
                    kept.push(record);
                }
            }
        }
        if kept.is_empty() {
            let needed = self.is_last_of_producer(&header) || header.last_offset() + 1 == self.work.to;
            return Ok(if needed { Kept::Header(emptied(&header)) } else { Kept::Nothing });
        }
        let max_timestamp = kept.iter().map(|record| record.timestamp).max().unwrap_or(-1);
        let fleeting = control && over || kept.iter().any(|record| record.value.is_none());
        let starts_to_count = fleeting && horizon.is_none();
        if !starts_to_count && kept.len() == header.record_count as usize {
            return Ok(Kept::Records(batch.bytes().clone(), max_timestamp));
        }
        let from_now = self.work.now_ms.saturating_add(self.work.config.compaction.delete_retention_ms);
        let horizon = if starts_to_count { Some(from_now) } else { horizon };
        Ok(Kept::Records(self.thinned(&header, &kept, horizon)?, max_timestamp))
    }

    fn survives(&self, record: &RecordView<'_>, expired: bool) -> bool {
        // Without a key there is none that it could be the last of. It was written before the topic was compacted.
        let Some(key) = record.key else { return false };
        let last = self.latest.get(key).is_none_or(|offset| record.offset >= *offset);
        last && (record.value.is_some() || !expired)
    }

    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        match self.work.producers.get(&header.producer_id) {
            Some(Last::Batch(offset)) => *offset == header.last_offset(),
            Some(Last::Marker(epoch)) => header.attributes.is_control() && *epoch == header.producer_epoch,
            None => false,
        }
    }

    fn plain(&self, batch: &RawBatch) -> Result<PlainBatch, RecordError> {
        self.tools.decompressors.with(|one| batch.plain(one, self.tools.max_decompressed_bytes))
    }

    fn thinned(
        &mut self,
        header: &BatchHeader,
        records: &[RecordView<'_>],
        horizon: Option<i64>,
    ) -> Result<Bytes, RecordError> {
        let codec = header.attributes.compression().unwrap_or_default();
        let slot = &mut self.compressors[usize::from(codec.id())];
        let compressor = match slot {
            Some(compressor) => Ok(compressor),
            None => Compressor::new(codec, None).map(|new| slot.insert(new)),
        };
        let thinned = compressor.and_then(|compressor| thinned(header, records, horizon, compressor));
        thinned.map_err(|error| RecordError {
            kind: RecordErrorKind::Compression(error),
            field: "Records",
            position: 0,
            base_offset: Some(header.base_offset),
            record: None,
        })
    }

    /// The aborted transactions that readers may still meet.
    pub fn into_aborted(self) -> Vec<Aborted> {
        self.transactions.met
    }
}

/// Follows the transactions of a log from its beginning on, one batch after the other.
struct Walk {
    /// Aborted ones further on, by their beginning.
    ahead: VecDeque<Aborted>,
    /// Aborted ones under way, by producer, and whether a batch of theirs was there.
    aborted: Map<i64, (Aborted, bool)>,
    /// Producers of the others under way.
    committed: Set<i64>,
    /// Aborted ones that had batches.
    met: Vec<Aborted>,
}

impl Walk {
    /// Begins at an offset: what has ended before says nothing of what its producers write there.
    fn new(aborted: &[Aborted], from: i64) -> Self {
        let ahead = aborted.iter().filter(|aborted| aborted.last_offset >= from).copied();
        let (ahead, met) = (ahead.collect(), Vec::new());
        Self { ahead, aborted: Map::default(), committed: Set::default(), met }
    }

    /// Passes a batch; answers whether it is of no use any more: of an aborted transaction, or the marker of one that has no
    /// batches left.
    fn pass(&mut self, batch: &RawBatch, plain: &PlainBatch) -> bool {
        let header = batch.header();
        let begins =
            |ahead: &VecDeque<Aborted>| ahead.front().is_some_and(|next| next.first_offset <= header.last_offset());
        while begins(&self.ahead) {
            if let Some(next) = self.ahead.pop_front() {
                self.aborted.entry(next.producer_id).or_insert((next, false));
            }
        }
        if header.attributes.is_control() { self.end(&header, plain) } else { self.data(&header) }
    }

    fn data(&mut self, header: &BatchHeader) -> bool {
        if !header.attributes.is_transactional() {
            return false;
        }
        if let Some((_, had_batches)) = self.aborted.get_mut(&header.producer_id) {
            *had_batches = true;
            return true;
        }
        self.committed.insert(header.producer_id);
        false
    }

    fn end(&mut self, header: &BatchHeader, plain: &PlainBatch) -> bool {
        match plain.control_type() {
            Some(ControlType::Abort) => match self.aborted.remove(&header.producer_id) {
                Some((aborted, true)) => {
                    self.met.push(aborted);
                    false
                }
                _ => true,
            },
            Some(ControlType::Commit) => !self.committed.remove(&header.producer_id),
            Some(_) => false,
            // Emptied before.
            None => true,
        }
    }
}
