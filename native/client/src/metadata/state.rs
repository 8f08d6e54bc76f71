//! What the metadata task works from: who wants which topics, what was asked for, and when the next question is due.
//!
//! No I/O. One lock, held for moments; the snapshot has its own, which readers take without waiting for this one.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::snapshot::Snapshot;
use crate::collections::Map;
use crate::error::Error;
use crate::generated::options::ClientOptions;
use crate::net::{Backoff, Pool};
use crate::watch;
use crate::world::World;

pub(super) struct Inner {
    pub(super) world: Arc<dyn World>,
    pub(super) pool: Pool,
    pub(super) options: ClientOptions,
    pub(super) state: Mutex<State>,
    pub(super) wake: Notify,
    snapshot: RwLock<Arc<Snapshot>>,
    /// The number of the last round that ended, and why it failed.
    pub(super) rounds: watch::Sender<(u64, Option<Error>)>,
    pub(super) updates: watch::Sender<u64>,
}

pub(super) struct State {
    /// Why nothing is asked any more.
    pub(super) closed: Option<Error>,
    pub(super) running: bool,
    pub(super) tracked: Map<Arc<str>, Interest>,
    /// How many want all topics.
    pub(super) all: u32,
    /// A refresh of everything is wanted.
    full: bool,
    /// A refresh of what is missing is wanted.
    missing: bool,
    /// Topics asked for once, in the next round.
    once: Vec<Arc<str>>,
    /// All topics asked for once, in the next round.
    all_once: bool,
    /// Rounds begun and ended.
    begun: u64,
    pub(super) ended: u64,
    pub(super) last_full: Option<Instant>,
    pub(super) last_error: Option<Error>,
    /// After a failure: nothing is asked before.
    pub(super) not_before: Option<Instant>,
    pub(super) failures: Backoff,
    pub(super) failing_since: Option<Instant>,
    /// The program was told that it fails.
    pub(super) told_failing: bool,
    /// After a full refresh: no other before.
    pub(super) full_not_before: Option<Instant>,
    /// Tracked topics are missing or without leader: ask again then.
    pub(super) retry_at: Option<Instant>,
    pub(super) incomplete: Backoff,
    /// How many answers in a row did not list the broker that leads a tracked partition.
    pub(super) unlisted: u32,
}

/// Who wants a topic.
pub(super) struct Interest {
    pub(super) count: u32,
    pub(super) auto_create: bool,
}

/// What one round asks.
pub(super) struct Plan {
    pub(super) round: u64,
    pub(super) full: bool,
    pub(super) all: bool,
    pub(super) names: Vec<Arc<str>>,
    /// Unknown topics that asking may create.
    pub(super) create: Vec<Arc<str>>,
    pub(super) once: Vec<Arc<str>>,
}

impl Inner {
    pub(super) fn new(world: Arc<dyn World>, pool: Pool, options: &ClientOptions) -> Self {
        let backoff = Backoff::new(options.retry_backoff, options.retry_backoff_max);
        let state = State {
            closed: None,
            running: false,
            tracked: Map::default(),
            all: 0,
            full: false,
            missing: false,
            once: Vec::new(),
            all_once: false,
            begun: 0,
            ended: 0,
            last_full: None,
            last_error: None,
            not_before: None,
            failures: backoff.clone(),
            failing_since: None,
            told_failing: false,
            full_not_before: None,
            retry_at: None,
            incomplete: backoff,
            unlisted: 0,
        };
        Self {
            world,
            pool,
            options: options.clone(),
            state: Mutex::new(state),
            wake: Notify::new(),
            snapshot: RwLock::new(Arc::new(Snapshot { controller: -1, ..Snapshot::default() })),
            rounds: watch::Sender::new((0, None)),
            updates: watch::Sender::new(0),
        }
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.read().clone()
    }

