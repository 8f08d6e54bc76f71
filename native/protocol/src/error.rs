//! Why bytes could not be read or a message could not be written.
//! Not Kafka's error codes: those are [`crate::ErrorCode`].
//! Made by `Decoder` and `Encoder`; generated code only adds where it happened.

use std::fmt;

/// Malformed input: what is wrong, in which field, at which byte of what was given to the decoder.
#[derive(Clone, PartialEq, Eq)]
pub struct DecodeError(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: DecodeErrorKind,
    offset: usize,
    /// Innermost first.
    path: Vec<(&'static str, Option<usize>)>,
}

/// What is wrong with the bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes end before the value does.
    #[error("needs {needed} bytes, {remaining} are left")]
    Truncated {
        /// Bytes that the value takes.
        needed: usize,
        /// Bytes that are there.
        remaining: usize,
    },
    /// A length that no value can have.
    #[error("invalid length {0}")]
    InvalidLength(i64),
    /// More elements than the bytes that are left can hold.
    #[error("{count} elements cannot fit in the {remaining} bytes that are left")]
    InvalidCount {
        /// Elements announced.
        count: u64,
        /// Bytes that are there.
        remaining: usize,
    },
    /// Null where this version does not allow it.
    #[error("null, which is not allowed here")]
    UnexpectedNull,
    /// A variable-length integer that is too long or overflows.
    #[error("invalid variable-length integer")]
    InvalidVarint,
    /// A string that is not UTF-8.
    #[error("not valid UTF-8")]
    InvalidUtf8,
    /// Tags must ascend.
    #[error("tagged field {0} is repeated or out of order")]
    InvalidTagOrder(u32),
    /// Bytes after the end of the value.
    #[error("{0} bytes follow where nothing should")]
    TrailingBytes(usize),
    /// The schema has no such version.
    #[error("version {version} is not within {min} to {max}")]
    UnsupportedVersion {
        /// Asked for.
        version: i16,
        /// Lowest known.
        min: i16,
        /// Highest known.
        max: i16,
    },
    /// An API key this crate has no messages for.
    #[error("unknown API key {0}")]
    UnknownApi(i16),
}

impl DecodeError {
    /// An error at `offset` with no field named yet.
    #[cold]
    pub fn new(kind: DecodeErrorKind, offset: usize) -> Self {
        DecodeError(Box::new(Inner { kind, offset, path: Vec::new() }))
    }

    /// Adds the field (and index in it) that encloses what is named so far.
    #[cold]
    #[must_use]
    pub fn inside(mut self, field: &'static str, index: Option<usize>) -> Self {
        if !field.is_empty() || index.is_some() {
            self.0.path.push((field, index));
        }
        self
    }

    /// What is wrong.
    pub fn kind(&self) -> &DecodeErrorKind {
        &self.0.kind
    }

    /// Byte at which the offending value begins, counted from the start of the decoder's input.
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// The field, such as `FetchResponse.responses[2].partitions[0].high_watermark`; empty when none was being read.
    pub fn path(&self) -> String {
        let mut text = String::new();
        for (field, index) in self.0.path.iter().rev() {
            if !text.is_empty() && !field.is_empty() {
                text.push('.');
            }
            text.push_str(field);
            if let Some(index) = index {
                text.push_str(&format!("[{index}]"));
            }
        }
        text
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        let path = if path.is_empty() { "message" } else { &path };
        write!(f, "{path} at byte {}: {}", self.0.offset, self.0.kind)
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecodeError({self})")
    }
}

impl std::error::Error for DecodeError {}

/// A message that cannot be written in the version asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The schema has no such version.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// Name of the message.
        message: &'static str,
        /// Asked for.
        version: i16,
    },
    /// The field holds something, this version has no place for it, and leaving it out would change the meaning.
    #[error("{field} cannot be sent in version {version}")]
    UnsupportedField {
        /// `Struct.field`.
        field: &'static str,
        /// Asked for.
        version: i16,
    },
    /// None where this version wants a value.
    #[error("{field} may not be null in this version")]
    UnexpectedNull {
        /// `Struct.field`.
        field: &'static str,
    },
    /// Longer than its length prefix can say.
    #[error("{field} is too long: {length}")]
    TooLong {
        /// `Struct.field`.
        field: &'static str,
        /// Bytes or elements.
        length: usize,
    },
    /// Unknown tagged fields that collide with a known tag or do not ascend.
    #[error("tagged field {tag} of {message} is repeated or out of order")]
    InvalidTag {
        /// Name of the struct.
        message: &'static str,
        /// The tag.
        tag: u32,
    },
}
