//! One connection: pipelining, order, buffers let go, one cause for all waiters, timeouts, idling, pauses.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dohle_broker::{Action, Broker, BrokerOptions, Rule, When};
use dohle_client::world::Socket;
use dohle_client::{Client, Connection, ErrorKind, Lane};
use dohle_protocol::ApiKey;
use dohle_protocol::frame::RequestHeader;
use dohle_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use dohle_protocol::messages::{MetadataRequest, MetadataResponse, ProduceRequest};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::line::broker_behind;
use super::support::{BentWorld, Conn, Peer, client_of, client_with, cluster, options, soon};

const LONG: Duration = Duration::from_secs(5);

async fn connect<F, S>(script: F) -> (Peer, Client, Connection)
where
    F: Fn(Conn) -> S + Send + Sync + 'static,
    S: Future<Output = Option<()>> + Send + 'static,
{
    let script = Arc::new(script);
    let peer = Peer::start(move |_, mut conn| {
        let script = script.clone();
        async move {
            conn.handshake().await?;
            script(conn).await
        }
    })
    .await;
    let client = client_of(peer.address);
    let connection = soon(client.connection(-1, Lane::General)).await.unwrap();
    (peer, client, connection)
}

fn metadata() -> MetadataRequest {
    MetadataRequest::default()
}

#[tokio::test]
async fn pipelined_requests_get_their_own_answers_in_order() {
    let (_peer, _client, connection) = connect(|mut conn| async move {
        let mut waiting = Vec::new();
        for _ in 0..100 {
            waiting.push(conn.next().await?.header);
        }
        for (n, header) in waiting.iter().enumerate() {
            let response = MetadataResponse { controller_id: n as i32, ..Default::default() };
            conn.reply::<MetadataRequest>(header, &response).await?;
        }
        conn.ignore().await
    })
    .await;
    let exchanges: Vec<_> = (0..100).map(|_| connection.send(12, &metadata(), LONG).unwrap()).collect();
    assert_eq!(connection.in_flight(), 100);
    for (n, exchange) in exchanges.into_iter().enumerate() {
        assert_eq!(soon(exchange.response()).await.unwrap().controller_id, n as i32);
    }
    assert_eq!(connection.in_flight(), 0);
}

/// A broker, a client that is connected to it, and a rule for its Metadata requests.
async fn connect_to_faulty(rule: Rule) -> (Broker, Client, Connection) {
    let broker = Broker::start_default(BrokerOptions::default()).await.unwrap();
    broker.faults().add(rule.api(ApiKey::METADATA.0));
    let client = client_of(broker.address());
    let connection = soon(client.connection(-1, Lane::General)).await.unwrap();
    (broker, client, connection)
}

#[tokio::test]
async fn a_wrong_correlation_id_fails_all_waiters_with_one_cause() {
    // The last byte of the id.
    let (_broker, _client, connection) = connect_to_faulty(Rule::new(Action::Corrupt { at: Some(7) })).await;
    let exchanges: Vec<_> = (0..3).map(|_| connection.send(12, &metadata(), LONG).unwrap()).collect();
    let mut texts = Vec::new();
    for exchange in exchanges {
        let error = soon(exchange.response()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        texts.push(error.to_string());
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].contains("correlation id"), "{texts:?}");
    assert!(connection.is_closed());
    assert_eq!(connection.send(12, &metadata(), LONG).err().unwrap().to_string(), texts[0]);
}

