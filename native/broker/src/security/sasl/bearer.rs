//! OAUTHBEARER (RFC 7628): who a token is for. Without `sasl.oauthbearer.jwks.endpoint.url` tokens are unsecured (`alg` none), as
//! Kafka's default validator takes them, for tests only; with it they are signed by one of the keys there.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Progress, Proven, Refused, Step};
use crate::{
    config::split,
    security::{Settings, Wrong, jaas::Jaas, jws::KeySet},
};

const NAME: &str = "OAUTHBEARER";
const JWKS: &str = "sasl.oauthbearer.jwks.endpoint.url";
const HANDLER: &str = "sasl.server.callback.handler.class";
const SIGNED_HANDLER: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler";

/// What a token must be.
#[derive(Debug)]
pub(crate) struct Validator {
    /// None: tokens are unsecured.
    keys: Option<KeySet>,
    issuer: Option<String>,
    audience: Vec<String>,
    skew_ms: f64,
    scope_claim: String,
    subject_claim: String,
    required_scope: Vec<String>,
}

impl Validator {
    pub fn new(settings: &Settings<'_>, module: Option<&Jaas>) -> Result<Self, Wrong> {
        let text = |name: &str| settings.of_mechanism(NAME, name);
        let handler = text(HANDLER);
        let wrong = |name: &'static str, why: String| (name, format!("{name}: {why}"));
        let Some(url) = text(JWKS) else {
            if let Some(handler) = handler {
                let why = format!("{handler} needs {JWKS}; no other handler is served");
                return Err(wrong(HANDLER, why));
            }
            return Ok(Self::unsecured(module));
        };
        if let Some(other) = handler.filter(|handler| handler != SIGNED_HANDLER) {
            return Err(wrong(HANDLER, format!("{other} is not served; {SIGNED_HANDLER} is")));
        }
        Ok(Self {
            keys: Some(KeySet::open(&url).map_err(|why| wrong(JWKS, why))?),
            issuer: text("sasl.oauthbearer.expected.issuer"),
            audience: split(&text("sasl.oauthbearer.expected.audience").unwrap_or_default()).map(Into::into).collect(),
            skew_ms: settings.number(NAME, "sasl.oauthbearer.clock.skew.seconds") as f64 * 1000.0,
            scope_claim: text("sasl.oauthbearer.scope.claim.name").unwrap_or_default(),
            subject_claim: text("sasl.oauthbearer.sub.claim.name").unwrap_or_default(),
            required_scope: Vec::new(),
        })
    }

    /// With the options of Kafka's `OAuthBearerUnsecuredValidatorCallbackHandler`.
    fn unsecured(module: Option<&Jaas>) -> Self {
        let option = |name: &str| {
            let options = &module?.options;
            options.get(&format!("unsecuredValidator{name}")).map(|value| value.expose().to_string())
        };
        Self {
            keys: None,
            issuer: None,
            audience: Vec::new(),
            skew_ms: option("AllowableClockSkewMs").and_then(|text| text.parse().ok()).unwrap_or(0.0),
            scope_claim: option("ScopeClaimName").unwrap_or("scope".into()),
            subject_claim: option("PrincipalClaimName").unwrap_or("sub".into()),
            required_scope: option("RequiredScope").unwrap_or_default().split_whitespace().map(Into::into).collect(),
        }
    }

