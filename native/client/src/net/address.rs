//! `host:port` as users and brokers write it, IPv6 literals included.
//!
//! It resolves nothing. [`super::connect`] does, at every attempt anew, so that a changed DNS entry is seen.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};

const DEFAULT_PORT: u16 = 9092;

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// A name or an address literal, without brackets.
    pub host: Arc<str>,
    /// The TCP port.
    pub port: u16,
}

impl Endpoint {
    /// An endpoint as a broker announces it.
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// One entry of `bootstrap.servers`: `host`, `host:port`, `[::1]:9092`, also with `PLAINTEXT://` in front.
    pub fn parse(entry: &str) -> Result<Self> {
        let text = entry.trim();
        let text = strip_listener_protocol(text).ok_or_else(|| invalid(entry, "is a URL, not host:port"))?;
        let (host, port) = split_host_port(text).ok_or_else(|| invalid(entry, "is not host:port or [ipv6]:port"))?;
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/' || c == '@') {
            return Err(invalid(entry, "has no valid host name"));
        }
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => match port.parse::<u16>() {
                Ok(port) if port > 0 => port,
                _ => return Err(invalid(entry, "needs a port from 1 to 65535")),
            },
        };
        Ok(Self::new(host, port))
    }

    /// All entries of `bootstrap.servers`; an entry may itself be a list with commas. Duplicates are dropped.
    pub fn parse_list<S: AsRef<str>>(entries: &[S]) -> Result<Vec<Self>> {
        let mut endpoints: Vec<Self> = Vec::new();
        let parts = entries.iter().flat_map(|entry| entry.as_ref().split(','));
        for part in parts.filter(|part| !part.trim().is_empty()) {
            let endpoint = Self::parse(part)?;
            if !endpoints.contains(&endpoint) {
                endpoints.push(endpoint);
            }
        }
        if endpoints.is_empty() {
            return Err(Error::invalid_config("bootstrap.servers: is empty; give at least one host:port"));
        }
        Ok(endpoints)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

fn invalid(entry: &str, why: &str) -> Error {
    Error::invalid_config(format!("bootstrap.servers: {:?} {why}; write it as in localhost:9092", entry.trim()))
}

/// Kafka's own tools accept `PLAINTEXT://host:port`; `http://` and the like are a mistake worth naming.
fn strip_listener_protocol(text: &str) -> Option<&str> {
    match text.split_once("://") {
        None => Some(text),
        Some(("PLAINTEXT" | "SSL" | "SASL_PLAINTEXT" | "SASL_SSL", rest)) => Some(rest),
        Some(_) => None,
    }
}

fn split_host_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        host.split('%').next()?.parse::<std::net::Ipv6Addr>().ok()?;
        return match after {
            "" => Some((host, None)),
            _ => Some((host, Some(after.strip_prefix(':')?))),
        };
    }
    match text.split_once(':') {
        None => Some((text, None)),
        Some((_, port)) if port.contains(':') => None, // a bare IPv6 literal: its port would be ambiguous
        Some((host, port)) => Some((host, Some(port))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(entry: &str) -> String {
        Endpoint::parse(entry).map(|e| format!("{}|{}", e.host, e.port)).unwrap_or_else(|e| e.to_string())
    }

    #[test]
    fn an_entry_is_a_name_an_ipv4_or_a_bracketed_ipv6_with_an_optional_port() {
        assert_eq!(parsed("localhost:9093"), "localhost|9093");
        assert_eq!(parsed(" kafka.example.com. "), "kafka.example.com.|9092");
        assert_eq!(parsed("10.0.0.1:1"), "10.0.0.1|1");
        assert_eq!(parsed("[::1]:9092"), "::1|9092");
        assert_eq!(parsed("[fe80::1%eth0]"), "fe80::1%eth0|9092");
        assert_eq!(parsed("PLAINTEXT://broker:9092"), "broker|9092");
        assert_eq!(Endpoint::new("::1", 9).to_string(), "[::1]:9");
    }

    #[test]
    fn a_bad_entry_is_named_with_the_option_and_the_remedy() {
        for bad in ["::1", "http://localhost:9092", "a:b", "a:0", "a:65536", ":9092", "[zz]:1", "[::1]9092", "a b:1"] {
            let text = parsed(bad);
            assert!(text.starts_with("INVALID_CONFIG: bootstrap.servers: "), "{bad}: {text}");
            assert!(text.contains("localhost:9092"), "{bad}: {text}");
        }
    }

    #[test]
    fn a_list_may_hold_commas_and_repeats() {
        let list = Endpoint::parse_list(&["a:1,b:2", " a:1 ", ""]).unwrap();
        assert_eq!(list, [Endpoint::new("a", 1), Endpoint::new("b", 2)]);
        assert!(Endpoint::parse_list::<&str>(&[]).is_err());
    }
}
