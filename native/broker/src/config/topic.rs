//! The configuration of topics: the table that DescribeConfigs shows, and the typed values that this broker acts on.

use std::collections::BTreeMap;

use super::{Kind, Property, broker, split};
use crate::BrokerOptions;

/// The configuration of a topic: what was set, and the typed values that the broker acts on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TopicConfig {
    /// What was set for this topic.
    pub set: BTreeMap<String, String>,
    pub max_message_bytes: usize,
    pub log_append_time: bool,
    pub compacted: bool,
    /// `cleanup.policy` has `delete`: the two of retention have a meaning.
    pub deletes: bool,
    pub retention_bytes: Option<u64>,
    pub retention_ms: Option<i64>,
    pub segment_bytes: usize,
    /// With a longest lag of compaction no longer than that.
    pub segment_ms: i64,
    pub segment_jitter_ms: i64,
    /// Of files: bytes between two entries of an index, and largest index.
    pub index_interval_bytes: usize,
    pub index_bytes: usize,
    /// Of files: records, and time, after which they are made safe.
    pub flush_messages: i64,
    pub flush_ms: i64,
    /// How `cleanup.policy=compact` works.
    pub compaction: Compaction,
    /// Copies that must have what is produced with acks −1.
    pub min_in_sync: usize,
    pub unclean_leader_election: bool,
    pub timestamp_before_max_ms: i64,
    pub timestamp_after_max_ms: i64,
    /// The broker's `producer.id.expiration.ms`.
    pub producer_expiration_ms: i64,
}

/// The properties of compaction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Compaction {
    /// `min.cleanable.dirty.ratio`.
    pub min_dirty_ratio: f64,
    pub min_lag_ms: i64,
    pub max_lag_ms: i64,
    /// For how long tombstones and markers are kept from when they could go.
    pub delete_retention_ms: i64,
}

impl TopicConfig {
    /// Checks and types what is set; the rest comes from the broker's options. An error is a sentence.
    pub fn new(options: &BrokerOptions, set: impl IntoIterator<Item = (String, String)>) -> Result<Self, String> {
        let set: BTreeMap<String, String> = set.into_iter().collect();
        for (name, value) in &set {
            find(name).ok_or_else(|| format!("Unknown topic config name: {name}"))?.check(value)?;
            if name == "remote.storage.enable" && value.trim().eq_ignore_ascii_case("true") {
                let reason = "Topic cannot be configured with remote log storage.";
                return Err(format!("Tiered Storage functionality is disabled in the broker. {reason}"));
            }
        }
        let value = |name: &str| set.get(name).cloned().unwrap_or_else(|| default_value(options, name));
        let number = |name: &str| value(name).parse::<i64>().unwrap_or(-1);
        let policy = value("cleanup.policy");
        let has_policy = |name: &str| split(&policy).any(|policy| policy == name);
        let (compacted, segment_ms) = (has_policy("compact"), number("segment.ms"));
        Ok(Self {
            max_message_bytes: usize::try_from(number("max.message.bytes")).unwrap_or(0),
            log_append_time: value("message.timestamp.type") == "LogAppendTime",
            compacted,
            deletes: has_policy("delete"),
            retention_bytes: u64::try_from(number("retention.bytes")).ok(),
            retention_ms: Some(number("retention.ms")).filter(|ms| *ms >= 0),
            // In memory a segment is what retention frees at once, and so no larger than the broker's.
            segment_bytes: match set.get("segment.bytes").map(|_| usize::try_from(number("segment.bytes")).unwrap_or(0))
            {
                Some(bytes) if options.log_dir.is_some() => bytes,
                Some(bytes) => bytes.min(options.segment_bytes()),
                None => options.segment_bytes(),
            },
            segment_ms: if compacted { segment_ms.min(number("max.compaction.lag.ms")) } else { segment_ms },
            segment_jitter_ms: number("segment.jitter.ms"),
            index_interval_bytes: usize::try_from(number("index.interval.bytes")).unwrap_or(0),
            index_bytes: usize::try_from(number("segment.index.bytes")).unwrap_or(0),
            flush_messages: number("flush.messages").max(1),
            flush_ms: number("flush.ms"),
            compaction: Compaction {
                min_dirty_ratio: value("min.cleanable.dirty.ratio").trim().parse().unwrap_or(0.5),
                min_lag_ms: number("min.compaction.lag.ms"),
                max_lag_ms: number("max.compaction.lag.ms"),
                delete_retention_ms: number("delete.retention.ms"),
            },
            min_in_sync: usize::try_from(number("min.insync.replicas")).unwrap_or(1).max(1),
            unclean_leader_election: value("unclean.leader.election.enable").trim().eq_ignore_ascii_case("true"),
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
            producer_expiration_ms: broker::number(options, "producer.id.expiration.ms"),
            set,
        })
    }
}

