//! DescribeCluster (key 60): the nodes that are alive and the cluster's id.
//!
//! Behaviour: the controllers' endpoints (type 2) are not served here, as Kafka's brokers do not serve them.
//! Versions: 0 flexible · 1 endpoint type · 2 fenced brokers.

use dohle_protocol::{
    ErrorCode,
    messages::{DescribeClusterRequest, DescribeClusterResponse, describe_cluster_response::DescribeClusterBroker},
};

use super::{Api, Call, Reply, metadata};
use crate::cluster::Told;

pub(super) struct DescribeCluster;

impl Api for DescribeCluster {
    type Request = DescribeClusterRequest;
    const VERSIONS: (i16, i16) = (0, 2);

    async fn handle(call: &Call, request: DescribeClusterRequest) -> Reply<Self> {
        if request.endpoint_type != 1 {
            return Reply::With(Self::refuse(&request, ErrorCode::MISMATCHED_ENDPOINT_TYPE));
        }
        let node = &call.node;
        let broker = |Told { id, host, port, rack }| DescribeClusterBroker {
            broker_id: id,
            host,
            port,
            rack,
            ..Default::default()
        };
        let mut response = DescribeClusterResponse {
            cluster_id: node.cluster_id().into(),
            controller_id: node.cluster.controller(),
            brokers: node.told(call.session.local).into_iter().map(broker).collect(),
            ..Default::default()
        };
        if request.include_cluster_authorized_operations {
            response.cluster_authorized_operations = metadata::cluster_operations(call);
        }
        Reply::With(response)
    }

    fn refuse(request: &DescribeClusterRequest, code: ErrorCode) -> DescribeClusterResponse {
        DescribeClusterResponse {
            error_code: code.0,
            error_message: Some(code.text().into()),
            endpoint_type: request.endpoint_type,
            ..Default::default()
        }
    }
}
