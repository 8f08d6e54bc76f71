//! What the rules say about one request.

use std::{sync::Arc, time::Duration};

use dohle_protocol::ErrorCode;

use super::{
    Action, Damage, Rule, When,
    rules::{Gate, Held},
};
use crate::topics::Refusal;

/// What the rules say about one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    before: Side,
    after: Side,
    /// How long the client is asked to pause.
    pub throttle: Duration,
    /// What becomes of the answer's bytes.
    pub damage: Damage,
    errors: Vec<Injected>,
}

/// What happens before a request is applied, or after.
#[derive(Clone, Debug, Default)]
struct Side {
    delay: Duration,
    held: Vec<Held>,
    cut: Option<Cut>,
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

impl Plan {
    /// Adds what a rule does. `drawn` is random, but the same for the same seed, rule and match.
    pub(super) fn add(&mut self, rule: &Rule, gate: &Arc<Gate>, drawn: u64) {
        match rule.action {
            Action::Delay { millis, when } => self.side(when).delay += Duration::from_millis(millis),
            Action::Drop { when } => self.cut(when, Cut::Silence),
            Action::Close { when } => self.cut(when, Cut::Close),
            Action::Hold { when } => self.side(when).held.push(gate.hold()),
            Action::Truncate { bytes } => self.damage.truncate(bytes),
            Action::Corrupt { at } => self.damage.corrupt(at, drawn),
            Action::Throttle { millis } => self.throttle = self.throttle.max(Duration::from_millis(millis.into())),
            Action::Error { code, when } => {
                let (topic, partition) = (rule.topic.clone(), rule.partition);
                self.errors.push(Injected { topic, partition, code: ErrorCode(code), when });
            }
        }
    }

    fn side(&mut self, when: When) -> &mut Side {
        match when {
            When::Before => &mut self.before,
            When::After => &mut self.after,
        }
    }

    fn cut(&mut self, when: When, cut: Cut) {
        let side = self.side(when);
        side.cut = side.cut.or(Some(cut));
    }

    /// What happens before the request is applied: it waits, or the conversation ends.
    pub async fn before(&self) -> Result<(), Cut> {
        self.before.pass().await
    }

    /// What happens before the request is answered.
    pub async fn after(&self) -> Result<(), Cut> {
        self.after.pass().await
    }

    /// The error for the request as a whole.
    pub fn whole(&self, when: When) -> Option<ErrorCode> {
        let whole = |error: &&Injected| error.topic.is_none() && error.partition.is_none() && error.when == when;
        self.errors.iter().find(whole).map(|error| error.code)
    }

    /// Refuses a topic: the client may not do to it what it asks for.
    pub fn forbid(&mut self, topic: String) {
        let code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
        self.errors.insert(0, Injected { topic: Some(topic), partition: None, code, when: When::Before });
    }

    /// Runs `apply` for one topic or partition (−1: the topic), unless a rule answers in its place or after it.
    pub fn guard<T>(
        &self,
        (topic, partition): Target<'_>,
        apply: impl FnOnce() -> Result<T, ErrorCode>,
    ) -> Result<T, ErrorCode> {
        self.guarded((topic, partition), apply, |code| code)
    }

    /// As [`guard`](Self::guard), where a refusal says why; that of a rule has Kafka's text.
    pub fn guard_saying<T>(
        &self,
        target: Target<'_>,
        apply: impl FnOnce() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.guarded(target, apply, |code| (code, code.text().into()))
    }

    fn guarded<T, E>(
        &self,
        target: Target<'_>,
        apply: impl FnOnce() -> Result<T, E>,
        refusal: fn(ErrorCode) -> E,
    ) -> Result<T, E> {
        match self.at(target) {
            None => apply(),
            Some((code, When::Before)) => Err(refusal(code)),
            Some((code, When::After)) => apply().and(Err(refusal(code))),
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

impl Side {
    async fn pass(&self) -> Result<(), Cut> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        for held in &self.held {
            held.released().await;
        }
        self.cut.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::{Asked, Faults};

    const TIMED_OUT: Action = Action::Error { code: 7, when: When::After };

    fn plan(faults: &Faults, targets: &[(String, i32)]) -> Plan {
        faults.plan(&Asked { api: 0, version: 12, node: 1, client_id: Some("me"), targets })
    }

    #[test]
    fn an_error_for_a_partition_spares_the_others() {
        let faults = Faults::default();
        let id = faults.add(Rule::new(TIMED_OUT).topic("t").partition(1).forever());
        let targets = [("t".to_string(), 0), ("t".to_string(), 1)];
        let both = plan(&faults, &targets);
        assert_eq!(both.whole(When::After), None);
        let mut applied = 0;
        let mut apply = |partition| {
            both.guard(("t", partition), || {
                applied += 1;
                Ok(())
            })
        };
        assert_eq!((apply(0), apply(1)), (Ok(()), Err(ErrorCode(7))));
        assert_eq!(applied, 2, "After: the request takes effect");
        plan(&faults, &targets[..1]);
        assert_eq!(faults.hits(id).matched, 1, "a request that does not name it");
    }

    #[tokio::test]
    async fn rules_add_up() {
        let faults = Faults::default();
        faults.add(Rule::new(Action::Delay { millis: 5, when: When::Before }).client_id("me"));
        faults.add(Rule::new(Action::Delay { millis: 7, when: When::Before }));
        faults.add(Rule::new(Action::Close { when: When::After }));
        faults.add(Rule::new(Action::Drop { when: When::After }));
        faults.add(Rule::new(Action::Throttle { millis: 50 }));
        faults.add(Rule::new(Action::Throttle { millis: 20 }));
        let plan = plan(&faults, &[]);
        let start = tokio::time::Instant::now();
        assert_eq!(plan.before().await, Ok(()));
        assert!(start.elapsed() >= Duration::from_millis(12), "5 and 7");
        assert_eq!(plan.after().await, Err(Cut::Close), "the first that ends the conversation");
        assert_eq!(plan.throttle, Duration::from_millis(50));
    }
}
