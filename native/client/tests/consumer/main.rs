//! Consumers and their groups, against the embedded broker, or against a real one: DOHLE_TEST_BROKERS=host:port.
//! Nothing here asserts a time that a slow machine could miss: waits end with what they wait for, or after a minute.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // tests run in the real world

mod commits;
mod faults;
mod finishing;
mod handing_over;
mod membership;
mod mixed;
mod patterns;
mod real;
mod slow_loops;
mod support;
