//! A broker, connections to it, and the requests that most tests need.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use bytes::Bytes;
use dohle_broker::{
    Broker, BrokerOptions, BrokerWorld, TokioWorld,
    world::{BoxFuture, Listener},
};
use dohle_protocol::{
    ErrorCode, Request, Uuid,
    compress::{Compression, Compressor, Decompressor},
    frame,
    messages::{
        CreateTopicsRequest, FetchRequest, FetchResponse, IncrementalAlterConfigsRequest, ListOffsetsRequest,
        MetadataRequest, ProduceRequest,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
        fetch_request::{FetchPartition, FetchTopic},
        fetch_response::PartitionData,
        incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
        metadata_request::MetadataRequestTopic,
        produce_request::{PartitionProduceData, TopicProduceData},
        produce_response::PartitionProduceResponse,
    },
    records::{BatchBuilder, Headers, RecordRef, batches},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

pub async fn broker() -> Broker {
    Broker::start_default(BrokerOptions::new()).await.unwrap()
}

/// The real world, but for its wall clock, which only the test moves.
pub struct HandClock(AtomicI64);

impl HandClock {
    /// A broker that lives by this clock, with these properties.
    pub async fn broker(properties: &[(&str, &str)]) -> (Arc<Self>, Broker) {
        let mut options = BrokerOptions::new();
        for (name, value) in properties {
            options.set(name, value).unwrap();
        }
        let clock = Arc::new(Self(NOW.into()));
        let broker = Broker::start(clock.clone(), options).await.unwrap();
        (clock, broker)
    }

    pub fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl BrokerWorld for HandClock {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        TokioWorld.listen(address)
    }

    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        TokioWorld.resolve(host, port)
    }

    fn wall_clock_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    fn random_u64(&self) -> u64 {
        TokioWorld.random_u64()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        TokioWorld.spawn(task);
    }
}

/// A connection that sends one request after the other.
pub struct Connection<S = TcpStream> {
    pub stream: S,
    next: i32,
}

impl Connection {
    pub async fn to(broker: &Broker) -> Self {
        Self::at(broker.address()).await
    }

    pub async fn at(address: impl tokio::net::ToSocketAddrs) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub fn over(stream: S) -> Self {
        Self { stream, next: 1 }
    }

    /// Sends a request and reads its answer.
    pub async fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.try_ask(version, request).await.unwrap_or_else(|| panic!("{}: closed", R::NAME))
    }

    /// Sends a request and reads its answer; none when the broker closes the connection.
    pub async fn try_ask<R: Request>(&mut self, version: i16, request: &R) -> Option<R::Response> {
        let id = self.send(version, request).await;
        let frame = self.frame().await?;
        let (answered, response) = frame::decode_response::<R>(frame, version).unwrap();
        assert_eq!(answered, id, "answers come in order");
        Some(response)
    }

    pub async fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        let id = self.next;
        self.next += 1;
        let segments = frame::encode_request(version, id, Some("test"), request).unwrap();
        self.stream.write_all(&segments.to_bytes()).await.unwrap();
        id
    }

    /// The next frame; none when the broker closed.
    pub async fn frame(&mut self) -> Option<Bytes> {
        let length = self.stream.read_i32().await.ok()?;
        let mut frame = vec![0; length as usize];
        self.stream.read_exact(&mut frame).await.ok()?;
        Some(frame.into())
    }

    pub async fn create_topic(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Uuid {
        let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
            name: name.to_string(),
            value: Some(value.to_string()),
            ..Default::default()
        };
        let topic = CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: -1,
            configs: configs.iter().map(config).collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        let created = self.ask(7, &request).await.topics.remove(0);
        assert_eq!(ErrorCode(created.error_code), ErrorCode::NONE, "{:?}", created.error_message);
        created.topic_id
    }

    /// Produces one batch (version 12, acks −1).
    pub async fn produce(&mut self, topic: &str, partition: i32, records: Bytes) -> PartitionProduceResponse {
        let mut response = self.ask(12, &produce_request(topic, partition, records)).await;
        response.responses.remove(0).partition_responses.remove(0)
    }

    /// Fetches one partition without a session (version 12).
    pub async fn fetch(&mut self, topic: &str, partition: i32, offset: i64) -> PartitionData {
        self.ask(12, &fetch_request(topic, partition, offset)).await.part()
    }

    /// Offset and timestamp of what ListOffsets finds for a time.
    pub async fn offset_at(&mut self, topic: &str, timestamp: i64) -> (i64, i64) {
        let partitions = vec![ListOffsetsPartition { timestamp, ..Default::default() }];
        let topics = vec![ListOffsetsTopic { name: topic.into(), partitions, ..Default::default() }];
        let found = self.ask(11, &ListOffsetsRequest { replica_id: -1, topics, ..Default::default() }).await;
        let found = &found.topics[0].partitions[0];
        assert_eq!(ErrorCode(found.error_code), ErrorCode::NONE);
        (found.offset, found.timestamp)
    }

    /// Sets properties of a topic.
    pub async fn configure(&mut self, topic: &str, set: &[(&str, &str)]) {
        let config = |(name, value): &(&str, &str)| AlterableConfig {
            name: name.to_string(),
            value: Some(value.to_string()),
            ..Default::default()
        };
        let configs = set.iter().map(config).collect();
        let resources =
            vec![AlterConfigsResource { resource_type: 2, resource_name: topic.into(), configs, ..Default::default() }];
        let request = IncrementalAlterConfigsRequest { resources, ..Default::default() };
        let changed = self.ask(1, &request).await.responses.remove(0);
        assert_eq!(ErrorCode(changed.error_code), ErrorCode::NONE, "{:?}", changed.error_message);
    }

    pub async fn metadata(&mut self, topic: &str) -> (ErrorCode, usize) {
        let topic = MetadataRequestTopic { name: Some(topic.into()), ..Default::default() };
        let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
        let topic = self.ask(12, &request).await.topics.remove(0);
        (ErrorCode(topic.error_code), topic.partitions.len())
    }
}

