//! What SCRAM-SHA-256 and SCRAM-SHA-512 compute (RFC 5802, RFC 7677): for those who log in, for those who let in, and for those who
//! make a user.
//!
//! A password is hashed as it is, in UTF-8. RFC 5802 would have it prepared by SASLprep first, which Kafka does not do (KIP-84,
//! `ScramFormatter.normalize`), nor do its tools, librdkafka and kafkajs: who prepared it could not log in with a password that
//! was set with them, such as one with `Ⅸ`, a no-break space or a decomposed `ä`.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

/// What SCRAM hashes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

impl Hash {
    /// `Hi` of RFC 5802. Takes as long as `iterations` say: not for an I/O thread.
    pub fn salted_password(self, password: &str, salt: &[u8], iterations: u32) -> Zeroizing<Vec<u8>> {
        let mut salted = Zeroizing::new(vec![0; if self == Hash::Sha256 { 32 } else { 64 }]);
        match self {
            Hash::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, iterations, &mut salted),
            Hash::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password.as_bytes(), salt, iterations, &mut salted),
        }
        salted
    }

    /// The keyed hash of a message.
    pub fn hmac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha256 => hmac::<Hmac<Sha256>>(key, message),
            Hash::Sha512 => hmac::<Hmac<Sha512>>(key, message),
        }
    }

    /// The hash of a message.
    pub fn digest(self, message: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha256 => Sha256::digest(message).to_vec(),
            Hash::Sha512 => Sha512::digest(message).to_vec(),
        }
    }
}

fn hmac<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("a key may have any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// What is derived from a salted password. A client proves that it has `client`; a broker needs `stored` and `server` only.
#[derive(Clone)]
pub struct Keys {
    /// What they hash with.
    pub hash: Hash,
    /// The client's key.
    pub client: Zeroizing<Vec<u8>>,
    /// The hash of it.
    pub stored: Zeroizing<Vec<u8>>,
    /// The broker's key.
    pub server: Zeroizing<Vec<u8>>,
}

impl Keys {
    /// From a password. Takes as long as `iterations` say.
    pub fn new(hash: Hash, password: &str, salt: &[u8], iterations: u32) -> Self {
        Self::of_salted(hash, &hash.salted_password(password, salt, iterations))
    }

    /// From what [`Hash::salted_password`] gave.
    pub fn of_salted(hash: Hash, salted: &[u8]) -> Self {
        let client = Zeroizing::new(hash.hmac(salted, b"Client Key"));
        let stored = Zeroizing::new(hash.digest(&client));
        let server = Zeroizing::new(hash.hmac(salted, b"Server Key"));
        Self { hash, client, stored, server }
    }

    /// What a client shows: its key, hidden by a signature of everything that was said.
    pub fn proof(&self, said: &[u8]) -> Vec<u8> {
        let signature = self.hash.hmac(&self.stored, said);
        self.client.iter().zip(&signature).map(|(key, signature)| key ^ signature).collect()
    }

    /// Whether who showed this has the client's key.
    pub fn is_proof(&self, said: &[u8], proof: &[u8]) -> bool {
        let signature = self.hash.hmac(&self.stored, said);
        if proof.len() != signature.len() {
            return false;
        }
        let client: Vec<u8> = proof.iter().zip(&signature).map(|(proof, signature)| proof ^ signature).collect();
        crate::is_same(&self.hash.digest(&client), &self.stored)
    }

    /// What a broker shows.
    pub fn server_signature(&self, said: &[u8]) -> Vec<u8> {
        self.hash.hmac(&self.server, said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's hashlib.pbkdf2_hmac.
    #[test]
    fn a_password_is_hashed_as_others_hash_it() {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let of = |hash: Hash, password| hex(&hash.salted_password(password, b"W22ZaJ0SNY7soEsUEjb6gQ==", 4096));
        assert_eq!(of(Hash::Sha256, "pencil"), "59ecdb873440d61cc52a482d7b9b5e4067474fd1f5ca2afbf2090f40a8281dec");
        assert_eq!(
            of(Hash::Sha512, "pencil"),
            "c1242c9bb88e9f961fb0b12ec3e6bf9076733e464ff7404955d00c155357917c8be84e97e3ab337dd99c82f4742770e0c8b0236e314a47fbb608e44394cff391"
        );
        assert_eq!(
            of(Hash::Sha256, "pässwörd ªⅨ"),
            "5a44707d42a797b5f5c6adb68656d7f0b1a3dd3ca482d0c760e7494ebd91e931",
            "not prepared by SASLprep"
        );
        assert_ne!(of(Hash::Sha256, "pa\u{308}ss"), of(Hash::Sha256, "päss"), "nor composed");
    }

    #[test]
    fn a_proof_is_good_for_what_was_said_and_for_who_knows_the_password() {
        for hash in [Hash::Sha256, Hash::Sha512] {
            let keys = Keys::new(hash, "pencil", b"salt", 4096);
            let proof = keys.proof(b"said");
            assert!(keys.is_proof(b"said", &proof));
            assert!(!keys.is_proof(b"sold", &proof));
            assert!(!keys.is_proof(b"said", &proof[1..]) && !keys.is_proof(b"said", b""));
            assert!(!Keys::new(hash, "pencil2", b"salt", 4096).is_proof(b"said", &proof));
            assert_eq!(keys.server_signature(b"said"), hash.hmac(&keys.server, b"said"));
        }
    }
}
