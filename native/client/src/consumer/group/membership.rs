//! A member's life: subscribe, join, hold partitions, give them up, come back. One task per consumer.
//! Not the requests (join.rs, heartbeat.rs), how it leaves (leaving.rs) nor the assignors.
//!
//! Everything that takes time runs inside [`Member::tend`], which goes on with heartbeats, the poll clock, metadata and
//! the user's wishes meanwhile. It is left early only for a [`Stop`]; a wish to join again (`wanted`) waits until the
//! step under way is done, so that a handshake with the language is never cut short by the next rebalance.
//!
//! ```text
//!            wait_for_topics ─► prepare (give up: all if eager) ─► join ─► sync ─► adopt ─► stay
//!                  ▲                ▲                                                        │ wanted
//!                  │ Stop           └────────────────────────────────────────────────────────┘
//!   Unsubscribed, Closing: hand over, leave · Slow: leave, wait for a poll · Reset: lose all · Fatal: the end
//! ```
//!
//! It never goes silent: `step` waits for the user (`Shared::coordinator`, which keeps a permit), for the poll clock (a
//! timer), for heartbeats (a timer or a request with a time limit) and for metadata; every other wait is a request with a
//! time limit, a back-off or a question with a deadline.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::net::Backoff;
use crate::{Error, ErrorKind, watch};

use super::super::commit;
use super::super::handover::TopicPartition;
use super::super::poll_clock::PollClock;
use super::super::shared::Shared;
use super::super::subscription::Interest;
use super::super::{Ask, ConsumerEvent, Question, StartAt};
use super::heartbeat::{self, Beat, Heart};
use super::join::{self, Joined, Led, Wish};
use super::missing::Missing;
use super::modern::Modern;
use super::strategy::Strategy;
use super::verdict::{self, Verdict};
use super::{names, without};

/// Why a member's present generation, or its wish for one, ends.
pub(super) enum Stop {
    /// The consumer closes.
    Closing,
    /// Nothing is subscribed any more.
    Unsubscribed,
    /// `max.poll.interval.ms` is over.
    Slow,
    /// The group does not know us: what we have is lost.
    Reset(Error),
    /// Nothing will mend it.
    Fatal(Error),
}

/// How often the leader asks for topics that are subscribed and do not exist (yet).
const MISSING_TOPICS_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Member {
    pub(super) shared: Arc<Shared>,
    assignors: Vec<Strategy>,
    /// What we last joined with; none before that.
    pub(super) topics: Option<Arc<[Arc<str>]>>,
    /// The generation in which what we own was given to us.
    pub(super) owned_since: i32,
    /// What the group gave us last, and in which generation, whether we still have it or not.
    given: Arc<(Vec<TopicPartition>, i32)>,
    pub(super) heart: Heart,
    /// A member by KIP-848.
    pub(super) modern: Option<Modern>,
    /// By which protocol is decided.
    pub(super) chosen: bool,
    pub(super) clock: PollClock,
    updates: watch::Receiver<u64>,
    /// Why to join again, and since when.
    pub(super) wanted: Option<(String, Instant)>,
    /// We lead the group: what to watch, and when to ask for missing topics again.
    leads: Option<Led>,
    missing_look: Instant,
    missing: Missing,
    pub(super) backoff: Backoff,
    /// Since when every attempt fails; none after a join.
    pub(super) failing_since: Option<Instant>,
    pub(super) ever_joined: bool,
    /// On the way out: wishes and the poll clock no longer matter.
    pub(super) leaving: bool,
    /// We are to go, in the middle of a rebalance: until then it may end first.
    pub(super) patience: Option<Instant>,
}

