//! An idempotent producer, a broker and a network that is cut again and again; a consumer reads along, and afterwards the log is read back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dohle_broker::{Broker, BrokerOptions};
use dohle_client::generated::options::{ClientOptions, ProducerOptions};
use dohle_client::producer::{AppendError, Delivery, DeliverySink, Persistence, Producer};
use dohle_client::{Client, Lane, World};
use dohle_protocol::compress::Decompressor;
use dohle_protocol::messages::FetchRequest;
use dohle_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use dohle_protocol::records::{Headers, RecordRef, batches};
use parking_lot::Mutex;

use super::reading;
use super::world::{SimWorld, Trace};

const TOPIC: &str = "orders";
const PARTITIONS: i32 = 3;
const RECORDS: i32 = 300;
const PORT: u16 = 9092;

/// What one run left behind.
pub struct Outcome {
    pub trace: Vec<String>,
    pub connections_lost: usize,
}

/// Runs one seed to its end and checks it.
pub fn run(seed: u64) -> Outcome {
    let trace = Trace::default();
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .tick_duration(Duration::from_millis(5))
        .simulation_duration(Duration::from_secs(600))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(30))
        .tcp_capacity(4096)
        .build();

    let broker_trace = trace.clone();
    sim.host("broker", move || {
        let world = Arc::new(SimWorld::new("broker", seed, broker_trace.clone()));
        async move {
            let mut options = BrokerOptions::default();
            options.host = "0.0.0.0".to_owned();
            options.port = PORT;
            options.allow_non_loopback = true;
            options.partitions = PARTITIONS;
            let _broker = Broker::start(world, options).await?;
            std::future::pending().await
        }
    });
    let client_trace = trace.clone();
    sim.client("client", async move {
        produce_and_check(Arc::new(SimWorld::new("client", seed, client_trace.clone())), client_trace).await;
        Ok(())
    });
    sim.run().expect("the simulation ends");
    let trace = trace.take();
    let connects = trace.iter().filter(|step| step.contains("client connects")).count();
    Outcome { trace, connections_lost: connects.saturating_sub(3) }
}

struct Sink {
    deliveries: Mutex<Vec<Delivery>>,
    trace: Trace,
}

impl DeliverySink for Sink {
    fn delivered(&self, delivery: Delivery) {
        self.trace.note(format!(
            "delivered group {} from {} count {} partition {} offset {} error {:?}",
            delivery.group,
            delivery.first_index,
            delivery.count,
            delivery.partition,
            delivery.base_offset,
            delivery.error.as_ref().map(|error| error.code()),
        ));
        self.deliveries.lock().push(delivery);
    }

    fn space_available(&self) {}
}

async fn produce_and_check(world: Arc<SimWorld>, trace: Trace) {
    let options = ClientOptions {
        bootstrap_servers: vec![format!("broker:{PORT}")],
        request_timeout: Duration::from_millis(800),
        socket_connection_setup_timeout: Duration::from_millis(300),
        socket_connection_setup_timeout_max: Duration::from_millis(600),
        ..ClientOptions::default()
    };
    let client = Client::new(world.clone(), options).unwrap();
    client.metadata().track([TOPIC], false); // for reading back, after the producer is closed
    let sink = Arc::new(Sink { deliveries: Mutex::default(), trace: trace.clone() });
    let producer = Producer::new(&client, ProducerOptions::default(), sink.clone()).unwrap();
    let topic = producer.topic(TOPIC).unwrap();

    let reading = tokio::spawn(reading::along(client.clone(), TOPIC, PARTITIONS, RECORDS, trace.clone()));
    let cutting = tokio::spawn(cut_the_network(world.clone(), trace.clone()));
    for n in 0..RECORDS {
        let value = format!("value {n}");
        let record = RecordRef { timestamp: -1, key: None, value: Some(value.as_bytes()), headers: Headers::None };
        match producer.append(topic, Some(n % PARTITIONS), &record) {
            Ok(_) => {}
            Err(AppendError::Full) => panic!("300 records fill no 32 MiB"),
            Err(AppendError::Invalid(error)) => panic!("{error}"),
        }
        producer.poke();
        tokio::time::sleep(Duration::from_millis(world.random_u64() % 20)).await;
    }
    producer.flush().await;
    cutting.await.unwrap();
    producer.close(None).await;
    check_deliveries(&sink.deliveries.lock());
    reading.await.unwrap();
    for partition in 0..PARTITIONS {
        check_log(&client, partition).await;
    }
    client.close().await;
}

