use super::*;
use serde_json::{Value, json};

fn made(mut options: Value) -> Result<Security> {
    options["brokers"] = json!("a:1");
    let Value::Object(options) = options else { unreachable!() };
    Security::new(&ClientOptions::parse(&options)?, Sources::default())
}

fn refused(options: Value) -> String {
    made(options.clone()).err().unwrap_or_else(|| panic!("{options}")).message().to_owned()
}

#[test]
fn what_is_asked_for_is_what_is_done() {
    let of =
        |options: Value| made(options.clone()).map(|made| (made.tls.is_some(), made.sasl.is_some())).expect("fits");
    let scram = || json!({ "mechanism": "SCRAM-SHA-256", "username": "u", "password": "p" });
    assert_eq!(of(json!({})), (false, false));
    assert_eq!(of(json!({ "tls": true })), (true, false));
    assert_eq!(of(json!({ "tls": {} })), (true, false));
    assert_eq!(of(json!({ "tls": null, "sasl": null })), (false, false));
    assert_eq!(of(json!({ "tls": { "serverName": "kafka.example" } })), (true, false));
    assert_eq!(of(json!({ "security.protocol": "ssl" })), (true, false));
    assert_eq!(of(json!({ "security.protocol": "SASL_SSL", "sasl": scram() })), (true, true));
    assert_eq!(of(json!({ "securityProtocol": "SASL_PLAINTEXT", "sasl": scram() })), (false, true));
    assert_eq!(of(json!({ "sasl": scram(), "tls": "false" })), (false, true));
    assert_eq!(of(json!({ "sasl": scram(), "sasl.delegation.token": true })), (false, true));
    assert_eq!(of(json!({ "ssl.endpoint.identification.algorithm": "" })), (true, false));
    let flat =
        json!({ "sasl.mechanism": "PLAIN", "sasl.username": "u", "sasl.password": "p", "sasl.without.tls": true });
    assert_eq!(of(flat), (false, true));
}

#[test]
fn contradictions_are_named() {
    let says = |options: Value, what: &str| {
        let text = refused(options);
        assert!(text.contains(what), "{text}");
    };
    says(
        json!({ "tls": false, "ssl.key.password": "x" }),
        "tls.passphrase (ssl.key.password): is given, but tls is false",
    );
    says(
        json!({ "security.protocol": "PLAINTEXT", "tls": true }),
        "tls: true: contradicts security.protocol PLAINTEXT",
    );
    says(json!({ "security.protocol": "SASL_PLAINTEXT", "tls": { "verify": false } }), "contradicts");
    says(json!({ "security.protocol": "SASL_SSL" }), "sasl.mechanism: is needed, since security.protocol is SASL_SSL");
    says(json!({ "sasl": { "username": "u" } }), "sasl.mechanism: is needed, since sasl.username is given");
    says(
        json!({ "security.protocol": "SSL", "sasl.username": "u" }),
        "sasl.username: is given, but security.protocol is SSL",
    );
    let plain = json!({ "mechanism": "PLAIN", "username": "u", "password": "p" });
    says(json!({ "sasl": plain }), "PLAIN sends the password readable");
    says(json!({ "security.protocol": "SASL_PLAINTEXT", "sasl": plain }), "sasl.withoutTls");
    says(json!({ "sasl": { "mechanism": "OAUTHBEARER", "token": "t" } }), "OAUTHBEARER sends the token readable");
    says(json!({ "tls": true, "sasl": { "mechanism": "OAUTHBEARER" } }), "is needed for OAUTHBEARER");
    says(
        json!({ "tls": true, "sasl": { "mechanism": "OAUTHBEARER", "token": "t", "password": "p" } }),
        "sasl.password: is given",
    );
    says(
        json!({ "tls": true, "sasl": { "mechanism": "OAUTHBEARER", "token": "hunter 2" } }),
        "characters that no token has",
    );
    says(
        json!({ "sasl": { "mechanism": "SCRAM-SHA-512", "username": "u" } }),
        "sasl.password: is needed for SCRAM-SHA-512",
    );
    says(
        json!({ "sasl": { "mechanism": "SCRAM-SHA-512", "username": "", "password": "p" } }),
        "sasl.username: is empty",
    );
    says(
        json!({ "sasl": { "mechanism": "SCRAM-SHA-512", "username": "u", "password": "p", "token": "t" } }),
        "sasl.token",
    );
    let token = |mechanism: &str| json!({ "tls": true, "sasl": { "mechanism": mechanism, "username": "u", "password": "p", "delegationToken": true } });
    says(token("PLAIN"), "sasl.delegationToken (sasl.delegation.token): is for SCRAM");
    says(
        json!({ "tls": true, "sasl": { "mechanism": "OAUTHBEARER", "token": "t", "delegationToken": true } }),
        "is for SCRAM",
    );
    says(json!({ "sasl": { "delegationToken": true } }), "sasl.mechanism: is needed, since sasl.delegationToken");
    says(json!({ "tls": { "passphrase": "x" } }), "no key that it could open");
    says(json!({ "tls": { "cert": "x" } }), "needs its private key");
    says(json!({ "tls": { "key": "x" } }), "needs its certificate");
    says(json!({ "tls": { "ca": "x", "caFile": "y" } }), "one is enough");
    says(json!({ "tls": { "ca": "hunter2" } }), "tls.ca (ssl.truststore.certificates): has no certificate in it");
    says(json!({ "tls": { "ca": "/hunter2.pem" } }), "the path of a file goes into tls.caFile (ssl.ca.location)");
    says(
        json!({ "tls": { "cert": "/hunter2.pem", "key": "/hunter2.pem" } }),
        "the path of a file goes into tls.certFile (ssl.certificate.location)",
    );
    let broken = refused(json!({ "tls": { "ca": "-----BEGIN CERTIFICATE REQUEST-----" } }));
    assert!(!broken.contains("path of a file"), "{broken}");
    says(
        json!({ "tls": { "caFile": "/no/such/file" } }),
        "tls.caFile (ssl.ca.location): '/no/such/file' cannot be read",
    );
    says(json!({ "tls": { "serverName": "not a name" } }), "tls.serverName");
}

