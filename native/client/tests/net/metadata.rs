//! Metadata: what is asked when, what an answer changes, and where it is asked when brokers go away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

use dohle_broker::{Action, Broker, BrokerOptions, Rule, When};
use dohle_client::generated::options::MetadataRecoveryStrategy;
use dohle_client::metadata::LeaderHint;
use dohle_client::net::Endpoint;
use dohle_client::{Client, Lane};
use dohle_protocol::messages::metadata_response::MetadataResponseTopic;
use dohle_protocol::messages::{ApiVersionsRequest, MetadataRequest, MetadataResponse};
use dohle_protocol::{ApiKey, ErrorCode, Uuid};
use parking_lot::Mutex;

use super::line::counts;
use super::support::{Peer, api, client_of, client_with, cluster, node, options, soon, topic};

/// A peer that answers Metadata with whatever `answer` makes of the request.
async fn metadata_peer(
    answer: impl Fn(MetadataRequest, i16, std::net::SocketAddr) -> MetadataResponse + Send + Sync + 'static,
) -> Peer {
    metadata_peer_up_to(13, answer).await
}

async fn metadata_peer_up_to(
    max: i16,
    answer: impl Fn(MetadataRequest, i16, std::net::SocketAddr) -> MetadataResponse + Send + Sync + 'static,
) -> Peer {
    let answer = Arc::new(answer);
    Peer::start(move |_, mut conn| {
        let answer = answer.clone();
        async move {
            conn.handshake_with(vec![api::<ApiVersionsRequest>(0, 4), api::<MetadataRequest>(0, max)]).await?;
            loop {
                let request = conn.next().await?;
                let header = request.header.clone();
                let response = answer(request.decode(), header.api_version, conn.address);
                conn.reply::<MetadataRequest>(&header, &response).await?;
            }
        }
    })
    .await
}

fn names(request: &MetadataRequest) -> Option<Vec<String>> {
    Some(request.topics.as_ref()?.iter().map(|topic| topic.name.clone().unwrap()).collect())
}

fn failed(name: &str, code: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic { error_code: code.0, name: Some(name.to_owned()), ..Default::default() }
}

#[tokio::test]
async fn a_topic_of_the_embedded_broker_is_created_and_described() {
    let mut options = BrokerOptions::default();
    options.partitions = 3;
    let broker = Broker::start_default(options).await.unwrap();
    let client = client_of(broker.address());
    client.metadata().track(["orders"], true);
    let topic = soon(client.metadata().wait_for_topic("orders", Duration::from_secs(5))).await.unwrap();
    assert_eq!(topic.partitions.len(), 3);
    assert!(topic.has_all_leaders());
    assert_ne!(topic.id, Uuid::ZERO);
    assert_eq!(client.metadata().topic_by_id(topic.id).unwrap().name, topic.name);
    let snapshot = client.metadata().snapshot();
    assert_eq!(snapshot.cluster_id.as_deref(), Some(broker.cluster_id()));
    let (leader, epoch) = snapshot.leader("orders", 2).unwrap();
    assert!(epoch >= 0);
    soon(client.connection(leader, Lane::Produce)).await.unwrap();
}

#[tokio::test]
async fn many_questions_at_once_are_few_refreshes_one_at_a_time() {
    let under_way = Arc::new(AtomicUsize::new(0));
    let counter = under_way.clone();
    let peer = Peer::start(move |_, mut conn| {
        let counter = counter.clone();
        async move {
            conn.handshake().await?;
            loop {
                let request = conn.next().await?;
                assert_eq!(counter.fetch_add(1, Ordering::SeqCst), 0, "two refreshes at once");
                tokio::time::sleep(Duration::from_millis(20)).await;
                let topics = names(&request.decode_ref()).unwrap_or_default();
                let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
                counter.fetch_sub(1, Ordering::SeqCst);
                conn.reply::<MetadataRequest>(&request.header, &cluster(conn.address, &topics)).await?;
            }
        }
    })
    .await;
    let client = client_of(peer.address);
    client.metadata().track(["a", "b", "c"], false);
    let waits = (0..100).map(|_| client.metadata().refresh());
    assert!(soon(futures_util::future::join_all(waits)).await.iter().all(Result::is_ok));
    assert!(peer.count(ApiKey::METADATA) <= 3, "{}", peer.count(ApiKey::METADATA));
    assert!(["a", "b", "c"].iter().all(|name| client.metadata().topic(name).is_some()));
}

