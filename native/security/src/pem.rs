//! Certificates and private keys in PEM. No error quotes what was read: it may be a key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::Secret;

/// Why a text is not what it should be, as the end of a sentence that begins with where the text is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// No certificate.
    #[error("has no certificate in it (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// A certificate that cannot be read.
    #[error("is damaged: a section of the PEM cannot be read")]
    Damaged,
    /// No key.
    #[error("has no private key in it (-----BEGIN PRIVATE KEY-----)")]
    NoKey,
    /// Encrypted before PKCS#8.
    #[error("is encrypted in OpenSSL's old way; `openssl pkcs8 -topk8 -in OLD -out NEW` makes one of PKCS#8 of it")]
    OldEncryption,
    /// An encrypted key that cannot be read.
    #[error("is damaged, or encrypted in a way that is not known (PBES2 is)")]
    DamagedKey,
    /// About the passphrase: there is none.
    #[error("is needed: the private key is encrypted")]
    NoPassphrase,
    /// About the passphrase: it does not fit.
    #[error(
        "does not open the private key: it is a wrong one, or the key is encrypted in a way that is not known (PBES2 with \
         PBKDF2 or scrypt and AES is)"
    )]
    WrongPassphrase,
}

impl PemError {
    /// Whether it is the passphrase that is wrong, and not the text.
    pub fn is_about_passphrase(self) -> bool {
        matches!(self, Self::NoPassphrase | Self::WrongPassphrase)
    }
}

/// All certificates in a text, at least one.
pub fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match found {
        Ok(certificates) if certificates.is_empty() => Err(PemError::NoCertificate),
        Ok(certificates) => Ok(certificates),
        Err(_) => Err(PemError::Damaged),
    }
}

const ENCRYPTED: (&str, &str) = ("-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----END ENCRYPTED PRIVATE KEY-----");

/// The key in a text, of any form; `passphrase` opens it when it is encrypted.
pub fn private_key(text: &str, passphrase: Option<&Secret>) -> Result<PrivateKeyDer<'static>, PemError> {
    if let Some((_, rest)) = text.split_once(ENCRYPTED.0) {
        let body = rest.split_once(ENCRYPTED.1).map_or("", |(body, _)| body);
        return opened(body, passphrase);
    }
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(PemError::OldEncryption);
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| PemError::NoKey)
}

fn opened(body: &str, passphrase: Option<&Secret>) -> Result<PrivateKeyDer<'static>, PemError> {
    let passphrase = passphrase.ok_or(PemError::NoPassphrase)?;
    let body: Zeroizing<String> = Zeroizing::new(body.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    let der = STANDARD.decode(&*body).map_err(|_| PemError::DamagedKey)?;
    let info = EncryptedPrivateKeyInfoRef::try_from(&der[..]).map_err(|_| PemError::DamagedKey)?;
    match info.decrypt(passphrase.expose()) {
        Ok(document) => Ok(PrivatePkcs8KeyDer::from(document.as_bytes().to_vec()).into()),
        Err(_) => Err(PemError::WrongPassphrase),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `openssl genpkey -algorithm ed25519`, `openssl pkcs8 -topk8` (passphrase `hunter2`, 2048 iterations of PBKDF2 with
    /// SHA-256, AES-256-CBC); not used anywhere.
    const ENCRYPTED_KEY: &str = include_str!("encrypted.pem");
    const PLAIN_KEY: &str = include_str!("plain.pem");

    fn key(text: &str, passphrase: Option<&str>) -> Result<Vec<u8>, PemError> {
        private_key(text, passphrase.map(Secret::new).as_ref()).map(|key| key.secret_der().to_vec())
    }

    #[test]
    fn an_encrypted_key_opens_with_its_passphrase_only() {
        assert_eq!(key(ENCRYPTED_KEY, Some("hunter2")), key(PLAIN_KEY, None));
        assert_eq!(key(ENCRYPTED_KEY, None), Err(PemError::NoPassphrase));
        assert_eq!(key(ENCRYPTED_KEY, Some("hunter3")), Err(PemError::WrongPassphrase));
        let windows = ENCRYPTED_KEY.replace('\n', "\r\n");
        assert_eq!(key(&format!("Bag Attributes\n{windows}"), Some("hunter2")), key(PLAIN_KEY, None));
    }

    #[test]
    fn what_is_no_key_is_told_without_being_quoted() {
        let traditional = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0\n\nhunter2\n-----END RSA PRIVATE KEY-----\n";
        assert!(key(traditional, Some("x")).unwrap_err().to_string().contains("openssl pkcs8 -topk8"));
        for odd in [
            "",
            "hunter2",
            "-----BEGIN PRIVATE KEY-----\nhunter2!\n-----END PRIVATE KEY-----",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\naHVudGVyMg==\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nhunter2\n",
            "-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n",
        ] {
            let error = key(odd, Some("hunter2")).unwrap_err().to_string();
            assert!(!error.contains("hunter2") && !error.contains("aHVudGVyMg"), "{error}");
        }
    }

    #[test]
    fn a_bundle_may_have_text_between_its_certificates_and_one_without_any_is_refused() {
        assert_eq!(certificates("nothing"), Err(PemError::NoCertificate));
        let one = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        assert_eq!(certificates(&format!("# one\n{one}# two\n{one}")).unwrap().len(), 2);
        assert_eq!(
            certificates("-----BEGIN CERTIFICATE-----\n@@\n-----END CERTIFICATE-----\n"),
            Err(PemError::Damaged)
        );
    }
}
