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
pub use material::TlsMaterial;
pub(crate) use material::{KeySource, private_key};
use material::{Material, Sources, Stamp};
use verifier::{Anyone, Chain};

/// See the module.
pub(crate) struct Tls {
    inner: Arc<Inner>,
    server_name: Option<ServerName<'static>>,
    warned: AtomicBool,
}

/// What an option says, under the option's name.
pub(crate) type Named<T> = (&'static str, Option<T>);

struct Inner {
    /// Locked while they are read, which may take long: not on an I/O thread. Before `loaded`.
    sources: Mutex<Sources>,
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
        let inner =
            Inner { sources: Mutex::new(sources), verify: options.tls_verify, check_name, loaded: Mutex::default() };
        Ok(Self { inner: Arc::new(inner), server_name, warned: AtomicBool::new(false) })
    }

    /// TLS towards another service than a broker, that shows a certificate of these authorities; none: of the platform's.
    pub(crate) fn towards_service(ca: Named<&str>, ca_file: Named<&String>) -> Result<Self> {
        let sources = Sources::of_authorities(ca, ca_file)?;
        sources.check()?;
        let inner = Inner { sources: Mutex::new(sources), verify: true, check_name: true, loaded: Mutex::default() };
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
        elsewhere(world, move || inner.current()).await
    }

    /// Takes other certificates and keys, if they can be used, for all connections from the next one on.
    pub(crate) async fn exchange(&self, world: &dyn World, material: TlsMaterial) -> Result<()> {
        let inner = self.inner.clone();
        elsewhere(world, move || inner.exchange(material)).await
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

/// Work that may take long, on another thread, whose log is not this client's.
async fn elsewhere<T: Send + 'static>(
    world: &dyn World,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (done, outcome) = tokio::sync::oneshot::channel();
    let log = tracing::dispatcher::get_default(Clone::clone);
    let work = move || {
        let _ = done.send(tracing::dispatcher::with_default(&log, work));
    };
    world.blocking(Box::new(work)).await;
    outcome.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Disconnected, "reading certificates was given up")))
}

/// A name as certificates have it: a fully qualified one ends with a dot elsewhere, not there.
fn name_of(host: &str) -> Result<ServerName<'static>, ()> {
    let host = host.strip_suffix('.').unwrap_or(host);
    ServerName::try_from(host.to_owned()).map_err(|_| ())
}

impl Inner {
    fn current(&self) -> Result<Arc<ClientConfig>> {
        let sources = self.sources.lock();
        let stamps = sources.stamps();
        let old = match &*self.loaded.lock() {
            Some(loaded) if loaded.stamps == stamps => return Ok(loaded.config.clone()),
            old => old.as_ref().map(|loaded| loaded.config.clone()),
        };
        match (sources.read().and_then(|material| self.config(material)), old) {
            (Ok(config), old) => {
                if old.is_some() {
                    tracing::info!("TLS: the certificates have changed on disk and were read again");
                }
                Ok(self.loaded.lock().insert(Loaded { config: Arc::new(config), stamps }).config.clone())
            }
            // One of several files may be written and the others not yet: what was good still is.
            (Err(error), Some(old)) => {
                tracing::warn!(%error, "TLS: the changed certificates cannot be used yet; the old ones stay");
                Ok(old)
            }
            (Err(error), None) => Err(error),
        }
    }

    fn exchange(&self, material: TlsMaterial) -> Result<()> {
        let mut sources = self.sources.lock();
        let new = sources.with(material)?;
        let stamps = new.stamps();
        let config = Arc::new(self.config(new.read()?)?);
        *self.loaded.lock() = Some(Loaded { config, stamps });
        *sources = new;
        tracing::info!("TLS: other certificates were given; new connections use them");
        Ok(())
    }

    fn config(&self, material: Material) -> Result<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let impossible = |error: rustls::Error| Error::invalid_config(format!("TLS cannot be set up: {error}"));
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(impossible)?;
        let builder = if self.verify {
            let trusted = material.trusted()?;
            let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(trusted.roots), provider)
                .build()
                .map_err(|error| Error::invalid_config(format!("tls.ca: {error}")))?;
            let chain = Chain { webpki, trusted: trusted.fingerprints, check_name: self.check_name };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(chain))
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        };
        match material.identity()? {
            None => Ok(builder.with_no_client_auth()),
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(material::unfit),
        }
    }
}
