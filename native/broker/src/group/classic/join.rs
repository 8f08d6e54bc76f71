//! Joining a group: who is taken in, when that starts a rebalance, and when it is complete. As Kafka's
//! GroupCoordinator: static members (KIP-345), member ids first (KIP-394), skipped assignments (KIP-814).

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use tokio::{sync::oneshot, time::Instant};

use super::{Classic, Member, Rebalance, State};

/// How long a new member that waits for its first rebalance is believed to be alive.
const NEW_MEMBER_TIMEOUT: Duration = Duration::from_secs(300);

/// A JoinGroup request.
pub(crate) struct JoinAsk {
    pub group_id: String,
    /// Empty for a newcomer.
    pub member_id: String,
    /// The id that a newcomer gets.
    pub new_member_id: String,
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
    pub protocol_type: String,
    pub protocols: Vec<(String, Bytes)>,
    /// A newcomer must come back with the id it is given (version 4 on).
    pub id_first: bool,
    /// A returning static leader may be told not to assign (version 9 on).
    pub may_skip_assignment: bool,
    /// `group.initial.rebalance.delay.ms`.
    pub initial_delay: Duration,
}

/// The answer to a JoinGroup request.
#[derive(Debug, Default)]
pub(crate) struct JoinReply {
    pub error: ErrorCode,
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub leader: String,
    pub member_id: String,
    pub skip_assignment: bool,
    /// Id, instance and metadata of each member; for the leader only.
    pub members: Vec<(String, Option<String>, Bytes)>,
}

type Answer = oneshot::Sender<JoinReply>;

impl JoinReply {
    pub fn refused(member_id: &str, error: ErrorCode) -> Self {
        Self { error, generation: -1, member_id: member_id.into(), ..Default::default() }
    }
}

impl Classic {
    pub fn join(&mut self, ask: JoinAsk, answer: Answer, now: Instant) {
        if let Err(code) = self.check_join(&ask) {
            return drop(answer.send(JoinReply::refused(&ask.member_id, code)));
        }
        let known = ask.instance_id.as_ref().and_then(|instance| self.static_members.get(instance).cloned());
        match (ask.member_id.is_empty(), known) {
            (true, Some(old)) => self.replace_static(&old, ask, answer, now),
            (true, None) if ask.id_first && ask.instance_id.is_none() => {
                self.pending.insert(ask.new_member_id.clone(), now + ask.session_timeout);
                drop(answer.send(JoinReply::refused(&ask.new_member_id, ErrorCode::MEMBER_ID_REQUIRED)));
            }
            (true, None) => self.add(ask.new_member_id.clone(), ask, answer, now),
            (false, _) => self.rejoin(ask, answer, now),
        }
    }

    fn check_join(&self, ask: &JoinAsk) -> Result<(), ErrorCode> {
        if ask.protocol_type.is_empty() || ask.protocols.is_empty() {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        if self.members.is_empty() {
            return Ok(());
        }
        let same_type = self.protocol_type.as_ref() == Some(&ask.protocol_type);
        let offered = ask.protocols.iter().map(|(name, _)| name);
        let everyone = |name: &String| self.members.values().all(|m| m.id == ask.member_id || m.offers(name));
        if same_type && offered.into_iter().any(everyone) {
            Ok(())
        } else {
            Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL)
        }
    }

    fn add(&mut self, member_id: String, ask: JoinAsk, answer: Answer, now: Instant) {
        self.joins += 1;
        if self.members.is_empty() {
            self.protocol_type = Some(ask.protocol_type.clone());
        }
        if let Some(instance) = &ask.instance_id {
            self.static_members.insert(instance.clone(), member_id.clone());
        }
        self.pending.remove(&member_id);
        let initial_delay = ask.initial_delay;
        let member = Member {
            id: member_id.clone(),
            instance_id: ask.instance_id,
            client_id: ask.client_id,
            client_host: ask.client_host,
            session_timeout: ask.session_timeout,
            rebalance_timeout: ask.rebalance_timeout,
            protocols: ask.protocols,
            assignment: Bytes::new(),
            order: self.joins,
            joining: Some(answer),
            syncing: None,
            deadline: Some(now + NEW_MEMBER_TIMEOUT),
        };
        self.leader.get_or_insert_with(|| member_id.clone());
        self.members.insert(member_id, member);
        if let Some(Rebalance { initial: Some(initial), .. }) = &mut self.rebalance {
            initial.newcomers = true;
        }
        self.rebalance(initial_delay, now);
    }

