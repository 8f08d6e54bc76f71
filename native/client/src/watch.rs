//! A value whose changes many can wait for, woken in the order in which they began to wait.
//!
//! tokio's own `watch` spreads its receivers over eight queues at random, so that two runs of one seed differ as soon as
//! two receivers wait; this one is for a few receivers and rare changes. Metadata and consumer drive it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use tokio::sync::Notify;

/// The side that changes the value. When it goes, receivers hear of it.
#[derive(Debug)]
pub struct Sender<T>(Arc<Inner<T>>);

/// A side that waits for changes.
#[derive(Debug)]
pub struct Receiver<T> {
    inner: Arc<Inner<T>>,
    seen: u64,
}

/// The sender is gone: nothing will change any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// The value, locked while this is held: never across an `await`.
pub type Ref<'a, T> = MappedMutexGuard<'a, T>;

#[derive(Debug)]
struct Inner<T> {
    state: Mutex<State<T>>,
    changed: Notify,
    receivers: AtomicUsize,
    /// The last receiver went.
    alone: Notify,
}

#[derive(Debug)]
struct State<T> {
    value: T,
    version: u64,
    gone: bool,
}

impl<T> Sender<T> {
    /// Begins with this value.
    pub fn new(value: T) -> Self {
        let state = Mutex::new(State { value, version: 0, gone: false });
        Self(Arc::new(Inner { state, changed: Notify::new(), receivers: AtomicUsize::new(0), alone: Notify::new() }))
    }

    /// A receiver that waits for what changes from now on.
    pub fn subscribe(&self) -> Receiver<T> {
        self.0.receivers.fetch_add(1, Ordering::SeqCst);
        let seen = self.0.state.lock().version;
        Receiver { inner: self.0.clone(), seen }
    }

    /// The value as it is.
    pub fn borrow(&self) -> Ref<'_, T> {
        self.0.borrow()
    }

    /// Changes the value and wakes everyone.
    pub fn send_modify(&self, change: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            change(value);
            true
        });
    }

    /// Replaces the value and wakes everyone.
    pub fn send_replace(&self, value: T) {
        self.send_modify(|old| *old = value);
    }

    /// Changes the value if `change` says so, and says whether it did.
    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        let mut state = self.0.state.lock();
        let changed = change(&mut state.value);
        state.version += u64::from(changed);
        drop(state);
        if changed {
            self.0.changed.notify_waiters();
        }
        changed
    }

    /// Waits until there is no receiver.
    pub async fn closed(&self) {
        loop {
            // Made before the look: it gets what is notified after it.
            let alone = self.0.alone.notified();
            if self.0.receivers.load(Ordering::SeqCst) == 0 {
                return;
            }
            alone.await;
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if self.inner.receivers.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.inner.alone.notify_waiters();
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.state.lock().gone = true;
        self.0.changed.notify_waiters();
    }
}

impl<T> Inner<T> {
    fn borrow(&self) -> Ref<'_, T> {
        MutexGuard::map(self.state.lock(), |state| &mut state.value)
    }
}

impl<T> Receiver<T> {
    /// Takes what is there now for seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = self.inner.state.lock().version;
    }

    /// Whether there is something not seen.
    ///
    /// # Errors
    /// When the sender is gone and all was seen.
    pub fn has_changed(&self) -> Result<bool, Gone> {
        let state = self.inner.state.lock();
        match state.version != self.seen {
            false if state.gone => Err(Gone),
            news => Ok(news),
        }
    }

    /// The value, which now counts as seen.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let state = self.inner.state.lock();
        self.seen = state.version;
        MutexGuard::map(state, |state| &mut state.value)
    }

    /// Waits until there is something not seen, and takes it for seen. Safe to drop and call again: nothing is missed.
    ///
    /// # Errors
    /// When the sender is gone and all was seen.
    pub async fn changed(&mut self) -> Result<(), Gone> {
        loop {
            let mut notified = std::pin::pin!(self.inner.changed.notified());
            // In line before the look: a change after the look wakes us.
            notified.as_mut().enable();
            {
                let state = self.inner.state.lock();
                if state.version != self.seen {
                    self.seen = state.version;
                    return Ok(());
                }
                if state.gone {
                    return Err(Gone);
                }
            }
            notified.await;
        }
    }

    /// Waits until the value is as `enough` wants it, and returns it as it was then.
    ///
    /// # Errors
    /// When the sender is gone and it is not.
    pub async fn wait_for(&mut self, mut enough: impl FnMut(&T) -> bool) -> Result<T, Gone>
    where
        T: Clone,
    {
        loop {
            {
                let value = self.borrow_and_update();
                if enough(&value) {
                    return Ok(value.clone());
                }
            }
            self.changed().await?;
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_change_before_or_while_waiting_is_seen_once() {
        let sender = Sender::new(0);
        let mut receiver = sender.subscribe();
        assert!(receiver.changed().now_or_never().is_none());
        sender.send_modify(|value| *value = 1);
        sender.send_modify(|value| *value = 2);
        assert_eq!(receiver.changed().await, Ok(()));
        assert_eq!(*receiver.borrow_and_update(), 2);
        assert!(receiver.changed().now_or_never().is_none());
        assert!(!sender.send_if_modified(|_| false));
        assert!(receiver.changed().now_or_never().is_none());
        let mut waiting = std::pin::pin!(receiver.wait_for(|value| *value == 5));
        assert!(waiting.as_mut().now_or_never().is_none());
        sender.send_modify(|value| *value = 4);
        assert!(waiting.as_mut().now_or_never().is_none());
        sender.send_modify(|value| *value = 5);
        assert_eq!(waiting.await, Ok(5));
    }

    #[tokio::test]
    async fn a_sender_that_goes_is_noticed_after_its_last_change() {
        let sender = Sender::new(0);
        let mut receiver = sender.subscribe();
        sender.send_modify(|value| *value = 1);
        drop(sender);
        assert_eq!(receiver.changed().await, Ok(()));
        assert_eq!(receiver.changed().await, Err(Gone));
        assert!(receiver.wait_for(|value| *value == 2).await.is_err());
    }

    #[tokio::test]
    async fn a_sender_can_wait_for_its_last_receiver_to_go() {
        let sender = Sender::new(0);
        assert_eq!(sender.closed().now_or_never(), Some(()));
        let (one, two) = (sender.subscribe(), sender.subscribe());
        let mut waiting = std::pin::pin!(sender.closed());
        drop(one);
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(two);
        assert_eq!(waiting.now_or_never(), Some(()));
    }

    #[tokio::test]
    async fn receivers_wake_in_the_order_in_which_they_waited() {
        let sender = Sender::new(0);
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..20)
            .map(|i| {
                let (mut receiver, order) = (sender.subscribe(), order.clone());
                tokio::spawn(async move {
                    receiver.changed().await.unwrap();
                    order.lock().push(i);
                })
            })
            .collect();
        tokio::task::yield_now().await;
        sender.send_modify(|value| *value = 1);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock(), (0..20).collect::<Vec<_>>());
    }
}
