//! Client quotas around a request: its size, that of its answer and the time it took are noted. A client that used too much
//! is told how long to wait (KIP-219), and for as long nothing more of its connection is read.
//!
//! Behaviour: an answer to a fetch has its records, where Kafka sends an empty one first; the rate is the same.

use std::{pin::pin, task::Poll, time::Duration};

use dohle_protocol::{ApiKey, Message, Request};
use tokio::time::Instant;

use super::{Api, Call, Outcome, Reply, encode};
use crate::quotas::Kind;

/// Runs a request and measures the time that it really ran, without its waits.
pub(super) async fn timed<F: Future>(measured: bool, future: F) -> (F::Output, Duration) {
    let mut future = pin!(future);
    let mut busy = Duration::ZERO;
    let output = std::future::poll_fn(|context| {
        let since = measured.then(Instant::now);
        let poll: Poll<F::Output> = future.as_mut().poll(context);
        busy += since.map_or(Duration::ZERO, |since| since.elapsed());
        poll
    });
    let output = output.await;
    (output, busy)
}

/// The answer to a request of `size` bytes that took `busy`, and how long its connection is left alone.
pub(super) fn answer<A: Api>(
    call: &Call,
    correlation_id: i32,
    size: usize,
    busy: Duration,
    reply: Reply<A>,
) -> Outcome {
    let client_id = call.client_id.as_deref().unwrap_or_default();
    let quotas = &call.node.quotas;
    let mut wait = quotas.used(Kind::Request, client_id, busy.as_secs_f64());
    if A::Request::API_KEY == ApiKey::PRODUCE {
        wait = wait.max(quotas.used(Kind::Produce, client_id, size as f64));
    }
    let outcome = match reply {
        Reply::Close(reason) => return Outcome::Close(reason),
        Reply::None => Outcome::Nothing,
        Reply::With(mut response) => {
            let mut outcome = encode::<A>(call.version, correlation_id, &response);
            if let (ApiKey::FETCH, Outcome::Reply(segments)) = (A::Request::API_KEY, &outcome) {
                wait = wait.max(quotas.used(Kind::Fetch, client_id, segments.total_len() as f64));
            }
            if !wait.is_zero() && response.set_throttle_time_ms(millis(wait)) {
                outcome = encode::<A>(call.version, correlation_id, &response);
            }
            outcome
        }
    };
    match wait.is_zero() {
        true => outcome,
        false => {
            tracing::debug!(client_id, ?wait, api = A::Request::API_KEY.name(), "throttled by a quota");
            Outcome::Muted(Box::new(outcome), wait)
        }
    }
}

/// At least one: what is throttled says so.
fn millis(wait: Duration) -> i32 {
    i32::try_from(wait.as_millis()).unwrap_or(i32::MAX).max(1)
}
