//! A member of a classic group.

use std::time::Duration;

use bytes::Bytes;
use tokio::{sync::oneshot, time::Instant};

use super::{JoinReply, SyncReply};

/// A member.
pub(crate) struct Member {
    pub id: String,
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
    /// The assignors it offers, best first, with its metadata for each.
    pub protocols: Vec<(String, Bytes)>,
    pub assignment: Bytes,
    /// Counts joins of the group: the lowest becomes leader.
    pub order: u64,
    /// Waits for the end of a rebalance.
    pub joining: Option<oneshot::Sender<JoinReply>>,
    /// Waits for its assignment.
    pub syncing: Option<oneshot::Sender<SyncReply>>,
    /// When it is taken for dead; none while it waits for us.
    pub deadline: Option<Instant>,
}

impl Member {
    pub fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found.map_or_else(Bytes::new, |(_, metadata)| metadata.clone())
    }

    pub fn keep_alive(&mut self, now: Instant) {
        self.deadline = Some(now + self.session_timeout);
    }
}
