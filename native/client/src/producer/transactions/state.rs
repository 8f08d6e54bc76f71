//! The state of a transactional producer: what may be called when, and what a failure means for the transaction.
//! No I/O and no waiting: `transactions` and its tasks do those. One short lock, under which nothing is called.
//! Driven by the program's calls, by the sender (failed records) and by the tasks that end a transaction.
//!
//! ```text
//! Uninitialised → Ready → Open → Committing → Ready
//!                          │  ↘ Failed → Aborting → Ready          any → Fatal
//!                          └────────────↗
//! ```

use std::sync::atomic::{AtomicU32, Ordering};

use dohle_protocol::ErrorCode;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::verdict;
use crate::error::{Error, ErrorKind, Result};
use crate::producer::idempotence::ProducerId;
use crate::watch;

#[derive(Debug)]
enum State {
    /// There is no producer id, or it is about to be replaced.
    Uninitialised,
    Ready,
    Open,
    /// A send or a commit of offsets has failed: the transaction can only be aborted.
    Failed(Error),
    Committing,
    Aborting,
    /// Nothing can be sent any more.
    Fatal(Error),
}

/// What the sender is told at its next step.
pub(in crate::producer) enum News {
    /// What waits to be sent is of a transaction that has failed.
    Fail(Error),
    /// Nothing can be sent any more.
    Break(Error),
}

/// What `begin` found.
pub(in crate::producer) enum Begun {
    /// The transaction is open.
    Open,
    /// Not yet: look again when something has changed.
    Wait,
    /// The epoch has to be bumped first: transactions are of another kind from now on (KIP-890).
    Bump(ProducerId),
}

/// Whoever ended a transaction waits here.
pub(in crate::producer) type Ended = oneshot::Receiver<Result<()>>;

struct Inner {
    state: State,
    id: Option<ProducerId>,
    /// Transactions as of `transaction.version` 2 (KIP-890): each has an epoch of its own, brokers add partitions by themselves.
    v2: bool,
    /// Transactions begun.
    count: u32,
    /// The coordinator may know of the transaction: it has to be ended there.
    started: bool,
    /// The coordinator has forgotten the producer id: there is nothing to be ended.
    unmapped: bool,
    failure: Option<Error>,
    /// Whether the end that is under way was asked for by `commit`.
    commit: bool,
    news: Option<News>,
    /// Commits of offsets under way.
    offsets: usize,
    waiting: Vec<oneshot::Sender<Result<()>>>,
    /// How a transaction ended whose program had given up waiting, and whether it was to be committed.
    unheard: Option<(bool, Result<()>)>,
}

/// See the module.
pub(in crate::producer) struct Transaction {
    inner: Mutex<Inner>,
    /// Tells the partitions added to this transaction from those added to an earlier one; 0: brokers add them.
    round: AtomicU32,
    changes: watch::Sender<()>,
}

impl Transaction {
    pub fn new() -> Self {
        let inner = Inner {
            state: State::Uninitialised,
            id: None,
            v2: false,
            count: 0,
            started: false,
            unmapped: false,
            failure: None,
            commit: false,
            news: None,
            offsets: 0,
            waiting: Vec::new(),
            unheard: None,
        };
        Self { inner: Mutex::new(inner), round: AtomicU32::new(0), changes: watch::Sender::new(()) }
    }

