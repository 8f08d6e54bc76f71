//! Cold operations: everything that is not hot, as one call with JSON on both sides.
//!
//! A request type *is* its operation: adding one is a type with a handler and a line in [`OPERATIONS`]; `xtask codegen`
//! renders the types and methods of every language from the schemas, docstrings included.
//!
//! The contract: 64-bit integers are decimal strings, bytes are base64, doubles outside JSON are strings, enums are open,
//! absent and `null` are both none (see [`values`]). Records in bulk go beside the JSON: an arena with the request, chunks with the
//! response. A secret is never shown, and serde's own text, which quotes what it
//! read, never reaches an error (see [`request`]).

use std::future::Future;
use std::pin::Pin;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::consumer::Chunk;
use crate::environment::Resource;
use crate::failure::Failure;
use request::read;

pub mod admin;
#[cfg(feature = "broker")]
pub mod broker;
pub mod client;
#[cfg(feature = "broker")]
pub mod cluster;
pub mod consumer;
pub mod consumer_offsets;
pub mod environment;
#[cfg(feature = "broker")]
pub mod faults;
#[cfg(feature = "broker")]
pub mod names;
pub mod partition;
pub mod producer;
#[cfg(feature = "broker")]
pub mod recording;
mod request;
#[cfg(feature = "broker")]
pub mod stand_in;
pub mod statistics;
pub mod testing;
pub mod transactions;
pub mod values;

/// What came of an operation.
#[derive(Debug, Default)]
pub struct Done {
    /// The response's JSON.
    pub text: String,
    /// Records that go with it.
    pub chunks: Vec<Chunk>,
}

impl Done {
    /// Nothing to tell.
    pub fn nothing() -> Self {
        Self { text: "null".to_owned(), chunks: Vec::new() }
    }
}

/// A future of one operation.
pub type Later = Pin<Box<dyn Future<Output = Result<Done, Failure>> + Send>>;

/// What an operation needs: taken out of the handle's resource, or an error when it is of another kind.
pub trait Target: Sized + Send {
    /// Group of the operations on it, first part of their names.
    const NAME: &'static str;

    /// The target of a resource; `None`: it is of another kind.
    fn of(resource: &Resource) -> Option<Self>;
}

/// An operation that waits for something. The doc comment of the type is the operation's documentation.
pub trait Operation: DeserializeOwned + JsonSchema + Send + 'static {
    /// Its name, `target.verb`.
    const NAME: &'static str;
    /// Afterwards the handle is invalid. On a handle that is invalid already, the operation is a no-op.
    const CLOSES: bool = false;
    /// What it works on.
    type Target: Target + 'static;
    /// What comes of it.
    type Response: Serialize + JsonSchema;

    /// Reads the records of an arena that goes with the request, which is lent for this call only.
    fn lend(&mut self, _arena: &[u8], _target: &Self::Target) -> Result<(), Failure> {
        Err(Failure::argument("arena", "goes with no request of this operation"))
    }

    /// Does it.
    fn run(self, target: Self::Target) -> impl Future<Output = Result<Self::Response, Failure>> + Send;

    /// Takes out of a response the records that go beside its JSON.
    fn chunks(_response: &mut Self::Response) -> Vec<Chunk> {
        Vec::new()
    }
}

/// An operation that never waits; it may be called on the language's own thread.
pub trait Immediate: DeserializeOwned + JsonSchema + Send + 'static {
    /// Its name, `target.verb`.
    const NAME: &'static str;
    /// What it works on.
    type Target: Target + 'static;
    /// What comes of it.
    type Response: Serialize + JsonSchema;

    /// Does it.
    fn run(self, target: Self::Target) -> Result<Self::Response, Failure>;
}

/// Starts an operation, with its request and, if there is one, the arena that goes with it.
pub type Start = fn(&Resource, &str, Option<&[u8]>) -> Result<Later, Failure>;

/// How a row of the table is called.
#[derive(Clone, Copy)]
pub enum Call {
    /// Completes later.
    Later(Start),
    /// Returns at once.
    Now(fn(&Resource, &str) -> Result<String, Failure>),
}

/// A row of the table of operations.
pub struct Row {
    /// Its name, `target.verb`.
    pub name: &'static str,
    /// See [`Operation::CLOSES`].
    pub closes: bool,
    /// Runs it.
    pub call: Call,
}

impl Row {
    const fn later<T: Operation>() -> Self {
        Self { name: T::NAME, closes: T::CLOSES, call: Call::Later(start::<T>) }
    }

    const fn now<T: Immediate>() -> Self {
        Self { name: T::NAME, closes: false, call: Call::Now(run::<T>) }
    }
}

/// Schemas of the request and of the response of an operation.
pub type Schemas = fn(&mut SchemaGenerator) -> (Schema, Schema);

/// The functions of [`SCHEMAS`], by the names of those of [`Row`].
struct Described;

