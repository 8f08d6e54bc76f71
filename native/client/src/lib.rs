//! The engine of Dohle: connections, metadata, producer, consumer, groups and admin calls over tokio.
//!
//! It owns no runtime, no thread and no static: sockets, names, clocks and randomness come from [`world::World`], so that
//! the same code runs in production and in a deterministic simulation. The `bridge` crate drives it for every language.
//!
//! Begin with [`Client`]; then [`producer::Producer`], [`consumer::Consumer`], [`partition::Partition`] and [`admin::Admin`]
//! share its connections. What the engine has to say goes to a sink of the caller's, from the engine's thread.
#![forbid(unsafe_code)]

pub mod admin;
pub mod client;
pub mod collections;
pub mod consumer;
pub mod error;
pub mod generated;
pub mod metadata;
pub mod net;
pub mod options;
pub mod partition;
pub mod producer;
pub mod security;
pub mod statistics;
pub(crate) mod telemetry;
pub mod watch;
pub mod world;

pub use client::{Client, CoordinatorKind};
pub use error::{Error, ErrorKind, Result};
pub use generated::options::ClientOptions;
pub use metadata::Metadata;
pub use net::{Connection, Exchange, Lane};
pub use world::{TokioWorld, World};
