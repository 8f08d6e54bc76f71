//! ApiVersions: the version asked in, the answers of old brokers, and ranges that do not meet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dohle_client::generated::options::MetadataRecoveryStrategy;
use dohle_client::{ClientOptions, ErrorKind, Lane};
use dohle_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, ProduceRequest};
use dohle_protocol::{ApiKey, ErrorCode};
use parking_lot::Mutex;

use super::support::{Peer, api, client_of, client_with, cluster, known_apis, only, soon, versions};

#[tokio::test]
async fn the_client_tells_its_name_and_version() {
    let (told, hear) = std::sync::mpsc::channel();
    let peer = Peer::start(move |_, mut conn| {
        let told = told.clone();
        async move {
            let request = conn.next().await?;
            let header = request.header.clone();
            told.send((header.client_id.clone(), request.decode::<ApiVersionsRequest>())).ok()?;
            conn.reply::<ApiVersionsRequest>(&header, &versions(known_apis())).await?;
            conn.ignore().await
        }
    })
    .await;
    soon(client_of(peer.address).connection(-1, Lane::General)).await.unwrap();
    let (client_id, request) = hear.recv().unwrap();
    assert_eq!(client_id.as_deref(), Some("dohle"));
    assert_eq!(request.client_software_name, "dohle");
    assert_eq!(request.client_software_version, env!("CARGO_PKG_VERSION"));
}

/// KIP-511: a broker that does not know the version answers in version 0 with error 35 and its ranges.
async fn versions_asked_of_a_broker_up_to(max: i16) -> Vec<i16> {
    let peer = Peer::start(move |_, mut conn| async move {
        loop {
            let request = conn.next().await?.header;
            let mut response = versions(vec![api::<ApiVersionsRequest>(0, max), api::<MetadataRequest>(0, 8)]);
            if request.api_version <= max {
                conn.reply::<ApiVersionsRequest>(&request, &response).await?;
                return conn.ignore().await;
            }
            response.error_code = ErrorCode::UNSUPPORTED_VERSION.0;
            conn.reply_as::<ApiVersionsRequest>(0, request.correlation_id, &response).await?;
        }
    })
    .await;
    let connection = soon(client_of(peer.address).connection(-1, Lane::General)).await.unwrap();
    assert_eq!(connection.version::<MetadataRequest>().unwrap(), 8);
    peer.asked.lock().iter().map(|(_, version)| *version).collect()
}

#[tokio::test]
async fn an_older_broker_names_the_version_to_ask_in() {
    assert_eq!(versions_asked_of_a_broker_up_to(2).await, [4, 2]);
    assert_eq!(versions_asked_of_a_broker_up_to(0).await, [4, 0]);
    assert_eq!(versions_asked_of_a_broker_up_to(3).await, [4, 3]);
    assert_eq!(versions_asked_of_a_broker_up_to(9).await, [4]);
}

#[tokio::test]
async fn an_unsupported_version_reply_without_ranges_leads_to_version_0() {
    let peer = Peer::start(|_, mut conn| async move {
        let request = conn.next().await?.header;
        // Kafka 0.10 to 2.3: the error alone.
        let id = request.correlation_id.to_be_bytes();
        conn.raw(&[&[0, 0, 0, 10][..], &id, &[0, 35, 0, 0, 0, 0]].concat()).await?;
        conn.handshake_with(vec![api::<MetadataRequest>(0, 5)]).await?;
        conn.ignore().await
    })
    .await;
    let connection = soon(client_of(peer.address).connection(-1, Lane::General)).await.unwrap();
    assert_eq!(connection.version::<MetadataRequest>().unwrap(), 5);
    assert_eq!(*peer.asked.lock(), [(ApiKey::API_VERSIONS, 4), (ApiKey::API_VERSIONS, 0)]);
}

#[tokio::test]
async fn a_broker_that_hangs_up_on_an_unknown_version_is_asked_in_version_0() {
    let peer = Peer::start(|_, mut conn| async move {
        let request = conn.next().await?.header;
        if request.api_version > 0 {
            return None;
        }
        conn.reply::<ApiVersionsRequest>(&request, &versions(known_apis())).await?;
        conn.ignore().await
    })
    .await;
    soon(client_of(peer.address).connection(-1, Lane::General)).await.unwrap();
}

