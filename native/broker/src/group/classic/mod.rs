//! The machine of one classic group: Empty → PreparingRebalance → CompletingRebalance → Stable, and around again. Every method
//! takes the time; nothing here waits. Joining is in `join`.

mod conversion;
mod join;
mod member;
mod records;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use tokio::{sync::oneshot, time::Instant};

pub(crate) use self::{
    join::{JoinAsk, JoinReply},
    member::Member,
};
use super::Identity;

/// Where a group stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// No members.
    #[default]
    Empty,
    /// Waits for members to join.
    PreparingRebalance,
    /// Waits for the leader's assignment.
    CompletingRebalance,
    Stable,
}

/// A group.
#[derive(Default)]
pub(crate) struct Classic {
    state: State,
    generation: i32,
    protocol_type: Option<String>,
    protocol: Option<String>,
    leader: Option<String>,
    members: BTreeMap<String, Member>,
    /// Instance id to member id.
    static_members: BTreeMap<String, String>,
    /// Ids that were given out and not yet used, with their deadlines.
    pending: BTreeMap<String, Instant>,
    rebalance: Option<Rebalance>,
    /// Members that have not asked for their assignment, and until when they may.
    pending_sync: BTreeSet<String>,
    sync_deadline: Option<Instant>,
    /// Counts joins.
    joins: u64,
    /// When its last member has gone.
    empty_since: Option<Instant>,
    /// Answers that wait until what they say is written.
    answers: Vec<records::Answer>,
    /// It is another one than was written.
    pub changed: bool,
}

/// A rebalance that waits for members.
struct Rebalance {
    deadline: Instant,
    pub initial: Option<Initial>,
}

/// The first rebalance of an empty group waits even when all known members are here, and longer while more come.
struct Initial {
    delay: Duration,
    left: Duration,
    pub newcomers: bool,
}

/// A SyncGroup request.
pub(crate) struct SyncAsk {
    pub who: Identity,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    /// The leader's assignment.
    pub assignments: Vec<(String, Bytes)>,
}

/// The answer to a SyncGroup request.
#[derive(Debug, Default)]
pub(crate) struct SyncReply {
    pub error: ErrorCode,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub assignment: Bytes,
}

impl SyncReply {
    pub fn refused(error: ErrorCode) -> Self {
        Self { error, ..Default::default() }
    }
}

impl Rebalance {
    pub fn until(deadline: Instant) -> Self {
        Self { deadline, initial: None }
    }

    pub fn initial(deadline: Instant, delay: Duration, left: Duration) -> Self {
        Self { deadline, initial: Some(Initial { delay, left, newcomers: false }) }
    }

    /// Waits longer when newcomers came during the first rebalance.
    pub fn extend(&mut self, now: Instant) -> Option<()> {
        let initial = self.initial.as_mut().filter(|initial| initial.newcomers && !initial.left.is_zero())?;
        let more = initial.delay.min(initial.left);
        initial.left -= more;
        initial.newcomers = false;
        self.deadline = now + more;
        Some(())
    }
}

impl Classic {
    pub fn state(&self) -> State {
        self.state
    }

    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    pub fn protocol_type(&self) -> &str {
        self.protocol_type.as_deref().unwrap_or_default()
    }

    pub fn protocol(&self) -> &str {
        self.protocol.as_deref().unwrap_or_default()
    }

