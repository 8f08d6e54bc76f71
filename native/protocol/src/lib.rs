//! Kafka's wire format: messages of every version, frames, record batches, compression.
//! It does no I/O, owns no buffer pool and decides nothing about retries, versions or partitions.
//! Driven by `dohle-client` and `dohle-broker`; the facts come from `native/spec`.
#![forbid(unsafe_code)]

mod api;
pub mod compress;
mod error;
mod error_code;
pub mod frame;
#[rustfmt::skip]
#[allow(clippy::all)]
mod generated;
#[cfg(feature = "json")]
pub mod json;
mod message;
mod primitives;
pub mod records;
#[cfg(feature = "json")]
pub mod reflect;
pub mod schema;

pub use api::ApiKey;
pub use error::{DecodeError, DecodeErrorKind, EncodeError};
pub use error_code::{ErrorClass, ErrorCode};
pub use generated::messages;
pub use message::{Message, RawTaggedField, Request};
pub use primitives::{Decoder, Encoder, Segments, TagWriter, Uuid, varint};
