//! What clients changed while the broker runs: its own properties (for all brokers, or for this one), those of topics, of
//! groups and of subscriptions to client metrics. A change is checked as a whole, and made as a whole or not at all.
//! Lock order: `Configs::state` → the turn of the log folder → the locks of `topics`.

use std::{collections::BTreeMap, sync::Arc};

use dohle_protocol::ErrorCode;
use parking_lot::RwLock;

use super::{Property, TopicConfig, broker, groups, resource, split, topic};
use crate::{BrokerOptions, node::Node, storage::Image, topics::Refusal};

/// Names and values.
pub(crate) type Set = BTreeMap<String, String>;

/// One change of a resource.
pub(crate) enum Change<'a> {
    Set(&'a str, Option<&'a str>),
    Delete(&'a str),
    Append(&'a str, Option<&'a str>),
    Subtract(&'a str, Option<&'a str>),
}

/// The state.
pub(crate) struct Configs {
    /// As the broker was started.
    start: BrokerOptions,
    state: RwLock<State>,
}

struct State {
    everyone: Set,
    own: Set,
    /// `start`, changed by `everyone`, changed by `own`.
    now: Arc<BrokerOptions>,
    /// Groups and subscriptions, by type and name.
    others: BTreeMap<(i8, String), Set>,
}

impl Configs {
    pub fn new(start: BrokerOptions) -> Self {
        let now = Arc::new(start.clone());
        let (everyone, own, others) = Default::default();
        Self { start, state: RwLock::new(State { everyone, own, now, others }) }
    }

    /// With what was set while an earlier broker ran, which its folder has.
    pub fn with_stored(start: BrokerOptions, image: &Image) -> Self {
        let configs = Self::new(start);
        let mut state = configs.state.write();
        let mut now = configs.start.clone();
        let me = now.node_id.to_string();
        let (mut everyone, mut own) = (Set::new(), Set::new());
        for ((kind, name), set) in &image.configs {
            match *kind {
                resource::TOPIC => {}
                resource::BROKER if name.is_empty() => everyone = set.clone(),
                resource::BROKER if *name == me => own = set.clone(),
                resource::BROKER => {}
                _ => drop(state.others.insert((*kind, name.clone()), set.clone())),
            }
        }
        for (name, value) in everyone.iter().chain(&own) {
            if let Err(error) = broker::set(&mut now, name, value) {
                tracing::error!(error, "a stored setting is not used");
            }
        }
        (state.everyone, state.own, state.now) = (everyone, own, Arc::new(now));
        drop(state);
        configs
    }

    /// Another node of the cluster has these: what is not one node's own is everybody's.
    pub fn adopt(&self, other: &Self) {
        let (everyone, others) = {
            let state = other.state.read();
            (state.everyone.clone(), state.others.clone())
        };
        let mut state = self.state.write();
        let mut now = self.start.clone();
        for (name, value) in everyone.iter().chain(&state.own) {
            // It was checked where it was set.
            let _ = broker::set(&mut now, name, value);
        }
        (state.everyone, state.others, state.now) = (everyone, others, Arc::new(now));
    }

    /// The options of the broker as they hold now.
    pub fn now(&self) -> Arc<BrokerOptions> {
        self.state.read().now.clone()
    }

    /// Does something that uses the options, such as creating a topic, while they do not change.
    pub fn with<T>(&self, work: impl FnOnce(&BrokerOptions) -> T) -> T {
        work(&self.state.read().now)
    }

    /// The options of the start.
    pub fn start(&self) -> &BrokerOptions {
        &self.start
    }

    /// What was set for all brokers, and for this one.
    pub fn of_broker(&self) -> (Set, Set) {
        let state = self.state.read();
        (state.everyone.clone(), state.own.clone())
    }

    /// What was set for a group or a subscription.
    pub fn of(&self, kind: i8, name: &str) -> Set {
        self.state.read().others.get(&(kind, name.into())).cloned().unwrap_or_default()
    }

