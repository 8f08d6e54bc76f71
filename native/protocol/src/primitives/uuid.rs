//! Kafka's 128-bit identifier (topic ids, directory ids, member ids of KIP-848).
//! Not a general UUID library: nothing is generated or interpreted here.
//! Text form as in Kafka: URL-safe base64 without padding, 22 characters.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use std::{fmt, str::FromStr};

/// A 128-bit id; all zeros means none.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// No id.
    pub const ZERO: Uuid = Uuid([0; 16]);

    /// Whether this is [`Uuid::ZERO`].
    pub fn is_zero(&self) -> bool {
        *self == Uuid::ZERO
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 22];
        let _ = URL_SAFE_NO_PAD.encode_slice(self.0, &mut text);
        f.pad(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not 22 characters of URL-safe base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Kafka id: 22 characters of URL-safe base64 expected")]
pub struct ParseUuidError;

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, ParseUuidError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ParseUuidError)?;
        bytes.try_into().map(Uuid).map_err(|_| ParseUuidError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_kafkas_and_is_reversible() {
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        let id = Uuid(*b"\xfb\xff\x00123456789abcd");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("short".parse::<Uuid>(), Err(ParseUuidError));
    }
}