    /// Whom a token is for, and until when; or what the client is told, in the words of RFC 7628.
    fn validate(&self, token: &str, now_ms: f64) -> Result<(String, i64), String> {
        let invalid = || r#"{"status":"invalid_token"}"#.to_string();
        let claims = match &self.keys {
            None => unsecured_claims(token),
            Some(keys) => keys.verified_claims(token),
        };
        let claims = claims.ok_or_else(invalid)?;
        let seconds = |name: &str| claims.get(name).and_then(Value::as_f64).map(|seconds| seconds * 1000.0);
        let subject = claims.get(&self.subject_claim).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
        let expires = seconds("exp").filter(|at| now_ms <= at + self.skew_ms);
        let issued = match (seconds("iat"), claims.get("iat")) {
            (Some(at), _) => at <= now_ms + self.skew_ms,
            (None, Some(_)) => false,
            (None, None) => self.keys.is_none(),
        };
        let not_yet = match (seconds("nbf"), claims.get("nbf")) {
            (Some(at), _) => at > now_ms + self.skew_ms,
            (None, given) => given.is_some(),
        };
        let one_of = |name: &str, wanted: &dyn Fn(&str) -> bool| match claims.get(name) {
            Some(Value::String(one)) => wanted(one),
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).any(wanted),
            _ => false,
        };
        let issuer = self.issuer.as_ref().is_none_or(|issuer| one_of("iss", &|name| name == issuer));
        let wanted = |name: &str| self.audience.iter().any(|audience| audience == name);
        let audience = self.audience.is_empty() || one_of("aud", &wanted);
        let (Some(subject), Some(expires)) = (subject, expires) else { return Err(invalid()) };
        if !issued || not_yet || !issuer || !audience {
            return Err(invalid());
        }
        let scope: Vec<&str> = match claims.get(&self.scope_claim) {
            None => Vec::new(),
            Some(Value::String(text)) => text.split_whitespace().collect(),
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            Some(_) => return Err(invalid()),
        };
        if !self.required_scope.iter().all(|wanted| scope.contains(&wanted.as_str())) {
            let scope = self.required_scope.join(" ").replace(['"', '\\'], "");
            return Err(format!(r#"{{"status":"insufficient_scope","scope":"{scope}"}}"#));
        }
        Ok((subject.to_string(), expires as i64))
    }
}

/// Takes the client's only message.
pub(super) fn check(validator: &Validator, now_ms: i64, message: &[u8]) -> Result<Progress, Refused> {
    let text = std::str::from_utf8(message).map_err(|_| Refused::Hidden)?;
    let (as_whom, token) = parse(text).ok_or(Refused::Hidden)?;
    let (subject, expires_at_ms) = match validator.validate(token, now_ms as f64) {
        Ok(valid) => valid,
        Err(why) => return Ok(Progress::Goes(Bytes::from(why.clone()), Step::Unbelieved(why))),
    };
    if !as_whom.is_empty() && as_whom != subject {
        let why = format!(
            "Authentication failed: Client requested an authorization id ({as_whom}) that is different from the token's \
             principal name ({subject})"
        );
        return Err(Refused::Told(why));
    }
    Ok(Progress::Done(Bytes::new(), Proven { expires_at_ms: Some(expires_at_ms), ..Proven::user(&subject) }))
}

/// `n,a=WHOM,^Aauth=Bearer TOKEN^Akey=value^A^A`: whom, and the token.
fn parse(text: &str) -> Option<(&str, &str)> {
    let (as_whom, rest) = text.strip_prefix("n,")?.split_once(',')?;
    let as_whom = if as_whom.is_empty() { "" } else { as_whom.strip_prefix("a=")? };
    let pairs = rest.strip_prefix('\u{1}')?.strip_suffix("\u{1}\u{1}")?;
    let mut token = None;
    for pair in pairs.split('\u{1}') {
        match pair.split_once('=')? {
            ("auth", value) => {
                let (scheme, value) = value.split_once(' ')?;
                if !scheme.eq_ignore_ascii_case("bearer") || token.replace(value.trim()).is_some() {
                    return None;
                }
            }
            (name, _) if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic()) => {}
            _ => return None,
        }
    }
    Some((as_whom, token.filter(|token| !token.is_empty())?))
}

/// The claims of a token without a signature.
fn unsecured_claims(token: &str) -> Option<Map<String, Value>> {
    let mut parts = token.split('.');
    let (header, claims) = (object(parts.next()?)?, object(parts.next()?)?);
    let unsigned = parts.next().is_none_or(str::is_empty) && parts.next().is_none();
    (unsigned && header.get("alg").and_then(Value::as_str) == Some("none")).then_some(claims)
}

