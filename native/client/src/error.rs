//! The one error type of the engine: what went wrong as data, what to do about it as text.
//!
//! It is not for matching on text: [`Error::kind`] tells the cases apart, [`Error::code`] is their public name in every
//! language. Every other module makes these; the edges turn them into the language's own classes.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use dohle_protocol::{DecodeError, EncodeError, ErrorClass, ErrorCode};

/// The result of nearly everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. Cheap to clone, one pointer wide.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    fatal: bool,
    abortable: bool,
    damaged: bool,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// The cases of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The broker answered with this error code.
    Broker(ErrorCode),
    /// An option has a value that cannot work. `INVALID_CONFIG`
    InvalidConfig,
    /// A call's argument cannot work. `INVALID_ARGUMENT`
    InvalidArgument,
    /// The client, producer or consumer was closed. `CLOSED`
    Closed,
    /// No connection to a broker came about. `BROKER_UNREACHABLE`
    BrokerUnreachable,
    /// A connection broke with requests under way. Kafka's `NETWORK_EXCEPTION`
    Disconnected,
    /// What listens there does not speak Kafka, or speaks it through TLS. `NOT_KAFKA`
    NotKafka,
    /// TLS could not be agreed upon: a certificate was refused, by this side or the other. `TLS_HANDSHAKE_FAILED`
    TlsHandshakeFailed,
    /// The broker did not answer in time. Kafka's `REQUEST_TIMED_OUT`
    RequestTimedOut,
    /// A record was not acknowledged within `delivery.timeout.ms`. `DELIVERY_TIMEOUT`
    DeliveryTimeout,
    /// A call waited `max.block.ms` for metadata or memory. `MAX_BLOCK_TIMEOUT`
    MaxBlockTimeout,
    /// The caller withdrew. `ABORTED`
    Aborted,
    /// The broker does not offer what the call needs. `UNSUPPORTED`
    Unsupported,
    /// No offset to start from and `auto.offset.reset` is `none`. `NO_OFFSET`
    NoOffset,
    /// The application took longer than `max.poll.interval.ms`. `MAX_POLL_EXCEEDED`
    MaxPollExceeded,
    /// A function of the application's failed or did not answer in time: an assignor, a provider of tokens.
    /// `CALLBACK_FAILED`
    CallbackFailed,
    /// Bytes from the broker break the protocol. `PROTOCOL`
    Protocol,
    /// A bug in the engine: a task panicked. `PANIC`
    Panic,
}