    /// Replaces the snapshot, and tells the pool where the brokers are. False if nothing changed.
    pub(super) fn publish(&self, change: impl FnOnce(&Snapshot) -> Option<Snapshot>) -> bool {
        let next = {
            let mut current = self.snapshot.write();
            let Some(next) = change(&current) else { return false };
            let next = Arc::new(next);
            *current = next.clone();
            next
        };
        self.pool.routing().learn_cluster(next.cluster_id.clone());
        self.pool.learn(next.brokers.values().map(|broker| (broker.id, broker.endpoint.clone())));
        true
    }

    /// Asks nothing any more; what waits fails with this. The first reason stays.
    pub(super) fn close(&self, reason: Error) {
        let reason = self.state.lock().closed.get_or_insert(reason).clone();
        self.wake.notify_one();
        self.rounds.send_modify(|(round, error)| (*round, *error) = (u64::MAX, Some(reason)));
        self.bump();
    }

    pub(super) fn bump(&self) {
        self.updates.send_modify(|count| *count += 1);
    }
}

impl State {
    /// Marks a full refresh as wanted; the number of the round that will have begun after this call.
    pub(super) fn want_full(&mut self) -> u64 {
        self.full = true;
        self.begun + 1
    }

    /// Marks a refresh of what is missing as wanted.
    pub(super) fn want_missing(&mut self) {
        self.missing = true;
    }

    /// These topics, once, whoever tracks them.
    pub(super) fn want_once(&mut self, names: impl IntoIterator<Item = Arc<str>>) -> u64 {
        self.once.extend(names);
        self.missing = true;
        self.begun + 1
    }

    /// All topics, soon.
    pub(super) fn want_all(&mut self) {
        self.all_once = true;
        self.full = true;
    }

    /// When the next round is due; none while nobody wants anything.
    pub(super) fn due(&self, max_age: Duration) -> Option<Instant> {
        let now = Instant::now();
        let full = self.full.then(|| self.full_not_before.unwrap_or(now));
        let missing = (self.missing || self.all_once).then_some(now);
        let aged = self.has_interest().then(|| self.last_full.map_or(now, |at| at + max_age));
        let due = [full, missing, self.retry_at, aged].into_iter().flatten().min()?;
        Some(self.not_before.map_or(due, |until| due.max(until)))
    }

    /// Begins a round with everything that is wanted now.
    pub(super) fn begin(&mut self, snapshot: &Snapshot, max_age: Duration) -> Plan {
        let now = Instant::now();
        let full = self.full || self.last_full.is_none_or(|at| at + max_age <= now);
        let all = full && self.all > 0 || std::mem::take(&mut self.all_once);
        let once = std::mem::take(&mut self.once);
        let mut names = Vec::new();
        let mut create = Vec::new();
        for (name, interest) in &self.tracked {
            let known = snapshot.topic(name);
            if known.is_none() && interest.auto_create && is_worth_asking(snapshot, name) {
                create.push(name.clone());
            } else if full || once.contains(name) || !known.is_some_and(|topic| topic.has_all_leaders()) {
                names.push(name.clone());
            }
        }
        names.extend(once.iter().filter(|name| !self.tracked.contains_key(*name)).cloned());
        names.sort_unstable();
        names.dedup();
        create.sort_unstable();
        self.full = false;
        self.missing = false;
        self.retry_at = None;
        self.begun += 1;
        Plan { round: self.begun, full, all, names, create, once }
    }

    /// A round failed: what it wanted is still wanted, if anyone is there to want it.
    pub(super) fn restore(&mut self, plan: &Plan) {
        if self.has_interest() {
            self.full |= plan.full;
            self.missing |= !plan.full;
        }
    }

    fn has_interest(&self) -> bool {
        !self.tracked.is_empty() || self.all > 0
    }
}

/// A topic that may not be seen, or has an impossible name, is not asked for with creation.
fn is_worth_asking(snapshot: &Snapshot, name: &str) -> bool {
    snapshot.topic_error(name).is_none_or(|error| error.is_retriable())
}
