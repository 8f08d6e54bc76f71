//! SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677), the client's side: messages in, messages out.
//!
//! The server is not trusted: its nonce must go on from ours, its iterations must be enough to protect the password and few
//! enough to be done, and it must prove that it knows the password too. No channel binding: Kafka has none.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dohle_security::is_same;
use dohle_security::scram::{Hash, Keys};
use parking_lot::Mutex;
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::Result;
use crate::generated::options::SaslMechanism;
use crate::security::{Secret, off_thread};
use crate::world::World;

/// Fewer iterations leave the password to whoever listens, as Kafka has it.
const FEWEST_ITERATIONS: u32 = 4096;
/// More are an attack on this side's processor.
const MOST_ITERATIONS: u32 = 1_000_000;
/// Longer than any salt there is.
const LONGEST_SALT: usize = 1024;

/// One exchange.
pub(super) struct Scram {
    nonce: String,
    first_bare: String,
    server_first: String,
    server_signature: Vec<u8>,
}

/// What the server asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    nonce: String,
    salt: Vec<u8>,
    iterations: u32,
}

/// 192 random bits as text.
pub(super) fn nonce() -> String {
    let mut bytes = [0; 24];
    SystemRandom::new().fill(&mut bytes).expect("the system's source of randomness works");
    STANDARD.encode(bytes)
}

impl Scram {
    /// `is_token`: the user is a delegation token (KIP-48).
    pub(super) fn begin(user: &str, nonce: String, is_token: bool) -> Self {
        let name = user.replace('=', "=3D").replace(',', "=2C");
        let extension = if is_token { ",tokenauth=true" } else { "" };
        let first_bare = format!("n={name},r={nonce}{extension}");
        Self { nonce, first_bare, server_first: String::new(), server_signature: Vec::new() }
    }

    pub(super) fn client_first(&self) -> Bytes {
        format!("n,,{}", self.first_bare).into()
    }

    /// Reads `r=…,s=…,i=…`.
    pub(super) fn challenge(&mut self, message: &[u8]) -> Result<Challenge, String> {
        let text = std::str::from_utf8(message).map_err(|_| "the server's first message is not text".to_owned())?;
        self.server_first = text.to_owned();
        let mut parts = text.split(',');
        let mut part = |name: &str| {
            let value = parts.next().and_then(|part| part.strip_prefix(name));
            value.ok_or_else(|| format!("the server's first message lacks {name}"))
        };
        let nonce = part("r=")?.to_owned();
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(
                "the server's nonce does not go on from the client's: the answer is not to this exchange".to_owned()
            );
        }
        let salt = STANDARD.decode(part("s=")?).ok().filter(|salt| !salt.is_empty() && salt.len() <= LONGEST_SALT);
        let salt = salt.ok_or("the server's salt cannot be read")?;
        let iterations: u32 = part("i=")?.parse().map_err(|_| "the server's count of iterations is no number")?;
        if iterations < FEWEST_ITERATIONS {
            return Err(format!(
                "the server asks for {iterations} iterations; fewer than {FEWEST_ITERATIONS} do not protect the password"
            ));
        }
        if iterations > MOST_ITERATIONS {
            return Err(format!(
                "the server asks for {iterations} iterations; more than {MOST_ITERATIONS} are not done"
            ));
        }
        Ok(Challenge { nonce, salt, iterations })
    }

    /// Proves knowledge of the password, and notes what the server will have to say.
    pub(super) fn client_final(&mut self, keys: &Keys, challenge: &Challenge) -> Bytes {
        // `biws` is `n,,`: no channel binding.
        let without_proof = format!("c=biws,r={}", challenge.nonce);
        let message = format!("{},{},{without_proof}", self.first_bare, self.server_first);
        let proof = keys.proof(message.as_bytes());
        self.server_signature = keys.server_signature(message.as_bytes());
        format!("{without_proof},p={}", STANDARD.encode(proof)).into()
    }

    /// Whether the server knows the password too.
    pub(super) fn check_server(&self, message: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(message).map_err(|_| "the server's last message is not text".to_owned())?;
        let mut parts = text.split(',');
        let first = parts.next().unwrap_or_default();
        if let Some(error) = first.strip_prefix("e=") {
            return Err(format!("the server refused: {}", error.chars().take(100).collect::<String>()));
        }
        let signature = first.strip_prefix("v=").and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
        if is_same(&signature, &self.server_signature) {
            return Ok(());
        }
        Err("the server's signature is wrong: it does not know the password, so it is not the broker it should be"
            .to_owned())
    }
}

/// The keys of a client: brokers ask with the same salt each time, so they are derived once and not for every connection.
#[derive(Default)]
pub(super) struct ScramKeys(Mutex<Option<(Vec<u8>, u32, Keys)>>);

