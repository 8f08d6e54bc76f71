//! ListOffsets (key 2): the offset of a time.
//!
//! Behaviour: −1 latest, −2 earliest, −3 the record with the largest timestamp, −4 earliest local (the earliest: there is
//! no tiered storage), −5 latest tiered and −6 earliest not yet tiered (none), else the first record of at least that
//! timestamp, or none (−1). A topic named twice is answered twice, where Kafka refuses it.
//! Versions: 1 one offset · 2 isolation level · 4 leader epochs · 6 flexible · 7 −3 · 8 −4 · 9 −5 · 10 timeout · 11 −6.

use dohle_protocol::{
    ErrorCode,
    messages::{
        ListOffsetsRequest, ListOffsetsResponse,
        list_offsets_request::ListOffsetsPartition,
        list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
    },
    records,
};

use super::{Api, Call, Reply};
use crate::{log::Isolation, node::Node, partition::Replica};

pub(super) struct ListOffsets;

/// Offset and timestamp of what was found.
type Found = Option<(i64, i64)>;
/// The same, in the leader's epoch.
type Answer = (Found, i32);

impl Api for ListOffsets {
    type Request = ListOffsetsRequest;
    const VERSIONS: (i16, i16) = (1, 11);

    async fn handle(call: &Call, request: ListOffsetsRequest) -> Reply<Self> {
        let isolation = Isolation::of(request.isolation_level);
        let mut response = ListOffsetsResponse::default();
        for topic in request.topics {
            let partitions = topic.partitions.iter().map(|asked| {
                let target = (topic.name.as_str(), asked.partition_index);
                let found = call.plan.guard(target, || find(call, &topic.name, asked, isolation));
                answer(call.version, asked.partition_index, found)
            });
            let partitions = partitions.collect();
            response.topics.push(ListOffsetsTopicResponse { name: topic.name, partitions, ..Default::default() });
        }
        Reply::With(response)
    }

    fn refuse(request: &ListOffsetsRequest, code: ErrorCode) -> ListOffsetsResponse {
        let topics = request.topics.iter().map(|topic| ListOffsetsTopicResponse {
            name: topic.name.clone(),
            partitions: topic.partitions.iter().map(|p| answer(0, p.partition_index, Err(code))).collect(),
            ..Default::default()
        });
        ListOffsetsResponse { topics: topics.collect(), ..Default::default() }
    }

    fn targets(_: &Node, request: &ListOffsetsRequest) -> Vec<(String, i32)> {
        let topics = request.topics.iter();
        topics.flat_map(|topic| topic.partitions.iter().map(|p| (topic.name.clone(), p.partition_index))).collect()
    }
}

fn find(call: &Call, topic: &str, asked: &ListOffsetsPartition, isolation: Isolation) -> Result<Answer, ErrorCode> {
    let replica = call.node.leading(topic, asked.partition_index)?;
    let (start, end, epoch) = {
        let log = replica.log.lock();
        log.check_leader(asked.current_leader_epoch)?;
        if !log.knows_committed() && asked.timestamp != -2 {
            // KIP-207; older clients ask again when there is no leader.
            let known = call.version >= 5;
            return Err(if known { ErrorCode::OFFSET_NOT_AVAILABLE } else { ErrorCode::LEADER_NOT_AVAILABLE });
        }
        (log.start_offset(), log.end_for(isolation), log.leader_epoch())
    };
    let found = found(call, &replica, asked, (start, end))?;
    Ok((found, epoch))
}

fn found(
    call: &Call,
    replica: &Replica,
    asked: &ListOffsetsPartition,
    (start, end): (i64, i64),
) -> Result<Found, ErrorCode> {
    match asked.timestamp {
        -1 => Ok(Some((end, -1))),
        -2 => Ok(Some((start, -1))),
        -3 if call.version >= 7 => {
            let max = replica.log.lock().max_timestamp();
            max.map_or(Ok(None), |max| at_time(call, replica, max))
        }
        -4 if call.version >= 8 => Ok(Some((start, -1))),
        -5 if call.version >= 9 => Ok(None),
        -6 if call.version >= 11 => Ok(None),
        ..0 => Err(ErrorCode::UNSUPPORTED_VERSION),
        timestamp => Ok(at_time(call, replica, timestamp)?.filter(|(offset, _)| *offset < end)),
    }
}

/// The first record of at least `timestamp`. The log is locked to find its batch, not to look into it.
fn at_time(call: &Call, replica: &Replica, timestamp: i64) -> Result<Found, ErrorCode> {
    let start = replica.log.lock().start_offset();
    let mut from = start;
    loop {
        let Some(bytes) = replica.log.lock().batch_at_time(timestamp, from)? else { return Ok(None) };
        let Some(Ok(batch)) = records::batches(bytes).next() else { return Ok(None) };
        let max = call.node.options.max_decompressed_bytes;
        let Ok(plain) = call.node.decompressors.with(|one| batch.plain(one, max)) else { return Ok(None) };
        let mut records = plain.iter().map_while(Result::ok);
        if let Some(found) = records.find(|record| record.timestamp >= timestamp && record.offset >= start) {
            return Ok(Some((found.offset, found.timestamp)));
        }
        from = batch.last_offset() + 1;
    }
}

fn answer(version: i16, partition_index: i32, found: Result<Answer, ErrorCode>) -> ListOffsetsPartitionResponse {
    let (error_code, (found, epoch)) = match found {
        Ok(found) => (0, found),
        Err(code) => (code.0, (None, -1)),
    };
    // The epoch cannot be written in versions that lack it.
    let (offset, timestamp) = found.unwrap_or((-1, -1));
    let leader_epoch = if version >= 4 && found.is_some() { epoch } else { -1 };
    ListOffsetsPartitionResponse { partition_index, error_code, timestamp, offset, leader_epoch, ..Default::default() }
}
