//! The sender: one task per producer that owns everything after the append: sealing, leaders, requests under way,
//! answers, retries, deadlines.
//! Not the append path, and not I/O: connections have tasks of their own. Driven by news from the accumulator, answers,
//! metadata and the clock; whatever happens ends in [`Sender::visit`] of a partition and [`Sender::pump`] of a node.
//!
//! File map: `part` a partition and what may go next · `node` a broker · `topics` metadata, waiting rooms · `requests` from
//! partitions to a request on the wire · `answers` what a response means for each batch · `settle` the fate of records · `reach` connections and the producer id ·
//! `report` what statistics tell · `flush` flush and close · `transaction` what a transaction asks of it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use dohle_protocol::Uuid;
use dohle_protocol::compress::Compressor;
use dohle_protocol::messages::ProduceResponse;
use dohle_protocol::records::SealedBatch;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::TopicId;
use super::accumulator::Accumulator;
use super::batch::Batch;
use super::idempotence::{Identity, ProducerId};
use super::transactions::Transactions;
use crate::client::Client;
use crate::collections::Map;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Backoff, Connection};
use crate::statistics::Report;
use flush::{Closing, Flush};
use node::Node;
use part::{Circumstances, Next, Part};
pub(crate) use refusals::may_be_kept;
use topics::TopicState;

mod answers;
mod flush;
mod node;
mod part;
mod reach;
mod refusals;
mod report;
mod requests;
mod settle;
mod topics;
mod transaction;

/// A timer this far away means none.
const NEVER: Duration = Duration::from_secs(365 * 86_400);

/// What the producer's handle asks of the task.
pub(crate) enum Command {
    /// Answer when all that was appended before is settled.
    Flush(oneshot::Sender<()>),
    /// Batches are stamped with this id from now on; nothing is under way under another.
    Identify { id: ProducerId, done: oneshot::Sender<()> },
    /// Fail what the wire does not have, and answer when it has nothing: false when a partition's sequences may have a gap.
    Quiesce { error: Error, done: oneshot::Sender<bool> },
    /// Say what there is, for statistics.
    Report(oneshot::Sender<Report>),
    /// Send what there is, fail what is left after the time-out, answer, end.
    Close { timeout: Option<Duration>, done: oneshot::Sender<()> },
}

pub(crate) struct Sender {
    accumulator: Arc<Accumulator>,
    client: Client,
    /// Of a transactional producer.
    transactions: Option<Transactions>,
    /// Partitions to be added to the transaction, and whether others are being added now.
    to_add: Vec<u32>,
    adding: bool,
    /// Whoever waits until the wire has nothing.
    quiet: Vec<oneshot::Sender<bool>>,
    parts: Vec<Part>,
    /// By topic id.
    topics: Vec<TopicState>,
    nodes: Map<i32, Node>,
    identity: Identity,
    identity_backoff: Backoff,
    identity_pause: Option<Duration>,
    identity_error: Option<Error>,
    /// Numbers connections.
    next_wire: u64,
    events: FuturesUnordered<BoxFuture<'static, Event>>,
    timers: BinaryHeap<Reverse<(Instant, u32)>>,
    /// Nodes that may have a request to begin.
    stirred: Vec<i32>,
    compressors: Vec<Compressor>,
    next_id: u64,
    /// Batches whose fate is open, by their place in the order of flushing.
    unsettled: BTreeMap<u64, u32>,
    flushes: Vec<Flush>,
    closing: Option<Closing>,
    /// How often someone had begun to wait for memory when last looked.
    waits: usize,
    /// When the oldest batch expires, or earlier.
    expiry_due: Option<Instant>,
    /// When to ask for metadata again, since something waits for it.
    metadata_due: Option<Instant>,
    metadata_backoff: Backoff,
    /// Nothing can be sent any more.
    broken: bool,
}

/// What the task waits for, beside news and time.
enum Event {
    Connected {
        node: i32,
        connection: Result<Connection>,
    },
    Identity(Result<ProducerId>),
    /// Partitions were added to the transaction of this round, or not.
    Added(Vec<u32>, u32, Result<()>),
    /// Batches came back from compression.
    Sealed {
        node: i32,
        picks: Vec<Pick>,
        sealed: Vec<(Pick, SealedBatch)>,
        compressors: Vec<Compressor>,
    },
    /// `topics`: those of the request, with the ids they were named by.
    Answered {
        node: i32,
        picks: Vec<Pick>,
        topics: Vec<(TopicId, Uuid)>,
        answer: Result<ProduceResponse>,
    },
    /// A request with acks 0 is written, or never will be.
    Written {
        node: i32,
        picks: Vec<Pick>,
        outcome: Result<()>,
    },
}

