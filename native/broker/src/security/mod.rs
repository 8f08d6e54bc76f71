//! What protects a listener: TLS beneath Kafka's protocol, SASL at its beginning; who somebody is; what they may do.
//! Settings are Kafka's, each with or without the prefix of a listener (`listener.name.internal.ssl.client.auth`) and of a
//! mechanism. A PLAINTEXT listener without an authorizer passes nothing of this. Driven by `broker` and `connection`.

pub(crate) mod authorizer;
mod der;
mod jaas;
mod jws;
pub(crate) mod limits;
mod mapping;
pub(crate) mod options;
pub(crate) mod principal;
pub(crate) mod sasl;
pub(crate) mod session;
mod tls;
pub(crate) mod tokens;

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;

use crate::{BrokerOptions, config::broker, listeners::Endpoint};
pub(crate) use principal::Principal;
pub(crate) use session::Session;

/// A property that is wrong, and a sentence.
pub(crate) type Wrong = (&'static str, String);

/// What a listener demands of connections.
pub(crate) struct Guard {
    pub listener: String,
    pub tls: Option<TlsAcceptor>,
    /// Who a subject of a certificate is.
    pub mapping: mapping::Mapping,
    pub sasl: Option<sasl::Server>,
}

impl Guard {
    /// What the settings ask for, checked; files are read.
    pub fn new(options: &BrokerOptions, endpoint: &Endpoint) -> Result<Arc<Self>, Wrong> {
        let settings = Settings { options, listener: endpoint.name.to_ascii_lowercase() };
        let tls = if endpoint.protocol.tls { Some(tls::acceptor(&settings)?) } else { None };
        let rules = settings.text(MAPPING_RULES);
        let mapping = mapping::Mapping::parse(rules.as_deref().unwrap_or("DEFAULT"));
        let mapping = mapping.map_err(|why| (MAPPING_RULES, format!("{MAPPING_RULES}: {why}")))?;
        let sasl = if endpoint.protocol.sasl { Some(sasl::Server::new(&settings)?) } else { None };
        Ok(Arc::new(Self { listener: endpoint.name.clone(), tls, mapping, sasl }))
    }
}

const MAPPING_RULES: &str = "ssl.principal.mapping.rules";

/// The settings that hold for one listener.
pub(crate) struct Settings<'a> {
    pub options: &'a BrokerOptions,
    /// In small letters.
    pub listener: String,
}

impl Settings<'_> {
    /// What is set, or else the default.
    pub fn text(&self, name: &str) -> Option<String> {
        self.given(name).or_else(|| broker::find(name)?.default()).filter(|text| !text.is_empty())
    }

    /// What is set for this listener, or else for all.
    pub fn given(&self, name: &str) -> Option<String> {
        self.read(&format!("listener.name.{}.{name}", self.listener)).or_else(|| self.read(name))
    }

    /// What is set for a mechanism of this listener, or else for the listener or for all.
    pub fn of_mechanism(&self, mechanism: &str, name: &str) -> Option<String> {
        let prefix = format!("listener.name.{}.{}", self.listener, mechanism.to_ascii_lowercase());
        self.read(&format!("{prefix}.{name}")).or_else(|| self.text(name))
    }

    /// A number of a mechanism.
    pub fn number(&self, mechanism: &str, name: &str) -> i64 {
        self.of_mechanism(mechanism, name).and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    fn read(&self, name: &str) -> Option<String> {
        let secret = || self.options.secrets.get(name).map(|secret| secret.expose().to_string());
        self.options.properties.get(name).cloned().or_else(secret).filter(|text| !text.is_empty())
    }
}

/// The property behind a name with the prefix of a listener, perhaps of a mechanism too.
pub(crate) fn unprefixed(name: &str, known: impl Fn(&str) -> bool) -> Option<&str> {
    let rest = name.strip_prefix("listener.name.")?;
    let ends = rest.match_indices('.').map(|(at, _)| &rest[at + 1..]);
    ends.into_iter().find(|name| known(name))
}
