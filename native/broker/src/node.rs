//! The state of one node, shared by its connections. No logic of its own: that is in the APIs. What it has in common with the other
//! nodes of its cluster is `cluster::Shared`.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use dohle_protocol::{ErrorCode, Uuid};
use tokio::{sync::Notify, time::Instant};

use crate::{
    BrokerOptions, BrokerWorld, Faults,
    acls::Acls,
    cluster::{Inbox, Shared, Told},
    config::dynamic::Configs,
    coordinator::{Clock, Ledger, internal},
    features::Features,
    group::{Groups, Loading, Policy},
    housekeeping::Housekeeping,
    listeners::Open,
    log::validate::Decompressors,
    partition::Replica,
    quotas::Quotas,
    recording::Recorder,
    security::{Wrong, authorizer::Authorizer, limits::Limits, tokens::Tokens},
    sessions::Sessions,
    storage::{Home, LogDirError},
    tasks::Life,
    topics::{Losses, Refusal, Topic, Topics},
    transactions::Transactions,
    users::Users,
};

/// The node's state.
pub(crate) struct Node {
    pub world: Arc<dyn BrokerWorld>,
    pub cluster: Arc<Shared>,
    /// As the broker was started; what can change while it runs is in `configs`.
    pub options: BrokerOptions,
    pub configs: Arc<Configs>,
    /// Its part of the log folder; none when everything is in memory.
    pub home: Option<Arc<Home>>,
    pub topics: Arc<Topics>,
    pub groups: Groups,
    pub transactions: Transactions,
    pub sessions: Sessions,
    pub faults: Arc<Faults>,
    pub features: Arc<Features>,
    pub acls: Arc<Acls>,
    pub users: Arc<Users>,
    /// None: everybody may do everything.
    pub authorizer: Option<Authorizer>,
    pub tokens: Arc<Tokens>,
    pub limits: Limits,
    pub quotas: Arc<Quotas>,
    pub housekeeping: Arc<Housekeeping>,
    /// None: nothing is recorded.
    pub recorder: Option<Arc<Recorder>>,
    pub decompressors: Decompressors,
    pub connections: AtomicUsize,
    pub panics: AtomicUsize,
    /// What its copies of partitions are told by their leaders.
    pub inbox: Arc<Inbox>,
    /// Who coordinates what may be another now.
    pub reelected: Notify,
    /// Where it listens.
    open: Vec<Open>,
}

/// Why there is no node.
pub(crate) enum NoNode {
    Wrong(Wrong),
    /// Of this folder.
    LogDir(PathBuf, LogDirError),
    Record(io::Error),
}

impl From<Wrong> for NoNode {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong)
    }
}

impl Node {
    /// A node of a cluster; its options have its own id.
    pub fn new(
        cluster: Arc<Shared>,
        world: Arc<dyn BrokerWorld>,
        options: BrokerOptions,
        open: Vec<Open>,
    ) -> Result<Arc<Self>, NoNode> {
        let configs = cluster.configs_of(&options);
        let (topics, housekeeping) = (cluster.topics.clone(), Arc::<Housekeeping>::default());
        let (home, lost) = open_home(&cluster, &world, options.node_id)?;
        let of = (world.clone(), cluster.clone(), configs.clone(), housekeeping.clone());
        let ledger = |name| Ledger::new(name, options.node_id, of.clone());
        let node = Arc::new(Self {
            home,
            topics,
            housekeeping: housekeeping.clone(),
            groups: Groups::new(Policy::of(&options), ledger(internal::OFFSETS)),
            transactions: Transactions::new(ledger(internal::TRANSACTIONS)),
            sessions: Sessions::default(),
            faults: cluster.faults.clone(),
            features: cluster.features.clone(),
            acls: cluster.acls.clone(),
            users: cluster.users.clone(),
            authorizer: Authorizer::new(&options)?,
            tokens: cluster.tokens.clone(),
            limits: Limits::new(&options)?,
            quotas: cluster.quotas.clone(),
            recorder: cluster.recorder.clone(),
            decompressors: Decompressors::default(),
            connections: AtomicUsize::new(0),
            panics: AtomicUsize::new(0),
            inbox: Arc::default(),
            reelected: Notify::new(),
            open,
            configs: configs.clone(),
            world,
            cluster,
            options,
        });
        node.cluster.register(&node, &lost).map_err(|code| node.not_registered(code))?;
        let clock = Clock { now: Instant::now(), now_ms: node.world.wall_clock_ms() };
        node.transactions.coordinate(&node, &clock);
        if node.cluster.options.is_alone() {
            node.transactions.abort_orphans(&node, clock.now_ms);
        }
        node.coordinate();
        Ok(node)
    }

