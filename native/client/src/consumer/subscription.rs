//! What is assigned and how far each partition is: position, what is in hand, what is finished, watermarks.
//! No I/O and no waiting: every method runs under the consumer's one short lock (see `shared.rs`).
//! Driven by the language's calls (seek, pause, next_chunk), by the fetcher and by the coordinator task.
//!
//! Three places per partition, always `finished ≤ next ≤ fetch`:
//!
//! ```text
//!   …records… | finished |  in the loop's hands  | next |  buffered, ready  | fetch |  on the broker
//!             commit position                  hand-over                 next fetch
//! ```
//!
//! `epoch` counts what made buffered data invalid: seek, pause, revocation. The fetcher notes it when a request is
//! sent and gives it back with what came of it; what is older is dropped, at `deliver` and again at `next_chunk`.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::collections::{Map, Set};

use super::StartAt;
use super::handover::{Chunk, InHand, Position, TopicPartition};
use super::pattern::Pattern;

/// What a partition waits for before (or while) it is fetched. Each state names who moves it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FetchState {
    /// The committed offset is asked for. Moved on by the coordinator task (commit.rs): to `Validate`, `Fetch` or `Reset`.
    Committed,
    /// An offset must be looked up with ListOffsets. Moved on by the fetcher (offsets.rs) with `Subscription::resolved`.
    Reset(ResetTo),
    /// The position has a leader epoch that the leader must confirm (OffsetForLeaderEpoch, KIP-320) before it is
    /// fetched. Moved on by the fetcher (offsets.rs) with `Subscription::validated` or `Subscription::reset`.
    Validate,
    /// The fetcher reads from `Partition::fetch`.
    Fetch,
    /// Nothing more until the user seeks: the reset policy is `none`, or the topic may not be read.
    /// The error went to the loop.
    Failed,
}

/// Where a reset goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResetTo {
    /// ListOffsets −2.
    Earliest,
    /// ListOffsets −1.
    Latest,
    /// The first record at or after this time in milliseconds; the end of the log when there is none.
    Timestamp(i64),
    /// `auto.offset.reset=by_duration`: as `Timestamp`, this many milliseconds before the time of the look-up.
    Ago(i64),
}

/// One assigned partition.
#[derive(Debug)]
pub(crate) struct Partition {
    /// Grows with everything that invalidates data fetched before.
    pub epoch: u32,
    /// The epoch it was added with: another one means that it was given up or lost in between.
    pub owned: u32,
    pub state: FetchState,
    /// Where the fetcher reads next. The leader epoch is the one of the last record fetched (KIP-320's
    /// `last_fetched_epoch`), −1 when unknown.
    pub fetch: Position,
    /// Where the next chunk handed over begins.
    pub next: Position,
    /// Everything before is finished: what a commit writes. `None` until the first position is known.
    finished: Option<Position>,
    /// What the group has, as far as we know: written by us or read.
    pub committed: Option<Position>,
    /// Where reading began: a transaction that is aborted goes back to it while the group has nothing.
    pub origin: Option<Position>,
    /// Asked for by the user.
    pub paused: bool,
    /// Held back by a rebalance: being revoked, or newly assigned and the language has not answered yet.
    pub held: bool,
    /// Chunks the loop has, oldest first.
    in_hand: VecDeque<InHand>,
    /// From the last fetch response, −1 before the first.
    pub high_watermark: i64,
    /// From the last fetch response, −1 before the first.
    pub last_stable: i64,
    /// From the last fetch response, −1 before the first.
    pub log_start: i64,
    /// Records fetched for the program, and their bytes.
    pub rx_records: u64,
    pub rx_bytes: u64,
}

impl Partition {
    fn new(epoch: u32, start: StartAt, held: bool) -> Self {
        let mut partition = Partition {
            epoch,
            owned: epoch,
            state: FetchState::Committed,
            fetch: Position::at(-1),
            next: Position::at(-1),
            finished: None,
            committed: None,
            origin: None,
            paused: false,
            held,
            in_hand: VecDeque::new(),
            high_watermark: -1,
            last_stable: -1,
            log_start: -1,
            rx_records: 0,
            rx_bytes: 0,
        };
        partition.start(start);
        partition
    }

    /// Begins anew at `start`.
    fn start(&mut self, start: StartAt) {
        self.origin = None;
        self.state = match start {
            StartAt::Offset(offset) => {
                self.place(Position::at(offset));
                self.origin = Some(Position::at(offset));
                FetchState::Fetch
            }
            StartAt::Earliest => FetchState::Reset(ResetTo::Earliest),
            StartAt::Latest => FetchState::Reset(ResetTo::Latest),
            StartAt::Timestamp(ms) => FetchState::Reset(ResetTo::Timestamp(ms)),
            StartAt::Committed => FetchState::Committed,
        };
        if self.state != FetchState::Fetch {
            self.finished = None;
        }
    }

