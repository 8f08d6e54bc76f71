//! The append path: from a record to its place in an open batch, and the news of it to the sender.
//! Not the sender: nothing here is sealed but a batch that is full. Runs on the language's threads; per record it takes the
//! lock of one partition and writes the record, nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use dohle_protocol::ErrorCode;
use dohle_protocol::records::{BATCH_HEADER_LEN, BatchBuilder, RecordRef};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::batch::{Fit, OpenBatch};
use super::buffers::Buffers;
use super::config::Config;
use super::grow::Grow;
use super::memory::Memory;
use super::sender::Command;
use super::topic::{Partition, Topic};
use super::transactions::Transaction;
use super::{AppendError, Delivery, DeliverySink, Placed, TopicId};
use crate::collections::Map;
use crate::error::{Error, ErrorKind, Result};
use crate::world::World;

pub(crate) struct Accumulator {
    pub config: Config,
    pub memory: Memory,
    pub buffers: Buffers,
    pub world: Arc<dyn World>,
    /// Of a transactional producer.
    pub transaction: Option<Transaction>,
    sink: Arc<dyn DeliverySink>,
    topics: Grow<Arc<Topic>>,
    names: Mutex<Map<Arc<str>, TopicId>>,
    next_group: AtomicU32,
    news: Mutex<News>,
    /// There is news that the sender was not woken for.
    unsaid: AtomicBool,
    /// Wakes the sender.
    pub wake: Notify,
    closed: AtomicBool,
    /// Records that were acknowledged, and that failed.
    acked: AtomicU64,
    failed: AtomicU64,
    /// Why nothing can be sent any more; what `append` answers then.
    broken: Mutex<Option<Error>>,
}

/// What the sender has not seen yet.
#[derive(Default)]
pub(crate) struct News {
    /// Slots of partitions with a new open batch or a full one.
    pub partitions: Vec<u32>,
    /// Topics that are new or whose waiting room has a first record.
    pub topics: Vec<Arc<Topic>>,
    pub commands: Vec<Command>,
    /// The sender is gone: nobody reads this any more.
    pub ended: bool,
}

impl Accumulator {
    pub fn new(config: Config, sink: Arc<dyn DeliverySink>, world: Arc<dyn World>) -> Self {
        let memory = Memory::new(config.buffer_memory);
        let buffers = Buffers::new(config.batch_size, config.buffer_memory);
        let transaction = config.transactional_id.is_some().then(Transaction::new);
        Self {
            transaction,
            config,
            memory,
            buffers,
            world,
            sink,
            topics: Grow::new(),
            names: Mutex::default(),
            next_group: 0.into(),
            news: Mutex::default(),
            unsaid: false.into(),
            wake: Notify::new(),
            closed: false.into(),
            acked: 0.into(),
            failed: 0.into(),
            broken: Mutex::default(),
        }
    }

    pub fn topic(&self, name: &str) -> Result<TopicId> {
        let mut names = self.names.lock();
        if let Some(id) = names.get(name) {
            return Ok(*id);
        }
        check_name(name)?;
        let name: Arc<str> = name.into();
        let id = TopicId(self.topics.len());
        let topic = Arc::new(Topic::new(id, name.clone(), self.world.random_u64()));
        topic.room.lock().closed = self.closed.load(Ordering::SeqCst);
        self.topics.push(topic.clone());
        names.insert(name, id);
        drop(names);
        self.news.lock().topics.push(topic);
        self.wake.notify_one();
        Ok(id)
    }

    pub fn append(
        &self,
        topic: TopicId,
        partition: Option<i32>,
        record: &RecordRef<'_>,
    ) -> Result<Placed, AppendError> {
        let topic = self
            .topics
            .get(topic.0)
            .ok_or_else(|| invalid(Error::invalid_argument("the topic is not one of this producer's")))?;
        if record.timestamp < 0 {
            return self.append_now(topic, partition, record);
        }
        let bound = BatchBuilder::record_size_bound(record);
        if BATCH_HEADER_LEN + bound > self.config.max_request_size.min(self.memory.total()) {
            return Err(invalid(self.too_large(topic, BATCH_HEADER_LEN + bound)));
        }
        let count = topic.count();
        match partition {
            None if count > 0 => {
                let choice = self.config.partitioner.choose(record.key, count, &topic.memo, &**topic);
                let placed = self.put(topic, choice.partition, record, bound)?;
                if choice.sticky {
                    self.config.partitioner.wrote(choice.partition, bound, count, &topic.memo, &**topic);
                }
                Ok(placed)
            }
            Some(partition) if (0..count as i32).contains(&partition) => {
                self.put(topic, partition as u32, record, bound)
            }
            Some(partition) if partition < 0 => {
                Err(invalid(Error::invalid_argument(format!("{partition} is not a partition: they start at 0"))))
            }
            _ => self.wait(topic, partition, record),
        }
    }

