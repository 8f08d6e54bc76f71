//! One transactional id: Empty → Ongoing → CompleteCommit or CompleteAbort, and around again, as Kafka's
//! TransactionCoordinator decides. The Prepare states of Kafka are not seen here: one node has no markers under way.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use dohle_protocol::ErrorCode;
use tokio::time::Instant;

use crate::{log::Marker, node::Node, topics::Partition};

/// The last epoch a producer id is used in; the one behind is left for fencing.
const LAST_EPOCH: i16 = i16::MAX - 1;
/// After this a marker that the disk did not take is written again.
const RETRY: Duration = Duration::from_secs(1);
/// Of the markers' writer: there is one coordinator, and it never moves.
const COORDINATOR_EPOCH: i32 = 0;

/// A producer id and its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    pub id: i64,
    pub epoch: i16,
}

/// Where a transactional id stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No transaction since its producer came.
    Empty,
    Ongoing,
    CompleteCommit,
    CompleteAbort,
}

impl State {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }
}

/// A transactional id.
pub(crate) struct Transaction {
    producer: Producer,
    /// What it was before: a retry whose answer was lost names it.
    previous: Option<Producer>,
    timeout: Duration,
    state: State,
    partitions: BTreeMap<(Arc<str>, i32), Arc<Partition>>,
    groups: BTreeSet<String>,
    started: Option<Started>,
    /// How the open transaction ends, which is decided but not written everywhere.
    ending: Option<Ending>,
    /// When it last changed.
    touched_ms: i64,
}

/// The end of a transaction.
#[derive(Clone, Copy)]
struct Ending {
    commit: bool,
    /// Of the markers.
    epoch: i16,
    /// Its producer gets another epoch.
    bump: bool,
    /// When it is tried again, unless somebody asks before.
    retry_at: Instant,
}

#[derive(Clone, Copy)]
struct Started {
    at: Instant,
    wall_clock_ms: i64,
}

impl Transaction {
    /// With a producer that was never used.
    pub fn new(producer_id: i64, timeout_ms: i32, now_ms: i64) -> Self {
        Self {
            producer: Producer { id: producer_id, epoch: 0 },
            previous: None,
            timeout: duration(timeout_ms),
            state: State::Empty,
            partitions: BTreeMap::new(),
            groups: BTreeSet::new(),
            started: None,
            ending: None,
            touched_ms: now_ms,
        }
    }

    /// Whether nothing is open and nothing was for this long.
    pub fn expired(&self, now_ms: i64, after_ms: i64) -> bool {
        self.state != State::Ongoing && now_ms.saturating_sub(self.touched_ms) >= after_ms
    }

    pub fn producer(&self) -> Producer {
        self.producer
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn timeout_ms(&self) -> i32 {
        self.timeout.as_millis() as i32
    }

    /// When the open transaction began, in milliseconds since 1970.
    pub fn started_ms(&self) -> Option<i64> {
        self.started.map(|started| started.wall_clock_ms)
    }

    /// The partitions of the open transaction.
    pub fn partitions(&self) -> impl Iterator<Item = (&Arc<str>, i32)> {
        self.partitions.keys().map(|(topic, index)| (topic, *index))
    }

    /// When the open transaction is aborted; or, if it is ending, when that is tried again.
    pub fn deadline(&self) -> Option<Instant> {
        let aborted = self.started?.at + self.timeout;
        Some(self.ending.map_or(aborted, |ending| ending.retry_at))
    }

    /// Its end is decided: nothing comes into it any more.
    pub fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Whether this is the present producer.
    pub fn check(&self, producer: Producer) -> Result<(), ErrorCode> {
        match producer {
            Producer { id, .. } if id != self.producer.id => Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING),
            Producer { epoch, .. } if epoch != self.producer.epoch => Err(ErrorCode::PRODUCER_FENCED),
            _ => Ok(()),
        }
    }

    /// The next producer of this id. One that goes on after an error names itself (KIP-360); any other fences it.
    pub fn init(&mut self, node: &Node, timeout_ms: i32, expected: Option<Producer>) -> Result<Producer, ErrorCode> {
        if let Some(expected) = expected.filter(|expected| *expected != self.producer) {
            // The answer to it was lost: the same again.
            let retried = self.previous == Some(expected) && self.state == State::Empty;
            return if retried { Ok(self.producer) } else { Err(ErrorCode::PRODUCER_FENCED) };
        }
        if self.state == State::Ongoing {
            self.abort_and_fence(node).map_err(|_| ErrorCode::CONCURRENT_TRANSACTIONS)?;
        }
        self.timeout = duration(timeout_ms);
        self.touched_ms = node.world.wall_clock_ms();
        self.state = State::Empty;
        let before = expected.unwrap_or(self.producer);
        self.producer = self.next(node);
        self.previous = Some(before);
        Ok(self.producer)
    }

    /// Takes a partition in; answers whether that opened the transaction.
    pub fn add_partition(&mut self, topic: &Arc<str>, index: i32, partition: &Arc<Partition>, node: &Node) -> bool {
        let key = (topic.clone(), index);
        // A topic may have been deleted and made again under its name.
        if !self.partitions.get(&key).is_some_and(|known| Arc::ptr_eq(known, partition)) {
            self.partitions.insert(key, partition.clone());
        }
        self.open(node)
    }

