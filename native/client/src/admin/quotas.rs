//! Quotas of users, client ids and addresses (KIP-546).

use std::fmt;
use std::time::Duration;

use dohle_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use dohle_protocol::messages::describe_client_quotas_request::ComponentData;
use dohle_protocol::messages::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, DescribeClientQuotasRequest, DescribeClientQuotasResponse,
};

use super::each::{Answer, Call, Route, whole};
use super::{Admin, Item};
use crate::error::Result;

/// A part of what a quota is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuotaEntity {
    /// `user`, `client-id` or `ip`.
    pub kind: String,
    /// Its name; none: all that have no quota of their own.
    pub name: Option<String>,
}

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaFilter {
    /// `user`, `client-id` or `ip`.
    pub kind: String,
    /// Which of them.
    pub matches: QuotaMatch,
}

/// Which entities are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuotaMatch {
    /// The one of this name.
    Name(String),
    /// The default.
    Default,
    /// Any.
    Any,
}

/// The quotas of one entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Quotas {
    /// What they are for.
    pub entity: Vec<QuotaEntity>,
    /// Their names, such as `producer_byte_rate`, and values.
    pub quotas: Vec<(String, f64)>,
}

/// A change of the quotas of one entity.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterQuotas {
    /// What they are for.
    pub entity: Vec<QuotaEntity>,
    /// The new values; none: it goes.
    pub quotas: Vec<(String, Option<f64>)>,
}

/// An entity as a key.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Entity(Vec<QuotaEntity>);

impl Entity {
    fn new(mut parts: Vec<QuotaEntity>) -> Self {
        parts.sort_unstable();
        Self(parts)
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |of: &QuotaEntity| format!("{} {}", of.kind, of.name.as_deref().unwrap_or("<default>"));
        f.write_str(&self.0.iter().map(part).collect::<Vec<_>>().join(", "))
    }
}

impl Admin {
    /// The quotas of what the filters find. `strict`: of nothing that has parts of other kinds too.
    pub async fn describe_client_quotas(
        &self,
        filters: &[QuotaFilter],
        strict: bool,
        timeout: Option<Duration>,
    ) -> Result<Vec<Quotas>> {
        let doing = "describeClientQuotas";
        let component = |of: &QuotaFilter| {
            let (match_type, name) = match &of.matches {
                QuotaMatch::Name(name) => (0, Some(name.clone())),
                QuotaMatch::Default => (1, None),
                QuotaMatch::Any => (2, None),
            };
            ComponentData { entity_type: of.kind.clone(), match_type, r#match: name, ..Default::default() }
        };
        let components = filters.iter().map(component).collect();
        let request = DescribeClientQuotasRequest { components, strict, ..Default::default() };
        let read = |response: DescribeClientQuotasResponse| {
            whole(response.error_code, doing, response.error_message.as_deref())?;
            let quotas = response.entries.unwrap_or_default().into_iter().map(|of| {
                let part = of.entity.into_iter().map(|of| QuotaEntity { kind: of.entity_type, name: of.entity_name });
                Quotas {
                    entity: Entity::new(part.collect()).0,
                    quotas: of.values.into_iter().map(|of| (of.key, of.value)).collect(),
                }
            });
            Ok(quotas.collect())
        };
        self.one(doing, Route::Any, timeout, |_, _| Ok(request.clone()), read).await
    }

    /// Changes quotas. One result per entity, in the order given.
    pub async fn alter_client_quotas(
        &self,
        changes: Vec<AlterQuotas>,
        validate_only: bool,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<()>>> {
        let (entities, quotas): (Vec<_>, Vec<_>) =
            changes.into_iter().map(|of| (Entity::new(of.entity), of.quotas)).unzip();
        let wanted = entities.clone();
        let make = |_, pending: &[usize], _| {
            let op = |(key, value): &(String, Option<f64>)| OpData {
                key: key.clone(),
                value: value.unwrap_or_default(),
                remove: value.is_none(),
                ..Default::default()
            };
            let part = |of: &QuotaEntity| EntityData {
                entity_type: of.kind.clone(),
                entity_name: of.name.clone(),
                ..Default::default()
            };
            let entry = |index: &usize| EntryData {
                entity: wanted[*index].0.iter().map(part).collect(),
                ops: quotas[*index].iter().map(op).collect(),
                ..Default::default()
            };
            let entries = pending.iter().map(entry).collect();
            Ok(AlterClientQuotasRequest { entries, validate_only, ..Default::default() })
        };
        let call = Call::new("alterClientQuotas", entities, &|_| Route::Controller, timeout);
        let items = self.each(call, make, |response: AlterClientQuotasResponse| {
            let answer = response.entries.into_iter().map(|of| {
                let part = of.entity.into_iter().map(|of| QuotaEntity { kind: of.entity_type, name: of.entity_name });
                Answer::new(Entity::new(part.collect()), of.error_code, ()).saying(of.error_message)
            });
            Ok(answer.collect())
        });
        let items = items.await?.into_iter();
        Ok(items.map(|item| Item { name: item.name.to_string(), result: item.result }).collect())
    }
}
