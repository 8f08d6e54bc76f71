//! What strangers may use: attacks, each with a broker that goes on serving others.

use std::time::Duration;

use dohle_broker::{Broker, BrokerOptions};
use dohle_protocol::{
    ErrorCode,
    messages::{MetadataRequest, SaslAuthenticateRequest},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

use super::login::*;
use crate::support::*;

async fn with(options: BrokerOptions, properties: &[(&str, &str)]) -> Broker {
    let mut options = options;
    for (name, value) in properties {
        options.set(name, value).unwrap();
    }
    Broker::start_default(options).await.unwrap()
}

/// Whether the broker has closed; waits for it.
async fn ends(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

async fn is_empty(broker: &Broker) {
    while broker.connections() > 0 {
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_stranger_may_say_less_than_a_user() {
    let broker = with_alice(&[("sasl.server.max.receive.size", "1000")]).await;
    let mut announced = Connection::to(&broker).await;
    announced.stream.write_all(&1001_i32.to_be_bytes()).await.unwrap();
    ends(&mut announced.stream).await;
    let mut during = Connection::to(&broker).await;
    assert_eq!(during.handshake("PLAIN").await, ErrorCode::NONE);
    let long = SaslAuthenticateRequest { auth_bytes: vec![b'x'; 2000].into(), ..Default::default() };
    assert!(during.try_ask(2, &long).await.is_none());
    let mut user = Connection::to(&broker).await;
    assert_eq!(outcome(&user.plain("alice", "hunter2").await), LET_IN);
    user.create_topic("t", 1, &[]).await;
    assert_eq!(user.metadata("t").await.0, ErrorCode::NONE);
    let many = vec![Default::default(); 1000];
    let long = MetadataRequest { topics: Some(many), ..Default::default() };
    assert_eq!(user.ask(12, &long).await.topics.len(), 1000, "once known, it may say more");
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on_is_ended() {
    let idle = ("connections.max.idle.ms", "400");
    let authority = Authority::new();
    let encrypted = with(BrokerOptions::new().with_tls(authority.tls()), &[idle]).await;
    let mut half_open = Vec::new();
    for _ in 0..1000 {
        half_open.push(TcpStream::connect(encrypted.address()).await.unwrap());
    }
    // A client hello that comes byte by byte.
    let mut slow = TcpStream::connect(encrypted.address()).await.unwrap();
    let (mut read, mut write) = slow.split();
    let drip = async {
        for byte in [22, 3, 1, 1, 0].into_iter().chain(std::iter::repeat(1)) {
            if write.write_all(&[byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let mut rest = Vec::new();
    tokio::select! {
        () = drip => {}
        _ = read.read_to_end(&mut rest) => {}
    }
    is_empty(&encrypted).await;
    assert!(authority.connect(&encrypted, None).await.is_ok());

    let broker = with_alice(&[idle]).await;
    let mut lorises = Vec::new();
    for _ in 0..100 {
        let mut loris = Connection::to(&broker).await;
        assert_eq!(loris.handshake("PLAIN").await, ErrorCode::NONE);
        lorises.push(loris);
    }
    let mut slow = TcpStream::connect(broker.address()).await.unwrap();
    let (mut read, mut write) = slow.split();
    let drip = async {
        for byte in [0, 0, 2, 0].into_iter().chain(std::iter::repeat(0)) {
            if write.write_all(&[byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = drip => {}
        _ = read.read_to_end(&mut rest) => {}
    }
    is_empty(&broker).await;
}

#[tokio::test]
async fn who_says_nothing_is_let_go_and_who_talks_is_not() {
    let broker = with(BrokerOptions::new(), &[("connections.max.idle.ms", "600")]).await;
    let mut idle = Connection::to(&broker).await;
    let mut busy = Connection::to(&broker).await;
    idle.ask(12, &MetadataRequest::default()).await;
    let mut last = Instant::now();
    let talk = async {
        loop {
            let now = Instant::now();
            if busy.try_ask(12, &MetadataRequest::default()).await.is_none() {
                // A machine that was held up has said nothing either.
                assert!(last.elapsed() >= Duration::from_millis(600), "it was let go after {:?}", last.elapsed());
                busy = Connection::to(&broker).await;
            }
            last = now;
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = talk => {}
        () = ends(&mut idle.stream) => {}
    }
    let never = with(BrokerOptions::new(), &[("connections.max.idle.ms", "-1")]).await;
    assert_eq!(Connection::to(&never).await.ask(12, &MetadataRequest::default()).await.brokers.len(), 1);
}

#[tokio::test]
async fn an_address_may_have_so_many_connections() {
    let broker = with(BrokerOptions::new(), &[("max.connections.per.ip", "2")]).await;
    let works = async |connection: &mut Connection| connection.try_ask(12, &MetadataRequest::default()).await.is_some();
    let (mut one, mut two) = (Connection::to(&broker).await, Connection::to(&broker).await);
    assert!(works(&mut one).await && works(&mut two).await);
    for _ in 0..20 {
        let mut more = TcpStream::connect(broker.address()).await.unwrap();
        ends(&mut more).await;
    }
    drop(one);
    while broker.connections() > 1 {
        sleep(Duration::from_millis(5)).await;
    }
    assert!(works(&mut Connection::to(&broker).await).await && works(&mut two).await);

    let local = ("max.connections.per.ip.overrides", "127.0.0.1:0,10.0.0.1:7");
    let closed = with(BrokerOptions::new(), &[local]).await;
    ends(&mut TcpStream::connect(closed.address()).await.unwrap()).await;
    let mut options = BrokerOptions::new();
    options.set("max.connections.per.ip.overrides", "localhost:x").unwrap();
    assert!(Broker::start_default(options).await.err().unwrap().to_string().contains("ADDRESS:LIMIT"));
}
