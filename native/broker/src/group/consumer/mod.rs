//! The machine of one group of KIP-848: members say what they want and have in one request, the heartbeat; the group decides
//! who shall have what, and leads every member there on its own. As Kafka's GroupMetadataManager, with two differences: an
//! expression is matched at once, and there is no interval between two assignments. Every method takes the time; nothing here
//! waits.
//!
//! Three epochs: the group's grows when subscriptions, topics or members change; the assignment's follows when the targets
//! are decided anew, at the next heartbeat; a member's follows when it has given up what it no longer shall have.

mod assignors;
mod member;
mod old_protocol;
mod records;
mod subscription;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use dohle_protocol::{ErrorCode, Uuid};
use tokio::time::Instant;

pub(crate) use self::member::Sight;
pub(super) use self::records::is_consumer;
pub(crate) use self::{
    assignors::Assignor, assignors::Partitions, member::Member, old_protocol::Classic as OldProtocol,
};
use self::{assignors::Subscriber, member::AWAY, member::Surroundings, subscription::Subscription};
use super::Commit;
use crate::topics::{Refusal, Topics};

/// The epoch that says "I leave".
pub(crate) const LEAVES: i32 = -1;

/// A group.
#[derive(Default)]
pub(crate) struct Consumer {
    pub epoch: i32,
    pub assignment_epoch: i32,
    members: BTreeMap<String, Member>,
    /// Instance id to member id.
    static_members: BTreeMap<String, String>,
    subscription: Subscription,
    /// It may be another one than its records say.
    pub changed: bool,
}

/// A ConsumerGroupHeartbeat request of a member that stays. What is `None` is as it was.
pub(crate) struct Beat {
    pub group_id: String,
    pub member_id: String,
    pub epoch: i32,
    pub instance_id: Option<String>,
    pub rack_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout: Option<Duration>,
    pub topics: Option<Vec<String>>,
    /// Empty: none.
    pub regex: Option<String>,
    /// Which topics the expression may find.
    pub sight: Sight,
    pub assignor: Option<Assignor>,
    pub owned: Option<BTreeSet<(Uuid, i32)>>,
    /// `consumer.session.timeout.ms` of the group, at this heartbeat.
    pub session_timeout: Duration,
    /// `group.consumer.max.size`.
    pub max_size: usize,
}

/// The answer to one.
#[derive(Debug)]
pub(crate) struct Told {
    pub epoch: i32,
    /// What the member may read, when that is news.
    pub assignment: Option<Partitions>,
}

impl Consumer {
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// Whether a member is subscribed to this topic.
    pub fn subscribed(&self, topic: &str) -> bool {
        self.subscription.has(topic)
    }

