//! What a consumer tells of itself without asking a broker: its partitions, where it stands in them, how far behind it is.

use std::sync::Arc;

use crate::Result;

use super::subscription::{self, Interest};
use super::{Consumer, IsolationLevel, PartitionStatistics, TopicPartition, Watermarks, not_assigned, watchdog};

impl Consumer {
    /// What is paused, sorted.
    pub fn paused(&self) -> Vec<TopicPartition> {
        let mut paused: Vec<_> = self.shared().with(|s| {
            let paused = s.iter().filter(|(_, partition)| partition.paused);
            paused.map(|(tp, _)| tp.clone()).collect()
        });
        paused.sort_unstable();
        paused
    }

    /// What is assigned now, sorted.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.shared().with(|s| s.assigned())
    }

    /// What is subscribed, sorted; by a pattern, the topics that match it now.
    pub fn subscription(&self) -> Vec<Arc<str>> {
        self.shared().with(|s| match &s.interest {
            Interest::Topics(topics) => topics.to_vec(),
            _ => Vec::new(),
        })
    }

    /// Offset of the next record that the loop gets; none while it is being looked up. Error: not assigned.
    pub fn position(&self, partition: &TopicPartition) -> Result<Option<i64>> {
        self.of_assigned(partition, |p| p.position().map(|at| at.offset))
    }

    /// The ends of the log as last seen. Error: not assigned.
    pub fn watermarks(&self, partition: &TopicPartition) -> Result<Watermarks> {
        self.of_assigned(partition, |p| Watermarks {
            log_start: p.log_start,
            last_stable: p.last_stable,
            high_watermark: p.high_watermark,
        })
    }

    /// Records between `position` and the end of what may be read (the last stable offset with `read_committed`, else
    /// the high watermark); none while either is not known. Error: not assigned.
    pub fn lag(&self, partition: &TopicPartition) -> Result<Option<i64>> {
        let stable = self.shared().options.isolation_level == IsolationLevel::ReadCommitted;
        self.of_assigned(partition, |p| {
            let end = if stable { p.last_stable } else { p.high_watermark };
            let position = p.position()?.offset;
            (end >= 0).then_some((end - position).max(0))
        })
    }

    /// How each assigned partition is doing, sorted: `stalled` tells which of them stand still, and why.
    pub fn statistics(&self) -> Vec<PartitionStatistics> {
        watchdog::statistics(self.shared())
    }

    fn of_assigned<T>(&self, tp: &TopicPartition, read: impl FnOnce(&subscription::Partition) -> T) -> Result<T> {
        self.shared().with(|s| s.get(tp).map(read)).ok_or_else(|| not_assigned(tp))
    }
}
