//! A network that changes what it carries: bits flip, bytes vanish or come twice, connections are reset. Seeded.
//!
//! TCP's own checksum is 16 bits of a sum, and middleboxes write it anew: such things arrive. It sits between the engine and
//! its socket, so it sees both directions as a proxy would.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use dohle_client::world::Socket;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is done to the bytes of all connections of a host, until it is calmed.
pub struct Mischief(Mutex<State>);

struct State {
    random: u64,
    /// On average, this many bytes are left alone between two deeds; none: all are.
    gap: Option<u64>,
    /// Bytes until the next deed.
    left: u64,
    done: usize,
}

enum Deed {
    Flip,
    Drop,
    Twice,
    Reset,
}

impl Mischief {
    pub fn new(seed: u64, gap: u64) -> Self {
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut state = State { random, gap: Some(gap), left: 0, done: 0 };
        state.left = state.below(2 * gap);
        Self(Mutex::new(state))
    }

    /// From now on what is sent arrives.
    pub fn calm(&self) {
        self.0.lock().gap = None;
    }

    pub fn done(&self) -> usize {
        self.0.lock().done
    }

    /// What arrives of these bytes.
    fn pass(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut state = self.0.lock();
        let Some(gap) = state.gap else { return Ok(bytes.to_vec()) };
        let mut arrived = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while rest.len() as u64 > state.left {
            let (before, after) = rest.split_at(state.left as usize);
            arrived.extend_from_slice(before);
            let some = (1 + state.below(40) as usize).min(after.len());
            rest = match state.deed() {
                Deed::Flip => {
                    arrived.push(after[0] ^ 1 << state.below(8));
                    &after[1..]
                }
                Deed::Drop => &after[some..],
                Deed::Twice => {
                    arrived.extend_from_slice(&after[..some]);
                    after
                }
                Deed::Reset => return Err(io::ErrorKind::ConnectionReset.into()),
            };
            state.left = 1 + state.below(2 * gap);
        }
        state.left -= rest.len() as u64;
        arrived.extend_from_slice(rest);
        Ok(arrived)
    }
}

impl State {
    fn below(&mut self, n: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % n
    }

    fn deed(&mut self) -> Deed {
        self.done += 1;
        match self.below(10) {
            0 => Deed::Drop,
            1 => Deed::Twice,
            2 => Deed::Reset,
            _ => Deed::Flip,
        }
    }
}

/// A socket behind such a network.
pub struct Hostile<S> {
    socket: S,
    mischief: Arc<Mischief>,
    /// Arrived, not read yet.
    inward: Vec<u8>,
    /// Taken from the writer, not sent yet.
    outward: Vec<u8>,
}

impl Hostile<Box<dyn Socket>> {
    /// What puts sockets behind such a network.
    pub fn on(mischief: &Arc<Mischief>) -> impl Fn(Box<dyn Socket>) -> Box<dyn Socket> + Send + Sync + use<> {
        let mischief = mischief.clone();
        move |socket| Box::new(Self::new(socket, mischief.clone()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Hostile<S> {
    pub fn new(socket: S, mischief: Arc<Mischief>) -> Self {
        Self { socket, mischief, inward: Vec::new(), outward: Vec::new() }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outward.is_empty() {
            let n = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.outward))?;
            self.outward.drain(..n);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Hostile<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.inward.is_empty() {
            let mut room = [0; 2048];
            let mut read = ReadBuf::new(&mut room);
            ready!(Pin::new(&mut this.socket).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.inward = this.mischief.pass(read.filled())?;
        }
        let n = this.inward.len().min(buf.remaining());
        buf.put_slice(&this.inward[..n]);
        this.inward.drain(..n);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Hostile<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        self.outward = self.mischief.pass(buf)?;
        let _ = self.poll_send(cx)?;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
