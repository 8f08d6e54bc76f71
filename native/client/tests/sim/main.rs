//! The engine and the embedded broker together in a simulated network and simulated time: one seed, one replay.
//!
//! A failure prints its seed; `SIM_SEED=n cargo test -p dohle-client --test sim` runs that one alone, and
//! `SIM_SEEDS=n` as many as there is patience for. `SIM_TRACE=1` prints what happened.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // what is banned in the crate is banned for its sake

mod aimed;
mod allocations;
mod deadlines;
mod group;
mod hostile;
mod mischief;
mod network;
mod produce;
mod reading;
mod sweep;

/// `SIM_SEED` alone, else the first `SIM_SEEDS` or `count` seeds.
fn seeds(count: u64) -> Vec<u64> {
    let number =
        |name| std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")));
    match number("SIM_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("SIM_SEEDS").unwrap_or(count)).collect(),
    }
}

/// Runs a scenario; its panic names the seed.
fn replayable<T>(seed: u64, scenario: impl Fn(u64) -> T + std::panic::RefUnwindSafe) -> T {
    std::panic::catch_unwind(|| scenario(seed)).unwrap_or_else(|panic| {
        eprintln!("seed {seed} failed; again with SIM_SEED={seed}");
        std::panic::resume_unwind(panic);
    })
}

/// Fails at the first step in which two runs of one seed differ.
fn assert_same_replay(seed: u64, scenario: impl Fn(u64) -> Vec<String> + std::panic::RefUnwindSafe) {
    let (one, two) = (replayable(seed, &scenario), replayable(seed, &scenario));
    if let Some(at) = (0..one.len().max(two.len())).find(|at| one.get(*at) != two.get(*at)) {
        let around = |trace: &[String]| trace[at.saturating_sub(5).min(trace.len())..trace.len().min(at + 2)].to_vec();
        panic!("seed {seed} differs at step {at} of {}:\n{:#?}\n{:#?}", one.len(), around(&one), around(&two));
    }
    assert!(one.len() > 100, "seed {seed} did next to nothing: {one:#?}");
}

#[test]
fn every_record_lands_once_and_in_order_whatever_the_network_does() {
    let mut lost = 0;
    for seed in seeds(200) {
        lost += replayable(seed, produce::run).connections_lost;
    }
    assert!(lost > 0, "no connection was lost: nothing was tested");
}

#[test]
fn members_that_come_and_go_process_every_record_once_and_in_order() {
    for seed in seeds(40) {
        replayable(seed, |seed| group::run(seed, true));
    }
}

#[test]
fn members_whose_network_is_cut_leave_no_record_out() {
    for seed in seeds(40) {
        replayable(seed, |seed| group::run(seed, false));
    }
}

#[test]
fn a_network_that_changes_bytes_breaks_nobody_and_silences_nothing() {
    let mut tally = hostile::Tally::default();
    for seed in seeds(60) {
        tally += replayable(seed, hostile::run);
    }
    eprintln!("{tally:?}");
    assert!(tally.mischief > 0, "nothing was changed: nothing was tested");
}

/// Each byte of one half of an exchange in turn, and of each byte each bit.
fn sweep_every_byte(exchange: sweep::Exchange, way: aimed::Way) {
    let tally = sweep::run(exchange, way, &[1, 2, 4, 8, 16, 32, 64, 128, 0xff]);
    eprintln!("{exchange:?} {way:?}: {tally:?}");
    assert!(tally.mended * 2 > tally.shots, "most is mended by a retry: {tally:?}");
}

#[test]
fn a_produce_request_hurt_at_any_byte_is_written_once_or_ends_in_an_error() {
    sweep_every_byte(sweep::Exchange::Produce, aimed::Way::Request);
}

#[test]
fn a_produce_response_hurt_at_any_byte_is_written_once_or_ends_in_an_error() {
    sweep_every_byte(sweep::Exchange::Produce, aimed::Way::Response);
}

#[test]
fn a_fetch_request_hurt_at_any_byte_is_read_as_it_was_sent_or_ends_in_an_error() {
    sweep_every_byte(sweep::Exchange::Fetch, aimed::Way::Request);
}

#[test]
fn a_fetch_response_hurt_at_any_byte_is_read_as_it_was_sent_or_ends_in_an_error() {
    sweep_every_byte(sweep::Exchange::Fetch, aimed::Way::Response);
}

#[test]
fn the_delivery_timeout_bounds_a_record_wherever_it_is_stuck() {
    deadlines::TRAPS.into_iter().for_each(deadlines::run);
}

#[test]
fn two_runs_with_the_same_seed_are_the_same() {
    for seed in seeds(20) {
        assert_same_replay(seed, |seed| produce::run(seed).trace);
        assert_same_replay(seed, |seed| group::run(seed, false));
    }
}

#[test]
fn two_seeds_are_two_runs() {
    assert_ne!(produce::run(1).trace, produce::run(2).trace);
}