/// A batch in a request.
#[derive(Clone, Copy, Debug)]
struct Pick {
    slot: u32,
    batch: u64,
}

impl Sender {
    /// Starts the task of a new producer.
    pub fn spawn(client: Client, accumulator: Arc<Accumulator>, transactions: Option<Transactions>) {
        let world = accumulator.world.clone();
        let mut sender = Self::new(client, accumulator, transactions);
        world.spawn(Box::pin(async move {
            if let Err(panic) = AssertUnwindSafe(sender.run()).catch_unwind().await {
                let said = panic
                    .downcast_ref::<&str>()
                    .map(|said| (*said).to_owned())
                    .or_else(|| panic.downcast_ref::<String>().cloned())
                    .unwrap_or_default();
                let error = Error::new(ErrorKind::Panic, format!("the producer's task panicked: {said}"));
                // Should this panic too, the end is still told to whoever waits for it.
                let _ = std::panic::catch_unwind(AssertUnwindSafe(|| sender.break_down(error)));
            }
            let _ = std::panic::catch_unwind(AssertUnwindSafe(|| sender.end()));
        }));
    }

    fn new(client: Client, accumulator: Arc<Accumulator>, transactions: Option<Transactions>) -> Self {
        let config = &accumulator.config;
        let backoff = Backoff::new(config.retry_backoff, config.retry_backoff_max);
        Self {
            client,
            transactions,
            to_add: Vec::new(),
            adding: false,
            quiet: Vec::new(),
            parts: Vec::new(),
            topics: Vec::new(),
            nodes: Map::default(),
            identity: Identity::new(config.idempotent),
            identity_backoff: backoff.clone(),
            identity_pause: None,
            identity_error: None,
            next_wire: 0,
            events: FuturesUnordered::new(),
            timers: BinaryHeap::new(),
            stirred: Vec::new(),
            compressors: Vec::new(),
            next_id: 0,
            unsettled: BTreeMap::new(),
            flushes: Vec::new(),
            closing: None,
            waits: 0,
            expiry_due: None,
            metadata_due: None,
            metadata_backoff: backoff,
            broken: false,
            accumulator,
        }
    }