    fn place(&mut self, position: Position) {
        self.fetch = position;
        self.next = position;
        self.finished = Some(position);
    }

    /// Whether the fetcher reads this partition now.
    pub fn fetchable(&self) -> bool {
        self.state == FetchState::Fetch && !self.paused && !self.held
    }

    /// The fetcher read up to `to`. `empty`: no chunk came of it; when the loop has nothing before `to` either, the
    /// places move along, so that control records at the end of a log do not look like lag.
    pub fn advance(&mut self, to: Position, empty: bool) {
        if empty && self.next == self.fetch {
            self.next = to;
            if self.finished().is_some() && self.in_hand.is_empty() {
                self.finished = Some(to);
            }
        }
        self.fetch = to;
    }

    /// Whether a position is known.
    pub fn placed(&self) -> bool {
        matches!(self.state, FetchState::Fetch | FetchState::Validate)
    }

    /// Takes in what the loop has finished meanwhile, and says up to where everything is finished.
    /// Never passes an unfinished record: a chunk counts only when all before it are finished.
    pub fn finished(&mut self) -> Option<Position> {
        while let Some(first) = self.in_hand.front() {
            let k = first.finished();
            if k > 0 {
                self.finished = Some(first.after(k));
            }
            if !first.is_finished() {
                break;
            }
            self.in_hand.pop_front();
            if self.in_hand.is_empty() {
                // Also what was passed over behind it: control records at the end of the log are not lag.
                self.finished = Some(self.next);
            }
        }
        self.finished
    }

    /// Offset of the next record that the loop gets.
    pub fn position(&self) -> Option<Position> {
        if !self.placed() {
            return None;
        }
        let open = self.in_hand.iter().find(|c| c.after(c.stepped()) != c.after(u32::MAX));
        Some(open.map_or(self.next, |chunk| chunk.after(chunk.stepped())))
    }

    /// Whether the loop has something that it has not finished.
    pub fn is_in_hand(&self) -> bool {
        self.in_hand.iter().any(|chunk| !chunk.is_finished())
    }

    /// Takes back everything that was not yielded: nothing fetched or handed over before is delivered after this.
    /// What was yielded can still be finished. (A loop on another thread that passed the check of `revoked` before
    /// this store yields one more record, which comes again later: twice rather than never.)
    fn take_back(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        for chunk in &self.in_hand {
            chunk.revoke();
        }
        while let Some(last) = self.in_hand.back_mut() {
            if last.stepped() > 0 {
                last.truncate();
                self.next = last.after(u32::MAX);
                break;
            }
            self.next = last.after(0);
            self.in_hand.pop_back();
        }
        self.fetch = self.next;
    }

    /// Up to where the loop was given records that the group does not have, if it was.
    pub fn given_beyond_committed(&self) -> Option<i64> {
        let given = self.position()?.offset;
        let base = self.committed.or(self.origin)?.offset;
        (given > base).then_some(given)
    }

    /// As `take_back`, and what is in hand no longer counts: the position is about to be set.
    fn forget(&mut self) {
        self.finished();
        self.take_back();
        self.in_hand.clear();
    }
}

/// What the user asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Nothing.
    #[default]
    None,
    /// `assign`: exactly these partitions, no rebalances.
    Manual,
    /// `subscribe` to a pattern, and it is not known yet what matches. Then it becomes `Topics`.
    Matching,
    /// `subscribe`: what the group gives us of these topics. Sorted, without duplicates.
    Topics(Arc<[Arc<str>]>),
    /// `unsubscribe`: the membership hands everything over and leaves, then it is `None`.
    Leaving,
}

/// All assigned partitions of a consumer.
#[derive(Debug, Default)]
pub(crate) struct Subscription {
    pub interest: Interest,
    /// Where the topics of `interest` come from, if not from the user.
    pub pattern: Option<Pattern>,
    /// How many patterns there were.
    pub patterns: u64,
    partitions: Map<TopicPartition, Partition>,
    /// Epoch for partitions that come: larger than that of any that was here before, so that an answer to a fetch
    /// from an earlier ownership of the same partition is never taken.
    next_epoch: u32,
    /// Partitions that went while the group did not have all that the loop had been given of them, up to where: what a
    /// transaction made of it cannot be committed any more.
    pub gone: Map<TopicPartition, i64>,
    /// Grows when partitions come or go: the fetcher rebuilds its sessions' partition lists when it changes.
    pub version: u64,
}

impl Subscription {
    pub fn get(&self, tp: &TopicPartition) -> Option<&Partition> {
        self.partitions.get(tp)
    }

