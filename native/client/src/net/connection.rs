//! The handle on one open connection: encodes requests, queues them without waiting, and resolves to their responses.
//!
//! It does no I/O; [`super::driver`] does, in a task of its own. A connection that broke is never mended: all that waits on
//! it fails at once with the shared cause, and the pool opens another.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dohle_protocol::{ApiKey, Request, Segments};
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::question::{Answered, Api, Head, Question};
use super::versions::ApiVersionTable;
use crate::error::{Error, ErrorKind, Result};
use crate::statistics::BrokerCounters;

/// One open connection to one broker. Cheap to clone; sending keeps the order of the calls.
#[derive(Clone)]
pub struct Connection(Arc<Shared>);

pub(super) struct Shared {
    pub(super) node: i32,
    /// `broker 1 (localhost:9092)`, for messages.
    pub(super) peer: String,
    pub(super) versions: ApiVersionTable,
    pub(super) client_id: Arc<str>,
    pub(super) next_id: AtomicI32,
    pub(super) queue: Mutex<Queue>,
    pub(super) waker: AtomicWaker,
    pub(super) in_flight: AtomicUsize,
    pub(super) counters: Arc<BrokerCounters>,
}

#[derive(Default)]
pub(super) struct Queue {
    pub(super) requests: Vec<Outgoing>,
    /// Requests of the SASL exchange, which go first.
    pub(super) urgent: Vec<Outgoing>,
    /// An exchange is under way: the broker takes nothing else, so nothing else is written.
    pub(super) held: bool,
    /// The broker asked for a pause (KIP-219): nothing is written before.
    pub(super) muted_until: Option<Instant>,
    pub(super) closed: Option<Error>,
}

pub(super) struct Outgoing {
    pub(super) segments: Segments,
    pub(super) correlation_id: i32,
    pub(super) api: ApiKey,
    pub(super) queued: Instant,
    pub(super) deadline: Instant,
    pub(super) written: oneshot::Sender<Result<()>>,
    /// Where the response goes, if anyone wants it.
    pub(super) reply: Option<oneshot::Sender<Result<Bytes>>>,
    /// No response will come (Produce with acks 0).
    pub(super) unanswered: bool,
}

impl Connection {
    pub(super) fn new(
        node: i32,
        peer: String,
        client_id: Arc<str>,
        versions: ApiVersionTable,
        next_id: i32,
        counters: Arc<BrokerCounters>,
    ) -> Self {
        counters.connected();
        Self(Arc::new(Shared {
            node,
            peer,
            versions,
            client_id,
            next_id: AtomicI32::new(next_id),
            queue: Mutex::default(),
            waker: AtomicWaker::new(),
            in_flight: AtomicUsize::new(0),
            counters,
        }))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The broker's node id; negative for a bootstrap server.
    pub fn node(&self) -> i32 {
        self.0.node
    }

    /// What the broker said it speaks.
    pub fn versions(&self) -> &ApiVersionTable {
        &self.0.versions
    }

    /// The highest version of `R` both sides know.
    pub fn version<R: Request>(&self) -> Result<i16> {
        self.version_up_to::<R>(i16::MAX)
    }

    /// As [`Self::version`], but not above `cap`. A connection whose broker seems not to offer what every broker offers its
    /// clients ends with the first call that it refuses: the next one asks again what there is.
    pub fn version_up_to<R: Request>(&self, cap: i16) -> Result<i16> {
        self.version_of(Api::of::<R>(), cap)
    }

    fn version_of(&self, api: Api, cap: i16) -> Result<i16> {
        self.0.versions.version_of(api, cap).map_err(|error| {
            let error = error.context(&self.0.peer);
            if !self.0.versions.is_whole() {
                self.close(error.clone());
            }
            error
        })
    }

    /// Queues a request and returns at once; requests of one connection are written in the order of these calls. The
    /// connection is given up when no answer has come within `timeout`, since nothing behind it could be answered either.
    ///
    /// Several requests queued together go out in one write.
    pub fn send<R: Request>(&self, version: i16, request: &R, timeout: Duration) -> Result<Exchange<R>> {
        let (reply, response) = oneshot::channel();
        let (outgoing, written) = self.outgoing(version, request, timeout, Some(reply))?;
        self.push(outgoing, false)?;
        Ok(Exchange { written, response, version, peer: self.0.clone(), request: PhantomData })
    }

    /// Asks and waits for the answer: [`Self::send`] for what has no type any more.
    pub(crate) async fn ask(&self, question: &Question<'_>, timeout: Duration) -> Result<Answered> {
        let version = self.version_of(question.api, question.cap)?;
        let (reply, response) = oneshot::channel();
        let correlation_id = self.next_id();
        let segments = (question.write)(self.head(version, correlation_id))?;
        let (outgoing, _) = outgoing(question.api.key, segments, correlation_id, timeout, Some(reply));
        self.push(outgoing, false)?;
        let bytes = flatten(response.await, &self.0)?;
        Ok(Answered { bytes, version, peer: self.0.clone() })
    }

    /// As [`Self::send`], before all that is queued, also while the others are held.
    pub(super) fn send_first<R: Request>(&self, version: i16, request: &R, timeout: Duration) -> Result<Exchange<R>> {
        let (reply, response) = oneshot::channel();
        let (outgoing, written) = self.outgoing(version, request, timeout, Some(reply))?;
        self.push(outgoing, true)?;
        Ok(Exchange { written, response, version, peer: self.0.clone(), request: PhantomData })
    }

    /// Writes nothing but what [`Self::send_first`] sends, until [`Self::release`]. What is on its way is answered.
    pub(super) fn hold(&self) {
        self.0.queue.lock().held = true;
    }

    /// Ends [`Self::hold`].
    pub(super) fn release(&self) {
        self.0.queue.lock().held = false;
        self.0.waker.wake();
    }

    /// How many requests it has carried.
    pub(super) fn carried(&self) -> i32 {
        self.0.next_id.load(Ordering::Relaxed)
    }

    /// As [`Self::close`], unless anything was sent since [`Self::carried`] said so many.
    pub(super) fn close_if_unused(&self, carried: i32, reason: Error) -> bool {
        let mut queue = self.0.queue.lock();
        let unused = queue.requests.is_empty() && self.in_flight() == 0 && self.carried() == carried;
        if unused {
            queue.closed.get_or_insert(reason);
            self.0.waker.wake();
        }
        unused
    }

    /// As [`Self::send`] for a request that is never answered (Produce with acks 0): resolves when its bytes were written.
    pub fn send_unanswered<R: Request>(&self, version: i16, request: &R, timeout: Duration) -> Result<Written> {
        let (outgoing, written) = self.outgoing(version, request, timeout, None)?;
        self.push(outgoing, false)?;
        Ok(Written(written))
    }

    fn next_id(&self) -> i32 {
        self.0.next_id.fetch_add(1, Ordering::Relaxed)
    }

    fn head(&self, version: i16, correlation_id: i32) -> Head<'_> {
        Head { version, correlation_id, client_id: &self.0.client_id }
    }