    /// It has not come after all, as that cannot be stored.
    fn not_registered(&self, code: ErrorCode) -> NoNode {
        self.topics.close_replicas(self.options.node_id);
        self.leave();
        let storage = self.cluster.storage.as_ref();
        let path = storage.map_or_else(PathBuf::new, |storage| storage.path_of(self.options.node_id));
        NoNode::LogDir(path, LogDirError::Io(io::Error::other(code.text())))
    }

    /// Starts its tasks.
    pub fn run(self: &Arc<Self>, life: &Life) {
        self.groups.run(self, life);
        self.transactions.run(self, life);
        self.housekeeping.run(self, life);
        Inbox::run(self, life);
        if !self.cluster.options.is_alone() {
            Shared::watch(self, life);
        }
        life.run(self, |node| async move { node.coordinate_for_ever().await });
    }

    async fn coordinate_for_ever(&self) {
        loop {
            self.reelected.notified().await;
            self.coordinate();
        }
    }

    /// Transactional ids and groups are those of the partitions that it leads, as their records say.
    pub fn coordinate(&self) {
        let clock = Clock { now: Instant::now(), now_ms: self.world.wall_clock_ms() };
        self.transactions.coordinate(self, &clock);
        let session_timeout = millis(self.options.group_consumer_session_timeout_ms);
        self.groups.coordinate(&Loading { clock, session_timeout });
        self.transactions.end_decided(self);
    }

    /// The same when what was there is not any more: an internal topic was deleted.
    pub fn coordinate_anew(&self) {
        self.transactions.give_up();
        self.groups.give_up();
        self.coordinate();
    }

    /// The nodes of the cluster, as a client is told that has come to this one at `local`.
    pub fn told(&self, local: SocketAddr) -> Vec<Told> {
        self.cluster.told(&self.open, local)
    }

    /// The cluster's id, as clients see it.
    pub fn cluster_id(&self) -> &str {
        &self.cluster.cluster_id
    }

    pub fn new_producer_id(&self) -> i64 {
        self.cluster.new_producer_id()
    }

    /// The node's copy of a partition, if that leads.
    pub fn leading(&self, topic: &str, index: i32) -> Result<Arc<Replica>, ErrorCode> {
        let topic = self.topics.named(topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        self.leading_of(&topic, index)
    }

    /// The same of a topic that is known.
    pub fn leading_of(&self, topic: &Topic, index: i32) -> Result<Arc<Replica>, ErrorCode> {
        let partition = topic.partition(index).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        partition.led_by(self.options.node_id)
    }

    /// The node that coordinates a transactional id.
    pub fn transactions_of(self: &Arc<Self>, transactional_id: &str) -> Result<Arc<Self>, ErrorCode> {
        if self.transactions.is_here(transactional_id) {
            return Ok(self.clone());
        }
        let topic = self.topics.named(internal::TRANSACTIONS).ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
        let partition = topic.partition(self.transactions.partition_of(transactional_id));
        let partition = partition.ok_or(ErrorCode::NOT_COORDINATOR)?;
        self.cluster.leader_of(self.options.node_id, &partition).map(|(node, _)| node)
    }

    /// The node's copies of all partitions of these topics.
    pub fn replicas(&self, which: impl Fn(&Topic) -> bool) -> Vec<Arc<Replica>> {
        let topics = self.topics.all().into_iter().filter(|topic| which(topic));
        topics.flat_map(|topic| topic.partitions()).filter_map(|of| of.replica(self.options.node_id)).collect()
    }

    /// It stops: everything is written, and marked as whole.
    pub fn close(&self) {
        self.home.iter().for_each(|home| home.close(&self.topics));
    }

    /// It has ended, in order or not: nothing is written to its folder any more.
    pub fn leave(&self) {
        self.home.iter().for_each(|home| home.leave());
    }

    /// Where it listens.
    pub fn open(&self) -> &[Open] {
        &self.open
    }

    /// The names of the listeners and where they are.
    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        self.open.iter().map(|of| (of.endpoint.name.clone(), of.address)).collect()
    }

