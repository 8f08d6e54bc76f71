//! What is known of the cluster: brokers, topics, partitions, leaders and their epochs.
//!
//! It moves no records and decides no partition. Producer and consumer say which topics they need, read snapshots, report
//! stale leaders, and wait for updates; one background task asks the brokers, at most one refresh in flight.
//!
//! File map: `snapshot` what is known, immutable · `merge` how an answer becomes the next snapshot · `refresh` the
//! task · `state` what it works from.

mod merge;
mod refresh;
mod snapshot;
mod state;

use std::sync::Arc;
use std::time::Duration;

use dohle_protocol::{ErrorCode, Uuid};
use parking_lot::MutexGuard;
use tokio::time::{Instant, timeout_at};

use crate::collections::Set;
use crate::error::{Error, ErrorKind, Result};
use crate::generated::options::ClientOptions;
use crate::net::{Endpoint, Pool};
use crate::watch;
use crate::world::World;

use state::{Inner, Interest, State};

pub use snapshot::{BrokerMeta, PartitionMeta, Snapshot, TopicMeta};

/// The shared view of the cluster. Cheap to clone.
#[derive(Clone)]
pub struct Metadata(Arc<Inner>);

/// A newer leader than the one asked, as Produce and Fetch responses tell it (KIP-951).
#[derive(Clone, Copy, Debug)]
pub struct LeaderHint<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The new leader's node id.
    pub leader: i32,
    /// The new leader's epoch.
    pub leader_epoch: i32,
}

impl Metadata {
    pub(crate) fn new(world: Arc<dyn World>, pool: Pool, options: &ClientOptions) -> Self {
        Self(Arc::new(Inner::new(world, pool, options)))
    }

