//! One transactional id: Empty → Ongoing → CompleteCommit or CompleteAbort, and around again, as Kafka's
//! TransactionCoordinator decides. Kafka's Prepare states are an `Ending` here: it is decided, and written, before the first marker.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use dohle_protocol::ErrorCode;
use tokio::time::Instant;

use super::journal::Journal;
use crate::{
    coordinator::{Pending, internal},
    log::Marker,
    partition::Partition,
};

/// The last epoch a producer id is used in; the one behind is left for fencing.
const LAST_EPOCH: i16 = i16::MAX - 1;
/// After this a marker that the disk did not take is written again.
const RETRY: Duration = Duration::from_secs(1);
/// After this it is looked whether the copies of what was written are there, if nobody has waited for them.
const LOOK: Duration = Duration::from_millis(20);

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
    /// Kafka's number in records.
    pub(super) fn number(self) -> i8 {
        match self {
            Self::Empty => 0,
            Self::Ongoing => 1,
            Self::CompleteCommit => 4,
            Self::CompleteAbort => 5,
        }
    }

    pub(super) fn of_number(number: i8) -> Option<Self> {
        [Self::Empty, Self::Ongoing, Self::CompleteCommit, Self::CompleteAbort]
            .into_iter()
            .find(|state| state.number() == number)
    }

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
#[derive(Clone)]
pub(crate) struct Transaction {
    pub(super) producer: Producer,
    /// What it was before: a retry whose answer was lost names it.
    pub(super) previous: Option<Producer>,
    pub(super) timeout: Duration,
    pub(super) state: State,
    pub(super) partitions: BTreeMap<(Arc<str>, i32), Arc<Partition>>,
    /// The partitions of groups that have committed offsets.
    pub(super) offsets: BTreeSet<i32>,
    pub(super) started: Option<Started>,
    /// How the open transaction ends, which is decided but not written everywhere.
    pub(super) ending: Option<Ending>,
    /// When it last changed.
    pub(super) touched_ms: i64,
}

/// The end of a transaction.
#[derive(Clone)]
pub(super) struct Ending {
    pub commit: bool,
    /// Of the markers.
    pub epoch: i16,
    /// Its producer gets another epoch.
    pub bump: bool,
    /// When it is tried again, unless somebody asks before.
    pub retry_at: Instant,
    /// The decision, which nobody hears of before it is committed.
    decided: Option<Pending>,
    /// Markers that are written, and not committed yet.
    marks: BTreeMap<(Arc<str>, i32), Pending>,
}

