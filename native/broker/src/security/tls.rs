//! TLS of a listener: rustls on ring, as the client has it; certificates and keys in PEM.

use std::{fs, sync::Arc};

use dohle_security::{Secret, pem};
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    version::{TLS12, TLS13},
};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use super::{Settings, Wrong};
use crate::config::split;

const KEYSTORE_TYPE: &str = "ssl.keystore.type";
const KEYSTORE: &str = "ssl.keystore.location";
const CHAIN: &str = "ssl.keystore.certificate.chain";
const KEY: &str = "ssl.keystore.key";
const PASSWORD: &str = "ssl.key.password";
const TRUSTSTORE_TYPE: &str = "ssl.truststore.type";
const TRUSTSTORE: &str = "ssl.truststore.location";
const TRUSTED: &str = "ssl.truststore.certificates";
const CLIENT_AUTH: &str = "ssl.client.auth";
const VERSIONS: &str = "ssl.enabled.protocols";

/// What shakes hands with the clients of a listener.
pub(super) fn acceptor(settings: &Settings<'_>) -> Result<TlsAcceptor, Wrong> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = versions(settings)?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .map_err(|error| wrong(VERSIONS, &error.to_string()))?;
    let builder = match client_verifier(settings, provider)? {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    let (from, chain, key) = identity(settings)?;
    let config = builder.with_single_cert(chain, key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => wrong(from, "the private key is not that of the certificate"),
        other => wrong(from, &format!("cannot be used: {other}")),
    })?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn wrong(name: &'static str, why: &str) -> Wrong {
    (name, format!("{name}: {why}"))
}

fn versions(settings: &Settings<'_>) -> Result<Vec<&'static SupportedProtocolVersion>, Wrong> {
    let text = settings.text(VERSIONS).unwrap_or_default();
    let version = |name: &str| match name {
        "TLSv1.3" => Ok(&TLS13),
        "TLSv1.2" => Ok(&TLS12),
        other => Err(wrong(VERSIONS, &format!("{other} is not served; TLSv1.2 and TLSv1.3 are"))),
    };
    let versions = split(&text).map(version).collect::<Result<Vec<_>, _>>()?;
    if versions.is_empty() { Err(wrong(VERSIONS, "is empty; TLSv1.2 and TLSv1.3 are served")) } else { Ok(versions) }
}

type Identity =
    (&'static str, Vec<rustls::pki_types::CertificateDer<'static>>, rustls::pki_types::PrivateKeyDer<'static>);

/// The broker's certificate and key, and the property that they are from.
fn identity(settings: &Settings<'_>) -> Result<Identity, Wrong> {
    let (chain, key) = (settings.given(CHAIN), settings.given(KEY));
    let location = settings.given(KEYSTORE);
    let kind = settings.text(KEYSTORE_TYPE).unwrap_or_default();
    if chain.is_none() && key.is_none() && location.is_none() {
        return Err(wrong(
            KEYSTORE,
            "a listener with TLS needs a certificate and its key: in PEM, here or in \
                                    ssl.keystore.certificate.chain and ssl.keystore.key",
        ));
    }
    check_type(KEYSTORE_TYPE, &kind)?;
    let (chain_from, key_from, chain, key) = match (chain, key, location) {
        (Some(chain), Some(key), None) => (CHAIN, KEY, Zeroizing::new(chain), Zeroizing::new(key)),
        (None, None, Some(path)) => {
            let text = read(KEYSTORE, &path)?;
            (KEYSTORE, KEYSTORE, text.clone(), text)
        }
        (Some(_), None, None) => return Err(wrong(CHAIN, "needs its private key beside it: ssl.keystore.key")),
        (None, Some(_), None) => {
            return Err(wrong(KEY, "needs its certificate beside it: ssl.keystore.certificate.chain"));
        }
        _ => return Err(wrong(KEYSTORE, "is given, and the certificate or key itself too; one is enough")),
    };
    let chain = pem::certificates(&chain).map_err(|error| wrong(chain_from, &error.to_string()))?;
    let password = settings.given(PASSWORD).map(Secret::new);
    let key = pem::private_key(&key, password.as_ref())
        .map_err(|error| wrong(if error.is_about_passphrase() { PASSWORD } else { key_from }, &error.to_string()))?;
    Ok((chain_from, chain, key))
}

/// Who may be asked for a certificate, and whose are believed.
fn client_verifier(
    settings: &Settings<'_>,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, Wrong> {
    let demanded = settings.text(CLIENT_AUTH).unwrap_or_default();
    if demanded == "none" {
        return Ok(None);
    }
    let kind = || check_type(TRUSTSTORE_TYPE, &settings.text(TRUSTSTORE_TYPE).unwrap_or_default());
    let (from, text) = match (settings.given(TRUSTED), settings.given(TRUSTSTORE)) {
        (Some(text), None) => (TRUSTED, Zeroizing::new(text)),
        (None, Some(path)) => {
            kind()?;
            (TRUSTSTORE, read(TRUSTSTORE, &path)?)
        }
        (Some(_), Some(_)) => return Err(wrong(TRUSTED, "is given, and ssl.truststore.location too; one is enough")),
        (None, None) => {
            let why = format!("is {demanded}: whose certificates are believed is said by {TRUSTED} or {TRUSTSTORE}");
            return Err(wrong(CLIENT_AUTH, &why));
        }
    };
    kind()?;
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(&text).map_err(|error| wrong(from, &error.to_string()))? {
        let added = roots.add(certificate);
        added.map_err(|error| wrong(from, &format!("has a certificate that cannot be used: {error}")))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if demanded == "requested" { builder.allow_unauthenticated() } else { builder };
    builder.build().map(Some).map_err(|error| wrong(from, &error.to_string()))
}

fn check_type(name: &'static str, kind: &str) -> Result<(), Wrong> {
    if kind.eq_ignore_ascii_case("PEM") {
        return Ok(());
    }
    let how = format!(
        "{kind} is not read here, PEM is: set {name}=PEM. `openssl pkcs12 -in STORE.p12 -out STORE.pem -nodes` makes PEM of \
         PKCS12, which `keytool -importkeystore -srckeystore STORE.jks -destkeystore STORE.p12 -deststoretype PKCS12` makes \
         of JKS"
    );
    Err(wrong(name, &how))
}

fn read(name: &'static str, path: &str) -> Result<Zeroizing<String>, Wrong> {
    fs::read_to_string(path).map(Zeroizing::new).map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::InvalidData => "it is not text; PEM is wanted, not DER or a key store".to_string(),
            _ => error.to_string(),
        };
        wrong(name, &format!("'{path}' cannot be read: {why}"))
    })
}
