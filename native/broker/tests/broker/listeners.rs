//! Several listeners, what each tells its clients, and what is refused.

use std::collections::BTreeSet;

use dohle_broker::{Broker, BrokerOptions};
use dohle_protocol::messages::{FindCoordinatorRequest, MetadataRequest};

use crate::support::*;

async fn started(properties: &[(&str, &str)]) -> Broker {
    let mut options = BrokerOptions::new();
    for (name, value) in properties {
        options.set(name, value).unwrap();
    }
    Broker::start_default(options).await.unwrap()
}

async fn told(broker: &Broker, listener: &str) -> Vec<(String, i32)> {
    let address = broker.addresses().into_iter().find(|(name, _)| name == listener).unwrap().1;
    let mut connection = Connection::at(address).await;
    let metadata = connection.ask(12, &MetadataRequest::default()).await;
    let request = FindCoordinatorRequest { key: "g".into(), coordinator_keys: vec!["g".into()], ..Default::default() };
    let coordinator = connection.ask(4, &FindCoordinatorRequest { key: String::new(), ..request }).await.coordinators;
    let broker = &metadata.brokers[0];
    vec![(broker.host.clone(), broker.port), (coordinator[0].host.clone(), coordinator[0].port)]
}

#[tokio::test]
async fn each_listener_tells_its_clients_its_own_address() {
    let broker = started(&[
        ("listeners", "PLAINTEXT://127.0.0.1:0,OUT://127.0.0.1:0,SIX://[::1]:0"),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,OUT:PLAINTEXT,SIX:PLAINTEXT"),
        ("advertised.listeners", "OUT://kafka.example:19092"),
    ])
    .await;
    let port = i32::from(broker.address().port());
    assert_eq!(told(&broker, "PLAINTEXT").await, vec![("127.0.0.1".into(), port); 2]);
    assert_eq!(told(&broker, "OUT").await, vec![("kafka.example".into(), 19092); 2]);
    let six = i32::from(broker.addresses().last().unwrap().1.port());
    assert_eq!(told(&broker, "SIX").await, vec![("::1".into(), six); 2]);
    // Addresses, not ports: the same port may be free for both versions of IP.
    let addresses: BTreeSet<_> = broker.addresses().into_iter().map(|(_, address)| address).collect();
    assert_eq!(addresses.len(), 3);
}

#[tokio::test]
async fn a_listener_without_a_host_is_on_loopback_and_another_interface_needs_permission() {
    let broker = started(&[("listeners", "PLAINTEXT://:0")]).await;
    assert!(broker.addresses().iter().all(|(_, address)| address.ip().is_loopback()), "{:?}", broker.addresses());
    let mut options = BrokerOptions::new();
    options.set("listeners", "PLAINTEXT://0.0.0.0:0").unwrap();
    let refused = Broker::start_default(options.clone()).await.err().unwrap().to_string();
    assert!(refused.contains("allow_non_loopback"), "{refused}");
    options.set("dohle.allow.non.loopback", "true").unwrap();
    let everywhere = Broker::start_default(options).await.unwrap();
    let mut connection = Connection::at(("127.0.0.1", everywhere.address().port())).await;
    assert_eq!(connection.ask(12, &MetadataRequest::default()).await.brokers[0].host, "127.0.0.1");
}

#[tokio::test]
async fn a_listener_with_tls_and_no_certificate_is_refused_at_the_start() {
    let mut options = BrokerOptions::new();
    options.set("listeners", "SSL://127.0.0.1:0").unwrap();
    let refused = Broker::start_default(options).await.err().unwrap().to_string();
    assert!(refused.starts_with("ssl.keystore.location: a listener with TLS needs a certificate"), "{refused}");
}
