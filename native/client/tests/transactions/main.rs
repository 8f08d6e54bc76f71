//! Transactions: against a scripted coordinator (every error of every API) and, with `DOHLE_TEST_BROKERS`, a real cluster.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // tests run in the real world

#[path = "../producer/common.rs"]
#[allow(dead_code)]
mod common;
mod errors;
mod peer;
mod real;
mod rules;
#[path = "../net/support.rs"]
#[allow(dead_code)]
mod support;
