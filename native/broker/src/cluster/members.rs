//! The nodes of a cluster as its controller sees them: where they listen, who is alive. A node beats; one that does not while
//! another has beaten so often is taken for dead (`broker.session.timeout.ms`, counted in beats of others: a process that was held
//! up as a whole has lost nobody).

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{Arc, Weak},
};

use super::Inbox;
use crate::{listeners::Open, node::Node};

/// All that were ever there.
#[derive(Default)]
pub(super) struct Members {
    pub by_id: BTreeMap<i32, Member>,
    /// Pairs that do not reach each other, the smaller id first.
    pub cut: BTreeSet<(i32, i32)>,
    /// Counts topics, so that their leaders are spread.
    pub placed: usize,
}

/// One of them.
pub(super) struct Member {
    pub node: Weak<Node>,
    pub rack: Option<String>,
    pub open: Vec<Open>,
    /// The controller counts on it.
    pub alive: bool,
    /// It has ended, which the controller may not know yet.
    pub down: bool,
    /// It is about to end: nothing new is for it.
    pub leaving: bool,
    /// It is about to come, for the first time or again, as the broker starts.
    pub expected: bool,
    pub inbox: Arc<Inbox>,
    /// Beats of others since its own.
    silent: BTreeMap<i32, u32>,
}

impl Member {
    pub fn new(node: Weak<Node>, rack: Option<String>, open: Vec<Open>, inbox: Arc<Inbox>) -> Self {
        Self {
            node,
            rack,
            open,
            alive: true,
            down: false,
            leaving: false,
            expected: false,
            inbox,
            silent: BTreeMap::new(),
        }
    }

    fn expected() -> Self {
        Self { down: true, expected: true, ..Self::new(Weak::new(), None, Vec::new(), Arc::default()) }
    }
}

impl Members {
    /// Of a broker that starts: its nodes come one after the other, and the first of them is not to take over what the others have,
    /// nor all that is new.
    pub fn expecting(nodes: Range<i32>) -> Self {
        let expected = nodes.map(|id| (id, Member::expected()));
        Self { by_id: expected.collect(), ..Self::default() }
    }

    pub fn alive(&self, id: i32) -> bool {
        self.by_id.get(&id).is_some_and(|member| member.alive)
    }

    /// It has ended, or never was, whatever the controller believes.
    pub fn is_down(&self, id: i32) -> bool {
        self.by_id.get(&id).is_none_or(|member| member.down)
    }

    /// It can take something on.
    pub fn able(&self, id: i32) -> bool {
        self.all_able().any(|(able, _)| able == id)
    }

    /// Those that can, by id.
    pub fn all_able(&self) -> impl Iterator<Item = (i32, &Member)> {
        self.all_alive().filter(|(_, member)| !member.down && !member.leaving)
    }

    /// How many have yet to come.
    pub fn awaited(&self) -> usize {
        self.by_id.values().filter(|member| member.expected && member.alive).count()
    }

    /// Those that are alive, by id.
    pub fn all_alive(&self) -> impl Iterator<Item = (i32, &Member)> {
        self.by_id.iter().filter(|(_, member)| member.alive && !member.expected).map(|(id, member)| (*id, member))
    }

    /// A node, if it runs.
    pub fn running(&self, id: i32) -> Option<Arc<Node>> {
        self.by_id.get(&id).filter(|member| !member.down)?.node.upgrade()
    }

    /// Whether two nodes reach each other.
    pub fn connected(&self, a: i32, b: i32) -> bool {
        a == b || !self.cut.contains(&(a.min(b), a.max(b)))
    }

    /// A node says that it lives. Answers those that have said nothing for so many beats of its own: they are dead from now on. And
    /// whether it was taken for dead itself.
    pub fn beat(&mut self, id: i32, most: u32) -> (Vec<i32>, bool) {
        let Some(member) = self.by_id.get_mut(&id).filter(|member| !member.down) else { return (Vec::new(), false) };
        member.silent.clear();
        let back = !std::mem::replace(&mut member.alive, true);
        let mut dead = Vec::new();
        for (other, member) in self.by_id.iter_mut().filter(|(other, member)| **other != id && member.alive) {
            let silent = member.silent.entry(id).or_default();
            *silent += 1;
            if *silent >= most {
                member.alive = false;
                dead.push(*other);
            }
        }
        (dead, back)
    }

