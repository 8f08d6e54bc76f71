//! DescribeConfigs (key 32): configurations of topics, of the broker, of groups and of subscriptions to client metrics,
//! with defaults, where each value comes from, and what would hold without it.
//!
//! Behaviour: a broker without a name tells what was set for all brokers. The broker's log has one logger, `root`: its
//! levels belong to the process.
//! Versions: 1 source and synonyms · 3 type and documentation · 4 flexible.

use dohle_protocol::{
    ErrorCode,
    messages::{
        DescribeConfigsRequest, DescribeConfigsResponse,
        describe_configs_request::DescribeConfigsResource,
        describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym},
    },
};

use super::{Api, Call, Reply};
use crate::{
    config::{
        Kind, Property, broker,
        dynamic::{self, Set},
        groups, resource, source, topic,
    },
    node::Node,
    security::authorizer::Operation,
    topics::Refusal,
};

pub(super) struct DescribeConfigs;

impl Api for DescribeConfigs {
    type Request = DescribeConfigsRequest;
    const VERSIONS: (i16, i16) = (1, 4);

    async fn handle(call: &Call, request: DescribeConfigsRequest) -> Reply<Self> {
        let results = request.resources.iter().map(|resource| {
            let target = (resource.resource_name.as_str(), -1);
            let describe = || {
                call.needs_for_config(Operation::DescribeConfigs, resource.resource_type, &resource.resource_name)?;
                describe(&call.node, resource).map(|described| shown(described, &request))
            };
            answer(resource, call.plan.guard_saying(target, describe))
        });
        Reply::With(DescribeConfigsResponse { results: results.collect(), ..Default::default() })
    }

    fn refuse(request: &DescribeConfigsRequest, code: ErrorCode) -> DescribeConfigsResponse {
        let results = request.resources.iter().map(|resource| answer(resource, Err((code, code.text().into()))));
        DescribeConfigsResponse { results: results.collect(), ..Default::default() }
    }

    fn targets(_: &Node, request: &DescribeConfigsRequest) -> Vec<(String, i32)> {
        let topics = request.resources.iter().filter(|resource| resource.resource_type == resource::TOPIC);
        topics.map(|resource| (resource.resource_name.clone(), -1)).collect()
    }
}

type Described = Vec<DescribeConfigsResourceResult>;

fn describe(node: &Node, asked: &DescribeConfigsResource) -> Result<Described, Refusal> {
    let name = asked.resource_name.as_str();
    if asked.resource_type != resource::BROKER_LOGGER {
        dynamic::check_name(node, asked.resource_type, name)?;
    }
    let wanted = |name: &str| match &asked.configuration_keys {
        // Java's empty list of keys means all of them, as null does.
        Some(keys) if !keys.is_empty() => keys.iter().any(|key| key == name),
        _ => true,
    };
    let properties = |table: &'static [Property]| table.iter().filter(|property| wanted(property.name));
    let layers = Layers::of(node);
    Ok(match asked.resource_type {
        resource::TOPIC => {
            let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            // Kafka has no words here, not even its own for the number.
            let topic = node.topics.named(name).ok_or_else(|| (code, String::new()))?;
            let config = topic.config();
            properties(topic::TABLE).map(|of| layers.inherited(of, &config.set, source::TOPIC)).collect()
        }
        resource::BROKER if name.is_empty() => {
            let set = layers.everyone.iter().filter(|(name, _)| wanted(name));
            set.filter_map(|(name, _)| Some(layers.of_everyone(broker::find(name)?))).collect()
        }
        resource::BROKER => {
            broker::all().filter(|of| wanted(of.property.name)).map(|of| layers.of_broker(of)).collect()
        }
        resource::BROKER_LOGGER => vec![DescribeConfigsResourceResult {
            name: "root".into(),
            value: Some("INFO".into()),
            read_only: true,
            config_source: source::BROKER_LOGGER,
            config_type: 2,
            documentation: None,
            ..Default::default()
        }],
        resource::GROUP => {
            let set = node.configs.of(resource::GROUP, name);
            properties(groups::GROUP).map(|of| layers.inherited(of, &set, source::GROUP)).collect()
        }
        kind => {
            let set = node.configs.of(kind, name);
            properties(groups::CLIENT_METRICS).map(|of| layers.inherited(of, &set, source::CLIENT_METRICS)).collect()
        }
    })
}

