//! Planted in what was sent.

use super::*;

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
