//! Metrics for brokers (KIP-714): what is asked, what is pushed, and what each answer leads to.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dohle_client::producer::{Delivery, DeliverySink, Producer, ProducerOptions};
use dohle_protocol::messages::{
    ApiVersionsRequest, GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, MetadataRequest,
    PushTelemetryRequest, PushTelemetryResponse,
};
use dohle_protocol::{ApiKey, ErrorCode, Uuid};
use parking_lot::Mutex;

use super::support::{Conn, Peer, client_of, cluster, full, known_apis, soon, versions};

const ID: Uuid = Uuid([7; 16]);
const INTERVAL: Duration = Duration::from_millis(100);

/// What a broker wants, and what it heard.
#[derive(Default)]
struct Plot {
    metrics: Vec<String>,
    compressions: Vec<i8>,
    most: i32,
    /// Answers to pushes, in order; then none.
    answers: Mutex<VecDeque<ErrorCode>>,
    /// Hangs up instead of answering so many pushes.
    hangups: Mutex<u32>,
    /// Answers no push at all.
    mute: bool,
    asked: Mutex<Vec<Uuid>>,
    pushed: Mutex<Vec<PushTelemetryRequest>>,
}

impl Plot {
    fn all() -> Self {
        Plot { metrics: vec![String::new()], ..Plot::default() }
    }

    fn answering(answer: ErrorCode) -> Self {
        Plot { answers: Mutex::new([answer].into()), ..Plot::all() }
    }

