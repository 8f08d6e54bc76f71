//! What a client is vouched for with at a token endpoint (RFC 7523, KIP-1139): a JWT that is signed here with a private key, or one
//! that somebody else writes to a file, as platforms do with the identity of a workload. Made anew for each token.

use std::fs;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::SignatureScheme;
use rustls::sign::Signer;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::generated::options::{ClientOptions, SaslOauthbearerAssertionAlgorithm as Algorithm};
use crate::options::OptionError;
use crate::security::tls::{KeySource, private_key};
use crate::security::{Secret, blocking};
use crate::world::World;

const KEY: &str = "sasl.assertionKey (sasl.oauthbearer.assertion.private.key.pem)";
const KEY_FILE: &str = "sasl.assertionKeyFile (sasl.oauthbearer.assertion.private.key.file)";
const PASSPHRASE: &str = "sasl.assertionPassphrase (sasl.oauthbearer.assertion.private.key.passphrase)";
const ALGORITHM: &str = "sasl.assertionAlgorithm (sasl.oauthbearer.assertion.algorithm)";
const KEY_ID: &str = "sasl.assertionKeyId (sasl.oauthbearer.assertion.key.id)";
const ISSUER: &str = "sasl.assertionIssuer (sasl.oauthbearer.assertion.claim.iss)";
const CLAIMS: &str = "sasl.assertionClaims (sasl.oauthbearer.assertion.claims)";
const FILE: &str = "sasl.assertionFile (sasl.oauthbearer.assertion.file)";
/// How far the clock of the service may be behind.
const CLOCK_SKEW_SECONDS: i64 = 60;

/// See the module.
pub(super) enum Assertion {
    /// The file that has it.
    File(String),
    /// It is signed here.
    Signed(Arc<Signing>),
}

pub(super) struct Signing {
    key: KeySource,
    passphrase: Option<Secret>,
    algorithm: Algorithm,
    key_id: Option<String>,
    /// Those that are always the same.
    claims: Map<String, Value>,
    lifetime_seconds: i64,
}

/// An option that belongs to assertions and is given.
pub(super) fn member(options: &ClientOptions) -> Option<&'static str> {
    options.sasl_assertion_file.is_some().then_some(FILE).or_else(|| signing_member(options))
}

fn signing_member(options: &ClientOptions) -> Option<&'static str> {
    let default = ClientOptions::default();
    [
        (options.sasl_assertion_key.is_some(), KEY),
        (options.sasl_assertion_key_file.is_some(), KEY_FILE),
        (options.sasl_assertion_passphrase.is_some(), PASSPHRASE),
        (options.sasl_assertion_algorithm != default.sasl_assertion_algorithm, ALGORITHM),
        (options.sasl_assertion_key_id.is_some(), KEY_ID),
        (options.sasl_assertion_issuer.is_some(), ISSUER),
        (options.sasl_assertion_subject.is_some(), "sasl.assertionSubject (sasl.oauthbearer.assertion.claim.sub)"),
        (options.sasl_assertion_audience.is_some(), "sasl.assertionAudience (sasl.oauthbearer.assertion.claim.aud)"),
        (
            options.sasl_assertion_lifetime_seconds != default.sasl_assertion_lifetime_seconds,
            "sasl.assertionLifetimeSeconds (sasl.oauthbearer.assertion.claim.exp.seconds)",
        ),
        (options.sasl_assertion_claims.is_some(), CLAIMS),
    ]
    .into_iter()
    .find_map(|(given, name)| given.then_some(name))
}

impl Assertion {
    /// None: the options ask for none. `audience` is who is meant when no option says so.
    pub(super) fn new(options: &ClientOptions, audience: &str) -> Result<Option<Self>> {
        let wrong = |option: &str, problem: String| Err(OptionError::new(option, problem).into());
        let key =
            KeySource::new((KEY, options.sasl_assertion_key.clone()), (KEY_FILE, &options.sasl_assertion_key_file))?;
        let key = match (key, &options.sasl_assertion_file, signing_member(options)) {
            (_, Some(_), Some(member)) => {
                return wrong(member, format!("is given, and {FILE} too, whose assertion is signed already"));
            }
            (_, Some(path), None) => return Ok(Some(Self::File(path.clone()))),
            (Some(key), None, _) => key,
            (None, None, Some(member)) => return wrong(member, format!("is given, but no key to sign with: {KEY}")),
            (None, None, None) => return Ok(None),
        };
        let signing = Signing {
            key,
            passphrase: options.sasl_assertion_passphrase.clone(),
            algorithm: options.sasl_assertion_algorithm,
            key_id: options.sasl_assertion_key_id.clone(),
            claims: claims(options, audience)?,
            lifetime_seconds: options.sasl_assertion_lifetime_seconds.into(),
        };
        signing.check()?;
        Ok(Some(Self::Signed(Arc::new(signing))))
    }

    /// A new one.
    pub(super) async fn make(&self, world: &Arc<dyn World>) -> Result<Zeroizing<String>> {
        match self {
            Self::File(path) => {
                let path = path.clone();
                blocking(&**world, move || read(&path)).await
            }
            Self::Signed(signing) => {
                let now = world.wall_clock_ms() / 1000;
                let id = format!("{:016x}{:016x}", world.random_u64(), world.random_u64());
                let signing = signing.clone();
                blocking(&**world, move || signing.jwt(now, &id)).await
            }
        }
    }
}

fn read(path: &str) -> Result<Zeroizing<String>> {
    let wrong = |problem: String| Error::from(OptionError::new(FILE, format!("'{path}' {problem}")));
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|error| wrong(format!("cannot be read: {error}")))?);
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong("has no assertion in it: one line with a JWT is wanted".to_owned()));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

