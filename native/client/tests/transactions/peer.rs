//! A scripted cluster of one broker that coordinates everything, keeps what it was asked, and answers with the errors it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dohle_client::consumer::{CommittedOffset, GroupMetadata, TopicPartition};
use dohle_client::producer::{Placed, Producer, ProducerOptions, TopicId};
use dohle_client::{Client, Error};
use dohle_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use dohle_protocol::messages::api_versions_response::FinalizedFeatureKey;
use dohle_protocol::messages::find_coordinator_response::Coordinator;
use dohle_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use dohle_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use dohle_protocol::messages::*;
use dohle_protocol::records::{RawBatch, batches};
use dohle_protocol::{ApiKey, ErrorCode};
use parking_lot::Mutex;

use crate::common::{Ledger, producer_on, record};
use crate::support::{Conn, Incoming, Peer, api, client_with, cluster, options, versions};

/// What the coordinator was asked, in order, as a test compares it.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// Producer id and epoch that the producer says it has.
    Init(i64, i16),
    AddPartitions(i16),
    AddOffsets(i16),
    /// Version, epoch, generation and offset.
    Offsets(i16, i16, i32, i64),
    /// Version, epoch and base sequence of the batch; whether it is transactional.
    Produce(i16, i16, i32, bool),
    /// Version, epoch and whether it is a commit.
    End(i16, i16, bool),
}

/// What happens instead of the usual answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    Code(ErrorCode),
    /// The request is carried out and its answer lost with the connection.
    Lost,
    /// No answer comes.
    Silence,
}

#[derive(Default)]
pub struct Script {
    /// Whether new connections are told that the cluster has `transaction.version` 2.
    pub v2: AtomicBool,
    /// The highest version of InitProducerId; below 3 the epoch cannot be bumped (KIP-360).
    pub init_max: i16,
    /// The highest version of TxnOffsetCommit; below 3 it knows no members (KIP-447).
    pub offsets_max: i16,
    pub faults: Mutex<Vec<(ApiKey, Fault)>>,
    pub asked: Mutex<Vec<Asked>>,
    pub epoch: Mutex<i16>,
}

impl Script {
    pub fn new(v2: bool) -> Arc<Self> {
        Arc::new(Self { v2: v2.into(), init_max: 5, offsets_max: 5, ..Self::default() })
    }

    /// The next request of this kind is answered so.
    pub fn fault(&self, api: ApiKey, fault: Fault) {
        self.faults.lock().push((api, fault));
    }

    fn take(&self, api: ApiKey) -> Option<Fault> {
        let mut faults = self.faults.lock();
        let at = faults.iter().position(|(key, _)| *key == api)?;
        Some(faults.remove(at).1)
    }

    pub fn count(&self, which: impl Fn(&Asked) -> bool) -> usize {
        self.asked.lock().iter().filter(|asked| which(asked)).count()
    }

    fn apis(&self) -> Vec<api_versions_response::ApiVersion> {
        vec![
            api::<ApiVersionsRequest>(0, 4),
            api::<FindCoordinatorRequest>(0, 6),
            api::<InitProducerIdRequest>(0, self.init_max),
            api::<ProduceRequest>(3, 13),
            api::<AddPartitionsToTxnRequest>(0, 5),
            api::<AddOffsetsToTxnRequest>(0, 4),
            api::<TxnOffsetCommitRequest>(0, self.offsets_max),
            api::<EndTxnRequest>(0, 5),
        ]
    }

    async fn serve(self: Arc<Self>, mut conn: Conn) -> Option<()> {
        let request = conn.next().await?;
        let mut answer = versions(self.apis());
        if self.v2.load(Ordering::SeqCst) {
            let feature = FinalizedFeatureKey {
                name: "transaction.version".to_owned(),
                max_version_level: 2,
                ..Default::default()
            };
            answer.finalized_features.push(feature);
        }
        conn.reply::<ApiVersionsRequest>(&request.header, &answer).await?;
        loop {
            let request = conn.next().await?;
            let fault = self.take(request.header.api_key);
            if fault == Some(Fault::Silence) {
                continue;
            }
            let code = match fault {
                Some(Fault::Code(code)) => code.0,
                _ => 0,
            };
            self.answer(&mut conn, request, code, fault == Some(Fault::Lost)).await?;
        }
    }

