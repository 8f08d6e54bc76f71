//! The producer against the embedded broker with its fault rules, and (with `DOHLE_TEST_BROKERS`) against a real cluster.

mod common;
mod delivery;
mod faults;
mod memory;
mod real;
mod recovery;
mod semantics;
mod storm;
mod vectors;