/// Runs until the consumer closes or its group is beyond help.
pub(crate) async fn run(shared: Arc<Shared>, assignors: Vec<Strategy>) {
    let mut member = Member::new(shared.clone(), assignors);
    loop {
        let Err(stop) = member.serve().await;
        match stop {
            Stop::Closing => {
                member.go("the consumer is closing").await;
                break;
            }
            Stop::Unsubscribed => member.go("the consumer unsubscribed").await,
            Stop::Slow => member.throw_out_slow_loop().await,
            Stop::Reset(error) => {
                member.lose();
                shared.sink.event(ConsumerEvent::Retrying(error));
                // Short at first, longer if the coordinator keeps forgetting us.
                tokio::time::sleep(member.backoff.next(&**shared.client.world())).await;
            }
            Stop::Fatal(error) => {
                if error.kind() == ErrorKind::CallbackFailed {
                    // Our own assignor: the group is not at fault, and waits for us.
                    member.heart.stop();
                    let limit = shared.client.options().request_timeout.min(shared.options.session_timeout);
                    let _ = heartbeat::leave(&shared, "the consumer's assignor failed", limit).await;
                }
                member.lose();
                shared.raise(error.into_fatal());
                break;
            }
        }
    }
    shared.member_ended();
}

impl Member {
    fn new(shared: Arc<Shared>, assignors: Vec<Strategy>) -> Self {
        let client = shared.client.options();
        Member {
            backoff: Backoff::new(client.retry_backoff, client.retry_backoff_max),
            clock: PollClock::new(shared.options.max_poll_interval),
            updates: shared.client.metadata().updates(),
            assignors,
            topics: None,
            owned_since: -1,
            given: Arc::new((Vec::new(), -1)),
            heart: Heart::default(),
            modern: None,
            chosen: false,
            wanted: None,
            leads: None,
            missing_look: Instant::now(),
            missing: Missing::default(),
            failing_since: None,
            ever_joined: false,
            leaving: false,
            patience: None,
            shared,
        }
    }

    async fn serve(&mut self) -> Result<Infallible, Stop> {
        loop {
            self.wait_for_topics().await?;
            self.choose_protocol().await?;
            if self.modern.is_some() {
                return self.serve_modern().await;
            }
            self.prepare().await?;
            self.join().await?;
            while self.wanted.is_none() {
                self.step().await?;
            }
        }
    }

    /// Until something is subscribed. Nothing else happens while nothing is.
    async fn wait_for_topics(&mut self) -> Result<(), Stop> {
        let mut waited = false;
        loop {
            if self.shared.is_closing() {
                return Err(Stop::Closing);
            }
            match self.shared.with(|s| s.interest.clone()) {
                Interest::Topics(_) if waited => {
                    self.clock.restart();
                    return Ok(());
                }
                Interest::Topics(_) => return Ok(()),
                // Subscribed and unsubscribed before we looked.
                Interest::Leaving => return Err(Stop::Unsubscribed),
                Interest::None | Interest::Manual | Interest::Matching => {}
            }
            waited = true;
            self.shared.coordinator.notified().await;
        }
    }

    // ---- waiting ------------------------------------------------------------------------------------------------

