//! A consumer's place at the edge: chunks out, readiness, questions and events into the queue.
//!
//! Chunks are taken by the language's own thread ([`Consumer::next_chunk`] through the edge crate); nothing is pushed. Who drives
//! a consumer, the queue or a thread that polls, is said when it is opened ([`Drive`]).
//! The questions are `revoke` and `assigned` (`{partitions}`, the answer says nothing), `assign` (see [`crate::assignors`])
//! and `match` (`{topics}`, answered with those of the names that a pattern finds).

use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use dohle_client::consumer::{Ask, Consumer, ConsumerEvent, ConsumerOptions, ConsumerSink, Question, TopicMatcher};
pub use dohle_client::consumer::{Chunk, ChunkControl, INDEX_WORDS};
use dohle_client::{Error, ErrorKind};
pub use dohle_protocol::records::split_first_header;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use crate::assignors;
use crate::client::ClientResource;
use crate::cold::consumer::partitions;
use crate::cold::values::Int64;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::handles::Handle;
pub use crate::poll::Drive;
use crate::poll::{self, Poll, Signal};
use crate::questions::{Outcome, Questions};
use crate::queue::{Entry, Kind, Queue};
use crate::runtime;

/// What a poll ended with.
#[derive(Debug)]
pub enum Polled {
    /// Records.
    Chunk(Chunk),
    /// What a listener is to be asked, as JSON; the operation `environment.answer` takes the answer.
    Question(String),
    /// None came in time.
    Nothing,
    /// [`ConsumerResource::wake`] ended it.
    Woken,
}

/// A consumer and the client it belongs to.
pub struct ConsumerResource {
    /// The engine's consumer.
    pub consumer: Consumer,
    /// Its client.
    pub client: Arc<ClientResource>,
    sink: Arc<Sink>,
}

impl ConsumerResource {
    pub(crate) fn new(
        client: Arc<ClientResource>,
        mut options: Map<String, Value>,
        drive: Drive,
        environment: &Environment,
    ) -> Result<Arc<Self>, Failure> {
        let handle = Arc::new(OnceLock::new());
        let questions = environment.questions().clone();
        let own = assignors::taken_out_of(&mut options, &questions, &handle)?;
        let options = ConsumerOptions::parse(&options).map_err(Error::from)?;
        let queue = environment.queue().clone();
        let sink = Arc::new(Sink { queue, questions, handle, resource: OnceLock::new(), poll: Poll::default(), drive });
        let _runtime = runtime::handle().enter();
        let consumer = Consumer::with_assignors(&client.client, options, sink.clone(), &own)?;
        Ok(Arc::new(Self { consumer, client, sink }))
    }

    pub(crate) fn named(self: &Arc<Self>, handle: Handle) {
        let _ = self.sink.handle.set(handle);
        let _ = self.sink.resource.set(Arc::downgrade(self));
    }

    /// Asks the language which topics match.
    pub(crate) fn matcher(&self, re2: Option<String>) -> Arc<dyn TopicMatcher> {
        Arc::new(AskedMatcher { questions: self.sink.questions.clone(), handle: self.sink.handle.clone(), re2 })
    }

    /// A chunk, or none: then a `chunks` entry follows as soon as there is one or an error.
    pub fn next_chunk(&self) -> Result<Option<Chunk>, Failure> {
        let _runtime = runtime::handle().enter();
        Ok(self.consumer.next_chunk()?)
    }

    /// As [`ConsumerResource::next_chunk`], but waits for a chunk or an error on the caller's thread; `None`: for ever.
    pub fn poll(&self, timeout: Option<Duration>) -> Result<Polled, Failure> {
        self.is_polled()?;
        let until = timeout.map(|timeout| Instant::now() + timeout);
        self.give_up(|state| std::mem::take(&mut state.revocations));
        loop {
            self.sink.poll.note(|state| state.ready = false);
            // The listener first: what is revoked must not be asked for again before it has run.
            match self.sink.poll.wait(false, Some(Duration::ZERO)) {
                Signal::Question(text) => return Ok(Polled::Question(text)),
                Signal::Woken => return Ok(Polled::Woken),
                Signal::Ready | Signal::None => {}
            }
            if let Some(chunk) = self.next_chunk()? {
                return Ok(Polled::Chunk(chunk));
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            match self.sink.poll.wait(true, left) {
                Signal::Ready => {}
                Signal::Question(text) => return Ok(Polled::Question(text)),
                Signal::Woken => return Ok(Polled::Woken),
                Signal::None => return Ok(Polled::Nothing),
            }
        }
    }

    /// Waits for a question only, as while the consumer is being closed.
    pub fn question(&self, timeout: Option<Duration>) -> Result<Polled, Failure> {
        self.is_polled()?;
        Ok(match self.sink.poll.wait(false, timeout) {
            Signal::Question(text) => Polled::Question(text),
            Signal::Woken => Polled::Woken,
            Signal::Ready | Signal::None => Polled::Nothing,
        })
    }

    /// Ends a [`ConsumerResource::poll`] that waits, or else the next one.
    pub fn wake(&self) {
        self.sink.poll.note(|state| state.woken = true);
    }

    /// It is leaving its group (or no longer): what is revoked meanwhile waits for no poll.
    pub(crate) fn leaving(&self, yes: bool) {
        self.give_up(|state| {
            state.leaving = yes;
            std::mem::take(&mut state.revocations)
        });
    }

    fn give_up(&self, change: impl FnOnce(&mut poll::State) -> Vec<u64>) {
        self.sink.poll.note(change).into_iter().for_each(|id| self.consumer.answer(id));
    }

    fn is_polled(&self) -> Result<(), Failure> {
        match self.sink.drive {
            Drive::Queue => Err(Failure::argument("consumer", "is driven through the queue, and cannot be polled")),
            Drive::Poll | Drive::Listen => Ok(()),
        }
    }
}

struct AskedMatcher {
    questions: Arc<Questions>,
    handle: Arc<OnceLock<Handle>>,
    re2: Option<String>,
}

/// How long a language has to tell which names match.
const MATCH_DEADLINE: Duration = Duration::from_secs(30);

impl TopicMatcher for AskedMatcher {
    fn matching(&self, topics: Vec<Arc<str>>) -> BoxFuture<'static, dohle_client::Result<Vec<Arc<str>>>> {
        let names: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
        let handle = self.handle.get().copied().unwrap_or_default();
        let asked = self.questions.ask(handle, "match", json!({ "topics": names }), MATCH_DEADLINE);
        async move {
            let failed = |text: &str| Error::new(ErrorKind::CallbackFailed, format!("the pattern of topics: {text}"));
            match asked.await {
                Outcome::Answered(Value::Array(list)) => {
                    Ok(list.iter().filter_map(Value::as_str).map(Arc::from).collect())
                }
                Outcome::Answered(_) => Err(failed("its answer is not a list of names")),
                Outcome::Failed(text) => Err(failed(&text)),
                Outcome::TimedOut => Err(failed("no answer in time")),
                Outcome::Closed => Err(Error::closed("consumer")),
            }
        }
        .boxed()
    }

