//! The kernel shared by the producers, consumers and admin calls of one `new Kafka(...)`: connections and metadata.
//!
//! It has no thread and opens nothing until something is asked. The rooms `producer`, `consumer` and `admin` drive it.

mod coordinators;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use dohle_protocol::{ApiKey, Request};

use crate::collections::Set;
use crate::error::{Error, ErrorKind, Result};
use crate::generated::options::ClientOptions;
use crate::metadata::Metadata;
use crate::net::{Answered, Api, BrokerOverview, Connection, Endpoint, Head, Lane, Pool, Question};
use crate::partition::Lanes;
use crate::security::{Security, Sources, TlsMaterial};
use crate::statistics::{Instance, Reader, Registry, Statistics};
use crate::telemetry::{self, Session};
use crate::world::World;
use coordinators::Coordinators;

pub use coordinators::CoordinatorKind;

/// A client of one cluster. Cheap to clone; the last clone that goes closes everything.
///
/// ```
/// # use std::sync::Arc;
/// use dohle_client::{Client, ClientOptions, TokioWorld};
///
/// # async fn example() -> dohle_client::Result<()> {
/// let options = ClientOptions { bootstrap_servers: vec!["localhost:9092".into()], ..ClientOptions::default() };
/// // Runs on the runtime of the caller; a simulation gives a world of its own.
/// let client = Client::new(Arc::new(TokioWorld::current()), options)?;
/// for topic in client.metadata().refresh_topics(&["orders"]).await?.topics() {
///     println!("{} has {} partitions", topic.name, topic.partitions.len());
/// }
/// client.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client(Arc<Kernel>);

struct Kernel {
    world: Arc<dyn World>,
    options: ClientOptions,
    security: Arc<Security>,
    pool: Pool,
    metadata: Metadata,
    coordinators: Coordinators,
    fetch_lanes: Lanes,
    registry: Registry,
}

impl Client {
    /// Checks the options. Nothing is connected yet.
    pub fn new(world: Arc<dyn World>, options: ClientOptions) -> Result<Self> {
        Self::with_sources(world, options, Sources::default())
    }

    /// As [`Self::new`], with functions that give what SASL needs.
    pub fn with_sources(world: Arc<dyn World>, options: ClientOptions, sources: Sources) -> Result<Self> {
        let bootstrap = Endpoint::parse_list(&options.bootstrap_servers)?;
        let security = Arc::new(Security::new(&options, sources)?);
        let pool = Pool::new(world.clone(), &options, security.clone(), &bootstrap);
        let metadata = Metadata::new(world.clone(), pool.clone(), &options);
        let coordinators = Coordinators::default();
        let fetch_lanes = Lanes::default();
        let registry = Registry::new();
        let kernel = Kernel { world, options, security, pool, metadata, coordinators, fetch_lanes, registry };
        Ok(Self(Arc::new(kernel)))
    }

    /// Brokers, topics and leaders.
    pub fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// The machine this client runs on.
    pub fn world(&self) -> &Arc<dyn World> {
        &self.0.world
    }

    /// What fetches of single partitions go over.
    pub(crate) fn fetch_lanes(&self) -> &Lanes {
        &self.0.fetch_lanes
    }

    /// The options it was made with.
    pub fn options(&self) -> &ClientOptions {
        &self.0.options
    }

    /// Takes other certificates and keys for all connections from the next one on; open ones live on with theirs. When they
    /// cannot be used, nothing changes.
    pub async fn set_tls(&self, material: TlsMaterial) -> Result<()> {
        let Some(tls) = &self.0.security.tls else {
            return Err(Error::invalid_argument("this client's connections are without TLS: tls is not on"));
        };
        tls.exchange(&*self.0.world, material).await
    }

    /// The open connection to a broker, opened if need be. Waits for the reconnect back-off and the attempt, at most
    /// `socket.connection.setup.timeout.ms` per address; those who wait for the same connection share one attempt.
    pub async fn connection(&self, node: i32, lane: Lane) -> Result<Connection> {
        self.0.pool.connection(node, lane).await
    }