    #[cfg(test)]
    pub fn get_mut(&mut self, tp: &TopicPartition) -> Option<&mut Partition> {
        self.partitions.get_mut(tp)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&TopicPartition, &Partition)> {
        self.partitions.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&TopicPartition, &mut Partition)> {
        self.partitions.iter_mut()
    }

    /// What is assigned, sorted.
    pub fn assigned(&self) -> Vec<TopicPartition> {
        let mut all: Vec<_> = self.partitions.keys().cloned().collect();
        all.sort_unstable();
        all
    }

    /// The topics that metadata must cover: assigned or subscribed.
    pub fn topics(&self) -> Vec<Arc<str>> {
        let mut topics: Set<Arc<str>> = self.partitions.keys().map(|tp| tp.topic.clone()).collect();
        if let Interest::Topics(asked) = &self.interest {
            topics.extend(asked.iter().cloned());
        }
        let mut topics: Vec<_> = topics.into_iter().collect();
        topics.sort_unstable();
        topics
    }

    /// Adds a partition. `held`: not fetched before `release`.
    pub fn add(&mut self, tp: TopicPartition, start: StartAt, held: bool) {
        let epoch = self.fresh_epoch();
        self.partitions.insert(tp, Partition::new(epoch, start, held));
        self.version += 1;
    }

    /// Gives partitions up: their chunks are revoked, their state is gone.
    pub fn remove(&mut self, tp: &TopicPartition) {
        if let Some(mut partition) = self.partitions.remove(tp) {
            if let Some(given) = partition.given_beyond_committed() {
                self.gone.insert(tp.clone(), given);
            }
            partition.forget();
            self.next_epoch = self.next_epoch.max(partition.epoch.wrapping_add(1));
            self.version += 1;
        }
    }

    /// Gives all partitions up.
    pub fn clear(&mut self) {
        self.assigned().iter().for_each(|tp| self.remove(tp));
    }

    fn fresh_epoch(&mut self) -> u32 {
        self.next_epoch = self.next_epoch.wrapping_add(1);
        self.next_epoch
    }

    /// Holds a partition back for a rebalance: nothing more of it is yielded or fetched. What was yielded can be finished.
    pub fn hold(&mut self, tp: &TopicPartition) {
        if let Some(partition) = self.partitions.get_mut(tp) {
            partition.held = true;
            partition.take_back();
        }
    }

    /// Ends `hold`.
    pub fn release(&mut self, tp: &TopicPartition) {
        if let Some(partition) = self.partitions.get_mut(tp) {
            partition.held = false;
        }
    }

    /// Moves a partition; nothing before is delivered after this. `false` when it is not assigned.
    pub fn seek(&mut self, tp: &TopicPartition, to: StartAt) -> bool {
        let Some(partition) = self.partitions.get_mut(tp) else { return false };
        partition.forget();
        partition.start(to);
        true
    }

    /// Pauses; what was not yielded comes again after `resume`. `false` when it is not assigned.
    pub fn pause(&mut self, tp: &TopicPartition) -> bool {
        let Some(partition) = self.partitions.get_mut(tp) else { return false };
        if !std::mem::replace(&mut partition.paused, true) {
            partition.take_back();
        }
        true
    }

    /// Ends a pause. `false` when it is not assigned.
    pub fn resume(&mut self, tp: &TopicPartition) -> bool {
        let Some(partition) = self.partitions.get_mut(tp) else { return false };
        partition.paused = false;
        true
    }

    /// A look-up (committed offset or ListOffsets) that began at `epoch` found where to read. Ignored when the
    /// partition was moved or lost meanwhile: a late look-up never undoes a seek.
    pub fn resolved(&mut self, tp: &TopicPartition, epoch: u32, position: Position) -> bool {
        let Some(partition) = self.at(tp, epoch) else { return false };
        if !matches!(partition.state, FetchState::Committed | FetchState::Reset(_)) {
            return false;
        }
        partition.place(position);
        partition.origin.get_or_insert(position);
        partition.state = if position.leader_epoch >= 0 { FetchState::Validate } else { FetchState::Fetch };
        true
    }

    /// The leader confirmed the position (or does not know epochs).
    pub fn validated(&mut self, tp: &TopicPartition, epoch: u32) -> bool {
        let Some(partition) = self.at(tp, epoch) else { return false };
        if partition.state == FetchState::Validate {
            partition.state = FetchState::Fetch;
        }
        true
    }

    /// The leader changed: the position must be confirmed before the next fetch. Nothing buffered is dropped.
    pub fn revalidate(&mut self, tp: &TopicPartition, epoch: u32) {
        if let Some(partition) = self.at(tp, epoch)
            && partition.state == FetchState::Fetch
            && partition.fetch.leader_epoch >= 0
        {
            partition.state = FetchState::Validate;
        }
    }

