//! Partitions: more of them, fewer records, offsets by time, elections.

use dohle_client::admin as engine;
use dohle_client::consumer::TopicPartition as EnginePartition;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{ItemError, all, told};
use crate::cold::consumer::TopicPartition;
use crate::cold::values::Int64;

part! {
    /// More partitions for a topic.
    NewPartitions {
        /// The topic's name.
        topic: String,
        /// How many it has then.
        #[schemars(range(min = 1))]
        count: i32,
        /// For each new partition the nodes that hold it, the preferred leader first.
        ///
        /// Default: the broker chooses.
        assignments: Option<Vec<Vec<i32>>>,
    }
}

part! {
    /// Records to delete.
    RecordsBefore {
        /// The topic's name.
        topic: String,
        /// The partition's number, from 0.
        #[schemars(range(min = 0))]
        partition: i32,
        /// All records before this offset go.
        ///
        /// Default: all that are there.
        before_offset: Option<Int64>,
    }
}

response! {
    /// A partition whose first records were deleted.
    DeletedRecords {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: i32,
        /// The first offset that is left.
        low_watermark: Int64,
    }
}

/// Which offset of a partition.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind", deny_unknown_fields)]
pub enum OffsetSpec {
    /// The first there is.
    Earliest,
    /// The next to be written; with `readCommitted` the last stable one.
    Latest,
    /// The first whose timestamp is this or later.
    Timestamp {
        /// Milliseconds since 1970.
        timestamp: Int64,
    },
    /// That of the record with the largest timestamp (KIP-734; Kafka 3.0 or newer).
    MaxTimestamp,
    /// The first on the leader's own disk (KIP-405; Kafka 3.4 or newer).
    EarliestLocal,
    /// The last in remote storage (KIP-1005; Kafka 3.9 or newer).
    LatestTiered,
}

part! {
    /// An offset to look up.
    OffsetOf {
        /// The topic's name.
        topic: String,
        /// The partition's number, from 0.
        #[schemars(range(min = 0))]
        partition: i32,
        /// Which one.
        offset: OffsetSpec,
    }
}

response! {
    /// An offset that was looked up.
    ListedOffset {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: i32,
        /// The offset; none if no record is like that, or with an error.
        offset: Option<Int64>,
        /// The record's timestamp in milliseconds since 1970, where one was looked for.
        timestamp: Option<Int64>,
        /// The epoch of the leader that wrote it; none if the broker does not tell.
        leader_epoch: Option<i32>,
        /// Why there is none for this partition.
        error: Option<ItemError>,
    }
}

/// Which leader is elected.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ElectionType {
    /// The first of the replicas, if it is in sync.
    Preferred,
    /// One that is not in sync if no other is there: records may be lost.
    Unclean,
}

response! {
    /// A partition whose leader was to be elected.
    ElectedLeader {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: i32,
        /// Whether it has a new leader; false: it had the right one.
        elected: bool,
    }
}

pub(super) fn partitions(of: &[TopicPartition]) -> Vec<EnginePartition> {
    of.iter().map(EnginePartition::from).collect()
}

operation! {
    /// Adds partitions to topics (KIP-195). Keys go to other partitions from then on. When some topics cannot be changed the
    /// others are, and the call fails.
    CreatePartitions "admin.createPartitions" -> () {
        /// The topics.
        topics: Vec<NewPartitions>,
        /// Only check whether they could be added.
        ///
        /// Default: false.
        validate_only: Option<bool>,
    }
    |request, admin, timeout| {
        let more = |of: NewPartitions| engine::MorePartitions {
            topic: of.topic,
            count: of.count,
            assignments: of.assignments.unwrap_or_default(),
        };
        let topics = request.topics.into_iter().map(more).collect();
        let items = admin.create_partitions(topics, request.validate_only.unwrap_or(false), timeout).await?;
        all("createPartitions", items)?;
        Ok(())
    }
}

operation! {
    /// Deletes the first records of partitions (KIP-107). When some cannot be deleted the others are, and the call fails.
    DeleteRecords "admin.deleteRecords" -> Vec<DeletedRecords> {
        /// The partitions.
        partitions: Vec<RecordsBefore>,
    }
    |request, admin, timeout| {
        let before = |of: RecordsBefore| {
            let offset = of.before_offset.map_or(-1, |offset| offset.0);
            (EnginePartition::new(of.topic, of.partition), offset)
        };
        let items = admin.delete_records(request.partitions.into_iter().map(before).collect(), timeout).await?;
        let deleted = |(of, low): (EnginePartition, i64)| DeletedRecords {
            topic: of.topic.to_string(),
            partition: of.partition,
            low_watermark: Int64(low),
        };
        Ok(all("deleteRecords", items)?.into_iter().map(deleted).collect())
    }
}

operation! {
    /// Looks up offsets of partitions (KIP-396), asking their leaders. A partition that cannot be looked up has an `error`, the
    /// others are told.
    ListOffsets "admin.listOffsets" -> Vec<ListedOffset> {
        /// The partitions, with the offset wanted of each.
        partitions: Vec<OffsetOf>,
        /// Records of open transactions are not there yet.
        ///
        /// Default: false.
        read_committed: Option<bool>,
    }
    |request, admin, timeout| {
        let spec = |of: OffsetOf| {
            let spec = match of.offset {
                OffsetSpec::Earliest => engine::OffsetSpec::Earliest,
                OffsetSpec::Latest => engine::OffsetSpec::Latest,
                OffsetSpec::Timestamp { timestamp } => engine::OffsetSpec::Timestamp(timestamp.0.max(0)),
                OffsetSpec::MaxTimestamp => engine::OffsetSpec::MaxTimestamp,
                OffsetSpec::EarliestLocal => engine::OffsetSpec::EarliestLocal,
                OffsetSpec::LatestTiered => engine::OffsetSpec::LatestTiered,
            };
            (EnginePartition::new(of.topic, of.partition), spec)
        };
        let specs = request.partitions.into_iter().map(spec).collect();
        let items = admin.list_offsets(specs, request.read_committed.unwrap_or(false), timeout).await?;
        let listed = |item: engine::Item<engine::OffsetInfo, EnginePartition>| {
            let (info, error) = told(item.result);
            ListedOffset {
                topic: item.name.topic.to_string(),
                partition: item.name.partition,
                offset: info.and_then(|info| info.offset).map(Int64),
                timestamp: info.and_then(|info| info.timestamp).map(Int64),
                leader_epoch: info.and_then(|info| info.leader_epoch),
                error,
            }
        };
        Ok(items.into_iter().map(listed).collect())
    }
}

operation! {
    /// Elects leaders of partitions (KIP-183, KIP-460). When some cannot be elected the others are, and the call fails. Without
    /// `partitions` only those that have a new leader are told.
    ElectLeaders "admin.electLeaders" -> Vec<ElectedLeader> {
        /// Which leader; `unclean` may lose records and needs Kafka 2.4 or newer.
        election: ElectionType,
        /// The partitions.
        ///
        /// Default: all that need an election.
        partitions: Option<Vec<TopicPartition>>,
    }
    |request, admin, timeout| {
        let election = match request.election {
            ElectionType::Preferred => engine::ElectionType::Preferred,
            ElectionType::Unclean => engine::ElectionType::Unclean,
        };
        let of = request.partitions.as_deref().map(partitions);
        let items = admin.elect_leaders(election, of, timeout).await?;
        let elected = |(of, elected): (EnginePartition, bool)| ElectedLeader {
            topic: of.topic.to_string(),
            partition: of.partition,
            elected,
        };
        Ok(all("electLeaders", items)?.into_iter().map(elected).collect())
    }
}
