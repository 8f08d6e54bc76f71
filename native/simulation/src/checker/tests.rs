//! Each kind of violation is planted in what happened in a real run; the checker names that kind, and no other.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use dohle_client::producer::Persistence;

use super::{Kind, check};
use crate::history::{Entry, Event, Evidence, Place, RecordId, What};
use crate::plan::{Commits, Plan, VERIFIER};
use crate::run;

/// A clean run of a group that works in transactions, in which transactions were aborted.
fn clean() -> Evidence {
    static CLEAN: OnceLock<Evidence> = OnceLock::new();
    let evidence = CLEAN.get_or_init(|| {
        let seed = (1..).find(|seed| Plan::of(*seed).commits == Commits::InTransactions).unwrap();
        let report = run(seed, false);
        assert_eq!(report.violations, [], "seed {seed}");
        report.evidence
    });
    evidence.clone()
}

#[track_caller]
fn planted(kinds: &[Kind], plant: impl FnOnce(&mut Evidence)) {
    let mut evidence = clean();
    plant(&mut evidence);
    let found = check(&evidence);
    let named: BTreeSet<Kind> = found.iter().map(|violation| violation.kind).collect();
    assert_eq!(named, kinds.iter().copied().collect(), "{found:?}");
}

impl Evidence {
    fn first(&self, which: impl Fn(&What) -> bool) -> usize {
        self.history.iter().position(|event| which(&event.what)).expect("it happened")
    }

    fn last(&self, which: impl Fn(&What) -> bool) -> usize {
        self.history.iter().rposition(|event| which(&event.what)).expect("it happened")
    }

    fn insert(&mut self, at: usize, what: What) {
        let time = self.history[at.min(self.history.len() - 1)].at;
        self.history.insert(at, Event { at: time, what });
    }

    /// Two records of one producer that follow each other in a partition, none of them of a transaction.
    fn neighbours(&self) -> (Place, usize, usize) {
        let is_plain = |id: RecordId| {
            self.history.iter().any(|event| matches!(event.what, What::Sent { id: sent, transaction: None } if sent == id))
        };
        for (place, found) in &self.log {
            for at in 1..found.entries.len() {
                let (Some(one), Some(two)) = (found.entries[at - 1].id, found.entries[at].id) else { continue };
                if one.writer == two.writer && is_plain(two) {
                    return (*place, at - 1, at);
                }
            }
        }
        unreachable!("there are bursts")
    }

    fn entry(&mut self, place: Place, at: usize) -> &mut Entry {
        &mut self.log.get_mut(&place).unwrap().entries[at]
    }

    fn aborted(&self) -> (Place, Entry) {
        let mut all = self.log.iter().flat_map(|(place, found)| found.entries.iter().map(|entry| (*place, entry.clone())));
        all.find(|(_, entry)| !entry.committed).expect("some are aborted")
    }

    fn readers(&self, group: bool, committed: bool) -> Vec<u32> {
        let readers = self.history.iter().filter_map(|event| match event.what {
            What::ReaderOpened { reader, group: of, committed_only, .. } if of == group && committed_only == committed => {
                Some(reader)
            }
            _ => None,
        });
        readers.collect()
    }

    /// A poll of the group's that follows another one, and has one behind it.
    fn poll_in_the_middle(&self) -> usize {
        let key = |event: &Event| match event.what {
            What::Polled { reader, epoch, place, .. } => Some((reader, epoch, place)),
            _ => None,
        };
        let group = self.readers(true, true);
        let polls: Vec<_> = self.history.iter().enumerate().filter_map(|(at, event)| Some((at, key(event)?))).collect();
        let middle = polls.windows(3).find(|polls| {
            polls[0].1 == polls[1].1 && polls[1].1 == polls[2].1 && group.contains(&polls[1].1.0)
        });
        middle.expect("a chunk of three").get(1).unwrap().0
    }
}

#[test]
fn a_real_history_has_nothing_wrong() {
    assert_eq!(check(&clean()), []);
}

