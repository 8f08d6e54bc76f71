//! A connection to the broker that is replayed to. It reads while it writes, so that neither end waits for the other for ever.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    time::Duration,
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use dohle_protocol::frame::peek_correlation_id;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split},
    time::timeout,
};

use super::Asked;
use crate::world::Stream;

/// A connection, to read and to write.
type Halves = (ReadHalf<Box<dyn Stream>>, WriteHalf<Box<dyn Stream>>);

/// Longest answer that is taken.
const MOST: usize = 1 << 30;

#[derive(Default)]
pub(super) struct Link {
    stream: Option<Halves>,
    heard: BytesMut,
    /// Answers to requests that nobody has waited for yet.
    early: BTreeMap<i32, Bytes>,
    /// Without their recorded answers yet.
    pub asked: VecDeque<Asked>,
    /// The node that was connected to.
    pub node: i32,
    /// Fetch sessions: the recorded id, and the one that this broker gave.
    pub sessions: BTreeMap<i64, i64>,
}

impl Link {
    pub fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    pub fn open(&mut self, stream: Box<dyn Stream>) {
        self.stream = Some(split(stream));
        self.heard.clear();
        self.early.clear();
    }

    /// Writes a frame. A connection that breaks is told by the answer that does not come.
    pub async fn send(&mut self, frame: &Bytes) {
        let mut bytes = BytesMut::with_capacity(4 + frame.len());
        bytes.put_u32(frame.len() as u32);
        bytes.extend_from_slice(frame);
        self.send_whole(bytes.freeze()).await;
    }

    /// Writes a frame that has its length in front.
    pub async fn send_whole(&mut self, mut bytes: Bytes) {
        let Some((read, write)) = &mut self.stream else { return };
        while !bytes.is_empty() {
            let done = tokio::select! {
                biased;
                written = write.write(&bytes) => match written {
                    Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                    Ok(count) => {
                        bytes.advance(count);
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                heard = hear(read, &mut self.heard) => heard,
            };
            if done.is_err() {
                self.stream = None;
                return;
            }
        }
        if write.flush().await.is_err() {
            self.stream = None;
        }
    }

    /// The answer to a request; an error says why there is none.
    pub async fn answer(&mut self, correlation_id: i32, patience: Duration) -> Result<Bytes, String> {
        let answer = timeout(patience, self.answer_to(correlation_id)).await;
        let why = match answer {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => "the broker closed the connection".into(),
            Err(_) => format!("no answer in {} seconds", patience.as_secs()),
        };
        self.stream = None;
        Err(why)
    }

    async fn answer_to(&mut self, correlation_id: i32) -> Option<Bytes> {
        loop {
            if let Some(answer) = self.early.remove(&correlation_id) {
                return Some(answer);
            }
            let answer = self.frame().await?;
            self.early.insert(peek_correlation_id(&answer).ok()?, answer);
        }
    }

    async fn frame(&mut self) -> Option<Bytes> {
        loop {
            if let Some(head) = self.heard.first_chunk::<4>() {
                let length = usize::try_from(i32::from_be_bytes(*head)).ok().filter(|length| *length <= MOST)?;
                if self.heard.len() >= 4 + length {
                    self.heard.advance(4);
                    return Some(self.heard.split_to(length).freeze());
                }
            }
            let (read, _) = self.stream.as_mut()?;
            hear(read, &mut self.heard).await.ok()?;
        }
    }
}

async fn hear(from: &mut ReadHalf<Box<dyn Stream>>, into: &mut BytesMut) -> io::Result<()> {
    into.reserve(64 * 1024);
    match from.read_buf(into).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
