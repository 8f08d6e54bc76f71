//! AlterConfigs (key 33): puts new settings in the place of all that a resource had; older tools and clients use it.
//!
//! Behaviour: as IncrementalAlterConfigs, which says more; what is not named goes back to its default.
//! Versions: 1 throttle time · 2 flexible.

use dohle_protocol::{
    ErrorCode,
    messages::{
        AlterConfigsRequest, AlterConfigsResponse, alter_configs_request::AlterConfigsResource,
        alter_configs_response::AlterConfigsResourceResponse,
    },
};

use super::{Api, Call, Reply};
use crate::{
    config::{dynamic, resource::TOPIC},
    node::Node,
    security::authorizer::Operation,
    topics::Refusal,
};

pub(super) struct AlterConfigs;

impl Api for AlterConfigs {
    type Request = AlterConfigsRequest;
    const VERSIONS: (i16, i16) = (0, 2);

    async fn handle(call: &Call, request: AlterConfigsRequest) -> Reply<Self> {
        let responses = request.resources.iter().map(|resource| {
            let target = (resource.resource_name.as_str(), -1);
            let altered = call.plan.guard_saying(target, || {
                call.needs_for_config(Operation::AlterConfigs, resource.resource_type, &resource.resource_name)?;
                alter(&call.node, resource, request.validate_only)
            });
            answer(resource, altered.err())
        });
        let responses = responses.collect();
        Reply::With(AlterConfigsResponse { responses, ..Default::default() })
    }

    fn refuse(request: &AlterConfigsRequest, code: ErrorCode) -> AlterConfigsResponse {
        let responses = request.resources.iter().map(|resource| answer(resource, Some((code, code.text().into()))));
        AlterConfigsResponse { responses: responses.collect(), ..Default::default() }
    }

    fn targets(_: &Node, request: &AlterConfigsRequest) -> Vec<(String, i32)> {
        let topics = request.resources.iter().filter(|resource| resource.resource_type == TOPIC);
        topics.map(|resource| (resource.resource_name.clone(), -1)).collect()
    }
}

fn alter(node: &Node, resource: &AlterConfigsResource, validate_only: bool) -> Result<(), Refusal> {
    let mut set = dynamic::Set::new();
    for config in &resource.configs {
        let null = || (ErrorCode::INVALID_REQUEST, format!("Null value not supported for : {}", config.name));
        set.insert(config.name.clone(), config.value.clone().ok_or_else(null)?);
    }
    dynamic::replace(node, resource.resource_type, &resource.resource_name, set, validate_only)
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
