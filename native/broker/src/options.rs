//! What a broker can be told at its start. Names follow Kafka's broker properties where one exists.

use std::{collections::BTreeMap, ops::Range, path::PathBuf};

use dohle_security::Secret;

use crate::{
    BrokerError, Release, config,
    security::options::{AuthorizationOptions, SaslOptions, TlsOptions},
};

/// Most nodes: a typo must not eat the machine.
const MAX_NODES: i32 = 100;

/// Options of an embedded broker. `Default` listens on a free port of 127.0.0.1.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BrokerOptions {
    /// Address or name to listen on. Default `127.0.0.1`. Anything but loopback needs `allow_non_loopback`.
    pub host: String,
    /// Port to listen on; 0 (default) takes a free one, see [`Broker::address`](crate::Broker::address).
    pub port: u16,
    /// Host name told to clients. Default: the address a client connected to.
    pub advertised_host: Option<String>,
    /// Port told to clients. Default: the port listened on.
    pub advertised_port: Option<u16>,
    /// Listen on addresses that other machines reach. Default false.
    pub allow_non_loopback: bool,
    /// Partitions of a topic created without a count, automatically or not (`num.partitions`). Default 1.
    pub partitions: i32,
    /// Create a topic when a client that allows it asks for its metadata (`auto.create.topics.enable`). Default true.
    pub auto_create_topics: bool,
    /// Largest record batch in bytes (`message.max.bytes`). Default 1,048,588 as Kafka's. A topic's
    /// `max.message.bytes` goes before it.
    pub max_message_bytes: i32,
    /// Largest request in bytes, checked before anything is allocated (`socket.request.max.bytes`). Default 100 MiB.
    pub max_request_bytes: i32,
    /// Largest number of bytes one batch may have after decompression when the broker looks inside. Default 100 MiB, as
    /// of a request.
    pub max_decompressed_bytes: usize,
    /// Bytes a partition keeps before its oldest segments go (`log.retention.bytes`). Default `None`: everything is kept, without
    /// [`log_dir`](Self::log_dir) **in memory**, until the topic is deleted. A topic's `retention.bytes` goes before it.
    pub retention_bytes: Option<u64>,
    /// Bytes of a segment, the unit of retention (`log.segment.bytes`). Default 1 MiB in memory, 1 GiB in a folder.
    pub segment_bytes: Option<usize>,
    /// Milliseconds the first rebalance of an empty group waits for more members
    /// (`group.initial.rebalance.delay.ms`). Default 0 (Kafka: 3,000; its development settings use 0).
    pub group_initial_rebalance_delay_ms: u32,
    /// Smallest session timeout a group member may ask for (`group.min.session.timeout.ms`). Default 10
    /// (Kafka: 6,000), so that tests can expire members quickly.
    pub group_min_session_timeout_ms: i32,
    /// Largest session timeout a group member may ask for (`group.max.session.timeout.ms`). Default 1,800,000.
    pub group_max_session_timeout_ms: i32,
    /// Milliseconds between two heartbeats of a member of a KIP-848 group, as it is told
    /// (`group.consumer.heartbeat.interval.ms`). Default 100 (Kafka: 5,000), so that a rebalance takes a moment.
    pub group_consumer_heartbeat_interval_ms: i32,
    /// Milliseconds after which a member of a KIP-848 group that says nothing is out
    /// (`group.consumer.session.timeout.ms`). Default 45,000.
    pub group_consumer_session_timeout_ms: i32,
    /// Most members of one KIP-848 group (`group.consumer.max.size`). Default 2,147,483,647.
    pub group_consumer_max_size: i32,
    /// Longest transaction timeout a producer may ask for (`transaction.max.timeout.ms`). Default 900,000.
    pub transaction_max_timeout_ms: i32,
    /// Feature level told to clients (`transaction.version`): 2 for transactions v2 (KIP-890), 0 or 1 for those before.
    /// Default 2.
    pub transaction_version: i16,
    /// The release of Kafka that the broker passes for: APIs, versions and features as that one has them; a request above them
    /// closes its connection, as there. Default [`Release::V4_3`]. Releases before 4.0 have no `transaction.version`.
    pub as_version: Release,
    /// Open connections at the same time; more are closed at once. Default 10,000.
    pub max_connections: usize,
    /// Decides which requests fault rules with a probability act on. Default 0: the same in every run.
    pub fault_seed: u64,
    /// The node's id (`node.id`); of several, the first one's: the others' follow. Default 1.
    pub node_id: i32,
    /// Nodes of the cluster, all in this process, each with ports of its own: `port` is the first one's, the others' follow. Default 1.
    pub nodes: i32,
    /// Racks that nodes are in, in turn (`broker.rack`). Default: none.
    pub racks: Vec<String>,
    /// The cluster's id. Default `None`: that of the log folder, or a random one.
    pub cluster_id: Option<String>,
    /// A folder to keep everything in, as Apache Kafka does (`log.dirs`, `log.dir`); made when it is not there. Default `None`:
    /// all is in memory, and gone when the broker stops.
    pub log_dir: Option<PathBuf>,
    /// A file that every frame of every connection is recorded in, with its time; there must be none of that name. Default
    /// `None`: nothing is recorded.
    pub record: Option<PathBuf>,
    /// Other properties of the broker by Kafka's names, such as `log.retention.ms`, as [`set`](Self::set) puts them here.
    pub properties: BTreeMap<String, String>,
    /// Those of them that nobody is shown, such as `ssl.keystore.key`.
    pub secrets: BTreeMap<String, Secret>,
    /// Certificate and key; without `listeners`, connections are then encrypted. Default `None`.
    pub tls: Option<TlsOptions>,
    /// Users and how they log in; without `listeners`, everybody must then. Default `None`.
    pub sasl: Option<SaslOptions>,
    /// ACLs are enforced, and who they do not hold for. Default `None`: everybody may do everything.
    pub authorization: Option<AuthorizationOptions>,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 0,
            advertised_host: None,
            advertised_port: None,
            allow_non_loopback: false,
            partitions: 1,
            auto_create_topics: true,
            max_message_bytes: 1_048_588,
            max_request_bytes: 104_857_600,
            max_decompressed_bytes: 100 << 20,
            retention_bytes: None,
            segment_bytes: None,
            group_initial_rebalance_delay_ms: 0,
            group_min_session_timeout_ms: 10,
            group_max_session_timeout_ms: 1_800_000,
            group_consumer_heartbeat_interval_ms: 100,
            group_consumer_session_timeout_ms: 45_000,
            group_consumer_max_size: i32::MAX,
            transaction_max_timeout_ms: 900_000,
            transaction_version: 2,
            as_version: Release::default(),
            max_connections: 10_000,
            fault_seed: 0,
            node_id: 1,
            nodes: 1,
            racks: Vec::new(),
            cluster_id: None,
            log_dir: None,
            record: None,
            properties: BTreeMap::new(),
            secrets: BTreeMap::new(),
            tls: None,
            sasl: None,
            authorization: None,
        }
    }
}

