//! Metrics that brokers ask for (KIP-714): each producer and consumer tells a broker of itself, if the cluster's operator has
//! subscribed to that. One task per instance, which asks nothing before the client has a connection, and nothing at all of
//! brokers that do not offer it.
//!
//! File map: `session` the task · `metrics` which metrics · `otlp` their bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dohle_protocol::Uuid;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::watch;

mod metrics;
mod otlp;
mod session;

pub(crate) use session::run;

/// What the last push may add to a close, where metrics are asked for.
pub(crate) const FAREWELL: Duration = Duration::from_millis(500);

/// What an instance and its task share.
pub(crate) struct Session {
    /// `None`: no broker has given one.
    id: watch::Sender<Option<Uuid>>,
    phase: watch::Sender<Phase>,
    /// Somebody waits for the id: a connection is made for it.
    wanted: watch::Sender<bool>,
    /// Metrics are asked for, so a last push is due at the end.
    subscribed: AtomicBool,
    enabled: bool,
}

/// How far the end of an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    /// It closes: the last push is due.
    Closing,
    /// What the last push says is known; the instance is needed no more.
    Gathered,
    /// The task has nothing more to do.
    Ended,
}

impl Session {
    pub fn new(enabled: bool) -> Arc<Self> {
        let phase = if enabled { Phase::Open } else { Phase::Ended };
        Arc::new(Self {
            id: watch::Sender::new(None),
            phase: watch::Sender::new(phase),
            wanted: watch::Sender::new(false),
            subscribed: AtomicBool::new(false),
            enabled,
        })
    }

    /// The id that a broker has given, waited for.
    pub async fn id(&self, timeout: Duration) -> Result<Uuid> {
        if !self.enabled {
            return Err(Error::invalid_config("enable.metrics.push: is false, so there is no client instance id"));
        }
        let mut id = self.id.subscribe();
        self.wanted.send_if_modified(|wanted| !std::mem::replace(wanted, true));
        let known = async {
            tokio::select! {
                biased;
                id = id.wait_for(Option::is_some) => id.ok().flatten().ok_or(()),
                () = self.reached(Phase::Ended) => Err(()),
            }
        };
        match tokio::time::timeout(timeout, known).await {
            Ok(Ok(id)) => return Ok(id),
            Ok(Err(())) => {
                let text = "there is no client instance id: it was closed, or a broker refused telemetry";
                return Err(Error::new(ErrorKind::Closed, text));
            }
            Err(_) => {}
        }
        let text = format!(
            "no broker gave a client instance id within {} ms; brokers do that when they have a ClientTelemetry plugin",
            timeout.as_millis()
        );
        Err(Error::new(ErrorKind::RequestTimedOut, text))
    }

    /// The instance begins to close: a last push is due if metrics are asked for, else all ends here.
    pub fn begin_farewell(&self) {
        self.advance(if self.subscribed.load(Ordering::SeqCst) { Phase::Closing } else { Phase::Ended });
    }

    /// Waits until what the last push says is known: no network is needed for that.
    pub async fn gathered(&self, latest: Instant) {
        self.reached_until(Phase::Gathered, latest).await;
    }

    /// Waits for the last push, and ends the task.
    pub async fn farewell(&self, latest: Instant) {
        self.reached_until(Phase::Ended, latest).await;
        self.end();
    }

    /// Ends the task.
    pub fn end(&self) {
        self.advance(Phase::Ended);
    }

    fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let later = to > *phase;
            *phase = (*phase).max(to);
            later
        });
    }

    async fn reached(&self, at_least: Phase) {
        let mut phase = self.phase.subscribe();
        let _ = phase.wait_for(|phase| *phase >= at_least).await;
    }

    async fn reached_until(&self, at_least: Phase, latest: Instant) {
        let _ = tokio::time::timeout_at(latest, self.reached(at_least)).await;
    }

    /// Resolves when somebody waits for the id.
    async fn wanted(&self) {
        let mut wanted = self.wanted.subscribe();
        let _ = wanted.wait_for(|wanted| *wanted).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_waits_for_the_id_of_what_is_closed_hears_of_it() {
        let session = Session::new(true);
        let mut id = std::pin::pin!(session.id(Duration::from_secs(3600)));
        assert!(id.as_mut().now_or_never().is_none());
        session.begin_farewell();
        assert!(matches!(id.now_or_never(), Some(Err(error)) if error.kind() == ErrorKind::Closed));
    }

    #[tokio::test]
    async fn who_closes_waits_only_where_metrics_are_asked_for() {
        let latest = Instant::now() + Duration::from_secs(3600);
        let session = Session::new(true);
        session.begin_farewell();
        assert!(session.gathered(latest).now_or_never().is_some(), "nobody asked for metrics");
        assert!(session.farewell(latest).now_or_never().is_some());

        let session = Session::new(true);
        session.subscribed.store(true, Ordering::SeqCst);
        session.begin_farewell();
        assert!(session.gathered(latest).now_or_never().is_none());
        session.advance(Phase::Gathered);
        assert!(session.gathered(latest).now_or_never().is_some());
        assert!(session.farewell(latest).now_or_never().is_none());
        session.end();
        assert!(session.farewell(latest).now_or_never().is_some());
    }
}
