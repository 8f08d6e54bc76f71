use super::*;

const OPTION: &str = "tls.key";

/// Made with `openssl genpkey -algorithm ed25519`, `openssl pkcs8 -topk8` (passphrase `hunter2`, 2048 iterations of PBKDF2 with SHA-256,
/// AES-256-CBC); not used anywhere.
const ENCRYPTED_KEY: &str = include_str!("encrypted.pem");
const PLAIN_KEY: &str = include_str!("plain.pem");

fn key(text: &str, passphrase: Option<&str>) -> Result<Vec<u8>, String> {
    let key = private_key(OPTION, text, (PASSPHRASE, passphrase.map(Secret::new).as_ref()));
    key.map(|key| key.secret_der().to_vec()).map_err(|error| error.to_string())
}

#[test]
fn an_encrypted_key_opens_with_its_passphrase_only() {
    assert_eq!(key(ENCRYPTED_KEY, Some("hunter2")), key(PLAIN_KEY, None));
    assert!(key(ENCRYPTED_KEY, None).unwrap_err().contains("is needed: the private key is encrypted"));
    let wrong = key(ENCRYPTED_KEY, Some("hunter3")).unwrap_err();
    assert!(wrong.contains("does not open") && !wrong.contains("hunter"), "{wrong}");
    let windows = ENCRYPTED_KEY.replace('\n', "\r\n");
    assert_eq!(key(&format!("Bag Attributes\n{windows}"), Some("hunter2")), key(PLAIN_KEY, None));
}

#[test]
fn what_is_no_key_is_told_without_being_quoted() {
    let traditional = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0\n\nhunter2\n-----END RSA PRIVATE KEY-----\n";
    assert!(key(traditional, Some("x")).unwrap_err().contains("openssl pkcs8 -topk8"));
    for odd in [
        "",
        "hunter2",
        "-----BEGIN PRIVATE KEY-----\nhunter2!\n-----END PRIVATE KEY-----",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nhunter2\n",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\naHVudGVyMg==\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n",
    ] {
        let error = key(odd, Some("hunter2")).unwrap_err();
        assert!(!error.contains("hunter2") && !error.contains("aHVudGVyMg"), "{error}");
    }
}

#[test]
fn a_bundle_may_have_text_between_its_certificates_and_one_without_any_is_refused() {
    assert!(certificates(OPTION, "nothing").unwrap_err().to_string().contains("has no certificate in it"));
    let one = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    assert_eq!(certificates(OPTION, &format!("# one\n{one}# two\n{one}")).unwrap().len(), 2);
    assert!(certificates(OPTION, "-----BEGIN CERTIFICATE-----\n@@\n-----END CERTIFICATE-----\n").is_err());
}
