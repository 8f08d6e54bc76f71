//! Topic and broker configurations: the table of names, types and defaults that DescribeConfigs shows, and the typed
//! few that this broker acts on. The others are accepted and shown, and have no effect.

use std::collections::BTreeMap;

use crate::BrokerOptions;

/// A property: Kafka's name, type, default, and the broker's property behind it (empty: none).
pub(crate) struct Property {
    pub name: &'static str,
    pub kind: Kind,
    pub default: &'static str,
    pub synonym: &'static str,
}

/// Kafka's types of a property, as far as they occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A comma-separated list of these words.
    ListOf(&'static [&'static str]),
    /// Any comma-separated list.
    List,
    /// A number of at least this much.
    Int(i64),
    Long(i64),
    Double,
}

/// The configuration of a topic: what was set, and the typed values that the broker acts on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TopicConfig {
    /// What was set for this topic.
    pub set: BTreeMap<String, String>,
    pub max_message_bytes: usize,
    pub log_append_time: bool,
    pub compacted: bool,
    pub retention_bytes: Option<u64>,
    pub segment_bytes: usize,
    pub timestamp_before_max_ms: i64,
    pub timestamp_after_max_ms: i64,
}

impl TopicConfig {
    /// Checks and types what is set; the rest comes from the broker's options. An error is a sentence.
    pub fn new(options: &BrokerOptions, set: impl IntoIterator<Item = (String, String)>) -> Result<Self, String> {
        let set: BTreeMap<String, String> = set.into_iter().collect();
        for (name, value) in &set {
            property(name).ok_or_else(|| format!("Unknown topic config name: {name}"))?.check(value)?;
        }
        let value = |name: &str| set.get(name).cloned().unwrap_or_else(|| default_value(options, name));
        let number = |name: &str| value(name).parse::<i64>().unwrap_or(-1);
        Ok(Self {
            max_message_bytes: usize::try_from(number("max.message.bytes")).unwrap_or(0),
            log_append_time: value("message.timestamp.type") == "LogAppendTime",
            compacted: value("cleanup.policy").split(',').any(|policy| policy.trim() == "compact"),
            retention_bytes: u64::try_from(number("retention.bytes")).ok(),
            // Kafka's own default is 1 GiB; in memory a segment is what retention frees at once.
            segment_bytes: match set.get("segment.bytes") {
                Some(_) => usize::try_from(number("segment.bytes")).unwrap_or(0).min(options.segment_bytes),
                None => options.segment_bytes,
            },
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
            set,
        })
    }
}

/// The value of a property of a topic that sets nothing.
pub(crate) fn default_value(options: &BrokerOptions, name: &str) -> String {
    match name {
        "max.message.bytes" => options.max_message_bytes.to_string(),
        "retention.bytes" => options.retention_bytes.map_or("-1".into(), |bytes| bytes.to_string()),
        _ => property(name).map_or_else(String::new, |property| property.default.into()),
    }
}

pub(crate) fn property(name: &str) -> Option<&'static Property> {
    TOPIC.iter().find(|property| property.name == name)
}

impl Property {
    /// Whether a value is allowed; an error is a sentence, as Kafka's ConfigException.
    pub fn check(&self, value: &str) -> Result<(), String> {
        let number = |least: i64, most: i64| match value.trim().parse::<i64>() {
            Ok(n) if (least..=most).contains(&n) => Ok(()),
            Ok(n) if n < least => Err(format!("Value must be at least {least}")),
            _ => Err("Not a number of its type".into()),
        };
        let checked = match self.kind {
            Kind::Boolean if matches!(value.trim().to_ascii_lowercase().as_str(), "true" | "false") => Ok(()),
            Kind::Boolean => Err("Expected value to be either true or false".into()),
            Kind::List => Ok(()),
            Kind::OneOf(words) if words.contains(&value) => Ok(()),
            Kind::ListOf(words) if value.split(',').all(|word| words.contains(&word.trim())) => Ok(()),
            Kind::OneOf(words) | Kind::ListOf(words) => Err(format!("String must be one of: {}", words.join(", "))),
            Kind::Int(least) => number(least, i32::MAX.into()),
            Kind::Long(least) => number(least, i64::MAX),
            Kind::Double => value.trim().parse::<f64>().map(drop).map_err(|_| "Not a number of type DOUBLE".into()),
        };
        checked.map_err(|reason: String| format!("Invalid value {value} for configuration {}: {reason}", self.name))
    }

    /// Kafka's number of the type in DescribeConfigs.
    pub fn wire_type(&self) -> i8 {
        match self.kind {
            Kind::Boolean => 1,
            Kind::OneOf(_) => 2,
            Kind::Int(_) => 3,
            Kind::Long(_) => 5,
            Kind::Double => 6,
            Kind::ListOf(_) | Kind::List => 7,
        }
    }
}

