//! The assignors of KIP-848's groups, `uniform` and `range`: who shall have which partitions. Both keep as much as they can
//! of what was decided before. Not who has them now: that is `member`. Pure functions, driven by `Consumer`.

use std::collections::{BTreeMap, BTreeSet};

use dohle_protocol::Uuid;

/// Partitions by topic.
pub(crate) type Partitions = BTreeMap<Uuid, BTreeSet<i32>>;

/// Who decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Assignor {
    /// Everyone gets the same number of partitions, give or take one.
    #[default]
    Uniform,
    /// Everyone gets a range of each topic, the same one of topics with as many partitions.
    Range,
}

/// What an assignor knows of a member.
pub(super) struct Subscriber {
    /// Ids of the topics it wants, all of which exist.
    pub topics: BTreeSet<Uuid>,
    /// What it was to have until now.
    pub before: Partitions,
}

impl Assignor {
    /// Kafka's names for all of them, the default first.
    pub const NAMES: &'static str = "uniform, range";

    /// From its name in a request.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Uniform, Self::Range].into_iter().find(|assignor| assignor.name() == name)
    }

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// What each of the members shall have; `counts` are the partitions of each topic.
    pub(super) fn assign(self, members: &[Subscriber], counts: &BTreeMap<Uuid, i32>) -> Vec<Partitions> {
        match self {
            _ if members.is_empty() => Vec::new(),
            Self::Range => range(members, counts),
            Self::Uniform if members.iter().all(|member| member.topics == members[0].topics) => {
                uniform(members, counts)
            }
            Self::Uniform => balanced(members, counts),
        }
    }
}

/// Topic by topic: everyone keeps the lowest of what it had, up to its share, and the rest goes round in ranges.
fn range(members: &[Subscriber], counts: &BTreeMap<Uuid, i32>) -> Vec<Partitions> {
    let mut shares = vec![Partitions::new(); members.len()];
    for (topic, count) in counts {
        let readers: Vec<usize> = (0..members.len()).filter(|m| members[*m].topics.contains(topic)).collect();
        let Some((least, mut extra)) = divide(*count as usize, readers.len()) else { continue };
        let mut left: BTreeSet<i32> = (0..*count).collect();
        let mut wanting = Vec::new();
        for reader in readers {
            let before = members[reader].before.get(topic).map_or(0, BTreeSet::len);
            let keeps_more = before > least && extra > 0;
            extra -= usize::from(keeps_more);
            let kept = members[reader].before.get(topic).into_iter().flatten().take(least + usize::from(keeps_more));
            let kept: BTreeSet<i32> = kept.copied().collect();
            left.retain(|partition| !kept.contains(partition));
            if !keeps_more {
                wanting.push((reader, least - kept.len()));
            }
            put(&mut shares[reader], *topic, kept);
        }
        let mut left = left.into_iter();
        for (reader, missing) in wanting {
            let more = usize::from(extra > 0);
            extra -= more;
            put(&mut shares[reader], *topic, left.by_ref().take(missing + more));
        }
    }
    shares
}

/// All want the same topics: everyone keeps what it had, up to its share, and the rest goes to those with less.
fn uniform(members: &[Subscriber], counts: &BTreeMap<Uuid, i32>) -> Vec<Partitions> {
    let mut left: BTreeSet<(Uuid, i32)> = all_of(&members[0].topics, counts).collect();
    let Some((least, mut extra)) = divide(left.len(), members.len()) else { return Vec::new() };
    let mut shares = Vec::with_capacity(members.len());
    for member in members {
        let mut kept = Partitions::new();
        let (mut room, mut may_have_more) = (least, extra > 0);
        for (topic, partition) in flat(&member.before).filter(|partition| left.contains(partition)).collect::<Vec<_>>()
        {
            if room == 0 && !std::mem::take(&mut may_have_more) {
                break;
            }
            extra -= usize::from(room == 0);
            room = room.saturating_sub(1);
            left.remove(&(topic, partition));
            put(&mut kept, topic, [partition]);
        }
        shares.push(kept);
    }
    let mut left = left.into_iter();
    for share in &mut shares {
        let has = flat(share).count();
        let more = usize::from(extra > 0 && has <= least);
        extra -= more;
        left.by_ref()
            .take((least + more).saturating_sub(has))
            .for_each(|(topic, partition)| put(share, topic, [partition]));
    }
    shares
}

