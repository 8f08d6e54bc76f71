//! Access rules: kept and found as Kafka does. What they mean is in `security::authorizer`.

use std::collections::BTreeSet;

use dohle_protocol::ErrorCode;
use parking_lot::Mutex;

use crate::topics::Refusal;

/// Kafka's numbers.
pub(crate) const ANY: i8 = 1;
const MATCH: i8 = 2;
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;
/// Types of resources: topic to user.
const RESOURCES: std::ops::RangeInclusive<i8> = 2..=7;
const CLUSTER: i8 = 4;
/// Operations: all to two phase commit.
const OPERATIONS: std::ops::RangeInclusive<i8> = 2..=15;
const PERMISSIONS: std::ops::RangeInclusive<i8> = 2..=3;

/// A rule, with Kafka's numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Acl {
    pub resource_type: i8,
    pub resource_name: String,
    pub pattern_type: i8,
    pub principal: String,
    pub host: String,
    pub operation: i8,
    pub permission: i8,
}

/// Which rules are meant; `None` and [`ANY`] mean all.
pub(crate) struct Filter {
    pub resource_type: i8,
    pub resource_name: Option<String>,
    pub pattern_type: i8,
    pub principal: Option<String>,
    pub host: Option<String>,
    pub operation: i8,
    pub permission: i8,
}

/// The rules.
#[derive(Default)]
pub(crate) struct Acls {
    all: Mutex<BTreeSet<Acl>>,
}

impl Acls {
    /// Adds a rule, which may be there already.
    pub fn add(&self, acl: Acl) -> Result<(), Refusal> {
        acl.check()?;
        self.all.lock().insert(acl);
        Ok(())
    }

    /// Looks at all of them.
    pub fn read<T>(&self, look: impl FnOnce(std::collections::btree_set::Iter<'_, Acl>) -> T) -> T {
        look(self.all.lock().iter())
    }

    pub fn find(&self, filter: &Filter) -> Result<Vec<Acl>, Refusal> {
        filter.check()?;
        Ok(self.all.lock().iter().filter(|acl| filter.matches(acl)).cloned().collect())
    }

    /// Takes the rules out that a filter matches.
    pub fn delete(&self, filter: &Filter) -> Result<Vec<Acl>, Refusal> {
        let found = self.find(filter)?;
        let mut all = self.all.lock();
        for acl in &found {
            all.remove(acl);
        }
        Ok(found)
    }
}

impl Acl {
    /// Whether it is about the resource of this name, of its type.
    pub fn covers(&self, name: &str) -> bool {
        match self.pattern_type {
            PREFIXED => name.starts_with(&self.resource_name),
            _ => self.resource_name == name || self.resource_name == "*",
        }
    }

    fn check(&self) -> Result<(), Refusal> {
        let refused = |reason: String| Err((ErrorCode::INVALID_REQUEST, reason));
        let Self { resource_type, resource_name, pattern_type, principal, operation, permission, .. } = self;
        if !RESOURCES.contains(resource_type) {
            return refused(format!("Invalid resourceType {resource_type}"));
        }
        if !matches!(*pattern_type, LITERAL | PREFIXED) {
            return refused(format!("Invalid patternType {pattern_type}"));
        }
        if !OPERATIONS.contains(operation) {
            return refused(format!("Invalid operation {operation}"));
        }
        if !PERMISSIONS.contains(permission) {
            return refused(format!("Invalid permissionType {permission}"));
        }
        if resource_name.is_empty() {
            return refused("Resource name should not be empty".into());
        }
        if *resource_type == CLUSTER && resource_name != "kafka-cluster" {
            return refused("The only valid name for the CLUSTER resource is kafka-cluster".into());
        }
        match principal.split_once(':') {
            Some((kind, _)) if !kind.is_empty() => Ok(()),
            _ => refused(format!(
                "Could not parse principal from `{principal}` (no colon is present separating the principal type from \
                 the principal name)"
            )),
        }
    }
}

impl Filter {
    fn check(&self) -> Result<(), Refusal> {
        let one_of = |value: i8, known: &std::ops::RangeInclusive<i8>| value == ANY || known.contains(&value);
        let unknown = [
            ("resourceType", self.resource_type, one_of(self.resource_type, &RESOURCES)),
            ("patternType", self.pattern_type, (ANY..=PREFIXED).contains(&self.pattern_type)),
            ("operation", self.operation, one_of(self.operation, &OPERATIONS)),
            ("permissionType", self.permission, one_of(self.permission, &PERMISSIONS)),
        ];
        match unknown.iter().find(|(.., known)| !known) {
            Some((what, value, _)) => Err((ErrorCode::INVALID_REQUEST, format!("Unknown {what} {value}"))),
            None => Ok(()),
        }
    }

    fn matches(&self, acl: &Acl) -> bool {
        let same = |wanted: i8, is: i8| wanted == ANY || wanted == is;
        let named = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        same(self.resource_type, acl.resource_type)
            && same(self.operation, acl.operation)
            && same(self.permission, acl.permission)
            && named(&self.principal, &acl.principal)
            && named(&self.host, &acl.host)
            && self.names(acl)
    }

    /// Whether the name and the kind of pattern fit. MATCH finds every rule that would apply to the name.
    fn names(&self, acl: &Acl) -> bool {
        match (self.pattern_type, &self.resource_name) {
            (ANY | MATCH, None) => true,
            (pattern, None) => pattern == acl.pattern_type,
            (MATCH, Some(name)) => acl.covers(name),
            (pattern, Some(name)) => (pattern == ANY || pattern == acl.pattern_type) && acl.resource_name == *name,
        }
    }
}
