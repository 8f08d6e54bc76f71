//! What the engine asks of a language: a question is a queue entry, its answer a cold call, with a deadline between them.
//!
//! It knows nothing of what is asked. No foreign code runs on an engine thread: who asks awaits [`Questions::ask`], the
//! language drains the entry on its own thread, runs its program's function and calls `environment.answer`.
//!
//! Each question has exactly one outcome: the answer, what the program's function threw, the deadline, or the end of the
//! object that asked. What comes after that is ignored.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::handles::Handle;
use crate::queue::{Entry, Kind, Queue};

/// What comes of a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The program's answer.
    Answered(Value),
    /// The program's function failed; its error's text.
    Failed(String),
    /// Nothing came until the deadline.
    TimedOut,
    /// The object that asked, or the whole environment, was closed.
    Closed,
}

/// The questions of one environment that have no outcome yet.
pub struct Questions {
    queue: Arc<Queue>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: u64,
    closed: bool,
    open: BTreeMap<u64, (Handle, oneshot::Sender<Outcome>)>,
}

impl Questions {
    pub(crate) fn new(queue: Arc<Queue>) -> Arc<Self> {
        Arc::new(Self { queue, state: Mutex::default() })
    }

    /// Asks the language of `handle`. The entry is queued before this returns, so questions keep their order; the future
    /// may be dropped, which takes the question back.
    pub fn ask(
        self: &Arc<Self>,
        handle: Handle,
        name: &str,
        request: Value,
        deadline: Duration,
    ) -> impl Future<Output = Outcome> + Send + use<> {
        let queue = &self.queue;
        let asked = self.ask_by(handle, name, request, deadline, |id, text| {
            queue.push(Entry::new(Kind::Question, handle).word(2, id as i32).text(Some(text)));
        });
        asked.outcome()
    }

    /// As [`Questions::ask`], but `put` brings the question's id and text to who is to answer.
    pub(crate) fn ask_by(
        self: &Arc<Self>,
        handle: Handle,
        name: &str,
        request: Value,
        deadline: Duration,
        put: impl FnOnce(u64, String),
    ) -> Asked {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        state.last += 1;
        let id = state.last;
        // Taken back when it is dropped, in whichever state.
        let open = OpenQuestion { questions: self.clone(), id };
        if !state.closed {
            state.open.insert(id, (handle, sender));
            let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
            let text = json!({ "id": id.to_string(), "name": name, "deadlineMs": deadline_ms, "request": request });
            put(id, text.to_string());
        }
        drop(state);
        Asked { _open: open, receiver, deadline }
    }

    /// The language has an outcome. One that comes late, or twice, is ignored.
    pub fn answer(&self, id: u64, outcome: Outcome) {
        let open = self.state.lock().open.remove(&id);
        if let Some((_, sender)) = open {
            let _ = sender.send(outcome);
        }
    }

    /// The object was closed: nobody answers for it any more.
    pub(crate) fn forget(&self, handle: Handle) {
        self.state.lock().open.retain(|_, (of, _)| *of != handle);
    }

    /// The environment was closed.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.open.clear();
    }

    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.state.lock().open.len()
    }
}

/// A question that was asked. Dropping it takes the question back.
pub(crate) struct Asked {
    _open: OpenQuestion,
    receiver: oneshot::Receiver<Outcome>,
    deadline: Duration,
}

impl Asked {
    /// What comes of it.
    pub async fn outcome(self) -> Outcome {
        match tokio::time::timeout(self.deadline, self.receiver).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Outcome::Closed,
            Err(_) => Outcome::TimedOut,
        }
    }
}

struct OpenQuestion {
    questions: Arc<Questions>,
    id: u64,
}

impl Drop for OpenQuestion {
    fn drop(&mut self) {
        self.questions.state.lock().open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::{ENTRY_WORDS, Wake};

    struct Deaf;

    impl Wake for Deaf {
        fn wake(&self) {}
    }

    const LONG: Duration = Duration::from_secs(3600);

    fn questions() -> (Arc<Questions>, Arc<Queue>) {
        let queue = Arc::new(Queue::new(Box::new(Deaf)));
        (Questions::new(queue.clone()), queue)
    }

    /// The question that waits in the queue.
    fn asked(queue: &Queue) -> (i32, Value) {
        let (mut words, mut texts) = ([0; ENTRY_WORDS], Vec::new());
        assert_eq!(queue.drain(&mut words, &mut texts), 1);
        assert_eq!(words[0], Kind::Question as i32);
        (words[1], serde_json::from_str(&texts[0]).unwrap())
    }

    #[tokio::test]
    async fn a_question_is_queued_at_once_and_its_answer_comes_back() {
        let (questions, queue) = questions();
        let answer = questions.ask(7, "token", json!({ "a": 1 }), LONG);
        let (handle, text) = asked(&queue);
        assert_eq!(handle, 7);
        assert_eq!(text, json!({ "id": "1", "name": "token", "deadlineMs": 3_600_000, "request": { "a": 1 } }));
        questions.answer(1, Outcome::Answered(json!("t")));
        questions.answer(1, Outcome::Failed("again".into()));
        assert_eq!(answer.await, Outcome::Answered(json!("t")));
    }

    #[tokio::test]
    async fn every_question_has_an_outcome_and_none_stays_open() {
        let (questions, _queue) = questions();
        let failed = questions.ask(1, "q", Value::Null, LONG);
        questions.answer(1, Outcome::Failed("thrown".into()));
        assert_eq!(failed.await, Outcome::Failed("thrown".into()));

        assert_eq!(questions.ask(1, "q", Value::Null, Duration::from_millis(1)).await, Outcome::TimedOut);
        questions.answer(2, Outcome::Answered(Value::Null)); // late

        let (mine, other) = (questions.ask(1, "q", Value::Null, LONG), questions.ask(2, "q", Value::Null, LONG));
        questions.forget(1);
        assert_eq!(mine.await, Outcome::Closed);
        questions.close();
        assert_eq!(other.await, Outcome::Closed);
        assert_eq!(questions.ask(2, "q", Value::Null, LONG).await, Outcome::Closed);

        assert_eq!(questions.waiting(), 0);
    }

    #[tokio::test]
    async fn who_no_longer_waits_has_taken_the_question_back() {
        let (questions, _queue) = questions();
        drop(questions.ask(1, "q", Value::Null, LONG));
        assert_eq!(questions.waiting(), 0);
        questions.answer(1, Outcome::Answered(Value::Null));
    }
}
