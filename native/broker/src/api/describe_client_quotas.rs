//! DescribeClientQuotas (key 48): the quotas of the entities that a filter matches (KIP-546).
//!
//! Behaviour: each component wants a name, the default, or any; strict wants no other types beside them.
//! Versions: 1 flexible.

use dohle_protocol::{
    ErrorCode,
    messages::{
        DescribeClientQuotasRequest, DescribeClientQuotasResponse,
        describe_client_quotas_request::ComponentData,
        describe_client_quotas_response::{EntityData, EntryData, ValueData},
    },
};

use super::{Api, Call, Reply};
use crate::quotas::{CLIENT_ID, Entity, IP, Limits, USER};

pub(super) struct DescribeClientQuotas;

impl Api for DescribeClientQuotas {
    type Request = DescribeClientQuotasRequest;
    const VERSIONS: (i16, i16) = (0, 1);

    async fn handle(call: &Call, request: DescribeClientQuotasRequest) -> Reply<Self> {
        let known = |component: &&ComponentData| [USER, CLIENT_ID, IP].contains(&component.entity_type.as_str());
        if let Some(other) = request.components.iter().find(|component| !known(component)) {
            let message = format!("Custom entity type '{}' not supported", other.entity_type);
            let refusal = Self::refuse(&request, ErrorCode::UNSUPPORTED_VERSION);
            return Reply::With(DescribeClientQuotasResponse { error_message: Some(message), ..refusal });
        }
        let matches = |entity: &Entity| {
            (!request.strict || entity.len() == request.components.len())
                && request.components.iter().all(|component| fits(component, entity))
        };
        let found = call.node.quotas.all().into_iter().filter(|(entity, _)| matches(entity));
        let entries = Some(found.map(entry).collect());
        Reply::With(DescribeClientQuotasResponse { error_message: None, entries, ..Default::default() })
    }

    fn refuse(_: &DescribeClientQuotasRequest, code: ErrorCode) -> DescribeClientQuotasResponse {
        DescribeClientQuotasResponse { error_code: code.0, error_message: None, entries: None, ..Default::default() }
    }
}

fn fits(component: &ComponentData, entity: &Entity) -> bool {
    let Some(name) = entity.get(&component.entity_type) else { return false };
    match component.match_type {
        0 => *name == component.r#match,
        1 => name.is_none(),
        _ => true,
    }
}

fn entry((entity, limits): (Entity, Limits)) -> EntryData {
    let entity = entity.into_iter().map(|(entity_type, entity_name)| EntityData {
        entity_type,
        entity_name,
        ..Default::default()
    });
    let values = limits.into_iter().map(|(key, value)| ValueData { key, value, ..Default::default() });
    EntryData { entity: entity.collect(), values: values.collect(), ..Default::default() }
}
