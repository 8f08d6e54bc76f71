//! A consumer that a thread polls: how that thread waits, for the engine's word that there is something, for a question of
//! the group, or for somebody's word that it shall come back.
//!
//! It is not for consumers that are driven through the queue. What of a rebalance happens within a poll, as in Kafka's own
//! client, is decided here: see [`Drive`].

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Who a consumer tells what it has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drive {
    /// All through the queue.
    Queue,
    /// A thread that polls, without a listener: partitions that come are taken at once; those that go are given up with the
    /// next poll, which finishes what was in hand, or when the consumer leaves its group.
    Poll,
    /// A thread that polls, with a listener: the questions come out of the poll, and wait for their answers.
    Listen,
}

/// What is noted until a poll sees it.
#[derive(Default)]
pub(crate) struct State {
    /// There is a chunk or an error.
    pub ready: bool,
    /// Somebody wants the thread back.
    pub woken: bool,
    /// Questions for the listener, as JSON.
    pub questions: VecDeque<String>,
    /// The engine's questions that the next poll answers.
    pub revocations: Vec<u64>,
    /// It is leaving its group: there may be no next poll.
    pub leaving: bool,
}

/// What a wait ended with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Ready,
    Question(String),
    Woken,
    None,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Poll {
    state: Mutex<State>,
    changed: Condvar,
}

impl Poll {
    /// Changes what is noted, and tells those who wait.
    pub fn note<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state.lock());
        self.changed.notify_all();
        changed
    }

    /// Waits for a question or to be woken, and, when `chunks` says so, for readiness; `None`: for ever. A question is more
    /// than a wake-up, and that, which counts once, more than readiness: who woke wants the thread back.
    pub fn wait(&self, chunks: bool, timeout: Option<Duration>) -> Signal {
        let mut state = self.state.lock();
        let quiet = |state: &mut State| !(state.woken || chunks && state.ready || !state.questions.is_empty());
        match timeout {
            Some(timeout) => drop(self.changed.wait_while_for(&mut state, quiet, timeout)),
            None => self.changed.wait_while(&mut state, quiet),
        }
        if let Some(question) = state.questions.pop_front() {
            return Signal::Question(question);
        }
        match (std::mem::take(&mut state.woken), state.ready && chunks) {
            (true, _) => Signal::Woken,
            (_, true) => Signal::Ready,
            _ => Signal::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Option<Duration> = Some(Duration::from_secs(3600));
    const NOW: Option<Duration> = Some(Duration::ZERO);

    #[test]
    fn a_signal_before_the_wait_is_not_lost() {
        let poll = Poll::default();
        poll.note(|state| state.ready = true);
        assert_eq!(poll.wait(false, NOW), Signal::None);
        assert_eq!(poll.wait(true, LONG), Signal::Ready);
        poll.note(|state| state.ready = false);
        assert_eq!(poll.wait(true, NOW), Signal::None);
    }

    #[test]
    fn to_be_woken_counts_once_and_ends_a_wait_of_another_thread() {
        let poll = std::sync::Arc::new(Poll::default());
        poll.note(|state| state.woken = true);
        assert_eq!(poll.wait(true, NOW), Signal::Woken);
        assert_eq!(poll.wait(true, NOW), Signal::None);
        let other = poll.clone();
        let waiting = std::thread::spawn(move || other.wait(true, LONG));
        poll.note(|state| state.woken = true);
        assert_eq!(waiting.join().unwrap(), Signal::Woken);
    }

    #[test]
    fn questions_come_first_and_in_order() {
        let poll = Poll::default();
        poll.note(|state| {
            (state.ready, state.woken) = (true, true);
            state.questions.extend(["a".to_owned(), "b".to_owned()]);
        });
        assert_eq!(poll.wait(true, LONG), Signal::Question("a".into()));
        assert_eq!(poll.wait(false, LONG), Signal::Question("b".into()));
        assert_eq!(poll.wait(true, LONG), Signal::Woken);
        assert_eq!(poll.wait(true, LONG), Signal::Ready);
    }
}
