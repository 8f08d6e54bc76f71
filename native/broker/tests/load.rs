//! Many partitions and many clients: what they cost in memory and in wake-ups. Both are counted in a world of memory and of a
//! clock that jumps, so that they are the same on every machine, whatever else it does.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // who asks a broker is outside of its world

#[path = "../../client/tests/sim/allocations.rs"]
mod allocations;
#[path = "fuzz/serve/world.rs"]
mod world;

use std::{sync::Arc, time::Duration};

use allocations::Watch;
use bytes::Bytes;
use dohle_broker::{Broker, BrokerOptions};
use dohle_protocol::{
    Request,
    compress::{Compression, Compressor},
    frame,
    messages::{
        ApiVersionsRequest, CreateTopicsRequest, FetchRequest, FetchResponse, MetadataRequest, ProduceRequest,
        create_topics_request::CreatableTopic,
        fetch_request::{FetchPartition, FetchTopic},
        metadata_request::MetadataRequestTopic,
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    records::{BatchBuilder, Headers, RecordRef},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::timeout,
};
use world::MemoryWorld;

const PARTITIONS: i32 = 5_000;
const CLIENTS: i32 = 1_000;

/// Wake-ups in a minute in which nothing is asked: of timers of the whole broker and of the clock's own steps. One of a
/// partition or of a client would make thousands.
const MOST_WOKEN: u64 = 60;

struct Here {
    world: Arc<MemoryWorld>,
    broker: Broker,
}

impl Here {
    async fn start() -> Self {
        let world = Arc::new(MemoryWorld::new(1));
        let broker = Broker::start(world.clone(), BrokerOptions::new()).await.unwrap();
        Self { world, broker }
    }

    fn connect(&self) -> Client {
        Client(self.world.dial())
    }

    async fn with_topic() -> (Self, Client) {
        let here = Self::start().await;
        let mut client = here.connect();
        let topic = CreatableTopic {
            name: "t".into(),
            num_partitions: PARTITIONS,
            replication_factor: 1,
            ..Default::default()
        };
        let created = client.ask(5, &CreateTopicsRequest { topics: vec![topic], ..Default::default() }).await;
        assert_eq!(created.topics[0].error_code, 0);
        (here, client)
    }
}

struct Client(DuplexStream);

impl Client {
    async fn send<R: Request>(&mut self, version: i16, request: &R) {
        let frame = frame::encode_request(version, 1, Some("load"), request).unwrap();
        self.0.write_all(&frame.to_bytes()).await.unwrap();
    }

    async fn answer<R: Request>(&mut self, version: i16) -> R::Response {
        let length = self.0.read_i32().await.unwrap();
        let mut frame = vec![0; length as usize];
        self.0.read_exact(&mut frame).await.unwrap();
        frame::decode_response::<R>(frame.into(), version).unwrap().1
    }

    async fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(version, request).await;
        self.answer::<R>(version).await
    }

    async fn produce(&mut self, partitions: impl Iterator<Item = i32>) {
        let data = |index| PartitionProduceData { index, records: Some(batch()), ..Default::default() };
        let topic =
            TopicProduceData { name: "t".into(), partition_data: partitions.map(data).collect(), ..Default::default() };
        let request = ProduceRequest { acks: -1, topic_data: vec![topic], ..Default::default() };
        let answer = self.ask(12, &request).await;
        assert!(answer.responses[0].partition_responses.iter().all(|partition| partition.error_code == 0));
    }
}

fn batch() -> Bytes {
    let mut builder = BatchBuilder::new(64);
    builder.append(&RecordRef { timestamp: 1, key: None, value: Some(b"v"), headers: Headers::None });
    let mut sealed = builder.seal(&mut Compressor::new(Compression::None, None).unwrap(), false);
    sealed.stamp(-1, -1, -1);
    sealed.bytes()
}

fn fetch(partitions: impl Iterator<Item = i32>, fetch_offset: i64, max_wait_ms: i32) -> FetchRequest {
    let want =
        |partition| FetchPartition { partition, fetch_offset, partition_max_bytes: 1 << 20, ..Default::default() };
    let topic = FetchTopic { topic: "t".into(), partitions: partitions.map(want).collect(), ..Default::default() };
    FetchRequest { min_bytes: 1, max_bytes: 1 << 26, max_wait_ms, topics: vec![topic], ..Default::default() }
}