impl TopicConfig {
    /// Whether records go because they are old or many.
    pub fn retains(&self) -> bool {
        self.deletes && (self.retention_ms.is_some() || self.retention_bytes.is_some())
    }
}

/// The value of a property of a topic that sets nothing: the broker's that was given, else the default.
pub(crate) fn default_value(options: &BrokerOptions, name: &str) -> String {
    let Some(property) = find(name) else { return String::new() };
    let behind = || property.synonyms.iter().filter_map(|(name, factor)| Some((broker::find(name)?, *factor)));
    let given = behind().find_map(|(of, factor)| Some((of.given(options)?, factor)));
    // A typed option has a default of its own, which may differ from Kafka's.
    let own = || behind().find(|(of, _)| of.field.is_some()).and_then(|(of, factor)| Some((of.default()?, factor)));
    match given.or_else(own) {
        Some((value, factor)) => scaled(&value, factor),
        None => property.default.unwrap_or_default().into(),
    }
}

/// A number of hours as milliseconds, for instance. Less than nothing is "for ever", in any unit.
pub(crate) fn scaled(value: &str, factor: i64) -> String {
    match value.parse::<i64>() {
        Ok(n) if factor != 1 => if n < 0 { -1 } else { n.saturating_mul(factor) }.to_string(),
        _ => value.into(),
    }
}

/// The property of this name.
pub(crate) fn find(name: &str) -> Option<&'static Property> {
    TABLE.iter().find(|property| property.name == name)
}

const fn p(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    synonyms: &'static [(&'static str, i64)],
    doc: &'static str,
) -> Property {
    Property { name, kind, default: Some(default), synonyms, doc }
}

const LONGEST: &str = "9223372036854775807";
const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;
pub(crate) const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];

