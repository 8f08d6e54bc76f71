//! Who gets which partition: the assignors that a group's leader runs, each named as in Kafka.
//! No I/O and no state: members and partition counts in, one list per member out.
//! Driven by `group::membership` when this member is the leader.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::super::handover::TopicPartition;
use super::protocol::Member;

mod cooperative_sticky;
mod range;

/// The number of partitions of each topic that a member subscribes to; topics without metadata are absent.
pub(crate) type Counts = BTreeMap<Arc<str>, i32>;

/// An assignor by its name on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assignor {
    /// Java's `RangeAssignor`: contiguous ranges per topic. Eager: all is given up before a rebalance.
    Range,
    /// Java's `CooperativeStickyAssignor`: balanced, moves as little as possible, and only what moves is given up.
    CooperativeSticky,
}

impl Assignor {
    /// By name; `None` if we do not know it.
    pub fn by_name(name: &str) -> Option<Assignor> {
        [Assignor::Range, Assignor::CooperativeSticky].into_iter().find(|assignor| assignor.name() == name)
    }

    /// The name members agree on.
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Range => "range",
            Assignor::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// Whether members keep their partitions through a rebalance (KIP-429).
    pub fn is_cooperative(self) -> bool {
        self == Assignor::CooperativeSticky
    }

    /// What goes into the subscription's user data. Java's cooperative assignor writes its generation there for leaders
    /// that read only version 1 of the subscription.
    pub fn user_data(self, generation: i32) -> Option<Bytes> {
        match self {
            Assignor::Range => None,
            Assignor::CooperativeSticky => Some(Bytes::copy_from_slice(&generation.to_be_bytes())),
        }
    }

    /// One sorted list per member, in the order of `members`.
    pub fn assign(self, counts: &Counts, members: &[Member]) -> Vec<Vec<TopicPartition>> {
        let mut lists = match self {
            Assignor::Range => range::assign(counts, members),
            Assignor::CooperativeSticky => cooperative_sticky::assign(counts, members),
        };
        lists.iter_mut().for_each(|list| list.sort_unstable());
        lists
    }
}

#[cfg(test)]
mod tests;
