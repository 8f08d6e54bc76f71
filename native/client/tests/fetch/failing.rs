use std::time::Duration;

use dohle_broker::{Action, Rule, When};
use dohle_client::ErrorKind;
use dohle_client::consumer::{ConsumerEvent, ConsumerOptions, StartAt};
use dohle_client::metadata::LeaderHint;
use dohle_protocol::compress::Compression;
use dohle_protocol::{ApiKey, ErrorCode};

use crate::support::*;

async fn filled(topic: &str) -> Cluster {
    let cluster = Cluster::start().await;
    cluster.create(topic, 2).await;
    for i in 0..10 {
        for partition in 0..2 {
            cluster.produce(topic, partition, &numbered(i * 20, 20), Compression::None).await;
        }
    }
    cluster
}

async fn reads_everything(cluster: &Cluster, topic: &str, options: ConsumerOptions) {
    let mut reader = cluster.reader(options);
    reader.assign(topic, 2, StartAt::Earliest);
    let mut next = [0i64; 2];
    for got in reader.take(400).await {
        assert_eq!(got.offset, next[got.tp.partition as usize]);
        next[got.tp.partition as usize] += 1;
    }
}

fn small() -> ConsumerOptions {
    ConsumerOptions { max_partition_fetch_bytes: 2000, fetch_buffer_bytes: 8000, ..ConsumerOptions::default() }
}

#[tokio::test]
async fn errors_of_a_partition_are_retried() {
    for code in [
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::FENCED_LEADER_EPOCH,
        ErrorCode::UNKNOWN_LEADER_EPOCH,
        ErrorCode::UNKNOWN_TOPIC_ID,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::OFFSET_NOT_AVAILABLE,
        ErrorCode::KAFKA_STORAGE_ERROR,
        ErrorCode::UNKNOWN_SERVER_ERROR,
    ] {
        let cluster = filled("errors").await;
        for nth in [1, 3, 5] {
            let action = Action::Error { code: code.0, when: When::Before };
            cluster.broker.faults().add(Rule::new(action).api(ApiKey::FETCH.0).topic("errors").partition(1).nth(nth));
        }
        if code == ErrorCode::UNKNOWN_SERVER_ERROR {
            // Not one that is promised to pass: it is told, and reading goes on.
            let mut reader = cluster.reader(small());
            reader.assign("errors", 2, StartAt::Earliest);
            let (mut told, mut records) = (0, 0);
            while records < 400 {
                match reader.next().await {
                    Ok(_) => records += 1,
                    Err(error) => {
                        assert_eq!(error.broker_code(), Some(code));
                        told += 1;
                    }
                }
            }
            assert!(told >= 1);
            continue;
        }
        reads_everything(&cluster, "errors", small()).await;
    }
}

#[tokio::test]
async fn errors_of_look_ups_are_retried() {
    for code in [ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::LEADER_NOT_AVAILABLE, ErrorCode::OFFSET_NOT_AVAILABLE] {
        let cluster = filled("lookups").await;
        let action = Action::Error { code: code.0, when: When::Before };
        cluster.broker.faults().add(Rule::new(action).api(ApiKey::LIST_OFFSETS.0).count(3));
        reads_everything(&cluster, "lookups", small()).await;
    }
}

#[tokio::test]
async fn lost_connections_are_made_again() {
    for when in [When::Before, When::After] {
        let cluster = filled("closed").await;
        for nth in [1, 2, 4, 7] {
            cluster.broker.faults().add(Rule::new(Action::Close { when }).api(ApiKey::FETCH.0).nth(nth));
        }
        cluster.broker.faults().add(Rule::new(Action::Close { when }).api(ApiKey::LIST_OFFSETS.0));
        reads_everything(&cluster, "closed", small()).await;
    }
}

#[tokio::test]
async fn a_session_that_the_broker_forgot_is_begun_anew() {
    for code in [ErrorCode::FETCH_SESSION_ID_NOT_FOUND, ErrorCode::INVALID_FETCH_SESSION_EPOCH] {
        let cluster = filled("sessions").await;
        for nth in [2, 4, 5] {
            let action = Action::Error { code: code.0, when: When::Before };
            cluster.broker.faults().add(Rule::new(action).api(ApiKey::FETCH.0).nth(nth));
        }
        reads_everything(&cluster, "sessions", small()).await;
    }
}

#[tokio::test]
async fn a_topic_that_may_not_be_read_is_told_once() {
    let cluster = filled("secret").await;
    let action = Action::Error { code: ErrorCode::TOPIC_AUTHORIZATION_FAILED.0, when: When::Before };
    let id = cluster.broker.faults().add(Rule::new(action).api(ApiKey::FETCH.0).topic("secret").forever());
    let mut reader = cluster.reader(small());
    reader.assign("secret", 1, StartAt::Earliest);
    let error = reader.next().await.unwrap_err();
    assert_eq!(error.broker_code(), Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
    assert!(reader.comes_within(Duration::from_millis(500)).await.is_none(), "told once");
    cluster.broker.faults().remove(id);
    assert_eq!(reader.next().await.unwrap().offset, 0, "and it goes on when it may");
}

#[tokio::test]
async fn a_topic_that_does_not_exist_is_an_event_until_it_does() {
    let cluster = Cluster::start().await;
    let options = ConsumerOptions { allow_auto_create_topics: false, ..ConsumerOptions::default() };
    let mut reader = cluster.reader(options);
    reader.assign("missing", 1, StartAt::Earliest);
    assert!(reader.comes_within(Duration::from_millis(500)).await.is_none());
    let events = reader.sink.events.lock().clone();
    assert!(
        events.iter().any(|event| matches!(event, ConsumerEvent::Retrying(error)
            if error.broker_code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))),
        "{events:?}"
    );
    cluster.create("missing", 1).await;
    cluster.produce("missing", 0, &numbered(0, 1), Compression::None).await;
    assert_eq!(reader.next().await.unwrap().offset, 0);
}

#[tokio::test]
async fn a_closed_client_ends_the_loop() {
    let cluster = filled("ended").await;
    let mut reader = cluster.reader(ConsumerOptions::default());
    reader.assign("ended", 2, StartAt::Latest);
    assert!(reader.comes_within(Duration::from_millis(200)).await.is_none());
    cluster.client.close().await;
    assert_eq!(reader.next().await.unwrap_err().kind(), ErrorKind::Closed);
}

/// A bit of an answer flipped, or the cluster was set back: the epoch that the client has for the leader is one that the leader
/// does not know, and metadata with its real one looks older.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_epoch_that_the_leader_itself_does_not_know_is_given_up() {
    let cluster = Cluster::start().await;
    cluster.create("t", 1).await;
    cluster.produce("t", 0, &numbered(0, 3), Compression::None).await;
    cluster.client.metadata().track(["t"], false);
    let (leader, epoch) = cluster.client.metadata().refresh().await.unwrap().leader("t", 0).unwrap();
    let hint = LeaderHint { topic: "t", partition: 0, leader, leader_epoch: epoch | 1 << 20 };
    assert!(cluster.client.metadata().leader_hints(&[hint], &[]));
    let mut reader = cluster.reader(ConsumerOptions::default());
    reader.assign("t", 1, StartAt::Earliest);
    assert_eq!(reader.take(3).await.len(), 3);
    // The next answer is believed, though its epoch is lower than the one before.
    let snapshot = cluster.client.metadata().refresh().await.unwrap();
    assert_eq!(snapshot.leader("t", 0), Some((leader, epoch)));
}
