//! What there was in a run, or in many: the totals that are printed.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use crate::history::{Evidence, Outcome, What};
use crate::plan::COLD_START;

/// Totals of one run, or of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Runs.
    pub runs: u64,
    /// Those with logs on disks.
    pub on_disks: u64,
    /// Crashes with which a disk lost bytes that were not synced.
    pub lossy_crashes: u64,
    /// Starts of a new cluster from the disks of the one before.
    pub cold_starts: u64,
    /// Virtual time.
    pub virtual_time: Duration,
    /// Records that were acknowledged.
    pub acknowledged: u64,
    /// Records that failed.
    pub failed: u64,
    /// Records that readers got.
    pub polled: u64,
    /// Transactions that were committed.
    pub committed: u64,
    /// Transactions that were aborted, or of which nobody was told how they ended.
    pub aborted: u64,
    /// New generations of the group, one for each member in it.
    pub joined: u64,
    /// Batches that were compared with those of other copies.
    pub compared: u64,
    /// Faults, by kind.
    pub faults: BTreeMap<&'static str, u64>,
}

impl Summary {
    pub(crate) fn of(evidence: &Evidence) -> Self {
        let virtual_time = evidence.history.last().map_or(Duration::ZERO, |event| event.at);
        let copies = evidence.copies.values().flat_map(|copies| copies.values().skip(1));
        let compared = copies.map(|batches| batches.len() as u64).sum();
        let on_disks = evidence.on_disks.into();
        let mut summary = Self { runs: 1, on_disks, virtual_time, compared, ..Self::default() };
        for event in &evidence.history {
            match &event.what {
                what if what.acknowledges() => summary.acknowledged += 1,
                What::Settled { .. } => summary.failed += 1,
                What::Polled { .. } => summary.polled += 1,
                What::Joined { .. } => summary.joined += 1,
                What::TransactionEnded { outcome: Outcome::Committed, .. } => summary.committed += 1,
                What::TransactionEnded { .. } => summary.aborted += 1,
                What::Forgotten { bytes: 1.., .. } => summary.lossy_crashes += 1,
                What::Fault { kind, .. } => {
                    summary.cold_starts += u64::from(*kind == COLD_START);
                    *summary.faults.entry(kind).or_default() += 1;
                }
                _ => {}
            }
        }
        summary
    }
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.runs += other.runs;
        self.on_disks += other.on_disks;
        self.lossy_crashes += other.lossy_crashes;
        self.cold_starts += other.cold_starts;
        self.virtual_time += other.virtual_time;
        self.acknowledged += other.acknowledged;
        self.failed += other.failed;
        self.polled += other.polled;
        self.committed += other.committed;
        self.aborted += other.aborted;
        self.joined += other.joined;
        self.compared += other.compared;
        for (kind, count) in other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: u64 = self.faults.values().sum();
        writeln!(f, "{} seeds, {} s of virtual time", self.runs, self.virtual_time.as_secs())?;
        let Self { on_disks, lossy_crashes, cold_starts, .. } = self;
        writeln!(
            f,
            "{on_disks} with logs on disks, {lossy_crashes} crashes that lost bytes there, {cold_starts} cold starts"
        )?;
        writeln!(f, "{} records acknowledged, {} failed, {} polled", self.acknowledged, self.failed, self.polled)?;
        writeln!(f, "{} transactions committed, {} aborted", self.committed, self.aborted)?;
        writeln!(f, "{} times a member joined a new generation", self.joined)?;
        writeln!(f, "{} batches compared with those of other copies", self.compared)?;
        let each: Vec<String> = self.faults.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        write!(f, "{faults} faults: {}", each.join(", "))
    }
}
