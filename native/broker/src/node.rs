//! The state of the one node, shared by its connections. No logic of its own: that is in the APIs.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use dohle_protocol::Uuid;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    BrokerOptions, BrokerWorld, Faults,
    acls::Acls,
    config::dynamic::Configs,
    coordinator::{self, Clock, Ledger, internal},
    features::Features,
    group::{Groups, Loading, Policy},
    housekeeping::Housekeeping,
    listeners::{self, Open},
    log::validate::Decompressors,
    quotas::Quotas,
    recording::Recorder,
    security::{Wrong, authorizer::Authorizer, limits::Limits, sasl, tokens::Tokens},
    sessions::Sessions,
    storage::{Image, LogDirError, Storage},
    topics::{Refusal, Topic, Topics},
    transactions::Transactions,
    users::Users,
};

/// The node's state.
pub(crate) struct Node {
    pub world: Arc<dyn BrokerWorld>,
    /// As the broker was started; what can change while it runs is in `configs`.
    pub options: BrokerOptions,
    pub configs: Arc<Configs>,
    pub cluster_id: String,
    /// The log folder; none when everything is in memory.
    pub storage: Option<Arc<Storage>>,
    pub topics: Arc<Topics>,
    pub groups: Groups,
    pub transactions: Transactions,
    pub sessions: Sessions,
    pub faults: Faults,
    pub features: Features,
    pub acls: Acls,
    pub users: Users,
    /// None: everybody may do everything.
    pub authorizer: Option<Authorizer>,
    pub tokens: Tokens,
    pub limits: Limits,
    pub quotas: Quotas,
    pub housekeeping: Arc<Housekeeping>,
    /// None: nothing is recorded.
    pub recorder: Option<Arc<Recorder>>,
    pub decompressors: Decompressors,
    pub connections: AtomicUsize,
    pub panics: AtomicUsize,
    /// Where it listens.
    open: Vec<Open>,
    next_producer_id: AtomicI64,
    /// Behind the last one that is stored as given away.
    producer_ids_end: Mutex<i64>,
}

/// Why there is no node.
pub(crate) enum NoNode {
    Wrong(Wrong),
    LogDir(LogDirError),
    Record(io::Error),
}

impl From<Wrong> for NoNode {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong)
    }
}

/// Producer ids that are stored as given away at once, as Kafka's controller gives them to its brokers.
const PRODUCER_IDS: i64 = 1000;

impl Node {
    pub fn new(world: Arc<dyn BrokerWorld>, options: BrokerOptions, open: Vec<Open>) -> Result<Self, NoNode> {
        let (storage, image) = open_storage(&world, &options).map_err(NoNode::LogDir)?.unzip();
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
        let image = image.unwrap_or_default();
        let configs = Arc::new(Configs::with_stored(options.clone(), &image));
        let topics = match &storage {
            None => Topics::default(),
            Some(storage) => Topics::open(storage.clone(), &image, &configs.now())
                .map_err(|error| NoNode::LogDir(LogDirError::Io(error)))?,
        };
        let (topics, housekeeping) = (Arc::new(topics), Arc::<Housekeeping>::default());
        let ledger = |name| Ledger::new(name, world.clone(), configs.clone(), topics.clone(), housekeeping.clone());
        let record = options.record.as_deref().map(|file| Recorder::create(&*world, file));
        let recorder = record.transpose().map_err(NoNode::Record)?;
        let users = Users::default();
        for (name, mechanism, password) in sasl::scram_users(&options)? {
            users.set(&name, sasl::scram::number(mechanism), sasl::scram::credential(mechanism, password.expose()));
        }
        let node = Self {
            cluster_id,
            storage,
            topics: topics.clone(),
            housekeeping: housekeeping.clone(),
            groups: Groups::new(Policy::of(&options), ledger(internal::OFFSETS)),
            transactions: Transactions::new(ledger(internal::TRANSACTIONS)),
            sessions: Sessions::default(),
            faults: Faults::new(options.fault_seed),
            features: Features::new(&options),
            acls: Acls::default(),
            users,
            authorizer: Authorizer::new(&options)?,
            tokens: Tokens::new(&options),
            limits: Limits::new(&options)?,
            quotas: Quotas::new(&options),
            recorder,
            decompressors: Decompressors::default(),
            connections: AtomicUsize::new(0),
            panics: AtomicUsize::new(0),
            open,
            next_producer_id: AtomicI64::new(first_producer_id),
            producer_ids_end: Mutex::new(first_producer_id),
            configs: configs.clone(),
            world: world.clone(),
            options,
        };
        node.load();
        Ok(node)
    }

    /// Transactional ids and groups are what their partitions say.
    pub fn load(&self) {
        let clock = Clock { now: Instant::now(), now_ms: self.world.wall_clock_ms() };
        self.transactions.load(&self.topics, &clock);
        self.transactions.abort_orphans(&self.topics, clock.now_ms);
        let session_timeout = millis(self.options.group_consumer_session_timeout_ms);
        self.groups.load_all(&Loading { clock, session_timeout });
        self.transactions.end_decided(self);
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

    /// The broker stops: everything is written, and marked as whole.
    pub fn close(&self) {
        if let Some(recorder) = &self.recorder {
            recorder.close();
        }
        if let Some(storage) = &self.storage {
            storage.close(&self.topics);
        }
    }

    /// The names of the listeners and where they are.
    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        self.open.iter().map(|of| (of.endpoint.name.clone(), of.address)).collect()
    }

    /// A random id that is none of the reserved ones, in the form of a version 4 UUID.
    pub fn random_uuid(&self) -> Uuid {
        random_uuid(&*self.world)
    }

    /// Host and port that a client who reached us at `local` is told.
    pub fn endpoint(&self, local: SocketAddr) -> (String, i32) {
        let (host, port) = listeners::told(&self.open, local);
        (host, port.into())
    }

    /// Creates a topic with the broker's defaults, as a request for its metadata does.
    pub fn auto_create(&self, name: &str) -> Result<Arc<Topic>, Refusal> {
        coordinator::make(&*self.world, &self.configs, &self.topics, name)
    }
}

fn open_storage(
    world: &Arc<dyn BrokerWorld>,
    options: &BrokerOptions,
) -> Result<Option<(Arc<Storage>, Image)>, LogDirError> {
    let Some(folder) = &options.log_dir else { return Ok(None) };
    let new_id = || random_uuid(&**world);
    let (storage, image) = Storage::open(world, folder, options.node_id, options.cluster_id.as_deref(), new_id)?;
    Ok(Some((Arc::new(storage), image)))
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
