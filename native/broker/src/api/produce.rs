//! Produce (key 0): appends one batch per partition.
//!
//! Behaviour: every batch is checked as Kafka checks it (`log::validate`), appended as received, and read by waiting
//! fetches when all copies in sync have it; with acks −1 it is answered then. acks 0 is not answered, an error closes the connection.
//! A transactional batch needs its partition in the open transaction; from version 12 on, it brings it there (KIP-890).
//! Versions: 0–2 are told but refused, as Kafka does (KAFKA-18659: older librdkafka wants to see them) · 3 magic 2 only ·
//! 5 log start offset · 7 zstd · 8 record errors (KIP-467) · 9 flexible · 10 new leader (KIP-951) · 12 transactions v2 ·
//! 13 topic ids.

use std::{sync::Arc, time::Duration};

use dohle_protocol::{
    ErrorCode, Uuid,
    messages::{
        ProduceRequest, ProduceResponse,
        produce_request::{PartitionProduceData, TopicProduceData},
        produce_response::{
            BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
        },
    },
    records::batches,
};
use tokio::time::Instant;

use super::{Api, Call, Reply};
use crate::{
    cluster::Told,
    coordinator::{Pending, internal},
    log::{
        Appended,
        validate::{self, Refused, Rules},
    },
    node::{Node, millis},
    topics::Topic,
    transactions::{Adding, Producer, Sender, as_leaders_say},
};

/// The client that may write to internal topics, as in Kafka (AdminUtils.ADMIN_CLIENT_ID).
const ADMIN: &str = "__admin_client";

pub(super) struct Produce;

impl Api for Produce {
    type Request = ProduceRequest;
    const VERSIONS: (i16, i16) = (0, 13);
    const SERVED_FROM: i16 = 3;

    async fn handle(call: &Call, request: ProduceRequest) -> Reply<Self> {
        if !matches!(request.acks, -1..=1) {
            return Reply::With(Self::refuse(&request, ErrorCode::INVALID_REQUIRED_ACKS));
        }
        let mut response = ProduceResponse::default();
        let transactional_id = request.transactional_id.as_deref();
        let unready = take_in(call, &request).await;
        let asking = Asking { transactional_id, all: request.acks == -1, unready };
        let mut pending = Vec::new();
        for (at, topic) in request.topic_data.into_iter().enumerate() {
            let mut wait = |partition, of| pending.push(((at, partition), of));
            response.responses.push(produce_to_topic(call, &asking, topic, &mut wait));
        }
        if asking.all {
            wait(pending, &mut response, millis(request.timeout_ms)).await;
        }
        if call.version >= 10 {
            tell_leaders(call, &mut response);
        }
        if request.acks != 0 {
            return Reply::With(response);
        }
        let failed = response.responses.iter().flat_map(|topic| &topic.partition_responses).find(|p| p.error_code != 0);
        match failed {
            None => Reply::None,
            Some(failed) => Reply::Close(format!("acks 0 and error {}", ErrorCode(failed.error_code))),
        }
    }

    fn refuse(request: &ProduceRequest, code: ErrorCode) -> ProduceResponse {
        let partition = |p: &PartitionProduceData| PartitionProduceResponse {
            index: p.index,
            error_code: code.0,
            base_offset: -1,
            ..Default::default()
        };
        let responses = request.topic_data.iter().map(|topic| TopicProduceResponse {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partition_responses: topic.partition_data.iter().map(partition).collect(),
            ..Default::default()
        });
        ProduceResponse { responses: responses.collect(), ..Default::default() }
    }

    fn unanswered(request: &ProduceRequest) -> bool {
        request.acks == 0
    }

    fn targets(node: &Node, request: &ProduceRequest) -> Vec<(String, i32)> {
        let partitions = |topic: &TopicProduceData| {
            let name = find(node, 13, topic).map_or_else(|| topic.name.clone(), |topic| topic.name.to_string());
            topic.partition_data.iter().map(move |p| (name.clone(), p.index)).collect::<Vec<_>>()
        };
        request.topic_data.iter().flat_map(partitions).collect()
    }
}

fn find(node: &Node, version: i16, topic: &TopicProduceData) -> Option<Arc<Topic>> {
    named(node, version, &topic.name, topic.topic_id)
}

fn named(node: &Node, version: i16, name: &str, id: Uuid) -> Option<Arc<Topic>> {
    if version >= 13 && !id.is_zero() { node.topics.with_id(id) } else { node.topics.named(name) }
}

