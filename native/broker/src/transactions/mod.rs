//! The transaction coordinator: transactional ids, their producers, and the transactions that are open, in the rules of
//! transactions v1 and of v2 (KIP-890). Not what readers see of them: that is in `log`.
//! What they are is kept in `__transaction_state`: `journal` writes and reads it, `records` has its form.
//! Driven by the transaction APIs, by Produce, and by one timer task; `state` is one transactional id, this file all.
//!
//! One node: its markers are written while the coordinator is locked, so that a transaction ends at once, everywhere. Its lock
//! is taken before those of groups, topics and logs.

mod journal;
mod records;
mod state;

use std::{collections::BTreeMap, sync::Arc};

use dohle_protocol::ErrorCode;
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::{broker::Life, config::broker::number, coordinator::Ledger, node::Node, topics::Partition};
use journal::Journal;
pub(crate) use state::{Producer, Transaction};

/// All transactional ids.
pub(crate) struct Transactions {
    by_id: Mutex<BTreeMap<String, Transaction>>,
    ledger: Ledger,
    /// A deadline may have come nearer: the timer looks again.
    changed: Notify,
}

/// What a transactional request says of its sender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender<'a> {
    pub transactional_id: &'a str,
    pub producer: Producer,
}

/// How a partition or a group comes into a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adding {
    /// By a request of its own before (v1).
    Before,
    /// By the first use (v2).
    Implicit,
}

impl Transactions {
    /// With no transactional id: they are to be loaded.
    pub fn new(ledger: Ledger) -> Self {
        Self { by_id: Mutex::default(), ledger, changed: Notify::new() }
    }

