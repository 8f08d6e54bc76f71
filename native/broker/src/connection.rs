//! One client connection: frames in, one request at a time, answers out in order, as Kafka does it.
//! It knows lengths and headers; what a request means is in `api`.
//! Driven by its own task, which ends with the connection, with the broker, or with a hostile frame.

use std::{
    future::Future,
    io::{self, IoSlice},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use dohle_protocol::{ApiKey, Segments, frame};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, Sleep, sleep, timeout, timeout_at},
};

use crate::{
    api::{self, Envelope, Outcome},
    node::Node,
    recording::Tap,
    security::{Guard, Principal, Session, principal, session::Admission},
    world::{Accepted, Stream},
};

/// Most bytes read at once before a frame's length is known, and kept ahead while a request is being served.
const READ_AHEAD: usize = 64 * 1024;

/// How long a client that was refused has to take note of it.
const LINGER: Duration = Duration::from_secs(1);

/// What a connection that says little has room for: there may be thousands of them.
const READ_AHEAD_AT_FIRST: usize = 4 * 1024;

/// Serves a connection to its end.
pub(crate) async fn serve(node: Arc<Node>, accepted: Accepted, guard: Arc<Guard>) {
    let peer = accepted.peer;
    match unpanicked(run(node.clone(), accepted, guard)).await {
        Ok(Ok(())) => tracing::debug!(%peer, "closed by the client"),
        Ok(Err(end @ (End::Handshake(_) | End::Stranger))) => tracing::info!(%peer, %end, "not let in"),
        Ok(Err(end)) => tracing::debug!(%peer, %end, "connection ended"),
        Err(message) => {
            node.panics.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%peer, message, "a request panicked; its connection is closed");
        }
    }
}

/// Why a connection ended, other than by the client's wish.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("a frame of {length} bytes: the length must be between 0 and {max}")]
    FrameLength { length: i32, max: i32 },
    #[error("not a request of Kafka's: {0}")]
    Header(#[from] dohle_protocol::DecodeError),
    #[error("{0}")]
    Closed(String),
    #[error("the TLS handshake failed: {0}")]
    Handshake(io::Error),
    #[error("the client did not shake hands or log in in time (connections.max.idle.ms)")]
    Stranger,
    #[error("nothing was said for connections.max.idle.ms")]
    Idle,
}

async fn run(node: Arc<Node>, accepted: Accepted, guard: Arc<Guard>) -> Result<(), End> {
    let Accepted { stream, peer, local } = accepted;
    let deadline = node.limits.idle.and_then(|idle| Instant::now().checked_add(idle));
    let shaken = shake_hands(stream, &guard);
    let (mut stream, principal) = match deadline.filter(|_| guard.tls.is_some()) {
        None => shaken.await?,
        Some(deadline) => timeout_at(deadline, shaken).await.map_err(|_| End::Stranger)??,
    };
    let session = Arc::new(Session::new(peer, local, guard, principal));
    let mut frames = Frames::new(&node, &session, deadline);
    let mut is_gone = false;
    while let Some(frame) = frames.next(&mut *stream).await? {
        if session.is_bare() {
            let said = match session.authenticate(&node, &frame) {
                Ok(said) => said,
                Err((_, why)) => {
                    sleep(node.limits.failed_login).await;
                    return Err(End::Closed(why));
                }
            };
            let length = Bytes::copy_from_slice(&(said.bytes.len() as i32).to_be_bytes());
            frames.write(&mut *stream, Segments(vec![length, said.bytes])).await?;
            frames.welcome(&node, &session);
            continue;
        }
        let (header, body) = frame::decode_request_header(frame)?;
        let api_key = header.api_key;
        let envelope = Envelope { node: node.clone(), header, session: session.clone() };
        let outcome = match session.admit(api_key) {
            Admission::Close(why) => return Err(End::Closed(why)),
            Admission::Refuse(code) => api::refuse(envelope, body, code),
            Admission::Serve => {
                if is_gone && api_key == ApiKey::OFFSET_COMMIT {
                    // It lay behind one that waited: its member may have committed more since, on another connection.
                    return Ok(());
                }
                let mut answer = pin!(api::serve(envelope, body));
                // A fetch may wait for long. When its client goes away, so does it; anything else is applied to its end.
                tokio::select! {
                    biased;
                    outcome = &mut answer => outcome,
                    gone = frames.read_ahead(&mut *stream), if !is_gone => {
                        if api_key == ApiKey::FETCH {
                            return gone.map_err(End::from);
                        }
                        is_gone = true;
                        answer.await
                    }
                }
            }
        };
        let (outcome, mute) = match outcome {
            Outcome::Muted(outcome, mute) => (*outcome, Some(mute)),
            outcome => (outcome, None),
        };
        match outcome {
            Outcome::Reply(segments) => frames.write(&mut *stream, segments).await?,
            Outcome::Last(segments) => {
                frames.write(&mut *stream, segments).await?;
                return Err(End::Closed("a fault rule cut the answer".into()));
            }
            Outcome::Farewell(segments, why) => {
                sleep(node.limits.failed_login).await;
                frames.write(&mut *stream, segments).await?;
                linger(&mut *stream).await;
                return Err(End::Closed(why));
            }
            Outcome::Nothing | Outcome::Muted(..) => {}
            Outcome::Silence => return silence(&mut *stream).await,
            Outcome::Close(reason) => return Err(End::Closed(reason)),
        }
        frames.welcome(&node, &session);
        if let Some(mute) = mute {
            tokio::select! {
                biased;
                () = sleep(mute) => {}
                gone = frames.read_ahead(&mut *stream) => return gone.map_err(End::from),
            }
        }
    }
    Ok(())
}

