//! The task of one instance: which metrics are wanted, then a push at each interval, and the last one when it closes.
//! It never holds the client while it waits: a client that is dropped ends it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dohle_protocol::compress::{Compression, Compressor};
use dohle_protocol::messages::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, PushTelemetryRequest,
};
use dohle_protocol::{ErrorCode, Request, Uuid};
use tokio::time::{Instant, sleep};

use super::metrics::Collector;
use super::otlp::{self, Metric, Span};
use super::{Phase, Session};
use crate::client::{Client, WeakClient};
use crate::error::Result;
use crate::net::Lane;
use crate::statistics::Reader;

/// Until a broker is asked again that could not be asked, before one has said how long to wait.
const PAUSE: Duration = Duration::from_secs(300);

/// The least that Kafka lets an operator ask for (`interval.ms`).
const LEAST: Duration = Duration::from_millis(100);
/// Between looks for a broker that offers it.
const LOOK: Duration = Duration::from_secs(1);

/// What to do after a push.
enum Next {
    /// Push again after the interval.
    Push,
    /// Ask what is wanted, after this time.
    Ask(Duration),
    /// Nothing more is told.
    Stop,
}

struct Task {
    session: Arc<Session>,
    client: WeakClient,
    /// Of the instance, in statistics.
    name: Arc<str>,
    collector: Collector,
    /// The broker that is told, as long as it is connected.
    node: Option<i32>,
    /// As a broker last wanted it.
    interval: Duration,
    began: u64,
    collected: Instant,
    /// A broker last took something then.
    told: u64,
    /// A broker refused what it had said it accepts.
    plain: bool,
}

/// Runs until the instance has closed, the client is gone or a broker wants nothing more.
pub(crate) async fn run(session: Arc<Session>, weak: WeakClient, name: Arc<str>) {
    let Some(began) = weak.upgrade().map(|client| nanos(&client)) else { return };
    let mut task = Task {
        session: session.clone(),
        client: weak,
        name,
        collector: Collector::default(),
        node: None,
        interval: PAUSE,
        began,
        collected: Instant::now(),
        told: began,
        plain: false,
    };
    task.serve().await;
    session.end();
}

impl Task {
    async fn serve(&mut self) {
        let mut pause = Duration::ZERO;
        // Whoever closes while nothing is subscribed ends it: there is no last push then.
        while !self.closes_within(pause).await {
            let Some(node) = self.find().await else { return };
            let id = self.session.id.borrow().unwrap_or(Uuid::ZERO);
            let request = GetTelemetrySubscriptionsRequest { client_instance_id: id, ..Default::default() };
            let next = match self.ask(node, &request, Phase::Closing).await {
                Some(Ok(answer)) => self.follow(node, answer).await,
                Some(Err(error)) => {
                    tracing::debug!(%error, "no telemetry subscriptions");
                    self.node = None;
                    Next::Ask(self.interval)
                }
                None => return,
            };
            self.session.subscribed.store(false, Ordering::SeqCst);
            let Next::Ask(after) = next else { return };
            pause = after;
        }
    }

    /// Pushes what was asked for until that changes.
    async fn follow(&mut self, node: i32, wanted: GetTelemetrySubscriptionsResponse) -> Next {
        match ErrorCode(wanted.error_code) {
            ErrorCode::NONE => {}
            code @ (ErrorCode::INVALID_REQUEST | ErrorCode::UNSUPPORTED_VERSION) => {
                tracing::warn!(?code, "telemetry was refused; no metrics are pushed");
                return Next::Stop;
            }
            _ => return Next::Ask(self.interval),
        }
        self.interval = match u64::try_from(wanted.push_interval_ms) {
            Ok(millis @ 1..) => Duration::from_millis(millis).max(LEAST),
            _ => PAUSE,
        };
        self.session.id.send_modify(|id| *id = Some(wanted.client_instance_id));
        // A fleet that was started at one time neither asks nor pushes at one time (KIP-714).
        let Some(random) = self.random() else { return Next::Stop };
        let jitter = (random % 1000) as f64 / 1000.0;
        if wanted.requested_metrics.is_empty() {
            // Not before the interval is over: a broker refuses that.
            return Next::Ask(self.interval.mul_f64(1.0 + jitter / 2.0));
        }
        self.session.subscribed.store(true, Ordering::SeqCst);
        let mut pause = self.interval.mul_f64(0.5 + jitter);
        loop {
            let closing = self.closes_within(pause).await;
            match self.push(node, &wanted, closing).await {
                Next::Push if !closing => pause = self.interval,
                Next::Ask(pause) if !closing => return Next::Ask(pause),
                _ => return Next::Stop,
            }
        }
    }