    /// A random id that is none of the reserved ones, in the form of a version 4 UUID.
    pub fn random_uuid(&self) -> Uuid {
        random_uuid(&*self.world)
    }

    /// Creates a topic with the broker's defaults, as a request for its metadata does.
    pub fn auto_create(&self, name: &str) -> Result<Arc<Topic>, Refusal> {
        self.configs.with(|options| self.cluster.make_topic(options, name))
    }
}

/// What a node has of partitions, and what it has lost of them.
fn open_home(
    cluster: &Shared,
    world: &Arc<dyn BrokerWorld>,
    node_id: i32,
) -> Result<(Option<Arc<Home>>, Losses), NoNode> {
    let (topics, is_known) = (&cluster.topics, |topic: &str| cluster.topics.named(topic).is_some());
    let Some(storage) = &cluster.storage else {
        let lost = topics.open_replicas(node_id, None);
        return lost.map(|lost| (None, lost)).map_err(|error| NoNode::LogDir(PathBuf::new(), LogDirError::Io(error)));
    };
    let wrong = |error| NoNode::LogDir(storage.path_of(node_id), error);
    let home = Arc::new(Home::open(world, storage, node_id, is_known).map_err(wrong)?);
    match topics.open_replicas(node_id, Some(&home)) {
        Ok(lost) => Ok((Some(home), lost)),
        Err(error) => {
            // It may be tried again.
            topics.close_replicas(node_id);
            home.leave();
            Err(wrong(LogDirError::Io(error)))
        }
    }
}

pub(crate) fn random_uuid(world: &dyn BrokerWorld) -> Uuid {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&world.random_u64().to_be_bytes());
    bytes[8..].copy_from_slice(&world.random_u64().to_be_bytes());
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Uuid(bytes)
}

/// Kafka's text form of a UUID: base64 for URLs, 22 characters, without padding.
pub(crate) fn base64(id: Uuid) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = u128::from_be_bytes(id.0);
    // 128 bits are 21 digits of 6 bits and one of 2, which is padded with zeros below.
    let digit = |n: u32| if n < 21 { bits >> (128 - 6 * (n + 1)) & 63 } else { (bits & 3) << 4 };
    (0..22).map(|n| char::from(ALPHABET[digit(n) as usize])).collect()
}

/// A duration of Kafka's, in milliseconds; a negative one is none.
pub(crate) fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// A UUID in its hexadecimal form, for member ids.
pub(crate) fn hex(id: Uuid) -> String {
    let digits: String = id.0.iter().map(|byte| format!("{byte:02x}")).collect();
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_written_as_kafka_writes_it() {
        assert_eq!(base64(Uuid([0xff; 16])), "_____________________w");
        assert_eq!(base64(Uuid([0; 16])), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(hex(Uuid([0x1a; 16])), "1a1a1a1a-1a1a-1a1a-1a1a-1a1a1a1a1a1a");
    }
}
