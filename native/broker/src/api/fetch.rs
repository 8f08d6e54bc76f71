//! Fetch (key 1): whole batches from an offset on, waiting for `min_bytes` at most `max_wait_ms`.
//!
//! Behaviour: a fetch in the middle of a batch answers the whole batch; the first batch may exceed every limit; a
//! partition answers from one segment at a time; batches are never cut. The last stable offset is where the first open transaction
//! begins. A waiting fetch ends with its connection. From version 11 on followers serve it too (KIP-392), and a leader that selects
//! by racks sends a consumer to the copy in its own. Brokers do not fetch so here: `cluster::follower`.
//! Versions: 4 isolation level · 5 log start · 7 sessions (KIP-227) · 9 leader epochs (KIP-320) · 10 zstd · 11 rack ·
//! 12 flexible, diverging epochs · 13 topic ids · 15 replica state · 16 node endpoints · 18 high watermark of followers.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use dohle_protocol::{
    ErrorCode,
    messages::{
        FetchRequest, FetchResponse,
        fetch_request::{FetchPartition, FetchTopic},
        fetch_response::{AbortedTransaction, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData},
    },
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::{Api, Call, Reply};
use crate::{
    config::broker,
    faults::Damage,
    log::{Aborted, Isolation, Log, Slice, Waiter},
    node::Node,
    partition::{Partition, Replica},
    sessions::{Context, Key, Tell, Told, TopicKey, Want},
};

pub(super) struct Fetch;

impl Api for Fetch {
    type Request = FetchRequest;
    const VERSIONS: (i16, i16) = (4, 18);

    async fn handle(call: &Call, request: FetchRequest) -> Reply<Self> {
        let (asked, forgotten) = (asked(&request, call.version), forgotten(&request, call.version));
        let session = if call.version >= 7 { (request.session_id, request.session_epoch) } else { (0, -1) };
        let random = || call.node.world.random_u64();
        let context = match call.node.sessions.context(session, asked, forgotten, call.version >= 13, random) {
            Ok(context) => context,
            Err(code) => return Reply::With(Self::refuse(&request, code)),
        };
        let isolation = Isolation::of(request.isolation_level);
        let sources: Vec<Source> =
            context.wants.iter().map(|(key, want)| source(call, key, *want, isolation, &request.rack_id)).collect();
        wait(&request, &sources).await;
        let parts = read(&request, &context, &sources);
        let mut response = answer(call.version, &context, parts);
        if call.version >= 16 && response.responses.iter().flat_map(|of| &of.partitions).any(has_leader) {
            response.node_endpoints = endpoints(call);
        }
        Reply::With(response)
    }

    fn refuse(request: &FetchRequest, code: ErrorCode) -> FetchResponse {
        let session_id = request.session_id;
        FetchResponse { error_code: code.0, session_id, ..Default::default() }
    }

    fn corrupt(response: &mut FetchResponse, damage: &mut Damage) {
        let mut records = response.responses.iter_mut().flat_map(|topic| &mut topic.partitions);
        records.any(|part| part.records.as_mut().is_some_and(|records| damage.records(records)));
    }

    fn targets(node: &Node, request: &FetchRequest) -> Vec<(String, i32)> {
        // An incremental fetch asks for its session's partitions too.
        let version = if request.topics.iter().any(|topic| !topic.topic_id.is_zero()) { 13 } else { 12 };
        let asked = asked(request, version).into_iter().map(|(key, _)| key);
        let mut keys: Vec<Key> = asked.chain(node.sessions.partitions(request.session_id)).collect();
        let mut seen = crate::collections::Set::default();
        keys.retain(|key| seen.insert(key.clone()));
        let name = |key: TopicKey| match key {
            TopicKey::Name(name) => Some(name.to_string()),
            TopicKey::Id(id) => node.topics.with_id(dohle_protocol::Uuid(id)).map(|topic| topic.name.to_string()),
        };
        keys.into_iter().filter_map(|(key, partition)| Some((name(key)?, partition))).collect()
    }
}

fn topic_key(version: i16, name: &str, id: dohle_protocol::Uuid) -> TopicKey {
    if version >= 13 { TopicKey::Id(id.0) } else { TopicKey::Name(name.into()) }
}

fn asked(request: &FetchRequest, version: i16) -> Vec<(Key, Want)> {
    let want = |p: &FetchPartition| Want {
        offset: p.fetch_offset,
        max_bytes: p.partition_max_bytes,
        leader_epoch: p.current_leader_epoch,
    };
    let partitions = |topic: &FetchTopic| {
        let key = topic_key(version, &topic.topic, topic.topic_id);
        topic.partitions.iter().map(|p| ((key.clone(), p.partition), want(p))).collect::<Vec<_>>()
    };
    request.topics.iter().flat_map(partitions).collect()
}

