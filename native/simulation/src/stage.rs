//! What all hosts of a run share: they are one process, on one thread. It decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dohle_client::generated::options::ClientOptions;
use dohle_client::statistics::Reader;
use dohle_client::{Client, World};
use parking_lot::Mutex;

use crate::history::{Log, Place, Recorder, What, now};
use crate::plan::{NODES, Plan};
use crate::world::{HostDisk, LeftBehind, Lost, SimWorld, Trace};
use dohle_broker::{BrokerOptions, Cluster};

/// What is read by the group, and what it makes of it when it works in transactions.
pub const ORDERS: &str = "orders";
pub const INVOICES: &str = "invoices";
pub const TOPICS: [(&str, i32); 2] = [(ORDERS, 6), (INVOICES, 3)];
pub const GROUP: &str = "billing";
/// The first node's; the others take those behind it.
pub const PORT: i32 = 9092;
/// How often a host looks whether something has come about that nobody tells it.
pub const LOOK: Duration = Duration::from_millis(50);

/// How far the run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Preparing,
    Running,
    /// All faults are over, nothing new is written, what there is is read.
    Draining,
    Closing,
}

/// What only the owner of the simulation can do; it is done between two ticks.
#[derive(Clone, Debug)]
pub enum Command {
    Crash(&'static str),
    Start(&'static str),
    /// The longest that something takes between two hosts.
    Latency(&'static str, &'static str, Duration),
}

pub struct Stage {
    pub seed: u64,
    pub plan: Plan,
    pub recorder: Recorder,
    pub trace: Trace,
    options: BrokerOptions,
    /// Of the nodes and of the cluster's metadata, when they have some.
    disks: BTreeMap<&'static str, HostDisk>,
    commands: Mutex<Vec<Command>>,
    inside: Mutex<Inside>,
    numbers: AtomicU32,
}

struct Inside {
    /// None before the first one.
    cluster: Option<Cluster>,
    phase: Phase,
    worlds: BTreeMap<&'static str, Arc<SimWorld>>,
    /// Which life of each host this is.
    lives: BTreeMap<&'static str, u64>,
    done: BTreeSet<&'static str>,
    slow_until: BTreeMap<&'static str, Duration>,
    rejoins: BTreeSet<&'static str>,
    goal: Log,
    panics: Vec<(&'static str, String)>,
}

impl Stage {
    /// With a cluster of these options, whose nodes do not run yet.
    pub fn new(seed: u64, plan: Plan, options: BrokerOptions, trace: Trace) -> Arc<Self> {
        let inside = Inside {
            cluster: None,
            phase: Phase::Preparing,
            worlds: BTreeMap::new(),
            lives: BTreeMap::new(),
            done: BTreeSet::new(),
            slow_until: BTreeMap::new(),
            rejoins: BTreeSet::new(),
            goal: Log::new(),
            panics: Vec::new(),
        };
        let (recorder, commands, numbers) = (Recorder::default(), Mutex::default(), AtomicU32::new(1));
        let hosts = NODES.map(host_of).into_iter().chain([METADATA]).filter(|_| plan.on_disks);
        let disks = hosts.zip(1..).map(|(host, nth)| (host, HostDisk::new(seed.wrapping_mul(37).wrapping_add(nth))));
        let (disks, inside) = (disks.collect(), Mutex::new(inside));
        let stage = Arc::new(Self { seed, plan, recorder, trace, options, disks, commands, inside, numbers });
        stage.start_cluster();
        stage
    }

    /// The cluster that there is.
    pub fn cluster(&self) -> Cluster {
        self.inside.lock().cluster.clone().expect("there is one from the start")
    }

    /// Makes a cluster of what is on the disks, if there are any.
    pub fn start_cluster(&self) {
        let cluster = Cluster::new(self.world(METADATA), self.options.clone()).expect("options and disk are in order");
        let before = self.inside.lock().cluster.replace(cluster);
        drop(before);
    }

    pub fn note(&self, what: What) {
        self.recorder.note(what);
    }

    /// A number that nobody else has.
    pub fn number(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub fn phase(&self) -> Phase {
        self.inside.lock().phase
    }

    pub fn enter(&self, phase: Phase) {
        self.inside.lock().phase = phase;
    }

    pub async fn reached(&self, phase: Phase) {
        while self.phase() < phase {
            tokio::time::sleep(LOOK).await;
        }
    }

    pub fn command(&self, command: Command) {
        self.commands.lock().push(command);
    }

    pub fn take_commands(&self) -> Vec<Command> {
        std::mem::take(&mut self.commands.lock())
    }

    /// The world of a host that begins to live, or to live again.
    pub fn world(&self, host: &'static str) -> Arc<SimWorld> {
        let mut inside = self.inside.lock();
        let life = inside.lives.entry(host).or_default();
        *life += 1;
        let world = SimWorld::new(host, self.seed.wrapping_mul(31).wrapping_add(*life), self.trace.clone());
        let world = Arc::new(match self.disks.get(host) {
            Some(disk) => world.on(disk),
            None => world,
        });
        if let Some(before) = inside.worlds.insert(host, world.clone()) {
            let panics = before.alive().take_panics();
            inside.panics.extend(panics.into_iter().map(|text| (host, text)));
        }
        world
    }

    /// The world of a host that lives now.
    pub fn world_of(&self, host: &str) -> Option<Arc<SimWorld>> {
        self.inside.lock().worlds.get(host).cloned()
    }

    /// The host has failed: its disk forgets, if it has one.
    pub fn crash_disk(&self, host: &str) -> Option<Lost> {
        self.disks.get(host).map(HostDisk::crash)
    }

    /// What tasks panicked with, on all hosts and in all their lives.
    pub fn panics(&self) -> Vec<(&'static str, String)> {
        let mut inside = self.inside.lock();
        let mut panics = std::mem::take(&mut inside.panics);
        for (host, world) in &inside.worlds {
            panics.extend(world.alive().take_panics().into_iter().map(|text| (*host, text)));
        }
        panics
    }

    /// A host has done all of its work.
    pub fn done(&self, host: &'static str) {
        self.inside.lock().done.insert(host);
    }

    pub fn is_done(&self, host: &str) -> bool {
        self.inside.lock().done.contains(host)
    }

    /// What the log holds, for those who read to its end.
    pub fn set_goal(&self, log: Log) {
        self.inside.lock().goal = log;
    }

    /// One more than the last offset to be read, of each partition.
    pub fn goal(&self, committed_only: bool) -> Vec<(Place, i64)> {
        let inside = self.inside.lock();
        inside.goal.iter().map(|(place, found)| (*place, found.visible_end(committed_only))).collect()
    }

    pub fn slow_down(&self, host: &'static str, length: Duration) {
        self.inside.lock().slow_until.insert(host, now() + length);
    }

    /// For how long the next record is to take, once.
    pub fn slowness(&self, host: &str) -> Option<Duration> {
        self.inside.lock().slow_until.remove(host)?.checked_sub(now())
    }

    pub fn ask_to_rejoin(&self, host: &'static str) {
        self.inside.lock().rejoins.insert(host);
    }

    pub fn take_rejoin(&self, host: &str) -> bool {
        self.inside.lock().rejoins.remove(host)
    }

    /// A client of the cluster, whose time limits fit the length of the faults.
    pub fn client(&self, world: &Arc<SimWorld>) -> Client {
        let world: Arc<dyn World> = world.clone();
        let options = ClientOptions {
            bootstrap_servers: NODES.map(|node| format!("{}:{}", host_of(node), PORT + node - 1)).to_vec(),
            request_timeout: Duration::from_millis(1_500),
            default_api_timeout: Duration::from_secs(20),
            socket_connection_setup_timeout: Duration::from_millis(400),
            socket_connection_setup_timeout_max: Duration::from_millis(1_000),
            metadata_max_age: Duration::from_secs(5),
            enable_metrics_push: false,
            ..ClientOptions::default()
        };
        Client::new(world, options).expect("the options are in order")
    }

    /// A host closes its client, after its producers and consumers: notes what is left when tasks have had time to end.
    /// `buffered`: bytes that these still held when they were closed.
    pub async fn leave(&self, host: &'static str, world: &SimWorld, client: Client, buffered: usize) {
        let instances = client.statistics(Reader::Call).await.len();
        client.close().await;
        drop(client);
        for _ in 0..100 {
            if world.alive().now() == LeftBehind::default() {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        let LeftBehind { tasks, sockets } = world.alive().now();
        self.note(What::Left { host, tasks, sockets, buffered, instances });
    }
}

/// What has the disk of the cluster's metadata; no host of the network.
pub const METADATA: &str = "metadata";

/// The host of a node.
pub fn host_of(node: i32) -> &'static str {
    ["node-1", "node-2", "node-3"][node as usize - 1]
}
