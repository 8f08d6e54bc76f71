//! Describing the cluster: its id, its controller and its brokers.
//!
//! One DescribeCluster request to any broker; a Metadata request where that is not known.

use std::time::Duration;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse, MetadataRequest, MetadataResponse};

use super::Admin;
use crate::error::{Error, ErrorKind, Result};

/// The cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Its id, where the broker tells it.
    pub cluster_id: Option<String>,
    /// The node that takes admin requests (with KRaft any broker, which passes them on).
    pub controller: Option<i32>,
    /// The brokers that are up, by node id.
    pub brokers: Vec<Broker>,
}

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its node id.
    pub id: i32,
    /// The host that clients reach it by.
    pub host: String,
    /// Its port.
    pub port: i32,
    /// Its rack, if it has one.
    pub rack: Option<String>,
}

impl Admin {
    /// The cluster's id, controller and brokers.
    pub async fn describe_cluster(&self, timeout: Option<Duration>) -> Result<ClusterDescription> {
        let mut attempts = self.start("describeCluster", timeout);
        loop {
            let error = match self.ask_any(&mut attempts, |_| Ok(DescribeClusterRequest::default())).await {
                Ok(response) if response.error_code == 0 => return Ok(from_describe_cluster(response)),
                Ok(DescribeClusterResponse { error_code, error_message, .. }) => {
                    Error::broker_with(ErrorCode(error_code), "DescribeCluster", error_message.as_deref())
                }
                // Brokers before 2.8.
                Err(error) if error.kind() == ErrorKind::Unsupported => {
                    let brokers_only = |version| {
                        let topics = Some(Vec::new());
                        Ok(MetadataRequest { topics, allow_auto_topic_creation: version < 4, ..Default::default() })
                    };
                    return Ok(from_metadata(self.ask_any(&mut attempts, brokers_only).await?));
                }
                Err(error) => return Err(error),
            };
            attempts.pause(&self.client, error).await?;
        }
    }
}

fn from_describe_cluster(response: DescribeClusterResponse) -> ClusterDescription {
    let brokers = response.brokers.into_iter();
    let brokers = brokers.map(|b| Broker { id: b.broker_id, host: b.host, port: b.port, rack: b.rack });
    describe(Some(response.cluster_id), response.controller_id, brokers)
}

fn from_metadata(response: MetadataResponse) -> ClusterDescription {
    let brokers = response.brokers.into_iter();
    let brokers = brokers.map(|b| Broker { id: b.node_id, host: b.host, port: b.port, rack: b.rack });
    describe(response.cluster_id, response.controller_id, brokers)
}

fn describe(cluster_id: Option<String>, controller: i32, brokers: impl Iterator<Item = Broker>) -> ClusterDescription {
    let mut brokers: Vec<Broker> = brokers.collect();
    brokers.sort_unstable_by_key(|broker| broker.id);
    let cluster_id = cluster_id.filter(|id| !id.is_empty());
    ClusterDescription { cluster_id, controller: (controller >= 0).then_some(controller), brokers }
}
