//! Names, addresses and servers: whichever can be reached is used, and what cannot be reached says so in time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dohle_broker::{Broker, BrokerOptions};
use dohle_client::{Client, Lane};
use dohle_protocol::messages::MetadataRequest;

use super::support::{BentWorld, Peer, client_with, options, soon};

/// A port nobody listens on.
async fn free_port() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn an_ipv6_first_name_with_an_ipv4_only_broker_connects() {
    let broker = Broker::start_default(BrokerOptions::default()).await.unwrap();
    let port = broker.address().port();
    let mut world = BentWorld::new();
    world.names.push(("dual", vec![format!("[::1]:{port}").parse().unwrap(), broker.address()]));
    let client = Client::new(Arc::new(world), options(&[format!("dual:{port}")])).unwrap();
    soon(client.connection(-1, Lane::General)).await.unwrap();
}

#[tokio::test]
async fn an_ipv6_literal_connects() {
    let peer = Peer::start_on("[::1]:0", |_, mut conn| async move {
        conn.handshake().await?;
        conn.serve_metadata(&[]).await
    })
    .await;
    assert!(peer.address.is_ipv6());
    let client = client_with(options(&[peer.address.to_string()]));
    soon(client.request_any(|_| Ok(MetadataRequest::default()), Duration::from_secs(5))).await.unwrap();
}

#[tokio::test]
async fn an_address_that_swallows_everything_costs_a_head_start_only() {
    let broker = Broker::start_default(BrokerOptions::default()).await.unwrap();
    let dead: SocketAddr = "127.0.0.9:9".parse().unwrap();
    let mut world = BentWorld::new();
    world.names.push(("half-dead", vec![dead, broker.address()]));
    world.black_holes.push(dead);
    let client = Client::new(Arc::new(world), options(&["half-dead".to_owned()])).unwrap();
    let begun = Instant::now();
    soon(client.connection(-1, Lane::General)).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn another_service_on_the_same_port_of_another_address_is_passed_over() {
    let broker = Broker::start_default(BrokerOptions::default()).await.unwrap();
    let web = Peer::start_on("[::1]:0", |_, mut conn| async move { conn.raw(b"HTTP/1.1 200 OK\r\n\r\n").await }).await;
    let mut world = BentWorld::new();
    world.names.push(("shared", vec![web.address, broker.address()]));
    let client = Client::new(Arc::new(world), options(&["shared".to_owned()])).unwrap();
    soon(client.connection(-1, Lane::General)).await.unwrap();
}

#[tokio::test]
async fn one_live_server_of_several_is_enough() {
    let broker = Broker::start_default(BrokerOptions::default()).await.unwrap();
    let dead = format!("127.0.0.1:{}", free_port().await);
    let web = Peer::start(|_, mut conn| async move { conn.raw(b"HTTP/1.1 200 OK\r\n\r\n").await }).await;
    for _ in 0..10 {
        let servers = [dead.clone(), web.address.to_string(), broker.address().to_string()];
        let client = client_with(options(&servers));
        soon(client.request_any(|_| Ok(MetadataRequest::default()), Duration::from_secs(5))).await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_connection_is_told_at_once_with_the_address() {
    let server = format!("127.0.0.1:{}", free_port().await);
    let client = client_with(options(std::slice::from_ref(&server)));
    let error = soon(client.connection(-1, Lane::General)).await.unwrap_err();
    assert_eq!(error.code(), "BROKER_UNREACHABLE");
    assert!(error.message().contains(&server) && error.message().contains("refused"), "{error}");
    assert!(error.retriable() && !error.fatal());
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_fails_within_the_setup_timeout() {
    let dead: SocketAddr = "127.0.0.9:9".parse().unwrap();
    let mut world = BentWorld::new();
    world.black_holes.push(dead);
    let mut options = options(&[dead.to_string()]);
    options.socket_connection_setup_timeout = Duration::from_millis(300);
    let client = Client::new(Arc::new(world), options).unwrap();
    let begun = Instant::now();
    let error = soon(client.connection(-1, Lane::General)).await.unwrap_err();
    assert_eq!(error.code(), "BROKER_UNREACHABLE");
    assert!(error.message().contains("no answer within 300 ms"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_said_to() {
    let client = client_with(options(&["no-such-host.invalid:9092".to_owned()]));
    let error = soon(client.connection(-1, Lane::General)).await.unwrap_err();
    assert_eq!(error.code(), "BROKER_UNREACHABLE");
    assert!(error.message().contains("no-such-host.invalid:9092") && error.message().contains("resolved"), "{error}");
}

#[tokio::test]
async fn waiting_for_metadata_of_an_unreachable_cluster_ends_in_time_with_the_cause() {
    let client = client_with(options(&[format!("127.0.0.1:{}", free_port().await)]));
    client.metadata().track(["orders"], true);
    let begun = Instant::now();
    let error = client.metadata().wait_for_topic("orders", Duration::from_millis(500)).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(error.code(), "BROKER_UNREACHABLE");
    assert!(error.message().contains("orders") && error.message().contains("refused"), "{error}");
}

#[tokio::test]
async fn waiting_for_metadata_from_a_web_server_fails_without_waiting() {
    let web = Peer::start(|_, mut conn| async move { conn.raw(b"HTTP/1.1 200 OK\r\n\r\n").await }).await;
    let client = client_with(options(&[web.address.to_string()]));
    client.metadata().track(["orders"], true);
    let error = soon(client.metadata().wait_for_topic("orders", Duration::from_secs(60))).await.unwrap_err();
    assert_eq!(error.code(), "NOT_KAFKA");
}

#[tokio::test]
async fn those_who_wait_for_one_connection_share_one_attempt() {
    let accepted = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = accepted.clone();
    let peer = Peer::start(move |_, mut conn| {
        counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move {
            conn.handshake().await?;
            conn.ignore().await
        }
    })
    .await;
    let client = client_with(options(&[peer.address.to_string()]));
    let all = futures_util::future::join_all((0..50).map(|_| client.connection(-1, Lane::Produce)));
    assert!(soon(all).await.iter().all(Result::is_ok));
    assert_eq!(accepted.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn failing_attempts_back_off() {
    let peer = Peer::start(|_, mut conn| async move {
        conn.next().await?;
        conn.raw(b"HTTP").await
    })
    .await;
    let mut options = options(&[peer.address.to_string()]);
    options.reconnect_backoff = Duration::from_millis(50);
    options.reconnect_backoff_max = Duration::from_millis(400);
    let client = client_with(options);
    let begun = Instant::now();
    for _ in 0..4 {
        soon(client.connection(-1, Lane::General)).await.unwrap_err();
    }
    // The first at once, then after 50, 100 and 200 ms, each up to 20 % less.
    assert!(begun.elapsed() >= Duration::from_millis(280), "{:?}", begun.elapsed());
}
