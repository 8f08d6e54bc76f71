//! A scripted cluster of one broker that coordinates everything and keeps what it was asked: see `newer`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dohle_client::consumer::{
    CommittedOffset, Consumer, ConsumerEvent, ConsumerOptions, ConsumerSink, FinishedRecord, GroupMetadata,
    GroupProtocol, Question, TopicPartition,
};
use dohle_client::producer::{Producer, ProducerOptions, TopicId};
use dohle_client::{Client, Error};
use dohle_protocol::messages::api_versions_response::FinalizedFeatureKey;
use dohle_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use dohle_protocol::messages::find_coordinator_response::Coordinator;
use dohle_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use dohle_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use dohle_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use dohle_protocol::messages::*;
use dohle_protocol::records::{RawBatch, batches};
use dohle_protocol::{ApiKey, ErrorCode, Uuid};
use parking_lot::Mutex;

use crate::bench::Asked;
use crate::common::{Ledger, producer_on, record};
use crate::support::{Conn, Incoming, Peer, api, client_with, cluster, options, versions};

#[derive(Default)]
pub struct Script {
    /// Whether the cluster has `transaction.version` 2.
    pub v2: bool,
    /// The highest version of TxnOffsetCommit.
    pub offsets_max: i16,
    /// Topics have no ids.
    pub no_ids: bool,
    pub asked: Mutex<Vec<Asked>>,
    pub epoch: Mutex<i16>,
    /// The epoch of the group's only member (KIP-848); 0: there is none.
    pub member_epoch: Mutex<i32>,
    /// At the next commit of offsets the member's epoch is this, before the member knows.
    pub next_member_epoch: Mutex<Option<i32>>,
    /// The next heartbeat is told that the group does not know the member.
    pub forget_member: AtomicBool,
}

/// Of the topic `in`.
pub const TOPIC_ID: Uuid = Uuid([7; 16]);

impl Script {
    pub fn count(&self, which: impl Fn(&Asked) -> bool) -> usize {
        self.asked.lock().iter().filter(|asked| which(asked)).count()
    }

    fn apis(&self) -> Vec<api_versions_response::ApiVersion> {
        vec![
            api::<ApiVersionsRequest>(0, 4),
            api::<FindCoordinatorRequest>(0, 6),
            api::<InitProducerIdRequest>(0, 5),
            api::<ProduceRequest>(3, 13),
            api::<AddOffsetsToTxnRequest>(0, 4),
            api::<TxnOffsetCommitRequest>(0, self.offsets_max),
            api::<EndTxnRequest>(0, 5),
            api::<ConsumerGroupHeartbeatRequest>(0, 1),
            api::<OffsetFetchRequest>(8, 9),
            api::<FetchRequest>(4, 12),
        ]
    }

    async fn serve(self: Arc<Self>, mut conn: Conn) -> Option<()> {
        let request = conn.next().await?;
        let mut answer = versions(self.apis());
        let mut finalized = |name: &str, max_version_level| {
            let feature = FinalizedFeatureKey { name: name.to_owned(), max_version_level, ..Default::default() };
            answer.finalized_features.push(feature);
        };
        finalized("group.version", 1);
        if self.v2 {
            finalized("transaction.version", 2);
        }
        conn.reply::<ApiVersionsRequest>(&request.header, &answer).await?;
        loop {
            let request = conn.next().await?;
            self.answer(&mut conn, request).await?;
        }
    }

