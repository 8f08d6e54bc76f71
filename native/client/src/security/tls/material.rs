//! Certificates and keys: from options or files, as PEM, into what rustls takes.
//!
//! No error quotes what was read: it may be a key.

use std::fs;
#[allow(clippy::disallowed_types, reason = "the age of a file, which is no clock")]
use std::time::SystemTime;

use dohle_security::pem::{self, PemError};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::collections::Set;
use crate::error::{Error, Result};
use crate::generated::options::ClientOptions;
use crate::options::OptionError;
use crate::security::Secret;
use crate::security::tls::Named;

/// Certificates and keys that take the place of those a client has: PEM, as in the options `tls.ca`, `tls.cert`, `tls.key` and
/// `tls.passphrase`. What is none stays as it is.
#[derive(Clone, Debug, Default)]
pub struct TlsMaterial {
    /// Whom to trust.
    pub ca: Option<String>,
    /// The client's certificate and those between it and its authority; with its key.
    pub cert: Option<String>,
    /// The certificate's private key.
    pub key: Option<Secret>,
    /// Opens the key.
    pub passphrase: Option<Secret>,
}

/// Where certificates and keys come from.
#[derive(Clone)]
pub(super) struct Sources {
    ca: Option<Source>,
    chain: Option<Source>,
    key: Option<Source>,
    passphrase: Option<Secret>,
}

/// A private key of another use than TLS.
pub(crate) struct KeySource(Source);

impl KeySource {
    /// None: neither option is given.
    pub(crate) fn new(text: Named<Secret>, file: (&'static str, &Option<String>)) -> Result<Option<Self>, OptionError> {
        Ok(source(text, file)?.map(Self))
    }

    /// The option that gives it.
    pub(crate) fn option(&self) -> &'static str {
        self.0.option
    }

    /// What it is now, in PEM.
    pub(crate) fn read(&self) -> Result<Zeroizing<String>> {
        self.0.read().map(|(_, text)| text)
    }
}

/// One of them, under the name of its option.
#[derive(Clone)]
struct Source {
    option: &'static str,
    from: From,
}

#[derive(Clone)]
enum From {
    Text(Secret),
    File(String),
}

/// What tells that a file has changed; none: it could not be looked at.
#[allow(clippy::disallowed_types, reason = "the age of a file, which is no clock")]
pub(super) type Stamp = Option<(SystemTime, u64)>;

