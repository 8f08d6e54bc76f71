//! The producer: records go into the open batch of their partition, one task per producer sends them.
//! Not a queue of messages: `append` encodes a record where it will stay, and nothing is called back but the sink.
//! Driven by the language's threads (`append`, `poke`) and by the sender task.
//!
//! File map: `accumulator` the append path · `partitioner`, `hashes` which partition · `batch` a batch and whose records
//! are in it · `waiting_room` records whose partition is not known yet · `memory` `buffer.memory`, `buffers` what is used again · `sender/` everything
//! after: sealing, leaders, requests in flight, answers, deadlines · `idempotence` producer id, epochs, sequences · `transactions/`.
//! Lock order: a topic's waiting room, then a partition's queue, then the list of partitions with news. The sink is never
//! called under one of them.

use std::sync::Arc;
use std::time::Duration;

use dohle_protocol::Uuid;
use dohle_protocol::records::RecordRef;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::client::{Client, Registration};
use crate::consumer::{CommittedOffset, Consumer, GroupMetadata, TopicPartition, TransactionOffsets};
use crate::error::{Error, Result};
use crate::statistics::Instance;
use crate::telemetry::FAREWELL;

mod accumulator;
mod batch;
mod buffers;
mod config;
mod grow;
mod hashes;
mod idempotence;
mod memory;
mod partitioner;
mod sender;
mod topic;
mod transactions;
mod waiting_room;

pub use crate::generated::options::ProducerOptions;
use accumulator::Accumulator;
use config::Config;
pub(crate) use sender::may_be_kept;
use sender::{Command, Sender};
use transactions::Transactions;

/// Where the engine reports to. Called on engine threads, never under a lock; implementations must only enqueue.
pub trait DeliverySink: Send + Sync {
    /// The fate of a run of records. Each record is in exactly one.
    fn delivered(&self, delivery: Delivery);
    /// After [`Producer::wants_space`]: there is room in `buffer.memory` again. Once per call of it.
    fn space_available(&self);
}

/// The fate of a run of records that were appended one after the other to the same group.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The group, as [`Placed::group`] told.
    pub group: u32,
    /// Index in the group of the first record of the run.
    pub first_index: u32,
    /// Records in the run, at least one.
    pub count: u32,
    /// The partition; −1 if none was found.
    pub partition: i32,
    /// Offset of the first record of the run, the others follow it; −1 with `acks` 0, for a duplicate that the broker no
    /// longer knows the offset of, and with an error.
    pub base_offset: i64,
    /// The broker's time of append in ms if the topic uses it, else −1.
    pub append_time: i64,
    /// Whether the records are in the log.
    pub persistence: Persistence,
    /// Why they were not acknowledged; none on success.
    pub error: Option<Arc<Error>>,
}

/// Whether a record is in the log, as far as the producer can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Persistence {
    /// It never left, or the broker refused it: sending it again makes no duplicate.
    NotPersisted = 0,
    /// It left and no answer tells its fate: it may be in the log, and with `acks` 0 most likely is.
    PossiblyPersisted = 1,
    /// The broker acknowledged it.
    Persisted = 2,
}

/// A topic that this producer writes to, as [`Producer::topic`] gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TopicId(pub u32);

/// Where a record was put: its fate is told by the [`Delivery`] of this group that covers this index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Placed {
    /// An open batch or, while the topic's metadata is unknown, its waiting room.
    pub group: u32,
    /// The record's place in the group.
    pub index: u32,
}

/// Why a record was not taken. Nothing of it was kept, and no [`Delivery`] will tell of it.
#[derive(Clone, Debug)]
pub enum AppendError {
    /// `buffer.memory` is used up: call [`Producer::wants_space`], wait for the sink, append again.
    Full,
    /// The record cannot be sent: too large, no such partition, a timestamp below 0, or the producer is closed.
    Invalid(Error),
}

