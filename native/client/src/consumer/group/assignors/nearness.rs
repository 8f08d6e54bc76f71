//! Where members and replicas stand, for the sticky assignors (KIP-881): Java's `RackInfo`. Not who gets what.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::super::handover::TopicPartition;
use super::super::protocol::Member;
use super::{Counts, Racks};

/// See the module. Where nearness cannot matter, nobody is near and nobody far.
pub(super) struct Nearness<'a> {
    /// Per member; none: it does not say.
    members: Vec<Option<&'a str>>,
    racks: &'a Racks,
}

impl<'a> Nearness<'a> {
    /// Nearness matters if some member stands where some replica is, and not every partition is in all racks.
    pub fn read(counts: &Counts, racks: &'a Racks, members: &'a [Member]) -> Nearness<'a> {
        let mut members: Vec<Option<&str>> =
            members.iter().map(|member| member.rack.as_deref().filter(|rack| !rack.is_empty())).collect();
        let known = counts.keys().filter_map(|topic| racks.get(topic));
        let all: BTreeSet<&Arc<str>> = known.flatten().flatten().collect();
        let some_near = members.iter().flatten().any(|&rack| all.iter().any(|known| &***known == rack));
        let everywhere = counts.iter().all(|(topic, &count)| {
            let of = |partition: i32| racks.get(topic).and_then(|list| list.get(partition as usize));
            (0..count).all(|partition| of(partition).is_some_and(|here| here.len() == all.len()))
        });
        if !some_near || everywhere {
            members.fill(None);
        }
        Nearness { members, racks }
    }

    /// Whether it matters.
    pub fn matters(&self) -> bool {
        self.members.iter().any(Option::is_some)
    }

    /// The member stands where the partition has a replica.
    pub fn is_near(&self, member: usize, tp: &TopicPartition) -> bool {
        self.members[member].is_some_and(|rack| self.has(tp, rack))
    }

    /// The member stands where the partition has no replica. One that does not say is never far.
    pub fn is_far(&self, member: usize, tp: &TopicPartition) -> bool {
        self.members[member].is_some_and(|rack| !self.has(tp, rack))
    }

    /// How many members are near the partition, whether they subscribe to it or not.
    pub fn near(&self, tp: &TopicPartition) -> usize {
        (0..self.members.len()).filter(|&member| self.is_near(member, tp)).count()
    }

    fn has(&self, tp: &TopicPartition, rack: &str) -> bool {
        let racks = self.racks.get(&tp.topic).and_then(|list| list.get(tp.partition as usize));
        racks.is_some_and(|racks| racks.contains(rack))
    }
}
