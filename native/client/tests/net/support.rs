//! A peer that does what a test tells it, byte for byte, and a world whose names and sockets a test can bend.
//!
//! What a broker may do wrong is made with the fault rules of the embedded broker, which is the same everywhere and right
//! otherwise. A scripted peer is only for what that broker cannot be: one that is no Kafka at all or breaks its protocol
//! (`foreign_peers`, `connections`), one older than 2.1 or newer than 4.3 (`handshake`, `coordinators`, `transactions/newer`), several
//! that disagree about a cluster (`metadata`, `fetch/script`), one with what ours does not serve (`telemetry`), and servers
//! whose words in an exchange a test chooses (`sasl`, `msk`, `token_endpoint`).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dohle_client::world::{Socket, SocketOptions, World};
use dohle_client::{Client, ClientOptions, TokioWorld};
use dohle_protocol::frame::{self, RequestHeader};
use dohle_protocol::messages::api_versions_response::ApiVersion;
use dohle_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use dohle_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, CreateTopicsRequest, DeleteTopicsRequest, DescribeClusterRequest,
    FetchRequest, FindCoordinatorRequest, HeartbeatRequest, InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest,
    ListOffsetsRequest, MetadataRequest, MetadataResponse, OffsetCommitRequest, OffsetFetchRequest, ProduceRequest,
    SyncGroupRequest,
};
use dohle_protocol::{ApiKey, Decoder, Request};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A listener whose connections run a script.
pub struct Peer {
    pub address: SocketAddr,
    /// What was asked, over all connections, in order.
    pub asked: Arc<Mutex<Vec<(ApiKey, i16)>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Peer {
    /// Runs `script` for each connection, numbered from 0.
    pub async fn start<F, S>(script: F) -> Self
    where
        F: Fn(usize, Conn) -> S + Send + 'static,
        S: Future<Output = Option<()>> + Send + 'static,
    {
        Self::start_on("127.0.0.1:0", script).await
    }

    pub async fn start_on<F, S>(address: &str, script: F) -> Self
    where
        F: Fn(usize, Conn) -> S + Send + 'static,
        S: Future<Output = Option<()>> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        let task = tokio::spawn(async move {
            let mut number = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let conn = Conn { stream, asked: log.clone(), address };
                tokio::spawn(script(number, conn));
                number += 1;
            }
        });
        Self { address, asked, task }
    }

    pub fn count(&self, api: ApiKey) -> usize {
        self.asked.lock().iter().filter(|(key, _)| *key == api).count()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection of a [`Peer`].
pub struct Conn {
    pub stream: TcpStream,
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<(ApiKey, i16)>>>,
}

/// A request that came.
pub struct Incoming {
    pub header: RequestHeader,
    body: Decoder,
}

impl Incoming {
    /// The request, which stays.
    pub fn decode_ref<R: Request>(&self) -> R {
        R::decode(&mut self.body.clone(), self.header.api_version).unwrap()
    }

    pub fn decode<R: Request>(mut self) -> R {
        assert_eq!(self.header.api_key, R::API_KEY);
        R::decode(&mut self.body, self.header.api_version).unwrap()
    }
}

impl Conn {
    /// The next request; none when the client closed the connection.
    pub async fn next(&mut self) -> Option<Incoming> {
        let length = self.stream.read_i32().await.ok()?;
        let mut bytes = vec![0; length as usize];
        self.stream.read_exact(&mut bytes).await.ok()?;
        let (header, body) = frame::decode_request_header(bytes.into()).unwrap();
        self.asked.lock().push((header.api_key, header.api_version));
        Some(Incoming { header, body })
    }

    /// Answers a request as a broker would.
    pub async fn reply<R: Request>(&mut self, header: &RequestHeader, response: &R::Response) -> Option<()> {
        self.reply_as::<R>(header.api_version, header.correlation_id, response).await
    }

    pub async fn reply_as<R: Request>(&mut self, version: i16, id: i32, response: &R::Response) -> Option<()> {
        let segments = frame::encode_response::<R>(version, id, response).unwrap();
        for segment in segments.0 {
            self.stream.write_all(&segment).await.ok()?;
        }
        Some(())
    }

    pub async fn raw(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).await.ok()
    }

    /// Answers ApiVersions with everything this client knows.
    pub async fn handshake(&mut self) -> Option<()> {
        self.handshake_with(known_apis()).await
    }

    pub async fn handshake_with(&mut self, apis: Vec<ApiVersion>) -> Option<()> {
        let request = self.next().await?;
        assert_eq!(request.header.api_key, ApiKey::API_VERSIONS);
        self.reply::<ApiVersionsRequest>(&request.header, &versions(apis)).await
    }

    /// Keeps the connection open until the client closes it, answering nothing.
    pub async fn ignore(&mut self) -> Option<()> {
        while self.next().await.is_some() {}
        None
    }

    /// Answers Metadata requests: this peer is node 0, alone, and has these topics with one partition each.
    pub async fn serve_metadata(&mut self, topics: &[&str]) -> Option<()> {
        loop {
            let request = self.next().await?;
            let header = request.header.clone();
            let response = cluster(self.address, topics);
            self.reply::<MetadataRequest>(&header, &response).await?;
        }
    }
}

pub fn api<R: Request>(min: i16, max: i16) -> ApiVersion {
    ApiVersion { api_key: R::API_KEY.0, min_version: min, max_version: max, ..Default::default() }
}