#[tokio::test]
async fn several_topics_are_asked_for_at_once_and_known_ones_not_again() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let asked = log.clone();
    let peer = metadata_peer(move |request, _, address| {
        let topics = names(&request).unwrap();
        let response = cluster(address, &topics.iter().map(String::as_str).collect::<Vec<_>>());
        asked.lock().push(topics);
        response
    })
    .await;
    let client = client_of(peer.address);
    client.metadata().track(["a", "b"], false);
    soon(client.metadata().wait_for_topic("b", Duration::from_secs(5))).await.unwrap();
    client.metadata().track(["c", "a"], false);
    soon(client.metadata().wait_for_topic("c", Duration::from_secs(5))).await.unwrap();
    assert_eq!(*log.lock(), [vec!["a", "b"], vec!["c"]]);
}

#[tokio::test]
async fn only_unknown_topics_that_may_be_created_are_asked_for_with_creation() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let asked = log.clone();
    let peer = metadata_peer(move |request, _, address| {
        asked.lock().push((names(&request).unwrap(), request.allow_auto_topic_creation));
        let mut response = cluster(address, &[]);
        for name in names(&request).unwrap() {
            let missing = name == "later" && asked.lock().len() < 3;
            response.topics.push(if missing {
                failed(&name, ErrorCode::LEADER_NOT_AVAILABLE)
            } else {
                topic(&name, &[(0, 0, 0)])
            });
        }
        response
    })
    .await;
    let client = client_of(peer.address);
    client.metadata().track(["fixed"], false);
    client.metadata().track(["later"], true);
    soon(client.metadata().wait_for_topic("later", Duration::from_secs(5))).await.unwrap();
    let mut log = log.lock();
    log.sort();
    assert!(log.iter().all(|(names, create)| *create == names.contains(&"later".to_owned())), "{log:?}");
}

#[tokio::test]
async fn a_topic_that_does_not_exist_is_asked_for_at_the_pace_of_retries_and_then_named() {
    let mut broker_options = BrokerOptions::default();
    broker_options.auto_create_topics = false;
    let broker = Broker::start_default(broker_options).await.unwrap();
    let asked = counts(&broker, ApiKey::METADATA);
    let mut options = options(&[broker.address().to_string()]);
    options.retry_backoff = Duration::from_millis(50);
    options.retry_backoff_max = Duration::from_millis(200);
    let client = client_with(options);
    client.metadata().track(["nope"], true);
    let error = client.metadata().wait_for_topic("nope", Duration::from_millis(1000)).await.unwrap_err();
    assert_eq!(error.code(), "UNKNOWN_TOPIC_OR_PARTITION");
    assert!(error.message().contains("nope") && error.message().contains("1000 ms"), "{error}");
    let count = broker.faults().hits(asked).fired;
    assert!((3..=11).contains(&count), "{count} requests");
}

#[tokio::test]
async fn a_topic_that_may_not_be_seen_fails_at_once() {
    let broker = Broker::start_default(BrokerOptions::default()).await.unwrap();
    let action = Action::Error { code: ErrorCode::TOPIC_AUTHORIZATION_FAILED.0, when: When::Before };
    broker.faults().add(Rule::new(action).api(ApiKey::METADATA.0).topic("secret").forever());
    let client = client_of(broker.address());
    client.metadata().track(["secret"], true);
    let error = soon(client.metadata().wait_for_topic("secret", Duration::from_secs(60))).await.unwrap_err();
    assert_eq!(error.code(), "TOPIC_AUTHORIZATION_FAILED");
}

/// A client that knows topic `t`, and a switch for the `(leader, epoch, id)` its broker tells of partition 0.
async fn leader_peer() -> (Peer, Client, Arc<Mutex<(i32, i32, Uuid)>>) {
    let told = Arc::new(Mutex::new((0, 5, Uuid([1; 16]))));
    let tell = told.clone();
    let peer = metadata_peer(move |_, _, address| {
        let (leader, epoch, id) = *tell.lock();
        let mut response = cluster(address, &[]);
        response.brokers.push(node(1, address));
        response.topics.push(MetadataResponseTopic { topic_id: id, ..topic("t", &[(0, leader, epoch)]) });
        response
    })
    .await;
    let client = client_of(peer.address);
    client.metadata().track(["t"], false);
    soon(client.metadata().wait_for_topic("t", Duration::from_secs(5))).await.unwrap();
    (peer, client, told)
}

