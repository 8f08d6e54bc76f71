//! A partition as the sender sees it: what waits, what is written, and what may go next.
//! Not the queue that records are appended to: that is `topic::Partition`. The sender task owns all of these.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::net::Backoff;
use crate::producer::TopicId;
use crate::producer::batch::{Batch, State};
use crate::producer::idempotence::{Identity, Sequences};
use crate::producer::topic::Partition;
use crate::world::World;

pub(super) struct Part {
    pub shared: Arc<Partition>,
    pub topic: TopicId,
    /// The leader, −1 while there is none, and its epoch.
    pub leader: i32,
    pub leader_epoch: i32,
    /// Written at least once or about to be, in the order of their sequences; their fate is open.
    pub written: VecDeque<Batch>,
    /// Full or flushed, never written.
    pub queued: VecDeque<Batch>,
    /// Since when there is an open batch.
    pub open_since: Option<Instant>,
    /// Batches in requests that are being made or under way, and the node that these go to.
    pub on_wire: usize,
    pub wire_node: i32,
    /// The connection they are on, as `Node::wire`.
    pub wire: u64,
    /// The leader has taken a batch, and none failed since: only then are several under way at a time. A leader that knows
    /// nothing of this producer takes any sequence as the first (KIP-360), so a second batch could pass a first one that
    /// came a moment too early for it.
    pub proven: bool,
    pub retry_at: Option<Instant>,
    pub backoff: Backoff,
    pub sequences: Sequences,
    /// The transaction that it was last added to, see `Circumstances::round`.
    pub round: u32,
    pub in_ready: bool,
    pub in_lazy: bool,
    pub timer: Option<Instant>,
    /// Records and bytes written, again when they were written again.
    pub written_records: u64,
    pub written_bytes: u64,
}

/// What a partition would send next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    /// One that was written before: its position in `written`.
    Written(usize),
    /// The first of `queued`.
    Queued,
    /// The open batch, since there is no reason to wait for more.
    Open,
    /// The open batch if nothing else is under way to the leader.
    OpenIfIdle,
}

/// What a partition's next step depends on, beside itself.
pub(super) struct Circumstances<'a> {
    pub now: Instant,
    pub identity: &'a Identity,
    pub linger: Option<Duration>,
    /// Flush, close, or someone waits for memory: no lingering.
    pub hurry: bool,
    /// The transaction that partitions have to be added to before the first record goes to them; 0: none.
    pub round: u32,
}

impl Part {
    pub fn new(shared: Arc<Partition>, topic: TopicId, backoff: Backoff) -> Self {
        Self {
            shared,
            topic,
            leader: -1,
            leader_epoch: -1,
            written: VecDeque::new(),
            queued: VecDeque::new(),
            open_since: None,
            on_wire: 0,
            wire_node: -1,
            wire: 0,
            proven: false,
            retry_at: None,
            backoff,
            sequences: Sequences::new(),
            round: 0,
            in_ready: false,
            in_lazy: false,
            timer: None,
            written_records: 0,
            written_bytes: 0,
        }
    }

    /// Takes over the batches that have become full; `add` makes a [`Batch`] of each.
    pub fn pull(&mut self, mut add: impl FnMut(crate::producer::batch::OpenBatch) -> Batch) {
        let mut queue = self.shared.queue.lock();
        while let Some(full) = queue.full.pop_front() {
            self.queued.push_back(add(full));
        }
        self.open_since = queue.open.as_ref().map(|open| open.created);
        queue.listed = self.open_since.is_some();
    }

    /// Takes over the open batch as well.
    pub fn pull_open(&mut self, mut add: impl FnMut(crate::producer::batch::OpenBatch) -> Batch) {
        self.pull(&mut add);
        if self.open_since.take().is_none() {
            return;
        }
        let mut queue = self.shared.queue.lock();
        // Between the two locks the batch may have become full and another one open.
        while let Some(full) = queue.full.pop_front() {
            self.queued.push_back(add(full));
        }
        if let Some(open) = queue.take_open() {
            self.shared.backlog.fetch_add(1, Ordering::Relaxed);
            self.queued.push_back(add(open));
        }
        queue.listed = false;
    }

