//! SASL: the order of requests, every mechanism, and sessions that end.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use dohle_broker::{Broker, BrokerOptions};
use dohle_protocol::{
    ErrorCode,
    messages::{
        AlterUserScramCredentialsRequest, ApiVersionsRequest, DescribeConfigsRequest, MetadataRequest,
        SaslAuthenticateRequest, SaslHandshakeRequest,
        alter_user_scram_credentials_request::{ScramCredentialDeletion, ScramCredentialUpsertion},
        describe_configs_request::DescribeConfigsResource,
    },
};
use dohle_security::scram::Hash;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::login::*;
use crate::support::*;

const FAILED: ErrorCode = ErrorCode::SASL_AUTHENTICATION_FAILED;

async fn is_closed(connection: &mut Connection) -> bool {
    connection.frame().await.is_none()
}

#[tokio::test]
async fn every_mechanism_with_a_password_lets_the_user_in_and_nobody_else() {
    let broker = with_alice(&[]).await;
    assert_eq!(broker.addresses()[0].0, "SASL_PLAINTEXT");
    for hash in [None, Some(Hash::Sha256), Some(Hash::Sha512)] {
        let log_in = async |user: &str, password: &str| {
            let mut connection = Connection::to(&broker).await;
            let answer = match hash {
                None => connection.plain(user, password).await,
                Some(hash) => connection.scram(hash, user, password, "").await,
            };
            if answer.error_code == 0 {
                assert_eq!(connection.ask(12, &MetadataRequest::default()).await.brokers.len(), 1);
            } else {
                assert!(is_closed(&mut connection).await);
            }
            (outcome(&answer), answer.error_message.unwrap_or_default())
        };
        assert_eq!(log_in("alice", "hunter2").await.0, LET_IN);
        let (wrong, unknown) = (log_in("alice", "hunter3").await, log_in("bob", "hunter2").await);
        assert_eq!((wrong.0.0, &wrong), (FAILED, &unknown), "whether there is such a user is told to nobody");
        assert!(!wrong.1.contains("hunter"), "{wrong:?}");
    }
}

#[tokio::test]
async fn nothing_but_the_log_in_is_served_before_it() {
    let broker = with_alice(&[]).await;
    let to = || Connection::to(&broker);
    let mut early = to().await;
    assert!(early.try_ask(12, &MetadataRequest::default()).await.is_none(), "before the handshake: closed");
    let mut early = to().await;
    assert!(early.try_ask(2, &SaslAuthenticateRequest::default()).await.is_none());

    let mut twice = to().await;
    assert_eq!(twice.ask(0, &ApiVersionsRequest::default()).await.error_code, 0);
    assert!(twice.try_ask(0, &ApiVersionsRequest::default()).await.is_none(), "ApiVersions is answered once");
    let mut older = to().await;
    let newer = dohle_protocol::frame::encode_request(3, 1, None, &ApiVersionsRequest::default()).unwrap().to_bytes();
    let mut newer = newer.to_vec();
    newer[7] = 99;
    older.stream.write_all(&newer).await.unwrap();
    older.frame().await.unwrap();
    assert_eq!(older.ask(0, &ApiVersionsRequest::default()).await.error_code, 0, "unless it was not understood");
    assert_eq!(older.handshake("PLAIN").await, ErrorCode::NONE);

    let mut during = to().await;
    assert_eq!(during.handshake("PLAIN").await, ErrorCode::NONE);
    let topics = Some(vec![dohle_protocol::messages::metadata_request::MetadataRequestTopic {
        name: Some("t".into()),
        ..Default::default()
    }]);
    let refused = during.ask(12, &MetadataRequest { topics, ..Default::default() }).await;
    assert_eq!(ErrorCode(refused.topics[0].error_code), ErrorCode::ILLEGAL_SASL_STATE);
    assert!(is_closed(&mut during).await);

    let mut other = to().await;
    let request = SaslHandshakeRequest { mechanism: "GSSAPI".into() };
    let offered = other.ask(1, &request).await;
    assert_eq!(ErrorCode(offered.error_code), ErrorCode::UNSUPPORTED_SASL_MECHANISM);
    assert_eq!(offered.mechanisms, ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]);
    assert!(is_closed(&mut other).await);

    let mut done = to().await;
    done.plain("alice", "hunter2").await;
    let again = done.say("\0alice\0hunter2").await;
    assert_eq!(ErrorCode(again.error_code), ErrorCode::ILLEGAL_SASL_STATE);
    assert_eq!(done.handshake("PLAIN").await, ErrorCode::ILLEGAL_SASL_STATE, "its session has no end");
    assert_eq!(done.ask(12, &MetadataRequest::default()).await.brokers.len(), 1, "it goes on all the same");
}

#[tokio::test]
async fn a_listener_without_sasl_says_so() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    assert_eq!(connection.handshake("PLAIN").await, ErrorCode::ILLEGAL_SASL_STATE);
    assert_eq!(ErrorCode(connection.say("x").await.error_code), ErrorCode::ILLEGAL_SASL_STATE);
    assert_eq!(connection.ask(12, &MetadataRequest::default()).await.brokers.len(), 1);
}

