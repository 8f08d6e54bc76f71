//! Connections to brokers: addresses, connecting, version negotiation, pipelining, and one connection per broker and lane.
//!
//! It knows no topic, group or record. [`crate::Client`] owns the [`Pool`]; the sender of the producer and the fetcher of
//! the consumer hold [`Connection`]s and send on them without waiting.

mod address;
mod backoff;
mod connect;
mod connection;
mod driver;
mod frame_reader;
mod pool;
mod versions;

pub use address::Endpoint;
pub use backoff::Backoff;
pub use connection::{Connection, Exchange};
pub use pool::Pool;
pub use versions::ApiVersionTable;

/// A connection of its own per broker: a broker answers one connection in order, so a long-polling fetch must not stand
/// before anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Metadata, admin calls, offsets by time, everything short.
    General,
    /// Produce requests.
    Produce,
    /// Fetch requests, which wait at the broker.
    Fetch,
    /// Group and transaction coordinator requests; a JoinGroup waits for the whole group.
    Coordinator,
}
