//! The task that keeps metadata fresh: decides when to ask, whom, and about what.
//!
//! At most one refresh is under way. Requests for another, made meanwhile, become one more afterwards; failures back off;
//! topics that the cluster does not know (yet) are asked for again at the pace of retries.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::metadata_request::MetadataRequestTopic;
use dohle_protocol::messages::{MetadataRequest, MetadataResponse};
use futures_util::FutureExt;
use tokio::time::{Instant, sleep_until};

use super::merge::{self, Asked};
use super::snapshot::Snapshot;
use super::state::{Inner, Plan, State};
use crate::collections::Set;
use crate::error::{Error, ErrorKind, Result};
use crate::generated::options::MetadataRecoveryStrategy;
use crate::net::{Connection, Lane};

/// First version with `allow_auto_topic_creation`; brokers before it always create.
const AUTO_CREATE_FLAG: i16 = 4;

/// Runs until the client closes. A panic closes the metadata with that error, which everyone who waits is told.
pub(super) async fn run(inner: Arc<Inner>) {
    if let Err(payload) = AssertUnwindSafe(refresh(&inner)).catch_unwind().await {
        inner.close(Error::panicked("the metadata task", &*payload));
    }
}

async fn refresh(inner: &Inner) {
    while let Some(plan) = inner.next_plan().await {
        let outcome = inner.round(&plan).await;
        inner.finish_round(&plan, outcome);
    }
}

/// After this many answers in a row without the broker that leads a partition, it is not believed to lead it.
const UNLISTED_ANSWERS: u32 = 5;