    fn journal<'a>(&'a self, node: &'a Node, id: &'a str) -> Journal<'a> {
        Journal { node, ledger: &self.ledger, id }
    }

    /// Starts the task that aborts what is overdue.
    pub fn run(&self, node: &Arc<Node>, mut life: Life) {
        let world = node.world.clone();
        let node = node.clone();
        world.spawn(Box::pin(async move {
            life.during(node.transactions.time(&node)).await;
        }));
    }

    async fn time(&self, node: &Node) {
        loop {
            let next = self.by_id.lock().values().filter_map(Transaction::deadline).min();
            match next {
                None => self.changed.notified().await,
                Some(deadline) => tokio::select! {
                    biased;
                    () = self.changed.notified() => continue,
                    () = sleep_until(deadline) => {}
                },
            }
            let now = Instant::now();
            for (id, transaction) in self.by_id.lock().iter_mut() {
                if transaction.deadline().is_some_and(|deadline| deadline <= now) {
                    if !transaction.is_ending() {
                        tracing::debug!(transactional_id = id, "transaction timed out");
                    }
                    // What fails is tried again at the next deadline.
                    let _ = transaction.abort_and_fence(self.journal(node, id));
                }
            }
        }
    }

    /// A producer for a transactional id: the only one from now on. What its predecessor left open is aborted.
    pub fn init(
        &self,
        node: &Node,
        transactional_id: &str,
        timeout_ms: i32,
        expected: Option<Producer>,
    ) -> Result<Producer, ErrorCode> {
        if timeout_ms <= 0 || timeout_ms > node.options.transaction_max_timeout_ms {
            return Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT);
        }
        let mut all = self.known(node);
        let Some(transaction) = all.get_mut(transactional_id) else {
            // Kafka, too, gives whoever names a producer that is forgotten a new one.
            let transaction = Transaction::new(node.new_producer_id(), timeout_ms, node.world.wall_clock_ms());
            self.journal(node, transactional_id).write(&transaction)?;
            let producer = transaction.producer();
            all.insert(transactional_id.into(), transaction);
            return Ok(producer);
        };
        let producer = transaction.init(self.journal(node, transactional_id), timeout_ms, expected);
        drop(all);
        self.changed.notify_one();
        producer
    }

    /// Does `work` while the sender's transaction is open, after taking `partition` into it: nothing ends the transaction
    /// meanwhile.
    pub fn write<T>(
        &self,
        sender: Sender<'_>,
        (topic, index, partition): (&Arc<str>, i32, &Arc<Partition>),
        adding: Adding,
        node: &Node,
        work: impl FnOnce() -> Result<T, ErrorCode>,
    ) -> Result<T, ErrorCode> {
        let mut all = self.by_id.lock();
        let transaction = of(&mut all, sender).map_err(as_leaders_say)?;
        match adding {
            Adding::Implicit => {
                let one = std::iter::once((topic, index, partition));
                let journal = self.journal(node, sender.transactional_id);
                if transaction.add(journal, one, None).map_err(as_leaders_say)? {
                    self.changed.notify_one();
                }
            }
            Adding::Before if transaction.has_partition(topic, index) => {}
            Adding::Before => return Err(ErrorCode::INVALID_TXN_STATE),
        }
        work()
    }

    /// Takes partitions into the sender's transaction, opening it.
    pub fn add_partitions<'p>(
        &self,
        sender: Sender<'_>,
        partitions: impl Iterator<Item = (&'p Arc<str>, i32, &'p Arc<Partition>)> + Clone,
        node: &Node,
    ) -> Result<(), ErrorCode> {
        let mut all = self.known(node);
        of(&mut all, sender)?.add(self.journal(node, sender.transactional_id), partitions, None)?;
        self.changed.notify_one();
        Ok(())
    }

    /// Which of `partitions` are in the sender's open transaction.
    pub fn verify(&self, sender: Sender<'_>, topic: &Arc<str>, index: i32) -> Result<(), ErrorCode> {
        let mut all = self.by_id.lock();
        if of(&mut all, sender)?.has_partition(topic, index) { Ok(()) } else { Err(ErrorCode::TRANSACTION_ABORTABLE) }
    }

    /// Takes a group's offsets into the sender's transaction, opening it.
    pub fn add_group(&self, sender: Sender<'_>, group_id: &str, node: &Node) -> Result<(), ErrorCode> {
        let index = node.groups.partition_of(group_id);
        let journal = self.journal(node, sender.transactional_id);
        of(&mut self.by_id.lock(), sender)?.add(journal, std::iter::empty(), Some(index))?;
        self.changed.notify_one();
        Ok(())
    }

    /// Does `work`, which stores offsets of a group, while the sender's transaction is open and has that group.
    pub fn commit_offsets<T>(
        &self,
        sender: Sender<'_>,
        group_id: &str,
        adding: Adding,
        node: &Node,
        work: impl FnOnce() -> Result<T, ErrorCode>,
    ) -> Result<T, ErrorCode> {
        let mut all = self.by_id.lock();
        let transaction = of(&mut all, sender).map_err(as_leaders_say)?;
        let index = node.groups.partition_of(group_id);
        match adding {
            Adding::Implicit => {
                let journal = self.journal(node, sender.transactional_id);
                if transaction.add(journal, std::iter::empty(), Some(index)).map_err(as_leaders_say)? {
                    self.changed.notify_one();
                }
            }
            Adding::Before if transaction.has_offsets(index) => {}
            Adding::Before => return Err(ErrorCode::INVALID_TXN_STATE),
        }
        work()
    }

    /// Commits or aborts; answers the producer that goes on: in v2 its epoch is a new one.
    pub fn end(&self, node: &Node, sender: Sender<'_>, commit: bool, v2: bool) -> Result<Producer, ErrorCode> {
        let mut all = self.known(node);
        let transaction = all.get_mut(sender.transactional_id).ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
        let journal = self.journal(node, sender.transactional_id);
        let ended = transaction.end(journal, sender.producer, commit, v2);
        drop(all);
        self.changed.notify_one();
        ended
    }

    /// Looks at one transactional id.
    pub fn with<T>(&self, node: &Node, transactional_id: &str, look: impl FnOnce(Option<&Transaction>) -> T) -> T {
        look(self.known(node).get(transactional_id))
    }

    /// Looks at all transactional ids, in their order.
    pub fn each(&self, node: &Node, mut look: impl FnMut(&str, &Transaction)) {
        self.known(node).iter().for_each(|(id, transaction)| look(id, transaction));
    }

    /// All that have not expired (`transactional.id.expiration.ms`). The others are forgotten now: when nobody looks, they harm
    /// nobody.
    fn known(&self, node: &Node) -> MutexGuard<'_, BTreeMap<String, Transaction>> {
        let mut all = self.by_id.lock();
        let (now_ms, after_ms) = (node.world.wall_clock_ms(), number(&node.options, "transactional.id.expiration.ms"));
        // One whose end cannot be written stays.
        all.retain(|id, transaction| {
            !(transaction.expired(now_ms, after_ms) && self.journal(node, id).forget().is_ok())
        });
        all
    }
}

/// The transactional id of a sender that is its present producer.
fn of<'t>(all: &'t mut BTreeMap<String, Transaction>, sender: Sender<'_>) -> Result<&'t mut Transaction, ErrorCode> {
    let transaction = all.get_mut(sender.transactional_id).ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
    transaction.check(sender.producer)?;
    if transaction.is_ending() { Err(ErrorCode::CONCURRENT_TRANSACTIONS) } else { Ok(transaction) }
}

/// As Kafka's leaders and group coordinators translate the transaction coordinator's answer.
fn as_leaders_say(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::COORDINATOR_NOT_AVAILABLE => ErrorCode::NOT_ENOUGH_REPLICAS,
        code => code,
    }
}
