//! Client quotas around a request, and fault rules on its answer. The size of a request, that of its answer and the time it took
//! are noted. A client that used too much is told how long to wait (KIP-219), and for as long nothing more of its connection
//! is read.
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

/// What a request used.
pub(super) struct Used {
    /// Whether any quota is set; without one, nothing is noted.
    pub limited: bool,
    /// Bytes of the request.
    pub size: usize,
    /// The time that it ran.
    pub busy: Duration,
}

/// The answer to a request, with what quotas and fault rules do to it.
pub(super) fn answer<A: Api>(mut call: Call, correlation_id: i32, reply: Reply<A>, used: Used) -> Outcome {
    let user = used.limited.then(|| call.session.who().principal);
    let note = |kind, amount: f64| match &user {
        Some(user) => call.node.quotas.used(kind, user.name(), call.client_id.as_deref().unwrap_or_default(), amount),
        None => Duration::ZERO,
    };
    let mut wait = note(Kind::Request, used.busy.as_secs_f64());
    if A::Request::API_KEY == ApiKey::PRODUCE {
        wait = wait.max(note(Kind::Produce, used.size as f64));
    }
    let mut response = match reply {
        Reply::Close(reason) => return Outcome::Close(reason),
        Reply::Farewell(response, why) => {
            return match encode::<A>(call.version, correlation_id, &response) {
                Ok(segments) => Outcome::Farewell(segments, why),
                Err(reason) => Outcome::Close(reason),
            };
        }
        Reply::None => return muted(&call, Outcome::Nothing, wait, A::Request::API_KEY),
        Reply::With(response) => response,
    };
    if call.plan.damage.chooses() {
        A::corrupt(&mut response, &mut call.plan.damage);
    }
    let mut encoded = encode::<A>(call.version, correlation_id, &response);
    if let (ApiKey::FETCH, Ok(segments)) = (A::Request::API_KEY, &encoded) {
        wait = wait.max(note(Kind::Fetch, segments.total_len() as f64));
    }
    wait = wait.max(call.plan.throttle);
    if !wait.is_zero() && response.set_throttle_time_ms(millis(wait)) {
        encoded = encode::<A>(call.version, correlation_id, &response);
    }
    match encoded.map(|segments| call.plan.damage.apply(segments)) {
        Err(reason) => Outcome::Close(reason),
        Ok((segments, true)) => Outcome::Last(segments),
        Ok((segments, false)) => muted(&call, Outcome::Reply(segments), wait, A::Request::API_KEY),
    }
}

fn muted(call: &Call, outcome: Outcome, wait: Duration, api: ApiKey) -> Outcome {
    if wait.is_zero() {
        return outcome;
    }
    tracing::debug!(client_id = call.client_id, ?wait, api = api.name(), "throttled");
    Outcome::Muted(Box::new(outcome), wait)
}

/// At least one: what is throttled says so.
fn millis(wait: Duration) -> i32 {
    i32::try_from(wait.as_millis()).unwrap_or(i32::MAX).max(1)
}
