use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA512,
    UnparsedPublicKey, VerificationAlgorithm,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use super::*;

/// Of RSA, 2048 bits; made for this test with `openssl genpkey`.
const RSA: &str = include_str!("rsa.pem");

fn signed(sasl: Value) -> Result<Assertion> {
    let mut sasl = sasl;
    sasl["mechanism"] = json!("OAUTHBEARER");
    let options = json!({ "brokers": "a:1", "sasl": sasl });
    let options = ClientOptions::parse(options.as_object().unwrap())?;
    Ok(Assertion::new(&options, "https://login.example/token")?.expect("one is asked for"))
}

fn jwt(sasl: Value) -> String {
    let Assertion::Signed(signing) = signed(sasl).unwrap() else { panic!("signed here") };
    signing.jwt(1_700_000_000, "an-id").unwrap().to_string()
}

fn parts(jwt: &str) -> (Value, Value, Vec<u8>) {
    let parts: Vec<Vec<u8>> = jwt.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
    let [header, claims, signature] = &parts[..] else { panic!("three parts") };
    (serde_json::from_slice(header).unwrap(), serde_json::from_slice(claims).unwrap(), signature.clone())
}

fn verify(algorithm: &'static dyn VerificationAlgorithm, public: &[u8], jwt: &str) {
    let (body, _) = jwt.rsplit_once('.').unwrap();
    UnparsedPublicKey::new(algorithm, public).verify(body.as_bytes(), &parts(jwt).2).expect("the signature is good");
}

/// The public key as ring takes it, of an RSA key in PKCS#8.
fn public_of_rsa() -> Vec<u8> {
    let key = PrivateKeyDer::from_pem_slice(RSA.as_bytes()).unwrap();
    let pair = ring::signature::RsaKeyPair::from_pkcs8(key.secret_der()).unwrap();
    ring::signature::KeyPair::public_key(&pair).as_ref().to_vec()
}