/// What was read.
pub(super) struct Material {
    ca: Option<(&'static str, Zeroizing<String>)>,
    chain: Option<(&'static str, Zeroizing<String>)>,
    key: Option<(&'static str, Zeroizing<String>)>,
    passphrase: Option<Secret>,
}

const CA: &str = "tls.ca (ssl.truststore.certificates)";
const CERT: &str = "tls.cert (ssl.keystore.certificate.chain)";
const KEY: &str = "tls.key (ssl.keystore.key)";
const CA_FILE: &str = "tls.caFile (ssl.ca.location)";
const CERT_FILE: &str = "tls.certFile (ssl.certificate.location)";
const KEY_FILE: &str = "tls.keyFile (ssl.key.location)";
const PASSPHRASE: &str = "tls.passphrase (ssl.key.password)";

impl Sources {
    pub(super) fn new(options: &ClientOptions) -> Result<Self, OptionError> {
        let pem = |text: &Option<String>| text.as_deref().map(Secret::new);
        let ca = source((CA, pem(&options.tls_ca)), (CA_FILE, &options.tls_ca_file))?;
        let chain = source((CERT, pem(&options.tls_cert)), (CERT_FILE, &options.tls_cert_file))?;
        let key = source((KEY, options.tls_key.clone()), (KEY_FILE, &options.tls_key_file))?;
        let sources = Self { ca, chain, key, passphrase: options.tls_passphrase.clone() };
        sources.check_pairs()?;
        Ok(sources)
    }

    /// These with what is given in the place of what they have.
    pub(super) fn with(&self, given: TlsMaterial) -> Result<Self, OptionError> {
        let text = |option, text| Some(Source { option, from: From::Text(text) });
        let own = Self {
            ca: None,
            chain: given.cert.and_then(|cert| text(CERT, Secret::new(cert))),
            key: given.key.and_then(|key| text(KEY, key)),
            passphrase: given.passphrase,
        };
        own.check_pairs()?;
        let ca = given.ca.map_or_else(|| self.ca.clone(), |ca| text(CA, Secret::new(ca)));
        Ok(if own.key.is_some() { Self { ca, ..own } } else { Self { ca, ..self.clone() } })
    }

    fn check_pairs(&self) -> Result<(), OptionError> {
        match (&self.chain, &self.key) {
            (Some(chain), None) => {
                let text =
                    "needs its private key beside it: tls.key (ssl.keystore.key) or tls.keyFile (ssl.key.location)";
                Err(OptionError::new(chain.option, text))
            }
            (None, Some(key)) => {
                let text = "needs its certificate beside it: tls.cert (ssl.keystore.certificate.chain) or tls.certFile \
                            (ssl.certificate.location)";
                Err(OptionError::new(key.option, text))
            }
            (None, None) if self.passphrase.is_some() => {
                Err(OptionError::new(PASSPHRASE, "is given, but no key that it could open"))
            }
            _ => Ok(()),
        }
    }

    /// Authorities only.
    pub(super) fn of_authorities(
        (option, text): Named<&str>,
        (file_option, file): Named<&String>,
    ) -> Result<Self, OptionError> {
        let ca = source((option, text.map(Secret::new)), (file_option, &file.cloned()))?;
        Ok(Self { ca, chain: None, key: None, passphrase: None })
    }

    /// Whether everything is there and is PEM. Keys are not opened: that may take long.
    pub(super) fn check(&self) -> Result<()> {
        let material = self.read()?;
        for (option, text) in [&material.ca, &material.chain].into_iter().flatten() {
            certificates(option, text)?;
        }
        if let Some((option, text)) = &material.key
            && !text.contains("PRIVATE KEY-----")
        {
            return Err(refused(option, text, &PemError::NoKey).into());
        }
        Ok(())
    }

    pub(super) fn read(&self) -> Result<Material> {
        let read = |source: &Option<Source>| source.as_ref().map(Source::read).transpose();
        Ok(Material {
            ca: read(&self.ca)?,
            chain: read(&self.chain)?,
            key: read(&self.key)?,
            passphrase: self.passphrase.clone(),
        })
    }

    /// Of the files among them; empty when there are none.
    pub(super) fn stamps(&self) -> Vec<Stamp> {
        let sources = [&self.ca, &self.chain, &self.key].into_iter().flatten();
        let files = sources.filter_map(|source| match &source.from {
            From::File(path) => Some(path),
            From::Text(_) => None,
        });
        files.map(|path| fs::metadata(path).and_then(|facts| Ok((facts.modified()?, facts.len()))).ok()).collect()
    }
}

fn source(
    (text_option, text): (&'static str, Option<Secret>),
    (file_option, file): (&'static str, &Option<String>),
) -> Result<Option<Source>, OptionError> {
    match (text, file) {
        (Some(_), Some(_)) => {
            Err(OptionError::new(text_option, format!("is given, and {file_option} too; one is enough")))
        }
        (Some(text), None) => Ok(Some(Source { option: text_option, from: From::Text(text) })),
        (None, Some(path)) => Ok(Some(Source { option: file_option, from: From::File(path.clone()) })),
        (None, None) => Ok(None),
    }
}

impl Source {
    fn read(&self) -> Result<(&'static str, Zeroizing<String>)> {
        let text = match &self.from {
            From::Text(text) => Zeroizing::new(text.expose().to_owned()),
            From::File(path) => Zeroizing::new(fs::read_to_string(path).map_err(|error| {
                let why = match error.kind() {
                    std::io::ErrorKind::InvalidData => {
                        "it is not text; PEM is wanted, not DER or a key store".to_owned()
                    }
                    _ => error.to_string(),
                };
                Error::from(OptionError::new(self.option, format!("'{path}' cannot be read: {why}"))).with_source(error)
            })?),
        };
        Ok((self.option, text))
    }
}

impl Material {
    /// Whom to trust.
    pub(super) fn trusted(&self) -> Result<Trusted> {
        let Some((option, text)) = &self.ca else { return platform_roots() };
        let certificates = certificates(option, text)?;
        let fingerprints = certificates.iter().map(fingerprint).collect();
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate).map_err(|error| {
                OptionError::new(*option, format!("has a certificate that cannot be used: {error}"))
            })?;
        }
        Ok(Trusted { roots, fingerprints })
    }

    /// Who the client is.
    pub(super) fn identity(&self) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>> {
        let (Some((chain_option, chain)), Some((key_option, key))) = (&self.chain, &self.key) else { return Ok(None) };
        let chain = certificates(chain_option, chain)?;
        Ok(Some((chain, private_key(key_option, key, (PASSPHRASE, self.passphrase.as_ref()))?)))
    }
}

/// Whom to trust.
pub(super) struct Trusted {
    pub(super) roots: RootCertStore,
    /// Of the certificates that the roots were taken from.
    pub(super) fingerprints: Fingerprints,
}

/// SHA-256 of whole certificates.
pub(super) type Fingerprints = Set<[u8; 32]>;

pub(super) fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

fn certificates(option: &'static str, text: &str) -> Result<Vec<CertificateDer<'static>>, OptionError> {
    pem::certificates(text).map_err(|error| refused(option, text, &error))
}

/// The key in a PEM, of any form; `passphrase` opens it when it is encrypted.
pub(crate) fn private_key(
    option: &'static str,
    text: &str,
    (passphrase_option, passphrase): Named<&Secret>,
) -> Result<PrivateKeyDer<'static>, OptionError> {
    pem::private_key(text, passphrase).map_err(|error| {
        let option = if error.is_about_passphrase() { passphrase_option } else { option };
        refused(option, text, &error)
    })
}

/// What is wrong with a PEM, and where the path of a file would go if it is one.
fn refused(option: &'static str, text: &str, error: &PemError) -> OptionError {
    let is_absent = matches!(error, PemError::NoCertificate | PemError::NoKey);
    let hint = if is_absent { file_hint(option, text) } else { String::new() };
    OptionError::new(option, format!("{error}{hint}"))
}

/// The options of text, and those that take the path of a file instead.
const FILES: [(&str, &str); 5] = [
    (CA, CA_FILE),
    (CERT, CERT_FILE),
    (KEY, KEY_FILE),
    ("sasl.tokenEndpointCa (https.ca.pem)", "sasl.tokenEndpointCaFile (https.ca.location)"),
    (
        "sasl.assertionKey (sasl.oauthbearer.assertion.private.key.pem)",
        "sasl.assertionKeyFile (sasl.oauthbearer.assertion.private.key.file)",
    ),
];

/// One line without a PEM's beginning is likely the path of a file.
fn file_hint(option: &str, text: &str) -> String {
    let is_pem = text.contains("-----BEGIN");
    let file = FILES.into_iter().find(|(of, _)| *of == option).filter(|_| !is_pem);
    file.map_or_else(String::new, |(_, file)| format!("; the path of a file goes into {file}"))
}

/// Certificate and key do not go together, or not with TLS.
pub(super) fn unfit(error: rustls::Error) -> Error {
    let why = match error {
        rustls::Error::InconsistentKeys(_) => "the private key is not that of the certificate".to_owned(),
        other => format!("cannot be used: {other}"),
    };
    OptionError::new(CERT, why).into()
}

fn platform_roots() -> Result<Trusted> {
    let found = rustls_native_certs::load_native_certs();
    let fingerprints = found.certs.iter().map(fingerprint).collect();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(Trusted { roots, fingerprints });
    }
    let why = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
    Err(Error::invalid_config(format!(
        "this machine has no certificates of authorities that it trusts{why}: install its package of them (ca-certificates), \
         name a file in SSL_CERT_FILE, or give those of your brokers as tls.ca (ssl.truststore.certificates, ssl.ca.location)"
    )))
}
