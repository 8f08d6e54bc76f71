//! Operations on a consumer that are not hot.

use std::sync::Arc;
use std::time::Duration;

use dohle_client::consumer as engine;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::Int64;
use super::{Immediate, Operation, Target};
use crate::consumer::ConsumerResource;
use crate::environment::Resource;
use crate::failure::Failure;

pub(crate) type Consumer = Arc<ConsumerResource>;

impl Target for Consumer {
    const NAME: &'static str = "consumer";

    fn of(resource: &Resource) -> Option<Self> {
        match resource {
            Resource::Consumer(consumer) => Some(consumer.clone()),
            _ => None,
        }
    }
}

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: String,
    /// The partition's number, from 0.
    #[schemars(range(min = 0))]
    pub partition: i32,
}

impl From<&TopicPartition> for engine::TopicPartition {
    fn from(of: &TopicPartition) -> Self {
        engine::TopicPartition::new(of.topic.as_str(), of.partition)
    }
}

impl From<&engine::TopicPartition> for TopicPartition {
    fn from(of: &engine::TopicPartition) -> Self {
        Self { topic: of.topic.to_string(), partition: of.partition }
    }
}

pub(crate) fn partitions(list: &[engine::TopicPartition]) -> Vec<TopicPartition> {
    list.iter().map(TopicPartition::from).collect()
}

pub(crate) fn engine_partitions(list: &[TopicPartition]) -> Vec<engine::TopicPartition> {
    list.iter().map(engine::TopicPartition::from).collect()
}

/// A place in a partition to read from.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Start {
    /// At an offset.
    Offset {
        /// The offset.
        offset: Int64,
    },
    /// At the start of the log.
    Earliest,
    /// At the end of the log.
    Latest,
    /// At the first record with this timestamp or later.
    Timestamp {
        /// Milliseconds since the epoch.
        timestamp: Int64,
    },
    /// At the group's committed offset.
    Committed,
}

impl From<&Start> for engine::StartAt {
    fn from(start: &Start) -> Self {
        match start {
            Start::Offset { offset } => engine::StartAt::Offset(offset.0),
            Start::Earliest => engine::StartAt::Earliest,
            Start::Latest => engine::StartAt::Latest,
            Start::Timestamp { timestamp } => engine::StartAt::Timestamp(timestamp.0),
            Start::Committed => engine::StartAt::Committed,
        }
    }
}

/// A partition and where to read it from.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct PartitionStart {
    /// The topic's name.
    pub topic: String,
    /// The partition's number, from 0.
    #[schemars(range(min = 0))]
    pub partition: i32,
    /// From where.
    pub start: Start,
}

impl PartitionStart {
    pub(crate) fn partition(&self) -> engine::TopicPartition {
        engine::TopicPartition::new(self.topic.as_str(), self.partition)
    }
}

