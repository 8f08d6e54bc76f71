//! What the language's thread, the fetcher and the membership share: one short lock and the wake-ups.
//! Nothing waits, calls out or does I/O under the lock; the sink is called after it is released.
//! Driven by all three.
//!
//! # Who wakes whom (this is what "never goes silent" rests on)
//!
//! | what happens | who does it | who is woken |
//! |---|---|---|
//! | chunks become ready | fetcher: [`Shared::deliver`] | the loop, by `sink.chunks_ready()`, if it is `armed` |
//! | an error for the loop | anyone: [`Shared::raise`] | the loop, likewise |
//! | partitions come, go, move; resume; an answer releases | [`Shared::change`] | fetcher, membership and look-ups |
//! | a chunk is handed over (credit comes back) | the loop: [`Shared::next_chunk`] | fetcher, if it is `starved` |
//! | the loop steps | the loop: words in the chunk | nobody: the poll clock and the commit timer read them |
//! | the loop comes back after it was thrown out for being slow | the loop: [`Shared::next_chunk`] | membership, if `wake_on_poll` |
//! | the user subscribes, unsubscribes, closes | [`Shared::change`], `begin_close` | membership |
//! | the user subscribes to a pattern, or to something else | whoever changes it | the matching, by `patterns` |
//! | metadata changed | `Metadata::updates` | fetcher, membership and matching, each by its own receiver |
//!
//! `armed` is set under the lock by a `next_chunk` that found nothing, and taken under the lock by whoever adds
//! something: either the adder sees `armed`, or the taker sees the addition. There is no third order.
//! `Notify::notify_one` keeps one permit, so a task that was busy when it was woken looks again before it sleeps.

use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::collections::Map;
use crate::net::Lane;
use crate::{Client, Error, ErrorKind, Result, watch};

use super::group::Group;
use super::handover::{Chunk, Position, TopicPartition};
use super::spare::Spare;
use super::state::State;
use super::subscription::{Interest, ResetTo, Subscription};
use super::watchdog::{Inspection, Watched};
use super::{ConsumerOptions, ConsumerSink, GroupExit, commit, reset_policy};

/// One consumer's inside.
pub(crate) struct Shared {
    pub client: Client,
    pub options: ConsumerOptions,
    /// `auto.offset.reset`; `None` is Kafka's `none`.
    pub reset_policy: Option<ResetTo>,
    pub sink: Arc<dyn ConsumerSink>,
    /// Memory for chunks to come.
    pub spare: Arc<Spare>,
    /// Tells this consumer's connections from those of others of the same client (see `Lane`). Drawn at random: two that
    /// are equal would share connections, and wait for each other, but work.
    pub number: u32,
    pub group: Group,
    state: Mutex<State>,
    /// The fetcher waits here. Woken as in the table above.
    pub fetcher: Notify,
    /// The membership waits here.
    pub coordinator: Notify,
    /// The look-up of committed offsets waits here.
    pub lookups: Notify,
    /// The matching of patterns waits here.
    pub patterns: Notify,
    /// What the watchdog remembers. Taken before `state`, never under it.
    pub watched: Mutex<Map<TopicPartition, Watched>>,
    /// The watchdog waits for the fetcher to say what it does.
    pub inspection: Mutex<Option<Inspection>>,
    /// Commits take turns.
    pub commit_turn: tokio::sync::Mutex<()>,
    /// How far the consumer's own end is.
    life: watch::Sender<Life>,
    /// Calls of `next_chunk`: each one is a poll.
    polls: AtomicU64,
    /// The loop was too slow and we left the group: its next poll wakes the membership, which joins again.
    wake_on_poll: AtomicBool,
}

/// What of the end has come. Nothing of it is ever taken back, and the first two can come in either order: a membership
/// also ends with a fatal error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Life {
    /// `close` was called: the membership hands over and leaves, until this time.
    closing: Option<Instant>,
    /// How it leaves its group then.
    exit: GroupExit,
    /// The membership's task has ended.
    left: bool,
    /// All tasks end now, wherever they are.
    ended: bool,
}

/// What the coordinator's poll clock needs to know of the loop.
pub(crate) struct LoopActivity {
    /// It asked for a chunk or stepped since the last look.
    pub active: bool,
    /// It waits for us: not slow, whatever the clock says.
    pub waiting: bool,
}

