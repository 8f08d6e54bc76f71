//! AWS IAM towards a broker that checks the signature with other code than the client's: the mechanism AWS_MSK_IAM and the token for
//! OAUTHBEARER.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dohle_client::ClientOptions;
use dohle_protocol::ErrorClass;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::sasl::{PASSWORD, allow, converse, greet, refuses, says};
use super::support::Peer;
use super::token_endpoint::outcome;

const SESSION: &str = "IQoJb3JpZ2luX2VjEA+/=";

fn options(peer: &Peer, mechanism: &str) -> ClientOptions {
    let sasl = json!({ "mechanism": mechanism, "withoutTls": true, "awsRegion": "eu-central-1", "awsAccessKeyId": "AKIDEXAMPLE",
        "awsSecretAccessKey": PASSWORD, "awsSessionToken": SESSION });
    let given = json!({ "brokers": peer.address.to_string(), "sasl": sasl });
    ClientOptions::parse(given.as_object().unwrap()).unwrap()
}

/// The signature of a presigned request, by the steps of AWS's guide. Values are as they stand in the query.
fn signature(host: &str, query: &[(String, String)]) -> String {
    let value = |name: &str| query.iter().find(|(n, _)| n == name).unwrap().1.clone();
    let scope = value("X-Amz-Credential").replace("%2F", "/");
    let scope = scope.split_once('/').unwrap().1;
    let mut sorted: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    sorted.sort();
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let request = format!("GET\n/\n{}\nhost:{host}\n\nhost\n{empty}", sorted.join("&"));
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", value("X-Amz-Date"), hex(&Sha256::digest(request)));
    let mac = |key: &[u8], text: &str| {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let key = scope.split('/').fold(format!("AWS4{PASSWORD}").into_bytes(), |key, part| mac(&key, part));
    hex(&mac(&key, &text))
}

fn percent(text: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Takes the SASL handshake and answers the one message; keeps mechanism and message.
async fn broker(answer: &'static str, refusal: bool) -> (Peer, Arc<Mutex<Vec<(String, String)>>>) {
    let shown = Arc::<Mutex<Vec<(String, String)>>>::default();
    let kept = shown.clone();
    let peer = Peer::start(move |_, mut conn| {
        let kept = kept.clone();
        async move {
            greet(&mut conn).await?;
            let mechanism = allow(&mut conn).await?;
            converse(&mut conn, |message| {
                kept.lock().push((mechanism, String::from_utf8(message.to_vec()).unwrap()));
                if refusal { refuses(answer) } else { says(answer) }
            })
            .await?;
            conn.serve_metadata(&[]).await
        }
    })
    .await;
    (peer, shown)
}

#[tokio::test]
async fn the_message_of_aws_msk_iam_is_signed_for_this_broker() {
    let (peer, shown) = broker(r#"{"version":"2020_10_22","request-id":"1"}"#, false).await;
    outcome(options(&peer, "AWS_MSK_IAM")).await.unwrap();
    let (mechanism, message) = shown.lock()[0].clone();
    assert_eq!(mechanism, "AWS_MSK_IAM");
    let said: Value = serde_json::from_str(&message).unwrap();
    let text = |name: &str| said[name].as_str().unwrap_or_else(|| panic!("{name}: {said}")).to_owned();
    assert_eq!((text("version"), text("host")), ("2020_10_22".to_owned(), peer.address.ip().to_string()));
    assert_eq!(
        (text("action"), text("x-amz-security-token")),
        ("kafka-cluster:Connect".to_owned(), SESSION.to_owned())
    );
    let names = [
        "Action",
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-Security-Token",
        "X-Amz-SignedHeaders",
    ];
    let query: Vec<_> = names.iter().map(|name| ((*name).to_owned(), percent(&text(&name.to_lowercase())))).collect();
    assert_eq!(text("x-amz-signature"), signature(&text("host"), &query));
    assert!(
        text("x-amz-credential").starts_with("AKIDEXAMPLE/")
            && text("x-amz-credential").contains("/eu-central-1/kafka-cluster/")
    );
}

#[tokio::test]
async fn the_token_for_oauthbearer_is_a_url_signed_for_the_region() {
    let (peer, shown) = broker("", false).await;
    outcome(options(&peer, "OAUTHBEARER")).await.unwrap();
    let (mechanism, message) = shown.lock()[0].clone();
    assert_eq!(mechanism, "OAUTHBEARER");
    let token = message.strip_prefix("n,,\u{1}auth=Bearer ").unwrap().trim_end_matches('\u{1}').to_owned();
    let url = String::from_utf8(URL_SAFE_NO_PAD.decode(token).unwrap()).unwrap();
    let host = "kafka.eu-central-1.amazonaws.com";
    let query = url.strip_prefix(&format!("https://{host}/?")).unwrap();
    let mut query: Vec<(String, String)> =
        query.split('&').map(|pair| pair.split_once('=').unwrap()).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    // Neither is signed: the one is the signature, the other is added afterwards.
    let (agent, shown) = (query.pop().unwrap(), query.pop().unwrap());
    assert!(agent.0 == "User-Agent" && agent.1.starts_with("dohle"), "{agent:?}");
    assert_eq!(shown, ("X-Amz-Signature".to_owned(), signature(host, &query)));
}

#[tokio::test]
async fn credentials_that_are_refused_are_told() {
    let (peer, _) = broker("[0f1e]: Access denied", true).await;
    let error = outcome(options(&peer, "AWS_MSK_IAM")).await.unwrap_err();
    assert!(
        error.code() == "SASL_AUTHENTICATION_FAILED" && error.class() == ErrorClass::InvalidConfiguration,
        "{error}"
    );
    assert!(error.message().contains("AWS_MSK_IAM") && error.message().contains("Access denied"), "{error}");
    assert!(!error.message().contains(SESSION), "{error}");
    // Whoever answers nothing is no broker of MSK's.
    let (peer, _) = broker("", false).await;
    let error = outcome(options(&peer, "AWS_MSK_IAM")).await.unwrap_err();
    assert!(error.code() == "SASL_AUTHENTICATION_FAILED", "{error}");
}