/// What a broker says about itself: name, type as on the wire, value. All of them read-only here.
pub(crate) fn broker_properties(options: &BrokerOptions) -> Vec<(&'static str, i8, String)> {
    let default_of = |name| default_value(options, name);
    vec![
        ("auto.create.topics.enable", 1, options.auto_create_topics.to_string()),
        ("compression.type", 2, default_of("compression.type")),
        ("default.replication.factor", 3, "1".into()),
        ("delete.topic.enable", 1, "true".into()),
        ("group.initial.rebalance.delay.ms", 3, options.group_initial_rebalance_delay_ms.to_string()),
        ("group.max.session.timeout.ms", 3, options.group_max_session_timeout_ms.to_string()),
        ("group.min.session.timeout.ms", 3, options.group_min_session_timeout_ms.to_string()),
        ("log.cleanup.policy", 7, default_of("cleanup.policy")),
        ("log.message.timestamp.type", 2, default_of("message.timestamp.type")),
        ("log.retention.bytes", 5, default_of("retention.bytes")),
        ("log.retention.ms", 5, default_of("retention.ms")),
        ("log.segment.bytes", 3, options.segment_bytes.to_string()),
        ("message.max.bytes", 3, options.max_message_bytes.to_string()),
        ("min.insync.replicas", 3, "1".into()),
        ("node.id", 3, options.node_id.to_string()),
        ("num.partitions", 3, options.partitions.to_string()),
        ("offset.metadata.max.bytes", 3, crate::group::MAX_METADATA_BYTES.to_string()),
        ("socket.request.max.bytes", 3, options.max_request_bytes.to_string()),
    ]
}

/// Kafka's numbers of where a value comes from (DescribeConfigs).
pub(crate) mod source {
    /// Set for this topic.
    pub const TOPIC: i8 = 1;
    /// From the broker's start.
    pub const BROKER: i8 = 4;
    /// Kafka's default.
    pub const DEFAULT: i8 = 5;
}

const fn p(name: &'static str, kind: Kind, default: &'static str, synonym: &'static str) -> Property {
    Property { name, kind, default, synonym }
}

const MAX_LONG: &str = "9223372036854775807";
const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];

/// The topic configurations of Kafka 4.3, with their defaults.
pub(crate) const TOPIC: &[Property] = &[
    p("cleanup.policy", Kind::ListOf(&["compact", "delete"]), "delete", "log.cleanup.policy"),
    p("compression.gzip.level", Kind::Int(-1), "-1", "compression.gzip.level"),
    p("compression.lz4.level", Kind::Int(1), "9", "compression.lz4.level"),
    p("compression.type", Kind::OneOf(CODECS), "producer", "compression.type"),
    p("compression.zstd.level", Kind::Int(-131_072), "3", "compression.zstd.level"),
    p("delete.retention.ms", Kind::Long(0), "86400000", "log.cleaner.delete.retention.ms"),
    p("file.delete.delay.ms", Kind::Long(0), "60000", "log.segment.delete.delay.ms"),
    p("flush.messages", Kind::Long(1), MAX_LONG, "log.flush.interval.messages"),
    p("flush.ms", Kind::Long(0), MAX_LONG, ""),
    p("follower.replication.throttled.replicas", Kind::List, "", ""),
    p("index.interval.bytes", Kind::Int(0), "4096", "log.index.interval.bytes"),
    p("leader.replication.throttled.replicas", Kind::List, "", ""),
    p("local.retention.bytes", Kind::Long(-2), "-2", "log.local.retention.bytes"),
    p("local.retention.ms", Kind::Long(-2), "-2", "log.local.retention.ms"),
    p("max.compaction.lag.ms", Kind::Long(1), MAX_LONG, "log.cleaner.max.compaction.lag.ms"),
    p("max.message.bytes", Kind::Int(0), "1048588", "message.max.bytes"),
    p("message.timestamp.after.max.ms", Kind::Long(0), "3600000", "log.message.timestamp.after.max.ms"),
    p("message.timestamp.before.max.ms", Kind::Long(0), MAX_LONG, "log.message.timestamp.before.max.ms"),
    p(
        "message.timestamp.type",
        Kind::OneOf(&["CreateTime", "LogAppendTime"]),
        "CreateTime",
        "log.message.timestamp.type",
    ),
    p("min.cleanable.dirty.ratio", Kind::Double, "0.5", "log.cleaner.min.cleanable.ratio"),
    p("min.compaction.lag.ms", Kind::Long(0), "0", "log.cleaner.min.compaction.lag.ms"),
    p("min.insync.replicas", Kind::Int(1), "1", "min.insync.replicas"),
    p("preallocate", Kind::Boolean, "false", "log.preallocate"),
    p("remote.log.copy.disable", Kind::Boolean, "false", ""),
    p("remote.log.delete.on.disable", Kind::Boolean, "false", ""),
    p("remote.storage.enable", Kind::Boolean, "false", ""),
    p("retention.bytes", Kind::Long(-1), "-1", "log.retention.bytes"),
    p("retention.ms", Kind::Long(-1), "604800000", ""),
    p("segment.bytes", Kind::Int(14), "1073741824", "log.segment.bytes"),
    p("segment.index.bytes", Kind::Int(4), "10485760", "log.index.size.max.bytes"),
    p("segment.jitter.ms", Kind::Long(0), "0", ""),
    p("segment.ms", Kind::Long(1), "604800000", ""),
    p("unclean.leader.election.enable", Kind::Boolean, "false", "unclean.leader.election.enable"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn config(name: &str, value: &str) -> Result<TopicConfig, String> {
        TopicConfig::new(&BrokerOptions::default(), [(name.to_string(), value.to_string())])
    }

    #[test]
    fn every_default_passes_its_own_check() {
        for property in TOPIC {
            assert_eq!(property.check(property.default), Ok(()), "{}", property.name);
        }
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
}
