//! Signed tokens (RFC 7515) and the keys that they are checked with (RFC 7517), from a file that is read again when it changes.

#[allow(clippy::disallowed_types, reason = "the age of a file, which is no clock")]
use std::time::SystemTime;
use std::{fs, path::PathBuf};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::{Map, Value};

use super::sasl::token_part as claims;

/// The keys.
#[derive(Debug)]
pub(crate) struct KeySet {
    path: PathBuf,
    read: Mutex<(Stamp, Vec<Key>)>,
}

#[allow(clippy::disallowed_types, reason = "the age of a file, which is no clock")]
type Stamp = Option<(SystemTime, u64)>;

/// A public key.
#[derive(Clone, Debug)]
struct Key {
    id: Option<String>,
    algorithm: Option<String>,
    material: Material,
}

#[derive(Clone, Debug)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Uncompressed points.
    P256(Vec<u8>),
    P384(Vec<u8>),
}

impl KeySet {
    /// Reads the keys at a `file://` URL; an error is the end of a sentence.
    pub fn open(url: &str) -> Result<Self, String> {
        let path = url.strip_prefix("file://").filter(|path| path.starts_with('/')).ok_or_else(|| {
            format!("'{url}' is not read here; file:///PATH is: save what the service answers in a file")
        })?;
        let path = PathBuf::from(unescaped(path));
        let stamp = stamp(&path);
        let keys = read(&path).map_err(|why| format!("'{}' cannot be read: {why}", path.display()))?;
        Ok(Self { path, read: Mutex::new((stamp, keys)) })
    }

    /// The claims of a token that one of the keys has signed.
    pub fn verified_claims(&self, token: &str) -> Option<Map<String, Value>> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims_part) = signed.split_once('.')?;
        let header = claims(header)?;
        let algorithm = header.get("alg")?.as_str()?;
        let id = header.get("kid").map(|id| id.as_str());
        // What the token says must be understood (RFC 7515, 4.1.11) is not; a key is named by text or not at all.
        if header.contains_key("crit") || id == Some(None) {
            return None;
        }
        let id = id.flatten();
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let fits = |key: &&Key| {
            id.is_none_or(|id| key.id.as_deref() == Some(id))
                && key.algorithm.as_deref().is_none_or(|of| of == algorithm)
        };
        let keys = self.current();
        keys.iter().filter(fits).any(|key| key.verifies(algorithm, signed.as_bytes(), &signature)).then_some(())?;
        claims(claims_part)
    }

    fn current(&self) -> Vec<Key> {
        let mut known = self.read.lock();
        let now = stamp(&self.path);
        if known.0 != now {
            match read(&self.path) {
                Ok(keys) => *known = (now, keys),
                Err(why) => {
                    tracing::warn!(path = %self.path.display(), why, "the changed keys cannot be used; the old ones stay")
                }
            }
        }
        known.1.clone()
    }
}

fn stamp(path: &PathBuf) -> Stamp {
    fs::metadata(path).and_then(|facts| Ok((facts.modified()?, facts.len()))).ok()
}

fn read(path: &PathBuf) -> Result<Vec<Key>, String> {
    let text = fs::read(path).map_err(|error| error.to_string())?;
    let set: Value = serde_json::from_slice(&text).map_err(|_| "it is no JSON".to_string())?;
    let all = set.get("keys").and_then(Value::as_array).ok_or("it has no keys")?;
    // Keys of kinds that are not known are for others.
    Ok(all.iter().filter_map(key).collect())
}

fn key(value: &Value) -> Option<Key> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let number = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?.trim_end_matches('=')).ok();
    if text("use").is_some_and(|of| of != "sig") {
        return None;
    }
    let point = |bytes: usize| {
        let (x, y) = (number("x")?, number("y")?);
        (x.len() == bytes && y.len() == bytes).then(|| [&[4], &x[..], &y[..]].concat())
    };
    let material = match (text("kty")?, text("crv")) {
        ("RSA", _) => Material::Rsa { n: number("n")?, e: number("e")? },
        ("EC", Some("P-256")) => Material::P256(point(32)?),
        ("EC", Some("P-384")) => Material::P384(point(48)?),
        _ => return None,
    };
    Some(Key { id: text("kid").map(Into::into), algorithm: text("alg").map(Into::into), material })
}

impl Key {
    fn verifies(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Rsa { n, e } => {
                let parameters = match algorithm {
                    "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
                    "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
                    "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
                    "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
                    "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
                    "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
                    _ => return false,
                };
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }
            Material::P256(point) if algorithm == "ES256" => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
            Material::P384(point) if algorithm == "ES384" => {
                UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point).verify(message, signature).is_ok()
            }
            Material::P256(_) | Material::P384(_) => false,
        }
    }
}

/// `%20` is a space.
fn unescaped(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match digits.filter(|_| *first == b'%').and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use ring::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
    };
    use serde_json::json;

    use super::*;

    struct Signer(EcdsaKeyPair);

    impl Signer {
        fn new() -> Self {
            let random = SystemRandom::new();
            let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
            Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap())
        }

        fn jwk(&self, id: &str) -> Value {
            let point = self.0.public_key().as_ref();
            let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
            json!({ "kty": "EC", "crv": "P-256", "kid": id, "x": part(1..33), "y": part(33..65) })
        }

        fn sign(&self, header: &Value, claims: &Value) -> String {
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let signed = format!("{}.{}", part(header), part(claims));
            let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        }
    }

    #[test]
    fn a_token_is_believed_when_a_key_of_the_set_signed_it() {
        let path = std::env::temp_dir().join(format!("dohle jwks {}.json", std::process::id()));
        let (first, second) = (Signer::new(), Signer::new());
        fs::write(&path, json!({ "keys": [{ "kty": "OKP" }, first.jwk("one")] }).to_string()).unwrap();
        let keys = KeySet::open(&format!("file://{}", path.display().to_string().replace(' ', "%20"))).unwrap();
        let claims = json!({ "sub": "alice" });
        let is_good = |token: &str| keys.verified_claims(token).is_some_and(|found| found["sub"] == "alice");
        let header = json!({ "alg": "ES256", "kid": "one" });
        let good = first.sign(&header, &claims);
        assert!(is_good(&good));
        assert!(is_good(&first.sign(&json!({ "alg": "ES256" }), &claims)), "without an id every key is tried");
        assert!(!is_good(&first.sign(&json!({ "alg": "ES256", "kid": "two" }), &claims)));
        assert!(!is_good(&first.sign(&json!({ "alg": "RS256", "kid": "one" }), &claims)));
        assert!(!is_good(&first.sign(&json!({ "alg": "none", "kid": "one" }), &claims)));
        assert!(!is_good(&second.sign(&header, &claims)), "another key of the same name");
        let (signed, _) = good.rsplit_once('.').unwrap();
        for bad in [signed, &format!("{signed}."), &good[..good.len() - 2], "", ".", "..", "a.b.c"] {
            assert!(!is_good(bad), "{bad}");
        }
        fs::write(&path, json!({ "keys": [first.jwk("zero"), second.jwk("one")] }).to_string()).unwrap();
        assert!(is_good(&second.sign(&header, &claims)), "the file has changed");
        fs::write(&path, "not json").unwrap();
        assert!(is_good(&second.sign(&header, &claims)), "what was good still is");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_no_file_of_keys_is_told() {
        for url in ["https://a/b", "file:relative", "file://relative", "/a"] {
            assert!(KeySet::open(url).unwrap_err().contains("file:///PATH is"), "{url}");
        }
        assert!(KeySet::open("file:///nowhere/at/all").unwrap_err().contains("cannot be read"));
    }
}
