//! The completion queue: everything the engine has to say to one environment, in order, with one wake-up.
//!
//! It is not a channel for records (those wait in the engine until they are asked for) and never calls into a language:
//! engine threads push, the language's own thread drains.
//!
//! # Entries
//!
//! An entry is 12 little-endian i32 words; a text (JSON) may belong to it. i64 values are (low, high) pairs.
//!
//! | word | delivery 1 | space 2 | chunks 3 | completion 4 | question 5 | event 6 | poison 7 |
//! |---|---|---|---|---|---|---|---|
//! | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |
//! | 1 | producer | producer | consumer | handle | handle | handle | client |
//! | 2 | group | | | call id | question id | | |
//! | 3 | first index | | | 0 done, 1 failed | | | |
//! | 4 | count | | | chunks | | | |
//! | 5 | partition | | | | | | |
//! | 6 | persistence: 0 not, 1 possibly, 2 persisted | | | | | | |
//! | 7 | text | | | text | text | text | text |
//! | 8, 9 | base offset, −1 unknown | | | | | | |
//! | 10, 11 | append time, −1 none | | | | | | |
//!
//! Word 7 is the index of the entry's text among the texts of the same drain, −1 when it has none. The text of a
//! delivery is its error; without one it has succeeded. Chunks of a completion are to be taken with `take_chunks`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// Words of one entry.
pub const ENTRY_WORDS: usize = 12;
/// Events that wait for a language that does not drain; older ones are dropped and counted.
const MAX_EVENTS: usize = 1024;
const TEXT: usize = 7;

/// What an entry tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Kind {
    /// Records of a group were delivered, or failed.
    Delivery = 1,
    /// A producer whose memory was full has room again.
    Space = 2,
    /// A consumer that had nothing has a chunk.
    Chunks = 3,
    /// A cold call is done.
    Completion = 4,
    /// The engine asks, and waits until the deadline for an answer.
    Question = 5,
    /// Something happened; nobody waits.
    Event = 6,
    /// A client's engine task panicked; nothing of it will be heard again.
    Poison = 7,
}

/// One entry of the queue.
#[derive(Clone, Debug)]
pub struct Entry {
    words: [i32; ENTRY_WORDS],
    text: Option<String>,
}

impl Entry {
    /// An entry of `kind` about `handle`.
    pub fn new(kind: Kind, handle: u32) -> Self {
        let mut words = [0; ENTRY_WORDS];
        words[0] = kind as i32;
        words[1] = handle as i32;
        words[TEXT] = -1;
        Self { words, text: None }
    }

    /// Sets one word.
    pub fn word(mut self, index: usize, value: i32) -> Self {
        self.words[index] = value;
        self
    }

    /// Sets a pair of words, low half first.
    pub fn long(mut self, index: usize, value: i64) -> Self {
        self.words[index] = value as i32;
        self.words[index + 1] = (value >> 32) as i32;
        self
    }

    /// Adds the text.
    pub fn text(mut self, text: Option<String>) -> Self {
        self.text = text;
        self
    }

    fn is_event(&self) -> bool {
        self.words[0] == Kind::Event as i32
    }
}

/// How a queue tells its language that there is something to drain. Called from engine threads; must only enqueue.
pub trait Wake: Send + Sync {
    /// Called at most once between two drains.
    fn wake(&self);
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    events: usize,
    dropped: u64,
    wake: Option<Box<dyn Wake>>,
}

/// The queue of one environment.
pub struct Queue {
    state: Mutex<State>,
    wake_pending: AtomicBool,
}

impl Queue {
    /// A queue that wakes its language by `wake`.
    pub fn new(wake: Box<dyn Wake>) -> Self {
        let state = State { wake: Some(wake), ..State::default() };
        Self { state: Mutex::new(state), wake_pending: AtomicBool::new(false) }
    }

