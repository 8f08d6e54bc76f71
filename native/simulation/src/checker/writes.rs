//! What was sent against what is in the log.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Facts;
use crate::history::{Outcome, Place, RecordId};

/// A timer may be late, and records that came within a moment expire as one.
const LATE: Duration = Duration::from_secs(1);

pub(super) fn lost(facts: &Facts<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (id, settled) in facts.acknowledged() {
        let outcome = facts.outcome(id);
        match facts.found.get(&id) {
            None => wrong.push(format!("{id:?} was acknowledged at {:?} of {:?}", settled.offset, settled.place)),
            Some(places) if outcome == Some(Outcome::Committed) && !places.iter().any(|(_, entry)| entry.committed) => {
                wrong.push(format!("{id:?} is of a transaction that was committed, and is aborted in the log"));
            }
            _ => {}
        }
    }
    for poll in &facts.polls {
        if poll.id.is_some_and(|id| !facts.found.contains_key(&id)) {
            wrong.push(format!(
                "reader {} got {:?} at {} of {:?}, which is gone",
                poll.reader, poll.id, poll.offset, poll.place
            ));
        }
    }
    let made = made_of_orders(facts);
    let missing = processed(facts).into_iter().filter(|source| !made.contains_key(source));
    wrong
        .extend(missing.map(|(place, offset)| format!("{place:?} {offset} was committed, and nothing was made of it")));
    wrong
}

pub(super) fn duplicates(facts: &Facts<'_>) -> Vec<String> {
    let twice = facts.found.iter().filter(|(_, places)| places.len() > 1);
    let mut wrong: Vec<String> = twice
        .map(|(id, places)| {
            let offsets: Vec<_> = places.iter().map(|(place, entry)| (place, entry.offset)).collect();
            format!("{id:?} is at {offsets:?}")
        })
        .collect();
    let made = made_of_orders(facts).into_iter().filter(|(_, ids)| ids.len() > 1);
    wrong.extend(made.map(|((place, offset), ids)| format!("of {place:?} {offset} was made: {ids:?}")));
    wrong
}

pub(super) fn phantoms(facts: &Facts<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (id, places) in &facts.found {
        let offsets: Vec<_> = places.iter().map(|(place, entry)| (place, entry.offset)).collect();
        if !facts.sent.contains_key(id) {
            wrong.push(format!("{id:?} was never sent, and is at {offsets:?}"));
        }
        let told = facts.settled.get(id).into_iter().flatten().find(|told| told.refused);
        if let Some(told) = told {
            wrong.push(format!("{id:?} was told not to be in the log ({:?}), and is at {offsets:?}", told.error));
        }
    }
    for (place, found) in &facts.evidence.log {
        let broken = found.entries.iter().filter(|entry| entry.id.is_none());
        wrong.extend(broken.map(|entry| format!("{place:?} {} is no record that was sent", entry.offset)));
    }
    wrong
}

pub(super) fn inconsistent_offsets(facts: &Facts<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut taken: BTreeMap<(Place, i64), RecordId> = BTreeMap::new();
    for (id, settled) in facts.acknowledged().filter(|(_, settled)| settled.offset >= 0) {
        let there = facts.found.get(&id).into_iter().flatten();
        let there: Vec<_> = there.map(|(place, entry)| (*place, entry.offset)).collect();
        if !there.is_empty() && !there.contains(&(settled.place, settled.offset)) {
            let (place, offset) = (settled.place, settled.offset);
            wrong.push(format!("{id:?} was acknowledged at {offset} of {place:?}, and is at {there:?}"));
        }
        if let Some(other) = taken.insert((settled.place, settled.offset), id).filter(|other| *other != id) {
            wrong.push(format!(
                "{other:?} and {id:?} were both acknowledged at {} of {:?}",
                settled.offset, settled.place
            ));
        }
    }
    for poll in &facts.polls {
        let there = facts.at(poll.place, poll.offset).and_then(|entry| entry.id);
        let is_somewhere = poll.id.is_none_or(|id| facts.found.contains_key(&id));
        if there != poll.id && is_somewhere {
            let (reader, offset, place) = (poll.reader, poll.offset, poll.place);
            wrong.push(format!("reader {reader} got {:?} at {offset} of {place:?}, where {there:?} is", poll.id));
        }
    }
    wrong
}

pub(super) fn nonmonotonic_sends(facts: &Facts<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut last: BTreeMap<(u32, Place), (RecordId, i64)> = BTreeMap::new();
    // In the order in which they were sent.
    for (id, settled) in facts.acknowledged().filter(|(_, settled)| settled.offset >= 0) {
        let before = last.insert((id.writer, settled.place), (id, settled.offset));
        if let Some((other, offset)) = before.filter(|(_, offset)| *offset > settled.offset) {
            wrong.push(format!("{other:?} is at {offset} of {:?}, {id:?} at {}", settled.place, settled.offset));
        }
    }
    wrong
}

pub(super) fn unsettled(facts: &Facts<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (id, (at, transaction)) in &facts.sent {
        let settled = facts.settled.get(id).map_or(&[][..], |settled| settled);
        let host = facts.writers.get(&id.writer).copied().unwrap_or_default();
        match settled {
            [one] => {
                let took = one.at.saturating_sub(*at);
                // What is sent in a transaction is bounded by another limit.
                if transaction.is_none() && took > facts.evidence.delivery_timeout + LATE {
                    wrong.push(format!("{id:?} took {took:?}"));
                }
            }
            [] if facts.is_killed_after(host, *at) => {}
            _ => wrong.push(format!("{id:?}, sent at {at:?}, settled {} times", settled.len())),
        }
    }
    let stray = facts.settled.keys().filter(|id| !facts.sent.contains_key(id));
    wrong.extend(stray.map(|id| format!("{id:?} settled without being sent")));
    wrong
}

pub(super) fn hanging_transactions(facts: &Facts<'_>) -> Vec<String> {
    let hanging = facts.evidence.log.iter().filter(|(_, found)| found.stable < found.end);
    hanging.map(|(place, found)| format!("{place:?} is stable up to {} of {}", found.stable, found.end)).collect()
}

/// What was made of each order, and committed.
fn made_of_orders(facts: &Facts<'_>) -> BTreeMap<(Place, i64), Vec<RecordId>> {
    let mut made: BTreeMap<(Place, i64), Vec<RecordId>> = BTreeMap::new();
    for entry in facts.evidence.log.values().flat_map(|found| &found.entries).filter(|entry| entry.committed) {
        if let (Some(source), Some(id)) = (entry.source, entry.id) {
            made.entry(source).or_default().push(id);
        }
    }
    made
}

/// The orders that a group which works in transactions has committed as processed.
fn processed(facts: &Facts<'_>) -> Vec<(Place, i64)> {
    if !facts.evidence.exactly_once {
        return Vec::new();
    }
    let committed = super::group::last_observed(facts).into_iter();
    let below =
        committed.flat_map(|(place, end)| facts.visible(place, 0..end, true).map(move |entry| (place, entry.offset)));
    below.collect()
}
