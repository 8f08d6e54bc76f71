//! Reaching any one of several brokers: for questions that all of them can answer.
//!
//! It tries the likeliest first and the others after a failure or a head start, like addresses of one host. It sends
//! nothing; the caller does, and comes back without the broker that failed it.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;

use super::{Connection, Lane, Pool};
use crate::error::{Error, ErrorKind, Result};

/// How long a broker may take to connect before the next is tried beside it.
const HEAD_START: Duration = Duration::from_secs(1);

impl Pool {
    /// These nodes, the likeliest to answer soon first: connected and least loaded, then untried, then failing. Equals are
    /// in random order, so that clients spread over the brokers.
    pub(crate) fn order(&self, nodes: impl IntoIterator<Item = i32>, random: impl Fn() -> u64) -> Vec<i32> {
        let mut ranked: Vec<_> = nodes.into_iter().map(|node| (self.preference(node), random(), node)).collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, _, node)| node).collect()
    }

    /// A connection to the first of these nodes that can be reached. The error is the most telling one.
    pub(crate) async fn first_reachable(&self, nodes: &[i32], lane: Lane) -> Result<Connection> {
        let mut waiting = nodes.iter().copied();
        let mut running = FuturesUnordered::new();
        let mut failures: Vec<Error> = Vec::new();
        let attempt = |node: i32| self.connection(node, lane);
        running.extend(waiting.next().map(attempt));
        while !running.is_empty() {
            tokio::select! {
                biased;
                Some(outcome) = running.next() => match outcome {
                    Ok(connection) => return Ok(connection),
                    Err(error) => {
                        failures.push(error);
                        running.extend(waiting.next().map(attempt));
                    }
                },
                () = sleep(HEAD_START), if waiting.len() > 0 => running.extend(waiting.next().map(attempt)),
            }
        }
        Err(most_telling(failures))
    }
}

/// One error for several servers: that of a server which is not Kafka only if all are.
fn most_telling(mut failures: Vec<Error>) -> Error {
    let Some(last) = failures.pop() else {
        return Error::new(ErrorKind::BrokerUnreachable, "no broker is known; the bootstrap servers did not answer");
    };
    if failures.is_empty() {
        return last;
    }
    let others = failures.iter().rev().find(|error| error.kind() != ErrorKind::NotKafka);
    let kind = if last.kind() == ErrorKind::NotKafka { others.map_or(last.kind(), Error::kind) } else { last.kind() };
    let count = failures.len() + 1;
    failures.push(last);
    let mut texts: Vec<&str> = failures.iter().map(Error::message).collect();
    texts.dedup();
    Error::new(kind, format!("none of {count} servers: {}", texts.join(" | ")))
}