    /// A number that holds for a group: its own, or the broker's.
    pub fn of_group(&self, group: &str, name: &str) -> i64 {
        let state = self.state.read();
        let own = state.others.get(&(resource::GROUP, group.into())).and_then(|set| set.get(name));
        let text = own.cloned().unwrap_or_else(|| default_value(resource::GROUP, &state.now, name));
        text.trim().parse().unwrap_or(-1)
    }

    /// The groups or subscriptions that something was set for.
    pub fn named(&self, kind: i8) -> Vec<String> {
        let state = self.state.read();
        state.others.keys().filter(|(of, _)| *of == kind).map(|(_, name)| name.clone()).collect()
    }
}

/// Makes changes one after the other, all or none.
pub(crate) fn change(
    node: &Node,
    kind: i8,
    name: &str,
    changes: &[Change<'_>],
    check_only: bool,
) -> Result<(), Refusal> {
    let mut named: Vec<&str> = changes.iter().map(Change::name).collect();
    named.sort_unstable();
    if named.windows(2).any(|two| two[0] == two[1]) {
        return Err((ErrorCode::INVALID_REQUEST, "Error due to duplicate config keys".into()));
    }
    everywhere(node, || {
        alter(node, kind, name, check_only, |mut set, options| {
            changes.iter().try_for_each(|change| change.apply(kind, options, &mut set))?;
            Ok(set)
        })
    })
}

/// Puts these settings in the place of all that were there.
pub(crate) fn replace(node: &Node, kind: i8, name: &str, set: Set, check_only: bool) -> Result<(), Refusal> {
    everywhere(node, || alter(node, kind, name, check_only, |_, _| Ok(set)))
}

/// Makes a change, which all nodes of the cluster then know.
fn everywhere(node: &Node, change: impl FnOnce() -> Result<(), Refusal>) -> Result<(), Refusal> {
    let all = node.cluster.configs.lock();
    change()?;
    for (id, configs) in all.iter() {
        if *id != node.options.node_id {
            configs.adopt(&node.configs);
        }
    }
    drop(all);
    node.cluster.each_node(|other| other.housekeeping.reconfigured());
    node.cluster.reconfigured();
    Ok(())
}

fn alter(
    node: &Node,
    kind: i8,
    name: &str,
    check_only: bool,
    work: impl FnOnce(Set, &BrokerOptions) -> Result<Set, Refusal>,
) -> Result<(), Refusal> {
    check_name(node, kind, name)?;
    let mut state = node.configs.state.write();
    let options = state.now.clone();
    match kind {
        resource::TOPIC => {
            let unknown = || (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("The topic '{name}' does not exist."));
            let topic = node.topics.named(name).ok_or_else(unknown)?;
            let set = work(topic.config().set.clone(), &options)?;
            let config = TopicConfig::new(&options, set).map_err(invalid_config)?;
            if !check_only {
                topic.store_config(config)?;
            }
        }
        resource::BROKER => {
            let layer = if name.is_empty() { &state.everyone } else { &state.own };
            let set = work(layer.clone(), &options)?;
            check_broker(&set)?;
            let (everyone, own) = if name.is_empty() { (&set, &state.own) } else { (&state.everyone, &set) };
            let mut now = node.configs.start.clone();
            for (name, value) in everyone.iter().chain(own) {
                broker::set(&mut now, name, value).map_err(invalid_request)?;
            }
            if !check_only {
                store(node, (kind, name), layer, &set)?;
                state.now = Arc::new(now);
                let layer = if name.is_empty() { &mut state.everyone } else { &mut state.own };
                *layer = set;
                inherit(node, &state.now);
            }
        }
        _ => {
            let key = (kind, name.to_string());
            let before = state.others.get(&key).cloned().unwrap_or_default();
            let set = work(before.clone(), &options)?;
            for (name, value) in &set {
                check_other(kind, &options, name, value)?;
            }
            if !check_only {
                store(node, (kind, name), &before, &set)?;
            }
            match set {
                _ if check_only => {}
                set if set.is_empty() => drop(state.others.remove(&key)),
                set => drop(state.others.insert(key, set)),
            }
        }
    }
    Ok(())
}

fn store(node: &Node, of: (i8, &str), before: &Set, after: &Set) -> Result<(), Refusal> {
    node.cluster.storage.as_ref().map_or(Ok(()), |storage| storage.store_config(of, before, after))
}

/// Gives topics the broker's new defaults. A topic's own settings were checked before: they stay good.
fn inherit(node: &Node, options: &BrokerOptions) {
    for topic in node.topics.all() {
        match TopicConfig::new(options, topic.config().set.clone()) {
            Ok(config) => topic.set_config(config),
            Err(error) => tracing::error!(topic = &*topic.name, error, "a topic keeps its settings"),
        }
    }
}

/// Whether there may be such a resource.
pub(crate) fn check_name(node: &Node, kind: i8, name: &str) -> Result<(), Refusal> {
    let me = node.options.node_id.to_string();
    let refused = match kind {
        resource::TOPIC if name.is_empty() => "Default topic resources are not allowed.".into(),
        resource::GROUP if name.is_empty() => "Default group resources are not allowed.".into(),
        resource::CLIENT_METRICS if name.is_empty() => "Subscription name can't be empty".into(),
        resource::BROKER if !name.is_empty() && name != me => {
            format!("Unexpected broker id, expected {me} or empty string, but received {name}")
        }
        resource::BROKER_LOGGER => "The levels of this broker's log are those of the process it is embedded in.".into(),
        resource::TOPIC | resource::GROUP | resource::CLIENT_METRICS | resource::BROKER => return Ok(()),
        _ => format!("Unexpected resource type {kind}"),
    };
    Err(invalid_request(refused))
}

fn check_broker(set: &Set) -> Result<(), Refusal> {
    let mut fixed = Vec::new();
    for (name, value) in set {
        let unknown = || invalid_config(format!("Unknown broker config name: {name}"));
        let of = broker::find(name).ok_or_else(unknown)?;
        if of.update == broker::Update::ReadOnly {
            fixed.push(name.as_str());
        }
        of.property.check(value).map_err(invalid_request)?;
    }
    match fixed.is_empty() {
        true => Ok(()),
        false => Err(invalid_request(format!("Cannot update these configs dynamically: [{}]", fixed.join(", ")))),
    }
}

fn check_other(kind: i8, options: &BrokerOptions, name: &str, value: &str) -> Result<(), Refusal> {
    if kind == resource::GROUP {
        let unknown = || invalid_config(format!("Unknown group config name: {name}"));
        let property = groups::find(groups::GROUP, name).ok_or_else(unknown)?;
        property.check(value).map_err(invalid_config)?;
        return check_group_bounds(options, name, value);
    }
    let unknown = || invalid_request(format!("Unknown client metrics configuration: {name}"));
    let property = groups::find(groups::CLIENT_METRICS, name).ok_or_else(unknown)?;
    property.check(value).map_err(invalid_config)?;
    let interval = || value.trim().parse().unwrap_or(0);
    if name == "interval.ms" && !(100..=3_600_000).contains(&interval()) {
        let bounds = "interval must be between 100 and 3600000 (1 hour)";
        return Err(invalid_request(format!("Invalid value {value} for interval.ms, {bounds}")));
    }
    let what = |pattern: &str| {
        pattern.split_once('=').is_some_and(|(of, text)| MATCHED.contains(&of.trim()) && !text.is_empty())
    };
    match split(value).find(|pattern| name == "match" && !what(pattern)) {
        Some(pattern) => Err(invalid_config(format!("Illegal client matching pattern: {pattern}"))),
        None => Ok(()),
    }
}

/// What of a client a subscription to its metrics may ask for.
const MATCHED: &[&str] = &[
    "client_id",
    "client_instance_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// `consumer.session.timeout.ms` has its bounds in `group.consumer.min.session.timeout.ms` and `group.consumer.max.…`.
fn check_group_bounds(options: &BrokerOptions, name: &str, value: &str) -> Result<(), Refusal> {
    let (Some((protocol, rest)), Ok(value)) = (name.split_once('.'), value.trim().parse::<i64>()) else {
        return Ok(());
    };
    for (bound, words, fits) in [
        ("min", "greater", (|value, bound| value >= bound) as fn(i64, i64) -> bool),
        ("max", "less", |value, bound| value <= bound),
    ] {
        let of = format!("group.{protocol}.{bound}.{rest}");
        if broker::find(&of).is_some() && !fits(value, broker::number(options, &of)) {
            return Err(invalid_config(format!("{name} must be {words} than or equal to {of}")));
        }
    }
    Ok(())
}

impl Change<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Set(name, _) | Self::Delete(name) | Self::Append(name, _) | Self::Subtract(name, _) => name,
        }
    }

    fn apply(&self, kind: i8, options: &BrokerOptions, set: &mut Set) -> Result<(), Refusal> {
        let (name, value, operation) = match *self {
            Self::Delete(name) => {
                // What is not known was never set; Kafka says so about topics.
                if kind == resource::TOPIC && topic::find(name).is_none() {
                    return Err(invalid_config(format!("Unknown topic config name: {name}")));
                }
                set.remove(name);
                return Ok(());
            }
            Self::Set(name, value) => (name, value, ""),
            Self::Append(name, value) => (name, value, "APPEND"),
            Self::Subtract(name, value) => (name, value, "SUBTRACT"),
        };
        let value = value.ok_or_else(|| invalid_request(format!("Null value not supported for : {name}")))?;
        if operation.is_empty() {
            set.insert(name.into(), value.into());
            return Ok(());
        }
        let property = find(kind, name).ok_or_else(|| invalid_config(format!("Unknown config name: {name}")))?;
        if !property.kind.is_list() {
            let reason = match kind {
                resource::BROKER => {
                    format!("Config value {} is not allowed for config key: {name}", operation.to_ascii_lowercase())
                }
                _ => format!("Can't {operation} to key {name} because its type is not LIST."),
            };
            return Err(invalid_config(reason));
        }
        let now = set.get(name).cloned().unwrap_or_else(|| default_value(kind, options, name));
        let mut words: Vec<&str> = split(&now).collect();
        for word in split(value) {
            words.retain(|present| *present != word);
            if operation == "APPEND" {
                words.push(word);
            }
        }
        let words = words.join(",");
        set.insert(name.into(), words);
        Ok(())
    }
}