#[test]
fn a_token_endpoint_has_what_it_needs_and_is_not_readable_on_the_way() {
    let says = |change: Value, what: &str| {
        let mut sasl = json!({ "mechanism": "OAUTHBEARER", "tokenEndpointUrl": "https://login.example/token", "clientId": "orders",
            "clientSecret": "hunter2" });
        for (name, value) in change.as_object().unwrap() {
            sasl[name] = value.clone();
        }
        let text = refused(json!({ "tls": true, "sasl": sasl }));
        assert!(text.contains(what) && !text.contains("hunter2"), "{text}");
    };
    let url = |text: &str| json!({ "tokenEndpointUrl": text });
    says(url("login.example"), "sasl.tokenEndpointUrl (sasl.oauthbearer.token.endpoint.url): is not a URL that begins");
    says(url("https://orders:hunter2@login.example/"), "has a user name in it");
    says(url("https://login .example/"), "is not a URL");
    says(url("ftp://login.example/"), "begins with https://");
    says(url("http://login.example/token"), "sasl.tokenEndpointWithoutTls");
    says(url("http://127.0.0.1.example/token"), "sasl.tokenEndpointWithoutTls");
    says(json!({ "clientId": null }), "sasl.clientId (sasl.oauthbearer.client.credentials.client.id): is needed");
    says(json!({ "clientSecret": null }), "sasl.clientSecret");
    says(json!({ "clientSecret": "" }), "sasl.clientSecret");
    says(json!({ "tokenEndpointUrl": null }), "sasl.clientId");
    says(json!({ "token": "hunter2" }), "sasl.token (sasl.oauthbearer.token): is given, and sasl.tokenEndpointUrl");
    says(json!({ "mechanism": "PLAIN", "username": "u", "password": "p" }), "sasl.tokenEndpointUrl");
    says(json!({ "mechanism": null }), "sasl.mechanism: is needed, since sasl.tokenEndpointUrl");
    says(json!({ "extensions": ["a b=c"] }), "'a b' is no SASL extension");
    says(json!({ "tokenEndpointCa": "hunter2" }), "sasl.tokenEndpointCa (https.ca.pem): has no certificate in it");
    says(json!({ "tokenEndpointCa": "ca.pem" }), "the path of a file goes into sasl.tokenEndpointCaFile");
    says(
        json!({ "assertionKey": "key.pem", "clientSecret": null }),
        "the path of a file goes into sasl.assertionKeyFile",
    );
    says(json!({ "tokenEndpointCaFile": "/no/such" }), "sasl.tokenEndpointCaFile (https.ca.location): '/no/such'");
    says(json!({ "awsRegion": "eu-west-1" }), "sasl.awsRegion (sasl.aws.region)");
    for allowed in [
        json!({ "tokenEndpointUrl": "http://127.0.0.1:1/token" }),
        json!({ "tokenEndpointUrl": "http://[::1]:1" }),
        json!({ "tokenEndpointUrl": "http://login.example/token", "tokenEndpointWithoutTls": true }),
    ] {
        let mut sasl = json!({ "mechanism": "OAUTHBEARER", "clientId": "orders", "clientSecret": "s" });
        sasl.as_object_mut().unwrap().extend(allowed.as_object().unwrap().clone());
        made(json!({ "tls": true, "sasl": sasl })).map(drop).expect("fits");
    }
}