    async fn reached(&self, pushes: usize) {
        soon(async {
            while self.pushed.lock().len() < pushes {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }
}

async fn broker(plot: Plot) -> (Peer, Arc<Plot>) {
    let plot = Arc::new(plot);
    let shared = plot.clone();
    (Peer::start(move |_, conn| serve(conn, shared.clone())).await, plot)
}

async fn serve(mut conn: Conn, plot: Arc<Plot>) -> Option<()> {
    loop {
        let request = conn.next().await?;
        let header = request.header.clone();
        match header.api_key {
            ApiKey::API_VERSIONS => {
                let mut apis = known_apis();
                apis.extend([full::<GetTelemetrySubscriptionsRequest>(), full::<PushTelemetryRequest>()]);
                conn.reply::<ApiVersionsRequest>(&header, &versions(apis)).await?;
            }
            ApiKey::METADATA => conn.reply::<MetadataRequest>(&header, &cluster(conn.address, &["t"])).await?,
            ApiKey::GET_TELEMETRY_SUBSCRIPTIONS => {
                let count = {
                    let mut asked = plot.asked.lock();
                    asked.push(request.decode::<GetTelemetrySubscriptionsRequest>().client_instance_id);
                    asked.len()
                };
                let response = GetTelemetrySubscriptionsResponse {
                    client_instance_id: ID,
                    subscription_id: count as i32,
                    accepted_compression_types: plot.compressions.clone(),
                    push_interval_ms: INTERVAL.as_millis() as i32,
                    telemetry_max_bytes: if plot.most == 0 { 1 << 20 } else { plot.most },
                    delta_temporality: true,
                    requested_metrics: plot.metrics.clone(),
                    ..Default::default()
                };
                conn.reply::<GetTelemetrySubscriptionsRequest>(&header, &response).await?;
            }
            ApiKey::PUSH_TELEMETRY => {
                plot.pushed.lock().push(request.decode());
                if plot.mute {
                    continue;
                }
                let hangs_up = {
                    let mut hangups = plot.hangups.lock();
                    let left = hangups.checked_sub(1);
                    *hangups = left.unwrap_or(0);
                    left.is_some()
                };
                if hangs_up {
                    return None;
                }
                let error_code = plot.answers.lock().pop_front().unwrap_or(ErrorCode::NONE).0;
                let response = PushTelemetryResponse { error_code, ..Default::default() };
                conn.reply::<PushTelemetryRequest>(&header, &response).await?;
            }
            other => panic!("{other:?} was not expected"),
        }
    }
}

struct Nobody;

impl DeliverySink for Nobody {
    fn delivered(&self, _: Delivery) {}
    fn space_available(&self) {}
}

fn producer_at(peer: &Peer) -> Producer {
    let options = ProducerOptions { enable_idempotence: Some(false), ..ProducerOptions::default() };
    Producer::new(&client_of(peer.address), options, Arc::new(Nobody)).unwrap()
}

/// A producer that has asked what is wanted.
async fn known_at(peer: &Peer) -> Producer {
    let producer = producer_at(peer);
    assert_eq!(producer.client_instance_id(Duration::from_secs(60)).await.unwrap(), ID);
    producer
}

#[tokio::test]
async fn metrics_are_pushed_at_intervals_and_a_last_time_at_close() {
    let (peer, plot) = broker(Plot::all()).await;
    let producer = known_at(&peer).await;
    plot.reached(3).await;
    producer.close(None).await;
    assert_eq!(*plot.asked.lock(), [Uuid::ZERO], "asked once; the broker gives the id");
    let pushed = plot.pushed.lock();
    assert!(pushed.iter().all(|push| push.client_instance_id == ID && push.subscription_id == 1));
    let ends: Vec<bool> = pushed.iter().map(|push| push.terminating).collect();
    assert_eq!(ends.iter().filter(|end| **end).count(), 1);
    assert_eq!(ends.last(), Some(&true));
}

#[tokio::test]
async fn without_a_subscription_nothing_is_pushed_and_closing_waits_for_nothing() {
    let (peer, plot) = broker(Plot::default()).await;
    let producer = known_at(&peer).await;
    let begun = Instant::now();
    soon(async {
        while plot.asked.lock().len() < 4 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    assert!(begun.elapsed() >= INTERVAL * 3, "one question per interval, after {:?}", begun.elapsed());
    producer.close(None).await;
    assert!(plot.pushed.lock().is_empty());
    assert_eq!(plot.asked.lock()[1..], [ID; 3], "the id stays");
}

#[tokio::test]
async fn a_broker_that_does_not_answer_the_last_push_delays_a_close_by_half_a_second_at_most() {
    let (peer, plot) = broker(Plot { mute: true, ..Plot::all() }).await;
    let producer = known_at(&peer).await;
    plot.reached(1).await;
    // As long as a request may take, 30 s, it would be otherwise.
    tokio::time::timeout(Duration::from_secs(15), producer.close(None)).await.expect("closed");
    assert!(plot.pushed.lock().last().unwrap().terminating, "also while another push is under way");
}

#[tokio::test]
async fn a_changed_subscription_is_asked_for_at_once_with_the_same_id() {
    let (peer, plot) = broker(Plot::answering(ErrorCode::UNKNOWN_SUBSCRIPTION_ID)).await;
    let _producer = known_at(&peer).await;
    plot.reached(2).await;
    assert_eq!(*plot.asked.lock(), [Uuid::ZERO, ID]);
    let ids: Vec<i32> = plot.pushed.lock().iter().map(|push| push.subscription_id).collect();
    assert_eq!(ids[..2], [1, 2]);
}

#[tokio::test]
async fn after_a_refusal_subscriptions_are_asked_for_an_interval_later() {
    for refusal in
        [ErrorCode::TELEMETRY_TOO_LARGE, ErrorCode::THROTTLING_QUOTA_EXCEEDED, ErrorCode::UNKNOWN_SERVER_ERROR]
    {
        let (peer, plot) = broker(Plot::answering(refusal)).await;
        let _producer = known_at(&peer).await;
        plot.reached(1).await;
        let begun = Instant::now();
        plot.reached(2).await;
        // The interval until the question, and half of one at least until the push.
        assert!(begun.elapsed() >= INTERVAL, "{refusal:?}: {:?}", begun.elapsed());
        assert_eq!(*plot.asked.lock(), [Uuid::ZERO, ID], "{refusal:?}");
    }
}

#[tokio::test]
async fn a_request_that_is_called_invalid_ends_it() {
    for refusal in [ErrorCode::INVALID_REQUEST, ErrorCode::INVALID_RECORD, ErrorCode::UNSUPPORTED_VERSION] {
        let (peer, plot) = broker(Plot::answering(refusal)).await;
        let producer = known_at(&peer).await;
        plot.reached(1).await;
        tokio::time::sleep(INTERVAL * 4).await;
        producer.close(None).await;
        assert_eq!(plot.pushed.lock().len(), 1, "{refusal:?}");
        assert_eq!(plot.asked.lock().len(), 1, "{refusal:?}");
    }
}

#[tokio::test]
async fn the_id_is_kept_over_a_new_connection() {
    let (peer, plot) = broker(Plot { hangups: Mutex::new(1), ..Plot::all() }).await;
    let _producer = known_at(&peer).await;
    plot.reached(2).await;
    assert_eq!(*plot.asked.lock(), [Uuid::ZERO, ID]);
    assert!(plot.pushed.lock().iter().all(|push| push.client_instance_id == ID));
}

#[tokio::test]
async fn the_first_compression_that_a_broker_accepts_is_taken_and_none_after_it_was_refused() {
    let answers = Mutex::new([ErrorCode::UNSUPPORTED_COMPRESSION_TYPE].into());
    let (peer, plot) = broker(Plot { compressions: vec![9, 4, 3, 1, 2], answers, ..Plot::all() }).await;
    let _producer = known_at(&peer).await;
    plot.reached(2).await;
    let pushed = plot.pushed.lock();
    assert_eq!(pushed[0].compression_type, 4, "zstd; nobody knows 9");
    assert_eq!(pushed[0].metrics[..4], [0x28, 0xb5, 0x2f, 0xfd]);
    assert_eq!(pushed[1].compression_type, 0);
    assert_eq!(pushed[1].metrics[0], 0x0a, "resource_metrics, field 1");
}

#[tokio::test]
async fn what_is_larger_than_a_broker_takes_is_told_without_what_each_broker_did() {
    let names = |push: &PushTelemetryRequest| {
        let text = String::from_utf8_lossy(&push.metrics).into_owned();
        (text.contains("node.request.latency"), text.contains("connection.creation.total"))
    };
    let mut most = 1 << 20;
    for expected in [(true, true), (false, true)] {
        let (peer, plot) = broker(Plot { most, ..Plot::all() }).await;
        let _producer = known_at(&peer).await;
        plot.reached(1).await;
        let pushed = plot.pushed.lock();
        assert_eq!(names(&pushed[0]), expected, "at most {most} bytes");
        most = pushed[0].metrics.len() as i32 - 1;
    }
}

#[tokio::test]
async fn a_broker_without_it_is_not_asked() {
    let peer = Peer::start(|_, mut conn| async move {
        conn.handshake().await?;
        conn.serve_metadata(&["t"]).await
    })
    .await;
    let producer = producer_at(&peer);
    let error = producer.client_instance_id(Duration::from_millis(300)).await.unwrap_err();
    assert!(error.to_string().contains("no broker gave a client instance id within 300 ms"), "{error}");
    assert!(peer.asked.lock().iter().all(|(api, _)| [ApiKey::API_VERSIONS, ApiKey::METADATA].contains(api)));
    producer.close(None).await;
}
