//! A consumer's place at the edge: chunks out, readiness, questions and events into the queue.
//!
//! Chunks are taken by the language's own thread ([`Consumer::next_chunk`] through the edge crate); nothing is pushed.
//! The questions are `revoke` and `assigned` (`{partitions}`, the answer says nothing), `assign` (see [`crate::assignors`])
//! and `match` (`{topics}`, answered with those of the names that a pattern finds).

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use dohle_client::consumer::{Ask, Consumer, ConsumerEvent, ConsumerOptions, ConsumerSink, Question, TopicMatcher};
pub use dohle_client::consumer::{Chunk, ChunkControl};
use dohle_client::{Error, ErrorKind};
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
use crate::questions::{Outcome, Questions};
use crate::queue::{Entry, Kind, Queue};
use crate::runtime;

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
        environment: &Environment,
    ) -> Result<Arc<Self>, Failure> {
        let handle = Arc::new(OnceLock::new());
        let questions = environment.questions().clone();
        let own = assignors::taken_out_of(&mut options, &questions, &handle)?;
        let options = ConsumerOptions::parse(&options).map_err(Error::from)?;
        let queue = environment.queue().clone();
        let sink = Arc::new(Sink { queue, questions, handle, resource: OnceLock::new() });
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
}

impl Sink {
    fn entry(&self, kind: Kind) -> Entry {
        Entry::new(kind, self.handle.get().copied().unwrap_or_default())
    }
}

impl ConsumerSink for Sink {
    fn chunks_ready(&self) {
        self.queue.push(self.entry(Kind::Chunks));
    }

    fn question(&self, question: Question) {
        let (name, partitions) = match &question.what {
            Ask::Revoke(list) => ("revoke", partitions(list)),
            Ask::Assigned(list) => ("assigned", partitions(list)),
            // A kind of question that this edge does not know is answered at its deadline.
            _ => return,
        };
        let (Some(&handle), Some(resource)) = (self.handle.get(), self.resource.get().cloned()) else { return };
        let asked = self.questions.ask(handle, name, json!({ "partitions": partitions }), question.deadline);
        runtime::handle().spawn(async move {
            // After the deadline the engine goes on by itself. What the program threw goes to its loop.
            let outcome = asked.await;
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
