//! Operations on an environment itself.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::Int64;
use super::{Immediate, Target};
use crate::environment::{Environment, Resource};
use crate::failure::Failure;
use crate::questions::Outcome;

impl Target for Arc<Environment> {
    const NAME: &'static str = "environment";

    fn of(resource: &Resource) -> Option<Self> {
        match resource {
            Resource::Environment(environment) => Some(environment.clone()),
            _ => None,
        }
    }
}

/// Answers a question of the engine. Unknown and late ids are ignored.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "EnvironmentAnswer")]
pub struct Answer {
    /// The question's id.
    pub id: Int64,
    /// The answer as JSON; none is `null`.
    pub answer: Option<String>,
    /// What the program's function threw instead, as text.
    pub error: Option<String>,
}

impl Immediate for Answer {
    const NAME: &'static str = "environment.answer";
    type Target = Arc<Environment>;
    type Response = ();

    fn run(self, target: Arc<Environment>) -> Result<(), Failure> {
        let outcome = match (self.error, self.answer) {
            (Some(error), _) => Outcome::Failed(error),
            (None, None) => Outcome::Answered(serde_json::Value::Null),
            (None, Some(answer)) => match serde_json::from_str(&answer) {
                Ok(answer) => Outcome::Answered(answer),
                Err(_) => Outcome::Failed("its answer is not JSON".to_owned()),
            },
        };
        target.questions().answer(self.id.0 as u64, outcome);
        Ok(())
    }
}