#[tokio::test]
async fn ranges_that_do_not_meet_are_an_error_naming_both() {
    let peer = Peer::start(|_, mut conn| async move {
        conn.handshake_with(vec![api::<ProduceRequest>(0, 1), api::<MetadataRequest>(0, 200)]).await?;
        conn.serve_metadata(&[]).await
    })
    .await;
    let client = client_of(peer.address);
    let error =
        soon(client.request(-1, Lane::General, &ProduceRequest::default(), Duration::from_secs(5))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("Produce versions 0 to 1, this client knows 3 to"), "{error}");
    let response =
        soon(client.request(-1, Lane::General, &MetadataRequest::default(), Duration::from_secs(5))).await.unwrap();
    assert_eq!(response, cluster(peer.address, &[]));
}

/// A bit of the first answer flipped: an API that every broker has is not in it. Asked again, the broker says so.
#[tokio::test]
async fn a_broker_that_seems_to_lack_what_all_have_is_asked_again() {
    let peer = Peer::start(|number, mut conn| async move {
        let request = conn.next().await?.header;
        let mut response = versions(vec![api::<MetadataRequest>(0, 5)]);
        if number == 0 {
            response.api_keys.retain(|api| api.api_key != ApiKey::PRODUCE.0);
        }
        conn.reply::<ApiVersionsRequest>(&request, &response).await?;
        conn.ignore().await
    })
    .await;
    let connection = soon(client_of(peer.address).connection(-1, Lane::General)).await.unwrap();
    assert!(connection.version::<ProduceRequest>().is_ok());
    assert_eq!(peer.count(ApiKey::API_VERSIONS), 2);
}

#[tokio::test]
async fn a_broker_that_says_twice_what_it_lacks_is_believed_and_asked_anew_with_the_next_connection() {
    let peer = Peer::start(|number, mut conn| async move {
        let request = conn.next().await?.header;
        let whole = versions(vec![api::<MetadataRequest>(0, 5)]);
        let poor = only(vec![api::<MetadataRequest>(0, 5)]);
        conn.reply::<ApiVersionsRequest>(&request, if number < 2 { &poor } else { &whole }).await?;
        conn.ignore().await
    })
    .await;
    let client = client_of(peer.address);
    let connection = soon(client.connection(-1, Lane::General)).await.unwrap();
    assert_eq!(connection.version::<MetadataRequest>().unwrap(), 5);
    assert_eq!(connection.version::<ProduceRequest>().unwrap_err().code(), "UNSUPPORTED");
    let connection = soon(client.connection(-1, Lane::General)).await.unwrap();
    assert!(connection.version::<ProduceRequest>().is_ok());
}

/// A cluster of one broker, node 0 at `address`, whose brokers know ApiVersions up to `max`. Tells what it is asked.
async fn checking_peer(max: i16, is_somebody_else: Arc<AtomicBool>) -> (Peer, Arc<Mutex<Vec<ApiVersionsRequest>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hear = told.clone();
    let peer = Peer::start(move |_, mut conn| {
        let (told, is_somebody_else) = (told.clone(), is_somebody_else.clone());
        async move {
            loop {
                let request = conn.next().await?;
                let header = request.header.clone();
                if header.api_key != ApiKey::API_VERSIONS {
                    conn.reply::<MetadataRequest>(&header, &cluster(conn.address, &["t"])).await?;
                    continue;
                }
                let asked = request.decode::<ApiVersionsRequest>();
                let is_misrouted = asked.node_id >= 0 && is_somebody_else.load(Ordering::SeqCst);
                told.lock().push(asked);
                let apis = known_apis().into_iter().filter(|range| range.api_key != ApiKey::API_VERSIONS.0);
                let mut response = versions(apis.chain([api::<ApiVersionsRequest>(0, max)]).collect());
                if is_misrouted {
                    response = ApiVersionsResponse {
                        error_code: ErrorCode::REBOOTSTRAP_REQUIRED.0,
                        ..ApiVersionsResponse::default()
                    };
                }
                conn.reply::<ApiVersionsRequest>(&header, &response).await?;
            }
        }
    })
    .await;
    (peer, hear)
}

