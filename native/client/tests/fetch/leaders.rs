//! Leaders that move, logs that lose their end, replicas: against brokers made of scripts.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use dohle_client::ErrorKind;
use dohle_client::consumer::{ConsumerOptions, StartAt};
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
struct Script {
    ports: Vec<u16>,
    /// Leader (node id) and its epoch, as Metadata answers.
    leader: (i32, i32),
    /// Leader and epoch as Fetch answers on the wrong node.
    hint: (i32, i32),
    /// The log: (base offset, leader epoch, values).
    log: Vec<(i64, i32, Vec<Vec<u8>>)>,
    /// Where the log ends per leader epoch, for OffsetForLeaderEpoch.
    epoch_ends: Vec<(i32, i64)>,
    /// What OffsetForLeaderEpoch answers instead.
    validation_error: Option<ErrorCode>,
    /// The replica that the leader sends consumers with a rack to.
    replica: Option<i32>,
    /// (node, session epoch, offsets) per Fetch; metadata refreshes are (node, −100, []).
    asked: Vec<(i32, i32, Vec<i64>)>,
}

type Shared = Arc<Mutex<Script>>;

/// Starts two brokers, nodes 0 and 1, with this script.
async fn brokers(mut script: Script) -> (Shared, String) {
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
    } else if let Some(replica) = script.replica.filter(|replica| *replica != node && !request.rack_id.is_empty()) {
        data.preferred_read_replica = replica;
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

fn batches(epochs: &[(i64, i32)]) -> Vec<(i64, i32, Vec<Vec<u8>>)> {
    epochs.iter().map(|&(base, epoch)| (base, epoch, numbered(base as usize, 10))).collect()
}

fn reader(address: String, options: ConsumerOptions) -> Reader {
    let reader = Reader::new(&connect_to(address), options);
    reader.assign("t", 1, StartAt::Offset(0));
    reader
}

#[tokio::test]
async fn a_leader_named_by_the_response_is_asked_without_new_metadata() {
    let log = batches(&[(0, 3), (10, 4)]);
    let epoch_ends = vec![(3, 10), (4, 20)];
    let script = Script { leader: (0, 3), hint: (1, 4), log, epoch_ends, ..Script::default() };
    let (script, address) = brokers(script).await;
    // From the first fetch on, node 0 is not the leader any more.
    let mut reader = reader(address, ConsumerOptions::default());
    reader.take(10).await;
    script.lock().asked.clear();
    script.lock().leader = (1, 4);
    assert_eq!(reader.take(10).await[9].offset, 19);
    let asked = script.lock().asked.clone();
    let refused = asked.iter().position(|(node, _, offsets)| *node == 0 && !offsets.is_empty());
    let moved = asked.iter().position(|(node, _, offsets)| *node == 1 && *offsets == [10]).unwrap();
    let refreshes = asked[refused.unwrap_or(0)..moved].iter().filter(|(_, epoch, _)| *epoch == -100).count();
    assert_eq!(refreshes, 0, "{asked:?}");
}

#[tokio::test]
async fn a_truncated_log_is_read_on_from_where_it_was_cut() {
    let log = batches(&[(0, 3), (10, 3)]);
    let script = Script { leader: (0, 3), hint: (1, 5), log, epoch_ends: vec![(3, 15)], ..Script::default() };
    let (script, address) = brokers(script).await;
    let mut reader = reader(address, ConsumerOptions { auto_offset_reset: "latest".into(), ..Default::default() });
    assert_eq!(reader.take(20).await[19].offset, 19);
    {
        // The new leader has lost 15 to 19 and has written others since.
        let mut script = script.lock();
        script.leader = (1, 5);
        script.log.push((15, 5, numbered(500, 3)));
    }
    let all = reader.take(3).await;
    assert_eq!((all[0].offset, number(&all[0].value)), (15, 500));
    assert_eq!(all[2].offset, 17);
}

#[tokio::test]
async fn without_a_policy_a_truncated_log_is_an_error() {
    let script = Script {
        leader: (0, 3),
        hint: (1, 5),
        log: batches(&[(0, 3), (10, 3)]),
        epoch_ends: vec![(3, 15)],
        ..Script::default()
    };
    let (script, address) = brokers(script).await;
    let mut reader = reader(address, ConsumerOptions { auto_offset_reset: "none".into(), ..Default::default() });
    reader.take(20).await;
    script.lock().leader = (1, 5);
    let error = reader.next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoOffset);
    assert!(error.message().contains("the log of t-0 was truncated below our position 20 (leader epoch 3)"), "{error}");
}

