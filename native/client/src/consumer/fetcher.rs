//! The fetch half: keeps one fetch in flight per broker until `fetch.buffer.bytes` are held, and looks up positions.
//! Not who is assigned what (group/), what is committed (commit.rs), nor how records become chunks (chunk.rs).
//! Driven by its own task, woken by `Shared::fetcher`, by metadata updates, by answers and by its own timers.
//!
//! # Why it never goes silent
//!
//! Every wake-up ends in [`Fetcher::plan`], which looks at everything anew: it starts what can be started and returns when
//! to look again. For each partition that does not move there is, at any time, one of: an answer under way (it wakes us);
//! a timer (back-off; it wakes us); no credit (the hand-over that makes room wakes us, see `Shared::credit`); no leader (a
//! timer that asks for metadata, whose update wakes us); or somebody else's turn: paused, held, or its committed offset
//! being looked up, each of which ends in `Shared::change`, which wakes us. `Notify` keeps one permit, so a wake-up that
//! comes while we plan makes us plan again.

use std::sync::Arc;

use dohle_protocol::messages::FetchRequest;
use dohle_protocol::{ErrorCode, Uuid};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Duration, Instant, sleep_until};

use crate::collections::Map;
use crate::generated::options::IsolationLevel;
use crate::metadata::Snapshot;
use crate::net::Backoff;
use crate::{Error, Lane, Result, watch};

use super::fetch::{self, Fate, Link};
use super::handover::TopicPartition;
use super::offsets::{self, Answers, LookUp};
use super::session::Wanted;
use super::shared::Shared;
use super::subscription::{FetchState, Subscription};

mod inspection;
mod outcomes;

/// How long a closed consumer waits for a broker to hear that its session ends.
const FAREWELL: Duration = Duration::from_millis(500);

/// Runs until the consumer ends, which drops it.
pub(crate) async fn run(shared: Arc<Shared>) {
    Fetcher::new(shared).run().await;
}

struct Fetcher {
    shared: Arc<Shared>,
    updates: watch::Receiver<u64>,
    under_way: FuturesUnordered<BoxFuture<'static, Event>>,
    brokers: Map<i32, Broker>,
    notes: Map<TopicPartition, Note>,
    /// The subscription's version and the snapshot's at the last plan.
    seen: (u64, u64),
    /// While partitions have no leader: when to ask for metadata again.
    leaderless: Option<Instant>,
    leaderless_backoff: Backoff,
    /// So that without sessions no partition is always the last of the request.
    turn: usize,
    /// The client is closed: nothing can come any more.
    over: bool,
}

/// What came back.
enum Event {
    Fetched { node: i32, link: Box<Link>, outcome: Result<Vec<Fate>> },
    Listed { asked: Vec<LookUp>, outcome: Result<Answers> },
    Validated { asked: Vec<LookUp>, outcome: Result<Option<Answers>> },
}

/// A broker we fetch from.
struct Broker {
    /// None while a fetch is under way.
    link: Option<Box<Link>>,
    retry_at: Option<Instant>,
    backoff: Backoff,
    /// Why it is waited, while it is.
    failed: Option<Error>,
}

/// What the fetcher remembers of a partition, beside the subscription.
struct Note {
    /// The partition's epoch that `looking` and `retry_at` are about: after a seek nothing of before counts.
    epoch: u32,
    /// A look-up is under way.
    looking: bool,
    retry_at: Option<Instant>,
    backoff: Backoff,
    /// The topic's id, and the one before: metadata that lags behind may tell of that again.
    topic_id: Uuid,
    former_id: Uuid,
    /// The leader's epoch as planned last. When it grows, the position is validated.
    leader_epoch: i32,
    /// The replica to read from, and until when (KIP-392).
    replica: Option<(i32, Instant)>,
    /// What the application was told: once, until it works again.
    told: Option<ErrorCode>,
    /// How often in a row the records at the position could not be read.
    unreadable: u32,
}

/// What a plan is going to start.
#[derive(Default)]
struct Plan {
    fetches: Map<i32, Vec<Wanted>>,
    resets: Map<i32, Vec<LookUp>>,
    validations: Map<i32, Vec<LookUp>>,
    leaderless: Vec<TopicPartition>,
    /// When to look again at what waits for a time.
    wake: Option<Instant>,
}

impl Plan {
    fn wake_at(&mut self, at: Instant) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

impl Fetcher {
    fn new(shared: Arc<Shared>) -> Self {
        let updates = shared.client.metadata().updates();
        let leaderless_backoff = backoff(&shared);
        Fetcher {
            shared,
            updates,
            under_way: FuturesUnordered::new(),
            brokers: Map::default(),
            notes: Map::default(),
            seen: (0, 0),
            leaderless: None,
            leaderless_backoff,
            turn: 0,
            over: false,
        }
    }