    /// The connection if it is open at this moment.
    pub fn open_connection(&self, node: i32, lane: Lane) -> Option<Connection> {
        self.0.pool.open_connection(node, lane)
    }

    /// Sends one request to a broker and waits for the answer, connecting included, at most `timeout`.
    pub async fn request<R: Request>(
        &self,
        node: i32,
        lane: Lane,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response> {
        self.request_with(node, lane, |_| Ok(request.clone()), timeout).await
    }

    /// As [`Self::request`], the request made for the negotiated version.
    pub async fn request_with<R: Request>(
        &self,
        node: i32,
        lane: Lane,
        make: impl Fn(i16) -> Result<R> + Sync,
        timeout: Duration,
    ) -> Result<R::Response> {
        self.request_up_to(node, lane, i16::MAX, make, timeout).await
    }

    /// As [`Self::request_with`], in no version above `cap`: for callers that must avoid newer semantics.
    pub(crate) async fn request_up_to<R: Request>(
        &self,
        node: i32,
        lane: Lane,
        cap: i16,
        make: impl Fn(i16) -> Result<R> + Sync,
        timeout: Duration,
    ) -> Result<R::Response> {
        let write = |head: Head<'_>| head.write(&make(head.version())?);
        let question = Question { api: Api::of::<R>(), cap, write: &write };
        self.ask(node, lane, &question, timeout).await?.read::<R>()
    }

    /// Asks whichever broker is likely to answer first: the least loaded one that is connected, else another known one, else
    /// a bootstrap server. Goes on to the next when one cannot be reached, within `timeout`.
    pub async fn request_any<R: Request>(
        &self,
        make: impl Fn(i16) -> Result<R> + Sync,
        timeout: Duration,
    ) -> Result<R::Response> {
        let write = |head: Head<'_>| head.write(&make(head.version())?);
        let question = Question { api: Api::of::<R>(), cap: i16::MAX, write: &write };
        self.ask_any(&question, timeout).await?.read::<R>()
    }

    /// [`Self::request_up_to`] for what has no type any more.
    pub(crate) async fn ask(
        &self,
        node: i32,
        lane: Lane,
        question: &Question<'_>,
        timeout: Duration,
    ) -> Result<Answered> {
        let ask = async {
            let connection = self.connection(node, lane).await?;
            connection.ask(question, self.patience(timeout)).await
        };
        self.within(timeout, ask, question.api.key).await
    }

    /// [`Self::request_any`] for what has no type any more.
    pub(crate) async fn ask_any(&self, question: &Question<'_>, timeout: Duration) -> Result<Answered> {
        let ask = async {
            let mut failed = Set::default();
            let mut last = None;
            loop {
                let candidates = self.0.metadata.candidates(&failed);
                if candidates.is_empty() {
                    return Err(last.unwrap_or_else(|| Error::new(ErrorKind::BrokerUnreachable, "no broker is known")));
                }
                let connection = self.0.pool.first_reachable(&candidates, Lane::General).await?;
                match connection.ask(question, self.patience(timeout)).await {
                    Err(error) if is_of_the_connection(&error) => last = Some(error),
                    outcome => return outcome,
                }
                failed.insert(connection.node());
            }
        };
        self.within(timeout, ask, question.api.key).await
    }

    async fn within<T>(&self, limit: Duration, ask: impl Future<Output = Result<T>>, api: ApiKey) -> Result<T> {
        match tokio::time::timeout(limit, ask).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let text = format!("no answer to {} within {} ms", api.name(), limit.as_millis());
                Err(self.too_late(Error::new(ErrorKind::RequestTimedOut, text)))
            }
        }
    }

    /// The error of a call whose time is over, with what keeps this client from its brokers, if anything does.
    pub(crate) fn too_late(&self, error: Error) -> Error {
        self.0.pool.too_late(error)
    }

    /// A short limit of one caller is no reason to give up the connection that others use.
    fn patience(&self, timeout: Duration) -> Duration {
        timeout.max(self.0.options.request_timeout)
    }

    /// Closes a connection of a lane that nobody else uses, also one that is being opened.
    pub(crate) fn close_connection(&self, node: i32, lane: Lane) {
        self.0.pool.close_connection(node, lane);
    }

    /// Closes a lane to every broker: the consumer it belonged to is gone.
    pub(crate) fn close_lane(&self, lane: Lane) {
        self.0.pool.close_lane(lane);
    }

    /// The version of an API that is used with a broker this client is connected to on any lane; none when it is not
    /// connected or the broker does not offer it.
    pub fn negotiated_version<R: Request>(&self, node: i32) -> Option<i16> {
        self.0.pool.versions(node)?.version::<R>().ok()
    }

    /// The finalized level of a feature such as `transaction.version`, as a connected broker told it; 0 when it does not say.
    pub(crate) fn feature(&self, node: i32, name: &str) -> Option<i16> {
        Some(self.0.pool.versions(node)?.feature(name))
    }

    /// Whether a connected broker offers an API at all.
    pub fn offers(&self, node: i32, api: ApiKey) -> Option<bool> {
        Some(self.0.pool.versions(node)?.range(api).is_some())
    }

    /// What each open producer and consumer of this client has done and holds now, in the order in which they were made.
    pub async fn statistics(&self, reader: Reader) -> Vec<Statistics> {
        self.0.registry.read(self, reader, None).await
    }

    /// The same of the one with this name; none when it is closed.
    pub async fn statistics_of(&self, name: &str, reader: Reader) -> Option<Statistics> {
        self.0.registry.read(self, reader, Some(name)).await.pop()
    }

    /// Tells the statistics every `statistics.interval.ms` until the client is closed; never when that is 0. `tell` is
    /// called on an engine thread and must only enqueue.
    pub fn on_statistics(&self, tell: impl Fn(Statistics) + Send + Sync + 'static) {
        let interval = self.0.options.statistics_interval;
        if interval.is_zero() {
            return;
        }
        let (kernel, pool) = (Arc::downgrade(&self.0), self.0.pool.clone());
        self.0.world.spawn(Box::pin(async move {
            loop {
                tokio::select! {
                    biased;
                    () = pool.closed() => return,
                    () = tokio::time::sleep(interval) => {}
                }
                let Some(client) = kernel.upgrade().map(Client) else { return };
                client.statistics(Reader::Timer).await.into_iter().for_each(&tell);
            }
        }));
    }

    /// A producer or consumer is there.
    pub(crate) fn register(&self, kind: &'static str, instance: Weak<dyn Instance>) -> Registration {
        let name = self.0.registry.add(&self.0.options.client_id, kind, instance);
        let session = Session::new(self.0.options.enable_metrics_push);
        if self.0.options.enable_metrics_push {
            let task = telemetry::run(session.clone(), WeakClient(Arc::downgrade(&self.0)), name.clone());
            self.0.world.spawn(Box::pin(task));
        }
        Registration { name, session }
    }

    /// What is known of each broker's connections.
    pub(crate) fn brokers(&self) -> Vec<BrokerOverview> {
        self.0.pool.overview()
    }

    /// Closes all connections and ends all tasks; what waits fails with `CLOSED`. A second call does nothing.
    pub async fn close(&self) {
        self.0.metadata.close();
        self.0.pool.close(&Error::closed("client")).await;
    }
}

/// A client that may go meanwhile.
pub(crate) struct WeakClient(Weak<Kernel>);

impl WeakClient {
    /// The client, if it is still there.
    pub fn upgrade(&self) -> Option<Client> {
        self.0.upgrade().map(Client)
    }
}

/// What a producer or consumer is known by to its client; its telemetry ends with it.
pub(crate) struct Registration {
    /// Its name in statistics.
    pub name: Arc<str>,
    /// Its telemetry.
    pub session: Arc<Session>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.session.end();
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        self.metadata.close();
        self.pool.abandon(&Error::closed("client"));
    }
}

/// Whether another broker may be asked the same: this one was lost before it answered.
fn is_of_the_connection(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Disconnected | ErrorKind::BrokerUnreachable | ErrorKind::RequestTimedOut)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("bootstrap_servers", &self.0.options.bootstrap_servers).finish()
    }
}
