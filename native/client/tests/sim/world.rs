//! Both worlds on turmoil: its sockets, its clock, seeded randomness, and a trace of every byte that moved.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use dohle_broker::BrokerWorld;
use dohle_broker::world::{Accepted, Listener};
use dohle_client::World;
use dohle_client::watch;
use dohle_client::world::{Socket, SocketOptions};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Fuse, FusedFuture};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

use super::aimed::{Aim, Aimed};
use super::mischief::{Hostile, Mischief};

/// What happened, in order, on all hosts.
#[derive(Clone, Default)]
pub struct Trace(Arc<Mutex<Vec<String>>>);

impl Trace {
    pub fn note(&self, what: String) {
        let at = turmoil::sim_elapsed().map_or(0, |elapsed| elapsed.as_millis());
        self.0.lock().push(format!("{at} ms {what}"));
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

/// The world of one simulated host.
pub struct SimWorld {
    host: &'static str,
    random: AtomicU64,
    trace: Trace,
    /// Changes when all open connections of this host break.
    breaks: watch::Sender<u32>,
    /// What the network does to the connections that this host opens.
    mischief: Option<Arc<Mischief>>,
    /// What a proxy does to one exchange of theirs.
    aim: Option<Arc<Aim>>,
}

impl SimWorld {
    pub fn new(host: &'static str, seed: u64, trace: Trace) -> Self {
        let salt = host.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self { host, random: AtomicU64::new(salt), trace, breaks: watch::Sender::new(0), mischief: None, aim: None }
    }

    /// The connections that this host opens go through a network that changes what it carries.
    pub fn with_mischief(self, mischief: Arc<Mischief>) -> Self {
        Self { mischief: Some(mischief), ..self }
    }

    /// The connections that this host opens go through a proxy that aims at one exchange.
    pub fn with_aim(self, aim: Arc<Aim>) -> Self {
        Self { aim: Some(aim), ..self }
    }

    fn next_random(&self) -> u64 {
        let mut z = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The connections that this host opened are reset.
    pub fn break_connections(&self) {
        self.breaks.send_modify(|count| *count += 1);
    }

    fn traced(&self, stream: TcpStream) -> Traced {
        let mut breaks = self.breaks.subscribe();
        let broken: BoxFuture<'static, ()> = Box::pin(async move {
            if breaks.changed().await.is_err() {
                std::future::pending().await
            }
        });
        Traced { stream, host: self.host, trace: self.trace.clone(), broken: broken.fuse() }
    }
}

fn wall_clock_ms() -> i64 {
    1_800_000_000_000 + turmoil::sim_elapsed().map_or(0, |elapsed| elapsed.as_millis() as i64)
}

impl World for SimWorld {
    fn connect(&self, address: SocketAddr, _: &SocketOptions) -> BoxFuture<'_, io::Result<Box<dyn Socket>>> {
        self.trace.note(format!("{} connects to {address}", self.host));
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            let traced = self.traced(stream);
            Ok(match (&self.mischief, &self.aim) {
                (Some(mischief), _) => Box::new(Hostile::new(traced, mischief.clone())) as Box<dyn Socket>,
                (_, Some(aim)) => Box::new(Aimed::new(traced, aim.clone())),
                _ => Box::new(traced),
            })
        })
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>> {
        let address = SocketAddr::new(turmoil::lookup(host), port);
        Box::pin(async move { Ok(vec![address]) })
    }

    fn wall_clock_ms(&self) -> i64 {
        wall_clock_ms()
    }

    fn random_u64(&self) -> u64 {
        self.next_random()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        work();
        Box::pin(std::future::ready(()))
    }
}

impl BrokerWorld for SimWorld {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpListener::bind(address).await?;
            Ok(Box::new(SimListener { listener, host: self.host, trace: self.trace.clone() }) as Box<dyn Listener>)
        })
    }

    fn resolve<'a>(&'a self, _: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)]) })
    }

    fn wall_clock_ms(&self) -> i64 {
        wall_clock_ms()
    }

    fn random_u64(&self) -> u64 {
        self.next_random()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
}

struct SimListener {
    listener: TcpListener,
    host: &'static str,
    trace: Trace,
}

impl Listener for SimListener {
    fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Accepted>> {
        Box::pin(async move {
            let (stream, peer) = self.listener.accept().await?;
            let local = stream.local_addr()?;
            let never: BoxFuture<'static, ()> = Box::pin(std::future::pending());
            let stream = Traced { stream, host: self.host, trace: self.trace.clone(), broken: never.fuse() };
            Ok(Accepted { stream: Box::new(stream), peer, local })
        })
    }
}

/// A socket that notes what goes through it, so that two runs can be compared to the byte.
struct Traced {
    stream: TcpStream,
    host: &'static str,
    trace: Trace,
    broken: Fuse<BoxFuture<'static, ()>>,
}

impl Traced {
    /// The error of a connection that broke. The reader is woken for it.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.broken.is_terminated() && self.broken.poll_unpin(cx).is_pending() {
            return Ok(());
        }
        Err(io::ErrorKind::ConnectionReset.into())
    }

    fn note(&self, did: &str, bytes: &[u8]) {
        let hash = bytes
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        let port = self.stream.local_addr().map_or(0, |address| address.port());
        self.trace.note(format!("{} {did} {} bytes, {hash:016x}, port {port}", self.host, bytes.len()));
    }
}

impl AsyncRead for Traced {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        match &polled {
            Poll::Ready(Ok(())) => self.note("reads", &buf.filled()[before..]),
            Poll::Ready(Err(error)) => self.trace.note(format!("{} cannot read: {error}", self.host)),
            Poll::Pending => {}
        }
        polled
    }
}

impl AsyncWrite for Traced {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        match &polled {
            Poll::Ready(Ok(n)) => self.note("writes", &buf[..*n]),
            Poll::Ready(Err(error)) => self.trace.note(format!("{} cannot write: {error}", self.host)),
            Poll::Pending => {}
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
