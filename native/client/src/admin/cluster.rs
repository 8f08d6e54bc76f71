//! Describing the cluster: its id, its controller and its brokers.
//!
//! One DescribeCluster request to any broker; a Metadata request where that is not known.

use std::time::Duration;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse, MetadataRequest, MetadataResponse};

use super::Admin;
use super::names::{AclOperation, operations};
use super::since::needs;
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
    /// What this client may do with it, if that was asked for.
    pub authorized_operations: Option<Vec<AclOperation>>,
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
    /// Whether the controller keeps it out: it is not up, or not yet.
    pub fenced: bool,
}

impl Admin {
    /// The cluster's id, controller and brokers; with `fenced` also those that the controller keeps out (KIP-1073).
    pub async fn describe_cluster(
        &self,
        with_operations: bool,
        fenced: bool,
        timeout: Option<Duration>,
    ) -> Result<ClusterDescription> {
        let mut attempts = self.start("describeCluster", timeout);
        let make = |version| {
            needs(fenced, version, 2, "includeFencedBrokers", "4.0")?;
            let include_cluster_authorized_operations = with_operations;
            let include_fenced_brokers = fenced;
            Ok(DescribeClusterRequest {
                include_cluster_authorized_operations,
                include_fenced_brokers,
                ..Default::default()
            })
        };
        loop {
            let error = match self.ask_any(&mut attempts, make).await {
                Ok(response) if response.error_code == 0 => return Ok(from_describe_cluster(response)),
                Ok(DescribeClusterResponse { error_code, error_message, .. }) => {
                    Error::broker_with(ErrorCode(error_code), "DescribeCluster", error_message.as_deref())
                }
                // Brokers before 2.8.
                Err(error) if error.kind() == ErrorKind::Unsupported && !fenced => {
                    let brokers_only = |version| {
                        needs(with_operations, version, 8, "includeAuthorizedOperations", "2.3")?;
                        let topics = Some(Vec::new());
                        Ok(MetadataRequest {
                            topics,
                            allow_auto_topic_creation: version < 4,
                            include_cluster_authorized_operations: with_operations && version <= 10,
                            ..Default::default()
                        })
                    };
                    return Ok(from_metadata(self.ask_any(&mut attempts, brokers_only).await?));
                }
                Err(error) => return Err(error),
            };
            attempts.pause(error).await?;
        }
    }
}

fn from_describe_cluster(response: DescribeClusterResponse) -> ClusterDescription {
    let brokers = response.brokers.into_iter();
    let brokers =
        brokers.map(|b| Broker { id: b.broker_id, host: b.host, port: b.port, rack: b.rack, fenced: b.is_fenced });
    let operations = operations(response.cluster_authorized_operations);
    describe(Some(response.cluster_id), response.controller_id, brokers, operations)
}

fn from_metadata(response: MetadataResponse) -> ClusterDescription {
    let brokers = response.brokers.into_iter();
    let brokers = brokers.map(|b| Broker { id: b.node_id, host: b.host, port: b.port, rack: b.rack, fenced: false });
    let operations = operations(response.cluster_authorized_operations);
    describe(response.cluster_id, response.controller_id, brokers, operations)
}

fn describe(
    cluster_id: Option<String>,
    controller: i32,
    brokers: impl Iterator<Item = Broker>,
    authorized_operations: Option<Vec<AclOperation>>,
) -> ClusterDescription {
    let mut brokers: Vec<Broker> = brokers.collect();
    brokers.sort_unstable_by_key(|broker| broker.id);
    let cluster_id = cluster_id.filter(|id| !id.is_empty());
    ClusterDescription {
        cluster_id,
        controller: (controller >= 0).then_some(controller),
        brokers,
        authorized_operations,
    }
}
