//! Credentials of AWS that a function of the program's gives: a question `awsCredentials` to the client.
//!
//! The request is `{}`. The answer is `{accessKeyId, secretAccessKey, sessionToken?, expiresAt?}`, the end in milliseconds since
//! 1970. Nothing of an answer is ever quoted.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dohle_client::security::Secret;
use dohle_client::security::aws::{CredentialSource, Credentials};
use dohle_client::{Error, ErrorKind, Result};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::handles::Handle;
use crate::questions::{Outcome, Questions};

/// What says in the options that the language gives credentials; no table has it.
const OPTION: &str = "gives AWS credentials";
/// The engine waits `request.timeout.ms`, which is at most an hour.
const DEADLINE: Duration = Duration::from_secs(3600);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Given {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expires_at: Option<f64>,
}

/// The source that options declare.
pub(crate) fn taken_out_of(
    options: &mut Map<String, Value>,
    questions: &Arc<Questions>,
    handle: &Arc<OnceLock<Handle>>,
) -> Result<Option<Arc<dyn CredentialSource>>, Failure> {
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

impl CredentialSource for Asked {
    fn credentials(&self) -> BoxFuture<'static, Result<Credentials>> {
        let handle = self.handle.get().copied().unwrap_or_default();
        let answer = self.questions.ask(handle, "awsCredentials", json!({}), DEADLINE);
        async move {
            let failed = |text: String| Error::new(ErrorKind::CallbackFailed, text);
            match answer.await {
                Outcome::Answered(answer) => credentials(answer).map_err(|text| failed(text.to_owned())),
                Outcome::Failed(text) => Err(failed(text)),
                Outcome::TimedOut => Err(failed("no credentials in time".to_owned())),
                Outcome::Closed => Err(Error::closed("client")),
            }
        }
        .boxed()
    }
}

fn credentials(answer: Value) -> Result<Credentials, &'static str> {
    // serde's own text could quote a key.
    let given: Given = serde_json::from_value(answer).map_err(
        |_| "what sasl.awsCredentials gave is not { accessKeyId, secretAccessKey, sessionToken, expiration } with strings and a Date",
    )?;
    let expires_at_ms = match given.expires_at {
        None => None,
        Some(ms) if (0.0..9e15).contains(&ms) => Some(ms as i64),
        Some(_) => return Err("expiration of what sasl.awsCredentials gave is no moment since 1970"),
    };
    Ok(Credentials {
        access_key_id: given.access_key_id,
        secret_access_key: Secret::new(given.secret_access_key),
        session_token: given.session_token.map(Secret::new),
        expires_at_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_becomes_credentials_and_an_odd_one_is_not_quoted() {
        let given = json!({ "accessKeyId": "a", "secretAccessKey": "s", "sessionToken": "t", "expiresAt": 1.7e12 });
        let got = credentials(given).unwrap();
        assert_eq!((&*got.access_key_id, got.secret_access_key.expose()), ("a", "s"));
        assert_eq!((got.session_token, got.expires_at_ms), (Some(Secret::new("t")), Some(1_700_000_000_000)));
        for odd in [
            json!("hunter2"),
            json!({ "accessKeyId": "a", "secretAccessKey": ["hunter2"] }),
            json!({ "accessKeyId": "a", "secretAccessKey": "s", "expiresAt": "hunter2" }),
            json!({ "accessKeyId": "a", "secretAccessKey": "s", "expiresAt": -1 }),
            json!({ "accessKeyId": "a", "secretAccessKey": "s", "hunter2": 1 }),
        ] {
            assert!(!credentials(odd).unwrap_err().contains("hunter2"));
        }
    }
}
