//! What is known of a partition's producers and transactions, from a snapshot and the batches behind it (Kafka's
//! ProducerStateManager and UnifiedLog.rebuildProducerState): when a log is opened, and when it was truncated.

use std::{collections::VecDeque, io};

use dohle_protocol::{
    compress::Decompressor,
    records::{ControlType, RawBatch},
};

use super::{
    super::{Aborted, Marker, producers::Producers, segment::Segment, transactions::Transactions},
    names,
    place::Place,
    snapshot,
};

/// A marker is tiny; one that is not is none.
const LARGEST_MARKER: usize = 1 << 16;

/// What is rebuilt.
pub struct State<'a> {
    pub producers: &'a mut Producers,
    pub transactions: &'a mut Transactions,
}

impl State<'_> {
    /// Takes in the newest snapshot up to an offset; answers its offset. Those behind the log's end, and damaged ones, go.
    pub fn load(&mut self, place: &Place, limit: i64, log_end: i64, now_ms: i64) -> io::Result<Option<i64>> {
        let files = place.disk.list(&place.folder)?;
        let mut offsets = snapshot::offsets(files.iter().map(|file| file.name.as_str()));
        offsets.sort_unstable();
        for offset in offsets.into_iter().rev() {
            let path = place.path(&names::name(offset, names::SNAPSHOT));
            if offset > limit {
                if offset > log_end {
                    place.disk.remove(&path)?;
                }
                continue;
            }
            match snapshot::read(place, offset) {
                Ok(entries) => {
                    for entry in &entries {
                        if let Some(first_offset) = self.producers.restore(entry, now_ms) {
                            self.transactions.appended(entry.producer_id, first_offset);
                        }
                    }
                    return Ok(Some(offset));
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::warn!(%error, "a snapshot of producers is not used");
                    place.disk.remove(&path)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Takes in what producers have written from an offset on. Of aborted transactions, those with markers before `aborted_from`
    /// are known.
    pub fn replay(&mut self, segments: &VecDeque<Segment>, from: i64, aborted_from: i64) -> io::Result<()> {
        let first = segments.partition_point(|segment| segment.base_offset <= from).saturating_sub(1);
        for segment in segments.range(first..) {
            let position = segment.position_of(from)? - segment.start_position;
            for batch in segment.source()?.batches(position) {
                let batch = batch?;
                if batch.header().producer_id >= 0 && batch.last_offset() >= from {
                    self.replay_one(&batch, segment.modified_ms, aborted_from);
                }
            }
        }
        Ok(())
    }

    /// Takes in one batch; answers the transaction that was aborted with it. Markers before `aborted_from` are known.
    pub fn replay_one(&mut self, batch: &RawBatch, written_ms: i64, aborted_from: i64) -> Option<Aborted> {
        let header = batch.header();
        // When it was written is not known: as long ago as its times say, or as its file does.
        let used_ms = header.max_timestamp.max(written_ms);
        if let Some(marker) = marker(batch) {
            self.producers.replay_marker(&marker, used_ms);
            let news = !marker.commit && header.base_offset >= aborted_from;
            return self.transactions.ended(marker.producer_id, header.base_offset, news);
        } else if !header.attributes.is_control() {
            self.producers.replay(&header, used_ms);
            if header.attributes.is_transactional() {
                self.transactions.appended(header.producer_id, header.base_offset);
            }
        }
        None
    }
}

/// The marker that a batch is.
fn marker(batch: &RawBatch) -> Option<Marker> {
    let header = batch.header();
    if !header.attributes.is_control() {
        return None;
    }
    let plain = batch.plain(&mut Decompressor::default(), LARGEST_MARKER).ok()?;
    let commit = match plain.control_type()? {
        ControlType::Commit => true,
        ControlType::Abort => false,
        _ => return None,
    };
    let record = plain.iter().next()?.ok()?;
    // A version, then the epoch.
    let epoch = record.value.and_then(|value| value.get(2..6)).and_then(|bytes| bytes.try_into().ok());
    let coordinator_epoch = epoch.map_or(0, i32::from_be_bytes);
    Some(Marker { producer_id: header.producer_id, epoch: header.producer_epoch, commit, coordinator_epoch })
}
