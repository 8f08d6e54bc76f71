//! Errors as they cross an edge: data that each language turns into its own classes.
//!
//! It adds no meaning to the engine's errors; the few made here are about the crossing itself (a handle that is closed,
//! a request that does not have its operation's form, a panic).

use dohle_client::partition as engine;
use dohle_protocol::ErrorClass;
use schemars::JsonSchema;
use serde::Serialize;

/// Characters of a message that are shown.
const MOST_CHARACTERS: usize = 2_000;

/// An error as data. Its JSON is the text of failed completions, failed deliveries and poison entries.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Kafka's name of the error, or one of ours.
    pub code: String,
    /// The class of KIP-1050 that each language has a type for.
    pub class: Class,
    /// For people.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retriable: bool,
    /// Whether the object that gave it is of no more use.
    pub fatal: bool,
    /// Whether it ended a transaction, which is aborted or must be.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub abortable: bool,
    /// For records that were not acknowledged: whether they are in the log all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistence: Option<Persistence>,
    /// What it came from, nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// Of a call about several things: those that failed, in the order of the call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<FailedItem>,
}

/// One of several things that a call was about, and why it failed.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct FailedItem {
    /// Its name, such as that of a topic, or `orders-3` of a partition.
    pub name: String,
    /// Why.
    pub error: Failure,
}

/// The five groups of KIP-1050, and what is outside of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Class {
    /// Retried by itself or by calling again.
    Retriable,
    /// Retriable after metadata was refreshed.
    RefreshRetriable,
    /// The transaction must be aborted.
    Abortable,
    /// The application must act (a new producer, another request).
    ApplicationRecoverable,
    /// An option or an argument is wrong.
    InvalidConfiguration,
    /// None of them.
    Other,
}

/// Whether records are in the log, as far as can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Persistence {
    /// They may be sent again without making duplicates.
    NotPersisted,
    /// They left, and no answer told their fate.
    PossiblyPersisted,
    /// They are acknowledged.
    Persisted,
}

impl Failure {
    /// The object was closed.
    pub fn closed(what: &str) -> Self {
        Self::new("CLOSED", Class::Other, format!("the {what} is closed"))
    }

    /// A request has not the form of its operation. `path` leads to the wrong place, `problem` says what is wrong.
    pub fn argument(path: &str, problem: &str) -> Self {
        Self::new("INVALID_ARGUMENT", Class::InvalidConfiguration, format!("{path}: {problem}"))
    }

    /// A task of the engine panicked.
    pub fn panic(message: &str) -> Self {
        let text = format!("the engine panicked, which is a defect of dohle: {message}");
        Self { fatal: true, ..Self::new("PANIC", Class::Other, text) }
    }

    /// As [`Failure::panic`], of what a caught panic left.
    pub fn of_panic(payload: &(dyn std::any::Any + Send)) -> Self {
        Self::panic(&panic_text(payload))
    }

    /// Any other, neither retriable nor fatal.
    pub fn new(code: &str, class: Class, message: String) -> Self {
        Self {
            code: code.into(),
            class,
            message,
            retriable: false,
            fatal: false,
            abortable: false,
            persistence: None,
            causes: Vec::new(),
            items: Vec::new(),
        }
    }

    /// Its JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings, booleans and unit variants always have a JSON form")
    }
}

impl From<&dohle_client::Error> for Failure {
    fn from(error: &dohle_client::Error) -> Self {
        let mut causes = Vec::new();
        let mut cause = error.cause().map(|cause| cause as &(dyn std::error::Error + 'static));
        while let Some(next) = cause {
            causes.push(shown(&next.to_string()));
            cause = next.source();
        }
        Self {
            code: error.code().into_owned(),
            class: error.class().into(),
            message: readable(error.message()),
            retriable: error.retriable(),
            fatal: error.fatal(),
            abortable: error.abortable(),
            persistence: None,
            causes,
            items: Vec::new(),
        }
    }
}

/// Names that a program gave may be of any length, and a message is for people: of a long one the middle is left out.
fn readable(message: &str) -> String {
    let half = MOST_CHARACTERS / 2;
    let (head, tail) = (message.char_indices().nth(half), message.char_indices().rev().nth(half - 1));
    match (head, tail) {
        (Some((head, _)), Some((tail, _))) if head < tail => {
            format!("{}…{}", shown(&message[..head]), shown(&message[tail..]))
        }
        _ => shown(message),
    }
}

/// A broker's text may end a line of a log, or move a terminal's cursor: control characters are shown, not sent on.
pub(crate) fn shown(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c.is_control() {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

impl From<dohle_client::Error> for Failure {
    fn from(error: dohle_client::Error) -> Self {
        Self::from(&error)
    }
}

impl From<engine::NotProduced> for Failure {
    fn from(of: engine::NotProduced) -> Self {
        Self { persistence: Some(of.persistence.into()), ..Self::from(&of.error) }
    }
}

impl From<dohle_client::producer::Persistence> for Persistence {
    fn from(of: dohle_client::producer::Persistence) -> Self {
        use dohle_client::producer::Persistence as Engine;
        match of {
            Engine::NotPersisted => Self::NotPersisted,
            Engine::PossiblyPersisted => Self::PossiblyPersisted,
            Engine::Persisted => Self::Persisted,
        }
    }
}

impl From<ErrorClass> for Class {
    fn from(class: ErrorClass) -> Self {
        match class {
            ErrorClass::Retriable => Class::Retriable,
            ErrorClass::RefreshRetriable => Class::RefreshRetriable,
            ErrorClass::TransactionAbortable => Class::Abortable,
            ErrorClass::ApplicationRecoverable => Class::ApplicationRecoverable,
            ErrorClass::InvalidConfiguration => Class::InvalidConfiguration,
            _ => Class::Other,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}

/// What a panic said.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_where_nobody_would_read_on_and_moves_no_cursor() {
        let long = dohle_client::Error::invalid_argument("ü".repeat(1_000_000) + ": is odd");
        let shown = Failure::from(&long).message;
        assert!(shown.ends_with("üü: is odd") && shown.chars().count() == MOST_CHARACTERS + 1);
        let odd =
            dohle_client::Error::invalid_argument("a\u{1b}[2J\r\nb\u{9b}ü").with_source(std::io::Error::other("x\ny"));
        let failure = Failure::from(&odd);
        assert_eq!(failure.message, "a\\u{1b}[2J\\r\\nb\\u{9b}ü");
        assert_eq!(failure.causes, ["x\\ny"]);
        let short = dohle_client::Error::invalid_argument("topics: is empty");
        assert!(Failure::from(&short).message.ends_with("topics: is empty"));
    }
}
