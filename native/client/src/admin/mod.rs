//! Admin operations: plain async functions with typed requests and one result per item.
//!
//! They keep no state of their own and cross no language border; `bridge` renders them for every language. Each has a time
//! limit in all, retries included: the one given, else `default.api.timeout.ms`.
//!
//! File map: `topics`, `describe_topics`, `partitions`, `configs`, `groups`, `describe_groups`, `group_offsets`, `group_lag`, `share_groups`, `acls`, `quotas`,
//! `scram`, `tokens`, `cluster`, `features`, `log_dirs`, `reassignments`, `transactions` what they say · `drive` who is asked, and again
//! · `each`, `one`, `answer` the types around it · `names` Kafka's open enums · `since` which Kafka is needed.

mod acls;
mod answer;
mod cluster;
mod configs;
mod describe_groups;
mod describe_topics;
mod drive;
mod each;
mod features;
mod group_lag;
mod group_offsets;
mod groups;
mod log_dirs;
mod names;
mod one;
mod partitions;
mod quotas;
mod reassignments;
mod scram;
mod share_groups;
mod since;
mod tokens;
mod topics;
mod transactions;

use std::time::Duration;

use dohle_protocol::Request;
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::net::Backoff;

pub use acls::{Acl, AclFilter};
pub use cluster::{Broker, ClusterDescription};
pub use configs::{AlterConfig, ConfigEntry, ConfigResource, ConfigSynonym};
pub use describe_groups::{GroupDescription, GroupMember, StreamsTask};
pub use describe_topics::{PartitionDescription, TopicDescription};
pub use features::{FeatureRange, FeatureUpdate, Features, Quorum, QuorumReplica, UpgradeType, VoterEndpoint};
pub use group_lag::{GroupLag, PartitionLag};
pub use group_offsets::{GroupOffset, GroupPartitions, MemberToRemove};
pub use groups::{GroupFilter, GroupListing};
pub use log_dirs::{LogDir, LogDirReplica, Replica};
pub use names::{
    AclOperation, AclPatternType, AclPermission, AclResourceType, AlterConfigOp, ConfigKind, ConfigSource, ConfigType,
    ScramMechanism,
};
pub use partitions::{ElectionType, MorePartitions, OffsetInfo, OffsetSpec};
pub use quotas::{AlterQuotas, QuotaEntity, QuotaFilter, QuotaMatch, Quotas};
pub use reassignments::Reassignment;
pub use scram::{AlterScram, ScramCredential};
pub use share_groups::{ShareGroupOffset, ShareStart};
pub use tokens::{DelegationToken, Principal};
pub use topics::{CreatedTopic, NewTopic, TopicListing};
pub use transactions::{
    ActiveProducer, Fenced, TransactionDescription, TransactionFilter, TransactionListing, TransactionToAbort,
};

/// Admin calls of one client. Cheap to make.
///
/// ```
/// # use dohle_client::Client;
/// use dohle_client::admin::{Admin, NewTopic};
///
/// # async fn example(client: &Client) -> dohle_client::Result<()> {
/// let admin = Admin::new(client);
/// let topic = NewTopic { name: "orders".into(), partitions: Some(6), ..NewTopic::default() };
/// for created in admin.create_topics(vec![topic], false, None).await? {
///     println!("{}: {:?}", created.name, created.result?.partitions);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Admin {
    client: Client,
}

/// What came of one item of a call about several.
#[derive(Clone, Debug)]
pub struct Item<T, K = String> {
    /// The topic, group, partition, … as it was asked for.
    pub name: K,
    /// Its own success or error; others of the same call may differ.
    pub result: Result<T>,
}

impl Admin {
    /// Admin calls over the connections of this client.
    pub fn new(client: &Client) -> Self {
        Self { client: client.clone() }
    }

    fn start(&self, doing: &'static str, timeout: Option<Duration>) -> Attempts {
        let options = self.client.options();
        let limit = timeout.unwrap_or(options.default_api_timeout);
        let backoff = Backoff::new(options.retry_backoff, options.retry_backoff_max);
        let client = self.client.clone();
        Attempts { client, doing, limit, deadline: Instant::now() + limit, backoff, last: None }
    }

    /// Asks any broker, again after failures that may pass.
    async fn ask_any<R: Request>(
        &self,
        attempts: &mut Attempts,
        make: impl Fn(i16) -> Result<R> + Sync,
    ) -> Result<R::Response> {
        loop {
            let left = attempts.left();
            let error = match attempts.limit(self.client.request_any(&make, left)).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) | Err(error) => error,
            };
            attempts.pause(error).await?;
        }
    }
}

/// The tries of one call: its time limit, its back-off and its last error.
struct Attempts {
    client: Client,
    doing: &'static str,
    limit: Duration,
    deadline: Instant,
    backoff: Backoff,
    last: Option<Error>,
}

impl Attempts {
    /// The time left.
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// For the `timeout_ms` field of a request: the broker gives up a little before we do.
    fn left_ms(&self) -> i32 {
        i32::try_from(self.left().as_millis()).unwrap_or(i32::MAX)
    }

    /// Cuts a step off at the end of the call's time.
    async fn limit<T>(&self, step: impl Future<Output = T>) -> Result<T> {
        tokio::time::timeout_at(self.deadline, step).await.map_err(|_| self.too_late())
    }

    /// After a failure: gives up if it is final, else waits before the next try.
    async fn pause(&mut self, error: Error) -> Result<()> {
        if !error.retriable() {
            return Err(error.context(self.doing));
        }
        if self.left().is_zero() {
            return Err(self.too_late());
        }
        self.last = Some(error);
        let pause = self.backoff.next(&**self.client.world());
        self.limit(sleep(pause)).await
    }

    fn too_late(&self) -> Error {
        let text = format!("{} did not finish within {} ms", self.doing, self.limit.as_millis());
        match &self.last {
            // What stood in the way is worth more than that time has passed.
            Some(error) => error.clone().context(text),
            None => self.client.too_late(Error::new(ErrorKind::RequestTimedOut, text)),
        }
    }
}
