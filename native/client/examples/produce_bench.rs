//! How fast the producer is, without any language in front of it.
//!
//! `cargo run --release -p dohle-client --example produce_bench -- --records 1000000 --codec lz4`
//! Without `--brokers HOST:PORT` it starts an embedded broker in the same process (whose CPU time is then counted too).
//! Prints records/s, MB/s, CPU µs per record of the process, and ns per record of the appending thread alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dohle_broker::{Broker, BrokerOptions};
use dohle_client::generated::options::{Compression, Partitioner};
use dohle_client::producer::{AppendError, Delivery, DeliverySink, Producer, ProducerOptions};
use dohle_client::{Client, ClientOptions, TokioWorld};
use dohle_protocol::records::{Headers, RecordRef};
use tokio::sync::Notify;
use tokio::time::Instant;

struct Arguments {
    brokers: Option<String>,
    topic: String,
    records: u64,
    codec: Compression,
    linger_ms: Option<u64>,
    batch_size: usize,
    keys: bool,
    threads: usize,
}

fn arguments() -> Arguments {
    let mut given = Arguments {
        brokers: None,
        topic: "produce-bench".to_owned(),
        records: 1_000_000,
        codec: Compression::None,
        linger_ms: None,
        batch_size: ProducerOptions::default().batch_size,
        keys: true,
        threads: 1,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} needs a value"));
        match word.as_str() {
            "--brokers" => given.brokers = Some(value()),
            "--topic" => given.topic = value(),
            "--records" => given.records = value().parse().expect("--records: a number"),
            "--codec" => given.codec = value().parse().expect("--codec: none, gzip, snappy, lz4 or zstd"),
            "--linger-ms" => given.linger_ms = Some(value().parse().expect("--linger-ms: a number")),
            "--batch-size" => given.batch_size = value().parse().expect("--batch-size: a number"),
            "--threads" => given.threads = value().parse().expect("--threads: a number"),
            "--no-keys" => given.keys = false,
            other => panic!("what is {other}?"),
        }
    }
    given
}

#[derive(Default)]
struct Sink {
    settled: AtomicU64,
    failed: AtomicU64,
    space: Notify,
}

impl DeliverySink for Sink {
    fn delivered(&self, delivery: Delivery) {
        let count = u64::from(delivery.count);
        self.settled.fetch_add(count, Ordering::Relaxed);
        if let Some(error) = delivery.error
            && self.failed.fetch_add(count, Ordering::Relaxed) == 0
        {
            eprintln!("first failure: {error}");
        }
    }

    fn space_available(&self) {
        self.space.notify_one();
    }
}

fn main() {
    let arguments = arguments();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(arguments.threads)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(bench(arguments));
}

async fn bench(arguments: Arguments) {
    let embedded = match &arguments.brokers {
        Some(_) => None,
        None => Some(Broker::start_default(BrokerOptions::new().with_partitions(6)).await.expect("a broker")),
    };
    let brokers = arguments.brokers.or(embedded.as_ref().map(|broker| broker.address().to_string()));
    let options = ClientOptions { bootstrap_servers: brokers.into_iter().collect(), ..ClientOptions::default() };
    let client = Client::new(Arc::new(TokioWorld::current()), options).expect("a client");
    let options = ProducerOptions {
        compression: arguments.codec,
        linger: arguments.linger_ms.map(Duration::from_millis),
        batch_size: arguments.batch_size,
        partitioner: Partitioner::Default,
        ..ProducerOptions::default()
    };
    let sink = Arc::new(Sink::default());
    let producer = Producer::new(&client, options, sink.clone()).expect("a producer");
    let topic = producer.topic(&arguments.topic).expect("a topic");
    let known = client.metadata().wait_for_topic(&arguments.topic, Duration::from_secs(30)).await.expect("metadata");
    producer.flush().await;

    let values: Vec<String> = (0..1000).map(value).collect();
    let bytes: usize = values.iter().map(String::len).sum::<usize>() / values.len();
    let (start, cpu, thread) = (Instant::now(), process_cpu(), thread_cpu());
    let (mut appending, mut waits) = (Duration::ZERO, 0);
    let mut key = [0; 8];
    let mut sent = 0;
    while sent < arguments.records {
        let before = thread_cpu();
        let end = (sent + 256).min(arguments.records); // as many as an arena may hold
        let full = loop {
            if sent == end {
                break false;
            }
            key.copy_from_slice(&(sent % 10_000 + 1_000_000_000).to_be_bytes());
            let value = values[(sent % 1000) as usize].as_bytes();
            let key = arguments.keys.then_some(&key[..]);
            let record = RecordRef { timestamp: 1_700_000_000_000, key, value: Some(value), headers: Headers::None };
            match producer.append(topic, None, &record) {
                Ok(_) => sent += 1,
                Err(AppendError::Full) => break true,
                Err(AppendError::Invalid(error)) => panic!("{error}"),
            }
        };
        producer.poke();
        appending += thread_cpu() - before;
        if full {
            waits += 1;
            producer.wants_space();
            sink.space.notified().await;
        }
    }
    producer.flush().await;
    let (wall, cpu, thread) = (start.elapsed().as_secs_f64(), process_cpu() - cpu, thread_cpu() - thread);
    let count = arguments.records as f64;
    println!("partitions {}, codec {:?}, value {bytes} bytes", known.partitions.len(), arguments.codec);
    println!("{:.0} records/s, {:.1} MB/s", count / wall, count * bytes as f64 / wall / 1e6);
    println!(
        "{:.3} CPU µs per record{}",
        cpu.as_secs_f64() * 1e6 / count,
        if embedded.is_some() { " (broker included)" } else { "" }
    );
    println!(
        "{:.1} ns per record in append and poke; main thread {:.1} ns; waited {waits} times for memory",
        appending.as_secs_f64() * 1e9 / count,
        thread.as_secs_f64() * 1e9 / count
    );
    let failed = sink.failed.load(Ordering::Relaxed);
    assert_eq!(sink.settled.load(Ordering::Relaxed), arguments.records, "every record settles");
    assert_eq!(failed, 0, "records failed");
    producer.close(None).await;
    client.close().await;
}

fn value(n: usize) -> String {
    format!(
        "{{\"id\":{},\"user\":\"user-{:05}\",\"action\":\"{}\",\"amount\":{}.{:02},\"at\":\"2026-01-01T00:00:{:02}Z\"}}",
        n * 7919,
        n * 31 % 9973,
        ["view", "click", "buy", "leave"][n % 4],
        n * 13 % 500,
        n % 100,
        n % 60
    )
}

/// CPU time of this thread, from Linux.
fn thread_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
}

/// CPU time of the process: the sum over its threads.
fn process_cpu() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let times = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok());
    times.filter_map(|text| Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))).sum()
}
