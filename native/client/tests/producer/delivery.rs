//! Records arrive as they were sent, once, in order, and every one is told its fate.

use std::time::Duration;

use dohle_broker::BrokerOptions;
use dohle_client::generated::options::{Acks, Compression};
use dohle_client::producer::{Persistence, ProducerOptions};
use dohle_protocol::records::{Headers, RecordRef};

use crate::common::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_record_arrives_as_it_was_sent_and_its_offset_is_told() {
    let bench = bench(3, ProducerOptions::default()).await;
    let topic = bench.producer.topic("exact").unwrap();
    let headers: &[(&[u8], Option<&[u8]>)] = &[(b"a", Some(b"1")), (b"a", None), ("ü".as_bytes(), Some(b""))];
    let records = [
        RecordRef { timestamp: 0, key: None, value: Some(b"first"), headers: Headers::List(headers) },
        RecordRef { timestamp: 1_700_000_000_000, key: Some(b""), value: None, headers: Headers::None },
        RecordRef { timestamp: 5, key: Some(b"k"), value: Some(b""), headers: Headers::None },
        RecordRef { timestamp: -1, key: None, value: None, headers: Headers::None },
    ];
    let placed: Vec<_> = records.iter().map(|record| bench.append(topic, Some(2), record).unwrap()).collect();
    bench.producer.poke();
    for (i, placed) in placed.iter().enumerate() {
        let outcome = bench.ledger.outcome(*placed).await;
        assert_eq!((outcome.partition, outcome.offset), (2, i as i64));
        assert_eq!(outcome.persistence, Persistence::Persisted);
        assert!(outcome.error.is_none());
    }
    let (read, batches) = read(&bench.client, "exact", 2).await;
    assert_eq!(batches.len(), 1);
    for (sent, read) in records.iter().zip(&read).take(3) {
        assert_eq!(read.timestamp, sent.timestamp);
        assert_eq!((read.key.as_deref(), read.value.as_deref()), (sent.key, sent.value));
    }
    let expected = [("a", Some(b"1".to_vec())), ("a", None), ("ü", Some(Vec::new()))];
    assert_eq!(read[0].headers, expected.map(|(name, value)| (name.to_owned(), value)));
    assert!((read[3].timestamp - 1_700_000_000_000).abs() > 1_000_000, "−1 means now");
}

