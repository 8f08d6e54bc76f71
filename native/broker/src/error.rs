//! Why a broker could not start. Errors of the protocol are answers to clients, not these.

use std::{io, net::SocketAddr, path::PathBuf};

use crate::storage::LogDirError;

/// Why [`Broker::start`](crate::Broker::start) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The host resolves to an address other than loopback and `allow_non_loopback` is not set.
    #[error(
        "host: {host} is {}, which other machines can reach: allow_non_loopback (allowNonLoopback) says that it may \
         listen there",
        .address.ip()
    )]
    NotLoopback {
        /// The `host` option.
        host: String,
        /// What it resolved to.
        address: SocketAddr,
    },
    /// The host name did not resolve.
    #[error("host: {host} does not resolve: {source}")]
    Resolve {
        /// The `host` option.
        host: String,
        /// The resolver's error.
        source: io::Error,
    },
    /// The address could not be listened on.
    #[error("cannot listen on {address}: {source}{}", hint(.source))]
    Listen {
        /// The address tried.
        address: SocketAddr,
        /// The operating system's error.
        source: io::Error,
    },
    /// The log folder cannot be used.
    #[error("log.dirs: {}: {source}", .folder.display())]
    LogDir {
        /// The option `log_dir`.
        folder: PathBuf,
        /// Why.
        source: LogDirError,
    },
    /// The file of a recording cannot be made.
    #[error("record: {}: {source}", .file.display())]
    Record {
        /// The option `record`.
        file: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// There is no such node, or it does not run.
    #[error("there is no node {id}, or it does not run")]
    NoNode {
        /// The id that was given.
        id: i32,
    },
    /// It was started as a broker of one node, and stays that.
    #[error(
        "nodes: this broker was started with one node, which lives as long as it does; start it with more to stop and start them"
    )]
    OneNode,
    /// A node that runs cannot be started.
    #[error("node {id} runs already")]
    NodeRuns {
        /// The id that was given.
        id: i32,
    },
    /// It was stopped, and nothing of it starts again.
    #[error("the broker has been stopped")]
    Stopped,
    /// A node cannot lead a partition.
    #[error("node {to} cannot lead {topic}-{partition}: {why}")]
    LeaderStays {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The node.
        to: i32,
        /// Why.
        why: &'static str,
    },
    /// A property has a wrong name or value.
    #[error("{0}")]
    InvalidProperty(String),
    /// An option is out of range.
    #[error("{option}: {value} {expected}")]
    InvalidOption {
        /// Name of the option.
        option: &'static str,
        /// The value given.
        value: String,
        /// What is allowed, as the end of the sentence.
        expected: &'static str,
    },
}

/// What to do about a port that cannot be had.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; another process listens there: take another port, or 0 for a free one",
        io::ErrorKind::PermissionDenied => "; ports below 1024 may need rights: take another one, or 0 for a free one",
        io::ErrorKind::AddrNotAvailable => "; it is no address of this machine",
        _ => "",
    }
}
