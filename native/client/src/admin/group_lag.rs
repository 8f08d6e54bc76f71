//! How far groups are behind: what they have committed beside the ends of the partitions, and who has those.
//!
//! Put together from other calls, one after another, so that the numbers are of slightly different moments.

use std::time::Duration;

use super::{Admin, GroupDescription, GroupOffset, Item, OffsetInfo, OffsetSpec};
use crate::collections::{Map, Set};
use crate::consumer::TopicPartition;
use crate::error::Result;

/// How far a group is behind.
#[derive(Clone, Debug, Default)]
pub struct GroupLag {
    /// Its state as Kafka writes it, such as `Stable` or `Empty`.
    pub state: String,
    /// Records that it has not committed, as far as known; of all its partitions.
    pub lag: i64,
    /// By topic and partition: those that it has committed offsets of, and those that its members have.
    pub partitions: Vec<Item<PartitionLag, TopicPartition>>,
}

/// How far a group is behind in a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionLag {
    /// Offset of the next record to read; none: it has committed none.
    pub committed: Option<i64>,
    /// The next offset to be written; of `read_committed` the last stable one.
    pub end: i64,
    /// What lies between them; without a commit, all that the partition has. Never below 0.
    pub lag: i64,
    /// Who has the partition, if anybody does: the member's id, client id and host.
    pub member: Option<(String, String, String)>,
}

/// A group's state and partitions, before their ends are known.
type Found = (String, Vec<(TopicPartition, Place)>);
type Ends = Map<TopicPartition, Result<OffsetInfo>>;

impl Admin {
    /// How far groups of consumers are behind, in the order given. `read_committed`: records of open transactions are not there
    /// yet. A group or a partition that cannot be told has an error.
    pub async fn group_lag(
        &self,
        groups: Vec<String>,
        read_committed: bool,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<GroupLag>>> {
        let attempts = self.start("describeGroupLag", timeout);
        let described = self.describe_groups(groups.clone(), false, Some(attempts.left())).await?;
        let wanted = groups.into_iter().map(|group| (group, None)).collect();
        let committed = self.list_group_offsets(wanted, false, Some(attempts.left())).await?;
        let both = |(group, offsets): (Item<GroupDescription>, Item<Vec<GroupOffset>>)| {
            let told = group.result.and_then(|of| Ok((places(&of, offsets.result?), of.state)));
            Item { name: group.name, result: told.map(|(places, state)| (state, places)) }
        };
        let found: Vec<Item<Found>> = described.into_iter().zip(committed).map(both).collect();
        let (mut all, mut without) = (Set::default(), Set::default());
        for (tp, place) in found.iter().filter_map(|item| item.result.as_ref().ok()).flat_map(|(_, places)| places) {
            match &place.committed {
                Ok(Some(_)) => _ = all.insert(tp.clone()),
                Ok(None) => {
                    all.insert(tp.clone());
                    without.insert(tp.clone());
                }
                Err(_) => {}
            }
        }
        let ends = self.ends(all, OffsetSpec::Latest, read_committed, attempts.left()).await?;
        let starts = self.ends(without, OffsetSpec::Earliest, read_committed, attempts.left()).await?;
        let item = |Item { name, result }: Item<Found>| {
            let lag = |(state, places): Found| {
                let of = |(tp, place): (TopicPartition, Place)| Item {
                    result: place_lag(place, &tp, &ends, &starts),
                    name: tp,
                };
                let partitions: Vec<Item<PartitionLag, TopicPartition>> = places.into_iter().map(of).collect();
                let lag = partitions.iter().filter_map(|of| of.result.as_ref().ok()).map(|of| of.lag).sum();
                GroupLag { state, lag, partitions }
            };
            Item { name, result: result.map(lag) }
        };
        Ok(found.into_iter().map(item).collect())
    }

    async fn ends(
        &self,
        of: Set<TopicPartition>,
        spec: OffsetSpec,
        read_committed: bool,
        left: Duration,
    ) -> Result<Ends> {
        if of.is_empty() {
            return Ok(Ends::default());
        }
        let specs = of.into_iter().map(|tp| (tp, spec)).collect();
        let found = self.list_offsets(specs, read_committed, Some(left)).await?;
        Ok(found.into_iter().map(|item| (item.name, item.result)).collect())
    }
}

/// What is known of a group's partition before its ends are.
struct Place {
    committed: Result<Option<i64>>,
    member: Option<(String, String, String)>,
}

/// Those that have an offset, and those that a member has, in order.
fn places(group: &GroupDescription, offsets: Vec<GroupOffset>) -> Vec<(TopicPartition, Place)> {
    let mut places: Map<TopicPartition, Place> = Map::default();
    for (tp, at) in offsets {
        places.insert(tp, Place { committed: at.map(|at| Some(at.offset)), member: None });
    }
    for member in &group.members {
        for tp in &member.assignment {
            let place = places.entry(tp.clone()).or_insert_with(|| Place { committed: Ok(None), member: None });
            place.member = Some((member.member_id.clone(), member.client_id.clone(), member.host.clone()));
        }
    }
    let mut places: Vec<_> = places.into_iter().collect();
    places.sort_by(|(a, _), (b, _)| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
    places
}

fn place_lag(place: Place, tp: &TopicPartition, ends: &Ends, starts: &Ends) -> Result<PartitionLag> {
    let at = |of: &Ends| of.get(tp).cloned().transpose().map(|info| info.and_then(|info| info.offset).unwrap_or(0));
    let committed = place.committed?;
    let end = at(ends)?;
    let from = match committed {
        Some(offset) => offset,
        None => at(starts)?,
    };
    Ok(PartitionLag { committed, end, lag: (end - from).max(0), member: place.member })
}
