//! IncrementalAlterConfigs (key 44): sets, removes, appends to or subtracts from configurations of topics.
//!
//! Behaviour: all changes of a topic are checked together and made together. The broker's own are read-only.
//! Versions: 1 flexible.

use std::collections::BTreeMap;

use dohle_protocol::{
    ErrorCode,
    messages::{
        IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
        incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
        incremental_alter_configs_response::AlterConfigsResourceResponse,
    },
};

use super::{Api, Call, Reply, describe_configs};
use crate::{
    config::{self, Kind, TopicConfig},
    node::Node,
    topics::Refusal,
};

pub(super) struct IncrementalAlterConfigs;

impl Api for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;
    const VERSIONS: (i16, i16) = (0, 1);

    async fn handle(call: &Call, request: IncrementalAlterConfigsRequest) -> Reply<Self> {
        let responses = request.resources.iter().map(|resource| {
            let mut refusal = None;
            let altered = call.plan.guard((&resource.resource_name, -1), || {
                alter(&call.node, resource, request.validate_only).map_err(|why| refusal.insert(why).0)
            });
            let why = |code| refusal.filter(|refusal| refusal.0 == code).unwrap_or((code, code.text().into()));
            answer(resource, altered.err().map(why))
        });
        let responses = responses.collect();
        Reply::With(IncrementalAlterConfigsResponse { responses, ..Default::default() })
    }

    fn refuse(request: &IncrementalAlterConfigsRequest, code: ErrorCode) -> IncrementalAlterConfigsResponse {
        let responses = request.resources.iter().map(|resource| answer(resource, Some((code, code.text().into()))));
        IncrementalAlterConfigsResponse { responses: responses.collect(), ..Default::default() }
    }

    fn targets(_: &Node, request: &IncrementalAlterConfigsRequest) -> Vec<(String, i32)> {
        let topics = request.resources.iter().filter(|resource| resource.resource_type == describe_configs::TOPIC);
        topics.map(|resource| (resource.resource_name.clone(), -1)).collect()
    }
}

fn alter(node: &Node, resource: &AlterConfigsResource, validate_only: bool) -> Result<(), Refusal> {
    if resource.resource_type != describe_configs::TOPIC {
        let reason = "Only the configurations of topics can be changed.".to_string();
        return Err((ErrorCode::INVALID_REQUEST, reason));
    }
    let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let topic = node.topics.named(&resource.resource_name).ok_or_else(|| (code, code.text().to_string()))?;
    let mut set = topic.config().set.clone();
    for change in &resource.configs {
        apply(node, &mut set, change).map_err(|reason| (ErrorCode::INVALID_CONFIG, reason))?;
    }
    let config = TopicConfig::new(&node.options, set).map_err(|reason| (ErrorCode::INVALID_CONFIG, reason))?;
    if !validate_only {
        topic.set_config(config);
    }
    Ok(())
}

fn apply(node: &Node, set: &mut BTreeMap<String, String>, change: &AlterableConfig) -> Result<(), String> {
    let name = &change.name;
    let property = config::property(name).ok_or_else(|| format!("Unknown topic config name: {name}"))?;
    let value = || change.value.clone().ok_or_else(|| format!("Null value not supported for {name}"));
    let is_list = matches!(property.kind, Kind::List | Kind::ListOf(_));
    match change.config_operation {
        0 => drop(set.insert(name.clone(), value()?)),
        1 => drop(set.remove(name)),
        2 | 3 if !is_list => return Err(format!("Can't append to or subtract from {name}: its type is not LIST")),
        operation @ (2 | 3) => {
            let now = set.get(name).cloned().unwrap_or_else(|| config::default_value(&node.options, name));
            let mut words: Vec<String> = now.split(',').filter(|word| !word.is_empty()).map(str::to_string).collect();
            for word in value()?.split(',') {
                words.retain(|present| present != word);
                if operation == 2 {
                    words.push(word.to_string());
                }
            }
            set.insert(name.clone(), words.join(","));
        }
        other => return Err(format!("Unknown operation {other} for {name}")),
    }
    Ok(())
}

fn answer(resource: &AlterConfigsResource, refusal: Option<Refusal>) -> AlterConfigsResourceResponse {
    let (error_code, error_message) = refusal.map_or((0, None), |(code, message)| (code.0, Some(message)));
    AlterConfigsResourceResponse {
        error_code,
        error_message,
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..Default::default()
    }
}
