//! OffsetForLeaderEpoch (key 23): where a leader epoch ended; the present one ends where the log does.
//!
//! Versions: 2 the caller's epoch is checked · 3 replica id · 4 flexible.

use dohle_protocol::{
    ErrorCode,
    messages::{
        OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
        offset_for_leader_epoch_request::OffsetForLeaderPartition,
        offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult},
    },
};

use super::{Api, Call, Reply};
use crate::node::Node;

pub(super) struct OffsetForLeaderEpoch;

impl Api for OffsetForLeaderEpoch {
    type Request = OffsetForLeaderEpochRequest;
    const VERSIONS: (i16, i16) = (2, 4);

    async fn handle(call: &Call, request: OffsetForLeaderEpochRequest) -> Reply<Self> {
        let end = |topic: &str, asked: &OffsetForLeaderPartition| {
            call.plan.guard((topic, asked.partition), || {
                let replica = call.node.leading(topic, asked.partition)?;
                let log = replica.log.lock();
                log.check_leader(asked.current_leader_epoch)?;
                Ok(log.end_of_epoch(asked.leader_epoch).unwrap_or((-1, -1)))
            })
        };
        Reply::With(answer(&request, end))
    }

    fn refuse(request: &OffsetForLeaderEpochRequest, code: ErrorCode) -> OffsetForLeaderEpochResponse {
        answer(request, |_, _| Err(code))
    }

    fn targets(_: &Node, request: &OffsetForLeaderEpochRequest) -> Vec<(String, i32)> {
        let topics = request.topics.iter();
        topics.flat_map(|topic| topic.partitions.iter().map(|p| (topic.topic.clone(), p.partition))).collect()
    }
}

fn answer(
    request: &OffsetForLeaderEpochRequest,
    end: impl Fn(&str, &OffsetForLeaderPartition) -> Result<(i32, i64), ErrorCode>,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let found = end(&topic.topic, asked);
            let (leader_epoch, end_offset) = found.unwrap_or((-1, -1));
            EpochEndOffset {
                error_code: found.err().map_or(0, |code| code.0),
                partition: asked.partition,
                leader_epoch,
                end_offset,
                ..Default::default()
            }
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult { topic: topic.topic.clone(), partitions, ..Default::default() }
    });
    OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() }
}