#[test]
fn credentials_of_aws_go_with_what_takes_them() {
    let says = |sasl: Value, what: &str| {
        let text = refused(json!({ "tls": true, "sasl": sasl }));
        assert!(text.contains(what) && !text.contains("hunter2"), "{text}");
    };
    let with = |mechanism: &str, name: &str, value: &str| {
        let mut sasl = json!({ "mechanism": mechanism, "awsAccessKeyId": "AKID", "awsSecretAccessKey": "hunter2", "awsRegion": "r" });
        sasl[name] = json!(value);
        sasl
    };
    says(with("AWS_MSK_IAM", "username", "u"), "sasl.username: is given, but AWS_MSK_IAM takes credentials of AWS");
    says(with("AWS_MSK_IAM", "token", "hunter2"), "sasl.token");
    says(with("AWS_MSK_IAM", "clientId", "c"), "sasl.clientId");
    says(with("AWS_MSK_IAM", "extensions", "a=b"), "sasl.extensions");
    says(with("OAUTHBEARER", "token", "hunter2"), "sasl.awsRegion");
    says(with("OAUTHBEARER", "extensions", "a=b"), "sasl.extensions");
    says(with("PLAIN", "username", "u"), "sasl.awsRegion");
    says(json!({ "awsRegion": "r" }), "sasl.mechanism: is needed, since sasl.awsRegion");
    for mechanism in ["AWS_MSK_IAM", "OAUTHBEARER"] {
        made(json!({ "tls": true, "sasl": with(mechanism, "awsRegion", "eu-west-1") })).map(drop).expect("fits");
        let text = refused(json!({ "sasl": with(mechanism, "awsRegion", "eu-west-1") }));
        assert!(text.contains("readable for everyone on the way"), "{text}");
    }
}

#[test]
fn a_wrong_value_is_named_as_it_was_given_and_a_secret_is_never_shown() {
    assert_eq!(refused(json!({ "tls": { "verify": "maybe" } })), "tls.verify: \"maybe\" is neither true nor false");
    assert_eq!(
        refused(json!({ "enable.ssl.certificate.verification": 3 })),
        "enable.ssl.certificate.verification: 3 is neither true nor false"
    );
    assert_eq!(refused(json!({ "tls": { "cer": 1 } })), "tls.cer: is not an option here; did you mean tls.cert?");
    for secret in [
        json!({ "tls": "hunter2" }),
        json!({ "tls": ["hunter2"] }),
        json!({ "sasl": "hunter2" }),
        json!({ "tls": { "key": ["hunter2"] } }),
        json!({ "tls": { "ca": { "a": "hunter2" } } }),
        json!({ "sasl": { "mechanism": "PLAIN", "password": { "a": "hunter2" } } }),
        json!({ "sasl.oauthbearer.token": ["hunter2"] }),
        json!({ "sasl": { "password": "hunter2" }, "sasl.password": "hunter2" }),
        json!({ "tls": { "ca": "hunter2" }, "ssl.truststore.certificates": "hunter2" }),
    ] {
        assert!(!refused(secret.clone()).contains("hunter2"), "{secret}");
    }
    let options = json!({ "brokers": "a:1", "tls": { "passphrase": "hunter2" }, "sasl": { "password": "hunter2" } });
    let options = ClientOptions::parse(options.as_object().unwrap()).unwrap();
    assert_eq!(options.sasl_password.as_ref().unwrap().expose(), "hunter2");
    assert!(!format!("{options:?} {options:#?}").contains("hunter2"));
}
