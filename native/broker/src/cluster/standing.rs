//! Who has a partition, who is in sync and who leads: what Kafka's controller decides of it (PartitionRegistration and
//! PartitionChangeBuilder). It decides from what it is told; nothing here knows of nodes or logs.

/// Which nodes have a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The first one should lead.
    pub replicas: Vec<i32>,
    /// Those that have all that is committed; never empty.
    pub in_sync: Vec<i32>,
    /// None: nobody can.
    pub leader: Option<i32>,
    /// Counts leaders.
    pub leader_epoch: i32,
    /// Counts changes.
    pub epoch: i32,
    /// While the partition moves: where to, and whom it leaves.
    pub adding: Vec<i32>,
    pub removing: Vec<i32>,
    /// Of those that it leaves: where an earlier move was going, which this one has replaced.
    pub passing: Vec<i32>,
}

/// What is asked when a leader is to be elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Election {
    /// The first replica, if it is in sync.
    Preferred,
    /// Anybody, also one that has not all that was committed.
    Unclean,
}

/// What a copy has lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// What was committed ended behind its end.
    End,
    All,
}

impl Standing {
    /// Of a partition that begins: who is alive is in sync.
    pub fn new(replicas: Vec<i32>, alive: impl Fn(i32) -> bool) -> Self {
        let in_sync: Vec<i32> = replicas.iter().copied().filter(|node| alive(*node)).collect();
        let leader = in_sync.first().copied();
        let in_sync = if in_sync.is_empty() { replicas.clone() } else { in_sync };
        Self { replicas, in_sync, leader, ..Self::default() }
    }

    /// Of a partition that one node has.
    #[cfg(test)]
    pub fn of_one(node: i32) -> Self {
        Self::new(vec![node], |_| true)
    }

    fn changed(&self) -> Self {
        Self { epoch: self.epoch + 1, ..self.clone() }
    }

    fn leading(&self, leader: Option<i32>) -> Self {
        Self { leader, leader_epoch: self.leader_epoch + 1, ..self.changed() }
    }

    /// The first replica in sync that is alive.
    fn heir(&self, alive: &impl Fn(i32) -> bool) -> Option<i32> {
        self.replicas.iter().copied().find(|node| self.in_sync.contains(node) && alive(*node))
    }

    /// As it is when nodes have come and gone; none when nothing changes. `unclean`: rather somebody who has not all than nobody.
    pub fn with_alive(&self, alive: impl Fn(i32) -> bool, unclean: bool) -> Option<Self> {
        let mut new = self.clone();
        let left: Vec<i32> = self.in_sync.iter().copied().filter(|node| alive(*node)).collect();
        // The last one that has all stays one that has all, wherever it is.
        if !left.is_empty() {
            new.in_sync = left;
        }
        if !self.leader.is_some_and(&alive) {
            let any = || self.replicas.iter().copied().find(|node| unclean && alive(*node));
            match new.heir(&alive) {
                Some(heir) => new = new.leading(Some(heir)),
                None => match any() {
                    Some(any) => new = Self { in_sync: vec![any], ..new.leading(Some(any)) },
                    None if self.leader.is_some() => new = new.leading(None),
                    None => {}
                },
            }
        }
        if new == *self {
            return None;
        }
        Some(Self { epoch: self.epoch + 1, ..new })
    }

    /// Without a node that stops of its own will: the others take over, if they can.
    pub fn handed_over(&self, by: i32, alive: impl Fn(i32) -> bool) -> Option<Self> {
        let others = |node: i32| node != by && alive(node);
        if self.leader == Some(by) && self.heir(&others).is_none() {
            return None;
        }
        self.with_alive(|node| node != by && (alive(node) || Some(node) == self.leader), false)
    }

