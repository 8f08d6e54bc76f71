//! One environment: a Node env, an interpreter, a JVM or an AppDomain. Its handles, its queue, its calls under way.
//!
//! It is not the runtime (one per process) and decides nothing. The edge crates drive it; closing it ends what it has.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock, Weak};

use futures_util::FutureExt;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::task::AbortHandle;

use crate::client::ClientResource;
use crate::cold::{self, Call, Done, Later};
use crate::consumer::{Chunk, ConsumerResource, Drive};
use crate::failure::{Failure, panic_text};
use crate::handles::{Handle, Handles};
use crate::pending::Pending;
use crate::producer::ProducerResource;
use crate::questions::Questions;
use crate::queue::{Entry, Kind, Queue, Wake};
use crate::runtime;

/// What a handle stands for.
#[derive(Clone)]
pub enum Resource {
    /// The environment itself: handle 0.
    Environment(Arc<Environment>),
    /// Connections and metadata, shared by producers, consumers and the admin operations.
    Client(Arc<ClientResource>),
    /// A producer.
    Producer(Arc<ProducerResource>),
    /// A consumer.
    Consumer(Arc<ConsumerResource>),
    /// An embedded broker.
    #[cfg(feature = "broker")]
    Broker(Arc<dohle_broker::Broker>),
    /// What answers in the place of a recorded broker.
    #[cfg(feature = "broker")]
    StandIn(Arc<dohle_broker::recording::stand_in::StandIn>),
}

impl Resource {
    fn poison(&self) -> Option<&Poison> {
        match self {
            Resource::Client(client) => Some(&client.poison),
            Resource::Producer(producer) => Some(&producer.client.poison),
            Resource::Consumer(consumer) => Some(&consumer.client.poison),
            _ => None,
        }
    }

    /// An error once an engine task of its client has panicked.
    pub fn check(&self) -> Result<(), Failure> {
        match self.poison().and_then(Poison::failure) {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }
}

/// Set once, when an engine task of a client has panicked.
pub struct Poison {
    queue: Arc<Queue>,
    handle: OnceLock<Handle>,
    failure: OnceLock<Failure>,
}

impl Poison {
    pub(crate) fn new(queue: Arc<Queue>) -> Self {
        Self { queue, handle: OnceLock::new(), failure: OnceLock::new() }
    }

    /// The panic's failure, if there was one.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.get()
    }

    pub(crate) fn named(&self, handle: Handle) {
        let _ = self.handle.set(handle);
    }

    /// Notes a panic, the first one counts, and tells the language.
    pub(crate) fn set(&self, message: &str) {
        let failure = Failure::panic(message);
        let text = failure.to_json();
        if self.failure.set(failure).is_ok() {
            let handle = self.handle.get().copied().unwrap_or_default();
            self.queue.push(Entry::new(Kind::Poison, handle).text(Some(text)));
        }
    }
}

#[derive(Default)]
struct State {
    closed: bool,
    handles: Handles<Resource>,
    calls: Vec<(u32, AbortHandle)>,
    /// Operations that somebody waits for on their own thread.
    pending: Vec<AbortHandle>,
    /// Records that go with completions, by call, until the language takes them.
    chunks: Vec<(u32, Vec<Chunk>)>,
}

/// See the module.
pub struct Environment {
    itself: Weak<Self>,
    queue: Arc<Queue>,
    questions: Arc<Questions>,
    state: Mutex<State>,
}

impl Environment {
    /// An environment whose language is woken by `wake`.
    pub fn new(wake: Box<dyn Wake>) -> Arc<Self> {
        let queue = Arc::new(Queue::new(wake));
        let questions = Questions::new(queue.clone());
        Arc::new_cyclic(|itself| Self { itself: itself.clone(), questions, queue, state: Mutex::default() })
    }

    pub(crate) fn weak(&self) -> Weak<Self> {
        self.itself.clone()
    }

    /// What the engine has to say.
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// What the engine asks of the language.
    pub fn questions(&self) -> &Arc<Questions> {
        &self.questions
    }

    /// A client from the options of `Kafka`, as a JSON object.
    pub fn open_client(&self, options: &str) -> Result<Handle, Failure> {
        let client = ClientResource::new(object(options)?, self)?;
        let handle = self.insert(Resource::Client(client.clone()))?;
        client.named(handle);
        Ok(handle)
    }

