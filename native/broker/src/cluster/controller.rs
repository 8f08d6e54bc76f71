//! What the cluster's controller does: nodes come, beat, go and are missed; partitions get leaders, lose and gain copies in sync, and
//! move (Kafka's ReplicationControlManager). One change at a time, under the lock of `Shared::members`, which is taken before those
//! of the metadata's turn, of partitions and of logs, and never while one of these is held.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use dohle_protocol::ErrorCode;
use tokio::time::{Instant, sleep};

use super::{
    Election, Link, Loss, Shared, Standing,
    members::{Member, Members},
};
use crate::{
    config::broker::{enabled, number},
    coordinator::internal,
    node::Node,
    partition::{Partition, Replica},
    tasks::Life,
    topics::{Refusal, Topic},
};

/// A partition and what it is of.
#[derive(Clone)]
pub(super) struct At {
    pub topic: Arc<Topic>,
    pub index: i32,
    pub partition: Arc<Partition>,
}

impl Shared {
    /// A node has started, perhaps again, without what it has lost.
    pub fn register(&self, node: &Arc<Node>, lost: &[(Arc<Partition>, Loss)]) -> Result<(), ErrorCode> {
        let (id, options) = (node.options.node_id, &node.options);
        let rack = options.properties.get("broker.rack").cloned().filter(|rack| !rack.is_empty());
        let mut members = self.members.lock();
        let goes_on = members.by_id.get(&id).is_some_and(|member| member.expected);
        if !goes_on {
            // Whoever was there under this id before is not.
            members.by_id.remove(&id);
            self.came_or_went(&members, false)?;
        }
        members.by_id.insert(id, Member::new(Arc::downgrade(node), rack, node.open().to_vec(), node.inbox.clone()));
        let stored = self.settle(&members, node, goes_on, lost);
        if stored.is_err() {
            // Those that follow it would lose what it has lost: it is none that could be followed.
            members.by_id.remove(&id);
            return stored;
        }
        self.apply_all(&members, id);
        // What cannot be stored now is made up for at a beat.
        let _ = self.came_or_went(&members, true);
        Ok(())
    }

    /// What a node that has come has lost, it does not lead; and what it goes on to lead, it leads in an epoch of its own, unless
    /// its log is as it was when it was stopped: the same epoch with less in it would be another history of the same name.
    fn settle(
        &self,
        members: &Members,
        node: &Node,
        goes_on: bool,
        lost: &[(Arc<Partition>, Loss)],
    ) -> Result<(), ErrorCode> {
        let id = node.options.node_id;
        let lost: BTreeMap<*const Partition, Loss> =
            lost.iter().map(|(partition, how)| (Arc::as_ptr(partition), *how)).collect();
        let loss = |at: &At| lost.get(&Arc::as_ptr(&at.partition)).copied();
        self.change_all(members, |at, standing| standing.lost_by(id, loss(at)?, |node| members.alive(node)))?;
        if !goes_on || self.options.is_alone() {
            return Ok(());
        }
        let clean = node.home.as_ref().is_none_or(|home| home.clean);
        self.change_all(members, |at, standing| {
            let replica = at.partition.replica(id).filter(|_| standing.leader == Some(id))?;
            let is_as_it_was = clean && loss(at).is_none() && replica.log.lock().is_committed();
            standing.led_by(id).filter(|_| !is_as_it_was)
        })
    }

    /// A node stops of its own will: its partitions go to others, if there are any that can take them.
    pub fn hand_over(&self, id: i32) {
        let mut members = self.members.lock();
        members.by_id.get_mut(&id).into_iter().for_each(|member| member.leaving = true);
        // What cannot be stored now is made up for when it has ended.
        let _ = self.change_all(&members, |_, standing| standing.handed_over(id, |node| members.able(node)));
    }

    /// A node has ended: the controller knows, as it was told, or will find out.
    pub fn ended(&self, id: i32, told: bool) {
        let mut members = self.members.lock();
        if let Some(member) = members.by_id.get_mut(&id) {
            (member.down, member.node) = (true, Weak::new());
            member.inbox.clear();
            member.alive &= !told;
        }
        if told {
            let _ = self.came_or_went(&members, false);
        }
    }

