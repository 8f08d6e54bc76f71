//! A transactional producer on the embedded broker, whose fault rules make what goes wrong, and what went over the line
//! between the two.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dohle_broker::{Action, Broker, BrokerOptions, Release, Rule, RuleId, When};
use dohle_client::consumer::{CommittedOffset, GroupMetadata, TopicPartition};
use dohle_client::producer::{Placed, Producer, ProducerOptions, TopicId};
use dohle_client::{Client, Error, Lane};
use dohle_protocol::frame::RequestHeader;
use dohle_protocol::messages::create_topics_request::CreatableTopic;
use dohle_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use dohle_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use dohle_protocol::messages::*;
use dohle_protocol::records::{RawBatch, batches};
use dohle_protocol::{ApiKey, Decoder, ErrorCode, Request};
use parking_lot::Mutex;

use crate::common::{Ledger, producer_on, record};
use crate::line::broker_behind;
use crate::support::{client_with, options};

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

/// The next request of this kind is answered so, and takes no effect.
pub fn refused(api: ApiKey, code: ErrorCode) -> Rule {
    Rule::new(Action::Error { code: code.0, when: When::Before }).api(api.0)
}

/// The next request of this kind is carried out and its answer lost with the connection.
pub fn lost(api: ApiKey) -> Rule {
    Rule::new(Action::Close { when: When::After }).api(api.0)
}

/// The next request of this kind gets no answer.
pub fn silence(api: ApiKey) -> Rule {
    Rule::new(Action::Drop { when: When::Before }).api(api.0)
}

/// Version 1 or 2 of transactions.
pub fn version(v2: bool) -> BrokerOptions {
    let mut options = BrokerOptions::new();
    options.transaction_version = if v2 { 2 } else { 1 };
    options
}

pub fn release(release: Release) -> BrokerOptions {
    let mut options = BrokerOptions::new();
    options.as_version = release;
    options
}

/// A producer, and one topic.
pub struct Bench {
    pub broker: Broker,
    pub client: Client,
    pub producer: Producer,
    pub ledger: Arc<Ledger>,
    pub topic: TopicId,
    /// The rules that it was started with.
    pub rules: Vec<RuleId>,
    /// A member of the group whose offsets are committed.
    pub group: GroupMetadata,
    pub asked: Arc<Mutex<Vec<Asked>>>,
}

impl Bench {
    pub async fn start(v2: bool) -> Self {
        Self::start_with(version(v2), [], |_| {}).await
    }

    /// The rules are in force when the producer begins.
    pub async fn start_with(
        broker_options: BrokerOptions,
        rules: impl IntoIterator<Item = Rule>,
        change: impl FnOnce(&mut ProducerOptions),
    ) -> Self {
        let old = broker_options.as_version < Release::V2_8;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        let seen = move |header, body| noted.lock().extend(as_asked(&header, body));
        let (broker, address) = broker_behind(broker_options, seen).await;
        let mut client_options = options(&[address.to_string()]);
        client_options.request_timeout = Duration::from_secs(2);
        let client = client_with(client_options);
        create(&client, &["t", "in"]).await;
        // Static members are younger than the oldest releases.
        let group = if old { member("m", 3) } else { join(&client).await };
        let rules = rules.into_iter().map(|rule| broker.faults().add(rule)).collect();
        let mut options = ProducerOptions { transactional_id: Some("tx".to_owned()), ..Default::default() };
        change(&mut options);
        let (producer, ledger) = producer_on(&client, options);
        let topic = producer.topic("t").unwrap();
        Self { broker, client, producer, ledger, topic, rules, group, asked }
    }

    pub fn fault(&self, rule: Rule) -> RuleId {
        self.broker.faults().add(rule)
    }

    /// On how many requests a rule has acted.
    pub fn fired(&self, rule: RuleId) -> u64 {
        self.broker.faults().hits(rule).fired
    }

