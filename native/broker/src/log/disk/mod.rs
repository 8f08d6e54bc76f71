//! The files of one partition, in Apache Kafka's formats: segments with their sparse indexes, aborted transactions, producer
//! snapshots, leader epochs; and how they are made whole again when a broker has not stopped cleanly. Bytes and files only: what
//! is appended, kept and read is decided by the log. Driven by it, under the partition's lock.

pub(super) mod aborted;
pub(super) mod batches;
#[cfg(test)]
mod compacted;
pub(super) mod epochs;
#[cfg(test)]
mod fuzz;
mod heads;
mod index;
pub(super) mod names;
pub(super) mod open;
pub(super) mod place;
pub(super) mod rebuild;
pub(super) mod segment;
pub(super) mod snapshot;
mod swap;
#[cfg(test)]
mod tests;

use std::io;

pub(super) use segment::FileSegment;

/// What a file says is impossible.
pub(super) fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}
