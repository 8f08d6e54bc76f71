//! A producer's place at the edge: runs of records from an arena in, deliveries into the queue out.
//!
//! It allocates nothing per record. A language's own thread drives `append`; the engine drives the sink.

use std::sync::{Arc, OnceLock, Weak};

use dohle_client::producer::{AppendError, Delivery, DeliverySink, Producer, ProducerOptions, TopicId};
use dohle_client::{Error, producer::Placed};
use serde_json::{Map, Value};

use crate::arena::{ArenaReader, ArenaRecord, REFUSED, SKIPPED, WITHDRAWN};
use crate::client::ClientResource;
use crate::consumer::ConsumerResource;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::handles::Handle;
use crate::queue::{Entry, Kind, Queue};
use crate::runtime;

/// A producer and the client it belongs to.
pub struct ProducerResource {
    /// The engine's producer.
    pub producer: Producer,
    /// Its client.
    pub client: Arc<ClientResource>,
    sink: Arc<Sink>,
    environment: Weak<Environment>,
}

/// What became of a run of records.
#[derive(Debug, Default)]
pub struct Appended {
    /// Records answered, from the first of the run. Less than there are: memory is full, `space` follows.
    pub count: usize,
    /// Where the first record that was not taken begins.
    pub position: usize,
    /// Why records were refused, in the order of the answers that point here.
    pub errors: Vec<Failure>,
}

impl ProducerResource {
    pub(crate) fn new(
        client: Arc<ClientResource>,
        options: &Map<String, Value>,
        environment: &Environment,
    ) -> Result<Arc<Self>, Failure> {
        let options = ProducerOptions::parse(options).map_err(Error::from)?;
        let sink = Arc::new(Sink { queue: environment.queue().clone(), handle: OnceLock::new() });
        let _runtime = runtime::handle().enter();
        let producer = Producer::new(&client.client, options, sink.clone())?;
        Ok(Arc::new(Self { producer, client, sink, environment: environment.weak() }))
    }

    pub(crate) fn named(&self, handle: Handle) {
        let _ = self.sink.handle.set(handle);
    }

    /// A consumer of the same environment, unless it is closed.
    pub(crate) fn consumer(&self, handle: Handle) -> Option<Arc<ConsumerResource>> {
        self.environment.upgrade()?.consumer(handle).ok()
    }

    /// The number of a topic in arenas.
    pub fn topic(&self, name: &str) -> Result<u32, Failure> {
        let _runtime = runtime::handle().enter();
        Ok(self.producer.topic(name)?.0)
    }

    /// Appends the records of `arena` from byte `start`, at most as many as there are answers, two words each.
    ///
    /// Stops before the first record that memory is too full for; the sink tells when to go on.
    pub fn append(&self, arena: &[u8], start: usize, answers: &mut [u32]) -> Result<Appended, Failure> {
        let _runtime = runtime::handle().enter();
        let now = self.producer.now();
        let mut appended = Appended { position: start, ..Appended::default() };
        let mut reader = ArenaReader::new(arena, start);
        for answer in answers.chunks_exact_mut(2) {
            let Some(record) = reader.next() else { break };
            let record = record.map_err(|defect| Failure::panic(&defect.to_string()))?;
            let Some((group, index)) = self.append_one(&record, now, &mut appended.errors) else {
                self.producer.wants_space();
                break;
            };
            (answer[0], answer[1]) = (group, index);
            appended.count += 1;
            appended.position = reader.position();
        }
        self.producer.poke();
        Ok(appended)
    }

    /// Appends one record that is at hand, without an arena: its (group, index); `None`: memory is full, the sink tells when there is
    /// room. A timestamp of −1 is now.
    pub fn append_record(&self, record: &ArenaRecord<'_>) -> Result<Option<(u32, u32)>, Failure> {
        if let Some(failure) = self.client.poison.failure() {
            return Err(failure.clone());
        }
        let placed = self.place(record, if record.timestamp == -1 { self.producer.now() } else { 0 })?;
        if placed.is_none() {
            self.producer.wants_space();
        }
        self.producer.poke();
        Ok(placed)
    }

    /// The answer to one record; `None`: memory is full. `now` is the time of records that have none: one for the run.
    fn append_one(&self, record: &ArenaRecord<'_>, now: i64, errors: &mut Vec<Failure>) -> Option<(u32, u32)> {
        if record.topic == WITHDRAWN {
            return Some((SKIPPED, 0));
        }
        self.place(record, now).unwrap_or_else(|failure| {
            errors.push(failure);
            Some((REFUSED, errors.len() as u32 - 1))
        })
    }

    /// Puts a record into the open batch of its partition; `None`: memory is full.
    #[inline]
    fn place(&self, record: &ArenaRecord<'_>, now: i64) -> Result<Option<(u32, u32)>, Failure> {
        match self.producer.append(TopicId(record.topic), record.partition, &record.to_append(now)?) {
            Ok(Placed { group, index }) => Ok(Some((group, index))),
            Err(AppendError::Full) => Ok(None),
            Err(AppendError::Invalid(error)) => Err(error.into()),
        }
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

impl DeliverySink for Sink {
    fn delivered(&self, delivery: Delivery) {
        let text = delivery.error.as_deref().map(|error| Failure::from(error).to_json());
        let entry = (self.entry(Kind::Delivery))
            .word(2, delivery.group as i32)
            .word(3, delivery.first_index as i32)
            .word(4, delivery.count as i32)
            .word(5, delivery.partition)
            .word(6, delivery.persistence as i32)
            .long(8, delivery.base_offset)
            .long(10, delivery.append_time);
        self.queue.push(entry.text(text));
    }

    fn space_available(&self) {
        self.queue.push(self.entry(Kind::Space));
    }
}
