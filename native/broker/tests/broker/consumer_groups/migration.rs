//! A deployment goes from the classic protocol to KIP-848 and back while it runs (`group.consumer.migration.policy`).

use bytes::{BufMut, Bytes, BytesMut};
use dohle_protocol::{
    Decoder, Encoder, Message,
    messages::{
        ConsumerProtocolAssignment, ConsumerProtocolSubscription, SyncGroupRequest, consumer_protocol_assignment,
        consumer_protocol_subscription, sync_group_request::SyncGroupRequestAssignment,
    },
};

use super::*;

/// A member of the classic protocol, with a cooperative assignor: it says what it has, and keeps that when it joins again.
struct Old {
    connection: Connection,
    group: String,
    id: String,
    generation: i32,
    topic: String,
    partitions: i32,
    has: BTreeSet<i32>,
}

fn versioned(message: &impl Message) -> Bytes {
    let mut encoder = Encoder::new();
    message.encode(&mut encoder, 1).unwrap();
    let mut bytes = BytesMut::new();
    bytes.put_i16(1);
    bytes.extend_from_slice(&encoder.finish().to_bytes());
    bytes.freeze()
}

impl Old {
    async fn new(place: &Place, topic: &Topic, partitions: i32) -> Self {
        let (connection, group) = (place.connection().await, place.name("g"));
        let (id, has) = (String::new(), BTreeSet::new());
        Self { connection, group, id, generation: -1, topic: topic.name.clone(), partitions, has }
    }

    /// JoinGroup until it is in; answers the members, when it is the leader.
    async fn join(&mut self) -> Vec<String> {
        loop {
            let owned = consumer_protocol_subscription::TopicPartition {
                topic: self.topic.clone(),
                partitions: self.has.iter().copied().collect(),
            };
            let subscription = ConsumerProtocolSubscription {
                topics: vec![self.topic.clone()],
                owned_partitions: vec![owned],
                ..Default::default()
            };
            let name = "cooperative-sticky".to_string();
            let metadata = versioned(&subscription);
            let request = JoinGroupRequest {
                group_id: self.group.clone(),
                member_id: self.id.clone(),
                session_timeout_ms: 30_000,
                rebalance_timeout_ms: 60_000,
                protocol_type: "consumer".into(),
                protocols: vec![JoinGroupRequestProtocol { name, metadata, ..Default::default() }],
                ..Default::default()
            };
            let answer = self.connection.ask(5, &request).await;
            self.id = answer.member_id;
            self.generation = answer.generation_id;
            match ErrorCode(answer.error_code) {
                ErrorCode::NONE if answer.leader == self.id => {
                    return answer.members.into_iter().map(|member| member.member_id).collect();
                }
                ErrorCode::NONE => return Vec::new(),
                ErrorCode::MEMBER_ID_REQUIRED | ErrorCode::REBALANCE_IN_PROGRESS => {}
                code => panic!("{code}"),
            }
        }
    }

