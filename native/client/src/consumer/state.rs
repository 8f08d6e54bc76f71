//! What a consumer's one lock guards: what is assigned, the chunks that wait for the loop, the loop's errors.
//! No I/O, no waiting, no waking: who changes it wakes whom `shared.rs` says.
//! Driven by `Shared`, under its lock.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::{Error, Result};

use super::handover::{Chunk, Position, TopicPartition};
use super::subscription::{Partition, Subscription};

/// What the lock guards.
#[derive(Default)]
pub(crate) struct State {
    pub subscription: Subscription,
    /// Chunks not yet asked for, in the order they came; per partition in offset order.
    ready: VecDeque<Chunk>,
    /// Sum of `charge` over `ready`.
    buffered: usize,
    /// Records fetched for the program until now, and their bytes.
    pub received: (u64, u64),
    /// The loop found nothing then, and waits for `chunks_ready`.
    armed: Option<Instant>,
    /// How long it has waited so until now.
    waited: Duration,
    /// The fetcher found no credit and waits for a hand-over.
    pub starved: bool,
    /// For the loop, oldest first.
    errors: VecDeque<Error>,
    /// The loop ends with this, again and again.
    pub fatal: Option<Error>,
    /// What `close` could not do.
    pub close_error: Option<Error>,
    /// The topics that we asked the metadata to keep up to date.
    pub tracked: Vec<Arc<str>>,
}

/// Errors kept for a loop that does not ask; more say nothing new.
const MAX_ERRORS: usize = 64;

impl State {
    /// The next chunk that is not out of date; the loop's error before it. None sets `armed`.
    pub fn take(&mut self) -> Result<Option<Chunk>> {
        if let Some(fatal) = &self.fatal {
            return Err(fatal.clone());
        }
        if let Some(error) = self.errors.pop_front() {
            return Err(error);
        }
        while let Some(chunk) = self.ready.pop_front() {
            self.buffered -= chunk.charge;
            if self.subscription.hand_over(&chunk) {
                self.disarm();
                return Ok(Some(chunk));
            }
        }
        self.armed.get_or_insert_with(Instant::now);
        Ok(None)
    }

    /// Whether the loop found nothing and waits for `chunks_ready`.
    pub fn is_armed(&self) -> bool {
        self.armed.is_some()
    }

    /// The loop's wait is over. Whether it waited.
    pub fn disarm(&mut self) -> bool {
        let since = self.armed.take();
        self.waited += since.map_or(Duration::ZERO, |since| since.elapsed());
        since.is_some()
    }

