//! A byte proxy with an aim: it leaves all alone but one exchange, and does one thing to one byte of it.
//!
//! It sits between the engine and its socket, where a proxy on the way would see the same bytes. It forwards whole frames, so
//! that it knows which request a response belongs to, and does its deed to the first request of the API it is aimed at, or to
//! the response to it. `mischief` is its sibling that hits at random, everywhere.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use dohle_client::world::Socket;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Which half of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Request,
    Response,
}

/// What is done at the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// What comes before arrives, then the connection is reset, both ways.
    Reset,
    /// What comes before arrives, and then nothing more, either way, on a connection that stays open.
    Stall,
    /// What comes before arrives, then the stream ends.
    Truncate,
    /// The byte arrives with these bits flipped.
    Flip(u8),
}

/// One deed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shot {
    pub way: Way,
    /// Byte of the frame, its length included.
    pub at: usize,
    pub deed: Deed,
}

/// The aim of all connections of a host.
pub struct Aim {
    api: i16,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    shot: Option<Shot>,
    /// The exchange was found.
    found: bool,
    fired: bool,
    request: Vec<u8>,
    response: Vec<u8>,
}

impl Aim {
    /// At the first exchange of this API after [`Self::at`].
    pub fn new(api: i16) -> Self {
        Self { api, state: Mutex::default() }
    }

    /// Waits for the next exchange; without a shot it only looks.
    pub fn at(&self, shot: Option<Shot>) {
        *self.state.lock() = State { shot, ..State::default() };
    }

    /// Whether the deed was done.
    pub fn has_fired(&self) -> bool {
        self.state.lock().fired
    }

    /// The frames of the exchange, as they were sent.
    pub fn seen(&self) -> (Vec<u8>, Vec<u8>) {
        let state = self.state.lock();
        (state.request.clone(), state.response.clone())
    }

    /// A request goes by: whether it is the one, and what is to be done to it.
    fn request(&self, frame: &[u8]) -> (bool, Option<Shot>) {
        let mut state = self.state.lock();
        if state.found || frame.get(4..6) != Some(&self.api.to_be_bytes()) {
            return (false, None);
        }
        state.found = true;
        state.request = frame.to_vec();
        (true, state.fire(Way::Request))
    }

    /// The response to it goes by.
    fn response(&self, frame: &[u8]) -> Option<Shot> {
        let mut state = self.state.lock();
        state.response = frame.to_vec();
        state.fire(Way::Response)
    }
}

impl State {
    fn fire(&mut self, way: Way) -> Option<Shot> {
        let shot = self.shot.take_if(|shot| shot.way == way)?;
        self.fired = true;
        Some(shot)
    }
}

/// What became of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Open,
    Reset,
    Stalled,
    /// Nothing more goes out, and the broker is to see the end.
    EndsOutward,
    /// What has arrived is read, and then the end.
    EndsInward,
}

/// A socket behind such a proxy.
pub struct Aimed<S> {
    socket: Option<S>,
    aim: Arc<Aim>,
    line: Line,
    /// Taken from the writer, part of a frame.
    request: Vec<u8>,
    /// Whole frames, not sent yet.
    outward: Vec<u8>,
    /// Come from the broker, part of a frame.
    response: Vec<u8>,
    /// Whole frames, not read yet.
    inward: Vec<u8>,
    /// Per request without a response: whether it is the one.
    due: VecDeque<bool>,
}

impl Aimed<Box<dyn Socket>> {
    /// What puts sockets behind such a proxy.
    pub fn on(aim: &Arc<Aim>) -> impl Fn(Box<dyn Socket>) -> Box<dyn Socket> + Send + Sync + use<> {
        let aim = aim.clone();
        move |socket| Box::new(Self::new(socket, aim.clone()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Aimed<S> {
    pub fn new(socket: S, aim: Arc<Aim>) -> Self {
        let (request, outward, response, inward) = Default::default();
        Self { socket: Some(socket), aim, line: Line::Open, request, outward, response, inward, due: VecDeque::new() }
    }

    /// Passes the requests on that are whole.
    fn forward(&mut self) {
        while let Some(mut frame) = whole_frame(&mut self.request) {
            let (is_it, shot) = self.aim.request(&frame);
            self.due.push_back(is_it);
            if let Some(shot) = shot {
                self.line = hurt(&mut frame, shot, Line::EndsOutward);
            }
            self.outward.extend(frame);
            if self.line != Line::Open {
                return;
            }
        }
    }

    /// Takes the responses in that are whole.
    fn receive(&mut self) {
        while let Some(mut frame) = whole_frame(&mut self.response) {
            if self.due.pop_front() == Some(true)
                && let Some(shot) = self.aim.response(&frame)
            {
                self.line = hurt(&mut frame, shot, Line::EndsInward);
            }
            self.inward.extend(frame);
            if self.line != Line::Open {
                return;
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(socket) = self.socket.as_mut().filter(|_| !self.outward.is_empty()) {
            let n = ready!(Pin::new(socket).poll_write(cx, &self.outward))?;
            self.outward.drain(..n);
        }
        match (self.line, &mut self.socket) {
            (Line::EndsOutward, Some(socket)) => Pin::new(socket).poll_shutdown(cx),
            (Line::Reset, socket) => {
                *socket = None; // the broker sees it end
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            _ => Poll::Ready(Ok(())),
        }
    }
}

/// What is left of a frame, and of its connection.
fn hurt(frame: &mut Vec<u8>, shot: Shot, truncated: Line) -> Line {
    if let Deed::Flip(bits) = shot.deed {
        frame[shot.at] ^= bits;
        return Line::Open;
    }
    frame.truncate(shot.at);
    match shot.deed {
        Deed::Reset => Line::Reset,
        Deed::Stall => Line::Stalled,
        _ => truncated,
    }
}

fn whole_frame(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = u32::from_be_bytes(*bytes.first_chunk::<4>()?) as usize;
    (bytes.len() >= 4 + length).then(|| bytes.drain(..4 + length).collect())
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Aimed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if !this.inward.is_empty() {
                let n = this.inward.len().min(buf.remaining());
                buf.put_slice(&this.inward[..n]);
                this.inward.drain(..n);
                return Poll::Ready(Ok(()));
            }
            match this.line {
                Line::Open | Line::EndsOutward => {}
                Line::Reset => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Line::Stalled => return Poll::Pending,
                Line::EndsInward => return Poll::Ready(Ok(())),
            }
            let Some(socket) = &mut this.socket else { return Poll::Ready(Ok(())) };
            let mut room = [0; 2048];
            let mut read = ReadBuf::new(&mut room);
            ready!(Pin::new(socket).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.response.extend_from_slice(read.filled());
            this.receive();
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Aimed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        if self.line == Line::Open || self.line == Line::EndsInward {
            self.request.extend_from_slice(buf);
            self.forward();
            let _ = self.poll_send(cx)?;
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        match &mut self.socket {
            Some(socket) => Pin::new(socket).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Some(socket) => Pin::new(socket).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}
