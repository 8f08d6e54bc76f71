//! Access rules (KIP-4, KIP-290): who may do what with which topics, groups and so on.

use std::fmt;
use std::time::Duration;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::create_acls_request::AclCreation;
use dohle_protocol::messages::delete_acls_request::DeleteAclsFilter;
use dohle_protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse, DescribeAclsRequest,
    DescribeAclsResponse,
};

use super::each::{Route, unanswered, whole};
use super::names::{AclOperation, AclPatternType, AclPermission, AclResourceType};
use super::{Admin, Item};
use crate::error::{Error, Result};

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Acl {
    /// What it protects.
    pub resource_type: AclResourceType,
    /// The name of that.
    pub resource_name: String,
    /// How the name is meant.
    pub pattern_type: AclPatternType,
    /// For whom, such as `User:alice`.
    pub principal: String,
    /// From which host; `*` is any.
    pub host: String,
    /// What they want to do.
    pub operation: AclOperation,
    /// Whether they may.
    pub permission: AclPermission,
}

/// Which rules are looked for; none: any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AclFilter {
    /// What they protect.
    pub resource_type: Option<AclResourceType>,
    /// The name of that.
    pub resource_name: Option<String>,
    /// How the name is meant.
    pub pattern_type: Option<AclPatternType>,
    /// For whom.
    pub principal: Option<String>,
    /// From which host.
    pub host: Option<String>,
    /// To do what.
    pub operation: Option<AclOperation>,
    /// Whether they allow.
    pub permission: Option<AclPermission>,
}

impl Acl {
    /// What is only to look for is no part of a rule.
    fn check(&self, index: usize) -> Result<()> {
        let pattern = matches!(self.pattern_type, AclPatternType::ANY | AclPatternType::MATCH);
        let wrong = [
            (pattern, "patternType", self.pattern_type.name(), "LITERAL or PREFIXED"),
            (self.resource_type == AclResourceType::ANY, "resourceType", "ANY".into(), "such as TOPIC or GROUP"),
            (self.operation == AclOperation::ANY, "operation", "ANY".into(), "such as READ, or ALL"),
            (self.permission == AclPermission::ANY, "permission", "ANY".into(), "ALLOW or DENY"),
        ];
        match wrong.into_iter().find(|(is_wrong, ..)| *is_wrong) {
            None => Ok(()),
            Some((_, member, value, allowed)) => Err(Error::invalid_argument(format!(
                "acls[{index}].{member}: {value} is only to look for; a rule has one of its own: {allowed}"
            ))),
        }
    }
}

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource_type, resource_name, principal, operation, permission, .. } = self;
        write!(f, "{permission} {principal} {operation} {resource_type} {resource_name}")
    }
}

impl fmt::Display for AclFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let any = |text: &Option<String>| text.clone().unwrap_or_else(|| "any".to_owned());
        let kind = self.resource_type.unwrap_or(AclResourceType::ANY);
        write!(f, "rules of {} on {kind} {}", any(&self.principal), any(&self.resource_name))
    }
}

impl Admin {
    /// Makes rules; those that are there already stay. One result per rule, in the order given.
    pub async fn create_acls(&self, acls: Vec<Acl>, timeout: Option<Duration>) -> Result<Vec<Item<(), Acl>>> {
        let doing = "createAcls";
        if acls.is_empty() {
            return Ok(Vec::new());
        }
        acls.iter().enumerate().try_for_each(|(index, acl)| acl.check(index))?;
        let creation = |acl: &Acl| AclCreation {
            resource_type: acl.resource_type.0,
            resource_name: acl.resource_name.clone(),
            resource_pattern_type: acl.pattern_type.0,
            principal: acl.principal.clone(),
            host: acl.host.clone(),
            operation: acl.operation.0,
            permission_type: acl.permission.0,
            ..Default::default()
        };
        let request = CreateAclsRequest { creations: acls.iter().map(creation).collect(), ..Default::default() };
        let read = |response: CreateAclsResponse| {
            let code = response.results.iter().find(|of| of.error_code == ErrorCode::NOT_CONTROLLER.0);
            code.map_or(Ok(()), |of| whole(of.error_code, doing, None))?;
            Ok(response.results.into_iter().map(|of| (of.error_code, of.error_message)).collect::<Vec<_>>())
        };
        let told = self.one(doing, Route::Controller, timeout, |_, _| Ok(request.clone()), read).await?;
        // Answers have no names: they are in the order of the question.
        let mut told = told.into_iter();
        let item = |acl: Acl| {
            let doing = format!("{doing}: {acl}");
            let result = match told.next() {
                Some((code, message)) => whole(code, &doing, message.as_deref()),
                None => Err(unanswered(&doing)),
            };
            Item { name: acl, result }
        };
        Ok(acls.into_iter().map(item).collect())
    }

