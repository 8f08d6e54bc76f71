//! A cluster that changes under a producer: topics created again, brokers with other node ids.

use std::time::Duration;

use dohle_broker::BrokerOptions;
use dohle_client::producer::{Placed, ProducerOptions};
use dohle_protocol::messages::create_topics_request::CreatableTopic;
use dohle_protocol::messages::delete_topics_request::DeleteTopicState;
use dohle_protocol::messages::{CreateTopicsRequest, DeleteTopicsRequest};

use super::common::{Bench, bench, bench_with, broker};

const LONG: Duration = Duration::from_secs(20);

async fn delete(bench: &Bench, topic: &str) {
    let topics = vec![DeleteTopicState { name: Some(topic.into()), ..DeleteTopicState::default() }];
    let request = DeleteTopicsRequest { topics, timeout_ms: 5000, ..DeleteTopicsRequest::default() };
    assert_eq!(bench.client.request_any(|_| Ok(request.clone()), LONG).await.unwrap().responses[0].error_code, 0);
}

async fn create(bench: &Bench, name: &str, num_partitions: i32) {
    let topic =
        CreatableTopic { name: name.into(), num_partitions, replication_factor: 1, ..CreatableTopic::default() };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 5000, ..CreateTopicsRequest::default() };
    assert_eq!(bench.client.request_any(|_| Ok(request.clone()), LONG).await.unwrap().topics[0].error_code, 0);
}

async fn acknowledged(bench: &Bench, placed: Placed) {
    let outcome = bench.ledger.outcome(placed).await;
    assert!(outcome.error.is_none(), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_goes_on_in_a_topic_that_was_created_again() {
    let options = BrokerOptions::new().with_auto_create_topics(false);
    let bench = bench_with(options, ProducerOptions::default(), |_| {}).await;
    create(&bench, "t", 1).await;
    let topic = bench.known_topic("t").await;
    for i in 0..5 {
        acknowledged(&bench, bench.send(topic, None, &format!("old {i}"))).await;
    }
    delete(&bench, "t").await;
    // While there is no such topic, records wait for it.
    let early = bench.send(topic, None, "new 0");
    tokio::time::sleep(Duration::from_millis(100)).await;
    create(&bench, "t", 1).await;
    let later: Vec<_> = (1..5).map(|i| bench.send(topic, None, &format!("new {i}"))).collect();
    for placed in [early].into_iter().chain(later) {
        acknowledged(&bench, placed).await;
    }
    bench.client.metadata().refresh_topics(&["t"]).await.unwrap();
    assert_eq!(bench.values("t", 0).await, (0..5).map(|i| format!("new {i}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_created_again_with_other_partitions_is_filled_whole() {
    for (before, after) in [(1, 3), (3, 1)] {
        let options = BrokerOptions::new().with_auto_create_topics(false);
        let bench = bench_with(options, ProducerOptions::default(), |_| {}).await;
        create(&bench, "t", before).await;
        let topic = bench.known_topic("t").await;
        for partition in 0..before {
            bench.ledger.outcome(bench.send(topic, Some(partition), "old")).await;
        }
        delete(&bench, "t").await;
        create(&bench, "t", after).await;
        bench.client.metadata().refresh().await.unwrap();
        for partition in 0..after {
            acknowledged(&bench, bench.send(topic, Some(partition), "new")).await;
            assert_eq!(bench.values("t", partition).await, ["new"]);
        }
        // Without a partition of its own a record goes to one that is there.
        for _ in 0..10 {
            acknowledged(&bench, bench.send(topic, None, "any")).await;
        }
    }
}

/// librdkafka's test 0149: the broker comes back at its address as another node.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_comes_back_as_another_node_at_the_same_address_is_used_again() {
    let mut bench = bench(1, ProducerOptions::default()).await;
    let topic = bench.known_topic("t").await;
    acknowledged(&bench, bench.send(topic, None, "to node 1")).await;
    let first = bench.broker.take().unwrap();
    let address = first.address();
    let before = *bench.client.metadata().snapshot().brokers.keys().next().unwrap();
    first.stop().await;
    let mut options = BrokerOptions::new().with_partitions(1).with_address("127.0.0.1", address.port());
    options.node_id = before + 6;
    bench.broker = Some(broker(options).await);
    acknowledged(&bench, bench.send(topic, None, "to node 7")).await;
    assert_eq!(bench.client.metadata().snapshot().brokers.keys().copied().collect::<Vec<_>>(), [before + 6]);
    assert_eq!(bench.values("t", 0).await, ["to node 7"]);
}