    /// A record with no timestamp of its own.
    #[cold]
    fn append_now(&self, topic: &Topic, partition: Option<i32>, record: &RecordRef<'_>) -> Result<Placed, AppendError> {
        if record.timestamp != -1 {
            return Err(invalid(Error::invalid_argument(format!(
                "{} is not a timestamp: milliseconds since 1970 are at least 0",
                record.timestamp
            ))));
        }
        let record = RecordRef { timestamp: self.now(), ..*record };
        self.append(topic.id, partition, &record)
    }

    /// Milliseconds since 1970, the time of records that bring none.
    pub fn now(&self) -> i64 {
        self.world.wall_clock_ms().max(0)
    }

    fn put(&self, topic: &Topic, partition: u32, record: &RecordRef<'_>, bound: usize) -> Result<Placed, AppendError> {
        let Some(partition) = topic.partitions.get(partition) else {
            unreachable!("partitions are added before they are counted")
        };
        let mut queue = partition.queue.lock();
        let limit = queue.limit;
        if let Some(open) = &mut queue.open {
            match open.fit(bound, limit, &self.memory, &self.buffers, false) {
                Fit::Yes => {
                    let (group, index) = open.append(record);
                    return Ok(Placed { group, index });
                }
                Fit::NoMemory => return Err(AppendError::Full),
                Fit::BatchFull => {}
            }
        }
        self.put_first(partition, &mut queue, record, bound)
    }

    /// The record begins a batch: the one before it, if any, is full.
    #[cold]
    fn put_first(
        &self,
        partition: &Partition,
        queue: &mut super::topic::Queue,
        record: &RecordRef<'_>,
        bound: usize,
    ) -> Result<Placed, AppendError> {
        if queue.closed {
            return Err(invalid(self.why_closed()));
        }
        self.admit()?;
        let mut open = OpenBatch::new(self.group(), bound, queue.usual, &self.memory, &self.buffers, false)
            .ok_or(AppendError::Full)?;
        let (group, index) = open.append(record);
        self.begin(partition, queue, open);
        Ok(Placed { group, index })
    }

    /// Makes `open` the batch that takes records, and tells the sender.
    fn begin(&self, partition: &Partition, queue: &mut super::topic::Queue, open: OpenBatch) {
        let full = queue.take_open();
        queue.open = Some(open);
        if let Some(full) = full {
            queue.full.push_back(full);
            partition.backlog.fetch_add(1, Ordering::Relaxed);
            self.news.lock().partitions.push(partition.slot);
            self.wake.notify_one();
        } else if !queue.listed {
            self.news.lock().partitions.push(partition.slot);
            self.unsaid.store(true, Ordering::Release);
        }
        queue.listed = true;
    }

    /// Moves a record from a waiting room, where it has been since `created` or a little later, to its partition. A batch
    /// expires as one, so it takes over that age: `delivery.timeout.ms` counts from the call.
    pub fn move_in(&self, partition: &Partition, record: &RecordRef<'_>, place: (u32, u32), created: Instant) {
        let bound = BatchBuilder::record_size_bound(record);
        let mut queue = partition.queue.lock();
        let limit = queue.limit;
        if let Some(open) = &mut queue.open
            && open.fit(bound, limit, &self.memory, &self.buffers, true) == Fit::Yes
        {
            open.append_for(record, place.0, place.1);
            open.created = open.created.min(created);
            return;
        }
        if let Some(mut open) = OpenBatch::new(self.group(), bound, queue.usual, &self.memory, &self.buffers, true) {
            open.append_for(record, place.0, place.1);
            open.created = created;
            self.begin(partition, &mut queue, open);
        }
    }