    /// When the copy of a node has lost something that was committed, or all: it is not in sync, if anybody else has more. None when
    /// nothing changes.
    pub fn lost_by(&self, by: i32, how: Loss, alive: impl Fn(i32) -> bool) -> Option<Self> {
        let without = |all: &[i32]| all.iter().copied().filter(|node| *node != by).collect::<Vec<_>>();
        let in_sync = match (without(&self.in_sync), how) {
            (others, Loss::All) if others.is_empty() => without(&self.replicas),
            (others, _) => others,
        };
        if !self.in_sync.contains(&by) || in_sync.is_empty() {
            return None;
        }
        let new = Self { in_sync, ..self.changed() };
        if self.leader != Some(by) {
            return Some(new);
        }
        Some(Self { epoch: new.epoch, ..new.leading(new.heir(&alive)) })
    }

    /// Others are in sync; none when nothing changes.
    pub fn with_in_sync(&self, in_sync: Vec<i32>) -> Option<Self> {
        (in_sync != self.in_sync && !in_sync.is_empty()).then(|| Self { in_sync, ..self.changed() })
    }

    /// With the leader that is asked for; an error is none that could.
    pub fn elect(&self, how: Election, alive: impl Fn(i32) -> bool) -> Result<Option<Self>, ()> {
        let preferred = self.replicas.first().copied();
        match how {
            Election::Preferred if self.leader == preferred => Ok(None),
            Election::Preferred => match preferred.filter(|node| self.in_sync.contains(node) && alive(*node)) {
                Some(node) => Ok(Some(self.leading(Some(node)))),
                None => Err(()),
            },
            Election::Unclean if self.leader.is_some_and(&alive) => Ok(None),
            Election::Unclean => self.with_alive(alive, true).filter(|new| new.leader.is_some()).map(Some).ok_or(()),
        }
    }

    /// Led by this node, if it is in sync.
    pub fn led_by(&self, node: i32) -> Option<Self> {
        self.in_sync.contains(&node).then(|| self.leading(Some(node)))
    }

    /// On its way to other replicas.
    pub fn moving_to(&self, target: &[i32]) -> Self {
        // Those of a move that is under way stay until this one has arrived, too.
        let (replicas, before) = (target.to_vec(), self.settled_replicas());
        let removing: Vec<i32> = self.replicas.iter().copied().filter(|node| !target.contains(node)).collect();
        let adding: Vec<i32> = target.iter().copied().filter(|node| !before.contains(node)).collect();
        let passing: Vec<i32> = removing.iter().copied().filter(|node| !before.contains(node)).collect();
        let replicas = replicas.into_iter().chain(removing.iter().copied()).collect();
        Self { replicas, adding, removing, passing, ..self.changed() }
    }