impl Described {
    fn later<T: Operation>(generator: &mut SchemaGenerator) -> (Schema, Schema) {
        (generator.subschema_for::<T>(), generator.subschema_for::<T::Response>())
    }

    fn now<T: Immediate>(generator: &mut SchemaGenerator) -> (Schema, Schema) {
        (generator.subschema_for::<T>(), generator.subschema_for::<T::Response>())
    }
}

macro_rules! operations {
    ($($(#[$when:meta])* Row::$call:ident::<$type:ty>(),)*) => {
        /// All operations.
        pub const OPERATIONS: &[Row] = &[$($(#[$when])* Row::$call::<$type>(),)*];

        /// The schemas of [`OPERATIONS`], in their order. Not in the rows: the code generator is the only one that wants them, and
        /// so the library that is shipped has nothing of them.
        pub const SCHEMAS: &[Schemas] = &[$($(#[$when])* Described::$call::<$type>,)*];
    };
}

operations! {
    Row::later::<admin::topics::CreateTopics>(),
    Row::later::<admin::topics::DeleteTopics>(),
    Row::later::<admin::topics::DeleteTopicsById>(),
    Row::later::<admin::topics::ListTopics>(),
    Row::later::<admin::describe_topics::DescribeTopics>(),
    Row::later::<admin::partitions::CreatePartitions>(),
    Row::later::<admin::partitions::DeleteRecords>(),
    Row::later::<admin::partitions::ListOffsets>(),
    Row::later::<admin::partitions::ElectLeaders>(),
    Row::later::<admin::configs::DescribeConfigs>(),
    Row::later::<admin::configs::IncrementalAlterConfigs>(),
    Row::later::<admin::configs::ListConfigResources>(),
    Row::later::<admin::configs::ListClientMetricsResources>(),
    Row::later::<admin::cluster::DescribeCluster>(),
    Row::later::<admin::cluster::DescribeFeatures>(),
    Row::later::<admin::cluster::UpdateFeatures>(),
    Row::later::<admin::cluster::DescribeMetadataQuorum>(),
    Row::later::<admin::cluster::AddRaftVoter>(),
    Row::later::<admin::cluster::RemoveRaftVoter>(),
    Row::later::<admin::cluster::UnregisterBroker>(),
    Row::later::<admin::groups::ListGroups>(),
    Row::later::<admin::groups::DescribeGroups>(),
    Row::later::<admin::groups::DeleteGroups>(),
    Row::later::<admin::groups::ListConsumerGroupOffsets>(),
    Row::later::<admin::groups::AlterConsumerGroupOffsets>(),
    Row::later::<admin::groups::DeleteConsumerGroupOffsets>(),
    Row::later::<admin::groups::RemoveMembersFromConsumerGroup>(),
    Row::later::<admin::group_lag::DescribeGroupLag>(),
    Row::later::<admin::share_groups::ListShareGroupOffsets>(),
    Row::later::<admin::share_groups::AlterShareGroupOffsets>(),
    Row::later::<admin::share_groups::DeleteShareGroupOffsets>(),
    Row::later::<admin::acls::CreateAcls>(),
    Row::later::<admin::acls::DescribeAcls>(),
    Row::later::<admin::acls::DeleteAcls>(),
    Row::later::<admin::quotas::DescribeClientQuotas>(),
    Row::later::<admin::quotas::AlterClientQuotas>(),
    Row::later::<admin::security::DescribeUserScramCredentials>(),
    Row::later::<admin::security::AlterUserScramCredentials>(),
    Row::later::<admin::security::CreateDelegationToken>(),
    Row::later::<admin::security::RenewDelegationToken>(),
    Row::later::<admin::security::ExpireDelegationToken>(),
    Row::later::<admin::security::DescribeDelegationTokens>(),
    Row::later::<admin::replicas::DescribeLogDirs>(),
    Row::later::<admin::replicas::AlterReplicaLogDirs>(),
    Row::later::<admin::replicas::AlterPartitionReassignments>(),
    Row::later::<admin::replicas::ListPartitionReassignments>(),
    Row::later::<admin::transactions::ListTransactions>(),
    Row::later::<admin::transactions::DescribeTransactions>(),
    Row::later::<admin::transactions::DescribeProducers>(),
    Row::later::<admin::transactions::AbortTransaction>(),
    Row::later::<admin::transactions::FenceProducers>(),
    Row::later::<client::SetTls>(),
    Row::later::<client::Close>(),
    Row::later::<partition::Produce>(),
    Row::later::<partition::Fetch>(),
    Row::later::<producer::Flush>(),
    Row::later::<producer::Close>(),
    Row::later::<transactions::Begin>(),
    Row::later::<transactions::Commit>(),
    Row::later::<transactions::Abort>(),
    Row::later::<transactions::CommitOffsets>(),
    Row::now::<consumer::Subscribe>(),
    Row::now::<consumer::Assign>(),
    Row::later::<consumer::Unsubscribe>(),
    Row::now::<consumer::Seek>(),
    Row::now::<consumer::Pause>(),
    Row::now::<consumer::Resume>(),
    Row::now::<consumer::Paused>(),
    Row::now::<consumer::Assigned>(),
    Row::now::<consumer::Subscription>(),
    Row::now::<consumer::Position>(),
    Row::now::<consumer::Watermarks>(),
    Row::now::<consumer::Lag>(),
    Row::now::<consumer::GroupMetadata>(),
    Row::now::<consumer::CloseTimeout>(),
    Row::later::<statistics::OfConsumer>(),
    Row::later::<statistics::OfProducer>(),
    Row::later::<statistics::OfClient>(),
    Row::later::<statistics::Metrics>(),
    Row::later::<statistics::IdOfProducer>(),
    Row::later::<statistics::IdOfConsumer>(),
    Row::now::<environment::Answer>(),
    Row::later::<consumer_offsets::Committed>(),
    Row::later::<consumer_offsets::Commit>(),
    Row::later::<consumer_offsets::OffsetsAt>(),
    Row::now::<transactions::TransactionOffsets>(),
    Row::now::<transactions::OffsetsCommitted>(),
    Row::now::<transactions::Rewind>(),
    Row::later::<consumer::Close>(),
    #[cfg(feature = "broker")]
    Row::later::<broker::Start>(),
    #[cfg(feature = "broker")]
    Row::later::<broker::Stop>(),
    #[cfg(feature = "broker")]
    Row::now::<cluster::Nodes>(),
    #[cfg(feature = "broker")]
    Row::later::<cluster::StartNode>(),
    #[cfg(feature = "broker")]
    Row::later::<cluster::StopNode>(),
    #[cfg(feature = "broker")]
    Row::now::<cluster::KillNode>(),
    #[cfg(feature = "broker")]
    Row::now::<cluster::ConnectNodes>(),
    #[cfg(feature = "broker")]
    Row::now::<cluster::PartitionOf>(),
    #[cfg(feature = "broker")]
    Row::now::<cluster::MoveLeader>(),
    #[cfg(feature = "broker")]
    Row::later::<recording::Replay>(),
    #[cfg(feature = "broker")]
    Row::later::<recording::Export>(),
    #[cfg(feature = "broker")]
    Row::later::<stand_in::Start>(),
    #[cfg(feature = "broker")]
    Row::later::<stand_in::Stop>(),
    #[cfg(feature = "broker")]
    Row::now::<faults::AddFault>(),
    #[cfg(feature = "broker")]
    Row::now::<faults::ReleaseFault>(),
    #[cfg(feature = "broker")]
    Row::now::<faults::RemoveFault>(),
    #[cfg(feature = "broker")]
    Row::now::<faults::ClearFaults>(),
    #[cfg(feature = "broker")]
    Row::now::<faults::FaultHits>(),
    Row::later::<testing::Echo>(),
    Row::later::<testing::Ask>(),
    Row::later::<testing::Fail>(),
    Row::now::<testing::Panic>(),
    Row::later::<testing::PanicLater>(),
    Row::now::<testing::PanicInEngine>(),
}

/// The row of a name.
pub fn operation(name: &str) -> Result<&'static Row, Failure> {
    let row = OPERATIONS.iter().find(|row| row.name == name);
    row.ok_or_else(|| Failure::argument("operation", "there is none of this name"))
}

fn target<T: Target>(resource: &Resource) -> Result<T, Failure> {
    T::of(resource).ok_or_else(|| Failure::argument("handle", &format!("is not one of these: {}", T::NAME)))
}

fn start<T: Operation>(resource: &Resource, request: &str, arena: Option<&[u8]>) -> Result<Later, Failure> {
    let (target, mut request) = (target(resource)?, read::<T>(T::NAME, request)?);
    if let Some(arena) = arena {
        request.lend(arena, &target)?;
    }
    Ok(Box::pin(async move {
        let mut response = request.run(target).await?;
        let chunks = T::chunks(&mut response);
        Ok(Done { text: write(&response), chunks })
    }))
}

fn run<T: Immediate>(resource: &Resource, request: &str) -> Result<String, Failure> {
    let (target, request) = (target(resource)?, read::<T>(T::NAME, request)?);
    Ok(write(&request.run(target)?))
}

fn write<R: Serialize>(response: &R) -> String {
    serde_json::to_string(response).expect("responses are plain data with string keys")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_begin_with_their_target() {
        for (index, row) in OPERATIONS.iter().enumerate() {
            assert!(row.name.contains('.'), "{}", row.name);
            assert!(OPERATIONS[..index].iter().all(|other| other.name != row.name), "{}", row.name);
        }
    }
}
