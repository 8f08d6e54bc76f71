//! Operations for tests of the edge itself: every kind of value once, and a panic in each place. Not rendered into any API.

use std::sync::Arc;
use std::time::Duration;

use dohle_client::Error;
use dohle_protocol::ErrorCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::values::{Base64, Double, Int64, Open, OpenNames, Secret};
use super::{Immediate, Operation};
use crate::client::ClientResource;
use crate::environment::Environment;
use crate::failure::{Class, Failure};
use crate::questions::Outcome;

/// Names for the conformance test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Colours;

impl OpenNames for Colours {
    const TITLE: &'static str = "TestColour";
    const DOC: &'static str = "A colour.";
    const NAMES: &'static [&'static str] = &["RED", "GREEN"];
}

/// One value of every kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "TestValues")]
pub struct Values {
    /// A 64-bit integer.
    pub long: Int64,
    /// A small integer.
    pub int: i32,
    /// Bytes.
    pub bytes: Base64,
    /// A double, maybe outside of JSON.
    pub double: Double,
    /// An open enum.
    pub colour: Open<Colours>,
    /// Text.
    pub text: String,
    /// True or false.
    pub flag: bool,
    /// Nothing, or a 64-bit integer.
    pub maybe: Option<Int64>,
    /// Several 64-bit integers.
    pub longs: Vec<Int64>,
}

/// Gives its values back.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TestEcho")]
pub struct Echo {
    /// What is given back.
    pub values: Values,
    /// What is not.
    pub secret: Option<Secret>,
}

impl Operation for Echo {
    const NAME: &'static str = "testing.echo";
    type Target = Arc<Environment>;
    type Response = Values;

    async fn run(self, _: Self::Target) -> Result<Values, Failure> {
        tracing::trace!(secret = ?self.secret, "echo");
        Ok(self.values)
    }
}

/// Asks the language a question named `test`, and gives its answer back.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TestAsk")]
#[serde(rename_all = "camelCase")]
pub struct Ask {
    /// Handle of who is asked.
    pub of: u32,
    /// What is asked.
    pub text: String,
    /// How long it has, in milliseconds.
    pub deadline_ms: u32,
}

impl Operation for Ask {
    const NAME: &'static str = "testing.ask";
    type Target = Arc<Environment>;
    type Response = String;

    async fn run(self, target: Self::Target) -> Result<String, Failure> {
        let deadline = Duration::from_millis(self.deadline_ms.into());
        let failed = |text: &str| Failure::new("CALLBACK_FAILED", Class::ApplicationRecoverable, text.to_owned());
        match target.questions().ask(self.of, "test", json!({ "text": self.text }), deadline).await {
            Outcome::Answered(answer) => Ok(answer.to_string()),
            Outcome::Failed(text) => Err(failed(&text)),
            Outcome::TimedOut => Err(failed("no answer in time")),
            Outcome::Closed => Err(failed("closed")),
        }
    }
}

/// Fails as an answer of a broker lets calls fail.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TestFail")]
pub struct Fail {
    /// Kafka's error code.
    pub code: i16,
    /// Whether it ends a transaction.
    pub abortable: bool,
    /// Whether it ends whatever gave it.
    pub fatal: bool,
}

impl Operation for Fail {
    const NAME: &'static str = "testing.fail";
    type Target = Arc<Environment>;
    type Response = ();

    async fn run(self, _: Self::Target) -> Result<(), Failure> {
        let error = Error::broker(ErrorCode(self.code), "asked for by a test");
        Err(match (self.abortable, self.fatal) {
            (_, true) => error.into_fatal(),
            (true, false) => error.into_abortable(),
            (false, false) => error,
        }
        .into())
    }
}

/// Panics on the language's thread.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TestPanic")]
pub struct Panic {}

impl Immediate for Panic {
    const NAME: &'static str = "testing.panic";
    type Target = Arc<Environment>;
    type Response = ();

    fn run(self, _: Self::Target) -> Result<(), Failure> {
        panic!("asked for by a test")
    }
}

/// Panics in the task of a call.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TestPanicLater")]
pub struct PanicLater {}

impl Operation for PanicLater {
    const NAME: &'static str = "testing.panicLater";
    type Target = Arc<Environment>;
    type Response = ();

    async fn run(self, _: Self::Target) -> Result<(), Failure> {
        panic!("asked for by a test")
    }
}

/// Panics in a task of a client's engine.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TestPanicInEngine")]
pub struct PanicInEngine {}

impl Immediate for PanicInEngine {
    const NAME: &'static str = "testing.panicInEngine";
    type Target = Arc<ClientResource>;
    type Response = ();

    fn run(self, target: Self::Target) -> Result<(), Failure> {
        target.client.world().spawn(Box::pin(async { panic!("asked for by a test") }));
        Ok(())
    }
}