    /// How long the loop has waited for records.
    pub fn waited(&self) -> Duration {
        self.waited + self.armed.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Whether records of a partition are ready, or with the loop and not finished.
    pub fn has_unread(&self, tp: &TopicPartition) -> bool {
        let Some(partition) = self.subscription.get(tp) else { return false };
        let is_ready = |c: &Chunk| c.epoch == partition.epoch && c.partition == tp.partition && c.topic == tp.topic;
        partition.is_in_hand() || self.ready.iter().any(is_ready)
    }

    /// Gives the credit of chunks back that will never be handed over.
    pub fn drop_stale(&mut self) {
        let subscription = &mut self.subscription;
        let buffered = &mut self.buffered;
        self.ready.retain(|chunk| {
            let live = subscription.at(&chunk.topic_partition(), chunk.epoch).is_some();
            if !live {
                *buffered -= chunk.charge;
            }
            live
        });
    }

    /// Nothing that was fetched is handed over any more.
    pub fn drop_all(&mut self) {
        self.ready.clear();
        self.buffered = 0;
    }

    /// Chunks that wait for the loop.
    pub fn ready(&self) -> impl Iterator<Item = &Chunk> {
        self.ready.iter()
    }

    /// Sum of `charge` over what is ready.
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// Keeps an error for the loop; a fatal one for good.
    pub fn raise(&mut self, error: Error) {
        if error.fatal() {
            self.fatal.get_or_insert(error);
        } else if self.errors.len() < MAX_ERRORS {
            self.errors.push_back(error);
        }
    }

    /// Chunks of one partition, in order, and where the fetcher goes on (also without chunks: control batches and
    /// aborted data move the position too). `false`: the partition was moved or lost since `epoch`, or somebody else has read
    /// from there meanwhile (the leader before and its successor, each asked while it led), all is dropped.
    ///
    /// What is passed over without a chunk belongs to what comes before it: to the last chunk that still waits, else to
    /// the loop's own place. So a partition that ends in control records reaches lag 0 whenever they come.
    pub fn deliver(&mut self, tp: &TopicPartition, epoch: u32, chunks: Vec<Chunk>, read: Range<Position>) -> bool {
        let goes_on = |partition: &&mut Partition| partition.fetchable() && partition.fetch == read.start;
        let Some(partition) = self.subscription.at(tp, epoch).filter(goes_on) else { return false };
        partition.advance(read.end, chunks.is_empty());
        if chunks.is_empty() {
            let mut waiting = self.ready.iter_mut().rev();
            let last = waiting.find(|c| c.epoch == epoch && c.partition == tp.partition && c.topic == tp.topic);
            last.into_iter().for_each(|chunk| chunk.next = read.end);
        }
        for chunk in chunks {
            debug_assert!(chunk.epoch == epoch && chunk.count > 0);
            let (records, bytes) = (u64::from(chunk.count), chunk.bytes.len() as u64);
            partition.rx_records += records;
            partition.rx_bytes += bytes;
            self.received = (self.received.0 + records, self.received.1 + bytes);
            self.buffered += chunk.charge;
            self.ready.push_back(chunk);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::StartAt;
    use crate::consumer::subscription::tests::{chunk, partition};

    fn place(offset: i64) -> Position {
        Position { offset, leader_epoch: 5 }
    }

    fn read(offsets: Range<i64>) -> Range<Position> {
        let start = if offsets.start == 0 { Position::at(0) } else { place(offsets.start) };
        start..place(offsets.end)
    }

    fn reading() -> (State, u32) {
        let mut state = State::default();
        state.subscription.add(partition(), StartAt::Offset(0), false);
        let epoch = state.subscription.get(&partition()).unwrap().epoch;
        (state, epoch)
    }

    fn position(state: &State) -> i64 {
        state.subscription.get(&partition()).unwrap().position().unwrap().offset
    }

    /// A commit marker can be fetched before, while or after the loop has taken the records in front of it.
    #[test]
    fn control_records_are_passed_whenever_they_come() {
        for taken_first in [true, false] {
            for stepped_first in [true, false] {
                let (mut state, epoch) = reading();
                assert!(state.deliver(&partition(), epoch, vec![chunk(epoch, &[0, 1], 2)], read(0..2)));
                let mut hands = taken_first.then(|| state.take().unwrap().unwrap());
                let step = |hands: &Option<Chunk>| {
                    hands.iter().for_each(|c| c.control.stepped.store(2, std::sync::atomic::Ordering::Relaxed));
                };
                if stepped_first {
                    step(&hands);
                }
                assert!(state.deliver(&partition(), epoch, Vec::new(), read(2..3)));
                hands = hands.or_else(|| state.take().unwrap());
                assert_eq!(position(&state), if stepped_first && taken_first { 3 } else { 0 });
                step(&hands);
                assert_eq!(position(&state), 3, "taken first: {taken_first}, stepped first: {stepped_first}");
                hands.unwrap().control.finished.store(2, std::sync::atomic::Ordering::Relaxed);
                assert_eq!(state.subscription.uncommitted(None), [(partition(), place(3))]);
                assert!(state.subscription.is_drained(&partition(), epoch));
            }
        }
    }

    #[test]
    fn what_is_passed_over_belongs_to_the_last_chunk_that_waits() {
        let (mut state, epoch) = reading();
        let chunks = vec![chunk(epoch, &[0], 1), chunk(epoch, &[1], 2)];
        assert!(state.deliver(&partition(), epoch, chunks, read(0..2)));
        assert!(state.deliver(&partition(), epoch, Vec::new(), read(2..5)));
        assert!(state.deliver(&partition(), epoch, vec![chunk(epoch, &[5], 6)], read(5..6)));
        let mut next = Vec::new();
        while let Some(chunk) = state.take().unwrap() {
            next.push(chunk.next.offset);
        }
        assert_eq!(next, [1, 5, 6]);
        assert_eq!(state.buffered(), 0);
    }

    #[test]
    fn what_both_the_old_and_the_new_leader_answer_is_taken_once() {
        let (mut state, epoch) = reading();
        assert!(state.deliver(&partition(), epoch, vec![chunk(epoch, &[0, 1, 2], 3)], read(0..3)));
        assert!(
            !state.deliver(&partition(), epoch, vec![chunk(epoch, &[0, 1, 2, 3, 4], 5)], read(0..5)),
            "it was asked before"
        );
        assert!(state.deliver(&partition(), epoch, vec![chunk(epoch, &[3, 4], 5)], read(3..5)));
        assert_eq!(state.subscription.get(&partition()).unwrap().fetch, place(5));
    }
}
