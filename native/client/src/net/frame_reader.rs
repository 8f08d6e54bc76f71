//! Cuts the byte stream of a broker into response frames, each one allocation of its own.
//!
//! It trusts nothing: the length is judged before memory is set aside for it, and memory grows with the bytes that came.
//! It does not look inside a frame. The connection's driver polls it.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use crate::error::{Error, ErrorKind};
use crate::world::Socket;

/// Small responses are read in one go with what follows them; of a large one at most this much is copied.
const STAGE: usize = 8 * 1024;
/// A frame's buffer starts no larger than this…
const FIRST_ALLOCATION: usize = 1024 * 1024;
/// …and grows to at most this many times what has come: few copies, and a peer that lies must send to be believed.
const GROWTH: usize = 8;
/// A response is at least a correlation id.
const SHORTEST: i32 = 4;

pub(super) struct FrameReader {
    stage: Box<[u8]>,
    start: usize,
    end: usize,
    frame: Option<Partial>,
    max_frame: usize,
    frames_read: u64,
}

struct Partial {
    bytes: BytesMut,
    missing: usize,
}

/// Why no further frame comes.
pub(super) enum ReadError {
    /// The peer closed the stream; the flag tells whether a frame was begun.
    Closed { in_frame: bool },
    /// The system reported an error.
    Io(io::Error),
    /// The bytes are no Kafka response.
    Peer(Error),
}

impl FrameReader {
    pub(super) fn new(max_frame: usize) -> Self {
        let stage = vec![0; STAGE].into_boxed_slice();
        Self { stage, start: 0, end: 0, frame: None, max_frame, frames_read: 0 }
    }

    /// Whether any complete frame was read yet.
    pub(super) fn has_read(&self) -> bool {
        self.frames_read > 0
    }

    /// The next frame, without its length.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut Box<dyn Socket>,
    ) -> Poll<Result<Bytes, ReadError>> {
        loop {
            if let Some(frame) = self.take_from_stage().map_err(ReadError::Peer)? {
                self.frames_read += 1;
                return Poll::Ready(Ok(frame));
            }
            let read = match &mut self.frame {
                Some(partial) => {
                    let n = ready!(read_into(cx, socket, partial)).map_err(ReadError::Io)?;
                    partial.missing -= n;
                    n
                }
                None => {
                    self.make_room();
                    let n =
                        ready!(pin!(socket.read(&mut self.stage[self.end..])).poll_in(cx)).map_err(ReadError::Io)?;
                    self.end += n;
                    n
                }
            };
            if read == 0 {
                let in_frame = self.frame.is_some() || self.start != self.end;
                return Poll::Ready(Err(ReadError::Closed { in_frame }));
            }
        }
    }

    /// A frame that is complete, as far as the bytes read go; begins one where its length is known.
    fn take_from_stage(&mut self) -> Result<Option<Bytes>, Error> {
        if self.frame.is_none() {
            let Some(prefix) = self.stage[self.start..self.end].first_chunk::<4>() else { return Ok(None) };
            let length = check_length(*prefix, self.max_frame, self.frames_read == 0)?;
            self.start += 4;
            let have = length.min(self.end - self.start);
            let mut bytes = BytesMut::with_capacity(length.min(FIRST_ALLOCATION));
            bytes.extend_from_slice(&self.stage[self.start..self.start + have]);
            self.start += have;
            self.frame = Some(Partial { bytes, missing: length - have });
        }
        Ok(self.frame.take_if(|partial| partial.missing == 0).map(|partial| partial.bytes.freeze()))
    }

    fn make_room(&mut self) {
        self.stage.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
    }
}

fn read_into(cx: &mut Context<'_>, socket: &mut Box<dyn Socket>, partial: &mut Partial) -> Poll<io::Result<usize>> {
    if partial.bytes.capacity() == partial.bytes.len() {
        let more = (partial.bytes.len() * (GROWTH - 1)).max(STAGE);
        partial.bytes.reserve(partial.missing.min(more));
    }
    let mut target = (&mut partial.bytes).limit(partial.missing);
    pin!(socket.read_buf(&mut target)).poll_in(cx)
}

