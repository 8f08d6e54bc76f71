//! What is counted of a broker's connections, all lanes together: per request and per connection, never per record.
//!
//! It outlives connections, and moves of a broker to another address. Written by connections and their tasks, read by a
//! snapshot; each takes the lock for a moment, and never holds another one meanwhile.

use std::time::Duration;

use dohle_protocol::ApiKey;
use parking_lot::Mutex;

use super::histogram::Histogram;
use crate::collections::Map;

/// See the module.
#[derive(Default)]
pub(crate) struct BrokerCounters(Mutex<Tally>);

/// What was counted until now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Requests written, and their bytes.
    pub tx: u64,
    pub tx_bytes: u64,
    /// Requests that were not answered because their connection broke, and of those: because the answer was late.
    pub tx_errors: u64,
    pub timeouts: u64,
    /// Produce requests with a batch that was written before.
    pub retries: u64,
    /// Responses, and their bytes.
    pub rx: u64,
    pub rx_bytes: u64,
    pub connects: u64,
    pub disconnects: u64,
    /// Requests that wait to be written.
    pub queued: u64,
    /// Requests that wait for their response.
    pub waiting: u64,
    /// Requests written by API.
    pub by_api: Map<ApiKey, u64>,
    /// Microseconds from written to answered.
    pub rtt: Histogram,
    /// The same of Fetch requests, and of commits.
    pub fetch: Histogram,
    pub commit: Histogram,
    /// Microseconds from queued to written.
    pub outbuf_latency: Histogram,
    /// Milliseconds of `throttle_time_ms`, per response that has one above 0.
    pub throttle: Histogram,
}

impl BrokerCounters {
    fn count(&self, f: impl FnOnce(&mut Tally)) {
        f(&mut self.0.lock());
    }

    pub fn read(&self) -> Tally {
        self.0.lock().clone()
    }

    pub fn connected(&self) {
        self.count(|tally| tally.connects += 1);
    }

    pub fn queued(&self) {
        self.count(|tally| tally.queued += 1);
    }

    /// A request is with the system. `answered`: a response is to come.
    pub fn written(&self, api: ApiKey, bytes: usize, waited: Duration, answered: bool) {
        self.count(|tally| {
            tally.queued = tally.queued.saturating_sub(1);
            tally.waiting += u64::from(answered);
            tally.tx += 1;
            tally.tx_bytes += bytes as u64;
            *tally.by_api.entry(api).or_default() += 1;
            tally.outbuf_latency.record(micros(waited));
        });
    }

    pub fn answered(&self, api: ApiKey, bytes: usize, took: Duration) {
        self.count(|tally| {
            tally.waiting = tally.waiting.saturating_sub(1);
            tally.rx += 1;
            tally.rx_bytes += bytes as u64;
            tally.rtt.record(micros(took));
            match api {
                ApiKey::FETCH => tally.fetch.record(micros(took)),
                ApiKey::OFFSET_COMMIT => tally.commit.record(micros(took)),
                _ => {}
            }
        });
    }

    pub fn throttled(&self, pause: Duration) {
        self.count(|tally| tally.throttle.record(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)));
    }

    pub fn retried(&self) {
        self.count(|tally| tally.retries += 1);
    }

    /// A connection is gone, and with it these requests. `late`: because an answer did not come in time.
    pub fn disconnected(&self, queued: usize, waiting: usize, late: bool) {
        self.count(|tally| {
            tally.disconnects += 1;
            tally.queued = tally.queued.saturating_sub(queued as u64);
            tally.waiting = tally.waiting.saturating_sub(waiting as u64);
            tally.tx_errors += (queued + waiting) as u64;
            tally.timeouts += if late { waiting as u64 } else { 0 };
        });
    }
}

pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
