//! Kafka's wire protocol: framing, primitives, generated messages, record batches, compression. No I/O.

#![forbid(unsafe_code)]

pub mod compress;
pub mod records;
