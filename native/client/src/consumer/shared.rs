//! What the language's thread, the fetcher and the coordinator task share: one short lock and the wake-ups.
//! Nothing waits, calls out or does I/O under the lock; the sink is called after it is released.
//! Driven by all three.
//!
//! # Who wakes whom (this is what "never goes silent" rests on)
//!
//! | what happens | who does it | who is woken |
//! |---|---|---|
//! | chunks become ready | fetcher: [`Shared::deliver`] | the loop, by `sink.chunks_ready()`, if it is `armed` |
//! | an error for the loop | anyone: [`Shared::raise`] | the loop, likewise |
//! | partitions come, go, move; resume; an answer releases | [`Shared::change`] | fetcher **and** coordinator |
//! | a chunk is handed over (credit comes back) | the loop: [`Shared::next_chunk`] | fetcher |
//! | the loop steps | the loop: words in the chunk | nobody: the coordinator reads them on its timers |
//! | the loop comes back after it was thrown out for being slow | the loop: [`Shared::next_chunk`] | coordinator |
//! | the user subscribes, commits, closes | [`Shared::change`] or a command | coordinator |
//! | metadata changed | `Metadata::updates` | fetcher and coordinator, each by its own receiver |
//!
//! `armed` is set under the lock by a `next_chunk` that found nothing, and taken under the lock by whoever adds
//! something: either the adder sees `armed`, or the taker sees the addition. There is no third order.
//! `Notify::notify_one` keeps one permit, so a task that was busy when it was woken looks again before it sleeps.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{Client, Error, Result};

use super::handover::{Chunk, Position, TopicPartition};
use super::subscription::Subscription;
use super::{ConsumerOptions, ConsumerSink};

/// One consumer's inside.
pub(crate) struct Shared {
    pub client: Client,
    pub options: ConsumerOptions,
    pub sink: Arc<dyn ConsumerSink>,
    state: Mutex<State>,
    /// The fetcher waits here. Woken as in the table above.
    pub fetcher: Notify,
    /// The coordinator task waits here.
    pub coordinator: Notify,
    /// Ends both tasks: set once, then both are woken.
    closed: AtomicBool,
    /// Calls of `next_chunk`: each one is a poll.
    polls: AtomicU64,
    /// The loop was too slow and we left the group: its next poll wakes the coordinator, which joins again.
    pub rejoin_on_poll: AtomicBool,
}

/// What the lock guards.
#[derive(Default)]
pub(crate) struct State {
    pub subscription: Subscription,
    /// Chunks not yet asked for, in the order they came; per partition in offset order.
    ready: VecDeque<Chunk>,
    /// Sum of `charge` over `ready`.
    buffered: usize,
    /// The loop found nothing and waits for `chunks_ready`.
    armed: bool,
    /// For the loop, oldest first.
    errors: VecDeque<Error>,
    /// The loop ends with this, again and again.
    fatal: Option<Error>,
}

/// What the coordinator's poll clock needs to know of the loop.
pub(crate) struct LoopActivity {
    /// It asked for a chunk or stepped since the last look.
    pub active: bool,
    /// It waits for us: not slow, whatever the clock says.
    pub waiting: bool,
}

impl Shared {
    pub fn new(client: Client, options: ConsumerOptions, sink: Arc<dyn ConsumerSink>) -> Arc<Self> {
        Arc::new(Shared {
            client,
            options,
            sink,
            state: Mutex::new(State::default()),
            fetcher: Notify::new(),
            coordinator: Notify::new(),
            closed: AtomicBool::new(false),
            polls: AtomicU64::new(0),
            rejoin_on_poll: AtomicBool::new(false),
        })
    }

    /// Reads or notes something that concerns nobody else. Nothing in `f` may call out.
    pub fn with<T>(&self, f: impl FnOnce(&mut Subscription) -> T) -> T {
        f(&mut self.state.lock().subscription)
    }

    /// Changes what is assigned or where it stands: drops what is buffered and out of date, wakes both tasks.
    pub fn change<T>(&self, f: impl FnOnce(&mut Subscription) -> T) -> T {
        let mut state = self.state.lock();
        let result = f(&mut state.subscription);
        state.drop_stale();
        drop(state);
        self.fetcher.notify_one();
        self.coordinator.notify_one();
        result
    }

