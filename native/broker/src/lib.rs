//! The embedded Kafka-compatible broker: one node, in memory, for the first minute and for tests.
//! It is not a distributed system and keeps nothing after it stops; it knows nothing of the client crate.
//! Driven by whoever starts it (`bridge`, tests, the simulation) through [`Broker`]; sockets, clock, randomness
//! and tasks come from a [`BrokerWorld`].
#![forbid(unsafe_code)]

mod api;
mod broker;
pub mod collections;
mod config;
mod connection;
mod error;
pub mod faults;
mod group;
mod log;
mod node;
mod options;
mod sessions;
mod topics;
pub mod world;

pub use broker::Broker;
pub use error::BrokerError;
pub use faults::{Action, Faults, Rule, RuleId, When};
pub use options::BrokerOptions;
pub use world::{BrokerWorld, TokioWorld};