    /// What to send next, if anything, to the leader as it is known.
    pub fn next(&self, at: &Circumstances<'_>) -> Next {
        if self.leader < 0 || self.retry_at.is_some_and(|retry| at.now < retry) {
            return Next::Nothing;
        }
        // All that is under way to an earlier leader comes back first: the new one would see it out of order.
        if self.on_wire > 0 && self.wire_node != self.leader {
            return Next::Nothing;
        }
        if self.on_wire > 0 && !self.proven {
            return Next::Nothing;
        }
        if let Some(position) = self.written.iter().position(|batch| batch.state == State::Idle) {
            return Next::Written(position);
        }
        if self.sequences.draining || !at.identity.ready() || !self.admitted(at.round) {
            return Next::Nothing;
        }
        // A new epoch starts at sequence 0, which must not arrive while batches of the old one are under way.
        if !self.written.is_empty() && self.sequences.stale(at.identity) {
            return Next::Nothing;
        }
        if !self.queued.is_empty() {
            return Next::Queued;
        }
        match (self.open_since, at.linger) {
            (None, _) => Next::Nothing,
            (Some(_), _) if at.hurry => Next::Open,
            (Some(since), Some(linger)) if at.now >= since + linger => Next::Open,
            (Some(_), Some(_)) => Next::Nothing,
            (Some(_), None) => Next::OpenIfIdle,
        }
    }

    /// Whether records may go to this partition in this transaction.
    pub fn admitted(&self, round: u32) -> bool {
        round == 0 || self.round == round
    }

    /// When to look again if nothing happens: linger is over, or the back-off.
    pub fn due(&self, at: &Circumstances<'_>) -> Option<Instant> {
        let lingers = self.open_since.zip(at.linger).map(|(since, linger)| since + linger);
        [lingers, self.retry_at].into_iter().flatten().filter(|due| *due > at.now).min()
    }

    /// When the oldest of what waits for its fate was begun.
    pub fn oldest(&self) -> Option<Instant> {
        let written = self.written.iter().find(|batch| !batch.settled).map(|batch| batch.created);
        [written, self.queued.front().map(|batch| batch.created), self.open_since].into_iter().flatten().min()
    }

    /// Whether anything here waits for its fate.
    pub fn busy(&self) -> bool {
        !self.written.is_empty() || !self.queued.is_empty() || self.open_since.is_some()
    }

    /// Everything written has met its fate or was refused for its sequence, and the epoch may change.
    pub fn drained(&self) -> bool {
        self.on_wire == 0 && self.written.iter().all(|batch| batch.state == State::Refused)
    }

    /// After a failure: nothing is sent for a while. Several failures at once are one.
    pub fn pause(&mut self, world: &dyn World) {
        self.proven = false;
        let now = Instant::now();
        if self.retry_at.is_none_or(|retry| retry <= now) {
            self.retry_at = Some(now + self.backoff.next(world));
        }
    }

    /// Nothing is sent for this long, whatever failed before.
    pub fn rest(&mut self, pause: Duration) {
        self.proven = false;
        self.retry_at = Some(Instant::now() + pause);
    }

    /// The leader took a batch.
    pub fn succeeded(&mut self) {
        self.proven = true;
        self.retry_at = None;
        self.backoff.reset();
    }

    pub fn position(&self, id: u64) -> Option<usize> {
        self.written.iter().position(|batch| batch.id == id)
    }

    /// Whether no batch before this one waits for its fate.
    pub fn is_head(&self, position: usize) -> bool {
        self.written.iter().take(position).all(|batch| batch.state == State::Refused)
    }

    /// `topic-partition`, for messages.
    pub fn name(&self) -> String {
        format!("{}-{}", self.shared.topic, self.shared.index)
    }
}

#[cfg(test)]
mod tests {
    use dohle_protocol::records::{Headers, RecordRef};

    use super::*;
    use crate::producer::batch::OpenBatch;
    use crate::producer::buffers::Buffers;
    use crate::producer::idempotence::ProducerId;
    use crate::producer::memory::Memory;

    fn part() -> Part {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let mut part = Part::new(Arc::new(Partition::new("t".into(), 0, 0, 1000, false)), TopicId(0), backoff);
        (part.leader, part.leader_epoch) = (1, 0);
        part
    }

    fn open() -> OpenBatch {
        let (memory, buffers) = (Memory::new(10_000), Buffers::new(1_000, 10_000));
        let mut open = OpenBatch::new(0, 100, 100, &memory, &buffers, false).unwrap();
        open.append(&RecordRef { timestamp: 0, key: None, value: Some(b"x"), headers: Headers::None });
        open
    }

