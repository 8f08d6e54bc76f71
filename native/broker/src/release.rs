//! The releases of Kafka that a broker may pass for: which APIs each has, up to which version, and which features.
//! The maxima of the table are those of `ApiKeys` in the `kafka-clients` jars 2.1.1, 2.8.2 and 3.9.1, those of 4.3 stand with
//! each API. The minima are ours in every release: older requests than 4.3's oldest are not served.
//!
//! What differs beyond that follows from the versions: topic ids (Metadata 10, 2.8; Fetch 13, 3.1), flexible encodings (2.4),
//! transactions v2 (InitProducerId 5 comes with 3.8, the feature with 4.0). Records are of format 2 in all of them.

use std::{fmt, str::FromStr};

use dohle_protocol::ApiKey;

/// A release of Kafka.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Release {
    /// 2.1, of November 2018: the oldest one that current clients support. Nothing is flexible.
    V2_1,
    /// 2.8, of April 2021, with ZooKeeper: topic ids in Metadata, no features.
    V2_8,
    /// 3.9, of November 2024: the last one before KIP-848 and transactions v2.
    V3_9,
    /// 4.3, of 2026: all that this broker has.
    #[default]
    V4_3,
}

/// A text that is none of the releases.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}: the releases are 2.1, 2.8, 3.9 and 4.3")]
pub struct UnknownRelease(String);

impl Release {
    const ALL: [Self; 4] = [Self::V2_1, Self::V2_8, Self::V3_9, Self::V4_3];

