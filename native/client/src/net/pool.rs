//! One connection per broker and lane: opened when first asked for, attempts shared, back-off after failures.
//!
//! It knows brokers as node ids with an endpoint; which they are, [`crate::Metadata`] tells it. Bootstrap servers have
//! negative ids. It never retries by itself: each call is at most one attempt, after the back-off of the last.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::backoff::Backoff;
use super::connect::{self, Opened, Target};
use super::driver::Driver;
use super::routing::Routing;
use super::session;
use super::{ApiVersionTable, Connection, Endpoint, Lane};
use crate::collections::Map;
use crate::error::{Error, ErrorKind, Result};
use crate::generated::options::ClientOptions;
use crate::security::Security;
use crate::security::sasl::Sasl;
use crate::statistics::{BrokerCounters, Tally};
use crate::watch;
use crate::world::{SocketOptions, World};

/// The connections of one client. Cheap to clone.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    world: Arc<dyn World>,
    client_id: Arc<str>,
    options: ClientOptions,
    socket_options: SocketOptions,
    security: Arc<Security>,
    bootstrap: Vec<i32>,
    nodes: Mutex<Map<i32, Arc<Node>>>,
    routing: Routing,
    /// The last attempt to connect that failed, and where; none after one there that did not.
    trouble: Mutex<Option<(i32, Error)>>,
    /// None while open.
    closed: watch::Sender<Option<Error>>,
}

struct Node {
    id: i32,
    endpoint: Endpoint,
    slots: Mutex<Map<Lane, Slot>>,
    /// Outlives this node: a broker that moves takes it along.
    counters: Arc<BrokerCounters>,
    health: Mutex<Health>,
}

/// A broker as a snapshot tells it.
pub(crate) struct BrokerOverview {
    pub id: i32,
    pub endpoint: Endpoint,
    /// As librdkafka names it.
    pub state: &'static str,
    pub tally: Tally,
}

enum Slot {
    Connecting(Attempt),
    Open(Connection),
}

type Attempt = Shared<BoxFuture<'static, Result<Connection>>>;

/// What a broker's failures in a row mean for the next attempt, whatever the lane.
struct Health {
    backoff: Backoff,
    not_before: Option<Instant>,
}

impl Pool {
    /// A pool that knows the bootstrap servers as nodes −1, −2, … and opens nothing yet.
    pub(crate) fn new(
        world: Arc<dyn World>,
        options: &ClientOptions,
        security: Arc<Security>,
        bootstrap: &[Endpoint],
    ) -> Self {
        let size = |bytes: usize| (bytes > 0).then_some(bytes);
        let socket_options = SocketOptions {
            no_delay: true,
            keep_alive: options.socket_keepalive_enable,
            send_buffer: size(options.send_buffer_bytes),
            receive_buffer: size(options.receive_buffer_bytes),
        };
        let nodes: Map<i32, Arc<Node>> = (1..)
            .zip(bootstrap)
            .map(|(n, endpoint)| (-n, Arc::new(Node::new(-n, endpoint.clone(), options, Arc::default()))))
            .collect();
        Self(Arc::new(Inner {
            world,
            client_id: options.client_id.as_str().into(),
            options: options.clone(),
            socket_options,
            security,
            bootstrap: (1..).map(|n| -n).take(bootstrap.len()).collect(),
            nodes: Mutex::new(nodes),
            routing: Routing::new(options),
            trouble: Mutex::default(),
            closed: watch::Sender::new(None),
        }))
    }

    /// The node ids of the bootstrap servers.
    pub fn bootstrap(&self) -> &[i32] {
        &self.0.bootstrap
    }

    /// Where a node listens, as far as known.
    pub fn endpoint(&self, node: i32) -> Option<Endpoint> {
        Some(self.0.nodes.lock().get(&node)?.endpoint.clone())
    }

    /// Takes over where brokers listen. A broker that moved gets new connections; what is under way to the old address fails.
    pub fn learn(&self, brokers: impl IntoIterator<Item = (i32, Endpoint)>) {
        let mut moved = Vec::new();
        {
            let mut nodes = self.0.nodes.lock();
            for (id, endpoint) in brokers {
                if nodes.get(&id).is_some_and(|node| node.endpoint == endpoint) {
                    continue;
                }
                let counters = nodes.get(&id).map(|node| node.counters.clone()).unwrap_or_default();
                let node = Arc::new(Node::new(id, endpoint, &self.0.options, counters));
                moved.extend(nodes.insert(id, node));
            }
        }
        for node in moved {
            node.close_all(&node.moved());
        }
    }

