//! Fault rules: what tests tell the broker to do wrong. Plain data in ([`Rule`]), decisions out (`plan`), applied around
//! the APIs (`api`), in them (errors of one partition) and on the bytes of answers (`damage`).
//! Not a network simulator: what a client sends arrives unchanged.
//!
//! ```
//! use dohle_broker::{Action, Rule, When};
//! // The third Produce (API 0) to orders-0 is appended, then answered with REQUEST_TIMED_OUT (code 7).
//! let rule = Rule::new(Action::Error { code: 7, when: When::After })
//!     .api(0)
//!     .topic("orders")
//!     .partition(0)
//!     .nth(3);
//! ```

mod damage;
mod plan;
mod rules;

pub(crate) use damage::Damage;
pub(crate) use plan::{Cut, Plan};
pub(crate) use rules::Asked;
pub use rules::{Faults, Hits, RuleId};

/// When a rule matches, and what happens then. Absent conditions match everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Kafka's number of the API, such as 0 for Produce.
    pub api: Option<i16>,
    /// Requests of this version of their API.
    pub version: Option<i16>,
    /// Requests to the node with this id.
    pub node: Option<i32>,
    /// Requests that name this topic; an error is then given to that topic only.
    pub topic: Option<String>,
    /// Requests that name this partition; an error is then given to that partition only.
    pub partition: Option<i32>,
    /// Requests of this `client.id`.
    pub client_id: Option<String>,
    /// The first matching request that the rule acts on, counted from 1. Default 1.
    pub nth: u32,
    /// On how many matching requests it acts from there. Default 1; `None` acts for ever.
    pub count: Option<u32>,
    /// How probable it is that the rule acts on a match that `nth` and `count` let it act on, from 0 to 1. Default 1.
    /// The same seed ([`BrokerOptions::fault_seed`](crate::BrokerOptions::fault_seed)) chooses the same matches.
    pub probability: f64,
    /// What is done.
    pub action: Action,
}

/// What a rule does to a request.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Answers with this error code, instead of applying the request or after applying it.
    Error {
        /// Kafka's error code.
        code: i16,
        /// Instead of (`Before`) or after (`After`) the request is applied.
        when: When,
    },
    /// Waits, before the request is applied or before it is answered.
    Delay {
        /// How long.
        millis: u64,
        /// Before or after the request is applied.
        when: When,
    },
    /// The request (`Before`) or its answer (`After`) is lost: the connection stays open and silent from here on,
    /// as TCP cannot lose something in the middle.
    Drop {
        /// Before or after the request is applied.
        when: When,
    },
    /// Closes the connection.
    Close {
        /// Before or after the request is applied.
        when: When,
    },
    /// Holds the request (`Before`) or its answer (`After`) until [`Faults::release`], or until the rule is removed.
    Hold {
        /// Before or after the request is applied.
        when: When,
    },
    /// Sends only the first bytes of the answer, then closes the connection. The request takes effect.
    Truncate {
        /// How many bytes of the answer are sent, its four bytes of length included.
        bytes: usize,
    },
    /// Changes one byte of the answer. The request takes effect.
    Corrupt {
        /// Which: counted from the answer's length, so that 4 is the first of the correlation id. `None` takes a byte
        /// of the records that a Fetch answers, so that their CRC is wrong; in other answers any byte of the body.
        at: Option<usize>,
    },
    /// Asks the client to pause (`throttle_time_ms`), and reads nothing more of this connection for that time (KIP-219).
    Throttle {
        /// How long.
        millis: u32,
    },
}

/// Before or after a request takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The request takes no effect.
    Before,
    /// The request takes effect.
    After,
}

impl Rule {
    /// A rule that acts on the first request of any kind.
    pub fn new(action: Action) -> Self {
        Self {
            api: None,
            version: None,
            node: None,
            topic: None,
            partition: None,
            client_id: None,
            nth: 1,
            count: Some(1),
            probability: 1.0,
            action,
        }
    }

    /// Only requests of this API, by Kafka's number: `ApiKey::PRODUCE.0`.
    pub fn api(mut self, api: i16) -> Self {
        self.api = Some(api);
        self
    }

    /// Only requests of this version of their API.
    pub fn version(mut self, version: i16) -> Self {
        self.version = Some(version);
        self
    }

    /// Only requests to the node with this id.
    pub fn node(mut self, node: i32) -> Self {
        self.node = Some(node);
        self
    }

    /// Only requests that name this topic.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// Only requests that name this partition.
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Only requests of this `client.id`.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// Acts first on the `nth` match, counted from 1.
    pub fn nth(mut self, nth: u32) -> Self {
        self.nth = nth;
        self
    }

    /// Acts on this many matches.
    pub fn count(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    /// Acts on every match from the `nth` on.
    pub fn forever(mut self) -> Self {
        self.count = None;
        self
    }

    /// Acts with this probability, from 0 to 1, on each match that it could act on.
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }
}