impl Inner {
    /// Waits until there is something to ask; none at the end.
    async fn next_plan(&self) -> Option<Plan> {
        loop {
            let notified = self.wake.notified();
            let due = {
                let mut state = self.state.lock();
                if state.closed.is_some() {
                    return None;
                }
                let due = state.due(self.options.metadata_max_age);
                if due.is_some_and(|due| due <= Instant::now()) {
                    return Some(state.begin(&self.snapshot(), self.options.metadata_max_age));
                }
                due
            };
            tokio::select! {
                biased;
                () = notified => {}
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
    }

    /// One refresh: the first server that answers.
    async fn round(&self, plan: &Plan) -> Result<()> {
        let mut failed: Set<i32> = Set::default();
        let mut from_bootstrap = self.is_rebootstrap_due() || self.pool.routing().take_misrouted();
        loop {
            let candidates = self.candidates(from_bootstrap, &failed);
            let connection = self.pool.first_reachable(&candidates, Lane::General).await?;
            let error = match self.ask_all(&connection, plan).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            tracing::debug!(node = connection.node(), %error, "metadata refresh failed");
            if error.broker_code() == Some(ErrorCode::REBOOTSTRAP_REQUIRED) && self.may_rebootstrap() {
                from_bootstrap = true;
            }
            failed.insert(connection.node());
            if self.candidates(from_bootstrap, &failed).is_empty() {
                return Err(error);
            }
        }
    }

    /// Known brokers first; the bootstrap servers behind them, since all known brokers may have been replaced (KIP-899).
    pub(super) fn candidates(&self, from_bootstrap: bool, failed: &Set<i32>) -> Vec<i32> {
        let random = || self.world.random_u64();
        let known = self.snapshot().brokers.keys().copied().collect::<Vec<_>>();
        let known = if from_bootstrap { Vec::new() } else { self.pool.order(known, random) };
        let bootstrap = if known.is_empty() || self.may_rebootstrap() {
            self.pool.order(self.pool.bootstrap().iter().copied(), random)
        } else {
            Vec::new()
        };
        known.into_iter().chain(bootstrap).filter(|node| !failed.contains(node)).collect()
    }

    fn may_rebootstrap(&self) -> bool {
        self.options.metadata_recovery_strategy == MetadataRecoveryStrategy::Rebootstrap
    }

    /// KIP-1102: connections work, but metadata has not come for long: the known brokers may be the wrong ones.
    fn is_rebootstrap_due(&self) -> bool {
        let trigger = self.options.metadata_recovery_rebootstrap_trigger;
        let failing_since = self.state.lock().failing_since;
        self.may_rebootstrap() && failing_since.is_some_and(|since| since.elapsed() >= trigger)
    }

    async fn ask_all(&self, connection: &Connection, plan: &Plan) -> Result<()> {
        let version = connection.version::<MetadataRequest>()?;
        if plan.all {
            self.ask(connection, version, Asked::All, false).await?;
        } else if !plan.names.is_empty() || plan.create.is_empty() {
            self.ask(connection, version, Asked::Topics(plan.names.clone()), false).await?;
        }
        if !plan.create.is_empty() {
            self.ask(connection, version, Asked::Topics(plan.create.clone()), true).await?;
        }
        Ok(())
    }

    async fn ask(&self, connection: &Connection, version: i16, asked: Asked, create: bool) -> Result<()> {
        let request = request(version, &asked, create);
        let exchange = connection.send(version, &request, self.options.request_timeout)?;
        let response: MetadataResponse = exchange.response().await?;
        if response.error_code != 0 {
            return Err(Error::broker(ErrorCode(response.error_code), "Metadata"));
        }
        if response.brokers.is_empty() {
            return Err(Error::new(
                ErrorKind::BrokerUnreachable,
                "the server knows of no broker yet; it may be starting",
            ));
        }
        // Version 0 answers an empty question with all topics: they were not asked for.
        let asked =
            if version == 0 && matches!(&asked, Asked::Topics(names) if names.is_empty()) { Asked::All } else { asked };
        self.publish(|old| Some(merge::merge(old, response, version, &asked)));
        Ok(())
    }

    fn finish_round(&self, plan: &Plan, outcome: Result<()>) {
        let round = {
            let mut state = self.state.lock();
            let now = Instant::now();
            match &outcome {
                Ok(()) => self.note_success(&mut state, plan, now),
                Err(error) => {
                    let pause = state.failures.next(&*self.world);
                    // Once, and not what the pool has told of: a broker that lets us in and then hangs up fails here only.
                    let hangs_up = error.kind() == ErrorKind::Disconnected && state.failing_since.is_some();
                    if hangs_up && !std::mem::replace(&mut state.told_failing, true) {
                        tracing::warn!(%error, "no metadata of the cluster; trying again");
                    }
                    tracing::debug!(%error, ?pause, "metadata refresh failed; trying again");
                    state.not_before = Some(now + pause);
                    state.failing_since.get_or_insert(now);
                    state.restore(plan);
                }
            }
            state.last_error = outcome.err();
            state.ended = plan.round;
            (plan.round, state.last_error.clone())
        };
        self.rounds.send_if_modified(|ended| {
            let open = ended.0 != u64::MAX;
            if open {
                *ended = round;
            }
            open
        });
        self.bump();
    }

    fn note_success(&self, state: &mut State, plan: &Plan, now: Instant) {
        state.failures.reset();
        (state.failing_since, state.told_failing) = (None, false);
        state.not_before = None;
        if plan.full {
            state.last_full = Some(now);
            state.full_not_before = Some(now + self.options.retry_backoff);
            if state.all == 0 {
                let wanted =
                    |name: &str| state.tracked.contains_key(name) || plan.once.iter().any(|once| **once == *name);
                self.publish(|old| merge::retain(old, wanted));
            }
        }
        let mut snapshot = self.snapshot();
        // A hint may name a leader before metadata lists it. A wrong one is never listed, and its epoch may be out of reach.
        let unlisted = state.tracked.keys().any(|name| has_unlisted_leader(&snapshot, name));
        state.unlisted = if unlisted { state.unlisted + 1 } else { 0 };
        if state.unlisted >= UNLISTED_ANSWERS {
            state.unlisted = 0;
            self.publish(merge::without_unlisted_leaders);
            snapshot = self.snapshot();
        }
        let incomplete = unlisted || state.tracked.keys().any(|name| is_incomplete(&snapshot, name));
        state.retry_at = if incomplete {
            Some(now + state.incomplete.next(&*self.world))
        } else {
            state.incomplete.reset();
            None
        };
    }
}

/// Whether a partition is led by a broker that the cluster does not list.
fn has_unlisted_leader(snapshot: &Snapshot, name: &str) -> bool {
    let unlisted = |leader: i32| leader >= 0 && !snapshot.brokers.contains_key(&leader);
    snapshot.topic(name).is_some_and(|topic| topic.partitions.iter().any(|partition| unlisted(partition.leader)))
}

/// Whether asking again soon may bring more about a tracked topic: it is missing or has partitions without a leader.
fn is_incomplete(snapshot: &Snapshot, name: &str) -> bool {
    if let Some(error) = snapshot.topic_error(name) {
        return error.is_retriable();
    }
    match snapshot.topic(name) {
        None => true,
        Some(topic) => !topic.has_all_leaders(),
    }
}

fn request(version: i16, asked: &Asked, create: bool) -> MetadataRequest {
    let topics = match asked {
        // In version 0 an empty list means all; later ones write null for that, and an empty list for none.
        Asked::All if version == 0 => Some(Vec::new()),
        Asked::All => None,
        Asked::Topics(names) => {
            let topic = |name: &Arc<str>| MetadataRequestTopic { name: Some(name.to_string()), ..Default::default() };
            Some(names.iter().map(topic).collect())
        }
    };
    let allow_auto_topic_creation = create || version < AUTO_CREATE_FLAG;
    MetadataRequest { topics, allow_auto_topic_creation, ..Default::default() }
}