    /// Whether each broker is the one it is taken for.
    pub(crate) fn routing(&self) -> &Routing {
        &self.0.routing
    }

    /// The open connection, or one more attempt to open it, after the back-off; all who wait share the attempt.
    pub async fn connection(&self, node: i32, lane: Lane) -> Result<Connection> {
        let attempt = match self.slot(node, lane)? {
            Found::Open(connection) => return Ok(connection),
            Found::Attempt(attempt) => attempt,
        };
        attempt.await
    }

    /// The connection if it is open now.
    pub fn open_connection(&self, node: i32, lane: Lane) -> Option<Connection> {
        let node = self.0.nodes.lock().get(&node)?.clone();
        node.open(lane)
    }

    /// What a node said it speaks, if any lane to it is open.
    pub fn versions(&self, node: i32) -> Option<ApiVersionTable> {
        let node = self.0.nodes.lock().get(&node)?.clone();
        let slots = node.slots.lock();
        slots.values().find_map(Slot::open).map(|connection| connection.versions().clone())
    }

    /// What is known of each broker's connections, by node id.
    pub(crate) fn overview(&self) -> Vec<BrokerOverview> {
        let mut nodes: Vec<Arc<Node>> = self.0.nodes.lock().values().cloned().collect();
        nodes.sort_unstable_by_key(|node| node.id);
        let overview = |node: Arc<Node>| {
            let (open, connecting) = {
                let slots = node.slots.lock();
                (slots.values().any(|slot| slot.open().is_some()), !slots.is_empty())
            };
            let tally = node.counters.read();
            let state = match (open, connecting, tally.connects > 0) {
                (true, ..) => "UP",
                (_, true, _) => "CONNECT",
                (_, _, true) => "DOWN",
                _ => "INIT",
            };
            BrokerOverview { id: node.id, endpoint: node.endpoint.clone(), state, tally }
        };
        nodes.into_iter().map(overview).collect()
    }

    /// The error of a call whose time is over, with what keeps this client from its brokers, if anything does.
    pub(crate) fn too_late(&self, error: Error) -> Error {
        let without_proof = self.0.security.sasl.as_ref().and_then(Sasl::trouble);
        let unconnected = || self.0.trouble.lock().as_ref().map(|(_, error)| error.clone());
        match without_proof.or_else(unconnected) {
            Some(trouble) => error.because(trouble),
            None => error,
        }
    }

    /// Resolves when the pool is closed.
    pub(crate) async fn closed(&self) {
        let mut closed = self.0.closed.subscribe();
        let _ = closed.wait_for(Option::is_some).await;
    }

    /// How good a choice a node is for a request that any broker can answer; the lowest is the best.
    pub(super) fn preference(&self, node: i32) -> (u8, u64) {
        let Some(node) = self.0.nodes.lock().get(&node).cloned() else { return (u8::MAX, 0) };
        if let Some(connection) = node.open(Lane::General) {
            return (0, connection.in_flight() as u64);
        }
        let not_before = node.health.lock().not_before;
        match not_before.and_then(|until| until.checked_duration_since(Instant::now())) {
            Some(pause) if !pause.is_zero() => (2, pause.as_millis() as u64),
            _ => (1, 0),
        }
    }

    /// Closes a lane to every broker: the consumer it belonged to is gone.
    pub fn close_lane(&self, lane: Lane) {
        let nodes: Vec<i32> = self.0.nodes.lock().keys().copied().collect();
        nodes.into_iter().for_each(|node| self.close_connection(node, lane));
    }

    /// Closes one connection; an attempt to open it sees at its end that its slot is gone.
    pub fn close_connection(&self, node: i32, lane: Lane) {
        let Some(node) = self.0.nodes.lock().get(&node).cloned() else { return };
        let slot = node.slots.lock().remove(&lane);
        if let Some(Slot::Open(connection)) = slot {
            connection.close(Error::closed("consumer"));
        }
    }