impl Shared {
    pub fn new(client: Client, options: ConsumerOptions, sink: Arc<dyn ConsumerSink>) -> Result<Arc<Self>> {
        Ok(Arc::new(Shared {
            reset_policy: reset_policy::parse(&options.auto_offset_reset)?,
            number: client.world().random_u64() as u32,
            client,
            spare: Spare::new(options.fetch_buffer_bytes),
            options,
            sink,
            group: Group::default(),
            state: Mutex::new(State::default()),
            fetcher: Notify::new(),
            coordinator: Notify::new(),
            lookups: Notify::new(),
            patterns: Notify::new(),
            watched: Mutex::default(),
            inspection: Mutex::default(),
            commit_turn: tokio::sync::Mutex::new(()),
            life: watch::Sender::new(Life::default()),
            polls: AtomicU64::new(0),
            wake_on_poll: AtomicBool::new(false),
        }))
    }

    /// Runs one of the consumer's tasks until it is done or the consumer ends. A panic is a fatal error for the loop.
    pub fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let shared = self.clone();
        self.client.world().spawn(Box::pin(async move {
            tokio::select! {
                biased;
                () = shared.ended() => {}
                outcome = AssertUnwindSafe(task).catch_unwind() => {
                    if let Err(panic) = outcome {
                        shared.raise(Error::new(ErrorKind::Panic, format!("a task of the consumer panicked: {}", text(&*panic))));
                    }
                }
            }
        }));
    }

    /// Reads or notes something that concerns nobody else. Nothing in `f` may call out.
    pub fn with<T>(&self, f: impl FnOnce(&mut Subscription) -> T) -> T {
        f(&mut self.state.lock().subscription)
    }

    /// Changes what is assigned or where it stands: drops what is buffered and out of date, wakes all tasks.
    pub fn change<T>(&self, f: impl FnOnce(&mut Subscription) -> T) -> T {
        let mut state = self.state.lock();
        let result = f(&mut state.subscription);
        state.drop_stale();
        drop(state);
        self.fetcher.notify_one();
        self.coordinator.notify_one();
        self.lookups.notify_one();
        result
    }

    /// The topics whose metadata we need from now on, instead of those before.
    pub fn track(&self, topics: Vec<Arc<str>>) {
        self.track_topics(topics, self.options.allow_auto_create_topics);
    }

    /// As `track`, for topics that exist: one that is deleted is not made anew by our asking.
    pub fn track_existing(&self, topics: Vec<Arc<str>>) {
        self.track_topics(topics, false);
    }

    fn track_topics(&self, topics: Vec<Arc<str>>, auto_create: bool) {
        let metadata = self.client.metadata();
        metadata.track(topics.iter().map(|topic| &**topic), auto_create);
        let before = std::mem::replace(&mut self.state.lock().tracked, topics);
        metadata.untrack(before.iter().map(|topic| &**topic));
    }

    // ---- the fetcher's side -------------------------------------------------------------------------------------

    /// How many bytes may be fetched ahead; none while `fetch.buffer.bytes` are held. Then `starved` is set, under the
    /// lock as `armed` is, and the hand-over that makes room wakes the fetcher: other hand-overs need not.
    pub fn credit(&self) -> Option<usize> {
        let mut state = self.state.lock();
        let left = self.options.fetch_buffer_bytes.saturating_sub(state.buffered());
        state.starved = left == 0;
        (left > 0).then_some(left)
    }

    /// Takes in what a fetch brought: see [`State::deliver`].
    pub fn deliver(&self, tp: &TopicPartition, epoch: u32, chunks: Vec<Chunk>, read: Range<Position>) -> bool {
        let mut state = self.state.lock();
        let news = !chunks.is_empty();
        let taken = state.deliver(tp, epoch, chunks, read);
        if taken && news {
            self.wake_loop(state);
        }
        taken
    }

    /// An error for the loop. A fatal one stays: every later `next_chunk` gives it too. The tasks go on, so that `close`
    /// can still commit and leave.
    pub fn raise(&self, error: Error) {
        let mut state = self.state.lock();
        state.raise(error);
        self.wake_loop(state);
    }

    fn wake_loop(&self, mut state: parking_lot::MutexGuard<'_, State>) {
        let armed = state.disarm();
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
        let credit = state.starved && state.buffered() < self.options.fetch_buffer_bytes;
        state.starved &= !credit;
        drop(state);
        // Also when nothing was taken: a loop that was thrown out for being slow comes back with this call. The flag is
        // read after the lock was taken: see `Member::wait_for_poll`.
        if self.wake_on_poll.swap(false, Ordering::SeqCst) {
            self.coordinator.notify_one();
        }
        if credit {
            self.fetcher.notify_one();
        }
        outcome
    }

    /// Whether records of this partition are here that the loop has not asked for, or has in hand.
    pub fn has_unread(&self, tp: &TopicPartition) -> bool {
        self.state.lock().has_unread(tp)
    }

    /// Reads all that the lock guards.
    pub fn look<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock())
    }

    /// Whether `fetch.buffer.bytes` are held.
    pub fn is_starved(&self) -> bool {
        self.state.lock().starved
    }

    // ---- the membership's side ---------------------------------------------------------------------------------

    /// What the loop did since the last call.
    pub fn loop_activity(&self, seen_polls: &mut u64) -> LoopActivity {
        let polls = self.polls.load(Ordering::Relaxed);
        let polled = std::mem::replace(seen_polls, polls) != polls;
        let mut state = self.state.lock();
        let stepped = state.subscription.take_steps();
        LoopActivity { active: polled || stepped, waiting: state.is_armed() }
    }

    /// Whether the next poll wakes the membership.
    pub fn wake_on_poll(&self, on: bool) {
        self.wake_on_poll.store(on, Ordering::SeqCst);
    }

    /// Nothing is assigned or subscribed any more.
    pub fn unsubscribed(&self) {
        self.change(|s| {
            s.clear();
            s.interest = Interest::None;
            s.pattern = None;
        });
        self.patterns.notify_one();
        self.track(Vec::new());
        // `unsubscribe` waits for a change of the interest, which the watch announces.
        self.life.send_modify(|_| {});
    }

    /// Commits what is finished, if that is automatic, before partitions assigned by hand go.
    pub async fn commit_before_end(&self) -> Result<()> {
        if !self.options.enable_auto_commit || self.options.group_id.is_none() {
            return Ok(());
        }
        let limit = match self.close_deadline() {
            Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            None => self.client.options().default_api_timeout,
        };
        commit::finished(self, None, limit).await
    }

    // ---- the end ------------------------------------------------------------------------------------------------

    /// Begins to close; false if that was done before. The end comes at `deadline` at the latest, whoever still waits.
    pub fn begin_close(self: &Arc<Self>, deadline: Instant, exit: GroupExit) -> bool {
        let first = self.life.send_if_modified(|life| {
            let first = life.closing.is_none();
            if first {
                life.exit = exit;
            }
            life.closing.get_or_insert(deadline);
            first
        });
        if first {
            self.coordinator.notify_one();
            let shared = self.clone();
            // A task of its own: the caller may drop its future, the consumer closes all the same.
            self.client.world().spawn(Box::pin(async move {
                if tokio::time::timeout_at(deadline, shared.reached(|life| life.left || life.ended)).await.is_err() {
                    shared.note_close_error(Error::new(
                        ErrorKind::RequestTimedOut,
                        "the consumer is closed, but its time was over before it had committed and left its group",
                    ));
                }
                shared.end();
            }));
        }
        first
    }

    /// The membership's task is done.
    pub fn member_ended(&self) {
        self.life.send_modify(|life| life.left = true);
    }

    /// Ends all tasks and the loop, at once.
    pub fn end(&self) {
        self.unsubscribed();
        let mut state = self.state.lock();
        state.fatal = Some(Error::closed("consumer"));
        state.drop_all();
        self.wake_loop(state);
        self.life.send_modify(|life| life.ended = true);
        self.fetcher.notify_one();
        // The fetcher says farewell on its own lane first.
        self.client.close_lane(Lane::Join(self.number));
    }

    /// Resolves when all is over.
    pub async fn ended(&self) {
        self.reached(|life| life.ended).await;
    }

    async fn reached(&self, state: impl Fn(&Life) -> bool) {
        let mut life = self.life.subscribe();
        // Cannot fail: the sender is ours.
        let _ = life.wait_for(state).await;
    }

    /// Resolves when the membership has handed everything over after `unsubscribe`, or all is over.
    pub async fn left_group(&self) {
        let mut life = self.life.subscribe();
        loop {
            let Life { left, ended, .. } = *life.borrow_and_update();
            if left {
                // There is no membership that could: a fatal error ended it.
                self.unsubscribed();
            }
            if ended || self.with(|s| s.interest != Interest::Leaving) || life.changed().await.is_err() {
                return;
            }
        }
    }

    /// `close` was called, or all is over.
    pub fn is_closing(&self) -> bool {
        let life = self.life.borrow();
        life.closing.is_some() || life.ended
    }

    /// It closes and has left its group, or all is over.
    pub fn has_left(&self) -> bool {
        let life = self.life.borrow();
        life.ended || life.left && life.closing.is_some()
    }

    /// Until when the consumer has to be closed, if it closes.
    pub fn close_deadline(&self) -> Option<Instant> {
        self.life.borrow().closing
    }

    /// How the member goes: as `close` said, else as its kind does.
    pub fn exit(&self) -> GroupExit {
        self.life.borrow().exit
    }

    /// Kept for the caller of `close`.
    pub fn note_close_error(&self, error: Error) {
        self.state.lock().close_error.get_or_insert(error);
    }

    /// What `close` could not do.
    pub fn close_error(&self) -> Option<Error> {
        self.state.lock().close_error.clone()
    }
}

fn text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