    pub fn has_partition(&self, topic: &Arc<str>, index: i32) -> bool {
        self.state == State::Ongoing && self.partitions.contains_key(&(topic.clone(), index))
    }

    pub fn add_group(&mut self, group_id: &str, node: &Node) {
        if !self.groups.contains(group_id) {
            self.groups.insert(group_id.into());
        }
        self.open(node);
    }

    pub fn has_group(&self, group_id: &str) -> bool {
        self.state == State::Ongoing && self.groups.contains(group_id)
    }

    fn open(&mut self, node: &Node) -> bool {
        if self.state == State::Ongoing {
            return false;
        }
        self.state = State::Ongoing;
        self.started = Some(Started { at: Instant::now(), wall_clock_ms: node.world.wall_clock_ms() });
        true
    }

    /// EndTxn. What is asked again, because its answer was lost, is answered again.
    pub fn end(&mut self, node: &Node, by: Producer, commit: bool, v2: bool) -> Result<Producer, ErrorCode> {
        let completed = matches!(self.state, State::CompleteCommit | State::CompleteAbort);
        let retried = v2 && completed && self.previous == Some(by);
        if !retried {
            self.check(by)?;
        }
        let outcome = if commit { State::CompleteCommit } else { State::CompleteAbort };
        match self.state {
            State::Ongoing => {}
            state if state == outcome && (retried || !v2) => return Ok(self.producer),
            // In v2 a producer may abort what it has not begun: it wants the new epoch.
            _ if v2 && !commit && !retried => {}
            _ => return Err(ErrorCode::INVALID_TXN_STATE),
        }
        match self.ending {
            Some(ending) if ending.commit != commit => return Err(ErrorCode::INVALID_TXN_STATE),
            Some(_) => self.finish(node)?,
            None => self.conclude(node, commit, v2)?,
        }
        Ok(self.producer)
    }

    /// Aborts the open transaction, and lets its producer do nothing more. One that is ending otherwise ends so.
    pub fn abort_and_fence(&mut self, node: &Node) -> Result<(), ErrorCode> {
        match self.ending {
            Some(_) => self.finish(node),
            None => self.conclude(node, false, true),
        }
    }

    fn conclude(&mut self, node: &Node, commit: bool, bump: bool) -> Result<(), ErrorCode> {
        let epoch = self.producer.epoch + i16::from(bump);
        self.ending = Some(Ending { commit, epoch, bump, retry_at: Instant::now() });
        self.finish(node)
    }

    /// The epoch after this one, or a new producer when there is none.
    fn next(&self, node: &Node) -> Producer {
        match self.producer {
            Producer { id, epoch } if epoch < LAST_EPOCH => Producer { id, epoch: epoch + 1 },
            _ => Producer { id: node.new_producer_id(), epoch: 0 },
        }
    }

    /// Writes the markers that are missing, and settles the groups' offsets once all are there. An error when the disk does not
    /// take one: the end stays as it was decided, and is tried again.
    fn finish(&mut self, node: &Node) -> Result<(), ErrorCode> {
        let Some(Ending { commit, epoch, bump, .. }) = self.ending else { return Ok(()) };
        let producer_id = self.producer.id;
        let marker = Marker { producer_id, epoch, commit, coordinator_epoch: COORDINATOR_EPOCH };
        self.partitions.retain(|(topic, index), partition| {
            if partition.deleted() {
                return false;
            }
            let written = partition.log.lock().append_marker(&marker, node.world.wall_clock_ms());
            partition.waiters.wake();
            if let Err(code) = written {
                tracing::warn!(topic = &**topic, index, producer_id, %code, "a marker was refused");
            }
            written == Err(ErrorCode::KAFKA_STORAGE_ERROR)
        });
        node.housekeeping.touch();
        let of = |group_id: &String| node.groups.partition_of(group_id);
        let mut with_offsets: BTreeSet<i32> = self.groups.iter().map(of).collect();
        with_offsets.retain(|index| {
            let written = node.groups.end_transaction(*index, &marker);
            if let Err(code) = written {
                tracing::warn!(index, producer_id, %code, "a marker of committed offsets was refused");
            }
            written == Err(ErrorCode::KAFKA_STORAGE_ERROR)
        });
        self.groups.retain(|group_id| with_offsets.contains(&of(group_id)));
        if !self.partitions.is_empty() || !self.groups.is_empty() {
            let retry_at = Instant::now() + RETRY;
            self.ending.iter_mut().for_each(|ending| ending.retry_at = retry_at);
            return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
        (self.started, self.ending) = (None, None);
        self.touched_ms = node.world.wall_clock_ms();
        self.state = if commit { State::CompleteCommit } else { State::CompleteAbort };
        if bump {
            self.previous = Some(self.producer);
            self.producer = self.next(node);
        }
        Ok(())
    }
}

fn duration(timeout_ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0))
}