/// Members want different topics: everyone keeps what it had, the rest goes to whoever has least, and then partitions move
/// for as long as a move evens the members out.
fn balanced(members: &[Subscriber], counts: &BTreeMap<Uuid, i32>) -> Vec<Partitions> {
    let mut readers = BTreeMap::<Uuid, Vec<usize>>::new();
    for (at, member) in members.iter().enumerate() {
        member.topics.iter().for_each(|topic| readers.entry(*topic).or_default().push(at));
    }
    let mut owner = BTreeMap::<(Uuid, i32), usize>::new();
    let mut sizes = vec![0; members.len()];
    for (at, member) in members.iter().enumerate() {
        for partition in flat(&member.before).filter(|(topic, _)| member.topics.contains(topic)) {
            let exists = counts.get(&partition.0).is_some_and(|count| partition.1 < *count);
            if exists && !owner.contains_key(&partition) {
                owner.insert(partition, at);
                sizes[at] += 1;
            }
        }
    }
    // Those with the fewest to choose from come first, as in Kafka: they fit in the fewest places.
    let mut order: Vec<(Uuid, i32)> = readers.keys().flat_map(|topic| all_of([topic], counts)).collect();
    order.sort_by(|a, b| {
        let of = |topic: &Uuid| (f64::from(counts[topic]) / readers[topic].len() as f64, readers[topic].len());
        let ((a_load, a_readers), (b_load, b_readers)) = (of(&a.0), of(&b.0));
        b_load.total_cmp(&a_load).then(a_readers.cmp(&b_readers)).then(a.1.cmp(&b.1)).then(a.0.cmp(&b.0))
    });
    let emptiest = |sizes: &[usize], topic: &Uuid| readers[topic].iter().copied().min_by_key(|at| (sizes[*at], *at));
    for partition in &order {
        if let (None, Some(at)) = (owner.get(partition), emptiest(&sizes, &partition.0)) {
            owner.insert(*partition, at);
            sizes[at] += 1;
        }
    }
    // Every move makes the sum of squares smaller, so this ends.
    let mut moved = true;
    while std::mem::take(&mut moved) {
        for partition in &order {
            let (Some(from), Some(to)) = (owner.get(partition).copied(), emptiest(&sizes, &partition.0)) else {
                continue;
            };
            if sizes[to] + 1 < sizes[from] {
                owner.insert(*partition, to);
                (sizes[from], sizes[to], moved) = (sizes[from] - 1, sizes[to] + 1, true);
            }
        }
    }
    let mut shares = vec![Partitions::new(); members.len()];
    owner.into_iter().for_each(|((topic, partition), at)| put(&mut shares[at], topic, [partition]));
    shares
}

/// Everyone's least share, and how many get one more.
fn divide(partitions: usize, members: usize) -> Option<(usize, usize)> {
    Some((partitions.checked_div(members)?, partitions.checked_rem(members)?))
}

fn all_of<'a>(
    topics: impl IntoIterator<Item = &'a Uuid>,
    counts: &BTreeMap<Uuid, i32>,
) -> impl Iterator<Item = (Uuid, i32)> {
    let count = |topic: &Uuid| counts.get(topic).copied().unwrap_or(0);
    topics.into_iter().flat_map(move |topic| (0..count(topic)).map(|partition| (*topic, partition)))
}

/// One by one.
pub(crate) fn flat(partitions: &Partitions) -> impl Iterator<Item = (Uuid, i32)> {
    partitions.iter().flat_map(|(topic, all)| all.iter().map(|partition| (*topic, *partition)))
}

