//! The task of one connection: writes what is queued, reads responses, matches them in order, watches the clock.
//!
//! It decodes nothing but correlation ids. The pool spawns it; it ends when the connection is closed or breaks, and then
//! every waiter learns the one cause.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use dohle_protocol::{ApiKey, frame};
use futures_util::FutureExt;
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
    /// Bytes not written yet, of all requests in `writing`, in order.
    unwritten: VecDeque<Bytes>,
    /// Requests with unwritten bytes; the front one may be written in part.
    writing: VecDeque<Writing>,
    /// Requests whose response is to come, in the order they were written.
    waiting: VecDeque<Waiting>,
    needs_flush: bool,
    idle: Duration,
    last_traffic: Instant,
    /// No deadline of a request is earlier; it may be that of one that is done.
    earliest_deadline: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    wanted_end: bool,
    /// Anything was answered since the connection was opened.
    answered: bool,
    /// The broker was not told who the client is.
    anonymous: bool,
}

struct Writing {
    segments: usize,
    bytes: usize,
    queued: Instant,
    written: oneshot::Sender<Result<()>>,
    unanswered: bool,
}

struct Waiting {
    correlation_id: i32,
    api: ApiKey,
    deadline: Instant,
    /// Set when the last of it is written.
    written_at: Instant,
    reply: Option<oneshot::Sender<Result<Bytes>>>,
}

impl Driver {
    /// `idle` of zero keeps an idle connection open; `anonymous` tells that there was no SASL.
    pub(super) fn new(
        shared: Arc<Shared>,
        socket: Box<dyn Socket>,
        reader: FrameReader,
        idle: Duration,
        anonymous: bool,
    ) -> Self {
        let idle = if idle.is_zero() { NEVER } else { idle };
        let now = Instant::now();
        Self {
            shared,
            socket,
            reader,
            unwritten: VecDeque::new(),
            writing: VecDeque::new(),
            waiting: VecDeque::new(),
            needs_flush: false,
            idle,
            last_traffic: now,
            earliest_deadline: None,
            timer: Box::pin(tokio::time::sleep_until(now + idle)),
            wanted_end: false,
            answered: false,
            anonymous,
        }
    }

    /// Runs until the connection ends, then tells everyone why. True if it broke, false if this side wanted its end.
    pub(super) async fn run(mut self) -> bool {
        let polling = AssertUnwindSafe(std::future::poll_fn(|cx| self.poll_end(cx))).catch_unwind();
        let cause = match polling.await {
            Ok(cause) => cause,
            Err(payload) => Error::panicked(format_args!("the connection to {}", self.shared.peer), &*payload),
        };
        tracing::debug!(peer = %self.shared.peer, %cause, "connection ended");
        self.fail_all(cause);
        !self.wanted_end
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        // Registered before the queue is looked at: what is queued later wakes this task again.
        self.shared.waker.register(cx.waker());
        match self.progress(cx) {
            Ok(()) => Poll::Pending,
            Err(cause) => Poll::Ready(cause),
        }
    }

    fn progress(&mut self, cx: &mut Context<'_>) -> Result<()> {
        let muted_until = self.take_queue()?;
        self.write(cx)?;
        self.read(cx)?;
        self.watch_clock(cx, muted_until)
    }

    /// Takes over what was queued, unless the broker asked for a pause: then tells when to look again.
    fn take_queue(&mut self) -> Result<Option<Instant>> {
        let mut queue = self.shared.queue.lock();
        if let Some(cause) = &queue.closed {
            self.wanted_end = true;
            return Err(cause.clone());
        }
        if !queue.urgent.is_empty() {
            let urgent = std::mem::take(&mut queue.urgent);
            drop(queue);
            urgent.into_iter().for_each(|outgoing| self.accept_after_others(outgoing));
            queue = self.shared.queue.lock();
        }
        if queue.requests.is_empty() || queue.held {
            return Ok(None);
        }
        if let Some(until) = queue.muted_until {
            let now = Instant::now();
            let deadline = queue.requests.iter().map(|request| request.deadline).min();
            if deadline.is_some_and(|deadline| deadline <= now) {
                let text = format!("{} asked for a pause longer than the request may take", self.shared.peer);
                return Err(Error::new(ErrorKind::RequestTimedOut, text));
            }
            if until > now {
                return Ok(deadline.into_iter().chain([until]).min());
            }
            queue.muted_until = None;
        }
        let taken = std::mem::take(&mut queue.requests);
        drop(queue);
        for outgoing in taken {
            self.accept(outgoing);
        }
        Ok(None)
    }

