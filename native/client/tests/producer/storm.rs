//! Random faults for a while: every record settles once, what was acknowledged is in the log once, and in order.

use std::time::Duration;

use dohle_broker::{Action, BrokerOptions, Rule, When};
use dohle_client::generated::options::Compression;
use dohle_client::producer::{AppendError, Persistence, ProducerOptions};
use dohle_protocol::ErrorCode;

use crate::common::*;

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// `gaps`: the broker may say OUT_OF_ORDER_SEQUENCE_NUMBER. It never does of a batch that it has, which a rule cannot know; so
/// no fault strikes after the append then.
fn fault(random: &mut Random, gaps: bool) -> Rule {
    let when = if gaps || random.below(2) == 0 { When::Before } else { When::After };
    let action = match random.below(8) {
        0 => Action::Close { when },
        1 => Action::Drop { when },
        2 => Action::Delay { millis: random.below(100), when },
        3 => Action::Error { code: ErrorCode::NOT_LEADER_OR_FOLLOWER.0, when },
        4 => Action::Error { code: ErrorCode::REQUEST_TIMED_OUT.0, when },
        5 => Action::Error { code: ErrorCode::NOT_ENOUGH_REPLICAS.0, when: When::Before },
        6 if gaps => Action::Error { code: ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER.0, when: When::Before },
        _ => Action::Error { code: ErrorCode::KAFKA_STORAGE_ERROR.0, when },
    };
    let rule = Rule::new(action).api(0).topic("t");
    if random.below(2) == 0 { rule.partition(random.below(3) as i32) } else { rule }
}

async fn storm(seed: u64, options: ProducerOptions) {
    let mut random = Random(seed);
    let short = |options: &mut dohle_client::ClientOptions| options.request_timeout = Duration::from_millis(300);
    let bench = bench_with(BrokerOptions::new().with_partitions(3), options, short).await;
    let topic = bench.producer.topic("t").unwrap();
    let mut placed = Vec::new();
    for round in 0..40 {
        bench.faults().add(fault(&mut random, seed % 2 == 1));
        for i in 0..random.below(40) {
            let partition = random.below(3) as i32;
            let value = format!("{seed}-{round}-{i}-{}", "x".repeat(random.below(200) as usize));
            loop {
                match bench.append(topic, Some(partition), &record(&value)) {
                    Ok(place) => break placed.push((partition, value, place)),
                    Err(AppendError::Full) => tokio::time::sleep(Duration::from_millis(5)).await,
                    Err(AppendError::Invalid(error)) => panic!("{error}"),
                }
            }
        }
        bench.producer.poke();
        tokio::time::sleep(Duration::from_millis(random.below(30))).await;
    }
    tokio::time::timeout(Duration::from_secs(60), bench.producer.flush()).await.expect("flush ends");
    bench.faults().clear();
    assert_eq!(bench.ledger.len(), placed.len(), "every record settles");
    bench.memory_back().await;
    for partition in 0..3 {
        let log = bench.values("t", partition).await;
        let mut at = 0;
        for (_, value, place) in placed.iter().filter(|(p, ..)| *p == partition) {
            let outcome = bench.ledger.get(*place).unwrap();
            let found = log[at..].iter().position(|logged| logged == value);
            match outcome.persistence {
                Persistence::Persisted => {
                    assert!(outcome.error.is_none());
                    assert_eq!(found, Some(0), "seed {seed}: {value} after {:?}", &log[at.saturating_sub(1)..at]);
                    assert!(
                        outcome.offset == -1 || outcome.offset == at as i64,
                        "seed {seed}: {value} is at {at}, told {}",
                        outcome.offset
                    );
                    at += 1;
                }
                Persistence::PossiblyPersisted => at += usize::from(found == Some(0)),
                Persistence::NotPersisted => assert_eq!(found, None, "seed {seed}: {value} is in the log"),
            }
        }
        assert_eq!(at, log.len(), "seed {seed}: something is in the log twice, or out of order");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_faults_neither_lose_nor_duplicate_nor_reorder() {
    for seed in 0..8 {
        let batch_size = if seed % 4 < 2 { 1 } else { 2_000 };
        let linger = (seed % 3 == 0).then_some(Duration::from_millis(3));
        let compression = if seed % 5 == 0 { Compression::Lz4 } else { Compression::None };
        storm(seed, ProducerOptions { batch_size, linger, compression, ..ProducerOptions::default() }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_faults_with_a_short_delivery_timeout_tell_the_truth() {
    for seed in 100..106 {
        let delivery_timeout = Duration::from_millis(400);
        storm(seed, ProducerOptions { delivery_timeout, batch_size: 500, ..ProducerOptions::default() }).await;
    }
}
