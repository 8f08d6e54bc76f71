//! What a broker's answer says of an item, or of all of them.

use dohle_protocol::ErrorCode;

use crate::error::{Error, ErrorKind, Result};

/// What a response says of one item.
pub(super) struct Answer<T, K = String> {
    pub(super) key: K,
    pub(super) code: ErrorCode,
    pub(super) message: Option<String>,
    pub(super) value: T,
}

impl<T, K> Answer<T, K> {
    /// An answer without a text of the broker's.
    pub(super) fn new(key: K, code: i16, value: T) -> Self {
        Self { key, code: ErrorCode(code), message: None, value }
    }

    /// What the broker said.
    pub(super) fn saying(mut self, message: Option<String>) -> Self {
        self.message = message;
        self
    }
}

/// The error of an item that the response does not mention.
pub(super) fn unanswered(doing: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("{doing}: the broker's answer leaves it out"))
}

/// A response that failed as a whole.
pub(super) fn whole(code: i16, doing: &str, message: Option<&str>) -> Result<()> {
    match ErrorCode(code) {
        ErrorCode::NONE => Ok(()),
        code => Err(Error::broker_with(code, doing, message)),
    }
}