    fn re2(&self) -> Option<String> {
        self.re2.clone()
    }
}

struct Sink {
    queue: Arc<Queue>,
    questions: Arc<Questions>,
    handle: Arc<OnceLock<Handle>>,
    resource: OnceLock<Weak<ConsumerResource>>,
    poll: Poll,
    drive: Drive,
}

impl Sink {
    /// Answers in place of a listener: see [`Drive::Poll`]. On a thread of the runtime, as every answer.
    fn ask_nobody(&self, question: &Question, resource: &Weak<ConsumerResource>) {
        let waits = matches!(question.what, Ask::Revoke(_))
            && self.poll.note(|state| {
                if !state.leaving {
                    state.revocations.push(question.id);
                }
                !state.leaving
            });
        if let (false, Some(resource)) = (waits, resource.upgrade()) {
            let id = question.id;
            runtime::handle().spawn(async move { resource.consumer.answer(id) });
        }
    }

    fn entry(&self, kind: Kind) -> Entry {
        Entry::new(kind, self.handle.get().copied().unwrap_or_default())
    }
}

impl ConsumerSink for Sink {
    fn chunks_ready(&self) {
        match self.drive {
            Drive::Queue => self.queue.push(self.entry(Kind::Chunks)),
            Drive::Poll | Drive::Listen => self.poll.note(|state| state.ready = true),
        }
    }

    fn question(&self, question: Question) {
        let (name, partitions) = match &question.what {
            Ask::Revoke(list) => ("revoke", partitions(list)),
            Ask::Assigned(list) => ("assigned", partitions(list)),
            // A kind of question that this edge does not know is answered at its deadline.
            _ => return,
        };
        let (Some(&handle), Some(resource)) = (self.handle.get(), self.resource.get().cloned()) else { return };
        if self.drive == Drive::Poll {
            return self.ask_nobody(&question, &resource);
        }
        let request = json!({ "partitions": partitions });
        let asked = self.questions.ask_by(handle, name, request, question.deadline, |id, text| match self.drive {
            Drive::Listen => self.poll.note(|state| state.questions.push_back(text)),
            _ => self.queue.push(self.entry(Kind::Question).word(2, id as i32).text(Some(text))),
        });
        runtime::handle().spawn(async move {
            // After the deadline the engine goes on by itself. What the program threw goes to its loop.
            let outcome = asked.outcome().await;
            if let (Outcome::Answered(_) | Outcome::Failed(_), Some(resource)) = (outcome, resource.upgrade()) {
                resource.consumer.answer(question.id);
            }
        });
    }

    fn event(&self, event: ConsumerEvent) {
        let failed = |name: &str, error: &Error| json!({ "name": name, "error": Failure::from(error) });
        let text = match &event {
            ConsumerEvent::Joined { generation, member_id, partitions: list } => json!({
                "name": "joined",
                "generation": generation,
                "memberId": member_id,
                "partitions": partitions(list),
            }),
            ConsumerEvent::Revoked(list) => json!({ "name": "revoked", "partitions": partitions(list) }),
            ConsumerEvent::Lost(list) => json!({ "name": "lost", "partitions": partitions(list) }),
            ConsumerEvent::MaxPollExceeded(error) => failed("maxPollExceeded", error),
            ConsumerEvent::CommitFailed(error) => failed("commitFailed", error),
            ConsumerEvent::Retrying(error) => failed("retrying", error),
            ConsumerEvent::Stalled(stall) => json!({
                "name": "stalled",
                "topic": &*stall.partition.topic,
                "partition": stall.partition.partition,
                "position": stall.position.map(Int64),
                "lag": stall.lag.map(Int64),
                "idleMs": stall.idle.as_millis() as u64,
                "reason": stall.reason.name(),
                "error": stall.cause.as_ref().map(Failure::from),
            }),
            _ => return,
        };
        self.queue.push(self.entry(Kind::Event).text(Some(text.to_string())));
    }
}
