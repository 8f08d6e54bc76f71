//! TLS: who is let in, who it is then, and what happens to those who speak something else.

use std::time::Duration;

use dohle_broker::{AuthorizationOptions, Broker, BrokerOptions, ClientAuth, Secret};
use dohle_protocol::messages::{DescribeAclsRequest, MetadataRequest};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::login::*;
use crate::support::*;

/// A broker that lets nobody do anything but this one.
fn only(name: &str) -> BrokerOptions {
    let mut authorization = AuthorizationOptions::default();
    authorization.super_users.push(format!("User:{name}"));
    BrokerOptions::new().with_authorization(authorization)
}

/// Whether the client is that one.
async fn is_it<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(stream: S) -> bool {
    let request = DescribeAclsRequest {
        resource_type_filter: 1,
        pattern_type_filter: 1,
        operation: 1,
        permission_type: 1,
        ..Default::default()
    };
    Connection::over(stream).ask(3, &request).await.error_code == 0
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken_unless_one_is_switched_off() {
    let authority = Authority::new();
    let broker = Broker::start_default(only("ANONYMOUS").with_tls(authority.tls())).await.unwrap();
    assert_eq!(broker.addresses()[0].0, "SSL");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let stream = authority.connect_with(&broker, None, &[version]).await.unwrap();
        assert!(is_it(stream).await, "who shows no certificate is ANONYMOUS");
    }
    let mut options = only("x").with_tls(authority.tls());
    options.set("ssl.enabled.protocols", "TLSv1.3").unwrap();
    let strict = Broker::start_default(options).await.unwrap();
    assert!(authority.connect_with(&strict, None, &[&rustls::version::TLS12]).await.is_err());
    assert!(authority.connect_with(&strict, None, &[&rustls::version::TLS13]).await.is_ok());
}

#[tokio::test]
async fn a_certificate_says_who_the_client_is() {
    let authority = Authority::new();
    let mut tls = authority.tls();
    tls.ca = Some(authority.pem.clone());
    let broker = Broker::start_default(only("CN=alice").with_tls(tls.clone())).await.unwrap();
    let [alice, bob] = ["alice", "bob"].map(|name| authority.issue(name));
    assert!(is_it(authority.connect(&broker, Some(&alice)).await.unwrap()).await);
    assert!(!is_it(authority.connect(&broker, Some(&bob)).await.unwrap()).await);
    // TLS 1.3 tells the client after its own last message, TLS 1.2 before.
    assert!(authority.connect_with(&broker, None, &[&rustls::version::TLS12]).await.is_err(), "none is shown");
    let stranger = Authority::new().issue("alice");
    let refused = authority.connect_with(&broker, Some(&stranger), &[&rustls::version::TLS12]).await;
    assert!(refused.is_err(), "of another authority");
    let mut options = only("ALICE").with_tls(tls.clone());
    options.set("ssl.principal.mapping.rules", "RULE:^CN=(.*)$/$1/U").unwrap();
    let broker = Broker::start_default(options).await.unwrap();
    assert!(is_it(authority.connect(&broker, Some(&alice)).await.unwrap()).await);
    tls.client_auth = Some(ClientAuth::Requested);
    let broker = Broker::start_default(only("ANONYMOUS").with_tls(tls)).await.unwrap();
    assert!(is_it(authority.connect(&broker, None).await.unwrap()).await);
    assert!(!is_it(authority.connect(&broker, Some(&alice)).await.unwrap()).await);
}

/// With TLS 1.3 the client is done with the handshake before the broker has seen that no certificate comes, and asks already.
#[tokio::test]
async fn who_shows_no_certificate_is_told_so_and_not_just_cut_off() {
    let authority = Authority::new();
    let mut tls = authority.tls();
    tls.ca = Some(authority.pem.clone());
    let broker = Broker::start_default(BrokerOptions::new().with_tls(tls)).await.unwrap();
    for _ in 0..50 {
        let stream = authority.connect_with(&broker, None, &[&rustls::version::TLS13]).await.unwrap();
        let mut connection = Connection::over(stream);
        let request = dohle_protocol::frame::encode_request(12, 1, None, &MetadataRequest::default()).unwrap();
        let _ = connection.stream.write_all(&request.to_bytes()).await;
        let error = connection.stream.read_i32().await.unwrap_err();
        assert!(error.to_string().contains("CertificateRequired"), "{error}");
    }
}

