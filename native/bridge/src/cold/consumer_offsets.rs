//! Operations on a consumer's offsets: committing them and looking them up.

use dohle_client::consumer as engine;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Operation;
use super::consumer::{Consumer, PartitionStart, TopicPartition, engine_partitions};
use super::values::Int64;
use crate::failure::Failure;

/// A place to commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartitionOffset {
    /// The topic's name.
    pub topic: String,
    /// The partition's number, from 0.
    #[schemars(range(min = 0))]
    pub partition: i32,
    /// Offset of the next record to read: one more than that of the last finished one.
    pub offset: Int64,
    /// Leader epoch of the record before, if it is known.
    #[schemars(range(min = 0))]
    pub leader_epoch: Option<i32>,
    /// The application's own text.
    pub metadata: Option<String>,
}

impl PartitionOffset {
    pub(crate) fn place(self) -> (engine::TopicPartition, engine::CommittedOffset) {
        let committed = engine::CommittedOffset {
            offset: self.offset.0,
            leader_epoch: self.leader_epoch.unwrap_or(-1),
            metadata: self.metadata.unwrap_or_default(),
        };
        (engine::TopicPartition::new(self.topic, self.partition), committed)
    }
}

/// A partition and an offset in it, if there is one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FoundOffset {
    /// The topic's name.
    pub topic: String,
    /// The partition's number, from 0.
    pub partition: i32,
    /// The offset; none: there is none.
    pub offset: Option<Int64>,
    /// Leader epoch of the record before, if it is known.
    pub leader_epoch: Option<i32>,
    /// The application's own text, if the offset was committed with one.
    pub metadata: Option<String>,
}

/// What the group has committed.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConsumerCommitted")]
pub struct Committed {
    /// Which partitions are asked for.
    pub partitions: Vec<TopicPartition>,
}

impl Operation for Committed {
    const NAME: &'static str = "consumer.committed";
    type Target = Consumer;
    type Response = Vec<FoundOffset>;

    async fn run(self, target: Consumer) -> Result<Vec<FoundOffset>, Failure> {
        let committed = target.consumer.committed(engine_partitions(&self.partitions)).await?;
        let found = |(partition, found): &(engine::TopicPartition, Option<engine::CommittedOffset>)| FoundOffset {
            topic: partition.topic.to_string(),
            partition: partition.partition,
            offset: found.as_ref().map(|found| Int64(found.offset)),
            leader_epoch: found.as_ref().map(|found| found.leader_epoch).filter(|epoch| *epoch >= 0),
            metadata: found.as_ref().map(|found| found.metadata.clone()).filter(|text| !text.is_empty()),
        };
        Ok(committed.iter().map(found).collect())
    }
}

/// Commits offsets, or what is finished everywhere; completes when the coordinator has it.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConsumerCommit")]
pub struct Commit {
    /// The offsets; none: everything that is finished.
    pub offsets: Option<Vec<PartitionOffset>>,
}

impl Operation for Commit {
    const NAME: &'static str = "consumer.commit";
    type Target = Consumer;
    type Response = ();

    async fn run(self, target: Consumer) -> Result<(), Failure> {
        let offsets = self.offsets.map(|offsets| offsets.into_iter().map(PartitionOffset::place).collect());
        Ok(target.consumer.commit(offsets).await?)
    }
}

/// Offsets of partitions, assigned or not, at certain places; none where no record is at or after a timestamp.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConsumerOffsetsAt")]
pub struct OffsetsAt {
    /// Places: earliest, latest or a timestamp.
    pub places: Vec<PartitionStart>,
}

impl Operation for OffsetsAt {
    const NAME: &'static str = "consumer.offsetsAt";
    type Target = Consumer;
    type Response = Vec<FoundOffset>;

    async fn run(self, target: Consumer) -> Result<Vec<FoundOffset>, Failure> {
        let asked = self.places.iter().map(|place| (place.partition(), (&place.start).into())).collect();
        let found = target.consumer.offsets_at(asked).await?;
        let offset = |(partition, offset): &(engine::TopicPartition, Option<i64>)| FoundOffset {
            topic: partition.topic.to_string(),
            partition: partition.partition,
            offset: offset.map(Int64),
            leader_epoch: None,
            metadata: None,
        };
        Ok(found.iter().map(offset).collect())
    }
}
