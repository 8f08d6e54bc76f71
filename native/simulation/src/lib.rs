//! Engine and a broker of three nodes in a simulated network and simulated time: one seed, one run, and a judgement on it.
//! Programs produce, consume in groups and transact, while nodes, network and programs fail as the seed says; what they saw is
//! compared with what is in the log then, and the copies of it with each other. Not a test of speed, nor of TLS and real disks.
//! Driven by the program `dohle-simulation`, which `cargo run -p xtask -- simulate` starts, and its tests.
//!
//! File map: `world` what engine and broker ask for · `plan` what a seed decides · `faults` carries that out · `workload` the
//! programs · `conductor` the course of a run · `history` what happened · `checker` what is wrong with it · `summary` totals.
#![forbid(unsafe_code)]

mod checker;
mod conductor;
mod faults;
mod history;
mod plan;
mod run;
mod stage;
mod summary;
mod workload;
pub mod world;

pub use checker::{Kind, Violation};
pub use run::{Report, run};
pub use summary::Summary;
