//! A cluster in one process: what its nodes have in common (metadata, users, fault rules), who of them is alive, and which of them
//! leads a partition. A broker alone is a cluster of one. What goes between nodes (copies of partitions, signs of life, ends of
//! transactions) stays in the process; clients come to each node by its own port.
//! `standing` decides, `controller` makes it so, `follower` copies, `handle` starts and stops nodes.

mod controller;
mod follower;
mod handle;
mod members;
mod standing;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use dohle_protocol::{ErrorCode, Uuid};
use parking_lot::Mutex;

pub(crate) use follower::{Inbox, Link};
pub use handle::{Cluster, CopyState, NodeState};
use members::Members;
pub(crate) use standing::{Election, Loss, Standing};

use crate::{
    BrokerOptions, BrokerWorld, Faults,
    acls::Acls,
    config::{TopicConfig, broker::number, dynamic::Configs},
    coordinator::internal,
    features::Features,
    listeners::{self, Open},
    node::{NoNode, Node, base64, random_uuid},
    partition::{Partition, Replica},
    quotas::Quotas,
    recording::Recorder,
    security::{sasl, tokens::Tokens},
    storage::{Image, LogDirError, Storage},
    topics::{Refusal, Topic, Topics},
    users::Users,
};

/// What all nodes have in common.
pub(crate) struct Shared {
    world: Arc<dyn BrokerWorld>,
    /// Of every node, but for its id, its rack and its ports.
    pub options: BrokerOptions,
    pub cluster_id: String,
    /// The log folder; none when everything is in memory.
    pub storage: Option<Arc<Storage>>,
    /// What the folder said at the start.
    pub image: Image,
    pub topics: Arc<Topics>,
    pub faults: Arc<Faults>,
    pub features: Arc<Features>,
    pub acls: Arc<Acls>,
    pub users: Arc<Users>,
    pub tokens: Arc<Tokens>,
    pub quotas: Arc<Quotas>,
    /// None: nothing is recorded.
    pub recorder: Option<Arc<Recorder>>,
    /// The configurations of all nodes that ever were, by id. Held while they change.
    pub configs: Mutex<BTreeMap<i32, Arc<Configs>>>,
    members: Mutex<Members>,
    /// A change of leaders or copies could not be stored.
    unmade: AtomicBool,
    next_producer_id: AtomicI64,
    /// Behind the last one that is stored as given away.
    producer_ids_end: Mutex<i64>,
}

/// A node as clients are told of it.
pub(crate) struct Told {
    pub id: i32,
    pub host: String,
    pub port: i32,
    pub rack: Option<String>,
}

/// Producer ids that are stored as given away at once, as Kafka's controller gives them to its brokers.
const PRODUCER_IDS: i64 = 1000;
/// Copies of a partition when nobody says how many, if there are as many nodes.
const COPIES: i64 = 3;

impl Shared {
    pub fn new(world: Arc<dyn BrokerWorld>, options: BrokerOptions) -> Result<Arc<Self>, NoNode> {
        let folder = || options.log_dir.clone().unwrap_or_default();
        let (storage, image) = open_storage(&world, &options).map_err(|error| NoNode::LogDir(folder(), error))?.unzip();
        let random = || base64(random_uuid(&*world));
        let cluster_id = match &storage {
            Some(storage) => storage.cluster_id().to_string(),
            None => options.cluster_id.clone().unwrap_or_else(random),
        };
        // In memory: producers that outlive a restart of the broker must not meet their own ids again.
        let first_producer_id = match &image {
            Some(image) => image.next_producer_id,
            None => (world.random_u64() >> 24) as i64 * 1000,
        };
        let record = options.record.as_deref().map(|file| Recorder::create(&*world, file));
        let users = Users::default();
        for (name, mechanism, password) in sasl::scram_users(&options)? {
            users.set(&name, sasl::scram::number(mechanism), sasl::scram::credential(mechanism, password.expose()));
        }
        let (image, topics) = (image.unwrap_or_default(), Topics::new(storage.clone()));
        let configs = Configs::with_stored(options.clone(), &image);
        topics.load(&image, &configs.now()).map_err(|error| NoNode::LogDir(folder(), LogDirError::Io(error)))?;
        Ok(Arc::new(Self {
            cluster_id,
            topics: Arc::new(topics),
            storage,
            configs: Mutex::new(BTreeMap::from([(options.node_id, Arc::new(configs))])),
            members: Mutex::new(Members::expecting(options.node_ids())),
            unmade: AtomicBool::new(false),
            image,
            faults: Arc::new(Faults::new(options.fault_seed)),
            features: Arc::new(Features::new(&options)),
            acls: Arc::default(),
            users: Arc::new(users),
            tokens: Arc::new(Tokens::new(&options)),
            quotas: Arc::new(Quotas::new(&options)),
            recorder: record.transpose().map_err(NoNode::Record)?,
            next_producer_id: AtomicI64::new(first_producer_id),
            producer_ids_end: Mutex::new(first_producer_id),
            world,
            options,
        }))
    }

    pub fn new_producer_id(&self) -> i64 {
        let Some(storage) = &self.storage else { return self.next_producer_id.fetch_add(1, Ordering::Relaxed) };
        let mut end = self.producer_ids_end.lock();
        let id = self.next_producer_id.fetch_add(1, Ordering::Relaxed);
        if id >= *end {
            match storage.store_producer_ids(id + PRODUCER_IDS) {
                Ok(()) => *end = id + PRODUCER_IDS,
                // Nobody knows then which ids were given away: one by chance, far from those that are counted.
                Err(_) => return (self.world.random_u64() >> 2) as i64 | 1 << 60,
            }
        }
        id
    }

