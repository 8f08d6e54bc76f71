//! Operations on the embedded broker.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use dohle_broker as engine;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::instrument::WithSubscriber;

use super::values::Secret;
use super::{Operation, Target};
use crate::environment::{Environment, Resource};
use crate::failure::{Class, Failure};

type Broker = Arc<engine::Broker>;

impl Target for Broker {
    const NAME: &'static str = "broker";

    fn of(resource: &Resource) -> Option<Self> {
        match resource {
            Resource::Broker(broker) => Some(broker.clone()),
            _ => None,
        }
    }
}

/// Starts an embedded broker.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "BrokerStart")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Start {
    /// Address or name to listen on.
    ///
    /// Default: `127.0.0.1`. Anything but loopback needs `allowNonLoopback`.
    pub host: Option<String>,
    /// Port to listen on; 0 takes a free one.
    ///
    /// Default: 0.
    pub port: Option<u16>,
    /// Host name told to clients.
    ///
    /// Default: the address that a client connected to.
    pub advertised_host: Option<String>,
    /// Port told to clients.
    ///
    /// Default: the port listened on.
    pub advertised_port: Option<u16>,
    /// Listen on addresses that other machines reach.
    ///
    /// Default: false.
    pub allow_non_loopback: Option<bool>,
    /// Partitions of a topic that is created without a number of them.
    ///
    /// Default: 1.
    pub partitions: Option<i32>,
    /// Create a topic when a client that allows it asks for it.
    ///
    /// Default: true.
    pub auto_create_topics: Option<bool>,
    /// Largest record batch, in bytes.
    ///
    /// Default: 1048588, as Kafka's.
    #[schemars(range(min = 1))]
    pub max_message_bytes: Option<i32>,
    /// A folder to keep everything in, laid out as Apache Kafka's (`log.dirs`); made when it is not there.
    ///
    /// Default: all is in memory, and gone when the broker stops.
    pub log_dir: Option<String>,
    /// Bytes that a partition keeps before its oldest records go.
    ///
    /// Default: everything is kept.
    pub retention_bytes: Option<u32>,
    /// Milliseconds that the first rebalance of an empty group waits for more members.
    ///
    /// Default: 0.
    pub group_initial_rebalance_delay_ms: Option<u32>,
    /// Longest `transactionTimeoutMs` that a producer may have.
    ///
    /// Default: 900000, as Kafka's.
    #[schemars(range(min = 1))]
    pub transaction_max_timeout_ms: Option<i32>,
    /// Level of the feature `transaction.version`: 2 for transactions as Kafka 4 has them (KIP-890), 1 or 0 for those
    /// of the brokers before.
    ///
    /// Default: 2.
    #[schemars(range(min = 0, max = 2))]
    pub transaction_version: Option<i16>,
    /// The release of Kafka that the broker passes for: APIs, versions and features as that one has them.
    ///
    /// Default: 4.3.
    pub as_version: Option<BrokerRelease>,
    /// Decides which requests fault rules with a `probability` act on.
    ///
    /// Default: 0, so that they are the same in every run.
    pub fault_seed: Option<u32>,
    /// The node's id; of several, the first one's: the others' follow.
    ///
    /// Default: 1.
    #[schemars(range(min = 0))]
    pub node_id: Option<i32>,
    /// Nodes of the cluster, all in this process, each with a port of its own: `port` is the first one's, the others'
    /// follow.
    ///
    /// Default: 1.
    #[schemars(range(min = 1, max = 100))]
    pub nodes: Option<i32>,
    /// Racks that the nodes are in, in turn (`broker.rack`).
    ///
    /// Default: none.
    pub racks: Option<Vec<String>>,
    /// The cluster's id.
    ///
    /// Default: that of the folder, or a random one.
    pub cluster_id: Option<String>,
    /// The text of a `server.properties` of Kafka's; the options above and `properties` go before it.
    ///
    /// Default: none.
    pub server_properties: Option<String>,
    /// Properties by the names that Kafka has for them in `server.properties`, such as `log.retention.ms` or `listeners`.
    ///
    /// Default: none.
    pub properties: Option<BTreeMap<String, String>>,
    /// The broker's certificate: without `listeners` among the properties, every connection is encrypted.
    ///
    /// Default: connections are plain.
    pub tls: Option<BrokerTls>,
    /// Users and how they log in: without `listeners` among the properties, everybody must.
    ///
    /// Default: nobody logs in.
    pub sasl: Option<BrokerSasl>,
    /// Access rules (ACLs) are enforced.
    ///
    /// Default: everybody may do everything, and there are no rules.
    pub authorization: Option<BrokerAuthorization>,
    /// A file to record every frame of every connection in, with its time (docs/recording.md); there must be none of that name.
    ///
    /// Default: nothing is recorded.
    pub record: Option<String>,
    /// Write the broker's log to the standard error of the process.
    ///
    /// Default: it is not written.
    pub log_to_stderr: Option<BrokerLogLevel>,
}

