//! What two answers to the same request have in common, and what not: errors, counts, names, offsets, settings. Left out is what
//! must differ between two brokers or two days.

use dohle_protocol::{
    ApiKey,
    schema::{Struct, Value},
};

use super::ids::Ids;

/// Times, ids, addresses, texts for people, and what depends on which broker leads what.
const LEFT_OUT: &[&str] = &[
    "activeProducers",
    "brokerId",
    "brokers",
    "cluster",
    "clusterId",
    "committedLeaderEpoch",
    "controllerId",
    "coordinatorEpoch",
    "currentLeader",
    "errorMessage",
    "generationId",
    "groupEpoch",
    "assignmentEpoch",
    "host",
    "isrNodes",
    "leader",
    "leaderEpoch",
    "leaderId",
    "logAppendTimeMs",
    "logDir",
    "memberEpoch",
    "memberId",
    "message",
    "nodeEndpoints",
    "nodeId",
    "nodes",
    "offlineReplicas",
    "port",
    "producerEpoch",
    "producerId",
    "rack",
    "replicaNodes",
    "replicas",
    "isr",
    "sessionId",
    "sessionLifetimeMs",
    "throttleTimeMs",
    "timestamp",
    "totalBytes",
    "transactionStartTimeMs",
    "usableBytes",
    "clientHost",
];

/// Settings that name the broker itself.
const OWN_SETTINGS: &[&str] =
    &["advertised.listeners", "broker.id", "broker.rack", "listeners", "log.dir", "log.dirs", "node.id", "port"];

/// Adds what differs.
pub(super) fn compare(api: ApiKey, was: Struct, is: Struct, ids: &Ids, found: &mut Vec<String>) {
    // What a broker can do and how its quorum stands is its own: only whether it says so is compared.
    let only_errors = matches!(api, ApiKey::API_VERSIONS | ApiKey::DESCRIBE_QUORUM);
    let [was, is] = [(was, true), (is, false)].map(|(mut answer, recorded)| {
        if only_errors {
            answer.fields.retain(|(name, _)| *name == "errorCode");
        }
        Value::Struct(canonical(answer, recorded, ids))
    });
    differ("", &was, &is, found);
}

/// Without what must differ, names in the place of ids, lists in one order.
fn canonical(mut of: Struct, recorded: bool, ids: &Ids) -> Struct {
    of.unknown.clear();
    of.fields.retain(|(name, _)| !LEFT_OUT.contains(name));
    if of.text("name").is_some_and(|name| OWN_SETTINGS.contains(&name)) {
        of.fields.retain(|(name, _)| !matches!(*name, "value" | "synonyms"));
    }
    let named = ["name", "topicName", "topic"].iter().any(|name| of.text(name).is_some_and(|name| !name.is_empty()));
    if named {
        of.fields.retain(|(name, _)| *name != "topicId");
    }
    for (_, value) in &mut of.fields {
        let taken = std::mem::replace(value, Value::Null);
        *value = canonical_value(taken, recorded, ids);
    }
    of
}

fn canonical_value(value: Value, recorded: bool, ids: &Ids) -> Value {
    match value {
        Value::Struct(inner) => Value::Struct(canonical(inner, recorded, ids)),
        Value::Uuid(id) if !id.is_zero() => Value::String(ids.name(recorded, id)),
        Value::Array(elements) => {
            let mut elements: Vec<Value> =
                elements.into_iter().map(|element| canonical_value(element, recorded, ids)).collect();
            elements.sort_by_cached_key(|element| format!("{element:?}"));
            Value::Array(elements)
        }
        other => other,
    }
}

fn differ(path: &str, was: &Value, is: &Value, found: &mut Vec<String>) {
    match (was, is) {
        (Value::Struct(was), Value::Struct(is)) => {
            for (name, value) in &was.fields {
                let inner = if path.is_empty() { (*name).to_owned() } else { format!("{path}.{name}") };
                differ(&inner, value, is.field(name).unwrap_or(&Value::Null), found);
            }
            for (name, value) in is.fields.iter().filter(|(name, _)| was.field(name).is_none()) {
                found.push(format!("{path}.{name}: was not there, is {}", shown(value)));
            }
        }
        (Value::Array(was), Value::Array(is)) if was.len() == is.len() => {
            for (at, (was, is)) in was.iter().zip(is).enumerate() {
                differ(&format!("{path}[{at}]"), was, is, found);
            }
        }
        (Value::Array(was), Value::Array(is)) => {
            found.push(format!("{path}: had {} elements, has {}", was.len(), is.len()));
        }
        _ if was == is => {}
        _ => found.push(format!("{path}: was {}, is {}", shown(was), shown(is))),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(x) => x.to_string(),
        Value::Int(x) => x.to_string(),
        Value::F64(x) => x.to_string(),
        Value::Uuid(x) => x.to_string(),
        Value::String(x) => format!("\"{x}\""),
        Value::Bytes(x) => format!("{} bytes", x.len()),
        Value::Array(x) => format!("{} elements", x.len()),
        Value::Struct(_) => "a struct".into(),
    }
}