    /// What a node is configured with, as it was when it was last there; what holds for all, holds for a new one.
    pub fn configs_of(&self, options: &BrokerOptions) -> Arc<Configs> {
        let mut all = self.configs.lock();
        if let Some(configs) = all.get(&options.node_id) {
            return configs.clone();
        }
        let configs = Arc::new(Configs::with_stored(options.clone(), &self.image));
        all.values().next().into_iter().for_each(|other| configs.adopt(other));
        all.insert(options.node_id, configs.clone());
        configs
    }

    /// Copies of a partition when nobody says how many.
    pub fn default_copies(&self) -> usize {
        match number(&self.options, "default.replication.factor") {
            given @ 1.. => given as usize,
            _ => self.at_most(COPIES),
        }
    }

    /// So many copies, or as many as there are nodes, with those that are about to come.
    fn at_most(&self, copies: i64) -> usize {
        let members = self.members.lock();
        usize::try_from(copies).unwrap_or(1).min(members.all_able().count() + members.awaited()).max(1)
    }

    /// Creates a topic.
    pub fn create(
        &self,
        name: &str,
        id: Uuid,
        standings: Vec<Standing>,
        config: TopicConfig,
    ) -> Result<Arc<Topic>, Refusal> {
        let topic = self.topics.create(name, id, standings, config)?;
        self.begun(&topic);
        Ok(topic)
    }

    /// Creates a topic with the broker's defaults, or an internal one with Kafka's settings of it.
    pub fn make_topic(&self, options: &BrokerOptions, name: &str) -> Result<Arc<Topic>, Refusal> {
        let (partitions, mut set) = internal::settings(name, options).unwrap_or((options.partitions, Vec::new()));
        let copies = match internal::copies(name, options) {
            None => self.default_copies(),
            Some(copies) => self.at_most(copies),
        };
        if let Some(least) = internal::min_in_sync(name, options) {
            set.push(("min.insync.replicas".into(), least.min(copies as i64).to_string()));
        }
        let config = TopicConfig::new(options, set).map_err(|reason| (ErrorCode::INVALID_CONFIG, reason))?;
        self.topics.check(name, partitions)?;
        let standings = self.standings(partitions, copies).map_err(|refusal| match self.members.lock().awaited() {
            0 => refusal,
            // They ask again.
            _ => (ErrorCode::LEADER_NOT_AVAILABLE, "not all nodes have started yet".into()),
        });
        self.create(name, random_uuid(&*self.world), standings?, config)
    }

    /// The node and the copy that lead a partition, for a node that wants something of them.
    pub fn leader_of(&self, from: i32, partition: &Partition) -> Result<(Arc<Node>, Arc<Replica>), ErrorCode> {
        let leader = partition.standing().leader.ok_or(ErrorCode::LEADER_NOT_AVAILABLE)?;
        let members = self.members.lock();
        let node = members.running(leader).filter(|_| members.connected(from, leader));
        drop(members);
        let node = node.ok_or(ErrorCode::LEADER_NOT_AVAILABLE)?;
        Ok((node, partition.led_by(leader)?))
    }

    /// The node that leads a partition of a coordinators' topic, if it is alive.
    pub fn coordinator(&self, topic: &str, index: i32) -> Option<i32> {
        let partition = self.topics.named(topic)?.partition(index)?;
        let leader = partition.standing().leader?;
        self.members.lock().alive(leader).then_some(leader)
    }

    /// The broker stops; its nodes have ended.
    pub fn close(&self) {
        self.recorder.iter().for_each(|recorder| recorder.close());
        self.storage.iter().for_each(|storage| storage.close());
    }

    /// Does something with every node that runs.
    pub fn each_node(&self, mut work: impl FnMut(&Arc<Node>)) {
        let nodes: Vec<_> = self.members.lock().by_id.values().filter_map(|member| member.node.upgrade()).collect();
        nodes.iter().for_each(&mut work);
    }

    /// The nodes that are alive, as a client is told that came to one of them at an address.
    pub fn told(&self, open: &[Open], local: SocketAddr) -> Vec<Told> {
        let members = self.members.lock();
        let told = members.all_alive().map(|(id, member)| {
            let (host, port) = listeners::told_of(&member.open, open, local);
            Told { id, host, port: port.into(), rack: member.rack.clone() }
        });
        told.collect()
    }

    /// A copy in sync in the rack of a client, other than the leader's (KIP-392).
    pub fn nearest(&self, standing: &Standing, rack: &str) -> Option<i32> {
        let members = self.members.lock();
        let near = |node: &i32| members.able(*node) && members.by_id[node].rack.as_deref() == Some(rack);
        let leader = standing.leader.filter(|leader| !near(leader));
        leader.and_then(|_| standing.in_sync.iter().copied().find(near))
    }

    /// The controller, as clients are told: there is none but in this process, and any node takes what is for it.
    pub fn controller(&self) -> i32 {
        self.members.lock().all_alive().map(|(id, _)| id).next().unwrap_or(-1)
    }

    /// What is wrong with the replicas that somebody assigns to a partition by hand.
    pub fn check_replicas(&self, replicas: &[i32]) -> Result<(), String> {
        crate::words::check_replicas(&self.alive(), replicas)
    }
}

fn open_storage(
    world: &Arc<dyn BrokerWorld>,
    options: &BrokerOptions,
) -> Result<Option<(Arc<Storage>, Image)>, LogDirError> {
    let Some(folder) = &options.log_dir else { return Ok(None) };
    let (storage, image) = Storage::open(world, folder, options)?;
    Ok(Some((Arc::new(storage), image)))
}
