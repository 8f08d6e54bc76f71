//! Brokers made of scripts: two nodes, one partition, and what they were asked.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use dohle_protocol::compress::Compression;
use dohle_protocol::frame;
use dohle_protocol::messages::api_versions_response::ApiVersion;
use dohle_protocol::messages::fetch_response::{FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData};
use dohle_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use dohle_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use dohle_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, FetchRequest, FetchResponse, ListOffsetsRequest, MetadataRequest,
    MetadataResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};
use dohle_protocol::records::set_offsets;
use dohle_protocol::{ApiKey, ErrorCode, Request, Segments, Uuid};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::*;

const ID: Uuid = Uuid([9; 16]);

/// What the scripted brokers know and were asked.
#[derive(Default)]
pub struct Script {
    pub ports: Vec<u16>,
    /// Leader (node id) and its epoch, as Metadata answers.
    pub leader: (i32, i32),
    /// Leader and epoch as Fetch answers on the wrong node.
    pub hint: (i32, i32),
    /// The log: (base offset, leader epoch, values).
    pub log: Vec<(i64, i32, Vec<Vec<u8>>)>,
    /// Where the log ends per leader epoch, for OffsetForLeaderEpoch.
    pub epoch_ends: Vec<(i32, i64)>,
    /// What OffsetForLeaderEpoch answers instead.
    pub validation_error: Option<ErrorCode>,
    /// The replica that the leader sends consumers with a rack to.
    pub replica: Option<i32>,
    /// It does not send them there any more.
    pub stays: bool,
    /// The replica that does not have what it is asked for.
    pub out_of_range: Option<i32>,
    /// The replica that hangs up.
    pub gone: Option<i32>,
    /// (node, session epoch, offsets) per Fetch; metadata refreshes are (node, −100, []).
    pub asked: Vec<(i32, i32, Vec<i64>)>,
}

pub type Shared = Arc<Mutex<Script>>;

/// Starts two brokers, nodes 0 and 1, with this script.
pub async fn brokers(mut script: Script) -> (Shared, String) {
    let mut listeners = Vec::new();
    for _ in 0..2 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        script.ports.push(listener.local_addr().unwrap().port());
        listeners.push(listener);
    }
    let address = format!("127.0.0.1:{}", script.ports[0]);
    let script = Arc::new(Mutex::new(script));
    for (node, listener) in (0..).zip(listeners) {
        let script = script.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(node, stream, script.clone()));
            }
        });
    }
    (script, address)
}

async fn serve(node: i32, mut stream: TcpStream, script: Shared) -> Option<()> {
    loop {
        let length = stream.read_i32().await.ok()?;
        let mut bytes = vec![0; length as usize];
        stream.read_exact(&mut bytes).await.ok()?;
        let (header, mut body) = frame::decode_request_header(bytes.into()).unwrap();
        let (version, id) = (header.api_version, header.correlation_id);
        let answer = match header.api_key {
            ApiKey::API_VERSIONS => reply::<ApiVersionsRequest>(version, id, &versions()),
            ApiKey::METADATA => reply::<MetadataRequest>(version, id, &metadata(&mut script.lock(), node)),
            ApiKey::FETCH => {
                let request = FetchRequest::decode_with(&mut body, version);
                let response = fetch(&mut script.lock(), node, &request);
                if script.lock().gone == Some(node) {
                    return None;
                }
                if response.responses.is_empty() {
                    tokio::time::sleep(Duration::from_millis(request.max_wait_ms.min(50) as u64)).await;
                }
                reply::<FetchRequest>(version, id, &response)
            }
            ApiKey::OFFSET_FOR_LEADER_EPOCH => {
                let request = OffsetForLeaderEpochRequest::decode_with(&mut body, version);
                reply::<OffsetForLeaderEpochRequest>(version, id, &epoch_end(&script.lock(), &request))
            }
            other => panic!("unexpected request {other:?}"),
        };
        for segment in answer.0 {
            stream.write_all(&segment).await.ok()?;
        }
    }
}

trait DecodeWith: Request {
    fn decode_with(body: &mut dohle_protocol::Decoder, version: i16) -> Self {
        Self::decode(body, version).unwrap()
    }
}
impl<R: Request> DecodeWith for R {}

fn reply<R: Request>(version: i16, id: i32, response: &R::Response) -> Segments {
    frame::encode_response::<R>(version, id, response).unwrap()
}

