//! A client's place at the edge: the engine's kernel, and the world it runs in with panics caught.
//!
//! It is what `new Kafka(...)` holds. [`crate::environment`] drives it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use dohle_client::security::Sources;
use dohle_client::world::{Socket, SocketOptions};
use dohle_client::{Client, ClientOptions, Error, TokioWorld, World};
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;

use crate::environment::{Environment, Poison, poisoning};
use crate::failure::Failure;
use crate::handles::Handle;
use crate::logs::Logs;
use crate::queue::{Entry, Kind};
use crate::{aws, runtime, tokens};

/// A client and what became of its tasks.
pub struct ClientResource {
    /// The engine's kernel.
    pub client: Client,
    /// Set when a task of it panicked.
    pub poison: Arc<Poison>,
    handle: Arc<OnceLock<Handle>>,
}

impl ClientResource {
    pub(crate) fn new(mut options: Map<String, Value>, environment: &Environment) -> Result<Arc<Self>, Failure> {
        let handle = Arc::new(OnceLock::new());
        let sources = Sources {
            tokens: tokens::taken_out_of(&mut options, environment.questions(), &handle)?,
            credentials: aws::taken_out_of(&mut options, environment.questions(), &handle)?,
        };
        let options = ClientOptions::parse(&options).map_err(Error::from)?;
        let runtime = runtime::start(usize::try_from(options.io_threads).unwrap_or(1));
        let _guard = runtime.enter();
        let queue = environment.queue().clone();
        let poison = Arc::new(Poison::new(queue.clone()));
        let logs = Logs::dispatch(queue.clone(), handle.clone(), options.log_level);
        let world = CaughtWorld { world: TokioWorld::new(runtime.clone()), poison: poison.clone(), logs };
        let client = Client::with_sources(Arc::new(world), options, sources)?;
        let (told, of) = (queue, handle.clone());
        client.on_statistics(move |statistics| {
            let text = json!({ "name": "statistics", "statistics": statistics }).to_string();
            told.push(Entry::new(Kind::Event, of.get().copied().unwrap_or_default()).text(Some(text)));
        });
        Ok(Arc::new(Self { client, poison, handle }))
    }

    pub(crate) fn named(&self, handle: Handle) {
        self.poison.named(handle);
        let _ = self.handle.set(handle);
    }
}

/// The real world, with two additions: a task that panics poisons its client instead of vanishing, and what it logs goes to
/// its client's logger.
struct CaughtWorld {
    world: TokioWorld,
    poison: Arc<Poison>,
    logs: Dispatch,
}

impl World for CaughtWorld {
    fn connect(&self, address: SocketAddr, options: &SocketOptions) -> BoxFuture<'_, io::Result<Box<dyn Socket>>> {
        self.world.connect(address, options)
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>> {
        self.world.resolve(host, port)
    }

    fn wall_clock_ms(&self) -> i64 {
        self.world.wall_clock_ms()
    }

    fn random_u64(&self) -> u64 {
        self.world.random_u64()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let task = poisoning(task, self.poison.clone());
        self.world.spawn(Box::pin(task.with_subscriber(self.logs.clone())));
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        self.world.blocking(work)
    }
}