/// One part of a token.
pub(crate) fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?;
    match serde_json::from_slice(&bytes).ok()? {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    fn said(validator: &Validator, message: &str) -> String {
        match check(validator, 100_000, message.as_bytes()) {
            Ok(Progress::Done(_, proven)) => format!("{} until {:?}", proven.principal, proven.expires_at_ms),
            Ok(Progress::Goes(bytes, _)) => String::from_utf8_lossy(&bytes).into(),
            Err(Refused::Told(why)) => why,
            Err(Refused::Hidden) => "hidden".into(),
        }
    }

    #[test]
    fn an_unsecured_token_is_believed_while_it_lasts() {
        let validator = Validator::unsecured(None);
        let of = |claims: &str| {
            said(&validator, &format!("n,,\u{1}auth=Bearer {}\u{1}\u{1}", token(r#"{"alg":"none"}"#, claims)))
        };
        assert_eq!(of(r#"{"sub":"alice","exp":100.5}"#), "User:alice until Some(100500)");
        assert_eq!(of(r#"{"sub":"alice","exp":100,"iat":100,"scope":["a"]}"#), "User:alice until Some(100000)");
        for bad in [
            r#"{"sub":"alice","exp":99}"#,
            r#"{"sub":"alice"}"#,
            r#"{"exp":200}"#,
            r#"{"sub":" ","exp":200}"#,
            r#"{"sub":7,"exp":200}"#,
            r#"{"sub":"a","exp":"200"}"#,
            r#"{"sub":"a","exp":200,"iat":101}"#,
            r#"{"sub":"a","exp":200,"iat":"x"}"#,
            r#"{"sub":"a","exp":200,"nbf":101}"#,
            r#"{"sub":"a","exp":200,"nbf":"1"}"#,
            r#"{"sub":"a","exp":200,"scope":7}"#,
            "[]",
            "{",
        ] {
            assert_eq!(of(bad), r#"{"status":"invalid_token"}"#, "{bad}");
        }
    }

    #[test]
    fn a_message_is_as_rfc_7628_has_it() {
        let validator = Validator::unsecured(None);
        let good = token(r#"{"alg":"none"}"#, r#"{"sub":"alice","exp":200}"#);
        let with = |form: &str| said(&validator, &form.replace("TOKEN", &good));
        assert!(with("n,,\u{1}auth=Bearer TOKEN\u{1}traceId=1\u{1}\u{1}").starts_with("User:alice"));
        assert!(with("n,a=alice,\u{1}auth=bearer TOKEN\u{1}\u{1}").starts_with("User:alice"));
        assert!(with("n,a=bob,\u{1}auth=Bearer TOKEN\u{1}\u{1}").contains("authorization id (bob)"));
        for odd in [
            "",
            "n,,",
            "n,,\u{1}\u{1}",
            "n,,\u{1}auth=Bearer TOKEN\u{1}",
            "n,,\u{1}auth=Basic TOKEN\u{1}\u{1}",
            "n,,\u{1}auth=TOKEN\u{1}\u{1}",
            "n,,\u{1}x=1\u{1}\u{1}",
            "n,,\u{1}auth=Bearer TOKEN\u{1}a1=b\u{1}\u{1}",
            "n,,\u{1}auth=Bearer TOKEN\u{1}auth=Bearer TOKEN\u{1}\u{1}",
            "n,,\u{1}auth=Bearer \u{1}\u{1}",
        ] {
            assert_eq!(with(odd), "hidden", "{odd:?}");
        }
        for unbelieved in [
            token(r#"{"alg":"RS256"}"#, r#"{"sub":"alice","exp":200}"#),
            format!("{good}c2ln"),
            format!("{good}."),
            "no-jwt".into(),
        ] {
            let message = format!("n,,\u{1}auth=Bearer {unbelieved}\u{1}\u{1}");
            assert_eq!(said(&validator, &message), r#"{"status":"invalid_token"}"#, "{unbelieved}");
        }
    }

    #[test]
    fn a_scope_may_be_required() {
        let module = crate::security::jaas::parse("M required unsecuredValidatorRequiredScope=\"a b\";").unwrap();
        let validator = Validator::unsecured(Some(&module));
        let of = |scope: &str| {
            let claims = format!(r#"{{"sub":"alice","exp":200,"scope":{scope}}}"#);
            said(&validator, &format!("n,,\u{1}auth=Bearer {}\u{1}\u{1}", token(r#"{"alg":"none"}"#, &claims)))
        };
        assert!(of(r#""b c a""#).starts_with("User:alice"));
        assert_eq!(of(r#"["a"]"#), r#"{"status":"insufficient_scope","scope":"a b"}"#);
    }
}