    fn accept(&mut self, outgoing: Outgoing) {
        let Outgoing { segments, correlation_id, api, queued, deadline, written, reply, unanswered } = outgoing;
        let before = self.unwritten.len();
        self.unwritten.extend(segments.0.into_iter().filter(|segment| !segment.is_empty()));
        let bytes = self.unwritten.iter().skip(before).map(Bytes::len).sum();
        let segments = self.unwritten.len() - before;
        self.writing.push_back(Writing { segments, bytes, queued, written, unanswered });
        self.waiting.push_back(Waiting { correlation_id, api, deadline, written_at: queued, reply });
        if self.earliest_deadline.is_none_or(|earliest| deadline < earliest) {
            self.earliest_deadline = Some(deadline);
        }
    }

    /// It may have to stand behind one that waits at the broker for long: its time counts from when that is answered.
    fn accept_after_others(&mut self, mut outgoing: Outgoing) {
        let patience = outgoing.deadline.saturating_duration_since(Instant::now());
        if let Some(latest) = self.waiting.iter().map(|waiting| waiting.deadline).max() {
            outgoing.deadline = outgoing.deadline.max(latest + patience);
        }
        self.accept(outgoing);
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Result<()> {
        while !self.unwritten.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.unwritten.len().min(SLICES);
            for (slice, bytes) in slices.iter_mut().zip(&self.unwritten) {
                *slice = IoSlice::new(bytes);
            }
            match Pin::new(&mut self.socket).poll_write_vectored(cx, &slices[..count]) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(self.broken(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => self.wrote(n),
                Poll::Ready(Err(error)) => return Err(self.broken(error)),
            }
        }
        if self.needs_flush {
            match Pin::new(&mut self.socket).poll_flush(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.needs_flush = false,
                Poll::Ready(Err(error)) => return Err(self.broken(error)),
            }
        }
        Ok(())
    }

    fn wrote(&mut self, mut n: usize) {
        self.needs_flush = true;
        self.last_traffic = Instant::now();
        while n > 0 {
            let Some(front) = self.unwritten.front_mut() else { return };
            if n < front.len() {
                front.advance(n);
                return;
            }
            n -= front.len();
            self.unwritten.pop_front();
            self.segment_done();
        }
    }

    /// The front request has one unwritten segment less; with the last one its buffers are let go.
    fn segment_done(&mut self) {
        let Some(front) = self.writing.front_mut() else { return };
        front.segments -= 1;
        if front.segments > 0 {
            return;
        }
        if let Some(done) = self.writing.pop_front() {
            let _ = done.written.send(Ok(()));
            let (position, now) = (self.waiting.len() - self.writing.len() - 1, self.last_traffic);
            let Some(of) = self.waiting.get_mut(position) else { return };
            of.written_at = now;
            let waited = now.saturating_duration_since(done.queued);
            self.shared.counters.written(of.api, done.bytes, waited, !done.unanswered);
            if done.unanswered {
                // It stands in `waiting` only so that its deadline is watched while it is being written.
                self.waiting.remove(position);
                self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<()> {
        loop {
            match self.reader.poll_frame(cx, &mut self.socket) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(frame)) => self.answer(frame)?,
                Poll::Ready(Err(ReadError::Io(error))) => return Err(self.broken(error)),
                Poll::Ready(Err(ReadError::Closed { in_frame })) => return Err(self.hung_up(in_frame)),
                Poll::Ready(Err(ReadError::Peer(error))) => return Err(error.context(&self.shared.peer).damaged()),
            }
        }
    }

    /// Gives a response to the request that is next in line; another id means that the two sides lost step.
    fn answer(&mut self, frame: Bytes) -> Result<()> {
        self.last_traffic = Instant::now();
        let bytes = frame.len();
        self.answered = true;
        let id = frame::peek_correlation_id(&frame)
            .map_err(|error| Error::from(error).context(&self.shared.peer).damaged())?;
        let answerable = self.waiting.len() - self.writing.len();
        match self.waiting.front() {
            Some(next) if answerable > 0 && next.correlation_id == id => {}
            Some(next) if answerable > 0 => {
                return Err(self.protocol(format!(
                    "answered with correlation id {id} where {} ({}) was due",
                    next.correlation_id,
                    next.api.name()
                )));
            }
            _ => return Err(self.protocol(format!("sent a response (correlation id {id}) that nobody asked for"))),
        }
        if let Some(Waiting { api, reply, written_at, .. }) = self.waiting.pop_front() {
            self.shared.counters.answered(api, bytes, self.last_traffic.saturating_duration_since(written_at));
            if let Some(reply) = reply {
                let _ = reply.send(Ok(frame));
            }
        }
        self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.waiting.is_empty() {
            self.earliest_deadline = None;
        }
        Ok(())
    }

    /// Arms the timer for whatever comes first: a request's deadline, the end of a pause, the end of the idle time.
    fn watch_clock(&mut self, cx: &mut Context<'_>, muted_until: Option<Instant>) -> Result<()> {
        loop {
            let idle_until = self.last_traffic + self.idle;
            let work_until = self.earliest_deadline.into_iter().chain(muted_until).min();
            let wake_at = work_until.unwrap_or(idle_until);
            // A timer that fires too early costs one look; moving it at every request would cost more.
            if wake_at < self.timer.deadline() || self.timer.is_elapsed() {
                self.timer.as_mut().reset(wake_at);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
            let now = Instant::now();
            if self.earliest_deadline.is_some_and(|deadline| deadline <= now) {
                self.check_deadlines(now)?;
            } else if muted_until.is_some_and(|until| until <= now) {
                cx.waker().wake_by_ref();
                return Ok(());
            } else if work_until.is_none() && idle_until <= now {
                self.close_if_idle()?;
            }
        }
    }

    /// A broker answers in order: with one answer overdue, nothing behind it can come, so the connection is given up.
    fn check_deadlines(&mut self, now: Instant) -> Result<()> {
        if let Some(late) = self.waiting.iter().find(|waiting| waiting.deadline <= now) {
            return Err(Error::new(
                ErrorKind::RequestTimedOut,
                format!("{} did not answer {} in time; the connection was given up", self.shared.peer, late.api.name()),
            ));
        }
        self.earliest_deadline = self.waiting.iter().map(|waiting| waiting.deadline).min();
        Ok(())
    }

    fn close_if_idle(&mut self) -> Result<()> {
        let mut queue = self.shared.queue.lock();
        if queue.requests.is_empty() {
            let text = format!("{}: closed after connections.max.idle.ms without traffic", self.shared.peer);
            let cause = queue.closed.get_or_insert_with(|| Error::new(ErrorKind::Disconnected, text));
            self.wanted_end = true;
            return Err(cause.clone());
        }
        self.last_traffic = Instant::now();
        Ok(())
    }

    fn fail_all(&mut self, cause: Error) {
        let queued = {
            let mut queue = self.shared.queue.lock();
            queue.closed.get_or_insert_with(|| cause.clone());
            let mut queued = std::mem::take(&mut queue.urgent);
            queued.append(&mut queue.requests);
            queued
        };
        for outgoing in queued {
            self.accept(outgoing);
        }
        let queued = self.writing.len();
        let late = cause.kind() == ErrorKind::RequestTimedOut;
        self.shared.counters.disconnected(queued, self.waiting.len() - queued, late);
        // The buffers go first: `written` promises that nothing refers to them any more.
        self.unwritten.clear();
        for writing in self.writing.drain(..) {
            let _ = writing.written.send(Err(cause.clone()));
        }
        for reply in self.waiting.drain(..).filter_map(|waiting| waiting.reply) {
            let _ = reply.send(Err(cause.clone()));
        }
        self.shared.in_flight.store(0, Ordering::Relaxed);
    }

    fn broken(&self, error: io::Error) -> Error {
        // A connection with TLS that just ends is a broker that hung up, as one without.
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return self.hung_up(false).with_source(error);
        }
        let text = format!("{}: the connection broke {}: {error}", self.shared.peer, self.under_way());
        Error::new(ErrorKind::Disconnected, text).with_source(error)
    }

    fn hung_up(&self, in_frame: bool) -> Error {
        let middle = if in_frame { ", in the middle of a response" } else { "" };
        let mut text = format!("{} closed the connection {}{middle}", self.shared.peer, self.under_way());
        if self.anonymous && !self.answered && !in_frame {
            text.push_str("; a listener that wants SASL does this (sasl.mechanism)");
        }
        Error::new(ErrorKind::Disconnected, text)
    }

    fn protocol(&self, what: String) -> Error {
        Error::new(ErrorKind::Protocol, format!("{} {what}", self.shared.peer)).damaged()
    }

    fn under_way(&self) -> String {
        match self.waiting.len() {
            0 => "while idle".to_owned(),
            1 => format!("with {} under way", self.waiting[0].api.name()),
            n => format!("with {n} requests under way, first {}", self.waiting[0].api.name()),
        }
    }
}
