//! What is left when all is over, and what never came to an end.

use super::Facts;
use crate::history::What;

pub(super) fn leaks(facts: &Facts<'_>) -> Vec<String> {
    let left = facts.evidence.history.iter().filter_map(|event| match event.what {
        What::Left { tasks: 0, sockets: 0, buffered: 0, instances: 0, .. } => None,
        What::Left { host, tasks, sockets, buffered, instances } => {
            Some(format!("{host}: {tasks} tasks, {sockets} sockets, {buffered} bytes, {instances} registered"))
        }
        _ => None,
    });
    left.collect()
}

pub(super) fn panics(facts: &Facts<'_>) -> Vec<String> {
    let panicked = facts.evidence.history.iter().filter_map(|event| match &event.what {
        What::Panicked { host, text } => Some(format!("{host}: {text}")),
        _ => None,
    });
    panicked.collect()
}

pub(super) fn stuck(facts: &Facts<'_>) -> Vec<String> {
    let stuck = facts.evidence.history.iter().filter_map(|event| match &event.what {
        What::Stuck { what } => Some(what.clone()),
        _ => None,
    });
    stuck.collect()
}