pub trait Part {
    fn part(self) -> PartitionData;
}

impl Part for FetchResponse {
    fn part(mut self) -> PartitionData {
        assert_eq!(ErrorCode(self.error_code), ErrorCode::NONE);
        self.responses.remove(0).partitions.remove(0)
    }
}

pub fn produce_request(topic: &str, index: i32, records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData { index, records: Some(records), ..Default::default() };
    let topic = TopicProduceData { name: topic.into(), partition_data: vec![data], ..Default::default() };
    ProduceRequest { acks: -1, timeout_ms: 1000, topic_data: vec![topic], ..Default::default() }
}

pub fn fetch_request(topic: &str, partition: i32, fetch_offset: i64) -> FetchRequest {
    let want = FetchPartition { partition, fetch_offset, partition_max_bytes: 1 << 20, ..Default::default() };
    let topic = FetchTopic { topic: topic.into(), partitions: vec![want], ..Default::default() };
    FetchRequest { min_bytes: 1, max_bytes: 1 << 20, topics: vec![topic], ..Default::default() }
}

/// A batch of string records.
pub struct Records {
    pub values: Vec<String>,
    pub key: Option<&'static str>,
    pub timestamp: i64,
    pub compression: Compression,
    /// Producer id, epoch, base sequence.
    pub stamp: (i64, i16, i32),
    pub transactional: bool,
}

pub const NOW: i64 = 1_700_000_000_000;

impl Records {
    pub fn new<S: ToString>(values: impl IntoIterator<Item = S>) -> Self {
        let values = values.into_iter().map(|value| value.to_string()).collect();
        let (key, compression) = (Some("k"), Compression::None);
        Self { values, key, timestamp: NOW, compression, stamp: (-1, -1, -1), transactional: false }
    }

    pub fn build(&self) -> Bytes {
        let mut builder = BatchBuilder::new(1024);
        for (n, value) in self.values.iter().enumerate() {
            let (key, value) = (self.key.map(str::as_bytes), Some(value.as_bytes()));
            builder.append(&RecordRef { timestamp: self.timestamp + n as i64, key, value, headers: Headers::None });
        }
        let mut sealed = builder.seal(&mut Compressor::new(self.compression, None).unwrap(), self.transactional);
        sealed.stamp(self.stamp.0, self.stamp.1, self.stamp.2);
        sealed.bytes()
    }
}

/// A batch of one record for each value.
pub fn batch<S: ToString>(values: impl IntoIterator<Item = S>) -> Bytes {
    Records::new(values).build()
}

/// Offset, timestamp and value of every record fetched; every checksum is checked.
pub fn read(records: Option<Bytes>) -> Vec<(i64, i64, String)> {
    let mut all = Vec::new();
    for batch in batches(records.unwrap_or_default()) {
        let batch = batch.unwrap();
        batch.verify_crc().unwrap();
        let plain = batch.plain(&mut Decompressor::new(), 1 << 24).unwrap();
        for record in plain.iter() {
            let record = record.unwrap();
            let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            all.push((record.offset, record.timestamp, value));
        }
    }
    all
}

/// The offsets of what was fetched.
pub fn offsets(records: Option<Bytes>) -> Vec<i64> {
    read(records).into_iter().map(|(offset, ..)| offset).collect()
}
