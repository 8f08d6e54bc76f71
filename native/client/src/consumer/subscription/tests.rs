//! One partition, a loop that steps as a language does, and everything that can come between: against a plain model.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::consumer::handover::INDEX_WORDS;

pub(in crate::consumer) fn partition() -> TopicPartition {
    TopicPartition::new("t", 0)
}

/// A chunk of records at these offsets; reading goes on at `next`.
pub(in crate::consumer) fn chunk(epoch: u32, offsets: &[i64], next: i64) -> Chunk {
    let mut index = vec![0; offsets.len() * INDEX_WORDS];
    for (k, offset) in offsets.iter().enumerate() {
        index[k * INDEX_WORDS] = (offset - offsets[0]) as i32;
    }
    Chunk {
        topic: "t".into(),
        partition: 0,
        base_offset: offsets[0],
        leader_epoch: 5,
        bytes: Bytes::new(),
        index: index.into(),
        count: offsets.len() as u32,
        high_watermark: -1,
        next: Position { offset: next, leader_epoch: 5 },
        control: Default::default(),
        epoch,
        charge: 1,
    }
}

fn assigned_at(offset: i64) -> Subscription {
    let mut subscription = Subscription::default();
    subscription.add(partition(), StartAt::Offset(offset), false);
    subscription
}

fn hand_over(subscription: &mut Subscription, offsets: &[i64], next: i64) -> Chunk {
    let tp = partition();
    let epoch = subscription.get(&tp).unwrap().epoch;
    subscription.get_mut(&tp).unwrap().advance(Position { offset: next, leader_epoch: 5 }, false);
    let chunk = chunk(epoch, offsets, next);
    assert!(subscription.hand_over(&chunk));
    chunk
}

fn finished(subscription: &mut Subscription) -> i64 {
    subscription.get_mut(&partition()).unwrap().finished().unwrap().offset
}

fn position(subscription: &Subscription) -> i64 {
    subscription.get(&partition()).unwrap().position().unwrap().offset
}

#[test]
fn words_become_offsets_in_dense_and_in_sparse_chunks() {
    for (offsets, after) in [([10, 11, 12], [10, 11, 12, 20]), ([10, 13, 17], [10, 11, 14, 20])] {
        for (k, expected) in after.into_iter().enumerate() {
            let mut subscription = assigned_at(10);
            let chunk = hand_over(&mut subscription, &offsets, 20);
            chunk.control.stepped.store(k as u32, Ordering::Relaxed);
            chunk.control.finished.store(k as u32, Ordering::Relaxed);
            assert_eq!((finished(&mut subscription), position(&subscription)), (expected, expected), "{offsets:?} {k}");
        }
    }
}

#[test]
fn a_chunk_behind_an_unfinished_one_counts_only_when_that_is_finished() {
    let mut subscription = assigned_at(0);
    let first = hand_over(&mut subscription, &[0, 1], 2);
    let second = hand_over(&mut subscription, &[2, 3], 4);
    first.control.stepped.store(2, Ordering::Relaxed);
    first.control.finished.store(1, Ordering::Relaxed);
    second.control.finished.store(2, Ordering::Relaxed);
    assert_eq!(finished(&mut subscription), 1);
    first.control.finished.store(2, Ordering::Relaxed);
    assert_eq!(finished(&mut subscription), 4);
}

#[test]
fn what_a_language_writes_beyond_the_end_of_a_chunk_is_cut() {
    let mut subscription = assigned_at(0);
    let chunk = hand_over(&mut subscription, &[0, 1], 2);
    chunk.control.finished.store(u32::MAX, Ordering::Relaxed);
    assert_eq!(finished(&mut subscription), 2);
}

#[test]
fn a_look_up_that_comes_late_never_undoes_a_seek_or_another_ownership() {
    let tp = partition();
    let mut subscription = Subscription::default();
    subscription.add(tp.clone(), StartAt::Committed, false);
    let epoch = subscription.get(&tp).unwrap().epoch;
    subscription.seek(&tp, StartAt::Offset(7));
    assert!(!subscription.resolved(&tp, epoch, Position::at(100)));
    assert_eq!(position(&subscription), 7);
    subscription.remove(&tp);
    subscription.add(tp.clone(), StartAt::Committed, false);
    assert!(subscription.get(&tp).unwrap().epoch > epoch + 1);
    assert!(!subscription.resolved(&tp, epoch, Position::at(100)));
    assert!(!subscription.resolved(&tp, epoch + 1, Position::at(100)));
}

#[test]
fn a_position_with_an_epoch_is_confirmed_before_it_is_read() {
    let tp = partition();
    let mut subscription = Subscription::default();
    subscription.add(tp.clone(), StartAt::Committed, false);
    let epoch = subscription.get(&tp).unwrap().epoch;
    assert!(subscription.resolved(&tp, epoch, Position { offset: 9, leader_epoch: 3 }));
    assert!(!subscription.get(&tp).unwrap().fetchable());
    assert!(subscription.validated(&tp, epoch));
    assert!(subscription.get(&tp).unwrap().fetchable());
    assert_eq!((position(&subscription), subscription.uncommitted(None).len()), (9, 1));
    subscription.committed(&tp, Position::at(9));
    assert_eq!(subscription.uncommitted(None), vec![]);
}

#[test]
fn control_records_at_the_end_of_a_log_are_passed_and_committed() {
    let tp = partition();
    let mut subscription = assigned_at(0);
    let chunk = hand_over(&mut subscription, &[0, 1], 2);
    // More came, without records, while the loop still has those before.
    subscription.get_mut(&tp).unwrap().advance(Position { offset: 5, leader_epoch: 5 }, true);
    assert_eq!((finished(&mut subscription), position(&subscription)), (0, 0));
    chunk.control.stepped.store(2, Ordering::Relaxed);
    chunk.control.finished.store(2, Ordering::Relaxed);
    assert_eq!((finished(&mut subscription), position(&subscription)), (5, 5));
}