    /// Adds an entry, and wakes the language if no wake-up is under way. After [`Queue::close`] it does nothing.
    ///
    /// No wake-up is lost: `drain` clears the flag before it takes entries, so an entry is either taken by that drain or
    /// pushed after the flag was cleared, and then the push itself wakes. The wake-up runs under the lock, so that `close`
    /// cannot take the waker away between the decision and the call.
    pub fn push(&self, entry: Entry) {
        let mut state = self.state.lock();
        if state.wake.is_none() {
            return;
        }
        if entry.is_event() {
            state.make_room_for_event();
        }
        state.entries.push_back(entry);
        if !self.wake_pending.swap(true, Ordering::AcqRel)
            && let Some(wake) = &state.wake
        {
            wake.wake();
        }
    }

    /// Writes as many entries as fit into `words`, their texts in order into `texts`; returns how many.
    /// Less than fit means that the queue is empty.
    pub fn drain(&self, words: &mut [i32], texts: &mut Vec<String>) -> usize {
        self.wake_pending.store(false, Ordering::Release);
        let mut state = self.state.lock();
        let mut count = 0;
        for slot in words.chunks_exact_mut(ENTRY_WORDS) {
            let Some(entry) = state.entries.pop_front() else {
                break;
            };
            state.events -= usize::from(entry.is_event());
            slot.copy_from_slice(&entry.words);
            if let Some(text) = entry.text {
                slot[TEXT] = texts.len() as i32;
                texts.push(text);
            }
            count += 1;
        }
        count
    }

    /// Forgets everything, lets go of the waker, and ignores what comes later.
    pub fn close(&self) {
        let old = std::mem::take(&mut *self.state.lock());
        drop(old);
    }

    /// Events that were dropped because nobody drained them.
    pub fn dropped_events(&self) -> u64 {
        self.state.lock().dropped
    }
}

impl State {
    fn make_room_for_event(&mut self) {
        if self.events < MAX_EVENTS {
            self.events += 1;
        } else if let Some(oldest) = self.entries.iter().position(Entry::is_event) {
            self.entries.remove(oldest);
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    struct Count(Arc<AtomicUsize>);

    impl Wake for Count {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn queue() -> (Queue, Arc<AtomicUsize>) {
        let wakes = Arc::new(AtomicUsize::new(0));
        (Queue::new(Box::new(Count(wakes.clone()))), wakes)
    }

    #[test]
    fn one_wake_up_for_many_entries_until_the_next_drain() {
        let (queue, wakes) = queue();
        for index in 0..5 {
            queue.push(Entry::new(Kind::Delivery, 9).word(3, index).long(8, -2).text((index == 3).then(|| "e".into())));
        }
        assert_eq!(wakes.load(Ordering::SeqCst), 1);
        let (mut words, mut texts) = ([0; ENTRY_WORDS * 4], Vec::new());
        assert_eq!(queue.drain(&mut words, &mut texts), 4);
        assert_eq!(words[..10], [1, 9, 0, 0, 0, 0, 0, -1, -2, -1]);
        assert_eq!(words[3 * ENTRY_WORDS + TEXT], 0);
        assert_eq!(texts, ["e"]);
        assert_eq!(queue.drain(&mut words, &mut texts), 1);
        queue.push(Entry::new(Kind::Space, 1));
        assert_eq!(wakes.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn events_are_bounded_and_never_push_out_anything_else() {
        let (queue, _) = queue();
        queue.push(Entry::new(Kind::Completion, 1));
        for _ in 0..MAX_EVENTS + 10 {
            queue.push(Entry::new(Kind::Event, 1));
        }
        assert_eq!(queue.dropped_events(), 10);
        let mut words = vec![0; ENTRY_WORDS * (MAX_EVENTS + 20)];
        assert_eq!(queue.drain(&mut words, &mut Vec::new()), MAX_EVENTS + 1);
        assert_eq!(words[0], Kind::Completion as i32);
    }

    #[test]
    fn after_close_nothing_is_kept_and_nobody_is_woken() {
        let (queue, wakes) = queue();
        queue.close();
        queue.push(Entry::new(Kind::Space, 1));
        assert_eq!(wakes.load(Ordering::SeqCst), 0);
        assert_eq!(queue.drain(&mut [0; ENTRY_WORDS], &mut Vec::new()), 0);
    }
}