/// The property of this name of a type of resource.
pub(crate) fn find(kind: i8, name: &str) -> Option<&'static Property> {
    match kind {
        resource::TOPIC => topic::find(name),
        resource::BROKER => broker::find(name).map(|of| &of.property),
        resource::GROUP => groups::find(groups::GROUP, name),
        _ => groups::find(groups::CLIENT_METRICS, name),
    }
}

/// What holds where a resource sets nothing.
pub(crate) fn default_value(kind: i8, options: &BrokerOptions, name: &str) -> String {
    let of_broker = |name: &str| broker::find(name).and_then(|of| of.given(options).or_else(|| of.default()));
    match kind {
        resource::TOPIC => topic::default_value(options, name),
        resource::BROKER => of_broker(name).unwrap_or_default(),
        _ => {
            let property = find(kind, name);
            let behind = property.and_then(|property| property.synonyms.first()).and_then(|(name, _)| of_broker(name));
            behind.or_else(|| Some(property?.default?.into())).unwrap_or_default()
        }
    }
}

pub(crate) fn invalid_config(reason: String) -> Refusal {
    (ErrorCode::INVALID_CONFIG, reason)
}

pub(crate) fn invalid_request(reason: String) -> Refusal {
    (ErrorCode::INVALID_REQUEST, reason)
}
