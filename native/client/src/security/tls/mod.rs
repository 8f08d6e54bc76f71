//! TLS towards brokers: rustls on ring, with the platform's authorities or given ones, and a certificate of the client's.
//!
//! It is made of the options once and of the files they name whenever these have changed, so that certificates are
//! exchanged without a restart. `net::connect` hands it a connected socket and gets one that encrypts.

mod failure;
mod material;
mod verifier;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::error::{Error, ErrorKind, Result};
use crate::generated::options::{ClientOptions, SslEndpointIdentificationAlgorithm};
use crate::net::Endpoint;
use crate::options::OptionError;
use crate::world::{Socket, World};
pub(crate) use failure::explain;
pub(crate) use material::{KeySource, private_key};
use material::{Material, Sources, Stamp};
use verifier::{AnyName, Anyone};

/// See the module.
pub(crate) struct Tls {
    inner: Arc<Inner>,
    server_name: Option<ServerName<'static>>,
    warned: AtomicBool,
}

/// What an option says, under the option's name.
pub(crate) type Named<T> = (&'static str, Option<T>);

struct Inner {
    sources: Sources,
    verify: bool,
    check_name: bool,
    loaded: Mutex<Option<Loaded>>,
}

struct Loaded {
    config: Arc<ClientConfig>,
    /// What the files looked like when they were read.
    stamps: Vec<Stamp>,
}

impl Tls {
    /// Checks what can be checked at once: contradictions, and whether the files are there and are PEM.
    pub(crate) fn new(options: &ClientOptions) -> Result<Self> {
        let sources = Sources::new(options)?;
        sources.check()?;
        let server_name = options.tls_server_name.as_deref().map(name_of).transpose().map_err(|()| {
            OptionError::new("tls.serverName (tls.server.name)", "is neither the name of a host nor an IP address")
        })?;
        let check_name = options.tls_endpoint_identification == SslEndpointIdentificationAlgorithm::Https;
        let inner = Inner { sources, verify: options.tls_verify, check_name, loaded: Mutex::default() };
        Ok(Self { inner: Arc::new(inner), server_name, warned: AtomicBool::new(false) })
    }

    /// TLS towards another service than a broker, that shows a certificate of these authorities; none: of the platform's.
    pub(crate) fn towards_service(ca: Named<&str>, ca_file: Named<&String>) -> Result<Self> {
        let sources = Sources::of_authorities(ca, ca_file)?;
        sources.check()?;
        let inner = Inner { sources, verify: true, check_name: true, loaded: Mutex::default() };
        Ok(Self { inner: Arc::new(inner), server_name: None, warned: AtomicBool::new(false) })
    }

    /// Says once what is not checked, when a connection is made with it.
    fn warn(&self) {
        if self.inner.verify && self.inner.check_name || self.warned.swap(true, Ordering::Relaxed) {
            return;
        }
        if self.inner.verify {
            tracing::warn!(
                "TLS: the names in certificates are NOT checked (ssl.endpoint.identification.algorithm is none)"
            );
        } else {
            tracing::warn!(
                "TLS: certificates are NOT verified (tls.verify is false): whoever answers is believed to be the broker"
            );
        }
    }

    /// What a new connection is made with; the files are read again where they have changed.
    pub(crate) async fn config(&self, world: &dyn World) -> Result<Arc<ClientConfig>> {
        self.warn();
        if let Some(loaded) = &*self.inner.loaded.lock()
            && loaded.stamps.is_empty()
        {
            return Ok(loaded.config.clone());
        }
        let inner = self.inner.clone();
        let (done, outcome) = tokio::sync::oneshot::channel();
        // On another thread, whose log is not this client's.
        let log = tracing::dispatcher::get_default(Clone::clone);
        let work = move || {
            let _ = done.send(tracing::dispatcher::with_default(&log, || inner.current()));
        };
        world.blocking(Box::new(work)).await;
        outcome.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Disconnected, "reading certificates was given up")))
    }

    /// Shakes hands over a connected socket. The caller sets the time limit.
    pub(crate) async fn connect(
        &self,
        config: Arc<ClientConfig>,
        endpoint: &Endpoint,
        socket: Box<dyn Socket>,
    ) -> Result<Box<dyn Socket>> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => name_of(&endpoint.host).map_err(|()| {
                let text = format!("{endpoint}: no certificate can be for such a name; tls.serverName tells another");
                Error::new(ErrorKind::TlsHandshakeFailed, text)
            })?,
        };
        match TlsConnector::from(config).connect(name, socket).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(failure::of_handshake(error, endpoint)),
        }
    }
}

/// Shakes hands with another service than a broker; what goes wrong is for the caller to word.
pub(crate) async fn shake_hands(
    config: Arc<ClientConfig>,
    host: &str,
    socket: Box<dyn Socket>,
) -> io::Result<Box<dyn Socket>> {
    let name = name_of(host).map_err(|()| io::Error::other("no certificate can be for such a name"))?;
    Ok(Box::new(TlsConnector::from(config).connect(name, socket).await?))
}

/// A name as certificates have it: a fully qualified one ends with a dot elsewhere, not there.
fn name_of(host: &str) -> Result<ServerName<'static>, ()> {
    let host = host.strip_suffix('.').unwrap_or(host);
    ServerName::try_from(host.to_owned()).map_err(|_| ())
}

impl Inner {
    fn current(&self) -> Result<Arc<ClientConfig>> {
        let mut loaded = self.loaded.lock();
        let stamps = self.sources.stamps();
        if let Some(loaded) = &*loaded
            && loaded.stamps == stamps
        {
            return Ok(loaded.config.clone());
        }
        match (self.sources.read().and_then(|material| self.config(material)), &mut *loaded) {
            (Ok(config), slot) => {
                if slot.is_some() {
                    tracing::info!("TLS: the certificates have changed on disk and were read again");
                }
                let config = Arc::new(config);
                *slot = Some(Loaded { config: config.clone(), stamps });
                Ok(config)
            }
            // One of several files may be written and the others not yet: what was good still is.
            (Err(error), Some(old)) => {
                tracing::warn!(%error, "TLS: the changed certificates cannot be used yet; the old ones stay");
                Ok(old.config.clone())
            }
            (Err(error), None) => Err(error),
        }
    }

    fn config(&self, material: Material) -> Result<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let impossible = |error: rustls::Error| Error::invalid_config(format!("TLS cannot be set up: {error}"));
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(impossible)?;
        let builder = if self.verify {
            let roots = Arc::new(material.roots()?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|error| Error::invalid_config(format!("tls.ca: {error}")))?;
            if self.check_name {
                builder.with_webpki_verifier(verifier)
            } else {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyName(verifier)))
            }
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        };
        match material.identity()? {
            None => Ok(builder.with_no_client_auth()),
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(material::unfit),
        }
    }
}
