//! The program, as `xtask simulate` starts it: many seeds, the same ones twice, and what it says of wrong options.
//!
//! `SIMULATE_SEEDS=n` runs as many seeds as there is patience for.

use std::process::{Command, Output, Stdio};

fn program(options: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_dohle-simulation"));
    program.args(options);
    program
}

fn said(options: &[&str]) -> Output {
    program(options).stdin(Stdio::null()).output().expect("the program runs")
}

#[test]
fn no_seed_violates_an_invariant() {
    let seeds = std::env::var("SIMULATE_SEEDS").unwrap_or_else(|_| "500".to_owned());
    // Its totals are for people to see.
    let ended = program(&["--seeds", &seeds]).status().expect("the program runs");
    assert!(ended.success(), "see above for the seeds, and how to run them again");
}

#[test]
fn two_runs_of_one_seed_are_the_same() {
    let output = said(&["--seeds", "20", "--twice"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_run_can_be_looked_at() {
    let output = said(&["--seed", "7", "--trace", "--wire"]);
    let text = String::from_utf8_lossy(&output.stdout);
    for word in ["Polled", "Fault", "node-1 reads", "1 seeds, ", "records acknowledged", "faults: "] {
        assert!(text.contains(word), "{word} is not in what it says");
    }
}

#[test]
fn what_it_does_not_know_it_names() {
    for (options, named) in
        [(&["--seeds"][..], "--seeds: a number is missing"), (&["--seed", "x"], "x is not"), (&["--sed"], "--sed")]
    {
        let output = said(options);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(named) && text.contains("--from"), "{text}");
    }
    assert!(said(&["--help"]).status.success());
}
