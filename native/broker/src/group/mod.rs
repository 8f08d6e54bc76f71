//! Consumer groups and their committed offsets, of both protocols: classic groups (JoinGroup, SyncGroup, Heartbeat, LeaveGroup)
//! in `classic`, those of KIP-848 (ConsumerGroupHeartbeat) in `consumer`. A group becomes one of the other kind when a member of
//! it joins: at once without members, by the rules of `migration` with them.
//! What they are is kept in `__consumer_offsets`: `journal` writes it, `loading` reads it, `records` has its form.
//! Driven by the group APIs and by one timer task; all groups are in `groups`, this file is what both kinds have in common.

mod classic;
mod commits;
pub(crate) mod consumer;
mod embedded;
mod expiry;
mod groups;
mod journal;
mod loading;
mod migration;
mod offsets;
mod records;

use dohle_protocol::{ErrorCode, Uuid};
use tokio::time::Instant;

pub(crate) use classic::{Classic, JoinAsk, JoinReply, Member, State, SyncAsk, SyncReply};
use consumer::Consumer;
pub(crate) use groups::Groups;
pub(crate) use loading::Loading;
pub(crate) use migration::Policy;
pub(crate) use offsets::{Ageing, Committed, MAX_METADATA_BYTES, Offsets};
pub(crate) use records::Offset;

use crate::coordinator::{Clock, Origin};

/// A group: its members, and what it has committed.
#[derive(Default)]
pub(crate) struct Group {
    pub kind: Kind,
    pub offsets: Offsets,
    /// Its records in the log, beside its offsets.
    written: records::Written,
}

/// The protocol of a group.
pub(crate) enum Kind {
    /// Clients assign; also a group that has only offsets.
    Classic(Classic),
    /// The broker assigns (KIP-848).
    Consumer(Consumer),
}

/// Who sends a request of a member: its id, its instance (KIP-345), the generation or member
/// epoch it believes in (−1: none).
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub generation: i32,
}

impl Identity {
    /// It names no member and no generation, as an admin client does.
    pub fn claims_nothing(&self) -> bool {
        self.generation < 0 && self.member_id.is_empty() && self.instance_id.is_none()
    }
}

/// Who commits what.
pub(crate) struct Commit<'a> {
    pub who: &'a Identity,
    pub partitions: &'a [(Uuid, i32)],
    /// With a transaction who names no member may: the transaction protects the offsets (KIP-447).
    pub from: Origin,
    /// The request is of a version that knows member epochs.
    pub knows_epochs: bool,
}

impl Commit<'_> {
    fn transactional(&self) -> bool {
        self.from != Origin::Coordinator
    }
}

impl Default for Kind {
    fn default() -> Self {
        Self::Classic(Classic::default())
    }
}

impl Group {
    /// The classic group, if it is one.
    pub fn classic(&self) -> Option<&Classic> {
        match &self.kind {
            Kind::Classic(classic) => Some(classic),
            Kind::Consumer(_) => None,
        }
    }

    /// The group of KIP-848, if it is one.
    pub fn consumer(&self) -> Option<&Consumer> {
        match &self.kind {
            Kind::Classic(_) => None,
            Kind::Consumer(consumer) => Some(consumer),
        }
    }

    /// Kafka's name of where it stands.
    pub fn state(&self) -> &'static str {
        match &self.kind {
            Kind::Classic(classic) => classic.state().name(),
            Kind::Consumer(consumer) => consumer.state(),
        }
    }

    fn has_members(&self) -> bool {
        match &self.kind {
            Kind::Classic(classic) => classic.state() != State::Empty,
            Kind::Consumer(consumer) => !consumer.is_empty(),
        }
    }

    /// Nothing is left that anyone could ask for. A group of KIP-848 stays, as in Kafka: its epoch must not start again
    /// while a member that was away may come back.
    fn forgettable(&self) -> bool {
        self.classic().is_some_and(Classic::is_empty) && self.offsets.is_empty()
    }

    fn may_commit(&mut self, commit: &Commit<'_>) -> Result<(), ErrorCode> {
        match &mut self.kind {
            Kind::Classic(classic) if commit.transactional() => classic.may_commit_in_transaction(commit.who),
            Kind::Classic(classic) => classic.may_commit(commit.who, Instant::now()),
            Kind::Consumer(consumer) => consumer.may_commit(commit),
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        match &self.kind {
            Kind::Classic(classic) => classic.next_deadline(),
            Kind::Consumer(consumer) => consumer.next_deadline(),
        }
    }

    fn expire(&mut self, now: Instant) {
        match &mut self.kind {
            Kind::Classic(classic) => classic.expire(now),
            Kind::Consumer(consumer) => consumer.expire(now),
        }
    }
}
