//! Idempotence and retries under faults: nothing lost, nothing twice, in order, and the truth about what is unknown.

use std::time::Duration;

use dohle_broker::{Action, BrokerOptions, Rule, When};
use dohle_client::producer::{Persistence, ProducerOptions};
use dohle_protocol::ErrorCode;
use tokio::time::Instant;

use crate::common::*;

fn error(code: ErrorCode, when: When) -> Rule {
    Rule::new(Action::Error { code: code.0, when }).api(0)
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|i| i.to_string()).collect()
}

/// Batches of one record each, so that five are under way.
fn pipelined() -> ProducerOptions {
    ProducerOptions { batch_size: 1, ..ProducerOptions::default() }
}

/// Sends 30 records in batches of their own under a fault, and finds each once, in order.
async fn survives(rules: impl IntoIterator<Item = Rule>) -> Bench {
    let short = |options: &mut dohle_client::ClientOptions| options.request_timeout = Duration::from_millis(500);
    let bench = bench_with(BrokerOptions::new(), pipelined(), short).await;
    let topic = bench.known_topic("t").await;
    let warm = bench.send(topic, None, "0");
    bench.ledger.outcome(warm).await;
    for rule in rules {
        bench.faults().add(rule.topic("t"));
    }
    let placed: Vec<_> = (1..30).map(|i| bench.send(topic, None, &i.to_string())).collect();
    bench.producer.flush().await;
    for (i, placed) in placed.iter().enumerate() {
        let outcome = bench.ledger.get(*placed).unwrap();
        assert!(outcome.error.is_none(), "{:?}", outcome.error);
        assert_eq!(outcome.offset, i as i64 + 1);
    }
    assert_eq!(bench.values("t", 0).await, numbers(30));
    assert_eq!(bench.producer.buffered_bytes(), 0);
    bench
}

async fn last_epoch(bench: &Bench) -> i16 {
    read(&bench.client, "t", 0).await.1.last().unwrap().producer_epoch
}

