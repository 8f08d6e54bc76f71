//! One client connection: frames in, one request at a time, answers out in order, as Kafka does it.
//! It knows lengths and headers; what a request means is in `api`.
//! Driven by its own task, which ends with the connection, with the broker, or with a hostile frame.

use std::{
    future::Future,
    io::{self, IoSlice},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::Poll,
};

use bytes::{Buf, Bytes, BytesMut};
use dohle_protocol::{ApiKey, Segments, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    api::{self, Envelope, Outcome},
    node::Node,
    world::{Accepted, Stream},
};

/// Bytes read at once, and kept ahead while a request is being served.
const READ_AHEAD: usize = 64 * 1024;

/// Serves a connection to its end.
pub(crate) async fn serve(node: Arc<Node>, accepted: Accepted) {
    let peer = accepted.peer;
    match unpanicked(run(node.clone(), accepted)).await {
        Ok(Ok(())) => tracing::debug!(%peer, "closed by the client"),
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
}

async fn run(node: Arc<Node>, accepted: Accepted) -> Result<(), End> {
    let Accepted { mut stream, peer, local } = accepted;
    let mut frames = Frames { buffer: BytesMut::new(), max: node.options.max_request_bytes };
    while let Some(frame) = frames.next(&mut *stream).await? {
        let (header, body) = frame::decode_request_header(frame)?;
        let api_key = header.api_key;
        let envelope = Envelope { node: node.clone(), header, peer, local };
        let outcome = {
            let mut answer = pin!(api::serve(envelope, body));
            // A fetch may wait for long. When its client goes away, so does it; anything else is applied to its end.
            if api_key == ApiKey::FETCH {
                tokio::select! {
                    biased;
                    outcome = &mut answer => outcome,
                    gone = frames.read_ahead(&mut *stream) => return gone.map_err(End::from),
                }
            } else {
                answer.await
            }
        };
        let (outcome, mute) = match outcome {
            Outcome::Muted(outcome, mute) => (*outcome, Some(mute)),
            outcome => (outcome, None),
        };
        match outcome {
            Outcome::Reply(segments) => write(&mut *stream, segments).await?,
            Outcome::Last(segments) => {
                write(&mut *stream, segments).await?;
                return Err(End::Closed("a fault rule cut the answer".into()));
            }
            Outcome::Nothing | Outcome::Muted(..) => {}
            Outcome::Silence => return silence(&mut *stream).await,
            Outcome::Close(reason) => return Err(End::Closed(reason)),
        }
        if let Some(mute) = mute {
            tokio::select! {
                biased;
                () = tokio::time::sleep(mute) => {}
                gone = frames.read_ahead(&mut *stream) => return gone.map_err(End::from),
            }
        }
    }
    Ok(())
}

/// Reads on without answering, until the client gives up.
async fn silence(stream: &mut dyn Stream) -> Result<(), End> {
    let mut scratch = vec![0; 4096];
    while stream.read(&mut scratch).await? > 0 {}
    Ok(())
}

async fn write(stream: &mut dyn Stream, segments: Segments) -> Result<(), End> {
    let mut left: Vec<Bytes> = segments.0.into_iter().filter(|segment| !segment.is_empty()).collect();
    left.reverse();
    while !left.is_empty() {
        let slices: Vec<IoSlice<'_>> = left.iter().rev().take(64).map(|segment| IoSlice::new(segment)).collect();
        let mut written = stream.write_vectored(&slices).await?;
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
    stream.flush().await?;
    Ok(())
}

/// Cuts a stream into frames.
struct Frames {
    buffer: BytesMut,
    max: i32,
}

impl Frames {
    /// The next frame without its length; none at a clean end.
    async fn next(&mut self, stream: &mut dyn Stream) -> Result<Option<Bytes>, End> {
        loop {
            let needed = match self.length()? {
                Some(length) if self.buffer.len() >= 4 + length => {
                    self.buffer.advance(4);
                    return Ok(Some(self.buffer.split_to(length).freeze()));
                }
                Some(length) => 4 + length - self.buffer.len(),
                None => READ_AHEAD,
            };
            // Memory follows what was really sent: at most doubled, whatever the length field promises.
            let step = needed.clamp(1, READ_AHEAD.max(self.buffer.len()).max(1 << 20));
            self.buffer.reserve(step);
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(End::Io(io::ErrorKind::UnexpectedEof.into()))
                };
            }
        }
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