    async fn run(&mut self) {
        let accumulator = self.accumulator.clone();
        let mut updates = self.client.metadata().updates();
        loop {
            self.step();
            if self.closing.is_some() && self.all_settled() {
                return;
            }
            let deadline = self.deadline();
            tokio::select! {
                biased;
                Some(event) = self.events.next(), if !self.events.is_empty() => {
                    self.on_event(event);
                    while let Some(Some(event)) = self.events.next().now_or_never() {
                        self.on_event(event);
                    }
                }
                changed = updates.changed() => match changed {
                    Ok(()) => self.learn_all(),
                    Err(_) => self.break_down(Error::closed("client")),
                },
                () = accumulator.wake.notified() => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }

    /// Everything that is to be done now.
    fn step(&mut self) {
        self.take_news();
        self.check_clock();
        self.check_transaction();
        let waits = self.accumulator.memory.waits();
        if waits != self.waits {
            self.waits = waits;
            self.visit_all(); // open batches do not linger any more
        }
        while let Some(node) = self.stirred.pop() {
            self.pump(node);
        }
        self.check_transaction();
        self.check_flushes();
        if self.unsettled.is_empty() {
            self.accumulator.buffers.rest();
        }
    }

    fn take_news(&mut self) {
        let news = self.accumulator.take_news();
        for topic in news.topics {
            self.meet_topic(&topic);
        }
        for slot in news.partitions {
            self.visit(slot);
        }
        for command in news.commands {
            match command {
                Command::Flush(done) => self.flush(done),
                Command::Identify { id, done } => self.identify(id, done),
                Command::Quiesce { error, done } => self.quiesce(&error, done),
                Command::Report(done) => _ = done.send(self.report()),
                Command::Close { timeout, done } => self.close(timeout, done),
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Connected { node, connection } => self.on_connected(node, connection),
            Event::Identity(answer) => self.on_identity(answer),
            Event::Added(slots, round, outcome) => self.on_added(&slots, round, outcome),
            Event::Sealed { node, picks, sealed, compressors } => self.on_sealed(node, picks, sealed, compressors),
            Event::Answered { node, picks, topics, answer } => self.on_answer(node, &picks, &topics, answer),
            Event::Written { node, picks, outcome } => self.on_written(node, &picks, outcome),
        }
    }

    fn circumstances(&self, now: Instant) -> Circumstances<'_> {
        let (linger, hurry, round) = (self.accumulator.config.linger, self.hurry(), self.round());
        Circumstances { now, identity: &self.identity, linger, hurry, round }
    }

    fn hurry(&self) -> bool {
        self.closing.is_some() || !self.flushes.is_empty() || self.accumulator.memory.awaited()
    }

    /// Looks at a partition after anything that concerns it: takes over full batches, lets expired ones go, ends a drain,
    /// and queues it at its leader or sets its timer.
    fn visit(&mut self, slot: u32) {
        let now = Instant::now();
        let (next_id, unsettled) = (&mut self.next_id, &mut self.unsettled);
        let Some(part) = self.parts.get_mut(slot as usize) else { return };
        part.pull(|open| adopt(next_id, unsettled, open));
        if self.broken {
            return self.fail_part(slot);
        }
        self.expire(slot, now);
        self.end_drain(slot);
        let part = &self.parts[slot as usize];
        let at = self.circumstances(now);
        let next = part.next(&at);
        let due = part.due(&at);
        let oldest = part.oldest();
        let busy = part.busy();
        let leader = part.leader;
        if busy && !self.identity.ready() {
            self.ask_identity();
        }
        if busy && leader < 0 {
            self.want_metadata();
        }
        if busy && !self.parts[slot as usize].admitted(self.round()) {
            self.to_add.push(slot);
        }
        if let Some(expires) = oldest.map(|oldest| oldest + self.accumulator.config.delivery_timeout) {
            self.expiry_due = Some(self.expiry_due.map_or(expires, |due| due.min(expires)));
        }
        let part = &mut self.parts[slot as usize];
        if let Some(due) = due
            && part.timer.is_none_or(|timer| due < timer)
        {
            part.timer = Some(due);
            self.timers.push(Reverse((due, slot)));
        }
        if next != Next::Nothing {
            let fresh = self.fresh_backoff();
            let node = self.nodes.entry(leader).or_insert_with(|| Node::new(fresh));
            let part = &mut self.parts[slot as usize];
            if next == Next::OpenIfIdle {
                if !std::mem::replace(&mut part.in_lazy, true) {
                    node.lazy.push_back(slot);
                }
            } else if !std::mem::replace(&mut part.in_ready, true) {
                node.ready.push_back(slot);
            }
            self.stir(leader);
        }
    }

    fn visit_all(&mut self) {
        for slot in 0..self.parts.len() as u32 {
            if self.parts[slot as usize].busy() {
                self.visit(slot);
            }
        }
    }

    fn stir(&mut self, node: i32) {
        if !self.stirred.contains(&node) {
            self.stirred.push(node);
        }
    }

    fn fresh_backoff(&self) -> Backoff {
        let config = &self.accumulator.config;
        Backoff::new(config.retry_backoff, config.retry_backoff_max)
    }

    fn deadline(&self) -> Instant {
        let partition = self.timers.peek().map(|Reverse((due, _))| *due);
        let close = self.closing.as_ref().and_then(|closing| closing.deadline);
        let rooms = self.rooms_due();
        let due = [partition, close, rooms, self.metadata_due, self.expiry_due].into_iter().flatten().min();
        due.unwrap_or_else(|| Instant::now() + NEVER)
    }

    fn check_clock(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((due, slot))) = self.timers.peek().copied() {
            if due > now {
                break;
            }
            self.timers.pop();
            let part = &mut self.parts[slot as usize];
            if part.timer == Some(due) {
                part.timer = None;
                self.visit(slot);
            }
        }
        if self.expiry_due.is_some_and(|due| due <= now) {
            self.expiry_due = None; // set anew by the oldest batch that is left
            self.visit_all();
        }
        self.expire_rooms(now);
        if self.metadata_due.is_some_and(|due| due <= now) {
            self.metadata_due = None;
            self.client.metadata().request_update();
            self.want_metadata_if_missing();
        }
        if self.closing.as_ref().and_then(|closing| closing.deadline).is_some_and(|deadline| deadline <= now) {
            self.break_down(Error::closed("producer").context("not sent within the time that close() was given"));
        }
    }
}

/// Makes a batch of one that was open, in the order of taking over.
fn adopt(next_id: &mut u64, unsettled: &mut BTreeMap<u64, u32>, open: super::batch::OpenBatch) -> Batch {
    let batch = Batch::new(*next_id, open);
    *next_id += 1;
    *unsettled.entry(batch.serial).or_default() += 1;
    batch
}