#[tokio::test(flavor = "multi_thread")]
async fn not_leader_is_retried_in_order() {
    let bench = survives([error(ErrorCode::NOT_LEADER_OR_FOLLOWER, When::Before).nth(3)]).await;
    assert_eq!(last_epoch(&bench).await, 0, "a retry needs no new epoch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_makes_no_duplicate() {
    let bench = survives([Rule::new(Action::Close { when: When::After }).api(0).nth(3)]).await;
    assert_eq!(last_epoch(&bench).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_request_is_sent_again() {
    survives([Rule::new(Action::Close { when: When::Before }).api(0).nth(2)]).await;
    survives([Rule::new(Action::Drop { when: When::Before }).api(0).nth(4)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_break_again_and_again_lose_nothing() {
    let breaks = (1..6).map(|i| Rule::new(Action::Close { when: When::After }).api(0).nth(2 * i));
    survives(breaks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_comes_is_a_timeout_and_no_duplicate() {
    survives([Rule::new(Action::Drop { when: When::After }).api(0).nth(2)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn timed_out_after_the_append_is_no_duplicate() {
    survives([error(ErrorCode::REQUEST_TIMED_OUT, When::After).nth(2).count(3)]).await;
    survives([error(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND, When::After).nth(5)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_order_at_the_head_bumps_the_epoch_and_goes_on() {
    let bench = survives([error(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, When::Before)]).await;
    assert_eq!(last_epoch(&bench).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_producer_starts_anew() {
    let bench = survives([error(ErrorCode::UNKNOWN_PRODUCER_ID, When::Before).nth(2)]).await;
    assert!(last_epoch(&bench).await <= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_sequence_is_a_success_without_an_offset() {
    let bench = bench(1, pipelined()).await;
    let topic = bench.known_topic("t").await;
    bench.faults().add(error(ErrorCode::DUPLICATE_SEQUENCE_NUMBER, When::After).topic("t").nth(2));
    let placed = ["0", "1", "2"].map(|value| bench.send(topic, None, value));
    bench.producer.flush().await;
    let outcomes = placed.map(|placed| bench.ledger.get(placed).unwrap());
    assert_eq!(outcomes.each_ref().map(|outcome| outcome.offset), [0, -1, 2]);
    assert!(outcomes.iter().all(|outcome| outcome.persistence == Persistence::Persisted));
    assert_eq!(bench.values("t", 0).await, numbers(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_refused_for_good_fails_alone_and_leaves_no_gap() {
    for code in [ErrorCode::TOPIC_AUTHORIZATION_FAILED, ErrorCode::INVALID_PRODUCER_EPOCH] {
        let bench = bench(1, pipelined()).await;
        let topic = bench.known_topic("t").await;
        bench.faults().add(error(code, When::Before).topic("t").nth(3));
        let placed: Vec<_> = (0..20).map(|i| bench.send(topic, None, &i.to_string())).collect();
        bench.producer.flush().await;
        let failed: Vec<_> =
            placed.iter().map(|p| bench.ledger.get(*p).unwrap()).filter(|o| o.error.is_some()).collect();
        assert_eq!(failed.len(), 1);
        assert_eq!((failed[0].code().as_str(), failed[0].persistence), (code.name(), Persistence::NotPersisted));
        let mut expected = numbers(20);
        expected.remove(2);
        assert_eq!(bench.values("t", 0).await, expected);
        assert_eq!(last_epoch(&bench).await, 1);
    }
}

/// librdkafka #4953: a bump for one partition must not make another one write again what it wrote already.
#[tokio::test(flavor = "multi_thread")]
async fn a_bump_for_one_partition_duplicates_nothing_in_another() {
    let short = |options: &mut dohle_client::ClientOptions| options.request_timeout = Duration::from_millis(800);
    let options = ProducerOptions { batch_size: 1, ..ProducerOptions::default() };
    let bench = bench_with(BrokerOptions::new().with_partitions(2), options, short).await;
    let topic = bench.known_topic("t").await;
    for partition in [0, 1] {
        let warm = bench.send(topic, Some(partition), "0");
        bench.ledger.outcome(warm).await;
    }
    // Partition 1: written, and the answer lost. Partition 0, in a later request: a gap.
    bench.faults().add(Rule::new(Action::Delay { millis: 100, when: When::After }).api(0).topic("t").partition(1));
    bench.faults().add(Rule::new(Action::Close { when: When::After }).api(0).topic("t").partition(1).nth(2));
    bench.faults().add(error(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, When::Before).topic("t").partition(0).nth(1));
    for i in 1..20 {
        bench.send(topic, Some(1), &i.to_string());
        bench.send(topic, Some(0), &i.to_string());
    }
    bench.producer.flush().await;
    for partition in [0, 1] {
        assert_eq!(bench.values("t", partition).await, numbers(20), "partition {partition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_written_batch_that_expires_is_possibly_persisted_and_its_partition_goes_on() {
    let short = |options: &mut dohle_client::ClientOptions| options.request_timeout = Duration::from_millis(1_500);
    let options = ProducerOptions { delivery_timeout: Duration::from_millis(1_000), ..pipelined() };
    let bench = bench_with(BrokerOptions::new().with_partitions(2), options, short).await;
    let topic = bench.known_topic("t").await;
    let warm = bench.send(topic, Some(0), "0");
    bench.ledger.outcome(warm).await;
    let rule = bench.faults().add(Rule::new(Action::Drop { when: When::After }).api(0).topic("t").forever());
    let start = Instant::now();
    let placed: Vec<_> = (1..4).map(|i| bench.send(topic, Some(0), &i.to_string())).collect();
    // The last one is still open: it would have gone once the connection was idle.
    use Persistence::{NotPersisted, PossiblyPersisted};
    for (placed, expected) in placed.iter().zip([PossiblyPersisted, PossiblyPersisted, NotPersisted]) {
        let outcome = bench.ledger.outcome(*placed).await;
        assert_eq!((outcome.code().as_str(), outcome.persistence), ("DELIVERY_TIMEOUT", expected));
    }
    assert!(start.elapsed() >= Duration::from_millis(990) && start.elapsed() < Duration::from_millis(1_400));
    bench.faults().remove(rule);
    // The next ones wait for the old request's end, then go under a new epoch.
    let mut landed = Vec::new();
    for i in 4..200 {
        let placed = bench.send(topic, Some(0), &i.to_string());
        if bench.ledger.outcome(placed).await.error.is_none() {
            landed.push(i.to_string());
            if landed.len() == 3 {
                break;
            }
        }
    }
    assert_eq!(landed.len(), 3);
    let values = bench.values("t", 0).await;
    assert!(values.ends_with(&landed), "{values:?} {landed:?}");
    let mut unique = values.clone();
    unique.dedup();
    assert_eq!(unique, values, "nothing twice");
    assert_eq!(last_epoch(&bench).await, 1);
    bench.memory_back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_written_expires_as_not_persisted() {
    let options = ProducerOptions { delivery_timeout: Duration::from_millis(500), ..ProducerOptions::default() };
    let mut bench = bench(1, options).await;
    let topic = bench.known_topic("t").await;
    bench.broker.take().unwrap().stop().await;
    let start = Instant::now();
    let placed = bench.send(topic, None, "x");
    let outcome = bench.ledger.outcome(placed).await;
    assert_eq!((outcome.code().as_str(), outcome.persistence), ("DELIVERY_TIMEOUT", Persistence::NotPersisted));
    assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
    assert_eq!(bench.producer.buffered_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_server_that_is_not_there_fails_within_max_block() {
    let options = ProducerOptions { max_block: Duration::from_millis(700), ..ProducerOptions::default() };
    let client = client_at("127.0.0.1:1", |_| {});
    let (producer, ledger) = producer_on(&client, options);
    let topic = producer.topic("t").unwrap();
    let start = Instant::now();
    let placed = producer.append(topic, None, &record("x")).unwrap();
    producer.poke();
    let outcome = ledger.outcome(placed).await;
    assert!(start.elapsed() < Duration::from_millis(1_500));
    assert_eq!(outcome.code(), "MAX_BLOCK_TIMEOUT");
    assert!(outcome.error.unwrap().message().contains("127.0.0.1:1"), "the cause is told");
    tokio::time::timeout(Duration::from_secs(5), producer.close(None)).await.unwrap();
}

/// A leader that knows nothing of a producer takes any sequence as its first (KIP-360): were several batches under way to a
/// topic that was just created, the second could land before the first, which came a moment too early.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_batches_of_a_new_topic_land_in_order_though_its_leader_comes_late() {
    let bench = bench(1, pipelined()).await;
    let rule = error(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, When::Before).topic("fresh").count(2);
    bench.faults().add(rule);
    let topic = bench.producer.topic("fresh").unwrap();
    for i in 0..20 {
        bench.send(topic, None, &i.to_string());
    }
    bench.producer.flush().await;
    assert_eq!(bench.values("fresh", 0).await, numbers(20));
}
