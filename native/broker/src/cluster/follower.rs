//! How a node's copies come to have what their leaders have (Kafka's ReplicaFetcherThread): a link from a leader's copy to a
//! follower's is called when there is something new, and the follower's one task takes it over, cutting first what the leader does
//! not have. All nodes are in this process: what goes over a link are bytes, not requests. A link can be cut.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, Ordering},
};

use dohle_protocol::ErrorCode;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Shared;
use crate::{
    log::Feed,
    node::Node,
    partition::{Partition, Replica},
    tasks::Life,
};

/// Bytes taken over at once (`replica.fetch.max.bytes`).
const BYTES: usize = 1 << 20;

/// From a leader's copy to a follower's, in one leader epoch.
pub(crate) struct Link {
    partition: Weak<Partition>,
    leader: Weak<Replica>,
    follower: Weak<Replica>,
    epoch: i32,
    called: AtomicBool,
    /// That was told.
    failed: AtomicBool,
    inbox: Arc<Inbox>,
}

/// The links of a node's copies that were called.
#[derive(Default)]
pub(crate) struct Inbox {
    links: Mutex<Vec<Arc<Link>>>,
    /// Those that are cut, or have failed.
    stalled: Mutex<Vec<Arc<Link>>>,
    called: Notify,
}

/// What became of one step.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// There may be more.
    On,
    /// It has all.
    Done,
    /// It waits until somebody calls again.
    Cut,
}

impl Link {
    pub fn new(
        partition: &Arc<Partition>,
        leader: &Arc<Replica>,
        follower: &Arc<Replica>,
        inbox: &Arc<Inbox>,
    ) -> Arc<Self> {
        Arc::new(Self {
            partition: Arc::downgrade(partition),
            epoch: leader.log.lock().leader_epoch(),
            leader: Arc::downgrade(leader),
            follower: Arc::downgrade(follower),
            called: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            inbox: inbox.clone(),
        })
    }

    /// There is something new.
    pub fn call(self: &Arc<Self>) {
        if !self.called.swap(true, Ordering::AcqRel) {
            self.inbox.links.lock().push(self.clone());
            self.inbox.called.notify_one();
        }
    }

    fn reaches(&self, shared: &Shared) -> bool {
        let ends = self.leader.upgrade().zip(self.follower.upgrade());
        ends.is_some_and(|(leader, follower)| shared.reach(follower.node, leader.node))
    }

    /// Takes over what comes next.
    fn step(&self, shared: &Shared, now_ms: i64) -> Result<Step, ErrorCode> {
        let (Some(leader), Some(follower)) = (self.leader.upgrade(), self.follower.upgrade()) else {
            return Ok(Step::Done);
        };
        if !shared.reach(follower.node, leader.node) {
            return Ok(Step::Cut);
        }
        let (end, last_epoch) = {
            let log = follower.log.lock();
            if log.leads() || log.leader_epoch() != self.epoch {
                return Ok(Step::Done);
            }
            log.end()
        };
        let (progress, feed) = {
            let mut log = leader.log.lock();
            if log.check_leader(self.epoch).is_err() {
                return Ok(Step::Done);
            }
            let feed = log.feed(end, last_epoch, BYTES)?;
            let progress = match &feed {
                // Only what is the leader's too counts.
                Feed::Batches { .. } => log.acknowledge(follower.node, end),
                _ => Default::default(),
            };
            (progress, feed)
        };
        if progress.committed {
            leader.wake();
        }
        if let Some(partition) = self.partition.upgrade().filter(|_| progress.caught_up) {
            shared.joins_in_sync(&partition, follower.node, self.epoch)?;
        }
        let mut log = follower.log.lock();
        if log.leads() || log.leader_epoch() != self.epoch {
            return Ok(Step::Done);
        }
        match feed {
            Feed::Diverged { epoch, end } => log.part_from((epoch, end), now_ms)?,
            Feed::Behind { start_offset } => log.begin_at(start_offset, now_ms)?,
            Feed::Batches { bytes, start_offset, high_watermark } => {
                let nothing = bytes.is_empty();
                log.append_replicated(self.epoch, bytes, now_ms)?;
                let more = log.learn(start_offset, high_watermark);
                drop(log);
                if more {
                    // Clients may read from followers.
                    follower.waiters.wake();
                }
                return Ok(if nothing { Step::Done } else { Step::On });
            }
        }
        Ok(Step::On)
    }
}

impl Inbox {
    /// Its node has ended: nobody takes anything over.
    pub fn clear(&self) {
        self.links.lock().clear();
        self.stalled.lock().clear();
    }

    fn stall(&self, link: &Arc<Link>) {
        let mut stalled = self.stalled.lock();
        if !stalled.iter().any(|known| Arc::ptr_eq(known, link)) {
            stalled.push(link.clone());
        }
    }

    /// What was cut, or failed, is tried again.
    pub fn retry(&self) {
        for link in std::mem::take(&mut *self.stalled.lock()) {
            link.call();
        }
    }

    /// Starts the task that follows.
    pub fn run(node: &Arc<Node>, life: &Life) {
        life.run(node, |node| async move { follow_for_ever(&node).await });
    }
}

async fn follow_for_ever(node: &Node) {
    let inbox = &node.inbox;
    loop {
        let called = std::mem::take(&mut *inbox.links.lock());
        if called.is_empty() {
            inbox.called.notified().await;
            continue;
        }
        for link in called {
            link.called.store(false, Ordering::Release);
            follow(node, &link);
            // Others want the thread too.
            tokio::task::yield_now().await;
        }
    }
}

/// Takes over what there is, up to a bound: the rest is for the next turn.
fn follow(node: &Node, link: &Arc<Link>) {
    for _ in 0..16 {
        match link.step(&node.cluster, node.world.wall_clock_ms()) {
            Ok(Step::On) => {}
            Ok(Step::Done) => {
                link.failed.store(false, Ordering::Relaxed);
                return node.housekeeping.touch();
            }
            Ok(Step::Cut) => {
                node.inbox.stall(link);
                if link.reaches(&node.cluster) {
                    // They have come together again meanwhile.
                    node.inbox.retry();
                }
                return;
            }
            Err(code) => {
                if !link.failed.swap(true, Ordering::Relaxed) {
                    tracing::error!(%code, node = node.options.node_id, "a copy of a partition cannot follow its leader");
                }
                return node.inbox.stall(link);
            }
        }
    }
    link.call();
}
