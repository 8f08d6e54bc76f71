//! Operations on the embedded broker.

use std::sync::Arc;

use dohle_broker as engine;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{Apis, Errors, Named};
use super::values::Int64;
use super::{Immediate, Operation, Target};
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
    /// Listen on addresses that other machines reach, though there is no authentication.
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
    /// Bytes that a partition keeps, in memory, before its oldest records go.
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
    /// The node's id.
    ///
    /// Default: 1.
    #[schemars(range(min = 0))]
    pub node_id: Option<i32>,
    /// The cluster's id.
    ///
    /// Default: a random one.
    pub cluster_id: Option<String>,
}

/// A broker that runs.
#[derive(Serialize, JsonSchema)]
pub struct RunningBroker {
    /// Its handle.
    pub handle: u32,
    /// Host and port that it listens on.
    pub address: String,
}

fn set<T>(field: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *field = value;
    }
}

impl Start {
    fn options(self) -> engine::BrokerOptions {
        let mut options = engine::BrokerOptions::new();
        set(&mut options.host, self.host);
        set(&mut options.port, self.port);
        options.advertised_host = self.advertised_host;
        options.advertised_port = self.advertised_port;
        set(&mut options.allow_non_loopback, self.allow_non_loopback);
        set(&mut options.partitions, self.partitions);
        set(&mut options.auto_create_topics, self.auto_create_topics);
        set(&mut options.max_message_bytes, self.max_message_bytes);
        options.retention_bytes = self.retention_bytes.map(u64::from);
        set(&mut options.group_initial_rebalance_delay_ms, self.group_initial_rebalance_delay_ms);
        set(&mut options.transaction_max_timeout_ms, self.transaction_max_timeout_ms);
        set(&mut options.transaction_version, self.transaction_version);
        set(&mut options.node_id, self.node_id);
        options.cluster_id = self.cluster_id;
        options
    }
}

impl Operation for Start {
    const NAME: &'static str = "environment.startBroker";
    type Target = Arc<Environment>;
    type Response = RunningBroker;

    async fn run(self, target: Self::Target) -> Result<RunningBroker, Failure> {
        let broker = engine::Broker::start_default(self.options()).await.map_err(failure)?;
        let address = broker.address().to_string();
        let handle = target.insert(Resource::Broker(Arc::new(broker)))?;
        Ok(RunningBroker { handle, address })
    }
}

fn failure(error: engine::BrokerError) -> Failure {
    let (code, class) = match error {
        engine::BrokerError::InvalidOption { .. }
        | engine::BrokerError::InvalidProperty(_)
        | engine::BrokerError::NotLoopback { .. } => {
            ("INVALID_CONFIG", Class::InvalidConfiguration)
        }
        _ => ("BROKER_UNREACHABLE", Class::ApplicationRecoverable),
    };
    Failure::new(code, class, error.to_string())
}

/// Stops the broker: closes its listener and all connections. What it held is gone.
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

/// What a fault rule does to a request.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "kind", deny_unknown_fields)]
pub enum FaultAction {
    /// Answers with an error.
    Error {
        /// Kafka's name or number of the error, such as `NOT_LEADER_OR_FOLLOWER` or 6.
        code: Named<Errors>,
        /// Before: the request is not applied. After: it is applied, then answered with the error.
        when: FaultWhen,
    },
    /// Waits.
    Delay {
        /// How long, in milliseconds.
        ms: u32,
        /// Before or after the request is applied.
        when: FaultWhen,
    },
    /// Loses the request (before) or its answer (after); the connection stays open and silent.
    Drop {
        /// Before or after the request is applied.
        when: FaultWhen,
    },
    /// Closes the connection.
    Close {
        /// Before or after the request is applied.
        when: FaultWhen,
    },
}

/// Before or after a request takes effect.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FaultWhen {
    /// The request takes no effect.
    Before,
    /// The request takes effect.
    After,
}

