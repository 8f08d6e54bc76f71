//! What is known of the cluster: brokers, topics, partitions, leaders and their epochs.
//!
//! It moves no records and decides no partition. Producer and consumer say which topics they need, read snapshots, report
//! stale leaders, and wait for updates; one background task asks the brokers, at most one refresh in flight.
//!
//! File map: `snapshot` what is known, immutable · `merge` how an answer becomes the next snapshot · `refresh` the task.

mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use dohle_protocol::{ErrorCode, Uuid};
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::generated::options::ClientOptions;
use crate::net::{Endpoint, Pool};
use crate::world::World;

pub use snapshot::{BrokerMeta, PartitionMeta, Snapshot, TopicMeta};

/// The shared view of the cluster. Cheap to clone.
#[derive(Clone)]
pub struct Metadata {}

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

#[allow(unused_variables)]
impl Metadata {
    pub(crate) fn new(world: Arc<dyn World>, pool: Pool, options: &ClientOptions) -> Self {
        Self {}
    }

    /// What is known now. A snapshot never changes; take a new one after an update.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        todo!()
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
        todo!()
    }

    /// The opposite of one [`Self::track`].
    pub fn untrack<'a>(&self, topics: impl IntoIterator<Item = &'a str>) {
        todo!()
    }

    /// Keeps all topics of the cluster up to date, for subscriptions by pattern. Counted like [`Self::track`].
    pub fn track_all(&self, on: bool) {
        todo!()
    }

    /// Changes after each refresh that ended, failed ones included, and after each leader hint that was news.
    pub fn updates(&self) -> watch::Receiver<u64> {
        todo!()
    }

    /// Why the last refresh failed; none when it did not.
    pub fn last_error(&self) -> Option<Error> {
        todo!()
    }

    /// Something is stale (NOT_LEADER_OR_FOLLOWER, a broker that cannot be reached): refresh soon. Returns at once;
    /// requests made while one is under way are one more refresh together, and failures back off.
    pub fn request_update(&self) {
        todo!()
    }

    /// Waits for a refresh of everything tracked that began after this call. Fails with its error; no time limit of its own
    /// beyond one attempt at each server.
    pub async fn refresh(&self) -> Result<Arc<Snapshot>> {
        todo!()
    }

    /// As [`Self::refresh`], for these topics also when they are not tracked. Does not create them.
    pub async fn refresh_topics(&self, topics: &[&str]) -> Result<Arc<Snapshot>> {
        todo!()
    }

    /// Waits until a topic's metadata is here, retrying, at most `within`. An error that waiting cannot mend comes at once.
    /// The topic should be tracked.
    pub async fn wait_for_topic(&self, name: &str, within: Duration) -> Result<Arc<TopicMeta>> {
        todo!()
    }

    /// Takes over leaders that a response named, with the brokers it described. True if any was news; older epochs never are.
    pub fn leader_hints(&self, hints: &[LeaderHint<'_>], brokers: &[(i32, Endpoint)]) -> bool {
        todo!()
    }

    pub(crate) fn close(&self) {
        todo!()
    }
}
