//! The task of one connection: writes what is queued, reads responses, matches them in order, watches the clock.
//!
//! It decodes nothing but correlation ids. The pool spawns it; it ends when the connection is closed or breaks, and then
//! every waiter learns the one cause.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use dohle_protocol::{ApiKey, frame};
use tokio::io::AsyncWrite;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use super::connection::{Outgoing, Shared};
use super::frame_reader::{FrameReader, ReadError};
use crate::error::{Error, ErrorKind, Result};
use crate::world::Socket;

/// Slices handed to the system in one write.
const SLICES: usize = 64;
/// A timer this far away means none.
const NEVER: Duration = Duration::from_secs(86_400 * 365);

pub(super) struct Driver {
    shared: Arc<Shared>,
    socket: Box<dyn Socket>,
    reader: FrameReader,
    /// Taken from the queue, not fully written. The front one may be written in part.
    writing: VecDeque<Writing>,
    /// Waiting for their response, in the order they were written.
    waiting: VecDeque<Waiting>,
    needs_flush: bool,
    idle: Duration,
    last_traffic: Instant,
    timer: Pin<Box<Sleep>>,
}

struct Writing {
    segments: VecDeque<Bytes>,
    deadline: Instant,
    api: ApiKey,
    correlation_id: i32,
    written: oneshot::Sender<Result<()>>,
    reply: Option<oneshot::Sender<Result<Bytes>>>,
}

struct Waiting {
    correlation_id: i32,
    api: ApiKey,
    deadline: Instant,
    reply: oneshot::Sender<Result<Bytes>>,
}

impl Driver {
    /// `idle` of zero keeps an idle connection open.
    pub(super) fn new(shared: Arc<Shared>, socket: Box<dyn Socket>, reader: FrameReader, idle: Duration) -> Self {
        let idle = if idle.is_zero() { NEVER } else { idle };
        let now = Instant::now();
        Self {
            shared,
            socket,
            reader,
            writing: VecDeque::new(),
            waiting: VecDeque::new(),
            needs_flush: false,
            idle,
            last_traffic: now,
            timer: Box::pin(tokio::time::sleep_until(now + idle)),
        }
    }

    /// Runs until the connection ends, then tells everyone why.
    pub(super) async fn run(mut self) {
        let cause = std::future::poll_fn(|cx| self.poll_end(cx)).await;
        self.fail_all(cause);
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        self.shared.waker.register(cx.waker());
        match self.progress(cx) {
            Ok(()) => Poll::Pending,
            Err(cause) => Poll::Ready(cause),
        }
    }

    fn progress(&mut self, cx: &mut Context<'_>) -> Result<()> {
        loop {
            self.take_queue()?;
            let wrote_all = self.write(cx)?;
            self.read(cx)?;
            if self.check_time(cx)? == Timer::Armed && (wrote_all || !self.writing.is_empty()) {
                // All that was queued when we looked is written, or the socket will wake us. What was queued since then
                // woke the waker registered above, so this task is polled again.
                return Ok(());
            }
        }
    }

    fn take_queue(&mut self) -> Result<()> {
        let mut queue = self.shared.queue.lock();
        if let Some(cause) = &queue.closed {
            return Err(cause.clone());
        }
        if queue.requests.is_empty() {
            return Ok(());
        }
        if queue.muted_until.is_some_and(|until| until > Instant::now()) {
            return Ok(());
        }
        queue.muted_until = None;
        let taken = std::mem::take(&mut queue.requests);
        drop(queue);
        self.writing.extend(taken.into_iter().map(Writing::from));
        Ok(())
    }
}
