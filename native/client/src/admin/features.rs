//! Features of the cluster (KIP-584), its metadata quorum (KIP-595, KIP-853), and brokers that are gone for good.

use std::time::Duration;

use dohle_protocol::messages::add_raft_voter_request::Listener;
use dohle_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use dohle_protocol::messages::describe_quorum_response::ReplicaState;
use dohle_protocol::messages::update_features_request::FeatureUpdateKey;
use dohle_protocol::messages::{
    AddRaftVoterRequest, AddRaftVoterResponse, ApiVersionsRequest, ApiVersionsResponse, DescribeQuorumRequest,
    DescribeQuorumResponse, RemoveRaftVoterRequest, RemoveRaftVoterResponse, UnregisterBrokerRequest,
    UnregisterBrokerResponse, UpdateFeaturesRequest, UpdateFeaturesResponse,
};
use dohle_protocol::{ErrorCode, Uuid};

use super::Admin;
use super::each::{Route, unanswered, whole};
use super::since::needs;
use crate::error::{Error, Result};

/// The features of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// What is in force, by name.
    pub finalized: Vec<FeatureRange>,
    /// When that was last changed; none if the broker does not tell.
    pub epoch: Option<i64>,
    /// What the broker that was asked could do, by name.
    pub supported: Vec<FeatureRange>,
}

/// The levels of a feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureRange {
    /// Its name, such as `metadata.version`.
    pub name: String,
    /// The lowest.
    pub min: i16,
    /// The highest.
    pub max: i16,
}

/// A change of a feature's level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// Its name.
    pub name: String,
    /// The level; 0 takes it out of force.
    pub level: i16,
    /// In which direction.
    pub upgrade: UpgradeType,
}

/// How a feature's level may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeType {
    /// Only up.
    Upgrade,
    /// Down, if nothing is lost.
    SafeDowngrade,
    /// Down, even if something is lost.
    UnsafeDowngrade,
}

/// The metadata quorum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quorum {
    /// The node that leads it; none while there is none.
    pub leader: Option<i32>,
    /// The leader's epoch.
    pub leader_epoch: i32,
    /// Up to where its log is agreed upon.
    pub high_watermark: i64,
    /// The nodes that vote.
    pub voters: Vec<QuorumReplica>,
    /// The nodes that only read.
    pub observers: Vec<QuorumReplica>,
}

/// A node of the metadata quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumReplica {
    /// Its node id.
    pub id: i32,
    /// The id of its folder; none with brokers older than 3.9.
    pub directory: Option<Uuid>,
    /// The end of its log.
    pub log_end_offset: i64,
    /// When it last fetched, in milliseconds since 1970; none if the broker does not tell.
    pub last_fetch: Option<i64>,
    /// When it last had everything, in milliseconds since 1970; none if the broker does not tell.
    pub last_caught_up: Option<i64>,
}