/// What is asked of all partitions.
struct Asking<'a> {
    transactional_id: Option<&'a str>,
    /// It is answered when all copies in sync have it.
    all: bool,
    /// Why the transaction does not take the partitions in.
    unready: Option<ErrorCode>,
}

/// Where a part of the answer stands that is still to be waited for: the topic's place and the partition's in it.
type Waiting = ((usize, usize), Pending);

/// In a cluster a partition is known to be in its transaction, wherever that is coordinated, before anything is written to it (from
/// version 12 on; before, the client has seen to it).
async fn take_in(call: &Call, request: &ProduceRequest) -> Option<ErrorCode> {
    let id =
        request.transactional_id.as_deref().filter(|_| call.version >= 12 && !call.node.cluster.options.is_alone())?;
    let taken = async {
        let coordinator = call.node.transactions_of(id)?;
        let since = coordinator.transactions.epoch(id);
        for topic in &request.topic_data {
            let Some(known) = find(&call.node, call.version, topic) else { continue };
            for data in &topic.partition_data {
                let stamp =
                    data.records.clone().and_then(|bytes| batches(bytes).next()?.ok()).map(|batch| batch.header());
                let stamp = stamp.filter(|header| header.attributes.is_transactional());
                let (Some(header), Some(partition)) = (stamp, known.partition(data.index)) else { continue };
                let producer = Producer { id: header.producer_id, epoch: header.producer_epoch };
                let sender = Sender { transactional_id: id, producer };
                coordinator.transactions.take_in(sender, (&known.name, data.index, &partition), &coordinator)?;
            }
        }
        coordinator.transactions.committed(id, since).await
    };
    taken.await.err().map(as_leaders_say)
}

/// Waits for the copies in sync of all that was appended.
async fn wait(pending: Vec<Waiting>, response: &mut ProduceResponse, within: Duration) {
    let until = Instant::now() + within;
    for ((topic, partition), pending) in pending {
        let done = pending.done(until.saturating_duration_since(Instant::now())).await;
        if let Err(code) = done {
            let part = &mut response.responses[topic].partition_responses[partition];
            (part.error_code, part.error_message) = (code.0, Some(code.text().into()));
        }
    }
}

/// Says who leads the partitions that are not led here (KIP-951).
fn tell_leaders(call: &Call, response: &mut ProduceResponse) {
    let mut any = false;
    for topic in &mut response.responses {
        let (name, id) = (&topic.name, topic.topic_id);
        for part in &mut topic.partition_responses {
            if part.error_code != ErrorCode::NOT_LEADER_OR_FOLLOWER.0 {
                continue;
            }
            let partition = named(&call.node, call.version, name, id).and_then(|topic| topic.partition(part.index));
            let Some(standing) = partition.map(|partition| partition.standing()) else { continue };
            if let Some(leader_id) = standing.leader {
                let leader_epoch = standing.leader_epoch;
                part.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch, ..Default::default() };
                any = true;
            }
        }
    }
    if any {
        let told = call.node.told(call.session.local).into_iter();
        let endpoint =
            |Told { id, host, port, rack }| NodeEndpoint { node_id: id, host, port, rack, ..Default::default() };
        response.node_endpoints = told.map(endpoint).collect();
    }
}

fn produce_to_topic(
    call: &Call,
    asking: &Asking<'_>,
    asked: TopicProduceData,
    wait: &mut impl FnMut(usize, Pending),
) -> TopicProduceResponse {
    let topic = find(&call.node, call.version, &asked);
    let unknown = if call.version >= 13 { ErrorCode::UNKNOWN_TOPIC_ID } else { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION };
    let mut partition_responses = Vec::with_capacity(asked.partition_data.len());
    for data in asked.partition_data {
        let index = data.index;
        let done = match &topic {
            // Whether it is there is nobody's business who may not write to it.
            None => call.plan.guard((&asked.name, index), || Err(unknown)).map_err(NotAnswered::from),
            Some(topic) => append(call, asking, topic, data),
        };
        let done = done.map(|done| {
            if let Some(pending) = done.pending {
                wait(partition_responses.len(), pending);
            }
            (done.appended, done.start_offset)
        });
        partition_responses.push(answer(index, done));
    }
    TopicProduceResponse { name: asked.name, topic_id: asked.topic_id, partition_responses, ..Default::default() }
}

