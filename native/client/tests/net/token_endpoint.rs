//! OAUTHBEARER with tokens of a token endpoint: what is asked and shown, what is tried again, and what is never done.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dohle_client::admin::Admin;
use dohle_client::{Client, ClientOptions, Error};
use dohle_protocol::ErrorClass;
use dohle_protocol::messages::MetadataRequest;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::sasl::{PASSWORD, allow, converse, greet, says};
use super::support::{Peer, client_with, soon};

/// A token endpoint: `answer` gives the whole HTTP response to the n-th request, counted from 0.
pub struct Service {
    pub url: String,
    pub requests: Arc<Mutex<Vec<String>>>,
    asked: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Service {
    pub async fn start(answer: impl Fn(usize) -> Option<String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let (requests, asked) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
        let (kept, count): (Arc<Mutex<Vec<String>>>, _) = (Arc::clone(&requests), asked.clone());
        let task = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let request = read_request(&mut socket).await;
                kept.lock().push(request);
                match answer(count.fetch_add(1, Ordering::SeqCst)) {
                    Some(answer) => drop(socket.write_all(answer.as_bytes()).await),
                    // Never, but the connection stays.
                    None => std::mem::forget(socket),
                }
            }
        });
        Self { url, requests, asked, task }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn read_request(socket: &mut TcpStream) -> String {
    let mut read = Vec::new();
    loop {
        let mut part = [0; 4096];
        let count = socket.read(&mut part).await.unwrap_or(0);
        read.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() >= length.parse().unwrap() {
                return text;
            }
        }
        assert!(count > 0, "a whole request: {text}");
    }
}

