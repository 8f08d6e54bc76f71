//! Quotas of users, client ids and addresses.

use std::collections::BTreeMap;

use dohle_client::admin as engine;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::all;
use crate::cold::values::Double;
use crate::failure::Failure;

/// A part of what a quota is for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QuotaEntity {
    /// `user`, `client-id` or `ip`.
    pub r#type: String,
    /// Its name; none: all that have no quota of their own.
    pub name: Option<String>,
}

part! {
    /// Which quotas are looked for. Without `name` and `byDefault`: those of any.
    QuotaFilter {
        /// `user`, `client-id` or `ip`.
        r#type: String,
        /// The one of this name.
        name: Option<String>,
        /// The one for all that have none of their own.
        ///
        /// Default: false.
        by_default: Option<bool>,
    }
}

response! {
    /// The quotas of one entity.
    Quotas {
        /// What they are for, such as a user with a client id.
        entity: Vec<QuotaEntity>,
        /// By name, such as `producer_byte_rate`.
        quotas: Vec<Quota>,
    }
}

response! {
    /// A quota.
    Quota {
        /// Its name.
        name: String,
        /// Its value: bytes per second, percent, … by its name.
        value: Double,
    }
}

part! {
    /// A change of the quotas of one entity.
    QuotaChanges {
        /// What they are for, such as a user with a client id.
        entity: Vec<QuotaEntity>,
        /// New values by name, such as `producer_byte_rate`.
        ///
        /// Default: none.
        set: Option<BTreeMap<String, Double>>,
        /// Names of those that go.
        ///
        /// Default: none.
        remove: Option<Vec<String>>,
    }
}

fn part(of: QuotaEntity) -> engine::QuotaEntity {
    engine::QuotaEntity { kind: of.r#type, name: of.name }
}

operation! {
    /// The quotas of users, client ids and addresses (KIP-546; Kafka 2.6 or newer).
    DescribeClientQuotas "admin.describeClientQuotas" -> Vec<Quotas> {
        /// Of which; without one: all.
        filters: Vec<QuotaFilter>,
        /// Not of what has parts of other types too.
        ///
        /// Default: false.
        strict: Option<bool>,
    }
    |request, admin, timeout| {
        let filter = |(index, of): (usize, QuotaFilter)| {
            let matches = match (of.name, of.by_default.unwrap_or(false)) {
                (Some(name), false) => engine::QuotaMatch::Name(name),
                (None, true) => engine::QuotaMatch::Default,
                (None, false) => engine::QuotaMatch::Any,
                (Some(_), true) => {
                    let text = "has a name and byDefault; one of them";
                    return Err(Failure::argument(&format!("filters[{index}]"), text));
                }
            };
            Ok(engine::QuotaFilter { kind: of.r#type, matches })
        };
        let filters = request.filters.into_iter().enumerate().map(filter).collect::<Result<Vec<_>, _>>()?;
        let found = admin.describe_client_quotas(&filters, request.strict.unwrap_or(false), timeout).await?;
        let quotas = |of: engine::Quotas| Quotas {
            entity: of.entity.into_iter().map(|of| QuotaEntity { r#type: of.kind, name: of.name }).collect(),
            quotas: of.quotas.into_iter().map(|(name, value)| Quota { name, value: Double(value) }).collect(),
        };
        Ok(found.into_iter().map(quotas).collect())
    }
}

operation! {
    /// Changes quotas and leaves those that are not named as they are (KIP-546; Kafka 2.6 or newer). When some cannot be changed
    /// the others are, and the call fails.
    AlterClientQuotas "admin.alterClientQuotas" -> () {
        /// The changes, by what they are for.
        changes: Vec<QuotaChanges>,
        /// Only check whether they could be made.
        ///
        /// Default: false.
        validate_only: Option<bool>,
    }
    |request, admin, timeout| {
        let change = |of: QuotaChanges| {
            let set = of.set.unwrap_or_default().into_iter().map(|(name, value)| (name, Some(value.0)));
            let removed = of.remove.unwrap_or_default().into_iter().map(|name| (name, None));
            let quotas = set.chain(removed).collect();
            engine::AlterQuotas { entity: of.entity.into_iter().map(part).collect(), quotas }
        };
        let changes = request.changes.into_iter().map(change).collect();
        let items = admin.alter_client_quotas(changes, request.validate_only.unwrap_or(false), timeout).await?;
        all("alterClientQuotas", items)?;
        Ok(())
    }
}
