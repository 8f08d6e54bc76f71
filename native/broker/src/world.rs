//! Everything the broker takes from outside: sockets, the wall clock, randomness and tasks, the disk. Not timers: those are
//! `tokio::time`, which the simulation controls. Implemented here for tokio, and by the simulation for turmoil.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // the world that the rest asks

use std::{
    future::Future,
    hash::{BuildHasher, Hasher},
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};
use tracing::instrument::WithSubscriber;

use crate::disk::{Disk, NoDisk, RealDisk};

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The world a broker lives in.
pub trait BrokerWorld: Send + Sync + 'static {
    /// Starts to listen. Port 0 takes a free one.
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>>;
    /// Connects to somebody else's broker. Default: this world cannot.
    fn connect(&self, _address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(std::future::ready(Err(io::ErrorKind::Unsupported.into())))
    }
    /// The addresses of a name or of an address in text form.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
    /// Milliseconds since 1970.
    fn wall_clock_ms(&self) -> i64;
    /// Now, by the clock of this node's timers, whoever asks: nodes of one cluster call each other, and in a simulation each has a
    /// clock of its own. Default: the one clock of the process.
    fn now(&self) -> Instant {
        Instant::now()
    }
    /// 64 random bits (identifiers, not secrets).
    fn random_u64(&self) -> u64;
    /// Runs a task to its end on the process's runtime.
    fn spawn(&self, task: BoxFuture<'static, ()>);
    /// The disk, for a broker with a log folder. Default: there is none.
    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(NoDisk)
    }
    /// Does work that may take long, such as syncing a file, without holding others up. Default: here and now.
    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'_, ()> {
        work();
        Box::pin(std::future::ready(()))
    }
}

/// One address of a host to connect to, IPv4 before IPv6; none when it has none.
pub async fn one_address(world: &dyn BrokerWorld, host: &str, port: u16) -> Option<SocketAddr> {
    let addresses = world.resolve(host, port).await.unwrap_or_default();
    addresses.into_iter().min_by_key(SocketAddr::is_ipv6)
}

/// A socket that takes connections.
pub trait Listener: Send {
    /// The address listened on, with the real port.
    fn local_address(&self) -> io::Result<SocketAddr>;
    /// The next connection. Cancel-safe.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Accepted>>;
}

/// A connection of a client.
pub struct Accepted {
    /// Its bytes.
    pub stream: Box<dyn Stream>,
    /// The client's end.
    pub peer: SocketAddr,
    /// Our end: the address that the client reached us at.
    pub local: SocketAddr,
}

/// The bytes of a connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The real world: tokio's sockets and runtime, the system's clock and randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioWorld;

impl BrokerWorld for TokioWorld {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = tokio::net::TcpListener::bind(address).await?;
            Ok(Box::new(TokioListener(listener)) as Box<dyn Listener>)
        })
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = tokio::net::TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }

    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }

    fn wall_clock_ms(&self) -> i64 {
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
    }

    fn random_u64(&self) -> u64 {
        std::hash::RandomState::new().build_hasher().finish()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }

    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(RealDisk)
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // It fails only when the runtime ends, and with it who waits.
            let _ = tokio::task::spawn_blocking(work).await;
        })
    }
}

/// A world whose tasks log to a subscriber of their own.
pub struct Logged<W> {
    world: W,
    log: tracing::Dispatch,
}

impl<W: BrokerWorld> Logged<W> {
    /// This world, with this log.
    pub fn new(world: W, log: impl tracing::Subscriber + Send + Sync + 'static) -> Self {
        Self { world, log: tracing::Dispatch::new(log) }
    }
}

impl<W: BrokerWorld> BrokerWorld for Logged<W> {
    fn now(&self) -> Instant {
        self.world.now()
    }

    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        self.world.listen(address)
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        self.world.connect(address)
    }

    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        self.world.resolve(host, port)
    }

    fn wall_clock_ms(&self) -> i64 {
        self.world.wall_clock_ms()
    }

    fn random_u64(&self) -> u64 {
        self.world.random_u64()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.world.spawn(Box::pin(task.with_subscriber(self.log.clone())));
    }

    fn disk(&self) -> Arc<dyn Disk> {
        self.world.disk()
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'_, ()> {
        let log = self.log.clone();
        self.world.blocking(Box::new(move || tracing::dispatcher::with_default(&log, work)))
    }
}

struct TokioListener(tokio::net::TcpListener);

impl Listener for TokioListener {
    fn local_address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Accepted>> {
        Box::pin(async move {
            let (stream, peer) = self.0.accept().await?;
            stream.set_nodelay(true)?;
            let local = stream.local_addr()?;
            Ok(Accepted { stream: Box::new(stream), peer, local })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tracing::span;

    use super::*;

    /// Counts events.
    struct Count(Arc<AtomicUsize>);

    impl tracing::Subscriber for Count {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            metadata.is_event()
        }

        fn event(&self, _: &tracing::Event<'_>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    #[tokio::test]
    async fn what_blocking_work_has_to_say_is_logged_as_what_tasks_have() {
        let count = Arc::<AtomicUsize>::default();
        let world = Logged::new(TokioWorld, Count(count.clone()));
        world.blocking(Box::new(|| tracing::warn!("of work"))).await;
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }
}