/// librdkafka #4427, #4293, #4447: whatever the new leader says instead of an answer, the position is the one that it was.
#[tokio::test]
async fn an_error_while_the_position_is_confirmed_resets_nothing() {
    for (code, lasting) in [
        (ErrorCode::TOPIC_AUTHORIZATION_FAILED, true),
        (ErrorCode::UNKNOWN_SERVER_ERROR, true),
        (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, false),
        (ErrorCode::FENCED_LEADER_EPOCH, false),
    ] {
        let script = Script {
            leader: (0, 3),
            hint: (1, 5),
            log: batches(&[(0, 3), (10, 3), (20, 5)]),
            epoch_ends: vec![(3, 20), (5, 30)],
            validation_error: Some(code),
            ..Script::default()
        };
        let (script, address) = brokers(script).await;
        let mut reader =
            reader(address, ConsumerOptions { auto_offset_reset: "earliest".into(), ..Default::default() });
        reader.take(20).await;
        script.lock().leader = (1, 5);
        if lasting {
            assert_eq!(reader.next().await.unwrap_err().broker_code(), Some(code), "it is told");
        }
        assert!(reader.comes_within(Duration::from_millis(300)).await.is_none(), "{code}");
        assert_eq!(reader.consumer.position(&tp("t", 0)).unwrap(), Some(20), "{code}");
        script.lock().validation_error = None;
        assert_eq!(reader.next().await.unwrap().offset, 20, "{code}");
    }
}

#[tokio::test]
async fn a_new_leader_that_has_everything_is_simply_read() {
    let script = Script {
        leader: (0, 3),
        hint: (1, 5),
        log: batches(&[(0, 3), (10, 3), (20, 5)]),
        epoch_ends: vec![(3, 20), (5, 30)],
        ..Script::default()
    };
    let (script, address) = brokers(script).await;
    let mut reader = reader(address, ConsumerOptions::default());
    reader.take(20).await;
    script.lock().leader = (1, 5);
    assert_eq!(reader.take(10).await[9].offset, 29);
}

#[tokio::test]
async fn a_replica_in_the_same_rack_is_read_where_the_leader_says_so() {
    let log = batches(&[(0, 3), (10, 3)]);
    let script = Script { leader: (0, 3), hint: (0, 3), log, replica: Some(1), ..Script::default() };
    let (script, address) = brokers(script).await;
    let mut reader = reader(address, ConsumerOptions { client_rack: "here".into(), ..Default::default() });
    assert_eq!(reader.take(20).await[19].offset, 19);
    let asked = script.lock().asked.clone();
    assert!(asked.iter().any(|(node, _, offsets)| *node == 1 && *offsets == [10]), "{asked:?}");
    assert!(!asked.iter().any(|(node, _, offsets)| *node == 0 && *offsets == [10]), "{asked:?}");
}

#[tokio::test]
async fn a_closed_consumer_ends_its_sessions() {
    let log = batches(&[(0, 3)]);
    let (script, address) = brokers(Script { leader: (0, 3), log, ..Script::default() }).await;
    let mut reader = reader(address, ConsumerOptions { fetch_buffer_bytes: 1, ..Default::default() });
    // One chunk is held and no fetch is under way.
    tokio::time::timeout(SILENCE, async {
        while script.lock().asked.iter().all(|(_, epoch, _)| *epoch == -100) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    reader.consumer.close(None).await.unwrap();
    assert_eq!(reader.next().await.unwrap_err().kind(), ErrorKind::Closed);
    tokio::time::timeout(SILENCE, async {
        while !script.lock().asked.iter().any(|(_, epoch, _)| *epoch == -1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the broker is told");
}
