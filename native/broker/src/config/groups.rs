//! The configurations of groups and of subscriptions to client metrics (KIP-848, KIP-932, KIP-714).

use super::{Kind, MAX_INT, Property};

const fn p(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    synonyms: &'static [(&'static str, i64)],
    doc: &'static str,
) -> Property {
    Property { name, kind, default: Some(default), synonyms, doc }
}

/// What a group may be given.
#[rustfmt::skip]
pub(crate) const GROUP: &[Property] = &[
    p("consumer.assignment.interval.ms", Kind::int(0), "1000", &[("group.consumer.assignment.interval.ms", 1)],
        "Milliseconds between two assignments of a consumer group."),
    p("consumer.heartbeat.interval.ms", Kind::int(1), "5000", &[("group.consumer.heartbeat.interval.ms", 1)],
        "Milliseconds between two heartbeats of a member of a consumer group."),
    p("consumer.session.timeout.ms", Kind::int(1), "45000", &[("group.consumer.session.timeout.ms", 1)],
        "Milliseconds without a heartbeat after which a member of a consumer group is gone."),
    p("share.assignment.interval.ms", Kind::int(0), "1000", &[("group.share.assignment.interval.ms", 1)],
        "Milliseconds between two assignments of a share group."),
    p("share.auto.offset.reset", Kind::Text, "latest", &[],
        "Where a share group begins: earliest, latest or by_duration:PnDTnHnMn.nS."),
    p("share.delivery.count.limit", Kind::int(2), "5", &[("group.share.delivery.count.limit", 1)],
        "How often a record is given to a share group at most."),
    p("share.heartbeat.interval.ms", Kind::int(1), "5000", &[("group.share.heartbeat.interval.ms", 1)],
        "Milliseconds between two heartbeats of a member of a share group."),
    p("share.isolation.level", Kind::OneOf(&["read_committed", "read_uncommitted"]), "read_uncommitted", &[],
        "Whether a share group gets records of transactions that are not committed."),
    p("share.partition.max.record.locks", Kind::int(100), "2000", &[("group.share.partition.max.record.locks", 1)],
        "Most records of a partition that a share group holds at a time."),
    p("share.record.lock.duration.ms", Kind::int(1000), "30000", &[("group.share.record.lock.duration.ms", 1)],
        "Milliseconds that a share group holds a record before it is given again."),
    p("share.renew.acknowledge.enable", Kind::Boolean, "true", &[],
        "Whether members of a share group may hold a record for longer."),
    p("share.session.timeout.ms", Kind::int(1), "45000", &[("group.share.session.timeout.ms", 1)],
        "Milliseconds without a heartbeat after which a member of a share group is gone."),
    p("streams.assignment.interval.ms", Kind::int(0), "1000", &[],
        "Milliseconds between two assignments of a streams group."),
    p("streams.heartbeat.interval.ms", Kind::int(1), "5000", &[("group.streams.heartbeat.interval.ms", 1)],
        "Milliseconds between two heartbeats of a member of a streams group."),
    p("streams.initial.rebalance.delay.ms", Kind::int(0), "3000", &[("group.streams.initial.rebalance.delay.ms", 1)],
        "Milliseconds the first rebalance of a streams group waits for more members."),
    p("streams.num.standby.replicas", Kind::int(0), "0", &[("group.streams.num.standby.replicas", 1)],
        "Standby copies of each task of a streams group."),
    p("streams.session.timeout.ms", Kind::int(1), "45000", &[("group.streams.session.timeout.ms", 1)],
        "Milliseconds without a heartbeat after which a member of a streams group is gone."),
];

/// What a subscription to client metrics may be given.
#[rustfmt::skip]
pub(crate) const CLIENT_METRICS: &[Property] = &[
    p("interval.ms", Kind::Int(i32::MIN as i64, MAX_INT), "300000", &[],
        "Milliseconds between two pushes of a client's metrics: 100 to 3600000."),
    p("match", Kind::List, "", &[],
        "Which clients: list of name=pattern; names are client_id, client_instance_id, client_software_name, \
         client_software_version, client_source_address and client_source_port."),
    p("metrics", Kind::List, "", &[],
        "Prefixes of the names of the metrics; * for all."),
];

/// The property of this name in a table.
pub(crate) fn find(table: &'static [Property], name: &str) -> Option<&'static Property> {
    table.iter().find(|property| property.name == name)
}
