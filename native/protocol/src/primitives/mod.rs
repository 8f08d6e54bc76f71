//! The few types that Kafka's schemas are made of, read and written.
//! Knows nothing of messages.
//! Driven by generated code, frames and record batches.

mod decoder;
mod encoder;
mod uuid;
pub mod varint;

pub use decoder::Decoder;
pub use encoder::{Encoder, Segments, TagWriter};
pub use uuid::Uuid;