    fn change<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        let result = f(&mut self.inner.lock());
        self.changes.send_modify(|()| {});
        result
    }

    /// Its name among librdkafka's states, and whether records are taken.
    pub fn described(&self) -> (&'static str, bool) {
        match &self.inner.lock().state {
            State::Uninitialised => ("Init", false),
            State::Ready => ("Ready", false),
            State::Open => ("InTransaction", true),
            State::Failed(_) => ("AbortableError", false),
            State::Committing => ("BeginCommit", false),
            State::Aborting => ("BeginAbort", false),
            State::Fatal(_) => ("FatalError", false),
        }
    }

    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    // ---- the append path and the sender -----------------------------------------------------------------------------

    /// Whether a record may begin a batch now.
    pub fn admit(&self) -> Result<()> {
        match &self.inner.lock().state {
            State::Open => Ok(()),
            State::Failed(error) => Err(error.clone().context("the transaction can only be aborted")),
            State::Fatal(error) => Err(error.clone()),
            State::Committing | State::Aborting => Err(refused("the transaction is about to end; begin another one")),
            State::Uninitialised | State::Ready => {
                Err(refused("a producer with a transactional.id sends within transactions only; begin one"))
            }
        }
    }

    /// See the field.
    pub fn round(&self) -> u32 {
        self.round.load(Ordering::Relaxed)
    }

    /// The kind of the transaction, see the field.
    pub fn v2(&self) -> bool {
        self.inner.lock().v2
    }

    /// Something is about to leave that makes the coordinator know of the transaction.
    pub fn start(&self) {
        self.inner.lock().started = true;
    }

    /// Records or offsets of the transaction have failed. Returns the error as the program gets it: it says what the failure
    /// means for the transaction.
    pub fn failed(&self, error: &Error) -> Error {
        if error.kind() == ErrorKind::Closed {
            return error.clone();
        }
        self.change(|inner| match &inner.state {
            State::Fatal(_) => error.clone().into_fatal(),
            _ if error.fatal() || verdict::always_fatal(error) => inner.fatal(error),
            State::Uninitialised | State::Ready => error.clone(),
            State::Open => {
                let error = inner.note(error);
                inner.state = State::Failed(error.clone());
                error
            }
            State::Committing => inner.note(error),
            State::Failed(_) | State::Aborting => error.clone().into_abortable(),
        })
    }

    /// What the sender does not know yet.
    pub fn take_news(&self) -> Option<News> {
        self.inner.lock().news.take()
    }

    // ---- beginning and ending ---------------------------------------------------------------------------------------

    /// There is a producer id, and nothing open.
    pub fn ready(&self, id: ProducerId) {
        self.change(|inner| {
            inner.id = Some(id);
            if matches!(inner.state, State::Uninitialised) {
                inner.state = State::Ready;
            }
        });
    }

    pub fn id(&self) -> Option<ProducerId> {
        self.inner.lock().id
    }

    /// Opens a transaction of this kind, if that is possible now.
    pub fn begin(&self, v2: bool) -> Result<Begun> {
        let mut inner = self.inner.lock();
        match &inner.state {
            State::Fatal(error) => return Err(error.clone()),
            State::Open | State::Failed(_) => {
                return Err(refused("a transaction is open; a producer has one at a time"));
            }
            State::Uninitialised | State::Committing | State::Aborting => return Ok(Begun::Wait),
            State::Ready => {}
        }
        let Some(id) = inner.id else { return Ok(Begun::Wait) };
        if v2 && !inner.v2 && inner.count > 0 {
            (inner.state, inner.v2) = (State::Uninitialised, true);
            return Ok(Begun::Bump(id));
        }
        inner.count = inner.count.wrapping_add(1).max(1);
        (inner.state, inner.v2) = (State::Open, v2);
        (inner.started, inner.unmapped, inner.failure, inner.unheard) = (false, false, None, None);
        self.round.store(if v2 { 0 } else { inner.count }, Ordering::Relaxed);
        Ok(Begun::Open)
    }

    /// Begins to end the transaction. `true`: the caller has to carry it out, it was not begun before.
    pub fn end(&self, commit: bool) -> Result<(Ended, bool)> {
        let mut inner = self.inner.lock();
        let (told, ended) = oneshot::channel();
        let run = match &inner.state {
            State::Fatal(error) => return Err(error.clone()),
            State::Open | State::Failed(_) => true,
            State::Committing | State::Aborting if inner.commit == commit => false,
            State::Committing | State::Aborting => {
                let way = if inner.commit { "committed" } else { "aborted" };
                return Err(refused(format!("the transaction is already being {way}")));
            }
            State::Uninitialised | State::Ready => {
                // Whoever gave up waiting asks again, and it is over meanwhile.
                let Some((_, outcome)) = inner.unheard.take_if(|(way, _)| *way == commit) else {
                    return Err(refused("no transaction is open"));
                };
                let _ = told.send(outcome);
                return Ok((ended, false));
            }
        };
        if run {
            let aborts = !commit || matches!(inner.state, State::Failed(_));
            inner.state = if aborts { State::Aborting } else { State::Committing };
            inner.commit = commit;
        }
        inner.waiting.push(told);
        Ok((ended, run))
    }

    /// Why the transaction cannot be committed, if it cannot.
    pub fn failure(&self) -> Option<Error> {
        let inner = self.inner.lock();
        match &inner.state {
            State::Fatal(error) => Some(error.clone()),
            _ => inner.failure.clone(),
        }
    }

    /// The commit has failed, or is not to be: from here on it is an abort.
    pub fn turn_back(&self) {
        self.change(|inner| {
            if matches!(inner.state, State::Committing) {
                inner.state = State::Aborting;
            }
        });
    }

    /// Whether the coordinator may know of the transaction, and whether it can be asked to end it.
    pub fn to_be_ended(&self) -> (bool, bool) {
        let inner = self.inner.lock();
        (inner.started, !inner.unmapped)
    }

    /// The transaction is over.
    pub fn conclude(&self, outcome: &Result<()>) {
        self.change(|inner| {
            if !matches!(inner.state, State::Fatal(_)) {
                inner.state = State::Ready;
            }
            inner.failure = None;
            let waiting = std::mem::take(&mut inner.waiting);
            let told = waiting.into_iter().filter(|waits| !waits.is_closed());
            let heard = told.map(|waits| waits.send(outcome.clone()).is_ok()).filter(|heard| *heard).count();
            inner.unheard = (heard == 0).then(|| (inner.commit, outcome.clone()));
        });
    }

    /// The producer is closed: nobody waits any longer for an end that the coordinator has not told of.
    pub fn let_go(&self) {
        let waiting = std::mem::take(&mut self.inner.lock().waiting);
        for waits in waiting {
            let text = "the coordinator has not told that the transaction has ended, it may yet end as was asked";
            let _ = waits.send(Err(Error::closed("producer").context(text)));
        }
    }

    /// Nothing can be sent any more. Returns the error that says so.
    pub fn break_down(&self, error: &Error) -> Error {
        self.change(|inner| inner.fatal(error))
    }

    /// Whether there is a transaction that is not over.
    pub fn is_open(&self) -> bool {
        matches!(self.inner.lock().state, State::Open | State::Failed(_) | State::Committing | State::Aborting)
    }

    /// Whether partitions may still be added to it.
    pub fn is_going_on(&self) -> bool {
        let inner = self.inner.lock();
        matches!(inner.state, State::Open | State::Committing) && inner.failure.is_none()
    }

    // ---- offsets ----------------------------------------------------------------------------------------------------

    /// Offsets are about to be committed within the transaction; `true` is its kind.
    pub fn begin_offsets(&self) -> Result<bool> {
        self.admit()?;
        self.change(|inner| {
            inner.offsets += 1;
            Ok(inner.v2)
        })
    }

    pub fn end_offsets(&self) {
        self.change(|inner| inner.offsets -= 1);
    }

    pub fn offsets_under_way(&self) -> bool {
        self.inner.lock().offsets > 0
    }
}

impl Inner {
    /// Keeps the first failure, for the program and for the sender.
    fn note(&mut self, error: &Error) -> Error {
        let error = error.clone().into_abortable();
        self.unmapped |= error.broker_code() == Some(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        if self.failure.is_none() {
            self.failure = Some(error.clone());
            self.news = Some(News::Fail(error.clone()));
        }
        error
    }

    fn fatal(&mut self, error: &Error) -> Error {
        if let State::Fatal(first) = &self.state {
            return first.clone();
        }
        let error = error.clone().into_fatal();
        self.state = State::Fatal(error.clone());
        self.news = Some(News::Break(error.clone()));
        error
    }
}

/// A call that the transaction's state does not allow.
fn refused(why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Broker(ErrorCode::INVALID_TXN_STATE), why)
}
