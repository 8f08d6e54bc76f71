//! The SASL exchange of a new connection, against a scripted broker that does it right, refuses, or attacks.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dohle_client::generated::options::SaslMechanism;
use dohle_client::security::Secret;
use dohle_client::{ClientOptions, Error};
use dohle_protocol::messages::{
    MetadataRequest, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use dohle_protocol::{ApiKey, ErrorClass, Request};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::support::{Conn, Peer, api, client_with, known_apis, options, soon};

pub const PASSWORD: &str = "hunter2";

/// Answers ApiVersions as a broker with SASL.
pub async fn greet(conn: &mut Conn) -> Option<()> {
    let mut apis = known_apis();
    apis.push(api::<SaslHandshakeRequest>(0, 1));
    apis.push(api::<SaslAuthenticateRequest>(0, 2));
    conn.handshake_with(apis).await
}

/// Takes the SASL handshake and allows every mechanism; tells which it was.
pub async fn allow(conn: &mut Conn) -> Option<String> {
    let request = conn.next().await?;
    let header = request.header.clone();
    let mechanism = request.decode::<SaslHandshakeRequest>().mechanism;
    conn.reply::<SaslHandshakeRequest>(&header, &SaslHandshakeResponse::default()).await?;
    Some(mechanism)
}

/// The next message of the client; answered with what `answer` makes of it.
pub async fn converse(
    conn: &mut Conn,
    answer: impl FnOnce(&[u8]) -> SaslAuthenticateResponse,
) -> Option<SaslAuthenticateResponse> {
    let request = conn.next().await?;
    assert_eq!(request.header.api_key, ApiKey::SASL_AUTHENTICATE, "nothing else while the exchange is under way");
    let header = request.header.clone();
    let response = answer(&request.decode::<SaslAuthenticateRequest>().auth_bytes);
    conn.reply::<SaslAuthenticateRequest>(&header, &response).await?;
    Some(response)
}

pub fn says(text: impl Into<String>) -> SaslAuthenticateResponse {
    SaslAuthenticateResponse { auth_bytes: text.into().into(), ..Default::default() }
}

pub fn refuses(text: &str) -> SaslAuthenticateResponse {
    SaslAuthenticateResponse { error_code: 58, error_message: Some(text.to_owned()), ..Default::default() }
}

pub fn with_sasl(server: &Peer, mechanism: SaslMechanism) -> ClientOptions {
    ClientOptions {
        sasl_mechanism: Some(mechanism),
        sasl_username: Some("jack".to_owned()),
        sasl_password: Some(Secret::new(PASSWORD)),
        sasl_without_tls: true,
        ..options(&[server.address.to_string()])
    }
}

/// What a client of this server is told when it asks anything.
async fn outcome(server: &Peer, options: ClientOptions) -> Result<(), Error> {
    let client = client_with(options);
    let asked = client.request_any(|_| Ok(MetadataRequest::default()), Duration::from_secs(8));
    let outcome = soon(asked).await.map(drop);
    if let Err(error) = &outcome {
        assert!(!format!("{error} {error:?}").contains(PASSWORD), "{error:?}");
        assert!(error.message().contains(&server.address.to_string()), "{error}");
    }
    outcome
}

fn is_refusal(error: &Error) -> bool {
    error.code() == "SASL_AUTHENTICATION_FAILED"
        && error.class() == ErrorClass::InvalidConfiguration
        && !error.retriable()
        && !error.fatal()
}

#[tokio::test]
async fn plain_tells_user_and_password_and_requests_follow() {
    let server = Peer::start(|_, mut conn| async move {
        greet(&mut conn).await?;
        assert_eq!(allow(&mut conn).await?, "PLAIN");
        converse(&mut conn, |message| {
            assert_eq!(message, b"\0jack\0hunter2");
            says("")
        })
        .await?;
        conn.serve_metadata(&[]).await
    })
    .await;
    outcome(&server, with_sasl(&server, SaslMechanism::Plain)).await.unwrap();
}

#[tokio::test]
async fn a_refused_password_is_told_at_once_and_tried_once() {
    let server = Peer::start(|_, mut conn| async move {
        greet(&mut conn).await?;
        allow(&mut conn).await?;
        converse(&mut conn, |_| refuses("Authentication failed: Invalid username or password")).await?;
        None
    })
    .await;
    let error = outcome(&server, with_sasl(&server, SaslMechanism::Plain)).await.unwrap_err();
    assert!(is_refusal(&error), "{error}");
    let text = error.message();
    assert!(text.contains("'jack' (PLAIN)") && text.contains("Invalid username or password"), "{error}");
    assert_eq!(server.count(ApiKey::SASL_AUTHENTICATE), 1);
}

#[tokio::test]
async fn a_broker_that_repeats_the_password_is_not_quoted() {
    let server = Peer::start(|_, mut conn| async move {
        greet(&mut conn).await?;
        allow(&mut conn).await?;
        converse(&mut conn, |message| refuses(&format!("not known: {}", String::from_utf8_lossy(message)))).await?;
        None
    })
    .await;
    let error = outcome(&server, with_sasl(&server, SaslMechanism::Plain)).await.unwrap_err();
    assert!(is_refusal(&error), "{error}");
    assert!(error.message().contains("repeats the secret"), "{error}");
}

#[tokio::test]
async fn a_mechanism_that_is_not_offered_is_told_with_those_that_are() {
    let server = Peer::start(|_, mut conn| async move {
        greet(&mut conn).await?;
        let request = conn.next().await?;
        let mechanisms = vec!["GSSAPI".to_owned(), "SCRAM-SHA-512".to_owned()];
        let response = SaslHandshakeResponse { error_code: 33, mechanisms };
        conn.reply::<SaslHandshakeRequest>(&request.header, &response).await
    })
    .await;
    let error = outcome(&server, with_sasl(&server, SaslMechanism::ScramSha256)).await.unwrap_err();
    assert_eq!(error.code(), "UNSUPPORTED_SASL_MECHANISM");
    assert!(error.message().contains("SCRAM-SHA-256 here, but GSSAPI, SCRAM-SHA-512"), "{error}");
}

#[tokio::test]
async fn a_listener_without_sasl_is_told() {
    let server = Peer::start(|_, mut conn| async move {
        greet(&mut conn).await?;
        let request = conn.next().await?;
        let response = SaslHandshakeResponse { error_code: 34, ..Default::default() };
        conn.reply::<SaslHandshakeRequest>(&request.header, &response).await
    })
    .await;
    let error = outcome(&server, with_sasl(&server, SaslMechanism::Plain)).await.unwrap_err();
    assert_eq!(error.code(), "ILLEGAL_SASL_STATE");
    assert!(error.message().contains("leave sasl out"), "{error}");
}

#[tokio::test]
async fn a_listener_that_wants_sasl_is_hinted_at_when_there_is_none() {
    let server = Peer::start(|_, mut conn| async move {
        greet(&mut conn).await?;
        conn.next().await?;
        None
    })
    .await;
    let error = outcome(&server, options(&[server.address.to_string()])).await.unwrap_err();
    assert!(error.message().contains("wants SASL does this (sasl.mechanism)"), "{error}");
}

#[tokio::test]
async fn a_broker_that_falls_silent_in_the_exchange_costs_the_setup_timeout() {
    let server = Peer::start(|_, mut conn| async move {
        greet(&mut conn).await?;
        allow(&mut conn).await?;
        conn.ignore().await
    })
    .await;
    let limit = Duration::from_millis(50);
    let options = ClientOptions {
        socket_connection_setup_timeout: limit,
        socket_connection_setup_timeout_max: limit,
        ..with_sasl(&server, SaslMechanism::Plain)
    };
    let error = outcome(&server, options).await.unwrap_err();
    assert_eq!(error.code(), "BROKER_UNREACHABLE");
    assert!(error.message().contains("SASL exchange within 50 ms"), "{error}");
}

/// What a SCRAM server does wrong.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    Signature,
    FewIterations,
    ManyIterations,
    Nonce,
}

