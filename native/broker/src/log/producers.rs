//! Idempotent producers of one partition: their epoch and last five batches, checked as Kafka's ProducerStateManager
//! and ProducerAppendInfo do. A batch seen before is answered with the offset it got then.

use std::{collections::VecDeque, ops::RangeInclusive};

use dohle_protocol::{
    ErrorCode,
    messages::producer_snapshot::ProducerEntry,
    records::{BatchHeader, TimestampType},
};

use super::Marker;
use crate::collections::Map;

/// Batches remembered per producer: as many as a producer may have in flight.
const REMEMBERED: usize = 5;
/// Producers kept before expired ones are looked for.
const SWEEP_ABOVE: usize = 1024;

/// The producer's half of a batch header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerStamp {
    pub id: i64,
    pub epoch: i16,
    pub first_sequence: i32,
    pub last_sequence: i32,
}

impl ProducerStamp {
    /// A coordinator writes for this producer, and numbers nothing.
    fn is_coordinators(&self) -> bool {
        self.first_sequence < 0
    }
}

pub(super) struct Producers {
    entries: Map<i64, Entry>,
    /// `producer.id.expiration.ms`.
    pub expiration_ms: i64,
}

struct Entry {
    epoch: i16,
    last_used_ms: i64,
    /// Of the last marker; −1 before the first.
    coordinator_epoch: i32,
    batches: VecDeque<Remembered>,
}

/// A producer as DescribeProducers tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ActiveProducer {
    pub id: i64,
    pub epoch: i16,
    pub coordinator_epoch: i32,
    /// −1 when it has written nothing in this epoch.
    pub last_sequence: i32,
    pub last_used_ms: i64,
}

/// The last that a producer has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// A batch with this last offset.
    Batch(i64),
    /// No batch in this epoch, only markers.
    Marker(i16),
}

struct Remembered {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
    last_offset: i64,
    append_time: i64,
}

impl Producers {
    pub fn new(expiration_ms: i64) -> Self {
        Self { entries: Map::default(), expiration_ms }
    }