    pub fn count(&self, which: impl Fn(&Asked) -> bool) -> usize {
        self.asked.lock().iter().filter(|asked| which(asked)).count()
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
        let at = CommittedOffset { offset: 5, leader_epoch: 0, metadata: String::new() };
        self.producer.commit_offsets(vec![(TopicPartition::new("in", 0), at)], self.group.clone()).await
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

const TIMEOUT: Duration = Duration::from_secs(10);

async fn create(client: &Client, names: &[&str]) {
    let topic = |name: &&str| CreatableTopic {
        name: name.to_string(),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: names.iter().map(topic).collect(), ..Default::default() };
    let answer = client.request_any(|_| Ok(request.clone()), TIMEOUT).await.unwrap();
    assert!(answer.topics.iter().all(|topic| topic.error_code == 0), "{answer:?}");
}

/// Joins the group as a static member, so that its first request names it.
async fn join(client: &Client) -> GroupMetadata {
    let (group_id, group_instance_id) = ("g".to_owned(), Some("i".to_owned()));
    let protocol = JoinGroupRequestProtocol { name: "range".to_owned(), ..Default::default() };
    let request = JoinGroupRequest {
        group_id: group_id.clone(),
        session_timeout_ms: 600_000,
        rebalance_timeout_ms: 600_000,
        group_instance_id: group_instance_id.clone(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![protocol],
        ..Default::default()
    };
    let node = client.metadata().refresh().await.unwrap().controller;
    let joined = client.request(node, Lane::General, &request, TIMEOUT).await.unwrap();
    assert_eq!(ErrorCode(joined.error_code), ErrorCode::NONE);
    let (member_id, generation_id) = (joined.member_id, joined.generation_id);
    let assignment =
        SyncGroupRequestAssignment { member_id: member_id.clone(), assignment: Bytes::new(), ..Default::default() };
    let request = SyncGroupRequest {
        group_id,
        generation_id,
        member_id: member_id.clone(),
        group_instance_id,
        protocol_type: Some("consumer".to_owned()),
        protocol_name: Some("range".to_owned()),
        assignments: vec![assignment],
        ..Default::default()
    };
    let synced = client.request(node, Lane::General, &request, TIMEOUT).await.unwrap();
    assert_eq!(ErrorCode(synced.error_code), ErrorCode::NONE);
    member(&member_id, generation_id)
}

fn member(member_id: &str, generation: i32) -> GroupMetadata {
    GroupMetadata {
        group_id: "g".to_owned(),
        generation,
        member_id: member_id.to_owned(),
        group_instance_id: Some("i".to_owned()),
    }
}

fn as_asked(header: &RequestHeader, mut body: Decoder) -> Option<Asked> {
    let version = header.api_version;
    fn read<R: Request>(body: &mut Decoder, version: i16) -> R {
        R::decode(body, version).unwrap()
    }
    Some(match header.api_key {
        ApiKey::INIT_PRODUCER_ID => {
            let request: InitProducerIdRequest = read(&mut body, version);
            assert_eq!(request.transactional_id.as_deref(), Some("tx"));
            Asked::Init(request.producer_id, request.producer_epoch)
        }
        ApiKey::ADD_PARTITIONS_TO_TXN => Asked::AddPartitions(version),
        ApiKey::ADD_OFFSETS_TO_TXN => Asked::AddOffsets(version),
        ApiKey::TXN_OFFSET_COMMIT => {
            let request: TxnOffsetCommitRequest = read(&mut body, version);
            let offset = request.topics[0].partitions[0].committed_offset;
            Asked::Offsets(version, request.producer_epoch, request.generation_id_or_member_epoch, offset)
        }
        ApiKey::END_TXN => {
            let request: EndTxnRequest = read(&mut body, version);
            Asked::End(version, request.producer_epoch, request.committed)
        }
        ApiKey::PRODUCE => {
            let request: ProduceRequest = read(&mut body, version);
            assert_eq!(request.transactional_id.as_deref(), Some("tx"));
            let records = request.topic_data[0].partition_data[0].records.clone().unwrap();
            let Some(Ok(RawBatch::V2(batch))) = batches(records).next() else { panic!("no batch") };
            let h = batch.header();
            Asked::Produce(version, h.producer_epoch, h.base_sequence, h.attributes.is_transactional())
        }
        _ => return None,
    })
}