    fn outgoing<R: Request>(
        &self,
        version: i16,
        request: &R,
        timeout: Duration,
        reply: Option<oneshot::Sender<Result<Bytes>>>,
    ) -> Result<(Outgoing, oneshot::Receiver<Result<()>>)> {
        let correlation_id = self.next_id();
        let segments = self.head(version, correlation_id).write(request)?;
        Ok(outgoing(R::API_KEY, segments, correlation_id, timeout, reply))
    }

    fn push(&self, outgoing: Outgoing, urgent: bool) -> Result<()> {
        {
            let mut queue = self.0.queue.lock();
            if let Some(error) = &queue.closed {
                return Err(error.clone());
            }
            self.0.in_flight.fetch_add(1, Ordering::Relaxed);
            self.0.counters.queued();
            let queued = if urgent { &mut queue.urgent } else { &mut queue.requests };
            queued.push(outgoing);
        }
        self.0.waker.wake();
        Ok(())
    }

    /// Requests queued or sent whose response has not come yet.
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    /// Whether it broke or was closed; sending on it fails.
    pub fn is_closed(&self) -> bool {
        self.0.queue.lock().closed.is_some()
    }

    /// A request that is about to be sent has something that was written before.
    pub(crate) fn retried(&self) {
        self.0.counters.retried();
    }

    /// Writes nothing for the time the broker asked for in `throttle_time_ms`.
    pub fn throttle(&self, pause: Duration) {
        self.0.throttle(pause);
    }

    /// Fails all that waits with this error and closes the socket. The first reason stays.
    pub fn close(&self, reason: Error) {
        self.0.queue.lock().closed.get_or_insert(reason);
        self.0.waker.wake();
    }
}

fn outgoing(
    api: ApiKey,
    segments: Segments,
    correlation_id: i32,
    timeout: Duration,
    reply: Option<oneshot::Sender<Result<Bytes>>>,
) -> (Outgoing, oneshot::Receiver<Result<()>>) {
    let (written, on_written) = oneshot::channel();
    let queued = Instant::now();
    let deadline = queued + timeout;
    let unanswered = reply.is_none();
    let outgoing = Outgoing { segments, correlation_id, api, queued, deadline, written, reply, unanswered };
    (outgoing, on_written)
}

impl Shared {
    pub(super) fn throttle(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut queue = self.queue.lock();
        if queue.muted_until.is_none_or(|known| known < until) {
            queue.muted_until = Some(until);
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.0.peer).field("in_flight", &self.in_flight()).finish()
    }
}

/// A request under way. Dropping it gives up the answer, not the request.
pub struct Exchange<R> {
    written: oneshot::Receiver<Result<()>>,
    response: oneshot::Receiver<Result<Bytes>>,
    version: i16,
    peer: Arc<Shared>,
    request: PhantomData<fn() -> R>,
}

impl<R: Request> Exchange<R> {
    /// The version the request was written in.
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Resolves when the engine has let go of the request's buffers: all bytes are with the system (`Ok`) or never will be
    /// (`Err`: the connection broke first, and how much of them was written is unknown). Call it at most once.
    pub async fn written(&mut self) -> Result<()> {
        flatten((&mut self.written).await, &self.peer)
    }

    /// Waits for the response, decoded and checked for left-over bytes. The broker's throttle time is honoured here.
    pub async fn response(self) -> Result<R::Response> {
        let bytes = flatten(self.response.await, &self.peer)?;
        Answered { bytes, version: self.version, peer: self.peer }.read::<R>()
    }
}

/// Resolves when a request that is never answered was written.
pub struct Written(oneshot::Receiver<Result<()>>);

impl Future for Written {
    type Output = Result<()>;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(cx).map(|done| done.unwrap_or_else(|_| Err(lost("a broker"))))
    }
}

fn flatten<T>(outcome: Result<Result<T>, oneshot::error::RecvError>, peer: &Shared) -> Result<T> {
    outcome.unwrap_or_else(|_| Err(lost(&peer.peer)))
}

/// The driver went away without a word: its runtime is shutting down, or it panicked.
fn lost(peer: &str) -> Error {
    Error::new(ErrorKind::Disconnected, format!("{peer}: the connection's task ended"))
}
