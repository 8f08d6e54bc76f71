//! What listens there is not Kafka: each case is named, soon, and nothing large is allocated.

use std::time::Duration;

use dohle_client::{Error, ErrorKind, Lane};
use dohle_protocol::messages::MetadataRequest;

use super::support::{Peer, client_of, client_with, options, soon};

async fn told_by(bytes: &'static [u8]) -> Error {
    let peer = Peer::start(move |_, mut conn| async move {
        conn.next().await?;
        conn.raw(bytes).await
    })
    .await;
    soon(client_of(peer.address).request_any(|_| Ok(MetadataRequest::default()), Duration::from_secs(5)))
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_web_server_is_named() {
    let error = told_by(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
    assert_eq!(error.code(), "NOT_KAFKA");
    assert!(error.message().contains("HTTP") && error.message().contains("127.0.0.1:"), "{error}");
    assert!(!error.retriable());
}

#[tokio::test]
async fn a_tls_alert_is_named() {
    let error = told_by(&[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x16]).await;
    assert_eq!(error.code(), "NOT_KAFKA");
    assert!(error.message().contains("TLS"), "{error}");
}

#[tokio::test]
async fn another_text_protocol_is_named() {
    let error = told_by(b"SSH-2.0-OpenSSH_9.6\r\n").await;
    assert_eq!(error.code(), "NOT_KAFKA");
    assert!(error.message().contains("SSH-"), "{error}");
}

#[tokio::test]
async fn an_answer_with_a_foreign_correlation_id_is_not_kafka() {
    let error = told_by(&[0, 0, 0, 10, 9, 9, 9, 9, 0, 0, 0, 0, 0, 0]).await;
    assert_eq!(error.code(), "NOT_KAFKA");
}

#[tokio::test]
async fn garbage_in_the_first_answer_is_a_protocol_error() {
    let error = told_by(&[0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 1]).await;
    assert_eq!(error.code(), "PROTOCOL", "{error}");
}

#[tokio::test]
async fn a_huge_length_is_refused_with_the_option_named() {
    let peer = Peer::start(|_, mut conn| async move {
        conn.handshake().await?;
        conn.next().await?;
        conn.raw(&[0x40, 0, 0, 0]).await?;
        conn.ignore().await
    })
    .await;
    let error =
        soon(client_of(peer.address).request(-1, Lane::General, &MetadataRequest::default(), Duration::from_secs(5)))
            .await
            .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.message().contains("receive.message.max.bytes"), "{error}");
}

#[tokio::test]
async fn memory_grows_with_the_bytes_that_came_not_with_the_length_announced() {
    let peer = Peer::start(|_, mut conn| async move {
        conn.handshake().await?;
        conn.next().await?;
        conn.raw(&[0x7f, 0xff, 0xff, 0xf0, 0, 0]).await
    })
    .await;
    let mut options = options(&[peer.address.to_string()]);
    options.receive_message_max_bytes = i32::MAX as usize;
    let before = peak_memory_kb();
    let client = client_with(options);
    let error =
        soon(client.request(-1, Lane::General, &MetadataRequest::default(), Duration::from_secs(5))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert!(error.message().contains("in the middle of a response"), "{error}");
    assert!(peak_memory_kb() - before < 500_000, "2 GiB were set aside");
}

/// The largest virtual size so far: even memory that was never touched counts.
fn peak_memory_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmPeak:")).unwrap_or("VmPeak: 0 kB");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn a_listener_that_hangs_up_hints_at_tls_and_sasl() {
    let peer = Peer::start(|_, mut conn| async move {
        conn.next().await?;
        None
    })
    .await;
    let error = soon(client_of(peer.address).connection(-1, Lane::General)).await.unwrap_err();
    assert_eq!(error.code(), "BROKER_UNREACHABLE");
    assert!(error.message().contains("TLS or SASL"), "{error}");
    assert!(error.retriable());
}

#[tokio::test]
async fn a_listener_that_says_nothing_is_given_up_in_time() {
    let peer = Peer::start(|_, mut conn| async move { conn.ignore().await }).await;
    let mut options = options(&[peer.address.to_string()]);
    options.socket_connection_setup_timeout = Duration::from_millis(200);
    let error = soon(client_with(options).connection(-1, Lane::General)).await.unwrap_err();
    assert_eq!(error.code(), "BROKER_UNREACHABLE");
    assert!(error.message().contains("did not answer within 200 ms"), "{error}");
}
