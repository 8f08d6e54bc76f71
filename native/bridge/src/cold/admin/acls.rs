//! Access rules.

use dohle_client::admin as engine;
use dohle_client::admin::{AclOperation, AclPatternType, AclPermission, AclResourceType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::all;
use super::names::known;
use super::shape::Wire;
use crate::cold::values::Open;
use crate::failure::Failure;

/// A rule: who may do what with what, or may not.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Acl {
    /// What it protects.
    pub resource_type: Open<AclResourceType>,
    /// The name of that; of the cluster `kafka-cluster`, and `*` is any.
    pub resource_name: String,
    /// How the name is meant.
    pub pattern_type: Open<AclPatternType>,
    /// For whom, such as `User:alice`; `User:*` is everybody.
    pub principal: String,
    /// From which host; `*` is any.
    pub host: String,
    /// To do what.
    pub operation: Open<AclOperation>,
    /// Whether they may.
    pub permission: Open<AclPermission>,
}

part! {
    /// Which rules are looked for. What is absent may be anything.
    AclFilter {
        /// What they protect.
        resource_type: Option<Open<AclResourceType>>,
        /// The name of that.
        resource_name: Option<String>,
        /// How the name is meant; `MATCH` finds all rules that concern the name.
        pattern_type: Option<Open<AclPatternType>>,
        /// For whom.
        principal: Option<String>,
        /// From which host.
        host: Option<String>,
        /// To do what.
        operation: Option<Open<AclOperation>>,
        /// Whether they allow.
        permission: Option<Open<AclPermission>>,
    }
}

impl Acl {
    fn engine(self, path: &str) -> Result<engine::Acl, Failure> {
        Ok(engine::Acl {
            resource_type: known(&self.resource_type, &format!("{path}.resourceType"))?,
            resource_name: self.resource_name,
            pattern_type: known(&self.pattern_type, &format!("{path}.patternType"))?,
            principal: self.principal,
            host: self.host,
            operation: known(&self.operation, &format!("{path}.operation"))?,
            permission: known(&self.permission, &format!("{path}.permission"))?,
        })
    }
}

impl Wire<engine::Acl> for Acl {
    fn wire(of: engine::Acl) -> Self {
        Self {
            resource_type: Wire::wire(of.resource_type),
            resource_name: of.resource_name,
            pattern_type: Wire::wire(of.pattern_type),
            principal: of.principal,
            host: of.host,
            operation: Wire::wire(of.operation),
            permission: Wire::wire(of.permission),
        }
    }
}

impl AclFilter {
    fn engine(self, path: &str) -> Result<engine::AclFilter, Failure> {
        Ok(engine::AclFilter {
            resource_type: self.resource_type.map(|of| known(&of, &format!("{path}.resourceType"))).transpose()?,
            resource_name: self.resource_name,
            pattern_type: self.pattern_type.map(|of| known(&of, &format!("{path}.patternType"))).transpose()?,
            principal: self.principal,
            host: self.host,
            operation: self.operation.map(|of| known(&of, &format!("{path}.operation"))).transpose()?,
            permission: self.permission.map(|of| known(&of, &format!("{path}.permission"))).transpose()?,
        })
    }
}

operation! {
    /// Makes access rules (KIP-140, KIP-290); those that are there already stay. When some cannot be made the others are, and the
    /// call fails.
    CreateAcls "admin.createAcls" -> () {
        /// The rules.
        acls: Vec<Acl>,
    }
    |request, admin, timeout| {
        let acl = |(index, acl): (usize, Acl)| acl.engine(&format!("acls[{index}]"));
        let acls = request.acls.into_iter().enumerate().map(acl).collect::<Result<_, _>>()?;
        all("createAcls", admin.create_acls(acls, timeout).await?)?;
        Ok(())
    }
}

operation! {
    /// The access rules that a filter finds (KIP-140, KIP-290).
    DescribeAcls "admin.describeAcls" -> Vec<Acl> {
        /// Which; an empty one finds all.
        filter: AclFilter,
    }
    |request, admin, timeout| {
        let filter = request.filter.engine("filter")?;
        Ok(Wire::wire(admin.describe_acls(&filter, timeout).await?))
    }
}

operation! {
    /// Deletes the access rules that filters find (KIP-140, KIP-290), and tells which those were. When some cannot be deleted the
    /// others are, and the call fails.
    DeleteAcls "admin.deleteAcls" -> Vec<Acl> {
        /// Which; an empty one finds all.
        filters: Vec<AclFilter>,
    }
    |request, admin, timeout| {
        let filter = |(index, filter): (usize, AclFilter)| filter.engine(&format!("filters[{index}]"));
        let filters = request.filters.into_iter().enumerate().map(filter).collect::<Result<_, _>>()?;
        let deleted = all("deleteAcls", admin.delete_acls(filters, timeout).await?)?;
        Ok(Wire::wire(deleted.into_iter().flat_map(|(_, acls)| acls).collect::<Vec<_>>()))
    }
}
