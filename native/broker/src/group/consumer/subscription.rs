//! What the members of a group are subscribed to: the topics that they name and those that their expressions match, as far as
//! they exist. Looked at again when topics have come, gone or grown.

use std::collections::{BTreeMap, BTreeSet};

use dohle_protocol::{ErrorCode, Uuid};
use regex::bytes::{Regex, RegexBuilder};

use super::member::Member;
use crate::topics::{Refusal, Topics};

/// The group's expressions and topics.
#[derive(Default)]
pub(super) struct Subscription {
    /// By their source.
    expressions: BTreeMap<String, Regex>,
    /// Topics that some member is subscribed to.
    topics: BTreeMap<String, Known>,
    /// Of the topics when last looked at.
    version: Option<u64>,
}

/// A topic as the group knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    id: Uuid,
    partitions: i32,
}

/// An expression as RE2 reads it: it must match a whole name. Names of topics are ASCII, so it knows nothing else.
fn compile(source: &str) -> Result<Regex, Refusal> {
    let build = |pattern: &str| RegexBuilder::new(pattern).unicode(false).size_limit(1 << 20).build();
    // By itself first: what is around it must not make it valid.
    build(source).and_then(|_| build(&format!(r"\A(?:{source})\z"))).map_err(|error| {
        let reason = format!("SubscribedTopicRegex `{source}` is not a valid regular expression: {error}.");
        (ErrorCode::INVALID_REGULAR_EXPRESSION, reason)
    })
}

impl Subscription {
    /// Whether an expression can be read at all.
    pub fn check(&self, source: &str) -> Result<(), Refusal> {
        if self.expressions.contains_key(source) { Ok(()) } else { compile(source).map(drop) }
    }

    /// Looks at members and topics again; true when the group's topics are other ones than before, or have grown.
    pub fn refresh<'a>(&mut self, members: impl Iterator<Item = &'a Member> + Clone, topics: &Topics) -> bool {
        let version = topics.version();
        let sources: BTreeSet<&String> = members.clone().filter_map(|member| member.regex.as_ref()).collect();
        self.expressions.retain(|source, _| sources.contains(source));
        for source in sources {
            if let (false, Ok(regex)) = (self.expressions.contains_key(source), compile(source)) {
                self.expressions.insert(source.clone(), regex);
            }
        }
        let mut found = BTreeMap::new();
        for topic in topics.all() {
            let named = members.clone().any(|member| member.topics.contains(&*topic.name));
            if named || members.clone().any(|member| self.finds(member, &topic.name)) {
                found.insert(topic.name.to_string(), Known { id: topic.id, partitions: topic.partition_count() });
            }
        }
        self.version = Some(version);
        let changed = found != self.topics;
        self.topics = found;
        changed
    }

    /// Whether topics came, went or grew since.
    pub fn outdated(&self, topics: &Topics) -> bool {
        self.version != Some(topics.version())
    }

    /// Members have gone: look again, whatever the topics do.
    pub fn forget_version(&mut self) {
        self.version = None;
    }

    /// Ids of the topics that this member is subscribed to and that exist.
    pub fn of(&self, member: &Member) -> BTreeSet<Uuid> {
        self.names_of(member).map(|(_, known)| known.id).collect()
    }

    /// Whether some member is subscribed to this topic.
    pub fn has(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// Partitions of each topic, by id.
    pub fn counts(&self) -> BTreeMap<Uuid, i32> {
        self.topics.values().map(|known| (known.id, known.partitions)).collect()
    }

    fn names_of<'a>(&'a self, member: &'a Member) -> impl Iterator<Item = (&'a String, &'a Known)> {
        self.topics.iter().filter(move |(name, _)| member.topics.contains(*name) || self.finds(member, name))
    }

    /// Whether the member's expression finds a topic that its client may know of.
    fn finds(&self, member: &Member, topic: &str) -> bool {
        let regex = member.regex.as_ref().and_then(|source| self.expressions.get(source));
        regex.is_some_and(|regex| regex.is_match(topic.as_bytes())) && member.sight.sees(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_matches_whole_names_and_stays_in_its_group() {
        let matches = |source: &str, name: &str| compile(source).unwrap().is_match(name.as_bytes());
        assert!(matches("orders-.*", "orders-eu") && !matches("orders-.*", "x-orders-eu"));
        assert!(matches("a|b", "b") && !matches("a|b", "ab"));
        assert!(matches(r"(?i)ORDERS-\w+", "orders-eu") && !matches(r"\d", "a"));
        for wrong in ["(", "a)(b", "*", r"(?=x)"] {
            assert_eq!(
                compile(wrong).err().map(|(code, _)| code),
                Some(ErrorCode::INVALID_REGULAR_EXPRESSION),
                "{wrong}"
            );
        }
    }
}
