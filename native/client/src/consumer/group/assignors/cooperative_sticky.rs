//! Java's `CooperativeStickyAssignor`: balanced, moves as little as possible; a partition that must move is given to
//! nobody in this generation, so that its owner sees it missing, gives it up and joins again (KIP-429).
//!
//! With equal subscriptions this is Java's constrained algorithm step by step (its members come in hash order, ours in
//! the order of their ids). Otherwise: keep what may be kept, give the rest to the least loaded, then move single
//! partitions while that narrows a gap of two or more, which is what Java's general algorithm ends in.
//!
//! Where members and replicas say where they stand (KIP-881), balance goes first, then nearness, then faithfulness: what a
//! member has far from its rack is given up, what is free goes to near members as far as balance allows, then to anyone.

use std::collections::{BTreeMap, BTreeSet};

use crate::collections::{Map, Set};

use super::super::super::handover::TopicPartition;
use super::super::protocol::Member;
use super::nearness::Nearness;
use super::{Counts, Racks};

pub(super) fn assign(counts: &Counts, racks: &Racks, members: &[Member]) -> Vec<Vec<TopicPartition>> {
    let mut lists = balanced(counts, racks, members);
    withhold_moving(counts, members, &mut lists);
    lists
}

/// Everything is given to somebody, whoever owns it: what a group comes to in the end.
pub(super) fn balanced(counts: &Counts, racks: &Racks, members: &[Member]) -> Vec<Vec<TopicPartition>> {
    if members.is_empty() {
        return Vec::new();
    }
    let nearness = Nearness::read(counts, racks, members);
    let mut claims = Claims::read(counts, members);
    for (m, owned) in claims.owned.iter_mut().enumerate() {
        owned.retain(|tp| !nearness.is_far(m, tp));
    }
    match equal_subscriptions(members) {
        true => constrained(counts, members, &claims, &nearness),
        false => general(counts, members, &claims, &nearness),
    }
}

/// Takes partitions out that one member gains while another one claims to own them: they are free in the next
/// generation. Disputed ones are taken from everyone.
pub(crate) fn withhold_moving(counts: &Counts, members: &[Member], lists: &mut [Vec<TopicPartition>]) {
    let Claims { disputed, .. } = Claims::read(counts, members);
    let mut given_up: Set<TopicPartition> = Set::default();
    for (member, list) in members.iter().zip(lists.iter()) {
        let kept: Set<&TopicPartition> = list.iter().collect();
        given_up.extend(member.owned.iter().filter(|tp| !kept.contains(tp)).cloned());
    }
    for (member, list) in members.iter().zip(lists.iter_mut()) {
        let owned: Set<&TopicPartition> = member.owned.iter().collect();
        list.retain(|tp| !disputed.contains(tp) && (owned.contains(tp) || !given_up.contains(tp)));
    }
}

fn equal_subscriptions(members: &[Member]) -> bool {
    let topics = |member: &Member| member.topics.iter().cloned().collect::<BTreeSet<_>>();
    let first = topics(&members[0]);
    members.iter().all(|member| topics(member) == first)
}

/// Who owned what, as far as it can be believed.
struct Claims {
    /// Per member, sorted by (partition, topic) as Java keeps them.
    owned: Vec<Vec<TopicPartition>>,
    /// Claimed by several members of the same generation: nobody's.
    disputed: Set<TopicPartition>,
}

impl Claims {
    /// A claim of a newer generation wins; two of the same generation cancel each other.
    fn read(counts: &Counts, members: &[Member]) -> Claims {
        let mut owner: Map<&TopicPartition, usize> = Map::default();
        let mut disputed: Set<&TopicPartition> = Set::default();
        for (m, member) in members.iter().enumerate() {
            for tp in member.owned.iter().filter(|tp| exists(counts, tp)) {
                match owner.get(tp).map(|&other| members[other].generation.cmp(&member.generation)) {
                    None | Some(std::cmp::Ordering::Less) => {
                        owner.insert(tp, m);
                        disputed.remove(tp);
                    }
                    Some(std::cmp::Ordering::Equal) if owner[tp] != m => {
                        disputed.insert(tp);
                    }
                    Some(_) => {}
                }
            }
        }
        let mut owned = vec![Vec::new(); members.len()];
        for (tp, m) in owner {
            if !disputed.contains(tp) {
                owned[m].push(tp.clone());
            }
        }
        for list in &mut owned {
            list.sort_unstable_by(|a, b| (a.partition, &a.topic).cmp(&(b.partition, &b.topic)));
        }
        let disputed = disputed.into_iter().cloned().collect();
        Claims { owned, disputed }
    }
}

fn exists(counts: &Counts, tp: &TopicPartition) -> bool {
    counts.get(&tp.topic).is_some_and(|&count| (0..count).contains(&tp.partition))
}

fn all_partitions(counts: &Counts) -> impl Iterator<Item = TopicPartition> + '_ {
    counts.iter().flat_map(|(topic, &count)| (0..count).map(|p| TopicPartition::new(topic.clone(), p)))
}