async fn scram_server(wrong: Wrong) -> Peer {
    Peer::start(move |_, mut conn| async move {
        greet(&mut conn).await?;
        assert_eq!(allow(&mut conn).await?, "SCRAM-SHA-256");
        let salt = b"0123456789abcdef";
        let iterations = match wrong {
            Wrong::FewIterations => 1,
            Wrong::ManyIterations => 1_000_000_000,
            _ => 4096,
        };
        let mut client_first = String::new();
        let first = converse(&mut conn, |message| {
            client_first = String::from_utf8(message.to_vec()).unwrap().strip_prefix("n,,").unwrap().to_owned();
            let nonce = client_first.strip_prefix("n=jack,r=").unwrap();
            let nonce = if wrong == Wrong::Nonce { "somebody else's" } else { nonce };
            says(format!("r={nonce}server,s={},i={iterations}", STANDARD.encode(salt)))
        })
        .await?;
        converse(&mut conn, |message| {
            let message = String::from_utf8(message.to_vec()).unwrap();
            let (without_proof, proof) = message.rsplit_once(",p=").unwrap();
            let server_first = String::from_utf8(first.auth_bytes.to_vec()).unwrap();
            let all = format!("{client_first},{server_first},{without_proof}");
            let mut salted = [0; 32];
            pbkdf2::pbkdf2_hmac::<Sha256>(PASSWORD.as_bytes(), salt, iterations, &mut salted);
            let stored = Sha256::digest(hmac(&salted, b"Client Key"));
            let signature = hmac(&stored, all.as_bytes());
            let client_key: Vec<u8> =
                STANDARD.decode(proof).unwrap().iter().zip(signature).map(|(proof, signed)| proof ^ signed).collect();
            assert_eq!(Sha256::digest(client_key), stored, "the client's proof");
            let key =
                if wrong == Wrong::Signature { hmac(b"a guess", b"Server Key") } else { hmac(&salted, b"Server Key") };
            says(format!("v={}", STANDARD.encode(hmac(&key, all.as_bytes()))))
        })
        .await?;
        conn.serve_metadata(&[]).await
    })
    .await
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

#[tokio::test]
async fn scram_proves_both_sides() {
    let server = scram_server(Wrong::Nothing).await;
    outcome(&server, with_sasl(&server, SaslMechanism::ScramSha256)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_does_not_know_the_password_is_not_believed() {
    for (wrong, why) in [
        (Wrong::Signature, "signature is wrong"),
        (Wrong::FewIterations, "1 iterations"),
        (Wrong::ManyIterations, "1000000000 iterations"),
        (Wrong::Nonce, "nonce"),
    ] {
        let server = scram_server(wrong).await;
        let error = outcome(&server, with_sasl(&server, SaslMechanism::ScramSha256)).await.unwrap_err();
        assert!(is_refusal(&error) && error.message().contains(why), "{error}");
        let messages = if wrong == Wrong::Signature { 2 } else { 1 };
        assert_eq!(server.count(ApiKey::SASL_AUTHENTICATE), messages, "{why}: nothing is proven to such a server");
        assert_eq!(server.count(MetadataRequest::API_KEY), 0);
    }
}

#[tokio::test]
async fn a_token_goes_with_its_extensions_and_its_refusal_is_acknowledged() {
    for refused in [false, true] {
        let server = Peer::start(move |_, mut conn| async move {
            greet(&mut conn).await?;
            assert_eq!(allow(&mut conn).await?, "OAUTHBEARER");
            converse(&mut conn, |message| {
                assert_eq!(message, b"n,,\x01auth=Bearer hunter2\x01logicalCluster=lkc 1\x01\x01");
                says(if refused { r#"{"status":"invalid_token"}"# } else { "" })
            })
            .await?;
            if refused {
                converse(&mut conn, |message| {
                    assert_eq!(message, b"\x01");
                    refuses("{\"status\":\"invalid_token\"}")
                })
                .await?;
                return None;
            }
            conn.serve_metadata(&[]).await
        })
        .await;
        let options = ClientOptions {
            sasl_mechanism: Some(SaslMechanism::Oauthbearer),
            sasl_token: Some(Secret::new(PASSWORD)),
            sasl_extensions: Some(vec!["logicalCluster=lkc 1".to_owned()]),
            sasl_without_tls: true,
            ..options(&[server.address.to_string()])
        };
        let outcome = outcome(&server, options).await;
        if refused {
            let error = outcome.unwrap_err();
            assert!(is_refusal(&error) && error.message().contains("invalid_token"), "{error}");
        } else {
            outcome.unwrap();
        }
    }
}
