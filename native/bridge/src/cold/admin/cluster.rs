//! The cluster: its brokers, features and metadata quorum.

use dohle_client::admin as engine;
use dohle_client::admin::AclOperation;
use dohle_protocol::Uuid;
use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::Wire;
use crate::cold::values::{Int64, Open};
use crate::failure::Failure;

response! {
    /// The cluster.
    ClusterDescription from engine::ClusterDescription {
        /// Its id, where the broker tells it.
        cluster_id: Option<String>,
        /// The node that takes admin requests; with KRaft any broker, which passes them on.
        controller: Option<i32>,
        /// The brokers that are up, by node id.
        brokers: Vec<BrokerDescription>,
        /// What this client may do with it, if that was asked for.
        authorized_operations: Option<Vec<Open<AclOperation>>>,
    }
}

response! {
    /// A broker of the cluster.
    BrokerDescription from engine::Broker {
        /// Its node id.
        id: i32,
        /// The host that clients reach it by.
        host: String,
        /// Its port.
        port: i32,
        /// Its rack, if it has one.
        rack: Option<String>,
        /// Whether the controller keeps it out: it is not up, or not yet. Never without `includeFencedBrokers`.
        fenced: bool,
    }
}

operation! {
    /// Describes the cluster: its id, its controller and its brokers.
    DescribeCluster "admin.describeCluster" -> ClusterDescription {
        /// What this client may do with the cluster (KIP-430); from Kafka 2.3 on.
        ///
        /// Default: false.
        include_authorized_operations: Option<bool>,
        /// Brokers that the controller keeps out too (KIP-1073); from Kafka 4.0 on.
        ///
        /// Default: false.
        include_fenced_brokers: Option<bool>,
    }
    |request, admin, timeout| {
        let operations = request.include_authorized_operations.unwrap_or(false);
        let fenced = request.include_fenced_brokers.unwrap_or(false);
        Ok(Wire::wire(admin.describe_cluster(operations, fenced, timeout).await?))
    }
}

response! {
    /// The features of a cluster.
    Features from engine::Features {
        /// What is in force, by name.
        finalized: Vec<FeatureRange>,
        /// When that was last changed; none if the broker does not tell.
        epoch: Option<Int64>,
        /// What the broker that was asked could do, by name.
        supported: Vec<FeatureRange>,
    }
}

response! {
    /// The levels of a feature.
    FeatureRange from engine::FeatureRange {
        /// Its name, such as `metadata.version`.
        name: String,
        /// The lowest.
        min: i16,
        /// The highest.
        max: i16,
    }
}

/// How a feature's level may change.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum UpgradeType {
    /// Only up.
    Upgrade,
    /// Down, if nothing is lost.
    SafeDowngrade,
    /// Down, even if something is lost.
    UnsafeDowngrade,
}

part! {
    /// A change of a feature's level.
    FeatureUpdate {
        /// Its name, such as `transaction.version`.
        name: String,
        /// The level; 0 takes it out of force.
        level: i16,
        /// In which direction.
        ///
        /// Default: `upgrade`.
        upgrade: Option<UpgradeType>,
    }
}

operation! {
    /// The features in force, and those that the broker could do (KIP-584; Kafka 2.7 or newer).
    DescribeFeatures "admin.describeFeatures" -> Features {}
    |_request, admin, timeout| {
        Ok(Wire::wire(admin.describe_features(timeout).await?))
    }
}

operation! {
    /// Changes the levels of features (KIP-584, KIP-778; Kafka 2.7 or newer): all or none.
    UpdateFeatures "admin.updateFeatures" -> () {
        /// The changes.
        updates: Vec<FeatureUpdate>,
        /// Only check whether they could be made; from Kafka 3.3 on.
        ///
        /// Default: false.
        validate_only: Option<bool>,
    }
    |request, admin, timeout| {
        let update = |of: FeatureUpdate| engine::FeatureUpdate {
            name: of.name,
            level: of.level,
            upgrade: match of.upgrade.unwrap_or(UpgradeType::Upgrade) {
                UpgradeType::Upgrade => engine::UpgradeType::Upgrade,
                UpgradeType::SafeDowngrade => engine::UpgradeType::SafeDowngrade,
                UpgradeType::UnsafeDowngrade => engine::UpgradeType::UnsafeDowngrade,
            },
        };
        let updates = request.updates.into_iter().map(update).collect();
        Ok(admin.update_features(updates, request.validate_only.unwrap_or(false), timeout).await?)
    }
}

