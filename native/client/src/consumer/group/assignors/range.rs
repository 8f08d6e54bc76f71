//! Java's `RangeAssignor`: each topic's partitions are cut into contiguous ranges, one per subscribed member.
//! Members are ordered by instance id, those without one come after, by member id; the first ones get one more.
//!
//! Where members and replicas say where they stand (KIP-881), a member first gets partitions with a replica in its rack,
//! as many as it may have; topics with as many partitions and the same members stay in step, so that a join of two
//! topics keeps working. What nobody in its rack can take is cut as ever.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::super::handover::TopicPartition;
use super::super::protocol::Member;
use super::{Counts, Racks, in_order};

pub(super) fn assign(counts: &Counts, racks: &Racks, members: &[Member]) -> Vec<Vec<TopicPartition>> {
    let order = in_order(members);
    let mut topics: Vec<Topic> = counts
        .iter()
        .filter_map(|(name, &count)| {
            let takers: Vec<usize> = order.iter().copied().filter(|&m| members[m].subscribes(name)).collect();
            (!takers.is_empty()).then(|| Topic::new(name.clone(), count, takers, racks.get(name)))
        })
        .collect();

    let near: Vec<bool> = topics.iter().map(|topic| topic.wants_racks(members)).collect();
    if near.contains(&true) {
        by_racks(members, &mut topics, &near);
    }
    let mut lists = vec![Vec::new(); members.len()];
    for topic in &mut topics {
        topic.cut(|_, _, _| true);
        for (member, partition) in topic.given.drain(..) {
            lists[member].push(TopicPartition::new(topic.name.clone(), partition));
        }
    }
    lists
}

/// One topic while it is shared out.
struct Topic {
    name: Arc<str>,
    count: i32,
    /// Members that subscribe to it, in order.
    takers: Vec<usize>,
    /// Racks of each partition's replicas; empty where nothing is known.
    racks: Vec<BTreeSet<Arc<str>>>,
    /// Partitions that nobody has yet, in order.
    free: Vec<i32>,
    given: Vec<(usize, i32)>,
    /// What each taker gets at least, and how many may still get one more.
    least: usize,
    extra: usize,
}

impl Topic {
    fn new(name: Arc<str>, count: i32, takers: Vec<usize>, racks: Option<&Vec<BTreeSet<Arc<str>>>>) -> Topic {
        let (least, extra) = (count as usize / takers.len(), count as usize % takers.len());
        let racks = racks.cloned().unwrap_or_default();
        Topic { name, count, takers, racks, free: (0..count).collect(), given: Vec::new(), least, extra }
    }

    /// Whether nearness can matter: some member stands where a replica is, and not all partitions are in all racks.
    fn wants_racks(&self, members: &[Member]) -> bool {
        let all: BTreeSet<Arc<str>> = self.racks.iter().flatten().cloned().collect();
        let near = self.takers.iter().filter_map(|&m| members[m].rack.as_deref()).any(|rack| all.contains(rack));
        near && self.racks.iter().any(|racks| *racks != all)
    }

    /// Whether a member may read the partition in its own rack; one without a rack may read anything.
    fn matches(&self, member: &Member, partition: i32) -> bool {
        let racks = self.racks.get(partition as usize);
        member.rack.as_deref().is_none_or(|rack| racks.is_some_and(|racks| racks.contains(rack)))
    }

    /// How many more a taker may have.
    fn room(&self, taker: usize) -> usize {
        let has = self.given.iter().filter(|(member, _)| *member == taker).count();
        (self.least + usize::from(self.extra > 0)).saturating_sub(has)
    }

    fn give(&mut self, taker: usize, partitions: &[i32]) {
        self.given.extend(partitions.iter().map(|&partition| (taker, partition)));
        self.free.retain(|partition| !partitions.contains(partition));
        if self.given.iter().filter(|(member, _)| *member == taker).count() > self.least {
            self.extra = self.extra.saturating_sub(1);
        }
    }

    /// Ranges of what is free, to each taker as many as it may have of those that suit it.
    fn cut(&mut self, suits: impl Fn(&Topic, usize, i32) -> bool) {
        for taker in self.takers.clone() {
            let suitable = self.free.iter().copied().filter(|&partition| suits(self, taker, partition));
            let part: Vec<i32> = suitable.take(self.room(taker)).collect();
            if !part.is_empty() {
                self.give(taker, &part);
            }
        }
    }
}

/// Topics with the same members and as many partitions go together, partition by partition to the first member that all
/// of them suit; the others go by themselves.
fn by_racks(members: &[Member], topics: &mut [Topic], near: &[bool]) {
    let mut done = vec![false; topics.len()];
    for first in 0..topics.len() {
        let alike: Vec<usize> = (first..topics.len())
            .filter(|&t| !done[t] && topics[t].count == topics[first].count)
            .filter(|&t| topics[t].takers == topics[first].takers)
            .collect();
        alike.iter().for_each(|&t| done[t] = true);
        match alike[..] {
            [] => {}
            [alone] if near[alone] => {
                topics[alone].cut(|topic, taker, partition| topic.matches(&members[taker], partition));
            }
            [_] => {}
            _ => in_step(members, topics, &alike),
        }
    }
}

fn in_step(members: &[Member], topics: &mut [Topic], alike: &[usize]) {
    let mut takers = topics[alike[0]].takers.clone();
    for partition in 0..topics[alike[0]].count {
        let suits =
            |&&m: &&usize| alike.iter().all(|&t| topics[t].matches(&members[m], partition) && topics[t].room(m) > 0);
        let Some(taker) = takers.iter().find(suits).copied() else { continue };
        alike.iter().for_each(|&t| topics[t].give(taker, &[partition]));
        if alike.iter().all(|&t| topics[t].room(taker) == 0) {
            takers.retain(|&m| m != taker);
        }
    }
}
