//! The log that a coordinator writes: one partition of its topic for each share of what it coordinates. It knows batches and
//! offsets, not what records mean. Driven by coordinators, which hold their own lock meanwhile: it is taken before those of
//! configurations, topics and logs.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use dohle_protocol::{
    ErrorCode,
    compress::{Compression, Compressor, Decompressor},
    records::{self, BatchBuilder, ControlType, Headers, RecordRef},
};

use super::internal;
use crate::{
    BrokerWorld,
    cluster::Shared,
    config::{broker::number, dynamic::Configs},
    housekeeping::Housekeeping,
    log::{Batch, Isolation, Log, Marker, ProducerStamp},
    node::millis,
    partition::Replica,
    topics::{Refusal, Topic, Topics},
};

const READ_BYTES: usize = 1 << 20;
/// The largest batch that is read: as Kafka's, which are compressed at times.
const LARGEST_BATCH: usize = 100 << 20;

/// The topic of a coordinator, as one node has it.
#[derive(Clone)]
pub(crate) struct Ledger {
    name: &'static str,
    node: i32,
    world: Arc<dyn BrokerWorld>,
    cluster: Arc<Shared>,
    configs: Arc<Configs>,
    housekeeping: Arc<Housekeeping>,
}

/// What must be committed before somebody may rely on it.
#[derive(Clone)]
pub(crate) struct Pending {
    pub replica: Arc<Replica>,
    pub epoch: i32,
    pub end: i64,
}

impl Pending {
    /// All that a leader's log has now.
    pub fn all_of(replica: &Arc<Replica>, log: &Log) -> Self {
        Self { replica: replica.clone(), epoch: log.leader_epoch(), end: log.end().0 }
    }

    /// Whether it is; an error when its leader is another one now.
    pub fn is_done(&self) -> Result<bool, ErrorCode> {
        let log = self.replica.log.lock();
        log.check_leader(self.epoch).map_err(|_| ErrorCode::NOT_LEADER_OR_FOLLOWER)?;
        Ok(log.high_watermark() >= self.end)
    }

    /// Waits until it is.
    pub async fn done(&self, within: Duration) -> Result<(), ErrorCode> {
        self.replica.committed(self.epoch, self.end, within).await
    }
}

/// A record to write; without a value it says that what the key stands for is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub key: Bytes,
    pub value: Option<Bytes>,
}

/// Whose records they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The coordinator's own.
    Coordinator,
    /// Of a producer's transaction: they count when it is committed.
    Transaction { producer_id: i64, epoch: i16 },
}

/// What a log has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Record(Origin, Entry),
    /// A transaction has ended here.
    End {
        producer_id: i64,
        commit: bool,
    },
}

impl Ledger {
    pub fn new(
        name: &'static str,
        node: i32,
        (world, cluster, configs, housekeeping): (Arc<dyn BrokerWorld>, Arc<Shared>, Arc<Configs>, Arc<Housekeeping>),
    ) -> Self {
        Self { name, node, world, cluster, configs, housekeeping }
    }

    /// One in memory.
    #[cfg(test)]
    pub fn of_a_test(partitions: i32) -> Self {
        let mut options = crate::BrokerOptions::default();
        options.set("offsets.topic.num.partitions", &partitions.to_string()).unwrap();
        let world = Arc::new(crate::TokioWorld);
        let cluster = Shared::new(world.clone(), options.clone()).ok().unwrap();
        let config = crate::config::TopicConfig::new(&options, Vec::new()).unwrap();
        let standings = vec![crate::cluster::Standing::of_one(options.node_id); partitions as usize];
        cluster.topics.create(internal::OFFSETS, dohle_protocol::Uuid([9; 16]), standings, config).unwrap();
        let configs = Arc::new(Configs::with_stored(options.clone(), &cluster.image));
        Self::new(internal::OFFSETS, options.node_id, (world, cluster, configs, Arc::default()))
    }

    /// Where a partition ends.
    #[cfg(test)]
    pub fn end_of(&self, index: i32) -> i64 {
        self.partition(index).unwrap().log.lock().high_watermark()
    }

    /// Cuts a partition's end.
    #[cfg(test)]
    pub fn cut(&self, index: i32, end: i64) {
        self.partition(index).unwrap().log.lock().truncate_to(end, self.now_ms()).unwrap();
    }

    pub fn now_ms(&self) -> i64 {
        self.world.wall_clock_ms()
    }

    pub fn topics(&self) -> &Topics {
        &self.cluster.topics
    }

    /// How many partitions it has, or will have.
    pub fn partitions(&self) -> i32 {
        match self.cluster.topics.named(self.name) {
            Some(topic) => topic.partition_count(),
            None => self.configs.with(|options| internal::settings(self.name, options)).map_or(1, |(count, _)| count),
        }
    }

    /// The topic, which is made when there is none.
    pub fn topic(&self) -> Result<Arc<Topic>, Refusal> {
        match self.cluster.topics.named(self.name) {
            Some(topic) => Ok(topic),
            None => self
                .configs
                .with(|options| self.cluster.make_topic(options, self.name))
                // Lost the race against another creation: then it is there.
                .or_else(|refusal| self.cluster.topics.named(self.name).ok_or(refusal)),
        }
    }

    fn partition(&self, index: i32) -> Result<Arc<Replica>, ErrorCode> {
        let topic = self.topic().map_err(|(code, _)| code)?;
        topic
            .partition(index)
            .ok_or(ErrorCode::NOT_COORDINATOR)?
            .led_by(self.node)
            .map_err(|_| ErrorCode::NOT_COORDINATOR)
    }