impl From<FaultWhen> for engine::When {
    fn from(when: FaultWhen) -> Self {
        match when {
            FaultWhen::Before => engine::When::Before,
            FaultWhen::After => engine::When::After,
        }
    }
}

impl FaultAction {
    fn action(self) -> Result<engine::Action, Failure> {
        Ok(match self {
            FaultAction::Error { code, when } => {
                engine::Action::Error { code: code.number("action.code")?, when: when.into() }
            }
            FaultAction::Delay { ms, when } => engine::Action::Delay { millis: ms.into(), when: when.into() },
            FaultAction::Drop { when } => engine::Action::Drop { when: when.into() },
            FaultAction::Close { when } => engine::Action::Close { when: when.into() },
        })
    }
}

/// Adds a fault rule. Conditions that are absent match everything.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "BrokerAddFault")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddFault {
    /// Requests of this API: Kafka's name or number of it, such as `Produce` or 0.
    pub api: Option<Named<Apis>>,
    /// Requests that name this topic; an error is then given to that topic only.
    pub topic: Option<String>,
    /// Requests that name this partition; an error is then given to that partition only.
    #[schemars(range(min = 0))]
    pub partition: Option<i32>,
    /// Requests of this `client.id`.
    pub client_id: Option<String>,
    /// The first matching request that the rule acts on, counted from 1.
    ///
    /// Default: 1.
    #[schemars(range(min = 1))]
    pub nth: Option<u32>,
    /// On how many matching requests it acts from there; 0: for ever.
    ///
    /// Default: 1.
    pub count: Option<u32>,
    /// What is done.
    pub action: FaultAction,
}

impl Immediate for AddFault {
    const NAME: &'static str = "broker.addFault";
    type Target = Broker;
    type Response = Int64;

    fn run(self, target: Broker) -> Result<Int64, Failure> {
        let mut rule = engine::Rule::new(self.action.action()?);
        rule.api = self.api.map(|api| api.number("api")).transpose()?;
        rule.topic = self.topic;
        rule.partition = self.partition;
        rule.client_id = self.client_id;
        rule.nth = self.nth.unwrap_or(1);
        rule.count = match self.count.unwrap_or(1) {
            0 => None,
            count => Some(count),
        };
        Ok(Int64(target.faults().add(rule).0 as i64))
    }
}

/// Removes a fault rule; false when it is not there.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "BrokerRemoveFault")]
pub struct RemoveFault {
    /// The rule's id.
    pub id: Int64,
}

impl Immediate for RemoveFault {
    const NAME: &'static str = "broker.removeFault";
    type Target = Broker;
    type Response = bool;

    fn run(self, target: Broker) -> Result<bool, Failure> {
        Ok(target.faults().remove(engine::faults::RuleId(self.id.0 as u64)))
    }
}

/// Removes all fault rules.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "BrokerClearFaults")]
pub struct ClearFaults {}

impl Immediate for ClearFaults {
    const NAME: &'static str = "broker.clearFaults";
    type Target = Broker;
    type Response = ();

    fn run(self, target: Broker) -> Result<(), Failure> {
        target.faults().clear();
        Ok(())
    }
}

/// How often a fault rule matched and acted.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FaultHits")]
pub struct Hits {
    /// Requests that matched.
    pub matched: Int64,
    /// Requests that the rule acted on.
    pub fired: Int64,
}

/// How often a fault rule matched and acted; also of one that was removed.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "BrokerFaultHits")]
pub struct FaultHits {
    /// The rule's id.
    pub id: Int64,
}

impl Immediate for FaultHits {
    const NAME: &'static str = "broker.faultHits";
    type Target = Broker;
    type Response = Hits;

    fn run(self, target: Broker) -> Result<Hits, Failure> {
        let hits = target.faults().hits(engine::faults::RuleId(self.id.0 as u64));
        Ok(Hits { matched: Int64(hits.matched as i64), fired: Int64(hits.fired as i64) })
    }
}