    /// Waits for `work` and does everything else that is due meanwhile.
    pub(super) async fn tend<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                outcome = &mut work => return Ok(outcome),
                step = self.step() => step?,
            }
        }
    }

    /// Waits for the next thing that is due, and does it. Can be dropped at any time: all that waits keeps its place, and
    /// what is done, is done without waiting.
    pub(super) async fn step(&mut self) -> Result<(), Stop> {
        // Also before waiting: the wake-up may have been taken by another step.
        self.look()?;
        let missing = self.leads.as_ref().is_some_and(|led| led.counts.len() < led.topics.len());
        tokio::select! {
            biased;
            () = self.shared.coordinator.notified() => self.look(),
            beat = self.heart.beat(&self.shared, self.modern.as_mut()) => self.after_heartbeat(beat),
            () = tokio::time::sleep_until(self.clock.next_look()) => self.look_at_clock(),
            news = self.updates.changed() => match news {
                Ok(()) => self.look_at_metadata(),
                Err(_) => Err(Stop::Fatal(Error::closed("client"))),
            },
            () = tokio::time::sleep_until(self.missing_look), if missing => {
                self.missing_look = Instant::now() + MISSING_TOPICS_INTERVAL;
                self.shared.client.metadata().request_update();
                Ok(())
            }
            () = tokio::time::sleep_until(self.patience.unwrap_or(self.missing_look)), if self.patience.is_some() => self.look(),
        }
    }

    /// What the user wants.
    fn look(&mut self) -> Result<(), Stop> {
        if self.leaving {
            return Ok(());
        }
        if self.shared.is_closing() {
            return if self.must_finish_join() { Ok(()) } else { Err(Stop::Closing) };
        }
        self.missing.look(&self.shared);
        match self.shared.with(|s| s.interest.clone()) {
            Interest::Topics(_) if self.modern.is_some() => {
                self.look_modern();
                Ok(())
            }
            Interest::Topics(topics) if self.topics.as_ref().is_none_or(|before| *before == topics) => Ok(()),
            Interest::Topics(topics) => {
                self.want(|| format!("the subscription is now {}", names(&topics)));
                Ok(())
            }
            _ if self.must_finish_join() => Ok(()),
            _ => Err(Stop::Unsubscribed),
        }
    }

    /// Between join and sync the coordinator refuses all commits, and the group waits for us, for our assignment if we
    /// lead it. Who has something to commit ends the rebalance before it goes, unless that takes too long.
    fn must_finish_join(&mut self) -> bool {
        if !self.shared.group.identity().joining || self.shared.with(|s| s.assigned()).is_empty() {
            return false;
        }
        let limit = self.handshake_time().min(self.shared.options.session_timeout);
        Instant::now() < *self.patience.get_or_insert_with(|| Instant::now() + limit)
    }

    fn look_at_clock(&mut self) -> Result<(), Stop> {
        match self.clock.is_exceeded(&self.shared) && !self.leaving {
            true => Err(Stop::Slow),
            false => Ok(()),
        }
    }

    /// The leader watches the group's topics (partitions added, a topic appears or goes).
    fn look_at_metadata(&mut self) -> Result<(), Stop> {
        self.missing.look(&self.shared);
        if self.leads.as_ref().is_some_and(|led| led.is_outdated(&self.shared)) {
            self.want(|| "the partitions of subscribed topics changed".to_owned());
        }
        Ok(())
    }

    fn after_heartbeat(&mut self, beat: Beat) -> Result<(), Stop> {
        let error = match beat {
            Ok(answer) => {
                answer.into_iter().for_each(|answer| self.heard(answer));
                return Ok(());
            }
            Err(error) => error,
        };
        if self.unheard(&error) {
            self.heart.soon(Duration::ZERO);
            return Ok(());
        }
        match verdict::of(&error) {
            Verdict::Retry | Verdict::Rediscover => {
                let delay = self.backoff.next(&**self.shared.client.world());
                self.heart.soon(delay.min(self.shared.options.heartbeat_interval));
                self.shared.sink.event(ConsumerEvent::Retrying(error));
                Ok(())
            }
            Verdict::Rejoin => {
                self.want(|| "the group is rebalancing".to_owned());
                Ok(())
            }
            Verdict::Reset => Err(Stop::Reset(error)),
            Verdict::Fatal => Err(Stop::Fatal(error)),
        }
    }

    fn want(&mut self, why: impl FnOnce() -> String) {
        self.wanted.get_or_insert_with(|| (why(), Instant::now()));
    }

    // ---- joining ------------------------------------------------------------------------------------------------

    /// Before a join: an eager member gives everything up, a cooperative one only what it no longer subscribes to.
    async fn prepare(&mut self) -> Result<(), Stop> {
        let Interest::Topics(topics) = self.shared.with(|s| s.interest.clone()) else { return Err(Stop::Unsubscribed) };
        let cooperative = self.assignors.iter().all(|assignor| assignor.is_cooperative());
        let mut going = self.shared.with(|s| s.assigned());
        going.retain(|tp| !cooperative || !topics.contains(&tp.topic));
        self.revoke(going).await
    }

    /// Joins, with as many attempts as it takes, and takes over what we are given.
    async fn join(&mut self) -> Result<(), Stop> {
        // No heartbeats from here on: a member that waits for a join or a sync counts as alive.
        self.heart.stop();
        let reason = self.wanted.take().map_or_else(|| "the consumer subscribed".to_owned(), |(reason, _)| reason);
        loop {
            let Err(error) = self.attempt(&reason).await? else { return Ok(()) };
            self.retry_or_stop(error).await?;
        }
    }

    /// Whether an error lets us try again, after a pause where that is wise.
    pub(super) async fn retry_or_stop(&mut self, error: Error) -> Result<(), Stop> {
        match verdict::of(&error) {
            Verdict::Retry | Verdict::Rediscover => self.rest(error).await,
            Verdict::Rejoin => Ok(()), // again, with the same member id
            Verdict::Reset => Err(Stop::Reset(error)),
            Verdict::Fatal => Err(Stop::Fatal(error)),
        }
    }

    async fn attempt(&mut self, reason: &str) -> Result<crate::Result<()>, Stop> {
        let Interest::Topics(topics) = self.shared.with(|s| s.interest.clone()) else { return Err(Stop::Unsubscribed) };
        self.topics = Some(topics.clone());
        self.wanted = None; // whatever it was, this attempt is the answer
        self.shared.group.change_identity(|identity| identity.joining = true);

        let wish = Wish {
            strategies: self.assignors.clone(),
            topics,
            owned_since: self.owned_since,
            given: self.given.clone(),
            reason: reason.to_owned(),
        };
        let shared = self.shared.clone();
        let joined = self.tend(async { join::join(&shared, &wish).await }).await?;
        let mut joined = match joined {
            Ok(joined) => joined,
            Err(error) => return Ok(Err(error)),
        };
        self.shared.group.change_identity(|identity| {
            identity.generation = joined.generation;
            identity.member_id.clone_from(&joined.member_id);
        });

        let shared = self.shared.clone();
        let synced = self.tend(async { join::sync(&shared, &mut joined).await }).await?;
        let assigned = match synced {
            Ok(assigned) => assigned,
            Err(error) => return Ok(Err(error)),
        };
        self.shared.group.change_identity(|identity| identity.joining = false);
        self.patience = None;
        self.heart.start(self.shared.options.heartbeat_interval);
        self.adopt(joined, assigned).await.map(Ok)
    }

    /// Waits a little after a failure. One that goes on from the start is told to the loop, once.
    async fn rest(&mut self, error: Error) -> Result<(), Stop> {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        if !self.ever_joined && since.elapsed() >= self.shared.client.options().default_api_timeout {
            self.ever_joined = true;
            self.shared.raise(error);
        } else {
            self.shared.sink.event(ConsumerEvent::Retrying(error));
        }
        let delay = self.backoff.next(&**self.shared.client.world());
        self.tend(tokio::time::sleep(delay)).await
    }

    /// Takes over an assignment: gives up what is not in it, takes what is new.
    async fn adopt(&mut self, joined: Joined, assigned: Vec<TopicPartition>) -> Result<(), Stop> {
        self.ever_joined = true;
        self.failing_since = None;
        self.backoff.reset();
        self.watch_as_leader(joined.leads);
        if let Some(foreign) = assigned.iter().find(|tp| !self.topics.iter().any(|topics| topics.contains(&tp.topic))) {
            // The subscription changed while the leader assigned, or the leader is wrong: ask again.
            self.want(|| format!("{foreign} was assigned and is not subscribed"));
            return Ok(());
        }

        let owned = self.shared.with(|s| s.assigned());
        let going = without(&owned, &assigned);
        if !going.is_empty() {
            // KIP-429: whoever is to have these gets them when we join without them.
            self.want(|| format!("{} partitions were given up", going.len()));
            self.revoke(going).await?;
        }
        self.owned_since = joined.generation;
        self.given = Arc::new((assigned.clone(), joined.generation));

        let coming = without(&assigned, &owned);
        self.shared.change(|s| coming.iter().for_each(|tp| s.add(tp.clone(), StartAt::Committed, true)));
        self.shared.group.rebalanced();
        self.shared.sink.event(ConsumerEvent::Joined {
            generation: joined.generation,
            member_id: joined.member_id,
            partitions: assigned,
        });
        if !coming.is_empty() {
            // At most half of the time, so that a revocation right after it has the other half.
            let asked = self.ask(Ask::Assigned(coming.clone()), self.handshake_time() / 2).await;
            // Also when the wait was cut short: what is still ours must be read.
            self.shared.change(|s| coming.iter().for_each(|tp| s.release(tp)));
            asked?;
        }
        Ok(())
    }

    pub(super) fn watch_as_leader(&mut self, leads: Option<Led>) {
        let metadata = self.shared.client.metadata();
        if let Some(led) = &leads {
            metadata.track(led.topics.iter().map(|topic| &**topic), false);
        }
        if let Some(led) = std::mem::replace(&mut self.leads, leads) {
            metadata.untrack(led.topics.iter().map(|topic| &**topic));
        }
        self.missing_look = Instant::now() + MISSING_TOPICS_INTERVAL;
    }

    // ---- giving up ----------------------------------------------------------------------------------------------

    /// The handshake: nothing more is yielded, the language says what is finished, that is committed, then they go.
    pub(super) async fn revoke(&mut self, partitions: Vec<TopicPartition>) -> Result<(), Stop> {
        if partitions.is_empty() {
            return Ok(());
        }
        self.shared.change(|s| partitions.iter().for_each(|tp| s.hold(tp)));
        let time = self.handshake_time();
        let spent = self.wanted.as_ref().map_or(Duration::ZERO, |(_, since)| since.elapsed());
        self.ask(Ask::Revoke(partitions.clone()), time.saturating_sub(spent).max(time / 2)).await?;
        if self.shared.options.enable_auto_commit {
            let (shared, these, limit) = (self.shared.clone(), partitions.clone(), self.handshake_time());
            let committed = self.tend(async move { commit::finished(&shared, Some(&these), limit).await }).await?;
            if let Err(error) = committed {
                self.shared.sink.event(ConsumerEvent::CommitFailed(error));
            }
        }
        self.shared.change(|s| partitions.iter().for_each(|tp| s.remove(tp)));
        self.shared.sink.event(ConsumerEvent::Revoked(partitions));
        Ok(())
    }

    /// Asks the language, and goes on without an answer when its time is over.
    pub(super) async fn ask(&mut self, what: Ask, deadline: Duration) -> Result<(), Stop> {
        let (id, answered) = self.shared.group.open_question();
        self.shared.sink.question(Question { id, what, deadline });
        let outcome = self.tend(tokio::time::timeout(deadline, answered)).await;
        self.shared.group.forget(id);
        outcome.map(drop)
    }

    /// How long the language has for an answer: the group waits for us at most the rebalance timeout, which began up to
    /// one heartbeat ago, and a commit follows. When closing, half of what is left.
    pub(super) fn handshake_time(&self) -> Duration {
        let options = &self.shared.options;
        match self.shared.close_deadline() {
            Some(deadline) => deadline.saturating_duration_since(Instant::now()) / 2,
            None => (options.max_poll_interval.saturating_sub(options.heartbeat_interval) * 3 / 4)
                .max(options.max_poll_interval / 2),
        }
    }
}
