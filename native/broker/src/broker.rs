//! Start, address, faults and stop of an embedded broker, and of each of its nodes. What it answers lives in `api/`.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Mutex, mpsc};

use crate::{
    BrokerError, BrokerOptions, BrokerWorld, Cluster, Faults, TokioWorld,
    cluster::Shared,
    connection,
    listeners::{self, Endpoint, Open},
    node::{NoNode, Node},
    security::Guard,
    tasks::{Life, Stop},
    world::{Accepted, Listener},
};

/// A running embedded broker: one node, or a [cluster](crate::Cluster) of several in this process
/// ([`BrokerOptions::nodes`]). Dropping it stops it without waiting; [`stop`](Self::stop) waits.
pub struct Broker {
    cluster: Cluster,
    world: Arc<dyn BrokerWorld>,
    first: Arc<Running>,
}

impl Broker {
    /// Starts a broker in a world of the caller's.
    pub async fn start(world: Arc<dyn BrokerWorld>, options: BrokerOptions) -> Result<Self, BrokerError> {
        let (first, nodes) = (options.node_id, options.nodes);
        let cluster = Cluster::new(world.clone(), options)?;
        for id in (first..).take(usize::try_from(nodes).unwrap_or(1)) {
            if let Err(error) = cluster.start_node(world.clone(), id).await {
                cluster.stop().await;
                return Err(error);
            }
        }
        let first = cluster.running(first)?;
        Ok(Self { cluster, world, first })
    }

    /// Starts a broker in the real world (the caller's tokio runtime), as most tests want it.
    pub async fn start_default(options: BrokerOptions) -> Result<Self, BrokerError> {
        Self::start(Arc::new(TokioWorld), options).await
    }

    /// The address listened on, with the real port; of several nodes, that of the first one.
    pub fn address(&self) -> SocketAddr {
        self.first.address
    }

    /// All addresses listened on, each with the name of its listener; of several nodes, those of the first one.
    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        self.first.node.addresses()
    }

    /// The cluster's id, as clients see it.
    pub fn cluster_id(&self) -> &str {
        self.cluster.id()
    }

    /// Connections open now, to all nodes.
    pub fn connections(&self) -> usize {
        self.cluster.sum(|node| node.connections.load(Ordering::Relaxed))
    }

    /// Requests that made the broker panic: each is a bug of the broker's, closed its own connection and nothing else.
    pub fn panics(&self) -> usize {
        self.cluster.sum(|node| node.panics.load(Ordering::Relaxed))
    }

    /// The fault rules, which all nodes have in common; see [`Faults`].
    pub fn faults(&self) -> &Faults {
        self.cluster.faults()
    }

    /// The nodes, and what can be done to them.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Starts a node again that was stopped or killed, at the port that it had; or one more.
    pub async fn start_node(&self, id: i32) -> Result<SocketAddr, BrokerError> {
        self.cluster.start_node(self.world.clone(), id).await
    }

    /// Closes the listeners and all connections, and waits until all are done. With a log folder, everything is then written and
    /// marked as whole; a broker that is dropped without this looks through the ends of its logs when it starts again. A second
    /// call returns at once.
    pub async fn stop(&self) {
        self.cluster.stop().await;
    }
}

/// A node that runs.
pub(crate) struct Running {
    pub address: SocketAddr,
    pub node: Arc<Node>,
    /// Of its listeners.
    pub ports: Vec<u16>,
    stopping: Arc<Stop>,
    /// Ends when the last task has let go of its sender.
    tasks: Mutex<mpsc::Receiver<Infallible>>,
    /// Its log folder is as it shall be found.
    closed: AtomicBool,
}

impl Running {
    /// Starts a node of a cluster; its options have its own id. Its listeners take these ports, if they are given.
    pub async fn start(
        cluster: Arc<Shared>,
        world: Arc<dyn BrokerWorld>,
        options: BrokerOptions,
        ports: Option<Vec<u16>>,
    ) -> Result<Self, BrokerError> {
        let wrong = |(name, why)| BrokerError::InvalidProperty(format!("{name}: {why}"));
        let insecure = |(_, why)| BrokerError::InvalidProperty(why);
        let nth = u16::try_from(options.node_id.saturating_sub(cluster.options.node_id)).unwrap_or(0);
        let (mut open, mut listeners) = (Vec::new(), Vec::new());
        let endpoints = listeners::endpoints(&options).map_err(wrong)?;
        let given = || endpoints.iter().map(|of| of.port).filter(|port| *port != 0);
        // Each node has ports of its own: those that are given are the first one's, the next node's are behind them.
        let stride = given().max().unwrap_or(0) - given().min().unwrap_or(0) + 1;
        let own = |port: u16| match port {
            0 => Ok(0),
            _ => {
                nth.checked_mul(stride).and_then(|behind| port.checked_add(behind)).ok_or(BrokerError::InvalidOption {
                    option: "port",
                    value: port.to_string(),
                    expected: "leaves no ports behind it for all nodes",
                })
            }
        };
        for (at, mut endpoint) in endpoints.into_iter().enumerate() {
            endpoint.port = match ports.as_ref().and_then(|ports| ports.get(at)) {
                Some(port) => *port,
                None => own(endpoint.port)?,
            };
            endpoint.advertised_port = endpoint.advertised_port.map(own).transpose()?;
            let guard = Guard::new(&options, &endpoint).map_err(insecure)?;
            for (address, listener) in listen(&*world, &endpoint, options.allow_non_loopback).await? {
                open.push(Open { address, endpoint: endpoint.clone() });
                listeners.push((listener, guard.clone()));
            }
        }
        let address = open[0].address;
        let mut taken = open.clone();
        taken.dedup_by(|b, a| a.endpoint.name == b.endpoint.name);
        let ports = taken.iter().map(|of| of.address.port()).collect();
        for Open { address, endpoint } in &open {
            tracing::info!(node = options.node_id, name = endpoint.name, %address, "listening");
        }
        let node = Self::node(cluster, &world, &options, open).await.map_err(|error| error.told(&options))?;
        let stopping = Arc::new(Stop::default());
        let stop = stopping.clone();
        let (alive, tasks) = mpsc::channel(1);
        for (listener, guard) in listeners {
            let life = Life::new(stop.clone(), alive.clone());
            world.spawn(Box::pin(accept(node.clone(), listener, guard, life)));
        }
        node.run(&Life::new(stop, alive));
        tracing::info!(%address, cluster_id = node.cluster_id(), node = options.node_id, "embedded broker started");
        Ok(Self { address, node, ports, stopping, tasks: Mutex::new(tasks), closed: AtomicBool::new(false) })
    }

