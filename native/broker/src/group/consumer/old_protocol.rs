//! Members of the classic protocol in a group of KIP-848, while a deployment goes from one to the other: they join, sync and send
//! heartbeats as ever, and the group decides what they get. As Kafka's `classicGroup…ToConsumerGroup`.
//! No leader: nobody is told the members. A member that has to change something is told to rejoin, at a heartbeat.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use dohle_protocol::{ErrorCode, Uuid};
use tokio::time::Instant;

use super::{
    super::{
        Identity, JoinAsk, JoinReply, SyncAsk, SyncReply,
        embedded::{self, Subscription},
    },
    Beat, Consumer, Member, Sight,
    assignors::flat,
    by_topic,
    member::Progress,
};
use crate::topics::Topics;

/// What a member of the classic protocol has said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Classic {
    pub session_timeout: Duration,
    /// The assignors it offers, with its subscription for each.
    pub protocols: Vec<(String, Bytes)>,
    /// The version of its subscription.
    pub version: i16,
    /// Until when it must have joined again, or asked for its assignment.
    pub rejoin_deadline: Option<Instant>,
    pub sync_deadline: Option<Instant>,
}

impl Consumer {
    /// A member joins, for the first time or again; the answer does not wait for others.
    pub fn join(&mut self, ask: JoinAsk, max_size: usize, topics: &Topics, now: Instant) -> JoinReply {
        let asked = ask.member_id.clone();
        self.try_join(ask, max_size, topics, now)
            .unwrap_or_else(|(code, id)| JoinReply::refused(id.as_deref().unwrap_or(&asked), code))
    }

