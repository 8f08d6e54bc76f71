//! Record batches: magic 2 both ways, magic 0 and 1 for reading.
//!
//! Bytes only: no offsets are assigned, no sequence is chosen, nothing is retried here. The producer drives
//! [`BatchBuilder`] and [`SealedBatch`], the consumer [`batches`], [`PlainBatch`] and [`Indexer`], the broker both.
//!
//! ```
//! use dohle_protocol::compress::{Compression, Compressor, Decompressor};
//! use dohle_protocol::records::{BatchBuilder, Headers, RecordRef, batches};
//!
//! let mut builder = BatchBuilder::new(1024);
//! builder.append(&RecordRef { timestamp: 7, key: Some(b"k"), value: None, headers: Headers::None });
//! let mut sealed = builder.seal(&mut Compressor::new(Compression::Lz4, None)?, false);
//! sealed.stamp(-1, -1, -1);
//!
//! let batch = batches(sealed.bytes()).next().unwrap()?;
//! batch.verify_crc()?;
//! let plain = batch.plain(&mut Decompressor::new(), 1 << 20)?;
//! assert_eq!(plain.iter().next().unwrap()?.timestamp, 7);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builder;
mod compacted;
mod control;
mod error;
mod header;
mod headers;
mod index;
mod legacy;
mod reader;
mod record;
mod varint;

pub use builder::{BatchBuilder, SealedBatch};
pub use compacted::{emptied, thinned};
pub use control::{ControlType, control_batch};
pub use error::{RecordError, RecordErrorKind};
pub use header::{
    Attributes, BATCH_HEADER_LEN, BatchHeader, LOG_OVERHEAD, TimestampType, set_log_append_time, set_offsets,
};
pub use headers::{Header, HeaderIter, Headers, PackedHeaders, WireHeaders, split_first_header};
pub use index::{INDEX_WIDTH, IndexedRun, Indexer, Run};
pub use legacy::LegacyBatch;
pub use reader::{Batch, Batches, PlainBatch, RawBatch, RecordIter, RecordView, batches};

/// One record on its way in. Borrows everything; nothing is kept.
#[derive(Debug, Clone, Copy)]
pub struct RecordRef<'a> {
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// The key; `None` is Kafka's null, which is not the empty key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Ordered; names may repeat, values may be null.
    pub headers: Headers<'a>,
}

#[cfg(test)]
mod tests;

/// The CRC-32C of magic 2 batches.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}