/// The partitions that an answer has records of.
fn with_records(answer: &FetchResponse) -> Vec<i32> {
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
    let full = partitions.filter(|partition| partition.records.as_ref().is_some_and(|records| !records.is_empty()));
    full.map(|partition| partition.partition_index).collect()
}

fn run(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(test);
}

/// A minute in which nothing is asked: the broker sleeps.
async fn sleeps() {
    let parks = || tokio::runtime::Handle::current().metrics().worker_park_count(0);
    // What is under way comes to rest.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = parks();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let woken = parks() - before;
    assert!(woken < MOST_WOKEN, "woken {woken} times");
}

#[test]
fn a_broker_that_nobody_uses_holds_little_and_sleeps() {
    run(async {
        let watch = Watch::begin();
        let here = Here::start().await;
        let mut client = here.connect();
        client.ask(0, &ApiVersionsRequest::default()).await;
        assert!(watch.peak() < 1 << 20, "{} bytes", watch.peak());
        sleeps().await;
    });
}

#[test]
fn five_thousand_partitions_are_written_and_read_and_cost_as_little_as_they_hold() {
    run(async {
        let watch = Watch::begin();
        let (_here, mut client) = Here::with_topic().await;
        let each = watch.peak() / PARTITIONS as usize;
        assert!(each < 1_280, "{each} bytes for a partition that is empty");
        let topic = MetadataRequestTopic { name: Some("t".into()), ..Default::default() };
        let metadata = client.ask(12, &MetadataRequest { topics: Some(vec![topic]), ..Default::default() }).await;
        assert_eq!(metadata.topics[0].partitions.len(), PARTITIONS as usize);
        client.produce(0..PARTITIONS).await;
        // A session: all of it once, and from then on what has changed.
        let mut all = fetch(0..PARTITIONS, 0, 0);
        all.session_epoch = 0;
        let answer = client.ask(12, &all).await;
        assert_eq!(with_records(&answer), (0..PARTITIONS).collect::<Vec<_>>());
        let mut next = fetch(0..PARTITIONS, 1, 0);
        (next.session_id, next.session_epoch) = (answer.session_id, 1);
        assert!(client.ask(12, &next).await.responses.is_empty());
        client.produce([4_321].into_iter()).await;
        (next.session_epoch, next.topics) = (2, Vec::new());
        assert_eq!(with_records(&client.ask(12, &next).await), [4_321]);
        sleeps().await;
    });
}

#[test]
fn a_thousand_clients_wait_without_a_wake_up_and_only_who_has_something_to_read_is_answered() {
    run(async {
        let (here, mut producer) = Here::with_topic().await;
        let watch = Watch::begin();
        let share = PARTITIONS / CLIENTS;
        let mut clients = Vec::new();
        for n in 0..CLIENTS {
            let mut client = here.connect();
            client.ask(0, &ApiVersionsRequest::default()).await;
            client.send(12, &fetch(n * share..(n + 1) * share, 0, i32::MAX)).await;
            clients.push(client);
        }
        sleeps().await;
        assert_eq!(here.broker.connections(), CLIENTS as usize + 1);
        let each = watch.peak() / CLIENTS as usize;
        assert!(each < 40 * 1024, "{each} bytes for a client that waits");
        producer.produce([share * 500 + 1].into_iter()).await;
        let answer = clients[500].answer::<FetchRequest>(12).await;
        assert_eq!(with_records(&answer), [share * 500 + 1]);
        for (n, client) in clients.iter_mut().enumerate().filter(|(n, _)| *n != 500) {
            assert!(timeout(Duration::ZERO, client.0.read_i32()).await.is_err(), "client {n} still waits");
        }
        // All at once.
        producer.produce(0..PARTITIONS).await;
        for (n, client) in clients.iter_mut().enumerate().filter(|(n, _)| *n != 500) {
            assert_eq!(with_records(&client.answer::<FetchRequest>(12).await).len(), share as usize, "client {n}");
        }
    });
}