async fn concurrent_sends(count: usize) {
    let bench = std::sync::Arc::new(bench(1, ProducerOptions::default()).await);
    let topic = bench.producer.topic("concurrent").unwrap();
    let sends = (0..count).map(|i| {
        let bench = bench.clone();
        async move {
            let placed = bench.send(topic, None, &i.to_string());
            bench.ledger.outcome(placed).await.offset
        }
    });
    let offsets = futures_util::future::join_all(sends).await;
    assert_eq!(offsets, (0..count as i64).collect::<Vec<_>>());
    let expected: Vec<_> = (0..count).map(|i| i.to_string()).collect();
    assert_eq!(bench.values("concurrent", 0).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_concurrent_sends_land_once_each_in_order() {
    concurrent_sends(20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_concurrent_sends_land_once_each_in_order() {
    concurrent_sends(1000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_codec_and_many_batches_arrive_whole() {
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd]
    {
        let options = ProducerOptions { compression, batch_size: 100_000, ..ProducerOptions::default() };
        let bench = bench(4, options).await;
        let topic = bench.known_topic("codec").await;
        let values: Vec<String> = (0..40_000).map(|i| format!("{{\"id\":{i},\"name\":\"record\"}}")).collect();
        for (i, value) in values.iter().enumerate() {
            bench.append(topic, Some(i as i32 % 4), &record(value)).unwrap();
        }
        bench.producer.flush().await;
        assert_eq!(bench.ledger.len(), values.len(), "{compression:?}");
        for partition in 0..4 {
            let expected: Vec<_> = values.iter().skip(partition).step_by(4).cloned().collect();
            assert_eq!(bench.values("codec", partition as i32).await, expected, "{compression:?}");
        }
        assert_eq!(bench.producer.buffered_bytes(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acks_0_tells_no_offset_and_frees_the_buffers_after_the_write() {
    let options = ProducerOptions { acks: Acks::Zero, ..ProducerOptions::default() };
    let bench = bench(1, options).await;
    let topic = bench.producer.topic("zero").unwrap();
    let placed: Vec<_> = (0..100).map(|i| bench.send(topic, None, &i.to_string())).collect();
    for placed in placed {
        let outcome = bench.ledger.outcome(placed).await;
        assert_eq!((outcome.offset, outcome.append_time), (-1, -1));
        assert_eq!(outcome.persistence, Persistence::PossiblyPersisted);
        assert!(outcome.error.is_none());
    }
    bench.producer.flush().await;
    assert_eq!(bench.producer.buffered_bytes(), 0);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(bench.values("zero", 0).await.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn acks_1_is_not_idempotent_and_tells_offsets() {
    let bench = bench(1, ProducerOptions { acks: Acks::One, ..ProducerOptions::default() }).await;
    let topic = bench.producer.topic("one").unwrap();
    let placed = bench.send(topic, None, "x");
    assert_eq!(bench.ledger.outcome(placed).await.offset, 0);
    assert_eq!(read(&bench.client, "one", 0).await.1[0].producer_id, -1);
}

#[tokio::test(flavor = "multi_thread")]
async fn keyless_records_spread_evenly_over_six_partitions() {
    let options = ProducerOptions { buffer_memory: 256 << 20, ..ProducerOptions::default() };
    let bench = bench(6, options).await;
    let topic = bench.known_topic("even").await;
    let value = "x".repeat(80);
    for i in 0..600_000 {
        bench.append(topic, None, &record(&value)).unwrap();
        if i % 1000 == 0 {
            bench.producer.poke();
            tokio::task::yield_now().await;
        }
    }
    bench.producer.flush().await;
    for partition in 0..6 {
        let count = read(&bench.client, "even", partition).await.0.len();
        assert!((90_000..=110_000).contains(&count), "partition {partition} has {count}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_topics_share_requests() {
    let bench = bench_with(BrokerOptions::new().with_partitions(3), ProducerOptions::default(), |_| {}).await;
    let mut placed = Vec::new();
    for round in 0..3 {
        for t in 0..50 {
            let topic = bench.producer.topic(&format!("topic-{t}")).unwrap();
            for partition in 0..3 {
                placed.push(bench.append(topic, Some(partition), &record(&format!("{round}"))).unwrap());
            }
        }
    }
    bench.producer.poke();
    bench.producer.flush().await;
    assert!(placed.iter().all(|placed| bench.ledger.get(*placed).unwrap().error.is_none()));
    assert_eq!(bench.values("topic-49", 2).await, ["0", "1", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::disallowed_methods)] // threads of a language, not of the engine
async fn threads_that_append_at_once_keep_their_own_order() {
    let options = ProducerOptions { buffer_memory: 400_000, batch_size: 5_000, ..ProducerOptions::default() };
    let bench = std::sync::Arc::new(bench(3, options).await);
    let topic = bench.producer.topic("threads").unwrap();
    let threads = (0..4).map(|thread| {
        let bench = bench.clone();
        std::thread::spawn(move || {
            for i in 0..10_000 {
                let value = format!("{thread} {i}");
                let append = || bench.append(topic, Some(i % 3), &record(&value));
                while append().is_err_and(|error| matches!(error, dohle_client::producer::AppendError::Full)) {
                    bench.producer.wants_space();
                    std::thread::sleep(Duration::from_millis(1));
                }
                if i % 50 == 0 {
                    bench.producer.poke();
                }
            }
        })
    });
    let threads: Vec<_> = threads.collect();
    tokio::task::block_in_place(|| threads.into_iter().for_each(|thread| thread.join().unwrap()));
    bench.producer.flush().await;
    assert_eq!(bench.ledger.len(), 40_000);
    assert_eq!(bench.producer.buffered_bytes(), 0);
    for partition in 0..3 {
        let values = bench.values("threads", partition).await;
        for thread in 0..4 {
            let own = values.iter().filter_map(|value| value.strip_prefix(&format!("{thread} "))?.parse::<i32>().ok());
            assert!(own.eq((0..10_000).filter(|i| i % 3 == partition)), "thread {thread} in {partition}");
        }
    }
}