/// A broker's certificate, and what it asks of its clients, in PEM.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BrokerTls {
    /// The broker's certificate, with those between it and its authority behind it.
    pub cert: String,
    /// The certificate's private key.
    pub key: Secret,
    /// Opens the key when it is encrypted.
    pub passphrase: Option<Secret>,
    /// The authorities whose certificates are believed of clients.
    ///
    /// Default: clients are asked for none.
    pub ca: Option<String>,
    /// Whether clients are asked for a certificate.
    ///
    /// Default: `required` with `ca`, else `none`.
    pub client_auth: Option<BrokerClientAuth>,
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum BrokerClientAuth {
    /// They are not.
    None,
    /// They may show one.
    Requested,
    /// They must show one.
    Required,
}

/// How clients of a broker log in.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BrokerSasl {
    /// Who can.
    ///
    /// Default: nobody with a password.
    pub users: Option<Vec<BrokerUser>>,
    /// What is offered. OAUTHBEARER takes tokens without a signature, for tests; `properties` say more.
    ///
    /// Default: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
    pub mechanisms: Option<Vec<BrokerMechanism>>,
    /// Milliseconds after which clients must log in again on the same connection (KIP-368).
    ///
    /// Default: never.
    #[schemars(range(min = 1))]
    pub max_reauth_ms: Option<u32>,
}

/// Somebody who can log in.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BrokerUser {
    /// The name.
    pub name: String,
    /// The password.
    pub password: Secret,
    /// With which mechanisms.
    ///
    /// Default: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
    pub mechanisms: Option<Vec<BrokerMechanism>>,
}

/// A way to log in.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub enum BrokerMechanism {
    /// Name and password.
    #[serde(rename = "PLAIN")]
    Plain,
    /// A proof of the password, with SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// A proof of the password, with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
    /// A token (RFC 7628).
    #[serde(rename = "OAUTHBEARER")]
    OAuthBearer,
}

/// Who may do what on a broker.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BrokerAuthorization {
    /// Who may do everything, each as `User:name`. Who did not log in is `User:ANONYMOUS`.
    ///
    /// Default: nobody.
    pub super_users: Option<Vec<String>>,
    /// What no rule names is open to everybody.
    ///
    /// Default: false.
    pub allow_everyone_if_no_acl_found: Option<bool>,
}

impl From<BrokerTls> for engine::TlsOptions {
    fn from(given: BrokerTls) -> Self {
        let mut tls = Self::new(given.cert, given.key.0);
        tls.passphrase = given.passphrase.map(|Secret(text)| engine::Secret::new(text));
        tls.ca = given.ca;
        tls.client_auth = given.client_auth.map(|wanted| match wanted {
            BrokerClientAuth::None => engine::ClientAuth::None,
            BrokerClientAuth::Requested => engine::ClientAuth::Requested,
            BrokerClientAuth::Required => engine::ClientAuth::Required,
        });
        tls
    }
}

impl From<BrokerMechanism> for engine::Mechanism {
    fn from(mechanism: BrokerMechanism) -> Self {
        match mechanism {
            BrokerMechanism::Plain => Self::Plain,
            BrokerMechanism::ScramSha256 => Self::ScramSha256,
            BrokerMechanism::ScramSha512 => Self::ScramSha512,
            BrokerMechanism::OAuthBearer => Self::OAuthBearer,
        }
    }
}