    /// Its state; with a log folder there is much to read first.
    async fn node(
        cluster: Arc<Shared>,
        world: &Arc<dyn BrokerWorld>,
        options: &BrokerOptions,
        open: Vec<Open>,
    ) -> Result<Arc<Node>, NoNode> {
        let in_files = cluster.storage.is_some();
        let (of, options) = (world.clone(), options.clone());
        let new = move || Node::new(cluster, of, options, open);
        if !in_files {
            return new();
        }
        let made = Arc::new(parking_lot::Mutex::new(None));
        let told = made.clone();
        world.blocking(Box::new(move || *told.lock() = Some(new()))).await;
        made.lock().take().expect("the work is done")
    }

    /// Tells its tasks to end.
    pub fn tell(&self) {
        self.stopping.stop();
    }

    /// Waits until its tasks have ended.
    pub async fn ended(&self) {
        self.stopping.stop();
        let mut tasks = self.tasks.lock().await;
        let nothing = tasks.recv().await;
        debug_assert!(nothing.is_none(), "nobody sends");
    }

    /// Ends it, and leaves its log folder as it shall be found.
    pub async fn close(&self) {
        self.ended().await;
        if !self.closed.swap(true, Ordering::SeqCst) {
            let node = self.node.clone();
            self.node.world.blocking(Box::new(move || node.close())).await;
        }
    }
}

impl NoNode {
    /// For who started it.
    pub fn told(self, options: &BrokerOptions) -> BrokerError {
        match self {
            Self::Wrong((_, why)) => BrokerError::InvalidProperty(why),
            Self::LogDir(folder, source) => BrokerError::LogDir { folder, source },
            Self::Record(source) => BrokerError::Record { file: options.record.clone().unwrap_or_default(), source },
        }
    }
}

/// Listens on every address of the host, all on one port. The first must work; the others are there for clients that
/// try the other family first.
async fn listen(
    world: &dyn BrokerWorld,
    endpoint: &Endpoint,
    allow_non_loopback: bool,
) -> Result<Vec<(SocketAddr, Box<dyn Listener>)>, BrokerError> {
    let host = endpoint.host.as_str();
    let resolve_error = |source| BrokerError::Resolve { host: host.into(), source };
    let mut addresses = world.resolve(host, endpoint.port).await.map_err(resolve_error)?;
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.dedup();
    let reachable = addresses.iter().find(|address| !address.ip().to_canonical().is_loopback());
    if let Some(address) = reachable.filter(|_| !allow_non_loopback) {
        return Err(BrokerError::NotLoopback { host: host.into(), address: *address });
    }
    let mut listeners: Vec<(SocketAddr, Box<dyn Listener>)> = Vec::new();
    let mut failed = None;
    for mut address in addresses {
        if let Some((first, _)) = listeners.first() {
            address.set_port(first.port());
        }
        match world.listen(address).await.and_then(|listener| Ok((listener.local_address()?, listener))) {
            Ok(listening) => listeners.push(listening),
            Err(source) => failed = Some(BrokerError::Listen { address, source }),
        }
    }
    match failed {
        Some(error) if listeners.is_empty() => Err(error),
        _ if listeners.is_empty() => Err(resolve_error(std::io::ErrorKind::NotFound.into())),
        _ => Ok(listeners),
    }
}

async fn accept(node: Arc<Node>, mut listener: Box<dyn Listener>, guard: Arc<Guard>, mut life: Life) {
    while let Some(accepted) = life.during(listener.accept()).await {
        match accepted {
            Ok(accepted) => open(&node, accepted, guard.clone(), life.clone()),
            Err(error) => {
                // Out of descriptors, for instance: what is open goes on, new ones wait.
                tracing::warn!(%error, "cannot accept a connection");
                let _ = life.during(tokio::time::sleep(Duration::from_millis(50))).await;
            }
        }
    }
}

fn open(node: &Arc<Node>, accepted: Accepted, guard: Arc<Guard>, mut life: Life) {
    let limit = node.configs.now().max_connections;
    if node.connections.fetch_add(1, Ordering::Relaxed) >= limit {
        node.connections.fetch_sub(1, Ordering::Relaxed);
        tracing::warn!(peer = %accepted.peer, limit, "too many connections: closed");
        return;
    }
    let address = accepted.peer.ip();
    if !node.limits.may_come(address) {
        node.connections.fetch_sub(1, Ordering::Relaxed);
        tracing::warn!(peer = %accepted.peer, "too many connections of this address (max.connections.per.ip): closed");
        return;
    }
    let node = node.clone();
    node.world.clone().spawn(Box::pin(async move {
        life.during(connection::serve(node.clone(), accepted, guard)).await;
        node.limits.left(address);
        node.connections.fetch_sub(1, Ordering::Relaxed);
    }));
}
