//! A broker, a producer made of raw requests, and a reader that does what a language's loop does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use dohle_broker::{Broker, BrokerOptions};
use dohle_client::consumer::{
    Assignment, Chunk, Consumer, ConsumerEvent, ConsumerOptions, ConsumerSink, INDEX_WORDS, Question, StartAt,
    TopicPartition,
};
use dohle_client::{Client, ClientOptions, Error, Lane, TokioWorld};
use dohle_protocol::ErrorCode;
use dohle_protocol::compress::{Compression, Compressor};
use dohle_protocol::messages::create_topics_request::CreatableTopic;
use dohle_protocol::messages::delete_topics_request::DeleteTopicState;
use dohle_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use dohle_protocol::messages::{CreateTopicsRequest, DeleteTopicsRequest, ProduceRequest};
use dohle_protocol::records::{BatchBuilder, Headers, RecordRef};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Longer than anything takes that works; a reader that waits this long has gone silent.
pub const SILENCE: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_secs(10);

pub struct Cluster {
    pub broker: Broker,
    pub client: Client,
}

impl Cluster {
    pub async fn start() -> Self {
        let broker = Broker::start_default(BrokerOptions::default()).await.unwrap();
        let client = connect_to(broker.address().to_string());
        Cluster { broker, client }
    }

    pub async fn create(&self, topic: &str, partitions: i32) {
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: topic.into(),
                num_partitions: partitions,
                replication_factor: 1,
                ..CreatableTopic::default()
            }],
            timeout_ms: 5000,
            ..CreateTopicsRequest::default()
        };
        let response = self.client.request_any(|_| Ok(request.clone()), TIMEOUT).await.unwrap();
        assert_eq!(response.topics[0].error_code, 0);
    }

    /// Deletes a topic, and creates one of the same name.
    pub async fn recreate(&self, topic: &str, partitions: i32) {
        let topics = vec![DeleteTopicState { name: Some(topic.into()), ..DeleteTopicState::default() }];
        let request = DeleteTopicsRequest { topics, timeout_ms: 5000, ..DeleteTopicsRequest::default() };
        let response = self.client.request_any(|_| Ok(request.clone()), TIMEOUT).await.unwrap();
        assert_eq!(response.responses[0].error_code, 0);
        self.create(topic, partitions).await;
    }

    /// Appends one batch and returns its base offset.
    pub async fn produce(&self, topic: &str, partition: i32, values: &[Vec<u8>], codec: Compression) -> i64 {
        self.produce_bytes(topic, partition, batch(values, codec)).await
    }

    pub async fn produce_bytes(&self, topic: &str, partition: i32, records: Bytes) -> i64 {
        let snapshot = self.client.metadata().refresh_topics(&[topic]).await.unwrap();
        let (leader, _) = snapshot.leader(topic, partition).unwrap();
        let topic_id = snapshot.topic(topic).unwrap().id;
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: 5000,
            topic_data: vec![TopicProduceData {
                name: topic.into(),
                topic_id,
                partition_data: vec![PartitionProduceData {
                    index: partition,
                    records: Some(records),
                    ..PartitionProduceData::default()
                }],
                ..TopicProduceData::default()
            }],
            ..ProduceRequest::default()
        };
        let response = self.client.request(leader, Lane::Produce, &request, TIMEOUT).await.unwrap();
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(ErrorCode(partition.error_code), ErrorCode::NONE);
        partition.base_offset
    }

    pub fn reader(&self, options: ConsumerOptions) -> Reader {
        Reader::new(&self.client, options)
    }
}

pub fn connect_to(address: String) -> Client {
    connect_with(address, |_| {})
}

pub fn connect_with(address: String, change: impl FnOnce(&mut ClientOptions)) -> Client {
    let mut options = ClientOptions {
        bootstrap_servers: vec![address],
        retry_backoff: Duration::from_millis(20),
        retry_backoff_max: Duration::from_millis(200),
        reconnect_backoff: Duration::from_millis(20),
        reconnect_backoff_max: Duration::from_millis(200),
        ..ClientOptions::default()
    };
    change(&mut options);
    Client::new(Arc::new(TokioWorld::current()), options).unwrap()
}