impl From<BrokerSasl> for engine::SaslOptions {
    fn from(given: BrokerSasl) -> Self {
        let mechanisms = |given: Option<Vec<BrokerMechanism>>| given.into_iter().flatten().map(Into::into).collect();
        let mut sasl = Self::default();
        sasl.users = given
            .users
            .into_iter()
            .flatten()
            .map(|of| {
                let mut user = engine::User::new(of.name, of.password.0);
                user.mechanisms = mechanisms(of.mechanisms);
                user
            })
            .collect();
        sasl.mechanisms = mechanisms(given.mechanisms);
        sasl.max_reauth_ms = given.max_reauth_ms;
        sasl
    }
}

impl From<BrokerAuthorization> for engine::AuthorizationOptions {
    fn from(given: BrokerAuthorization) -> Self {
        let mut authorization = Self::default();
        authorization.super_users = given.super_users.unwrap_or_default();
        authorization.allow_everyone_if_no_acl_found = given.allow_everyone_if_no_acl_found.unwrap_or_default();
        authorization
    }
}

/// A release of Kafka.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub enum BrokerRelease {
    /// Of November 2018: the oldest one that current clients support.
    #[serde(rename = "2.1")]
    V2_1,
    /// Of April 2021, with ZooKeeper: topic ids in Metadata, no features.
    #[serde(rename = "2.8")]
    V2_8,
    /// Of November 2024: the last one before KIP-848 and transactions v2.
    #[serde(rename = "3.9")]
    V3_9,
    /// Of 2026: all that this broker has.
    #[serde(rename = "4.3")]
    V4_3,
}

impl From<BrokerRelease> for engine::Release {
    fn from(release: BrokerRelease) -> Self {
        match release {
            BrokerRelease::V2_1 => Self::V2_1,
            BrokerRelease::V2_8 => Self::V2_8,
            BrokerRelease::V3_9 => Self::V3_9,
            BrokerRelease::V4_3 => Self::V4_3,
        }
    }
}

/// How much of the broker's log is written.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum BrokerLogLevel {
    /// What is wrong.
    Warn,
    /// What happens, too.
    Info,
    /// Every detail.
    Debug,
}

/// A broker that runs.
#[derive(Serialize, JsonSchema)]
pub struct RunningBroker {
    /// Its handle.
    pub handle: u32,
    /// Host and port that it listens on; the first, where there are several.
    pub address: String,
    /// Hosts and ports of all its nodes, as `brokers` takes them.
    pub bootstrap: String,
    /// All that it listens on.
    pub listeners: Vec<BrokerListener>,
    /// What `serverProperties` has that has no effect here.
    pub notices: Vec<String>,
}

/// A place where a broker listens.
#[derive(Serialize, JsonSchema)]
pub struct BrokerListener {
    /// Its name, such as `PLAINTEXT`.
    pub name: String,
    /// Host and port.
    pub address: String,
}

fn set<T>(field: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *field = value;
    }
}

impl From<BrokerLogLevel> for tracing::Level {
    fn from(level: BrokerLogLevel) -> Self {
        match level {
            BrokerLogLevel::Warn => Self::WARN,
            BrokerLogLevel::Info => Self::INFO,
            BrokerLogLevel::Debug => Self::DEBUG,
        }
    }
}