    fn try_join(
        &mut self,
        ask: JoinAsk,
        max_size: usize,
        topics: &Topics,
        now: Instant,
    ) -> Result<JoinReply, (ErrorCode, Option<String>)> {
        let refuse = |code| (code, None);
        if ask.protocol_type != embedded::TYPE || !self.offered_by_all(&ask.protocols) {
            return Err(refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL));
        }
        let subscription = ask.protocols.first().and_then(|(_, metadata)| Subscription::read(metadata));
        let subscription = subscription.ok_or_else(|| refuse(ErrorCode::INVALID_REQUEST))?;
        let member_id = self.id_for(&ask)?;
        let protocol = ask.protocols.first().map(|(name, _)| name.clone());
        let classic = Classic {
            session_timeout: ask.session_timeout,
            protocols: ask.protocols,
            version: subscription.version,
            rejoin_deadline: None,
            sync_deadline: Some(now + ask.rebalance_timeout),
        };
        let owned: BTreeSet<(Uuid, i32)> = subscription.owned(topics);
        let beat = Beat {
            group_id: ask.group_id,
            member_id: member_id.clone(),
            epoch: 0,
            instance_id: ask.instance_id,
            rack_id: subscription.rack_id,
            client_id: ask.client_id,
            client_host: ask.client_host,
            rebalance_timeout: Some(ask.rebalance_timeout),
            topics: Some(subscription.topics),
            regex: Some(String::new()),
            sight: Sight::default(),
            assignor: None,
            owned: Some(owned),
            session_timeout: ask.session_timeout,
            max_size,
        };
        if !self.members.contains_key(&member_id) && beat.instance_id.is_none() && self.members.len() >= max_size {
            return Err(refuse(ErrorCode::GROUP_MAX_SIZE_REACHED));
        }
        let told = self.step(beat, Some(classic), topics, now);
        Ok(JoinReply {
            generation: told.epoch,
            protocol_type: Some(embedded::TYPE.into()),
            protocol,
            member_id,
            ..JoinReply::default()
        })
    }

    /// Whether every member of the classic protocol offers one of these assignors.
    fn offered_by_all(&self, protocols: &[(String, Bytes)]) -> bool {
        let others = self.members.values().filter_map(|member| member.classic.as_ref());
        let offers = |classic: &Classic, name: &String| classic.protocols.iter().any(|(offered, _)| offered == name);
        protocols.iter().any(|(name, _)| others.clone().all(|classic| offers(classic, name)))
    }

    /// The id that a member has after joining.
    fn id_for(&self, ask: &JoinAsk) -> Result<String, (ErrorCode, Option<String>)> {
        let instance = ask.instance_id.as_ref().and_then(|instance| self.static_members.get(instance));
        match (&ask.member_id, instance) {
            (id, Some(known)) if !id.is_empty() && id != known => Err((ErrorCode::FENCED_INSTANCE_ID, None)),
            (id, None) if !id.is_empty() && ask.instance_id.is_some() => Err((ErrorCode::UNKNOWN_MEMBER_ID, None)),
            (id, _) if !id.is_empty() => Ok(id.clone()),
            _ if ask.id_first && ask.instance_id.is_none() => {
                Err((ErrorCode::MEMBER_ID_REQUIRED, Some(ask.new_member_id.clone())))
            }
            _ => Ok(ask.new_member_id.clone()),
        }
    }

    /// What a member that has joined is given.
    pub fn sync(&mut self, ask: &SyncAsk, topics: &Topics, now: Instant) -> SyncReply {
        self.try_sync(ask, topics, now).unwrap_or_else(SyncReply::refused)
    }

    fn try_sync(&mut self, ask: &SyncAsk, topics: &Topics, now: Instant) -> Result<SyncReply, ErrorCode> {
        let group_epoch = self.epoch;
        let member = self.of_old_protocol(&ask.who)?;
        let (epoch, progress, rebalance_timeout) = (member.epoch, member.progress, member.rebalance_timeout);
        let assigned = by_topic(member.assigned.keys());
        let classic = member.classic.as_mut().ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if ask.who.generation != epoch {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let protocol = classic.protocols.first().map(|(name, _)| name.clone());
        let differs = |asked: &Option<String>, ours: Option<&str>| asked.is_some() && asked.as_deref() != ours;
        if differs(&ask.protocol_type, Some(embedded::TYPE)) || differs(&ask.protocol, protocol.as_deref()) {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        // One that has to give up something does that first.
        if group_epoch > epoch && progress != Progress::Unrevoked {
            classic.rejoin_deadline.get_or_insert(now + rebalance_timeout);
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        classic.sync_deadline = None;
        let (version, session_deadline) = (classic.version, now + classic.session_timeout);
        member.session_deadline = Some(session_deadline);
        let assignment = embedded::write_assignment(&assigned, version, topics);
        Ok(SyncReply { error: ErrorCode::NONE, protocol_type: Some(embedded::TYPE.into()), protocol, assignment })
    }

    /// A sign of life; answered with what the member has to do.
    pub fn heartbeat(&mut self, who: &Identity, now: Instant) -> Result<(), ErrorCode> {
        let group_epoch = self.epoch;
        let id = self.of_old_protocol(who)?.id.clone();
        let awaited = self.members[&id].progress == Progress::Unreleased && !self.waits_for_others(&id);
        let member = self.of_old_protocol(who)?;
        if who.generation != member.epoch {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let (rebalance_timeout, behind) = (member.rebalance_timeout, member.epoch < group_epoch);
        let rejoin = behind || member.progress == Progress::Unrevoked || awaited;
        let classic = member.classic.as_mut().ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        let session_deadline = now + classic.session_timeout;
        if rejoin {
            classic.rejoin_deadline.get_or_insert(now + rebalance_timeout);
        }
        member.session_deadline = Some(session_deadline);
        if rejoin { Err(ErrorCode::REBALANCE_IN_PROGRESS) } else { Ok(()) }
    }

    /// Whether others still have something of what a member shall have.
    fn waits_for_others(&self, id: &str) -> bool {
        let Some(member) = self.members.get(id) else { return false };
        let others = self.members.values().filter(|other| other.id != id);
        let taken: BTreeSet<(Uuid, i32)> = others.flat_map(Member::holds).collect();
        flat(&member.target).any(|partition| taken.contains(&partition))
    }

    /// LeaveGroup: a member of either protocol leaves. An administrator may name a static one by its instance alone.
    pub fn leave_by(&mut self, member_id: &str, instance: Option<&str>) -> Result<(), ErrorCode> {
        let id = match instance.map(|instance| self.static_members.get(instance).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)) {
            None => member_id.to_string(),
            Some(known) if member_id.is_empty() || known? == member_id => known?.clone(),
            Some(_) => return Err(ErrorCode::FENCED_INSTANCE_ID),
        };
        if !self.members.contains_key(&id) {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        self.remove(&id);
        Ok(())
    }

    /// The member of the classic protocol that this is.
    fn of_old_protocol(&mut self, who: &Identity) -> Result<&mut Member, ErrorCode> {
        if let Some(instance) = &who.instance_id {
            match self.static_members.get(instance) {
                None => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
                Some(id) if *id != who.member_id => return Err(ErrorCode::FENCED_INSTANCE_ID),
                Some(_) => {}
            }
        }
        let member = self.members.get_mut(&who.member_id).filter(|member| member.classic.is_some());
        member.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)
    }
}

impl Classic {
    /// When it is taken for dead, though it sends heartbeats.
    pub fn deadline(&self) -> Option<Instant> {
        self.rejoin_deadline.into_iter().chain(self.sync_deadline).min()
    }
}