/// TLS, where the listener has it; and who the client is as far as that tells.
async fn shake_hands(stream: Box<dyn Stream>, guard: &Guard) -> Result<(Box<dyn Stream>, Principal), End> {
    let Some(tls) = &guard.tls else { return Ok((stream, Principal::anonymous())) };
    let stream = match tls.accept(stream).into_fallible().await {
        Ok(stream) => stream,
        Err((error, mut stream)) => {
            linger(&mut *stream).await;
            return Err(End::Handshake(error));
        }
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let principal = match certificate {
        None => Principal::anonymous(),
        Some(certificate) => {
            let name = principal::subject(certificate).and_then(|subject| guard.mapping.name(&subject));
            let unnamed = || End::Closed("no rule says who the subject of the client's certificate is".into());
            Principal::user(&name.ok_or_else(unnamed)?)
        }
    };
    Ok((Box::new(stream), principal))
}

/// Closes so that what was said last arrives: a socket that is closed with something unread is reset, and the client's system then
/// throws away what the client has not read yet.
async fn linger(stream: &mut dyn Stream) {
    let drain = async {
        let _ = stream.shutdown().await;
        let mut scratch = vec![0; 4096];
        while matches!(stream.read(&mut scratch).await, Ok(1..)) {}
    };
    let _ = timeout(LINGER, drain).await;
}

/// Reads on without answering, until the client gives up.
async fn silence(stream: &mut dyn Stream) -> Result<(), End> {
    let mut scratch = vec![0; 4096];
    while stream.read(&mut scratch).await? > 0 {}
    Ok(())
}

/// Cuts a stream into frames, watches that something happens on it, and shows them to a recording if there is one.
struct Frames {
    buffer: BytesMut,
    max: i32,
    /// Whether the client has yet to log in.
    stranger: bool,
    watch: Option<Watch>,
    tap: Option<Tap>,
    /// Bytes read at once; more for a connection that says much.
    ahead: usize,
}

impl Frames {
    fn new(node: &Node, session: &Arc<Session>, deadline: Option<Instant>) -> Self {
        let stranger = session.is_stranger();
        let max = if stranger { node.limits.strangers_request } else { node.options.max_request_bytes };
        let watch = node.limits.idle.map(|idle| Watch::new(idle, deadline.filter(|_| stranger)));
        let tap = node.recorder.as_ref().map(|recorder| recorder.connection(node.options.node_id, session));
        Self { buffer: BytesMut::new(), max, stranger, watch, tap, ahead: READ_AHEAD_AT_FIRST }
    }

    /// A client that has logged in may say more, and take its time.
    fn welcome(&mut self, node: &Node, session: &Session) {
        if self.stranger && !session.is_stranger() {
            self.stranger = false;
            self.max = node.options.max_request_bytes;
            if let Some(watch) = &mut self.watch {
                watch.deadline = None;
            }
        }
    }

    /// The next frame without its length; none at a clean end.
    async fn next(&mut self, stream: &mut dyn Stream) -> Result<Option<Bytes>, End> {
        loop {
            let needed = match self.length()? {
                Some(length) if self.buffer.len() >= 4 + length => {
                    self.buffer.advance(4);
                    let frame = self.buffer.split_to(length).freeze();
                    if let Some(tap) = &mut self.tap {
                        tap.request(&frame);
                    }
                    return Ok(Some(frame));
                }
                Some(length) => 4 + length - self.buffer.len(),
                None => self.ahead,
            };
            // Memory follows what was really sent: at most doubled, whatever the length field promises.
            let step = needed.clamp(1, READ_AHEAD.max(self.buffer.len()).max(1 << 20));
            self.buffer.reserve(step);
            let read = stream.read_buf(&mut self.buffer);
            let count = match &mut self.watch {
                None => read.await?,
                Some(watch) => watch.over(read).await?,
            };
            if count >= self.ahead {
                self.ahead = (self.ahead * 4).min(READ_AHEAD);
            }
            if count == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(End::Io(io::ErrorKind::UnexpectedEof.into()))
                };
            }
        }
    }

    async fn write(&mut self, stream: &mut dyn Stream, segments: Segments) -> Result<(), End> {
        if let Some(tap) = &mut self.tap {
            tap.response(&segments);
        }
        let mut left: Vec<Bytes> = segments.0.into_iter().filter(|segment| !segment.is_empty()).collect();
        left.reverse();
        while !left.is_empty() {
            let slices: Vec<IoSlice<'_>> = left.iter().rev().take(64).map(|segment| IoSlice::new(segment)).collect();
            let write = stream.write_vectored(&slices);
            let mut written = match &mut self.watch {
                None => write.await?,
                Some(watch) => watch.over(write).await?,
            };
            if written == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into());
            }
            while let Some(first) = left.last_mut() {
                if written < first.len() {
                    first.advance(written);
                    break;
                }
                written -= first.len();
                left.pop();
            }
        }
        let flush = stream.flush();
        match &mut self.watch {
            None => flush.await?,
            Some(watch) => watch.over(flush).await?,
        }
        Ok(())
    }

    /// Reads while something else is waited for; returns when the client is gone.
    async fn read_ahead(&mut self, stream: &mut dyn Stream) -> io::Result<()> {
        while self.buffer.len() < READ_AHEAD {
            self.buffer.reserve(4096);
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(());
            }
        }
        std::future::pending().await
    }

    fn length(&self) -> Result<Option<usize>, End> {
        let Some(bytes) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = i32::from_be_bytes(*bytes);
        match usize::try_from(length) {
            Ok(fits) if length <= self.max => Ok(Some(fits)),
            _ => Err(End::FrameLength { length, max: self.max }),
        }
    }
}