/// What was appended.
#[derive(Clone)]
struct Done {
    appended: Appended,
    start_offset: i64,
    /// What it is answered after.
    pending: Option<Pending>,
}

fn append(call: &Call, asking: &Asking<'_>, topic: &Topic, data: PartitionProduceData) -> Result<Done, NotAnswered> {
    let (mut refused, mut written) = (None, None);
    let done = call.plan.guard((&topic.name, data.index), || match try_append(call, asking, topic, data) {
        Ok(done) => Ok(written.insert(done).clone()),
        Err(why) => Err(refused.insert(why).code),
    });
    done.map_err(|code| NotAnswered {
        // A rule's error goes before what really happened.
        why: refused.filter(|refused| refused.code == code).unwrap_or_else(|| code.into()),
        base_offset: written.map_or(-1, |done| done.appended.base_offset),
    })
}

/// An error of a partition. As in Kafka, a leader that has written a batch and cannot promise it says where it is.
struct NotAnswered {
    why: Refused,
    base_offset: i64,
}

impl From<ErrorCode> for NotAnswered {
    fn from(code: ErrorCode) -> Self {
        Self { why: code.into(), base_offset: -1 }
    }
}

fn try_append(call: &Call, asking: &Asking<'_>, topic: &Topic, data: PartitionProduceData) -> Result<Done, Refused> {
    if internal::is_internal(&topic.name) && call.client_id.as_deref() != Some(ADMIN) {
        let message = format!("Cannot append to internal topic {}", topic.name);
        return Err(Refused { code: ErrorCode::INVALID_TOPIC_EXCEPTION, message, records: Vec::new() });
    }
    let partition = topic.partition(data.index).ok_or_else(|| Refused::from(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?;
    let replica = partition.led_by(call.node.options.node_id)?;
    let (config, now_ms) = (topic.config(), call.node.world.wall_clock_ms());
    let batch = validate::validate(
        data.records,
        &Rules {
            version: call.version,
            config: &config,
            now_ms,
            max_decompressed_bytes: call.node.options.max_decompressed_bytes,
            decompressors: &call.node.decompressors,
        },
    )?;
    let append = || {
        let mut log = replica.log.lock();
        log.check_leader(-1)?;
        if asking.all {
            log.check_copies()?;
        }
        let appended = log.append(&batch, now_ms)?;
        let waits = asking.all && log.high_watermark() < log.end().0;
        let pending = waits.then(|| Pending::all_of(&replica, &log));
        Ok(Done { appended, start_offset: log.start_offset(), pending })
    };
    let done = match &batch.producer {
        Some(stamp) if batch.transactional => {
            let id = asking.transactional_id.ok_or(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)?;
            if let Some(code) = asking.unready {
                return Err(code.into());
            }
            let producer = Producer { id: stamp.id, epoch: stamp.epoch };
            let sender = Sender { transactional_id: id, producer };
            let adding = if call.version >= 12 { Adding::Implicit } else { Adding::Before };
            // What is sent again may belong to a transaction that has ended.
            if adding == Adding::Before && replica.log.lock().knows(stamp, now_ms) {
                append()
            } else {
                // In a cluster it was taken in before.
                let adding = if call.node.cluster.options.is_alone() { adding } else { Adding::Before };
                let (into, coordinator) = ((&topic.name, data.index, &partition), call.node.transactions_of(id));
                let coordinator = coordinator.map_err(as_leaders_say)?;
                coordinator.transactions.write(sender, into, adding, &coordinator, append)
            }
        }
        _ => append(),
    };
    let done = done?;
    replica.wake();
    call.node.housekeeping.touch();
    Ok(done)
}

fn answer(index: i32, done: Result<(Appended, i64), NotAnswered>) -> PartitionProduceResponse {
    match done {
        Ok((appended, log_start_offset)) => PartitionProduceResponse {
            index,
            base_offset: appended.base_offset,
            log_append_time_ms: appended.append_time,
            log_start_offset,
            ..Default::default()
        },
        Err(NotAnswered { why, base_offset }) => PartitionProduceResponse {
            index,
            error_code: why.code.0,
            base_offset,
            record_errors: why.records.into_iter().map(record_error).collect(),
            error_message: Some(why.message),
            ..Default::default()
        },
    }
}

fn record_error((batch_index, message): (i32, String)) -> BatchIndexAndErrorMessage {
    BatchIndexAndErrorMessage { batch_index, batch_index_error_message: Some(message), ..Default::default() }
}