    /// The rules that a filter finds.
    pub async fn describe_acls(&self, filter: &AclFilter, timeout: Option<Duration>) -> Result<Vec<Acl>> {
        let doing = "describeAcls";
        let request = DescribeAclsRequest {
            resource_type_filter: filter.resource_type.unwrap_or(AclResourceType::ANY).0,
            resource_name_filter: filter.resource_name.clone(),
            pattern_type_filter: filter.pattern_type.unwrap_or(AclPatternType::ANY).0,
            principal_filter: filter.principal.clone(),
            host_filter: filter.host.clone(),
            operation: filter.operation.unwrap_or(AclOperation::ANY).0,
            permission_type: filter.permission.unwrap_or(AclPermission::ANY).0,
            ..Default::default()
        };
        let read = |response: DescribeAclsResponse| {
            whole(response.error_code, doing, response.error_message.as_deref())?;
            let mut acls = Vec::new();
            for of in response.resources {
                acls.extend(of.acls.into_iter().map(|acl| Acl {
                    resource_type: AclResourceType(of.resource_type),
                    resource_name: of.resource_name.clone(),
                    pattern_type: AclPatternType(of.pattern_type),
                    principal: acl.principal,
                    host: acl.host,
                    operation: AclOperation(acl.operation),
                    permission: AclPermission(acl.permission_type),
                }));
            }
            Ok(acls)
        };
        self.one(doing, Route::Any, timeout, |_, _| Ok(request.clone()), read).await
    }

    /// Deletes the rules that filters find. One result per filter, in the order given: what was deleted.
    pub async fn delete_acls(
        &self,
        filters: Vec<AclFilter>,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<Vec<Acl>, AclFilter>>> {
        let doing = "deleteAcls";
        if filters.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = |filter: &AclFilter| DeleteAclsFilter {
            resource_type_filter: filter.resource_type.unwrap_or(AclResourceType::ANY).0,
            resource_name_filter: filter.resource_name.clone(),
            pattern_type_filter: filter.pattern_type.unwrap_or(AclPatternType::ANY).0,
            principal_filter: filter.principal.clone(),
            host_filter: filter.host.clone(),
            operation: filter.operation.unwrap_or(AclOperation::ANY).0,
            permission_type: filter.permission.unwrap_or(AclPermission::ANY).0,
            ..Default::default()
        };
        let request = DeleteAclsRequest { filters: filters.iter().map(wanted).collect(), ..Default::default() };
        let read = |response: DeleteAclsResponse| {
            let code = response.filter_results.iter().find(|of| of.error_code == ErrorCode::NOT_CONTROLLER.0);
            code.map_or(Ok(()), |of| whole(of.error_code, doing, None))?;
            Ok(response.filter_results)
        };
        let told = self.one(doing, Route::Controller, timeout, |_, _| Ok(request.clone()), read).await?;
        let mut told = told.into_iter();
        let item = |filter: AclFilter| {
            let doing = format!("{doing}: {filter}");
            let Some(of) = told.next() else { return Item { name: filter, result: Err(unanswered(&doing)) } };
            let matching = of.matching_acls.into_iter().map(|acl| {
                whole(acl.error_code, &doing, acl.error_message.as_deref())?;
                Ok::<_, Error>(Acl {
                    resource_type: AclResourceType(acl.resource_type),
                    resource_name: acl.resource_name,
                    pattern_type: AclPatternType(acl.pattern_type),
                    principal: acl.principal,
                    host: acl.host,
                    operation: AclOperation(acl.operation),
                    permission: AclPermission(acl.permission_type),
                })
            });
            let result = whole(of.error_code, &doing, of.error_message.as_deref());
            let result = result.and_then(|()| matching.collect::<Result<Vec<_>>>());
            Item { name: filter, result }
        };
        Ok(filters.into_iter().map(item).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_has_nothing_that_is_only_to_look_for() {
        let rule = Acl {
            resource_type: AclResourceType::TOPIC,
            resource_name: "orders".into(),
            pattern_type: AclPatternType::LITERAL,
            principal: "User:alice".into(),
            host: "*".into(),
            operation: AclOperation::READ,
            permission: AclPermission::ALLOW,
        };
        assert!(rule.check(0).is_ok());
        let wrong = |member: &str, rule: Acl| {
            let error = rule.check(2).unwrap_err();
            assert_eq!(error.code(), "INVALID_ARGUMENT");
            assert!(error.message().starts_with(&format!("acls[2].{member}: ")), "{error}");
        };
        for pattern_type in [AclPatternType::ANY, AclPatternType::MATCH] {
            wrong("patternType", Acl { pattern_type, ..rule.clone() });
        }
        wrong("resourceType", Acl { resource_type: AclResourceType::ANY, ..rule.clone() });
        wrong("operation", Acl { operation: AclOperation::ANY, ..rule.clone() });
        wrong("permission", Acl { permission: AclPermission::ANY, ..rule });
    }
}
