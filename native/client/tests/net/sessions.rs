//! Sessions that end (KIP-368): proven again on the same connection, beside the requests that are under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dohle_client::generated::options::SaslMechanism;
use dohle_client::{ErrorKind, Lane};
use dohle_protocol::ApiKey;
use dohle_protocol::messages::{
    MetadataRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use tokio::time::{Instant, sleep};

use super::sasl::{allow, converse, greet, refuses, with_sasl};
use super::support::{Conn, Incoming, Peer, client_with, cluster, soon};

fn accepts(session: Duration) -> SaslAuthenticateResponse {
    SaslAuthenticateResponse { session_lifetime_ms: session.as_millis() as i64, ..Default::default() }
}

async fn metadata(conn: &mut Conn, request: Incoming, after: Duration) -> Option<()> {
    assert_eq!(request.header.api_key, ApiKey::METADATA, "while a session holds");
    sleep(after).await;
    let response = cluster(conn.address, &[]);
    conn.reply::<MetadataRequest>(&request.header, &response).await
}

#[tokio::test]
async fn a_session_is_renewed_before_it_ends_and_no_request_is_lost() {
    const SESSION: Duration = Duration::from_millis(400);
    let (connections, renewals) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, renewed) = (connections.clone(), renewals.clone());
    let server = Peer::start(move |_, mut conn| {
        let renewed = renewed.clone();
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            greet(&mut conn).await?;
            allow(&mut conn).await?;
            converse(&mut conn, |_| accepts(SESSION)).await?;
            loop {
                let request = conn.next().await?;
                if request.header.api_key == ApiKey::SASL_HANDSHAKE {
                    conn.reply::<SaslHandshakeRequest>(&request.header, &SaslHandshakeResponse::default()).await?;
                    // `converse` insists that nothing comes before the proof; requests that come later are served.
                    sleep(Duration::from_millis(20)).await;
                    converse(&mut conn, |message| {
                        assert_eq!(message, b"\0jack\0hunter2");
                        accepts(SESSION)
                    })
                    .await?;
                    renewed.fetch_add(1, Ordering::Relaxed);
                } else {
                    metadata(&mut conn, request, Duration::from_millis(3)).await?;
                }
            }
        }
    })
    .await;
    let client = client_with(with_sasl(&server, SaslMechanism::Plain));
    let question = MetadataRequest::default();
    let mut answered = 0;
    let asking = async {
        while renewals.load(Ordering::Relaxed) < 3 {
            let one = || client.request(-1, Lane::General, &question, Duration::from_secs(8));
            // Several at once, so that some are on their way when the session is renewed.
            let outcomes = tokio::join!(one(), one(), one());
            outcomes.0.and(outcomes.1).and(outcomes.2).expect("no request is lost");
            answered += 3;
        }
    };
    soon(asking).await;
    assert_eq!(connections.load(Ordering::Relaxed), 1, "all on one connection, with {answered} requests");
}

#[tokio::test]
async fn a_connection_that_carries_nothing_is_closed_instead() {
    let server = Peer::start(|_, mut conn| async move {
        greet(&mut conn).await?;
        allow(&mut conn).await?;
        converse(&mut conn, |_| accepts(Duration::from_millis(100))).await?;
        let nothing = conn.next().await;
        assert!(nothing.is_none(), "the end, and no word before it");
        None
    })
    .await;
    let client = client_with(with_sasl(&server, SaslMechanism::Plain));
    let connection = soon(client.connection(-1, Lane::General)).await.unwrap();
    soon(async {
        while !connection.is_closed() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(server.count(ApiKey::SASL_HANDSHAKE), 1);
}

#[tokio::test]
async fn when_the_broker_no_longer_believes_requests_under_way_may_be_repeated_and_the_next_attempt_tells_why() {
    let server = Peer::start(|number, mut conn| async move {
        greet(&mut conn).await?;
        allow(&mut conn).await?;
        if number > 0 {
            converse(&mut conn, |_| refuses("the password was changed")).await?;
            return None;
        }
        converse(&mut conn, |_| accepts(Duration::from_millis(200))).await?;
        let first = conn.next().await?;
        metadata(&mut conn, first, Duration::ZERO).await?;
        allow(&mut conn).await?;
        converse(&mut conn, |_| refuses("the password was changed")).await?;
        conn.ignore().await
    })
    .await;
    let client = client_with(with_sasl(&server, SaslMechanism::Plain));
    let question = MetadataRequest::default();
    let ask = || client.request(-1, Lane::General, &question, Duration::from_secs(8));
    soon(ask()).await.unwrap();
    let connection = client.open_connection(-1, Lane::General).unwrap();
    let begun = Instant::now();
    while server.count(ApiKey::SASL_HANDSHAKE) < 2 {
        assert!(begun.elapsed() < Duration::from_secs(10));
        sleep(Duration::from_millis(2)).await;
    }
    // Sent while the exchange is under way: held, and failed with the connection.
    match soon(ask()).await.unwrap_err() {
        error if error.kind() == ErrorKind::Disconnected => assert!(error.retriable(), "{error}"),
        error => assert_eq!(error.code(), "SASL_AUTHENTICATION_FAILED", "{error}"),
    }
    assert!(connection.is_closed());
    let error = soon(ask()).await.unwrap_err();
    assert_eq!(error.code(), "SASL_AUTHENTICATION_FAILED");
    assert!(error.message().contains("the password was changed") && !error.retriable(), "{error}");
}
