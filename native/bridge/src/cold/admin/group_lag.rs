//! How far groups are behind.

use dohle_client::admin as engine;
use dohle_client::consumer::TopicPartition;

use super::{ItemError, told};
use crate::cold::values::Int64;

response! {
    /// How far a group is behind.
    GroupLag {
        /// Its id.
        group_id: String,
        /// Its state as Kafka writes it, such as `Stable` or `Empty`; none with an error.
        state: Option<String>,
        /// Records that it has not committed, of all partitions whose lag is known; none with an error.
        lag: Option<Int64>,
        /// By topic and partition: those that it has committed offsets of, and those that its members have.
        partitions: Vec<PartitionLag>,
        /// Why nothing more is known of it.
        error: Option<ItemError>,
    }
}

response! {
    /// How far a group is behind in a partition.
    PartitionLag {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: i32,
        /// Offset of the next record to read; none: it has committed none.
        committed: Option<Int64>,
        /// The next offset to be written; with `readCommitted` the last stable one. None with an error.
        end_offset: Option<Int64>,
        /// What lies between them; without a commit, all that the partition has. None with an error.
        lag: Option<Int64>,
        /// The id of the member that has the partition, if one has.
        member_id: Option<String>,
        /// That member's client id.
        client_id: Option<String>,
        /// Where that member connects from.
        host: Option<String>,
        /// Why it cannot be told.
        error: Option<ItemError>,
    }
}

operation! {
    /// How far groups of consumers are behind: what they have committed beside the ends of the partitions, which are looked up one
    /// after the other. A group or partition that cannot be told has an `error`, the others are told.
    DescribeGroupLag "admin.describeGroupLag" -> Vec<GroupLag> {
        /// Their ids.
        groups: Vec<String>,
        /// Records of open transactions are not there yet.
        ///
        /// Default: false.
        read_committed: Option<bool>,
    }
    |request, admin, timeout| {
        let items = admin.group_lag(request.groups, request.read_committed.unwrap_or(false), timeout).await?;
        let group = |item: engine::Item<engine::GroupLag>| {
            let (of, error) = told(item.result);
            let (state, lag) = (of.as_ref().map(|of| of.state.clone()), of.as_ref().map(|of| Int64(of.lag)));
            let partitions = of.map(|of| of.partitions).unwrap_or_default().into_iter().map(partition).collect();
            GroupLag { group_id: item.name, state, lag, partitions, error }
        };
        Ok(items.into_iter().map(group).collect())
    }
}

fn partition(item: engine::Item<engine::PartitionLag, TopicPartition>) -> PartitionLag {
    let (of, error) = told(item.result);
    let (member_id, client_id, host) = match of.as_ref().and_then(|of| of.member.clone()) {
        Some((member, client, host)) => (Some(member), Some(client), Some(host)),
        None => (None, None, None),
    };
    PartitionLag {
        topic: item.name.topic.to_string(),
        partition: item.name.partition,
        committed: of.as_ref().and_then(|of| of.committed).map(Int64),
        end_offset: of.as_ref().map(|of| Int64(of.end)),
        lag: of.as_ref().map(|of| Int64(of.lag)),
        member_id,
        client_id,
        host,
        error,
    }
}
