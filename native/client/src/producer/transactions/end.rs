//! How a transaction ends: flush and commit, or let go of what is not sent and abort; a new epoch where one is needed.
//! Not the requests (coordinator.rs). A task of its own per end, so that a program that stops waiting leaves no half end.
//! Driven by `commit` and `abort`.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::{Transactions, verdict};
use crate::error::{Error, ErrorKind, Result};
use crate::producer::idempotence::ProducerId;
use crate::producer::sender::Command;

impl Transactions {
    pub(super) async fn carry_out(self, commit: bool) {
        self.offsets_settled().await;
        let finished = AssertUnwindSafe(self.finish(commit)).catch_unwind().await;
        let outcome = match finished.unwrap_or_else(|panic| Err(Error::panicked("ending a transaction", &*panic))) {
            Err(error) if !error.abortable() => Err(self.break_down(&error)),
            outcome => outcome,
        };
        self.state().conclude(&outcome);
    }

    async fn finish(&self, commit: bool) -> Result<()> {
        let state = self.state();
        if commit && state.failure().is_none() {
            self.flush().await;
            if state.failure().is_none() {
                match self.commit_started().await {
                    Ok(()) => return Ok(()),
                    Err(error) if verdict::recoverable_end(&error) => drop(state.failed(&error)),
                    Err(error) => return Err(error),
                }
            }
        }
        state.turn_back();
        let failure = state.failure();
        if let Some(error) = failure.as_ref().filter(|error| error.fatal()) {
            return Err(error.clone());
        }
        self.roll_back(failure.as_ref()).await?;
        match failure {
            Some(error) if commit => Err(error.context("the transaction was aborted")),
            _ => Ok(()),
        }
    }

    async fn commit_started(&self) -> Result<()> {
        // One that the coordinator has not heard of has nothing to commit, and the coordinator would refuse it.
        if !self.state().to_be_ended().0 {
            return Ok(());
        }
        if let Some(next) = self.end_txn(true).await? {
            self.identify(next).await;
        }
        Ok(())
    }

    async fn roll_back(&self, failure: Option<&Error>) -> Result<()> {
        let state = self.state();
        let why = failure.cloned().unwrap_or_else(|| {
            let text = "the transaction was aborted before the record was acknowledged";
            Error::new(ErrorKind::Aborted, text).into_abortable()
        });
        let clean = self.quiesce(why).await;
        let (started, known) = state.to_be_ended();
        // Where sequences may have a gap the epoch is bumped; since KIP-890 the end of a transaction does that.
        let mut bump = !clean || !known || (started && failure.is_some() && !state.v2());
        if started && known {
            match self.end_txn(false).await {
                Ok(Some(next)) => {
                    self.identify(next).await;
                    bump = false;
                }
                Ok(None) => {}
                Err(error) if verdict::recoverable_end(&error) => bump = true,
                Err(error) => return Err(error),
            }
        }
        if bump {
            let next = self.take_id(state.id()).await?;
            self.identify(next).await;
        }
        Ok(())
    }

    /// The sender goes on with this id, and so do we.
    pub(super) async fn identify(&self, id: ProducerId) {
        self.command(|done| Command::Identify { id, done }).await;
        self.state().ready(id);
    }

    async fn flush(&self) {
        self.command(Command::Flush).await;
    }

    /// Lets go of what was not sent, and waits for the answers to what was. False when sequences may have a gap.
    async fn quiesce(&self, error: Error) -> bool {
        self.command(|done| Command::Quiesce { error, done }).await.unwrap_or(false)
    }

    /// None when the sender has ended.
    async fn command<T>(&self, make: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (done, answer) = oneshot::channel();
        if !self.accumulator().command(make(done)) {
            return None;
        }
        answer.await.ok()
    }

    async fn offsets_settled(&self) {
        let mut changes = self.state().changes();
        while self.state().offsets_under_way() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}