#[tokio::test]
async fn an_answer_nobody_asked_for_ends_the_connection() {
    let (_peer, _client, connection) = connect(|mut conn| async move {
        conn.reply_as::<MetadataRequest>(12, 77, &MetadataResponse::default()).await?;
        conn.ignore().await
    })
    .await;
    soon(async {
        while !connection.is_closed() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn of_a_half_answered_pipeline_the_rest_fails_at_once() {
    let hangs_up = Rule::new(Action::Close { when: When::Before }).nth(2);
    let (_broker, _client, connection) = connect_to_faulty(hangs_up).await;
    let exchanges: Vec<_> = (0..5).map(|_| connection.send(12, &metadata(), LONG).unwrap()).collect();
    let begun = Instant::now();
    for (n, exchange) in exchanges.into_iter().enumerate() {
        let outcome = soon(exchange.response()).await;
        assert_eq!(outcome.is_ok(), n == 0);
        if let Err(error) = outcome {
            assert_eq!(error.kind(), ErrorKind::Disconnected);
            assert_eq!(error.code(), "NETWORK_EXCEPTION");
            assert!(error.message().contains("4 requests under way, first Metadata"), "{error}");
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_close_in_the_middle_of_a_response_is_said_to_be_one() {
    let (_broker, _client, connection) = connect_to_faulty(Rule::new(Action::Truncate { bytes: 9 })).await;
    let error = soon(connection.send(12, &metadata(), LONG).unwrap().response()).await.unwrap_err();
    assert!(error.message().contains("in the middle of a response"), "{error}");
}

#[tokio::test]
async fn bytes_left_over_behind_a_response_are_an_error_of_that_request_only() {
    let (_peer, _client, connection) = connect(|mut conn| async move {
        let header = conn.next().await?.header;
        // Metadata version 1: brokers, controller, topics; then two bytes too many.
        let mut body = header.correlation_id.to_be_bytes().to_vec();
        body.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        conn.raw(&[&(body.len() as i32).to_be_bytes()[..], &body].concat()).await?;
        conn.serve_metadata(&[]).await
    })
    .await;
    let error = soon(connection.send(1, &metadata(), LONG).unwrap().response()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.message().contains("Metadata version 1"), "{error}");
    soon(connection.send(12, &metadata(), LONG).unwrap().response()).await.unwrap();
}

#[tokio::test]
async fn an_overdue_answer_ends_the_connection_for_all() {
    let silent = Rule::new(Action::Drop { when: When::Before }).forever();
    let (_broker, client, connection) = connect_to_faulty(silent).await;
    let short = connection.send(12, &metadata(), Duration::from_millis(100)).unwrap();
    let long = connection.send(12, &metadata(), Duration::from_secs(60)).unwrap();
    for exchange in [short, long] {
        let error = soon(exchange.response()).await.unwrap_err();
        assert_eq!(error.code(), "REQUEST_TIMED_OUT");
        assert!(error.retriable());
    }
    let again = soon(client.connection(-1, Lane::General)).await.unwrap();
    assert!(!again.is_closed());
}

#[tokio::test]
async fn a_short_limit_of_one_caller_leaves_the_connection_to_the_others() {
    let late = Rule::new(Action::Delay { millis: 200, when: When::Before });
    let (_broker, client, connection) = connect_to_faulty(late).await;
    let error = soon(client.request(-1, Lane::General, &metadata(), Duration::from_millis(50))).await.unwrap_err();
    assert_eq!(error.code(), "REQUEST_TIMED_OUT");
    soon(client.request(-1, Lane::General, &metadata(), LONG)).await.unwrap();
    assert!(!connection.is_closed());
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_opened_again_when_needed() {
    let peer = Peer::start(|_, mut conn| async move {
        conn.handshake().await?;
        conn.serve_metadata(&[]).await
    })
    .await;
    let mut options = options(&[peer.address.to_string()]);
    options.connections_max_idle = Duration::from_millis(100);
    let client = client_with(options);
    soon(client.request(-1, Lane::General, &metadata(), LONG)).await.unwrap();
    assert!(client.open_connection(-1, Lane::General).is_some());
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(client.open_connection(-1, Lane::General).is_none());
    soon(client.request(-1, Lane::General, &metadata(), LONG)).await.unwrap();
    assert_eq!(peer.count(ApiKey::API_VERSIONS), 2);
}

#[tokio::test]
async fn each_lane_has_a_connection_of_its_own() {
    let (peer, client, general) = connect(|mut conn| async move { conn.serve_metadata(&[]).await }).await;
    let lanes = [Lane::Produce, Lane::Fetch(0), Lane::Fetch(1), Lane::Coordinator, Lane::Join(0)];
    for lane in lanes {
        soon(client.connection(-1, lane)).await.unwrap();
        soon(client.connection(-1, lane)).await.unwrap();
    }
    assert_eq!(peer.count(ApiKey::API_VERSIONS), 1 + lanes.len());
    assert!(!general.is_closed());
}

#[tokio::test]
async fn a_pause_asked_for_is_kept() {
    // The broker itself reads nothing during a pause: the line sees what the client sends.
    let sent = Arc::new(Mutex::new(Vec::new()));
    let noted = sent.clone();
    let seen = move |header: RequestHeader, _| {
        if header.api_key == ApiKey::METADATA {
            noted.lock().push(Instant::now());
        }
    };
    let (broker, address) = broker_behind(BrokerOptions::default(), seen).await;
    broker.faults().add(Rule::new(Action::Throttle { millis: 300 }).api(ApiKey::METADATA.0).forever());
    let client = client_of(address);
    for _ in 0..2 {
        soon(client.request(-1, Lane::General, &metadata(), LONG)).await.unwrap();
    }
    let sent = sent.lock().clone();
    assert!(sent[1] - sent[0] >= Duration::from_millis(300), "{sent:?}");
}

#[tokio::test]
async fn an_endless_pause_ends_with_the_request_timeout() {
    let (_peer, _client, connection) = connect(|mut conn| async move { conn.ignore().await }).await;
    connection.throttle(Duration::from_secs(1_000_000));
    let error =
        soon(connection.send(12, &metadata(), Duration::from_millis(100)).unwrap().response()).await.unwrap_err();
    assert_eq!(error.code(), "REQUEST_TIMED_OUT");
}

#[tokio::test]
async fn closing_the_client_fails_what_waits_and_closes_the_sockets() {
    let gone = Arc::new(AtomicUsize::new(0));
    let counter = gone.clone();
    let (_peer, client, connection) = connect(move |mut conn| {
        let counter = counter.clone();
        async move {
            conn.ignore().await;
            counter.fetch_add(1, Ordering::SeqCst);
            None
        }
    })
    .await;
    let exchange = connection.send(12, &metadata(), LONG).unwrap();
    soon(client.close()).await;
    assert_eq!(soon(exchange.response()).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(soon(client.connection(-1, Lane::General)).await.unwrap_err().code(), "CLOSED");
    assert_eq!(soon(client.metadata().refresh()).await.unwrap_err().code(), "CLOSED");
    soon(client.close()).await;
    soon(async {
        while gone.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dropping_the_last_handle_closes_the_sockets() {
    let (told, mut hear) = tokio::sync::mpsc::unbounded_channel();
    let (_peer, client, connection) = connect(move |mut conn| {
        let told = told.clone();
        async move {
            conn.ignore().await;
            told.send(()).ok()
        }
    })
    .await;
    drop(client);
    soon(hear.recv()).await.unwrap();
    assert!(connection.is_closed());
}

/// A produce request with this many bytes of records.
fn produce(acks: i16, records: usize) -> ProduceRequest {
    let records = Some(Bytes::from(vec![7; records]));
    let partition = PartitionProduceData { index: 0, records, ..Default::default() };
    let topic = TopicProduceData { name: "t".to_owned(), partition_data: vec![partition], ..Default::default() };
    ProduceRequest { acks, timeout_ms: 1000, topic_data: vec![topic], ..Default::default() }
}

#[tokio::test]
async fn written_is_told_only_when_the_last_byte_is_with_the_system() {
    let (go, wait) = tokio::sync::watch::channel(false);
    let (_peer, _client, connection) = connect(move |mut conn| {
        let mut wait = wait.clone();
        async move {
            wait.wait_for(|go| *go).await.ok()?;
            conn.ignore().await
        }
    })
    .await;
    // More than the socket buffers of both sides hold.
    let mut exchange = connection.send(9, &produce(1, 64 << 20), LONG).unwrap();
    let early = tokio::time::timeout(Duration::from_millis(300), exchange.written()).await;
    assert!(early.is_err(), "the peer has read nothing");
    go.send_replace(true);
    soon(exchange.written()).await.unwrap();
    assert_eq!(connection.in_flight(), 1);
}

#[tokio::test]
async fn a_connection_that_breaks_while_writing_lets_the_buffers_go() {
    let (_peer, _client, connection) = connect(|mut conn| async move {
        tokio::io::AsyncReadExt::read_u8(&mut conn.stream).await.ok()?;
        None
    })
    .await;
    let mut exchange = connection.send(9, &produce(1, 64 << 20), LONG).unwrap();
    assert_eq!(soon(exchange.written()).await.unwrap_err().kind(), ErrorKind::Disconnected);
    assert_eq!(soon(exchange.response()).await.unwrap_err().kind(), ErrorKind::Disconnected);
}

#[tokio::test]
async fn a_request_that_is_never_answered_is_done_when_written() {
    let (_peer, _client, connection) = connect(|mut conn| async move {
        assert_eq!(conn.next().await?.header.api_key, ApiKey::PRODUCE);
        assert_eq!(conn.next().await?.header.api_key, ApiKey::PRODUCE);
        conn.serve_metadata(&[]).await
    })
    .await;
    let one = connection.send_unanswered(9, &produce(0, 100), LONG).unwrap();
    let two = connection.send_unanswered(9, &produce(0, 100), LONG).unwrap();
    let answered = connection.send(12, &metadata(), LONG).unwrap();
    soon(one).await.unwrap();
    soon(two).await.unwrap();
    soon(answered.response()).await.unwrap();
    assert_eq!(connection.in_flight(), 0);
}

static WRITES: AtomicUsize = AtomicUsize::new(0);

struct CountingSocket(Box<dyn Socket>);

impl AsyncRead for CountingSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for CountingSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        WRITES.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn requests_queued_together_go_out_in_one_write() {
    let peer = Peer::start(|_, mut conn| async move {
        conn.handshake().await?;
        conn.serve_metadata(&[]).await
    })
    .await;
    let mut world = BentWorld::new();
    world.wrap = Some(|socket| Box::new(CountingSocket(socket)));
    let client = Client::new(Arc::new(world), options(&[peer.address.to_string()])).unwrap();
    let connection = soon(client.connection(-1, Lane::General)).await.unwrap();
    let before = WRITES.load(Ordering::SeqCst);
    let exchanges: Vec<_> = (0..20).map(|_| connection.send(12, &metadata(), LONG).unwrap()).collect();
    for exchange in exchanges {
        assert_eq!(soon(exchange.response()).await.unwrap(), cluster(peer.address, &[]));
    }
    assert_eq!(WRITES.load(Ordering::SeqCst) - before, 1);
}