#[test]
fn an_acknowledged_record_that_is_not_in_the_log_is_a_lost_write() {
    planted(&[Kind::LostWrite], |evidence| {
        let (place, _, at) = evidence.neighbours();
        evidence.log.get_mut(&place).unwrap().entries.remove(at);
    });
}

#[test]
fn a_committed_transaction_that_the_log_has_aborted_is_a_lost_write() {
    planted(&[Kind::LostWrite], |evidence| {
        // An invoice that nobody who reads what is committed has looked for.
        let (place, at) = evidence
            .log
            .iter()
            .find_map(|(place, found)| Some((*place, found.entries.iter().position(|entry| entry.source.is_some())?)))
            .unwrap();
        let offset = evidence.entry(place, at).offset;
        evidence.entry(place, at).committed = false;
        let readers = evidence.readers(false, true);
        evidence.history.retain(|event| {
            !matches!(event.what, What::Polled { reader, place: of, offset: polled, .. }
                if readers.contains(&reader) && of == place && polled == offset)
        });
    });
}

#[test]
fn a_record_that_is_in_the_log_twice_is_a_duplicate() {
    planted(&[Kind::Duplicate], |evidence| {
        let (place, one, two) = evidence.neighbours();
        let (id, copy) = (evidence.entry(place, one).id, evidence.entry(place, two).id);
        evidence.entry(place, two).id = id;
        evidence.history.retain(|event| match event.what {
            What::Sent { id, .. } | What::Settled { id, .. } => Some(id) != copy,
            _ => true,
        });
        for event in &mut evidence.history {
            if let What::Polled { id: polled, .. } = &mut event.what
                && *polled == copy
            {
                *polled = id;
            }
        }
    });
}

#[test]
fn what_is_made_twice_of_one_record_is_a_duplicate() {
    planted(&[Kind::Duplicate, Kind::LostWrite], |evidence| {
        let invoices = evidence.log.values_mut().find(|found| found.entries.iter().any(|entry| entry.source.is_some()));
        let entries = &mut invoices.unwrap().entries;
        // Of one order two, and so none of another.
        let made: Vec<usize> =
            (0..entries.len()).filter(|at| entries[*at].source.is_some() && entries[*at].committed).collect();
        entries[made[1]].source = entries[made[0]].source;
    });
}

#[test]
fn a_record_that_was_never_sent_is_a_phantom() {
    planted(&[Kind::PhantomWrite], |evidence| {
        let (place, _, at) = evidence.neighbours();
        let there = evidence.entry(place, at).id;
        evidence.history.retain(|event| match event.what {
            What::Sent { id, .. } | What::Settled { id, .. } => Some(id) != there,
            _ => true,
        });
    });
}

#[test]
fn a_record_that_was_told_not_to_be_in_the_log_and_is_is_a_phantom() {
    planted(&[Kind::PhantomWrite], |evidence| {
        let at = evidence.first(|what| matches!(what, What::Settled { offset: 0.., .. }));
        if let What::Settled { persistence, error, .. } = &mut evidence.history[at].what {
            (*persistence, *error) = (Persistence::NotPersisted, Some("planted".to_owned()));
        }
    });
}

#[test]
fn a_record_that_is_not_where_it_was_told_to_be_has_inconsistent_offsets() {
    planted(&[Kind::InconsistentOffsets], |evidence| {
        let at = evidence.last(|what| matches!(what, What::Settled { error: None, .. }));
        if let What::Settled { offset, .. } = &mut evidence.history[at].what {
            *offset += 1_000;
        }
    });
}

#[test]
fn a_reader_that_gets_another_record_at_an_offset_has_inconsistent_offsets() {
    planted(&[Kind::InconsistentOffsets], |evidence| {
        let (place, one, _) = evidence.neighbours();
        let other = evidence.entry(place, one).id;
        let is_another = |what: &What| matches!(what, What::Polled { id, .. } if *id != other);
        let at = evidence.first(is_another);
        if let What::Polled { id, .. } = &mut evidence.history[at].what {
            *id = other;
        }
    });
}