    fn batch(id: u64, state: State, sequence: Option<i32>) -> Batch {
        let mut batch = Batch::new(id, open());
        (batch.state, batch.sequence) = (state, sequence);
        batch
    }

    fn identity(epoch: Option<i16>) -> Identity {
        let mut identity = Identity::new(true);
        if let Some(epoch) = epoch {
            identity.set(ProducerId { id: 1, epoch });
        }
        identity
    }

    fn next(part: &Part, identity: &Identity, linger: Option<Duration>, hurry: bool) -> Next {
        part.next(&Circumstances { now: Instant::now(), identity, linger, hurry, round: 0 })
    }

    #[test]
    fn an_open_batch_goes_when_idle_or_over_linger_or_in_a_hurry() {
        let (mut part, id) = (part(), identity(Some(0)));
        assert_eq!(next(&part, &id, None, false), Next::Nothing);
        part.open_since = Some(Instant::now());
        assert_eq!(next(&part, &id, None, false), Next::OpenIfIdle);
        assert_eq!(next(&part, &id, Some(Duration::from_secs(9)), false), Next::Nothing);
        assert_eq!(next(&part, &id, Some(Duration::from_secs(9)), true), Next::Open);
        assert_eq!(next(&part, &id, Some(Duration::ZERO), false), Next::Open);
        assert_eq!(next(&part, &identity(None), None, true), Next::Nothing, "no producer id yet");
    }

    #[test]
    fn what_was_written_goes_before_what_was_not() {
        let (mut part, id) = (part(), identity(Some(0)));
        part.proven = true;
        part.queued.push_back(batch(3, State::Idle, None));
        assert_eq!(next(&part, &id, None, false), Next::Queued);
        part.written.push_back(batch(1, State::OnWire, Some(0)));
        part.written.push_back(batch(2, State::Idle, Some(1)));
        (part.on_wire, part.wire_node) = (1, 1);
        assert_eq!(next(&part, &id, None, false), Next::Written(1));
        part.written[1].state = State::OnWire;
        assert_eq!(next(&part, &id, None, false), Next::Queued);
    }

    #[test]
    fn one_at_a_time_until_the_leader_has_taken_one() {
        let (mut part, id) = (part(), identity(Some(0)));
        part.written.push_back(batch(1, State::OnWire, Some(0)));
        part.queued.push_back(batch(2, State::Idle, None));
        (part.on_wire, part.wire_node) = (1, 1);
        assert_eq!(next(&part, &id, None, true), Next::Nothing);
        part.succeeded();
        assert_eq!(next(&part, &id, None, true), Next::Queued);
    }

    #[test]
    fn a_new_leader_waits_for_what_is_under_way_to_the_old_one() {
        let (mut part, id) = (part(), identity(Some(0)));
        part.proven = true;
        part.written.push_back(batch(1, State::OnWire, Some(0)));
        part.queued.push_back(batch(2, State::Idle, None));
        (part.on_wire, part.wire_node, part.leader) = (1, 1, 2);
        assert_eq!(next(&part, &id, None, true), Next::Nothing);
    }

    #[test]
    fn a_drain_ends_what_was_written_and_starts_nothing() {
        let (mut part, id) = (part(), identity(Some(0)));
        part.sequences.draining = true;
        part.written.push_back(batch(1, State::Refused, Some(0)));
        part.written.push_back(batch(2, State::Idle, Some(1)));
        part.queued.push_back(batch(3, State::Idle, None));
        assert_eq!(next(&part, &id, None, true), Next::Written(1), "its fate is not known yet");
        assert!(!part.drained());
        part.written[1].state = State::Refused;
        assert_eq!(next(&part, &id, None, true), Next::Nothing);
        assert!(part.drained());
    }

    #[test]
    fn a_new_epoch_waits_for_batches_of_the_old_one() {
        let (mut part, mut id) = (part(), identity(Some(0)));
        part.proven = true;
        part.sequences.take(&id, 1, true);
        part.written.push_back(batch(1, State::OnWire, Some(0)));
        part.queued.push_back(batch(2, State::Idle, None));
        (part.on_wire, part.wire_node) = (1, 1);
        id.set(ProducerId { id: 1, epoch: 1 });
        assert_eq!(next(&part, &id, None, true), Next::Nothing);
        part.written.clear();
        part.on_wire = 0;
        assert_eq!(next(&part, &id, None, true), Next::Queued);
    }
}
