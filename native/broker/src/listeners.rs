//! Where the broker listens and what it tells clients: Kafka's `listeners`, `advertised.listeners` and
//! `listener.security.protocol.map`, or the simple options `host` and `port`. Nothing is opened here.
//!
//! Loopback unless told: a listener without a host is on `localhost`, where Kafka's is on every interface, unless
//! `allow_non_loopback` is set.

use std::net::{IpAddr, SocketAddr};

use crate::{BrokerOptions, config::split};

pub(crate) const LISTENERS: &str = "listeners";
pub(crate) const ADVERTISED: &str = "advertised.listeners";
const PROTOCOLS: &str = "listener.security.protocol.map";
const CONTROLLERS: &str = "controller.listener.names";

/// A place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub name: String,
    pub host: String,
    pub port: u16,
    pub protocol: Protocol,
    /// What clients are told; `None`: what they came to.
    pub advertised_host: Option<String>,
    /// `None`: the port listened on.
    pub advertised_port: Option<u16>,
}

/// What a listener speaks beneath Kafka's protocol, and at its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Protocol {
    pub tls: bool,
    pub sasl: bool,
}

impl Protocol {
    const ALL: [(&str, Self); 4] = [
        ("PLAINTEXT", Self { tls: false, sasl: false }),
        ("SSL", Self { tls: true, sasl: false }),
        ("SASL_PLAINTEXT", Self { tls: false, sasl: true }),
        ("SASL_SSL", Self { tls: true, sasl: true }),
    ];

    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, protocol)| *protocol)
    }

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, protocol)| *protocol == self).map_or("", |(name, _)| name)
    }
}

/// An endpoint that is open.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub address: SocketAddr,
    pub endpoint: Endpoint,
}

