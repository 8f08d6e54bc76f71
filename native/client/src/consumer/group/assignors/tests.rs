//! The assignors against Java's own (vectors.jsonl, made by test/oracle/AssignorVectors.java) and against their promises.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;

use super::super::protocol::{Subscription, decode_assignment, decode_member, encode_assignment};
use super::*;

fn partitions(value: &Value) -> Vec<TopicPartition> {
    let pair = |tp: &Value| TopicPartition::new(tp[0].as_str().unwrap(), tp[1].as_i64().unwrap() as i32);
    value.as_array().unwrap().iter().map(pair).collect()
}

fn bytes(value: &Value) -> Vec<u8> {
    let hex = value.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

fn cases() -> impl Iterator<Item = Value> {
    include_str!("vectors.jsonl").lines().map(|line| serde_json::from_str(line).unwrap())
}

fn member(value: &Value) -> Member {
    Member {
        id: value["id"].as_str().unwrap().to_owned(),
        instance_id: value["instance"].as_str().map(str::to_owned),
        topics: value["topics"].as_array().unwrap().iter().map(|t| t.as_str().unwrap().into()).collect(),
        owned: partitions(&value["owned"]),
        generation: value["generation"].as_i64().unwrap() as i32,
        rack: value["rack"].as_str().map(str::to_owned),
        user_data: None,
    }
}

#[test]
fn assignments_are_those_of_java() {
    for case in cases() {
        let assignor = Assignor::by_name(case["assignor"].as_str().unwrap()).unwrap();
        let members: Vec<Member> = case["members"].as_array().unwrap().iter().map(member).collect();
        let counts: Counts = case["topics"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(topic, _)| members.iter().any(|m| m.subscribes(topic)))
            .map(|(topic, count)| (topic.as_str().into(), count.as_i64().unwrap() as i32))
            .collect();
        let java: Vec<_> = case["members"].as_array().unwrap().iter().map(|m| partitions(&m["list"])).collect();
        let told = members.iter().map(|m| tell(assignor, m)).collect::<Vec<_>>();
        let ours = assignor.assign_near(&counts, &racks(&case["racks"]), &told);
        let ordered = matches!(assignor, Assignor::Range | Assignor::RoundRobin);
        if case["exact"].as_bool().unwrap() && (ordered || equal_topics(&members)) {
            assert_eq!(ours, java, "{case}");
        } else if !case["racks"].as_object().unwrap().is_empty() {
            // Members subscribe to different topics: what moves for balance differs. As even, and as near and faithful.
            let racks = racks(&case["racks"]);
            let near = |lists: &[Vec<TopicPartition>]| -> usize {
                let is_near = |m: &Member, tp: &&TopicPartition| {
                    m.rack.as_ref().is_some_and(|rack| racks[&tp.topic][tp.partition as usize].contains(&**rack))
                };
                members.iter().zip(lists).map(|(m, list)| list.iter().filter(|tp| is_near(m, tp)).count()).sum()
            };
            let sizes = |lists: &[Vec<TopicPartition>]| {
                let mut sizes: Vec<usize> = lists.iter().map(Vec::len).collect();
                sizes.sort_unstable();
                sizes
            };
            let stays = |lists: &[Vec<TopicPartition>]| near(lists) + kept(&members, lists);
            if assignor.is_cooperative() {
                let given: Vec<&TopicPartition> = ours.iter().flatten().collect();
                let owned = members.iter().flat_map(|m| &m.owned).filter(|tp| given.contains(tp)).count();
                assert_eq!(owned, kept(&members, &ours), "somebody else has it still: {case}");
            } else {
                assert_eq!(sizes(&ours), sizes(&java), "{case}");
                assert!(stays(&ours) >= stays(&java), "{case}\n{ours:?}");
            }
        } else {
            // Who of several equals gets one more depends on the order of Java's hash maps: as many are moved at most,
            // and the loads that result when all have moved are as even.
            assert!(kept(&members, &ours) >= kept(&members, &java), "{case}\n{ours:?}");
        }
    }
}

/// The racks of each partition's replicas.
fn racks(value: &Value) -> Racks {
    let names = |list: &Value| list.as_array().unwrap().iter().map(|rack| rack.as_str().unwrap().into()).collect();
    let topics = value.as_object().unwrap().iter();
    topics.map(|(t, list)| (t.as_str().into(), list.as_array().unwrap().iter().map(names).collect())).collect()
}

/// What a leader is told of a member: an eager one owns nothing when it joins, and the sticky one says what it had.
fn tell(assignor: Assignor, member: &Member) -> Member {
    let user_data = assignor.user_data(&member.owned, member.generation);
    match assignor {
        Assignor::Sticky => Member { owned: Vec::new(), user_data, ..member.clone() },
        _ => Member { user_data, ..member.clone() },
    }
}

fn equal_topics(members: &[Member]) -> bool {
    members.iter().all(|m| m.topics == members[0].topics)
}

fn kept(members: &[Member], lists: &[Vec<TopicPartition>]) -> usize {
    members.iter().zip(lists).map(|(m, list)| list.iter().filter(|tp| m.owned.contains(tp)).count()).sum()
}

#[test]
fn subscriptions_and_assignments_are_java_s_bytes() {
    for case in cases() {
        let assignor = Assignor::by_name(case["assignor"].as_str().unwrap()).unwrap();
        for value in case["members"].as_array().unwrap() {
            let member = tell(assignor, &member(value));
            let subscription = Subscription {
                topics: &member.topics,
                owned: &member.owned,
                generation: member.generation,
                rack: member.rack.as_deref().unwrap_or_default(),
                user_data: member.user_data.clone(),
            };
            let java = bytes(&value["subscription"]);
            assert_eq!(subscription.encode().unwrap(), java);
            assert_eq!(decode_member(&member.id, member.instance_id.as_deref(), java.into()).unwrap(), member);

            let java = bytes(&value["assignment"]);
            let list = partitions(&value["list"]);
            assert_eq!(encode_assignment(&list).unwrap(), java);
            assert_eq!(decode_assignment(java.into()).unwrap(), list);
        }
    }
}

#[test]
fn an_older_member_s_generation_is_read_from_its_user_data() {
    // Version 1: topics ["t"], user data of four bytes, owned [("t", [0])].
    let bytes = [0, 1, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 0];
    let member = decode_member("m", None, bytes.to_vec().into()).unwrap();
    assert_eq!((member.generation, member.owned), (7, vec![TopicPartition::new("t", 0)]));
}

#[test]
fn a_newer_version_than_ours_is_read_by_the_fields_we_know() {
    let mut bytes = Subscription { topics: &["t".into()], owned: &[], generation: 3, rack: "", user_data: None }
        .encode()
        .unwrap()
        .to_vec();
    bytes[1] = 9;
    bytes.extend([1, 2, 3, 4]);
    assert_eq!(decode_member("m", None, bytes.into()).unwrap().generation, 3);
}

#[test]
fn no_bytes_are_an_empty_assignment_and_nonsense_is_an_error() {
    assert_eq!(decode_assignment(Bytes::new()).unwrap(), vec![]);
    assert!(decode_assignment(Bytes::from_static(&[0, 0, 0x7f, 0xff, 0xff, 0xff])).is_err());
    assert!(decode_member("m", None, Bytes::from_static(&[0])).is_err());
}

// ---- promises ---------------------------------------------------------------------------------------------------

fn topic(i: usize) -> Arc<str> {
    format!("t{i}").into()
}

fn groups(equal: bool) -> impl Strategy<Value = (Counts, Vec<Member>)> {
    let counts = prop::collection::vec(1..9i32, 1..5);
    let members = prop::collection::vec((prop::collection::btree_set(0..4usize, 1..4), any::<bool>()), 1..8);
    (counts, members).prop_map(move |(counts, specs)| {
        let counts: Counts = counts.into_iter().enumerate().map(|(i, n)| (topic(i), n)).collect();
        let first = specs[0].0.clone();
        let members: Vec<Member> = specs
            .into_iter()
            .enumerate()
            .map(|(i, (topics, is_static))| Member {
                id: format!("m{i}"),
                instance_id: is_static.then(|| format!("i{}", 9 - i)),
                topics: if equal { first.iter() } else { topics.iter() }.map(|&t| topic(t)).collect(),
                generation: -1,
                ..Member::default()
            })
            .collect();
        let subscribed = |topic: &Arc<str>| members.iter().any(|m| m.subscribes(topic));
        (counts.into_iter().filter(|(t, _)| subscribed(t)).collect(), members)
    })
}

fn everything(counts: &Counts) -> BTreeSet<TopicPartition> {
    counts.iter().flat_map(|(t, &n)| (0..n).map(|p| TopicPartition::new(t.clone(), p))).collect()
}

/// Each partition once, and only to members that subscribe to its topic.
fn assert_complete(counts: &Counts, members: &[Member], lists: &[Vec<TopicPartition>]) {
    let given: Vec<_> = lists.iter().flatten().cloned().collect();
    assert_eq!(given.len(), given.iter().collect::<BTreeSet<_>>().len(), "one partition twice: {lists:?}");
    assert_eq!(given.into_iter().collect::<BTreeSet<_>>(), everything(counts));
    for (member, list) in members.iter().zip(lists) {
        assert!(list.iter().all(|tp| member.subscribes(&tp.topic)));
    }
}

/// No partition could go to a member that has two fewer.
fn assert_balanced(members: &[Member], lists: &[Vec<TopicPartition>]) {
    for list in lists {
        for tp in list {
            for (other, fewer) in members.iter().zip(lists).filter(|(m, _)| m.subscribes(&tp.topic)) {
                assert!(fewer.len() + 1 >= list.len(), "{tp} should go to {}: {lists:?}", other.id);
            }
        }
    }
}

/// Cooperative rounds until nothing moves: what a group does after a change.
fn settle(counts: &Counts, members: &mut [Member], mut generation: i32) -> Vec<Vec<TopicPartition>> {
    for _ in 0..4 {
        let lists = Assignor::CooperativeSticky.assign(counts, members);
        generation += 1;
        let mut revoked = false;
        for (member, list) in members.iter_mut().zip(&lists) {
            revoked |= member.owned.iter().any(|tp| !list.contains(tp));
            member.owned.clone_from(list);
            member.generation = generation;
        }
        if !revoked {
            return lists;
        }
    }
    panic!("the group does not settle");
}

proptest! {
    #[test]
    fn range_gives_each_partition_once((counts, members) in groups(false)) {
        assert_complete(&counts, &members, &Assignor::Range.assign(&counts, &members));
    }

    #[test]
    fn range_cuts_each_topic_evenly((counts, members) in groups(false)) {
        let lists = Assignor::Range.assign(&counts, &members);
        for topic in counts.keys() {
            let sizes: Vec<_> = members.iter().zip(&lists).filter(|(m, _)| m.subscribes(topic))
                .map(|(_, list)| list.iter().filter(|tp| tp.topic == *topic).count()).collect();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
        }
    }

    #[test]
    fn sticky_is_complete_and_balanced((counts, mut members) in prop_oneof![groups(true), groups(false)]) {
        let lists = settle(&counts, &mut members, 0);
        assert_complete(&counts, &members, &lists);
        assert_balanced(&members, &lists);
    }

    #[test]
    fn sticky_settles_after_any_change_and_moves_nothing_without_one(
        (counts, mut members) in prop_oneof![groups(true), groups(false)],
        gone in any::<prop::sample::Index>(),
        grown in any::<prop::sample::Index>(),
        join in any::<bool>(),
    ) {
        settle(&counts, &mut members, 0);
        let before = members.clone();
        prop_assert_eq!(kept(&before, &settle(&counts, &mut members, 10)), everything(&counts).len());

        let mut counts = counts;
        if join {
            let topics = members[0].topics.clone();
            members.push(Member { id: "late".into(), topics, generation: -1, ..Member::default() });
        } else if members.len() > 1 {
            members.remove(gone.index(members.len()));
        }
        prop_assume!(!counts.is_empty());
        let topic = counts.keys().nth(grown.index(counts.len())).unwrap().clone();
        *counts.get_mut(&topic).unwrap() += 2;
        counts.retain(|topic, _| members.iter().any(|m| m.subscribes(topic)));
        let lists = settle(&counts, &mut members, 20);
        assert_complete(&counts, &members, &lists);
        assert_balanced(&members, &lists);
    }

    #[test]
    fn nobody_gets_what_another_still_owns((counts, members) in groups(true), owners in prop::collection::vec(any::<prop::sample::Index>(), 40), generations in prop::collection::vec(-1..3i32, 8)) {
        let mut members = members;
        for (tp, owner) in everything(&counts).into_iter().zip(&owners) {
            let owner = owner.index(members.len());
            members[owner].owned.push(tp);
        }
        for (member, generation) in members.iter_mut().zip(&generations) {
            member.generation = *generation;
        }
        let lists = Assignor::CooperativeSticky.assign(&counts, &members);
        for (m, list) in lists.iter().enumerate() {
            for tp in list {
                prop_assert!(members.iter().enumerate().all(|(o, other)| o == m || !other.owned.contains(tp)));
            }
        }
    }

    #[test]
    fn few_partitions_move_when_one_member_comes((counts, mut members) in groups(true)) {
        settle(&counts, &mut members, 0);
        let total = everything(&counts).len();
        let topics = members[0].topics.clone();
        members.push(Member { id: "late".into(), topics, generation: -1, ..Member::default() });
        let before = members.clone();
        let lists = settle(&counts, &mut members, 10);
        // Only what the new one gets has moved.
        prop_assert_eq!(kept(&before, &lists), total - lists.last().unwrap().len());
    }
}
