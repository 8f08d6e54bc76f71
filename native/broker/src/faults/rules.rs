//! The rules in force: which of them act on a request, how often they did, and who waits for the release of one.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Plan, Rule};
use crate::collections::Map;

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
    /// Requests that the rule holds now.
    pub held: u64,
}

/// The fault rules of one broker. Clones share the rules.
#[derive(Clone, Default)]
pub struct Faults {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    seed: u64,
    /// Length of `rules`, read without the lock on every request.
    armed: AtomicUsize,
    rules: Mutex<Rules>,
}

#[derive(Default)]
struct Rules {
    next_id: u64,
    rules: Vec<Armed>,
    /// Hits of rules that were removed or cleared are kept: tests ask afterwards.
    gone: Map<RuleId, Counts>,
}

struct Armed {
    id: RuleId,
    rule: Rule,
    counts: Counts,
}

#[derive(Clone, Default)]
struct Counts {
    matched: u64,
    fired: u64,
    gate: Arc<Gate>,
}

/// Where requests wait for the release of a rule.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    releases: AtomicU64,
    held: AtomicU64,
    opened: Notify,
}

/// A request that a gate holds.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    gate: Arc<Gate>,
    /// Releases when the request was matched: the next one lets it go.
    since: u64,
}

/// What a request is matched by.
pub(crate) struct Asked<'a> {
    pub api: i16,
    pub version: i16,
    pub node: i32,
    pub client_id: Option<&'a str>,
    /// Partition −1: the topic only.
    pub targets: &'a [(String, i32)],
}

impl Faults {
    /// No rules; `seed` decides what rules with a probability act on.
    pub fn new(seed: u64) -> Self {
        Self { shared: Arc::new(Shared { seed, ..Shared::default() }) }
    }

    /// Adds a rule. Every rule that matches a request acts on it, in the order they were added.
    pub fn add(&self, rule: Rule) -> RuleId {
        let mut rules = self.shared.rules.lock();
        let id = RuleId(rules.next_id);
        rules.next_id += 1;
        rules.rules.push(Armed { id, rule, counts: Counts::default() });
        self.shared.armed.store(rules.rules.len(), Ordering::Release);
        id
    }

    /// Removes a rule and lets go what it holds; false when it was not there.
    pub fn remove(&self, id: RuleId) -> bool {
        let mut rules = self.shared.rules.lock();
        let Some(at) = rules.rules.iter().position(|armed| armed.id == id) else { return false };
        let armed = rules.rules.remove(at);
        rules.retire(armed);
        self.shared.armed.store(rules.rules.len(), Ordering::Release);
        true
    }

    /// Removes all rules and lets go what they hold.
    pub fn clear(&self) {
        let mut rules = self.shared.rules.lock();
        for armed in std::mem::take(&mut rules.rules) {
            rules.retire(armed);
        }
        self.shared.armed.store(0, Ordering::Release);
    }

    /// Lets go the requests that a rule holds, and tells how many; the rule holds what it matches after.
    pub fn release(&self, id: RuleId) -> u64 {
        let rules = self.shared.rules.lock();
        rules.counts(id).map_or(0, |counts| counts.gate.open())
    }

    /// The hits of a rule, also of one that was removed. Unknown rules have none.
    pub fn hits(&self, id: RuleId) -> Hits {
        self.shared.rules.lock().counts(id).map(Counts::hits).unwrap_or_default()
    }

    /// The rules in force.
    pub fn rules(&self) -> Vec<(RuleId, Rule, Hits)> {
        let rules = self.shared.rules.lock();
        rules.rules.iter().map(|armed| (armed.id, armed.rule.clone(), armed.counts.hits())).collect()
    }

    /// Whether any rule is in force: one atomic read for everybody who uses none.
    pub(crate) fn armed(&self) -> bool {
        self.shared.armed.load(Ordering::Acquire) > 0
    }

    /// Counts a request against every rule and collects what they do to it.
    pub(crate) fn plan(&self, asked: &Asked<'_>) -> Plan {
        let mut plan = Plan::default();
        for Armed { id, rule, counts } in &mut self.shared.rules.lock().rules {
            if !rule.matches(asked) {
                continue;
            }
            counts.matched += 1;
            let first = u64::from(rule.nth.max(1));
            let within =
                counts.matched >= first && rule.count.is_none_or(|count| counts.matched < first + u64::from(count));
            let drawn = draw(self.shared.seed, id.0, counts.matched);
            if within && chosen(drawn, rule.probability) {
                counts.fired += 1;
                plan.add(rule, &counts.gate, drawn);
            }
        }
        plan
    }
}

impl Rules {
    fn retire(&mut self, armed: Armed) {
        armed.counts.gate.open();
        self.gone.insert(armed.id, armed.counts);
    }

    fn counts(&self, id: RuleId) -> Option<&Counts> {
        let here = self.rules.iter().find(|armed| armed.id == id).map(|armed| &armed.counts);
        here.or_else(|| self.gone.get(&id))
    }
}

impl Counts {
    fn hits(&self) -> Hits {
        Hits { matched: self.matched, fired: self.fired, held: self.gate.held.load(Ordering::SeqCst) }
    }
}

impl Gate {
    /// A place in the queue, taken when the request is matched.
    pub fn hold(self: &Arc<Self>) -> Held {
        Held { gate: self.clone(), since: self.releases.load(Ordering::SeqCst) }
    }

    fn open(&self) -> u64 {
        // Counted first: who is let go counts itself out at once.
        let held = self.held.load(Ordering::SeqCst);
        self.releases.fetch_add(1, Ordering::SeqCst);
        self.opened.notify_waiters();
        held
    }
}

