//! The hash of a password that SCRAM works with: `Hi` of RFC 5802, for those who log in and for those who make a user.
//!
//! A password is hashed as it is, in UTF-8. RFC 5802 would have it prepared by SASLprep first, which Kafka does not do (KIP-84,
//! `ScramFormatter.normalize`), nor do its tools, librdkafka and kafkajs: who prepared it could not log in with a password that
//! was set with them, such as one with `Ⅸ`, a no-break space or a decomposed `ä`.

use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::world::World;

/// What SCRAM hashes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

impl Hash {
    /// Takes as long as `iterations` say: not for an I/O thread.
    pub(crate) fn salted_password(self, password: &str, salt: &[u8], iterations: u32) -> Zeroizing<Vec<u8>> {
        let mut salted = Zeroizing::new(vec![0; if self == Hash::Sha256 { 32 } else { 64 }]);
        match self {
            Hash::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, iterations, &mut salted),
            Hash::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password.as_bytes(), salt, iterations, &mut salted),
        }
        salted
    }
}

/// Derives keys off the I/O thread: a million iterations take most of a second.
pub(crate) async fn off_thread<T: Send + 'static>(
    world: &dyn World,
    derive: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (done, outcome) = tokio::sync::oneshot::channel();
    let work = move || {
        let _ = done.send(derive());
    };
    world.blocking(Box::new(work)).await;
    outcome.await.map_err(|_| Error::new(ErrorKind::Disconnected, "deriving the keys was given up"))
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
}
