//! DescribeConfigs (key 32): configurations of topics and of the broker, defaults included.
//!
//! Behaviour: other resource types have no configurations here.
//! Versions: 1 source and synonyms · 3 type and documentation (none is given) · 4 flexible.

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
    config::{self, TopicConfig, source},
    node::Node,
    topics::Refusal,
};

pub(super) struct DescribeConfigs;

/// Kafka's numbers of resource types.
pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;

impl Api for DescribeConfigs {
    type Request = DescribeConfigsRequest;
    const VERSIONS: (i16, i16) = (1, 4);

    async fn handle(call: &Call, request: DescribeConfigsRequest) -> Reply<Self> {
        let results = request.resources.iter().map(|resource| {
            let target = (resource.resource_name.as_str(), -1);
            let described = match call.plan.guard(target, || Ok(())) {
                Ok(()) => describe(&call.node, resource, request.include_synonyms),
                Err(code) => Err((code, code.text().into())),
            };
            answer(resource, described)
        });
        Reply::With(DescribeConfigsResponse { results: results.collect(), ..Default::default() })
    }

    fn refuse(request: &DescribeConfigsRequest, code: ErrorCode) -> DescribeConfigsResponse {
        let results = request.resources.iter().map(|resource| answer(resource, Err((code, code.text().into()))));
        DescribeConfigsResponse { results: results.collect(), ..Default::default() }
    }

    fn targets(_: &Node, request: &DescribeConfigsRequest) -> Vec<(String, i32)> {
        let topics = request.resources.iter().filter(|resource| resource.resource_type == TOPIC);
        topics.map(|resource| (resource.resource_name.clone(), -1)).collect()
    }
}

type Described = Result<Vec<DescribeConfigsResourceResult>, Refusal>;

fn describe(node: &Node, resource: &DescribeConfigsResource, synonyms: bool) -> Described {
    let mut configs = match resource.resource_type {
        TOPIC => {
            let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            let topic = node.topics.named(&resource.resource_name).ok_or_else(|| (code, code.text().to_string()))?;
            topic_configs(node, &topic.config(), synonyms)
        }
        BROKER => {
            let me = node.options.node_id.to_string();
            if !resource.resource_name.is_empty() && resource.resource_name != me {
                let reason = format!("Unexpected broker id, expected {me}, but received {}", resource.resource_name);
                return Err((ErrorCode::INVALID_REQUEST, reason));
            }
            // No name asks for what was set for all brokers: nothing.
            if resource.resource_name.is_empty() { Vec::new() } else { broker_configs(node) }
        }
        _ => Vec::new(),
    };
    // Java's empty list of keys means all of them, as null does.
    if let Some(keys) = resource.configuration_keys.as_ref().filter(|keys| !keys.is_empty()) {
        configs.retain(|config| keys.contains(&config.name));
    }
    Ok(configs)
}

fn topic_configs(node: &Node, config: &TopicConfig, synonyms: bool) -> Vec<DescribeConfigsResourceResult> {
    let describe = |property: &config::Property| {
        let set = config.set.get(property.name);
        let default = config::default_value(&node.options, property.name);
        let from = if default == property.default { source::DEFAULT } else { source::BROKER };
        let synonym = |name: &str, value: &str, source| DescribeConfigsSynonym {
            name: name.into(),
            value: Some(value.into()),
            source,
            ..Default::default()
        };
        let own = set.map(|value| synonym(property.name, value, source::TOPIC));
        let behind = (!property.synonym.is_empty()).then(|| synonym(property.synonym, &default, from));
        DescribeConfigsResourceResult {
            name: property.name.into(),
            config_source: if set.is_some() { source::TOPIC } else { from },
            synonyms: if synonyms { own.into_iter().chain(behind).collect() } else { Vec::new() },
            config_type: property.wire_type(),
            value: Some(set.cloned().unwrap_or(default)),
            documentation: None,
            ..Default::default()
        }
    };
    config::TOPIC.iter().map(describe).collect()
}

fn broker_configs(node: &Node) -> Vec<DescribeConfigsResourceResult> {
    let describe = |(name, config_type, value): (&str, i8, String)| DescribeConfigsResourceResult {
        name: name.into(),
        value: Some(value),
        read_only: true,
        config_source: source::BROKER,
        config_type,
        documentation: None,
        ..Default::default()
    };
    config::broker_properties(&node.options).into_iter().map(describe).collect()
}

fn answer(resource: &DescribeConfigsResource, described: Described) -> DescribeConfigsResult {
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