impl Start {
    /// The options, and what has no effect.
    fn options(self) -> Result<(engine::BrokerOptions, Vec<String>), Failure> {
        let wrong = |what: &str, why: String| {
            Failure::new("INVALID_CONFIG", Class::InvalidConfiguration, format!("{what}: {why}"))
        };
        let mut options = engine::BrokerOptions::new();
        let mut notices = Vec::new();
        if let Some(text) = &self.server_properties {
            let read = options.read_properties(text);
            notices = read.map_err(|error| wrong("serverProperties", error.to_string()))?;
        }
        for (name, value) in self.properties.iter().flatten() {
            options.set(name, value).map_err(|why| wrong("properties", why))?;
        }
        set(&mut options.host, self.host);
        set(&mut options.port, self.port);
        options.advertised_host = self.advertised_host.or(options.advertised_host);
        options.advertised_port = self.advertised_port.or(options.advertised_port);
        set(&mut options.allow_non_loopback, self.allow_non_loopback);
        set(&mut options.partitions, self.partitions);
        set(&mut options.auto_create_topics, self.auto_create_topics);
        set(&mut options.max_message_bytes, self.max_message_bytes);
        options.retention_bytes = self.retention_bytes.map(u64::from).or(options.retention_bytes);
        set(&mut options.group_initial_rebalance_delay_ms, self.group_initial_rebalance_delay_ms);
        set(&mut options.transaction_max_timeout_ms, self.transaction_max_timeout_ms);
        set(&mut options.transaction_version, self.transaction_version);
        set(&mut options.as_version, self.as_version.map(Into::into));
        set(&mut options.fault_seed, self.fault_seed.map(u64::from));
        set(&mut options.node_id, self.node_id);
        set(&mut options.nodes, self.nodes);
        set(&mut options.racks, self.racks);
        options.cluster_id = self.cluster_id;
        options.log_dir = self.log_dir.map(Into::into).or(options.log_dir);
        options.tls = self.tls.map(Into::into);
        options.sasl = self.sasl.map(Into::into);
        options.record = self.record.map(Into::into);
        options.authorization = self.authorization.map(Into::into);
        Ok((options, notices))
    }
}

impl Operation for Start {
    const NAME: &'static str = "environment.startBroker";
    type Target = Arc<Environment>;
    type Response = RunningBroker;

    async fn run(self, target: Self::Target) -> Result<RunningBroker, Failure> {
        let log = self.log_to_stderr;
        let (options, notices) = self.options()?;
        let world: Arc<dyn engine::BrokerWorld> = match log {
            None => Arc::new(engine::TokioWorld),
            Some(level) => Arc::new(engine::Logged::new(engine::TokioWorld, engine::stderr_log(level.into()))),
        };
        let starting = engine::Broker::start(world, options);
        let started = match log {
            None => starting.await,
            Some(level) => starting.with_subscriber(engine::stderr_log(level.into())).await,
        };
        let broker = started.map_err(failure)?;
        let address = broker.address().to_string();
        let nodes = broker.cluster().nodes();
        let bootstrap = nodes.iter().map(|node| node.address.to_string()).collect::<Vec<_>>().join(",");
        let listener = |(name, address): (String, SocketAddr)| BrokerListener { name, address: address.to_string() };
        let listeners = broker.addresses().into_iter().map(listener).collect();
        let handle = target.insert(Resource::Broker(Arc::new(broker)))?;
        Ok(RunningBroker { handle, address, bootstrap, listeners, notices })
    }
}

pub(super) fn failure(error: engine::BrokerError) -> Failure {
    let (code, class) = match error {
        engine::BrokerError::InvalidOption { .. }
        | engine::BrokerError::InvalidProperty(_)
        | engine::BrokerError::NotLoopback { .. } => ("INVALID_CONFIG", Class::InvalidConfiguration),
        engine::BrokerError::Listen { .. } => ("CANNOT_LISTEN", Class::ApplicationRecoverable),
        engine::BrokerError::LogDir { .. } => ("CANNOT_USE_LOG_DIR", Class::ApplicationRecoverable),
        engine::BrokerError::OneNode
        | engine::BrokerError::Stopped
        | engine::BrokerError::NoNode { .. }
        | engine::BrokerError::NodeRuns { .. }
        | engine::BrokerError::LeaderStays { .. } => ("INVALID_ARGUMENT", Class::InvalidConfiguration),
        engine::BrokerError::Record { .. } => ("FILE_UNUSABLE", Class::ApplicationRecoverable),
        _ => ("BROKER_UNREACHABLE", Class::ApplicationRecoverable),
    };
    Failure::new(code, class, error.to_string())
}

/// Stops the broker: closes its listener and all connections. What it held in memory is gone.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "BrokerStop")]
pub struct Stop {}

impl Operation for Stop {
    const NAME: &'static str = "broker.stop";
    const CLOSES: bool = true;
    type Target = Broker;
    type Response = ();

    async fn run(self, target: Broker) -> Result<(), Failure> {
        target.stop().await;
        Ok(())
    }
}