    /// SyncGroup; a leader deals the partitions out.
    async fn sync(&mut self, members: &[String]) -> ErrorCode {
        let assignment = |(at, id): (usize, &String)| {
            let share = (0..self.partitions).filter(|partition| *partition as usize % members.len() == at);
            let of =
                consumer_protocol_assignment::TopicPartition { topic: self.topic.clone(), partitions: share.collect() };
            let message = ConsumerProtocolAssignment { assigned_partitions: vec![of], user_data: None };
            let assignment = versioned(&message);
            SyncGroupRequestAssignment { member_id: id.clone(), assignment, ..Default::default() }
        };
        let request = SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            assignments: members.iter().enumerate().map(assignment).collect(),
            ..Default::default()
        };
        let answer = self.connection.ask(4, &request).await;
        if answer.error_code == 0 {
            let mut decoder = Decoder::new(answer.assignment);
            let version = decoder.i16("version").unwrap();
            let read = ConsumerProtocolAssignment::decode(&mut decoder, version).unwrap();
            self.has = read.assigned_partitions.into_iter().flat_map(|of| of.partitions).collect();
        }
        ErrorCode(answer.error_code)
    }

    async fn enter(&mut self) {
        let members = self.join().await;
        assert_eq!(self.sync(&members).await, ErrorCode::NONE);
    }

    async fn heartbeat(&mut self) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            ..Default::default()
        };
        ErrorCode(self.connection.ask(4, &request).await.error_code)
    }

    /// One heartbeat, and what it asks for.
    async fn live(&mut self) {
        match self.heartbeat().await {
            ErrorCode::NONE => {}
            ErrorCode::REBALANCE_IN_PROGRESS => {
                let members = self.join().await;
                let synced = self.sync(&members).await;
                assert!(matches!(synced, ErrorCode::NONE | ErrorCode::REBALANCE_IN_PROGRESS), "{synced}");
            }
            code => panic!("{code}"),
        }
    }

    async fn leave(&mut self) {
        let member = MemberIdentity { member_id: self.id.clone(), ..Default::default() };
        let request = LeaveGroupRequest { group_id: self.group.clone(), members: vec![member], ..Default::default() };
        assert_eq!(self.connection.ask(4, &request).await.members[0].error_code, 0);
    }
}

/// Two members of the classic protocol that share four partitions.
async fn two_old(place: &Place, topic: &Topic) -> (Old, Old) {
    let (mut one, mut two) = (Old::new(place, topic, 4).await, Old::new(place, topic, 4).await);
    one.enter().await;
    assert_eq!(one.has.len(), 4);
    let rejoin = async {
        while one.heartbeat().await == ErrorCode::NONE {}
        one.enter().await;
    };
    tokio::join!(rejoin, two.enter());
    assert_eq!((one.has.len(), two.has.len()), (2, 2));
    (one, two)
}

fn mine(member: &Member, topic: &Topic) -> BTreeSet<i32> {
    member.has.get(&topic.id).cloned().unwrap_or_default()
}

/// Whether each of the four partitions is with exactly one.
fn shared(shares: &[&BTreeSet<i32>]) -> bool {
    let mut all: Vec<i32> = shares.iter().flat_map(|share| share.iter().copied()).collect();
    all.sort_unstable();
    all == [0, 1, 2, 3]
}