impl Ending {
    pub fn new(commit: bool, epoch: i16, bump: bool, retry_at: Instant) -> Self {
        Self { commit, epoch, bump, retry_at, decided: None, marks: BTreeMap::new() }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Started {
    pub at: Instant,
    pub wall_clock_ms: i64,
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
            offsets: BTreeSet::new(),
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
        match &self.ending {
            Some(ending) => Some(ending.retry_at),
            None => Some(self.started?.at + self.timeout),
        }
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

    /// Where it is open: the producer, and the partitions.
    pub(super) fn open_in(&self) -> impl Iterator<Item = (i64, &str, i32)> {
        let producer_id = self.producer.id;
        let partitions = self.partitions.keys().map(move |(topic, index)| (producer_id, &**topic, *index));
        partitions.chain(self.offsets.iter().map(move |index| (producer_id, internal::OFFSETS, *index)))
    }

    /// Does `change`, and writes what is then; if either fails, nothing has changed.
    fn change(
        &mut self,
        journal: Journal<'_>,
        change: impl FnOnce(&mut Self) -> Result<(), ErrorCode>,
    ) -> Result<(), ErrorCode> {
        let before = self.clone();
        self.touched_ms = journal.node.world.wall_clock_ms();
        let done = change(self).and_then(|()| journal.write(self));
        if done.is_err() {
            *self = before;
        }
        done
    }

    /// The next producer of this id. One that goes on after an error names itself (KIP-360); any other fences it.
    pub(super) fn init(
        &mut self,
        journal: Journal<'_>,
        timeout_ms: i32,
        expected: Option<Producer>,
    ) -> Result<Producer, ErrorCode> {
        if let Some(expected) = expected.filter(|expected| *expected != self.producer) {
            // The answer to it was lost: the same again.
            let retried = self.previous == Some(expected) && self.state == State::Empty;
            return if retried { Ok(self.producer) } else { Err(ErrorCode::PRODUCER_FENCED) };
        }
        if self.state == State::Ongoing {
            self.abort_and_fence(journal).map_err(|_| ErrorCode::CONCURRENT_TRANSACTIONS)?;
        }
        self.change(journal, |this| {
            this.timeout = duration(timeout_ms);
            this.state = State::Empty;
            let before = expected.unwrap_or(this.producer);
            this.producer = this.next(journal);
            this.previous = Some(before);
            Ok(())
        })?;
        Ok(self.producer)
    }

    /// Takes partitions, and the offsets of groups, in, which opens it if it was not open; answers whether anything is new.
    pub(super) fn add<'p>(
        &mut self,
        journal: Journal<'_>,
        partitions: impl Iterator<Item = (&'p Arc<str>, i32, &'p Arc<Partition>)> + Clone,
        offsets: Option<i32>,
    ) -> Result<bool, ErrorCode> {
        let known = self.state == State::Ongoing
            && partitions.clone().all(|(topic, index, partition)| self.has(topic, index, partition))
            && offsets.is_none_or(|index| self.offsets.contains(&index));
        if known {
            return Ok(false);
        }
        self.change(journal, |this| {
            this.partitions.extend(partitions.map(|(topic, index, of)| ((topic.clone(), index), of.clone())));
            this.offsets.extend(offsets);
            if this.state != State::Ongoing {
                this.state = State::Ongoing;
                this.started = Some(Started { at: journal.node.world.now(), wall_clock_ms: this.touched_ms });
            }
            Ok(())
        })?;
        Ok(true)
    }

    /// Whether it has this partition, and not one of a topic that was deleted and made again under its name.
    fn has(&self, topic: &Arc<str>, index: i32, partition: &Arc<Partition>) -> bool {
        self.partitions.get(&(topic.clone(), index)).is_some_and(|known| Arc::ptr_eq(known, partition))
    }

    pub fn has_partition(&self, topic: &Arc<str>, index: i32) -> bool {
        self.state == State::Ongoing && self.partitions.contains_key(&(topic.clone(), index))
    }

    /// Whether it may have offsets of the groups of this partition.
    pub fn has_offsets(&self, index: i32) -> bool {
        self.state == State::Ongoing && self.offsets.contains(&index)
    }

    /// EndTxn. What is asked again, because its answer was lost, is answered again.
    pub(super) fn end(
        &mut self,
        journal: Journal<'_>,
        by: Producer,
        commit: bool,
        v2: bool,
    ) -> Result<Producer, ErrorCode> {
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
        match &self.ending {
            Some(ending) if ending.commit != commit => return Err(ErrorCode::INVALID_TXN_STATE),
            Some(_) => self.finish(journal)?,
            None => self.conclude(journal, commit, v2)?,
        }
        Ok(self.producer)
    }

    /// Aborts the open transaction, and lets its producer do nothing more. One that is ending otherwise ends so.
    pub(super) fn abort_and_fence(&mut self, journal: Journal<'_>) -> Result<(), ErrorCode> {
        match &self.ending {
            Some(_) => self.finish(journal),
            None => self.conclude(journal, false, true),
        }
    }

    fn conclude(&mut self, journal: Journal<'_>, commit: bool, bump: bool) -> Result<(), ErrorCode> {
        self.change(journal, |this| {
            let epoch = this.producer.epoch + i16::from(bump);
            this.ending = Some(Ending::new(commit, epoch, bump, journal.node.world.now()));
            Ok(())
        })?;
        self.finish(journal)
    }

    /// The epoch after this one, or a new producer when there is none.
    fn next(&self, journal: Journal<'_>) -> Producer {
        match self.producer {
            Producer { id, epoch } if epoch < LAST_EPOCH => Producer { id, epoch: epoch + 1 },
            _ => Producer { id: journal.node.new_producer_id(), epoch: 0 },
        }
    }

    /// What it waits for, to be over.
    pub fn pending(&self) -> Option<Pending> {
        let ending = self.ending.as_ref()?;
        let decided = ending.decided.iter().filter(|decided| decided.is_done() == Ok(false));
        decided.chain(ending.marks.values()).next().cloned()
    }

    /// Writes the markers that are missing, and, when they are committed, that it is over. An error as long as that is not so: the end
    /// stays as it was decided, and is tried again.
    fn finish(&mut self, journal: Journal<'_>) -> Result<(), ErrorCode> {
        let Some(mut ending) = self.ending.take() else { return Ok(()) };
        let marked = self.mark(journal, &mut ending);
        let (commit, bump) = (ending.commit, ending.bump);
        self.ending = Some(ending);
        let over = marked.and_then(|()| {
            self.change(journal, |this| {
                (this.started, this.ending) = (None, None);
                this.state = if commit { State::CompleteCommit } else { State::CompleteAbort };
                if bump {
                    this.previous = Some(this.producer);
                    this.producer = this.next(journal);
                }
                Ok(())
            })
        });
        if let (Err(_), pending, Some(ending)) = (over, self.pending(), &mut self.ending) {
            ending.retry_at = journal.node.world.now() + if pending.is_some() { LOOK } else { RETRY };
        }
        over
    }

    /// Writes the markers, once the decision is committed. An error as long as one of them is not.
    fn mark(&mut self, journal: Journal<'_>, ending: &mut Ending) -> Result<(), ErrorCode> {
        if ending.decided.is_none() {
            ending.decided = journal.pending();
        }
        if ending.decided.as_ref().map(Pending::is_done) != Some(Ok(true)) {
            return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
        let (producer_id, coordinator_epoch) = (self.producer.id, journal.coordinator_epoch());
        let marker = Marker { producer_id, epoch: ending.epoch, commit: ending.commit, coordinator_epoch };
        let marks = &mut ending.marks;
        self.partitions
            .retain(|key, partition| !partition.deleted() && is_missing(journal, marks, key, partition, &marker));
        self.offsets.retain(|index| {
            let offsets = journal.node.topics.named(internal::OFFSETS);
            let partition = offsets.as_ref().and_then(|topic| Some((topic.name.clone(), topic.partition(*index)?)));
            partition.is_some_and(|(name, of)| is_missing(journal, marks, &(name, *index), &of, &marker))
        });
        journal.node.housekeeping.touch();
        let over = self.partitions.is_empty() && self.offsets.is_empty();
        if over { Ok(()) } else { Err(ErrorCode::COORDINATOR_NOT_AVAILABLE) }
    }
}

/// Writes a marker, unless it is there and its leader is the same; answers whether it is still to be waited for.
fn is_missing(
    journal: Journal<'_>,
    marks: &mut BTreeMap<(Arc<str>, i32), Pending>,
    key: &(Arc<str>, i32),
    partition: &Partition,
    marker: &Marker,
) -> bool {
    // A leader that has died, and is not back, was not told that another one leads.
    let epoch = partition.standing().leader_epoch;
    if let Some(Ok(done)) = marks.get(key).filter(|pending| pending.epoch == epoch).map(Pending::is_done) {
        if done {
            marks.remove(key);
        }
        return !done;
    }
    match write(journal, key, partition, marker) {
        Ok(pending) => {
            let missing = pending.is_done() != Ok(true);
            if missing {
                marks.insert(key.clone(), pending);
            }
            missing
        }
        Err(code) => {
            marks.remove(key);
            tracing::warn!(topic = &*key.0, index = key.1, producer_id = marker.producer_id, %code, "a marker was refused");
            // Any other refusal stays.
            matches!(
                code,
                ErrorCode::KAFKA_STORAGE_ERROR
                    | ErrorCode::NOT_LEADER_OR_FOLLOWER
                    | ErrorCode::LEADER_NOT_AVAILABLE
                    | ErrorCode::NOT_COORDINATOR
                    | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            )
        }
    }
}

fn write(
    journal: Journal<'_>,
    (topic, index): &(Arc<str>, i32),
    partition: &Partition,
    marker: &Marker,
) -> Result<Pending, ErrorCode> {
    let (node, replica) = journal.node.cluster.leader_of(journal.node.options.node_id, partition)?;
    if **topic == *internal::OFFSETS {
        node.groups.end_transaction(*index, marker)?;
    } else {
        let written = replica.log.lock().append_marker(marker, journal.node.world.wall_clock_ms());
        replica.wake();
        node.housekeeping.touch();
        written?;
    }
    let log = replica.log.lock();
    Ok(Pending::all_of(&replica, &log))
}

fn duration(timeout_ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0))
}
