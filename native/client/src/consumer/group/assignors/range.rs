//! Java's `RangeAssignor`: each topic's partitions are cut into contiguous ranges, one per subscribed member.
//! Members are ordered by instance id, those without one come after, by member id; the first ones get one more.
//! (KIP-881's rack matching is not done here; a Java leader does it with the rack we send.)

use super::super::super::handover::TopicPartition;
use super::super::protocol::Member;
use super::Counts;

pub(super) fn assign(counts: &Counts, members: &[Member]) -> Vec<Vec<TopicPartition>> {
    let mut lists = vec![Vec::new(); members.len()];
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|&m| (members[m].instance_id.is_none(), &members[m].instance_id, &members[m].id));

    for (topic, &count) in counts {
        let takers: Vec<usize> = order.iter().copied().filter(|&m| members[m].subscribes(topic)).collect();
        if takers.is_empty() {
            continue;
        }
        let (each, extra) = (count / takers.len() as i32, count % takers.len() as i32);
        let mut next = 0;
        for (i, &member) in takers.iter().enumerate() {
            let size = each + i32::from((i as i32) < extra);
            lists[member].extend((next..next + size).map(|p| TopicPartition::new(topic.clone(), p)));
            next += size;
        }
    }
    lists
}