    /// Starts the task that beats for a node, and sees to the copies in sync of what it leads.
    pub fn watch(node: &Arc<Node>, life: &Life) {
        life.run(node, |node| async move { beat_for_ever(&node).await });
    }

    fn beat(&self, node: &Node, most: u32) {
        let id = node.options.node_id;
        let mut members = self.members.lock();
        let (dead, back) = members.beat(id, most);
        let unmade = self.unmade.swap(false, Ordering::Relaxed);
        if dead.is_empty() && !back && !unmade {
            return;
        }
        for dead in &dead {
            tracing::warn!(node = dead, by = id, "a node is silent, and taken for dead");
        }
        if back {
            tracing::warn!(node = id, "a node that was taken for dead is back");
            self.apply_all(&members, id);
        }
        let _ = self.came_or_went(&members, back && !unmade);
    }

    /// Another one leads what this node can write no more.
    fn leave_broken(&self, node: &Node) {
        if self.storage.is_none() {
            return;
        }
        let id = node.options.node_id;
        for at in self.partitions() {
            let is_broken = at.partition.led_by(id).is_ok_and(|replica| replica.log.lock().check_disk().is_err());
            if is_broken && !at.partition.deleted() {
                let members = self.members.lock();
                let new = at.partition.standing().handed_over(id, |node| members.able(node));
                let _ = self.change(&members, &at, new.filter(|new| new.leader != Some(id)));
            }
        }
    }

    /// Followers that have been behind for too long are not in sync any more.
    fn drop_lagging(&self, node: &Node, most: Duration) {
        let (me, now) = (node.options.node_id, Instant::now());
        for at in self.partitions() {
            let Ok(replica) = at.partition.led_by(me) else { continue };
            let (lagging, epoch) = {
                let mut log = replica.log.lock();
                (log.lagging(now, most), log.leader_epoch())
            };
            if lagging.is_empty() {
                continue;
            }
            let members = self.members.lock();
            let standing = at.partition.standing();
            if (standing.leader, standing.leader_epoch) == (Some(me), epoch) {
                let left = standing.in_sync.iter().copied().filter(|node| !lagging.contains(node)).collect();
                tracing::warn!(
                    topic = &*at.topic.name,
                    partition = at.index,
                    ?lagging,
                    "copies are behind, and not in sync"
                );
                // They stay behind until it can be stored.
                let _ = self.change(&members, &at, standing.with_in_sync(left));
            }
        }
    }

    /// A follower has all that is committed. An error: that cannot be stored.
    pub fn joins_in_sync(&self, partition: &Arc<Partition>, node: i32, epoch: i32) -> Result<(), ErrorCode> {
        let members = self.members.lock();
        let standing = partition.standing();
        let wanted = standing.leader_epoch == epoch && standing.replicas.contains(&node) && members.alive(node);
        if !wanted || standing.in_sync.contains(&node) {
            return Ok(());
        }
        let Some(at) = self.partitions().find(|at| Arc::ptr_eq(&at.partition, partition)) else { return Ok(()) };
        let leader = standing.leader.and_then(|leader| partition.replica(leader));
        // More may have been committed since it said where it is.
        let Some(leader) = leader.filter(|leader| leader.log.lock().admit(node, epoch)) else { return Ok(()) };
        let mut in_sync = standing.in_sync.clone();
        in_sync.push(node);
        // In the order of the replicas, as Kafka shows them.
        in_sync.sort_by_key(|node| standing.replicas.iter().position(|of| of == node));
        if let Err(code) = self.change(&members, &at, standing.with_in_sync(in_sync)) {
            leader.log.lock().dismiss(node, epoch);
            return Err(code);
        }
        self.change(&members, &at, at.partition.standing().arrived(|node| members.alive(node))).map(drop)
    }

    /// Elects a leader; answers whether it is another one.
    pub fn elect(&self, topic: &str, index: i32, how: Election) -> Result<bool, ErrorCode> {
        let members = self.members.lock();
        let at = self.at(topic, index)?;
        let able = |node| members.able(node);
        let refused = match how {
            Election::Preferred => ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE,
            Election::Unclean => ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE,
        };
        let new = at.partition.standing().elect(how, able).map_err(|()| refused)?;
        self.change(&members, &at, new)
    }

