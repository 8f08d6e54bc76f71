//! How connections are secured: TLS beneath Kafka's protocol, SASL at its beginning; what the options say of both, checked.
//!
//! It opens no connection: `net` does, and calls in here for the TLS handshake and the SASL exchange. Secrets live in
//! [`Secret`], which nothing prints.

pub mod aws;
mod http;
mod off_thread;
mod oidc;
mod percent;
pub(crate) mod sasl;
pub(crate) mod tls;
pub mod token;

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::generated::options::{ClientOptions, SaslMechanism, SecurityProtocol, SslEndpointIdentificationAlgorithm};
use crate::options::OptionError;
use crate::world::World;
use aws::CredentialSource;
pub use dohle_security::Secret;
pub(crate) use off_thread::off_thread;
use sasl::Sasl;
use tls::Tls;
pub use tls::TlsMaterial;
use token::TokenSource;

/// What a program gives besides options: functions.
#[derive(Clone, Default)]
pub struct Sources {
    /// Gives the tokens of OAUTHBEARER.
    pub tokens: Option<Arc<dyn TokenSource>>,
    /// Gives credentials of AWS.
    pub credentials: Option<Arc<dyn CredentialSource>>,
}

/// What the options of a client ask for.
pub(crate) struct Security {
    /// None: connections are plain.
    pub(crate) tls: Option<Tls>,
    /// None: nobody is asked who they are.
    pub(crate) sasl: Option<Sasl>,
}

impl Security {
    /// Checks the options against each other, and against what the program gives besides.
    pub(crate) fn new(options: &ClientOptions, sources: Sources) -> Result<Self> {
        let encrypted = wants_tls(options)?;
        let tls = if encrypted { Some(Tls::new(options)?) } else { None };
        let sasl = match wants_sasl(options, &sources)? {
            Some(mechanism) => {
                check_exposure(options, mechanism, encrypted)?;
                Some(Sasl::new(mechanism, options, sources)?)
            }
            None => None,
        };
        Ok(Self { tls, sasl })
    }
}

fn wants_tls(options: &ClientOptions) -> Result<bool, OptionError> {
    let member = tls_member(options);
    let said = match (options.security_protocol, options.tls) {
        (Some(protocol), tls) => {
            let encrypted = matches!(protocol, SecurityProtocol::Ssl | SecurityProtocol::SaslSsl);
            if tls.is_some_and(|tls| tls != encrypted) {
                let text = format!("contradicts security.protocol {}; one of them is enough", protocol.name());
                return Err(OptionError::new(format!("tls: {}", !encrypted), text));
            }
            Some((encrypted, format!("security.protocol is {}", protocol.name())))
        }
        (None, Some(tls)) => Some((tls, format!("tls is {tls}"))),
        (None, None) => None,
    };
    match (said, member) {
        (Some((false, why)), Some(member)) => Err(OptionError::new(member, format!("is given, but {why}"))),
        (Some((encrypted, _)), _) => Ok(encrypted),
        (None, member) => Ok(member.is_some()),
    }
}

/// An option of TLS that is given.
fn tls_member(options: &ClientOptions) -> Option<&'static str> {
    let any_name = options.tls_endpoint_identification == SslEndpointIdentificationAlgorithm::None;
    [
        (options.tls_ca.is_some(), "tls.ca (ssl.truststore.certificates)"),
        (options.tls_ca_file.is_some(), "tls.caFile (ssl.ca.location)"),
        (options.tls_cert.is_some(), "tls.cert (ssl.keystore.certificate.chain)"),
        (options.tls_cert_file.is_some(), "tls.certFile (ssl.certificate.location)"),
        (options.tls_key.is_some(), "tls.key (ssl.keystore.key)"),
        (options.tls_key_file.is_some(), "tls.keyFile (ssl.key.location)"),
        (options.tls_passphrase.is_some(), "tls.passphrase (ssl.key.password)"),
        (options.tls_server_name.is_some(), "tls.serverName (tls.server.name)"),
        (!options.tls_verify, "tls.verify (enable.ssl.certificate.verification)"),
        (any_name, "tls.endpointIdentification (ssl.endpoint.identification.algorithm)"),
    ]
    .into_iter()
    .find_map(|(given, name)| given.then_some(name))
}

fn wants_sasl(options: &ClientOptions, sources: &Sources) -> Result<Option<SaslMechanism>, OptionError> {
    let member = [
        (options.sasl_mechanism.is_some(), "sasl.mechanism"),
        (options.sasl_username.is_some(), "sasl.username"),
        (options.sasl_password.is_some(), "sasl.password"),
        (options.sasl_delegation_token, sasl::DELEGATION_TOKEN),
        (options.sasl_token.is_some() || sources.tokens.is_some(), "sasl.token (sasl.oauthbearer.token)"),
        (options.sasl_extensions.is_some(), "sasl.extensions (sasl.oauthbearer.extensions)"),
    ]
    .into_iter()
    .find_map(|(given, name)| given.then_some(name))
    .or_else(|| oidc::member(options))
    .or_else(|| aws::member(options, sources.credentials.is_some()));
    let protocol = options.security_protocol;
    let asked =
        protocol.map(|protocol| matches!(protocol, SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl));
    let needed = |why: String| {
        let text = format!("is needed, since {why}: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM");
        Err(OptionError::new("sasl.mechanism", text))
    };
    match (asked, member, options.sasl_mechanism) {
        (Some(false), Some(member), _) => {
            let name = protocol.map_or("", SecurityProtocol::name);
            Err(OptionError::new(member, format!("is given, but security.protocol is {name}, which is without SASL")))
        }
        (Some(false), None, _) | (None, None, _) => Ok(None),
        (_, _, Some(mechanism)) => Ok(Some(mechanism)),
        (Some(true), _, None) => {
            needed(format!("security.protocol is {}", protocol.map_or("", SecurityProtocol::name)))
        }
        (None, Some(member), None) => needed(format!("{member} is given")),
    }
}

/// Mechanisms that hand over the secret itself need a connection that nobody can listen to.
fn check_exposure(options: &ClientOptions, mechanism: SaslMechanism, encrypted: bool) -> Result<(), OptionError> {
    let what = match mechanism {
        SaslMechanism::Plain => "password",
        SaslMechanism::Oauthbearer => "token",
        // Good for a quarter of an hour, for whoever shows it.
        SaslMechanism::AwsMskIam => "signature",
        _ => return Ok(()),
    };
    if encrypted || options.sasl_without_tls {
        return Ok(());
    }
    let text = format!(
        "{} sends the {what} readable for everyone on the way: turn TLS on (tls: true, security.protocol SASL_SSL){}, or \
         allow it with sasl.withoutTls (sasl.without.tls)",
        mechanism.name(),
        if mechanism == SaslMechanism::Plain { ", use SCRAM-SHA-512" } else { "" },
    );
    Err(OptionError::new("sasl.mechanism", text))
}

/// Runs work that may take long (reading files, opening keys) off the I/O thread, with this client's log.
async fn blocking<T: Send + 'static>(
    world: &dyn World,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (done, outcome) = tokio::sync::oneshot::channel();
    let log = tracing::dispatcher::get_default(Clone::clone);
    let work = move || drop(done.send(tracing::dispatcher::with_default(&log, work)));
    world.blocking(Box::new(work)).await;
    outcome.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Disconnected, "reading a file was given up")))
}

#[cfg(test)]
mod tests;
