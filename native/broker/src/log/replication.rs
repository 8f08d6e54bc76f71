//! A log's part among the copies of its partition on other nodes: whether it leads or follows, in which leader epoch, and how far
//! those that are in sync have come, which is what is committed (Kafka's Partition, KIP-101 and KIP-279). Who leads is decided by
//! the cluster's controller; who fetches is `cluster::follower`.

use std::collections::BTreeMap;

use bytes::Bytes;
use dohle_protocol::{ErrorCode, records};
use tokio::time::{Duration, Instant};

use super::{Batch, Log, Segment, disk::rebuild::State, segment};

/// The part.
pub(super) struct Part {
    epoch: i32,
    leads: bool,
    /// Of a leader: the other copies.
    followers: BTreeMap<i32, Follower>,
}

struct Follower {
    /// Where its log ends; −1 before it has said so.
    end: i64,
    in_sync: bool,
    /// Where the leader's log ended when it was last fed: who has that now, has caught up (as in Kafka's Replica.maybeUpdate).
    fed: i64,
    /// When it was first seen without all that there is, since it last had caught up.
    behind: Option<Instant>,
}

/// What a follower has told brings about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// More is committed.
    pub committed: bool,
    /// It has all that is committed, and is not among those in sync.
    pub caught_up: bool,
}

/// What a leader has for a follower.
#[derive(Clone, Debug)]
pub(crate) enum Feed {
    /// What comes next, where the leader's log begins, and what is committed.
    Batches { bytes: Bytes, start_offset: i64, high_watermark: i64 },
    /// Their logs have parted: the leader's of this epoch ends here.
    Diverged { epoch: i32, end: i64 },
    /// The leader has nothing from there on any more: its log begins here.
    Behind { start_offset: i64 },
}

impl Part {
    /// Of the only copy there is.
    pub fn alone() -> Self {
        Self { epoch: 0, leads: true, followers: BTreeMap::new() }
    }

    pub fn epoch(&self) -> i32 {
        self.epoch
    }
}

impl Log {
    /// How many copies are in sync, with its own.
    pub fn in_sync(&self) -> usize {
        1 + self.part.followers.values().filter(|follower| follower.in_sync).count()
    }

    /// Whether what is written now can be committed.
    pub fn check_copies(&self) -> Result<(), ErrorCode> {
        if self.in_sync() < self.least_in_sync() { Err(ErrorCode::NOT_ENOUGH_REPLICAS) } else { Ok(()) }
    }

    /// How many must be, for anything to be committed: `min.insync.replicas`, or all that there are.
    pub fn least_in_sync(&self) -> usize {
        self.config.min_in_sync.min(1 + self.part.followers.len())
    }

    /// The leader epoch that it knows.
    pub fn leader_epoch(&self) -> i32 {
        self.part.epoch
    }

    pub fn leads(&self) -> bool {
        self.part.leads
    }

    /// Whether it leads, in the epoch that a client believes in (−1: it does not say). KIP-320: one with an old view must look
    /// again, one with a newer view must wait for us.
    pub fn check_leader(&self, current: i32) -> Result<(), ErrorCode> {
        self.check_epoch(current)?;
        if self.part.leads { Ok(()) } else { Err(ErrorCode::NOT_LEADER_OR_FOLLOWER) }
    }

    /// Whether this is the epoch that a client believes in.
    pub fn check_epoch(&self, current: i32) -> Result<(), ErrorCode> {
        match current {
            -1 => Ok(()),
            newer if newer > self.part.epoch => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
            older if older < self.part.epoch => Err(ErrorCode::FENCED_LEADER_EPOCH),
            _ => Ok(()),
        }
    }

    /// It leads in this epoch, with these other copies, each of which is in sync or not. In an epoch that it leads already,
    /// what it knows of them stays.
    pub fn lead(&mut self, epoch: i32, others: &[(i32, bool)]) -> Result<(), ErrorCode> {
        let goes_on = self.part.leads && self.part.epoch == epoch;
        let mut before = std::mem::take(&mut self.part.followers);
        if !goes_on {
            before.clear();
        }
        let follower = |(node, in_sync): &(i32, bool)| {
            let known =
                before.remove(node).unwrap_or(Follower { end: -1, in_sync: false, fed: i64::MAX, behind: None });
            (*node, Follower { in_sync: *in_sync, ..known })
        };
        let followers = others.iter().map(follower).collect();
        self.part = Part { epoch, leads: true, followers };
        if !goes_on {
            self.note_epoch(self.part.epoch, self.next_offset)?;
        }
        self.advance();
        Ok(())
    }