    /// Every partition is led by its first replica again, if that can.
    fn rebalance(&self) {
        for at in self.partitions() {
            let _ = self.elect(&at.topic.name, at.index, Election::Preferred);
        }
    }

    /// Lets a node lead a partition, which must be in sync.
    pub fn move_leader(&self, topic: &str, index: i32, to: i32) -> Result<(), ErrorCode> {
        let members = self.members.lock();
        let at = self.at(topic, index)?;
        let standing = at.partition.standing();
        if standing.leader == Some(to) {
            return Ok(());
        }
        let new = standing.led_by(to).filter(|_| members.able(to)).ok_or(ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE)?;
        self.change(&members, &at, Some(new)).map(drop)
    }

    /// Moves a partition to other nodes; none: stops a move.
    pub fn reassign(&self, topic: &str, index: i32, to: Option<&[i32]>) -> Result<(), ErrorCode> {
        let members = self.members.lock();
        let at = self.at(topic, index)?;
        let (standing, alive) = (at.partition.standing(), |node| members.alive(node));
        let new = match to {
            None if !standing.is_moving() => return Err(ErrorCode::NO_REASSIGNMENT_IN_PROGRESS),
            None => standing.moved_back(alive).ok_or(ErrorCode::INVALID_REPLICA_ASSIGNMENT)?,
            Some(to) if !standing.is_moving() && standing.replicas == to => return Ok(()),
            Some(to) => standing.moving_to(to),
        };
        for node in &new.replicas {
            if at.partition.replica(*node).is_none() {
                let replica = at.topic.make_replica(*node, at.index).map_err(|_| ErrorCode::KAFKA_STORAGE_ERROR)?;
                replica.log.lock().follow(standing.leader_epoch);
                at.topic.put_replica(&at.partition, replica);
            }
        }
        if let Err(code) = self.change(&members, &at, Some(new)) {
            // The copies that were made for it go.
            self.apply(&members, &at, |_| false);
            return Err(code);
        }
        self.change(&members, &at, at.partition.standing().arrived(alive)).map(drop)
    }

    /// Replicas for new partitions: spread, or as somebody has assigned them.
    pub fn standings(&self, partitions: i32, copies: usize) -> Result<Vec<Standing>, Refusal> {
        let mut members = self.members.lock();
        let too_few = |alive: usize| {
            let reason = format!(
                "Unable to replicate the partition {copies} time(s): The target replication factor of {copies} cannot be \
                 reached because only {alive} broker(s) are registered or some brokers have all their log directories cordoned."
            );
            (ErrorCode::INVALID_REPLICATION_FACTOR, reason)
        };
        let alive = members.all_able().count();
        let placed = members.place(partitions, copies).ok_or_else(|| too_few(alive))?;
        Ok(placed.into_iter().map(|replicas| Standing::new(replicas, |node| members.alive(node))).collect())
    }

    /// The same for replicas that were assigned by hand.
    pub fn standings_of(&self, assigned: Vec<Vec<i32>>) -> Vec<Standing> {
        let members = self.members.lock();
        assigned.into_iter().map(|replicas| Standing::new(replicas, |node| members.alive(node))).collect()
    }

    /// New partitions have begun.
    pub fn begun(&self, topic: &Arc<Topic>) {
        let members = self.members.lock();
        for (index, partition) in (0..).zip(topic.partitions()) {
            // Who has gone or come meanwhile.
            let new = partition.standing().with_alive(|node| members.alive(node), false);
            let at = At { topic: topic.clone(), index, partition };
            if self.change(&members, &at, new) != Ok(true) {
                self.apply(&members, &at, |_| true);
            }
        }
        self.tell_coordinators(&members, &topic.name);
    }

    /// Nodes have come or gone: partitions that want another leader get one.
    fn came_or_went(&self, members: &Members, came: bool) -> Result<(), ErrorCode> {
        self.change_all(members, |at, standing| {
            // Who comes joins those in sync by itself.
            match came && standing.leader.is_some_and(|leader| members.alive(leader)) {
                true => None,
                false => standing.with_alive(|node| members.alive(node), at.topic.config().unclean_leader_election),
            }
        })
    }

