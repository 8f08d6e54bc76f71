//! The broker's properties that have an effect here, and the values that hold: from the start, or Kafka's (or our) default.

use super::{Kind, Property, known, security, topic::CODECS};
use dohle_security::Secret;

use crate::{BrokerOptions, security::unprefixed};

/// A property of the broker.
pub(crate) struct BrokerProperty {
    pub property: Property,
    pub update: Update,
    /// The option behind it, where there is one; else its text is in `BrokerOptions::properties`.
    pub field: Option<Field>,
    /// Whether it changes what this broker does.
    pub effect: bool,
}

/// What may change a property while the broker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Update {
    ReadOnly,
    ClusterWide,
}

/// A property that is a typed option.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    get: fn(&BrokerOptions) -> String,
    /// None when the text is no such value.
    set: fn(&mut BrokerOptions, &str) -> Option<()>,
}

macro_rules! option {
    ($name:ident) => {
        Some(Field {
            get: |options| options.$name.to_string(),
            set: |options, text| {
                options.$name = text.parse().ok()?;
                Some(())
            },
        })
    };
}

const RETENTION_BYTES: Option<Field> = Some(Field {
    get: |options| options.retention_bytes.map_or("-1".into(), |bytes| bytes.to_string()),
    set: |options, text| {
        options.retention_bytes = u64::try_from(text.parse::<i64>().ok()?).ok();
        Some(())
    },
});

const SEGMENT_BYTES: Option<Field> = Some(Field {
    get: |options| options.segment_bytes().to_string(),
    set: |options, text| {
        options.segment_bytes = Some(text.parse().ok()?);
        Some(())
    },
});

const LOG_DIR: Option<Field> = Some(Field {
    get: |options| options.log_dir.as_ref().map(|folder| folder.display().to_string()).unwrap_or_default(),
    set: |options, text| {
        let mut folders = super::split(text);
        options.log_dir = folders.next().map(Into::into);
        folders.next().is_none().then_some(())
    },
});

use Update::{ClusterWide, ReadOnly};

const fn b(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    update: Update,
    field: Option<Field>,
    doc: &'static str,
) -> BrokerProperty {
    // A typed option has its default in `BrokerOptions`, and nowhere else.
    let default = if default.is_empty() { None } else { Some(default) };
    BrokerProperty { property: Property { name, kind, default, synonyms: &[], doc }, update, field, effect: true }
}

const fn without_effect(property: BrokerProperty) -> BrokerProperty {
    BrokerProperty { effect: false, ..property }
}

const LONGEST: &str = "9223372036854775807";
const TIMES: &[&str] = &["CreateTime", "LogAppendTime"];
const POLICIES: Kind = Kind::ListOf(&["compact", "delete"]);

