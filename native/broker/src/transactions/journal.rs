//! What is written of transactional ids to `__transaction_state`, before anyone hears of it; and read from there when the broker starts.
//! Driven by the coordinator, under its lock.

use std::collections::{BTreeMap, BTreeSet};

use dohle_protocol::{ErrorCode, messages::TransactionLogValue};

use super::{Transactions, records, state::Transaction};
use crate::{
    coordinator::{Clock, Found, Ledger, Origin, Pending, internal},
    node::Node,
    topics::Refusal,
};

/// Writes what becomes of one transactional id.
#[derive(Clone, Copy)]
pub(super) struct Journal<'a> {
    pub node: &'a Node,
    pub ledger: &'a Ledger,
    pub id: &'a str,
}

impl Journal<'_> {
    /// What is now. An error means that it is not.
    pub fn write(&self, transaction: &Transaction) -> Result<(), ErrorCode> {
        let entry = records::entry(self.id, transaction, self.node.features.level(crate::features::TRANSACTION))?;
        self.append(entry)
    }

    /// The id is forgotten.
    pub fn forget(&self) -> Result<(), ErrorCode> {
        self.append(records::gone(self.id)?)
    }

    fn index(&self) -> i32 {
        internal::partition_of(self.id, self.ledger.partitions())
    }

    /// All that was written so far.
    pub fn pending(&self) -> Option<Pending> {
        self.ledger.pending(self.index())
    }

    /// Counts who has coordinated it.
    pub fn coordinator_epoch(&self) -> i32 {
        self.ledger.epoch(self.index()).unwrap_or(0)
    }

    fn append(&self, entry: crate::coordinator::Entry) -> Result<(), ErrorCode> {
        let index = self.index();
        self.ledger.append(index, &[entry], Origin::Coordinator).map_err(|code| match code {
            ErrorCode::UNKNOWN_SERVER_ERROR | ErrorCode::NOT_COORDINATOR => code,
            // As Kafka's coordinator tells that its log takes nothing: clients look for it, and ask again.
            _ => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        })
    }
}

impl Transactions {
    /// Makes the topic, if there is none.
    pub fn make_topic(&self) -> Result<(), Refusal> {
        self.ledger.topic().map(drop)
    }

    /// Loads the ids of partitions that this node has begun to lead, and gives up those of the ones that it leads no more.
    pub fn coordinate(&self, node: &Node, clock: &Clock) {
        let mut all = self.all.lock();
        for index in 0..all.here.len() as i32 {
            let epoch = self.ledger.epoch(index);
            if all.here[index as usize] == epoch {
                continue;
            }
            all.by_id.retain(|id, _| self.partition_of(id) != index);
            all.here[index as usize] = None;
            if epoch.is_none() {
                continue;
            }
            match self.read(index) {
                Ok(known) => {
                    let of = |(id, value): (String, TransactionLogValue)| {
                        Some((id, Transaction::from_record(&value, &node.topics, clock)?))
                    };
                    all.by_id.extend(known.into_iter().filter_map(of));
                    all.here[index as usize] = epoch;
                }
                Err(error) => {
                    tracing::error!(%error, index, "the transactional ids of a partition cannot be loaded");
                }
            }
        }
        drop(all);
        self.changed.notify_one();
    }

    /// Gives all up.
    pub fn give_up(&self) {
        let mut all = self.all.lock();
        all.by_id.clear();
        all.here.fill(None);
    }

    fn read(&self, index: i32) -> std::io::Result<BTreeMap<String, TransactionLogValue>> {
        let mut known = BTreeMap::<String, TransactionLogValue>::new();
        self.ledger.read(index, |found| {
            let Found::Record(_, entry) = found else { return };
            match records::read(&entry) {
                Ok((id, Some(value))) => drop(known.insert(id, value)),
                Ok((id, None)) => drop(known.remove(&id)),
                Err(reason) => {
                    tracing::error!(reason, "a record of a transactional id cannot be read, and is passed over")
                }
            }
        })?;
        Ok(known)
    }

    /// Writes what is missing of the ends that were decided; what cannot be is tried again by the timer.
    pub fn end_decided(&self, node: &Node) {
        for (id, transaction) in self.all.lock().by_id.iter_mut().filter(|(_, transaction)| transaction.is_ending()) {
            let _ = transaction.abort_and_fence(self.journal(node, id));
        }
    }

    /// Aborts what is open in partitions though no transactional id has it: nobody else would ever end it.
    pub fn abort_orphans(&self, node: &Node, now_ms: i64) {
        let all = self.all.lock();
        let open = all.by_id.values().flat_map(Transaction::open_in);
        let held: BTreeSet<(i64, &str, i32)> = open.collect();
        for topic in node.topics.all() {
            for (index, partition) in (0..).zip(topic.partitions()) {
                let orphan = |producer_id| !held.contains(&(producer_id, &*topic.name, index));
                let Ok(replica) = partition.led_by(node.options.node_id) else { continue };
                if let Err(code) = replica.log.lock().abort_open(now_ms, orphan) {
                    tracing::error!(%code, topic = &*topic.name, index, "a transaction that nobody has is not aborted");
                }
            }
        }
    }
}