    // ---- the fetcher's side -------------------------------------------------------------------------------------

    /// Bytes held for the loop. The fetcher asks for more while this is below `fetch.buffer.bytes`.
    pub fn buffered(&self) -> usize {
        self.state.lock().buffered
    }

    /// Chunks of one partition, in order, and where the fetcher goes on (also without chunks: control batches and
    /// aborted data move the position too). `false`: the partition was moved or lost since `epoch`, all is dropped.
    ///
    /// When there are no chunks and nothing is buffered or in the loop's hands before `fetch`, the position that is
    /// committed moves as well: a partition that ends in control records reaches lag 0.
    pub fn deliver(
        &self,
        tp: &TopicPartition,
        epoch: u32,
        chunks: Vec<Chunk>,
        fetch: Position,
    ) -> bool {
        let mut state = self.state.lock();
        let Some(partition) = state.subscription.at(tp, epoch) else { return false };
        if !partition.fetchable() {
            return false;
        }
        partition.advance(fetch, chunks.is_empty());
        if chunks.is_empty() {
            return true;
        }
        for chunk in chunks {
            debug_assert!(chunk.epoch == epoch && chunk.count > 0);
            state.buffered += chunk.charge;
            state.ready.push_back(chunk);
        }
        self.wake_loop(state);
        true
    }

    /// An error for the loop. A fatal one stays: every later `next_chunk` gives it too, and the tasks end.
    pub fn raise(&self, error: Error) {
        let mut state = self.state.lock();
        if error.fatal() {
            state.fatal.get_or_insert(error);
            self.stop();
        } else if state.errors.len() < MAX_ERRORS {
            state.errors.push_back(error);
        }
        self.wake_loop(state);
    }

    fn wake_loop(&self, mut state: parking_lot::MutexGuard<'_, State>) {
        let armed = std::mem::take(&mut state.armed);
        drop(state);
        if armed {
            self.sink.chunks_ready();
        }
    }

    // ---- the loop's side ----------------------------------------------------------------------------------------

    /// Takes one ready chunk and gives its credit back, or arms `chunks_ready`.
    pub fn next_chunk(&self) -> Result<Option<Chunk>> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock();
        let outcome = state.take();
        drop(state);
        // Also when nothing was taken: a loop that was thrown out for being slow comes back with this call.
        self.coordinator_poll();
        if matches!(outcome, Ok(Some(_))) {
            self.fetcher.notify_one();
        }
        outcome
    }

    fn coordinator_poll(&self) {
        if self.rejoin_on_poll.swap(false, Ordering::AcqRel) {
            self.coordinator.notify_one();
        }
    }

    // ---- the coordinator's side ---------------------------------------------------------------------------------

    /// What the loop did since the last call.
    pub fn loop_activity(&self, seen_polls: &mut u64) -> LoopActivity {
        let polls = self.polls.load(Ordering::Relaxed);
        let polled = std::mem::replace(seen_polls, polls) != polls;
        let mut state = self.state.lock();
        let stepped = state.subscription.take_steps();
        LoopActivity { active: polled || stepped, waiting: state.armed }
    }

    /// Ends both tasks.
    pub fn stop(&self) {
        self.closed.store(true, Ordering::Release);
        self.fetcher.notify_one();
        self.coordinator.notify_one();
    }

    /// Whether both tasks must end.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// Errors kept for a loop that does not ask; more say nothing new.
const MAX_ERRORS: usize = 64;

impl State {
    fn take(&mut self) -> Result<Option<Chunk>> {
        if let Some(fatal) = &self.fatal {
            return Err(fatal.clone());
        }
        if let Some(error) = self.errors.pop_front() {
            return Err(error);
        }
        while let Some(chunk) = self.ready.pop_front() {
            self.buffered -= chunk.charge;
            if self.subscription.hand_over(&chunk) {
                self.armed = false;
                return Ok(Some(chunk));
            }
        }
        self.armed = true;
        Ok(None)
    }

    /// Gives the credit of chunks back that will never be handed over.
    fn drop_stale(&mut self) {
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
}
