//! An idempotent producer, a broker and a network that is cut again and again; a consumer reads along, and afterwards the
//! log is read back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dohle_client::generated::options::ProducerOptions;
use dohle_client::producer::{AppendError, Delivery, DeliverySink, Persistence, Producer};
use dohle_client::{Client, Lane, World};
use dohle_protocol::compress::Decompressor;
use dohle_protocol::messages::FetchRequest;
use dohle_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use dohle_protocol::records::{Headers, RecordRef, batches};
use dohle_simulation::world::{SimWorld, Trace};
use parking_lot::Mutex;

use super::network::{Cut, client_options, cut_the_network, host_broker, run_to_the_end, simulation};
use super::reading;

pub const TOPIC: &str = "orders";
const PARTITIONS: i32 = 3;
const RECORDS: i32 = 300;

/// What one run left behind.
pub struct Outcome {
    pub trace: Vec<String>,
    pub connections_lost: usize,
}

/// Runs one seed to its end and checks it.
pub fn run(seed: u64) -> Outcome {
    let trace = Trace::default();
    let mut sim = simulation(seed);
    host_broker(&mut sim, seed, PARTITIONS, &trace);
    let client_trace = trace.clone();
    sim.client("client", async move {
        produce_and_check(Arc::new(SimWorld::new("client", seed, client_trace.clone())), client_trace).await;
        Ok(())
    });
    let trace = run_to_the_end(sim, trace);
    let connects = trace.iter().filter(|step| step.contains("client connects")).count();
    Outcome { trace, connections_lost: connects.saturating_sub(3) }
}

/// Keeps what the producer tells.
pub struct Sink {
    deliveries: Mutex<Vec<Delivery>>,
    trace: Trace,
}

impl Sink {
    pub fn new(trace: Trace) -> Self {
        Self { deliveries: Mutex::default(), trace }
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        self.deliveries.lock().clone()
    }
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
            delivery.error.as_ref().map(|error| error.to_string()),
        ));
        self.deliveries.lock().push(delivery);
    }

    fn space_available(&self) {}
}

async fn produce_and_check(world: Arc<SimWorld>, trace: Trace) {
    let client = Client::new(world.clone(), client_options()).unwrap();
    client.metadata().track([TOPIC], false); // for reading back, after the producer is closed
    let sink = Arc::new(Sink::new(trace.clone()));
    let producer = Producer::new(&client, ProducerOptions::default(), sink.clone()).unwrap();
    let topic = producer.topic(TOPIC).unwrap();

    let reading = tokio::spawn(reading::along(client.clone(), TOPIC, PARTITIONS, RECORDS, trace.clone()));
    let cutting = tokio::spawn(cut_the_network(world.clone(), trace.clone(), "client", &Cut::ALL));
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
    check_deliveries(&sink.deliveries());
    reading.await.unwrap();
    for partition in 0..PARTITIONS {
        check_log(&client, partition).await;
    }
    client.close().await;
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

/// The values from this offset on, as far as one fetch brings them.
pub async fn fetch(client: &Client, partition: i32, offset: i64) -> Vec<String> {
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
