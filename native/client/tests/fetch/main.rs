//! The fetch half of the consumer against the embedded broker.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // tests run in the real world

mod corrupt;
mod failing;
mod leaders;
mod log;
mod placing;
mod reading;
mod recreated;
mod replicas;
mod script;
mod stress;
mod support;
mod watchdog;