#[test]
fn records_of_one_producer_in_another_order_than_they_were_sent_are_nonmonotonic() {
    planted(&[Kind::NonmonotonicSend], |evidence| {
        let (place, at_one, at_two) = evidence.neighbours();
        let (one, two) = (evidence.entry(place, at_one).id, evidence.entry(place, at_two).id);
        let offsets = (evidence.entry(place, at_one).offset, evidence.entry(place, at_two).offset);
        evidence.entry(place, at_one).id = two;
        evidence.entry(place, at_two).id = one;
        for event in &mut evidence.history {
            match &mut event.what {
                What::Polled { id, .. } if *id == one => *id = two,
                What::Polled { id, .. } if *id == two => *id = one,
                What::Settled { id, offset, .. } if Some(*id) == one => *offset = offsets.1,
                What::Settled { id, offset, .. } if Some(*id) == two => *offset = offsets.0,
                _ => {}
            }
        }
    });
}

#[test]
fn a_send_that_settles_never_or_twice_or_too_late_is_unsettled() {
    let settled = |what: &What| matches!(what, What::Settled { error: None, .. });
    planted(&[Kind::UnsettledSend], |evidence| {
        let at = evidence.last(settled);
        evidence.history.remove(at);
    });
    planted(&[Kind::UnsettledSend], |evidence| {
        let at = evidence.last(settled);
        let again = evidence.history[at].what.clone();
        evidence.insert(at, again);
    });
    planted(&[Kind::UnsettledSend], |evidence| {
        let plain: BTreeSet<RecordId> = evidence
            .history
            .iter()
            .filter_map(|event| match event.what {
                What::Sent { id, transaction: None } => Some(id),
                _ => None,
            })
            .collect();
        let at = evidence.last(|what| matches!(what, What::Settled { id, .. } if plain.contains(id)));
        evidence.history[at].at += evidence.delivery_timeout * 2;
    });
}

#[test]
fn a_transaction_without_an_end_hangs() {
    planted(&[Kind::HangingTransaction], |evidence| {
        let found = evidence.log.values_mut().next().unwrap();
        found.stable -= 1;
    });
}

#[test]
fn a_reader_that_passes_over_a_record_skips() {
    planted(&[Kind::PollSkip], |evidence| {
        let at = evidence.poll_in_the_middle();
        evidence.history.remove(at);
    });
}

#[test]
fn a_reader_that_gets_a_record_twice_is_nonmonotonic() {
    planted(&[Kind::NonmonotonicPoll], |evidence| {
        let at = evidence.poll_in_the_middle();
        let again = evidence.history[at].what.clone();
        evidence.insert(at, again);
    });
}

#[test]
fn a_reader_of_what_is_committed_that_gets_something_else_has_read_what_was_aborted() {
    planted(&[Kind::AbortedRead], |evidence| {
        let (place, entry) = evidence.aborted();
        let reader = evidence.readers(false, true)[0];
        let (offset, id) = (entry.offset, entry.id);
        let is_next = |what: &What| matches!(what, What::Polled { reader: of, place: at, offset: polled, .. }
            if *of == reader && *at == place && *polled > offset);
        let at = evidence.first(is_next);
        let What::Polled { epoch, .. } = evidence.history[at].what else { unreachable!() };
        evidence.insert(at, What::Polled { reader, epoch, place, offset, id });
    });
}

#[test]
fn a_record_that_a_reader_never_gets_is_unseen() {
    planted(&[Kind::Unseen], |evidence| {
        let reader = evidence.readers(false, false)[0];
        let at = evidence.last(|what| matches!(what, What::Polled { reader: of, .. } if *of == reader));
        evidence.history.remove(at);
    });
}

#[test]
fn a_record_that_the_group_never_processes_is_unseen() {
    planted(&[Kind::Unseen, Kind::CommitBeyondFinished], |evidence| {
        let at = evidence.last(|what| matches!(what, What::Finished { .. }));
        let What::Finished { place, offset, .. } = evidence.history[at].what else { unreachable!() };
        evidence.history.retain(|event| {
            !matches!(event.what, What::Finished { place: of, offset: at, .. } if of == place && at == offset)
        });
    });
}

