//! Consumer groups and their committed offsets, of both protocols: classic groups (JoinGroup, SyncGroup, Heartbeat, LeaveGroup)
//! in `classic`, those of KIP-848 (ConsumerGroupHeartbeat) in `consumer`. A group becomes one of the other kind when a member of
//! it joins: at once without members, by the rules of `migration` with them.
//! Driven by the group APIs and by one timer task; this file is all groups, and what both kinds have in common.

mod classic;
pub(crate) mod consumer;
mod embedded;
mod expiry;
mod migration;
mod offsets;

use std::{collections::BTreeMap, sync::Arc};

use dohle_protocol::{ErrorCode, Uuid};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until},
};

pub(crate) use classic::{Classic, JoinAsk, JoinReply, Member, State, SyncAsk, SyncReply};
use consumer::{Beat, Consumer, Told};
pub(crate) use migration::Policy;
pub(crate) use offsets::{Ageing, Committed, MAX_METADATA_BYTES, Offsets};

use crate::{
    broker::Life,
    node::Node,
    topics::{Refusal, Topics},
};

/// A group: its members, and what it has committed.
#[derive(Default)]
pub(crate) struct Group {
    pub kind: Kind,
    pub offsets: Offsets,
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
    /// With a transaction: who names no member may, the transaction protects the offsets (KIP-447).
    pub transactional: bool,
    /// The request is of a version that knows member epochs.
    pub knows_epochs: bool,
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
            Kind::Classic(classic) if commit.transactional => classic.may_commit_in_transaction(commit.who),
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

/// All groups. One lock: what is done under it takes microseconds, and nothing waits under it.
pub(crate) struct Groups {
    policy: Policy,
    by_id: Mutex<BTreeMap<String, Group>>,
    /// A deadline may have come nearer: the timer looks again.
    changed: Notify,
}

impl Groups {
    pub fn new(policy: Policy) -> Self {
        Self { policy, by_id: Mutex::default(), changed: Notify::new() }
    }

    /// Starts the task that ends what is overdue.
    pub fn run(&self, node: &Arc<Node>, mut life: Life) {
        let world = node.world.clone();
        let node = node.clone();
        world.spawn(Box::pin(async move {
            life.during(node.groups.time(&node)).await;
        }));
    }

    async fn time(&self, node: &Node) {
        loop {
            // The permit of a change made from here on is kept by `Notify` until it is waited for.
            let next = self.by_id.lock().values().filter_map(Group::next_deadline).min();
            match next {
                None => self.changed.notified().await,
                Some(deadline) => tokio::select! {
                    biased;
                    () = self.changed.notified() => continue,
                    () = sleep_until(deadline) => {}
                },
            }
            let now = Instant::now();
            self.by_id.lock().retain(|_, group| {
                let epoch = group.epoch();
                group.expire(now);
                group.downgrade_if_due(self.policy, epoch, &node.topics, now);
                !group.forgettable()
            });
            // Offsets of a group that has lost its members grow old.
            node.housekeeping.touch_offsets();
        }
    }

    /// Joins a group; the answer comes when the rebalance is complete.
    pub fn join(&self, ask: JoinAsk, topics: &Topics) -> oneshot::Receiver<JoinReply> {
        let (answer, answered) = oneshot::channel();
        let now = Instant::now();
        let mut groups = self.by_id.lock();
        if !groups.contains_key(&ask.group_id) && !ask.member_id.is_empty() {
            let _ = answer.send(JoinReply::refused(&ask.member_id, ErrorCode::UNKNOWN_MEMBER_ID));
            return answered;
        }
        let group = groups.entry(ask.group_id.clone()).or_default();
        if group.consumer().is_some_and(Consumer::is_empty) {
            group.kind = Kind::default();
        }
        match &mut group.kind {
            Kind::Classic(classic) => classic.join(ask, answer, now),
            Kind::Consumer(consumer) => drop(answer.send(consumer.join(ask, self.policy.max_size, topics, now))),
        }
        group.downgrade_if_due(self.policy, group.epoch(), topics, now);
        groups.retain(|_, group| !group.forgettable());
        drop(groups);
        self.changed.notify_one();
        answered
    }

    /// Waits for, or brings, the assignment.
    pub fn sync(&self, group_id: &str, ask: SyncAsk, topics: &Topics) -> oneshot::Receiver<SyncReply> {
        let (answer, answered) = oneshot::channel();
        match self.by_id.lock().get_mut(group_id).map(|group| &mut group.kind) {
            None => drop(answer.send(SyncReply::refused(ErrorCode::UNKNOWN_MEMBER_ID))),
            Some(Kind::Classic(classic)) => classic.sync(ask, answer, Instant::now()),
            Some(Kind::Consumer(consumer)) => drop(answer.send(consumer.sync(&ask, topics, Instant::now()))),
        }
        self.changed.notify_one();
        answered
    }

    /// A sign of life.
    pub fn heartbeat(&self, group_id: &str, who: &Identity) -> Result<(), ErrorCode> {
        let beaten = match self.by_id.lock().get_mut(group_id).map(|group| &mut group.kind) {
            None => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
            Some(Kind::Classic(classic)) => return classic.heartbeat(who, Instant::now()),
            Some(Kind::Consumer(consumer)) => consumer.heartbeat(who, Instant::now()),
        };
        // It may have to join again, and in time.
        self.changed.notify_one();
        beaten
    }

