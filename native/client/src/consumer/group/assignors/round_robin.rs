//! Java's `RoundRobinAssignor`: all partitions of all topics in order, one to each member in turn that subscribes to the
//! topic. Members are ordered as for `range`. With unequal subscriptions the loads can differ by much.

use super::super::super::handover::TopicPartition;
use super::super::protocol::Member;
use super::{Counts, in_order};

pub(super) fn assign(counts: &Counts, members: &[Member]) -> Vec<Vec<TopicPartition>> {
    let mut lists = vec![Vec::new(); members.len()];
    let order = in_order(members);
    let mut turn = 0;
    for (topic, &count) in counts.iter().filter(|(topic, _)| members.iter().any(|m| m.subscribes(topic))) {
        for partition in 0..count {
            while !members[order[turn]].subscribes(topic) {
                turn = (turn + 1) % order.len();
            }
            lists[order[turn]].push(TopicPartition::new(topic.clone(), partition));
            turn = (turn + 1) % order.len();
        }
    }
    lists
}