    async fn push(&mut self, node: i32, wanted: &GetTelemetrySubscriptionsResponse, terminating: bool) -> Next {
        let Some((mut request, collected)) = self.gather(wanted).await else { return Next::Stop };
        request.terminating = terminating;
        if terminating {
            self.session.advance(Phase::Gathered);
        }
        // One that is under way when the instance closes is given up for the last one.
        let answer = match self.ask(node, &request, if terminating { Phase::Ended } else { Phase::Closing }).await {
            Some(Ok(answer)) => ErrorCode(answer.error_code),
            Some(Err(error)) => {
                tracing::debug!(%error, "metrics were not pushed");
                self.node = None;
                // Perhaps they have come: told twice would be worse than not at all.
                self.note_told(collected);
                return Next::Ask(self.interval);
            }
            None => {
                self.note_told(collected);
                return if terminating { Next::Stop } else { Next::Push };
            }
        };
        match answer {
            ErrorCode::NONE => {
                self.note_told(collected);
                Next::Push
            }
            ErrorCode::UNKNOWN_SUBSCRIPTION_ID => Next::Ask(Duration::ZERO),
            ErrorCode::UNSUPPORTED_COMPRESSION_TYPE => {
                self.plain = true;
                Next::Ask(Duration::ZERO)
            }
            code @ (ErrorCode::INVALID_REQUEST | ErrorCode::INVALID_RECORD | ErrorCode::UNSUPPORTED_VERSION) => {
                tracing::warn!(?code, "telemetry was refused; no metrics are pushed");
                Next::Stop
            }
            ErrorCode::TELEMETRY_TOO_LARGE => {
                tracing::warn!(bytes = request.metrics.len(), "metrics are larger than the broker takes");
                Next::Ask(self.interval)
            }
            code => {
                tracing::debug!(?code, "metrics were not taken");
                Next::Ask(self.interval)
            }
        }
    }

    /// The metrics as they are now, and the time.
    async fn gather(&mut self, wanted: &GetTelemetrySubscriptionsResponse) -> Option<(PushTelemetryRequest, u64)> {
        let client = self.client.upgrade()?;
        let statistics = client.statistics_of(&self.name, Reader::Push).await?;
        let (now, wall) = (Instant::now(), nanos(&client));
        let seconds = now.duration_since(std::mem::replace(&mut self.collected, now)).as_secs_f64();
        let delta = wanted.delta_temporality;
        let mut metrics = self.collector.collect(&statistics, &wanted.requested_metrics, seconds, delta);
        let mut resource = vec![("client_id", statistics.client_id.clone())];
        resource.extend(statistics.labels.iter().cloned());
        let span = Span { from: if delta { self.told } else { self.began }, to: wall, delta };
        let most = usize::try_from(wanted.telemetry_max_bytes).ok().filter(|most| *most > 0).unwrap_or(usize::MAX);
        let make = |metrics: &[Metric]| {
            let data = otlp::encode(&resource, metrics, span);
            self.compressed(&wanted.accepted_compression_types, data)
        };
        let (mut compression_type, mut bytes) = make(&metrics);
        if bytes.len() > most {
            tracing::warn!(
                bytes = bytes.len(),
                most,
                "metrics are larger than the broker takes: none are told by broker"
            );
            metrics.retain(|metric| metric.attributes.is_empty());
            (compression_type, bytes) = make(&metrics);
        }
        let request = PushTelemetryRequest {
            client_instance_id: wanted.client_instance_id,
            subscription_id: wanted.subscription_id,
            compression_type,
            metrics: bytes.into(),
            ..Default::default()
        };
        Some((request, wall))
    }

