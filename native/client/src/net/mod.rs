//! Connections to brokers: addresses, connecting, version negotiation, pipelining, and one connection per broker and lane.
//!
//! It knows no topic, group or record. [`crate::Client`] owns the [`Pool`]; the sender of the producer and the fetcher of
//! the consumer hold [`Connection`]s and send on them without waiting.

mod address;
mod any;
mod backoff;
mod connect;
mod connection;
mod dialogue;
mod driver;
mod frame_reader;
mod pool;
mod question;
mod routing;
mod session;
mod versions;

pub use address::Endpoint;
pub use backoff::Backoff;
pub(crate) use connect::{dial, resolve};
pub use connection::{Connection, Exchange, Written};
pub(crate) use pool::BrokerOverview;
pub use pool::Pool;
pub(crate) use question::{Answered, Api, Head, Question};
pub use versions::ApiVersionTable;

/// A connection of its own per broker: a broker answers one connection in order, so a long-polling fetch must not stand
/// before anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Metadata, admin calls, offsets by time, everything short.
    General,
    /// Produce requests.
    Produce,
    /// Fetch requests of one consumer (`Consumer`s of one client are numbered): they wait at the broker, and two consumers
    /// on one connection would wait for each other.
    Fetch(u32),
    /// Group and transaction coordinator requests that are answered at once: heartbeats, commits.
    Coordinator,
    /// JoinGroup and SyncGroup of one consumer: they wait for the whole group. On one connection, a member's JoinGroup
    /// would stand before the answer by which another member of this process learns that it has to join too.
    Join(u32),
}
