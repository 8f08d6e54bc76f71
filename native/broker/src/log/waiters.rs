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
pub(crate) struct Waiter<P: AsRef<Waiters>> {
    partition: P,
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

impl<P: AsRef<Waiters>> Waiter<P> {
    /// Registers `notify`. Register before looking at the log: an append in between is then not missed.
    pub fn register(partition: P, notify: Arc<Notify>) -> Self {
        let waiters = partition.as_ref();
        let id = waiters.next.fetch_add(1, Ordering::Relaxed);
        waiters.waiting.lock().push((id, notify));
        Self { partition, id }
    }
}

impl<P: AsRef<Waiters>> Drop for Waiter<P> {
    fn drop(&mut self) {
        let mut waiting = self.partition.as_ref().waiting.lock();
        if let Some(at) = waiting.iter().position(|(id, _)| *id == self.id) {
            waiting.swap_remove(at);
        }
    }
}
