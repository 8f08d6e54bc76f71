//! A classic group as it is kept in `__consumer_offsets`: as Kafka's, when it is stable or has lost its members. What happens in
//! between is not kept: members whose coordinator has changed meanwhile join again.

use std::time::Duration;

use dohle_protocol::{
    ErrorCode,
    messages::{GroupMetadataValue, group_metadata_value::MemberMetadata},
};
use tokio::sync::oneshot;

use super::{
    super::{
        Clock,
        records::{self, Written},
    },
    Classic, JoinReply, Member, State, SyncReply,
};

/// An answer that waits until what it says is written.
pub(super) enum Answer {
    Join(oneshot::Sender<JoinReply>, JoinReply),
    Sync(oneshot::Sender<SyncReply>, SyncReply),
}

impl Classic {
    /// Its record; the one that there is, while it rebalances.
    pub fn records(&self, group_id: &str, written: &Written, now_ms: i64) -> Result<Written, ErrorCode> {
        let key = records::classic_key(group_id)?;
        let known = written.get(&key);
        let record = match self.state {
            State::Empty if self.generation == 0 => return Ok(Written::new()),
            State::Empty | State::Stable => records::classic(&self.record(now_ms))?,
            // One that was of KIP-848 is written as it came from there.
            _ => match known {
                Some(known) => known.clone(),
                None if self.generation == 0 => return Ok(Written::new()),
                None => records::classic(&self.record(now_ms))?,
            },
        };
        Ok(Written::from([(key, record)]))
    }

    fn record(&self, now_ms: i64) -> GroupMetadataValue {
        let millis = |duration: Duration| i32::try_from(duration.as_millis()).unwrap_or(i32::MAX);
        let member = |member: &Member| MemberMetadata {
            member_id: member.id.clone(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout: millis(member.rebalance_timeout),
            session_timeout: millis(member.session_timeout),
            subscription: member.metadata(self.protocol()),
            assignment: member.assignment.clone(),
            ..Default::default()
        };
        GroupMetadataValue {
            protocol_type: self.protocol_type().into(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: now_ms,
            members: self.members.values().map(member).collect(),
            ..Default::default()
        }
    }

    /// The group that a record says; sessions begin anew.
    pub fn from_record(read: GroupMetadataValue, clock: &Clock) -> Self {
        let protocol = read.protocol.clone().unwrap_or_default();
        let millis = |ms: i32| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        let member = |member: MemberMetadata| {
            let (session_timeout, rebalance_timeout) = (millis(member.session_timeout), member.rebalance_timeout);
            Member {
                id: member.member_id,
                instance_id: member.group_instance_id,
                client_id: member.client_id,
                client_host: member.client_host,
                session_timeout,
                // Of before version 1: as long as the session.
                rebalance_timeout: if rebalance_timeout < 0 { session_timeout } else { millis(rebalance_timeout) },
                protocols: vec![(protocol.clone(), member.subscription)],
                assignment: member.assignment,
                order: 0,
                joining: None,
                syncing: None,
                deadline: Some(clock.now + session_timeout),
            }
        };
        let mut group = Self::with_members(&read.protocol_type, read.generation, read.members.into_iter().map(member));
        group.changed = false;
        group.leader = read.leader.filter(|leader| group.members.contains_key(leader));
        if group.members.is_empty() {
            (group.state, group.protocol) = (State::Empty, None);
            group.empty_since = Some(clock.at(read.current_state_timestamp));
        }
        group
    }

    /// Gives the answers that waited for it to be written.
    pub fn tell(&mut self, written: Result<(), ErrorCode>) {
        for answer in std::mem::take(&mut self.answers) {
            match (answer, written) {
                (Answer::Join(to, reply), Ok(())) => drop(to.send(reply)),
                (Answer::Sync(to, reply), Ok(())) => drop(to.send(reply)),
                (Answer::Join(to, reply), Err(code)) => drop(to.send(JoinReply::refused(&reply.member_id, code))),
                (Answer::Sync(to, _), Err(code)) => drop(to.send(SyncReply::refused(code))),
            }
        }
    }
}