/// Where the broker's values come from.
struct Layers<'a> {
    node: &'a Node,
    everyone: Set,
    own: Set,
}

impl<'a> Layers<'a> {
    fn of(node: &'a Node) -> Self {
        let (everyone, own) = node.configs.of_broker();
        Self { node, everyone, own }
    }

    /// All values of a property of the broker, the one that holds first.
    fn chain(&self, of: &broker::BrokerProperty) -> Vec<DescribeConfigsSynonym> {
        let name = of.property.name;
        let of_start = of.given(self.node.configs.start());
        let values = [
            (self.own.get(name).cloned(), source::DYNAMIC_BROKER),
            (self.everyone.get(name).cloned(), source::DYNAMIC_DEFAULT_BROKER),
            (of_start, source::STATIC_BROKER),
            (of.default(), source::DEFAULT),
        ];
        let shown = |value: String| (of.property.kind != Kind::Password).then_some(value);
        let synonym =
            |(value, source)| Some(DescribeConfigsSynonym { value: shown(value?), ..synonym(name, "", source) });
        values.into_iter().filter_map(synonym).collect()
    }

    fn of_broker(&self, of: &broker::BrokerProperty) -> DescribeConfigsResourceResult {
        let read_only = of.update == broker::Update::ReadOnly;
        DescribeConfigsResourceResult { read_only, ..result(&of.property, self.chain(of)) }
    }

    fn of_everyone(&self, of: &broker::BrokerProperty) -> DescribeConfigsResourceResult {
        let name = of.property.name;
        let value = self.everyone.get(name).map(|value| synonym(name, value, source::DYNAMIC_DEFAULT_BROKER));
        result(&of.property, value.into_iter().collect())
    }

    /// A property of a topic or a group: its own value, then the broker's behind it.
    fn inherited(&self, property: &Property, set: &Set, own: i8) -> DescribeConfigsResourceResult {
        let mut chain: Vec<_> =
            set.get(property.name).map(|value| synonym(property.name, value, own)).into_iter().collect();
        for (name, factor) in property.synonyms {
            let behind = broker::find(name).map(|of| self.chain(of)).unwrap_or_default();
            let scaled = behind.into_iter().map(|mut one| {
                one.value = one.value.map(|value| topic::scaled(&value, *factor));
                one
            });
            // The default is told by the first of them, or by none.
            let first = *name == property.synonyms[0].0;
            chain.extend(scaled.filter(|one| first || one.source != source::DEFAULT));
        }
        result(property, chain)
    }
}

/// A property whose value is the first of the chain, or else its default.
fn result(property: &Property, synonyms: Vec<DescribeConfigsSynonym>) -> DescribeConfigsResourceResult {
    let first = synonyms.first();
    DescribeConfigsResourceResult {
        name: property.name.into(),
        value: first.map_or_else(|| property.default.map(str::to_string), |first| first.value.clone()),
        config_source: first.map_or(source::DEFAULT, |first| first.source),
        config_type: property.kind.wire().1,
        is_sensitive: property.kind == Kind::Password,
        documentation: Some(property.doc.into()),
        synonyms,
        ..Default::default()
    }
}

fn synonym(name: &str, value: &str, source: i8) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym { name: name.into(), value: Some(value.into()), source, ..Default::default() }
}

/// Without what was not asked for.
fn shown(mut described: Described, request: &DescribeConfigsRequest) -> Described {
    for config in &mut described {
        if !request.include_synonyms {
            config.synonyms.clear();
        }
        if !request.include_documentation {
            config.documentation = None;
        }
    }
    described
}

fn answer(resource: &DescribeConfigsResource, described: Result<Described, Refusal>) -> DescribeConfigsResult {
    let (resource_type, resource_name) = (resource.resource_type, resource.resource_name.clone());
    match described {
        Ok(configs) => {
            DescribeConfigsResult { resource_type, resource_name, configs, error_message: None, ..Default::default() }
        }
        Err((code, message)) => DescribeConfigsResult {
            error_code: code.0,
            error_message: Some(message),
            resource_type,
            resource_name,
            ..Default::default()
        },
    }
}
