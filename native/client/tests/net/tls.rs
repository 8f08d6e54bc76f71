//! TLS, with certificates made by the test: what is accepted, what is refused and in which words, and what hangs.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dohle_client::{Client, ClientOptions, Error, Lane};
use dohle_protocol::messages::MetadataRequest;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::support::{Peer, client_with, options, soon};

/// An authority of this test's own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
struct Identity {
    cert: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "the test's authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self, names: &[&str]) -> Identity {
        self.issue_with(names, |_| {})
    }

    fn issue_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        Identity { cert: cert.pem(), key: key.serialize_pem() }
    }
}

/// A broker behind TLS: what it decrypts goes to a scripted peer that knows metadata.
struct TlsBroker {
    address: SocketAddr,
    _peer: Peer,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for TlsBroker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TlsBroker {
    async fn start(identity: &Identity) -> Self {
        Self::start_with(identity, None).await
    }

    /// With `clients`, it wants a certificate of that authority.
    async fn start_with(identity: &Identity, clients: Option<&Authority>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let chain = CertificateDer::pem_slice_iter(identity.cert.as_bytes()).collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
        let peer = Peer::start(|_, mut conn| async move {
            conn.handshake().await?;
            conn.serve_metadata(&[]).await
        })
        .await;
        let (listener, inside) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), peer.address);
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut outer = acceptor.accept(stream).await.ok()?;
                    let mut inner = TcpStream::connect(inside).await.ok()?;
                    tokio::io::copy_bidirectional(&mut outer, &mut inner).await.ok()
                });
            }
        });
        Self { address, _peer: peer, task }
    }
}

fn client(address: SocketAddr, tls: Value) -> Client {
    let given = json!({ "brokers": address.to_string(), "tls": tls });
    let parsed = ClientOptions::parse(given.as_object().unwrap()).unwrap();
    let short = options(&[]);
    client_with(ClientOptions {
        bootstrap_servers: parsed.bootstrap_servers.clone(),
        reconnect_backoff: short.reconnect_backoff,
        reconnect_backoff_max: short.reconnect_backoff_max,
        ..parsed
    })
}

async fn ask(client: &Client) -> Result<(), Error> {
    soon(client.request(-1, Lane::General, &MetadataRequest::default(), Duration::from_secs(8))).await.map(drop)
}

async fn outcome(broker: &TlsBroker, tls: Value) -> Result<(), Error> {
    ask(&client(broker.address, tls)).await
}

/// It failed for good, in these words.
fn refused(outcome: Result<(), Error>, words: &[&str]) {
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), "TLS_HANDSHAKE_FAILED", "{error}");
    assert!(!error.retriable(), "{error}");
    for word in words {
        assert!(error.message().contains(word), "{error}");
    }
}

#[tokio::test]
async fn a_broker_with_a_certificate_of_a_trusted_authority_is_spoken_to() {
    let authority = Authority::new();
    for names in [&["127.0.0.1"][..], &["localhost", "127.0.0.1"]] {
        let broker = TlsBroker::start(&authority.issue(names)).await;
        outcome(&broker, json!({ "ca": authority.pem() })).await.unwrap();
        let bundle = format!("{}{}", Authority::new().pem(), authority.pem());
        outcome(&broker, json!({ "ca": bundle })).await.unwrap();
    }
}

#[tokio::test]
async fn an_unknown_authority_is_refused_and_can_be_overruled_loudly() {
    let broker = TlsBroker::start(&Authority::new().issue(&["127.0.0.1"])).await;
    let ca = Authority::new().pem();
    refused(outcome(&broker, json!({ "ca": ca })).await, &["authority that is not trusted", "tls.ca"]);
    let any_name = json!({ "ca": ca, "endpointIdentification": "none" });
    refused(outcome(&broker, any_name).await, &["authority that is not trusted"]);
    outcome(&broker, json!({ "verify": false })).await.unwrap();
}

#[tokio::test]
async fn a_name_that_does_not_fit_is_told_with_those_that_would() {
    let authority = Authority::new();
    let broker = TlsBroker::start(&authority.issue(&["kafka.example", "*.internal.example", "10.0.0.1"])).await;
    let ca = authority.pem();
    let words = ["not for '127.0.0.1', but for kafka.example, *.internal.example, 10.0.0.1", "tls.serverName"];
    refused(outcome(&broker, json!({ "ca": ca })).await, &words);
    for name in ["kafka.example", "kafka.example.", "b1.internal.example", "10.0.0.1"] {
        outcome(&broker, json!({ "ca": ca, "serverName": name })).await.unwrap();
    }
    refused(
        outcome(&broker, json!({ "ca": ca, "serverName": "a.b.internal.example" })).await,
        &["not for 'a.b.internal.example'"],
    );
    outcome(&broker, json!({ "ca": ca, "endpointIdentification": "none" })).await.unwrap();
}