impl BrokerOptions {
    /// The defaults; set the public fields, or chain the `with_` methods.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`partitions`](Self::partitions).
    pub fn with_partitions(mut self, partitions: i32) -> Self {
        self.partitions = partitions;
        self
    }

    /// Sets [`host`](Self::host) and [`port`](Self::port).
    pub fn with_address(mut self, host: impl Into<String>, port: u16) -> Self {
        self.host = host.into();
        self.port = port;
        self
    }

    /// Sets [`auto_create_topics`](Self::auto_create_topics).
    pub fn with_auto_create_topics(mut self, yes: bool) -> Self {
        self.auto_create_topics = yes;
        self
    }

    /// The ids of the nodes that it starts with.
    pub(crate) fn node_ids(&self) -> Range<i32> {
        self.node_id..self.node_id.saturating_add(self.nodes)
    }

    /// There is one node, and no other can come.
    pub(crate) fn is_alone(&self) -> bool {
        self.nodes == 1
    }

    /// Sets [`nodes`](Self::nodes).
    pub fn with_nodes(mut self, nodes: i32) -> Self {
        self.nodes = nodes;
        self
    }

    /// Sets [`racks`](Self::racks).
    pub fn with_racks(mut self, racks: impl IntoIterator<Item = String>) -> Self {
        self.racks = racks.into_iter().collect();
        self
    }

