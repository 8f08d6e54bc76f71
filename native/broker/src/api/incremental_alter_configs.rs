//! IncrementalAlterConfigs (key 44): sets, removes, appends to or subtracts from configurations of topics, of the broker
//! (or, without a name, of all brokers), of groups and of subscriptions to client metrics.
//!
//! Behaviour: all changes of a resource are checked together and made together. Codes and messages are Kafka's: a wrong
//! value of a topic or group is INVALID_CONFIG, one of the broker INVALID_REQUEST, as is a property that only its start
//! can set. A name that is unknown to the broker is refused, where Kafka keeps it for plugins.
//! Versions: 1 flexible.

use dohle_protocol::{
    ErrorCode,
    messages::{
        IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
        incremental_alter_configs_request::AlterConfigsResource,
        incremental_alter_configs_response::AlterConfigsResourceResponse,
    },
};

use super::{Api, Call, Reply};
use crate::{
    config::{
        dynamic::{self, Change},
        resource::TOPIC,
    },
    node::Node,
    security::authorizer::Operation,
    topics::Refusal,
};

pub(super) struct IncrementalAlterConfigs;

impl Api for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;
    const VERSIONS: (i16, i16) = (0, 1);

    async fn handle(call: &Call, request: IncrementalAlterConfigsRequest) -> Reply<Self> {
        let responses = request.resources.iter().map(|resource| {
            let target = (resource.resource_name.as_str(), -1);
            let altered = call.plan.guard_saying(target, || {
                call.needs_for_config(Operation::AlterConfigs, resource.resource_type, &resource.resource_name)?;
                alter(&call.node, &request, resource)
            });
            answer(resource, altered.err())
        });
        let responses = responses.collect();
        Reply::With(IncrementalAlterConfigsResponse { responses, ..Default::default() })
    }

    fn refuse(request: &IncrementalAlterConfigsRequest, code: ErrorCode) -> IncrementalAlterConfigsResponse {
        let responses = request.resources.iter().map(|resource| answer(resource, Some((code, code.text().into()))));
        IncrementalAlterConfigsResponse { responses: responses.collect(), ..Default::default() }
    }

    fn targets(_: &Node, request: &IncrementalAlterConfigsRequest) -> Vec<(String, i32)> {
        let topics = request.resources.iter().filter(|resource| resource.resource_type == TOPIC);
        topics.map(|resource| (resource.resource_name.clone(), -1)).collect()
    }
}

fn alter(
    node: &Node,
    request: &IncrementalAlterConfigsRequest,
    resource: &AlterConfigsResource,
) -> Result<(), Refusal> {
    let (kind, name) = (resource.resource_type, resource.resource_name.as_str());
    let same = request.resources.iter().filter(|other| (other.resource_type, &*other.resource_name) == (kind, name));
    if same.count() > 1 {
        return Err((ErrorCode::INVALID_REQUEST, "Each resource must appear at most once.".into()));
    }
    let mut changes = Vec::new();
    for config in &resource.configs {
        let (name, value) = (config.name.as_str(), config.value.as_deref());
        changes.push(match config.config_operation {
            0 => Change::Set(name, value),
            1 => Change::Delete(name),
            2 => Change::Append(name, value),
            3 => Change::Subtract(name, value),
            other => return Err((ErrorCode::INVALID_REQUEST, format!("Unknown operation {other} for {name}"))),
        });
    }
    dynamic::change(node, kind, name, &changes, request.validate_only)
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
