//! SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677), the broker's side, with the users that KIP-554 makes or with delegation
//! tokens (KIP-48). No channel binding: Kafka has none.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use dohle_security::scram::{Hash, Keys};
use ring::rand::{SecureRandom, SystemRandom};

use super::{Progress, Proven, Refused, Step};
use crate::{
    node::Node,
    security::{Principal, options::Mechanism},
};

/// The broker has asked for the proof.
pub(crate) struct Waiting {
    keys: Keys,
    proven: Proven,
    nonce: String,
    /// `client-first-message-bare,server-first-message,`.
    said: String,
}

/// `n=user,r=nonce` and what is behind.
struct First<'a> {
    as_whom: String,
    user: String,
    nonce: &'a str,
    is_token: bool,
    bare: &'a str,
}

/// Reads the client's first message, and asks for the proof.
pub(super) fn begin(node: &Node, mechanism: Mechanism, message: &[u8]) -> Result<Progress, Refused> {
    let first = std::str::from_utf8(message).ok().and_then(first).ok_or(Refused::Hidden)?;
    let hash = hash(mechanism);
    let (keys, salt, iterations, proven) = if first.is_token {
        let (keys, salt, iterations, owner) = node.tokens.keys(node, &first.user, hash).ok_or(Refused::Hidden)?;
        (keys, salt, iterations, owner)
    } else {
        let credential = node.users.credential(&first.user, number(mechanism)).ok_or(Refused::Hidden)?;
        let keys = Keys::of_salted(hash, &credential.salted_password);
        (keys, credential.salt, credential.iterations, Proven::user(&first.user))
    };
    if !first.as_whom.is_empty() && first.as_whom != first.user {
        let why = "Authentication failed: Client requested an authorization id that is different from username";
        return Err(Refused::Told(why.into()));
    }
    let nonce = format!("{}{}", first.nonce, STANDARD.encode(random::<24>()));
    let challenge = format!("r={nonce},s={},i={iterations}", STANDARD.encode(salt));
    let said = format!("{},{challenge},", first.bare);
    Ok(Progress::Goes(challenge.into(), Step::Scram(Box::new(Waiting { keys, proven, nonce, said }))))
}

impl Waiting {
    /// Checks the proof, and proves the broker's own knowledge.
    pub(super) fn check(self, message: &[u8]) -> Result<Progress, Refused> {
        let text = std::str::from_utf8(message).map_err(|_| Refused::Hidden)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(Refused::Hidden)?;
        let mut parts = without_proof.split(',');
        let binding = parts.next().and_then(|part| part.strip_prefix("c=")).filter(|part| !part.is_empty());
        let nonce = parts.next().and_then(|part| part.strip_prefix("r="));
        let proof = STANDARD.decode(proof).map_err(|_| Refused::Hidden)?;
        let said = format!("{}{without_proof}", self.said);
        if binding.is_none() || nonce != Some(&self.nonce) || !self.keys.is_proof(said.as_bytes(), &proof) {
            return Err(Refused::Hidden);
        }
        let signature = STANDARD.encode(self.keys.server_signature(said.as_bytes()));
        Ok(Progress::Done(Bytes::from(format!("v={signature}")), self.proven))
    }
}

fn first(text: &str) -> Option<First<'_>> {
    // Channel bindings (`p=`, `y`) are not offered.
    let rest = text.strip_prefix("n,")?;
    let (as_whom, bare) = rest.split_once(',')?;
    let as_whom = match as_whom {
        "" => String::new(),
        some => unescaped(some.strip_prefix("a=")?)?,
    };
    let mut parts = bare.split(',');
    let user = unescaped(parts.next()?.strip_prefix("n=")?)?;
    let nonce = parts.next()?.strip_prefix("r=")?;
    let printable = |byte: u8| byte.is_ascii_graphic() && byte != b',';
    if user.is_empty() || nonce.is_empty() || !nonce.bytes().all(printable) {
        return None;
    }
    let is_token = parts.any(|extension| extension.eq_ignore_ascii_case("tokenauth=true"));
    Some(First { as_whom, user, nonce, is_token, bare })
}