/// Writes records to topics. Cheap calls from any thread; dropping it fails what is not settled, [`Producer::close`]
/// sends it first.
///
/// ```
/// # use std::sync::Arc;
/// # use dohle_client::Client;
/// use dohle_client::producer::{AppendError, Delivery, DeliverySink, Producer, ProducerOptions};
/// use dohle_protocol::records::{Headers, RecordRef};
///
/// struct Print;
///
/// // Called by the engine's thread: it notes and returns.
/// impl DeliverySink for Print {
///     fn delivered(&self, delivery: Delivery) {
///         match delivery.error {
///             None => println!("{} records from offset {}", delivery.count, delivery.base_offset),
///             Some(error) => println!("{error}; they are {:?}", delivery.persistence),
///         }
///     }
///     fn space_available(&self) {}
/// }
///
/// # async fn example(client: &Client) -> dohle_client::Result<()> {
/// let producer = Producer::new(client, ProducerOptions::default(), Arc::new(Print))?;
/// let orders = producer.topic("orders")?;
/// let record = RecordRef { timestamp: -1, key: Some(b"key"), value: Some(b"value"), headers: Headers::None };
/// match producer.append(orders, None, &record) {
///     Ok(placed) => println!("its delivery names group {} and index {}", placed.group, placed.index),
///     Err(AppendError::Full) => producer.wants_space(),
///     Err(AppendError::Invalid(error)) => return Err(error),
/// }
/// producer.poke();
/// producer.flush().await;
/// producer.close(None).await;
/// # Ok(())
/// # }
/// ```
pub struct Producer {
    accumulator: Arc<Accumulator>,
    transactions: Option<Transactions>,
    registration: Registration,
}

impl Producer {
    /// A producer on the connections of `client`. No I/O happens before the first topic or record, but with a
    /// `transactional.id`: its coordinator is asked for it at once.
    ///
    /// # Errors
    /// Options that contradict each other, such as `acks` 1 with `enable.idempotence`.
    pub fn new(client: &Client, options: ProducerOptions, sink: Arc<dyn DeliverySink>) -> Result<Self> {
        let config = Config::new(&options, client.options())?;
        let accumulator = Arc::new(Accumulator::new(config, sink, client.world().clone()));
        let transactions = Transactions::new(client, &accumulator);
        Sender::spawn(client.clone(), accumulator.clone(), transactions.clone());
        let instance: Arc<dyn Instance> = accumulator.clone();
        let registration = client.register("producer", Arc::downgrade(&instance));
        Ok(Self { accumulator, transactions, registration })
    }

    /// The topic of this name, which [`Producer::append`] takes. Its metadata is looked up in the background.
    ///
    /// # Errors
    /// A name that Kafka does not allow.
    pub fn topic(&self, name: &str) -> Result<TopicId> {
        self.accumulator.topic(name)
    }

    /// Puts a record into the open batch of its partition. Returns at once; [`Producer::poke`] must follow the last of a
    /// run, or a batch that is not full may stay. A timestamp of −1 means now.
    ///
    /// # Errors
    /// See [`AppendError`]; the record was not taken.
    pub fn append(
        &self,
        topic: TopicId,
        partition: Option<i32>,
        record: &RecordRef<'_>,
    ) -> Result<Placed, AppendError> {
        self.accumulator.append(topic, partition, record).map_err(|error| self.refused(error))
    }

    /// A record that is not taken lets its transaction fail.
    #[cold]
    fn refused(&self, error: AppendError) -> AppendError {
        match (&self.transactions, error) {
            (Some(transactions), AppendError::Invalid(error)) => AppendError::Invalid(transactions.failed(&error)),
            (_, error) => error,
        }
    }

    /// What a timestamp of −1 means: the time now, in milliseconds since 1970. One look at the clock serves a run of records.
    pub fn now(&self) -> i64 {
        self.accumulator.now()
    }

    /// Tells the sender that a run was appended: idle connections send it now, lingering starts otherwise.
    pub fn poke(&self) {
        self.accumulator.poke();
    }

    /// After [`AppendError::Full`]: asks for one [`DeliverySink::space_available`] as soon as that record fits. Until then
    /// batches do not linger.
    pub fn wants_space(&self) {
        self.accumulator.wants_space();
    }

    /// Sends what was appended before this call without lingering, and returns when all of it is settled.
    pub async fn flush(&self) {
        let (done, settled) = oneshot::channel();
        if self.accumulator.command(Command::Flush(done)) {
            let _ = settled.await;
        }
    }