    /// Kafka's name of where the group stands.
    pub fn state(&self) -> &'static str {
        match () {
            () if self.members.is_empty() => "Empty",
            () if self.epoch > self.assignment_epoch => "Assigning",
            () if self.members.values().any(|member| !member.reconciled(self.assignment_epoch)) => "Reconciling",
            () => "Stable",
        }
    }

    /// The assignor that most members ask for.
    pub fn assignor(&self) -> Assignor {
        let mut votes = BTreeMap::<Assignor, usize>::new();
        self.members.values().filter_map(|member| member.assignor).for_each(|one| *votes.entry(one).or_default() += 1);
        // Of equals the first, which is the default.
        votes.into_iter().rev().max_by_key(|(_, count)| *count).map_or(Assignor::default(), |(assignor, _)| assignor)
    }

    /// A member joins, or says that it is there.
    pub fn beat(&mut self, beat: Beat, topics: &Topics, now: Instant) -> Result<Told, Refusal> {
        self.admit(&beat)?;
        Ok(self.step(beat, None, topics, now))
    }

    /// One that was admitted is taken in, and led on; with what it has said, if it is of the classic protocol.
    fn step(&mut self, beat: Beat, classic: Option<OldProtocol>, topics: &Topics, now: Instant) -> Told {
        let full =
            beat.rebalance_timeout.is_some() && (beat.topics.is_some() || beat.regex.is_some()) && beat.owned.is_some();
        let (member_id, joins) = (beat.member_id.clone(), beat.epoch == 0);
        let session_deadline = Some(now + beat.session_timeout);
        let owned = beat.owned.clone();
        let known = self.members.get(&member_id).cloned();
        let mut member = self.take(&beat);
        let resubscribed = member.update(beat);
        member.classic = classic;
        let before: Vec<(Uuid, i32)> = member.assigned.keys().copied().collect();
        self.members.insert(member_id.clone(), member);

        let bump = self.epoch == 0 || resubscribed;
        let changed =
            (bump || self.subscription.outdated(topics)) && self.subscription.refresh(self.members.values(), topics);
        if bump || changed && self.epoch == self.assignment_epoch {
            // Kafka begins at 2: 1 is for members of a group whose first assignment is not decided yet.
            self.epoch = if self.epoch == 0 { 2 } else { self.epoch + 1 };
        }
        if self.epoch > self.assignment_epoch {
            self.assign();
            self.changed = true;
        }
        let mut member = self.members.remove(&member_id).expect("inserted above");
        self.reconcile(&mut member, resubscribed, owned.as_ref(), now);
        member.session_deadline = session_deadline;
        let same = known.is_some_and(|known| Member { session_deadline, ..known } == member);
        self.changed |= bump || changed || !same;
        let news = joins || full || !member.assigned.keys().eq(&before);
        let told = Told { epoch: member.epoch, assignment: news.then(|| by_topic(member.assigned.keys())) };
        self.members.insert(member_id, member);
        told
    }

    /// A group that has these members already, and an epoch.
    pub fn with_members(epoch: i32, members: impl Iterator<Item = Member>) -> Self {
        let members: BTreeMap<String, Member> = members.map(|member| (member.id.clone(), member)).collect();
        let instances = members.values().filter_map(|member| Some((member.instance_id.clone()?, member.id.clone())));
        let static_members = instances.collect();
        let subscription = Subscription::default();
        Self { epoch, assignment_epoch: epoch, members, static_members, subscription, changed: true }
    }

    /// Whether a member may come, or go on.
    fn admit(&self, beat: &Beat) -> Result<(), Refusal> {
        let known = self.members.get(&beat.member_id);
        if known.is_none() && self.members.len() >= beat.max_size {
            let reason = format!("The consumer group has reached its maximum capacity of {} members.", beat.max_size);
            return Err((ErrorCode::GROUP_MAX_SIZE_REACHED, reason));
        }
        let known = match &beat.instance_id {
            None => known,
            Some(instance) => self.static_member(instance),
        };
        match known {
            None if beat.epoch == 0 => {}
            None => return Err(self.unknown(beat)),
            Some(other) if other.id != beat.member_id => may_replace(other, beat)?,
            Some(member) => check_epoch(member, beat)?,
        }
        match beat.regex.as_deref() {
            None | Some("") => Ok(()),
            Some(source) => self.subscription.check(source),
        }
    }

    fn unknown(&self, beat: &Beat) -> Refusal {
        let reason = match &beat.instance_id {
            Some(instance) => format!("Instance id {instance} is unknown."),
            None => format!("Member {} is not a member of group {}.", beat.member_id, beat.group_id),
        };
        (ErrorCode::UNKNOWN_MEMBER_ID, reason)
    }

    fn static_member(&self, instance: &str) -> Option<&Member> {
        self.static_members.get(instance).and_then(|id| self.members.get(id))
    }

    /// The member that a heartbeat is from: known, new, or in the place of a static one that is away.
    fn take(&mut self, beat: &Beat) -> Member {
        let held = beat.instance_id.as_ref().and_then(|instance| self.static_members.get(instance).cloned());
        if let Some(instance) = &beat.instance_id {
            self.static_members.insert(instance.clone(), beat.member_id.clone());
        }
        match held.filter(|old| *old != beat.member_id).and_then(|old| self.members.remove(&old)) {
            Some(old) => Member { id: beat.member_id.clone(), epoch: 0, previous_epoch: 0, ..old },
            None => {
                let new = || Member { id: beat.member_id.clone(), ..Member::default() };
                self.members.remove(&beat.member_id).unwrap_or_else(new)
            }
        }
    }

    /// Decides anew who shall have what.
    fn assign(&mut self) {
        let subscriber =
            |member: &Member| Subscriber { topics: self.subscription.of(member), before: member.target.clone() };
        let subscribers: Vec<Subscriber> = self.members.values().map(subscriber).collect();
        let shares = self.assignor().assign(&subscribers, &self.subscription.counts());
        self.members.values_mut().zip(shares).for_each(|(member, share)| member.target = share);
        self.assignment_epoch = self.epoch;
    }

    fn reconcile(&self, member: &mut Member, resubscribed: bool, owned: Option<&BTreeSet<(Uuid, i32)>>, now: Instant) {
        if member.reconciled(self.assignment_epoch) && !resubscribed {
            return;
        }
        let around = Surroundings {
            epoch: self.assignment_epoch,
            subscribed: &self.subscription.of(member),
            resubscribed,
            taken: &self.members.values().flat_map(Member::holds).collect(),
            owned,
        };
        member.reconcile(&around, now);
    }

    /// A member leaves: for good, or (a static one) for a while. Answers the epoch that it is told.
    pub fn leave(
        &mut self,
        group_id: &str,
        member_id: &str,
        instance: Option<&str>,
        epoch: i32,
    ) -> Result<i32, Refusal> {
        let found = match instance {
            None => self.members.get(member_id),
            Some(instance) => self.static_member(instance),
        };
        let id = match (found, instance) {
            (Some(member), Some(instance)) if member.id != member_id => {
                return Err(fenced(member, member_id, instance));
            }
            (Some(member), _) => member.id.clone(),
            (None, Some(instance)) => {
                return Err((ErrorCode::UNKNOWN_MEMBER_ID, format!("Instance id {instance} is unknown.")));
            }
            (None, None) => {
                let reason = format!("Member {member_id} is not a member of group {group_id}.");
                return Err((ErrorCode::UNKNOWN_MEMBER_ID, reason));
            }
        };
        self.changed = true;
        match self.members.get_mut(&id) {
            Some(member) if epoch == AWAY => {
                member.epoch = AWAY;
                member.revoking.clear();
                member.revoke_deadline = None;
            }
            _ => self.remove(&id),
        }
        Ok(epoch)
    }

    fn remove(&mut self, member_id: &str) {
        if self.members.remove(member_id).is_some() {
            self.static_members.retain(|_, id| id != member_id);
            self.subscription.forget_version();
            self.epoch += 1;
            self.changed = true;
        }
    }

    /// Whether offsets may be committed: by anyone who claims no epoch while the group is empty, by a member in its epoch, and
    /// in an older one for what it was given in that epoch or before (KIP-1251).
    pub fn may_commit(&self, commit: &Commit<'_>) -> Result<(), ErrorCode> {
        let who = commit.who;
        if who.generation < 0 && self.members.is_empty() || commit.transactional() && who.claims_nothing() {
            return Ok(());
        }
        let member = self.members.get(&who.member_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        let classic = member.classic.is_some();
        if !commit.transactional() && !commit.knows_epochs && !classic {
            return Err(ErrorCode::UNSUPPORTED_VERSION);
        }
        let holds = |partition: &(Uuid, i32)| {
            let given = member.assigned.get(partition).or_else(|| member.revoking.get(partition));
            given.is_some_and(|epoch| *epoch <= who.generation)
        };
        match who.generation.cmp(&member.epoch) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less if commit.partitions.iter().all(holds) => Ok(()),
            _ if commit.transactional() || classic => Err(ErrorCode::ILLEGAL_GENERATION),
            _ => Err(ErrorCode::STALE_MEMBER_EPOCH),
        }
    }

    /// Whether offsets may be read by who claims to be this member.
    pub fn may_fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        let Some(member_id) = member_id.filter(|id| !id.is_empty() || epoch >= 0) else { return Ok(()) };
        let member = self.members.get(member_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if member.epoch == epoch { Ok(()) } else { Err(ErrorCode::STALE_MEMBER_EPOCH) }
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.members.values().filter_map(Member::deadline).min()
    }

    /// Takes out who has said nothing for too long, or does not give up what it must.
    pub fn expire(&mut self, now: Instant) {
        let dead = self.members.values().filter(|member| member.deadline().is_some_and(|deadline| deadline <= now));
        for id in dead.map(|member| member.id.clone()).collect::<Vec<_>>() {
            tracing::debug!(member_id = id, "member expired");
            self.remove(&id);
        }
    }
}

