//! Groups that are loaded are those that were written, whatever the log's end and whatever else is in it.

use std::{fmt::Write, time::Duration};

use bytes::Bytes;
use dohle_protocol::{ErrorCode, Uuid};
use tokio::{sync::oneshot, time::Instant};

use super::*;
use crate::{
    config::TopicConfig,
    coordinator::Ledger,
    group::{
        Commit, Identity, JoinAsk, JoinReply, Offset, Policy, SyncAsk, SyncReply,
        consumer::{Beat, Member, Sight},
    },
    log::Marker,
    topics::Topics,
};

const POLICY: Policy = Policy { upgrade: true, downgrade: true, max_size: 10 };

/// Groups, loaded from a ledger.
fn load(ledger: &Ledger) -> Groups {
    let groups = Groups::new(POLICY, ledger.clone());
    let clock = Clock { now: Instant::now(), now_ms: ledger.now_ms() };
    groups.coordinate(&Loading { clock, session_timeout: Duration::from_secs(45) });
    groups
}

/// What clients could find out of groups, but for when a session ends.
fn told(groups: &Groups) -> String {
    let mut told = String::new();
    groups.each(|id, group| {
        // One that has nothing left is nothing, but for its id.
        if group.forgettable() {
            return;
        }
        write!(told, "{id} {}", group.state()).unwrap();
        if let Some(classic) = group.classic() {
            write!(
                told,
                " {} {} {:?}",
                classic.generation(),
                classic.protocol(),
                classic
                    .members()
                    .map(|member| {
                        (
                            &member.id,
                            &member.instance_id,
                            &member.client_host,
                            member.session_timeout,
                            &member.assignment,
                        )
                    })
                    .collect::<Vec<_>>()
            )
            .unwrap();
        }
        if let Some(consumer) = group.consumer() {
            let members = consumer.members().cloned();
            let members = members.map(|of| Member { session_deadline: None, revoke_deadline: None, ..of });
            let members: Vec<Member> = members.collect();
            write!(told, " {} {} {members:?}", consumer.epoch, consumer.assignment_epoch).unwrap();
        }
        for (topic, partitions) in group.offsets.all() {
            for (index, committed) in partitions {
                let unstable = group.offsets.is_unstable(topic, *index);
                let Committed { offset, leader_epoch, metadata, .. } = committed;
                write!(told, " {topic}-{index}: {offset} {leader_epoch} {metadata} {unstable}").unwrap();
            }
        }
        told.push('\n');
    });
    told
}

fn outsider() -> Identity {
    Identity { generation: -1, ..Identity::default() }
}

fn commit(groups: &Groups, group_id: &str, who: &Identity, from: Origin, at: &[(i32, i64)]) -> Result<(), ErrorCode> {
    let commit = Commit { who, partitions: &[], from, knows_epochs: true };
    let offset = |(partition, offset): &(i32, i64)| {
        let committed = Committed { offset: *offset, leader_epoch: 3, metadata: "m".into(), ..Committed::default() };
        Offset { topic: "t".into(), topic_id: Uuid([1; 16]), partition: *partition, committed }
    };
    groups.commit(group_id, &commit, || at.iter().map(offset).collect())
}