    /// Whether a batch may be appended. `Some((base offset, append time))`: it was, do not do it again.
    pub fn check(&self, stamp: &ProducerStamp, now_ms: i64) -> Result<Option<(i64, i64)>, ErrorCode> {
        // No entry: never seen, or forgotten. Any sequence is accepted, as Kafka does after retention.
        let Some(entry) = self.entries.get(&stamp.id).filter(|entry| !self.expired(entry, now_ms)) else {
            return Ok(None);
        };
        if stamp.epoch < entry.epoch {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        if stamp.is_coordinators() {
            return Ok(None);
        }
        if stamp.epoch > entry.epoch {
            let starts_over = stamp.first_sequence == 0;
            return if starts_over { Ok(None) } else { Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER) };
        }
        if let Some(seen) = entry.batches.iter().find(|batch| batch.is(stamp)) {
            return Ok(Some((seen.base_offset, seen.append_time)));
        }
        let last = entry.last_sequence();
        let expected = if last == i32::MAX { 0 } else { last + 1 };
        if stamp.first_sequence == expected { Ok(None) } else { Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER) }
    }

    /// The epoch that a producer writes in, and that of the coordinator that wrote its last marker.
    pub fn epochs(&self, id: i64) -> Option<(i16, i32)> {
        self.entries.get(&id).map(|entry| (entry.epoch, entry.coordinator_epoch))
    }

    /// Whether a batch of its epoch is remembered.
    pub fn has_written(&self, id: i64, now_ms: i64) -> bool {
        self.entries.get(&id).is_some_and(|entry| !self.expired(entry, now_ms) && !entry.batches.is_empty())
    }

    /// Remembers a batch that was appended.
    pub fn appended(&mut self, stamp: &ProducerStamp, at: RangeInclusive<i64>, append_time: i64, now_ms: i64) {
        if self.entries.len() > SWEEP_ABOVE && !self.entries.contains_key(&stamp.id) {
            let expiration_ms = self.expiration_ms;
            self.entries.retain(|_, entry| !entry.expired(now_ms, expiration_ms));
        }
        let entry = self.entry(stamp.id, stamp.epoch);
        entry.last_used_ms = now_ms;
        if stamp.is_coordinators() {
            return;
        }
        if entry.batches.len() == REMEMBERED {
            entry.batches.pop_front();
        }
        let (first_sequence, last_sequence) = (stamp.first_sequence, stamp.last_sequence);
        let (base_offset, last_offset) = at.into_inner();
        let batch = Remembered { first_sequence, last_sequence, base_offset, last_offset, append_time };
        entry.batches.push_back(batch);
    }

    /// A transaction ends: in a newer epoch, sequences begin again.
    pub fn ended(&mut self, marker: &Marker, now_ms: i64) -> Result<(), ErrorCode> {
        let known = self.entries.get(&marker.producer_id);
        if known.is_some_and(|entry| marker.epoch < entry.epoch) {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        if known.is_some_and(|entry| marker.coordinator_epoch < entry.coordinator_epoch) {
            return Err(ErrorCode::TRANSACTION_COORDINATOR_FENCED);
        }
        let entry = self.entry(marker.producer_id, marker.epoch);
        entry.coordinator_epoch = marker.coordinator_epoch;
        entry.last_used_ms = now_ms;
        Ok(())
    }

    /// Takes in a batch that was found in the log.
    pub fn replay(&mut self, header: &BatchHeader, used_ms: i64) {
        let stamp = ProducerStamp {
            id: header.producer_id,
            epoch: header.producer_epoch,
            first_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
        };
        let known = self.entries.get(&stamp.id);
        // What a newer epoch has fenced cannot be behind it, but a damaged file may say so.
        if known.is_none_or(|entry| entry.epoch <= stamp.epoch) {
            let append_time = match header.attributes.timestamp_type() {
                TimestampType::LogAppendTime => header.max_timestamp,
                TimestampType::CreateTime => -1,
            };
            self.appended(&stamp, header.base_offset..=header.last_offset(), append_time, used_ms);
        }
    }

    /// Takes in a marker that was found in the log.
    pub fn replay_marker(&mut self, marker: &Marker, used_ms: i64) {
        let _ = self.ended(marker, used_ms);
    }

    /// Takes in an entry of a snapshot, unless it has expired; answers where its open transaction began.
    pub fn restore(&mut self, entry: &ProducerEntry, now_ms: i64) -> Option<i64> {
        let first_offset = Some(entry.current_txn_first_offset).filter(|offset| *offset >= 0);
        let mut restored = Entry::new(entry.epoch);
        (restored.last_used_ms, restored.coordinator_epoch) = (entry.timestamp, entry.coordinator_epoch);
        if first_offset.is_none() && restored.expired(now_ms, self.expiration_ms) {
            return None;
        }
        if entry.last_offset >= 0
            && entry.last_sequence >= 0
            && (0..=entry.last_offset).contains(&entry.offset_delta.into())
        {
            restored.batches.push_back(Remembered {
                // Sequences run from 0 to i32::MAX and start again at 0.
                first_sequence: entry.last_sequence.wrapping_sub(entry.offset_delta) & i32::MAX,
                last_sequence: entry.last_sequence,
                base_offset: entry.last_offset - i64::from(entry.offset_delta),
                last_offset: entry.last_offset,
                append_time: -1,
            });
        }
        self.entries.insert(entry.producer_id, restored);
        first_offset
    }

    /// The entries of a snapshot; `open_since` tells where a producer's open transaction began.
    pub fn snapshot(&self, open_since: impl Fn(i64) -> Option<i64>) -> Vec<ProducerEntry> {
        let mut entries: Vec<ProducerEntry> = self
            .entries
            .iter()
            .map(|(id, entry)| {
                let last = entry.batches.back();
                ProducerEntry {
                    producer_id: *id,
                    epoch: entry.epoch,
                    last_sequence: entry.last_sequence(),
                    last_offset: last.map_or(-1, |batch| batch.last_offset),
                    offset_delta: last.map_or(0, |batch| (batch.last_offset - batch.base_offset) as i32),
                    timestamp: entry.last_used_ms,
                    coordinator_epoch: entry.coordinator_epoch,
                    current_txn_first_offset: open_since(*id).unwrap_or(-1),
                }
            })
            .collect();
        entries.sort_unstable_by_key(|entry| entry.producer_id);
        entries
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Those that have not expired, by id.
    pub fn active(&self, now_ms: i64) -> impl Iterator<Item = ActiveProducer> {
        let active = self.entries.iter().filter(move |(_, entry)| !self.expired(entry, now_ms));
        let mut active: Vec<ActiveProducer> = active
            .map(|(id, entry)| ActiveProducer {
                id: *id,
                epoch: entry.epoch,
                coordinator_epoch: entry.coordinator_epoch,
                last_sequence: entry.last_sequence(),
                last_used_ms: entry.last_used_ms,
            })
            .collect();
        active.sort_unstable_by_key(|producer| producer.id);
        active.into_iter()
    }

    /// What compaction must leave of each that has not expired: the batch that ends at this offset or, when it has written
    /// nothing in its epoch, the markers of that.
    pub fn last_records(&self, now_ms: i64) -> Map<i64, Last> {
        let active = self.entries.iter().filter(|(_, entry)| !self.expired(entry, now_ms));
        let last = |entry: &Entry| match entry.batches.back() {
            Some(batch) => Last::Batch(batch.last_offset),
            None => Last::Marker(entry.epoch),
        };
        active.map(|(id, entry)| (*id, last(entry))).collect()
    }

    fn expired(&self, entry: &Entry, now_ms: i64) -> bool {
        entry.expired(now_ms, self.expiration_ms)
    }

    fn entry(&mut self, id: i64, epoch: i16) -> &mut Entry {
        let entry = self.entries.entry(id).or_insert_with(|| Entry::new(epoch));
        if epoch != entry.epoch {
            *entry = Entry::new(epoch);
        }
        entry
    }
}

impl Entry {
    fn new(epoch: i16) -> Self {
        Self { epoch, last_used_ms: 0, coordinator_epoch: -1, batches: VecDeque::with_capacity(REMEMBERED) }
    }

    fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last_sequence)
    }

    fn expired(&self, now_ms: i64, expiration_ms: i64) -> bool {
        now_ms.saturating_sub(self.last_used_ms) >= expiration_ms
    }
}

