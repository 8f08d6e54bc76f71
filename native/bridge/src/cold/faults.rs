//! Fault rules of the embedded broker.

use std::sync::Arc;

use dohle_broker as engine;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Immediate;
use super::names::{Apis, Errors, Named};
use super::values::Int64;
use crate::failure::Failure;

type Broker = Arc<engine::Broker>;

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
    /// Holds the request (before) or its answer (after) until the rule's release or removal.
    Hold {
        /// Before or after the request is applied.
        when: FaultWhen,
    },
    /// Sends only the first bytes of the answer, then closes the connection. The request takes effect.
    Truncate {
        /// How many bytes of the answer are sent, its four bytes of length included.
        bytes: u32,
    },
    /// Changes one byte of the answer. The request takes effect.
    Corrupt {
        /// Which byte, counted from the answer's length, so that 4 is the first of the correlation id.
        ///
        /// Default: one of the records that a Fetch answers, so that their CRC is wrong; in other answers one of the body.
        at: Option<u32>,
    },
    /// Asks the client to pause, and reads nothing more of this connection for that time (KIP-219).
    Throttle {
        /// How long, in milliseconds.
        ms: u32,
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
            FaultAction::Hold { when } => engine::Action::Hold { when: when.into() },
            FaultAction::Truncate { bytes } => engine::Action::Truncate { bytes: bytes as usize },
            FaultAction::Corrupt { at } => engine::Action::Corrupt { at: at.map(|at| at as usize) },
            FaultAction::Throttle { ms } => engine::Action::Throttle { millis: ms },
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
    /// Requests of this version of their API.
    #[schemars(range(min = 0))]
    pub version: Option<i16>,
    /// Requests to the node with this id.
    #[schemars(range(min = 0))]
    pub node: Option<i32>,
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
    /// How probable it is that it acts on a match that `nth` and `count` let it act on. The broker's `faultSeed`
    /// chooses: the same matches in every run.
    ///
    /// Default: 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub probability: Option<f64>,
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
        rule.version = self.version;
        rule.node = self.node;
        rule.probability = probability(self.probability.unwrap_or(1.0))?;
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

fn probability(given: f64) -> Result<f64, Failure> {
    match given {
        0.0..=1.0 => Ok(given),
        _ => Err(Failure::argument("probability", &format!("{given} is not between 0 and 1"))),
    }
}

/// Lets go the requests that a fault rule holds, and tells how many; it holds what it matches after.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "BrokerReleaseFault")]
pub struct ReleaseFault {
    /// The rule's id.
    pub id: Int64,
}

impl Immediate for ReleaseFault {
    const NAME: &'static str = "broker.releaseFault";
    type Target = Broker;
    type Response = Int64;

    fn run(self, target: Broker) -> Result<Int64, Failure> {
        Ok(Int64(target.faults().release(engine::RuleId(self.id.0 as u64)) as i64))
    }
}

/// Removes a fault rule and lets go what it holds; false when it is not there.
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
        Ok(target.faults().remove(engine::RuleId(self.id.0 as u64)))
    }
}

/// Removes all fault rules and lets go what they hold.
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
    /// Requests that the rule holds now.
    pub held: Int64,
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
        let hits = target.faults().hits(engine::RuleId(self.id.0 as u64));
        Ok(Hits { matched: Int64(hits.matched as i64), fired: Int64(hits.fired as i64), held: Int64(hits.held as i64) })
    }
}
