//! What is written of transactional ids to `__transaction_state`, before anyone hears of it; and read from there when the broker starts.
//! Driven by the coordinator, under its lock.

use std::collections::{BTreeMap, BTreeSet};

use dohle_protocol::{ErrorCode, messages::TransactionLogValue};

use super::{Transactions, records, state::Transaction};
use crate::{
    coordinator::{Clock, Found, Ledger, Origin, internal},
    node::Node,
    topics::{Refusal, Topics},
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

    fn append(&self, entry: crate::coordinator::Entry) -> Result<(), ErrorCode> {
        let index = internal::partition_of(self.id, self.ledger.partitions());
        self.ledger.append(index, &[entry], Origin::Coordinator).map_err(|code| match code {
            ErrorCode::UNKNOWN_SERVER_ERROR => code,
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

    /// All transactional ids are what their records say.
    pub fn load(&self, topics: &Topics, clock: &Clock) {
        let mut known = BTreeMap::<String, TransactionLogValue>::new();
        let mut take = |found| {
            let Found::Record(_, entry) = found else { return };
            match records::read(&entry) {
                Ok((id, Some(value))) => drop(known.insert(id, value)),
                Ok((id, None)) => drop(known.remove(&id)),
                Err(reason) => {
                    tracing::error!(reason, "a record of a transactional id cannot be read, and is passed over")
                }
            }
        };
        for index in 0..self.ledger.partitions() {
            if let Err(error) = self.ledger.read(index, &mut take) {
                tracing::error!(%error, index, "the transactional ids of a partition cannot be loaded");
            }
        }
        let known = known.into_iter();
        *self.by_id.lock() =
            known.filter_map(|(id, value)| Some((id, Transaction::from_record(&value, topics, clock)?))).collect();
        self.changed.notify_one();
    }

    /// Writes what is missing of the ends that were decided; what cannot be is tried again by the timer.
    pub fn end_decided(&self, node: &Node) {
        for (id, transaction) in self.by_id.lock().iter_mut().filter(|(_, transaction)| transaction.is_ending()) {
            let _ = transaction.abort_and_fence(self.journal(node, id));
        }
    }

    /// Aborts what is open in partitions though no transactional id has it: nobody else would ever end it.
    pub fn abort_orphans(&self, topics: &Topics, now_ms: i64) {
        let all = self.by_id.lock();
        let open = all.values().flat_map(Transaction::open_in);
        let held: BTreeSet<(i64, &str, i32)> = open.collect();
        for topic in topics.all() {
            for (index, partition) in (0..).zip(topic.partitions()) {
                let orphan = |producer_id| !held.contains(&(producer_id, &*topic.name, index));
                if let Err(code) = partition.log.lock().abort_open(now_ms, orphan) {
                    tracing::error!(%code, topic = &*topic.name, index, "a transaction that nobody has is not aborted");
                }
            }
        }
    }
}