impl Member {
    /// Takes over what a heartbeat says; true when the subscription is another one.
    fn update(&mut self, beat: Beat) -> bool {
        let before = (self.topics.clone(), self.regex.clone());
        (self.client_id, self.client_host) = (beat.client_id, beat.client_host);
        self.instance_id = beat.instance_id.or(self.instance_id.take());
        self.rack_id = beat.rack_id.or(self.rack_id.take());
        self.rebalance_timeout = beat.rebalance_timeout.unwrap_or(self.rebalance_timeout);
        self.assignor = beat.assignor.or(self.assignor);
        if let Some(topics) = beat.topics {
            self.topics = topics.into_iter().collect();
        }
        if let Some(regex) = beat.regex {
            self.regex = Some(regex).filter(|regex| !regex.is_empty());
            self.sight = beat.sight;
        }
        before != (self.topics.clone(), self.regex.clone())
    }
}

/// Whether a heartbeat with another member id may have the place of a static member.
fn may_replace(owner: &Member, beat: &Beat) -> Result<(), Refusal> {
    let (id, instance) = (&beat.member_id, beat.instance_id.as_deref().unwrap_or_default());
    if beat.epoch != 0 {
        return Err(fenced(owner, id, instance));
    }
    if owner.epoch == AWAY {
        return Ok(());
    }
    let reason = format!(
        "Static member {id} with instance id {instance} cannot join the group because the instance id is owned by {} member.",
        owner.id
    );
    Err((ErrorCode::UNRELEASED_INSTANCE_ID, reason))
}