pub fn http(status: &str, body: &str) -> Option<String> {
    Some(format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

pub fn token(value: &str) -> Option<String> {
    http("200 OK", &json!({ "access_token": value, "token_type": "Bearer", "expires_in": 300 }).to_string())
}

/// A broker that takes every token, and keeps the messages of OAUTHBEARER.
pub async fn broker() -> (Peer, Arc<Mutex<Vec<String>>>) {
    let shown = Arc::<Mutex<Vec<String>>>::default();
    let kept = shown.clone();
    let peer = Peer::start(move |_, mut conn| {
        let kept = kept.clone();
        async move {
            greet(&mut conn).await?;
            assert_eq!(allow(&mut conn).await?, "OAUTHBEARER");
            converse(&mut conn, |message| {
                kept.lock().push(String::from_utf8_lossy(message).into_owned());
                says("")
            })
            .await?;
            conn.serve_metadata(&[]).await
        }
    })
    .await;
    (peer, shown)
}

pub fn options(broker: &Peer, sasl: &Value) -> ClientOptions {
    let mut sasl = sasl.clone();
    sasl["mechanism"] = json!("OAUTHBEARER");
    sasl["withoutTls"] = json!(true);
    let given = json!({ "brokers": broker.address.to_string(), "sasl": sasl, "requestTimeoutMs": 5_000 });
    ClientOptions::parse(given.as_object().unwrap()).unwrap()
}

fn credentials(service: &Service) -> Value {
    json!({ "tokenEndpointUrl": service.url, "clientId": "orders", "clientSecret": PASSWORD })
}

pub async fn outcome(options: ClientOptions) -> Result<(), Error> {
    let client = client_with(options);
    let outcome = soon(client.request_any(|_| Ok(MetadataRequest::default()), Duration::from_secs(8))).await.map(drop);
    if let Err(error) = &outcome {
        assert!(!format!("{error} {error:?}").contains(PASSWORD), "{error:?}");
    }
    outcome
}

#[tokio::test]
async fn the_endpoint_is_asked_with_client_credentials_and_the_broker_is_shown_the_token() {
    let service = Service::start(|_| token("a-token")).await;
    let (peer, shown) = broker().await;
    let mut sasl = credentials(&service);
    sasl["scope"] = json!("kafka read");
    sasl["extensions"] = json!(["logicalCluster=lkc-1", "identityPoolId=pool-1"]);
    outcome(options(&peer, &sasl)).await.unwrap();
    let request = service.requests.lock()[0].clone();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /token HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/x-www-form-urlencoded"), "{head}");
    assert!(head.contains(&format!("host: {}", service.url.split('/').nth(2).unwrap())), "{head}");
    let basic = STANDARD.encode(format!("orders:{PASSWORD}"));
    assert!(head.contains(&format!("authorization: Basic {basic}\r\n")), "{head}");
    assert_eq!(body, "grant_type=client_credentials&scope=kafka%20read");
    let expected = "n,,\u{1}auth=Bearer a-token\u{1}logicalCluster=lkc-1\u{1}identityPoolId=pool-1\u{1}\u{1}";
    assert_eq!(*shown.lock(), [expected]);
}

#[tokio::test]
async fn one_token_serves_every_connection() {
    let service = Service::start(|n| token(&format!("t{n}"))).await;
    let (peer, shown) = broker().await;
    let client: Client = client_with(options(&peer, &credentials(&service)));
    for _ in 0..2 {
        soon(client.request_any(|_| Ok(MetadataRequest::default()), Duration::from_secs(8))).await.unwrap();
    }
    assert_eq!(service.asked(), 1);
    assert!(shown.lock().iter().all(|message| message.contains("Bearer t0")));
}

#[tokio::test]
async fn a_service_that_is_away_for_a_while_is_asked_again() {
    let answers = [http("503 Service Unavailable", ""), Some(String::new()), http("429 Too Many Requests", "{}")];
    let service = Service::start(move |n| answers.get(n).cloned().unwrap_or_else(|| token("late"))).await;
    let (peer, shown) = broker().await;
    outcome(options(&peer, &credentials(&service))).await.unwrap();
    assert_eq!(service.asked(), 4);
    assert!(shown.lock()[0].contains("Bearer late"));
}

#[tokio::test]
async fn a_refused_client_is_told_at_once_and_asks_once() {
    let body = json!({ "error": "invalid_client", "error_description": format!("{PASSWORD} is wrong") }).to_string();
    let service = Service::start(move |_| http("401 Unauthorized", &body)).await;
    let (peer, shown) = broker().await;
    let error = outcome(options(&peer, &credentials(&service))).await.unwrap_err();
    assert_eq!(error.code(), "SASL_AUTHENTICATION_FAILED");
    assert!(error.class() == ErrorClass::InvalidConfiguration && !error.retriable(), "{error}");
    let text = error.message();
    assert!(text.contains(&service.url) && text.contains("'orders'") && text.contains("401 Unauthorized"), "{text}");
    assert!(text.contains("invalid_client"), "{text}");
    assert_eq!((service.asked(), shown.lock().len()), (1, 0));
}

#[tokio::test]
async fn a_service_that_says_the_header_back_is_not_quoted() {
    let basic = STANDARD.encode(format!("orders:{PASSWORD}"));
    let body =
        json!({ "error": "invalid_client", "error_description": format!("what is 'Basic {basic}'?") }).to_string();
    let service = Service::start(move |_| http("401 Unauthorized", &body)).await;
    let (peer, _) = broker().await;
    let error = outcome(options(&peer, &credentials(&service))).await.unwrap_err();
    let basic = STANDARD.encode(format!("orders:{PASSWORD}"));
    assert!(error.message().contains("invalid_client") && !error.message().contains(&basic), "{error}");
}

#[tokio::test]
async fn a_call_that_ends_before_there_is_a_token_says_why_there_is_none() {
    let service = Service::start(|_| http("503 Service Unavailable", "")).await;
    let (peer, _) = broker().await;
    let client: Client = client_with(options(&peer, &credentials(&service)));
    let limit = Some(Duration::from_millis(500));
    let listed = Admin::new(&client).list_topics(false, limit).await;
    let error = listed.expect_err("no token, no list");
    assert_eq!(error.code(), "REQUEST_TIMED_OUT");
    for part in ["listTopics did not finish within 500 ms", "no token for OAUTHBEARER", "503", &service.url] {
        assert!(error.message().contains(part), "{error}");
    }
    let cause = error.cause().expect("the last failure").to_string();
    assert!(cause.starts_with("BROKER_UNREACHABLE: no token for OAUTHBEARER"), "{cause}");
}

#[tokio::test]
async fn nothing_is_sent_to_where_a_redirect_points() {
    let elsewhere = Service::start(|_| token("stolen")).await;
    let url = elsewhere.url.clone();
    let service = Service::start(move |_| {
        Some(format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {url}\r\ncontent-length: 0\r\n\r\n"))
    })
    .await;
    let (peer, _) = broker().await;
    let error = outcome(options(&peer, &credentials(&service))).await.unwrap_err();
    assert!(error.message().contains("307") && error.message().contains("not followed"), "{error}");
    assert_eq!(elsewhere.asked(), 0);
}

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    let flood = "x".repeat(300_000);
    let service = Service::start(move |_| http("200 OK", &flood)).await;
    let (peer, _) = broker().await;
    let error = outcome(options(&peer, &credentials(&service))).await.unwrap_err();
    assert!(error.message().contains("more than 262144 bytes") && !error.retriable(), "{error}");
}

#[tokio::test]
async fn what_is_no_http_is_told() {
    let service = Service::start(|_| Some("SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned())).await;
    let (peer, _) = broker().await;
    let mut options = options(&peer, &credentials(&service));
    options.request_timeout = Duration::from_secs(5);
    let error = outcome(options).await.unwrap_err();
    assert!(error.message().contains("the exchange broke off"), "{error}");
}

#[tokio::test]
async fn a_service_that_never_answers_has_the_time_of_a_request() {
    let service = Service::start(|_| None).await;
    let (peer, _) = broker().await;
    let mut options = options(&peer, &credentials(&service));
    options.request_timeout = Duration::from_millis(300);
    let error = outcome(options).await.unwrap_err();
    assert!(error.message().contains("no token came within 300 ms") && error.retriable(), "{error}");
}
