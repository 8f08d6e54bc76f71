//! Transactions of a producer (KIP-98; KIP-890 where the cluster has `transaction.version` 2): take the id, begin, commit, abort,
//! offsets within a transaction.
//! Not the records: those take the producer's usual way, which asks here whether they may and tells what failed.
//! Driven by the program through `Producer`.
//!
//! File map: `state` what may be called and what a failure means · `verdict` what an error means · `coordinator` the requests ·
//! `offsets` those of offsets · `end` commit and abort.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::accumulator::Accumulator;
use super::config::Config;
use crate::client::{Client, CoordinatorKind};
use crate::consumer::{Consumer, TransactionOffsets};
use crate::error::{Error, ErrorKind, Result};
use crate::producer::idempotence::ProducerId;
use state::Begun;

mod coordinator;
mod end;
mod offsets;
mod state;
mod verdict;

pub(super) use state::{News, Transaction};

/// The feature whose level tells the kind of transactions, and the level from which on they are those of KIP-890.
const FEATURE: (&str, i16) = ("transaction.version", 2);

/// A transactional producer's half that talks to coordinators. Cheap to clone.
#[derive(Clone)]
pub(super) struct Transactions(Arc<Inner>);

struct Inner {
    client: Client,
    accumulator: Arc<Accumulator>,
}

impl Transactions {
    /// None without a `transactional.id`. Asks for the producer's id at once: that ends what an earlier producer left open, for
    /// which consumers would wait otherwise.
    pub fn new(client: &Client, accumulator: &Arc<Accumulator>) -> Option<Self> {
        accumulator.transaction.as_ref()?;
        let this = Self(Arc::new(Inner { client: client.clone(), accumulator: accumulator.clone() }));
        this.initialise(None);
        Some(this)
    }

    /// Opens a transaction, at the latest after `max.block.ms`.
    pub async fn begin(&self) -> Result<()> {
        let limit = self.config().max_block;
        let deadline = Instant::now() + limit;
        let mut changes = self.state().changes();
        loop {
            if self.is_closed() {
                return Err(self.accumulator().why_closed());
            }
            match self.state().begin(self.speaks_v2())? {
                Begun::Open => return Ok(()),
                Begun::Bump(id) => self.initialise(Some(id)),
                Begun::Wait => {}
            }
            if timeout_at(deadline, changes.changed()).await.is_err() {
                let text = format!(
                    "transactional id {} could not be taken within {} ms: the coordinator does not answer, or an earlier transaction has not ended",
                    self.id(),
                    limit.as_millis()
                );
                return Err(self.0.client.too_late(Error::new(ErrorKind::MaxBlockTimeout, text)));
            }
        }
    }

    /// Sends what there is and commits, or aborts if anything of the transaction has failed: then an error says what.
    /// Waits for as long as it takes. Who stops waiting may ask again: the end goes on.
    pub async fn commit(&self) -> Result<()> {
        self.end(true).await
    }

    /// Aborts, without sending what has not left.
    pub async fn abort(&self) -> Result<()> {
        self.end(false).await
    }

    async fn end(&self, commit: bool) -> Result<()> {
        if self.is_closed() {
            return Err(self.accumulator().why_closed());
        }
        let (ended, first) = self.state().end(commit)?;
        if first {
            self.spawn(self.clone().carry_out(commit));
        }
        ended.await.unwrap_or_else(|_| Err(Error::closed("producer")))
    }

    /// Commits offsets of a group within the transaction, those of `member` if it is known. What fails lets the transaction
    /// fail.
    pub async fn commit_offsets(&self, given: TransactionOffsets, member: Option<Consumer>) -> Result<()> {
        let v2 = self.state().begin_offsets()?;
        let (done, outcome) = oneshot::channel();
        let this = self.clone();
        self.spawn(async move {
            let outcome = match given.offsets.is_empty() {
                true => Ok(()),
                false => this.send_offsets(v2, &given, member.as_ref()).await.map_err(|error| this.failed(&error)),
            };
            this.state().end_offsets();
            let _ = done.send(outcome);
        });
        outcome.await.unwrap_or_else(|_| Err(Error::closed("producer")))
    }

    /// Aborts what is open; what has not ended at `deadline` is left to the coordinator's time limit.
    pub async fn close(&self, deadline: Instant) {
        while self.state().is_open() {
            let end = async {
                match self.end(false).await {
                    // One that is being committed already is waited for.
                    Err(_) if self.state().is_open() => self.over().await,
                    _ => {}
                }
            };
            if timeout_at(deadline, end).await.is_err() {
                return;
            }
        }
    }

    async fn over(&self) {
        let mut changes = self.state().changes();
        while self.state().is_open() && !self.is_closed() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Asks for an id in the background until there is one.
    fn initialise(&self, bump: Option<ProducerId>) {
        let this = self.clone();
        self.spawn(async move {
            match this.take_id(bump).await {
                Ok(id) => this.identify(id).await,
                Err(error) => drop(this.break_down(&error)),
            }
        });
    }

    /// Whether the coordinator, as it is connected, has transactions as of KIP-890.
    fn speaks_v2(&self) -> bool {
        let node = self.client().known_coordinator(CoordinatorKind::Transaction, self.id());
        let level = node.and_then(|node| self.client().feature(node, FEATURE.0));
        level.map_or_else(|| self.state().v2(), |level| level >= FEATURE.1)
    }

    // ---- within -----------------------------------------------------------------------------------------------------

    /// Something of the transaction has failed; the sender is told.
    pub fn failed(&self, error: &Error) -> Error {
        let error = self.state().failed(error);
        self.accumulator().wake.notify_one();
        error
    }

    fn break_down(&self, error: &Error) -> Error {
        let error = self.state().break_down(error);
        self.accumulator().wake.notify_one();
        error
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.client().world().spawn(Box::pin(task));
    }

    fn client(&self) -> &Client {
        &self.0.client
    }

    fn accumulator(&self) -> &Accumulator {
        &self.0.accumulator
    }

    fn config(&self) -> &Config {
        &self.0.accumulator.config
    }

    fn id(&self) -> &str {
        self.config().transactional_id.as_deref().unwrap_or_default()
    }

    fn state(&self) -> &Transaction {
        match &self.0.accumulator.transaction {
            Some(state) => state,
            None => unreachable!("made for transactional producers only"),
        }
    }

    fn is_closed(&self) -> bool {
        self.accumulator().is_closed()
    }
}
