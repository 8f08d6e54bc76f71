//! One partition: who leads and who follows, as the controller has decided (`cluster::Standing`), and the copies that nodes have.
//! Locks: `Partition::standing` and `Partition::replicas` before `Replica::log`; waiters are woken with none held.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dohle_protocol::ErrorCode;
use parking_lot::{Mutex, MutexGuard, RwLock};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::{
    cluster::{Link, Standing},
    log::{Log, Waiter, Waiters},
};

/// A partition.
pub(crate) struct Partition {
    standing: RwLock<Arc<Standing>>,
    replicas: RwLock<Vec<Arc<Replica>>>,
    deleted: AtomicBool,
}

/// One node's copy: its log and who waits for it.
pub(crate) struct Replica {
    pub node: i32,
    pub log: Mutex<Log>,
    pub waiters: Arc<Waiters>,
    /// To its followers, when it leads.
    links: Mutex<Vec<Arc<Link>>>,
}

impl Partition {
    pub fn new(standing: Standing, replicas: Vec<Arc<Replica>>) -> Arc<Self> {
        let (standing, replicas) = (RwLock::new(Arc::new(standing)), RwLock::new(replicas));
        Arc::new(Self { standing, replicas, deleted: AtomicBool::new(false) })
    }

    /// Its topic was deleted: whoever still holds it must let go.
    pub fn deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// Its topic is deleted.
    pub fn delete(&self) {
        self.deleted.store(true, Ordering::Release);
        for replica in self.replicas() {
            {
                let mut log = replica.log.lock();
                log.abandon();
                // Who waits for copies need not wait on.
                let epoch = log.leader_epoch();
                log.follow(epoch);
            }
            replica.wake();
            replica.feed(Vec::new());
        }
    }

    pub fn standing(&self) -> Arc<Standing> {
        self.standing.read().clone()
    }

    /// For the controller only.
    pub fn set_standing(&self, standing: Standing) {
        *self.standing.write() = Arc::new(standing);
    }

    pub fn replicas(&self) -> Vec<Arc<Replica>> {
        self.replicas.read().clone()
    }

    /// The copy of a node.
    pub fn replica(&self, node: i32) -> Option<Arc<Replica>> {
        self.replicas.read().iter().find(|replica| replica.node == node).cloned()
    }

    /// Puts a node's copy in the place of the one that it had, if it had one.
    pub fn put_replica(&self, replica: Arc<Replica>) {
        let mut replicas = self.replicas.write();
        replicas.retain(|other| other.node != replica.node);
        replicas.push(replica);
    }

    /// A node has no copy any more.
    pub fn take_replica(&self, node: i32) -> Option<Arc<Replica>> {
        let mut replicas = self.replicas.write();
        let at = replicas.iter().position(|replica| replica.node == node)?;
        Some(replicas.remove(at))
    }

    /// The copy of a node, if that leads.
    pub fn led_by(&self, node: i32) -> Result<Arc<Replica>, ErrorCode> {
        if self.deleted() {
            return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
        let replica = self.replica(node).ok_or(ErrorCode::NOT_LEADER_OR_FOLLOWER)?;
        let leads = replica.log.lock().leads();
        if leads { Ok(replica) } else { Err(ErrorCode::NOT_LEADER_OR_FOLLOWER) }
    }
}

impl Replica {
    pub fn new(node: i32, log: Log) -> Arc<Self> {
        Arc::new(Self { node, log: Mutex::new(log), waiters: Arc::default(), links: Mutex::default() })
    }

    /// The log, if it leads.
    pub fn leading(&self) -> Result<MutexGuard<'_, Log>, ErrorCode> {
        let log = self.log.lock();
        log.check_leader(-1).map(|()| log)
    }

    /// Something was appended, or more is committed, or another leads. Call without the log's lock: what they do first is take it.
    pub fn wake(&self) {
        self.waiters.wake();
        self.links.lock().iter().for_each(Link::call);
    }

    /// It feeds these from now on.
    pub fn feed(&self, links: Vec<Arc<Link>>) {
        links.iter().for_each(Link::call);
        *self.links.lock() = links;
    }

    /// Waits until what ends at an offset is committed in a leader's epoch. NOT_LEADER_OR_FOLLOWER when that is over,
    /// REQUEST_TIMED_OUT when it takes too long.
    pub async fn committed(&self, epoch: i32, end: i64, within: Duration) -> Result<(), ErrorCode> {
        let over = |_| ErrorCode::NOT_LEADER_OR_FOLLOWER;
        let done = || {
            let log = self.log.lock();
            log.check_leader(epoch).map(|()| log.high_watermark() >= end).map_err(over)
        };
        if done()? {
            return Ok(());
        }
        let (deadline, woken) = (Instant::now() + within, Arc::new(Notify::new()));
        let _place = Waiter::register(self.waiters.clone(), woken.clone());
        // Looked at again after registering: what came in between would otherwise be waited for in vain.
        while !done()? {
            timeout_at(deadline, woken.notified()).await.map_err(|_| ErrorCode::REQUEST_TIMED_OUT)?;
        }
        Ok(())
    }
}
