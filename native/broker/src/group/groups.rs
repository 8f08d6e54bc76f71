//! All groups, by the partition of `__consumer_offsets` that they belong to: a partition's groups have a lock of their own, and are
//! loaded and given up together. Driven by the group APIs and by one timer task.

use std::{collections::BTreeMap, sync::Arc};

use dohle_protocol::ErrorCode;
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    Group, Identity, JoinAsk, JoinReply, Kind, Policy, SyncAsk, SyncReply,
    consumer::{Beat, Consumer, Told},
};
use crate::{
    coordinator::{Ledger, internal},
    node::Node,
    tasks::{Life, due},
    topics::{Refusal, Topics},
};

/// All groups. What is done under a lock takes microseconds, or as long as the disk: nothing else waits under it.
pub(crate) struct Groups {
    pub(super) policy: Policy,
    pub(super) ledger: Ledger,
    /// By partition.
    pub(super) shards: Vec<Mutex<Shard>>,
    /// A deadline may have come nearer: the timer looks again.
    pub(super) changed: Notify,
}

/// The groups of one partition.
#[derive(Default)]
pub(super) struct Shard {
    pub groups: BTreeMap<String, Group>,
    pub standing: Standing,
}

/// Whether a partition's groups are here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    #[default]
    Elsewhere,
    Loading,
    /// As they were loaded when the partition's leader epoch was this.
    Here(i32),
}

impl Groups {
    /// With no group: partitions are to be loaded.
    pub fn new(policy: Policy, ledger: Ledger) -> Self {
        let shards = (0..ledger.partitions()).map(|_| Mutex::default()).collect();
        Self { policy, ledger, shards, changed: Notify::new() }
    }

    /// The partition that a group belongs to.
    pub fn partition_of(&self, group_id: &str) -> i32 {
        internal::partition_of(group_id, self.shards.len() as i32)
    }

    /// Whether a group is coordinated here now.
    pub fn ready(&self, group_id: &str) -> Result<(), ErrorCode> {
        self.open(group_id).map(drop)
    }

    /// Makes the topic, if there is none.
    pub fn make_topic(&self) -> Result<(), Refusal> {
        self.ledger.topic().map(drop)
    }