    /// Opens a transaction: what is appended from now on is part of it (KIP-98). Waits for at most `max.block.ms`.
    ///
    /// # Errors
    /// No `transactional.id`; a transaction is open; `MAX_BLOCK_TIMEOUT` when the id could not be taken in time; fatal ones
    /// when another producer has taken over, or the id must not be used.
    pub async fn begin_transaction(&self) -> Result<()> {
        self.transactional()?.begin().await
    }

    /// Sends what was appended and commits; aborts instead when anything of the transaction has failed. Waits for as long as
    /// the coordinator takes. Dropping the future stops nothing: another call goes on waiting.
    ///
    /// # Errors
    /// [`Error::abortable`]: the transaction was aborted, begin another one. [`Error::fatal`]: fenced, for example.
    pub async fn commit_transaction(&self) -> Result<()> {
        self.transactional()?.commit().await
    }

    /// Aborts the transaction; what was not sent yet never is.
    ///
    /// # Errors
    /// No transaction is open, or fatal ones.
    pub async fn abort_transaction(&self) -> Result<()> {
        self.transactional()?.abort().await
    }

    /// Commits offsets of a consumer's group within the transaction, fenced by its generation (KIP-447). Waits until the
    /// group's coordinator has them, for at most `max.block.ms`.
    ///
    /// # Errors
    /// The transaction has failed then, and can only be aborted.
    pub async fn commit_offsets(
        &self,
        offsets: Vec<(TopicPartition, CommittedOffset)>,
        group: GroupMetadata,
    ) -> Result<()> {
        let given = TransactionOffsets { offsets, group, owned: Vec::new() };
        self.transactional()?.commit_offsets(given, None).await
    }

    /// As [`Producer::commit_offsets`], for a consumer that is at hand: when its epoch has changed meanwhile and it still has
    /// the partitions, the offsets are committed with the new one.
    ///
    /// # Errors
    /// The transaction has failed then, and can only be aborted.
    pub async fn commit_offsets_of(&self, consumer: &Consumer, given: TransactionOffsets) -> Result<()> {
        self.transactional()?.commit_offsets(given, Some(consumer.clone())).await
    }

    fn transactional(&self) -> Result<&Transactions> {
        self.transactions.as_ref().ok_or_else(|| {
            Error::invalid_config("transactional.id: not set; transactions need one that stays over restarts")
        })
    }

    /// Takes no more records, sends what there is, and returns when every record is settled; what is not after `timeout`
    /// fails with `CLOSED` (`None`: `delivery.timeout.ms` bounds it). A transaction that is open is aborted. A second call
    /// waits for the first.
    pub async fn close(&self, timeout: Option<Duration>) {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        if let Some(transactions) = &self.transactions {
            let latest = deadline.unwrap_or_else(|| Instant::now() + self.accumulator.config.delivery_timeout);
            transactions.close(latest).await;
        }
        self.accumulator.close();
        let session = &self.registration.session;
        let told = Instant::now() + FAREWELL;
        let told = deadline.map_or(told, |deadline| deadline.min(told));
        session.begin_farewell();
        // While there is something to tell of.
        session.gathered(told).await;
        let timeout = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let (done, closed) = oneshot::channel();
        if self.accumulator.command(Command::Close { timeout, done }) {
            let _ = closed.await;
        }
        self.accumulator.transaction.iter().for_each(|transaction| transaction.let_go());
        session.farewell(told).await;
    }

    /// Its name in [`Client::statistics`].
    pub fn name(&self) -> &str {
        &self.registration.name
    }

    /// The id that a broker gave it for its metrics (KIP-714), waited for no longer than `timeout`.
    ///
    /// # Errors
    /// `enable.metrics.push` is false; no broker gave one in time.
    pub async fn client_instance_id(&self, timeout: Duration) -> Result<Uuid> {
        self.registration.session.id(timeout).await
    }

    /// Bytes of `buffer.memory` in use.
    pub fn buffered_bytes(&self) -> usize {
        self.accumulator.memory.used()
    }
}

/// The partition, of `partitions`, that Java's client and the default partitioner choose for a key.
///
/// # Panics
/// When `partitions` is 0.
pub fn partition_for_key(key: &[u8], partitions: u32) -> u32 {
    (hashes::murmur2(key) & 0x7fff_ffff) % partitions
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.accumulator.close();
        let (done, _) = oneshot::channel();
        self.accumulator.command(Command::Close { timeout: Some(Duration::ZERO), done });
    }
}
