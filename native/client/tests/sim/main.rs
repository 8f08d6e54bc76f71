//! The engine and the embedded broker together in a simulated network and simulated time: one seed, one replay.
//!
//! A failure prints its seed; `SIM_SEED=n cargo test -p dohle-client --test sim` runs that one alone, `SIM_SEEDS=n` that many.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // what is banned in the crate is banned for its sake

mod reading;
mod scenario;
mod world;

use scenario::Outcome;

/// `SIM_SEED` alone, or the first `SIM_SEEDS` seeds, by default `count`.
fn seeds(count: u64) -> Vec<u64> {
    let number =
        |name| std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")));
    match number("SIM_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("SIM_SEEDS").unwrap_or(count)).collect(),
    }
}

fn run(seed: u64) -> Outcome {
    std::panic::catch_unwind(|| scenario::run(seed)).unwrap_or_else(|panic| {
        eprintln!("seed {seed} failed; again with SIM_SEED={seed}");
        std::panic::resume_unwind(panic);
    })
}

#[test]
fn every_record_lands_once_and_in_order_whatever_the_network_does() {
    let mut faults = 0;
    for seed in seeds(200) {
        let outcome = run(seed);
        faults += outcome.connections_lost;
    }
    assert!(faults > 0 || std::env::var("SIM_SEED").is_ok(), "no seed lost a connection: nothing was tested");
}

#[test]
fn two_runs_with_the_same_seed_are_the_same() {
    for seed in seeds(20) {
        let (one, two) = (run(seed).trace, run(seed).trace);
        if let Some(at) = (0..one.len().max(two.len())).find(|at| one.get(*at) != two.get(*at)) {
            let from = at.saturating_sub(5);
            panic!(
                "seed {seed} differs at step {at} of {}:\n{:#?}\n{:#?}",
                one.len(),
                &one[from..one.len().min(at + 2)],
                &two[from..two.len().min(at + 2)]
            );
        }
        assert!(one.len() > 100, "seed {seed} did next to nothing: {one:#?}");
    }
}

#[test]
fn two_seeds_are_two_runs() {
    assert_ne!(run(1).trace, run(2).trace);
}
