//! A broker as the sender sees it: its connection and the partitions that have something for it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::error::Error;
use crate::net::{Backoff, Connection};
use crate::statistics::Histogram;

#[derive(Debug)]
pub(super) struct Node {
    pub connection: Option<Connection>,
    /// Names the connection among all of this producer's.
    pub wire: u64,
    pub connecting: bool,
    /// Why it could not be reached when last tried.
    pub last_error: Option<Error>,
    /// To wait before it is tried again.
    pub pause: Option<Duration>,
    /// A request's batches are being compressed: the next one is not begun before, or it might overtake.
    pub making: bool,
    /// Requests being made or under way.
    pub in_flight: usize,
    /// Slots of partitions that have something to send now.
    pub ready: VecDeque<u32>,
    /// Slots of partitions whose open batch goes when this connection is idle, or with the next request.
    pub lazy: VecDeque<u32>,
    pub backoff: Backoff,
    /// Microseconds that batches waited before their first request.
    pub int_latency: Histogram,
}

impl Node {
    pub fn new(backoff: Backoff) -> Self {
        Self {
            connection: None,
            wire: 0,
            connecting: false,
            last_error: None,
            pause: None,
            making: false,
            in_flight: 0,
            ready: VecDeque::new(),
            lazy: VecDeque::new(),
            backoff,
            int_latency: Histogram::default(),
        }
    }

    /// Whether a request may be begun, and there is a reason to.
    pub fn wants_request(&self, max_in_flight: usize) -> bool {
        !self.making
            && !self.connecting
            && self.in_flight < max_in_flight
            && (!self.ready.is_empty() || (self.in_flight == 0 && !self.lazy.is_empty()))
    }

    /// The open connection, if it is still good.
    pub fn connected(&mut self) -> Option<Connection> {
        if self.connection.as_ref().is_some_and(Connection::is_closed) {
            self.connection = None;
        }
        self.connection.clone()
    }
}
