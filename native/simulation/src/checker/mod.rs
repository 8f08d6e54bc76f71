//! What must never be, whatever failed: each kind of violation has a function from what happened to what is wrong, under the name
//! that Jepsen has for it where it has one. Pure; knows neither engine nor broker.
//!
//! `writes` what was sent against the log · `reads` what was read against the log · `group` who had what and committed what ·
//! `copies` the logs of nodes against each other · `ends` what is left when all is over.

mod copies;
mod ends;
mod group;
mod reads;
#[cfg(test)]
mod tests;
mod writes;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::history::{Entry, Evidence, Outcome, Place, RecordId, What};

/// A kind of violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A record that was acknowledged, read, or part of a committed transaction, is not in the log.
    LostWrite,
    /// A record is in the log twice, or what was made of one was committed twice.
    Duplicate,
    /// A record is in the log that was never sent, or of which it was told that it is not.
    PhantomWrite,
    /// A record is at another offset than was told, or two got the same.
    InconsistentOffsets,
    /// Two nodes have not the same committed batches of a partition.
    DivergentCopies,
    /// Of two records of one producer, the later one has the lower offset.
    NonmonotonicSend,
    /// A record's fate was not told, told twice, or told too late.
    UnsettledSend,
    /// A transaction was still open when all had ended.
    HangingTransaction,
    /// A reader passed over a record.
    PollSkip,
    /// A reader went back, or got a record twice.
    NonmonotonicPoll,
    /// A reader of committed records got one of an aborted transaction.
    AbortedRead,
    /// A record that is to be read was not read though nothing failed any more.
    Unseen,
    /// A reader got a record of a partition that it had given up.
    PollAfterRevoke,
    /// A record was committed as processed that nobody had finished.
    CommitBeyondFinished,
    /// What a group has committed went back.
    CommitRegressed,
    /// A partition had two owners.
    TwoOwners,
    /// Tasks, sockets, memory or registrations were left behind.
    Leak,
    /// A task panicked.
    Panic,
    /// Something never came to its end.
    Stuck,
    /// The run was too short, or without records or faults: it proves nothing.
    Vacuous,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which kind.
    pub kind: Kind,
    /// What it is about.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.detail)
    }
}

/// Says what of one kind is wrong.
type Finder = fn(&Facts<'_>) -> Vec<String>;

/// All that is wrong.
pub fn check(evidence: &Evidence) -> Vec<Violation> {
    let facts = Facts::of(evidence);
    let all: [(Kind, Finder); 19] = [
        (Kind::LostWrite, writes::lost),
        (Kind::Duplicate, writes::duplicates),
        (Kind::PhantomWrite, writes::phantoms),
        (Kind::InconsistentOffsets, writes::inconsistent_offsets),
        (Kind::DivergentCopies, copies::divergent),
        (Kind::NonmonotonicSend, writes::nonmonotonic_sends),
        (Kind::UnsettledSend, writes::unsettled),
        (Kind::HangingTransaction, writes::hanging_transactions),
        (Kind::PollSkip, reads::skips),
        (Kind::NonmonotonicPoll, reads::nonmonotonic),
        (Kind::AbortedRead, reads::aborted),
        (Kind::Unseen, reads::unseen),
        (Kind::PollAfterRevoke, reads::after_revoke),
        (Kind::CommitBeyondFinished, group::beyond_finished),
        (Kind::CommitRegressed, group::regressed),
        (Kind::TwoOwners, group::two_owners),
        (Kind::Leak, ends::leaks),
        (Kind::Panic, ends::panics),
        (Kind::Stuck, ends::stuck),
    ];
    let found = all.into_iter().flat_map(|(kind, find)| {
        let found = find(&facts).into_iter();
        found.map(move |detail| Violation { kind, detail })
    });
    found.collect()
}

/// A record that was yielded.
#[derive(Clone, Copy, Debug)]
struct Poll {
    reader: u32,
    epoch: u32,
    place: Place,
    offset: i64,
    id: Option<RecordId>,
}

/// A fate that was told.
#[derive(Clone, Copy, Debug)]
struct Settled<'a> {
    at: Duration,
    place: Place,
    offset: i64,
    /// Acknowledged, refused for certain, or neither.
    acknowledged: bool,
    refused: bool,
    error: Option<&'a str>,
}

