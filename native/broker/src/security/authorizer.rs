//! Whether somebody may do something, as Kafka's `StandardAuthorizer` decides: super users may everything; a rule that denies goes
//! before one that allows; without a rule for a resource nobody may, unless the settings say otherwise. Which request needs
//! what is in `api/permissions`.

use std::collections::BTreeSet;

use super::{Principal, Session, Wrong};
use crate::{
    BrokerOptions,
    acls::{Acl, Acls},
    config::broker,
};

/// What somebody may do. Kafka's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub(crate) enum Operation {
    All = 2,
    Read = 3,
    Write = 4,
    Create = 5,
    Delete = 6,
    Alter = 7,
    Describe = 8,
    ClusterAction = 9,
    DescribeConfigs = 10,
    AlterConfigs = 11,
    IdempotentWrite = 12,
    CreateTokens = 13,
    DescribeTokens = 14,
    TwoPhaseCommit = 15,
}

/// What it may be done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource<'a> {
    Topic(&'a str),
    Group(&'a str),
    Cluster,
    TransactionalId(&'a str),
    DelegationToken(&'a str),
    User(&'a str),
}

impl Resource<'_> {
    /// Kafka's number of its type.
    fn number(self) -> i8 {
        match self {
            Self::Topic(_) => 2,
            Self::Group(_) => 3,
            Self::Cluster => 4,
            Self::TransactionalId(_) => 5,
            Self::DelegationToken(_) => 6,
            Self::User(_) => 7,
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Cluster => "kafka-cluster",
            Self::Topic(name)
            | Self::Group(name)
            | Self::TransactionalId(name)
            | Self::DelegationToken(name)
            | Self::User(name) => name,
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Topic(_) => "Topic",
            Self::Group(_) => "Group",
            Self::Cluster => "Cluster",
            Self::TransactionalId(_) => "TransactionalId",
            Self::DelegationToken(_) => "DelegationToken",
            Self::User(_) => "User",
        }
    }

    /// What can be done to it at all.
    fn operations(self) -> &'static [Operation] {
        use Operation::*;
        match self {
            Self::Topic(_) => &[Read, Write, Create, Delete, Alter, Describe, DescribeConfigs, AlterConfigs],
            Self::Group(_) => &[Read, Delete, Describe, DescribeConfigs, AlterConfigs],
            Self::Cluster => &[Create, Alter, Describe, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite],
            Self::TransactionalId(_) => &[Write, Describe, TwoPhaseCommit],
            Self::DelegationToken(_) => &[Describe],
            Self::User(_) => &[CreateTokens, DescribeTokens],
        }
    }
}

/// Who may do what.
#[derive(Debug)]
pub(crate) struct Authorizer {
    super_users: BTreeSet<String>,
    /// What holds where no rule names a resource.
    open: bool,
}

/// Somebody at an address.
struct Asker {
    principal: Principal,
    host: String,
}

const DENY: i8 = 2;
const LITERAL: i8 = 3;

impl Authorizer {
    /// That of the settings, if they want one.
    pub fn new(options: &BrokerOptions) -> Result<Option<Self>, Wrong> {
        let text = |name: &str| options.properties.get(name).map(String::as_str).unwrap_or_default();
        if text("authorizer.class.name").is_empty() {
            for name in ["super.users", "allow.everyone.if.no.acl.found"] {
                if !text(name).is_empty() {
                    let why = format!("{name}: nobody looks at it without authorizer.class.name");
                    return Err(("authorizer.class.name", why));
                }
            }
            return Ok(None);
        }
        let mut super_users = BTreeSet::new();
        for user in text("super.users").split(';').map(str::trim).filter(|user| !user.is_empty()) {
            if user.split_once(':').is_none_or(|(kind, _)| kind.is_empty()) {
                return Err(("super.users", format!("super.users: {user}: it must be User:NAME")));
            }
            super_users.insert(user.to_string());
        }
        Ok(Some(Self { super_users, open: broker::enabled(options, "allow.everyone.if.no.acl.found") }))
    }

    /// Whether a client may do this; a refusal is logged.
    pub fn allows(&self, acls: &Acls, session: &Session, operation: Operation, resource: Resource<'_>) -> bool {
        let asker = Asker::of(session);
        let allowed = self.decide(acls, &asker, operation, resource);
        if !allowed {
            let Asker { principal, host } = asker;
            tracing::info!(
                "Principal = {principal} is Denied operation = {operation:?} from host = {host} on resource = {}:LITERAL:{}",
                resource.kind(),
                resource.name(),
            );
        }
        allowed
    }

    /// As [`allows`](Self::allows), where a refusal is nothing to be told.
    pub fn quietly_allows(&self, acls: &Acls, session: &Session, operation: Operation, resource: Resource<'_>) -> bool {
        self.decide(acls, &Asker::of(session), operation, resource)
    }

    /// Whether a client may do this to any resource of this type: of one that may be so named.
    pub fn allows_any(&self, acls: &Acls, session: &Session, operation: Operation, of: Resource<'_>) -> bool {
        let asker = Asker::of(session);
        if self.is_super(&asker) {
            return true;
        }
        acls.read(|all| {
            let (deny, allow): (Vec<&Acl>, Vec<&Acl>) = all
                .filter(|acl| acl.resource_type == of.number() && asker.is_meant(acl) && is_of(acl, operation))
                .partition(|acl| acl.permission == DENY);
            let hidden = |allowed: &Acl| {
                deny.iter().any(|denied| match (denied.pattern_type, allowed.pattern_type) {
                    (LITERAL, _) if denied.resource_name == "*" => true,
                    (LITERAL, LITERAL) => denied.resource_name == allowed.resource_name,
                    (LITERAL, _) => false,
                    _ => allowed.resource_name.starts_with(&denied.resource_name),
                })
            };
            let everything = deny.iter().any(|denied| denied.resource_name == "*" && denied.pattern_type == LITERAL);
            allow.iter().any(|allowed| !hidden(allowed)) || self.open && !everything
        })
    }

    /// The bits of what a client may do.
    pub fn operations(&self, acls: &Acls, session: &Session, resource: Resource<'_>) -> i32 {
        let asker = Asker::of(session);
        let allowed = resource.operations().iter().filter(|of| self.decide(acls, &asker, **of, resource));
        bits(allowed.copied())
    }

    fn is_super(&self, asker: &Asker) -> bool {
        self.super_users.iter().any(|user| asker.principal.is(user))
    }

    fn decide(&self, acls: &Acls, asker: &Asker, operation: Operation, resource: Resource<'_>) -> bool {
        if self.is_super(asker) {
            return true;
        }
        acls.read(|all| {
            let (mut named, mut allowed) = (false, false);
            for acl in all.filter(|acl| acl.resource_type == resource.number() && acl.covers(resource.name())) {
                named = true;
                if !asker.is_meant(acl) {
                    continue;
                }
                if acl.permission == DENY {
                    if is_of(acl, operation) {
                        return false;
                    }
                } else if is_of(acl, operation) || implies(acl.operation, operation) {
                    allowed = true;
                }
            }
            allowed || !named && self.open
        })
    }
}

/// All that can be done to a resource, for who may do everything.
pub(crate) fn all_operations(resource: Resource<'_>) -> i32 {
    bits(resource.operations().iter().copied())
}

fn bits(operations: impl Iterator<Item = Operation>) -> i32 {
    operations.fold(0, |bits, operation| bits | 1 << operation as i8)
}

/// Whether a rule is about an operation.
fn is_of(acl: &Acl, operation: Operation) -> bool {
    acl.operation == operation as i8 || acl.operation == Operation::All as i8
}

/// Who may read, write, delete or alter may describe.
fn implies(allowed: i8, operation: Operation) -> bool {
    let is = |of: Operation| allowed == of as i8;
    match operation {
        Operation::Describe => {
            is(Operation::Read) || is(Operation::Write) || is(Operation::Delete) || is(Operation::Alter)
        }
        Operation::DescribeConfigs => is(Operation::AlterConfigs),
        _ => false,
    }
}

impl Asker {
    fn of(session: &Session) -> Self {
        Self { principal: session.who().principal, host: session.host() }
    }

    /// Whether a rule is about somebody.
    fn is_meant(&self, acl: &Acl) -> bool {
        let anybody = || acl.principal.strip_suffix(":*") == Some(self.principal.kind());
        (self.principal.is(&acl.principal) || anybody()) && (acl.host == "*" || acl.host == self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: i8 = 3;
    const PREFIXED: i8 = 4;

    fn rule(name: &str, pattern: i8, who: &str, operation: Operation, permission: i8) -> Acl {
        Acl {
            resource_type: 2,
            resource_name: name.into(),
            pattern_type: pattern,
            principal: who.into(),
            host: "*".into(),
            operation: operation as i8,
            permission,
        }
    }

    fn with(rules: Vec<Acl>) -> impl Fn(&str, Operation, &str) -> bool {
        let acls = Acls::default();
        rules.into_iter().for_each(|acl| acls.add(acl).unwrap());
        let authorizer = Authorizer { super_users: BTreeSet::from(["User:root".into()]), open: false };
        move |who, operation, topic| {
            let asker = Asker { principal: Principal::user(who), host: "10.0.0.1".into() };
            authorizer.decide(&acls, &asker, operation, Resource::Topic(topic))
        }
    }

    #[test]
    fn nobody_may_what_no_rule_allows_but_super_users() {
        let may = with(vec![rule("a", LITERAL, "User:alice", Operation::Read, ALLOW)]);
        assert!(may("alice", Operation::Read, "a") && may("root", Operation::Delete, "zzz"));
        assert!(!may("alice", Operation::Read, "ab") && !may("alice", Operation::Write, "a"));
        assert!(!may("bob", Operation::Read, "a") && !may("Alice", Operation::Read, "a"));
    }

    #[test]
    fn who_may_read_write_delete_or_alter_may_describe_and_a_denial_implies_nothing() {
        for allowed in [Operation::Read, Operation::Write, Operation::Delete, Operation::Alter] {
            let may = with(vec![rule("a", LITERAL, "User:alice", allowed, ALLOW)]);
            assert!(may("alice", Operation::Describe, "a"), "{allowed:?}");
            assert!(!may("alice", Operation::DescribeConfigs, "a"));
        }
        let may = with(vec![rule("a", LITERAL, "User:alice", Operation::AlterConfigs, ALLOW)]);
        assert!(may("alice", Operation::DescribeConfigs, "a") && !may("alice", Operation::Describe, "a"));
        let may = with(vec![
            rule("a", LITERAL, "User:alice", Operation::All, ALLOW),
            rule("a", LITERAL, "User:alice", Operation::Read, DENY),
        ]);
        assert!(!may("alice", Operation::Read, "a") && may("alice", Operation::Describe, "a"));
    }

    #[test]
    fn a_denial_goes_before_everything_however_it_is_named() {
        let may = with(vec![
            rule("a", LITERAL, "User:alice", Operation::Read, ALLOW),
            rule("ab", PREFIXED, "User:*", Operation::Write, ALLOW),
            rule("abc", LITERAL, "User:bob", Operation::All, DENY),
            rule("*", LITERAL, "User:eve", Operation::All, DENY),
            rule("*", LITERAL, "User:*", Operation::Describe, ALLOW),
        ]);
        assert!(may("alice", Operation::Write, "abc") && may("alice", Operation::Write, "abd"));
        assert!(may("bob", Operation::Write, "abd") && !may("bob", Operation::Write, "abc"));
        assert!(!may("eve", Operation::Write, "abd") && !may("eve", Operation::Describe, "zzz"));
        assert!(may("bob", Operation::Describe, "zzz") && !may("bob", Operation::Describe, "abc"));
    }

    #[test]
    fn a_rule_may_be_for_one_host() {
        let from = |host: &str| {
            let may = with(vec![Acl { host: host.into(), ..rule("a", LITERAL, "User:alice", Operation::Read, ALLOW) }]);
            may("alice", Operation::Read, "a")
        };
        assert!(from("10.0.0.1") && from("*") && !from("10.0.0.2"));
    }

    #[test]
    fn without_a_rule_for_a_resource_it_may_be_open() {
        let acls = Acls::default();
        acls.add(rule("a", LITERAL, "User:alice", Operation::Read, ALLOW)).unwrap();
        let authorizer = Authorizer { super_users: BTreeSet::new(), open: true };
        let bob = Asker { principal: Principal::user("bob"), host: "10.0.0.1".into() };
        assert!(authorizer.decide(&acls, &bob, Operation::Write, Resource::Topic("b")));
        assert!(!authorizer.decide(&acls, &bob, Operation::Read, Resource::Topic("a")));
    }
}
