//! Kafka's error codes, as brokers answer them.
//! An open set: a code of a newer broker is kept as its number.
//! The table is generated from `native/spec/errors.toml`.

use std::fmt;

/// An error code of Kafka's protocol; 0 is none.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i16);

/// What a client can do about an error (the groups of KIP-1050).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// Not an error.
    None,
    /// The same request may succeed later.
    Retriable,
    /// The same request may succeed once metadata or the coordinator has been looked up again.
    RefreshRetriable,
    /// The transaction must be aborted; the producer goes on.
    TransactionAbortable,
    /// The application must act: rejoin its group, make a new producer.
    ApplicationRecoverable,
    /// The configuration or the permissions must change.
    InvalidConfiguration,
    /// None of these; trying again does not help.
    Other,
}

impl ErrorCode {
    /// Whether this is 0.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether this is anything but 0.
    pub fn is_error(self) -> bool {
        self.0 != 0
    }

    /// `Err` with itself unless it is 0.
    pub fn ok(self) -> Result<(), ErrorCode> {
        if self.is_none() { Ok(()) } else { Err(self) }
    }

    /// Kafka's name, such as `NOT_LEADER_OR_FOLLOWER`; `UNKNOWN` for a code that is not in the table.
    pub fn name(self) -> &'static str {
        self.row().map_or("UNKNOWN", |row| row.name)
    }

    /// Whether the same request may succeed when it is sent again.
    pub fn is_retriable(self) -> bool {
        self.row().is_some_and(|row| row.retriable)
    }

    /// What a client can do about it.
    pub fn class(self) -> ErrorClass {
        self.row().map_or(ErrorClass::Other, |row| row.class)
    }

    /// One line for a human.
    pub fn text(self) -> &'static str {
        self.row().map_or("An error code this client does not know.", |row| row.text)
    }

    /// The code of that name.
    pub fn from_name(name: &str) -> Option<ErrorCode> {
        TABLE.iter().find(|row| row.name == name).map(|row| ErrorCode(row.code))
    }

    /// All codes in the table, ascending.
    pub fn all() -> impl Iterator<Item = ErrorCode> {
        TABLE.iter().map(|row| ErrorCode(row.code))
    }

    fn row(self) -> Option<&'static Row> {
        let first = TABLE.first()?.code;
        let at = usize::try_from(i32::from(self.0) - i32::from(first)).ok()?;
        TABLE.get(at).filter(|row| row.code == self.0)
    }
}

impl From<i16> for ErrorCode {
    fn from(code: i16) -> Self {
        ErrorCode(code)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some(row) => f.pad(row.name),
            None => write!(f, "UNKNOWN({})", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A row of the generated table; codes ascend by one.
pub(crate) struct Row {
    pub code: i16,
    pub name: &'static str,
    pub class: ErrorClass,
    pub retriable: bool,
    pub text: &'static str,
}

use crate::generated::errors::TABLE;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_from_minus_1_to_136_has_a_name_and_a_text() {
        let codes: Vec<i16> = ErrorCode::all().map(|code| code.0).collect();
        assert_eq!(codes, (-1..=136).collect::<Vec<_>>());
        for code in ErrorCode::all() {
            assert_eq!(ErrorCode::from_name(code.name()), Some(code));
            assert!(!code.text().is_empty());
        }
    }

    #[test]
    fn a_code_of_the_future_is_kept_as_a_number() {
        assert_eq!(ErrorCode(999).to_string(), "UNKNOWN(999)");
        assert_eq!(ErrorCode(-2).to_string(), "UNKNOWN(-2)");
        assert!(!ErrorCode(999).is_retriable());
        assert_eq!(ErrorCode(999).class(), ErrorClass::Other);
    }

    #[test]
    fn classes_follow_kip_1050() {
        assert_eq!(ErrorCode::NOT_LEADER_OR_FOLLOWER.class(), ErrorClass::RefreshRetriable);
        assert_eq!(ErrorCode::REQUEST_TIMED_OUT.class(), ErrorClass::Retriable);
        assert_eq!(ErrorCode::TRANSACTION_ABORTABLE.class(), ErrorClass::TransactionAbortable);
        assert_eq!(ErrorCode::UNKNOWN_MEMBER_ID.class(), ErrorClass::ApplicationRecoverable);
        assert_eq!(ErrorCode::TOPIC_AUTHORIZATION_FAILED.class(), ErrorClass::InvalidConfiguration);
        assert_eq!(ErrorCode::NONE.class(), ErrorClass::None);
    }
}
