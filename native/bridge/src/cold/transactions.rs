//! Operations of transactions: on the producer that has them, and on a consumer whose offsets they commit.

use std::sync::Arc;

use dohle_client::consumer as engine;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::consumer::{Consumer, GroupIdentity};
use super::consumer_offsets::PartitionOffset;
use super::values::Int64;
use super::{Immediate, Operation};
use crate::failure::Failure;
use crate::producer::ProducerResource;

macro_rules! of_transaction {
    ($(#[$doc:meta])* $name:ident, $operation:literal, $rename:literal, $call:ident) => {
        $(#[$doc])*
        #[derive(Deserialize, JsonSchema)]
        #[schemars(rename = $rename)]
        pub struct $name {}

        impl Operation for $name {
            const NAME: &'static str = $operation;
            type Target = Arc<ProducerResource>;
            type Response = ();

            async fn run(self, target: Self::Target) -> Result<(), Failure> {
                Ok(target.producer.$call().await?)
            }
        }
    };
}

of_transaction! {
    /// Opens a transaction; waits at most `max.block.ms`.
    Begin, "producer.beginTransaction", "ProducerBeginTransaction", begin_transaction
}

of_transaction! {
    /// Sends what was appended and commits the transaction, or aborts it if anything of it has failed.
    Commit, "producer.commitTransaction", "ProducerCommitTransaction", commit_transaction
}

of_transaction! {
    /// Aborts the transaction.
    Abort, "producer.abortTransaction", "ProducerAbortTransaction", abort_transaction
}

/// Commits offsets of a consumer's group within the transaction.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ProducerCommitOffsets")]
pub struct CommitOffsets {
    /// The offsets.
    pub offsets: Vec<PartitionOffset>,
    /// As whom.
    pub group: GroupIdentity,
    /// Whose offsets they are, if that is a consumer here: then they are committed with its new epoch when it has one.
    pub member: Option<OwningMember>,
}

/// A consumer whose offsets a transaction commits.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct OwningMember {
    /// Its handle.
    pub consumer: u32,
    /// Since which of its epochs it has each partition, in the order of the offsets.
    pub owned: Vec<u32>,
}

impl Operation for CommitOffsets {
    const NAME: &'static str = "producer.commitOffsets";
    type Target = Arc<ProducerResource>;
    type Response = ();

    async fn run(self, target: Self::Target) -> Result<(), Failure> {
        let offsets = self.offsets.into_iter().map(PartitionOffset::place).collect();
        let group = self.group.into();
        // A consumer that is closed is in no group any more.
        match self.member.and_then(|member| Some((target.consumer(member.consumer)?, member.owned))) {
            Some((consumer, owned)) => {
                let given = engine::TransactionOffsets { offsets, group, owned };
                Ok(target.producer.commit_offsets_of(&consumer.consumer, given).await?)
            }
            None => Ok(target.producer.commit_offsets(offsets, group).await?),
        }
    }
}

/// A record up to which its partition is done.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FinishedRecord {
    /// The topic's name.
    pub topic: String,
    /// The partition's number, from 0.
    #[schemars(range(min = 0))]
    pub partition: i32,
    /// Its offset; one more is committed.
    pub offset: Int64,
    /// Its leader epoch, if it is known.
    #[schemars(range(min = 0))]
    pub leader_epoch: Option<i32>,
    /// The epoch of the chunk that it came in.
    pub chunk_epoch: u32,
}

/// Offsets to be committed by a transaction, and as whom.
#[derive(Serialize, JsonSchema)]
pub struct OffsetsOfGroup {
    /// The offsets.
    pub offsets: Vec<PartitionOffset>,
    /// As whom.
    pub group: GroupIdentity,
    /// Since which of the consumer's epochs it has each partition.
    pub owned: Vec<u32>,
}

/// What a transaction has to commit for a consumer.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConsumerTransactionOffsets")]
pub struct TransactionOffsets {
    /// After these records; none: what is finished everywhere.
    pub after: Option<Vec<FinishedRecord>>,
}

impl Immediate for TransactionOffsets {
    const NAME: &'static str = "consumer.transactionOffsets";
    type Target = Consumer;
    type Response = OffsetsOfGroup;

    fn run(self, target: Consumer) -> Result<OffsetsOfGroup, Failure> {
        let record = |of: FinishedRecord| engine::FinishedRecord {
            partition: engine::TopicPartition::new(of.topic, of.partition),
            offset: of.offset.0,
            leader_epoch: of.leader_epoch.unwrap_or(-1),
            chunk_epoch: of.chunk_epoch,
        };
        let after: Option<Vec<_>> = self.after.map(|records| records.into_iter().map(record).collect());
        let engine::TransactionOffsets { offsets, group, owned } =
            target.consumer.transaction_offsets(after.as_deref())?;
        let offset = |(tp, at): (engine::TopicPartition, engine::CommittedOffset)| PartitionOffset {
            topic: tp.topic.to_string(),
            partition: tp.partition,
            offset: Int64(at.offset),
            leader_epoch: (at.leader_epoch >= 0).then_some(at.leader_epoch),
            metadata: None,
        };
        Ok(OffsetsOfGroup { offsets: offsets.into_iter().map(offset).collect(), group: group.into(), owned })
    }
}

/// A transaction has committed offsets of a consumer.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConsumerOffsetsCommitted")]
pub struct OffsetsCommitted {
    /// The offsets.
    pub offsets: Vec<PartitionOffset>,
}

impl Immediate for OffsetsCommitted {
    const NAME: &'static str = "consumer.offsetsCommitted";
    type Target = Consumer;
    type Response = ();

    fn run(self, target: Consumer) -> Result<(), Failure> {
        let offsets: Vec<_> = self.offsets.into_iter().map(PartitionOffset::place).collect();
        target.consumer.offsets_committed(&offsets);
        Ok(())
    }
}

/// Goes back to what the group has committed. Nothing from before is delivered when it has returned.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConsumerRewind")]
pub struct Rewind {}

impl Immediate for Rewind {
    const NAME: &'static str = "consumer.rewind";
    type Target = Consumer;
    type Response = ();

    fn run(self, target: Consumer) -> Result<(), Failure> {
        Ok(target.consumer.rewind()?)
    }
}