fn ask(group_id: &str, member_id: &str, instance: Option<&str>) -> JoinAsk {
    JoinAsk {
        group_id: group_id.into(),
        member_id: member_id.into(),
        new_member_id: format!("new-{}", instance.unwrap_or("member")),
        instance_id: instance.map(Into::into),
        client_id: "client".into(),
        client_host: "/1.2.3.4".into(),
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(20),
        protocol_type: "consumer".into(),
        protocols: vec![("range".into(), Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff"))],
        id_first: false,
        may_skip_assignment: false,
        initial_delay: Duration::ZERO,
    }
}

async fn joined(answer: oneshot::Receiver<JoinReply>) -> Identity {
    let joined = answer.await.unwrap();
    assert_eq!(joined.error, ErrorCode::NONE);
    Identity { member_id: joined.member_id, instance_id: None, generation: joined.generation }
}

async fn synced(groups: &Groups, group_id: &str, who: &Identity, topics: &Topics) -> SyncReply {
    let assignments = vec![(who.member_id.clone(), Bytes::from_static(b"assigned"))];
    let ask = SyncAsk { who: who.clone(), protocol_type: None, protocol: None, assignments };
    groups.sync(group_id, ask, topics).await.unwrap()
}

/// A heartbeat of KIP-848: the member's epoch, and the partitions of `t` that it has.
fn beat(group_id: &str, member_id: &str, epoch: i32, owned: &[i32]) -> Beat {
    let joins = epoch == 0;
    Beat {
        group_id: group_id.into(),
        member_id: member_id.into(),
        epoch,
        instance_id: (member_id == "static").then(|| "instance".into()),
        rack_id: None,
        client_id: "client".into(),
        client_host: "/1.2.3.4".into(),
        rebalance_timeout: joins.then(|| Duration::from_secs(20)),
        topics: joins.then(|| vec!["t".into()]),
        regex: None,
        sight: Sight::default(),
        assignor: None,
        owned: Some(owned.iter().map(|partition| (T, *partition)).collect()),
        session_timeout: Duration::from_secs(45),
        max_size: 10,
    }
}

const T: Uuid = Uuid([1; 16]);

/// The topic `t`, which has four partitions.
fn with_topic(ledger: &Ledger) -> &Topics {
    let config = TopicConfig::new(&crate::BrokerOptions::default(), Vec::new()).unwrap();
    // Another life has made it.
    let _ = ledger.topics().create("t", T, vec![crate::cluster::Standing::of_one(1); 4], config);
    ledger.topics()
}

/// A life of a group of KIP-848: members come, give up what others shall have, and go.
fn live_by_heartbeats(groups: &Groups, topics: &Topics, mut step: impl FnMut()) {
    let mut beat = |member: &str, epoch, owned: &[i32]| {
        let told = groups.beat(beat("n", member, epoch, owned), topics).unwrap();
        step();
        let partitions = told.assignment.map(|of| of.get(&T).map_or(Vec::new(), |all| all.iter().copied().collect()));
        (told.epoch, partitions)
    };
    assert_eq!(beat("x", 0, &[]), (2, Some(vec![0, 1, 2, 3])));
    let (epoch, none) = beat("static", 0, &[]);
    assert_eq!((epoch, none), (3, Some(Vec::new())));
    let (epoch, kept) = beat("x", 2, &[0, 1, 2, 3]);
    let kept = kept.unwrap();
    assert_eq!((epoch, kept.len()), (2, 2));
    assert_eq!(beat("x", 2, &kept).0, 3);
    assert_eq!(beat("static", 3, &[]).1.unwrap().len(), 2);
    assert_eq!(beat("x", 3, &kept), (3, None));
    groups.part("n", ("static", Some("instance")), -2, topics).unwrap();
    step();
    groups.part("n", ("x", None), -1, topics).unwrap();
    step();
}

fn marker(producer_id: i64, commit: bool) -> Marker {
    Marker { producer_id, epoch: 1, commit, coordinator_epoch: 0 }
}

/// A life of some groups in one partition; answers what was told of them after each step, with the end of the log then.
async fn live(ledger: &Ledger) -> Vec<(i64, String)> {
    let (groups, topics) = (load(ledger), with_topic(ledger));
    let mut steps = vec![(0, told(&groups))];
    let mut step = || steps.push((ledger.end_of(0), told(&groups)));
    let from = |producer_id| Origin::Transaction { producer_id, epoch: 1 };
    for offset in [4, 5] {
        commit(&groups, "a", &outsider(), Origin::Coordinator, &[(0, offset), (1, 2 * offset)]).unwrap();
        step();
    }
    let who = joined(groups.join(ask("c", "", None), topics)).await;
    assert_eq!(synced(&groups, "c", &who, topics).await.assignment, "assigned");
    step();
    commit(&groups, "c", &who, Origin::Coordinator, &[(0, 9)]).unwrap();
    step();
    commit(&groups, "c", &who, from(7), &[(0, 10)]).unwrap();
    step();
    commit(&groups, "a", &outsider(), from(8), &[(0, 11), (2, 12)]).unwrap();
    step();
    groups.end_transaction(0, &marker(7, true)).unwrap();
    step();
    groups.end_transaction(0, &marker(8, false)).unwrap();
    step();
    let fixed = joined(groups.join(ask("s", "", Some("fixed")), topics)).await;
    assert_eq!(synced(&groups, "s", &fixed, topics).await.error, ErrorCode::NONE);
    step();
    // The static member comes back: what it has stays, under another id.
    let again = JoinAsk { new_member_id: "again".into(), ..ask("s", "", Some("fixed")) };
    assert_eq!(joined(groups.join(again, topics)).await.member_id, "again");
    step();
    assert!(groups.leave("c", &[(who.member_id, None)], topics)[0].is_ok());
    step();
    assert!(groups.leave("s", &[("again".into(), None)], topics)[0].is_ok());
    step();
    live_by_heartbeats(&groups, topics, &mut step);
    groups.delete_offsets("a", |_| Ok(((), vec![("t".into(), 1)]))).unwrap();
    step();
    groups.delete("c").unwrap();
    step();
    groups.forget_topic("t");
    step();
    steps
}

#[tokio::test(start_paused = true)]
async fn wherever_the_log_ends_the_groups_are_those_of_then() {
    let ledger = Ledger::of_a_test(1);
    let steps = live(&ledger).await;
    assert!(steps.len() > 22 && steps.is_sorted_by_key(|(end, _)| *end));
    assert!(steps[9].1.contains("new-fixed") && steps[10].1.contains("again"), "{steps:#?}");
    for (end, expected) in steps.iter().rev() {
        ledger.cut(0, *end);
        assert_eq!(told(&load(&ledger)), *expected, "the log ends at {end}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_inside_of_a_step_leaves_what_was_there_before_or_behind_it() {
    let ledger = Ledger::of_a_test(1);
    let steps = live(&ledger).await;
    for end in (0..=steps.last().unwrap().0).rev() {
        ledger.cut(0, end);
        let found = told(&load(&ledger));
        let around: Vec<&(i64, String)> =
            steps.windows(2).filter(|step| (step[0].0..=step[1].0).contains(&end)).flatten().collect();
        // Of a group that goes, the offsets have gone first.
        let was = |line: &str| around.iter().any(|(_, told)| told.lines().any(|whole| whole.starts_with(line)));
        assert!(found.lines().all(was), "the log ends at {end}: {found}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_is_passed_over() {
    let ledger = Ledger::of_a_test(1);
    let groups = load(&ledger);
    commit(&groups, "a", &outsider(), Origin::Coordinator, &[(0, 4)]).unwrap();
    let expected = told(&groups);
    let key = records::classic_key("b").unwrap();
    let mut noise = 7_u64;
    let mut bytes = |length: usize| -> Bytes {
        let byte = |_| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (noise >> 56) as u8
        };
        (0..length).map(byte).collect()
    };
    for kind in 0..20_i16 {
        for length in 0..24 {
            let mut named = kind.to_be_bytes().to_vec();
            named.extend_from_slice(&bytes(length));
            let entries = [
                Entry { key: named.into(), value: Some(bytes(length)) },
                Entry { key: bytes(length), value: None },
                Entry { key: key.clone(), value: Some(bytes(length)) },
                // A version, and then nothing that fits it.
                Entry { key: key.clone(), value: Some([&[0, (kind % 5) as u8], &*bytes(length)].concat().into()) },
            ];
            ledger.append(0, &entries, Origin::Coordinator).unwrap();
        }
    }
    let found = told(&load(&ledger));
    assert!(found.lines().any(|line| expected.lines().any(|told| told == line)), "{found}");
}

#[tokio::test(start_paused = true)]
async fn a_member_goes_on_after_loading_and_one_that_does_not_is_taken_out() {
    let ledger = Ledger::of_a_test(1);
    let (groups, topics) = (load(&ledger), Topics::default());
    let who = joined(groups.join(ask("g", "", None), &topics)).await;
    assert_eq!(groups.ready("g"), Ok(()));
    synced(&groups, "g", &who, &topics).await;
    groups.unload(0);
    // It is still this node's, as its partition's log is.
    let loading = Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    assert_eq!((groups.ready("g"), groups.heartbeat("g", &who)), (loading, loading));
    tokio::time::advance(Duration::from_secs(60)).await;
    let groups = load(&ledger);
    assert_eq!(groups.heartbeat("g", &who), Ok(()));
    let synced = synced(&groups, "g", &who, &topics).await;
    assert_eq!((synced.error, &*synced.assignment), (ErrorCode::NONE, &b"assigned"[..]));
    assert_eq!(groups.heartbeat("g", &Identity { generation: 9, ..who.clone() }), Err(ErrorCode::ILLEGAL_GENERATION));
    let due = groups.with("g", |group| group.unwrap().next_deadline().unwrap());
    assert_eq!(due - Instant::now(), Duration::from_secs(10), "its session begins anew");
}

#[tokio::test(start_paused = true)]
async fn a_member_of_kip_848_goes_on_after_loading_in_its_epoch() {
    let ledger = Ledger::of_a_test(1);
    let (groups, topics) = (load(&ledger), with_topic(&ledger));
    groups.beat(beat("g", "x", 0, &[]), topics).unwrap();
    groups.beat(beat("g", "static", 0, &[]), topics).unwrap();
    groups.beat(beat("g", "x", 2, &[0, 1, 2, 3]), topics).unwrap();
    let groups = load(&ledger);
    let due = groups.with("g", |group| group.unwrap().next_deadline().unwrap());
    assert_eq!(due - Instant::now(), Duration::from_secs(20), "what it must give up, it must give up in time");
    let told = groups.beat(beat("g", "x", 2, &[0, 1]), topics).unwrap();
    assert_eq!((told.epoch, told.assignment), (3, None), "it was told before");
    assert_eq!(groups.beat(beat("g", "static", 3, &[]), topics).unwrap().epoch, 3);
    let groups = load(&ledger);
    assert_eq!(groups.with("g", |group| group.unwrap().state()), "Stable");
    let late = groups.beat(beat("g", "x", 1, &[]), topics).unwrap_err();
    assert_eq!(late.0, ErrorCode::FENCED_MEMBER_EPOCH);
    groups.delete("g").unwrap_err();
    tokio::time::advance(Duration::from_secs(46)).await;
    groups.with("g", |group| assert!(group.unwrap().next_deadline().unwrap() <= Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_told_when_the_group_goes_elsewhere() {
    let ledger = Ledger::of_a_test(1);
    let (groups, topics) = (load(&ledger), Topics::default());
    let who = joined(groups.join(ask("g", "", None), &topics)).await;
    let first = groups.join(ask("g", &who.member_id, None), &topics);
    let second = groups.join(JoinAsk { new_member_id: "second".into(), ..ask("g", "", None) }, &topics);
    groups.unload(0);
    let codes = [first.await.unwrap().error, second.await.unwrap().error];
    assert!(codes.contains(&ErrorCode::NOT_COORDINATOR), "{codes:?}");
}
