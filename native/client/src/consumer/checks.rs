//! What calls and options must be like, and the errors that say so.
//! No state; driven by the calls of `Consumer`.

use std::sync::Arc;

use crate::generated::options::GroupProtocol;
use crate::{Error, Result};

use super::ConsumerOptions;
use super::group::assignors::Assignor;
use super::group::strategy::{PartitionAssignor, Strategy};
use super::handover::TopicPartition;

pub(super) fn not_assigned(tp: &TopicPartition) -> Error {
    Error::invalid_argument(format!("{tp} is not assigned to this consumer"))
}

/// Kafka's rule for names of topics.
pub(crate) fn check_topic(topic: &str) -> Result<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match topic {
        "" | "." | ".." => Err(Error::invalid_argument(format!("'{topic}' cannot be a topic's name"))),
        _ if topic.len() > 249 => Err(Error::invalid_argument("a topic's name has at most 249 characters")),
        _ if !topic.chars().all(legal) => Err(Error::invalid_argument(format!(
            "'{topic}': a topic's name has only ASCII letters, digits, '.', '_' and '-'"
        ))),
        _ => Ok(()),
    }
}

/// The first of the options that only the classic protocol knows and that is not as it is by default.
pub(super) fn sets_classic_options(options: &ConsumerOptions) -> Option<&'static str> {
    let default = ConsumerOptions::default();
    let changed = [
        ("session.timeout.ms", options.session_timeout != default.session_timeout),
        ("heartbeat.interval.ms", options.heartbeat_interval != default.heartbeat_interval),
        (
            "partition.assignment.strategy",
            options.partition_assignment_strategy != default.partition_assignment_strategy,
        ),
    ];
    changed.into_iter().find(|(_, changed)| *changed).map(|(name, _)| name)
}

/// What options say together that each of them may say alone. `own` are the application's assignors, which
/// `partition.assignment.strategy` names beside Kafka's.
pub(super) fn check(options: &ConsumerOptions, own: &[Arc<dyn PartitionAssignor>]) -> Result<Vec<Strategy>> {
    if options.group_id.as_deref() == Some("") {
        return Err(Error::invalid_config("group.id: it is empty"));
    }
    if options.heartbeat_interval >= options.session_timeout {
        return Err(Error::invalid_config(format!(
            "heartbeat.interval.ms: {} must be below session.timeout.ms, which is {}",
            options.heartbeat_interval.as_millis(),
            options.session_timeout.as_millis()
        )));
    }
    if options.group_protocol == GroupProtocol::Consumer
        && let Some(name) = sets_classic_options(options)
    {
        let text =
            format!("{name}: it belongs to the classic protocol; with group.protocol consumer the brokers decide");
        return Err(Error::invalid_config(text));
    }
    if options.group_protocol == GroupProtocol::Classic && options.group_remote_assignor.is_some() {
        return Err(Error::invalid_config("group.remote.assignor: it needs group.protocol consumer or auto"));
    }
    if let Some(taken) = own.iter().find(|assignor| Assignor::by_name(assignor.name()).is_some()) {
        let text = format!("partition.assignment.strategy: '{}' is the name of one of Kafka's assignors", taken.name());
        return Err(Error::invalid_config(text));
    }
    let strategies = &options.partition_assignment_strategy;
    let known = strategies.iter().enumerate().map(|(i, name)| {
        if strategies[..i].contains(name) {
            return Err(Error::invalid_config(format!("partition.assignment.strategy: '{name}' is there twice")));
        }
        let own = own.iter().find(|assignor| assignor.name() == name).cloned().map(Strategy::Own);
        own.or(Assignor::by_name(name).map(Strategy::BuiltIn)).ok_or_else(|| {
            let known = Assignor::ALL.map(Assignor::name).join(", ");
            Error::invalid_config(format!("partition.assignment.strategy: '{name}' is none of {known}"))
        })
    });
    match known.collect::<Result<Vec<_>>>()? {
        none if none.is_empty() => Err(Error::invalid_config("partition.assignment.strategy: at least one is needed")),
        strategies => Ok(strategies),
    }
}