/// Lost for good or held back, for a moment or for longer than a request may take.
async fn cut_the_network(world: Arc<SimWorld>, trace: Trace) {
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(100 + world.random_u64() % 700)).await;
        let pause = Duration::from_millis(10 + world.random_u64() % 1500);
        let lost = world.random_u64() % 3;
        trace.note(format!("network: kind {lost} for {pause:?}"));
        match lost {
            0 => turmoil::partition("client", "broker"),
            1 => turmoil::partition_oneway("broker", "client"),
            _ => turmoil::hold("client", "broker"),
        }
        tokio::time::sleep(pause).await;
        match lost {
            0 => turmoil::repair("client", "broker"),
            1 => turmoil::repair_oneway("broker", "client"),
            _ => turmoil::release("client", "broker"),
        }
    }
}

fn check_deliveries(deliveries: &[Delivery]) {
    let settled: u32 = deliveries.iter().map(|delivery| delivery.count).sum();
    assert_eq!(settled, RECORDS as u32, "every send settles exactly once");
    for delivery in deliveries {
        assert!(delivery.error.is_none(), "{delivery:?}");
        assert_eq!(delivery.persistence, Persistence::Persisted);
    }
}

/// What is in the log is what was sent, once and in order.
async fn check_log(client: &Client, partition: i32) {
    let expected: Vec<String> =
        (0..RECORDS).filter(|n| n % PARTITIONS == partition).map(|n| format!("value {n}")).collect();
    let mut found = Vec::new();
    while found.len() < expected.len() {
        let before = found.len();
        found.extend(fetch(client, partition, found.len() as i64).await);
        assert!(found.len() > before, "the log of partition {partition} ends at {}: {found:?}", found.len());
    }
    assert_eq!(found, expected);
    assert!(fetch(client, partition, found.len() as i64).await.is_empty(), "more than was sent");
}

async fn fetch(client: &Client, partition: i32, offset: i64) -> Vec<String> {
    let topic = client.metadata().topic(TOPIC).expect("known");
    let leader = topic.partitions[partition as usize].leader;
    let wanted =
        FetchPartition { partition, fetch_offset: offset, partition_max_bytes: 1 << 20, ..FetchPartition::default() };
    let topics = vec![FetchTopic { topic_id: topic.id, partitions: vec![wanted], ..FetchTopic::default() }];
    let request = FetchRequest { topics, max_wait_ms: 10, max_bytes: 1 << 20, ..FetchRequest::default() };
    let response = client.request(leader, Lane::Fetch(0), &request, Duration::from_secs(30)).await.unwrap();
    let data = &response.responses[0].partitions[0];
    assert_eq!(data.error_code, 0);
    values(data.records.clone().unwrap_or_default(), offset)
}

fn values(records: Bytes, from: i64) -> Vec<String> {
    let mut decompressor = Decompressor::new();
    let mut found = Vec::new();
    for batch in batches(records) {
        let batch = batch.unwrap();
        batch.verify_crc().unwrap();
        let plain = batch.plain(&mut decompressor, 1 << 20).unwrap();
        for record in plain.iter().map(Result::unwrap).filter(|record| record.offset >= from) {
            assert_eq!(record.offset, from + found.len() as i64, "no gap");
            found.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
        }
    }
    found
}
