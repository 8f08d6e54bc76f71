//! What can be wrong with a record batch.
//!
//! One error type for header, records and codec; it never carries record contents. The reader and the builder make it,
//! the fetcher adds topic and partition.

use std::fmt;

use crate::compress::CompressError;

/// A malformed or unreadable record batch: which field, at which byte, of which batch and record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError {
    /// What is wrong.
    pub kind: RecordErrorKind,
    /// The field at fault, in Kafka's own terms (`BatchLength`, `Crc`, `Key`, …).
    pub field: &'static str,
    /// Where it is. Inside the uncompressed records when `record` is set, else inside the record set as it was received.
    pub position: usize,
    /// The base offset that the batch claims, when that much could be read.
    pub base_offset: Option<i64>,
    /// The record's place in its batch, when the fault is inside one.
    pub record: Option<u32>,
}

/// The kinds of [`RecordError`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordErrorKind {
    /// The field needs more bytes than are left.
    Truncated {
        /// How many bytes the field needs.
        needed: usize,
        /// How many are left.
        available: usize,
    },
    /// A length or count that no writer can have meant.
    Invalid(i64),
    /// A varint of more bytes than its type can have.
    Varint,
    /// A text that is not UTF-8.
    Utf8,
    /// A magic byte other than 0, 1 and 2.
    Magic(i8),
    /// The checksum in the batch is not that of its bytes.
    Crc {
        /// As written in the batch.
        expected: u32,
        /// As computed.
        actual: u32,
    },
    /// The codec refused the compressed records.
    Compression(CompressError),
    /// Bytes are left where the field must end.
    TrailingBytes(usize),
}

impl RecordError {
    pub(crate) const fn new(kind: RecordErrorKind, field: &'static str, position: usize) -> Self {
        Self { kind, field, position, base_offset: None, record: None }
    }

    pub(crate) const fn truncated(field: &'static str, position: usize, needed: usize, available: usize) -> Self {
        Self::new(RecordErrorKind::Truncated { needed, available }, field, position)
    }

    pub(crate) const fn invalid(field: &'static str, position: usize, value: i64) -> Self {
        Self::new(RecordErrorKind::Invalid(value), field, position)
    }

    pub(crate) const fn in_batch(mut self, base_offset: i64) -> Self {
        self.base_offset = Some(base_offset);
        self
    }

    pub(crate) const fn in_record(mut self, record: u32) -> Self {
        self.record = Some(record);
        self
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.base_offset {
            Some(offset) => write!(f, "record batch at offset {offset}")?,
            None => f.write_str("record batch")?,
        }
        if let Some(record) = self.record {
            write!(f, ", record {record}")?;
        }
        write!(f, ": {} at byte {}: {}", self.field, self.position, self.kind)
    }
}

impl fmt::Display for RecordErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed, available } => write!(f, "needs {needed} bytes, {available} are left"),
            Self::Invalid(value) => write!(f, "{value} is impossible"),
            Self::Varint => f.write_str("the varint does not end"),
            Self::Utf8 => f.write_str("not UTF-8"),
            Self::Magic(magic) => write!(f, "magic {magic} is unknown (0, 1 and 2 are known)"),
            Self::Crc { expected, actual } => write!(f, "checksum {actual:#010x}, the batch says {expected:#010x}"),
            Self::Compression(error) => write!(f, "{error}"),
            Self::TrailingBytes(count) => write!(f, "{count} bytes too many"),
        }
    }
}

impl std::error::Error for RecordError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            RecordErrorKind::Compression(error) => Some(error),
            _ => None,
        }
    }
}
