//! Everything the engine wants from outside: sockets, names, the wall clock, randomness, tasks and blocking work.
//!
//! It is not a clock for timers: those are `tokio::time`, which tokio and the simulation already control.
//! The bridge passes a [`TokioWorld`]; the simulation tests pass a world on turmoil.

use std::io;
use std::net::SocketAddr;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

mod tokio_world;

pub use tokio_world::TokioWorld;

/// What the engine asks of the machine it runs on. Object-safe; one per process or per simulated host.
pub trait World: Send + Sync + 'static {
    /// Opens a TCP connection to one address. The caller sets the time limit by dropping the future.
    fn connect(&self, address: SocketAddr, options: &SocketOptions) -> BoxFuture<'_, io::Result<Box<dyn Socket>>>;

    /// All addresses of a host name, in the resolver's order of preference. An address literal resolves to itself.
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>>;

    /// Milliseconds since 1970, for record timestamps; never for measuring time.
    fn wall_clock_ms(&self) -> i64;

    /// A random number: jitter, member ids, sticky partitions. Not for secrets.
    fn random_u64(&self) -> u64;

    /// Runs a task on the process's runtime, detached.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// Runs work that may take long (compression, decompression, key derivation) off the I/O thread and resolves when it
    /// is done. The simulation runs it in place.
    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()>;
}

/// A connected byte stream. Must implement vectored writes if the system has them.
pub trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// What to set on a socket before it connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// TCP_NODELAY. Always wanted: requests are already coalesced.
    pub no_delay: bool,
    /// SO_KEEPALIVE, so that a peer that vanished is noticed on an idle connection.
    pub keep_alive: bool,
    /// SO_SNDBUF in bytes; none leaves it to the system.
    pub send_buffer: Option<usize>,
    /// SO_RCVBUF in bytes; none leaves it to the system.
    pub receive_buffer: Option<usize>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self { no_delay: true, keep_alive: true, send_buffer: None, receive_buffer: None }
    }
}