    /// The leader epoch of a partition, if it is this node's. A broker alone has all, also before there is the topic.
    pub fn epoch(&self, index: i32) -> Option<i32> {
        match self.cluster.topics.named(self.name) {
            Some(topic) => Some(topic.partition(index)?.led_by(self.node).ok()?.log.lock().leader_epoch()),
            None => self.cluster.options.is_alone().then_some(0),
        }
    }

    /// All that a partition has now, which this node leads.
    pub fn pending(&self, index: i32) -> Option<Pending> {
        let replica = self.cluster.topics.named(self.name)?.partition(index)?.led_by(self.node).ok()?;
        let log = replica.log.lock();
        Some(Pending::all_of(&replica, &log))
    }

    /// Waits until all that a partition has now is committed, if this node has led it since this epoch.
    pub async fn committed(&self, index: i32, since: Option<i32>) -> Result<(), ErrorCode> {
        let pending = self.pending(index).filter(|pending| Some(pending.epoch) == since);
        let pending = pending.ok_or(ErrorCode::NOT_COORDINATOR)?;
        let within = self.configs.with(|options| number(options, "offsets.commit.timeout.ms"));
        pending.done(millis(i32::try_from(within).unwrap_or(i32::MAX))).await.map_err(|code| match code {
            ErrorCode::REQUEST_TIMED_OUT => ErrorCode::COORDINATOR_NOT_AVAILABLE,
            _ => ErrorCode::NOT_COORDINATOR,
        })
    }

    /// Appends records, all or none; they are as safe then as the topic's settings say, and committed when all copies in sync have
    /// them.
    pub fn append(&self, index: i32, entries: &[Entry], from: Origin) -> Result<(), ErrorCode> {
        if entries.is_empty() {
            return Ok(());
        }
        let now_ms = self.now_ms();
        let batch = batch(entries, from, now_ms)?;
        let replica = self.partition(index)?;
        let appended = {
            let mut log = replica.log.lock();
            log.check_copies().and_then(|()| log.append(&batch, now_ms))
        };
        replica.wake();
        self.housekeeping.touch();
        appended.map(drop)
    }

    /// Appends the end of a transaction.
    pub fn end(&self, index: i32, marker: &Marker) -> Result<(), ErrorCode> {
        let replica = self.partition(index)?;
        let appended = replica.log.lock().append_marker(marker, self.now_ms());
        replica.wake();
        self.housekeeping.touch();
        appended
    }

    /// Reads a partition from its beginning; nothing, if it was never made.
    pub fn read(&self, index: i32, mut take: impl FnMut(Found)) -> io::Result<()> {
        let partition = self.cluster.topics.named(self.name).and_then(|topic| topic.partition(index));
        let Some(replica) = partition.and_then(|partition| partition.replica(self.node)) else { return Ok(()) };
        let (mut offset, decompressor) = (replica.log.lock().start_offset(), &mut Decompressor::default());
        let damaged = |error: records::RecordError| io::Error::new(io::ErrorKind::InvalidData, error);
        loop {
            let slice = replica.log.lock().read(offset, READ_BYTES, true, Isolation::Uncommitted);
            let bytes = slice.map_err(|code| io::Error::other(code.text()))?.bytes;
            // Compaction may have left nothing at the end.
            if bytes.is_empty() {
                return Ok(());
            }
            for batch in records::batches(bytes) {
                let batch = batch.map_err(damaged)?;
                offset = batch.last_offset() + 1;
                let header = batch.header();
                let plain = batch.plain(decompressor, LARGEST_BATCH).map_err(damaged)?;
                let (producer_id, epoch) = (header.producer_id, header.producer_epoch);
                if header.attributes.is_control() {
                    match plain.control_type() {
                        Some(ControlType::Commit) => take(Found::End { producer_id, commit: true }),
                        Some(ControlType::Abort) => take(Found::End { producer_id, commit: false }),
                        _ => {}
                    }
                    continue;
                }
                let from = match header.attributes.is_transactional() {
                    true => Origin::Transaction { producer_id, epoch },
                    false => Origin::Coordinator,
                };
                for record in plain.iter() {
                    let record = record.map_err(damaged)?;
                    let key = Bytes::copy_from_slice(record.key.unwrap_or_default());
                    take(Found::Record(from, Entry { key, value: record.value.map(Bytes::copy_from_slice) }));
                }
            }
        }
    }
}

fn batch(entries: &[Entry], from: Origin, now_ms: i64) -> Result<Batch, ErrorCode> {
    let mut builder = BatchBuilder::new(1024);
    for entry in entries {
        let (key, value) = (Some(&*entry.key), entry.value.as_deref());
        builder.append(&RecordRef { timestamp: now_ms, key, value, headers: Headers::None });
    }
    let producer = match from {
        Origin::Coordinator => None,
        // As Kafka's coordinators, which number nothing.
        Origin::Transaction { producer_id: id, epoch } => {
            Some(ProducerStamp { id, epoch, first_sequence: -1, last_sequence: -1 })
        }
    };
    let mut compressor = Compressor::new(Compression::None, None).map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)?;
    let mut sealed = builder.seal(&mut compressor, producer.is_some());
    match &producer {
        None => sealed.stamp(-1, -1, -1),
        Some(stamp) => sealed.stamp(stamp.id, stamp.epoch, -1),
    }
    Ok(Batch {
        bytes: sealed.bytes(),
        last_offset_delta: entries.len() as i32 - 1,
        max_timestamp: now_ms,
        append_time: -1,
        transactional: producer.is_some(),
        producer,
        v2: false,
    })
}