#[tokio::test]
async fn who_speaks_something_else_is_told_nothing_and_let_go() {
    let authority = Authority::new();
    let encrypted = Broker::start_default(BrokerOptions::new().with_tls(authority.tls())).await.unwrap();
    let plain = broker().await;
    let mut connection = Connection::to(&encrypted).await;
    connection.send(12, &MetadataRequest::default()).await;
    let mut rest = Vec::new();
    let _ = connection.stream.read_to_end(&mut rest).await;
    assert!(rest.len() < 10 && (rest.is_empty() || rest[0] == 21), "an alert of TLS at most: {rest:?}");
    assert!(authority.connect(&plain, None).await.is_err());
    for broker in [&encrypted, &plain] {
        let mut stream = TcpStream::connect(broker.address()).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.len() < 10);
    }
    timeout(Duration::from_secs(60), async {
        while encrypted.connections() + plain.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("none of them stays open");
    assert_eq!(encrypted.panics() + plain.panics(), 0);
}

#[tokio::test]
async fn certificates_come_from_files_and_listeners_have_their_own() {
    let authority = Authority::new();
    let own = authority.issue("broker");
    let folder = std::env::temp_dir().join(format!("dohle-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (store, ca) = (folder.join("store.pem"), folder.join("ca.pem"));
    std::fs::write(&store, format!("{}{}", own.key, own.cert)).unwrap();
    std::fs::write(&ca, &authority.pem).unwrap();
    let text = format!(
        "listeners=OUT://127.0.0.1:0,PLAINTEXT://127.0.0.1:0\nlistener.security.protocol.map=OUT:SSL,PLAINTEXT:PLAINTEXT\n\
         listener.name.out.ssl.keystore.type=PEM\nlistener.name.out.ssl.keystore.location={}\n\
         ssl.truststore.type=PEM\nssl.truststore.location={}\nlistener.name.out.ssl.client.auth=required\n\
         authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\nsuper.users=User:CN=alice\n",
        store.display(),
        ca.display()
    );
    let mut options = BrokerOptions::new();
    options.read_properties(&text).unwrap();
    let broker = Broker::start_default(options).await.unwrap();
    let stream = authority.connect(&broker, Some(&authority.issue("alice"))).await.unwrap();
    assert!(is_it(stream).await);
    let plain = Connection::at(broker.addresses()[1].1).await;
    assert!(!is_it(plain.stream).await);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn what_cannot_be_used_is_told_at_the_start_without_the_key() {
    let authority = Authority::new();
    let (one, other) = (authority.issue("one"), authority.issue("other"));
    let refused = async |set: &[(&str, &str)]| {
        let mut options = BrokerOptions::new();
        options.set("listeners", "SSL://127.0.0.1:0").unwrap();
        for (name, value) in set {
            options.set(name, value).unwrap();
        }
        assert!(!format!("{options:?}").contains("PRIVATE KEY"), "options can be printed");
        let why = Broker::start_default(options).await.err().unwrap().to_string();
        assert!(!why.contains("PRIVATE KEY-----\n"), "{why}");
        why
    };
    let pem = ("ssl.keystore.type", "PEM");
    let (chain, key) = (("ssl.keystore.certificate.chain", &*one.cert), ("ssl.keystore.key", &*one.key));
    assert!(
        refused(&[("ssl.keystore.location", "/x.jks")]).await.starts_with("ssl.keystore.type: JKS is not read here")
    );
    let pkcs12 = refused(&[("ssl.keystore.type", "PKCS12"), ("ssl.keystore.location", "/x.p12")]).await;
    assert!(pkcs12.contains("openssl pkcs12"), "{pkcs12}");
    assert!(refused(&[pem, chain]).await.starts_with("ssl.keystore.certificate.chain: needs its private key"));
    assert!(refused(&[pem, key]).await.starts_with("ssl.keystore.key: needs its certificate"));
    let mixed = refused(&[pem, chain, ("ssl.keystore.key", &other.key)]).await;
    assert!(mixed.contains("not that of the certificate"), "{mixed}");
    assert!(refused(&[pem, ("ssl.keystore.location", "/nowhere.pem")]).await.contains("cannot be read"));
    assert!(refused(&[pem, ("ssl.keystore.certificate.chain", "x"), key]).await.contains("no certificate in it"));
    let unwanted = refused(&[pem, chain, key, ("ssl.client.auth", "required")]).await;
    assert!(unwanted.starts_with("ssl.client.auth: is required: whose certificates"), "{unwanted}");
    assert!(refused(&[pem, chain, key, ("ssl.enabled.protocols", "TLSv1.1")]).await.contains("TLSv1.1 is not served"));
    let mut options = BrokerOptions::new().with_tls(authority.tls());
    options.tls.as_mut().unwrap().key = Secret::new("no key");
    assert!(Broker::start_default(options).await.err().unwrap().to_string().contains("no private key in it"));
}