impl ScramKeys {
    pub(super) async fn derive(
        &self,
        world: &dyn World,
        mechanism: SaslMechanism,
        password: &Secret,
        challenge: &Challenge,
    ) -> Result<Keys> {
        if let Some((salt, iterations, keys)) = &*self.0.lock()
            && (salt, *iterations) == (&challenge.salt, challenge.iterations)
        {
            return Ok(keys.clone());
        }
        let hash = if mechanism == SaslMechanism::ScramSha256 { Hash::Sha256 } else { Hash::Sha512 };
        let (password, salt, iterations) = (password.clone(), challenge.salt.clone(), challenge.iterations);
        let keys = off_thread(world, move || Keys::new(hash, password.expose(), &salt, iterations)).await?;
        *self.0.lock() = Some((challenge.salt.clone(), challenge.iterations, keys.clone()));
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    /// The exchange of RFC 7677, section 3.
    fn rfc_7677() -> (Scram, Challenge) {
        let mut scram = Scram::begin("user", "rOprNGfwEbeRWgbNEkqO".to_owned(), false);
        assert_eq!(scram.client_first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge = scram.challenge(SERVER_FIRST.as_bytes()).unwrap();
        (scram, challenge)
    }

    #[test]
    fn the_example_of_rfc_7677() {
        let (mut scram, challenge) = rfc_7677();
        let keys = Keys::new(Hash::Sha256, "pencil", &challenge.salt, challenge.iterations);
        assert_eq!(
            scram.client_final(&keys, &challenge),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(scram.check_server(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(()));
        let wrong = scram.check_server(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G8=").unwrap_err();
        assert!(wrong.contains("signature is wrong"), "{wrong}");
        for odd in [&b""[..], b"v=", b"v=!!", b"x=1", b"\xff", b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl9"] {
            assert!(scram.check_server(odd).is_err(), "{odd:?}");
        }
        assert!(scram.check_server(b"e=other-error").unwrap_err().contains("other-error"));
    }

    /// RFC 5802's own example is for SHA-1, and none is published for SHA-512: this one is from Python's hashlib and hmac.
    #[test]
    fn the_same_exchange_with_sha_512() {
        let (mut scram, challenge) = rfc_7677();
        let keys = Keys::new(Hash::Sha512, "pencil", &challenge.salt, challenge.iterations);
        let last = scram.client_final(&keys, &challenge);
        let proof = std::str::from_utf8(&last).unwrap().rsplit_once(",p=").unwrap().1;
        assert_eq!(proof, SHA_512_PROOF);
        assert_eq!(scram.check_server(format!("v={SHA_512_SIGNATURE}").as_bytes()), Ok(()));
    }

    const SHA_512_PROOF: &str =
        "gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==";
    const SHA_512_SIGNATURE: &str =
        "ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==";

    #[test]
    fn what_a_server_may_not_ask_is_refused() {
        let refused = |message: &str| {
            Scram::begin("user", "abc".to_owned(), false).challenge(message.as_bytes()).expect_err(message)
        };
        let salt = "s=W22ZaJ0SNY7soEsUEjb6gQ==";
        assert!(refused(&format!("r=abcd,{salt},i=1")).contains("do not protect"));
        assert!(refused(&format!("r=abcd,{salt},i=4095")).contains("4096"));
        assert!(refused(&format!("r=abcd,{salt},i=1000001")).contains("are not done"));
        assert!(refused(&format!("r=abcd,{salt},i=1000000000")).contains("are not done"));
        assert!(refused(&format!("r=abcd,{salt},i=99999999999")).contains("no number"));
        assert!(refused(&format!("r=abcd,{salt},i=-1")).contains("no number"));
        assert!(refused(&format!("r=abc,{salt},i=4096")).contains("nonce"), "nothing of the server's own");
        assert!(refused(&format!("r=xbcd,{salt},i=4096")).contains("nonce"));
        assert!(refused("r=abcd,s=,i=4096").contains("salt"));
        assert!(refused("r=abcd,s=***,i=4096").contains("salt"));
        assert!(refused(&format!("r=abcd,s={},i=4096", STANDARD.encode(vec![0; 2000]))).contains("salt"));
        assert!(
            refused(&format!("m=x,r=abcd,{salt},i=4096")).contains("lacks r="),
            "an extension that must be understood"
        );
        assert!(refused("").contains("lacks"));
        let mut at_the_border = Scram::begin("user", "abc".to_owned(), false);
        for iterations in [4096, 1_000_000] {
            let message = format!("r=abcd,{salt},i={iterations}");
            assert_eq!(at_the_border.challenge(message.as_bytes()).unwrap().iterations, iterations);
        }
    }

    #[test]
    fn names_are_escaped_and_else_go_as_they_are() {
        let first = |user| Scram::begin(user, "x".to_owned(), false).client_first();
        assert_eq!(first("a=b,c"), "n,,n=a=3Db=2Cc,r=x");
        assert_eq!(first("\u{2168} a\u{308}\u{AD}"), "n,,n=\u{2168} a\u{308}\u{AD},r=x");
    }

    #[test]
    fn a_delegation_token_says_that_it_is_one() {
        let scram = Scram::begin("id", "x".to_owned(), true);
        assert_eq!(scram.client_first(), "n,,n=id,r=x,tokenauth=true");
    }

    #[test]
    fn every_exchange_has_a_nonce_of_its_own() {
        assert_ne!(nonce(), nonce());
        assert!(nonce().bytes().all(|byte| byte.is_ascii_graphic() && byte != b','));
    }
}