fn forgotten(request: &FetchRequest, version: i16) -> Vec<Key> {
    let topics = request.forgotten_topics_data.iter();
    topics
        .flat_map(|topic| {
            let key = topic_key(version, &topic.topic, topic.topic_id);
            topic.partitions.iter().map(move |partition| (key.clone(), *partition))
        })
        .collect()
}

/// One partition of a fetch: where it is read, or why it is not.
struct Source {
    replica: Result<Arc<Replica>, ErrorCode>,
    partition: Option<Arc<Partition>>,
    want: Want,
    isolation: Isolation,
    /// Only the leader answers: the client does not know of others.
    leader_only: bool,
    /// Another copy that is nearer to the client.
    nearer: Option<i32>,
}

fn source(call: &Call, key: &Key, want: Want, isolation: Isolation, rack: &str) -> Source {
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let (topic, name) = match &key.0 {
        TopicKey::Name(name) => (call.node.topics.named(name), Some(name.clone())),
        TopicKey::Id(id) => {
            let topic = call.node.topics.with_id(dohle_protocol::Uuid(*id));
            let name = topic.as_ref().map(|topic| topic.name.clone());
            (topic, name)
        }
    };
    let (leader_only, me) = (call.version < 11, call.node.options.node_id);
    let mut partition = None;
    let replica = name.ok_or(ErrorCode::UNKNOWN_TOPIC_ID).and_then(|name| {
        call.plan.guard((&name, key.1), || {
            let of = topic.and_then(|topic| topic.partition(key.1)).ok_or(unknown)?;
            let of = partition.insert(of);
            // Whether it may answer is asked where it is read.
            of.replica(me).ok_or(ErrorCode::NOT_LEADER_OR_FOLLOWER)
        })
    });
    let nearer = partition.as_ref().filter(|_| replica.is_ok()).and_then(|of| nearer(call, of, rack));
    Source { replica, partition, want, isolation, leader_only, nearer }
}

fn check(log: &Log, epoch: i32, leader_only: bool) -> Result<(), ErrorCode> {
    if leader_only { log.check_leader(epoch) } else { log.check_epoch(epoch) }
}

/// The copy that a client reads from, if a leader sends it to another one.
fn nearer(call: &Call, partition: &Partition, rack: &str) -> Option<i32> {
    let selects = !rack.is_empty() && broker::text(&call.node.options, "replica.selector.class").ends_with(RACKS);
    let standing = selects.then(|| partition.standing())?;
    if standing.leader != Some(call.node.options.node_id) {
        return None;
    }
    call.node.cluster.nearest(&standing, rack)
}

/// Kafka's selector by racks, without its package.
const RACKS: &str = "RackAwareReplicaSelector";

impl Source {
    /// Bytes ready to be read.
    fn available(&self) -> Result<u64, ErrorCode> {
        if self.nearer.is_some() {
            return Err(ErrorCode::NONE);
        }
        let replica = self.open()?;
        let log = replica.log.lock();
        check(&log, self.want.leader_epoch, self.leader_only)?;
        let available = self.in_range(&log, log.available(self.want.offset, self.isolation))?;
        Ok(available.min(u64::try_from(self.want.max_bytes).unwrap_or(0)))
    }

    fn read(&self, max_bytes: usize, at_least_one: bool) -> Result<Slice, ErrorCode> {
        let max_bytes = max_bytes.min(usize::try_from(self.want.max_bytes).unwrap_or(0));
        let replica = self.open()?;
        let log = replica.log.lock();
        check(&log, self.want.leader_epoch, self.leader_only)?;
        if self.nearer.is_some() {
            return log.read(log.start_offset(), 0, false, self.isolation);
        }
        self.in_range(&log, log.read(self.want.offset, max_bytes, at_least_one, self.isolation))
    }

    /// What a follower has not yet is not out of range.
    fn in_range<T>(&self, log: &Log, read: Result<T, ErrorCode>) -> Result<T, ErrorCode> {
        match read {
            Err(ErrorCode::OFFSET_OUT_OF_RANGE) if !log.leads() && self.want.offset > log.start_offset() => {
                Err(ErrorCode::OFFSET_NOT_AVAILABLE)
            }
            read => read,
        }
    }

    fn open(&self) -> Result<&Arc<Replica>, ErrorCode> {
        let replica = self.replica.as_ref().map_err(|code| *code)?;
        let deleted = self.partition.as_ref().is_none_or(|partition| partition.deleted());
        if deleted { Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) } else { Ok(replica) }
    }
}

/// Whether there is enough to answer. An error is always enough.
fn enough(sources: &[Source], min_bytes: i32) -> bool {
    let mut missing = i64::from(min_bytes);
    for source in sources {
        match source.available() {
            Ok(available) => missing = missing.saturating_sub_unsigned(available),
            Err(_) => return true,
        }
    }
    missing <= 0
}