/// Where a voter listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoterEndpoint {
    /// The listener's name, such as `CONTROLLER`.
    pub name: String,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Admin {
    /// The features in force, and those that the broker could do.
    pub async fn describe_features(&self, timeout: Option<Duration>) -> Result<Features> {
        let make = |version, _| {
            needs(true, version, 3, "features", "2.7")?;
            Ok(ApiVersionsRequest {
                client_software_name: "dohle".to_owned(),
                client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
                ..Default::default()
            })
        };
        let read = |response: ApiVersionsResponse| {
            whole(response.error_code, "describeFeatures", None)?;
            let finalized = response.finalized_features.into_iter();
            let supported = response.supported_features.into_iter();
            let mut features = Features {
                finalized: finalized
                    .map(|of| FeatureRange { name: of.name, min: of.min_version_level, max: of.max_version_level })
                    .collect(),
                epoch: (response.finalized_features_epoch >= 0).then_some(response.finalized_features_epoch),
                supported: supported
                    .map(|of| FeatureRange { name: of.name, min: of.min_version, max: of.max_version })
                    .collect(),
            };
            features.finalized.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            features.supported.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            Ok(features)
        };
        self.one("describeFeatures", Route::Any, timeout, make, read).await
    }

    /// Changes the levels of features, all or none.
    pub async fn update_features(
        &self,
        updates: Vec<FeatureUpdate>,
        validate_only: bool,
        timeout: Option<Duration>,
    ) -> Result<()> {
        let doing = "updateFeatures";
        let make = |version, timeout_ms| {
            needs(validate_only, version, 1, "validateOnly", "3.3")?;
            let unsafely = updates.iter().any(|of| of.upgrade == UpgradeType::UnsafeDowngrade);
            needs(unsafely, version, 1, "an unsafe downgrade", "3.3")?;
            let update = |of: &FeatureUpdate| FeatureUpdateKey {
                feature: of.name.clone(),
                max_version_level: of.level,
                allow_downgrade: version == 0 && of.upgrade != UpgradeType::Upgrade,
                upgrade_type: match of.upgrade {
                    UpgradeType::SafeDowngrade if version > 0 => 2,
                    UpgradeType::UnsafeDowngrade => 3,
                    _ => 1,
                },
                ..Default::default()
            };
            let feature_updates = updates.iter().map(update).collect();
            Ok(UpdateFeaturesRequest { timeout_ms, feature_updates, validate_only, ..Default::default() })
        };
        let read = |response: UpdateFeaturesResponse| {
            whole(response.error_code, doing, response.error_message.as_deref())?;
            let mut results = response.results.iter();
            results.try_for_each(|of| whole(of.error_code, &of.feature, of.error_message.as_deref()))
        };
        self.one(doing, Route::Controller, timeout, make, read).await
    }

    /// The metadata quorum of a cluster with KRaft.
    pub async fn describe_metadata_quorum(&self, timeout: Option<Duration>) -> Result<Quorum> {
        let doing = "describeMetadataQuorum";
        let topic = TopicData {
            topic_name: "__cluster_metadata".to_owned(),
            partitions: vec![PartitionData::default()],
            ..Default::default()
        };
        let request = DescribeQuorumRequest { topics: vec![topic], ..Default::default() };
        let read = |response: DescribeQuorumResponse| {
            whole(response.error_code, doing, response.error_message.as_deref())?;
            let partition = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
            let of = partition.ok_or_else(|| unanswered(doing))?;
            whole(of.error_code, doing, of.error_message.as_deref())?;
            Ok(Quorum {
                leader: (of.leader_id >= 0).then_some(of.leader_id),
                leader_epoch: of.leader_epoch,
                high_watermark: of.high_watermark,
                voters: of.current_voters.into_iter().map(replica).collect(),
                observers: of.observers.into_iter().map(replica).collect(),
            })
        };
        self.one(doing, Route::Any, timeout, |_, _| Ok(request.clone()), read).await
    }

    /// Lets a controller vote in the metadata quorum (KIP-853).
    pub async fn add_raft_voter(
        &self,
        id: i32,
        directory: Uuid,
        endpoints: &[VoterEndpoint],
        timeout: Option<Duration>,
    ) -> Result<()> {
        let doing = "addRaftVoter";
        let make = |_, timeout_ms| {
            let listener = |of: &VoterEndpoint| Listener {
                name: of.name.clone(),
                host: of.host.clone(),
                port: of.port,
                ..Default::default()
            };
            let listeners = endpoints.iter().map(listener).collect();
            Ok(AddRaftVoterRequest {
                // Whichever cluster this client is of.
                cluster_id: None,
                timeout_ms,
                voter_id: id,
                voter_directory_id: directory,
                listeners,
                ..Default::default()
            })
        };
        let read =
            |response: AddRaftVoterResponse| whole(response.error_code, doing, response.error_message.as_deref());
        self.one(doing, Route::Controller, timeout, make, read).await
    }

    /// Takes a controller's vote in the metadata quorum (KIP-853).
    pub async fn remove_raft_voter(&self, id: i32, directory: Uuid, timeout: Option<Duration>) -> Result<()> {
        let doing = "removeRaftVoter";
        let request = RemoveRaftVoterRequest {
            cluster_id: None,
            voter_id: id,
            voter_directory_id: directory,
            ..Default::default()
        };
        let read =
            |response: RemoveRaftVoterResponse| whole(response.error_code, doing, response.error_message.as_deref());
        self.one(doing, Route::Controller, timeout, |_, _| Ok(request.clone()), read).await
    }

    /// Forgets a broker that is gone for good, in a cluster with KRaft.
    pub async fn unregister_broker(&self, id: i32, timeout: Option<Duration>) -> Result<()> {
        let doing = "unregisterBroker";
        let request = UnregisterBrokerRequest { broker_id: id, ..Default::default() };
        let read = |response: UnregisterBrokerResponse| match ErrorCode(response.error_code) {
            ErrorCode::NONE => Ok(()),
            code => Err(Error::broker_with(code, doing, response.error_message.as_deref())),
        };
        self.one(doing, Route::Controller, timeout, |_, _| Ok(request.clone()), read).await
    }
}

fn replica(of: ReplicaState) -> QuorumReplica {
    QuorumReplica {
        id: of.replica_id,
        directory: Some(of.replica_directory_id).filter(|id| !id.is_zero()),
        log_end_offset: of.log_end_offset,
        last_fetch: (of.last_fetch_timestamp >= 0).then_some(of.last_fetch_timestamp),
        last_caught_up: (of.last_caught_up_timestamp >= 0).then_some(of.last_caught_up_timestamp),
    }
}
