//! The form of a coordinator's records: a key is its type and what it names, a value its version and what is known of it.

use bytes::Bytes;
use dohle_protocol::{Decoder, Encoder, ErrorCode, Message};

/// A key of a type; types are numbered per topic.
pub(crate) fn key(kind: i16, message: &impl Message) -> Result<Bytes, ErrorCode> {
    encoded(kind, message, 0)
}

/// A value of a version.
pub(crate) fn value(version: i16, message: &impl Message) -> Result<Bytes, ErrorCode> {
    encoded(version, message, version)
}

fn encoded(number: i16, message: &impl Message, version: i16) -> Result<Bytes, ErrorCode> {
    let mut encoder = Encoder::new();
    encoder.i16(number);
    message.encode(&mut encoder, version).map_err(too_long)?;
    Ok(encoder.finish().to_bytes())
}

/// A record cannot be written: a name is longer than one may be in it.
fn too_long(error: dohle_protocol::EncodeError) -> ErrorCode {
    tracing::error!(%error, "a record of a coordinator cannot be written");
    ErrorCode::UNKNOWN_SERVER_ERROR
}

/// Reads a value.
pub(crate) fn read<M: Message>(bytes: &Bytes) -> Result<M, String> {
    let mut decoder = Decoder::new(bytes.clone());
    let version = decoder.i16("version").map_err(|error| error.to_string())?;
    if !(M::MIN_VERSION..=M::MAX_VERSION).contains(&version) {
        return Err(format!("version {version}"));
    }
    M::decode(&mut decoder, version).map_err(|error| error.to_string())
}
