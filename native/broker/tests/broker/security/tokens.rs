//! Delegation tokens (KIP-48), from their making to their end.

use dohle_protocol::{
    ErrorCode,
    messages::{
        CreateDelegationTokenRequest, CreateDelegationTokenResponse, DescribeDelegationTokenRequest,
        ExpireDelegationTokenRequest, MetadataRequest, RenewDelegationTokenRequest,
        create_delegation_token_request::CreatableRenewers,
    },
};
use dohle_security::scram::Hash;

use super::login::*;
use crate::support::*;

const TOKENS: (&str, &str) = ("delegation.token.secret.key", "a secret of this test");
const JAAS: (&str, &str) = (
    "listener.name.sasl_plaintext.plain.sasl.jaas.config",
    "org.apache.kafka.common.security.plain.PlainLoginModule required user_bob=\"b\" user_carol=\"c\";",
);

async fn create(connection: &mut Connection, renewers: &[&str]) -> CreateDelegationTokenResponse {
    let renewer = |name: &&str| CreatableRenewers {
        principal_type: "User".into(),
        principal_name: name.to_string(),
        ..Default::default()
    };
    let renewers = renewers.iter().map(renewer).collect();
    connection.ask(3, &CreateDelegationTokenRequest { renewers, max_lifetime_ms: -1, ..Default::default() }).await
}

#[tokio::test]
async fn a_token_stands_for_its_owner_until_it_ends() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let broker = with_alice(&[TOKENS, JAAS]).await;
    let to = async |user: &str, password: &str| {
        let mut connection = Connection::to(&broker).await;
        assert_eq!(outcome(&connection.plain(user, password).await).0, ErrorCode::NONE);
        connection
    };
    let (mut alice, mut bob, mut carol) = (to("alice", "hunter2").await, to("bob", "b").await, to("carol", "c").await);
    let token = create(&mut alice, &["bob"]).await;
    assert_eq!((token.error_code, &*token.principal_name, token.hmac.len()), (0, "alice", 64));
    assert_eq!(token.max_timestamp_ms - token.issue_timestamp_ms, 604_800_000);
    assert_eq!(token.expiry_timestamp_ms - token.issue_timestamp_ms, 86_400_000);

    for version in 1..=3 {
        let request = CreateDelegationTokenRequest { max_lifetime_ms: -1, ..Default::default() };
        let made = bob.ask(version, &request).await;
        let requester = if version < 3 { "" } else { "bob" };
        assert_eq!((made.error_code, &*made.token_requester_principal_name), (0, requester), "version {version}");
        let everyone = DescribeDelegationTokenRequest { owners: None, ..Default::default() };
        let seen = bob.ask(version, &everyone).await.tokens;
        assert!(seen.iter().any(|of| of.token_id == made.token_id), "version {version}");
        let end = ExpireDelegationTokenRequest { hmac: made.hmac, expiry_time_period_ms: -1, ..Default::default() };
        assert_eq!(bob.ask(2, &end).await.error_code, 0);
    }

    let password = STANDARD.encode(&token.hmac);
    let show = async |password: &str, more: &str| {
        let mut connection = Connection::to(&broker).await;
        let answer = connection.scram(Hash::Sha256, &token.token_id, password, more).await;
        (outcome(&answer).0, connection)
    };
    let (let_in, mut program) = show(&password, ",tokenauth=true").await;
    assert_eq!(let_in, ErrorCode::NONE);
    assert_eq!(program.ask(12, &MetadataRequest::default()).await.brokers.len(), 1);
    let again = create(&mut program, &[]).await.error_code;
    assert_eq!(ErrorCode(again), ErrorCode::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, "a token makes no tokens");
    assert_eq!(show(&password, "").await.0, ErrorCode::SASL_AUTHENTICATION_FAILED, "it is no user");
    assert_eq!(show("guess", ",tokenauth=true").await.0, ErrorCode::SASL_AUTHENTICATION_FAILED);

    let all = DescribeDelegationTokenRequest { owners: None, ..Default::default() };
    assert_eq!(bob.ask(3, &all).await.tokens.len(), 1);
    let none = DescribeDelegationTokenRequest { owners: Some(Vec::new()), ..Default::default() };
    assert_eq!(bob.ask(3, &none).await.tokens.len(), 0);

    let renew =
        RenewDelegationTokenRequest { hmac: token.hmac.clone(), renew_period_ms: i64::MAX, ..Default::default() };
    let refused = carol.ask(2, &renew).await.error_code;
    assert_eq!(ErrorCode(refused), ErrorCode::DELEGATION_TOKEN_OWNER_MISMATCH);
    let renewed = bob.ask(2, &renew).await;
    assert_eq!((renewed.error_code, renewed.expiry_timestamp_ms), (0, token.max_timestamp_ms), "never beyond its end");
    let odd = RenewDelegationTokenRequest { hmac: "odd".into(), ..Default::default() };
    assert_eq!(ErrorCode(bob.ask(2, &odd).await.error_code), ErrorCode::DELEGATION_TOKEN_NOT_FOUND);

    let end =
        ExpireDelegationTokenRequest { hmac: token.hmac.clone(), expiry_time_period_ms: -1, ..Default::default() };
    assert_eq!(alice.ask(2, &end).await.error_code, 0);
    assert_eq!(show(&password, ",tokenauth=true").await.0, ErrorCode::SASL_AUTHENTICATION_FAILED);
    assert_eq!(alice.ask(3, &all).await.tokens.len(), 0);
}

#[tokio::test]
async fn without_a_secret_there_are_no_tokens() {
    let broker = with_alice(&[]).await;
    let mut alice = Connection::to(&broker).await;
    alice.plain("alice", "hunter2").await;
    let disabled = ErrorCode::DELEGATION_TOKEN_AUTH_DISABLED;
    assert_eq!(ErrorCode(create(&mut alice, &[]).await.error_code), disabled);
    let all = DescribeDelegationTokenRequest { owners: None, ..Default::default() };
    assert_eq!(ErrorCode(alice.ask(3, &all).await.error_code), disabled);
}
