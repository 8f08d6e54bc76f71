//! Produce (key 0): appends one batch per partition.
//!
//! Behaviour: every batch is checked as Kafka checks it (`log::validate`), appended as received, and read by waiting
//! fetches at once. acks 1 and −1 are the same with one replica; acks 0 is not answered, an error closes the connection.
//! A transactional batch needs its partition in the open transaction; from version 12 on, it brings it there (KIP-890).
//! Versions: 0–2 are told but refused, as Kafka does (KAFKA-18659: older librdkafka wants to see them) · 3 magic 2 only ·
//! 5 log start offset · 7 zstd · 8 record errors (KIP-467) · 9 flexible · 10 new leader (KIP-951) · 12 transactions v2 ·
//! 13 topic ids.

use std::sync::Arc;

use dohle_protocol::{
    ErrorCode,
    messages::{
        ProduceRequest, ProduceResponse,
        produce_request::{PartitionProduceData, TopicProduceData},
        produce_response::{BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse},
    },
};

use super::{Api, Call, Reply};
use crate::{
    coordinator::internal,
    log::{
        Appended,
        validate::{self, Refused, Rules},
    },
    node::Node,
    topics::Topic,
    transactions::{Adding, Producer, Sender},
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
        for topic in request.topic_data {
            response.responses.push(produce_to_topic(call, transactional_id, topic));
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
    if version >= 13 && !topic.topic_id.is_zero() {
        node.topics.with_id(topic.topic_id)
    } else {
        node.topics.named(&topic.name)
    }
}

fn produce_to_topic(call: &Call, transactional_id: Option<&str>, asked: TopicProduceData) -> TopicProduceResponse {
    let topic = find(&call.node, call.version, &asked);
    let unknown = if call.version >= 13 { ErrorCode::UNKNOWN_TOPIC_ID } else { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION };
    let mut partition_responses = Vec::with_capacity(asked.partition_data.len());
    for data in asked.partition_data {
        let index = data.index;
        let done = match &topic {
            // Whether it is there is nobody's business who may not write to it.
            None => call.plan.guard((&asked.name, index), || Err(unknown)).map_err(NotAnswered::from),
            Some(topic) => append(call, transactional_id, topic, data),
        };
        partition_responses.push(answer(index, done));
    }
    TopicProduceResponse { name: asked.name, topic_id: asked.topic_id, partition_responses, ..Default::default() }
}

fn append(
    call: &Call,
    transactional_id: Option<&str>,
    topic: &Topic,
    data: PartitionProduceData,
) -> Result<(Appended, i64), NotAnswered> {
    let (mut refused, mut written) = (None, None);
    let done = call.plan.guard((&topic.name, data.index), || match try_append(call, transactional_id, topic, data) {
        Ok(done) => Ok(*written.insert(done)),
        Err(why) => Err(refused.insert(why).code),
    });
    done.map_err(|code| NotAnswered {
        // A rule's error goes before what really happened.
        why: refused.filter(|refused| refused.code == code).unwrap_or_else(|| code.into()),
        base_offset: written.map_or(-1, |(appended, _)| appended.base_offset),
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

fn try_append(
    call: &Call,
    transactional_id: Option<&str>,
    topic: &Topic,
    data: PartitionProduceData,
) -> Result<(Appended, i64), Refused> {
    if internal::is_internal(&topic.name) && call.client_id.as_deref() != Some(ADMIN) {
        let message = format!("Cannot append to internal topic {}", topic.name);
        return Err(Refused { code: ErrorCode::INVALID_TOPIC_EXCEPTION, message, records: Vec::new() });
    }
    let partition = topic.partition(data.index).filter(|partition| !partition.deleted());
    let partition = partition.ok_or_else(|| Refused::from(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?;
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
        let mut log = partition.log.lock();
        log.append(&batch, now_ms).map(|appended| (appended, log.start_offset()))
    };
    let done = match &batch.producer {
        Some(stamp) if batch.transactional => {
            let transactional_id = transactional_id.ok_or(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)?;
            let producer = Producer { id: stamp.id, epoch: stamp.epoch };
            let sender = Sender { transactional_id, producer };
            let adding = if call.version >= 12 { Adding::Implicit } else { Adding::Before };
            // What is sent again may belong to a transaction that has ended.
            if adding == Adding::Before && partition.log.lock().knows(stamp, now_ms) {
                append()
            } else {
                let into = (&topic.name, data.index, &partition);
                call.node.transactions.write(sender, into, adding, &call.node, append)
            }
        }
        _ => append(),
    };
    let done = done?;
    partition.waiters.wake();
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
