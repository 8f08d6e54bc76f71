//! Each kind of violation is planted in what happened in a real run; the checker names that kind, and no other.

mod copies;
mod reads;
mod runs;
mod writes;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use dohle_client::producer::Persistence;

use super::{Kind, check};
use crate::history::{Entry, Event, Evidence, Place, RecordId, What};
use crate::plan::{Commits, NODES, Plan, VERIFIER};
use crate::run;
use crate::stage::{INVOICES, ORDERS};

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
            self.history
                .iter()
                .any(|event| matches!(event.what, What::Sent { id: sent, transaction: None } if sent == id))
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
        let mut all =
            self.log.iter().flat_map(|(place, found)| found.entries.iter().map(|entry| (*place, entry.clone())));
        all.find(|(_, entry)| !entry.committed).expect("some are aborted")
    }

    fn readers(&self, group: bool, committed: bool) -> Vec<u32> {
        let readers = self.history.iter().filter_map(|event| match event.what {
            What::ReaderOpened { reader, group: of, committed_only, .. }
                if of == group && committed_only == committed =>
            {
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
        let middle = polls
            .windows(3)
            .find(|polls| polls[0].1 == polls[1].1 && polls[1].1 == polls[2].1 && group.contains(&polls[1].1.0));
        middle.expect("a chunk of three").get(1).unwrap().0
    }
}

#[test]
fn a_real_history_has_nothing_wrong() {
    assert_eq!(check(&clean()), []);
}