#[test]
fn an_assertion_says_who_is_vouched_for_until_when_and_is_signed() {
    let sasl = json!({ "assertionKey": RSA, "assertionKeyId": "key-1", "assertionIssuer": "me", "assertionSubject": "orders",
        "assertionAudience": "https://login.example", "assertionLifetimeSeconds": 120,
        "assertionClaims": r#"{"tenant":{"id":7},"exp":1,"iss":"not me"}"# });
    let jwt = jwt(sasl);
    let (header, claims, _) = parts(&jwt);
    assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT", "kid": "key-1" }));
    let expected = json!({ "iss": "me", "sub": "orders", "aud": "https://login.example", "tenant": { "id": 7 },
        "iat": 1_700_000_000, "nbf": 1_699_999_940, "exp": 1_700_000_120, "jti": "an-id" });
    assert_eq!(claims, expected);
    verify(&RSA_PKCS1_2048_8192_SHA256, &public_of_rsa(), &jwt);
}

#[test]
fn what_is_not_said_is_the_client_and_the_endpoint() {
    let (header, claims, _) = parts(&jwt(json!({ "assertionKey": RSA, "clientId": "orders" })));
    assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT" }));
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("orders"), &json!("orders")));
    assert_eq!((&claims["aud"], &claims["exp"]), (&json!("https://login.example/token"), &json!(1_700_000_300)));
    let (_, claims, _) =
        parts(&jwt(json!({ "assertionKey": RSA, "assertionClaims": r#"{"iss":"x","sub":"y","aud":["z"]}"# })));
    assert_eq!((&claims["iss"], &claims["sub"], &claims["aud"]), (&json!("x"), &json!("y"), &json!(["z"])));
}

#[test]
fn each_kind_of_key_signs_with_its_algorithms() {
    let of = |key: &str, algorithm: &str| {
        jwt(json!({ "assertionKey": key, "assertionAlgorithm": algorithm, "assertionIssuer": "me" }))
    };
    verify(&RSA_PSS_2048_8192_SHA512, &public_of_rsa(), &of(RSA, "PS512"));
    for _ in 0..64 {
        // Numbers that are shorter than others, by chance, are filled up.
        let p256 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        verify(&ECDSA_P256_SHA256_FIXED, p256.public_key_raw(), &of(&p256.serialize_pem(), "ES256"));
    }
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    verify(&ECDSA_P384_SHA384_FIXED, p384.public_key_raw(), &of(&p384.serialize_pem(), "ES384"));
    // Opened when it signs, not before.
    let encrypted = include_str!("../../../../../security/src/encrypted.pem");
    let sasl = |passphrase: &str| json!({ "assertionKey": encrypted, "assertionPassphrase": passphrase, "assertionAlgorithm": "EdDSA", "clientId": "c" });
    assert_eq!(parts(&jwt(sasl("hunter2"))).2.len(), 64);
    let Assertion::Signed(signing) = signed(sasl("hunter3")).unwrap() else { panic!("signed here") };
    let error = signing.jwt(0, "").unwrap_err();
    assert!(error.message().contains("sasl.assertionPassphrase") && !error.message().contains("hunter"), "{error}");
    let ed25519 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    verify(&ED25519, ed25519.public_key_raw(), &of(&ed25519.serialize_pem(), "EdDSA"));
}

#[test]
fn numbers_of_a_signature_are_filled_up_and_cut_to_size() {
    // A sign byte before the one, zeros needed before the other.
    assert_eq!(plain(&[0x30, 8, 2, 3, 0, 0x80, 1, 2, 1, 5], 2), Some(vec![0x80, 1, 0, 5]));
    for odd in
        [&[0x30, 7, 2, 3, 1, 0x80, 1, 2][..], &[0x31, 0], &[0x30, 6, 2, 1, 1, 2, 9, 1], &[], &[0x30, 5, 2, 3, 1, 2, 3]]
    {
        assert_eq!(plain(odd, 2), None, "{odd:?}");
    }
}

#[test]
fn what_cannot_sign_is_named_and_not_shown() {
    let says = |sasl: Value, what: &str| {
        let error = signed(sasl).err().expect("refused");
        assert!(error.message().contains(what) && !error.message().contains("hunter2"), "{error}");
    };
    let p256 = rcgen::KeyPair::generate().unwrap().serialize_pem();
    says(
        json!({ "assertionKey": "hunter2", "clientId": "c" }),
        "sasl.assertionKey (sasl.oauthbearer.assertion.private.key.pem): has no",
    );
    says(json!({ "assertionKey": p256, "clientId": "c" }), "is not of the kind that RS256 signs with");
    says(json!({ "assertionKey": RSA, "assertionAlgorithm": "ES256", "clientId": "c" }), "ES256 signs with");
    says(json!({ "assertionKey": RSA }), "sasl.assertionIssuer");
    says(json!({ "assertionKey": RSA, "clientId": "c", "assertionClaims": "hunter2" }), "sasl.assertionClaims");
    says(json!({ "assertionKey": RSA, "clientId": "c", "assertionClaims": "[]" }), "is not the text of a JSON object");
    says(json!({ "assertionKey": RSA, "assertionKeyFile": "f" }), "one is enough");
    says(json!({ "assertionKey": RSA, "assertionFile": "f" }), "whose assertion is signed already");
    says(json!({ "assertionKeyId": "k", "assertionFile": "f" }), "sasl.assertionKeyId");
    says(json!({ "assertionSubject": "s" }), "no key to sign with");
    says(json!({ "assertionKeyFile": "/no/such", "clientId": "c" }), "'/no/such' cannot be read");
    let encrypted = include_str!("../../../../../security/src/encrypted.pem");
    says(json!({ "assertionKey": encrypted, "clientId": "c" }), "sasl.assertionPassphrase");
    says(
        json!({ "assertionKey": RSA, "clientId": "c", "assertionAlgorithm": "HS256" }),
        "sasl.assertionAlgorithm: 'HS256'",
    );
}

#[test]
fn an_assertion_of_a_file_is_what_it_has_at_that_time() {
    let path = std::env::temp_dir().join(format!("dohle-assertion-{}", std::process::id()));
    let path = path.to_str().unwrap();
    for text in ["a.b.c", "d.e.f\n"] {
        fs::write(path, text).unwrap();
        assert_eq!(*read(path).unwrap(), text.trim());
    }
    for odd in ["", "hunter2 hunter2"] {
        fs::write(path, odd).unwrap();
        let error = read(path).unwrap_err();
        assert!(error.message().contains("has no assertion in it") && !error.message().contains("hunter2"), "{error}");
    }
    fs::remove_file(path).unwrap();
    assert!(read(path).unwrap_err().message().contains(FILE));
}
