//! Tokens that a function of the program's gives: a question `token` to the client.
//!
//! The request is `{}`. The answer is `{value, expiresAt?, extensions?}`: the token, its end in milliseconds since 1970, and
//! SASL extensions by name. Nothing of an answer is ever quoted.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dohle_client::security::Secret;
use dohle_client::security::token::{Token, TokenSource};
use dohle_client::{Error, ErrorKind, Result, World};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::handles::Handle;
use crate::questions::{Outcome, Questions};

/// What says in the options that the language gives tokens; no table has it.
const OPTION: &str = "gives tokens";
/// The engine waits `request.timeout.ms`, which is at most an hour.
const DEADLINE: Duration = Duration::from_secs(3600);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Given {
    value: String,
    expires_at: Option<f64>,
    #[serde(default)]
    extensions: BTreeMap<String, String>,
}

/// The source that options declare.
pub(crate) fn taken_out_of(
    options: &mut Map<String, Value>,
    questions: &Arc<Questions>,
    handle: &Arc<OnceLock<Handle>>,
) -> Result<Option<Arc<dyn TokenSource>>, Failure> {
    match options.remove(OPTION) {
        None => Ok(None),
        Some(Value::Bool(true)) => Ok(Some(Arc::new(Asked { questions: questions.clone(), handle: handle.clone() }))),
        Some(_) => Err(Failure::argument(OPTION, "is not true")),
    }
}

struct Asked {
    questions: Arc<Questions>,
    handle: Arc<OnceLock<Handle>>,
}

impl TokenSource for Asked {
    fn token(&self, _: Arc<dyn World>) -> BoxFuture<'static, Result<Token>> {
        let handle = self.handle.get().copied().unwrap_or_default();
        let answer = self.questions.ask(handle, "token", json!({}), DEADLINE);
        async move {
            let failed = |text: String| Error::new(ErrorKind::CallbackFailed, text);
            match answer.await {
                Outcome::Answered(answer) => token(answer).map_err(|text| failed(text.to_owned())),
                Outcome::Failed(text) => Err(failed(text)),
                Outcome::TimedOut => Err(failed("no token in time".to_owned())),
                Outcome::Closed => Err(Error::closed("client")),
            }
        }
        .boxed()
    }
}

fn token(answer: Value) -> Result<Token, &'static str> {
    // serde's own text could quote the token.
    let given: Given = serde_json::from_value(answer)
        .map_err(|_| "what sasl.token gave is not { value, expiresAt, extensions } with a string as value")?;
    let expires_at_ms = match given.expires_at {
        None => None,
        Some(ms) if (0.0..9e15).contains(&ms) => Some(ms as i64),
        Some(_) => return Err("expiresAt of what sasl.token gave is not milliseconds since 1970"),
    };
    let extensions = given.extensions.into_iter().collect();
    Ok(Token { value: Secret::new(given.value), expires_at_ms, extensions })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_becomes_a_token_and_an_odd_one_is_not_quoted() {
        let got = token(json!({ "value": "t", "expiresAt": 1.7e12, "extensions": { "a": "b" } })).unwrap();
        assert_eq!((got.value.expose(), got.expires_at_ms), ("t", Some(1_700_000_000_000)));
        assert_eq!(got.extensions, [("a".to_owned(), "b".to_owned())]);
        assert_eq!(token(json!({ "value": "t", "expiresAt": null })).unwrap(), Token::new(Secret::new("t")));
        for odd in [
            json!("hunter2"),
            json!({ "value": ["hunter2"] }),
            json!({ "value": "t", "expiresAt": "hunter2" }),
            json!({ "value": "t", "expiresAt": -1 }),
            json!({ "value": "t", "hunter2": 1 }),
        ] {
            assert!(!token(odd).unwrap_err().contains("hunter2"));
        }
    }
}