/// KIP-1242.
#[tokio::test]
async fn a_broker_is_told_whom_it_is_taken_for_if_it_knows_that_version() {
    for (max, checked) in [(5, true), (4, false)] {
        let (peer, told) = checking_peer(max, Arc::default()).await;
        let client = client_of(peer.address);
        soon(client.metadata().refresh_topics(&["t"])).await.unwrap();
        soon(client.connection(0, Lane::General)).await.unwrap();
        let told: Vec<_> = told.lock().iter().map(|asked| (asked.cluster_id.clone(), asked.node_id)).collect();
        let cluster = client.metadata().snapshot().cluster_id.as_deref().map(str::to_owned);
        assert!(cluster.is_some());
        // The bootstrap server is nobody yet. An older broker is not even asked: that would cost a round trip.
        let node = if checked { (cluster, 0) } else { (None, -1) };
        assert_eq!(told, [(None, -1), node], "ApiVersions up to {max}");
    }
}

/// KIP-1242: the address of node 0 has gone to another broker, and node 0 listens elsewhere.
#[tokio::test]
async fn a_broker_that_is_somebody_else_sends_the_client_to_its_bootstrap_servers() {
    let moved = Arc::new(AtomicBool::new(false));
    let (old, _) = checking_peer(5, moved.clone()).await;
    let (new, _) = checking_peer(5, Arc::default()).await;
    // The bootstrap server knows where node 0 is.
    let (places, moves) = ((old.address, new.address), moved.clone());
    let bootstrap = Peer::start(move |_, mut conn| {
        let moved = moves.clone();
        async move {
            conn.handshake().await?;
            loop {
                let header = conn.next().await?.header;
                let place = if moved.load(Ordering::SeqCst) { places.1 } else { places.0 };
                conn.reply::<MetadataRequest>(&header, &cluster(place, &["t"])).await?;
            }
        }
    })
    .await;
    let client = client_of(bootstrap.address);
    client.metadata().track(["t"], false);
    soon(client.metadata().wait_for_topic("t", Duration::from_secs(5))).await.unwrap();
    soon(client.connection(0, Lane::General)).await.unwrap();
    moved.store(true, Ordering::SeqCst);
    let before = bootstrap.count(ApiKey::METADATA);
    let error = soon(client.connection(0, Lane::Produce)).await.unwrap_err();
    assert_eq!((error.code().as_ref(), error.retriable()), ("BROKER_UNREACHABLE", true));
    // The old place still answers on its open connection, with what it thinks; only the bootstrap server is asked.
    let asked_old = old.count(ApiKey::METADATA);
    let snapshot = soon(client.metadata().refresh()).await.unwrap();
    assert_eq!(snapshot.brokers[&0].endpoint.port, new.address.port());
    assert_eq!((old.count(ApiKey::METADATA), bootstrap.count(ApiKey::METADATA)), (asked_old, before + 1));
    soon(client.connection(0, Lane::Produce)).await.unwrap();
}

#[tokio::test]
async fn nobody_is_told_whom_it_is_taken_for_when_that_is_off_or_could_not_be_acted_upon() {
    for off in [
        ClientOptions { metadata_cluster_check_enable: false, ..ClientOptions::default() },
        ClientOptions { metadata_recovery_strategy: MetadataRecoveryStrategy::None, ..ClientOptions::default() },
    ] {
        let (peer, told) = checking_peer(5, Arc::default()).await;
        let client = client_with(ClientOptions { bootstrap_servers: vec![peer.address.to_string()], ..off });
        soon(client.metadata().refresh_topics(&["t"])).await.unwrap();
        soon(client.connection(0, Lane::General)).await.unwrap();
        assert!(told.lock().iter().all(|asked| asked.node_id == -1 && asked.cluster_id.is_none()));
    }
}