/// A consumer.
#[derive(Clone, Copy, Debug)]
struct Reader {
    host: &'static str,
    group: bool,
    committed_only: bool,
}

/// The evidence, sorted by what is asked of it.
struct Facts<'a> {
    evidence: &'a Evidence,
    sent: BTreeMap<RecordId, (Duration, Option<u32>)>,
    settled: BTreeMap<RecordId, Vec<Settled<'a>>>,
    outcomes: BTreeMap<u32, Outcome>,
    writers: BTreeMap<u32, &'static str>,
    readers: BTreeMap<u32, Reader>,
    polls: Vec<Poll>,
    killed: Vec<(Duration, &'static str)>,
    /// Where each record is in the log.
    found: BTreeMap<RecordId, Vec<(Place, &'a Entry)>>,
}

impl<'a> Facts<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        let mut facts = Facts {
            evidence,
            sent: BTreeMap::new(),
            settled: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            writers: BTreeMap::new(),
            readers: BTreeMap::new(),
            polls: Vec::new(),
            killed: Vec::new(),
            found: BTreeMap::new(),
        };
        for event in &evidence.history {
            facts.take(event.at, &event.what);
        }
        for (place, found) in &evidence.log {
            for entry in &found.entries {
                if let Some(id) = entry.id {
                    facts.found.entry(id).or_default().push((*place, entry));
                }
            }
        }
        facts
    }

    fn take(&mut self, at: Duration, what: &'a What) {
        match what {
            What::Killed { host } => self.killed.push((at, host)),
            What::WriterOpened { writer, host } => drop(self.writers.insert(*writer, host)),
            What::Sent { id, transaction } => drop(self.sent.insert(*id, (at, *transaction))),
            What::Settled { id, place, offset, persistence, error } => {
                use dohle_client::producer::Persistence::{NotPersisted, Persisted};
                self.settled.entry(*id).or_default().push(Settled {
                    at,
                    place: *place,
                    offset: *offset,
                    acknowledged: *persistence == Persisted && error.is_none(),
                    refused: *persistence == NotPersisted,
                    error: error.as_deref(),
                });
            }
            What::TransactionEnded { transaction, outcome, .. } => {
                self.outcomes.insert(*transaction, *outcome);
            }
            What::ReaderOpened { reader, host, group, committed_only } => {
                let opened = Reader { host, group: *group, committed_only: *committed_only };
                self.readers.insert(*reader, opened);
            }
            What::Polled { reader, epoch, place, offset, id } => {
                let (reader, epoch, place, offset, id) = (*reader, *epoch, *place, *offset, *id);
                self.polls.push(Poll { reader, epoch, place, offset, id });
            }
            _ => {}
        }
    }

    /// Those that were acknowledged, with what was told of them.
    fn acknowledged(&self) -> impl Iterator<Item = (RecordId, &Settled<'a>)> {
        let all = self.settled.iter().flat_map(|(id, settled)| settled.iter().map(|one| (*id, one)));
        all.filter(|(_, one)| one.acknowledged)
    }

    /// How the transaction of a record ended, as its producer was told; none when it was in none.
    fn outcome(&self, id: RecordId) -> Option<Outcome> {
        let (_, transaction) = self.sent.get(&id)?;
        transaction.map(|transaction| self.outcomes.get(&transaction).copied().unwrap_or(Outcome::Unknown))
    }

    /// What is at an offset.
    fn at(&self, place: Place, offset: i64) -> Option<&'a Entry> {
        let entries = &self.evidence.log.get(&place)?.entries;
        entries.binary_search_by_key(&offset, |entry| entry.offset).ok().map(|at| &entries[at])
    }

    /// What a reader gets of the offsets in between.
    fn visible(
        &self,
        place: Place,
        offsets: std::ops::Range<i64>,
        committed_only: bool,
    ) -> impl Iterator<Item = &'a Entry> {
        let entries = self.evidence.log.get(&place).map_or(&[][..], |found| &found.entries);
        let first = entries.partition_point(|entry| entry.offset < offsets.start);
        let until = entries.partition_point(|entry| entry.offset < offsets.end).max(first);
        entries[first..until].iter().filter(move |entry| entry.committed || !committed_only)
    }

    /// Whether a host was killed at this time or later.
    fn is_killed_after(&self, host: &str, at: Duration) -> bool {
        self.killed.iter().any(|(killed, which)| *which == host && *killed >= at)
    }
}
