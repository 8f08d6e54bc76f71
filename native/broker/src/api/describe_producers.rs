//! DescribeProducers (key 61): who has written to a partition, and where open transactions begin.
//!
//! Versions: 0.

use dohle_protocol::{
    ErrorCode,
    messages::{
        DescribeProducersRequest, DescribeProducersResponse,
        describe_producers_response::{PartitionResponse, ProducerState, TopicResponse},
    },
};

use super::{Api, Call, Reply};
use crate::node::Node;

pub(super) struct DescribeProducers;

impl Api for DescribeProducers {
    type Request = DescribeProducersRequest;
    const VERSIONS: (i16, i16) = (0, 0);

    async fn handle(call: &Call, request: DescribeProducersRequest) -> Reply<Self> {
        Reply::With(answer(&request, |topic, index| call.plan.guard((topic, index), || producers(call, topic, index))))
    }

    fn refuse(request: &DescribeProducersRequest, code: ErrorCode) -> DescribeProducersResponse {
        answer(request, |_, _| Err(code))
    }

    fn targets(_: &Node, request: &DescribeProducersRequest) -> Vec<(String, i32)> {
        let topics = request.topics.iter();
        topics.flat_map(|topic| topic.partition_indexes.iter().map(|index| (topic.name.clone(), *index))).collect()
    }
}

fn producers(call: &Call, topic: &str, index: i32) -> Result<Vec<ProducerState>, ErrorCode> {
    let replica = call.node.leading(topic, index)?;
    let producers = replica.log.lock().producers(call.node.world.wall_clock_ms());
    let state = |(producer, open_since): (crate::log::ActiveProducer, Option<i64>)| ProducerState {
        producer_id: producer.id,
        producer_epoch: producer.epoch.into(),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_used_ms,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: open_since.unwrap_or(-1),
        ..Default::default()
    };
    Ok(producers.into_iter().map(state).collect())
}

fn answer(
    request: &DescribeProducersRequest,
    mut producers: impl FnMut(&str, i32) -> Result<Vec<ProducerState>, ErrorCode>,
) -> DescribeProducersResponse {
    let mut response = DescribeProducersResponse::default();
    for topic in &request.topics {
        let partitions = topic.partition_indexes.iter().map(|&partition_index| {
            let found = producers(&topic.name, partition_index);
            let code = found.as_ref().err().copied();
            PartitionResponse {
                partition_index,
                error_code: code.unwrap_or(ErrorCode::NONE).0,
                error_message: code.map(|code| code.text().into()),
                active_producers: found.unwrap_or_default(),
                ..Default::default()
            }
        });
        let partitions = partitions.collect();
        response.topics.push(TopicResponse { name: topic.name.clone(), partitions, ..Default::default() });
    }
    response
}
