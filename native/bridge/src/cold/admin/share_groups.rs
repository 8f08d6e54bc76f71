//! Share groups (KIP-932): where they begin to read. Listing, describing and deleting them is that of all groups.

use dohle_client::admin as engine;
use dohle_client::consumer::TopicPartition as EnginePartition;

use super::groups::OffsetsOf;
use super::partitions::partitions;
use super::{ItemError, all, told};
use crate::cold::values::Int64;

response! {
    /// Where a share group is.
    ShareGroupOffsets {
        /// Its id.
        group_id: String,
        /// Its partitions; those that it has not begun are left out.
        offsets: Vec<ShareGroupOffset>,
        /// Why they cannot be told.
        error: Option<ItemError>,
    }
}

response! {
    /// Where a share group is in a partition.
    ShareGroupOffset {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: i32,
        /// Offset of the first record that is not acknowledged for good; none with an error.
        start_offset: Option<Int64>,
        /// Leader epoch that was known then, if there is one.
        leader_epoch: Option<i32>,
        /// Records still to be delivered and acknowledged; none with brokers older than 4.2.
        lag: Option<Int64>,
        /// Why it cannot be told.
        error: Option<ItemError>,
    }
}

part! {
    /// A partition and where a share group shall begin to read it.
    ShareStartOffset {
        /// The topic's name.
        topic: String,
        /// The partition's number, from 0.
        #[schemars(range(min = 0))]
        partition: i32,
        /// Offset of the first record to deliver.
        offset: Int64,
    }
}

operation! {
    /// Where share groups are in their partitions (KIP-932; Kafka 4.1 or newer). A group or partition that cannot be told has an
    /// `error`, the others are told.
    ListShareGroupOffsets "admin.listShareGroupOffsets" -> Vec<ShareGroupOffsets> {
        /// The groups.
        groups: Vec<OffsetsOf>,
    }
    |request, admin, timeout| {
        let wanted = |of: OffsetsOf| (of.group_id, of.partitions.as_deref().map(partitions));
        let groups = request.groups.into_iter().map(wanted).collect();
        let items = admin.list_share_group_offsets(groups, timeout).await?;
        let group = |item: engine::Item<Vec<engine::ShareGroupOffset>>| {
            let (offsets, error) = told(item.result);
            let offsets = offsets.unwrap_or_default().into_iter().map(start).collect();
            ShareGroupOffsets { group_id: item.name, offsets, error }
        };
        Ok(items.into_iter().map(group).collect())
    }
}

operation! {
    /// Sets where a share group reads on (KIP-932; Kafka 4.1 or newer). It must be empty; one that does not exist is made. When
    /// some offsets cannot be set the others are, and the call fails.
    AlterShareGroupOffsets "admin.alterShareGroupOffsets" -> () {
        /// The group's id.
        group_id: String,
        /// The offsets.
        offsets: Vec<ShareStartOffset>,
    }
    |request, admin, timeout| {
        let offset = |of: ShareStartOffset| (EnginePartition::new(of.topic.as_str(), of.partition), of.offset.0);
        let offsets = request.offsets.into_iter().map(offset).collect();
        let items = admin.alter_share_group_offsets(&request.group_id, offsets, timeout).await?;
        all("alterShareGroupOffsets", items)?;
        Ok(())
    }
}

operation! {
    /// Forgets where a share group is in topics (KIP-932; Kafka 4.1 or newer). It must be empty. When some topics cannot be
    /// forgotten the others are, and the call fails.
    DeleteShareGroupOffsets "admin.deleteShareGroupOffsets" -> () {
        /// The group's id.
        group_id: String,
        /// The topics.
        topics: Vec<String>,
    }
    |request, admin, timeout| {
        let items = admin.delete_share_group_offsets(&request.group_id, request.topics, timeout).await?;
        all("deleteShareGroupOffsets", items)?;
        Ok(())
    }
}

fn start((of, result): engine::ShareGroupOffset) -> ShareGroupOffset {
    let (at, error) = told(result);
    ShareGroupOffset {
        topic: of.topic.to_string(),
        partition: of.partition,
        start_offset: at.map(|at| Int64(at.offset)),
        leader_epoch: at.and_then(|at| at.leader_epoch),
        lag: at.and_then(|at| at.lag).map(Int64),
        error,
    }
}
