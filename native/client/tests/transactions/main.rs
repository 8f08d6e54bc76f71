//! Transactions: on the embedded broker (every error of every API) and, with `DOHLE_TEST_BROKERS`, on a real cluster.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // tests run in the real world

mod bench;
#[path = "../producer/common.rs"]
#[allow(dead_code)]
mod common;
mod errors;
#[path = "../net/line.rs"]
#[allow(dead_code)]
mod line;
mod newer;
mod peer;
mod real;
mod rules;
#[path = "../net/support.rs"]
#[allow(dead_code)]
mod support;