    /// Whether it is on its way.
    pub fn is_moving(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// Where it was before it began to move.
    fn settled_replicas(&self) -> Vec<i32> {
        let all = self.replicas.iter().copied();
        all.filter(|node| !self.adding.contains(node) && !self.passing.contains(node)).collect()
    }

    /// Where it moves to.
    pub fn target(&self) -> Vec<i32> {
        self.replicas.iter().copied().filter(|node| !self.removing.contains(node)).collect()
    }

    /// Back to where it was; none when none of those that were there has all that is committed.
    pub fn moved_back(&self, alive: impl Fn(i32) -> bool) -> Option<Self> {
        let before = self.settled_replicas();
        let has_all = before.iter().any(|node| self.in_sync.contains(node));
        has_all.then(|| self.with_replicas(before, alive))
    }

    /// Arrived, when all that it moves to are in sync.
    pub fn arrived(&self, alive: impl Fn(i32) -> bool) -> Option<Self> {
        let target = self.target();
        let all = target.iter().all(|node| self.in_sync.contains(node));
        (self.is_moving() && all).then(|| self.with_replicas(target, alive))
    }

    fn with_replicas(&self, replicas: Vec<i32>, alive: impl Fn(i32) -> bool) -> Self {
        let in_sync = self.in_sync.iter().copied().filter(|node| replicas.contains(node)).collect();
        let (adding, removing, passing) = Default::default();
        let new = Self { replicas, in_sync, adding, removing, passing, ..self.changed() };
        match new.leader.is_some_and(|leader| new.replicas.contains(&leader)) {
            true => new,
            false => Self { epoch: new.epoch, ..new.leading(new.heir(&alive)) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(replicas: &[i32], in_sync: &[i32], leader: Option<i32>) -> Standing {
        Standing { replicas: replicas.to_vec(), in_sync: in_sync.to_vec(), leader, ..Standing::default() }
    }

    fn alive(nodes: &'static [i32]) -> impl Fn(i32) -> bool {
        |node| nodes.contains(&node)
    }

    #[test]
    fn who_has_lost_something_does_not_lead_those_who_have_more() {
        let all = of(&[1, 2, 3], &[1, 2, 3], Some(1));
        for how in [Loss::End, Loss::All] {
            let new = all.lost_by(1, how, alive(&[1, 2, 3])).unwrap();
            assert_eq!((new.leader, &*new.in_sync, new.leader_epoch), (Some(2), &[2, 3][..], 1));
            let new = all.lost_by(3, how, alive(&[1, 2, 3])).unwrap();
            assert_eq!((new.leader, &*new.in_sync, new.leader_epoch), (Some(1), &[1, 2][..], 0));
            let new = all.lost_by(1, how, alive(&[1])).unwrap();
            assert_eq!((new.leader, &*new.in_sync), (None, &[2, 3][..]), "it waits for those who have it");
        }
        let last = of(&[1, 2, 3], &[1], Some(1));
        assert_eq!(last.lost_by(1, Loss::End, alive(&[1, 2, 3])), None, "nobody has more, as far as is known");
        let new = last.lost_by(1, Loss::All, alive(&[1, 2, 3])).unwrap();
        assert_eq!((new.leader, &*new.in_sync), (Some(2), &[2, 3][..]), "anything is more than nothing");
        assert_eq!(last.lost_by(2, Loss::All, alive(&[1, 2, 3])), None, "it is not in sync");
        assert_eq!(of(&[1], &[1], Some(1)).lost_by(1, Loss::All, alive(&[1])), None, "there is no other");
    }

    #[test]
    fn a_partition_begins_with_those_that_are_alive() {
        let new = Standing::new(vec![3, 1, 2], alive(&[1, 2]));
        assert_eq!((new.leader, &*new.in_sync, new.leader_epoch), (Some(1), &[1, 2][..], 0));
        let nobody = Standing::new(vec![3], alive(&[]));
        assert_eq!((nobody.leader, &*nobody.in_sync), (None, &[3][..]));
    }

    #[test]
    fn the_next_in_sync_leads_when_the_leader_is_gone() {
        let before = of(&[1, 2, 3], &[1, 3], Some(1));
        let after = before.with_alive(alive(&[2, 3]), false).unwrap();
        assert_eq!((after.leader, &*after.in_sync, after.leader_epoch, after.epoch), (Some(3), &[3][..], 1, 1));
        assert_eq!(after.with_alive(alive(&[2, 3]), false), None, "and then nothing changes");
    }

    #[test]
    fn nobody_leads_when_none_in_sync_is_left_but_the_last_one_is_remembered() {
        let before = of(&[1, 2], &[1], Some(1));
        let after = before.with_alive(alive(&[2]), false).unwrap();
        assert_eq!((after.leader, &*after.in_sync, after.leader_epoch), (None, &[1][..], 1));
        assert_eq!(after.with_alive(alive(&[2]), false), None);
        let back = after.with_alive(alive(&[1, 2]), false).unwrap();
        assert_eq!((back.leader, &*back.in_sync, back.leader_epoch), (Some(1), &[1][..], 2));
        let unclean = before.with_alive(alive(&[2]), true).unwrap();
        assert_eq!((unclean.leader, &*unclean.in_sync), (Some(2), &[2][..]), "records may be lost, as was asked for");
    }

    #[test]
    fn a_follower_that_is_gone_is_not_in_sync() {
        let after = of(&[1, 2], &[1, 2], Some(1)).with_alive(alive(&[1]), false).unwrap();
        assert_eq!((after.leader, &*after.in_sync, after.leader_epoch, after.epoch), (Some(1), &[1][..], 0, 1));
    }

    #[test]
    fn who_stops_hands_over_if_somebody_can_take_it() {
        let after = of(&[1, 2], &[1, 2], Some(1)).handed_over(1, alive(&[1, 2])).unwrap();
        assert_eq!((after.leader, &*after.in_sync), (Some(2), &[2][..]));
        assert_eq!(of(&[1, 2], &[1], Some(1)).handed_over(1, alive(&[1, 2])), None, "nobody else has all");
        let follower = of(&[1, 2], &[1, 2], Some(1)).handed_over(2, alive(&[1, 2])).unwrap();
        assert_eq!((follower.leader, &*follower.in_sync), (Some(1), &[1][..]));
    }

    #[test]
    fn the_preferred_leader_is_elected_when_it_is_in_sync() {
        let standing = of(&[1, 2], &[1, 2], Some(2));
        let elected = standing.elect(Election::Preferred, alive(&[1, 2])).unwrap().unwrap();
        assert_eq!((elected.leader, elected.leader_epoch), (Some(1), 1));
        assert_eq!(elected.elect(Election::Preferred, alive(&[1, 2])), Ok(None));
        assert_eq!(of(&[1, 2], &[2], Some(2)).elect(Election::Preferred, alive(&[1, 2])), Err(()));
        assert_eq!(standing.elect(Election::Unclean, alive(&[1, 2])), Ok(None));
        let lost = of(&[1, 2], &[1], None).elect(Election::Unclean, alive(&[2])).unwrap().unwrap();
        assert_eq!((lost.leader, &*lost.in_sync), (Some(2), &[2][..]));
        assert_eq!(of(&[1, 2], &[1], None).elect(Election::Unclean, alive(&[])), Err(()));
    }

    #[test]
    fn a_partition_moves_when_all_it_moves_to_are_in_sync() {
        let moving = of(&[1, 2], &[1, 2], Some(1)).moving_to(&[2, 3]);
        assert_eq!((&*moving.replicas, &*moving.adding, &*moving.removing), (&[2, 3, 1][..], &[3][..], &[1][..]));
        assert_eq!((moving.target(), moving.arrived(alive(&[1, 2, 3]))), (vec![2, 3], None));
        let back = moving.moved_back(alive(&[1, 2, 3])).unwrap();
        assert_eq!((back.leader, back.is_moving()), (Some(1), false));
        let there = moving.with_in_sync(vec![1, 2, 3]).unwrap().arrived(alive(&[1, 2, 3])).unwrap();
        assert_eq!((&*there.replicas, &*there.in_sync, there.leader), (&[2, 3][..], &[2, 3][..], Some(2)));
        assert_eq!((there.leader_epoch, there.is_moving()), (1, false));
    }

    #[test]
    fn a_move_that_replaces_another_keeps_all_until_it_arrives() {
        let first = of(&[1, 2], &[1, 2], Some(1)).moving_to(&[3, 2]);
        let led = Standing { leader: Some(3), ..first.with_in_sync(vec![2, 3]).unwrap() };
        let second = led.moving_to(&[4, 2]);
        assert_eq!((&*second.replicas, &*second.adding), (&[4, 2, 3, 1][..], &[4][..]), "its leader has a copy");
        assert_eq!(second.moved_back(alive(&[1, 2, 3, 4])).unwrap().replicas, [2, 1]);
        let there = second.with_in_sync(vec![2, 3, 4]).unwrap().arrived(alive(&[1, 2, 3, 4])).unwrap();
        assert_eq!((&*there.replicas, there.leader), (&[4, 2][..], Some(4)));
    }

    #[test]
    fn a_move_is_not_stopped_when_only_those_it_goes_to_have_all() {
        let moving = of(&[1], &[1], Some(1)).moving_to(&[2]);
        let only = Standing { in_sync: vec![2], leader: Some(2), ..moving.clone() };
        assert_eq!(only.moved_back(alive(&[1, 2])), None);
        assert!(moving.moved_back(alive(&[1, 2])).is_some());
    }
}