    /// Replicas of so many partitions: leaders in turn, followers behind them, racks mixed (Kafka's StripedReplicaPlacer). None when
    /// there are not so many nodes.
    pub fn place(&mut self, partitions: i32, copies: usize) -> Option<Vec<Vec<i32>>> {
        let nodes = self.striped();
        if copies == 0 || nodes.len() < copies {
            return None;
        }
        let first = self.placed;
        self.placed = self.placed.wrapping_add(partitions.unsigned_abs() as usize);
        let at = |partition: usize, copy: usize| nodes[(first + partition + copy) % nodes.len()];
        let of = |partition: i32| (0..copies).map(|copy| at(partition as usize, copy)).collect();
        Some((0..partitions).map(of).collect())
    }

    /// The living, in an order in which neighbours are of different racks.
    fn striped(&self) -> Vec<i32> {
        let mut racks = BTreeMap::<Option<&str>, Vec<i32>>::new();
        for (id, member) in self.all_able() {
            racks.entry(member.rack.as_deref()).or_default().push(id);
        }
        let most = racks.values().map(Vec::len).max().unwrap_or(0);
        (0..most).flat_map(|nth| racks.values().filter_map(move |nodes| nodes.get(nth).copied())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(racks: &[(i32, Option<&str>)]) -> Members {
        let member =
            |rack: &Option<&str>| Member::new(Weak::new(), rack.map(str::to_string), Vec::new(), Arc::default());
        Members { by_id: racks.iter().map(|(id, rack)| (*id, member(rack))).collect(), ..Members::default() }
    }

    #[test]
    fn a_node_is_dead_when_another_has_beaten_too_often_without_it() {
        let mut of = members(&[(1, None), (2, None), (3, None)]);
        assert_eq!(of.beat(1, 3), (vec![], false));
        assert_eq!(of.beat(2, 3), (vec![], false));
        assert_eq!(of.beat(1, 3), (vec![], false));
        assert_eq!(of.beat(2, 3), (vec![], false));
        assert_eq!(of.beat(1, 3), (vec![3], false), "it never said anything");
        assert_eq!(of.beat(1, 3), (vec![], false));
        assert_eq!(of.beat(3, 3), (vec![], true));
        assert!(of.alive(3));
    }

    #[test]
    fn one_that_is_alone_outlives_the_others_and_none_that_was_killed_comes_back_by_itself() {
        let mut of = members(&[(1, None), (2, None)]);
        assert_eq!(of.beat(1, 1), (vec![2], false));
        of.by_id.get_mut(&2).unwrap().down = true;
        assert_eq!((of.beat(2, 1), of.alive(2)), ((vec![], false), false));
    }

    #[test]
    fn leaders_take_turns_and_copies_are_of_different_racks() {
        let mut of = members(&[(1, None), (2, None), (3, None)]);
        assert_eq!(of.place(4, 2).unwrap(), [[1, 2], [2, 3], [3, 1], [1, 2]]);
        assert_eq!(of.place(1, 1).unwrap(), [[2]], "the next topic goes on behind it");
        assert_eq!((of.place(1, 4), of.place(1, 0)), (None, None));
        let mut racks = members(&[(1, Some("a")), (2, Some("a")), (3, Some("b")), (4, Some("b"))]);
        for replicas in racks.place(4, 2).unwrap() {
            assert_ne!(replicas[0] <= 2, replicas[1] <= 2, "{replicas:?}");
        }
    }

    #[test]
    fn a_cut_is_one_of_both_directions() {
        let mut of = members(&[(1, None), (2, None)]);
        of.cut.insert((1, 2));
        assert!(!of.connected(2, 1) && !of.connected(1, 2) && of.connected(1, 1));
    }
}
