//! WriteTxnMarkers (key 27): ends the transaction of one producer in some partitions.
//!
//! Behaviour: what brokers tell each other in Kafka, and how an admin client ends a transaction that its coordinator has forgotten.
//! Versions: 1 flexible · 2 transaction version.

use dohle_protocol::{
    ErrorCode,
    messages::{
        WriteTxnMarkersRequest, WriteTxnMarkersResponse,
        write_txn_markers_request::WritableTxnMarker,
        write_txn_markers_response::{
            WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
        },
    },
};

use super::{Api, Call, Reply};
use crate::{coordinator::internal, log::Marker, node::Node};

pub(super) struct WriteTxnMarkers;

impl Api for WriteTxnMarkers {
    type Request = WriteTxnMarkersRequest;
    const VERSIONS: (i16, i16) = (1, 2);

    async fn handle(call: &Call, request: WriteTxnMarkersRequest) -> Reply<Self> {
        Reply::With(answer(&request, |marker, topic, index| {
            let written = call.plan.guard((topic, index), || write(call, marker, topic, index));
            written.err().unwrap_or(ErrorCode::NONE)
        }))
    }

    fn refuse(request: &WriteTxnMarkersRequest, code: ErrorCode) -> WriteTxnMarkersResponse {
        answer(request, |_, _, _| code)
    }

    fn targets(_: &Node, request: &WriteTxnMarkersRequest) -> Vec<(String, i32)> {
        let topics = request.markers.iter().flat_map(|marker| &marker.topics);
        topics.flat_map(|topic| topic.partition_indexes.iter().map(|index| (topic.name.clone(), *index))).collect()
    }
}

fn write(call: &Call, marker: &WritableTxnMarker, topic: &str, index: i32) -> Result<(), ErrorCode> {
    let replica = call.node.leading(topic, index)?;
    let marker = Marker {
        producer_id: marker.producer_id,
        epoch: marker.producer_epoch,
        commit: marker.transaction_result,
        coordinator_epoch: marker.coordinator_epoch,
    };
    if topic == internal::OFFSETS {
        return call.node.groups.end_transaction(index, &marker);
    }
    let written = replica.log.lock().append_marker(&marker, call.node.world.wall_clock_ms());
    replica.wake();
    written
}

fn answer(
    request: &WriteTxnMarkersRequest,
    mut code: impl FnMut(&WritableTxnMarker, &str, i32) -> ErrorCode,
) -> WriteTxnMarkersResponse {
    let mut response = WriteTxnMarkersResponse::default();
    for marker in &request.markers {
        let topics = marker.topics.iter().map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|&partition_index| WritableTxnMarkerPartitionResult {
                partition_index,
                error_code: code(marker, &topic.name, partition_index).0,
                ..Default::default()
            });
            let partitions = partitions.collect();
            WritableTxnMarkerTopicResult { name: topic.name.clone(), partitions, ..Default::default() }
        });
        let topics = topics.collect();
        response.markers.push(WritableTxnMarkerResult {
            producer_id: marker.producer_id,
            topics,
            ..Default::default()
        });
    }
    response
}