    /// Closes everything; attempts and requests under way fail with this error.
    pub fn abandon(&self, reason: &Error) {
        self.0.closed.send_if_modified(|closed| {
            let first = closed.is_none();
            closed.get_or_insert(reason.clone());
            first
        });
        let nodes: Vec<Arc<Node>> = self.0.nodes.lock().values().cloned().collect();
        for node in nodes {
            node.close_all(reason);
        }
    }

    /// As [`Self::abandon`], and waits until every socket is closed.
    pub async fn close(&self, reason: &Error) {
        self.abandon(reason);
        // Each driver holds a receiver; the last one to end has closed its socket.
        self.0.closed.closed().await;
    }

    fn slot(&self, id: i32, lane: Lane) -> Result<Found> {
        if let Some(reason) = &*self.0.closed.borrow() {
            return Err(reason.clone());
        }
        let node = self.0.nodes.lock().get(&id).cloned();
        let Some(node) = node else {
            let text = format!("broker {id} is not known (any more); the cluster's metadata does not list it");
            return Err(Error::new(ErrorKind::BrokerUnreachable, text));
        };
        let mut slots = node.slots.lock();
        match slots.get(&lane) {
            Some(Slot::Open(connection)) if !connection.is_closed() => return Ok(Found::Open(connection.clone())),
            Some(Slot::Connecting(attempt)) => return Ok(Found::Attempt(attempt.clone())),
            _ => {}
        }
        let (done, outcome) = oneshot::channel();
        let gone = || Err(Error::new(ErrorKind::Disconnected, "the attempt to connect was given up"));
        let attempt = outcome.map(move |result| result.unwrap_or_else(|_| gone())).boxed().shared();
        slots.insert(lane, Slot::Connecting(attempt.clone()));
        drop(slots);
        self.0.world.spawn(Box::pin(self.0.clone().connect_and_drive(node, lane, done)));
        Ok(Found::Attempt(attempt))
    }
}

enum Found {
    Open(Connection),
    Attempt(Attempt),
}

impl Inner {
    /// The task of one slot: one attempt, then the connection's driver.
    async fn connect_and_drive(
        self: Arc<Self>,
        node: Arc<Node>,
        lane: Lane,
        done: oneshot::Sender<Result<Connection>>,
    ) {
        let mut closed = self.closed.subscribe(); // held to the end: `close` waits for it
        let outcome = self.attempt(&node, &mut closed).await;
        let Opened { socket, reader, versions, next_correlation_id, session, host } = match outcome {
            Ok(opened) => opened,
            Err(error) => {
                // Once, not at each of many attempts.
                if error.kind() != ErrorKind::Closed && node.health.lock().backoff.failures() <= 1 {
                    tracing::warn!(node = node.id, %error, "cannot connect; trying again");
                } else {
                    tracing::debug!(node = node.id, ?lane, %error, "cannot connect");
                }
                node.slots.lock().remove(&lane);
                let _ = done.send(Err(error));
                return;
            }
        };
        let peer = node.to_string();
        tracing::debug!(%peer, ?lane, "connected");
        let connection = Connection::new(
            node.id,
            peer,
            self.client_id.clone(),
            versions,
            next_correlation_id,
            node.counters.clone(),
        );
        // A slot that is gone was closed in the meantime.
        let wanted = node.slots.lock().insert(lane, Slot::Open(connection.clone())).is_some();
        // Whoever closes the pool or moves the node looks at the slots; what it did before the slot was filled is seen here.
        let moved = !self.nodes.lock().get(&node.id).is_some_and(|current| Arc::ptr_eq(current, &node));
        if let Some(reason) = self.closed.borrow().clone() {
            connection.close(reason);
        } else if moved {
            connection.close(node.moved());
        } else if !wanted {
            connection.close(Error::closed("consumer"));
        }
        let anonymous = self.security.sasl.is_none();
        let idle = self.options.connections_max_idle;
        let driver = Driver::new(connection.shared().clone(), socket, reader, idle, anonymous);
        let (world, security, patience) = (self.world.clone(), self.security.clone(), self.options.request_timeout);
        drop(self); // the client may go while the driver runs: that closes the connection
        let _ = done.send(Ok(connection.clone()));
        let broke = tokio::select! {
            biased;
            broke = driver.run() => broke,
            never = session::keep(&security, &world, &connection, session, (&host, patience)) => match never {},
        };
        node.ended(lane, &connection, broke, &*world);
        drop(closed);
    }