pub fn full<R: Request>() -> ApiVersion {
    api::<R>(R::MIN_VERSION, R::MAX_STABLE_VERSION)
}

pub fn known_apis() -> Vec<ApiVersion> {
    vec![
        full::<ApiVersionsRequest>(),
        full::<MetadataRequest>(),
        full::<ProduceRequest>(),
        full::<FindCoordinatorRequest>(),
        full::<CreateTopicsRequest>(),
        full::<DeleteTopicsRequest>(),
        full::<DescribeClusterRequest>(),
    ]
}

/// These, and behind them what every broker offers its clients.
pub fn versions(mut apis: Vec<ApiVersion>) -> ApiVersionsResponse {
    for api in [
        full::<ProduceRequest>(),
        full::<FetchRequest>(),
        full::<ListOffsetsRequest>(),
        full::<MetadataRequest>(),
        full::<OffsetCommitRequest>(),
        full::<OffsetFetchRequest>(),
        full::<FindCoordinatorRequest>(),
        full::<JoinGroupRequest>(),
        full::<SyncGroupRequest>(),
        full::<HeartbeatRequest>(),
        full::<LeaveGroupRequest>(),
        full::<InitProducerIdRequest>(),
    ] {
        if apis.iter().all(|other| other.api_key != api.api_key) {
            apis.push(api);
        }
    }
    only(apis)
}

/// Exactly these.
pub fn only(api_keys: Vec<ApiVersion>) -> ApiVersionsResponse {
    ApiVersionsResponse { api_keys, ..Default::default() }
}

/// A cluster of one node, 0, at this address.
pub fn cluster(address: SocketAddr, topics: &[&str]) -> MetadataResponse {
    MetadataResponse {
        brokers: vec![node(0, address)],
        cluster_id: Some("scripted".to_owned()),
        controller_id: 0,
        topics: topics.iter().map(|name| topic(name, &[(0, 0, 0)])).collect(),
        ..Default::default()
    }
}

pub fn node(id: i32, address: SocketAddr) -> MetadataResponseBroker {
    MetadataResponseBroker {
        node_id: id,
        host: address.ip().to_string(),
        port: address.port().into(),
        ..Default::default()
    }
}

/// A topic with `(partition, leader, leader epoch)`.
pub fn topic(name: &str, partitions: &[(i32, i32, i32)]) -> MetadataResponseTopic {
    let partition = |(partition_index, leader_id, leader_epoch): &(i32, i32, i32)| MetadataResponsePartition {
        partition_index: *partition_index,
        leader_id: *leader_id,
        leader_epoch: *leader_epoch,
        ..Default::default()
    };
    let partitions = partitions.iter().map(partition).collect();
    MetadataResponseTopic { name: Some(name.to_owned()), partitions, ..Default::default() }
}

/// Options with short back-offs for a client of these servers.
pub fn options(servers: &[String]) -> ClientOptions {
    ClientOptions {
        bootstrap_servers: servers.to_vec(),
        request_timeout: Duration::from_secs(5),
        reconnect_backoff: Duration::from_millis(5),
        reconnect_backoff_max: Duration::from_millis(20),
        retry_backoff: Duration::from_millis(5),
        retry_backoff_max: Duration::from_millis(20),
        ..ClientOptions::default()
    }
}

pub fn client_of(address: SocketAddr) -> Client {
    client_with(options(&[address.to_string()]))
}

pub fn client_with(options: ClientOptions) -> Client {
    Client::new(Arc::new(TokioWorld::current()), options).unwrap()
}

/// Puts something of a test's around a socket.
pub type Wrap = fn(Box<dyn Socket>) -> Box<dyn Socket>;

/// The real world with other names, and a look at the sockets.
pub struct BentWorld {
    real: TokioWorld,
    pub names: Vec<(&'static str, Vec<SocketAddr>)>,
    /// Addresses that never answer.
    pub black_holes: Vec<SocketAddr>,
    pub wrap: Option<Wrap>,
    pub panics_at_connect: bool,
    pub panics_at_random: bool,
}

impl BentWorld {
    pub fn new() -> Self {
        Self {
            real: TokioWorld::current(),
            names: Vec::new(),
            black_holes: Vec::new(),
            wrap: None,
            panics_at_connect: false,
            panics_at_random: false,
        }
    }
}

impl World for BentWorld {
    fn connect(&self, address: SocketAddr, options: &SocketOptions) -> BoxFuture<'_, io::Result<Box<dyn Socket>>> {
        assert!(!self.panics_at_connect, "no connection today");
        if self.black_holes.contains(&address) {
            return Box::pin(std::future::pending());
        }
        let connecting = self.real.connect(address, options);
        Box::pin(async move {
            let socket = connecting.await?;
            Ok(match self.wrap {
                Some(wrap) => wrap(socket),
                None => socket,
            })
        })
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>> {
        match self.names.iter().find(|(name, _)| *name == host) {
            Some((_, addresses)) => Box::pin(async { Ok(addresses.clone()) }),
            None => self.real.resolve(host, port),
        }
    }

    fn wall_clock_ms(&self) -> i64 {
        self.real.wall_clock_ms()
    }

    fn random_u64(&self) -> u64 {
        assert!(!self.panics_at_random, "nothing is random");
        self.real.random_u64()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.real.spawn(task);
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        self.real.blocking(work)
    }
}

/// Runs a step that must end soon.
pub async fn soon<T>(step: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), step).await.expect("took longer than 10 s")
}
