//! A client's place at the edge: the engine's kernel, and the world it runs in with panics caught.
//!
//! It is what `new Kafka(...)` holds. [`crate::environment`] drives it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use dohle_client::world::{Socket, SocketOptions};
use dohle_client::{Client, ClientOptions, Error, TokioWorld, World};
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use crate::environment::{Poison, poisoning};
use crate::failure::Failure;
use crate::queue::Queue;
use crate::runtime;

/// A client and what became of its tasks.
pub struct ClientResource {
    /// The engine's kernel.
    pub client: Client,
    /// Set when a task of it panicked.
    pub poison: Arc<Poison>,
}

impl ClientResource {
    pub(crate) fn new(options: &Map<String, Value>, queue: Arc<Queue>) -> Result<Arc<Self>, Failure> {
        let options = ClientOptions::parse(options).map_err(Error::from)?;
        let runtime = runtime::start(usize::try_from(options.io_threads).unwrap_or(1));
        let _guard = runtime.enter();
        let poison = Arc::new(Poison::new(queue));
        let world = CaughtWorld { world: TokioWorld::new(runtime.clone()), poison: poison.clone() };
        let client = Client::new(Arc::new(world), options)?;
        Ok(Arc::new(Self { client, poison }))
    }
}

/// The real world, with one addition: a task that panics poisons its client instead of vanishing.
struct CaughtWorld {
    world: TokioWorld,
    poison: Arc<Poison>,
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
        self.world.spawn(Box::pin(poisoning(task, self.poison.clone())));
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        self.world.blocking(work)
    }
}
