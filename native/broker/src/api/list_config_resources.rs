//! ListConfigResources (key 74): which topics, brokers, groups and subscriptions to client metrics have configurations.
//!
//! Behaviour: topics and the broker are always listed, groups and subscriptions once something was set for them.
//! No types mean all. Versions: 0 subscriptions to client metrics only · 1 the types asked for (KIP-1142).

use dohle_protocol::{
    ErrorCode,
    messages::{
        ListConfigResourcesRequest, ListConfigResourcesResponse, list_config_resources_response::ConfigResource,
    },
};

use super::{Api, Call, Reply};
use crate::config::resource::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};

pub(super) struct ListConfigResources;

impl Api for ListConfigResources {
    type Request = ListConfigResourcesRequest;
    const VERSIONS: (i16, i16) = (0, 1);

    async fn handle(call: &Call, request: ListConfigResourcesRequest) -> Reply<Self> {
        let asked = match call.version {
            0 => &[CLIENT_METRICS][..],
            _ if request.resource_types.is_empty() => &[TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP],
            _ => &request.resource_types,
        };
        let node = &call.node;
        let mut response = ListConfigResourcesResponse::default();
        for kind in asked {
            let names = match *kind {
                TOPIC => node.topics.all().iter().map(|topic| topic.name.to_string()).collect(),
                BROKER | BROKER_LOGGER => node.cluster.alive().iter().map(i32::to_string).collect(),
                CLIENT_METRICS | GROUP => node.configs.named(*kind),
                _ => return Reply::With(Self::refuse(&request, ErrorCode::UNSUPPORTED_VERSION)),
            };
            let resources = names.into_iter().map(|resource_name| ConfigResource {
                resource_name,
                resource_type: *kind,
                ..Default::default()
            });
            response.config_resources.extend(resources);
        }
        Reply::With(response)
    }

    fn refuse(_: &ListConfigResourcesRequest, code: ErrorCode) -> ListConfigResourcesResponse {
        ListConfigResourcesResponse { error_code: code.0, ..Default::default() }
    }
}