    /// It follows in this epoch.
    pub fn follow(&mut self, epoch: i32) {
        self.part = Part { epoch, leads: false, followers: BTreeMap::new() };
    }

    /// What is committed, is what all in sync have. Answers whether that is more than before.
    pub(super) fn advance(&mut self) -> bool {
        if !self.part.leads {
            return false;
        }
        // KIP-966: too few copies commit nothing.
        if self.check_copies().is_err() {
            return false;
        }
        let in_sync = self.part.followers.values().filter(|follower| follower.in_sync);
        let committed = in_sync.map(|follower| follower.end).fold(self.next_offset, i64::min);
        let more = committed > self.high_watermark;
        self.high_watermark = self.high_watermark.max(committed);
        more
    }

    /// Whether what is committed is known: a new leader learns it from the others (KIP-207).
    pub fn knows_committed(&self) -> bool {
        self.high_watermark >= self.epochs.start_of(self.part.epoch).unwrap_or(0)
    }

    /// A follower's log ends at an offset.
    pub fn acknowledge(&mut self, node: i32, end: i64) -> Progress {
        let (next_offset, epoch_start) = (self.next_offset, self.epochs.start_of(self.part.epoch).unwrap_or(0));
        let Some(follower) = self.part.followers.get_mut(&node).filter(|_| self.part.leads) else {
            return Progress::default();
        };
        follower.end = end;
        if end >= next_offset.min(follower.fed) {
            follower.behind = None;
        }
        follower.fed = next_offset;
        let in_sync = follower.in_sync;
        let committed = self.advance();
        Progress { committed, caught_up: !in_sync && end >= self.high_watermark.max(epoch_start) }
    }

    /// A follower is in sync from now on, if it still has all that is committed: nothing is without it from here on.
    pub fn admit(&mut self, node: i32, epoch: i32) -> bool {
        let least = self.high_watermark.max(self.epochs.start_of(epoch).unwrap_or(0));
        let leads = self.part.leads && self.part.epoch == epoch;
        match self.part.followers.get_mut(&node).filter(|follower| leads && follower.end >= least) {
            Some(follower) => {
                follower.in_sync = true;
                true
            }
            None => false,
        }
    }

    /// A follower that was just admitted is not in sync after all.
    pub fn dismiss(&mut self, node: i32, epoch: i32) {
        if self.part.epoch == epoch
            && let Some(follower) = self.part.followers.get_mut(&node)
        {
            follower.in_sync = false;
            self.advance();
        }
    }

    /// The followers in sync that have not caught up for so long. To be asked more often than that: time counts from when one was
    /// first seen behind, not from when there was last something to catch up with.
    pub fn lagging(&mut self, now: Instant, most: Duration) -> Vec<i32> {
        let mut lagging = Vec::new();
        for (node, follower) in self.part.followers.iter_mut().filter(|(_, follower)| follower.in_sync) {
            if follower.end >= self.next_offset {
                follower.behind = None;
            } else if now.duration_since(*follower.behind.get_or_insert(now)) > most {
                lagging.push(*node);
            }
        }
        lagging
    }

    /// What a follower has next whose log ends at an offset, with a batch of this epoch at its end.
    pub fn feed(&self, offset: i64, last_epoch: Option<i32>, max_bytes: usize) -> Result<Feed, ErrorCode> {
        if let Some(last) = last_epoch
            && let Some((epoch, end)) = self.end_of_epoch(last)
            && (epoch < last || end < offset)
        {
            return Ok(Feed::Diverged { epoch, end });
        }
        if offset > self.next_offset {
            return Ok(Feed::Diverged { epoch: self.part.epoch, end: self.next_offset });
        }
        // The log may begin within a batch.
        let from = offset.max(self.start_offset);
        let slice = self.read(from, max_bytes, true, super::Isolation::Uncommitted)?;
        if offset < from {
            let first = records::batches(slice.bytes.clone()).next().and_then(Result::ok);
            let first = first.map_or(from, |batch| batch.header().base_offset.min(from));
            if offset < first {
                return Ok(Feed::Behind { start_offset: first });
            }
        }
        let (start_offset, high_watermark) = (self.start_offset, self.high_watermark);
        Ok(Feed::Batches { bytes: slice.bytes, start_offset, high_watermark })
    }