    async fn answer(&self, conn: &mut Conn, request: Incoming) -> Option<()> {
        let header = request.header.clone();
        let version = header.api_version;
        let note = |asked| self.asked.lock().push(asked);
        macro_rules! reply {
            ($request:ty, $answer:expr) => {{
                let answer = $answer;
                return conn.reply::<$request>(&header, &answer).await;
            }};
        }
        match header.api_key {
            ApiKey::METADATA => {
                let mut answer = cluster(conn.address, &["t", "in"]);
                if !self.no_ids {
                    answer.topics[1].topic_id = TOPIC_ID;
                }
                reply!(MetadataRequest, answer)
            }
            ApiKey::CONSUMER_GROUP_HEARTBEAT => {
                let request: ConsumerGroupHeartbeatRequest = request.decode();
                reply!(ConsumerGroupHeartbeatRequest, self.heartbeat(request))
            }
            ApiKey::OFFSET_FETCH => {
                let request: OffsetFetchRequest = request.decode();
                let partition = OffsetFetchResponsePartitions {
                    committed_offset: 5,
                    committed_leader_epoch: -1,
                    metadata: Some(String::new()),
                    ..Default::default()
                };
                let topic = OffsetFetchResponseTopics {
                    name: "in".to_owned(),
                    partitions: vec![partition],
                    ..Default::default()
                };
                let group_id = request.groups[0].group_id.clone();
                let group = OffsetFetchResponseGroup { group_id, topics: vec![topic], ..Default::default() };
                reply!(OffsetFetchRequest, OffsetFetchResponse { groups: vec![group], ..Default::default() })
            }
            // There is nothing to be read.
            ApiKey::FETCH => Some(()),
            ApiKey::FIND_COORDINATOR => {
                let request: FindCoordinatorRequest = request.decode();
                let (host, port) = (conn.address.ip().to_string(), i32::from(conn.address.port()));
                let one = |key| Coordinator { key, node_id: 0, host: host.clone(), port, ..Default::default() };
                let coordinators = request.coordinator_keys.into_iter().map(one).collect();
                reply!(FindCoordinatorRequest, FindCoordinatorResponse { coordinators, ..Default::default() })
            }
            ApiKey::INIT_PRODUCER_ID => {
                let request: InitProducerIdRequest = request.decode();
                assert_eq!(request.transactional_id.as_deref(), Some("tx"));
                note(Asked::Init(request.producer_id, request.producer_epoch));
                *self.epoch.lock() += 1;
                let producer_epoch = *self.epoch.lock();
                reply!(
                    InitProducerIdRequest,
                    InitProducerIdResponse { producer_id: 7, producer_epoch, ..Default::default() }
                )
            }
            ApiKey::ADD_OFFSETS_TO_TXN => {
                note(Asked::AddOffsets(version));
                reply!(AddOffsetsToTxnRequest, AddOffsetsToTxnResponse::default())
            }
            ApiKey::TXN_OFFSET_COMMIT => {
                let request: TxnOffsetCommitRequest = request.decode();
                let offset = request.topics[0].partitions[0].committed_offset;
                note(Asked::Offsets(version, request.producer_epoch, request.generation_id_or_member_epoch, offset));
                let topic = &request.topics[0];
                match version >= 6 {
                    true => assert_eq!((&*topic.name, topic.topic_id), ("", TOPIC_ID)),
                    false => assert_eq!(topic.name, "in"),
                }
                let error_code = self.fenced(&request, version);
                let topics = request.topics.into_iter().map(|topic| TxnOffsetCommitResponseTopic {
                    name: topic.name,
                    topic_id: topic.topic_id,
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
                let mut answer = EndTxnResponse::default();
                if version >= 5 {
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

impl Script {
    fn heartbeat(&self, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
        if request.member_epoch > 0 && self.forget_member.swap(false, Ordering::SeqCst) {
            let error_code = ErrorCode::UNKNOWN_MEMBER_ID.0;
            return ConsumerGroupHeartbeatResponse { error_code, ..Default::default() };
        }
        let mut epoch = self.member_epoch.lock();
        if request.member_epoch == 0 {
            *epoch += 3;
        }
        let assignment = (request.member_epoch == 0).then(|| Assignment {
            topic_partitions: vec![TopicPartitions { topic_id: TOPIC_ID, partitions: vec![0], ..Default::default() }],
            ..Default::default()
        });
        ConsumerGroupHeartbeatResponse {
            member_id: Some(request.member_id),
            member_epoch: if request.member_epoch < 0 { request.member_epoch } else { *epoch },
            heartbeat_interval_ms: 20,
            assignment,
            ..Default::default()
        }
    }

    /// The error of a commit by a member that does not know its epoch; 0: it does, or the group has no members.
    fn fenced(&self, request: &TxnOffsetCommitRequest, version: i16) -> i16 {
        let mut epoch = self.member_epoch.lock();
        *epoch = self.next_member_epoch.lock().take().unwrap_or(*epoch);
        match *epoch == 0 || request.generation_id_or_member_epoch == *epoch {
            true => 0,
            false if version >= 6 => ErrorCode::STALE_MEMBER_EPOCH.0,
            false => ErrorCode::ILLEGAL_GENERATION.0,
        }
    }
}

/// Agrees to whatever it is asked.
#[derive(Default)]
struct Agreeing(OnceLock<Consumer>);

impl ConsumerSink for Agreeing {
    fn chunks_ready(&self) {}
    fn question(&self, question: Question) {
        if let Some(consumer) = self.0.get() {
            consumer.answer(question.id);
        }
    }
    fn event(&self, _: ConsumerEvent) {}
}

/// A producer on the scripted broker, and one topic.
pub struct Bench {
    pub client: Client,
    pub producer: Producer,
    ledger: Arc<Ledger>,
    topic: TopicId,
    _peer: Peer,
}

impl Bench {
    pub async fn start(script: Arc<Script>) -> Self {
        let serving = script.clone();
        let peer = Peer::start(move |_, conn| serving.clone().serve(conn)).await;
        let mut client_options = options(&[peer.address.to_string()]);
        client_options.request_timeout = Duration::from_secs(2);
        let client = client_with(client_options);
        let options = ProducerOptions { transactional_id: Some("tx".to_owned()), ..Default::default() };
        let (producer, ledger) = producer_on(&client, options);
        let topic = producer.topic("t").unwrap();
        Self { client, producer, ledger, topic, _peer: peer }
    }

    async fn offsets(&self) -> Result<(), Error> {
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
        let sent = self.producer.append(self.topic, None, &record("x")).unwrap();
        self.producer.poke();
        assert!(self.ledger.outcome(sent).await.error.is_none());
        self.offsets().await?;
        self.producer.commit_transaction().await
    }

    /// A member of the group, by KIP-848, that has its partition of `in`.
    pub async fn member(&self) -> Consumer {
        let options = ConsumerOptions {
            group_id: Some("g".to_owned()),
            group_protocol: GroupProtocol::Consumer,
            enable_auto_commit: false,
            ..ConsumerOptions::default()
        };
        let sink = Arc::new(Agreeing::default());
        let consumer = Consumer::new(&self.client, options, sink.clone()).unwrap();
        sink.0.set(consumer.clone()).ok();
        consumer.subscribe(vec!["in".to_owned()]).unwrap();
        while consumer.assignment().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        consumer
    }
}

/// The record at offset 4 of `in`, as its consumer was given it now.
pub fn finished() -> FinishedRecord {
    let partition = TopicPartition::new("in", 0);
    FinishedRecord { partition, offset: 4, leader_epoch: 1, chunk_epoch: u32::MAX }
}
