//! `buffer.memory`, waiting for it, and the limits of a record.

use std::time::Duration;

use dohle_broker::{Action, Rule, When};
use dohle_client::producer::{AppendError, ProducerOptions};

use crate::common::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_buffer_says_so_and_tells_when_there_is_room_again() {
    let options = ProducerOptions {
        buffer_memory: 50_000,
        linger: Some(Duration::from_secs(30)), // who waits for memory does not wait for linger
        ..ProducerOptions::default()
    };
    let bench = bench(2, options).await;
    let topic = bench.known_topic("full").await;
    let (mut refused, value) = (0, "v".repeat(1000));
    for i in 0..500 {
        let value = format!("{i} {value}");
        loop {
            match bench.append(topic, Some(i % 2), &record(&value)) {
                Ok(_) => break,
                Err(AppendError::Full) => {
                    refused += 1;
                    let before = bench.ledger.spaces.load(std::sync::atomic::Ordering::SeqCst);
                    bench.producer.wants_space();
                    let more = |ledger: &Ledger| ledger.spaces.load(std::sync::atomic::Ordering::SeqCst) > before;
                    bench.ledger.until("room", more).await;
                }
                Err(AppendError::Invalid(error)) => panic!("{error}"),
            }
        }
        assert!(bench.producer.buffered_bytes() <= 50_000);
    }
    bench.producer.flush().await;
    assert!(refused > 3, "refused {refused} times");
    assert_eq!(bench.producer.buffered_bytes(), 0);
    for partition in 0..2 {
        let numbers: Vec<i32> = bench
            .values("full", partition)
            .await
            .iter()
            .map(|value| value.split(' ').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(numbers, (0..500).filter(|i| i % 2 == partition).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_in_the_waiting_room_count_in_buffer_memory() {
    let options = ProducerOptions { buffer_memory: 20_000, ..ProducerOptions::default() };
    let bench = bench(1, options).await;
    bench.faults().add(Rule::new(Action::Delay { millis: 500, when: When::Before }).api(3));
    let topic = bench.producer.topic("room").unwrap();
    let value = "v".repeat(1000);
    let mut taken = 0;
    while bench.append(topic, None, &record(&value)).is_ok() {
        taken += 1;
    }
    assert!((15..20).contains(&taken), "{taken}");
    bench.producer.wants_space();
    bench.ledger.until("room", |ledger| ledger.spaces.load(std::sync::atomic::Ordering::SeqCst) == 1).await;
    bench.producer.flush().await;
    assert_eq!(bench.values("room", 0).await.len(), taken);
    assert_eq!(bench.producer.buffered_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_large_is_refused_naming_option_and_limit() {
    let options = ProducerOptions { max_request_size: 10_000, batch_size: 2_000, ..ProducerOptions::default() };
    let bench = bench(1, options).await;
    let topic = bench.producer.topic("large").unwrap();
    let Err(AppendError::Invalid(error)) = bench.append(topic, None, &record(&"x".repeat(10_000))) else {
        panic!("was taken")
    };
    assert_eq!(error.code(), "MESSAGE_TOO_LARGE");
    assert!(error.message().contains("max.request.size is 10000"), "{error}");
    // Larger than batch.size is no reason: it gets a batch of its own.
    let placed = [100, 9_000, 100, 9_000].map(|len| bench.send(topic, None, &"x".repeat(len)));
    for (i, placed) in placed.into_iter().enumerate() {
        assert_eq!(bench.ledger.outcome(placed).await.offset, i as i64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_the_broker_finds_too_large_is_split_and_lands_in_order() {
    let options = ProducerOptions { linger: Some(Duration::from_millis(50)), ..ProducerOptions::default() };
    let mut broker_options = dohle_broker::BrokerOptions::new();
    broker_options.max_message_bytes = 3_000;
    let bench = bench_with(broker_options, options, |_| {}).await;
    let topic = bench.known_topic("split").await;
    let values: Vec<String> = (0..400).map(|i| format!("{i:0100}")).collect();
    let mut placed = Vec::new();
    for (i, value) in values.iter().enumerate() {
        placed.push(bench.append(topic, None, &record(value)).unwrap());
        if i == 200 {
            // One record that no split can make small enough fails alone.
            let alone = bench.append(topic, None, &record(&"x".repeat(5_000))).unwrap();
            placed.push(alone);
        }
    }
    bench.producer.flush().await;
    let outcome = bench.ledger.get(placed[201]).unwrap();
    assert_eq!(outcome.code(), "MESSAGE_TOO_LARGE");
    assert_eq!(outcome.persistence, dohle_client::producer::Persistence::NotPersisted);
    assert_eq!(bench.values("split", 0).await, values);
    for (i, placed) in placed.iter().enumerate().filter(|(i, _)| *i != 201) {
        let expected = if i < 201 { i } else { i - 1 };
        assert_eq!(bench.ledger.get(*placed).unwrap().offset, expected as i64);
    }
    assert_eq!(bench.producer.buffered_bytes(), 0);
}
