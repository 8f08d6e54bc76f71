//! What was read against what is in the log.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Facts, Poll};
use crate::history::{Entry, Outcome, Place, What};

/// Polls of one reader that follow each other in one partition, with nothing in between that moves the position.
fn in_turn<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = (&'a Poll, &'a Poll)> {
    let mut last: BTreeMap<(u32, Place, u32), &Poll> = BTreeMap::new();
    facts.polls.iter().filter_map(move |poll| {
        let before = last.insert((poll.reader, poll.place, poll.epoch), poll)?;
        Some((before, poll))
    })
}

fn committed_only(facts: &Facts<'_>, reader: u32) -> bool {
    facts.readers.get(&reader).is_some_and(|reader| reader.committed_only)
}

pub(super) fn skips(facts: &Facts<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (before, poll) in in_turn(facts) {
        let between = before.offset + 1..poll.offset;
        if let Some(skipped) = facts.visible(poll.place, between, committed_only(facts, poll.reader)).next() {
            let (reader, place, offset) = (poll.reader, poll.place, skipped.offset);
            wrong.push(format!("reader {reader} got {} and {} of {place:?}, not {offset}", before.offset, poll.offset));
        }
    }
    // Who reads from the start reads the first record first.
    let mut begun = BTreeSet::new();
    for poll in facts.polls.iter().filter(|poll| facts.readers.get(&poll.reader).is_some_and(|reader| !reader.group)) {
        if !begun.insert((poll.reader, poll.place)) {
            continue;
        }
        if let Some(skipped) = facts.visible(poll.place, 0..poll.offset, committed_only(facts, poll.reader)).next() {
            wrong.push(format!("reader {} of {:?} began behind {}", poll.reader, poll.place, skipped.offset));
        }
    }
    wrong
}

pub(super) fn nonmonotonic(facts: &Facts<'_>) -> Vec<String> {
    let back = in_turn(facts).filter(|(before, poll)| poll.offset <= before.offset);
    back.map(|(before, poll)| {
        format!("reader {} got {} after {} of {:?}", poll.reader, poll.offset, before.offset, poll.place)
    })
    .collect()
}

pub(super) fn aborted(facts: &Facts<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for poll in facts.polls.iter().filter(|poll| committed_only(facts, poll.reader)) {
        let entry = facts.at(poll.place, poll.offset);
        let told = poll.id.and_then(|id| facts.outcome(id));
        if entry.is_some_and(|entry| !entry.committed) || told == Some(Outcome::Aborted) {
            let (reader, offset, place) = (poll.reader, poll.offset, poll.place);
            wrong.push(format!("reader {reader} got {:?} at {offset} of {place:?}, which was aborted", poll.id));
        }
    }
    wrong
}

pub(super) fn unseen(facts: &Facts<'_>) -> Vec<String> {
    let seen: BTreeSet<(u32, Place, i64)> =
        facts.polls.iter().map(|poll| (poll.reader, poll.place, poll.offset)).collect();
    let finished: BTreeSet<(Place, i64)> = facts
        .evidence
        .history
        .iter()
        .filter_map(|event| match &event.what {
            What::Finished { place, offset, .. } => Some((*place, *offset)),
            _ => None,
        })
        .collect();
    let closed = facts.evidence.history.iter().filter_map(|event| match event.what {
        What::ReaderClosed { reader } => Some((reader, event.at)),
        _ => None,
    });
    let closed: BTreeMap<u32, Duration> = closed.collect();
    // A member with a slow handler may send when nobody reads any more.
    let too_late = |reader: &u32, entry: &Entry| {
        let sent = entry.id.and_then(|id| facts.sent.get(&id));
        sent.zip(closed.get(reader)).is_some_and(|((sent, _), closed)| sent > closed)
    };
    let mut wrong = Vec::new();
    for (place, found) in &facts.evidence.log {
        for (reader, about) in facts.readers.iter().filter(|(_, about)| !about.group) {
            let mut visible = facts.visible(*place, 0..found.end, about.committed_only);
            let is_missed =
                |entry: &&Entry| !seen.contains(&(*reader, *place, entry.offset)) && !too_late(reader, entry);
            if let Some(missed) = visible.find(is_missed) {
                wrong.push(format!(
                    "reader {reader} never got {} of {place:?}, which ends at {}",
                    missed.offset, found.end
                ));
            }
        }
        if place.topic == crate::stage::ORDERS {
            let mut visible = facts.visible(*place, 0..found.end, facts.evidence.group_committed_only);
            if let Some(missed) = visible.find(|entry| !finished.contains(&(*place, entry.offset))) {
                wrong.push(format!("the group never processed {} of {place:?}", missed.offset));
            }
        }
    }
    wrong
}

pub(super) fn after_revoke(facts: &Facts<'_>) -> Vec<String> {
    let mut owned: BTreeSet<(u32, Place)> = BTreeSet::new();
    let mut wrong = Vec::new();
    for event in &facts.evidence.history {
        match &event.what {
            What::Assigned { reader, places } => owned.extend(places.iter().map(|place| (*reader, *place))),
            What::Revoked { reader, places } | What::Lost { reader, places } => {
                owned.retain(|(other, place)| other != reader || !places.contains(place));
            }
            What::Polled { reader, place, offset, .. }
                if facts.readers.get(reader).is_some_and(|about| about.group)
                    && !owned.contains(&(*reader, *place)) =>
            {
                wrong.push(format!(
                    "reader {reader} got {offset} of {place:?} at {:?}, which it did not have",
                    event.at
                ));
            }
            _ => {}
        }
    }
    wrong
}
