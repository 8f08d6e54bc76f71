//! Both worlds on turmoil: its sockets, its clock, seeded randomness, counted tasks and sockets, disks that forget, and a trace of
//! every byte that moved. Not the faults: whoever has a world breaks its connections, the rest is turmoil's.
//! Driven by the engine (`World`) and by the broker (`BrokerWorld`), one per life of a host.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // the world that the rest asks

pub(crate) mod alive;
mod disk;
mod socket;
mod trace;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dohle_broker::BrokerWorld;
use dohle_broker::disk::{Disk, NoDisk};
use dohle_broker::world::{Accepted, Listener};
use dohle_client::World;
use dohle_client::watch;
use dohle_client::world::{Socket, SocketOptions};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::Instant;
use turmoil::net::{TcpListener, TcpStream};

pub use alive::{Alive, LeftBehind};
pub use disk::{HostDisk, Lost};
use socket::Traced;
pub use trace::Trace;
pub(crate) use trace::hash;

/// What stands between a host and the sockets that it opens.
pub type Middle = dyn Fn(Box<dyn Socket>) -> Box<dyn Socket> + Send + Sync;

/// The world of one simulated host.
pub struct SimWorld {
    host: Arc<Host>,
    random: AtomicU64,
    middle: Option<Arc<Middle>>,
    disk: Arc<dyn Disk>,
    /// When it was made, by the clock of the host, and by that of all.
    begun: (Instant, Duration),
}

/// What all sockets of a host share.
struct Host {
    name: String,
    trace: Trace,
    alive: Arc<Alive>,
    /// Changes when all open connections of this host break.
    breaks: watch::Sender<u32>,
    /// How many sockets there were.
    sockets: AtomicU64,
    /// The host is being killed.
    crashes: AtomicBool,
    /// Sockets of a host that was killed, by number, until they are buried.
    dead: Mutex<BTreeMap<u64, TcpStream>>,
}

impl SimWorld {
    /// A host's; the name tells its randomness from that of others.
    pub fn new(host: &str, seed: u64, trace: Trace) -> Self {
        let salt = host.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let host = Host {
            name: host.to_owned(),
            trace,
            alive: Arc::default(),
            breaks: watch::Sender::new(0),
            sockets: AtomicU64::new(0),
            crashes: AtomicBool::new(false),
            dead: Mutex::default(),
        };
        let begun = (Instant::now(), turmoil::sim_elapsed().unwrap_or_default());
        Self { host: Arc::new(host), random: AtomicU64::new(salt), middle: None, disk: Arc::new(NoDisk), begun }
    }

    /// The connections that this host opens go through something that changes what it carries.
    pub fn behind(self, middle: impl Fn(Box<dyn Socket>) -> Box<dyn Socket> + Send + Sync + 'static) -> Self {
        Self { middle: Some(Arc::new(middle)), ..self }
    }

    /// The host has a disk, as it is in this life.
    pub fn on(self, disk: &HostDisk) -> Self {
        Self { disk: disk.mounted(), ..self }
    }

    /// The connections of this host are reset, those that it opened and those that it took.
    pub fn break_connections(&self) {
        self.host.breaks.send_modify(|count| *count += 1);
    }

    /// The host will be killed now, by whoever has the simulation. Sockets that are dropped from now on end with
    /// [`Self::bury`].
    pub fn crash(&self) {
        self.host.crashes.store(true, Ordering::Relaxed);
    }

    /// Ends the sockets of the host that was killed. To be called in its name, when all of its tasks are gone.
    pub fn bury(&self) {
        let dead = std::mem::take(&mut *self.host.dead.lock());
        dead.into_values().for_each(drop);
    }

    /// The tasks and sockets that live.
    pub fn alive(&self) -> &Arc<Alive> {
        &self.host.alive
    }

    fn next_random(&self) -> u64 {
        mixed(self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed))
    }

    fn run(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(self.host.alive.clone().run(task));
    }
}

/// The last step of SplitMix64: a number that shows nothing of the one it is made of.
pub(crate) fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn wall_clock_ms() -> i64 {
    1_800_000_000_000 + turmoil::sim_elapsed().map_or(0, |elapsed| elapsed.as_millis() as i64)
}

impl World for SimWorld {
    fn connect(&self, address: SocketAddr, _: &SocketOptions) -> BoxFuture<'_, io::Result<Box<dyn Socket>>> {
        self.host.trace.connects(&self.host.name, address);
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            let socket: Box<dyn Socket> = Box::new(Traced::new(stream, self.host.clone()));
            Ok(match &self.middle {
                Some(middle) => middle(socket),
                None => socket,
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
        self.run(task);
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        work();
        Box::pin(std::future::ready(()))
    }
}

impl BrokerWorld for SimWorld {
    /// Each host has a clock of its own, which begins anew when it starts again: those of other hosts want to know this one's.
    fn now(&self) -> Instant {
        let (begun, at) = self.begun;
        begun + turmoil::sim_elapsed().unwrap_or_default().saturating_sub(at)
    }

    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await?;
            let local = SocketAddr::new(turmoil::lookup(&*self.host.name), listener.local_addr()?.port());
            Ok(Box::new(SimListener { listener, local, host: self.host.clone() }) as Box<dyn Listener>)
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
        self.run(task);
    }

    fn disk(&self) -> Arc<dyn Disk> {
        self.disk.clone()
    }
}

struct SimListener {
    listener: TcpListener,
    local: SocketAddr,
    host: Arc<Host>,
}

impl Listener for SimListener {
    /// turmoil listens on all addresses; the one that others reach is told.
    fn local_address(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Accepted>> {
        Box::pin(async move {
            let (stream, peer) = self.listener.accept().await?;
            let local = stream.local_addr()?;
            Ok(Accepted { stream: Box::new(Traced::new(stream, self.host.clone())), peer, local })
        })
    }
}