#[tokio::test]
async fn an_older_leader_epoch_is_never_gone_back_to() {
    let (_peer, client, told) = leader_peer().await;
    *told.lock() = (1, 4, Uuid([1; 16]));
    let snapshot = soon(client.metadata().refresh()).await.unwrap();
    assert_eq!(snapshot.leader("t", 0), Some((0, 5)));
    *told.lock() = (1, 6, Uuid([1; 16]));
    let snapshot = soon(client.metadata().refresh()).await.unwrap();
    assert_eq!(snapshot.leader("t", 0), Some((1, 6)));
}

/// A bit of an answer flipped: a leader that no broker is, with an epoch that no later one reaches.
#[tokio::test]
async fn a_leader_that_is_no_broker_of_the_cluster_gives_way_whatever_its_epoch() {
    let (_peer, client, told) = leader_peer().await;
    *told.lock() = (1 << 20, 1 << 20, Uuid([1; 16]));
    soon(client.metadata().refresh()).await.unwrap();
    *told.lock() = (1, 5, Uuid([1; 16]));
    let mut updates = client.metadata().updates();
    // It asks by itself.
    soon(async {
        while client.metadata().snapshot().leader("t", 0) != Some((1, 5)) {
            updates.changed().await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_topic_created_again_begins_with_its_own_epochs() {
    let (_peer, client, told) = leader_peer().await;
    *told.lock() = (1, 0, Uuid([2; 16]));
    let snapshot = soon(client.metadata().refresh()).await.unwrap();
    assert_eq!(snapshot.leader("t", 0), Some((1, 0)));
    assert!(snapshot.topic_by_id(Uuid([1; 16])).is_none());
}

#[tokio::test]
async fn a_leader_hint_is_taken_over_if_it_is_news() {
    let (peer, client, _) = leader_peer().await;
    let metadata = client.metadata();
    let mut updates = metadata.updates();
    let hint = |leader, leader_epoch| LeaderHint { topic: "t", partition: 0, leader, leader_epoch };
    updates.mark_unchanged();
    assert!(!metadata.leader_hints(&[hint(1, 5)], &[]), "the same epoch");
    assert!(!metadata.leader_hints(&[hint(1, 4)], &[]), "an older epoch");
    assert!(!metadata.leader_hints(&[hint(9, 7)], &[]), "a broker nobody described");
    assert!(!metadata.leader_hints(&[LeaderHint { partition: 5, ..hint(1, 9) }], &[]), "no such partition");
    assert!(!updates.has_changed().unwrap());
    let nine = Endpoint::new("127.0.0.1", peer.address.port());
    assert!(metadata.leader_hints(&[hint(9, 7)], &[(9, nine)]));
    assert!(updates.has_changed().unwrap());
    assert_eq!(metadata.snapshot().leader("t", 0), Some((9, 7)));
    soon(client.connection(9, Lane::Produce)).await.unwrap();
    // The broker still tells of epoch 5.
    assert_eq!(soon(metadata.refresh()).await.unwrap().leader("t", 0), Some((9, 7)));
}

#[tokio::test]
async fn epochs_of_versions_before_9_are_not_believed() {
    let peer = metadata_peer_up_to(8, |_, _, address| {
        let mut response = cluster(address, &[]);
        response.topics.push(topic("t", &[(0, 0, 5)]));
        response
    })
    .await;
    let client = client_of(peer.address);
    let snapshot = soon(client.metadata().refresh_topics(&["t"])).await.unwrap();
    assert_eq!(snapshot.leader("t", 0), Some((0, -1)));
}

#[tokio::test]
async fn all_topics_are_null_and_in_version_0_an_empty_list() {
    for max in [0, 1, 12] {
        let seen = Arc::new(Mutex::new(None));
        let see = seen.clone();
        let peer = metadata_peer_up_to(max, move |request, version, address| {
            *see.lock() = Some((names(&request), version));
            let mut response = cluster(address, &["a", "b"]);
            response.cluster_id = (version >= 2).then(|| "c".to_owned());
            if version == 0 {
                response.controller_id = -1;
            }
            response
        })
        .await;
        let client = client_of(peer.address);
        client.metadata().track_all(true);
        soon(client.metadata().wait_for_topic("b", Duration::from_secs(5))).await.unwrap();
        let expected = if max == 0 { Some(Vec::new()) } else { None };
        assert_eq!(seen.lock().clone(), Some((expected, max)));
        assert_eq!(client.metadata().snapshot().topics().count(), 2);
    }
}

#[tokio::test]
async fn what_is_known_is_asked_anew_when_it_is_old() {
    let partitions = Arc::new(AtomicI32::new(1));
    let count = partitions.clone();
    let peer = metadata_peer(move |_, _, address| {
        let mut response = cluster(address, &[]);
        let all: Vec<_> = (0..count.load(Ordering::SeqCst)).map(|n| (n, 0, 0)).collect();
        response.topics.push(topic("t", &all));
        response
    })
    .await;
    let mut options = options(&[peer.address.to_string()]);
    options.metadata_max_age = Duration::from_millis(100);
    let client = client_with(options);
    client.metadata().track(["t"], false);
    soon(client.metadata().wait_for_topic("t", Duration::from_secs(5))).await.unwrap();
    partitions.store(4, Ordering::SeqCst);
    let mut updates = client.metadata().updates();
    soon(async {
        while client.metadata().topic("t").unwrap().partitions.len() < 4 {
            updates.changed().await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn impossible_partition_numbers_and_brokers_are_left_out() {
    let peer = metadata_peer(|_, _, address| {
        let mut response = cluster(address, &[]);
        response.brokers.push(node(-7, address));
        response.brokers.push(dohle_protocol::messages::metadata_response::MetadataResponseBroker {
            node_id: 3,
            host: "h".to_owned(),
            port: 70_000,
            ..Default::default()
        });
        response.topics.push(topic("t", &[(i32::MAX, 0, 0), (-1, 0, 0), (1, 0, 0)]));
        response
    })
    .await;
    let client = client_of(peer.address);
    let snapshot = soon(client.metadata().refresh_topics(&["t"])).await.unwrap();
    assert_eq!(snapshot.brokers.len(), 1);
    assert_eq!(snapshot.topic("t").unwrap().partitions.len(), 2);
    assert_eq!(snapshot.leader("t", 0), None);
    assert_eq!(snapshot.leader("t", 1), Some((0, 0)));
}

#[tokio::test]
async fn a_broker_that_moved_to_another_port_is_followed() {
    let elsewhere = Peer::start(|_, mut conn| async move {
        conn.handshake().await?;
        conn.serve_metadata(&["t"]).await
    })
    .await;
    let target = elsewhere.address;
    let moved = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flag = moved.clone();
    let peer =
        metadata_peer(move |_, _, address| cluster(if flag.load(Ordering::SeqCst) { target } else { address }, &["t"]))
            .await;
    let client = client_of(peer.address);
    client.metadata().track(["t"], false);
    soon(client.metadata().wait_for_topic("t", Duration::from_secs(5))).await.unwrap();
    let old = soon(client.connection(0, Lane::Produce)).await.unwrap();
    moved.store(true, Ordering::SeqCst);
    soon(client.metadata().refresh()).await.unwrap();
    assert!(old.is_closed());
    soon(client.connection(0, Lane::Produce)).await.unwrap();
    assert_eq!(elsewhere.count(ApiKey::API_VERSIONS), 1);
}

#[tokio::test]
async fn when_all_known_brokers_are_gone_the_bootstrap_servers_are_asked_again() {
    let first = Broker::start_default(BrokerOptions::default()).await.unwrap();
    // A name in front, as a load balancer would be: it leads to whichever broker lives.
    let mut world = super::support::BentWorld::new();
    let second = Broker::start_default(BrokerOptions::default()).await.unwrap();
    world.names.push(("front", vec![first.address(), second.address()]));
    let client = Client::new(Arc::new(world), options(&["front:9092".to_owned()])).unwrap();
    client.metadata().track(["t"], true);
    soon(client.metadata().wait_for_topic("t", Duration::from_secs(5))).await.unwrap();
    assert_eq!(client.metadata().snapshot().cluster_id.as_deref(), Some(first.cluster_id()));
    first.stop().await;
    client.metadata().request_update();
    let mut updates = client.metadata().updates();
    soon(async {
        while client.metadata().snapshot().cluster_id.as_deref() != Some(second.cluster_id()) {
            updates.changed().await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn without_rebootstrap_only_known_brokers_are_asked() {
    let gone = Peer::start(|_, mut conn| async move {
        conn.handshake().await?;
        conn.serve_metadata(&["t"]).await
    })
    .await;
    let target = gone.address;
    let peer = metadata_peer(move |_, _, _| cluster(target, &["t"])).await;
    let mut options = options(&[peer.address.to_string()]);
    options.metadata_recovery_strategy = MetadataRecoveryStrategy::None;
    let client = client_with(options);
    soon(client.metadata().refresh_topics(&["t"])).await.unwrap();
    drop(gone);
    let asked_before = peer.count(ApiKey::METADATA);
    let error = soon(client.metadata().refresh()).await.unwrap_err();
    assert_eq!(error.code(), "BROKER_UNREACHABLE");
    assert_eq!(peer.count(ApiKey::METADATA), asked_before);
}

#[tokio::test]
async fn a_server_that_says_rebootstrap_sends_the_client_to_its_bootstrap_servers() {
    // Node 0, the only known broker, belongs to another cluster now.
    let lost = metadata_peer(|_, _, _| MetadataResponse {
        error_code: ErrorCode::REBOOTSTRAP_REQUIRED.0,
        ..Default::default()
    })
    .await;
    let target = lost.address;
    let round = Arc::new(AtomicUsize::new(0));
    let counter = round.clone();
    let peer = metadata_peer(move |_, _, address| match counter.fetch_add(1, Ordering::SeqCst) {
        0 => cluster(target, &["t"]),
        _ => cluster(address, &["t"]),
    })
    .await;
    let client = client_of(peer.address);
    client.metadata().track(["t"], false);
    soon(client.metadata().wait_for_topic("t", Duration::from_secs(5))).await.unwrap();
    let snapshot = soon(client.metadata().refresh()).await.unwrap();
    assert_eq!(lost.count(ApiKey::METADATA), 1);
    assert_eq!(snapshot.brokers[&0].endpoint.port, peer.address.port());
}

/// KIP-1102: the known broker takes connections and never answers; the bootstrap server has nothing to say for a while.
#[tokio::test]
async fn after_the_trigger_time_without_metadata_only_the_bootstrap_servers_are_asked() {
    let mute = Peer::start(|_, mut conn| async move {
        conn.handshake_with(vec![api::<ApiVersionsRequest>(0, 4), api::<MetadataRequest>(0, 13)]).await?;
        loop {
            conn.next().await?;
        }
    })
    .await;
    let target = mute.address;
    let asked = Arc::new(AtomicUsize::new(0));
    let mended = Arc::new(AtomicBool::new(false));
    let (count, is_mended) = (asked.clone(), mended.clone());
    let peer = metadata_peer(move |_, _, address| match count.fetch_add(1, Ordering::SeqCst) {
        0 => cluster(target, &["t"]),
        _ if is_mended.load(Ordering::SeqCst) => cluster(address, &["t"]),
        _ => MetadataResponse { error_code: ErrorCode::UNKNOWN_SERVER_ERROR.0, ..Default::default() },
    })
    .await;
    let mut options = options(&[peer.address.to_string()]);
    options.request_timeout = Duration::from_millis(50);
    options.retry_backoff = Duration::from_millis(10);
    options.retry_backoff_max = Duration::from_millis(20);
    options.metadata_recovery_rebootstrap_trigger = Duration::from_millis(400);
    let client = client_with(options);
    client.metadata().track(["t"], false);
    soon(client.metadata().wait_for_topic("t", Duration::from_secs(5))).await.unwrap();
    client.metadata().request_update();
    let more = async |count: usize| {
        let until = asked.load(Ordering::SeqCst) + count;
        while asked.load(Ordering::SeqCst) < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(more(1)).await; // the first round that failed
    assert!(mute.count(ApiKey::METADATA) > 0, "until then the known broker is asked first");
    tokio::time::sleep(Duration::from_millis(400)).await;
    soon(more(2)).await; // the round under way is over
    let before = mute.count(ApiKey::METADATA);
    soon(more(4)).await;
    assert_eq!(mute.count(ApiKey::METADATA), before, "the known broker is not asked any more");
    mended.store(true, Ordering::SeqCst);
    let snapshot = soon(client.metadata().refresh()).await.unwrap();
    assert_eq!(snapshot.brokers[&0].endpoint.port, peer.address.port());
}

#[tokio::test]
async fn topics_nobody_tracks_any_more_are_forgotten() {
    let peer = metadata_peer(|request, _, address| {
        let topics = names(&request).unwrap();
        cluster(address, &topics.iter().map(String::as_str).collect::<Vec<_>>())
    })
    .await;
    let client = client_of(peer.address);
    client.metadata().track(["a", "b"], false);
    client.metadata().track(["b"], false);
    soon(client.metadata().refresh()).await.unwrap();
    client.metadata().untrack(["a", "b"]);
    let snapshot = soon(client.metadata().refresh()).await.unwrap();
    assert!(snapshot.topic("a").is_none());
    assert!(snapshot.topic("b").is_some());
}