    /// Sets [`log_dir`](Self::log_dir).
    pub fn with_log_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.log_dir = Some(folder.into());
        self
    }

    /// Sets [`record`](Self::record).
    pub fn with_record(mut self, file: impl Into<PathBuf>) -> Self {
        self.record = Some(file.into());
        self
    }

    /// Sets [`as_version`](Self::as_version).
    pub fn with_as_version(mut self, release: Release) -> Self {
        self.as_version = release;
        self
    }

    /// Sets [`transaction_version`](Self::transaction_version).
    pub fn with_transaction_version(mut self, level: i16) -> Self {
        self.transaction_version = level;
        self
    }

    /// Sets [`tls`](Self::tls).
    pub fn with_tls(mut self, tls: TlsOptions) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sets [`sasl`](Self::sasl).
    pub fn with_sasl(mut self, sasl: SaslOptions) -> Self {
        self.sasl = Some(sasl);
        self
    }

    /// Sets [`authorization`](Self::authorization).
    pub fn with_authorization(mut self, authorization: AuthorizationOptions) -> Self {
        self.authorization = Some(authorization);
        self
    }

    /// Sets a property by the name and with the text that Kafka's `server.properties` has for it. An error is a sentence.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        config::broker::set(self, name, value)
    }

    /// Bytes of a segment.
    pub(crate) fn segment_bytes(&self) -> usize {
        // In memory a segment is what retention frees at once; files of Kafka's size are few.
        self.segment_bytes.unwrap_or(if self.log_dir.is_some() { 1 << 30 } else { 1 << 20 })
    }

    /// Rejects what cannot work, naming the option, the value and what is allowed.
    pub(crate) fn check(&self) -> Result<(), BrokerError> {
        let at_least_one = |option: &'static str, value: i64| match value {
            1.. => Ok(()),
            _ => Err(BrokerError::InvalidOption { option, value: value.to_string(), expected: "is below 1" }),
        };
        at_least_one("partitions", self.partitions.into())?;
        at_least_one("max_message_bytes", self.max_message_bytes.into())?;
        at_least_one("max_request_bytes", self.max_request_bytes.into())?;
        at_least_one("segment_bytes", self.segment_bytes() as i64)?;
        at_least_one("max_connections", self.max_connections as i64)?;
        at_least_one("group_consumer_heartbeat_interval_ms", self.group_consumer_heartbeat_interval_ms.into())?;
        at_least_one("group_consumer_session_timeout_ms", self.group_consumer_session_timeout_ms.into())?;
        at_least_one("group_consumer_max_size", self.group_consumer_max_size.into())?;
        at_least_one("transaction_max_timeout_ms", self.transaction_max_timeout_ms.into())?;
        if !(0..=2).contains(&self.transaction_version) {
            let value = self.transaction_version.to_string();
            return Err(BrokerError::InvalidOption {
                option: "transaction_version",
                value,
                expected: "is not 0, 1 or 2",
            });
        }
        if self.node_id < 0 {
            let value = self.node_id.to_string();
            return Err(BrokerError::InvalidOption { option: "node_id", value, expected: "is below 0" });
        }
        if !(1..=MAX_NODES).contains(&self.nodes) {
            let value = self.nodes.to_string();
            return Err(BrokerError::InvalidOption { option: "nodes", value, expected: "is not between 1 and 100" });
        }
        if self.node_id.checked_add(self.nodes).is_none() {
            let (value, expected) = (self.node_id.to_string(), "is too large: the ids of the other nodes follow it");
            return Err(BrokerError::InvalidOption { option: "node_id", value, expected });
        }
        if self.log_dir.as_ref().is_some_and(|folder| folder.as_os_str().is_empty()) {
            let expected = "is no folder: name one, or leave it out for a broker in memory";
            return Err(BrokerError::InvalidOption { option: "log_dir", value: "''".into(), expected });
        }
        for (name, value) in &self.properties {
            let of = config::broker::find(name).ok_or_else(|| format!("Unknown broker config name: {name}"));
            of.and_then(|of| of.property.check(value)).map_err(BrokerError::InvalidProperty)?;
        }
        Ok(())
    }
}
