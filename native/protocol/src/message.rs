//! What every generated message offers.
//! Not the messages themselves: those are in `messages`, one module each, written by `xtask codegen`.
//! Driven by [`crate::frame`] and by whoever encodes a message outside a frame (group metadata, tests).

use crate::{ApiKey, DecodeError, Decoder, EncodeError, Encoder};
use bytes::Bytes;
use std::fmt::Debug;

/// A message of Kafka's protocol. `Default` is the schema's default of every field.
pub trait Message: Sized + Clone + Default + Debug + PartialEq + Send + Sync {
    /// Kafka's name, such as `ProduceRequest`.
    const NAME: &'static str;
    /// Lowest version that exists.
    const MIN_VERSION: i16;
    /// Highest version that exists, stable or not.
    const MAX_VERSION: i16;

    /// Appends the message. A field that this version lacks must hold its default unless Kafka calls it ignorable.
    fn encode(&self, e: &mut Encoder, version: i16) -> Result<(), EncodeError>;

    /// Reads the message; fields that this version lacks get their default. Bytes that follow are left in `d`.
    fn decode(d: &mut Decoder, version: i16) -> Result<Self, DecodeError>;

    /// How long the broker asks the client to pause (KIP-219), in a response that can say so; else 0.
    fn throttle_time_ms(&self) -> i32 {
        0
    }

    /// Asks the client to pause; false when this is no response that can say so. Versions without the field leave it out.
    fn set_throttle_time_ms(&mut self, _millis: i32) -> bool {
        false
    }

    /// Fails when `version` is outside what exists.
    #[doc(hidden)]
    fn check_encode(version: i16) -> Result<(), EncodeError> {
        if (Self::MIN_VERSION..=Self::MAX_VERSION).contains(&version) {
            return Ok(());
        }
        Err(EncodeError::UnsupportedVersion { message: Self::NAME, version })
    }

    /// Fails when `version` is outside what exists.
    #[doc(hidden)]
    fn check_decode(d: &Decoder, version: i16) -> Result<(), DecodeError> {
        if (Self::MIN_VERSION..=Self::MAX_VERSION).contains(&version) {
            return Ok(());
        }
        let kind =
            crate::DecodeErrorKind::UnsupportedVersion { version, min: Self::MIN_VERSION, max: Self::MAX_VERSION };
        Err(DecodeError::new(kind, d.position()))
    }
}

/// A request, tied to its response and API key.
pub trait Request: Message {
    /// What the broker answers, at the same version.
    type Response: Message;
    /// The API it calls.
    const API_KEY: ApiKey;
    /// Highest version that may be negotiated: `MAX_VERSION`, or one less while Kafka marks the latest as unstable.
    const MAX_STABLE_VERSION: i16;
    /// Whether this version has compact lengths and tagged fields (KIP-482). Header versions derive from it.
    fn flexible(version: i16) -> bool;
}

/// A tagged field this version of the schema does not know; kept, and written back unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawTaggedField {
    /// Tag number.
    pub tag: u32,
    /// Its bytes.
    pub data: Bytes,
}
