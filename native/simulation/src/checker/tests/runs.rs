//! Planted in how a cluster works: what comes of it is seen by the whole run.

use super::*;
use crate::plan::{COLD_START, Planned};
use crate::run::run_plan;

/// What the checker says of a plan that is changed, of the first seed whose nodes have disks and suffer this.
fn found(kind: &str, change: impl FnOnce(&mut Plan)) -> BTreeSet<Kind> {
    let suffers = |plan: &Plan| plan.rows.iter().flatten().any(|Planned { fault, .. }| fault.kind() == kind);
    let (seed, mut plan) = (1..).map(|seed| (seed, Plan::of(seed))).find(|(_, plan)| suffers(plan)).unwrap();
    change(&mut plan);
    run_plan(seed, plan, false).violations.iter().map(|violation| violation.kind).collect()
}

#[test]
fn what_is_acknowledged_before_it_is_safe_is_missed_after_a_cold_start() {
    let found = found(COLD_START, |plan| plan.flush_messages = 1_000_000);
    assert!(found.contains(&Kind::LostWrite), "{found:?}");
}