async fn wait(request: &FetchRequest, sources: &[Source]) {
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    if wait.is_zero() || sources.is_empty() && request.topics.is_empty() && request.session_id == 0 {
        return;
    }
    if enough(sources, request.min_bytes) {
        return;
    }
    let deadline = Instant::now() + wait;
    let woken = Arc::new(Notify::new());
    let open = sources.iter().filter_map(|source| source.replica.as_ref().ok());
    let _places: Vec<_> = open.map(|replica| Waiter::register(replica.waiters.clone(), woken.clone())).collect();
    // Looked at again after registering: an append in between would otherwise be waited for in vain.
    while !enough(sources, request.min_bytes) {
        if timeout_at(deadline, woken.notified()).await.is_err() {
            return;
        }
    }
}

/// A partition's part of the answer: an error, or batches.
type Part<'s> = (Result<Slice, ErrorCode>, &'s Source);

fn read<'s>(request: &FetchRequest, context: &Context, sources: &'s [Source]) -> Vec<(Key, Part<'s>)> {
    let mut left = usize::try_from(request.max_bytes).unwrap_or(0);
    let mut nothing_yet = true;
    let parts = context.wants.iter().zip(sources).map(|((key, _), source)| {
        let part = source.read(left, nothing_yet);
        if let Ok(slice) = &part {
            left = left.saturating_sub(slice.bytes.len());
            nothing_yet &= slice.bytes.is_empty();
        }
        (key.clone(), (part, source))
    });
    parts.collect()
}

fn answer(version: i16, context: &Context, mut parts: Vec<(Key, Part<'_>)>) -> FetchResponse {
    let nobody_knows = Told { high_watermark: -1, start_offset: -1 };
    context.retain(&mut parts, |(read, source)| match read {
        Err(_) => Tell { error: true, data: false, told: nobody_knows },
        // Told each time, until the client goes there.
        Ok(_) if source.nearer.is_some() => Tell { error: true, data: false, told: nobody_knows },
        Ok(slice) => {
            let told = Told { high_watermark: slice.high_watermark, start_offset: slice.start_offset };
            Tell { error: false, data: !slice.bytes.is_empty(), told }
        }
    });
    let mut responses: Vec<FetchableTopicResponse> = Vec::new();
    let mut last: Option<TopicKey> = None;
    for ((topic, partition), part) in parts {
        if last.as_ref() != Some(&topic) {
            let (name, topic_id) = (topic.name().to_string(), topic.id());
            responses.push(FetchableTopicResponse { topic: name, topic_id, ..Default::default() });
            last = Some(topic);
        }
        if let Some(response) = responses.last_mut() {
            response.partitions.push(partition_data(version, partition, part));
        }
    }
    FetchResponse { session_id: context.session_id, responses, ..Default::default() }
}

fn partition_data(version: i16, partition_index: i32, (read, source): Part<'_>) -> PartitionData {
    match read {
        Err(code) => PartitionData {
            partition_index,
            error_code: code.0,
            current_leader: leader(version, code, source.partition.as_deref()).unwrap_or_default(),
            high_watermark: -1,
            records: Some(Bytes::new()),
            ..Default::default()
        },
        Ok(slice) => PartitionData {
            partition_index,
            high_watermark: slice.high_watermark,
            last_stable_offset: slice.last_stable_offset,
            log_start_offset: slice.start_offset,
            // Java's broker sends null unless it was asked for committed records only.
            aborted_transactions: slice.aborted.map(|aborted| aborted.into_iter().map(told).collect()),
            records: Some(slice.bytes),
            preferred_read_replica: source.nearer.unwrap_or(-1),
            ..Default::default()
        },
    }
}

fn told(aborted: Aborted) -> AbortedTransaction {
    let Aborted { producer_id, first_offset, .. } = aborted;
    AbortedTransaction { producer_id, first_offset, ..Default::default() }
}

/// Who leads, for a client that believed something else (KIP-951; before version 12 there is no place for it).
fn leader(version: i16, code: ErrorCode, partition: Option<&Partition>) -> Option<LeaderIdAndEpoch> {
    let wrong = matches!(code, ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH);
    let standing = partition.filter(|_| wrong && version >= 12)?.standing();
    Some(LeaderIdAndEpoch { leader_id: standing.leader?, leader_epoch: standing.leader_epoch, ..Default::default() })
}

fn has_leader(part: &PartitionData) -> bool {
    part.current_leader.leader_id >= 0
}

fn endpoints(call: &Call) -> Vec<NodeEndpoint> {
    let told = call.node.told(call.session.local).into_iter();
    told.map(|of| NodeEndpoint { node_id: of.id, host: of.host, port: of.port, rack: of.rack, ..Default::default() })
        .collect()
}