/// All members subscribe to the same topics: everyone gets the minimum, `extra` members get one more.
fn constrained(
    counts: &Counts,
    members: &[Member],
    claims: &Claims,
    nearness: &Nearness<'_>,
) -> Vec<Vec<TopicPartition>> {
    let subscribed: Counts =
        counts.iter().filter(|(topic, _)| members[0].subscribes(topic)).map(|(t, &c)| (t.clone(), c)).collect();
    let total: usize = subscribed.values().map(|&count| count as usize).sum();
    let (least, extra) = (total / members.len(), total % members.len());
    let most = least + usize::from(extra > 0);

    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|&m| &members[m].id);

    let mut lists = vec![Vec::new(); members.len()];
    let mut taken: Set<TopicPartition> = Set::default();
    let mut over = 0; // members that have more than `least`
    let (mut below, mut exact) = (Vec::new(), Vec::new());
    for &m in &order {
        let owned: Vec<_> = claims.owned[m].iter().filter(|tp| subscribed.contains_key(&tp.topic)).collect();
        let keep = if owned.len() < least {
            below.push(m);
            owned.len()
        } else if owned.len() >= most && over < extra {
            over += 1;
            most
        } else {
            exact.push(m);
            least
        };
        lists[m].extend(owned[..keep].iter().map(|&tp| tp.clone()));
        taken.extend(owned[..keep].iter().map(|&tp| tp.clone()));
    }
    let mut free: Vec<_> = all_partitions(&subscribed).filter(|tp| !taken.contains(tp)).collect();

    if nearness.matters() {
        // Those with the fewest near members first, in turn to those below the minimum, else one more to another.
        free.sort_by_key(|tp| nearness.near(tp));
        let mut turn = 0;
        free.retain(|tp| {
            let in_turn = (0..below.len()).map(|i| (turn + i) % below.len());
            if let Some(at) = in_turn.into_iter().find(|&at| nearness.is_near(below[at], tp)) {
                let m = below[at];
                lists[m].push(tp.clone());
                turn = at + 1;
                if lists[m].len() >= least {
                    below.remove(at);
                    turn = at;
                    exact.push(m);
                }
                turn = if below.is_empty() { 0 } else { turn % below.len() };
                return false;
            }
            let Some(at) = exact.iter().position(|&m| over < extra && nearness.is_near(m, tp)) else { return true };
            over += 1;
            lists[exact.remove(at)].push(tp.clone());
            false
        });
    }

    // Round robin: first everyone to the minimum, then one more for as many as are left.
    let mut free = free.into_iter();
    let mut turn = 0;
    while !below.is_empty() {
        let Some(tp) = free.next() else { break };
        let m = below[turn];
        lists[m].push(tp);
        match lists[m].len() == least {
            true => exact.push(below.remove(turn)),
            false => turn += 1,
        }
        if turn >= below.len() {
            turn = 0;
        }
    }
    for (tp, m) in free.zip(exact) {
        lists[m].push(tp);
    }
    lists
}

/// Members subscribe to different topics.
fn general(counts: &Counts, members: &[Member], claims: &Claims, nearness: &Nearness<'_>) -> Vec<Vec<TopicPartition>> {
    let mut takers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for topic in counts.keys() {
        let mut list: Vec<usize> = (0..members.len()).filter(|&m| members[m].subscribes(topic)).collect();
        list.sort_by_key(|&m| &members[m].id);
        takers.insert(topic, list);
    }

    let mut lists: Vec<Vec<TopicPartition>> = vec![Vec::new(); members.len()];
    let mut taken: Set<TopicPartition> = Set::default();
    for (m, owned) in claims.owned.iter().enumerate() {
        for tp in owned.iter().filter(|tp| members[m].subscribes(&tp.topic)) {
            lists[m].push(tp.clone());
            taken.insert(tp.clone());
        }
    }

    // Those with the least choice first, each to the least loaded.
    let mut free: Vec<TopicPartition> = all_partitions(counts).filter(|tp| !taken.contains(tp)).collect();
    free.sort_by_key(|tp| takers[&*tp.topic].len());
    if nearness.matters() {
        free.retain(|tp| {
            let near = takers[&*tp.topic].iter().filter(|&&m| !nearness.is_far(m, tp));
            let Some(&m) = near.min_by_key(|&&m| lists[m].len()) else { return true };
            lists[m].push(tp.clone());
            false
        });
    }
    for tp in free {
        if let Some(&m) = takers[&*tp.topic].iter().min_by_key(|&&m| lists[m].len()) {
            lists[m].push(tp);
        }
    }

    while let Some((from, at, to)) = narrowing_move(&lists, &takers) {
        let tp = lists[from].remove(at);
        lists[to].push(tp);
    }
    lists
}

/// A partition whose move from a more to a less loaded member narrows their gap. Partitions gained last go first, so
/// that what was owned stays. Ends: each such move lowers the sum of squares of the loads.
fn narrowing_move(lists: &[Vec<TopicPartition>], takers: &BTreeMap<&str, Vec<usize>>) -> Option<(usize, usize, usize)> {
    let mut order: Vec<usize> = (0..lists.len()).collect();
    order.sort_by_key(|&m| std::cmp::Reverse(lists[m].len()));
    for from in order {
        for at in (0..lists[from].len()).rev() {
            let to = takers[&*lists[from][at].topic].iter().copied().min_by_key(|&m| lists[m].len())?;
            if lists[to].len() + 1 < lists[from].len() {
                return Some((from, at, to));
            }
        }
    }
    None
}
