//! The security of a broker in a few typed options; Kafka's properties say more.

use dohle_security::Secret;

use crate::BrokerOptions;

/// The broker's certificate, and what it asks of clients. All in PEM.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TlsOptions {
    /// The broker's certificate and those between it and its authority (`ssl.keystore.certificate.chain`).
    pub cert: String,
    /// The certificate's private key (`ssl.keystore.key`).
    pub key: Secret,
    /// Opens the key (`ssl.key.password`).
    pub passphrase: Option<Secret>,
    /// Authorities whose certificates are believed of clients (`ssl.truststore.certificates`).
    pub ca: Option<String>,
    /// Whether clients are asked for a certificate (`ssl.client.auth`). Default: required with `ca`, else not.
    pub client_auth: Option<ClientAuth>,
}

impl TlsOptions {
    /// A certificate and its key; clients are asked for none.
    pub fn new(cert: impl Into<String>, key: impl Into<String>) -> Self {
        Self { cert: cert.into(), key: Secret::new(key), passphrase: None, ca: None, client_auth: None }
    }
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAuth {
    /// They are not.
    None,
    /// They may show one, which must be good.
    Requested,
    /// They must.
    Required,
}

/// How clients log in.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SaslOptions {
    /// Who can.
    pub users: Vec<User>,
    /// What is offered (`sasl.enabled.mechanisms`). Default: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
    pub mechanisms: Vec<Mechanism>,
    /// Milliseconds after which clients must log in again (`connections.max.reauth.ms`). Default: never.
    pub max_reauth_ms: Option<u32>,
}

/// Somebody who can log in.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct User {
    /// The name.
    pub name: String,
    /// The password.
    pub password: Secret,
    /// With which mechanisms. Empty: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
    pub mechanisms: Vec<Mechanism>,
}

impl User {
    /// A user of all mechanisms that take a password.
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self { name: name.into(), password: Secret::new(password), mechanisms: Vec::new() }
    }

    pub(crate) fn has(&self, mechanism: Mechanism) -> bool {
        self.mechanisms.is_empty() && mechanism != Mechanism::OAuthBearer || self.mechanisms.contains(&mechanism)
    }
}

/// A way to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// Name and password.
    Plain,
    /// A proof of the password.
    ScramSha256,
    /// A proof of the password.
    ScramSha512,
    /// A token (RFC 7628).
    OAuthBearer,
}

impl Mechanism {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Plain, Self::ScramSha256, Self::ScramSha512, Self::OAuthBearer];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OAuthBearer => "OAUTHBEARER",
        }
    }

    /// That of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }
}

/// Who may do what: Kafka's ACLs are enforced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorizationOptions {
    /// Who may do everything (`super.users`), each as `User:name`. Who did not log in is `User:ANONYMOUS`.
    pub super_users: Vec<String>,
    /// What no ACL names is open to everybody (`allow.everyone.if.no.acl.found`). Default false.
    pub allow_everyone_if_no_acl_found: bool,
}

pub(crate) const AUTHORIZER: &str = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";

impl BrokerOptions {
    /// Puts the typed options where Kafka's properties are.
    pub(crate) fn settle(&mut self) {
        let mut set = |name: &str, value: String| drop(self.properties.insert(name.into(), value));
        if let Some(tls) = &self.tls {
            let demanded = match (tls.client_auth, &tls.ca) {
                (Some(ClientAuth::Required), _) | (None, Some(_)) => "required",
                (Some(ClientAuth::Requested), _) => "requested",
                (Some(ClientAuth::None), _) | (None, None) => "none",
            };
            set("ssl.client.auth", demanded.into());
            set("ssl.keystore.type", "PEM".into());
            set("ssl.truststore.type", "PEM".into());
            let of_key = [("ssl.keystore.key", Some(tls.key.clone())), ("ssl.key.password", tls.passphrase.clone())];
            let certificates = [
                ("ssl.keystore.certificate.chain", Some(Secret::new(tls.cert.as_str()))),
                ("ssl.truststore.certificates", tls.ca.as_deref().map(Secret::new)),
            ];
            for (name, value) in of_key.into_iter().chain(certificates) {
                if let Some(value) = value {
                    self.secrets.insert(name.into(), value);
                }
            }
        }
        if let Some(sasl) = &self.sasl {
            let passwords = [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512];
            let offered = if sasl.mechanisms.is_empty() { &passwords[..] } else { &sasl.mechanisms };
            let names: Vec<_> = offered.iter().map(|mechanism| mechanism.name()).collect();
            set("sasl.enabled.mechanisms", names.join(","));
            if let Some(ms) = sasl.max_reauth_ms {
                set("connections.max.reauth.ms", ms.to_string());
            }
        }
        if let Some(authorization) = &self.authorization {
            set("authorizer.class.name", AUTHORIZER.into());
            set("super.users", authorization.super_users.join(";"));
            set("allow.everyone.if.no.acl.found", authorization.allow_everyone_if_no_acl_found.to_string());
        }
    }
}