    /// All that is there is committed.
    pub fn is_committed(&self) -> bool {
        self.high_watermark == self.next_offset
    }

    /// Where the log ends, and the epoch of what is there.
    pub fn end(&self) -> (i64, Option<i32>) {
        (self.next_offset, self.epochs.latest())
    }

    /// Appends what the leader of this epoch has, as it is.
    pub fn append_replicated(&mut self, epoch: i32, bytes: Bytes, now_ms: i64) -> Result<(), ErrorCode> {
        self.check_disk()?;
        if self.part.leads || self.part.epoch != epoch {
            return Err(ErrorCode::FENCED_LEADER_EPOCH);
        }
        for batch in records::batches(bytes) {
            let batch = batch.map_err(|_| ErrorCode::CORRUPT_MESSAGE)?;
            let header = batch.header();
            if header.base_offset < self.next_offset {
                return Err(ErrorCode::CORRUPT_MESSAGE);
            }
            self.note_epoch(header.partition_leader_epoch, header.base_offset)?;
            let taken = Batch {
                bytes: batch.bytes().clone(),
                last_offset_delta: header.last_offset_delta,
                max_timestamp: header.max_timestamp,
                append_time: -1,
                producer: None,
                transactional: header.attributes.is_transactional(),
                v2: false,
            };
            let (base_offset, epoch) = (header.base_offset, header.partition_leader_epoch);
            let written = self
                .segment_for(&taken, now_ms)
                .and_then(|(segment, config)| segment.append(&taken, base_offset, epoch, now_ms, config));
            written.map_err(|error| self.failed(error))?;
            self.next_offset = header.last_offset() + 1;
            if header.producer_id >= 0 {
                let mut state = State { producers: &mut self.producers, transactions: &mut self.transactions };
                if let Some(aborted) = state.replay_one(&batch, now_ms, 0) {
                    self.note_aborted(&aborted)?;
                }
            }
        }
        self.flush_if_due()
    }

    /// What the leader says of its log. Answers whether more is committed.
    pub fn learn(&mut self, start_offset: i64, high_watermark: i64) -> bool {
        if self.part.leads {
            return false;
        }
        let committed = high_watermark.min(self.next_offset);
        let more = committed > self.high_watermark;
        self.high_watermark = self.high_watermark.max(committed);
        if start_offset > self.start_offset && start_offset <= self.high_watermark {
            // What the leader has deleted is deleted here.
            let _ = self.delete_before(start_offset);
        }
        more
    }

    /// Cuts what its leader does not have, whose log of this epoch ends at an offset.
    pub fn part_from(&mut self, (epoch, end): (i32, i64), now_ms: i64) -> Result<(), ErrorCode> {
        let own = self.epochs.end_of(epoch, self.next_offset).map_or(self.next_offset, |(_, end)| end);
        self.truncate_to(end.min(own).min(self.next_offset), now_ms)
    }

    /// Forgets everything and begins at an offset: the leader has nothing before it.
    pub fn begin_at(&mut self, offset: i64, now_ms: i64) -> Result<(), ErrorCode> {
        self.truncate_to(self.start_offset, now_ms)?;
        let begun = (|| {
            for segment in self.segments.drain(..) {
                segment.delete()?;
            }
            self.deletions += 1;
            self.segments.push_back(match &self.files {
                None => Segment::in_memory(offset, 0, segment::FIRST_CAPACITY),
                Some(files) => Segment::in_files(&files.place, offset, 0, "")?,
            });
            (self.start_offset, self.next_offset, self.high_watermark) = (offset, offset, offset);
            self.compacted_to = offset;
            self.begun_at(offset)
        })();
        begun.map_err(|error| self.broken(error))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{Append, log},
        *,
    };

    const SECOND: Duration = Duration::from_secs(1);