    #[cold]
    fn wait(&self, topic: &Arc<Topic>, partition: Option<i32>, record: &RecordRef<'_>) -> Result<Placed, AppendError> {
        let mut room = topic.room.lock();
        let count = topic.count();
        if partition.map_or(count > 0, |partition| partition < count as i32) {
            drop(room);
            // The sender opened the doors between the look at the count and the lock.
            return self.append(topic.id, partition, record);
        }
        if room.closed {
            return Err(invalid(self.why_closed()));
        }
        self.admit()?;
        let place = room
            .append(partition.unwrap_or(-1), record, self.config.max_block, &self.memory, || self.group())
            .ok_or(AppendError::Full)?;
        if !std::mem::replace(&mut room.listed, true) {
            self.news.lock().topics.push(topic.clone());
            self.wake.notify_one();
        }
        Ok(Placed { group: place.0, index: place.1 })
    }

    /// A transactional producer takes records within a transaction only. When one ends every open batch is taken over, so
    /// that it is enough to look where a batch begins.
    fn admit(&self) -> Result<(), AppendError> {
        self.transaction.as_ref().map_or(Ok(()), Transaction::admit).map_err(invalid)
    }

    fn group(&self) -> u32 {
        self.next_group.fetch_add(1, Ordering::Relaxed)
    }

    pub fn poke(&self) {
        if self.unsaid.load(Ordering::Relaxed) && self.unsaid.swap(false, Ordering::Acquire) {
            self.wake.notify_one();
        }
    }

    pub fn wants_space(&self) {
        if self.memory.wait() {
            self.sink.space_available();
        }
        self.wake.notify_one();
    }

    /// Hands a command to the sender; false when it has ended.
    pub fn command(&self, command: Command) -> bool {
        let mut news = self.news.lock();
        if news.ended {
            return false;
        }
        news.commands.push(command);
        drop(news);
        self.wake.notify_one();
        true
    }

    pub fn take_news(&self) -> News {
        let mut news = self.news.lock();
        let ended = news.ended;
        News { ended, ..std::mem::replace(&mut news, News { ended, ..News::default() }) }
    }

    /// No more news is read from here on; commands that came too late are returned, to be answered.
    pub fn end(&self) -> Vec<Command> {
        let mut news = self.news.lock();
        news.ended = true;
        std::mem::take(&mut news.commands)
    }

    /// No record is taken from here on, not even by an append under way on another thread.
    pub fn close(&self) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        let _names = self.names.lock(); // no topic comes to be meanwhile
        for topic in self.topics.iter() {
            let mut room = topic.room.lock();
            room.closed = true;
            for partition in topic.partitions.iter() {
                partition.queue.lock().closed = true;
            }
        }
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Nothing can be sent any more: closes, and says why.
    pub fn break_down(&self, error: Error) {
        self.broken.lock().get_or_insert(error);
        self.close();
    }

    pub fn why_closed(&self) -> Error {
        self.broken.lock().clone().unwrap_or_else(|| Error::closed("producer"))
    }

    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.iter()
    }

    /// Gives memory back, and tells who waits for it.
    pub fn release(&self, bytes: usize) {
        if bytes > 0 && self.memory.give(bytes) {
            self.sink.space_available();
        }
    }

    /// Records that were acknowledged, and that failed.
    pub fn fates(&self) -> (u64, u64) {
        (self.acked.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    pub fn deliver(&self, delivery: Delivery) {
        let fate = if delivery.error.is_none() { &self.acked } else { &self.failed };
        fate.fetch_add(delivery.count.into(), Ordering::Relaxed);
        self.sink.delivered(delivery);
    }

    #[cold]
    fn too_large(&self, topic: &Topic, bytes: usize) -> Error {
        let (option, limit) = if self.memory.total() < self.config.max_request_size {
            ("buffer.memory", self.memory.total())
        } else {
            ("max.request.size", self.config.max_request_size)
        };
        let what = format!("a record for {} has {bytes} bytes with its overhead, {option} is {limit}", topic.name);
        Error::new(ErrorKind::Broker(ErrorCode::MESSAGE_TOO_LARGE), what)
    }
}

#[cold]
fn invalid(error: Error) -> AppendError {
    AppendError::Invalid(error)
}

/// Kafka's rule for topic names.
fn check_name(name: &str) -> Result<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let problem = match name {
        "" => "it is empty",
        "." | ".." => "'.' and '..' are not allowed",
        _ if name.len() > 249 => "it is longer than 249 characters",
        _ if !name.chars().all(legal) => "only letters, digits, '.', '_' and '-' are allowed",
        _ => return Ok(()),
    };
    let name: String = name.chars().take(60).collect();
    Err(Error::new(
        ErrorKind::Broker(ErrorCode::INVALID_TOPIC_EXCEPTION),
        format!("'{name}' is not a topic name: {problem}"),
    ))
}
