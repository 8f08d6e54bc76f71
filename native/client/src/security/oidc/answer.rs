//! What a token endpoint answers (RFC 6749 §5): a token, or why there is none.

use hyper::StatusCode;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::security::Secret;
use crate::security::http::{Answer, failed, refused};
use crate::security::token::Token;

/// The token of an answer to what was asked at `asked_at`. `secrets` are what was sent: a service that says them back is not
/// quoted.
pub(super) fn token(answer: &Answer, asked_at: i64, secrets: &[&str]) -> Result<Token> {
    let given: Option<Value> = serde_json::from_slice(&answer.body).ok();
    if !answer.status.is_success() {
        return Err(refusal(answer.status, given.as_ref(), secrets));
    }
    let wrong = |text: &str| refused(format!("the answer {text}"));
    let given = given.ok_or_else(|| wrong("is not JSON"))?;
    let value = given.get("access_token").and_then(Value::as_str).ok_or_else(|| wrong("has no access_token"))?;
    match given.get("token_type") {
        None | Some(Value::Null) => {}
        Some(Value::String(kind)) if kind.eq_ignore_ascii_case("bearer") => {}
        Some(_) => return Err(wrong("has a token_type other than Bearer")),
    }
    let seconds = match given.get("expires_in") {
        None | Some(Value::Null) => None,
        Some(Value::Number(number)) => Some(number.as_f64()),
        Some(Value::String(digits)) => Some(digits.trim().parse().ok()),
        Some(_) => Some(None),
    };
    let expires_at_ms = match seconds {
        None => None,
        Some(Some(seconds)) if (0.0..9e12).contains(&seconds) => Some(asked_at + (seconds * 1000.0) as i64),
        Some(_) => return Err(wrong("has an expires_in that is no number of seconds")),
    };
    let token = Token { expires_at_ms, ..Token::new(Secret::new(value)) };
    token.check().map_err(|error| refused(error.message().to_owned()))?;
    Ok(token)
}

fn refusal(status: StatusCode, given: Option<&Value>, secrets: &[&str]) -> Error {
    let said = |name: &str| {
        let text = given?.get(name)?.as_str()?;
        let is_shown = !text.is_empty() && !secrets.iter().any(|secret| text.contains(secret));
        is_shown.then(|| text.chars().filter(|c| !c.is_control()).take(200).collect::<String>())
    };
    let words: Vec<String> = [said("error"), said("error_description")].into_iter().flatten().collect();
    let why = if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) };
    if may_pass(status) {
        return failed(&format_args!("answered {status}{why}"));
    }
    let hint =
        if status.is_redirection() { "; it is not followed, since it could carry secrets elsewhere" } else { "" };
    refused(format!("refused to give a token ({status}{why}){hint}"))
}

/// Whether the same request may be answered otherwise later: by Kafka's rule (KIP-768), all but what is wrong with the request
/// itself.
fn may_pass(status: StatusCode) -> bool {
    let about_the_server = status.is_server_error()
        && !matches!(status, StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED);
    about_the_server
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    fn outcome(status: u16, body: &str) -> Result<Token> {
        let status = StatusCode::from_u16(status).unwrap();
        token(&Answer { status, body: Zeroizing::new(body.as_bytes().to_vec()) }, 5_000, &["hunter2"])
    }

    #[test]
    fn a_token_ends_when_expires_in_says_so_else_as_it_says_itself() {
        let end = |body: &str| outcome(200, body).unwrap().expires_at_ms;
        assert_eq!(end(r#"{"access_token":"t","token_type":"Bearer","expires_in":300}"#), Some(305_000));
        assert_eq!(end(r#"{"access_token":"t","token_type":"bearer","expires_in":"300"}"#), Some(305_000));
        assert_eq!(end(r#"{"access_token":"t","expires_in":null}"#), None);
        assert_eq!(outcome(201, r#"{"access_token":"a.b-c"}"#).unwrap(), Token::new(Secret::new("a.b-c")));
    }

    #[test]
    fn an_answer_without_a_token_is_told_and_not_quoted() {
        for (body, what) in [
            ("<html>hunter2</html>", "is not JSON"),
            (r#"{"token":"hunter2"}"#, "has no access_token"),
            (r#"{"access_token":17}"#, "has no access_token"),
            (r#"{"access_token":"hunter2 x"}"#, "no token has"),
            (r#"{"access_token":""}"#, "no token has"),
            (r#"{"access_token":"hunter2","token_type":"mac"}"#, "token_type"),
            (r#"{"access_token":"hunter2","expires_in":"soon"}"#, "expires_in"),
            (r#"{"access_token":"hunter2","expires_in":-1}"#, "expires_in"),
        ] {
            let error = outcome(200, body).unwrap_err();
            assert!(error.message().contains(what) && !error.message().contains("hunter2"), "{error}");
            assert!(!error.retriable(), "{error}");
        }
    }

    #[test]
    fn what_may_pass_is_retriable_and_what_is_wrong_with_the_request_is_not() {
        for status in [408, 425, 429, 500, 502, 503, 504, 520] {
            assert!(outcome(status, "").unwrap_err().retriable(), "{status}");
        }
        for status in [301, 302, 307, 400, 401, 403, 404, 405, 410, 501, 505] {
            let error = outcome(status, "").unwrap_err();
            assert!(!error.retriable() && error.code() == "SASL_AUTHENTICATION_FAILED", "{status}");
        }
    }

    #[test]
    fn a_refusal_says_what_the_service_says_but_no_secret() {
        let body = r#"{"error":"invalid_client","error_description":"no such\nclient"}"#;
        let error = outcome(401, body).unwrap_err();
        assert!(error.message().contains("(401 Unauthorized: invalid_client, no suchclient)"), "{error}");
        let error = outcome(401, r#"{"error":"invalid_client","error_description":"hunter2 is wrong"}"#).unwrap_err();
        assert!(error.message().ends_with("(401 Unauthorized: invalid_client)"), "{error}");
        assert!(outcome(302, "").unwrap_err().message().contains("not followed"));
    }
}
