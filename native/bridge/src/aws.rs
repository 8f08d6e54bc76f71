//! Credentials of AWS that a function of the program's gives: a question `awsCredentials` to the client.
//!
//! The request is `{}`. The answer is `{accessKeyId, secretAccessKey, sessionToken?, expiresAt?}`, the end in milliseconds since
//! 1970. Nothing of an answer is ever quoted.

use std::sync::{Arc, OnceLock};

use dohle_client::Result;
use dohle_client::security::Secret;
use dohle_client::security::aws::{CredentialSource, Credentials};
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::asked::{Asked, end};
use crate::failure::Failure;
use crate::handles::Handle;
use crate::questions::Questions;

/// What says in the options that the language gives credentials; no table has it.
const OPTION: &str = "gives AWS credentials";

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
    let asked = Asked::taken_out_of(options, OPTION, questions, handle)?;
    Ok(asked.map(|asked| Arc::new(Program(asked)) as Arc<dyn CredentialSource>))
}

struct Program(Asked);

impl CredentialSource for Program {
    fn credentials(&self) -> BoxFuture<'static, Result<Credentials>> {
        self.0.ask("awsCredentials", "no credentials in time", credentials)
    }
}

fn credentials(answer: Value) -> Result<Credentials, &'static str> {
    // serde's own text could quote a key.
    let given: Given = serde_json::from_value(answer).map_err(
        |_| "what sasl.awsCredentials gave is not { accessKeyId, secretAccessKey, sessionToken, expiration } with strings and a Date",
    )?;
    let expires_at_ms = end(
        given.expires_at,
        "expiration of what sasl.awsCredentials gave is no moment since 1970",
        "expiration of what sasl.awsCredentials gave is in seconds; a Date is wanted, or milliseconds since 1970",
    )?;
    Ok(Credentials {
        access_key_id: given.access_key_id,
        secret_access_key: Secret::new(given.secret_access_key),
        session_token: given.session_token.map(Secret::new),
        expires_at_ms,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
        let seconds = json!({ "accessKeyId": "a", "secretAccessKey": "s", "expiresAt": 1_795_000_000 });
        assert!(credentials(seconds).unwrap_err().contains("is in seconds"));
    }
}