    /// A producer of a client, from its options as a JSON object.
    pub fn open_producer(&self, client: Handle, options: &str) -> Result<Handle, Failure> {
        let producer = ProducerResource::new(self.client(client)?, &object(options)?, self)?;
        let handle = self.insert(Resource::Producer(producer.clone()))?;
        producer.named(handle);
        Ok(handle)
    }

    /// A consumer of a client, from its options as a JSON object.
    pub fn open_consumer(&self, client: Handle, options: &str, drive: Drive) -> Result<Handle, Failure> {
        let consumer = ConsumerResource::new(self.client(client)?, object(options)?, drive, self)?;
        let handle = self.insert(Resource::Consumer(consumer.clone()))?;
        consumer.named(handle);
        Ok(handle)
    }

    /// The producer of a handle.
    pub fn producer(&self, handle: Handle) -> Result<Arc<ProducerResource>, Failure> {
        match self.live(handle)? {
            Resource::Producer(producer) => Ok(producer),
            _ => Err(Failure::argument("handle", "is not of a producer")),
        }
    }

    /// The consumer of a handle.
    pub fn consumer(&self, handle: Handle) -> Result<Arc<ConsumerResource>, Failure> {
        match self.live(handle)? {
            Resource::Consumer(consumer) => Ok(consumer),
            _ => Err(Failure::argument("handle", "is not of a consumer")),
        }
    }

    fn client(&self, handle: Handle) -> Result<Arc<ClientResource>, Failure> {
        match self.live(handle)? {
            Resource::Client(client) => Ok(client),
            _ => Err(Failure::argument("handle", "is not of a client")),
        }
    }