    async fn answer(&self, conn: &mut Conn, request: Incoming, error_code: i16, lost: bool) -> Option<()> {
        let header = request.header.clone();
        let version = header.api_version;
        let note = |asked| self.asked.lock().push(asked);
        macro_rules! reply {
            ($request:ty, $answer:expr) => {{
                let answer = $answer;
                return if lost { None } else { conn.reply::<$request>(&header, &answer).await };
            }};
        }
        match header.api_key {
            ApiKey::METADATA => reply!(MetadataRequest, cluster(conn.address, &["t"])),
            ApiKey::FIND_COORDINATOR => {
                let request: FindCoordinatorRequest = request.decode();
                let (host, port) = (conn.address.ip().to_string(), i32::from(conn.address.port()));
                let one =
                    |key| Coordinator { key, node_id: 0, host: host.clone(), port, error_code, ..Default::default() };
                let coordinators = request.coordinator_keys.into_iter().map(one).collect();
                reply!(FindCoordinatorRequest, FindCoordinatorResponse { coordinators, ..Default::default() })
            }
            ApiKey::INIT_PRODUCER_ID => {
                let request: InitProducerIdRequest = request.decode();
                assert_eq!(request.transactional_id.as_deref(), Some("tx"));
                note(Asked::Init(request.producer_id, request.producer_epoch));
                if error_code == 0 {
                    *self.epoch.lock() += 1;
                }
                let producer_epoch = *self.epoch.lock();
                reply!(
                    InitProducerIdRequest,
                    InitProducerIdResponse { error_code, producer_id: 7, producer_epoch, ..Default::default() }
                )
            }
            ApiKey::ADD_PARTITIONS_TO_TXN => {
                let request: AddPartitionsToTxnRequest = request.decode();
                assert_eq!(request.v3_and_below_transactional_id, "tx");
                note(Asked::AddPartitions(version));
                let topics = request.v3_and_below_topics.into_iter().map(|topic| AddPartitionsToTxnTopicResult {
                    name: topic.name,
                    results_by_partition: topic
                        .partitions
                        .into_iter()
                        .map(|partition_index| AddPartitionsToTxnPartitionResult {
                            partition_index,
                            partition_error_code: error_code,
                            ..Default::default()
                        })
                        .collect(),
                    ..Default::default()
                });
                reply!(
                    AddPartitionsToTxnRequest,
                    AddPartitionsToTxnResponse {
                        results_by_topic_v3_and_below: topics.collect(),
                        ..Default::default()
                    }
                )
            }
            ApiKey::ADD_OFFSETS_TO_TXN => {
                note(Asked::AddOffsets(version));
                reply!(AddOffsetsToTxnRequest, AddOffsetsToTxnResponse { error_code, ..Default::default() })
            }
            ApiKey::TXN_OFFSET_COMMIT => {
                let request: TxnOffsetCommitRequest = request.decode();
                let offset = request.topics[0].partitions[0].committed_offset;
                note(Asked::Offsets(version, request.producer_epoch, request.generation_id_or_member_epoch, offset));
                let topics = request.topics.into_iter().map(|topic| TxnOffsetCommitResponseTopic {
                    name: topic.name,
                    partitions: topic
                        .partitions
                        .iter()
                        .map(|p| TxnOffsetCommitResponsePartition {
                            partition_index: p.partition_index,
                            error_code,
                            ..Default::default()
                        })
                        .collect(),
                    ..Default::default()
                });
                reply!(
                    TxnOffsetCommitRequest,
                    TxnOffsetCommitResponse { topics: topics.collect(), ..Default::default() }
                )
            }
            ApiKey::END_TXN => {
                let request: EndTxnRequest = request.decode();
                note(Asked::End(version, request.producer_epoch, request.committed));
                let mut answer = EndTxnResponse { error_code, ..Default::default() };
                if version >= 5 && error_code == 0 {
                    // A repetition of one whose answer was lost is told the same again.
                    let mut epoch = self.epoch.lock();
                    *epoch = request.producer_epoch + 1;
                    (answer.producer_id, answer.producer_epoch) = (7, *epoch);
                }
                reply!(EndTxnRequest, answer)
            }
            ApiKey::PRODUCE => {
                let request: ProduceRequest = request.decode();
                assert_eq!(request.transactional_id.as_deref(), Some("tx"));
                let mut responses = Vec::new();
                for topic in request.topic_data {
                    let mut partition_responses = Vec::new();
                    for partition in topic.partition_data {
                        let records = partition.records.unwrap();
                        let Some(Ok(RawBatch::V2(batch))) = batches(records).next() else { panic!("no batch") };
                        let h = batch.header();
                        note(Asked::Produce(
                            version,
                            h.producer_epoch,
                            h.base_sequence,
                            h.attributes.is_transactional(),
                        ));
                        partition_responses.push(PartitionProduceResponse {
                            index: partition.index,
                            error_code,
                            base_offset: h.base_sequence.into(),
                            ..Default::default()
                        });
                    }
                    responses.push(TopicProduceResponse {
                        name: topic.name,
                        partition_responses,
                        ..Default::default()
                    });
                }
                reply!(ProduceRequest, ProduceResponse { responses, ..Default::default() })
            }
            other => panic!("{} was not expected", other.name()),
        }
    }
}

