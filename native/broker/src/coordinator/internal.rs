//! The topics of the coordinators: their names, how they are made, and which partition is whose.

use crate::{BrokerOptions, config::broker::number};

/// What groups have committed, and groups.
pub(crate) const OFFSETS: &str = "__consumer_offsets";
/// Transactional ids.
pub(crate) const TRANSACTIONS: &str = "__transaction_state";

/// Whether a topic is the coordinators': clients do not write to it.
pub(crate) fn is_internal(topic: &str) -> bool {
    matches!(topic, OFFSETS | TRANSACTIONS)
}

/// Partitions and settings that an internal topic is made with, as by Kafka's AutoTopicCreationManager.
pub(crate) fn settings(topic: &str, options: &BrokerOptions) -> Option<(i32, Vec<(String, String)>)> {
    let (count, bytes, more): (_, _, &[(&str, &str)]) = match topic {
        OFFSETS => ("offsets.topic.num.partitions", "offsets.topic.segment.bytes", &[("compression.type", "producer")]),
        TRANSACTIONS => (
            "transaction.state.log.num.partitions",
            "transaction.state.log.segment.bytes",
            &[("compression.type", "uncompressed"), ("unclean.leader.election.enable", "false")],
        ),
        _ => return None,
    };
    let own =
        [("cleanup.policy".into(), "compact".into()), ("segment.bytes".into(), number(options, bytes).to_string())];
    let more = more.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    Some((i32::try_from(number(options, count)).unwrap_or(1).max(1), own.into_iter().chain(more).collect()))
}

/// Copies that an internal topic is made with, if there are so many nodes.
pub(crate) fn copies(topic: &str, options: &BrokerOptions) -> Option<i64> {
    match topic {
        OFFSETS => Some(number(options, "offsets.topic.replication.factor")),
        TRANSACTIONS => Some(number(options, "transaction.state.log.replication.factor")),
        _ => None,
    }
}

/// Of these, how many must have what is written.
pub(crate) fn min_in_sync(topic: &str, options: &BrokerOptions) -> Option<i64> {
    (topic == TRANSACTIONS).then(|| number(options, "transaction.state.log.min.isr"))
}

/// The partition that a group or a transactional id belongs to: Java's hash of its text, without a sign.
pub(crate) fn partition_of(id: &str, partitions: i32) -> i32 {
    let hash = id.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
    hash.checked_abs().unwrap_or(0) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_belongs_to_the_partition_of_its_java_hash() {
        // Of Java's String.hashCode: "", "a", "group" (98629247), one of Integer.MIN_VALUE, and one beyond 16 bits.
        assert_eq!(partition_of("", 50), 0);
        assert_eq!(partition_of("a", 50), 97 % 50);
        assert_eq!(partition_of("group", 50), 98_629_247 % 50);
        assert_eq!(partition_of("polygenelubricants", 50), 0);
        assert_eq!(partition_of("\u{1f600}", 50), (0xd83d * 31 + 0xde00) % 50);
        assert_eq!(partition_of("hello world", 50), 1_794_106_052 % 50);
    }
}
