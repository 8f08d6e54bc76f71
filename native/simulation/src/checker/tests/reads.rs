//! Planted in what was read, owned and committed, and in what was left.

use std::time::Duration;

use super::*;

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
        let is_next = |what: &What| {
            matches!(what, What::Polled { reader: of, place: at, offset: polled, .. }
            if *of == reader && *at == place && *polled > offset)
        };
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
fn a_record_that_was_sent_when_a_reader_had_closed_is_not_unseen() {
    planted(&[], |evidence| {
        let reader = evidence.readers(false, false)[0];
        let at = evidence.last(|what| matches!(what, What::Polled { reader: of, .. } if *of == reader));
        let What::Polled { id, .. } = evidence.history.remove(at).what else { unreachable!() };
        let closed = evidence.last(|what| matches!(what, What::ReaderClosed { reader: of } if *of == reader));
        let sent = evidence.first(|what| matches!(what, What::Sent { id: of, .. } if Some(*of) == id));
        evidence.history[sent].at = evidence.history[closed].at + Duration::from_secs(1);
    });
}

#[test]
fn a_record_that_the_group_never_processes_is_unseen() {
    planted(&[Kind::Unseen, Kind::CommitBeyondFinished], |evidence| {
        let at = evidence.last(|what| matches!(what, What::Finished { .. }));
        let What::Finished { place, offset, .. } = evidence.history[at].what else { unreachable!() };
        evidence.history.retain(
            |event| !matches!(event.what, What::Finished { place: of, offset: at, .. } if of == place && at == offset),
        );
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
        evidence.history.retain(
            |event| !matches!(event.what, What::Finished { place: of, offset: at, .. } if of == place && at == offset),
        );
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
        let first = evidence.first(|what| {
            matches!(what, What::Assigned { reader: of, places: came }
            if *of == reader && came.contains(&places[0]))
        });
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
        |what| {
            if let What::Left { tasks, .. } = what {
                *tasks += 1
            }
        },
        |what| {
            if let What::Left { sockets, .. } = what {
                *sockets += 1
            }
        },
        |what| {
            if let What::Left { buffered, .. } = what {
                *buffered += 1
            }
        },
        |what| {
            if let What::Left { instances, .. } = what {
                *instances += 1
            }
        },
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
    planted(&[Kind::Panic], |evidence| {
        evidence.insert(0, What::Panicked { host: VERIFIER, text: "planted".to_owned() })
    });
    planted(&[Kind::Stuck], |evidence| evidence.insert(0, What::Stuck { what: "planted".to_owned() }));
}
