//! A topic that is deleted and created again under its name: another log, in which old positions mean nothing.

use std::time::Duration;

use dohle_broker::{Broker, BrokerOptions};
use dohle_client::ErrorKind;
use dohle_client::consumer::{ConsumerOptions, StartAt};
use dohle_protocol::compress::Compression;

use super::support::{Cluster, Reader, SILENCE, connect_to, number, numbered, tp};

fn policy(policy: &str) -> ConsumerOptions {
    ConsumerOptions { auto_offset_reset: policy.into(), ..ConsumerOptions::default() }
}

/// A reader that has had the ten records of the old topic, and a new topic with twenty: the old position is in its log too.
async fn recreated(options: ConsumerOptions) -> (Cluster, Reader) {
    let cluster = Cluster::start().await;
    cluster.create("again", 1).await;
    cluster.produce("again", 0, &numbered(0, 10), Compression::None).await;
    let mut reader = cluster.reader(options);
    reader.assign("again", 1, StartAt::Offset(0));
    assert_eq!(reader.take(10).await.last().unwrap().offset, 9);
    cluster.recreate("again", 1).await;
    cluster.produce("again", 0, &numbered(100, 20), Compression::None).await;
    (cluster, reader)
}

#[tokio::test]
async fn a_topic_created_again_is_read_from_its_beginning_when_the_policy_says_so() {
    let (_cluster, mut reader) = recreated(policy("earliest")).await;
    let got: Vec<_> = reader.take(20).await.iter().map(|got| (got.offset, number(&got.value))).collect();
    assert_eq!(got, (0..20).map(|i| (i, 100 + i)).collect::<Vec<_>>());
    assert_eq!(reader.consumer.lag(&tp("again", 0)).unwrap(), Some(0));
}

#[tokio::test]
async fn a_topic_created_again_is_an_error_without_a_policy_and_a_seek_goes_on() {
    let (_cluster, mut reader) = recreated(policy("none")).await;
    let error = reader.next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoOffset);
    assert!(error.message().contains("topic again was deleted and created again"), "{error}");
    reader.consumer.seek(&tp("again", 0), StartAt::Offset(3)).unwrap();
    let got = reader.next().await.unwrap();
    assert_eq!((got.offset, number(&got.value)), (3, 103));
}

#[tokio::test]
async fn nothing_of_the_old_topic_is_given_or_committed_once_the_new_one_is_known() {
    let cluster = Cluster::start().await;
    cluster.create("again", 1).await;
    cluster.produce("again", 0, &numbered(0, 10), Compression::None).await;
    let options = ConsumerOptions { group_id: Some("readers".into()), enable_auto_commit: false, ..policy("earliest") };
    let mut reader = cluster.reader(options);
    reader.assign("again", 1, StartAt::Offset(0));
    reader.take(6).await; // four are in hand
    cluster.recreate("again", 1).await;
    // Without records the new log gives no reason to move the position but its id.
    cluster.client.metadata().refresh().await.unwrap();
    let at = tp("again", 0);
    let placed_anew = async {
        while reader.consumer.position(&at).unwrap() != Some(0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SILENCE, placed_anew).await.expect("the position is dropped");
    reader.consumer.commit(None).await.unwrap();
    let committed = reader.consumer.committed(vec![at]).await.unwrap();
    assert!(committed[0].1.as_ref().is_none_or(|committed| committed.offset == 0), "{committed:?}");
    cluster.produce("again", 0, &numbered(100, 1), Compression::None).await;
    let got = reader.next().await.unwrap();
    assert_eq!((got.offset, number(&got.value)), (0, 100));
}

/// librdkafka's test 0149. The embedded broker keeps its log in memory, so its topics are other ones, too.
#[tokio::test]
async fn a_broker_that_comes_back_as_another_node_at_the_same_address_is_read_again() {
    let cluster = Cluster::start().await;
    cluster.create("moves", 1).await;
    cluster.produce("moves", 0, &numbered(0, 10), Compression::None).await;
    let mut reader = cluster.reader(policy("earliest"));
    reader.assign("moves", 1, StartAt::Offset(0));
    reader.take(10).await;
    let address = cluster.broker.address();
    cluster.broker.stop().await;
    let mut options = BrokerOptions::new().with_address("127.0.0.1", address.port());
    options.node_id = 7;
    let broker = Broker::start_default(options).await.unwrap();
    let cluster = Cluster { broker, client: connect_to(address.to_string()) };
    cluster.create("moves", 1).await;
    cluster.produce("moves", 0, &numbered(100, 5), Compression::None).await;
    let got: Vec<_> = reader.take(5).await.iter().map(|got| (got.offset, number(&got.value))).collect();
    assert_eq!(got, (0..5).map(|i| (i, 100 + i)).collect::<Vec<_>>());
}