fn claims(options: &ClientOptions, audience: &str) -> Result<Map<String, Value>, OptionError> {
    let mut claims = match options.sasl_assertion_claims.as_deref().map(serde_json::from_str) {
        None => Map::new(),
        Some(Ok(Value::Object(claims))) => claims,
        Some(_) => return Err(OptionError::new(CLAIMS, "is not the text of a JSON object")),
    };
    let mut set = |name: &str, given: &Option<String>, other: Option<Value>| {
        let value = given.as_ref().map(|text| json!(text)).or_else(|| claims.get(name).cloned()).or(other);
        if let Some(value) = &value {
            claims.insert(name.to_owned(), value.clone());
        }
        value
    };
    let issuer = set("iss", &options.sasl_assertion_issuer, options.sasl_client_id.as_ref().map(|id| json!(id)));
    if issuer.is_none() {
        return Err(OptionError::new(
            ISSUER,
            "is needed to sign an assertion, or sasl.clientId, which stands in for it",
        ));
    }
    set("sub", &options.sasl_assertion_subject, issuer);
    set("aud", &options.sasl_assertion_audience, Some(json!(audience)));
    Ok(claims)
}

impl Signing {
    /// Whether the key is there and fits. An encrypted one is not opened: that may take long.
    fn check(&self) -> Result<()> {
        let text = self.key.read()?;
        if text.contains("ENCRYPTED") && self.passphrase.is_some() {
            return Ok(());
        }
        self.signer(&text).map(drop)
    }

    fn signer(&self, text: &str) -> Result<Box<dyn Signer>> {
        let option = self.key.option();
        let key = private_key(option, text, (PASSPHRASE, self.passphrase.as_ref()))?;
        let unfit = |problem: String| Error::from(OptionError::new(option, problem));
        let key = rustls::crypto::ring::sign::any_supported_type(&key).map_err(|_| {
            unfit(
                "is of a kind that is not known: RSA (2048 bits and more), ECDSA P-256 and P-384, Ed25519 are"
                    .to_owned(),
            )
        })?;
        key.choose_scheme(&[scheme(self.algorithm)])
            .ok_or_else(|| unfit(format!("is not of the kind that {} signs with ({ALGORITHM})", self.algorithm.name())))
    }

    fn jwt(&self, now: i64, id: &str) -> Result<Zeroizing<String>> {
        let signer = self.signer(&self.key.read()?)?;
        let mut header = json!({ "alg": self.algorithm.name(), "typ": "JWT" });
        if let Some(key_id) = &self.key_id {
            header["kid"] = json!(key_id);
        }
        let mut claims = self.claims.clone();
        claims.insert("iat".to_owned(), json!(now));
        claims.insert("nbf".to_owned(), json!(now - CLOCK_SKEW_SECONDS));
        claims.insert("exp".to_owned(), json!(now + self.lifetime_seconds));
        claims.insert("jti".to_owned(), json!(id));
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let mut jwt = Zeroizing::new(format!("{}.{}", part(&header), part(&Value::Object(claims))));
        let failed = || Error::from(OptionError::new(self.key.option(), "cannot sign"));
        let signature = signer.sign(jwt.as_bytes()).map_err(|_| failed())?;
        let signature = match self.algorithm {
            Algorithm::Es256 => plain(&signature, 32).ok_or_else(failed)?,
            Algorithm::Es384 => plain(&signature, 48).ok_or_else(failed)?,
            _ => signature,
        };
        jwt.push('.');
        jwt.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Ok(jwt)
    }
}

fn scheme(algorithm: Algorithm) -> SignatureScheme {
    match algorithm {
        Algorithm::Rs256 => SignatureScheme::RSA_PKCS1_SHA256,
        Algorithm::Rs384 => SignatureScheme::RSA_PKCS1_SHA384,
        Algorithm::Rs512 => SignatureScheme::RSA_PKCS1_SHA512,
        Algorithm::Ps256 => SignatureScheme::RSA_PSS_SHA256,
        Algorithm::Ps384 => SignatureScheme::RSA_PSS_SHA384,
        Algorithm::Ps512 => SignatureScheme::RSA_PSS_SHA512,
        Algorithm::Es256 => SignatureScheme::ECDSA_NISTP256_SHA256,
        Algorithm::Es384 => SignatureScheme::ECDSA_NISTP384_SHA384,
        Algorithm::EdDSA => SignatureScheme::ED25519,
    }
}

/// The two numbers of an ECDSA signature side by side, as JWS has them (RFC 7518 §3.4), out of the ASN.1 that TLS has.
fn plain(der: &[u8], size: usize) -> Option<Vec<u8>> {
    /// The content of an element of this tag, and what follows it. Lengths here fit in one byte or in two.
    fn element(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
        let (length, rest) = match bytes {
            [first, 0x81, length, rest @ ..] if *first == tag => (*length, rest),
            [first, length @ ..=0x7f, rest @ ..] if *first == tag => (*length, rest),
            _ => return None,
        };
        rest.split_at_checked(usize::from(length))
    }
    let (numbers, _) = element(0x30, der)?;
    let (r, rest) = element(0x02, numbers)?;
    let (s, _) = element(0x02, rest)?;
    let mut out = Vec::with_capacity(2 * size);
    for number in [r, s] {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let digits = &number[zeros..];
        out.resize(out.len() + size.checked_sub(digits.len())?, 0);
        out.extend_from_slice(digits);
    }
    Some(out)
}

#[cfg(test)]
mod tests;