#[tokio::test]
async fn a_classic_group_becomes_one_of_kip_848_and_back_while_its_members_go_on() {
    let place = Place::new().await;
    let topic = place.topic("t", 4).await;
    let (mut one, mut two) = two_old(&place, &topic).await;
    let generation = one.generation;

    let mut new = Member::new(&place, "new", &[&topic]).await;
    assert!(new.join().await > generation, "its epochs follow the generations");
    assert_eq!(new.count(), 0, "all are held by the others");
    assert_eq!(one.heartbeat().await, ErrorCode::REBALANCE_IN_PROGRESS);
    // Nobody has a partition that another one has, at any time.
    loop {
        pause().await;
        for old in [&mut one, &mut two] {
            old.live().await;
        }
        new.beat().await;
        let (mut all, shares) = (BTreeSet::new(), [&one.has, &two.has, &mine(&new, &topic)]);
        assert!(shares.iter().all(|share| share.iter().all(|partition| all.insert(*partition))), "{shares:?}");
        if shared(&shares) && new.count() > 0 && place.describe().await.group_state == "Stable" {
            break;
        }
    }
    let described = place.describe().await;
    let types: BTreeMap<bool, usize> = described.members.iter().fold(BTreeMap::new(), |mut types, member| {
        *types.entry(member.member_type == 1).or_default() += 1;
        types
    });
    assert_eq!(types, BTreeMap::from([(false, 2), (true, 1)]));
    let epochs = [one.generation, two.generation, new.epoch];
    assert!(epochs.iter().all(|epoch| *epoch == described.group_epoch), "{epochs:?}");
    assert_eq!(one.heartbeat().await, ErrorCode::NONE);

    // One of them is replaced; the group stays what it is.
    two.leave().await;
    let mut newer = Member::new(&place, "newer", &[&topic]).await;
    newer.join().await;
    while newer.count() == 0 || !shared(&[&one.has, &mine(&new, &topic), &mine(&newer, &topic)]) {
        pause().await;
        one.live().await;
        new.beat().await;
        newer.beat().await;
    }

    // And back: with the last of the new ones the group goes back, and the old one leads it.
    assert_eq!(new.leave(-1).await, ErrorCode::NONE);
    assert_eq!(ErrorCode(place.describe().await.error_code), ErrorCode::NONE);
    while !shared(&[&one.has, &mine(&newer, &topic)]) || one.heartbeat().await != ErrorCode::NONE {
        pause().await;
        newer.beat().await;
        one.live().await;
    }
    assert_eq!(newer.leave(-1).await, ErrorCode::NONE);
    assert_eq!(ErrorCode(place.describe().await.error_code), ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(one.heartbeat().await, ErrorCode::REBALANCE_IN_PROGRESS, "its generation is the group's");
    one.enter().await;
    assert_eq!(one.has.len(), 4);
    assert_eq!(one.heartbeat().await, ErrorCode::NONE);
}

#[tokio::test]
async fn a_classic_member_joins_a_group_of_kip_848() {
    let place = Place::new().await;
    let topic = place.topic("t", 4).await;
    let mut new = Member::new(&place, "new", &[&topic]).await;
    new.join().await;
    settle(&mut [&mut new]).await;
    let mut old = Old::new(&place, &topic, 4).await;
    assert!(old.join().await.is_empty(), "nobody is told the members");
    while old.has.is_empty() || !shared(&[&old.has, &mine(&new, &topic)]) {
        pause().await;
        new.beat().await;
        old.live().await;
    }
    // What others than members of the classic protocol may not do.
    let wrong = JoinGroupRequest { protocol_type: "connect".into(), ..classic_join(&new) };
    let refused = new.connection.ask(3, &wrong).await;
    assert_eq!(ErrorCode(refused.error_code), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let stale = old.generation;
    old.generation += 1;
    assert_eq!(old.heartbeat().await, ErrorCode::ILLEGAL_GENERATION);
    old.generation = stale;
    // Offsets are committed with the generation, by a request that knows no epochs.
    let mut committing = Member::new(&place, &old.id, &[]).await;
    assert_eq!(committing.commit(8, old.generation, &topic, &[0]).await, [ErrorCode::NONE]);
    assert_eq!(committing.commit(8, old.generation + 1, &topic, &[0]).await, [ErrorCode::ILLEGAL_GENERATION]);
    old.leave().await;
}

#[tokio::test]
async fn the_policy_forbids_either_way() {
    for (policy, upgrades, downgrades) in [
        ("disabled", false, false),
        ("upgrade", true, false),
        ("downgrade", false, true),
        ("bidirectional", true, true),
    ] {
        let mut options = BrokerOptions::new();
        options.set("group.consumer.migration.policy", policy).unwrap();
        let place = Place::with(options).await;
        let topic = place.topic("t", 4).await;
        let mut old = Old::new(&place, &topic, 4).await;
        old.enter().await;
        let mut new = Member::new(&place, "new", &[&topic]).await;
        let joined = code(&new.say(0, Vec::new()).await);
        assert_eq!(joined, if upgrades { ErrorCode::NONE } else { ErrorCode::GROUP_ID_NOT_FOUND }, "{policy}");
        if !upgrades {
            assert_eq!(old.heartbeat().await, ErrorCode::NONE, "{policy}: nothing has happened");
            old.leave().await;
            new.join().await;
            old.id.clear();
            old.has.clear();
            old.join().await;
        }
        assert_eq!(new.leave(-1).await, ErrorCode::NONE);
        let is_classic = ErrorCode(place.describe().await.error_code) == ErrorCode::GROUP_ID_NOT_FOUND;
        assert_eq!(is_classic, downgrades, "{policy}");
    }
}