fn put(share: &mut Partitions, topic: Uuid, partitions: impl IntoIterator<Item = i32>) {
    let mut partitions = partitions.into_iter().peekable();
    if partitions.peek().is_some() {
        share.entry(topic).or_default().extend(partitions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Uuid = Uuid([1; 16]);
    const B: Uuid = Uuid([2; 16]);

    fn counts(all: &[(Uuid, i32)]) -> BTreeMap<Uuid, i32> {
        all.iter().copied().collect()
    }

    fn newcomer(topics: &[Uuid]) -> Subscriber {
        Subscriber { topics: topics.iter().copied().collect(), before: Partitions::new() }
    }

    /// The same members, who were told `shares`.
    fn told(members: &[Subscriber], shares: Vec<Partitions>) -> Vec<Subscriber> {
        let one = |(member, before): (&Subscriber, Partitions)| Subscriber { topics: member.topics.clone(), before };
        members.iter().zip(shares).map(one).collect()
    }

    fn sizes(shares: &[Partitions]) -> Vec<usize> {
        shares.iter().map(|share| flat(share).count()).collect()
    }

    fn check(members: &[Subscriber], shares: &[Partitions], counts: &BTreeMap<Uuid, i32>) {
        let mut given: Vec<(Uuid, i32)> = shares.iter().flat_map(flat).collect();
        given.sort_unstable();
        let wanted: BTreeSet<Uuid> = members.iter().flat_map(|member| member.topics.iter().copied()).collect();
        assert_eq!(given, all_of(&wanted, counts).collect::<Vec<_>>(), "every partition once");
        for (member, share) in members.iter().zip(shares) {
            assert!(share.keys().all(|topic| member.topics.contains(topic)), "nothing that is not wanted");
        }
    }

    #[test]
    fn range_gives_members_the_same_ranges_of_topics_of_the_same_size() {
        let (members, counts) = ([newcomer(&[A, B]), newcomer(&[A, B])], counts(&[(A, 3), (B, 3)]));
        let shares = Assignor::Range.assign(&members, &counts);
        let one = |partitions: &[i32]| BTreeSet::from_iter(partitions.iter().copied());
        assert_eq!(shares[0], Partitions::from([(A, one(&[0, 1])), (B, one(&[0, 1]))]));
        assert_eq!(shares[1], Partitions::from([(A, one(&[2])), (B, one(&[2]))]));
    }

    #[test]
    fn uniform_evens_out_over_topics_where_range_does_not() {
        let (members, counts) = ([newcomer(&[A, B]), newcomer(&[A, B])], counts(&[(A, 3), (B, 3)]));
        assert_eq!(sizes(&Assignor::Uniform.assign(&members, &counts)), [3, 3]);
        assert_eq!(sizes(&Assignor::Range.assign(&members, &counts)), [4, 2]);
    }

    #[test]
    fn a_newcomer_takes_from_the_others_and_nothing_moves_between_them() {
        for assignor in [Assignor::Uniform, Assignor::Range] {
            let (members, counts) = ([newcomer(&[A]), newcomer(&[A])], counts(&[(A, 7)]));
            let before = assignor.assign(&members, &counts);
            assert_eq!(sizes(&before), [4, 3], "{assignor:?}");
            let mut members = told(&members, before.clone());
            members.push(newcomer(&[A]));
            let after = assignor.assign(&members, &counts);
            check(&members, &after, &counts);
            assert_eq!(sizes(&after), [3, 2, 2], "{assignor:?}");
            for (before, after) in before.iter().zip(&after) {
                assert!(flat(after).all(|partition| flat(before).any(|had| had == partition)), "{assignor:?}");
            }
        }
    }

    #[test]
    fn whoever_has_one_more_keeps_it() {
        let mut members = vec![newcomer(&[A]), newcomer(&[A])];
        members[0].before = Partitions::from([(A, BTreeSet::from([0]))]);
        members[1].before = Partitions::from([(A, BTreeSet::from([1, 2]))]);
        for assignor in [Assignor::Uniform, Assignor::Range] {
            let shares = assignor.assign(&members, &counts(&[(A, 3)]));
            assert_eq!(shares, [members[0].before.clone(), members[1].before.clone()], "{assignor:?}");
        }
    }

    #[test]
    fn members_of_different_topics_are_evened_out() {
        let counts = counts(&[(A, 4), (B, 4)]);
        let members = [newcomer(&[A]), newcomer(&[A, B]), newcomer(&[B])];
        let shares = Assignor::Uniform.assign(&members, &counts);
        check(&members, &shares, &counts);
        assert!(sizes(&shares).iter().all(|size| (2..=3).contains(size)), "{shares:?}");
        // The last one goes: its topic's only other reader gets all of it, and gives up what another can have.
        let left = told(&members[..2], shares[..2].to_vec());
        let shares = Assignor::Uniform.assign(&left, &counts);
        check(&left, &shares, &counts);
        assert_eq!(sizes(&shares), [4, 4]);
    }

    #[test]
    fn more_members_than_partitions_leave_some_with_nothing() {
        for assignor in [Assignor::Uniform, Assignor::Range] {
            let (members, counts) = ([newcomer(&[A]), newcomer(&[A]), newcomer(&[A])], counts(&[(A, 2)]));
            assert_eq!(sizes(&assignor.assign(&members, &counts)), [1, 1, 0], "{assignor:?}");
        }
        assert_eq!(sizes(&Assignor::Uniform.assign(&[newcomer(&[])], &BTreeMap::new())), [0]);
    }

    #[test]
    fn every_sequence_of_arrivals_and_departures_ends_balanced_with_every_partition_given_once() {
        let mut seed = 7_u64;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % below
        };
        for assignor in [Assignor::Uniform, Assignor::Range] {
            for _ in 0..50 {
                let counts = counts(&[(A, 1 + random(9) as i32), (B, 1 + random(9) as i32)]);
                let mut members: Vec<Subscriber> = Vec::new();
                for _ in 0..20 {
                    if members.is_empty() || random(3) > 0 {
                        let wants: &[Uuid] = [&[A, B][..], &[A], &[B]][random(3)];
                        members.push(newcomer(wants));
                    } else {
                        members.remove(random(members.len()));
                    }
                    let shares = assignor.assign(&members, &counts);
                    check(&members, &shares, &counts);
                    members = told(&members, shares.clone());
                    assert_eq!(
                        assignor.assign(&members, &counts),
                        shares,
                        "{assignor:?}: nothing changed, nothing moves"
                    );
                }
            }
        }
    }
}