    /// Stores a resource.
    pub fn insert(&self, resource: Resource) -> Result<Handle, Failure> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Failure::closed("environment"));
        }
        let full = || {
            Failure::new("INVALID_ARGUMENT", crate::failure::Class::ApplicationRecoverable, "too many handles".into())
        };
        state.handles.insert(resource).ok_or_else(full)
    }

    /// Ends a handle.
    pub fn remove(&self, handle: Handle) {
        let gone = self.state.lock().handles.remove(handle);
        self.questions.forget(handle);
        if let Some(Resource::Consumer(consumer)) = &gone {
            consumer.wake();
        }
        drop(gone);
    }

    fn live(&self, handle: Handle) -> Result<Resource, Failure> {
        let resource = self.state.lock().handles.at(handle).cloned();
        let resource = resource.ok_or_else(|| Failure::closed("object"))?;
        resource.check()?;
        Ok(resource)
    }

    fn resource(self: &Arc<Self>, handle: Handle) -> Result<Resource, Failure> {
        if handle == 0 { Ok(Resource::Environment(self.clone())) } else { self.live(handle) }
    }

    /// Runs an operation that never waits, on the caller's thread.
    pub fn invoke(self: &Arc<Self>, handle: Handle, operation: &str, request: &str) -> Result<String, Failure> {
        let Call::Now(run) = cold::operation(operation)?.call else {
            return Err(Failure::argument("operation", "completes later: it is to be called, not invoked"));
        };
        let resource = self.resource(handle)?;
        let _runtime = runtime::handle().enter();
        run(&resource, request)
    }

    /// Starts an operation; its completion comes through the queue under `id`, also when it cannot be started.
    /// `arena`: records that go with it, lent for this call.
    pub fn call(self: &Arc<Self>, id: u32, handle: Handle, operation: &str, request: &str, arena: Option<&[u8]>) {
        match self.start(handle, operation, request, arena) {
            Ok(later) => self.run(id, handle, later),
            Err(failure) => self.complete(id, handle, Err(failure)),
        }
    }

    fn start(
        self: &Arc<Self>,
        handle: Handle,
        operation: &str,
        request: &str,
        arena: Option<&[u8]>,
    ) -> Result<Later, Failure> {
        let row = cold::operation(operation)?;
        let Call::Later(start) = row.call else {
            return Err(Failure::argument("operation", "never waits: it is to be invoked, not called"));
        };
        if row.closes && self.state.lock().handles.at(handle).is_none() {
            return Ok(Box::pin(async { Ok(Done::nothing()) }));
        }
        let later = match self.resource(handle) {
            // A poisoned client cannot be waited for, but it can be closed.
            Err(_) if row.closes => {
                self.remove(handle);
                return Ok(Box::pin(async { Ok(Done::nothing()) }));
            }
            resource => start(&resource?, request, arena)?,
        };
        if !row.closes {
            return Ok(later);
        }
        let environment = self.clone();
        Ok(Box::pin(async move {
            let outcome = later.await;
            environment.remove(handle);
            outcome
        }))
    }

    fn run(self: &Arc<Self>, id: u32, handle: Handle, later: Later) {
        let environment = self.clone();
        // Held while the task is noted: one that ends at once must find its own entry to take it out.
        let mut state = self.state.lock();
        let task = runtime::handle().spawn(async move {
            let outcome = guarded(later).await;
            environment.state.lock().calls.retain(|(other, _)| *other != id);
            environment.complete(id, handle, outcome);
        });
        if state.closed {
            task.abort();
        } else {
            state.calls.push((id, task.abort_handle()));
        }
    }

    fn complete(&self, id: u32, handle: Handle, outcome: Result<Done, Failure>) {
        let (failed, text, chunks) = match outcome {
            Ok(Done { text, chunks }) => (0, text, chunks),
            Err(failure) => (1, failure.to_json(), Vec::new()),
        };
        let count = chunks.len() as i32;
        if count > 0 {
            let mut state = self.state.lock();
            if state.closed {
                return;
            }
            state.chunks.push((id, chunks));
        }
        let entry = Entry::new(Kind::Completion, handle).word(2, id as i32).word(3, failed).word(4, count);
        self.queue.push(entry.text(Some(text)));
    }

    /// The records that go with a completion whose word 4 is not 0. To be taken also when nobody waits for them any more.
    pub fn take_chunks(&self, id: u32) -> Vec<Chunk> {
        let mut state = self.state.lock();
        let at = state.chunks.iter().position(|(other, _)| *other == id);
        at.map(|at| state.chunks.swap_remove(at).1).unwrap_or_default()
    }

    /// As [`Environment::take_chunks`], one by one.
    pub fn take_chunk(&self, id: u32) -> Option<Chunk> {
        let mut state = self.state.lock();
        let at = state.chunks.iter().position(|(other, _)| *other == id)?;
        let chunks = &mut state.chunks[at].1;
        let chunk = (!chunks.is_empty()).then(|| chunks.remove(0));
        if chunks.is_empty() {
            state.chunks.swap_remove(at);
        }
        chunk
    }

    /// Starts an operation as [`Environment::call`] does; its outcome comes to who waits for it, and not through the queue.
    pub fn pending(
        self: &Arc<Self>,
        handle: Handle,
        operation: &str,
        request: &str,
        arena: Option<&[u8]>,
    ) -> Result<Pending, Failure> {
        let later = self.start(handle, operation, request, arena)?;
        let mut state = self.state.lock();
        if state.closed {
            return Err(Failure::closed("environment"));
        }
        let pending = Pending::new(guarded(later));
        state.pending.retain(|task| !task.is_finished());
        state.pending.push(pending.task());
        Ok(pending)
    }

    /// Stops a call whose language no longer waits. What it has done stays done; its completion does not come.
    pub fn cancel(&self, id: u32) {
        let mut state = self.state.lock();
        if let Some(at) = state.calls.iter().position(|(other, _)| *other == id) {
            state.calls.swap_remove(at).1.abort();
        }
    }

    /// Ends everything without waiting: what is open is dropped on the runtime, the language is not woken again.
    pub fn close(&self) {
        self.queue.close();
        self.questions.close();
        let mut state = self.state.lock();
        state.closed = true;
        let (calls, resources) = (std::mem::take(&mut state.calls), state.handles.drain());
        let (chunks, pending) = (std::mem::take(&mut state.chunks), std::mem::take(&mut state.pending));
        drop(state);
        pending.into_iter().for_each(|task| task.abort());
        drop(chunks);
        calls.into_iter().for_each(|(_, task)| task.abort());
        for resource in &resources {
            if let Resource::Consumer(consumer) = resource {
                consumer.wake();
            }
        }
        if !resources.is_empty() {
            runtime::handle().spawn(async move { drop(resources) });
        }
    }
}

/// A panic in a call is that call's failure.
async fn guarded(later: Later) -> Result<Done, Failure> {
    match AssertUnwindSafe(later).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(payload) => Err(Failure::of_panic(&*payload)),
    }
}

/// Runs an engine task; a panic in it poisons the client.
pub(crate) async fn poisoning(task: impl Future<Output = ()>, poison: Arc<Poison>) {
    if let Err(payload) = AssertUnwindSafe(task).catch_unwind().await {
        poison.set(&panic_text(&*payload));
    }
}

fn object(options: &str) -> Result<Map<String, Value>, Failure> {
    serde_json::from_str(options).map_err(|_| Failure::argument("options", "is not a JSON object"))
}
