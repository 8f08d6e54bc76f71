//! Who gets which partition: the assignors that a group's leader runs, each named as in Kafka.
//! No I/O and no state: members and partition counts in, one list per member out.
//! Driven by `group::membership` when this member is the leader.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::super::handover::TopicPartition;
use super::protocol::Member;

mod cooperative_sticky;
mod nearness;
mod range;
mod round_robin;
mod sticky;

pub(crate) use cooperative_sticky::withhold_moving;

/// The number of partitions of each topic that a member subscribes to; topics without metadata are absent.
pub(crate) type Counts = BTreeMap<Arc<str>, i32>;

/// Racks of each partition's replicas; topics of which nothing is known are absent.
pub(crate) type Racks = BTreeMap<Arc<str>, Vec<BTreeSet<Arc<str>>>>;

/// An assignor by its name on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assignor {
    /// Java's `RangeAssignor`: contiguous ranges per topic. Eager: all is given up before a rebalance.
    Range,
    /// Java's `RoundRobinAssignor`: partition by partition to the members in turn. Eager.
    RoundRobin,
    /// Java's `StickyAssignor`: balanced, moves as little as possible. Eager.
    Sticky,
    /// Java's `CooperativeStickyAssignor`: balanced, moves as little as possible, and only what moves is given up.
    CooperativeSticky,
}

impl Assignor {
    /// All there are.
    pub const ALL: [Assignor; 4] =
        [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky, Assignor::CooperativeSticky];

    /// By name; `None` if we do not know it.
    pub fn by_name(name: &str) -> Option<Assignor> {
        Assignor::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    /// The name members agree on.
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Range => "range",
            Assignor::RoundRobin => "roundrobin",
            Assignor::Sticky => "sticky",
            Assignor::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// Whether members keep their partitions through a rebalance (KIP-429).
    pub fn is_cooperative(self) -> bool {
        self == Assignor::CooperativeSticky
    }

    /// What goes into the subscription's user data: for the sticky one what we were `given` last, and in which generation.
    /// Java's cooperative assignor writes its generation there for leaders that read only version 1 of the subscription.
    pub fn user_data(self, given: &[TopicPartition], generation: i32) -> Option<Bytes> {
        match self {
            Assignor::Range | Assignor::RoundRobin => None,
            // Java's has nothing to say before its first assignment.
            Assignor::Sticky => (generation >= 0).then(|| sticky::user_data(given, generation)),
            Assignor::CooperativeSticky => Some(Bytes::copy_from_slice(&generation.to_be_bytes())),
        }
    }

    /// One sorted list per member, in the order of `members`.
    #[cfg(test)]
    pub fn assign(self, counts: &Counts, members: &[Member]) -> Vec<Vec<TopicPartition>> {
        self.assign_near(counts, &Racks::new(), members)
    }

    /// One sorted list per member, in the order of `members`; where the assignor can, near to where its replicas are.
    pub fn assign_near(self, counts: &Counts, racks: &Racks, members: &[Member]) -> Vec<Vec<TopicPartition>> {
        let mut lists = match self {
            Assignor::Range => range::assign(counts, racks, members),
            Assignor::RoundRobin => round_robin::assign(counts, members),
            Assignor::Sticky => sticky::assign(counts, racks, members),
            Assignor::CooperativeSticky => cooperative_sticky::assign(counts, racks, members),
        };
        lists.iter_mut().for_each(|list| list.sort_unstable());
        lists
    }
}

/// Static members by their instance id, then the others by their member id: Java's order of members.
fn in_order(members: &[Member]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|&m| (members[m].instance_id.is_none(), &members[m].instance_id, &members[m].id));
    order
}

#[cfg(test)]
mod tests;