    /// Feeds a follower until it has all; answers how often it had to be cut.
    fn replicate(leader: &mut Log, follower: &mut Log) -> usize {
        let mut cuts = 0;
        loop {
            let (end, epoch) = follower.end();
            leader.acknowledge(2, end);
            match leader.feed(end, epoch, 1).unwrap() {
                Feed::Diverged { epoch, end } => {
                    cuts += 1;
                    follower.part_from((epoch, end), 0).unwrap();
                }
                Feed::Behind { start_offset } => follower.begin_at(start_offset, 0).unwrap(),
                Feed::Batches { bytes, start_offset, high_watermark } => {
                    let nothing = bytes.is_empty();
                    follower.append_replicated(leader.leader_epoch(), bytes, 0).unwrap();
                    follower.learn(start_offset, high_watermark);
                    if nothing {
                        return cuts;
                    }
                }
            }
        }
    }

    fn pair() -> (Log, Log) {
        let (mut leader, mut follower) = (log(&[]), log(&[]));
        leader.lead(1, &[(2, true)]).unwrap();
        follower.follow(1);
        (leader, follower)
    }

    fn bytes(log: &Log) -> Vec<u8> {
        let (mut all, mut at) = (Vec::new(), log.start_offset());
        loop {
            let slice = log.read(at, 1, true, super::super::Isolation::Uncommitted).unwrap();
            let Some(last) = records::batches(slice.bytes.clone()).last() else { return all };
            at = last.unwrap().last_offset() + 1;
            all.extend_from_slice(&slice.bytes);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_committed_is_what_all_in_sync_have() {
        let (mut leader, mut follower) = pair();
        leader.put(Append::default());
        leader.put(Append::default());
        assert_eq!(leader.high_watermark(), 0, "nobody has it yet");
        assert_eq!(leader.acknowledge(2, 1), Progress { committed: true, caught_up: false });
        assert_eq!(leader.high_watermark(), 1);
        replicate(&mut leader, &mut follower);
        assert_eq!((leader.high_watermark(), follower.high_watermark()), (2, 2));
        assert_eq!(bytes(&leader), bytes(&follower));
        leader.lead(1, &[(2, false)]).unwrap();
        leader.put(Append::default());
        assert_eq!(leader.high_watermark(), 3, "it is alone now");
        assert!(!leader.acknowledge(2, 2).caught_up);
        assert!(leader.acknowledge(2, 3).caught_up, "it may be in sync again");
        leader.put(Append::default());
        assert!(!leader.admit(2, 1), "one more was committed meanwhile");
        leader.acknowledge(2, 4);
        assert!(leader.admit(2, 1) && !leader.admit(2, 0));
        leader.put(Append::default());
        assert_eq!(leader.high_watermark(), 4, "it counts at once");
    }

    #[tokio::test(start_paused = true)]
    async fn too_few_copies_commit_nothing() {
        let mut leader = log(&[("min.insync.replicas", "2")]);
        leader.put(Append::default());
        assert_eq!(leader.high_watermark(), 1, "there is no other one that could have it");
        leader.lead(1, &[(2, false), (3, false)]).unwrap();
        leader.put(Append::default());
        assert_eq!((leader.high_watermark(), leader.in_sync(), leader.least_in_sync()), (1, 1, 2));
        leader.acknowledge(2, 2);
        leader.lead(1, &[(2, true), (3, false)]).unwrap();
        assert_eq!(leader.high_watermark(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_follower_that_had_not_all_for_too_long_lags() {
        let (mut leader, _) = pair();
        tokio::time::advance(SECOND * 100).await;
        leader.put(Append::default());
        assert_eq!(leader.lagging(Instant::now(), SECOND), [0; 0], "there was nothing to catch up with until now");
        tokio::time::advance(SECOND).await;
        assert_eq!(leader.lagging(Instant::now(), SECOND), [0; 0]);
        tokio::time::advance(SECOND).await;
        assert_eq!(leader.lagging(Instant::now(), SECOND), [2]);
        leader.acknowledge(2, 1);
        assert_eq!(leader.lagging(Instant::now(), SECOND), [0; 0], "it has all that there is");
        // One that always has what there was when it was fed keeps up, though there is always more.
        for n in 1..5 {
            leader.put(Append::default());
            assert_eq!(leader.lagging(Instant::now(), SECOND), [0; 0]);
            tokio::time::advance(SECOND * 2).await;
            leader.acknowledge(2, n);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn logs_that_have_parted_are_one_again_where_the_old_leader_is_cut() {
        let (mut one, mut two) = pair();
        one.put(Append::default());
        replicate(&mut one, &mut two);
        // Never seen by anyone else; then the other one leads.
        one.put(Append { records: &[("lost", None)], ..Append::default() });
        one.put(Append { records: &[("lost", None)], ..Append::default() });
        two.lead(2, &[(2, false)]).unwrap();
        one.follow(2);
        assert_eq!(two.put(Append { records: &[("kept", None)], ..Append::default() }), 1);
        assert!(replicate(&mut two, &mut one) > 0);
        assert_eq!(bytes(&one), bytes(&two));
        assert_eq!((one.end(), two.end()), ((2, Some(2)), (2, Some(2))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_wrote_nothing_follows_one_that_never_heard_of_its_epoch() {
        let (mut one, mut two) = pair();
        one.put(Append::default());
        replicate(&mut one, &mut two);
        two.lead(2, &[(1, false)]).unwrap();
        one.lead(3, &[(2, false)]).unwrap();
        two.follow(3);
        assert_eq!(two.end(), (1, Some(2)));
        assert_eq!(replicate(&mut one, &mut two), 1, "cut once, not for ever");
        assert_eq!(two.end(), (1, Some(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_follower_of_a_leader_that_has_deleted_more_than_it_has_begins_anew() {
        let (mut leader, mut follower) = pair();
        replicate(&mut leader, &mut follower);
        leader.lead(1, &[(2, false)]).unwrap();
        (0..5).for_each(|_| _ = leader.put(Append::default()));
        leader.delete_before(3).unwrap();
        replicate(&mut leader, &mut follower);
        assert_eq!((follower.start_offset(), follower.end().0, follower.high_watermark()), (3, 5, 5));
        assert_eq!(bytes(&leader)[..8], 3_i64.to_be_bytes());
    }

    #[tokio::test(start_paused = true)]
    async fn a_follower_begins_anew_with_the_whole_batch_in_which_the_leader_begins() {
        let (mut leader, mut follower) = pair();
        leader.lead(1, &[(2, false)]).unwrap();
        leader.put(Append::default());
        leader.put(Append { records: &[("a", None), ("b", None), ("c", None)], ..Append::default() });
        leader.delete_before(2).unwrap();
        replicate(&mut leader, &mut follower);
        assert_eq!((follower.start_offset(), follower.end().0, follower.high_watermark()), (2, 4, 4));
        leader.put(Append::default());
        replicate(&mut leader, &mut follower);
        assert_eq!((follower.end().0, bytes(&leader)), (5, bytes(&follower)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_lead_takes_nothing_from_clients_and_who_leads_nothing_from_leaders() {
        let (mut leader, mut follower) = pair();
        assert_eq!(follower.try_put(Append::default()), Err(ErrorCode::NOT_LEADER_OR_FOLLOWER));
        assert_eq!(leader.append_replicated(1, Bytes::new(), 0), Err(ErrorCode::FENCED_LEADER_EPOCH));
        assert_eq!(follower.append_replicated(0, Bytes::new(), 0), Err(ErrorCode::FENCED_LEADER_EPOCH));
        assert_eq!(leader.check_leader(0), Err(ErrorCode::FENCED_LEADER_EPOCH));
        assert_eq!(leader.check_leader(2), Err(ErrorCode::UNKNOWN_LEADER_EPOCH));
        assert_eq!((leader.check_leader(1), leader.check_leader(-1)), (Ok(()), Ok(())));
        assert_eq!(follower.check_leader(1), Err(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    }

    #[tokio::test(start_paused = true)]
    async fn producers_and_transactions_are_known_where_they_are_replicated() {
        let (mut leader, mut follower) = pair();
        let stamp = (7, 0, 0);
        leader.put(Append { stamp, transactional: true, ..Append::default() });
        replicate(&mut leader, &mut follower);
        assert_eq!(follower.last_stable_offset(), 0);
        assert_eq!(follower.producers(1000).len(), 1);
        let marker = super::super::Marker { producer_id: 7, epoch: 0, commit: false, coordinator_epoch: 0 };
        leader.append_marker(&marker, 0).unwrap();
        replicate(&mut leader, &mut follower);
        assert_eq!(follower.last_stable_offset(), 2);
        let read = |log: &Log| log.read(0, 1 << 20, true, super::super::Isolation::ReadCommitted).unwrap().aborted;
        assert_eq!((read(&follower).map(|all| all.len()), read(&follower)), (Some(1), read(&leader)));
    }
}
