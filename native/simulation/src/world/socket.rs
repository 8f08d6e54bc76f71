//! A socket that notes what goes through it, so that two runs can be compared to the byte, and that can be reset.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Fuse, FusedFuture};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::TcpStream;

use super::Host;
use super::alive::Counted;

pub struct Traced {
    /// There until this is dropped.
    stream: Option<TcpStream>,
    number: u64,
    host: Arc<Host>,
    broken: Fuse<BoxFuture<'static, ()>>,
    _alive: Counted,
}

impl Traced {
    pub fn new(stream: TcpStream, host: Arc<Host>) -> Self {
        let mut breaks = host.breaks.subscribe();
        let broken: BoxFuture<'static, ()> = Box::pin(async move {
            if breaks.changed().await.is_err() {
                std::future::pending().await
            }
        });
        let (alive, number) = (host.alive.socket(), host.sockets.fetch_add(1, Ordering::Relaxed));
        Self { stream: Some(stream), number, host, broken: broken.fuse(), _alive: alive }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// The error of a connection that broke. The reader is woken for it.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.broken.is_terminated() && self.broken.poll_unpin(cx).is_pending() {
            return Ok(());
        }
        Err(io::ErrorKind::ConnectionReset.into())
    }

    fn moved(&self, did: &str, bytes: &[u8]) {
        let local = self.stream.as_ref().and_then(|stream| stream.local_addr().ok());
        let port = local.map_or(0, |address| address.port());
        self.host.trace.moved(&self.host.name, did, port, bytes);
    }

    fn cannot(&self, what: &str, error: &io::Error) {
        self.host.trace.note(format!("{} cannot {what}: {error}", self.host.name));
    }
}

impl Drop for Traced {
    /// A runtime that is dropped drops its tasks in an order that depends on other simulations of the process, and each
    /// socket's end takes a random time to its peer: then they end later, in the order in which they came.
    fn drop(&mut self) {
        if self.host.crashes.load(Ordering::Relaxed)
            && let Some(stream) = self.stream.take()
        {
            self.host.dead.lock().insert(self.number, stream);
        }
    }
}

impl AsyncRead for Traced {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        let before = buf.filled().len();
        let polled = self.stream()?.poll_read(cx, buf);
        match &polled {
            Poll::Ready(Ok(())) => self.moved("reads", &buf.filled()[before..]),
            Poll::Ready(Err(error)) => self.cannot("read", error),
            Poll::Pending => {}
        }
        polled
    }
}

impl AsyncWrite for Traced {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        let polled = self.stream()?.poll_write(cx, buf);
        match &polled {
            Poll::Ready(Ok(n)) => self.moved("writes", &buf[..*n]),
            Poll::Ready(Err(error)) => self.cannot("write", error),
            Poll::Pending => {}
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}