#[tokio::test]
async fn certificates_outside_of_their_time_are_refused() {
    let authority = Authority::new();
    let old = authority.issue_with(&["127.0.0.1"], |params| {
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    });
    let early = authority.issue_with(&["127.0.0.1"], |params| {
        (params.not_before, params.not_after) = (date_time_ymd(3000, 1, 1), date_time_ymd(3001, 1, 1));
    });
    let tls = json!({ "ca": authority.pem() });
    refused(outcome(&TlsBroker::start(&old).await, tls.clone()).await, &["has expired", "days ago"]);
    refused(outcome(&TlsBroker::start(&early).await, tls).await, &["valid only in", "clock"]);
}

#[tokio::test]
async fn a_broker_that_wants_a_certificate_gets_it_or_says_so() {
    let (authority, other) = (Authority::new(), Authority::new());
    let broker = TlsBroker::start_with(&authority.issue(&["127.0.0.1"]), Some(&authority)).await;
    let ca = authority.pem();
    let Identity { cert, key } = authority.issue(&["client"]);
    outcome(&broker, json!({ "ca": ca, "cert": cert, "key": key })).await.unwrap();
    refused(outcome(&broker, json!({ "ca": ca })).await, &["wants a client certificate", "tls.cert and tls.key"]);
    let stranger = other.issue(&["client"]);
    refused(
        outcome(&broker, json!({ "ca": ca, "cert": stranger.cert, "key": stranger.key })).await,
        &["does not trust the client's certificate"],
    );
    let mixed = outcome(&broker, json!({ "ca": ca, "cert": cert, "key": stranger.key })).await.unwrap_err();
    assert_eq!(mixed.code(), "INVALID_CONFIG");
    assert!(mixed.message().contains("not that of the certificate"), "{mixed}");
}

#[tokio::test]
async fn certificates_that_changed_on_disk_are_read_for_the_next_connection() {
    let (first, second) = (Authority::new(), Authority::new());
    let dir = std::env::temp_dir().join(format!("dohle-tls-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let ca = dir.join("ca.pem");
    fs::write(&ca, first.pem()).unwrap();
    let broker = TlsBroker::start(&second.issue(&["127.0.0.1"])).await;
    let client = client(broker.address, json!({ "caFile": ca }));
    refused(ask(&client).await, &["not trusted"]);
    // Half written: what was read before stays in use, and what is whole is read again.
    fs::write(&ca, "-----BEGIN CERTIFICATE-----\n").unwrap();
    refused(ask(&client).await, &["not trusted"]);
    fs::write(&ca, format!("# the new one\n{}", second.pem())).unwrap();
    ask(&client).await.unwrap();
    fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test]
async fn a_plain_listener_is_named() {
    let hangs_up = Peer::start(|_, _| async { None }).await;
    let tls = || json!({ "ca": Authority::new().pem() });
    let error = ask(&client(hangs_up.address, tls())).await.unwrap_err();
    assert_eq!(error.code(), "BROKER_UNREACHABLE");
    assert!(error.message().contains("a listener without TLS does this"), "{error}");
    let answers = Peer::start(|_, mut conn| async move {
        conn.raw(b"\0\0\0\x10 what is this hello").await?;
        conn.ignore().await
    })
    .await;
    refused(ask(&client(answers.address, tls())).await, &["answers, but not with TLS"]);
}

#[tokio::test]
async fn a_tls_listener_spoken_to_without_is_named() {
    let broker = TlsBroker::start(&Authority::new().issue(&["127.0.0.1"])).await;
    let client = client_with(options(&[broker.address.to_string()]));
    let error = ask(&client).await.unwrap_err();
    assert!(error.message().contains("TLS"), "{error}");
}

#[tokio::test]
async fn a_handshake_that_hangs_costs_the_setup_timeout() {
    let silent = Peer::start(|_, mut conn| async move {
        tokio::io::AsyncReadExt::read_u8(&mut conn.stream).await.ok()?;
        // The beginning of a record that never ends.
        conn.raw(&[0x16, 3, 3, 0x40, 0, 2]).await?;
        std::future::pending().await
    })
    .await;
    let tls = json!({ "ca": Authority::new().pem() });
    let limit = json!({ "brokers": silent.address.to_string(), "tls": tls, "socketConnectionSetupTimeoutMs": 50, "socketConnectionSetupTimeoutMaxMs": 50 });
    let client = client_with(ClientOptions::parse(limit.as_object().unwrap()).unwrap());
    let error = ask(&client).await.unwrap_err();
    assert_eq!(error.code(), "BROKER_UNREACHABLE");
    assert!(error.message().contains("did not end the TLS handshake within 50 ms"), "{error}");
}