    fn rejoin(&mut self, ask: JoinAsk, answer: Answer, now: Instant) {
        if self.pending.contains_key(&ask.member_id) {
            return self.add(ask.member_id.clone(), ask, answer, now);
        }
        if let Err(code) = self.check_member(&ask.member_id, ask.instance_id.as_deref()) {
            return drop(answer.send(JoinReply::refused(&ask.member_id, code)));
        }
        let unchanged = self.members[&ask.member_id].protocols == ask.protocols;
        let is_leader = self.leader.as_ref() == Some(&ask.member_id);
        match self.state {
            // It may have missed the answer to its last join: the same answer again.
            State::CompletingRebalance if unchanged => self.answer_again(&ask.member_id, answer),
            // A leader that joins again wants to assign anew.
            State::Stable if unchanged && !is_leader => self.answer_again(&ask.member_id, answer),
            State::Empty => drop(answer.send(JoinReply::refused(&ask.member_id, ErrorCode::UNKNOWN_MEMBER_ID))),
            _ => {
                self.update(ask, answer);
                self.rebalance(Duration::ZERO, now);
            }
        }
    }

    fn update(&mut self, ask: JoinAsk, answer: Answer) {
        let Some(member) = self.members.get_mut(&ask.member_id) else { return };
        member.protocols = ask.protocols;
        member.session_timeout = ask.session_timeout;
        member.rebalance_timeout = ask.rebalance_timeout;
        // Two joins of one member at a time: the older one will not be answered otherwise.
        if let Some(older) = member.joining.replace(answer) {
            drop(older.send(JoinReply::refused(&ask.member_id, ErrorCode::UNKNOWN_MEMBER_ID)));
        }
        member.deadline = None;
    }

    fn answer_again(&mut self, member_id: &str, answer: Answer) {
        drop(answer.send(self.joined(member_id)));
    }

    /// A static member comes back under a new id: the old one is fenced, and nothing is rebalanced when nothing changes.
    fn replace_static(&mut self, old_id: &str, ask: JoinAsk, answer: Answer, now: Instant) {
        let new_id = ask.new_member_id.clone();
        let Some(mut member) = self.members.remove(old_id) else {
            return self.add(new_id, ask, answer, now);
        };
        if let Some(older) = member.joining.take() {
            drop(older.send(JoinReply::refused(old_id, ErrorCode::FENCED_INSTANCE_ID)));
        }
        if let Some(older) = member.syncing.take() {
            drop(older.send(super::SyncReply::refused(ErrorCode::FENCED_INSTANCE_ID)));
        }
        self.pending_sync.remove(old_id);
        member.id = new_id.clone();
        member.protocols = ask.protocols;
        member.session_timeout = ask.session_timeout;
        member.rebalance_timeout = ask.rebalance_timeout;
        member.client_id = ask.client_id;
        member.client_host = ask.client_host;
        let was_leader = self.leader.as_deref() == Some(old_id);
        if was_leader {
            self.leader = Some(new_id.clone());
        }
        if let Some(instance) = &member.instance_id {
            self.static_members.insert(instance.clone(), new_id.clone());
        }
        member.keep_alive(now);
        self.members.insert(new_id.clone(), member);
        if self.state == State::Stable && self.select_protocol() == self.protocol {
            let mut reply = self.joined(&new_id);
            if was_leader && ask.may_skip_assignment {
                reply.skip_assignment = true;
            } else if was_leader {
                // An older client must not assign: it is told another leader, and not the members.
                reply.leader = old_id.into();
                reply.members.clear();
            }
            self.changed = true;
            return self.answers.push(super::records::Answer::Join(answer, reply));
        }
        if let Some(member) = self.members.get_mut(&new_id) {
            member.joining = Some(answer);
            member.deadline = None;
        }
        self.rebalance(Duration::ZERO, now);
    }