/// What this broker acts on, and the defaults of topics.
#[rustfmt::skip]
pub(crate) const TABLE: &[BrokerProperty] = &[
    b("advertised.listeners", Kind::List, "", ReadOnly, None,
        "What clients are told to connect to, by name of the listener: NAME://host:port."),
    b("auto.create.topics.enable", Kind::Boolean, "", ReadOnly, option!(auto_create_topics),
        "Create a topic when a client that allows it asks for its metadata."),
    b("auto.leader.rebalance.enable", Kind::Boolean, "true", ReadOnly, None,
        "Let partitions be led by their first replica again when that is in sync, every leader.imbalance.check.interval.seconds."),
    b("broker.heartbeat.interval.ms", Kind::int(1), "200", ReadOnly, None,
        "Milliseconds between two signs of life that a node of a cluster gives its controller. Apache Kafka: 2000."),
    b("broker.id", Kind::int(0), "", ReadOnly, option!(node_id), "The older name of node.id."),
    b("broker.rack", Kind::Text, "", ReadOnly, None,
        "The rack of the node: copies are spread over racks."),
    b("broker.session.timeout.ms", Kind::int(1), "2000", ReadOnly, None,
        "Milliseconds without a sign of life after which a node of a cluster is taken for dead. Apache Kafka: 9000."),
    without_effect(b("compression.gzip.level", Kind::GzipLevel, "-1", ClusterWide, None,
        "Level of gzip for topics whose compression.type is gzip.")),
    without_effect(b("compression.lz4.level", Kind::Int(1, 17), "9", ClusterWide, None,
        "Level of lz4 for topics whose compression.type is lz4.")),
    without_effect(b("compression.type", Kind::OneOf(CODECS), "producer", ClusterWide, None,
        "Codec that batches are kept in. Here they are always kept as the producer sent them.")),
    without_effect(b("compression.zstd.level", Kind::Int(-131_072, 22), "3", ClusterWide, None,
        "Level of zstd for topics whose compression.type is zstd.")),
    b("default.replication.factor", Kind::int(1), "", ReadOnly, None,
        "Copies of a partition of a topic that is created without a number of them. Here 3, or as many as there are nodes. Apache Kafka: 1."),
    b("delete.topic.enable", Kind::Boolean, "true", ReadOnly, None,
        "Delete topics when a client asks for it; otherwise it is refused."),
    b("dohle.allow.non.loopback", Kind::Boolean, "", ReadOnly, option!(allow_non_loopback),
        "Listen on addresses that other machines reach. Not one of Kafka's."),
    b("group.consumer.heartbeat.interval.ms", Kind::int(1), "", ReadOnly, option!(group_consumer_heartbeat_interval_ms),
        "Milliseconds between two heartbeats of a member of a consumer group (KIP-848). Apache Kafka: 5000."),
    b("group.consumer.max.size", Kind::int(1), "", ReadOnly, option!(group_consumer_max_size),
        "Most members of one consumer group (KIP-848)."),
    b("group.consumer.migration.policy", Kind::OneOf(&["bidirectional", "disabled", "downgrade", "upgrade"]), "bidirectional", ReadOnly, None,
        "Whether a classic group with members becomes one of KIP-848 when such a member joins (upgrade), and back when the last such member leaves (downgrade)."),
    b("group.consumer.session.timeout.ms", Kind::int(1), "", ReadOnly, option!(group_consumer_session_timeout_ms),
        "Milliseconds without a heartbeat after which a member of a consumer group (KIP-848) is gone."),
    b("group.initial.rebalance.delay.ms", Kind::int(0), "", ReadOnly, option!(group_initial_rebalance_delay_ms),
        "Milliseconds the first rebalance of an empty group waits for more members. Apache Kafka: 3000."),
    b("group.max.session.timeout.ms", Kind::int(1), "", ReadOnly, option!(group_max_session_timeout_ms),
        "Largest session timeout a member of a classic group may ask for."),
    b("group.min.session.timeout.ms", Kind::int(1), "", ReadOnly, option!(group_min_session_timeout_ms),
        "Smallest session timeout a member of a classic group may ask for. Apache Kafka: 6000."),
    b("leader.imbalance.check.interval.seconds", Kind::long(1), "300", ReadOnly, None,
        "Seconds after which partitions are led by their first replica again."),
    b("listener.security.protocol.map", Kind::List,
        "PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL", ReadOnly, None,
        "The protocol of each listener: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."),
    b("listeners", Kind::List, "", ReadOnly, None,
        "Where to listen: NAME://host:port, an IPv6 address in brackets; without a host on localhost."),
    b("log.cleaner.backoff.ms", Kind::long(0), "15000", ClusterWide, None,
        "How often at most it is looked, in milliseconds, whether something is to be compacted. Nobody looks while nothing was written."),
    b("log.cleaner.delete.retention.ms", Kind::long(0), "86400000", ClusterWide, None,
        "Milliseconds that the tombstones of a compacted topic are kept."),
    b("log.cleaner.enable", Kind::Boolean, "true", ReadOnly, None,
        "Whether compacted topics are compacted."),
    b("log.cleaner.max.compaction.lag.ms", Kind::long(1), LONGEST, ClusterWide, None,
        "Longest time in milliseconds that a record of a compacted topic may stay uncompacted."),
    b("log.cleaner.min.cleanable.ratio", Kind::Double(0.0, 1.0), "0.5", ClusterWide, None,
        "Share of uncompacted bytes from which on a compacted topic is compacted."),
    b("log.cleaner.min.compaction.lag.ms", Kind::long(0), "0", ClusterWide, None,
        "Shortest time in milliseconds that a record stays uncompacted."),
    b("log.cleanup.policy", POLICIES, "delete", ClusterWide, None,
        "What happens to old records: delete them by age and size, compact them by key, or both."),
    b("log.dir", Kind::Text, "", ReadOnly, LOG_DIR,
        "The folder to keep everything in, if log.dirs is not set. Apache Kafka: /tmp/kafka-logs; here, without one, all is in memory."),
    b("log.dirs", Kind::Text, "", ReadOnly, LOG_DIR,
        "The folder to keep everything in; without one, all is in memory. One folder: more are refused."),
    b("log.flush.interval.messages", Kind::long(1), LONGEST, ClusterWide, None,
        "Records after which a log is flushed to the disk; with 1 what was acknowledged survives the machine's failure."),
    b("log.flush.interval.ms", Kind::long(0), "", ClusterWide, None,
        "Milliseconds after which a log is flushed to the disk."),
    without_effect(b("log.flush.scheduler.interval.ms", Kind::long(0), LONGEST, ReadOnly, None,
        "How often it is looked whether a log must be flushed; here it is done when its time has come.")),
    b("log.flush.offset.checkpoint.interval.ms", Kind::int(0), "60000", ReadOnly, None,
        "How often at most, in milliseconds, it is noted up to where logs are safe and where they start."),
    b("log.index.interval.bytes", Kind::int(0), "4096", ClusterWide, None,
        "Bytes between two entries of an index file."),
    b("log.index.size.max.bytes", Kind::int(4), "10485760", ClusterWide, None,
        "Largest index file in bytes."),
    without_effect(b("log.local.retention.bytes", Kind::long(-2), "-2", ClusterWide, None,
        "Bytes kept locally with tiered storage, which is not served.")),
    without_effect(b("log.local.retention.ms", Kind::long(-2), "-2", ClusterWide, None,
        "Milliseconds kept locally with tiered storage, which is not served.")),
    b("log.message.timestamp.after.max.ms", Kind::long(0), "3600000", ClusterWide, None,
        "How far in milliseconds the timestamp of a record may be ahead of the broker's clock."),
    b("log.message.timestamp.before.max.ms", Kind::long(0), LONGEST, ClusterWide, None,
        "How far in milliseconds the timestamp of a record may be behind the broker's clock."),
    b("log.message.timestamp.type", Kind::OneOf(TIMES), "CreateTime", ClusterWide, None,
        "Whether the timestamp of a record is the producer's or the time of its append."),
    without_effect(b("log.preallocate", Kind::Boolean, "false", ClusterWide, None,
        "Preallocate the files of segments.")),
    b("log.retention.bytes", Kind::long(-1), "", ClusterWide, RETENTION_BYTES,
        "Bytes a partition keeps before its oldest segments go; -1: all."),
    b("log.retention.check.interval.ms", Kind::long(1), "300000", ReadOnly, None,
        "How often at most it is looked, in milliseconds, whether segments are too old or too many. Nobody looks while nothing can be."),
    b("log.retention.hours", Kind::int(i32::MIN as i64), "168", ReadOnly, None,
        "Hours that records are kept, unless log.retention.minutes or .ms is set."),
    b("log.retention.minutes", Kind::int(i32::MIN as i64), "", ReadOnly, None,
        "Minutes that records are kept, unless log.retention.ms is set."),
    b("log.retention.ms", Kind::long(-1), "", ClusterWide, None,
        "Milliseconds that records are kept; -1: for ever."),
    b("log.roll.hours", Kind::int(1), "168", ReadOnly, None,
        "Hours after which a new segment is begun, unless log.roll.ms is set."),
    b("log.roll.jitter.hours", Kind::int(0), "0", ReadOnly, None,
        "Most hours that are taken off log.roll.hours, by chance."),
    b("log.roll.jitter.ms", Kind::long(0), "", ClusterWide, None,
        "Most milliseconds that are taken off log.roll.ms, by chance."),
    b("log.roll.ms", Kind::long(1), "", ClusterWide, None,
        "Milliseconds after which a new segment is begun."),
    b("log.segment.bytes", Kind::int(14), "", ClusterWide, SEGMENT_BYTES,
        "Bytes of a segment, the unit that retention frees. With a log folder 1 GiB, as Apache Kafka, where it is never less than 1 MiB."),
    without_effect(b("log.segment.delete.delay.ms", Kind::long(0), "60000", ClusterWide, None,
        "Milliseconds before the file of a deleted segment goes; here it goes at once.")),
    b("max.connections", Kind::int(0), "", ClusterWide, option!(max_connections),
        "Open connections at the same time; more are closed at once."),
    b("message.max.bytes", Kind::int(0), "", ClusterWide, option!(max_message_bytes),
        "Largest record batch in bytes."),
    b("min.insync.replicas", Kind::int(1), "1", ClusterWide, None,
        "Copies that must have a record that is produced with acks=all."),
    b("node.id", Kind::int(0), "", ReadOnly, option!(node_id), "The broker's id."),
    b("num.partitions", Kind::int(1), "", ReadOnly, option!(partitions),
        "Partitions of a topic that is created without a number of them."),
    b("offsets.commit.timeout.ms", Kind::int(1), "5000", ReadOnly, None,
        "Milliseconds that a coordinator waits for the copies of what it writes."),
    b("offsets.retention.check.interval.ms", Kind::long(1), "600000", ReadOnly, None,
        "How often at most it is looked, in milliseconds, whether committed offsets are too old."),
    b("offsets.retention.minutes", Kind::int(1), "10080", ReadOnly, None,
        "Minutes that committed offsets are kept after their group has lost its members or its interest in the topic."),
    b("offsets.topic.num.partitions", Kind::int(1), "50", ReadOnly, None,
        "Partitions of __consumer_offsets, when it is made."),
    b("offsets.topic.replication.factor", Kind::int(1), "3", ReadOnly, None,
        "Copies of __consumer_offsets, when it is made; fewer when there are not so many nodes."),
    b("offsets.topic.segment.bytes", Kind::int(1), "104857600", ReadOnly, None,
        "Bytes of a segment of __consumer_offsets, when it is made. Without a log folder never more than log.segment.bytes."),
    b("producer.id.expiration.ms", Kind::int(1), "86400000", ClusterWide, None,
        "Milliseconds without a write after which a partition forgets a producer and its sequences."),
    b("quota.window.num", Kind::int(1), "11", ReadOnly, None,
        "Windows that a rate is measured over for client quotas."),
    b("quota.window.size.seconds", Kind::int(1), "1", ReadOnly, None,
        "Seconds of each of these windows."),
    b("replica.lag.time.max.ms", Kind::long(1), "2000", ReadOnly, None,
        "Milliseconds after which a copy that has not all is not in sync any more. Apache Kafka: 30000."),
    b("replica.selector.class", Kind::Text, "", ReadOnly, None,
        "org.apache.kafka.common.replica.RackAwareReplicaSelector lets consumers read from a copy in their own rack."),
    b("socket.request.max.bytes", Kind::int(1), "", ReadOnly, option!(max_request_bytes),
        "Largest request in bytes; a connection that announces more is closed."),
    b("transaction.max.timeout.ms", Kind::int(1), "", ReadOnly, option!(transaction_max_timeout_ms),
        "Longest transaction timeout a producer may ask for."),
    b("transaction.state.log.min.isr", Kind::int(1), "2", ReadOnly, None,
        "Copies of __transaction_state that must have what is written, when it is made; no more than there are copies."),
    b("transaction.state.log.replication.factor", Kind::int(1), "3", ReadOnly, None,
        "Copies of __transaction_state, when it is made; fewer when there are not so many nodes."),
    b("transactional.id.expiration.ms", Kind::int(1), "604800000", ReadOnly, None,
        "Milliseconds without a transaction after which a transactional id is forgotten."),
    b("unclean.leader.election.enable", Kind::Boolean, "false", ClusterWide, None,
        "Elect leaders that lack records, when no copy that has all is alive."),
];

