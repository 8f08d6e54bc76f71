//! Classic consumer groups and their committed offsets: membership by JoinGroup, SyncGroup, Heartbeat and LeaveGroup.
//! Not the group protocol of KIP-848, and not what members say in their metadata, except to protect subscribed offsets.
//! Driven by the group APIs and by one timer task; `state` is the machine of one group, this file all groups.

mod join;
mod member;
mod offsets;
mod state;

use std::{collections::BTreeMap, sync::Arc};

use dohle_protocol::ErrorCode;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until},
};

pub(crate) use join::{JoinAsk, JoinReply};
pub(crate) use member::{Identity, Member};
pub(crate) use offsets::{Committed, MAX_METADATA_BYTES};
pub(crate) use state::{Group, State, SyncAsk, SyncReply};

use crate::{broker::Life, node::Node};

/// All groups. One lock: what is done under it takes microseconds, and nothing waits under it.
#[derive(Default)]
pub(crate) struct Groups {
    by_id: Mutex<BTreeMap<String, Group>>,
    /// A deadline may have come nearer: the timer looks again.
    changed: Notify,
}

impl Groups {
    /// Starts the task that ends what is overdue.
    pub fn run(&self, node: &Arc<Node>, mut life: Life) {
        let world = node.world.clone();
        let node = node.clone();
        world.spawn(Box::pin(async move {
            life.during(node.groups.time()).await;
        }));
    }

    async fn time(&self) {
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
                group.expire(now);
                !group.forgettable()
            });
        }
    }

    /// Joins a group; the answer comes when the rebalance is complete.
    pub fn join(&self, ask: JoinAsk) -> oneshot::Receiver<JoinReply> {
        let (answer, answered) = oneshot::channel();
        let mut groups = self.by_id.lock();
        if !groups.contains_key(&ask.group_id) && !ask.member_id.is_empty() {
            let _ = answer.send(JoinReply::refused(&ask.member_id, ErrorCode::UNKNOWN_MEMBER_ID));
            return answered;
        }
        let group = groups.entry(ask.group_id.clone()).or_default();
        group.join(ask, answer, Instant::now());
        groups.retain(|_, group| !group.forgettable());
        drop(groups);
        self.changed.notify_one();
        answered
    }

    /// Waits for, or brings, the assignment.
    pub fn sync(&self, group_id: &str, ask: SyncAsk) -> oneshot::Receiver<SyncReply> {
        let (answer, answered) = oneshot::channel();
        match self.by_id.lock().get_mut(group_id) {
            None => drop(answer.send(SyncReply::refused(ErrorCode::UNKNOWN_MEMBER_ID))),
            Some(group) => group.sync(ask, answer, Instant::now()),
        }
        self.changed.notify_one();
        answered
    }

    /// A sign of life.
    pub fn heartbeat(&self, group_id: &str, who: &Identity) -> Result<(), ErrorCode> {
        let mut groups = self.by_id.lock();
        let group = groups.get_mut(group_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        group.heartbeat(who, Instant::now())
    }

    /// Leaves a group; one result per member.
    pub fn leave(&self, group_id: &str, members: &[(String, Option<String>)]) -> Vec<Result<(), ErrorCode>> {
        let mut groups = self.by_id.lock();
        let Some(group) = groups.get_mut(group_id) else {
            return vec![Err(ErrorCode::UNKNOWN_MEMBER_ID); members.len()];
        };
        let now = Instant::now();
        let left = members.iter().map(|(id, instance)| group.leave(id, instance.as_deref(), now)).collect();
        groups.retain(|_, group| !group.forgettable());
        drop(groups);
        self.changed.notify_one();
        left
    }

    /// Whether offsets may be committed by this member; then `commit` stores them. A group that does not exist is made
    /// for a caller outside any generation (an admin client, a consumer without group membership).
    pub fn commit(&self, group_id: &str, who: &Identity, commit: impl FnOnce(&mut Group)) -> Result<(), ErrorCode> {
        let mut groups = self.by_id.lock();
        if !groups.contains_key(group_id) && who.generation >= 0 {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let group = groups.entry(group_id.into()).or_default();
        let allowed = group.may_commit(who, Instant::now());
        if allowed.is_ok() {
            commit(group);
        }
        groups.retain(|_, group| !group.forgettable());
        allowed
    }

    /// Whether offsets may be committed by this member within a transaction; then `commit` stores them. Who names no member
    /// may: the transaction protects them (KIP-447).
    pub fn commit_in_transaction(
        &self,
        group_id: &str,
        who: &Identity,
        commit: impl FnOnce(&mut Group),
    ) -> Result<(), ErrorCode> {
        let mut groups = self.by_id.lock();
        if !groups.contains_key(group_id) && who.generation >= 0 {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let group = groups.entry(group_id.into()).or_default();
        let allowed = group.may_commit_in_transaction(who);
        if allowed.is_ok() {
            commit(group);
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
            Some(group) if group.state() != State::Empty => Err(ErrorCode::NON_EMPTY_GROUP),
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