impl Held {
    /// Waits for the release. Counted as held only while it is polled: a client that hangs up is none.
    pub async fn released(&self) {
        struct Counted<'a>(&'a AtomicU64);
        impl Drop for Counted<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.gate.held.fetch_add(1, Ordering::SeqCst);
        let _counted = Counted(&self.gate.held);
        loop {
            // Made before looking: it gets what is told from here on.
            let opened = self.gate.opened.notified();
            if self.gate.releases.load(Ordering::SeqCst) != self.since {
                return;
            }
            opened.await;
        }
    }
}

impl Rule {
    fn matches(&self, asked: &Asked<'_>) -> bool {
        let names = |(topic, partition): &(String, i32)| self.covers(topic, *partition);
        self.api.is_none_or(|wanted| wanted == asked.api)
            && self.version.is_none_or(|wanted| wanted == asked.version)
            && self.node.is_none_or(|wanted| wanted == asked.node)
            && self.client_id.as_deref().is_none_or(|wanted| Some(wanted) == asked.client_id)
            && (self.topic.is_none() && self.partition.is_none() || asked.targets.iter().any(names))
    }

    fn covers(&self, topic: &str, partition: i32) -> bool {
        self.topic.as_deref().is_none_or(|wanted| wanted == topic)
            && self.partition.is_none_or(|wanted| wanted == partition)
    }
}

/// 64 bits that depend on nothing but these three: what other rules and connections do changes no draw.
fn draw(seed: u64, rule: u64, matched: u64) -> u64 {
    let mixed = |value: u64| {
        let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    };
    mixed(mixed(mixed(seed).wrapping_add(rule)).wrapping_add(matched))
}

fn chosen(drawn: u64, probability: f64) -> bool {
    // The upper 53 bits are a fraction below 1.
    probability >= 1.0 || ((drawn >> 11) as f64) < probability * (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, time::Duration};

    use tokio::time::timeout;

    use super::*;
    use crate::{Action, When};

    const TIMED_OUT: Action = Action::Error { code: 7, when: When::After };

    fn asked(targets: &[(String, i32)]) -> Asked<'_> {
        Asked { api: 0, version: 12, node: 1, client_id: Some("me"), targets }
    }

    fn fires(faults: &Faults, asked: &Asked<'_>) -> bool {
        faults.plan(asked).whole(When::After).is_some()
    }

    #[test]
    fn a_rule_acts_on_the_nth_match_and_as_many_as_it_is_told() {
        let faults = Faults::default();
        let id = faults.add(Rule::new(TIMED_OUT).api(0).nth(2).count(2));
        let fired: Vec<bool> = (0..5).map(|_| fires(&faults, &asked(&[]))).collect();
        assert_eq!(fired, [false, true, true, false, false]);
        assert!(!fires(&faults, &Asked { api: 1, ..asked(&[]) }), "another API");
        assert_eq!(faults.hits(id), Hits { matched: 5, fired: 2, held: 0 });
        assert!(faults.remove(id));
        assert_eq!(faults.hits(id).fired, 2, "known after removal");
        assert!(!faults.armed());
    }

    #[test]
    fn version_node_and_client_are_conditions() {
        let faults = Faults::default();
        faults.add(Rule::new(TIMED_OUT).version(12).node(1).client_id("me").forever());
        assert!(fires(&faults, &asked(&[])));
        assert!(!fires(&faults, &Asked { version: 11, ..asked(&[]) }));
        assert!(!fires(&faults, &Asked { node: 2, ..asked(&[]) }));
        assert!(!fires(&faults, &Asked { client_id: None, ..asked(&[]) }));
    }

    #[test]
    fn the_same_seed_chooses_the_same_matches() {
        let choose = |seed| {
            let faults = Faults::new(seed);
            faults.add(Rule::new(TIMED_OUT).probability(0.3).forever());
            (0..10_000).map(|_| fires(&faults, &asked(&[]))).collect::<Vec<bool>>()
        };
        assert_eq!(choose(7), choose(7));
        assert_ne!(choose(7), choose(8));
        let chosen = choose(7).iter().filter(|yes| **yes).count();
        assert!((2_800..3_200).contains(&chosen), "{chosen} of 10,000 by a probability of 0.3");
        let never = Faults::default();
        never.add(Rule::new(TIMED_OUT).probability(0.0).forever());
        assert!((0..1_000).all(|_| !fires(&never, &asked(&[]))));
    }

    async fn waits(future: impl Future) -> bool {
        timeout(Duration::ZERO, future).await.is_err()
    }

    #[tokio::test]
    async fn a_release_lets_go_who_waits_and_holds_who_comes_after() {
        let faults = Faults::default();
        let id = faults.add(Rule::new(Action::Hold { when: When::Before }).forever());
        let plans: Vec<Plan> = (0..2).map(|_| faults.plan(&asked(&[]))).collect();
        let (mut first, mut second) = (pin!(plans[0].before()), pin!(plans[1].before()));
        assert!(waits(first.as_mut()).await && waits(second.as_mut()).await);
        assert_eq!(faults.release(id), 2);
        assert_eq!((first.await, second.await), (Ok(()), Ok(())));
        let late = faults.plan(&asked(&[]));
        let mut third = pin!(late.before());
        assert!(waits(third.as_mut()).await);
        assert_eq!(faults.hits(id).held, 1);
        assert!(faults.remove(id));
        assert_eq!(third.await, Ok(()));
        assert_eq!(faults.hits(id), Hits { matched: 3, fired: 3, held: 0 });
    }
}