/// All properties that a broker knows, with effect or without.
pub(crate) fn all() -> impl Iterator<Item = &'static BrokerProperty> {
    TABLE.iter().chain(security::TABLE).chain(known::TABLE)
}

/// The property of this name, which may have the prefix of a listener.
pub(crate) fn find(name: &str) -> Option<&'static BrokerProperty> {
    let name = unprefixed(name, security::is_of_a_listener).unwrap_or(name);
    all().find(|of| of.property.name == name)
}

/// Sets a property of the broker; an error is a sentence.
pub(crate) fn set(options: &mut BrokerOptions, name: &str, value: &str) -> Result<(), String> {
    let of = find(name).ok_or_else(|| super::file::unknown(name))?;
    of.property.check(value)?;
    match of.field {
        None if of.property.kind == Kind::Password => {
            drop(options.secrets.insert(name.into(), Secret::new(value.trim())))
        }
        None => drop(options.properties.insert(name.into(), value.trim().into())),
        Some(field) => (field.set)(options, value.trim())
            .ok_or_else(|| format!("Invalid value {value} for configuration {name}: it is out of range"))?,
    }
    Ok(())
}

impl BrokerProperty {
    /// What was given at the start; none when the default holds.
    pub fn given(&self, options: &BrokerOptions) -> Option<String> {
        match self.field {
            Some(field) => Some((field.get)(options)).filter(|value| *value != (field.get)(&BrokerOptions::default())),
            // That it is there, not what it is.
            None if self.property.kind == Kind::Password => {
                options.secrets.contains_key(self.property.name).then(String::new)
            }
            None => options.properties.get(self.property.name).cloned(),
        }
    }

    pub fn default(&self) -> Option<String> {
        match self.field {
            Some(field) => Some((field.get)(&BrokerOptions::default())),
            None => self.property.default.map(str::to_string),
        }
    }
}

/// A number that holds; −1 when it is none.
pub(crate) fn number(options: &BrokerOptions, name: &str) -> i64 {
    let text = find(name).and_then(|of| of.given(options).or_else(|| of.default()));
    text.and_then(|text| text.parse().ok()).unwrap_or(-1)
}

/// A text that holds; empty when there is none.
pub(crate) fn text(options: &BrokerOptions, name: &str) -> String {
    find(name).and_then(|of| of.given(options).or_else(|| of.default())).unwrap_or_default()
}

/// Whether a switch is on.
pub(crate) fn enabled(options: &BrokerOptions, name: &str) -> bool {
    find(name)
        .and_then(|of| of.given(options).or_else(|| of.default()))
        .is_some_and(|text| text.eq_ignore_ascii_case("true"))
}