    async fn attempt(&self, node: &Node, closed: &mut watch::Receiver<Option<Error>>) -> Result<Opened> {
        let attempt = async {
            let not_before = node.health.lock().not_before;
            if let Some(until) = not_before {
                sleep_until(until).await;
            }
            let target = self.target(node);
            let opening = AssertUnwindSafe(connect::open(&self.world, &target)).catch_unwind();
            let panicked =
                |payload: Box<dyn Any + Send>| Err(Error::panicked(format_args!("connecting to {node}"), &*payload));
            opening.await.unwrap_or_else(panicked)
        };
        let closing = async { closed.wait_for(Option::is_some).await.ok().flatten() };
        tokio::select! {
            biased;
            reason = closing => Err(reason.unwrap_or_else(|| Error::closed("client"))),
            outcome = attempt => {
                node.note(outcome.is_ok(), &*self.world);
                let outcome = outcome
                    .inspect(|opened| self.routing.answered(&opened.versions))
                    .map_err(|error| self.routing.refused(node, error));
                let mut trouble = self.trouble.lock();
                match &outcome {
                    Err(error) => *trouble = Some((node.id, error.clone())),
                    Ok(_) => _ = trouble.take_if(|(at, _)| *at == node.id),
                }
                outcome
            }
        }
    }

    fn target(&self, node: &Node) -> Target {
        // KIP-601: like the back-off, the time an attempt may take doubles with each failure in a row.
        let failures = node.health.lock().backoff.failures();
        let setup_timeout = self
            .options
            .socket_connection_setup_timeout
            .saturating_mul(1 << failures.min(10))
            .min(self.options.socket_connection_setup_timeout_max)
            .max(self.options.socket_connection_setup_timeout);
        Target {
            endpoint: node.endpoint.clone(),
            taken_for: self.routing.taken_for(node.id),
            client_id: self.client_id.clone(),
            setup_timeout,
            max_frame: self.options.receive_message_max_bytes,
            socket_options: self.socket_options.clone(),
            security: self.security.clone(),
        }
    }
}

impl Node {
    fn new(id: i32, endpoint: Endpoint, options: &ClientOptions, counters: Arc<BrokerCounters>) -> Self {
        let backoff = Backoff::new(options.reconnect_backoff, options.reconnect_backoff_max);
        let health = Mutex::new(Health { backoff, not_before: None });
        Self { id, endpoint, slots: Mutex::default(), counters, health }
    }

    fn open(&self, lane: Lane) -> Option<Connection> {
        self.slots.lock().get(&lane).and_then(Slot::open).cloned()
    }

    fn note(&self, success: bool, world: &dyn World) {
        let mut health = self.health.lock();
        if success {
            health.backoff.reset();
            health.not_before = None;
        } else {
            let pause: Duration = health.backoff.next(world);
            health.not_before = Some(Instant::now() + pause);
        }
    }

    /// A connection ended. One that broke counts as a failure, so that a broker that accepts and hangs up is not stormed.
    fn ended(&self, lane: Lane, connection: &Connection, broke: bool, world: &dyn World) {
        {
            let mut slots = self.slots.lock();
            if matches!(slots.get(&lane), Some(Slot::Open(current)) if current.is(connection)) {
                slots.remove(&lane);
            }
        }
        if broke {
            self.note(false, world);
        }
    }

    fn moved(&self) -> Error {
        let text = format!("broker {} moved away from {}", self.id, self.endpoint);
        Error::new(ErrorKind::Disconnected, text)
    }

    fn close_all(&self, reason: &Error) {
        for connection in self.slots.lock().values().filter_map(Slot::open) {
            connection.close(reason.clone());
        }
    }
}

impl Slot {
    fn open(&self) -> Option<&Connection> {
        match self {
            Slot::Open(connection) if !connection.is_closed() => Some(connection),
            _ => None,
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let reason = Error::closed("client");
        for node in self.nodes.get_mut().values() {
            node.close_all(&reason);
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.id < 0 {
            write!(f, "bootstrap server {}", self.endpoint)
        } else {
            write!(f, "broker {} ({})", self.id, self.endpoint)
        }
    }
}
