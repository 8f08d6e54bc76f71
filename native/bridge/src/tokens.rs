//! Tokens that a function of the program's gives: a question `token` to the client.
//!
//! The request is `{}`. The answer is `{value, expiresAt?, extensions?}`: the token, its end in milliseconds since 1970, and
//! SASL extensions by name. Nothing of an answer is ever quoted.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use dohle_client::security::Secret;
use dohle_client::security::token::{Token, TokenSource};
use dohle_client::{Result, World};
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::asked::{Asked, end};
use crate::failure::Failure;
use crate::handles::Handle;
use crate::questions::Questions;

/// What says in the options that the language gives tokens; no table has it.
const OPTION: &str = "gives tokens";

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
    let asked = Asked::taken_out_of(options, OPTION, questions, handle)?;
    Ok(asked.map(|asked| Arc::new(Program(asked)) as Arc<dyn TokenSource>))
}

struct Program(Asked);

impl TokenSource for Program {
    fn token(&self, _: Arc<dyn World>) -> BoxFuture<'static, Result<Token>> {
        self.0.ask("token", "no token in time", token)
    }
}

fn token(answer: Value) -> Result<Token, &'static str> {
    // serde's own text could quote the token.
    let given: Given = serde_json::from_value(answer)
        .map_err(|_| "what sasl.token gave is not { value, expiresAt, extensions } with a string as value")?;
    let expires_at_ms = end(
        given.expires_at,
        "expiresAt of what sasl.token gave is not milliseconds since 1970",
        "expiresAt of what sasl.token gave is in seconds; it is wanted in milliseconds since 1970, as Date.now() has it",
    )?;
    let extensions = given.extensions.into_iter().collect();
    Ok(Token { value: Secret::new(given.value), expires_at_ms, extensions })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
        let seconds = token(json!({ "value": "t", "expiresAt": 1_795_000_000 })).unwrap_err();
        assert!(seconds.contains("is in seconds") && seconds.contains("milliseconds"), "{seconds}");
    }
}