    /// Changes those partitions for which there is something new.
    fn change_all(&self, members: &Members, new: impl Fn(&At, &Standing) -> Option<Standing>) -> Result<(), ErrorCode> {
        let changes = self.partitions().filter_map(|at| new(&at, &at.partition.standing()).map(|new| (at, new)));
        self.make(members, changes.collect()).map(drop)
    }

    /// Changes a partition, if there is something new; answers whether it did.
    fn change(&self, members: &Members, at: &At, new: Option<Standing>) -> Result<bool, ErrorCode> {
        self.make(members, new.map(|new| (at.clone(), new)).into_iter().collect())
    }

    /// Makes changes, all or none, and tells those whom they concern; answers whether there were any. When they cannot be stored,
    /// what has come of nodes' coming and going is made at a later beat.
    fn make(&self, members: &Members, changes: Vec<(At, Standing)>) -> Result<bool, ErrorCode> {
        if changes.is_empty() {
            return Ok(false);
        }
        let records = changes.iter().map(|(at, new)| (at.topic.id, at.index, new));
        if let Some(Err((code, _))) = self.storage.as_ref().map(|storage| storage.turn().standings(records)) {
            tracing::error!(%code, "a change of partitions' leaders or copies is not made yet: it cannot be stored");
            self.unmade.store(true, Ordering::Relaxed);
            return Err(code);
        }
        for (at, new) in changes {
            tracing::debug!(topic = &*at.topic.name, partition = at.index, ?new, "a partition has changed");
            at.partition.set_standing(new);
            self.apply(members, &at, |_| true);
            self.tell_coordinators(members, &at.topic.name);
        }
        Ok(true)
    }

    /// Tells one node all that it is to know.
    fn apply_all(&self, members: &Members, id: i32) {
        for at in self.partitions().filter(|at| at.partition.standing().replicas.contains(&id)) {
            self.apply(members, &at, |node| node == id);
        }
        if let Some(member) = members.by_id.get(&id) {
            member.inbox.retry();
            member.node.upgrade().iter().for_each(|node| node.reelected.notify_one());
        }
    }

    /// Gives the copies of a partition on running nodes their parts.
    fn apply(&self, members: &Members, at: &At, told: impl Fn(i32) -> bool) {
        if at.partition.deleted() {
            return;
        }
        let standing = at.partition.standing();
        for replica in at.partition.replicas() {
            if !standing.replicas.contains(&replica.node) {
                at.partition.take_replica(replica.node);
                replica.log.lock().follow(standing.leader_epoch);
                replica.feed(Vec::new());
                replica.wake();
                self.remove_files(at, &replica);
            }
        }
        let replicas: Vec<Arc<Replica>> =
            at.partition.replicas().into_iter().filter(|replica| !members.is_down(replica.node)).collect();
        for replica in replicas.iter().filter(|replica| told(replica.node) && Some(replica.node) != standing.leader) {
            replica.log.lock().follow(standing.leader_epoch);
            replica.feed(Vec::new());
            replica.wake();
        }
        let Some(leader) = replicas.iter().find(|replica| Some(replica.node) == standing.leader) else { return };
        let others = standing.replicas.iter().filter(|node| **node != leader.node);
        let others: Vec<(i32, bool)> = others.map(|node| (*node, standing.in_sync.contains(node))).collect();
        if let Err(code) = leader.log.lock().lead(standing.leader_epoch, &others) {
            tracing::error!(%code, topic = &*at.topic.name, partition = at.index, "a leader cannot note its epoch");
        }
        let links = replicas.iter().filter(|replica| replica.node != leader.node).filter_map(|follower| {
            let inbox = &members.by_id.get(&follower.node)?.inbox;
            Some(Link::new(&at.partition, leader, follower, inbox))
        });
        leader.feed(links.collect());
        leader.wake();
        if at.partition.deleted() {
            // Meanwhile.
            at.partition.delete();
        }
    }