/// `=2C` is a comma, `=3D` is `=`, and no other `=` is allowed.
fn unescaped(name: &str) -> Option<String> {
    let mut pieces = name.split('=');
    let mut plain = pieces.next()?.to_string();
    for piece in pieces {
        let (c, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return None,
        };
        plain.push(c);
        plain.push_str(rest);
    }
    Some(plain)
}

fn hash(mechanism: Mechanism) -> Hash {
    if mechanism == Mechanism::ScramSha512 { Hash::Sha512 } else { Hash::Sha256 }
}

/// Kafka's number of the mechanism.
pub(crate) fn number(mechanism: Mechanism) -> i8 {
    if mechanism == Mechanism::ScramSha512 { 2 } else { 1 }
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system's source of randomness works");
    bytes
}

/// What is kept of a password that the settings have.
pub(crate) fn credential(mechanism: Mechanism, password: &str) -> crate::users::Credential {
    const ITERATIONS: u32 = 4096;
    let salt = random::<24>();
    let salted = hash(mechanism).salted_password(password, &salt, ITERATIONS);
    crate::users::Credential {
        iterations: ITERATIONS as i32,
        salt: Bytes::copy_from_slice(&salt),
        salted_password: Bytes::copy_from_slice(&salted),
    }
}

/// That of a delegation token's owner.
pub(crate) fn owner(principal: Principal, expires_at_ms: i64) -> Proven {
    Proven { principal, by_token: true, expires_at_ms: Some(expires_at_ms) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_message_is_read_as_rfc_5802_writes_it() {
        let read = |text| first(text).map(|of| (of.as_whom, of.user, of.nonce.to_string(), of.is_token));
        assert_eq!(read("n,,n=user,r=abc"), Some(("".into(), "user".into(), "abc".into(), false)));
        assert_eq!(read("n,a=x=2Cy,n=a=3Db=2Cc,r=abc"), Some(("x,y".into(), "a=b,c".into(), "abc".into(), false)));
        assert_eq!(read("n,,n=id,r=abc,tokenauth=true"), Some(("".into(), "id".into(), "abc".into(), true)));
        for odd in [
            "",
            "n",
            "n,",
            "n,,",
            "y,,n=a,r=b",
            "p=tls-unique,,n=a,r=b",
            "n,x,n=a,r=b",
            "n,,n=,r=b",
            "n,,n=a,r=",
            "n,,n=a=2c,r=b",
            "n,,n=a=,r=b",
            "n,,m=x,n=a,r=b",
            "n,,r=b,n=a",
            "n,,n=a,r=\u{e4}",
        ] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_proof_is_for_this_exchange_only() {
        let password = credential(Mechanism::ScramSha256, "pencil");
        let keys = || Keys::of_salted(Hash::Sha256, &password.salted_password);
        let waiting = || Waiting {
            keys: keys(),
            proven: Proven::user("user"),
            nonce: "abcdef".into(),
            said: "n=user,r=abc,r=abcdef,s=c2FsdA==,i=4096,".into(),
        };
        let last = |without_proof: &str| {
            let proof = keys().proof(format!("{}{without_proof}", waiting().said).as_bytes());
            format!("{without_proof},p={}", STANDARD.encode(proof))
        };
        let good = last("c=biws,r=abcdef");
        assert!(matches!(waiting().check(good.as_bytes()), Ok(Progress::Done(..))));
        for bad in [
            last("c=biws,r=abcdeg"),
            last("c=,r=abcdef"),
            last("r=abcdef"),
            good.replace(",p=", ",x=1,p="),
            "c=biws,r=abcdef".into(),
            "c=biws,r=abcdef,p=".into(),
            "c=biws,r=abcdef,p=!!".into(),
            "".into(),
        ] {
            assert_eq!(waiting().check(bad.as_bytes()).err(), Some(Refused::Hidden), "{bad}");
        }
    }
}
