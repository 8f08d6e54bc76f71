//! Who had which partition of the group, and what was committed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Facts;
use crate::history::{Place, What};

/// What was seen to be committed last.
pub(super) fn last_observed(facts: &Facts<'_>) -> BTreeMap<Place, i64> {
    let mut last = BTreeMap::new();
    for event in &facts.evidence.history {
        if let What::Observed { place, offset } = event.what {
            last.insert(place, offset);
        }
    }
    last
}

pub(super) fn beyond_finished(facts: &Facts<'_>) -> Vec<String> {
    let mut finished: BTreeSet<(Place, i64)> = BTreeSet::new();
    let mut checked: BTreeMap<Place, i64> = BTreeMap::new();
    let mut wrong = Vec::new();
    for event in &facts.evidence.history {
        match &event.what {
            What::Finished { place, offset, .. } => drop(finished.insert((*place, *offset))),
            What::Observed { place, offset } | What::Committed { place, offset, .. } => {
                let from = checked.entry(*place).or_default();
                let mut below = facts.visible(*place, *from..*offset, facts.evidence.group_committed_only);
                if let Some(entry) = below.find(|entry| !finished.contains(&(*place, entry.offset))) {
                    let (at, open) = (event.at, entry.offset);
                    wrong.push(format!("{offset} of {place:?} was committed at {at:?}, and {open} not finished"));
                }
                *from = (*from).max(*offset);
            }
            _ => {}
        }
    }
    wrong
}

pub(super) fn regressed(facts: &Facts<'_>) -> Vec<String> {
    let mut known: BTreeMap<Place, (Duration, i64)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for event in &facts.evidence.history {
        let What::Observed { place, offset } = event.what else { continue };
        let before = known.insert(place, (event.at, offset));
        if let Some((at, more)) = before.filter(|(_, more)| *more > offset) {
            wrong.push(format!("{more} of {place:?} was committed at {at:?}, {offset} at {:?}", event.at));
        }
    }
    wrong
}

pub(super) fn two_owners(facts: &Facts<'_>) -> Vec<String> {
    let mut wrong = same_generation(facts);
    wrong.extend(overlapping(facts));
    wrong
}

/// One partition, one generation, one member.
fn same_generation(facts: &Facts<'_>) -> Vec<String> {
    let mut owners: BTreeMap<(i32, Place), u32> = BTreeMap::new();
    let mut wrong = Vec::new();
    for event in &facts.evidence.history {
        let What::Joined { reader, generation, places } = &event.what else { continue };
        for place in places {
            let owner = owners.entry((*generation, *place)).or_insert(*reader);
            if owner != reader {
                wrong.push(format!("{place:?} is reader {owner}'s and reader {reader}'s in generation {generation}"));
            }
        }
    }
    wrong
}

/// Who gives a partition up with a handshake has had it alone until then. Who was thrown out may have gone on for a while.
fn overlapping(facts: &Facts<'_>) -> Vec<String> {
    let mut owners: BTreeMap<Place, BTreeMap<u32, Duration>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for event in &facts.evidence.history {
        match &event.what {
            What::Assigned { reader, places } => {
                for place in places {
                    owners.entry(*place).or_default().insert(*reader, event.at);
                }
            }
            What::Revoked { reader, places } => {
                for place in places {
                    let of_place = owners.entry(*place).or_default();
                    let since = of_place.remove(reader);
                    let others = of_place.iter().filter(|(_, came)| since.is_some_and(|since| since < **came));
                    let others: Vec<_> = others.collect();
                    if !others.is_empty() {
                        wrong.push(format!(
                            "{place:?} was reader {reader}'s until {:?}, and {others:?} had it",
                            event.at
                        ));
                    }
                }
            }
            What::Lost { reader, places } => {
                for place in places {
                    owners.entry(*place).or_default().remove(reader);
                }
            }
            What::ReaderClosed { reader } => {
                owners.values_mut().for_each(|of_place| of_place.retain(|other, _| other != reader));
            }
            What::Killed { host } => {
                let is_there = |reader: &u32| facts.readers.get(reader).is_none_or(|about| about.host != *host);
                owners.values_mut().for_each(|of_place| of_place.retain(|reader, _| is_there(reader)));
            }
            _ => {}
        }
    }
    wrong
}