#[tokio::test]
async fn after_a_handshake_of_version_0_the_messages_are_bare() {
    let broker = with_alice(&[]).await;
    for (password, let_in) in [("hunter2", true), ("hunter3", false)] {
        let mut connection = Connection::to(&broker).await;
        let request = SaslHandshakeRequest { mechanism: "PLAIN".into() };
        assert_eq!(connection.ask(0, &request).await.error_code, 0);
        let message = format!("\0alice\0{password}");
        connection.stream.write_i32(message.len() as i32).await.unwrap();
        connection.stream.write_all(message.as_bytes()).await.unwrap();
        assert_eq!(connection.frame().await, let_in.then(Bytes::new));
        if let_in {
            assert_eq!(connection.ask(12, &MetadataRequest::default()).await.brokers.len(), 1);
        }
    }
}

fn token(claims: &str) -> String {
    format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims))
}

fn seconds(from_now: f64) -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64() + from_now
}

#[tokio::test]
async fn a_token_lets_in_as_long_as_it_lasts() {
    let broker = with_alice(&[]).await;
    drop(broker);
    let mut options = BrokerOptions::new();
    for (name, value) in [
        ("listeners", "SASL_PLAINTEXT://127.0.0.1:0"),
        ("sasl.enabled.mechanisms", "OAUTHBEARER"),
        ("connection.failed.authentication.delay.ms", "0"),
    ] {
        options.set(name, value).unwrap();
    }
    let broker = Broker::start_default(options).await.unwrap();
    let mut connection = Connection::to(&broker).await;
    let answer = connection.bearer(&token(&format!(r#"{{"sub":"alice","exp":{}}}"#, seconds(3600.0)))).await;
    let (code, lifetime) = outcome(&answer);
    assert!(code == ErrorCode::NONE && (3_500_000..=3_600_000).contains(&lifetime), "{lifetime}");
    assert_eq!(connection.ask(12, &MetadataRequest::default()).await.brokers.len(), 1);

    let mut old = Connection::to(&broker).await;
    let answer = old.bearer(&token(&format!(r#"{{"sub":"alice","exp":{}}}"#, seconds(-1.0)))).await;
    assert_eq!((answer.error_code, &*answer.auth_bytes), (0, &br#"{"status":"invalid_token"}"#[..]));
    assert!(old.frame_within(Duration::from_millis(50)).await.is_err(), "it may say that it has understood");
    let last = old.say(&b"\x01"[..]).await;
    assert_eq!(outcome(&last).0, FAILED);
    assert_eq!(last.error_message.as_deref(), Some(r#"{"status":"invalid_token"}"#));
    assert!(is_closed(&mut old).await);
}

#[tokio::test]
async fn a_session_ends_unless_the_same_user_logs_in_again() {
    let broker = with_alice(&[("connections.max.reauth.ms", "1500")]).await;
    let to = async || {
        let mut connection = Connection::to(&broker).await;
        let answer = connection.scram(Hash::Sha256, "alice", "hunter2", "").await;
        assert_eq!(outcome(&answer), (ErrorCode::NONE, 1500));
        connection
    };
    let (mut idle, mut diligent, mut other) = (to().await, to().await, to().await);
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let answer = diligent.scram(Hash::Sha256, "alice", "hunter2", "").await;
    assert_eq!(outcome(&answer), (ErrorCode::NONE, 1500));
    assert_eq!(other.handshake("PLAIN").await, ErrorCode::NONE);
    let refused = other.say("\0alice\0hunter2").await;
    assert_eq!(outcome(&refused).0, FAILED);
    assert!(refused.error_message.unwrap().contains("not supported for re-authentication"));
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(idle.try_ask(12, &MetadataRequest::default()).await.is_none(), "used after its end");
    assert_eq!(diligent.ask(12, &MetadataRequest::default()).await.brokers.len(), 1);
}

#[tokio::test]
async fn nobody_becomes_somebody_else_on_the_way() {
    let jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required user_alice=\"a\" user_bob=\"b\";";
    let mut options = BrokerOptions::new();
    for (name, value) in [
        ("listeners", "SASL_PLAINTEXT://127.0.0.1:0"),
        ("sasl.enabled.mechanisms", "PLAIN"),
        ("listener.name.sasl_plaintext.plain.sasl.jaas.config", jaas),
        ("connections.max.reauth.ms", "60000"),
        ("connection.failed.authentication.delay.ms", "0"),
    ] {
        options.set(name, value).unwrap();
    }
    assert!(!format!("{options:?}").contains("user_bob"), "options can be printed");
    let broker = Broker::start_default(options).await.unwrap();
    let mut connection = Connection::to(&broker).await;
    assert_eq!(outcome(&connection.plain("alice", "a").await), (ErrorCode::NONE, 60_000));
    let changed = connection.plain("bob", "b").await;
    assert_eq!(outcome(&changed).0, FAILED);
    assert!(changed.error_message.unwrap().contains("Cannot change principals"));
    assert!(is_closed(&mut connection).await);
    let mut hasty = Connection::to(&broker).await;
    hasty.plain("alice", "a").await;
    hasty.plain("alice", "a").await;
    assert_eq!(hasty.handshake("PLAIN").await, ErrorCode::ILLEGAL_SASL_STATE, "twice in a second");
}

#[tokio::test]
async fn users_made_by_an_admin_log_in_until_they_are_deleted() {
    let broker = with_alice(&[]).await;
    let mut admin = Connection::to(&broker).await;
    admin.plain("alice", "hunter2").await;
    let salted = Hash::Sha512.salted_password("s3cret", b"salt", 4096);
    let upsertion = ScramCredentialUpsertion {
        name: "bob".into(),
        mechanism: 2,
        iterations: 4096,
        salt: Bytes::from_static(b"salt"),
        salted_password: Bytes::copy_from_slice(&salted),
        ..Default::default()
    };
    let request = AlterUserScramCredentialsRequest { upsertions: vec![upsertion], ..Default::default() };
    assert_eq!(admin.ask(0, &request).await.results[0].error_code, 0);
    let log_in = async |hash, password: &str| {
        let mut connection = Connection::to(&broker).await;
        outcome(&connection.scram(hash, "bob", password, "").await).0
    };
    assert_eq!(log_in(Hash::Sha512, "s3cret").await, ErrorCode::NONE);
    assert_eq!(log_in(Hash::Sha512, "secret").await, FAILED);
    assert_eq!(log_in(Hash::Sha256, "s3cret").await, FAILED, "the other mechanism");
    let deletion = ScramCredentialDeletion { name: "bob".into(), mechanism: 2, ..Default::default() };
    let request = AlterUserScramCredentialsRequest { deletions: vec![deletion], ..Default::default() };
    assert_eq!(admin.ask(0, &request).await.results[0].error_code, 0);
    assert_eq!(log_in(Hash::Sha512, "s3cret").await, FAILED);
}

#[tokio::test]
async fn secrets_are_shown_to_nobody() {
    let jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required user_x=\"hunter4\";";
    let broker = with_alice(&[
        ("listener.name.sasl_plaintext.plain.sasl.jaas.config", jaas),
        ("delegation.token.secret.key", "hunter5"),
    ])
    .await;
    let mut admin = Connection::to(&broker).await;
    admin.plain("x", "hunter4").await;
    let resource = DescribeConfigsResource {
        resource_type: 4,
        resource_name: "1".into(),
        configuration_keys: None,
        ..Default::default()
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: true,
        ..Default::default()
    };
    let described = admin.ask(4, &request).await;
    assert!(!format!("{described:?}").contains("hunter"));
    let configs = &described.results[0].configs;
    for name in ["sasl.jaas.config", "delegation.token.secret.key", "ssl.keystore.key"] {
        let found = configs.iter().find(|config| config.name == name).unwrap();
        assert!(found.is_sensitive && found.value.is_none() && found.config_type == 9, "{found:?}");
        assert!(found.synonyms.iter().all(|synonym| synonym.value.is_none()));
    }
    let given = configs.iter().find(|config| config.name == "delegation.token.secret.key").unwrap();
    assert_eq!(given.config_source, 4, "that it is set is no secret");
}

#[tokio::test]
async fn what_a_listener_cannot_offer_is_told_at_the_start() {
    let refused = async |set: &[(&str, &str)]| {
        let mut options = BrokerOptions::new();
        options.set("listeners", "SASL_PLAINTEXT://127.0.0.1:0").unwrap();
        for (name, value) in set {
            options.set(name, value).unwrap();
        }
        Broker::start_default(options).await.err().unwrap().to_string()
    };
    assert!(refused(&[]).await.starts_with("sasl.enabled.mechanisms: GSSAPI is not served; PLAIN,"));
    let plain = ("sasl.enabled.mechanisms", "PLAIN");
    assert!(refused(&[plain]).await.starts_with("sasl.jaas.config: PLAIN needs the users"));
    let other = refused(&[plain, ("listener.name.sasl_plaintext.plain.sasl.jaas.config", "a.B required;")]).await;
    assert!(other.contains("PlainLoginModule; no other is served"), "{other}");
    let odd = refused(&[plain, ("listener.name.sasl_plaintext.plain.sasl.jaas.config", "hunter2")]).await;
    assert!(odd.starts_with("sasl.jaas.config of PLAIN: ") && !odd.contains("hunter2"), "{odd}");
    let bearer = ("sasl.enabled.mechanisms", "OAUTHBEARER");
    let url = refused(&[bearer, ("sasl.oauthbearer.jwks.endpoint.url", "https://a/b")]).await;
    assert!(url.contains("file:///PATH is"), "{url}");
    let mut options = BrokerOptions::new();
    for name in ["sasl.login.callback.handler.class", "ssl.cipher.suites", "listener.name.x.num.partitions"] {
        assert!(options.set(name, "x").is_err(), "{name}");
    }
}

impl Connection {
    async fn frame_within(&mut self, patience: Duration) -> Result<Bytes, ()> {
        let mut byte = [0; 1];
        match tokio::time::timeout(patience, self.stream.read(&mut byte)).await {
            Ok(_) => Ok(Bytes::new()),
            Err(_) => Err(()),
        }
    }
}
