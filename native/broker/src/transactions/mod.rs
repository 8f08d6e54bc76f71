//! The transaction coordinator: transactional ids, their producers, and the transactions that are open, in the rules of
//! transactions v1 and of v2 (KIP-890). Not what readers see of them: that is in `log`.
//! What they are is kept in `__transaction_state`: `journal` writes and reads it, `records` has its form.
//! Driven by the transaction APIs, by Produce, and by one timer task; `state` is one transactional id, this file all.
//!
//! Nodes are in one process: markers are written to their leaders while the coordinator is locked, and a transaction is over when
//! all copies in sync have them; with one node, at once. Its lock is taken before those of groups, the cluster, topics and logs.

mod journal;
mod records;
mod state;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dohle_protocol::ErrorCode;
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use crate::{
    config::broker::number,
    coordinator::{Ledger, Pending, internal},
    node::{Node, millis},
    partition::Partition,
    tasks::{Life, due},
};
use journal::Journal;
pub(crate) use state::{Producer, Transaction};

/// After this an end that could not be written is looked at again.
const AGAIN: Duration = Duration::from_millis(20);

/// All transactional ids.
pub(crate) struct Transactions {
    all: Mutex<All>,
    ledger: Ledger,
    /// A deadline may have come nearer: the timer looks again.
    changed: Notify,
}

