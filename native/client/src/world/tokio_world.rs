//! The real world: tokio's sockets and tasks, the system's resolver and clock.
//!
//! It borrows a runtime by its handle and never makes one. Compression runs on tokio's blocking pool.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // this file is where the real ones come in

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use tokio::net::TcpSocket;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::{Socket, SocketOptions, World};

/// [`World`] on a tokio runtime.
pub struct TokioWorld {
    runtime: Handle,
    random: AtomicU64,
    look_ups: Semaphore,
}

/// The system's resolver takes a thread for each name it works on; more names than this wait.
const LOOK_UPS: usize = 2;

impl TokioWorld {
    /// A world on the given runtime, seeded from the system.
    pub fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            random: AtomicU64::new(RandomState::new().build_hasher().finish()),
            look_ups: Semaphore::new(LOOK_UPS),
        }
    }

    /// A world on the runtime of the calling task. Panics outside of one.
    pub fn current() -> Self {
        Self::new(Handle::current())
    }
}

impl World for TokioWorld {
    fn connect(&self, address: SocketAddr, options: &SocketOptions) -> BoxFuture<'_, io::Result<Box<dyn Socket>>> {
        let socket = prepare(address, options);
        Box::pin(async move {
            let stream = socket?.connect(address).await?;
            Ok(Box::new(stream) as Box<dyn Socket>)
        })
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Box::pin(async move { Ok(vec![SocketAddr::new(ip, port)]) });
        }
        let host = host.to_owned();
        Box::pin(async move {
            let _turn = self.look_ups.acquire().await;
            Ok(tokio::net::lookup_host((host, port)).await?.collect())
        })
    }

    fn wall_clock_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_millis() as i64,
            Err(before) => -(before.duration().as_millis() as i64),
        }
    }

    fn random_u64(&self) -> u64 {
        split_mix(self.random.fetch_add(SPLIT_MIX_STEP, Ordering::Relaxed))
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.runtime.spawn(task);
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        let done = self.runtime.spawn_blocking(work);
        Box::pin(async move {
            if let Err(failed) = done.await
                && failed.is_panic()
            {
                std::panic::resume_unwind(failed.into_panic());
            }
        })
    }
}

fn prepare(address: SocketAddr, options: &SocketOptions) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(options.no_delay)?;
    if options.keep_alive {
        let keep_alive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(60));
        socket2::SockRef::from(&socket).set_tcp_keepalive(&keep_alive)?;
    }
    if let Some(bytes) = options.send_buffer {
        socket.set_send_buffer_size(bytes as u32)?;
    }
    if let Some(bytes) = options.receive_buffer {
        socket.set_recv_buffer_size(bytes as u32)?;
    }
    Ok(socket)
}

const SPLIT_MIX_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64: good enough for jitter, and an atomic add is all the state it needs.
fn split_mix(mut state: u64) -> u64 {
    state = state.wrapping_add(SPLIT_MIX_STEP);
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}
