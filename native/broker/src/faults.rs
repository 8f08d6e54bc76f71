//! Fault rules: what tests tell the broker to do wrong. Plain data in, decisions out; applied by the connection
//! (delay, drop, close) and by the APIs (errors of one partition). Not a network simulator: bytes are never changed.
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

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use parking_lot::Mutex;

/// When a rule matches, and what happens then. Absent conditions match everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Kafka's number of the API, such as 0 for Produce.
    pub api: Option<i16>,
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
}

/// Before or after a request takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The request takes no effect.
    Before,
    /// The request takes effect.
    After,
}

/// Names a rule that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u64);

/// How often a rule matched and acted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// Requests that matched.
    pub matched: u64,
    /// Requests that the rule acted on.
    pub fired: u64,
}

/// The fault rules of one broker. Clones share the rules.
#[derive(Clone, Default)]
pub struct Faults {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Length of `rules`, read without the lock on every request.
    armed: AtomicUsize,
    rules: Mutex<Rules>,
}

#[derive(Default)]
struct Rules {
    next_id: u64,
    rules: Vec<(RuleId, Rule, Hits)>,
    /// Hits of rules that were removed or cleared are kept: tests ask afterwards.
    gone: Vec<(RuleId, Hits)>,
}

impl Rule {
    /// A rule that acts on the first request of any kind.
    pub fn new(action: Action) -> Self {
        Self { api: None, topic: None, partition: None, client_id: None, nth: 1, count: Some(1), action }
    }

    /// Only requests of this API, by Kafka's number: `ApiKey::PRODUCE.0`.
    pub fn api(mut self, api: i16) -> Self {
        self.api = Some(api);
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
}

impl Faults {
    /// Adds a rule. Every rule that matches a request acts on it, in the order they were added.
    pub fn add(&self, rule: Rule) -> RuleId {
        let mut rules = self.shared.rules.lock();
        let id = RuleId(rules.next_id);
        rules.next_id += 1;
        rules.rules.push((id, rule, Hits::default()));
        self.shared.armed.store(rules.rules.len(), Ordering::Release);
        id
    }

    /// Removes a rule; false when it was not there.
    pub fn remove(&self, id: RuleId) -> bool {
        let mut rules = self.shared.rules.lock();
        let Some(at) = rules.rules.iter().position(|(other, ..)| *other == id) else { return false };
        let (id, _, hits) = rules.rules.remove(at);
        rules.gone.push((id, hits));
        self.shared.armed.store(rules.rules.len(), Ordering::Release);
        true
    }

    /// Removes all rules.
    pub fn clear(&self) {
        let mut rules = self.shared.rules.lock();
        let gone: Vec<_> = rules.rules.drain(..).map(|(id, _, hits)| (id, hits)).collect();
        rules.gone.extend(gone);
        self.shared.armed.store(0, Ordering::Release);
    }

    /// The hits of a rule, also of one that was removed. Unknown rules have none.
    pub fn hits(&self, id: RuleId) -> Hits {
        let rules = self.shared.rules.lock();
        let here = rules.rules.iter().find(|(other, ..)| *other == id).map(|(_, _, hits)| *hits);
        here.or_else(|| rules.gone.iter().find(|(other, _)| *other == id).map(|(_, hits)| *hits)).unwrap_or_default()
    }

    /// The rules in force.
    pub fn rules(&self) -> Vec<(RuleId, Rule, Hits)> {
        self.shared.rules.lock().rules.clone()
    }
}
