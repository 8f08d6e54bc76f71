//! A panic in a task of the engine is an error that names it, for everyone who waits; nobody waits for ever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use dohle_client::world::Socket;
use dohle_client::{Client, ErrorKind, Lane};
use dohle_protocol::messages::MetadataRequest;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::support::{BentWorld, Peer, options, soon};

async fn quiet_peer() -> Peer {
    Peer::start(|_, mut conn| async move {
        conn.handshake().await?;
        conn.ignore().await
    })
    .await
}

#[tokio::test]
async fn in_an_attempt_to_connect() {
    let mut world = BentWorld::new();
    world.panics_at_connect = true;
    let client = Client::new(Arc::new(world), options(&["127.0.0.1:9092".to_owned()])).unwrap();
    for _ in 0..2 {
        let error = soon(client.connection(-1, Lane::General)).await.unwrap_err();
        assert_eq!(error.code(), "PANIC");
        assert!(error.fatal() && error.message().contains("no connection today"), "{error}");
    }
}

#[tokio::test]
async fn in_the_metadata_task() {
    let peer = quiet_peer().await;
    let mut world = BentWorld::new();
    world.panics_at_random = true;
    let client = Client::new(Arc::new(world), options(&[peer.address.to_string()])).unwrap();
    client.metadata().track(["orders"], true);
    let waiting = client.metadata().wait_for_topic("orders", Duration::from_secs(60));
    let (refreshed, waited) = soon(futures_util::future::join(client.metadata().refresh(), waiting)).await;
    for error in [refreshed.unwrap_err(), waited.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Panic);
        assert!(error.message().contains("metadata task panicked: nothing is random"), "{error}");
    }
    assert_eq!(soon(client.metadata().refresh()).await.unwrap_err().kind(), ErrorKind::Panic);
}

/// Panics when it is read after its handshake.
struct Mine(Box<dyn Socket>, bool);

impl AsyncRead for Mine {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        assert!(!self.1, "stepped on");
        let polled = Pin::new(&mut self.0).poll_read(cx, buf);
        self.1 = polled.is_ready();
        polled
    }
}

impl AsyncWrite for Mine {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn in_the_task_of_a_connection() {
    let peer = quiet_peer().await;
    let mut world = BentWorld::new();
    world.wrap = Some(|socket| Box::new(Mine(socket, false)));
    let client = Client::new(Arc::new(world), options(&[peer.address.to_string()])).unwrap();
    let connection = soon(client.connection(-1, Lane::General)).await.unwrap();
    let error = match connection.send(12, &MetadataRequest::default(), Duration::from_secs(60)) {
        Ok(exchange) => soon(exchange.response()).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::Panic);
    assert!(error.message().contains("stepped on"), "{error}");
}
