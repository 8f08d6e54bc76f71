//! A client's side of logging in, and certificates for both sides.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use dohle_broker::{Broker, BrokerOptions, SaslOptions, TlsOptions, User};
use dohle_protocol::{
    ErrorCode,
    messages::{SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest},
};
use dohle_security::scram::{Hash, Keys};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::*;

/// An authority that issues certificates.
pub struct Authority {
    pub pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

pub struct Issued {
    pub cert: String,
    pub key: String,
    pub der: CertificateDer<'static>,
    pub key_der: Vec<u8>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "the authority");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { pem, der, issuer: Issuer::new(params, key) }
    }

    pub fn issue(&self, name: &str) -> Issued {
        let mut params = CertificateParams::new(["localhost".to_string()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (cert, der) = (certificate.pem(), certificate.der().clone());
        Issued { cert, key: key.serialize_pem(), der, key_der: key.serialize_der() }
    }

    /// A broker's own.
    pub fn tls(&self) -> TlsOptions {
        let of_broker = self.issue("broker");
        TlsOptions::new(of_broker.cert, of_broker.key)
    }

    /// Connects, with a certificate of the client's or without.
    pub async fn connect(&self, broker: &Broker, own: Option<&Issued>) -> std::io::Result<TlsStream<TcpStream>> {
        self.connect_with(broker, own, rustls::ALL_VERSIONS).await
    }

    pub async fn connect_with(
        &self,
        broker: &Broker,
        own: Option<&Issued>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let config = config.with_root_certificates(roots);
        let config = match own {
            None => config.with_no_client_auth(),
            Some(own) => {
                let key = PrivateKeyDer::try_from(own.key_der.clone()).unwrap();
                config.with_client_auth_cert(vec![own.der.clone()], key).unwrap()
            }
        };
        let stream = TcpStream::connect(broker.address()).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

/// A broker that alice (`hunter2`) can log in to, with further properties.
pub async fn with_alice(properties: &[(&str, &str)]) -> Broker {
    let mut sasl = SaslOptions::default();
    sasl.users.push(User::new("alice", "hunter2"));
    let mut options = BrokerOptions::new().with_sasl(sasl);
    options.set("connection.failed.authentication.delay.ms", "0").unwrap();
    for (name, value) in properties {
        options.set(name, value).unwrap();
    }
    Broker::start_default(options).await.unwrap()
}

/// Logging in, from the client's side.
#[allow(async_fn_in_trait, reason = "tests run on one thread")]
pub trait LogsIn {
    async fn handshake(&mut self, mechanism: &str) -> ErrorCode;
    async fn say(&mut self, message: impl Into<Bytes>) -> SaslAuthenticateResponse;
    async fn plain(&mut self, user: &str, password: &str) -> SaslAuthenticateResponse;
    async fn scram(&mut self, hash: Hash, user: &str, password: &str, more: &str) -> SaslAuthenticateResponse;
    async fn bearer(&mut self, token: &str) -> SaslAuthenticateResponse;
}

impl<S: AsyncRead + AsyncWrite + Unpin> LogsIn for Connection<S> {
    async fn handshake(&mut self, mechanism: &str) -> ErrorCode {
        let request = SaslHandshakeRequest { mechanism: mechanism.into() };
        ErrorCode(self.ask(1, &request).await.error_code)
    }

    async fn say(&mut self, message: impl Into<Bytes>) -> SaslAuthenticateResponse {
        self.ask(2, &SaslAuthenticateRequest { auth_bytes: message.into(), ..Default::default() }).await
    }

    async fn plain(&mut self, user: &str, password: &str) -> SaslAuthenticateResponse {
        assert_eq!(self.handshake("PLAIN").await, ErrorCode::NONE);
        self.say(format!("\0{user}\0{password}")).await
    }

    async fn scram(&mut self, hash: Hash, user: &str, password: &str, more: &str) -> SaslAuthenticateResponse {
        let name = if hash == Hash::Sha256 { "SCRAM-SHA-256" } else { "SCRAM-SHA-512" };
        assert_eq!(self.handshake(name).await, ErrorCode::NONE);
        let bare = format!("n={user},r=nonce{more}");
        let first = self.say(format!("n,,{bare}")).await;
        if first.error_code != 0 {
            return first;
        }
        let challenge = String::from_utf8(first.auth_bytes.to_vec()).unwrap();
        let part = |name: &str| challenge.split(',').find_map(|part| part.strip_prefix(name)).unwrap();
        assert!(part("r=").starts_with("nonce") && part("r=").len() > 20);
        let salt = STANDARD.decode(part("s=")).unwrap();
        let keys = Keys::new(hash, password, &salt, part("i=").parse().unwrap());
        let without_proof = format!("c=biws,r={}", part("r="));
        let said = format!("{bare},{challenge},{without_proof}");
        let last = self.say(format!("{without_proof},p={}", STANDARD.encode(keys.proof(said.as_bytes())))).await;
        if last.error_code == 0 {
            let expected = format!("v={}", STANDARD.encode(keys.server_signature(said.as_bytes())));
            assert_eq!(last.auth_bytes, expected, "the broker knows the password too");
        }
        last
    }

    async fn bearer(&mut self, token: &str) -> SaslAuthenticateResponse {
        assert_eq!(self.handshake("OAUTHBEARER").await, ErrorCode::NONE);
        self.say(format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}")).await
    }
}

pub const LET_IN: (ErrorCode, i64) = (ErrorCode::NONE, 0);

pub fn outcome(answer: &SaslAuthenticateResponse) -> (ErrorCode, i64) {
    (ErrorCode(answer.error_code), answer.session_lifetime_ms)
}