    fn note_told(&mut self, at: u64) {
        self.collector.told();
        self.told = at;
    }

    /// As the broker likes it best of what we know.
    fn compressed(&self, accepted: &[i8], data: Vec<u8>) -> (i8, Vec<u8>) {
        let known = |id: &i8| u8::try_from(*id).ok().and_then(Compression::from_id);
        let best = accepted.iter().find_map(known).filter(|_| !self.plain);
        let Some(compression) = best.filter(|best| *best != Compression::None) else { return (0, data) };
        let compressed =
            Compressor::new(compression, None).and_then(|mut codec| codec.compress(&data).map(<[u8]>::to_vec));
        compressed.map_or((0, data), |compressed| (compression.id() as i8, compressed))
    }

    /// A connected broker that offers it, the same as before if possible; none when the instance closes before there is one.
    async fn find(&mut self) -> Option<i32> {
        loop {
            let client = self.client.upgrade()?;
            let mut known: Vec<(i32, bool)> = {
                let snapshot = client.metadata().snapshot();
                let offers = |node: &i32| client.offers(*node, GetTelemetrySubscriptionsRequest::API_KEY);
                snapshot.brokers.keys().filter_map(|node| Some((*node, offers(node)?))).collect()
            };
            known.sort_unstable();
            let unknown = known.is_empty();
            known.retain(|(_, offered)| *offered);
            if let Some(node) = self.node.filter(|before| known.iter().any(|(node, _)| node == before)) {
                return Some(node);
            }
            if !known.is_empty() {
                let at = client.world().random_u64() as usize % known.len();
                self.node = Some(known[at].0);
                return self.node;
            }
            drop(client);
            let wanted = *self.session.wanted.borrow();
            if unknown && wanted {
                self.connect().await?;
            }
            tokio::select! {
                biased;
                // Brokers that do not offer it now hardly will soon.
                closes = self.closes_within(if unknown { LOOK } else { PAUSE }) => if closes { return None },
                () = self.session.wanted(), if unknown && !wanted => {}
            }
        }
    }

    /// Connects to some broker for who waits for the id before anything else was asked of the cluster. None when the
    /// instance closes.
    async fn connect(&self) -> Option<()> {
        let client = self.client.upgrade()?;
        let attempt = async {
            let snapshot = client.metadata().refresh().await?;
            let mut nodes: Vec<i32> = snapshot.brokers.keys().copied().collect();
            nodes.sort_unstable();
            let at = client.world().random_u64() as usize % nodes.len().max(1);
            match nodes.get(at) {
                Some(node) => client.connection(*node, Lane::General).await.map(drop),
                None => Ok(()),
            }
        };
        tokio::select! {
            biased;
            () = self.session.reached(Phase::Closing) => None,
            outcome = attempt => {
                if let Err(error) = outcome {
                    tracing::debug!(%error, "no broker to ask for telemetry subscriptions");
                }
                Some(())
            }
        }
    }

    /// None: the instance is as far as `until`, or the client is gone.
    async fn ask<R: Request>(&self, node: i32, request: &R, until: Phase) -> Option<Result<R::Response>> {
        let client = self.client.upgrade()?;
        let timeout = client.options().request_timeout;
        tokio::select! {
            biased;
            () = self.session.reached(until) => None,
            answer = client.request(node, Lane::General, request, timeout) => Some(answer),
        }
    }

    /// Waits; true when the instance is about to close.
    async fn closes_within(&self, pause: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.session.reached(Phase::Closing) => true,
            () = sleep(pause) => false,
        }
    }

    fn random(&self) -> Option<u64> {
        Some(self.client.upgrade()?.world().random_u64())
    }
}

fn nanos(client: &Client) -> u64 {
    u64::try_from(client.world().wall_clock_ms()).unwrap_or(0) * 1_000_000
}
