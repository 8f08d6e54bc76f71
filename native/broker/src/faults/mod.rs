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

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dohle_protocol::ErrorCode;
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

/// What the rules say about one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    pub delay_before: Duration,
    pub delay_after: Duration,
    pub cut_before: Option<Cut>,
    pub cut_after: Option<Cut>,
    errors: Vec<Injected>,
}

/// An end of the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Silence,
    Close,
}

#[derive(Clone, Debug, PartialEq)]
struct Injected {
    topic: Option<String>,
    partition: Option<i32>,
    code: ErrorCode,
    when: When,
}

/// A topic and partition that a request names; partition −1 when it names the topic only.
pub(crate) type Target<'a> = (&'a str, i32);

impl Faults {
    /// Whether any rule is in force: one atomic read for everybody who uses none.
    pub(crate) fn armed(&self) -> bool {
        self.shared.armed.load(Ordering::Acquire) > 0
    }

    /// Counts a request against every rule and collects what they do to it.
    pub(crate) fn plan(&self, api: i16, client_id: Option<&str>, targets: &[(String, i32)]) -> Plan {
        let mut plan = Plan::default();
        for (_, rule, hits) in &mut self.shared.rules.lock().rules {
            if !rule.matches(api, client_id, targets) {
                continue;
            }
            hits.matched += 1;
            let first = u64::from(rule.nth.max(1));
            let fires = hits.matched >= first && rule.count.is_none_or(|count| hits.matched < first + u64::from(count));
            if fires {
                hits.fired += 1;
                plan.add(rule);
            }
        }
        plan
    }
}

impl Rule {
    fn matches(&self, api: i16, client_id: Option<&str>, targets: &[(String, i32)]) -> bool {
        let names = |(topic, partition): &(String, i32)| self.covers(topic, *partition);
        self.api.is_none_or(|wanted| wanted == api)
            && self.client_id.as_deref().is_none_or(|wanted| Some(wanted) == client_id)
            && (self.topic.is_none() && self.partition.is_none() || targets.iter().any(names))
    }

    fn covers(&self, topic: &str, partition: i32) -> bool {
        self.topic.as_deref().is_none_or(|wanted| wanted == topic)
            && self.partition.is_none_or(|wanted| wanted == partition)
    }
}

impl Plan {
    fn add(&mut self, rule: &Rule) {
        let cut = |into: &mut Option<Cut>, cut| *into = into.or(Some(cut));
        match rule.action {
            Action::Delay { millis, when: When::Before } => self.delay_before += Duration::from_millis(millis),
            Action::Delay { millis, when: When::After } => self.delay_after += Duration::from_millis(millis),
            Action::Drop { when: When::Before } => cut(&mut self.cut_before, Cut::Silence),
            Action::Drop { when: When::After } => cut(&mut self.cut_after, Cut::Silence),
            Action::Close { when: When::Before } => cut(&mut self.cut_before, Cut::Close),
            Action::Close { when: When::After } => cut(&mut self.cut_after, Cut::Close),
            Action::Error { code, when } => {
                let (topic, partition) = (rule.topic.clone(), rule.partition);
                self.errors.push(Injected { topic, partition, code: ErrorCode(code), when });
            }
        }
    }

    /// The error for the request as a whole.
    pub fn whole(&self, when: When) -> Option<ErrorCode> {
        let whole = |error: &&Injected| error.topic.is_none() && error.partition.is_none() && error.when == when;
        self.errors.iter().find(whole).map(|error| error.code)
    }

    /// Runs `apply` for one topic or partition (−1: the topic), unless a rule answers in its place or after it.
    pub fn guard<T>(
        &self,
        (topic, partition): Target<'_>,
        apply: impl FnOnce() -> Result<T, ErrorCode>,
    ) -> Result<T, ErrorCode> {
        match self.at((topic, partition)) {
            None => apply(),
            Some((code, When::Before)) => Err(code),
            Some((code, When::After)) => apply().and(Err(code)),
        }
    }

    /// The error for one topic or partition.
    pub fn at(&self, (topic, partition): Target<'_>) -> Option<(ErrorCode, When)> {
        let covers = |error: &&Injected| {
            (error.topic.is_some() || error.partition.is_some())
                && error.topic.as_deref().is_none_or(|wanted| wanted == topic)
                && error.partition.is_none_or(|wanted| wanted == partition)
        };
        self.errors.iter().find(covers).map(|error| (error.code, error.when))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMED_OUT: Action = Action::Error { code: 7, when: When::After };

    fn fires(faults: &Faults, api: i16, targets: &[(String, i32)]) -> bool {
        faults.plan(api, Some("me"), targets) != Plan::default()
    }

    #[test]
    fn a_rule_acts_on_the_nth_match_and_as_many_as_it_is_told() {
        let faults = Faults::default();
        let id = faults.add(Rule::new(TIMED_OUT).api(0).nth(2).count(2));
        let fired: Vec<bool> = (0..5).map(|_| fires(&faults, 0, &[])).collect();
        assert_eq!(fired, [false, true, true, false, false]);
        assert!(!fires(&faults, 1, &[]), "another API");
        assert_eq!(faults.hits(id), Hits { matched: 5, fired: 2 });
        assert!(faults.remove(id));
        assert_eq!(faults.hits(id).fired, 2, "known after removal");
        assert!(!faults.armed());
    }

    #[test]
    fn an_error_for_a_partition_spares_the_others() {
        let faults = Faults::default();
        faults.add(Rule::new(TIMED_OUT).topic("t").partition(1).forever());
        let targets = [("t".to_string(), 0), ("t".to_string(), 1)];
        let plan = faults.plan(0, None, &targets);
        assert_eq!(plan.whole(When::After), None);
        let mut applied = 0;
        assert_eq!(
            plan.guard(("t", 0), || {
                applied += 1;
                Ok(())
            }),
            Ok(())
        );
        assert_eq!(
            plan.guard(("t", 1), || {
                applied += 1;
                Ok(())
            }),
            Err(ErrorCode(7))
        );
        assert_eq!(applied, 2, "After: the request takes effect");
        assert!(!fires(&faults, 0, &targets[..1]));
    }

    #[test]
    fn rules_add_up() {
        let faults = Faults::default();
        faults.add(Rule::new(Action::Delay { millis: 5, when: When::Before }).client_id("me"));
        faults.add(Rule::new(Action::Close { when: When::After }));
        let plan = faults.plan(3, Some("me"), &[]);
        assert_eq!(plan.delay_before, Duration::from_millis(5));
        assert_eq!(plan.cut_after, Some(Cut::Close));
    }
}