#[test]
fn steps_are_seen_once() {
    let mut subscription = assigned_at(0);
    let chunk = hand_over(&mut subscription, &[0, 1, 2], 3);
    assert!(!subscription.take_steps());
    chunk.control.stepped.store(1, Ordering::Relaxed);
    assert!(subscription.take_steps() && !subscription.take_steps());
}

// ---- the model ----------------------------------------------------------------------------------------------------

#[derive(Clone, Debug)]
enum Move {
    /// The fetcher brings up to this many records.
    Fetch(usize),
    /// As `Fetch`, but the answer is to a request sent before the last change.
    Late(usize),
    Step,
    Seek(usize),
    Pause,
    Resume,
    Hold,
    Release,
    Look,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => (1..6usize).prop_map(Move::Fetch),
        1 => (1..6usize).prop_map(Move::Late),
        9 => Just(Move::Step),
        1 => (0..60usize).prop_map(Move::Seek),
        1 => Just(Move::Pause),
        2 => Just(Move::Resume),
        1 => Just(Move::Hold),
        2 => Just(Move::Release),
        3 => Just(Move::Look),
    ];
    prop::collection::vec(one, 1..150)
}

struct Scene {
    /// Offsets that have a record.
    log: Vec<i64>,
    subscription: Subscription,
    ready: VecDeque<Chunk>,
    before: u32,
    /// The loop.
    chunk: Option<(Chunk, u32)>,
    /// Index of the record that must come next, and of what a commit must write: the first record not finished.
    expected: usize,
    unfinished: i64,
}

impl Scene {
    fn offset_from(&self, index: usize) -> i64 {
        self.log.get(index).copied().unwrap_or(self.log.last().unwrap() + 1)
    }

    fn fetch(&mut self, epoch: u32, count: usize) {
        let tp = partition();
        let Some(partition) = self.subscription.at(&tp, epoch).filter(|p| p.fetchable()) else { return };
        let from = partition.fetch.offset;
        let offsets: Vec<i64> = self.log.iter().copied().filter(|&o| o >= from).take(count).collect();
        let Some(last) = offsets.last() else { return };
        let next = last + 1;
        partition.advance(Position { offset: next, leader_epoch: 5 }, false);
        self.ready.push_back(chunk(epoch, &offsets, next));
    }

    fn step(&mut self) -> Option<i64> {
        loop {
            if let Some((chunk, k)) = &mut self.chunk {
                if *k > 0 {
                    chunk.control.finished.store(*k, Ordering::Relaxed);
                    self.unfinished = self.unfinished.max(chunk.offset(*k - 1) + 1);
                }
                if chunk.control.revoked.load(Ordering::Relaxed) == 0 && *k < chunk.count {
                    *k += 1;
                    chunk.control.stepped.store(*k, Ordering::Relaxed);
                    return Some(chunk.offset(*k - 1));
                }
                self.chunk = None;
            }
            let next = self.ready.pop_front()?;
            if self.subscription.hand_over(&next) {
                self.chunk = Some((next, 0));
            }
        }
    }
}

proptest! {
    #[test]
    fn a_loop_gets_each_record_once_in_order_and_commits_exactly_what_it_finished(
        gaps in prop::collection::vec(1..4i64, 60),
        moves in moves(),
    ) {
        let tp = partition();
        let log: Vec<i64> = gaps.iter().scan(0, |offset, gap| { *offset += gap; Some(*offset) }).collect();
        let mut scene = Scene {
            log, subscription: assigned_at(0), ready: VecDeque::new(), before: 0, chunk: None, expected: 0, unfinished: 0,
        };
        scene.before = scene.subscription.get(&tp).unwrap().epoch;
        for next in moves {
            let epoch = scene.subscription.get(&tp).unwrap().epoch;
            let was = epoch;
            match next {
                Move::Fetch(count) => scene.fetch(epoch, count),
                Move::Late(count) => scene.fetch(scene.before, count),
                Move::Step => {
                    let can = scene.subscription.get(&tp).unwrap().fetchable();
                    if let Some(offset) = scene.step() {
                        prop_assert!(can, "{offset} came while paused or held");
                        prop_assert_eq!(offset, scene.log[scene.expected]);
                        scene.expected += 1;
                    }
                }
                Move::Seek(index) => {
                    let target = scene.offset_from(index);
                    scene.subscription.seek(&tp, StartAt::Offset(target));
                    scene.expected = index;
                    // What the loop has in hand no longer counts.
                    if let Some((chunk, _)) = &scene.chunk {
                        prop_assert_eq!(chunk.control.revoked.load(Ordering::Relaxed), 1);
                    }
                    scene.chunk = None;
                    scene.unfinished = target;
                }
                Move::Pause => drop(scene.subscription.pause(&tp)),
                Move::Resume => drop(scene.subscription.resume(&tp)),
                Move::Hold => scene.subscription.hold(&tp),
                Move::Release => scene.subscription.release(&tp),
                Move::Look => {
                    prop_assert_eq!(finished(&mut scene.subscription), scene.unfinished);
                    let expected = scene.offset_from(scene.expected);
                    // Between two records the position is anywhere after the last and up to the next.
                    let at = position(&scene.subscription);
                    let last = scene.expected.checked_sub(1).map_or(0, |last| scene.log[last] + 1);
                    prop_assert!(last <= at && at <= expected, "{at} is not in {last}..={expected}");
                }
            }
            if scene.subscription.get(&tp).unwrap().epoch != was {
                scene.before = was;
            }
        }
    }
}