    /// No members, and nobody about to become one.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.pending.is_empty()
    }

    pub fn sync(&mut self, ask: SyncAsk, answer: oneshot::Sender<SyncReply>, now: Instant) {
        if let Err(code) = self.check_sync(&ask) {
            return drop(answer.send(SyncReply::refused(code)));
        }
        let member_id = ask.who.member_id;
        self.pending_sync.remove(&member_id);
        let is_leader = self.leader.as_ref() == Some(&member_id);
        let Some(member) = self.members.get_mut(&member_id) else { return };
        if self.state == State::Stable {
            member.keep_alive(now);
            let reply = self.synced(&member_id);
            return self.answers.push(records::Answer::Sync(answer, reply));
        }
        if let Some(older) = member.syncing.replace(answer) {
            drop(older.send(SyncReply::refused(ErrorCode::REBALANCE_IN_PROGRESS)));
        }
        member.deadline = None;
        if is_leader {
            let mut assignments: BTreeMap<String, Bytes> = ask.assignments.into_iter().collect();
            for member in self.members.values_mut() {
                member.assignment = assignments.remove(&member.id).unwrap_or_default();
            }
            self.state = State::Stable;
            self.changed = true;
            self.answer_syncs(|_| SyncReply::default(), now);
        }
    }

    fn check_sync(&self, ask: &SyncAsk) -> Result<(), ErrorCode> {
        self.check_identity(&ask.who)?;
        let differs = |asked: &Option<String>, ours: &Option<String>| asked.is_some() && asked != ours;
        if differs(&ask.protocol_type, &self.protocol_type) || differs(&ask.protocol, &self.protocol) {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        match self.state {
            State::Empty => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            State::PreparingRebalance => Err(ErrorCode::REBALANCE_IN_PROGRESS),
            State::CompletingRebalance | State::Stable => Ok(()),
        }
    }

    fn synced(&self, member_id: &str) -> SyncReply {
        SyncReply {
            error: ErrorCode::NONE,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: self.members.get(member_id).map_or_else(Bytes::new, |member| member.assignment.clone()),
        }
    }

    /// Answers all that wait for an assignment: with it when the group is stable, else with what `instead` makes.
    fn answer_syncs(&mut self, instead: impl Fn(&str) -> SyncReply, now: Instant) {
        let waiting = self.members.values().filter(|member| member.syncing.is_some());
        let waiting: Vec<String> = waiting.map(|member| member.id.clone()).collect();
        for id in waiting {
            let reply = if self.state == State::Stable { self.synced(&id) } else { instead(&id) };
            if let Some(member) = self.members.get_mut(&id) {
                member.keep_alive(now);
                if let Some(answer) = member.syncing.take() {
                    self.answers.push(records::Answer::Sync(answer, reply));
                }
            }
        }
    }

    pub fn heartbeat(&mut self, who: &Identity, now: Instant) -> Result<(), ErrorCode> {
        self.check_identity(who)?;
        self.touch(&who.member_id, now);
        match self.state {
            State::Empty => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            State::PreparingRebalance => Err(ErrorCode::REBALANCE_IN_PROGRESS),
            State::CompletingRebalance | State::Stable => Ok(()),
        }
    }

    pub fn leave(&mut self, member_id: &str, instance_id: Option<&str>, now: Instant) -> Result<(), ErrorCode> {
        // An admin client removes a static member by its instance alone.
        let named = match instance_id {
            Some(instance) if member_id.is_empty() => self.static_members.get(instance).cloned(),
            _ => Some(member_id.to_string()),
        };
        let member_id = named.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if self.pending.remove(&member_id).is_some() {
            self.complete_if_all_joined(now);
            return Ok(());
        }
        self.check_member(&member_id, instance_id)?;
        self.remove(&member_id, now);
        Ok(())
    }

    /// Kafka's rule for commits: members of the current generation, or anyone when the group is empty and no generation
    /// is claimed. While an assignment is under way members are told to wait.
    pub fn may_commit(&mut self, who: &Identity, now: Instant) -> Result<(), ErrorCode> {
        if who.generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        if who.claims_nothing() {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        self.check_identity(who)?;
        self.touch(&who.member_id, now);
        if self.state == State::CompletingRebalance { Err(ErrorCode::REBALANCE_IN_PROGRESS) } else { Ok(()) }
    }

    /// As Kafka: members of the current generation, or anyone who claims to be no member.
    pub fn may_commit_in_transaction(&self, who: &Identity) -> Result<(), ErrorCode> {
        if who.claims_nothing() || who.generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        self.check_identity(who)
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        let members = self.members.values().filter_map(|member| member.deadline);
        let rebalance = self.rebalance.as_ref().map(|rebalance| rebalance.deadline);
        members.chain(self.pending.values().copied()).chain(rebalance).chain(self.sync_deadline).min()
    }

    /// Ends what is overdue.
    pub fn expire(&mut self, now: Instant) {
        let due = |deadline: &Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        self.pending.retain(|_, deadline| *deadline > now);
        self.complete_if_all_joined(now);
        let dead = self.members.values().filter(|member| due(&member.deadline));
        let mut dead: Vec<String> = dead.map(|member| member.id.clone()).collect();
        if due(&self.sync_deadline) {
            // Who joined and never asked for its assignment is not there either.
            dead.extend(std::mem::take(&mut self.pending_sync));
            self.sync_deadline = None;
        }
        for member_id in dead {
            tracing::debug!(member_id, "member expired");
            self.remove(&member_id, now);
        }
        if self.rebalance.as_ref().is_some_and(|rebalance| rebalance.deadline <= now) {
            self.rebalance_due(now);
        }
    }

    /// Takes a member out; the others rebalance.
    fn remove(&mut self, member_id: &str, now: Instant) {
        if !self.members.contains_key(member_id) {
            return;
        }
        self.forget_member(member_id);
        match self.state {
            State::Stable | State::CompletingRebalance => self.rebalance(Duration::ZERO, now),
            State::PreparingRebalance => self.complete_if_all_joined(now),
            State::Empty => {}
        }
    }

    fn forget_member(&mut self, member_id: &str) {
        let Some(mut member) = self.members.remove(member_id) else { return };
        if let Some(answer) = member.joining.take() {
            drop(answer.send(JoinReply::refused(member_id, ErrorCode::UNKNOWN_MEMBER_ID)));
        }
        if let Some(answer) = member.syncing.take() {
            drop(answer.send(SyncReply::refused(ErrorCode::UNKNOWN_MEMBER_ID)));
        }
        self.static_members.retain(|_, id| id != member_id);
        self.pending_sync.remove(member_id);
        if self.leader.as_deref() == Some(member_id) {
            self.leader = self.members.values().min_by_key(|member| member.order).map(|member| member.id.clone());
        }
    }

    /// Pushes a member's deadline out, unless it waits for us anyway.
    fn touch(&mut self, member_id: &str, now: Instant) {
        let waits = |member: &&mut Member| member.joining.is_some() || member.syncing.is_some();
        if let Some(member) = self.members.get_mut(member_id).filter(|member| !waits(member)) {
            member.keep_alive(now);
        }
    }

    fn check_identity(&self, who: &Identity) -> Result<(), ErrorCode> {
        self.check_member(&who.member_id, who.instance_id.as_deref())?;
        if who.generation == self.generation { Ok(()) } else { Err(ErrorCode::ILLEGAL_GENERATION) }
    }

    fn check_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance_id {
            return match self.static_members.get(instance) {
                None => Err(ErrorCode::UNKNOWN_MEMBER_ID),
                Some(id) if id != member_id => Err(ErrorCode::FENCED_INSTANCE_ID),
                Some(_) => Ok(()),
            };
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) }
    }
}

impl State {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}