/// Polls a future that keeps no state between polls, so that it may be made anew each time.
trait PollIn: Future {
    fn poll_in(self, cx: &mut Context<'_>) -> Poll<Self::Output>;
}

impl<F: Future> PollIn for std::pin::Pin<&mut F> {
    fn poll_in(self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll(cx)
    }
}

/// Judges the four bytes that should be a length.
pub(super) fn check_length(prefix: [u8; 4], max: usize, first: bool) -> Result<usize, Error> {
    let length = i32::from_be_bytes(prefix);
    let fits = length >= SHORTEST && length as usize <= max;
    if fits && !first {
        return Ok(length as usize);
    }
    if let Some(other) = another_protocol(prefix) {
        return Err(Error::new(ErrorKind::NotKafka, other));
    }
    if fits {
        return Ok(length as usize);
    }
    let problem = if length >= SHORTEST {
        format!(
            "announces a response of {length} bytes, above receive.message.max.bytes ({max}); raise it if that can be"
        )
    } else {
        format!("announces a response of {length} bytes, which cannot be")
    };
    let kind = if first { ErrorKind::NotKafka } else { ErrorKind::Protocol };
    Err(Error::new(kind, problem))
}

fn another_protocol(prefix: [u8; 4]) -> Option<String> {
    match prefix {
        // A page without a header in front is what a web server says to a request it cannot read at all.
        [b'H', b'T', b'T', b'P'] | [b'<', b'!', b'D' | b'd', b'O' | b'o'] | [b'<', b'h' | b'H', b't' | b'T', b'm' | b'M'] => {
            Some("answers with HTTP, not Kafka: this is a web server's port; brokers usually listen on 9092".to_owned())
        }
        [0x14..=0x17, 3, 0..=4, _] => Some(
            "answers with TLS: this listener wants an encrypted connection; turn TLS on (tls: true, security.protocol SSL or \
             SASL_SSL), or use its plaintext port"
                .to_owned(),
        ),
        text if text.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') => Some(format!(
            "answers with the text {:?}, not Kafka: another service listens on this port",
            String::from_utf8_lossy(&text)
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(prefix: &[u8; 4], max: usize, first: bool) -> String {
        match check_length(*prefix, max, first) {
            Ok(length) => length.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn foreign_bytes_in_the_length_are_named() {
        assert!(verdict(b"HTTP", 100, true).starts_with("NOT_KAFKA: answers with HTTP"));
        assert!(verdict(b"<!DO", 100, true).starts_with("NOT_KAFKA: answers with HTTP"));
        assert!(verdict(b"<htm", 100, true).starts_with("NOT_KAFKA: answers with HTTP"));
        assert!(verdict(b"HTTP", usize::MAX, true).starts_with("NOT_KAFKA: answers with HTTP"));
        assert!(verdict(&[0x15, 3, 3, 0], 100, true).contains("TLS"));
        assert!(verdict(&[0x15, 3, 1, 0], usize::MAX, false).parse::<usize>().is_ok(), "later it may be a real length");
        assert!(verdict(b"SSH-", 100, true).contains("SSH-"));
    }

    #[test]
    fn a_length_is_refused_when_negative_too_short_or_above_the_cap() {
        assert_eq!(verdict(&[0, 0, 0, 4], 4, true), "4");
        assert_eq!(verdict(&[0, 0, 1, 0], 256, false), "256");
        assert!(verdict(&[0, 0, 1, 1], 256, false).starts_with("PROTOCOL"));
        assert!(verdict(&[0, 0, 0, 3], 256, false).starts_with("PROTOCOL"));
        assert!(verdict(&[0x80, 0, 0, 0], 256, false).starts_with("PROTOCOL"));
        assert!(verdict(&[0x80, 0, 0, 0], 256, true).starts_with("NOT_KAFKA"));
    }

    #[tokio::test]
    #[allow(clippy::disallowed_methods)]
    async fn frames_come_out_whole_however_the_stream_is_cut() {
        let frames: Vec<Vec<u8>> = [4usize, 5, 100, STAGE - 4, STAGE, 3 * STAGE + 1, FIRST_ALLOCATION * 2 + 7]
            .iter()
            .map(|n| (0..*n).map(|i| i as u8).collect())
            .collect();
        for piece in [1, 3, 4, 1000, STAGE + 1, usize::MAX] {
            let total: usize = frames.iter().map(|f| f.len() + 4).sum();
            if piece < 1000 && total / piece > 3_000_000 {
                continue;
            }
            let (mut near, far) = tokio::io::duplex(piece.min(1 << 20));
            let sent = frames.clone();
            let writer = tokio::spawn(async move {
                for frame in sent {
                    let mut bytes = (frame.len() as i32).to_be_bytes().to_vec();
                    bytes.extend_from_slice(&frame);
                    tokio::io::AsyncWriteExt::write_all(&mut near, &bytes).await.unwrap();
                }
            });
            let mut socket: Box<dyn Socket> = Box::new(far);
            let mut reader = FrameReader::new(1 << 30);
            for frame in &frames {
                let got = std::future::poll_fn(|cx| reader.poll_frame(cx, &mut socket)).await;
                let Ok(got) = got else { panic!("no frame") };
                assert_eq!(&got[..], &frame[..]);
            }
            writer.await.unwrap();
            let end = std::future::poll_fn(|cx| reader.poll_frame(cx, &mut socket)).await;
            assert!(matches!(end, Err(ReadError::Closed { in_frame: false })));
        }
    }
}