/// The topic configurations of Kafka 4.3, with their defaults.
#[rustfmt::skip]
pub(crate) const TABLE: &[Property] = &[
    p("cleanup.policy", Kind::ListOf(&["compact", "delete"]), "delete", &[("log.cleanup.policy", 1)],
        "What happens to old records: delete them by the settings of retention, compact them by key, or both."),
    p("compression.gzip.level", Kind::GzipLevel, "-1", &[("compression.gzip.level", 1)],
        "Level of gzip when compression.type is gzip."),
    p("compression.lz4.level", Kind::Int(1, 17), "9", &[("compression.lz4.level", 1)],
        "Level of lz4 when compression.type is lz4."),
    p("compression.type", Kind::OneOf(CODECS), "producer", &[("compression.type", 1)],
        "Codec that batches are kept in. Here they are always kept as the producer sent them."),
    p("compression.zstd.level", Kind::Int(-131_072, 22), "3", &[("compression.zstd.level", 1)],
        "Level of zstd when compression.type is zstd."),
    p("delete.retention.ms", Kind::long(0), "86400000", &[("log.cleaner.delete.retention.ms", 1)],
        "Milliseconds that the tombstones of a compacted topic are kept."),
    p("file.delete.delay.ms", Kind::long(0), "60000", &[("log.segment.delete.delay.ms", 1)],
        "Milliseconds before a deleted file goes; here it goes at once."),
    p("flush.messages", Kind::long(1), LONGEST, &[("log.flush.interval.messages", 1)],
        "Records after which the log is flushed to the disk, if there is a log folder."),
    p("flush.ms", Kind::long(0), LONGEST, &[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)],
        "Milliseconds after which the log is flushed to the disk, if there is a log folder."),
    p("follower.replication.throttled.replicas", Kind::List, "", &[],
        "Replicas whose replication is throttled; it is not, here."),
    p("index.interval.bytes", Kind::int(0), "4096", &[("log.index.interval.bytes", 1)],
        "Bytes between two entries of an index file."),
    p("leader.replication.throttled.replicas", Kind::List, "", &[],
        "Replicas whose replication is throttled; it is not, here."),
    p("local.retention.bytes", Kind::long(-2), "-2", &[("log.local.retention.bytes", 1)],
        "Bytes kept locally with tiered storage, which is not served."),
    p("local.retention.ms", Kind::long(-2), "-2", &[("log.local.retention.ms", 1)],
        "Milliseconds kept locally with tiered storage, which is not served."),
    p("max.compaction.lag.ms", Kind::long(1), LONGEST, &[("log.cleaner.max.compaction.lag.ms", 1)],
        "Longest time in milliseconds that a record of a compacted topic may stay uncompacted."),
    p("max.message.bytes", Kind::int(0), "1048588", &[("message.max.bytes", 1)],
        "Largest record batch in bytes."),
    p("message.timestamp.after.max.ms", Kind::long(0), "3600000", &[("log.message.timestamp.after.max.ms", 1)],
        "How far in milliseconds the timestamp of a record may be ahead of the broker's clock."),
    p("message.timestamp.before.max.ms", Kind::long(0), LONGEST, &[("log.message.timestamp.before.max.ms", 1)],
        "How far in milliseconds the timestamp of a record may be behind the broker's clock."),
    p("message.timestamp.type", Kind::OneOf(&["CreateTime", "LogAppendTime"]), "CreateTime", &[("log.message.timestamp.type", 1)],
        "Whether the timestamp of a record is the producer's or the time of its append."),
    p("min.cleanable.dirty.ratio", Kind::Double(0.0, 1.0), "0.5", &[("log.cleaner.min.cleanable.ratio", 1)],
        "Share of uncompacted bytes from which on a compacted topic is compacted."),
    p("min.compaction.lag.ms", Kind::long(0), "0", &[("log.cleaner.min.compaction.lag.ms", 1)],
        "Shortest time in milliseconds that a record stays uncompacted."),
    p("min.insync.replicas", Kind::int(1), "1", &[("min.insync.replicas", 1)],
        "Copies that must have a record that is produced with acks=all."),
    p("preallocate", Kind::Boolean, "false", &[("log.preallocate", 1)],
        "Preallocate the files of segments; here they grow."),
    p("remote.log.copy.disable", Kind::Boolean, "false", &[],
        "Stop copying to tiered storage, which is not served."),
    p("remote.log.delete.on.disable", Kind::Boolean, "false", &[],
        "Delete what is in tiered storage, which is not served."),
    p("remote.storage.enable", Kind::Boolean, "false", &[],
        "Tiered storage, which is not served."),
    p("retention.bytes", Kind::long(-1), "-1", &[("log.retention.bytes", 1)],
        "Bytes a partition keeps before its oldest segments go; -1: all."),
    p("retention.ms", Kind::long(-1), "604800000", &[("log.retention.ms", 1), ("log.retention.minutes", MINUTE), ("log.retention.hours", HOUR)],
        "Milliseconds that records are kept before retention deletes them; -1: for ever."),
    p("segment.bytes", Kind::int(14), "1073741824", &[("log.segment.bytes", 1)],
        "Bytes of a segment, the unit that retention frees."),
    p("segment.index.bytes", Kind::int(4), "10485760", &[("log.index.size.max.bytes", 1)],
        "Largest index file in bytes."),
    p("segment.jitter.ms", Kind::long(0), "0", &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOUR)],
        "Random milliseconds taken off segment.ms."),
    p("segment.ms", Kind::long(1), "604800000", &[("log.roll.ms", 1), ("log.roll.hours", HOUR)],
        "Milliseconds after which a new segment is begun."),
    p("unclean.leader.election.enable", Kind::Boolean, "false", &[("unclean.leader.election.enable", 1)],
        "Elect leaders that lack records, rather than none."),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn config(name: &str, value: &str) -> Result<TopicConfig, String> {
        TopicConfig::new(&BrokerOptions::default(), [(name.to_string(), value.to_string())])
    }

    #[test]
    fn a_wrong_value_is_named_with_its_property() {
        assert!(config("cleanup.policy", "shred").unwrap_err().contains("cleanup.policy"));
        assert!(config("max.message.bytes", "-1").unwrap_err().contains("at least 0"));
        assert_eq!(config("no.such", "1").unwrap_err(), "Unknown topic config name: no.such");
    }

    #[test]
    fn compaction_is_recognised_in_a_list() {
        assert!(config("cleanup.policy", "delete,compact").unwrap().compacted);
        assert!(!config("cleanup.policy", "delete").unwrap().compacted);
    }

    #[test]
    fn what_a_topic_does_not_set_comes_from_the_first_of_the_brokers_properties_that_is_set() {
        let mut options = BrokerOptions::default();
        assert_eq!(default_value(&options, "retention.ms"), "604800000");
        assert_eq!(default_value(&options, "segment.bytes"), "1048576");
        broker::set(&mut options, "log.retention.hours", "2").unwrap();
        assert_eq!(default_value(&options, "retention.ms"), "7200000");
        broker::set(&mut options, "log.retention.minutes", "3").unwrap();
        assert_eq!(default_value(&options, "retention.ms"), "180000");
        broker::set(&mut options, "log.retention.ms", "4").unwrap();
        assert_eq!(default_value(&options, "retention.ms"), "4");
        broker::set(&mut options, "message.max.bytes", "77").unwrap();
        assert_eq!(TopicConfig::new(&options, Vec::new()).unwrap().max_message_bytes, 77);
        assert_eq!(scaled("-5", HOUR), "-1");
    }
}
