//! The embedded Kafka-compatible broker: one node, in memory or in a folder laid out as Kafka's, for the first minute and for tests.
//! It is not a distributed system; it knows nothing of the client crate.
//! Driven by whoever starts it (`bridge`, tests, the simulation) through [`Broker`]; sockets, clock, randomness, disk
//! and tasks come from a [`BrokerWorld`].
//!
//! Served, in the versions of Kafka 4.3: topics (create, describe, grow, alter, delete), produce (all codecs, idempotent),
//! fetch (sessions, topic ids, long polls), offsets by time, groups with static members (classic and KIP-848), committed
//! offsets, transactions (v1 and v2), retention, compaction, fault rules, quotas, TLS, SASL, delegation tokens and ACLs. Not
//! served: share groups.
//! Configurations are Kafka's, by its names ([`BrokerOptions::set`]); `docs/embedded-broker.md` says which have an effect.
//!
//! ```no_run
//! # async fn example() -> Result<(), dohle_broker::BrokerError> {
//! use dohle_broker::{Broker, BrokerOptions};
//! let broker = Broker::start_default(BrokerOptions::new().with_partitions(6)).await?;
//! println!("{}", broker.address());
//! broker.stop().await;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod acls;
mod api;
mod broker;
mod cluster;
pub mod collections;
mod config;
mod connection;
mod coordinator;
pub mod disk;
mod error;
pub mod faults;
mod features;
mod group;
mod housekeeping;
mod listeners;
mod log;
mod node;
mod options;
mod partition;
mod quotas;
pub mod recording;
mod release;
mod security;
mod sessions;
mod stderr_log;
mod storage;
mod tasks;
mod topics;
mod transactions;
mod users;
mod words;
pub mod world;

pub use broker::Broker;
pub use cluster::{Cluster, CopyState, NodeState};
pub use config::{PropertiesError, configuration_reference};
pub use dohle_security::Secret;
pub use error::BrokerError;
pub use faults::{Action, Faults, Rule, RuleId, When};
pub use options::BrokerOptions;
pub use release::{Release, UnknownRelease};
pub use security::options::{AuthorizationOptions, ClientAuth, Mechanism, SaslOptions, TlsOptions, User};
pub use stderr_log::stderr_log;
pub use storage::LogDirError;
pub use world::{BrokerWorld, Logged, TokioWorld};