impl Error {
    /// An error with a message that says what happened and, where it is known, what to do.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        let fatal = kind == ErrorKind::Panic;
        Self(Box::new(Inner { kind, message: message.into(), fatal, abortable: false, damaged: false, source: None }))
    }

    /// What the broker answered; `doing` names the request and what it was about: `Produce to orders-3`.
    pub fn broker(code: ErrorCode, doing: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Broker(code), format!("{doing}: {}", code.text()))
    }

    /// As [`Error::broker`] with the broker's own message, which it may send beside the code.
    pub fn broker_with(code: ErrorCode, doing: impl fmt::Display, said: Option<&str>) -> Self {
        match said {
            Some(said) if !said.is_empty() => Self::new(ErrorKind::Broker(code), format!("{doing}: {said}")),
            _ => Self::broker(code, doing),
        }
    }

    /// Shorthand for [`ErrorKind::InvalidArgument`].
    pub fn invalid_argument(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    /// Shorthand for [`ErrorKind::InvalidConfig`]. The message names option, value and what is allowed.
    pub fn invalid_config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidConfig, message)
    }

    /// Shorthand for [`ErrorKind::Closed`]; `what` is `producer`, `consumer` or `client`.
    pub fn closed(what: &str) -> Self {
        Self::new(ErrorKind::Closed, format!("the {what} is closed"))
    }

    /// A task of the engine panicked with this payload; `what` names the task.
    pub fn panicked(what: impl fmt::Display, payload: &(dyn std::any::Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
        Self::new(ErrorKind::Panic, format!("{what} panicked: {text}; this is a bug in Dohle"))
    }

    /// The same error, which happened while doing something larger: the text goes in front, if it is not there already.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        let doing = format!("{doing}: ");
        if !self.0.message.starts_with(&doing) {
            self.0.message = Cow::Owned(doing + &self.0.message);
        }
        self
    }

    /// The same error, and what is likely to have brought it about: its text goes behind, and it is the cause.
    #[must_use]
    pub(crate) fn because(mut self, cause: Self) -> Self {
        self.0.message = Cow::Owned(format!("{}; {}", self.0.message, cause.message()));
        self.with_source(cause)
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// The same error, after which the client, producer or consumer that gave it is of no more use.
    #[must_use]
    pub fn into_fatal(mut self) -> Self {
        self.0.fatal = true;
        self.0.abortable = false;
        self
    }

    /// The same error, of a transaction that can only be aborted now; the producer is good for another one.
    #[must_use]
    pub fn into_abortable(mut self) -> Self {
        self.0.abortable = !self.0.fatal;
        self
    }

    /// The same error, of bytes that came through a connection which has worked: they were changed on the way, as a
    /// connection can break, and the same call may well succeed over another one.
    #[must_use]
    pub(crate) fn damaged(mut self) -> Self {
        self.0.damaged = true;
        self
    }

    /// Which case it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The public name: Kafka's where Kafka has one, else ours.
    pub fn code(&self) -> Cow<'static, str> {
        let name = match self.0.kind {
            ErrorKind::Broker(code) => return code_name(code),
            ErrorKind::InvalidConfig => "INVALID_CONFIG",
            ErrorKind::InvalidArgument => "INVALID_ARGUMENT",
            ErrorKind::Closed => "CLOSED",
            ErrorKind::BrokerUnreachable => "BROKER_UNREACHABLE",
            ErrorKind::Disconnected => "NETWORK_EXCEPTION",
            ErrorKind::NotKafka => "NOT_KAFKA",
            ErrorKind::TlsHandshakeFailed => "TLS_HANDSHAKE_FAILED",
            ErrorKind::RequestTimedOut => "REQUEST_TIMED_OUT",
            ErrorKind::DeliveryTimeout => "DELIVERY_TIMEOUT",
            ErrorKind::MaxBlockTimeout => "MAX_BLOCK_TIMEOUT",
            ErrorKind::Aborted => "ABORTED",
            ErrorKind::Unsupported => "UNSUPPORTED",
            ErrorKind::NoOffset => "NO_OFFSET",
            ErrorKind::MaxPollExceeded => "MAX_POLL_EXCEEDED",
            ErrorKind::CallbackFailed => "CALLBACK_FAILED",
            ErrorKind::Protocol => "PROTOCOL",
            ErrorKind::Panic => "PANIC",
        };
        Cow::Borrowed(name)
    }

    /// The broker's error code, when it is one.
    pub fn broker_code(&self) -> Option<ErrorCode> {
        match self.0.kind {
            ErrorKind::Broker(code) => Some(code),
            _ => None,
        }
    }

    /// The group of KIP-1050 it belongs to, ours sorted into the same five; none for those outside of them.
    pub fn class(&self) -> ErrorClass {
        if self.0.abortable {
            return ErrorClass::TransactionAbortable;
        }
        match self.0.kind {
            ErrorKind::Broker(code) => code.class(),
            ErrorKind::BrokerUnreachable | ErrorKind::Disconnected => ErrorClass::RefreshRetriable,
            ErrorKind::RequestTimedOut | ErrorKind::MaxBlockTimeout => ErrorClass::Retriable,
            ErrorKind::InvalidConfig
            | ErrorKind::InvalidArgument
            | ErrorKind::NotKafka
            | ErrorKind::TlsHandshakeFailed
            | ErrorKind::Unsupported => ErrorClass::InvalidConfiguration,
            ErrorKind::NoOffset | ErrorKind::MaxPollExceeded | ErrorKind::CallbackFailed => {
                ErrorClass::ApplicationRecoverable
            }
            ErrorKind::Closed
            | ErrorKind::DeliveryTimeout
            | ErrorKind::Aborted
            | ErrorKind::Protocol
            | ErrorKind::Panic => ErrorClass::Other,
        }
    }

    /// Whether the same call may succeed when it is made again.
    pub fn retriable(&self) -> bool {
        !self.0.fatal
            && !self.0.abortable
            && match self.0.kind {
                ErrorKind::Broker(code) => code.is_retriable(),
                ErrorKind::BrokerUnreachable
                | ErrorKind::Disconnected
                | ErrorKind::RequestTimedOut
                | ErrorKind::MaxBlockTimeout
                | ErrorKind::DeliveryTimeout => true,
                _ => self.0.damaged,
            }
    }

    /// Whether whatever gave this error is of no more use and must be made anew.
    pub fn fatal(&self) -> bool {
        self.0.fatal
    }

    /// Whether it ended a transaction, which is aborted or must be; the producer that gave it can begin another one. Told
    /// from the transaction's state, not from the code.
    pub fn abortable(&self) -> bool {
        self.0.abortable
    }

    /// What happened and what to do.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The cause underneath, if one was kept.
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }
}