    /// A heartbeat of a member of KIP-848, which may be its first.
    pub fn beat(&self, beat: Beat, topics: &Topics) -> Result<Told, Refusal> {
        let mut groups = self.by_id.lock();
        let (group_id, joins, now) = (beat.group_id.clone(), beat.epoch == 0, Instant::now());
        let classic =
            groups.get_mut(&group_id).filter(|group| joins && group.classic().is_some() && group.has_members());
        if let Some(group) = classic
            && let Some(mut upgraded) = group.upgraded(self.policy, topics, now)
        {
            let told = upgraded.beat(beat, topics, now)?;
            group.become_consumer(upgraded);
            drop(groups);
            self.changed.notify_one();
            return Ok(told);
        }
        if joins && !groups.get(&group_id).is_some_and(Group::has_members) {
            let group = groups.entry(group_id.clone()).or_default();
            if group.classic().is_some() {
                group.kind = Kind::Consumer(Consumer::default());
            }
        }
        let consumer = consumer_of(&mut groups, &group_id)?;
        let told = consumer.beat(beat, topics, now);
        let never_was = told.is_err() && consumer.epoch == 0;
        if let Some(group) = groups.get_mut(&group_id).filter(|_| never_was) {
            group.kind = Kind::default();
            groups.retain(|_, group| !group.forgettable());
        }
        drop(groups);
        self.changed.notify_one();
        told
    }

    /// A member of KIP-848 leaves; answers the epoch that it is told.
    pub fn part(
        &self,
        group_id: &str,
        (member_id, instance): (&str, Option<&str>),
        epoch: i32,
        topics: &Topics,
    ) -> Result<i32, Refusal> {
        let mut groups = self.by_id.lock();
        let consumer = consumer_of(&mut groups, group_id)?;
        let group_epoch = consumer.epoch;
        let left = consumer.leave(group_id, member_id, instance, epoch)?;
        if let Some(group) = groups.get_mut(group_id) {
            group.downgrade_if_due(self.policy, group_epoch, topics, Instant::now());
        }
        drop(groups);
        self.changed.notify_one();
        Ok(left)
    }

    /// Leaves a group; one result per member.
    pub fn leave(
        &self,
        group_id: &str,
        members: &[(String, Option<String>)],
        topics: &Topics,
    ) -> Vec<Result<(), ErrorCode>> {
        let mut groups = self.by_id.lock();
        let Some(group) = groups.get_mut(group_id) else {
            return vec![Err(ErrorCode::UNKNOWN_MEMBER_ID); members.len()];
        };
        let (now, epoch) = (Instant::now(), group.epoch());
        let leave = |(id, instance): &(String, Option<String>)| match &mut group.kind {
            Kind::Classic(classic) => classic.leave(id, instance.as_deref(), now),
            Kind::Consumer(consumer) => consumer.leave_by(id, instance.as_deref()),
        };
        let left = members.iter().map(leave).collect();
        group.downgrade_if_due(self.policy, epoch, topics, now);
        groups.retain(|_, group| !group.forgettable());
        drop(groups);
        self.changed.notify_one();
        left
    }

    /// Whether offsets may be committed; then `store` stores them. A group that does not exist is made for a caller outside any
    /// generation (an admin client, a consumer without group membership).
    pub fn commit(&self, group_id: &str, commit: &Commit<'_>, store: impl FnOnce(&mut Group)) -> Result<(), ErrorCode> {
        let mut groups = self.by_id.lock();
        if !groups.contains_key(group_id) && commit.who.generation >= 0 {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let group = groups.entry(group_id.into()).or_default();
        let allowed = group.may_commit(commit);
        if allowed.is_ok() {
            store(group);
        }
        groups.retain(|_, group| !group.forgettable());
        allowed
    }

    /// A transaction that committed offsets of this group ended.
    pub fn end_transaction(&self, group_id: &str, producer_id: i64, commit: bool) {
        let mut groups = self.by_id.lock();
        if let Some(group) = groups.get_mut(group_id) {
            group.offsets.end_transaction(producer_id, commit);
        }
        groups.retain(|_, group| !group.forgettable());
    }

    /// Looks at one group.
    pub fn with<T>(&self, group_id: &str, look: impl FnOnce(Option<&Group>) -> T) -> T {
        look(self.by_id.lock().get(group_id))
    }

    /// Looks at all groups, by id.
    pub fn each(&self, mut look: impl FnMut(&str, &Group)) {
        self.by_id.lock().iter().for_each(|(id, group)| look(id, group));
    }

    /// Deletes a group without members.
    pub fn delete(&self, group_id: &str) -> Result<(), ErrorCode> {
        let mut groups = self.by_id.lock();
        match groups.get(group_id) {
            None => Err(ErrorCode::GROUP_ID_NOT_FOUND),
            Some(group) if group.has_members() => Err(ErrorCode::NON_EMPTY_GROUP),
            Some(_) => {
                groups.remove(group_id);
                Ok(())
            }
        }
    }

    /// Changes the offsets of a group, if there is one.
    pub fn with_mut<T>(&self, group_id: &str, change: impl FnOnce(Option<&mut Group>) -> T) -> T {
        change(self.by_id.lock().get_mut(group_id))
    }

    /// Forgets the offsets of a deleted topic.
    pub fn forget_topic(&self, topic: &str) {
        self.by_id.lock().values_mut().for_each(|group| group.offsets.forget_topic(topic));
    }
}

fn consumer_of<'a>(groups: &'a mut BTreeMap<String, Group>, group_id: &str) -> Result<&'a mut Consumer, Refusal> {
    match groups.get_mut(group_id).map(|group| &mut group.kind) {
        Some(Kind::Consumer(consumer)) => Ok(consumer),
        Some(Kind::Classic(_)) => {
            Err((ErrorCode::GROUP_ID_NOT_FOUND, format!("Group {group_id} is not a consumer group.")))
        }
        None => Err((ErrorCode::GROUP_ID_NOT_FOUND, format!("Group {group_id} not found."))),
    }
}