/// Those of the partitions that this node leads.
struct All {
    by_id: BTreeMap<String, Transaction>,
    /// Of each partition: the leader epoch in which its ids were loaded; none, if they are not here.
    here: Vec<Option<i32>>,
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
        let here = vec![None; usize::try_from(ledger.partitions()).unwrap_or(1)];
        Self { all: Mutex::new(All { by_id: BTreeMap::new(), here }), ledger, changed: Notify::new() }
    }

    /// The partition that an id belongs to.
    pub fn partition_of(&self, transactional_id: &str) -> i32 {
        internal::partition_of(transactional_id, self.ledger.partitions())
    }

    /// Whether it is this node that coordinates an id, be it loaded or not.
    pub fn is_here(&self, transactional_id: &str) -> bool {
        self.ledger.epoch(self.partition_of(transactional_id)).is_some()
    }

    /// Waits until what was written of an id is committed, if it was coordinated here since this epoch.
    pub async fn committed(&self, transactional_id: &str, since: Option<i32>) -> Result<(), ErrorCode> {
        self.ledger.committed(self.partition_of(transactional_id), since).await
    }

    /// The leader epoch in which this node coordinates an id, if it does.
    pub fn epoch(&self, transactional_id: &str) -> Option<i32> {
        self.ledger.epoch(self.partition_of(transactional_id))
    }

    /// The ids, if that one is coordinated here.
    fn open(&self, transactional_id: &str) -> Result<MutexGuard<'_, All>, ErrorCode> {
        let index = self.partition_of(transactional_id);
        let epoch = self.ledger.epoch(index).ok_or(ErrorCode::NOT_COORDINATOR)?;
        let all = self.all.lock();
        match all.here.get(index as usize) {
            Some(Some(loaded)) if *loaded == epoch => Ok(all),
            _ => Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
        }
    }

    fn journal<'a>(&'a self, node: &'a Node, id: &'a str) -> Journal<'a> {
        Journal { node, ledger: &self.ledger, id }
    }

    /// Starts the task that aborts what is overdue.
    pub fn run(&self, node: &Arc<Node>, life: &Life) {
        life.run(node, |node| async move { node.transactions.time(&node).await });
    }

    async fn time(&self, node: &Node) {
        loop {
            let next = self.all.lock().by_id.values().filter_map(Transaction::deadline).min();
            if due(next, &self.changed).await && self.end_due(node).is_err() {
                // What fails is tried again, but not at once.
                sleep(AGAIN).await;
            }
        }
    }

    /// Ends what is overdue.
    fn end_due(&self, node: &Node) -> Result<(), ErrorCode> {
        let (now, mut done) = (Instant::now(), Ok(()));
        for (id, transaction) in self.all.lock().by_id.iter_mut() {
            if transaction.deadline().is_some_and(|deadline| deadline <= now) {
                if !transaction.is_ending() {
                    tracing::debug!(transactional_id = id, "transaction timed out");
                }
                done = done.and(transaction.abort_and_fence(self.journal(node, id)));
            }
        }
        done
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
        let mut all = self.known(node, transactional_id)?;
        let Some(transaction) = all.by_id.get_mut(transactional_id) else {
            // Kafka, too, gives whoever names a producer that is forgotten a new one.
            let transaction = Transaction::new(node.new_producer_id(), timeout_ms, node.world.wall_clock_ms());
            self.journal(node, transactional_id).write(&transaction)?;
            let producer = transaction.producer();
            all.by_id.insert(transactional_id.into(), transaction);
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
        let mut all = self.open(sender.transactional_id).map_err(as_leaders_say)?;
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

    /// Takes a partition in, for a leader on another node; what it answers is in force when it is committed.
    pub fn take_in(
        &self,
        sender: Sender<'_>,
        one: (&Arc<str>, i32, &Arc<Partition>),
        node: &Node,
    ) -> Result<(), ErrorCode> {
        self.write(sender, one, Adding::Implicit, node, || Ok(()))
    }

    /// Takes partitions into the sender's transaction, opening it.
    pub fn add_partitions<'p>(
        &self,
        sender: Sender<'_>,
        partitions: impl Iterator<Item = (&'p Arc<str>, i32, &'p Arc<Partition>)> + Clone,
        node: &Node,
    ) -> Result<(), ErrorCode> {
        let mut all = self.known(node, sender.transactional_id)?;
        of(&mut all, sender)?.add(self.journal(node, sender.transactional_id), partitions, None)?;
        self.changed.notify_one();
        Ok(())
    }

    /// Which of `partitions` are in the sender's open transaction.
    pub fn verify(&self, sender: Sender<'_>, topic: &Arc<str>, index: i32) -> Result<(), ErrorCode> {
        let mut all = self.open(sender.transactional_id)?;
        if of(&mut all, sender)?.has_partition(topic, index) { Ok(()) } else { Err(ErrorCode::TRANSACTION_ABORTABLE) }
    }

    /// Takes a group's offsets into the sender's transaction, opening it.
    pub fn add_group(&self, sender: Sender<'_>, group_id: &str, node: &Node) -> Result<(), ErrorCode> {
        let index = node.groups.partition_of(group_id);
        let journal = self.journal(node, sender.transactional_id);
        let mut all = self.open(sender.transactional_id)?;
        of(&mut all, sender)?.add(journal, std::iter::empty(), Some(index))?;
        drop(all);
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
        let mut all = self.open(sender.transactional_id).map_err(as_leaders_say)?;
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

    /// Commits or aborts; answers the producer that goes on: in v2 its epoch is a new one. Waits for the copies of the decision, and
    /// of the markers.
    pub async fn end(&self, node: &Node, sender: Sender<'_>, commit: bool, v2: bool) -> Result<Producer, ErrorCode> {
        let until = Instant::now() + millis(number(&node.options, "offsets.commit.timeout.ms") as i32);
        loop {
            let (ended, pending) = self.try_end(node, sender, commit, v2);
            // Another error is the sender's: it does not go away.
            let not_yet = ended == Err(ErrorCode::COORDINATOR_NOT_AVAILABLE) && Instant::now() < until;
            let Some(pending) = pending.filter(|_| not_yet) else { return ended };
            let was_done = pending.is_done() == Ok(true);
            if pending.done(until.duration_since(Instant::now())).await.is_err() || was_done {
                // Another leads: there is another marker to write, when it can be.
                sleep(AGAIN).await;
            }
        }
    }

    /// The same without waiting; and what is to be waited for, when it fails for want of that.
    fn try_end(
        &self,
        node: &Node,
        sender: Sender<'_>,
        commit: bool,
        v2: bool,
    ) -> (Result<Producer, ErrorCode>, Option<Pending>) {
        let mut all = match self.known(node, sender.transactional_id) {
            Ok(all) => all,
            Err(code) => return (Err(code), None),
        };
        let Some(transaction) = all.by_id.get_mut(sender.transactional_id) else {
            return (Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING), None);
        };
        let journal = self.journal(node, sender.transactional_id);
        let ended = transaction.end(journal, sender.producer, commit, v2);
        let pending = transaction.pending();
        drop(all);
        self.changed.notify_one();
        (ended, pending)
    }

    /// The same for who cannot wait: with one node there is nothing to wait for.
    #[cfg(test)]
    pub fn end_now(&self, node: &Node, sender: Sender<'_>, commit: bool, v2: bool) -> Result<Producer, ErrorCode> {
        self.try_end(node, sender, commit, v2).0
    }

    /// Looks at one transactional id.
    pub fn with<T>(
        &self,
        node: &Node,
        transactional_id: &str,
        look: impl FnOnce(Option<&Transaction>) -> T,
    ) -> Result<T, ErrorCode> {
        Ok(look(self.known(node, transactional_id)?.by_id.get(transactional_id)))
    }

    /// Looks at all transactional ids, in their order.
    pub fn each(&self, node: &Node, mut look: impl FnMut(&str, &Transaction)) {
        self.forget_expired(node).by_id.iter().for_each(|(id, transaction)| look(id, transaction));
    }

    fn known(&self, node: &Node, transactional_id: &str) -> Result<MutexGuard<'_, All>, ErrorCode> {
        drop(self.open(transactional_id)?);
        Ok(self.forget_expired(node))
    }

    /// All that have not expired (`transactional.id.expiration.ms`). The others are forgotten now: when nobody looks, they harm
    /// nobody.
    fn forget_expired(&self, node: &Node) -> MutexGuard<'_, All> {
        let mut all = self.all.lock();
        let (now_ms, after_ms) = (node.world.wall_clock_ms(), number(&node.options, "transactional.id.expiration.ms"));
        // One whose end cannot be written stays.
        all.by_id.retain(|id, transaction| {
            !(transaction.expired(now_ms, after_ms) && self.journal(node, id).forget().is_ok())
        });
        all
    }
}

/// The transactional id of a sender that is its present producer.
fn of<'t>(all: &'t mut All, sender: Sender<'_>) -> Result<&'t mut Transaction, ErrorCode> {
    let transaction = all.by_id.get_mut(sender.transactional_id).ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
    transaction.check(sender.producer)?;
    if transaction.is_ending() { Err(ErrorCode::CONCURRENT_TRANSACTIONS) } else { Ok(transaction) }
}

/// As Kafka's leaders and group coordinators translate the transaction coordinator's answer.
pub(crate) fn as_leaders_say(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::COORDINATOR_NOT_AVAILABLE
        | ErrorCode::NOT_COORDINATOR
        | ErrorCode::LEADER_NOT_AVAILABLE
        | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => ErrorCode::NOT_ENOUGH_REPLICAS,
        code => code,
    }
}
