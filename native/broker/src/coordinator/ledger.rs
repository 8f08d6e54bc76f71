//! The log that a coordinator writes: one partition of its topic for each share of what it coordinates. It knows batches and
//! offsets, not what records mean. Driven by coordinators, which hold their own lock meanwhile: it is taken before those of
//! configurations, topics and logs.

use std::{io, sync::Arc};

use bytes::Bytes;
use dohle_protocol::{
    ErrorCode,
    compress::{Compression, Compressor, Decompressor},
    records::{self, BatchBuilder, ControlType, Headers, RecordRef},
};

use super::internal;
use crate::{
    BrokerWorld,
    config::{TopicConfig, dynamic::Configs},
    housekeeping::Housekeeping,
    log::{Batch, Isolation, Marker, ProducerStamp},
    node::random_uuid,
    topics::{Partition, Refusal, Topic, Topics},
};

const READ_BYTES: usize = 1 << 20;
/// The largest batch that is read: as Kafka's, which are compressed at times.
const LARGEST_BATCH: usize = 100 << 20;

/// The topic of a coordinator.
#[derive(Clone)]
pub(crate) struct Ledger {
    name: &'static str,
    world: Arc<dyn BrokerWorld>,
    configs: Arc<Configs>,
    topics: Arc<Topics>,
    housekeeping: Arc<Housekeeping>,
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
        world: Arc<dyn BrokerWorld>,
        configs: Arc<Configs>,
        topics: Arc<Topics>,
        housekeeping: Arc<Housekeeping>,
    ) -> Self {
        Self { name, world, configs, topics, housekeeping }
    }

    /// One in memory.
    #[cfg(test)]
    pub fn of_a_test(partitions: i32) -> Self {
        let mut options = crate::BrokerOptions::default();
        options.set("offsets.topic.num.partitions", &partitions.to_string()).unwrap();
        let configs = Configs::with_stored(options, &crate::storage::Image::default());
        Self::new(internal::OFFSETS, Arc::new(crate::TokioWorld), Arc::new(configs), Arc::default(), Arc::default())
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
        &self.topics
    }

    /// How many partitions it has, or will have.
    pub fn partitions(&self) -> i32 {
        match self.topics.named(self.name) {
            Some(topic) => topic.partition_count(),
            None => self.configs.with(|options| internal::settings(self.name, options)).map_or(1, |(count, _)| count),
        }
    }

    /// The topic, which is made when there is none.
    pub fn topic(&self) -> Result<Arc<Topic>, Refusal> {
        match self.topics.named(self.name) {
            Some(topic) => Ok(topic),
            None => make(&*self.world, &self.configs, &self.topics, self.name)
                // Lost the race against another creation: then it is there.
                .or_else(|refusal| self.topics.named(self.name).ok_or(refusal)),
        }
    }

    fn partition(&self, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        let topic = self.topic().map_err(|(code, _)| code)?;
        topic.partition(index).filter(|partition| !partition.deleted()).ok_or(ErrorCode::NOT_COORDINATOR)
    }

    /// Appends records, all or none; they are as safe then as the topic's settings say.
    pub fn append(&self, index: i32, entries: &[Entry], from: Origin) -> Result<(), ErrorCode> {
        if entries.is_empty() {
            return Ok(());
        }
        let now_ms = self.now_ms();
        let batch = batch(entries, from, now_ms)?;
        let partition = self.partition(index)?;
        let appended = partition.log.lock().append(&batch, now_ms);
        partition.waiters.wake();
        self.housekeeping.touch();
        appended.map(drop)
    }

    /// Appends the end of a transaction.
    pub fn end(&self, index: i32, marker: &Marker) -> Result<(), ErrorCode> {
        let partition = self.partition(index)?;
        let appended = partition.log.lock().append_marker(marker, self.now_ms());
        partition.waiters.wake();
        self.housekeeping.touch();
        appended
    }

    /// Reads a partition from its beginning; nothing, if it was never made.
    pub fn read(&self, index: i32, mut take: impl FnMut(Found)) -> io::Result<()> {
        let Some(partition) = self.topics.named(self.name).and_then(|topic| topic.partition(index)) else {
            return Ok(());
        };
        let (mut offset, decompressor) = (partition.log.lock().start_offset(), &mut Decompressor::default());
        let damaged = |error: records::RecordError| io::Error::new(io::ErrorKind::InvalidData, error);
        loop {
            let slice = partition.log.lock().read(offset, READ_BYTES, true, Isolation::ReadUncommitted);
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

/// Makes an internal topic.
pub(crate) fn make(
    world: &dyn BrokerWorld,
    configs: &Configs,
    topics: &Topics,
    name: &str,
) -> Result<Arc<Topic>, Refusal> {
    configs.with(|options| {
        let (partitions, set) = internal::settings(name, options).unwrap_or((options.partitions, Vec::new()));
        let config = TopicConfig::new(options, set).map_err(|reason| (ErrorCode::INVALID_CONFIG, reason))?;
        topics.create(name, random_uuid(world), partitions, config)
    })
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