/// The property that is wrong, and a sentence.
type Wrong = (&'static str, String);

/// The endpoints that options ask for, checked.
pub(crate) fn endpoints(options: &BrokerOptions) -> Result<Vec<Endpoint>, Wrong> {
    let text = |name: &str| options.properties.get(name).map(String::as_str).unwrap_or_default();
    let advertised = advertised(options, text(ADVERTISED))?;
    let mut endpoints: Vec<Endpoint> = Vec::new();
    if text(LISTENERS).is_empty() {
        let host = options.host.trim_start_matches('[').trim_end_matches(']').to_string();
        let protocol = Protocol { tls: options.tls.is_some(), sasl: options.sasl.is_some() };
        endpoints.push(Endpoint {
            name: protocol.name().into(),
            host,
            port: options.port,
            protocol,
            advertised_host: options.advertised_host.clone(),
            advertised_port: options.advertised_port,
        });
    }
    for listener in split(text(LISTENERS)) {
        let wrong = |why: &str| (LISTENERS, format!("{listener}: {why}"));
        let (name, host, port) = parse(listener).map_err(|why| wrong(&why))?;
        if split(text(CONTROLLERS)).any(|controller| controller == name) {
            continue; // Brokers and controllers talk there: there are no others.
        }
        let protocol = match protocol(text(PROTOCOLS), &name) {
            None => return Err(wrong(&format!("{PROTOCOLS} does not name {name}"))),
            Some(named) => Protocol::named(named).ok_or_else(|| wrong(&format!("{named} is no security protocol")))?,
        };
        if endpoints.iter().any(|other| other.name == name) {
            return Err(wrong("Each listener must have a different name"));
        }
        let same_port = |other: &&Endpoint| port != 0 && other.port == port && family(&other.host) == family(&host);
        if let Some(other) = endpoints.iter().find(same_port) {
            return Err(wrong(&format!("the port is that of {} too", other.name)));
        }
        let host = match host.as_str() {
            "" if options.allow_non_loopback => "0.0.0.0".into(),
            "" => "localhost".into(),
            _ => host,
        };
        endpoints.push(Endpoint { name, host, port, protocol, advertised_host: None, advertised_port: None });
    }
    if endpoints.is_empty() {
        return Err((LISTENERS, "There must be a listener that is not a controller's".into()));
    }
    for (name, host, port) in advertised {
        let controllers = split(text(CONTROLLERS)).any(|controller| controller == name);
        match endpoints.iter_mut().find(|endpoint| endpoint.name == name) {
            Some(endpoint) => {
                endpoint.advertised_host = Some(host);
                endpoint.advertised_port = Some(port).filter(|port| *port != 0);
            }
            None if controllers => {}
            None => return Err((ADVERTISED, format!("{name}: there is no listener of this name"))),
        }
    }
    Ok(endpoints)
}

fn advertised(options: &BrokerOptions, text: &str) -> Result<Vec<(String, String, u16)>, Wrong> {
    let mut all = Vec::new();
    for listener in split(text) {
        let wrong = |why: &str| (ADVERTISED, format!("{listener}: {why}"));
        let (name, host, port) = parse(listener).map_err(|why| wrong(&why))?;
        if host == "0.0.0.0" || host == "::" {
            return Err(wrong("clients cannot connect to this address"));
        }
        let host = if host.is_empty() { options.host.clone() } else { host };
        all.push((name, host, port));
    }
    Ok(all)
}

/// `NAME://host:port`, with an IPv6 address in brackets.
fn parse(listener: &str) -> Result<(String, String, u16), String> {
    let form = || "it must be NAME://host:port, with an IPv6 address in brackets".to_string();
    let (name, rest) = listener.split_once("://").ok_or_else(form)?;
    let (host, port) = rest.rsplit_once(':').ok_or_else(form)?;
    let port = port.parse().map_err(|_| format!("{port} is no port"))?;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if name.is_empty() || !name.chars().all(legal) {
        return Err(form());
    }
    let host = match host.strip_prefix('[').map(|host| host.strip_suffix(']')) {
        Some(Some(inner)) if inner.parse::<std::net::Ipv6Addr>().is_ok() => inner,
        Some(_) => return Err(form()),
        None if host.contains(':') => return Err(form()),
        None => host,
    };
    Ok((name.to_ascii_uppercase(), host.to_string(), port))
}

/// The security protocol of a listener; those named like one need no map.
fn protocol<'a>(map: &'a str, name: &'a str) -> Option<&'a str> {
    let mapped = split(map).filter_map(|pair| pair.split_once(':')).find(|(of, _)| of.eq_ignore_ascii_case(name));
    let itself = || ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"].contains(&name).then_some(name);
    mapped.map(|(_, protocol)| protocol.trim()).or_else(itself)
}

/// IPv4 and IPv6 addresses may share a port (KIP-797).
fn family(host: &str) -> Option<bool> {
    host.parse::<IpAddr>().ok().map(|address| address.is_ipv6())
}

/// Host and port for a client that reached us at `local`.
pub(crate) fn told(open: &[Open], local: SocketAddr) -> (String, u16) {
    let ip = canonical(local.ip());
    let endpoint = at(open, local).map(|of| &of.endpoint);
    let host = endpoint.and_then(|of| of.advertised_host.clone()).unwrap_or_else(|| ip.to_string());
    (host, endpoint.and_then(|of| of.advertised_port).unwrap_or(local.port()))
}

/// Host and port of another node's listener of the same name, for a client that reached us at `local`.
pub(crate) fn told_of(other: &[Open], own: &[Open], local: SocketAddr) -> (String, u16) {
    let came_to = at(own, local);
    let same_name = |of: &&Open| came_to.is_none_or(|own| own.endpoint.name == of.endpoint.name);
    let same_family = |of: &&Open| of.address.is_ipv4() == canonical(local.ip()).is_ipv4();
    let all = || other.iter().filter(same_name);
    let Some(of) = all().find(same_family).or_else(|| all().next()).or(other.first()) else { return told(own, local) };
    // One that listens everywhere is found where the client has found us.
    let ip = if of.address.ip().is_unspecified() { canonical(local.ip()) } else { canonical(of.address.ip()) };
    told(other, SocketAddr::new(ip, of.address.port()))
}

fn at(open: &[Open], local: SocketAddr) -> Option<&Open> {
    let ip = canonical(local.ip());
    let exact = open.iter().find(|of| canonical(of.address.ip()) == ip && of.address.port() == local.port());
    exact.or_else(|| open.iter().find(|of| of.address.ip().is_unspecified() && of.address.port() == local.port()))
}

fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(properties: &[(&str, &str)]) -> Result<Vec<Endpoint>, Wrong> {
        let mut options = BrokerOptions::new();
        for (name, value) in properties {
            options.set(name, value).unwrap();
        }
        endpoints(&options)
    }

    #[test]
    fn listeners_have_names_hosts_ports_and_what_is_advertised() {
        let found = of(&[
            (LISTENERS, "PLAINTEXT://:9092, inside://[::1]:9092,CONTROLLER://:9093"),
            (ADVERTISED, "inside://kafka.example:19092,CONTROLLER://x:1"),
            (PROTOCOLS, "INSIDE:PLAINTEXT,CONTROLLER:SASL_SSL"),
            (CONTROLLERS, "CONTROLLER"),
        ])
        .unwrap();
        let plain: Vec<_> = found.iter().map(|of| (&*of.name, &*of.host, of.port)).collect();
        assert_eq!(plain, [("PLAINTEXT", "localhost", 9092), ("INSIDE", "::1", 9092)]);
        assert_eq!(found[0].advertised_host, None);
        assert_eq!(
            (found[1].advertised_host.as_deref(), found[1].advertised_port),
            (Some("kafka.example"), Some(19092))
        );
    }

    #[test]
    fn a_wrong_listener_is_named_with_the_reason() {
        for (properties, property, reason) in [
            (&[(LISTENERS, "PLAINTEXT://a")][..], LISTENERS, "must be NAME://host:port"),
            (&[(LISTENERS, "PLAINTEXT://a:b")], LISTENERS, "b is no port"),
            (&[(LISTENERS, "PLAINTEXT://::1:9")], LISTENERS, "in brackets"),
            (&[(LISTENERS, "OTHER://a:9")], LISTENERS, "listener.security.protocol.map does not name OTHER"),
            (&[(LISTENERS, "A://a:9"), (PROTOCOLS, "A:FOO")], LISTENERS, "FOO is no security protocol"),
            (&[(LISTENERS, "PLAINTEXT://a:9,PLAINTEXT://b:8")], LISTENERS, "different name"),
            (&[(LISTENERS, "PLAINTEXT://a:9,B://b:9"), (PROTOCOLS, "B:PLAINTEXT")], LISTENERS, "that of PLAINTEXT too"),
            (&[(ADVERTISED, "OTHER://a:9")], ADVERTISED, "no listener of this name"),
            (&[(ADVERTISED, "PLAINTEXT://0.0.0.0:9")], ADVERTISED, "cannot connect"),
            (&[(LISTENERS, "C://:1"), (CONTROLLERS, "C")], LISTENERS, "not a controller's"),
        ] {
            let (named, why) = of(properties).unwrap_err();
            assert!(named == property && why.contains(reason), "{named}: {why}");
        }
    }
}