    /// The position is not in the log (or was cut off it): what is handed over counts, then the partition is placed
    /// anew by a look-up.
    pub fn reset(&mut self, tp: &TopicPartition, epoch: u32, to: ResetTo) -> bool {
        let Some(partition) = self.at(tp, epoch) else { return false };
        partition.forget();
        partition.state = FetchState::Reset(to);
        true
    }

    /// The topic was deleted and created again under its name: places in the old log mean nothing in the new one, nor does
    /// what was finished or committed. Placed anew by a look-up; without a policy nothing more until a seek. `false`: it had
    /// no place yet.
    pub fn recreated(&mut self, tp: &TopicPartition, to: Option<ResetTo>) -> bool {
        let placed = |p: &&mut Partition| !matches!(p.state, FetchState::Committed | FetchState::Failed);
        let Some(partition) = self.partitions.get_mut(tp).filter(placed) else { return false };
        partition.forget();
        (partition.finished, partition.committed) = (None, None);
        (partition.high_watermark, partition.last_stable, partition.log_start) = (-1, -1, -1);
        partition.state = to.map_or(FetchState::Failed, FetchState::Reset);
        true
    }

    /// The leader's log ends before our position (KIP-320): read on from where it was cut. What is buffered is dropped.
    pub fn truncated(&mut self, tp: &TopicPartition, epoch: u32, position: Position) -> bool {
        let Some(partition) = self.at(tp, epoch) else { return false };
        partition.forget();
        partition.place(position);
        partition.state = FetchState::Fetch;
        true
    }

    /// Whether the loop has been given everything that was fetched, at `epoch`.
    pub fn is_drained(&mut self, tp: &TopicPartition, epoch: u32) -> bool {
        self.at(tp, epoch)
            .is_some_and(|partition| partition.position().map(|at| at.offset) == Some(partition.fetch.offset))
    }

    /// Nothing more of this partition until a seek. Call `Shared::raise` with the reason.
    pub fn fail(&mut self, tp: &TopicPartition, epoch: u32) -> bool {
        let Some(partition) = self.at(tp, epoch) else { return false };
        partition.state = FetchState::Failed;
        true
    }

    /// The partition if it is still at `epoch`.
    pub fn at(&mut self, tp: &TopicPartition, epoch: u32) -> Option<&mut Partition> {
        self.partitions.get_mut(tp).filter(|partition| partition.epoch == epoch)
    }

    /// Notes that a chunk goes to the language. `false`: it is out of date and must be dropped.
    pub fn hand_over(&mut self, chunk: &Chunk) -> bool {
        // Only this one lookup by (topic, partition) per chunk.
        let Some(partition) = self.at(&chunk.topic_partition(), chunk.epoch) else { return false };
        if partition.paused || partition.held {
            return false;
        }
        partition.finished(); // keeps the queue short; before `next` moves, which it may take for finished
        let start = std::mem::replace(&mut partition.next, chunk.next);
        partition.in_hand.push_back(InHand::new(chunk, start));
        true
    }

    /// Goes back to what the group has committed, everywhere: nothing of what was given since counts.
    pub fn rewind(&mut self) {
        self.gone.clear();
        for partition in self.partitions.values_mut().filter(|partition| partition.placed()) {
            partition.forget();
            partition.state = FetchState::Committed;
            partition.finished = None;
        }
    }

    /// What is finished and not yet committed, sorted; of these partitions or of all.
    pub fn uncommitted(&mut self, only: Option<&[TopicPartition]>) -> Vec<(TopicPartition, Position)> {
        let asked = self.partitions.iter_mut().filter(|(tp, _)| only.is_none_or(|only| only.contains(tp)));
        let mut places: Vec<_> = asked
            .filter_map(|(tp, partition)| {
                let finished = partition.finished()?;
                let news = partition.committed.map(|at| at.offset) != Some(finished.offset);
                (news && finished.offset >= 0).then(|| (tp.clone(), finished))
            })
            .collect();
        places.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        places
    }

    /// See the field.
    pub fn origin(&self, tp: &TopicPartition) -> Option<Position> {
        self.partitions.get(tp)?.origin
    }

    /// The group has this offset.
    pub fn committed(&mut self, tp: &TopicPartition, at: Position) {
        if let Some(partition) = self.partitions.get_mut(tp) {
            partition.committed = Some(at);
        }
    }

    /// Whether a loop has stepped in any chunk since the last call.
    pub fn take_steps(&mut self) -> bool {
        let mut stepped = false;
        for partition in self.partitions.values_mut() {
            for chunk in &mut partition.in_hand {
                stepped |= chunk.take_step();
            }
        }
        stepped
    }
}

#[cfg(test)]
pub(in crate::consumer) mod tests;