    /// Starts a rebalance, or sees whether the one under way is now complete.
    pub(super) fn rebalance(&mut self, initial_delay: Duration, now: Instant) {
        if self.state != State::PreparingRebalance {
            if self.state == State::CompletingRebalance {
                self.answer_syncs(|_| super::SyncReply::refused(ErrorCode::REBALANCE_IN_PROGRESS), now);
            }
            self.pending_sync.clear();
            self.sync_deadline = None;
            let timeout = self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default();
            self.rebalance = Some(if self.state == State::Empty && !initial_delay.is_zero() {
                let left = timeout.saturating_sub(initial_delay);
                Rebalance::initial(now + initial_delay, initial_delay, left)
            } else {
                Rebalance::until(now + timeout)
            });
            self.state = State::PreparingRebalance;
        }
        self.complete_if_all_joined(now);
    }

    pub(super) fn complete_if_all_joined(&mut self, now: Instant) {
        let waits_for_more = self.rebalance.as_ref().is_none_or(|rebalance| rebalance.initial.is_some());
        let all_joined = self.members.values().all(|member| member.joining.is_some()) && self.pending.is_empty();
        if self.state == State::PreparingRebalance && !waits_for_more && all_joined {
            self.complete_join(now);
        }
    }

    /// The rebalance's time is over.
    pub(super) fn rebalance_due(&mut self, now: Instant) {
        match self.rebalance.as_mut().and_then(|rebalance| rebalance.extend(now)) {
            Some(()) => {}
            None => self.complete_join(now),
        }
    }

    /// Everyone is here, or late: a new generation of those who are here.
    fn complete_join(&mut self, now: Instant) {
        let late = self.members.values().filter(|member| member.joining.is_none() && member.instance_id.is_none());
        let late: Vec<String> = late.map(|member| member.id.clone()).collect();
        late.iter().for_each(|id| self.forget_member(id));
        let joined = |group: &Self, id: &String| group.members.get(id).is_some_and(|member| member.joining.is_some());
        if !self.leader.as_ref().is_some_and(|leader| joined(self, leader)) {
            let first =
                self.members.values().filter(|member| member.joining.is_some()).min_by_key(|member| member.order);
            match first.map(|member| member.id.clone()) {
                Some(first) => self.leader = Some(first),
                // Static members only, none of them here yet: give them their time again.
                None if !self.members.is_empty() => {
                    let timeout =
                        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default();
                    self.rebalance = Some(Rebalance::until(now + timeout.max(Duration::from_millis(1))));
                    return;
                }
                None => self.leader = None,
            }
        }
        self.rebalance = None;
        self.generation = if self.generation == i32::MAX { 1 } else { self.generation + 1 };
        if self.members.is_empty() {
            self.protocol = None;
            self.state = State::Empty;
            self.changed = true;
            self.empty_since = Some(now);
            return;
        }
        self.protocol = self.select_protocol();
        self.state = State::CompletingRebalance;
        let joined: Vec<String> = self.members.values().filter(|m| m.joining.is_some()).map(|m| m.id.clone()).collect();
        for id in &joined {
            let reply = self.joined(id);
            if let Some(member) = self.members.get_mut(id) {
                member.keep_alive(now);
                if let Some(answer) = member.joining.take() {
                    drop(answer.send(reply));
                }
            }
        }
        let longest = self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default();
        self.sync_deadline = Some(now + longest);
        self.pending_sync = joined.into_iter().collect();
    }

    /// What a member that has joined is told.
    fn joined(&self, member_id: &str) -> JoinReply {
        let leader = self.leader.clone().unwrap_or_default();
        let protocol = self.protocol.clone().unwrap_or_default();
        let members = if leader == member_id {
            let member = |m: &Member| (m.id.clone(), m.instance_id.clone(), m.metadata(&protocol));
            self.members.values().map(member).collect()
        } else {
            Vec::new()
        };
        JoinReply {
            error: ErrorCode::NONE,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: Some(protocol),
            leader,
            member_id: member_id.into(),
            skip_assignment: false,
            members,
        }
    }

    /// The assignor that everyone offers and most like best.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let mut votes = BTreeMap::<&str, usize>::new();
        for member in self.members.values() {
            let common = |name: &&str| self.members.values().all(|other| other.offers(name));
            if let Some(best) = member.protocols.iter().map(|(name, _)| name.as_str()).find(common) {
                *votes.entry(best).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name.into())
    }
}

impl Member {
    fn offers(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| name == protocol)
    }
}
