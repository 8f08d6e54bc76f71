//! A world whose sockets are pipes in memory, and in which the same seed gives the same numbers.

use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use dohle_broker::{
    BrokerWorld,
    world::{Accepted, BoxFuture, Listener},
};
use tokio::{
    io::DuplexStream,
    sync::{
        Mutex,
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    },
    time::Instant,
};

/// Larger than any frame here: writing one never waits for its being read.
const PIPE: usize = 4 << 20;

pub struct MemoryWorld {
    seed: AtomicU64,
    began: Instant,
    dial: UnboundedSender<Accepted>,
    accept: Mutex<Option<UnboundedReceiver<Accepted>>>,
}

impl MemoryWorld {
    pub fn new(seed: u64) -> Self {
        let (dial, accept) = unbounded_channel();
        Self { seed: seed.into(), began: Instant::now(), dial, accept: Mutex::new(Some(accept)) }
    }

    /// The client's end of a new connection.
    pub fn dial(&self) -> DuplexStream {
        let (near, far) = tokio::io::duplex(PIPE);
        let (peer, local) = (([127, 0, 0, 1], 40_000).into(), ([127, 0, 0, 1], 9092).into());
        self.dial.send(Accepted { stream: Box::new(far), peer, local }).expect("the broker listens");
        near
    }
}

impl BrokerWorld for MemoryWorld {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let accept = self.accept.lock().await.take().ok_or(io::ErrorKind::AddrInUse)?;
            Ok(Box::new(MemoryListener { address, accept }) as Box<dyn Listener>)
        })
    }

    fn resolve<'a>(&'a self, _host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(vec![([127, 0, 0, 1], port).into()]) })
    }

    fn wall_clock_ms(&self) -> i64 {
        1_700_000_000_000 + self.began.elapsed().as_millis() as i64
    }

    fn random_u64(&self) -> u64 {
        let z = self.seed.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
}

struct MemoryListener {
    address: SocketAddr,
    accept: UnboundedReceiver<Accepted>,
}

impl Listener for MemoryListener {
    fn local_address(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Accepted>> {
        Box::pin(async move { self.accept.recv().await.ok_or_else(|| io::ErrorKind::NotConnected.into()) })
    }
}
