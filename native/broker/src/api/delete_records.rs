//! DeleteRecords (key 21): moves the start of partitions' logs; −1 means the high watermark.
//!
//! Versions: 1 the same · 2 flexible.

use dohle_protocol::{
    ErrorCode,
    messages::{
        DeleteRecordsRequest, DeleteRecordsResponse,
        delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult},
    },
};

use super::{Api, Call, Reply};
use crate::node::Node;

pub(super) struct DeleteRecords;

impl Api for DeleteRecords {
    type Request = DeleteRecordsRequest;
    const VERSIONS: (i16, i16) = (0, 2);

    async fn handle(call: &Call, request: DeleteRecordsRequest) -> Reply<Self> {
        let topics = answer(&request, |topic, partition, offset| {
            call.plan.guard((topic, partition), || {
                let replica = call.node.leading(topic, partition)?;
                let start = replica.leading()?.delete_before(offset);
                // So do those that may lead next, before it is answered, and the others.
                if let (Ok(start), Some(of)) =
                    (start, call.node.topics.named(topic).and_then(|of| of.partition(partition)))
                {
                    call.node.cluster.begins_at(&of, &replica, start);
                }
                replica.wake();
                start
            })
        });
        // Where logs start is nowhere but in the checkpoints: who was told that records are gone shall not see them again.
        if let Some(Err(error)) = call.node.home.as_ref().map(|home| home.checkpoint(&call.node.topics)) {
            tracing::error!(%error, "the checkpoints are not written");
            return Reply::With(Self::refuse(&request, ErrorCode::KAFKA_STORAGE_ERROR));
        }
        Reply::With(topics)
    }

    fn refuse(request: &DeleteRecordsRequest, code: ErrorCode) -> DeleteRecordsResponse {
        answer(request, |_, _, _| Err(code))
    }

    fn targets(_: &Node, request: &DeleteRecordsRequest) -> Vec<(String, i32)> {
        let topics = request.topics.iter();
        topics.flat_map(|topic| topic.partitions.iter().map(|p| (topic.name.clone(), p.partition_index))).collect()
    }
}

fn answer(
    request: &DeleteRecordsRequest,
    delete: impl Fn(&str, i32, i64) -> Result<i64, ErrorCode>,
) -> DeleteRecordsResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let deleted = delete(&topic.name, asked.partition_index, asked.offset);
            DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                low_watermark: deleted.unwrap_or(-1),
                error_code: deleted.err().map_or(0, |code| code.0),
                ..Default::default()
            }
        });
        let partitions = partitions.collect();
        DeleteRecordsTopicResult { name: topic.name.clone(), partitions, ..Default::default() }
    });
    DeleteRecordsResponse { topics: topics.collect(), ..Default::default() }
}