response! {
    /// The metadata quorum.
    Quorum from engine::Quorum {
        /// The node that leads it; none while there is none.
        leader: Option<i32>,
        /// The leader's epoch.
        leader_epoch: i32,
        /// Up to where its log is agreed upon.
        high_watermark: Int64,
        /// The nodes that vote.
        voters: Vec<QuorumReplica>,
        /// The nodes that only read.
        observers: Vec<QuorumReplica>,
    }
}

response! {
    /// A node of the metadata quorum.
    QuorumReplica from engine::QuorumReplica {
        /// Its node id.
        id: i32,
        /// The id of its folder; none with brokers older than 3.9.
        directory: Option<String>,
        /// The end of its log.
        log_end_offset: Int64,
        /// When it last fetched, in milliseconds since 1970; none if the broker does not tell.
        last_fetch: Option<Int64>,
        /// When it last had everything, in milliseconds since 1970; none if the broker does not tell.
        last_caught_up: Option<Int64>,
    }
}

part! {
    /// Where a voter listens.
    VoterEndpoint {
        /// The listener's name, such as `CONTROLLER`.
        name: String,
        /// Its host.
        host: String,
        /// Its port.
        port: u16,
    }
}

part! {
    /// A voter of the metadata quorum.
    RaftVoter {
        /// Its node id.
        #[schemars(range(min = 0))]
        id: i32,
        /// The id of its folder, as `describeMetadataQuorum` tells it.
        directory: String,
    }
}

fn directory(text: &str) -> Result<Uuid, Failure> {
    text.parse().map_err(|_| Failure::argument("voter.directory", "is not an id of Kafka's"))
}

operation! {
    /// The metadata quorum of a cluster with KRaft (KIP-595, KIP-836; Kafka 3.3 or newer).
    DescribeMetadataQuorum "admin.describeMetadataQuorum" -> Quorum {}
    |_request, admin, timeout| {
        Ok(Wire::wire(admin.describe_metadata_quorum(timeout).await?))
    }
}

operation! {
    /// Lets a controller vote in the metadata quorum (KIP-853; Kafka 3.9 or newer, with a quorum that can change).
    AddRaftVoter "admin.addRaftVoter" -> () {
        /// The controller.
        voter: RaftVoter,
        /// Where it listens.
        endpoints: Vec<VoterEndpoint>,
    }
    |request, admin, timeout| {
        let endpoint =
            |of: VoterEndpoint| engine::VoterEndpoint { name: of.name, host: of.host, port: of.port };
        let endpoints: Vec<_> = request.endpoints.into_iter().map(endpoint).collect();
        let directory = directory(&request.voter.directory)?;
        Ok(admin.add_raft_voter(request.voter.id, directory, &endpoints, timeout).await?)
    }
}

operation! {
    /// Takes a controller's vote in the metadata quorum (KIP-853; Kafka 3.9 or newer, with a quorum that can change).
    RemoveRaftVoter "admin.removeRaftVoter" -> () {
        /// The controller.
        voter: RaftVoter,
    }
    |request, admin, timeout| {
        let directory = directory(&request.voter.directory)?;
        Ok(admin.remove_raft_voter(request.voter.id, directory, timeout).await?)
    }
}

operation! {
    /// Forgets a broker that is gone for good, in a cluster with KRaft (KIP-631; Kafka 2.8 or newer).
    UnregisterBroker "admin.unregisterBroker" -> () {
        /// Its node id.
        broker: i32,
    }
    |request, admin, timeout| {
        Ok(admin.unregister_broker(request.broker, timeout).await?)
    }
}
