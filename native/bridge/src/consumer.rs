//! A consumer's place at the edge: chunks out, readiness and questions into the queue.
//!
//! Chunks are taken by the language's own thread ([`Consumer::next_chunk`] through the edge crate); nothing is pushed.

use std::sync::{Arc, OnceLock};

use dohle_client::Error;
use dohle_client::consumer::{Ask, Consumer, ConsumerEvent, ConsumerOptions, ConsumerSink, Question};
pub use dohle_client::consumer::{Chunk, ChunkControl};
use serde_json::{Map, Value, json};

use crate::client::ClientResource;
use crate::cold::consumer::partitions;
use crate::failure::Failure;
use crate::handles::Handle;
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
        options: &Map<String, Value>,
        queue: Arc<Queue>,
    ) -> Result<Arc<Self>, Failure> {
        let options = ConsumerOptions::parse(options).map_err(Error::from)?;
        let sink = Arc::new(Sink { queue, handle: OnceLock::new() });
        let _runtime = runtime::handle().enter();
        let consumer = Consumer::new(&client.client, options, sink.clone())?;
        Ok(Arc::new(Self { consumer, client, sink }))
    }

    pub(crate) fn named(&self, handle: Handle) {
        let _ = self.sink.handle.set(handle);
    }

    /// A chunk, or none: then a `chunks` entry follows as soon as there is one or an error.
    pub fn next_chunk(&self) -> Result<Option<Chunk>, Failure> {
        let _runtime = runtime::handle().enter();
        Ok(self.consumer.next_chunk()?)
    }
}

struct Sink {
    queue: Arc<Queue>,
    handle: OnceLock<Handle>,
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
        let text = json!({
            "id": question.id.to_string(),
            "name": name,
            "partitions": partitions,
            "deadlineMs": question.deadline.as_millis() as u64,
        });
        self.queue.push(self.entry(Kind::Question).text(Some(text.to_string())));
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
            _ => return,
        };
        self.queue.push(self.entry(Kind::Event).text(Some(text.to_string())));
    }
}
