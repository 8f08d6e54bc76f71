//! What a transaction asks of the sender: partitions added before their first record, the wire empty before an end, what
//! waits let go of after a failure.
//! Not the transaction's state: that is `transactions::Transaction`, which both sides change under its lock.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Event, Sender};
use crate::error::{Error, ErrorKind, Result};
use crate::producer::idempotence::{ProducerId, Sequences};
use crate::producer::transactions::News;

/// The last version of Produce in which partitions are added to a transaction by the client (KIP-890).
const LAST_WITH_ADDING: i16 = 11;

impl Sender {
    /// See `Circumstances::round`.
    pub(super) fn round(&self) -> u32 {
        self.accumulator.transaction.as_ref().map_or(0, |transaction| transaction.round())
    }

    /// The highest version of Produce that means what we mean.
    pub(super) fn highest_produce(&self) -> i16 {
        match &self.accumulator.transaction {
            Some(transaction) if !transaction.v2() => LAST_WITH_ADDING,
            _ => i16::MAX,
        }
    }

    /// A request of the transaction is about to leave.
    pub(super) fn started(&self) {
        if let Some(transaction) = &self.accumulator.transaction {
            transaction.start();
        }
    }

    /// The error of records as the program gets it.
    pub(super) fn in_transaction(&self, error: &Arc<Error>) -> Arc<Error> {
        match &self.accumulator.transaction {
            Some(transaction) => Arc::new(transaction.failed(error)),
            None => error.clone(),
        }
    }

    /// Deals with what has failed, adds partitions that have records, and tells who waits that the wire is empty.
    pub(super) fn check_transaction(&mut self) {
        let Some(transactions) = self.transactions.clone() else { return };
        let news = self.accumulator.transaction.as_ref().and_then(|transaction| transaction.take_news());
        match news {
            Some(News::Fail(error)) => self.fail_pending(&error),
            Some(News::Break(error)) => self.break_down(error),
            None => {}
        }
        if !self.adding && !self.to_add.is_empty() {
            let (round, mut slots) = (self.round(), std::mem::take(&mut self.to_add));
            slots.sort_unstable();
            slots.dedup();
            slots.retain(|slot| self.parts[*slot as usize].busy() && !self.parts[*slot as usize].admitted(round));
            if !slots.is_empty() {
                self.adding = true;
                let shared = slots.iter().map(|slot| &self.parts[*slot as usize].shared);
                let partitions = shared.map(|shared| (shared.topic.clone(), shared.index)).collect();
                self.events.push(Box::pin(async move {
                    let outcome = transactions.add_partitions(partitions).await;
                    Event::Added(slots, round, outcome)
                }));
            }
        }
        if !self.quiet.is_empty() && !self.adding && self.parts.iter().all(|part| part.written.is_empty()) {
            let clean = self.parts.iter().all(|part| !part.sequences.draining);
            for done in self.quiet.drain(..) {
                let _ = done.send(clean);
            }
        }
    }

    pub(super) fn on_added(&mut self, slots: &[u32], round: u32, outcome: Result<()>) {
        self.adding = false;
        if let (Err(error), Some(transactions)) = (&outcome, &self.transactions) {
            // The records of these partitions, and all others, fail with the next step.
            transactions.failed(error);
        }
        for slot in slots {
            if outcome.is_ok() {
                self.parts[*slot as usize].round = round;
            }
            self.visit(*slot);
        }
    }

    pub(super) fn identify(&mut self, id: ProducerId, done: oneshot::Sender<()>) {
        self.identity.set(id);
        for part in &mut self.parts {
            if part.sequences.draining || part.sequences.producer() != Some(id) {
                part.sequences = Sequences::new();
                part.proven = false;
                part.retry_at = None;
            }
        }
        let _ = done.send(());
        self.visit_all();
    }

    pub(super) fn quiesce(&mut self, error: &Error, done: oneshot::Sender<bool>) {
        debug_assert!(error.kind() != ErrorKind::Closed);
        self.fail_pending(error);
        self.to_add.clear();
        self.quiet.push(done);
    }
}