/// A producer on a scripted broker, and one topic.
pub struct Bench {
    pub script: Arc<Script>,
    _client: Client,
    pub producer: Producer,
    pub ledger: Arc<Ledger>,
    pub topic: TopicId,
    _peer: Peer,
}

impl Bench {
    pub async fn start(script: Arc<Script>) -> Self {
        Self::start_with(script, |_| {}).await
    }

    pub async fn start_with(script: Arc<Script>, change: impl FnOnce(&mut ProducerOptions)) -> Self {
        let serving = script.clone();
        let peer = Peer::start(move |_, conn| serving.clone().serve(conn)).await;
        let mut client_options = options(&[peer.address.to_string()]);
        client_options.request_timeout = Duration::from_secs(2);
        let client = client_with(client_options);
        let mut options = ProducerOptions { transactional_id: Some("tx".to_owned()), ..Default::default() };
        change(&mut options);
        let (producer, ledger) = producer_on(&client, options);
        let topic = producer.topic("t").unwrap();
        Self { script, _client: client, producer, ledger, topic, _peer: peer }
    }

    pub fn send(&self, value: &str) -> Placed {
        let placed = self.producer.append(self.topic, None, &record(value)).unwrap();
        self.producer.poke();
        placed
    }

    /// The error of a record, none when it is in the log.
    pub async fn fate(&self, placed: Placed) -> Option<Error> {
        self.ledger.outcome(placed).await.error.map(|error| (*error).clone())
    }

    pub async fn offsets(&self) -> Result<(), Error> {
        let at = CommittedOffset { offset: 5, leader_epoch: 1, metadata: String::new() };
        let group = GroupMetadata {
            group_id: "g".to_owned(),
            generation: 3,
            member_id: "m".to_owned(),
            group_instance_id: Some("i".to_owned()),
        };
        self.producer.commit_offsets(vec![(TopicPartition::new("in", 0), at)], group).await
    }

    /// A transaction with a record and an offset; the first error.
    pub async fn transact(&self) -> Result<(), Error> {
        self.producer.begin_transaction().await?;
        let sent = self.send("x");
        if let Some(error) = self.fate(sent).await {
            return Err(error);
        }
        self.offsets().await?;
        self.producer.commit_transaction().await
    }
}
