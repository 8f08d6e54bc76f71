//! What calls and options must be like, and the errors that say so.
//! No state; driven by the calls of `Consumer`.

use crate::{Error, Result};

use super::ConsumerOptions;
use super::group::assignors::Assignor;
use super::handover::TopicPartition;

pub(super) fn not_assigned(tp: &TopicPartition) -> Error {
    Error::invalid_argument(format!("{tp} is not assigned to this consumer"))
}

/// Kafka's rule for names of topics.
pub(super) fn check_topic(topic: &str) -> Result<()> {
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

/// What options say together that each of them may say alone.
pub(super) fn check(options: &ConsumerOptions) -> Result<Vec<Assignor>> {
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
    let strategies = &options.partition_assignment_strategy;
    let known = strategies.iter().map(|name| {
        Assignor::by_name(name).ok_or_else(|| {
            let text = format!("partition.assignment.strategy: '{name}' is none of range, cooperative-sticky");
            Error::invalid_config(text)
        })
    });
    match known.collect::<Result<Vec<_>>>()? {
        none if none.is_empty() => Err(Error::invalid_config("partition.assignment.strategy: at least one is needed")),
        assignors => Ok(assignors),
    }
}