impl Remembered {
    fn is(&self, stamp: &ProducerStamp) -> bool {
        self.first_sequence == stamp.first_sequence && self.last_sequence == stamp.last_sequence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn stamp(epoch: i16, first_sequence: i32, last_sequence: i32) -> ProducerStamp {
        ProducerStamp { id: 7, epoch, first_sequence, last_sequence }
    }

    fn at(offset: i64) -> RangeInclusive<i64> {
        offset..=offset
    }

    fn with_batches(sequences: &[(i32, i32)]) -> Producers {
        let mut producers = Producers::new(DAY_MS);
        for (n, (first, last)) in sequences.iter().enumerate() {
            producers.appended(&stamp(1, *first, *last), at(n as i64 * 100), -1, 0);
        }
        producers
    }

    #[test]
    fn the_next_sequence_is_accepted_and_a_gap_is_not() {
        let producers = with_batches(&[(0, 9)]);
        assert_eq!(producers.check(&stamp(1, 10, 10), 0), Ok(None));
        assert_eq!(producers.check(&stamp(1, 11, 11), 0), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    }

    #[test]
    fn the_last_five_batches_are_answered_with_their_offsets_and_older_ones_are_out_of_order() {
        let producers = with_batches(&[(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]);
        assert_eq!(producers.check(&stamp(1, 1, 1), 0), Ok(Some((100, -1))));
        assert_eq!(producers.check(&stamp(1, 5, 5), 0), Ok(Some((500, -1))));
        assert_eq!(producers.check(&stamp(1, 0, 0), 0), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    }

    #[test]
    fn a_new_epoch_starts_at_zero_and_fences_the_old_one() {
        let mut producers = with_batches(&[(0, 0)]);
        assert_eq!(producers.check(&stamp(2, 1, 1), 0), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
        assert_eq!(producers.check(&stamp(2, 0, 0), 0), Ok(None));
        producers.appended(&stamp(2, 0, 0), at(900), -1, 0);
        assert_eq!(producers.check(&stamp(1, 1, 1), 0), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    }

    #[test]
    fn sequences_wrap_to_zero() {
        let producers = with_batches(&[(i32::MAX - 1, i32::MAX)]);
        assert_eq!(producers.check(&stamp(1, 0, 3), 0), Ok(None));
    }

    #[test]
    fn an_unknown_producer_may_start_anywhere() {
        assert_eq!(Producers::new(DAY_MS).check(&stamp(0, 55, 60), 0), Ok(None));
        assert_eq!(with_batches(&[(0, 0)]).check(&stamp(1, 55, 60), DAY_MS), Ok(None));
        let known = with_batches(&[(0, 0)]).check(&stamp(1, 55, 60), DAY_MS - 1);
        assert_eq!(known, Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    }
}