fn fenced(owner: &Member, id: &str, instance: &str) -> Refusal {
    let reason = format!("Static member {id} with instance id {instance} was fenced by member {}.", owner.id);
    (ErrorCode::FENCED_INSTANCE_ID, reason)
}

/// The answer that took a member to its epoch may have been lost: the one before will do, when it claims nothing more.
fn check_epoch(member: &Member, beat: &Beat) -> Result<(), Refusal> {
    let subset = || beat.owned.as_ref().is_some_and(|owned| owned.iter().all(|own| member.assigned.contains_key(own)));
    let than = match beat.epoch.cmp(&member.epoch) {
        _ if beat.epoch == 0 => return Ok(()),
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Less if beat.epoch == member.previous_epoch && subset() => return Ok(()),
        std::cmp::Ordering::Less => "smaller",
        std::cmp::Ordering::Greater => "greater",
    };
    let reason = format!(
        "The consumer group member has a {than} member epoch ({}) than the one known by the group coordinator ({}). The \
         member must abandon all its partitions and rejoin.",
        beat.epoch, member.epoch
    );
    Err((ErrorCode::FENCED_MEMBER_EPOCH, reason))
}

/// Partitions by topic.
pub(crate) fn by_topic<'a>(partitions: impl IntoIterator<Item = &'a (Uuid, i32)>) -> Partitions {
    let mut topics = Partitions::new();
    for (topic, partition) in partitions {
        topics.entry(*topic).or_default().insert(*partition);
    }
    topics
}