    /// What is known now. A snapshot never changes; take a new one after an update.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot()
    }

    /// A topic, if its metadata came.
    pub fn topic(&self, name: &str) -> Option<Arc<TopicMeta>> {
        self.snapshot().topic(name).cloned()
    }

    /// A topic by its id.
    pub fn topic_by_id(&self, id: Uuid) -> Option<Arc<TopicMeta>> {
        self.snapshot().topic_by_id(id).cloned()
    }

    /// What the broker said of a topic when it was last asked, if that was an error.
    pub fn topic_error(&self, name: &str) -> Option<ErrorCode> {
        self.snapshot().topic_error(name)
    }

    /// Keeps these topics up to date from now on, until [`Self::untrack`] was called as often; asks at once for those that
    /// are unknown. With `auto_create` the question may create a topic, if the broker allows that.
    pub fn track<'a>(&self, topics: impl IntoIterator<Item = &'a str>, auto_create: bool) {
        let snapshot = self.0.snapshot();
        let mut state = self.0.state.lock();
        let mut unknown = false;
        for name in topics {
            unknown |= snapshot.topic(name).is_none();
            match state.tracked.get_mut(name) {
                Some(interest) => {
                    interest.count += 1;
                    interest.auto_create |= auto_create;
                }
                None => {
                    state.tracked.insert(name.into(), Interest { count: 1, auto_create });
                }
            }
        }
        if unknown {
            state.want_missing();
            self.wake(state);
        }
    }

    /// The opposite of one [`Self::track`].
    pub fn untrack<'a>(&self, topics: impl IntoIterator<Item = &'a str>) {
        let mut state = self.0.state.lock();
        for name in topics {
            let Some(interest) = state.tracked.get_mut(name) else { continue };
            interest.count -= 1;
            if interest.count == 0 {
                state.tracked.remove(name);
            }
        }
    }

    /// Keeps all topics of the cluster up to date, for subscriptions by pattern. Counted like [`Self::track`].
    pub fn track_all(&self, on: bool) {
        let mut state = self.0.state.lock();
        if !on {
            state.all = state.all.saturating_sub(1);
            return;
        }
        state.all += 1;
        if state.all == 1 {
            state.want_all();
            self.wake(state);
        }
    }

    /// Changes after each refresh that ended, failed ones included, and after each leader hint that was news.
    pub fn updates(&self) -> watch::Receiver<u64> {
        self.0.updates.subscribe()
    }

    /// Why the last refresh failed; none when it did not.
    pub fn last_error(&self) -> Option<Error> {
        self.0.state.lock().last_error.clone()
    }

    /// Something is stale (NOT_LEADER_OR_FOLLOWER, a broker that cannot be reached): refresh soon. Returns at once;
    /// requests made while one is under way are one more refresh together, and failures back off.
    pub fn request_update(&self) {
        let mut state = self.0.state.lock();
        state.want_full();
        self.wake(state);
    }

    /// Waits for a refresh of everything tracked that began after this call. Fails with its error; no time limit of its own
    /// beyond one attempt at each server.
    pub async fn refresh(&self) -> Result<Arc<Snapshot>> {
        self.round(State::want_full).await
    }

    /// As [`Self::refresh`], for these topics also when they are not tracked. Does not create them.
    pub async fn refresh_topics(&self, topics: &[&str]) -> Result<Arc<Snapshot>> {
        let names: Vec<Arc<str>> = topics.iter().map(|name| Arc::from(*name)).collect();
        self.round(|state| state.want_once(names)).await
    }

    /// Waits until a topic's metadata is here, retrying, at most `within`. An error that waiting cannot mend comes at once.
    /// The topic should be tracked.
    pub async fn wait_for_topic(&self, name: &str, within: Duration) -> Result<Arc<TopicMeta>> {
        let mut updates = self.updates();
        let deadline = Instant::now() + within;
        loop {
            updates.mark_unchanged();
            if let Some(topic) = self.topic(name) {
                return Ok(topic);
            }
            self.fail_if_hopeless(name)?;
            if timeout_at(deadline, updates.changed()).await.is_err() {
                return Err(self.why_no_topic(name, within));
            }
        }
    }

    /// Takes over leaders that a response named, with the brokers it described. True if any was news; older epochs never are.
    pub fn leader_hints(&self, hints: &[LeaderHint<'_>], brokers: &[(i32, Endpoint)]) -> bool {
        let news = self.0.publish(|old| merge::apply_hints(old, hints, brokers));
        if news {
            self.0.bump();
        }
        news
    }

    /// The leader of a partition keeps saying that it does not know the epoch we have for it: it was wrong, or the cluster
    /// was set back. The next answer is believed, whatever its epoch is.
    pub(crate) fn doubt_epoch(&self, topic: &str, partition: i32) {
        self.0.publish(|old| merge::without_epoch(old, topic, partition));
        self.request_update();
    }

    pub(crate) fn close(&self) {
        self.0.close(Error::closed("client"));
    }

    /// Why a topic cannot be had, if waiting longer will not help.
    pub fn fail_if_hopeless(&self, topic: &str) -> Result<()> {
        if let Some(reason) = &self.0.state.lock().closed {
            return Err(reason.clone());
        }
        if let Some(code) = self.topic_error(topic).filter(|code| !code.is_retriable()) {
            return Err(Error::broker(code, format_args!("topic {topic}")));
        }
        match self.last_error() {
            Some(error) if matches!(error.kind(), ErrorKind::NotKafka | ErrorKind::Unsupported) => Err(error),
            _ => Ok(()),
        }
    }

    /// The error for who waited in vain for a topic's metadata: that of the servers, if there was one, else the topic's.
    pub fn why_no_topic(&self, topic: &str, waited: Duration) -> Error {
        let doing = format!("no metadata of topic {topic} within {} ms", waited.as_millis());
        if let Some(error) = self.last_error() {
            return error.context(doing);
        }
        match self.topic_error(topic) {
            Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => Error::new(
                ErrorKind::Broker(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                format!(
                    "{doing}: it does not exist, and the broker does not create it by itself; create it, or check its name"
                ),
            ),
            Some(code) => Error::broker(code, doing),
            None => {
                let text = format!("{doing}: no broker has answered yet");
                self.0.pool.too_late(Error::new(ErrorKind::MaxBlockTimeout, text))
            }
        }
    }

    /// Node ids to ask what any broker can answer, in the order to try them.
    pub(crate) fn candidates(&self, failed: &Set<i32>) -> Vec<i32> {
        self.0.candidates(false, failed)
    }

    /// Waits for the end of a round that begins after `want` was said.
    async fn round(&self, want: impl FnOnce(&mut State) -> u64) -> Result<Arc<Snapshot>> {
        let mut rounds = self.0.rounds.subscribe();
        let target = {
            let mut state = self.0.state.lock();
            if let Some(reason) = &state.closed {
                return Err(reason.clone());
            }
            let target = want(&mut state);
            self.wake(state);
            target
        };
        let closed = |_| Error::closed("client");
        let ended = rounds.wait_for(|(round, _)| *round >= target).await.map_err(closed)?;
        match &ended.1 {
            Some(error) => Err(error.clone()),
            None => Ok(self.snapshot()),
        }
    }

    /// Wakes the task, which is started when it is needed first.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        if !state.running && state.closed.is_none() {
            state.running = true;
            drop(state);
            self.0.world.spawn(Box::pin(refresh::run(self.0.clone())));
        } else {
            drop(state);
        }
        self.0.wake.notify_one();
    }
}
