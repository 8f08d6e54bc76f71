//! Kafka's API keys.
//! An open set: a broker may advertise keys this crate has no messages for.
//! The constants and names are generated from `native/spec/messages`.

use std::fmt;

/// Number of an API, as in a request header.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiKey(pub i16);

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            "" => write!(f, "UNKNOWN({})", self.0),
            name => f.pad(name),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