pub fn batch(values: &[Vec<u8>], codec: Compression) -> Bytes {
    batch_at(1000, values, codec)
}

/// The records' timestamps count up from `timestamp`.
pub fn batch_at(timestamp: i64, values: &[Vec<u8>], codec: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(1024);
    for (i, value) in values.iter().enumerate() {
        builder.append(&RecordRef {
            timestamp: timestamp + i as i64,
            key: None,
            value: Some(value),
            headers: Headers::None,
        });
    }
    let mut sealed = builder.seal(&mut Compressor::new(codec, None).unwrap(), false);
    sealed.stamp(-1, -1, -1);
    sealed.bytes()
}

/// Values that say which record they are, of different sizes.
pub fn numbered(from: usize, count: usize) -> Vec<Vec<u8>> {
    (from..from + count).map(|i| format!("{i}:{}", "x".repeat(i * 37 % 300)).into_bytes()).collect()
}

pub fn number(value: &[u8]) -> i64 {
    std::str::from_utf8(value).unwrap().split_once(':').unwrap().0.parse().unwrap()
}

pub fn tp(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

#[derive(Default)]
pub struct Sink {
    ready: Notify,
    pub events: Mutex<Vec<ConsumerEvent>>,
}

impl ConsumerSink for Sink {
    fn chunks_ready(&self) {
        self.ready.notify_one();
    }

    fn question(&self, _: Question) {}

    fn event(&self, event: ConsumerEvent) {
        self.events.lock().push(event);
    }
}

/// A record as the loop gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct Got {
    pub tp: TopicPartition,
    pub offset: i64,
    pub timestamp: i64,
    pub value: Vec<u8>,
}

pub struct Reader {
    pub consumer: Consumer,
    pub sink: Arc<Sink>,
    current: Option<(Chunk, u32)>,
}

impl Reader {
    pub fn new(client: &Client, options: ConsumerOptions) -> Self {
        let sink = Arc::new(Sink::default());
        let consumer = Consumer::new(client, options, sink.clone()).unwrap();
        Reader { consumer, sink, current: None }
    }

    pub fn assign(&self, topic: &str, partitions: i32, start: StartAt) {
        let assignments =
            (0..partitions).map(|partition| Assignment { partition: tp(topic, partition), start }).collect();
        self.consumer.assign(assignments).unwrap();
    }

    /// The next record, as the contract of `ChunkControl` has it.
    pub async fn next(&mut self) -> Result<Got, Error> {
        loop {
            if let Some((chunk, k)) = &mut self.current {
                chunk.control.finished.store(*k, Ordering::SeqCst);
                if chunk.control.revoked.load(Ordering::SeqCst) == 0 && *k < chunk.count {
                    let got = record(chunk, *k);
                    *k += 1;
                    chunk.control.stepped.store(*k, Ordering::SeqCst);
                    return Ok(got);
                }
                self.current = None;
            }
            self.current = Some((self.next_chunk().await?, 0));
        }
    }

    pub async fn next_chunk(&mut self) -> Result<Chunk, Error> {
        loop {
            if let Some(chunk) = self.consumer.next_chunk()? {
                return Ok(chunk);
            }
            timeout(SILENCE, self.sink.ready.notified()).await.expect("the consumer has gone silent");
        }
    }

    /// Whether a record comes within this time.
    pub async fn comes_within(&mut self, time: Duration) -> Option<Got> {
        timeout(time, self.next()).await.ok().map(Result::unwrap)
    }

    pub async fn take(&mut self, count: usize) -> Vec<Got> {
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            all.push(self.next().await.unwrap());
        }
        all
    }
}

fn record(chunk: &Chunk, k: u32) -> Got {
    let row = &chunk.index[k as usize * INDEX_WORDS..][..INDEX_WORDS];
    Got {
        tp: chunk.topic_partition(),
        offset: chunk.offset(k),
        timestamp: i64::from(row[2]) << 32 | i64::from(row[1] as u32),
        value: chunk.bytes[row[5] as usize..][..row[6] as usize].to_vec(),
    }
}
