//! AlterClientQuotas (key 49): sets and removes quotas of users, client ids and addresses (KIP-546).
//!
//! Behaviour: the changes of an entity are made together or not at all. Everybody is the user ANONYMOUS as long as nobody
//! logs in. Versions: 1 flexible.

use dohle_protocol::{
    ErrorCode,
    messages::{
        AlterClientQuotasRequest, AlterClientQuotasResponse,
        alter_client_quotas_request::EntryData,
        alter_client_quotas_response::{EntityData, EntryData as Altered},
    },
};

use super::{Api, Call, Reply};
use crate::{
    node::Node,
    quotas::{self, IP},
    topics::Refusal,
};

pub(super) struct AlterClientQuotas;

impl Api for AlterClientQuotas {
    type Request = AlterClientQuotasRequest;
    const VERSIONS: (i16, i16) = (0, 1);

    async fn handle(call: &Call, request: AlterClientQuotasRequest) -> Reply<Self> {
        let mut entries = Vec::new();
        for entry in &request.entries {
            let altered = alter(&call.node, entry, request.validate_only).await;
            entries.push(answer(entry, altered));
        }
        Reply::With(AlterClientQuotasResponse { entries, ..Default::default() })
    }

    fn refuse(request: &AlterClientQuotasRequest, code: ErrorCode) -> AlterClientQuotasResponse {
        let entries = request.entries.iter().map(|entry| answer(entry, Err((code, code.text().into()))));
        AlterClientQuotasResponse { entries: entries.collect(), ..Default::default() }
    }
}

async fn alter(node: &Node, entry: &EntryData, validate_only: bool) -> Result<(), Refusal> {
    let named: Vec<_> = entry.entity.iter().map(|of| (of.entity_type.clone(), of.entity_name.clone())).collect();
    let entity = quotas::check_entity(&named)?;
    if let Some(Some(host)) = entity.get(IP) {
        let resolved = node.world.resolve(host, 0).await;
        if !resolved.is_ok_and(|addresses| !addresses.is_empty()) {
            let reason = format!("{host} is not a valid IP or resolvable host.");
            return Err((ErrorCode::INVALID_REQUEST, reason));
        }
    }
    let mut changes = Vec::new();
    for op in &entry.ops {
        let value = (!op.remove).then_some(op.value);
        quotas::check_limit(&entity, &op.key, value)?;
        changes.push((op.key.clone(), value));
    }
    if !validate_only {
        node.quotas.change(entity, changes);
    }
    Ok(())
}

fn answer(entry: &EntryData, altered: Result<(), Refusal>) -> Altered {
    let (error_code, error_message) = altered.err().map_or((0, None), |(code, why)| (code.0, Some(why)));
    let entity = entry.entity.iter().map(|of| EntityData {
        entity_type: of.entity_type.clone(),
        entity_name: of.entity_name.clone(),
        ..Default::default()
    });
    Altered { error_code, error_message, entity: entity.collect(), ..Default::default() }
}
