//! Groups that change their protocol with members in them (`group.consumer.migration.policy`): a classic group of consumers becomes
//! one of KIP-848 when such a member joins, and goes back when the last such member has left. What members are told in between is
//! in `consumer::old_protocol`.

use std::collections::BTreeSet;

use dohle_protocol::ErrorCode;
use tokio::time::Instant;

use super::{
    Classic, Consumer, Group, Kind, Member as ClassicMember,
    consumer::{Member, OldProtocol},
    embedded::{self, Subscription},
};
use crate::{BrokerOptions, config::broker, topics::Topics};

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub upgrade: bool,
    pub downgrade: bool,
    /// `group.consumer.max.size`.
    pub max_size: usize,
}

impl Policy {
    pub fn of(options: &BrokerOptions) -> Self {
        let policy = broker::text(options, "group.consumer.migration.policy").to_ascii_lowercase();
        Self {
            upgrade: matches!(policy.as_str(), "upgrade" | "bidirectional"),
            downgrade: matches!(policy.as_str(), "downgrade" | "bidirectional"),
            max_size: usize::try_from(options.group_consumer_max_size).unwrap_or(usize::MAX),
        }
    }
}

impl Group {
    /// The group of KIP-848 that this classic one would become; none when it may not, or cannot. It is not one yet: the joining
    /// member may be refused.
    pub(super) fn upgraded(&self, policy: Policy, topics: &Topics, now: Instant) -> Option<Consumer> {
        let classic = self.classic().filter(|classic| policy.upgrade && classic.protocol_type() == embedded::TYPE)?;
        (classic.members().count() <= policy.max_size).then(|| upgrade(classic, topics, now))
    }

    /// It is one: its members that wait for a rebalance join again.
    pub(super) fn become_consumer(&mut self, consumer: Consumer) {
        if let Kind::Classic(classic) = std::mem::replace(&mut self.kind, Kind::Consumer(consumer)) {
            classic.dissolve(ErrorCode::REBALANCE_IN_PROGRESS);
        }
    }

    /// The epoch of a group of KIP-848.
    pub(super) fn epoch(&self) -> i32 {
        self.consumer().map_or(0, |consumer| consumer.epoch)
    }

    /// Goes back to the classic protocol when no other member is left, which makes them rebalance. `epoch` is that of before
    /// the last one left: members that have it are in the group's generation, and only told to join again.
    pub(super) fn downgrade_if_due(&mut self, policy: Policy, epoch: i32, topics: &Topics, now: Instant) {
        let Some(consumer) = self.consumer().filter(|consumer| policy.downgrade && !consumer.is_empty()) else {
            return;
        };
        if consumer.members().all(|member| member.classic.is_some()) {
            let mut classic = downgrade(consumer, epoch, topics, now);
            classic.start_over(now);
            self.kind = Kind::Classic(classic);
            tracing::debug!("a group has gone back to the classic protocol");
        }
    }
}

fn upgrade(classic: &Classic, topics: &Topics, now: Instant) -> Consumer {
    let generation = classic.generation();
    let member = |member: &ClassicMember| {
        // Before the first rebalance is complete no assignor is chosen: every one has the same subscription.
        let first = || member.protocols.first().map(|(name, _)| name.as_str()).unwrap_or_default();
        let chosen = Some(classic.protocol()).filter(|name| !name.is_empty()).unwrap_or_else(first);
        let subscription = Subscription::read(&member.metadata(chosen));
        let target = embedded::read_assignment(&member.assignment, topics);
        let (wanted, rack_id, version) = match subscription {
            Some(read) => (read.topics.into_iter().collect(), read.rack_id, read.version),
            None => (BTreeSet::new(), None, 0),
        };
        let given =
            target.iter().flat_map(|(id, partitions)| partitions.iter().map(|index| ((*id, *index), generation)));
        Member {
            id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            rack_id,
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout: member.rebalance_timeout,
            topics: wanted,
            epoch: generation,
            previous_epoch: generation,
            assigned: given.collect(),
            target: target.clone(),
            classic: Some(OldProtocol {
                session_timeout: member.session_timeout,
                protocols: member.protocols.clone(),
                version,
                rejoin_deadline: None,
                sync_deadline: None,
            }),
            session_deadline: Some(now + member.session_timeout),
            ..Member::default()
        }
    };
    Consumer::with_members(generation, classic.members().map(member))
}

fn downgrade(consumer: &Consumer, epoch: i32, topics: &Topics, now: Instant) -> Classic {
    let member = |member: &Member| {
        let old = member.classic.as_ref()?;
        Some(ClassicMember {
            id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            session_timeout: old.session_timeout,
            rebalance_timeout: member.rebalance_timeout,
            protocols: old.protocols.clone(),
            assignment: embedded::write_assignment(&member.target, old.version, topics),
            order: 0,
            joining: None,
            syncing: None,
            deadline: Some(now + old.session_timeout),
        })
    };
    Classic::with_members(embedded::TYPE, epoch, consumer.members().filter_map(member))
}