/// Ends a connection on which nothing happens. One timer for all of its life, which is looked at only when there is nothing to
/// do: a busy connection pays nothing for it.
struct Watch {
    timer: Pin<Box<Sleep>>,
    tick: Duration,
    /// Ticks since something happened.
    quiet: u32,
    /// When a client must have logged in, however busy it is.
    deadline: Option<Instant>,
}

impl Watch {
    const TICKS: u32 = 4;

    fn new(idle: Duration, deadline: Option<Instant>) -> Self {
        let tick = (idle / Self::TICKS).max(Duration::from_millis(1));
        Self { timer: Box::pin(sleep(tick)), tick, quiet: 0, deadline }
    }

    /// Waits for one read or write to happen.
    async fn over<T>(&mut self, happens: impl Future<Output = io::Result<T>>) -> Result<T, End> {
        let mut happens = pin!(happens);
        loop {
            tokio::select! {
                biased;
                done = &mut happens => {
                    self.quiet = 0;
                    if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                        return Err(End::Stranger);
                    }
                    return Ok(done?);
                }
                () = &mut self.timer => {
                    self.quiet += 1;
                    self.timer.as_mut().reset(Instant::now() + self.tick);
                    if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                        return Err(End::Stranger);
                    }
                    // The first tick may have been half over when it became quiet.
                    if self.quiet > Self::TICKS {
                        return Err(End::Idle);
                    }
                }
            }
        }
    }
}

/// Runs a future; a panic in it comes back as its message. Locks here do not poison (`parking_lot`), and state is
/// changed after everything that can fail, so the others go on.
pub(crate) async fn unpanicked<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
            Poll::Ready(Err(text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".into())))
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_comes_back_as_its_message() {
        assert_eq!(unpanicked(async { 7 }).await, Ok(7));
        assert_eq!(unpanicked(async { panic!("no {}", 7) }).await, Err::<(), _>("no 7".into()));
        let later = async {
            tokio::task::yield_now().await;
            panic!("later");
        };
        assert_eq!(unpanicked(later).await, Err::<(), _>("later".into()));
    }
}
