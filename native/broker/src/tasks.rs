//! What runs in the background of a node: it ends with the node, and works when something has changed or is due.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep_until},
};

use crate::node::Node;

/// Told once, to all. Not tokio's `watch`, which wakes those who wait in random order.
#[derive(Default)]
pub(crate) struct Stop {
    told: AtomicBool,
    waiting: Notify,
}

impl Stop {
    pub fn stop(&self) {
        self.told.store(true, Ordering::SeqCst);
        self.waiting.notify_waiters();
    }

    async fn stopped(&self) {
        // Made before looking: it gets what is told from here on.
        let told = self.waiting.notified();
        if !self.told.load(Ordering::SeqCst) {
            told.await;
        }
    }
}

/// What every task of the broker holds: it is told when to stop, and tells when it has.
#[derive(Clone)]
pub(crate) struct Life {
    stop: Arc<Stop>,
    _alive: mpsc::Sender<Infallible>,
}

impl Life {
    /// Told by `stop`; whoever has the other end of `alive` sees it end when the last life does.
    pub fn new(stop: Arc<Stop>, alive: mpsc::Sender<Infallible>) -> Self {
        Self { stop, _alive: alive }
    }

    /// Starts a task of a node's, which ends with the node.
    pub fn run<T>(&self, node: &Arc<Node>, work: impl FnOnce(Arc<Node>) -> T)
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let (mut life, work) = (self.clone(), work(node.clone()));
        node.world.spawn(Box::pin(async move {
            life.during(work).await;
        }));
    }

    /// Runs `work` until its end or the broker's.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stop.stopped() => None,
            done = work => Some(done),
        }
    }
}

/// Waits for a deadline, for ever when there is none, or until something has changed; answers whether the deadline has come.
pub(crate) async fn due(deadline: Option<Instant>, changed: &Notify) -> bool {
    let deadline = async {
        match deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        // The permit of a change that was made before this is kept until it is waited for.
        () = changed.notified() => false,
        () = deadline => true,
    }
}
