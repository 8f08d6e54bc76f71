//! DescribeQuorum (key 55): who votes on the cluster's metadata; `kafka-metadata-quorum` asks.
//!
//! Behaviour: this node alone, caught up. There is no metadata log behind it, so that its end stays at 1.
//! Versions: 1 times of fetches · 2 directories, listeners, error messages.

use dohle_protocol::{
    ErrorCode,
    messages::{
        DescribeQuorumRequest, DescribeQuorumResponse,
        describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData},
    },
};

use super::{Api, Call, Reply};

pub(super) struct DescribeQuorum;

/// The one partition that can be asked about.
const METADATA: (&str, i32) = ("__cluster_metadata", 0);

impl Api for DescribeQuorum {
    type Request = DescribeQuorumRequest;
    const VERSIONS: (i16, i16) = (0, 2);

    async fn handle(call: &Call, request: DescribeQuorumRequest) -> Reply<Self> {
        let node_id = call.node.cluster.controller();
        let told = call.node.told(call.session.local).into_iter().find(|told| told.id == node_id);
        let (host, port) = told.map(|told| (told.host, told.port)).unwrap_or_default();
        let now = call.node.world.wall_clock_ms();
        let partition = |topic: &str, index: i32| match (topic, index) {
            METADATA => PartitionData {
                partition_index: index,
                error_message: None,
                leader_id: node_id,
                leader_epoch: 1,
                high_watermark: 1,
                current_voters: vec![ReplicaState {
                    replica_id: node_id,
                    log_end_offset: 1,
                    last_fetch_timestamp: if call.version >= 1 { now } else { -1 },
                    last_caught_up_timestamp: if call.version >= 1 { now } else { -1 },
                    ..Default::default()
                }],
                ..Default::default()
            },
            _ => failed(index, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        };
        let mut response = answer(&request, partition);
        if call.version >= 2 {
            let listener = Listener { name: "CONTROLLER".into(), host, port: port as u16, ..Default::default() };
            response.nodes = vec![Node { node_id, listeners: vec![listener], ..Default::default() }];
        }
        Reply::With(response)
    }

    fn refuse(request: &DescribeQuorumRequest, code: ErrorCode) -> DescribeQuorumResponse {
        DescribeQuorumResponse { error_code: code.0, ..answer(request, |_, index| failed(index, code)) }
    }
}

fn failed(partition_index: i32, code: ErrorCode) -> PartitionData {
    PartitionData { partition_index, error_code: code.0, error_message: None, ..Default::default() }
}

fn answer(request: &DescribeQuorumRequest, partition: impl Fn(&str, i32) -> PartitionData) -> DescribeQuorumResponse {
    let topics = request.topics.iter().map(|topic| TopicData {
        topic_name: topic.topic_name.clone(),
        partitions: topic.partitions.iter().map(|p| partition(&topic.topic_name, p.partition_index)).collect(),
        ..Default::default()
    });
    DescribeQuorumResponse { error_message: None, topics: topics.collect(), ..Default::default() }
}
