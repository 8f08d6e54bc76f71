//! Fetches that wait for records of a partition. A waiter is woken by every append and looks again for itself.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Who waits for one partition.
#[derive(Default)]
pub(crate) struct Waiters {
    next: AtomicU64,
    waiting: Mutex<Vec<(u64, Arc<Notify>)>>,
}

/// A place in the list, left when dropped.
pub(crate) struct Waiter {
    waiters: Arc<Waiters>,
    id: u64,
}

impl Waiters {
    /// Wakes everyone. Call without the log's lock: what they do first is take it.
    pub fn wake(&self) {
        for (_, waiter) in self.waiting.lock().iter() {
            waiter.notify_one();
        }
    }
}

impl Waiter {
    /// Registers `notify`. Register before looking at the log: an append in between is then not missed.
    pub fn register(waiters: Arc<Waiters>, notify: Arc<Notify>) -> Self {
        let id = waiters.next.fetch_add(1, Ordering::Relaxed);
        waiters.waiting.lock().push((id, notify));
        Self { waiters, id }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut waiting = self.waiters.waiting.lock();
        if let Some(at) = waiting.iter().position(|(id, _)| *id == self.id) {
            waiting.swap_remove(at);
        }
    }
}