    fn shard(&self, index: i32) -> MutexGuard<'_, Shard> {
        self.shards[index as usize].lock()
    }

    /// The partition of a group, if it is here.
    pub(super) fn open(&self, group_id: &str) -> Result<(i32, MutexGuard<'_, Shard>), ErrorCode> {
        let index = self.partition_of(group_id);
        let shard = self.shard(index);
        self.check(index, &shard)?;
        Ok((index, shard))
    }

    /// Whether a partition's groups are here, and are what its log says.
    pub(super) fn check(&self, index: i32, shard: &Shard) -> Result<(), ErrorCode> {
        match (self.ledger.epoch(index), shard.standing) {
            (None, _) => Err(ErrorCode::NOT_COORDINATOR),
            (Some(epoch), Standing::Here(loaded)) if loaded == epoch => Ok(()),
            _ => Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
        }
    }

    /// Waits until what was written of a group is committed, if it was coordinated here since this epoch.
    pub async fn committed(&self, group_id: &str, since: Option<i32>) -> Result<(), ErrorCode> {
        self.ledger.committed(self.partition_of(group_id), since).await
    }

    /// The leader epoch in which this node coordinates a group, if it does.
    pub fn epoch(&self, group_id: &str) -> Option<i32> {
        self.ledger.epoch(self.partition_of(group_id))
    }

    /// Starts the task that ends what is overdue.
    pub fn run(&self, node: &Arc<Node>, life: &Life) {
        life.run(node, |node| async move { node.groups.time(&node).await });
    }

    async fn time(&self, node: &Node) {
        loop {
            let next_of = |shard: &Mutex<Shard>| shard.lock().groups.values().filter_map(Group::next_deadline).min();
            let next = self.shards.iter().filter_map(next_of).min();
            if !due(next, &self.changed).await {
                continue;
            }
            let now = Instant::now();
            for (index, shard) in (0..).zip(&self.shards) {
                self.expire(index, &mut shard.lock(), &node.topics, now);
            }
            // Offsets of a group that has lost its members grow old.
            node.housekeeping.touch_offsets();
        }
    }

    fn expire(&self, index: i32, shard: &mut Shard, topics: &Topics, now: Instant) {
        let due = |group: &Group| group.next_deadline().is_some_and(|deadline| deadline <= now);
        let due: Vec<String> = shard.groups.iter().filter(|(_, group)| due(group)).map(|(id, _)| id.clone()).collect();
        for id in due {
            if let Some(group) = shard.groups.get_mut(&id) {
                let epoch = group.epoch();
                group.expire(now);
                group.downgrade_if_due(self.policy, epoch, topics, now);
            }
            // What is not written now is the next time.
            let _ = self.settle(index, shard, &id);
        }
    }

    /// Joins a group; the answer comes when the rebalance is complete.
    pub fn join(&self, ask: JoinAsk, topics: &Topics) -> oneshot::Receiver<JoinReply> {
        let (answer, answered) = oneshot::channel();
        let (now, id, group_id) = (Instant::now(), ask.member_id.clone(), ask.group_id.clone());
        let refuse = |answer: oneshot::Sender<JoinReply>, code| drop(answer.send(JoinReply::refused(&id, code)));
        let (index, mut shard) = match self.open(&group_id) {
            Ok(open) => open,
            Err(code) => {
                refuse(answer, code);
                return answered;
            }
        };
        if !shard.groups.contains_key(&group_id) && !id.is_empty() {
            refuse(answer, ErrorCode::UNKNOWN_MEMBER_ID);
            return answered;
        }
        let group = shard.groups.entry(group_id.clone()).or_default();
        if group.consumer().is_some_and(Consumer::is_empty) {
            group.kind = Kind::default();
        }
        let told = match &mut group.kind {
            Kind::Classic(classic) => {
                classic.join(ask, answer, now);
                None
            }
            Kind::Consumer(consumer) => Some((answer, consumer.join(ask, self.policy.max_size, topics, now))),
        };
        group.downgrade_if_due(self.policy, group.epoch(), topics, now);
        let written = self.settle(index, &mut shard, &group_id);
        drop(shard);
        match (told, written) {
            (Some((answer, reply)), Ok(())) => drop(answer.send(reply)),
            (Some((answer, _)), Err(code)) => refuse(answer, code),
            (None, _) => {}
        }
        self.changed.notify_one();
        answered
    }

    /// Waits for, or brings, the assignment.
    pub fn sync(&self, group_id: &str, ask: SyncAsk, topics: &Topics) -> oneshot::Receiver<SyncReply> {
        let (answer, answered) = oneshot::channel();
        let (index, mut shard) = match self.open(group_id) {
            Ok(open) => open,
            Err(code) => {
                drop(answer.send(SyncReply::refused(code)));
                return answered;
            }
        };
        match shard.groups.get_mut(group_id).map(|group| &mut group.kind) {
            None => drop(answer.send(SyncReply::refused(ErrorCode::UNKNOWN_MEMBER_ID))),
            Some(Kind::Classic(classic)) => classic.sync(ask, answer, Instant::now()),
            Some(Kind::Consumer(consumer)) => drop(answer.send(consumer.sync(&ask, topics, Instant::now()))),
        }
        // Who waits is told.
        let _ = self.settle(index, &mut shard, group_id);
        drop(shard);
        self.changed.notify_one();
        answered
    }

    /// A sign of life.
    pub fn heartbeat(&self, group_id: &str, who: &Identity) -> Result<(), ErrorCode> {
        let (_, mut shard) = self.open(group_id)?;
        let beaten = match shard.groups.get_mut(group_id).map(|group| &mut group.kind) {
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
        let (group_id, joins, now) = (beat.group_id.clone(), beat.epoch == 0, Instant::now());
        let (index, mut shard) = self.open(&group_id).map_err(refused)?;
        let groups = &mut shard.groups;
        let classic =
            groups.get_mut(&group_id).filter(|group| joins && group.classic().is_some() && group.has_members());
        if let Some(group) = classic
            && let Some(mut upgraded) = group.upgraded(self.policy, topics, now)
        {
            let told = upgraded.beat(beat, topics, now)?;
            group.become_consumer(upgraded);
            let written = self.settle(index, &mut shard, &group_id);
            drop(shard);
            self.changed.notify_one();
            return written.map(|()| told).map_err(refused);
        }
        if joins && !groups.get(&group_id).is_some_and(Group::has_members) {
            let group = groups.entry(group_id.clone()).or_default();
            if group.classic().is_some() {
                group.kind = Kind::Consumer(Consumer::default());
            }
        }
        let consumer = consumer_of(groups, &group_id)?;
        let told = consumer.beat(beat, topics, now);
        let never_was = told.is_err() && consumer.epoch == 0;
        if let Some(group) = groups.get_mut(&group_id).filter(|_| never_was) {
            group.kind = Kind::default();
        }
        let written = self.settle(index, &mut shard, &group_id);
        drop(shard);
        self.changed.notify_one();
        written.map_err(refused).and(told)
    }

    /// A member of KIP-848 leaves; answers the epoch that it is told.
    pub fn part(
        &self,
        group_id: &str,
        (member_id, instance): (&str, Option<&str>),
        epoch: i32,
        topics: &Topics,
    ) -> Result<i32, Refusal> {
        let (index, mut shard) = self.open(group_id).map_err(refused)?;
        let consumer = consumer_of(&mut shard.groups, group_id)?;
        let group_epoch = consumer.epoch;
        let left = consumer.leave(group_id, member_id, instance, epoch)?;
        if let Some(group) = shard.groups.get_mut(group_id) {
            group.downgrade_if_due(self.policy, group_epoch, topics, Instant::now());
        }
        let written = self.settle(index, &mut shard, group_id);
        drop(shard);
        self.changed.notify_one();
        written.map(|()| left).map_err(refused)
    }

    /// Leaves a group; one result per member.
    pub fn leave(
        &self,
        group_id: &str,
        members: &[(String, Option<String>)],
        topics: &Topics,
    ) -> Vec<Result<(), ErrorCode>> {
        let all = |code| vec![Err(code); members.len()];
        let (index, mut shard) = match self.open(group_id) {
            Ok(open) => open,
            Err(code) => return all(code),
        };
        let Some(group) = shard.groups.get_mut(group_id) else { return all(ErrorCode::UNKNOWN_MEMBER_ID) };
        let (now, epoch) = (Instant::now(), group.epoch());
        let leave = |(id, instance): &(String, Option<String>)| match &mut group.kind {
            Kind::Classic(classic) => classic.leave(id, instance.as_deref(), now),
            Kind::Consumer(consumer) => consumer.leave_by(id, instance.as_deref()),
        };
        let left = members.iter().map(leave).collect();
        group.downgrade_if_due(self.policy, epoch, topics, now);
        let written = self.settle(index, &mut shard, group_id);
        drop(shard);
        self.changed.notify_one();
        written.map_or_else(all, |()| left)
    }

    /// Looks at one group.
    pub fn with<T>(&self, group_id: &str, look: impl FnOnce(Option<&Group>) -> T) -> T {
        look(self.shard(self.partition_of(group_id)).groups.get(group_id))
    }

    /// Looks at all groups, by id.
    pub fn each(&self, mut look: impl FnMut(&str, &Group)) {
        let shards: Vec<_> = (0..).zip(&self.shards).map(|(index, shard)| (index, shard.lock())).collect();
        let shards: Vec<_> = shards.into_iter().filter(|(index, shard)| self.check(*index, shard).is_ok()).collect();
        let mut all: Vec<(&String, &Group)> = shards.iter().flat_map(|(_, shard)| &shard.groups).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all.into_iter().for_each(|(id, group)| look(id, group));
    }
}

/// A refusal that has no more to say than its code.
fn refused(code: ErrorCode) -> Refusal {
    (code, code.text().into())
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