fn code_name(code: ErrorCode) -> Cow<'static, str> {
    Cow::Owned(code.to_string())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        match &self.0.source {
            Some(source) => write!(f, " (cause: {source})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::new(ErrorKind::Protocol, format!("the broker's answer cannot be read: {error}")).with_source(error)
    }
}

impl From<crate::options::OptionError> for Error {
    fn from(error: crate::options::OptionError) -> Self {
        Self::invalid_config(error.to_string())
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::new(ErrorKind::Unsupported, format!("the request cannot be written for this broker: {error}"))
            .with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows `[[own]]` of the table: name, class, retriable.
    fn own() -> Vec<(String, String, bool)> {
        let text = include_str!("../../spec/errors.toml");
        let value = |row: &str, key: &str| {
            let line = row.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = ").map(str::to_owned));
            line.map(|value| value.trim_matches('"').to_owned())
        };
        let rows = text.split("\n[[own]]").skip(1);
        rows.map(|row| (value(row, "name").unwrap(), value(row, "class").unwrap(), value(row, "retriable").is_some()))
            .collect()
    }

    #[test]
    fn what_an_error_is_about_is_said_once() {
        let error = Error::invalid_argument("orders: is odd").context("orders").context("createTopics");
        assert_eq!(error.context("createTopics").message(), "createTopics: orders: is odd");
    }

    #[test]
    fn every_code_of_our_own_is_in_the_table_with_its_class() {
        use ErrorKind::*;
        let kinds = [
            InvalidConfig,
            InvalidArgument,
            Closed,
            Aborted,
            BrokerUnreachable,
            NotKafka,
            TlsHandshakeFailed,
            DeliveryTimeout,
            MaxBlockTimeout,
            NoOffset,
            MaxPollExceeded,
            CallbackFailed,
            Unsupported,
            Protocol,
            Panic,
        ];
        let given: Vec<_> = kinds
            .map(|kind| {
                let error = Error::new(kind, "");
                let class = match error.class() {
                    ErrorClass::Retriable => "retriable",
                    ErrorClass::RefreshRetriable => "refresh-retriable",
                    ErrorClass::ApplicationRecoverable => "application-recoverable",
                    ErrorClass::InvalidConfiguration => "invalid-configuration",
                    _ => "other",
                };
                (error.code().into_owned(), class.to_owned(), error.retriable())
            })
            .into();
        // Of the embedded broker and of recordings, which the edges tell.
        let of_edges = ["CANNOT_LISTEN", "CANNOT_USE_LOG_DIR", "FILE_UNUSABLE"];
        let own: Vec<_> = own().into_iter().filter(|(name, ..)| !of_edges.contains(&name.as_str())).collect();
        assert_eq!(given, own);
        // Those that have a name of Kafka's are in its table.
        for kind in [Disconnected, RequestTimedOut] {
            let code = Error::new(kind, "").code().into_owned();
            assert!((-1..=136).any(|n| ErrorCode(n).to_string() == code), "{code}");
        }
    }
}