    fn remove_files(&self, at: &At, replica: &Replica) {
        replica.log.lock().abandon();
        if let Err(error) = at.topic.remove_replica(replica.node, at.index) {
            tracing::error!(%error, topic = &*at.topic.name, partition = at.index, "the folder of a copy that has moved stays");
        }
    }

    fn tell_coordinators(&self, members: &Members, topic: &str) {
        if internal::is_internal(topic) {
            for (_, member) in members.all_alive() {
                member.node.upgrade().iter().for_each(|node| node.reelected.notify_one());
            }
        }
    }

    fn partitions(&self) -> impl Iterator<Item = At> {
        let topics = self.topics.all().into_iter();
        topics.flat_map(|topic| {
            let partitions = (0..).zip(topic.partitions());
            partitions.map(|(index, partition)| At { topic: topic.clone(), index, partition }).collect::<Vec<_>>()
        })
    }

    fn at(&self, topic: &str, index: i32) -> Result<At, ErrorCode> {
        let topic = self.topics.named(topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let partition = topic.partition(index).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        Ok(At { topic, index, partition })
    }

    /// A node that is dead is forgotten; answers whether it was there and dead.
    pub fn forget(&self, id: i32) -> bool {
        let mut members = self.members.lock();
        let dead = members.by_id.get(&id).is_some_and(|member| !member.alive);
        if dead {
            members.by_id.remove(&id);
        }
        dead
    }

    /// Settings have changed: a partition that nobody leads may be led by one that has not all, now.
    pub fn reconfigured(&self) {
        let _ = self.came_or_went(&self.members.lock(), false);
    }

    /// A leader's log begins elsewhere: so do those in sync, whoever leads next.
    pub fn begins_at(&self, partition: &Partition, leader: &Replica, start_offset: i64) {
        let (standing, committed) = (partition.standing(), leader.log.lock().high_watermark());
        for replica in partition.replicas() {
            let follows = replica.node != leader.node && standing.in_sync.contains(&replica.node);
            if follows && self.reach(leader.node, replica.node) {
                replica.log.lock().learn(start_offset, committed);
            }
        }
    }

    /// Two nodes do not reach each other from now on.
    pub fn cut(&self, a: i32, b: i32) {
        self.members.lock().cut.insert((a.min(b), a.max(b)));
    }

    /// They do again.
    pub fn heal(&self, a: i32, b: i32) {
        let mut members = self.members.lock();
        members.cut.remove(&(a.min(b), a.max(b)));
        members.by_id.values().for_each(|member| member.inbox.retry());
    }

    /// Whether a node reaches another one, which runs.
    pub fn reach(&self, from: i32, to: i32) -> bool {
        let members = self.members.lock();
        members.connected(from, to) && !members.is_down(to)
    }

    /// The ids of those that are alive.
    pub fn alive(&self) -> BTreeSet<i32> {
        self.members.lock().all_alive().map(|(id, _)| id).collect()
    }
}

async fn beat_for_ever(node: &Node) {
    let ms = |name: &str| u64::try_from(number(&node.options, name)).unwrap_or(0).max(1);
    let (interval, session) = (ms("broker.heartbeat.interval.ms"), ms("broker.session.timeout.ms"));
    let lag = Duration::from_millis(ms("replica.lag.time.max.ms"));
    let most = u32::try_from(session.div_ceil(interval)).unwrap_or(u32::MAX).max(2);
    let rebalances = enabled(&node.options, "auto.leader.rebalance.enable");
    let imbalance = Duration::from_secs(ms("leader.imbalance.check.interval.seconds"));
    let (mut looked, mut rebalanced) = (Instant::now(), Instant::now());
    loop {
        sleep(Duration::from_millis(interval)).await;
        node.cluster.beat(node, most);
        node.cluster.leave_broken(node);
        // Who could not follow may now.
        node.inbox.retry();
        if rebalances && rebalanced.elapsed() >= imbalance {
            rebalanced = Instant::now();
            node.cluster.rebalance();
        }
        if looked.elapsed() >= lag / 2 {
            looked = Instant::now();
            node.cluster.drop_lagging(node, lag);
        }
    }
}