macro_rules! on_one_partition {
    ($(#[$doc:meta])* $name:ident, $operation:literal, $rename:literal, $response:ty, |$consumer:ident, $partition:ident| $body:expr) => {
        $(#[$doc])*
        #[derive(Deserialize, JsonSchema)]
        #[schemars(rename = $rename)]
        pub struct $name {
            /// The topic's name.
            pub topic: String,
            /// The partition's number, from 0.
            #[schemars(range(min = 0))]
            pub partition: i32,
        }

        impl Immediate for $name {
            const NAME: &'static str = $operation;
            type Target = Consumer;
            type Response = $response;

            fn run(self, target: Consumer) -> Result<$response, Failure> {
                let $partition = engine::TopicPartition::new(self.topic, self.partition);
                let $consumer = &target.consumer;
                Ok($body)
            }
        }
    };
}

macro_rules! on_all {
    ($(#[$doc:meta])* $name:ident, $operation:literal, $rename:literal, $response:ty, |$consumer:ident| $body:expr) => {
        $(#[$doc])*
        #[derive(Deserialize, JsonSchema)]
        #[schemars(rename = $rename)]
        pub struct $name {}

        impl Immediate for $name {
            const NAME: &'static str = $operation;
            type Target = Consumer;
            type Response = $response;

            fn run(self, target: Consumer) -> Result<$response, Failure> {
                let $consumer = &target.consumer;
                Ok($body)
            }
        }
    };
}

/// Topics by a regular expression, which the language matches: the question `match` (`{topics}`) is answered with those of
/// the names that match.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopicPattern {
    /// The expression as written, for brokers that match (KIP-848); none: it cannot be told.
    pub source: Option<String>,
    /// Upper and lower case are the same.
    pub ignore_case: bool,
}

/// Reads these topics as a member of the group.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConsumerSubscribe")]
pub struct Subscribe {
    /// Names of topics; they take the place of those subscribed before.
    pub topics: Vec<String>,
    /// A pattern in place of names.
    pub pattern: Option<TopicPattern>,
}

impl Immediate for Subscribe {
    const NAME: &'static str = "consumer.subscribe";
    type Target = Consumer;
    type Response = ();

    fn run(self, target: Consumer) -> Result<(), Failure> {
        let Some(TopicPattern { source, ignore_case }) = self.pattern else {
            return Ok(target.consumer.subscribe(self.topics)?);
        };
        let re2 = source.and_then(|source| engine::re2_of(&source, ignore_case));
        Ok(target.consumer.subscribe_matching(target.matcher(re2))?)
    }
}

/// Reads these partitions, without a group's assignment.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConsumerAssign")]
pub struct Assign {
    /// They take the place of those assigned before.
    pub partitions: Vec<PartitionStart>,
}

impl Immediate for Assign {
    const NAME: &'static str = "consumer.assign";
    type Target = Consumer;
    type Response = ();

    fn run(self, target: Consumer) -> Result<(), Failure> {
        let assignment = |p: &PartitionStart| engine::Assignment { partition: p.partition(), start: (&p.start).into() };
        Ok(target.consumer.assign(self.partitions.iter().map(assignment).collect())?)
    }
}

/// Commits what is finished, ends the subscription or assignment, leaves the group.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConsumerUnsubscribe")]
pub struct Unsubscribe {}

impl Operation for Unsubscribe {
    const NAME: &'static str = "consumer.unsubscribe";
    type Target = Consumer;
    type Response = ();

    async fn run(self, target: Consumer) -> Result<(), Failure> {
        target.leaving(true);
        let outcome = target.consumer.unsubscribe().await;
        target.leaving(false);
        Ok(outcome?)
    }
}

/// Moves the position of a partition. Nothing from before is delivered when it has returned.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConsumerSeek")]
pub struct Seek {
    /// Where to.
    pub to: PartitionStart,
}

impl Immediate for Seek {
    const NAME: &'static str = "consumer.seek";
    type Target = Consumer;
    type Response = ();

    fn run(self, target: Consumer) -> Result<(), Failure> {
        Ok(target.consumer.seek(&self.to.partition(), (&self.to.start).into())?)
    }
}

/// Stops reading these partitions. Nothing of them is delivered when it has returned.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConsumerPause")]
pub struct Pause {
    /// Which.
    pub partitions: Vec<TopicPartition>,
}

impl Immediate for Pause {
    const NAME: &'static str = "consumer.pause";
    type Target = Consumer;
    type Response = ();

    fn run(self, target: Consumer) -> Result<(), Failure> {
        Ok(target.consumer.pause(&engine_partitions(&self.partitions))?)
    }
}

/// Ends a pause.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConsumerResume")]
pub struct Resume {
    /// Which.
    pub partitions: Vec<TopicPartition>,
}

impl Immediate for Resume {
    const NAME: &'static str = "consumer.resume";
    type Target = Consumer;
    type Response = ();

    fn run(self, target: Consumer) -> Result<(), Failure> {
        Ok(target.consumer.resume(&engine_partitions(&self.partitions))?)
    }
}

on_all! {
    /// What is paused.
    Paused, "consumer.paused", "ConsumerPaused", Vec<TopicPartition>, |consumer| partitions(&consumer.paused())
}

on_all! {
    /// What is assigned now.
    Assigned, "consumer.assignment", "ConsumerAssignment", Vec<TopicPartition>,
    |consumer| partitions(&consumer.assignment())
}

on_all! {
    /// What is subscribed.
    Subscription, "consumer.subscription", "ConsumerSubscription", Vec<String>,
    |consumer| consumer.subscription().iter().map(|name| name.to_string()).collect()
}

on_one_partition! {
    /// Offset of the next record of a partition that the loop gets; none while it is being looked up.
    Position, "consumer.position", "ConsumerPosition", Option<Int64>,
    |consumer, partition| consumer.position(&partition)?.map(Int64)
}

on_one_partition! {
    /// Records of a partition not yet read; none while that is not known.
    Lag, "consumer.lag", "ConsumerLag", Option<Int64>,
    |consumer, partition| consumer.lag(&partition)?.map(Int64)
}

/// The ends of a partition as the last answer of its broker told them; none: not known yet.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartitionEnds {
    /// The first offset in the log.
    pub log_start: Option<Int64>,
    /// Up to where transactions are decided.
    pub last_stable: Option<Int64>,
    /// One more than the last offset that may be read.
    pub high_watermark: Option<Int64>,
}

on_one_partition! {
    /// The ends of a partition's log as last seen.
    Watermarks, "consumer.watermarks", "ConsumerWatermarks", PartitionEnds,
    |consumer, partition| {
        let ends = consumer.watermarks(&partition)?;
        let known = |offset: i64| (offset >= 0).then_some(Int64(offset));
        PartitionEnds {
            log_start: known(ends.log_start),
            last_stable: known(ends.last_stable),
            high_watermark: known(ends.high_watermark),
        }
    }
}

/// Who a consumer is in its group.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupIdentity {
    /// `group.id`
    pub group_id: String,
    /// The group's generation; none outside of one.
    pub generation: Option<i32>,
    /// The member's id; none outside of a generation.
    pub member_id: Option<String>,
    /// `group.instance.id`
    pub group_instance_id: Option<String>,
}

on_all! {
    /// Who we are in the group now.
    GroupMetadata, "consumer.groupMetadata", "ConsumerGroupMetadata", GroupIdentity,
    |consumer| consumer.group_metadata()?.into()
}

impl From<engine::GroupMetadata> for GroupIdentity {
    fn from(identity: engine::GroupMetadata) -> Self {
        Self {
            group_id: identity.group_id,
            generation: (identity.generation >= 0).then_some(identity.generation),
            member_id: (!identity.member_id.is_empty()).then_some(identity.member_id),
            group_instance_id: identity.group_instance_id,
        }
    }
}

impl From<GroupIdentity> for engine::GroupMetadata {
    fn from(identity: GroupIdentity) -> Self {
        Self {
            group_id: identity.group_id,
            generation: identity.generation.unwrap_or(-1),
            member_id: identity.member_id.unwrap_or_default(),
            group_instance_id: identity.group_instance_id,
        }
    }
}

on_all! {
    /// How long `close` may take where no time is given, in milliseconds.
    CloseTimeout, "consumer.closeTimeout", "ConsumerCloseTimeout", u32,
    |consumer| u32::try_from(consumer.api_timeout().as_millis()).unwrap_or(u32::MAX)
}

/// Commits what is finished, leaves the group, ends. Always completes.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConsumerClose")]
#[serde(rename_all = "camelCase")]
pub struct Close {
    /// How long it may take, in milliseconds. Default: `default.api.timeout.ms`.
    pub timeout_ms: Option<u32>,
    /// Whether it leaves its group (true) or remains until its session is over (false), KIP-1092. Default: it leaves,
    /// unless it has a `group.instance.id`.
    pub leave_group: Option<bool>,
}

impl Operation for Close {
    const NAME: &'static str = "consumer.close";
    const CLOSES: bool = true;
    type Target = Consumer;
    type Response = ();

    async fn run(self, target: Consumer) -> Result<(), Failure> {
        let exit = match self.leave_group {
            None => engine::GroupExit::Default,
            Some(true) => engine::GroupExit::Leave,
            Some(false) => engine::GroupExit::Remain,
        };
        target.leaving(true);
        Ok(target.consumer.close_with(self.timeout_ms.map(|ms| Duration::from_millis(ms.into())), exit).await?)
    }
}