    async fn run(mut self) {
        loop {
            let wake = self.plan();
            if self.over {
                return;
            }
            tokio::select! {
                biased;
                Some(event) = self.under_way.next(), if !self.under_way.is_empty() => self.take_in(event),
                () = self.shared.fetcher.notified() => {}
                changed = self.updates.changed() => self.over |= changed.is_err(),
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
    }

    /// Starts everything that can be started now; says when to look again at what cannot.
    fn plan(&mut self) -> Option<Instant> {
        let snapshot = self.shared.client.metadata().snapshot();
        let now = Instant::now();
        let shared = self.shared.clone();
        let (recreated, mut plan) = shared.with(|s| (self.follow(s, &snapshot), self.survey(s, &snapshot, now)));
        self.begin_anew(&recreated);
        for (node, look_ups) in std::mem::take(&mut plan.resets) {
            self.start_reset(node, look_ups);
        }
        for (node, look_ups) in std::mem::take(&mut plan.validations) {
            self.start_validation(node, look_ups);
        }
        self.seek_leaders(&mut plan, &snapshot, now);
        let mut credit = None;
        for (node, wanted) in std::mem::take(&mut plan.fetches) {
            let broker = self.brokers.entry(node).or_insert_with(|| Broker::new(&shared));
            if broker.link.is_none() {
                continue;
            }
            if let Some(at) = broker.retry_at.filter(|at| *at > now) {
                plan.wake_at(at);
                continue;
            }
            // Asked for only when somebody would fetch: it arms the wake-up by the hand-over that makes room.
            match *credit.get_or_insert_with(|| shared.credit()) {
                Some(credit) => self.start_fetch(node, wanted, credit),
                None => break,
            }
        }
        self.answer_inspection(&snapshot, now);
        plan.wake
    }

    /// Follows the assignment and the leaders: notes of lost partitions go; where the leader is a new one, the position
    /// has to be confirmed; where the topic is, it is dropped. Returns the partitions of such topics.
    fn follow(&mut self, s: &mut Subscription, snapshot: &Snapshot) -> Vec<TopicPartition> {
        if self.seen == (s.version, snapshot.version) {
            return Vec::new();
        }
        self.seen = (s.version, snapshot.version);
        self.notes.retain(|tp, _| s.get(tp).is_some());
        let (mut moved, mut recreated) = (Vec::new(), Vec::new());
        for (tp, partition) in s.iter() {
            let Some(topic) = snapshot.topic(&tp.topic) else { continue };
            let note = self.notes.entry(tp.clone()).or_insert_with(|| Note::new(&self.shared, partition.epoch));
            if note.is_another_topic(topic.id) {
                recreated.push(tp.clone());
                note.leader_epoch = -1;
            }
            let Some((_, leader_epoch)) = snapshot.leader(&tp.topic, tp.partition) else { continue };
            if leader_epoch > note.leader_epoch && note.leader_epoch >= 0 {
                moved.push((tp.clone(), partition.epoch));
                note.replica = None;
            }
            // Lower only when the one we had turned out to be wrong.
            note.leader_epoch = leader_epoch;
        }
        for (tp, epoch) in moved {
            s.revalidate(&tp, epoch);
        }
        recreated.retain(|tp| s.recreated(tp, self.shared.reset_policy));
        recreated
    }

    /// Sorts partitions by what they need and whom to ask.
    fn survey(&mut self, s: &Subscription, snapshot: &Snapshot, now: Instant) -> Plan {
        let mut plan = Plan::default();
        for (tp, partition) in s.iter() {
            let needs = match partition.state {
                FetchState::Committed | FetchState::Failed => false,
                FetchState::Reset(_) | FetchState::Validate => true,
                FetchState::Fetch => partition.fetchable(),
            };
            if !needs {
                continue;
            }
            let Some((leader, leader_epoch)) = snapshot.leader(&tp.topic, tp.partition) else {
                plan.leaderless.push(tp.clone());
                continue;
            };
            let note = self.notes.entry(tp.clone()).or_insert_with(|| Note::new(&self.shared, partition.epoch));
            note.follow(partition.epoch);
            if note.looking {
                continue;
            }
            if let Some(at) = note.retry_at.filter(|at| *at > now) {
                plan.wake_at(at);
                continue;
            }
            let (tp, epoch) = (tp.clone(), partition.epoch);
            match partition.state {
                FetchState::Reset(to) => {
                    let value = to.timestamp(&self.shared.client);
                    plan.resets.entry(leader).or_default().push(LookUp { tp, epoch, leader_epoch, value });
                }
                FetchState::Validate => {
                    let value = i64::from(partition.fetch.leader_epoch);
                    plan.validations.entry(leader).or_default().push(LookUp { tp, epoch, leader_epoch, value });
                }
                _ => {
                    let node = note.replica.filter(|(_, until)| *until > now).map_or(leader, |(node, _)| node);
                    if self.brokers.get(&node).is_some_and(|broker| broker.link.is_none()) {
                        // A fetch is under way there: the plan after its answer is the next chance.
                        continue;
                    }
                    let topic_id = snapshot.topic(&tp.topic).map_or(Uuid::ZERO, |topic| topic.id);
                    let from = partition.fetch;
                    plan.fetches.entry(node).or_default().push(Wanted { tp, topic_id, epoch, from, leader_epoch });
                }
            }
        }
        plan
    }

    /// Asks for metadata while partitions have no leader, and tells why that may not help.
    fn seek_leaders(&mut self, plan: &mut Plan, snapshot: &Snapshot, now: Instant) {
        if plan.leaderless.is_empty() {
            self.leaderless = None;
            self.leaderless_backoff.reset();
            return;
        }
        for tp in &plan.leaderless {
            if let Some(code) = snapshot.topic_error(&tp.topic) {
                self.tell(tp, code, format_args!("topic {}", tp.topic));
            }
        }
        if self.leaderless.is_none_or(|at| at <= now) {
            self.shared.client.metadata().request_update();
            self.leaderless = Some(now + self.leaderless_backoff.next(&**self.shared.client.world()));
        }
        plan.leaderless.clear();
        self.leaderless.into_iter().for_each(|at| plan.wake_at(at));
    }

    fn start_fetch(&mut self, node: i32, mut wanted: Vec<Wanted>, credit: usize) {
        let Some(mut link) = self.brokers.get_mut(&node).and_then(|broker| broker.link.take()) else { return };
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn % wanted.len();
        wanted.rotate_left(turn);
        let shared = self.shared.clone();
        // A nearly full buffer is no reason to ask for crumbs.
        let credit = credit.max(shared.options.fetch_buffer_bytes / 2);
        self.under_way.push(Box::pin(async move {
            let outcome = fetch::fetch(&shared, node, wanted, credit, &mut link).await;
            Event::Fetched { node, link, outcome }
        }));
    }

    fn start_reset(&mut self, node: i32, asked: Vec<LookUp>) {
        self.mark_looking(&asked);
        let shared = self.shared.clone();
        let read_committed = shared.options.isolation_level == IsolationLevel::ReadCommitted;
        self.under_way.push(Box::pin(async move {
            let timeout = shared.client.options().request_timeout;
            let outcome = offsets::list(&shared.client, node, read_committed, asked.clone(), timeout).await;
            Event::Listed { asked, outcome }
        }));
    }

    fn start_validation(&mut self, node: i32, asked: Vec<LookUp>) {
        self.mark_looking(&asked);
        let shared = self.shared.clone();
        self.under_way.push(Box::pin(async move {
            let timeout = shared.client.options().request_timeout;
            let outcome = offsets::epoch_ends(&shared.client, node, asked.clone(), timeout).await;
            Event::Validated { asked, outcome }
        }));
    }

    fn mark_looking(&mut self, asked: &[LookUp]) {
        for look_up in asked {
            if let Some(note) = self.notes.get_mut(&look_up.tp) {
                note.looking = true;
            }
        }
    }
}

impl Drop for Fetcher {
    /// The consumer ends: brokers are told that their sessions do, and the connections, which nobody else uses, are closed.
    fn drop(&mut self) {
        for (node, broker) in std::mem::take(&mut self.brokers) {
            let lane = Lane::Fetch(self.shared.number);
            let Some(connection) = self.shared.client.open_connection(node, lane) else {
                self.shared.client.close_connection(node, lane);
                continue;
            };
            // Behind a fetch that is under way the broker would not hear it soon; then it sees the connection end.
            let farewell = broker.link.and_then(|link| link.session.farewell());
            self.shared.client.world().spawn(Box::pin(async move {
                if let Some(request) = farewell
                    && let Ok(version) = connection.version::<FetchRequest>()
                    && let Ok(sent) = connection.send(version, &request, FAREWELL)
                {
                    let _ = tokio::time::timeout(FAREWELL, sent.response()).await;
                }
                connection.close(Error::closed("consumer"));
            }));
        }
    }
}

impl Broker {
    fn new(shared: &Shared) -> Self {
        Broker { link: Some(Box::default()), retry_at: None, backoff: backoff(shared), failed: None }
    }
}

impl Note {
    fn new(shared: &Shared, epoch: u32) -> Self {
        Note {
            epoch,
            looking: false,
            retry_at: None,
            backoff: backoff(shared),
            leader_epoch: -1,
            replica: None,
            told: None,
            unreadable: 0,
            topic_id: Uuid::ZERO,
            former_id: Uuid::ZERO,
        }
    }

    /// Whether the topic's id is a new one. Brokers before 2.8 have none.
    fn is_another_topic(&mut self, id: Uuid) -> bool {
        if id == Uuid::ZERO || id == self.topic_id || id == self.former_id {
            return false;
        }
        self.former_id = std::mem::replace(&mut self.topic_id, id);
        self.former_id != Uuid::ZERO
    }

    /// The partition is at this epoch now: a seek ends waiting, and an older look-up no longer counts.
    fn follow(&mut self, epoch: u32) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.looking = false;
            self.unreadable = 0;
            self.works();
        }
    }

    fn works(&mut self) {
        self.retry_at = None;
        self.told = None;
        self.backoff.reset();
    }

    /// Leaves the partition alone for a while.
    fn pause(&mut self, shared: &Shared) {
        self.retry_at = Some(Instant::now() + self.backoff.next(&**shared.client.world()));
    }
}

fn backoff(shared: &Shared) -> Backoff {
    let options = shared.client.options();
    Backoff::new(options.retry_backoff, options.retry_backoff_max)
}