    /// Its number, as in `2.8`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V2_1 => "2.1",
            Self::V2_8 => "2.8",
            Self::V3_9 => "3.9",
            Self::V4_3 => "4.3",
        }
    }

    /// The versions of an API that this release tells, of those told by 4.3; none: it has no such API.
    pub(crate) fn versions(self, key: ApiKey, (min, newest): (i16, i16)) -> Option<(i16, i16)> {
        let known =
            |column: usize| MAXIMA.iter().find(|(of, _)| *of == key.0).map_or(NONE, |(_, maxima)| maxima[column]);
        let max = match self {
            Self::V2_1 => known(0),
            Self::V2_8 => known(1),
            Self::V3_9 => known(2),
            Self::V4_3 => newest,
        };
        (min <= max).then_some((min, max.min(newest)))
    }

    /// Lowest and highest level of `metadata.version`; the highest is finalised. None before KRaft.
    pub(crate) fn metadata_version(self) -> Option<(i16, i16)> {
        match self {
            Self::V2_1 | Self::V2_8 => None,
            // From 3.0-IV1 to 3.9-IV0.
            Self::V3_9 => Some((1, 21)),
            // From 3.3-IV3 to 4.3-IV0.
            Self::V4_3 => Some((7, 30)),
        }
    }

    /// Whether groups of KIP-848 are there: 3.9 has their APIs, and refuses their requests.
    pub(crate) fn has_consumer_groups(self) -> bool {
        self >= Self::V4_3
    }

    /// Whether transactions may be of version 2 (KIP-890).
    pub(crate) fn has_transactions_v2(self) -> bool {
        self >= Self::V4_3
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Release {
    type Err = UnknownRelease;

    fn from_str(text: &str) -> Result<Self, UnknownRelease> {
        Self::ALL.into_iter().find(|release| release.name() == text).ok_or_else(|| UnknownRelease(text.into()))
    }
}

/// The release has no such API.
const NONE: i16 = -1;

/// By API: the newest version in 2.1, 2.8 and 3.9.
const MAXIMA: &[(i16, [i16; 3])] = &[
    (0, [7, 9, 11]),       // Produce
    (1, [10, 12, 17]),     // Fetch
    (2, [4, 6, 9]),        // ListOffsets
    (3, [7, 11, 12]),      // Metadata
    (8, [6, 8, 9]),        // OffsetCommit
    (9, [5, 7, 9]),        // OffsetFetch
    (10, [2, 3, 6]),       // FindCoordinator
    (11, [3, 7, 9]),       // JoinGroup
    (12, [2, 4, 4]),       // Heartbeat
    (13, [2, 4, 5]),       // LeaveGroup
    (14, [2, 5, 5]),       // SyncGroup
    (15, [2, 5, 5]),       // DescribeGroups
    (16, [2, 4, 5]),       // ListGroups
    (17, [1, 1, 1]),       // SaslHandshake
    (18, [2, 3, 4]),       // ApiVersions
    (19, [3, 7, 7]),       // CreateTopics
    (20, [3, 6, 6]),       // DeleteTopics
    (21, [1, 2, 2]),       // DeleteRecords
    (22, [1, 4, 5]),       // InitProducerId
    (23, [2, 4, 4]),       // OffsetForLeaderEpoch
    (24, [1, 3, 5]),       // AddPartitionsToTxn
    (25, [1, 3, 4]),       // AddOffsetsToTxn
    (26, [1, 3, 4]),       // EndTxn
    (27, [0, 1, 1]),       // WriteTxnMarkers
    (28, [2, 3, 4]),       // TxnOffsetCommit
    (29, [1, 2, 3]),       // DescribeAcls
    (30, [1, 2, 3]),       // CreateAcls
    (31, [1, 2, 3]),       // DeleteAcls
    (32, [2, 4, 4]),       // DescribeConfigs
    (33, [1, 2, 2]),       // AlterConfigs
    (34, [1, 2, 2]),       // AlterReplicaLogDirs
    (35, [1, 2, 4]),       // DescribeLogDirs
    (36, [0, 2, 2]),       // SaslAuthenticate
    (37, [1, 3, 3]),       // CreatePartitions
    (38, [1, 2, 3]),       // CreateDelegationToken
    (39, [1, 2, 2]),       // RenewDelegationToken
    (40, [1, 2, 2]),       // ExpireDelegationToken
    (41, [1, 2, 3]),       // DescribeDelegationToken
    (42, [1, 2, 2]),       // DeleteGroups
    (43, [NONE, 2, 2]),    // ElectLeaders
    (44, [NONE, 1, 1]),    // IncrementalAlterConfigs
    (45, [NONE, 0, 0]),    // AlterPartitionReassignments
    (46, [NONE, 0, 0]),    // ListPartitionReassignments
    (47, [NONE, 0, 0]),    // OffsetDelete
    (48, [NONE, 1, 1]),    // DescribeClientQuotas
    (49, [NONE, 1, 1]),    // AlterClientQuotas
    (50, [NONE, 0, 0]),    // DescribeUserScramCredentials
    (51, [NONE, 0, 0]),    // AlterUserScramCredentials
    (55, [NONE, NONE, 2]), // DescribeQuorum
    (57, [NONE, 0, 1]),    // UpdateFeatures
    (60, [NONE, 0, 1]),    // DescribeCluster
    (61, [NONE, 0, 0]),    // DescribeProducers
    (64, [NONE, NONE, 0]), // UnregisterBroker
    (65, [NONE, NONE, 0]), // DescribeTransactions
    (66, [NONE, NONE, 1]), // ListTransactions
    (68, [NONE, NONE, 0]), // ConsumerGroupHeartbeat
    (69, [NONE, NONE, 0]), // ConsumerGroupDescribe
    (71, [NONE, NONE, 0]), // GetTelemetrySubscriptions
    (72, [NONE, NONE, 0]), // PushTelemetry
    (74, [NONE, NONE, 0]), // ListClientMetricsResources
    (75, [NONE, NONE, 0]), // DescribeTopicPartitions
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_has_the_apis_of_its_time() {
        let metadata = |release: Release| release.versions(ApiKey(3), (0, 13));
        assert_eq!(Release::ALL.map(metadata), [Some((0, 7)), Some((0, 11)), Some((0, 12)), Some((0, 13))]);
        assert_eq!(Release::V2_8.versions(ApiKey(75), (0, 0)), None, "DescribeTopicPartitions");
        assert_eq!(Release::V2_1.versions(ApiKey(27), (1, 2)), None, "WriteTxnMarkers 0 is not served");
        assert_eq!(Release::V4_3.versions(ApiKey(999), (0, 1)), Some((0, 1)));
        assert!(MAXIMA.is_sorted_by_key(|(key, _)| *key));
    }

    #[test]
    fn a_release_is_known_by_its_number() {
        assert!(Release::ALL.iter().all(|release| release.name().parse() == Ok(*release)));
        assert_eq!("2.0".parse::<Release>().unwrap_err().to_string(), "2.0: the releases are 2.1, 2.8, 3.9 and 4.3");
    }
}