#[test]
fn a_record_of_a_partition_that_was_given_up_is_polled_after_its_revocation() {
    planted(&[Kind::PollAfterRevoke], |evidence| {
        let at = evidence.last(|what| matches!(what, What::Revoked { places, .. } if !places.is_empty()));
        let What::Revoked { reader, places } = evidence.history[at].what.clone() else { unreachable!() };
        let place = places[0];
        let Entry { offset, id, .. } = *evidence.entry(place, 0);
        evidence.insert(at + 1, What::Polled { reader, epoch: u32::MAX, place, offset, id });
    });
}

#[test]
fn a_commit_ahead_of_what_is_finished_is_named() {
    planted(&[Kind::CommitBeyondFinished], |evidence| {
        let at = evidence.first(|what| matches!(what, What::Finished { .. }));
        let finished = evidence.history[at].what.clone();
        let What::Finished { place, offset, .. } = finished else { unreachable!() };
        evidence.history.retain(|event| {
            !matches!(event.what, What::Finished { place: of, offset: at, .. } if of == place && at == offset)
        });
        evidence.insert(evidence.history.len(), finished);
    });
}

#[test]
fn a_commit_that_goes_back_is_named() {
    planted(&[Kind::CommitRegressed], |evidence| {
        let at = evidence.last(|what| matches!(what, What::Observed { offset: 1.., .. }));
        let What::Observed { place, offset } = evidence.history[at].what else { unreachable!() };
        evidence.insert(at, What::Observed { place, offset: offset + 1 });
        evidence.log.get_mut(&place).unwrap().entries.retain(|entry| entry.offset != offset);
    });
}

#[test]
fn a_partition_that_two_members_have_in_one_generation_has_two_owners() {
    planted(&[Kind::TwoOwners], |evidence| {
        let at = evidence.last(|what| matches!(what, What::Joined { places, .. } if !places.is_empty()));
        let What::Joined { reader, generation, places } = evidence.history[at].what.clone() else { unreachable!() };
        let other = evidence.readers(true, true).into_iter().find(|other| *other != reader).unwrap();
        evidence.insert(at, What::Joined { reader: other, generation, places });
    });
}

#[test]
fn a_partition_that_another_member_gets_before_it_was_given_up_has_two_owners() {
    planted(&[Kind::TwoOwners], |evidence| {
        let gives_up = evidence.last(|what| matches!(what, What::Revoked { places, .. } if !places.is_empty()));
        let What::Revoked { reader, places } = evidence.history[gives_up].what.clone() else { unreachable!() };
        let other = evidence.readers(true, true).into_iter().find(|other| *other != reader).unwrap();
        // The engine tells of it twice: when it is asked for, and when it is done.
        let first = evidence.first(|what| matches!(what, What::Assigned { reader: of, places: came }
            if *of == reader && came.contains(&places[0])));
        let gives_up = first + evidence.history[first..].iter().position(|event| {
            matches!(&event.what, What::Revoked { reader: of, places: gone } if *of == reader && gone.contains(&places[0]))
        }).unwrap();
        evidence.insert(gives_up, What::Assigned { reader: other, places: vec![places[0]] });
        evidence.insert(gives_up + 2, What::Lost { reader: other, places: vec![places[0]] });
    });
}

#[test]
fn whatever_is_left_behind_is_a_leak() {
    let leaks: [fn(&mut What); 4] = [
        |what| if let What::Left { tasks, .. } = what { *tasks += 1 },
        |what| if let What::Left { sockets, .. } = what { *sockets += 1 },
        |what| if let What::Left { buffered, .. } = what { *buffered += 1 },
        |what| if let What::Left { instances, .. } = what { *instances += 1 },
    ];
    for leak in leaks {
        planted(&[Kind::Leak], |evidence| {
            let at = evidence.first(|what| matches!(what, What::Left { host: VERIFIER, .. }));
            leak(&mut evidence.history[at].what);
        });
    }
}

#[test]
fn a_panic_and_something_without_an_end_are_named() {
    planted(&[Kind::Panic], |evidence| evidence.insert(0, What::Panicked { host: VERIFIER, text: "planted".to_owned() }));
    planted(&[Kind::Stuck], |evidence| evidence.insert(0, What::Stuck { what: "planted".to_owned() }));
}