fn versions() -> ApiVersionsResponse {
    fn api<R: Request>() -> ApiVersion {
        ApiVersion {
            api_key: R::API_KEY.0,
            min_version: R::MIN_VERSION,
            max_version: R::MAX_STABLE_VERSION,
            ..Default::default()
        }
    }
    let api_keys = vec![
        api::<ApiVersionsRequest>(),
        api::<MetadataRequest>(),
        api::<FetchRequest>(),
        api::<ListOffsetsRequest>(),
        api::<OffsetForLeaderEpochRequest>(),
    ];
    ApiVersionsResponse { api_keys, ..Default::default() }
}

fn metadata(script: &mut Script, node: i32) -> MetadataResponse {
    script.asked.push((node, -100, Vec::new()));
    let (leader_id, leader_epoch) = script.leader;
    let partition = MetadataResponsePartition { leader_id, leader_epoch, ..Default::default() };
    let topic = MetadataResponseTopic {
        name: Some("t".into()),
        topic_id: ID,
        partitions: vec![partition],
        ..Default::default()
    };
    let brokers = (0..).zip(&script.ports).map(|(node_id, port)| MetadataResponseBroker {
        node_id,
        host: "127.0.0.1".into(),
        port: i32::from(*port),
        ..Default::default()
    });
    MetadataResponse { brokers: brokers.collect(), topics: vec![topic], ..Default::default() }
}

/// Without sessions: each request is full.
fn fetch(script: &mut Script, node: i32, request: &FetchRequest) -> FetchResponse {
    let partitions: Vec<_> = request.topics.iter().flat_map(|topic| &topic.partitions).collect();
    script.asked.push((node, request.session_epoch, partitions.iter().map(|p| p.fetch_offset).collect()));
    let Some(asked) = partitions.first() else { return FetchResponse { session_id: 77, ..Default::default() } };
    let mut data = PartitionData { high_watermark: 1000, last_stable_offset: 1000, ..Default::default() };
    let mut node_endpoints = Vec::new();
    if node != script.leader.0 && script.replica != Some(node) {
        data.error_code = ErrorCode::NOT_LEADER_OR_FOLLOWER.0;
        let (leader_id, leader_epoch) = script.hint;
        data.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch, ..Default::default() };
        let port = i32::from(script.ports[leader_id.max(0) as usize]);
        node_endpoints.push(NodeEndpoint { node_id: leader_id, host: "127.0.0.1".into(), port, ..Default::default() });
        // Metadata knows it too, from now on.
        script.leader = script.hint;
    } else if let Some(replica) = script.replica.filter(|r| *r != node && !script.stays && !request.rack_id.is_empty())
    {
        data.preferred_read_replica = replica;
    } else if script.out_of_range == Some(node) {
        data.error_code = ErrorCode::OFFSET_OUT_OF_RANGE.0;
        (data.high_watermark, data.log_start_offset) = (0, 0);
    } else if let Some((base, epoch, values)) = script.log.iter().find(|(base, ..)| *base == asked.fetch_offset) {
        let mut bytes = BytesMut::from(&batch(values, Compression::None)[..]);
        set_offsets(&mut bytes, *base, *epoch);
        data.records = Some(bytes.freeze());
    }
    if data.records.is_none() && data.error_code == 0 && data.preferred_read_replica < 0 {
        return FetchResponse { session_id: 77, ..Default::default() };
    }
    let responses = vec![FetchableTopicResponse { topic_id: ID, partitions: vec![data], ..Default::default() }];
    FetchResponse { responses, node_endpoints, session_id: 77, ..Default::default() }
}

fn epoch_end(script: &Script, request: &OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
    let epoch = request.topics[0].partitions[0].leader_epoch;
    let error_code = script.validation_error.map_or(0, |code| code.0);
    let (leader_epoch, end_offset) =
        script.epoch_ends.iter().rfind(|(known, _)| *known <= epoch).copied().unwrap_or((-1, -1));
    let partitions = vec![EpochEndOffset { error_code, leader_epoch, end_offset, ..Default::default() }];
    let topics = vec![OffsetForLeaderTopicResult { topic: "t".into(), partitions, ..Default::default() }];
    OffsetForLeaderEpochResponse { topics, ..Default::default() }
}

pub fn batches(epochs: &[(i64, i32)]) -> Vec<(i64, i32, Vec<Vec<u8>>)> {
    epochs.iter().map(|&(base, epoch)| (base, epoch, numbered(base as usize, 10))).collect()
}
