//! One partition as a log, for those who keep their own offsets: append a batch, read from an offset.
//! Not a producer nor a consumer: no group, no position, nothing gathered, nothing read ahead, no sequence numbers.
//! Driven by its callers: each call is one request at a time, asked again only while that cannot do anything twice.

mod lanes;
mod record;

use std::sync::Arc;
use std::time::Duration;

use dohle_protocol::compress::{Compression, Compressor, Decompressor};
use dohle_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use dohle_protocol::messages::fetch_response::PartitionData;
use dohle_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use dohle_protocol::messages::produce_response::PartitionProduceResponse;
use dohle_protocol::messages::{FetchRequest, ProduceRequest};
use dohle_protocol::records::BatchBuilder;
use dohle_protocol::{ErrorCode, Request, Uuid};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

use crate::consumer::log::{self, Rules};
use crate::net::Backoff;
use crate::{Client, Error, ErrorKind, Lane, Result};

pub(crate) use lanes::Lanes;
pub use record::Record;

/// From this version on Produce and Fetch name topics by id only.
const TOPIC_IDS: i16 = 13;

/// One partition of one topic. Cheap to make; keeps nothing.
///
/// ```
/// # use std::sync::Arc;
/// # use dohle_client::{Client, ClientOptions, TokioWorld};
/// use dohle_client::partition::{FetchLimits, Partition, Record};
/// # use dohle_client::admin::{Admin, NewTopic};
///
/// # #[tokio::main]
/// # async fn main() -> dohle_client::Result<()> {
/// # let broker = dohle_broker::Broker::start_default(dohle_broker::BrokerOptions::default()).await.unwrap();
/// # let options = ClientOptions { bootstrap_servers: vec![broker.address().to_string()], ..ClientOptions::default() };
/// # let client = Client::new(Arc::new(TokioWorld::current()), options)?;
/// # let topic = NewTopic { name: "orders".into(), partitions: Some(1), ..NewTopic::default() };
/// # Admin::new(&client).create_topics(vec![topic], false, None).await?;
/// let log = Partition::new(&client, "orders", 0)?;
/// let written = log.produce(&[Record::new("key", "value")]).await?;
/// let read = log.fetch(written.offset, FetchLimits::default()).await?;
/// assert_eq!(read.records[0].value.as_deref(), Some(&b"value"[..]));
/// // Where to go on: behind what was read, and behind what is no record.
/// assert_eq!(read.next_offset, read.high_watermark);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Partition {
    client: Client,
    topic: Arc<str>,
    partition: i32,
    compression: Compression,
    read_committed: bool,
}

/// How much [`Partition::fetch`] waits for and takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchLimits {
    /// The broker answers when it has so many bytes. Default 1.
    pub min_bytes: i32,
    /// Most bytes asked for, before decompression. The first batch comes whole even if it is larger. Default 1 MiB.
    pub max_bytes: i32,
    /// The broker answers at the latest after this time, even with nothing. Default 500 ms.
    pub max_wait: Duration,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self { min_bytes: 1, max_bytes: 1 << 20, max_wait: Duration::from_millis(500) }
    }
}

/// Where a batch was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Produced {
    /// Offset of its first record; the others follow without gaps.
    pub offset: i64,
    /// The time that the broker gave all of them, when the topic has `message.timestamp.type=LogAppendTime`.
    pub append_time: Option<i64>,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// In offset order; none when nothing came within `max_wait`, or nothing but markers of transactions.
    pub records: Vec<Record>,
    /// Where to read on: one more than the last offset that was read or passed over.
    pub next_offset: i64,
    /// One more than the last offset that may be read.
    pub high_watermark: i64,
    /// Up to where transactions are decided.
    pub last_stable: i64,
    /// The first offset of the log.
    pub log_start: i64,
}

impl Partition {
    /// A partition. Errors: a name that no topic can have, a negative number. Nothing is sent.
    pub fn new(client: &Client, topic: &str, partition: i32) -> Result<Self> {
        crate::consumer::check_topic(topic)?;
        if partition < 0 {
            return Err(Error::invalid_argument(format!("{topic}-{partition}: a partition's number is 0 or more")));
        }
        let (topic, client) = (topic.into(), client.clone());
        Ok(Self { client, topic, partition, compression: Compression::None, read_committed: false })
    }

    /// How batches are compressed from now on; not at all by default.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    /// Reads only what is committed: [`Partition::fetch`] leaves out aborted records and stops at open transactions.
    #[must_use]
    pub fn read_committed(self) -> Self {
        Self { read_committed: true, ..self }
    }

    /// Appends the records as one batch and waits for all replicas in sync (`acks=all`).
    ///
    /// Asked again, within `default.api.timeout.ms`, where the answer says that nothing was written (the leader has moved),
    /// and where nothing was sent. After any other failure (a lost connection, a timeout) the batch may have been written
    /// or not, and only who keeps the offsets can tell, by reading: the error says so.
    pub async fn produce(&self, records: &[Record]) -> Result<Produced> {
        if records.is_empty() {
            return Err(Error::invalid_argument("records: at least one is needed"));
        }
        let now = self.client.world().wall_clock_ms();
        let mut builder = BatchBuilder::new(records.iter().map(Record::size).sum::<usize>() + 128);
        records.iter().for_each(|record| record.append_to(&mut builder, now));
        let mut compressor = Compressor::new(self.compression, None)
            .map_err(|error| Error::invalid_argument(format!("compression: {error}")))?;
        let mut sealed = builder.seal(&mut compressor, false);
        sealed.stamp(-1, -1, -1);
        let bytes = sealed.bytes();
        let mut attempts = self.attempts();
        loop {
            let (leader, topic_id, _) = self.leader(&mut attempts).await?;
            let request = ProduceRequest {
                acks: -1,
                timeout_ms: millis(self.client.options().request_timeout),
                topic_data: vec![TopicProduceData {
                    name: self.topic.to_string(),
                    topic_id,
                    partition_data: vec![PartitionProduceData {
                        index: self.partition,
                        records: Some(bytes.clone()),
                        ..PartitionProduceData::default()
                    }],
                    ..TopicProduceData::default()
                }],
                ..ProduceRequest::default()
            };
            // Failing to connect is before anything was sent.
            if let Err(error) = self.client.connection(leader, Lane::Produce).await {
                attempts.again(&self.client, error).await?;
                continue;
            }
            let answer = self.ask(leader, Lane::Produce, topic_id, request, Duration::ZERO).await;
            let response = answer.map_err(|error| error.context("the batch may have been written"))?;
            let answers = response.responses.into_iter().flat_map(|topic| topic.partition_responses);
            let Some(answer) = answers.into_iter().find(|answer| answer.index == self.partition) else {
                return Err(self.not_about_us("Produce"));
            };
            match ErrorCode(answer.error_code) {
                ErrorCode::NONE => {
                    let append_time = (answer.log_append_time_ms >= 0).then_some(answer.log_append_time_ms);
                    return Ok(Produced { offset: answer.base_offset, append_time });
                }
                code if was_not_written(code) => attempts.again(&self.client, self.refused(code, &answer)).await?,
                code if code.is_retriable() => {
                    return Err(self.refused(code, &answer).context("the batch may have been written"));
                }
                code => return Err(self.refused(code, &answer)),
            }
        }
    }

    /// Reads from an offset on. Asked again after failures that may pass, within `default.api.timeout.ms`. An offset that is
    /// not in the log is the error `OFFSET_OUT_OF_RANGE`; at its end the records are none.
    pub async fn fetch(&self, offset: i64, limits: FetchLimits) -> Result<Fetched> {
        if offset < 0 {
            return Err(Error::invalid_argument(format!("offset: {offset} is below 0")));
        }
        if limits.min_bytes < 0 || limits.max_bytes < 1 {
            let FetchLimits { min_bytes, max_bytes, .. } = limits;
            return Err(Error::invalid_argument(format!(
                "min_bytes is 0 or more and max_bytes 1 or more, not {min_bytes} and {max_bytes}"
            )));
        }
        let mut attempts = self.attempts();
        loop {
            let (leader, topic_id, leader_epoch) = self.leader(&mut attempts).await?;
            let request = FetchRequest {
                replica_id: -1,
                max_wait_ms: millis(limits.max_wait),
                min_bytes: limits.min_bytes,
                max_bytes: limits.max_bytes,
                isolation_level: i8::from(self.read_committed),
                session_epoch: -1,
                topics: vec![FetchTopic {
                    topic: self.topic.to_string(),
                    topic_id,
                    partitions: vec![FetchPartition {
                        partition: self.partition,
                        current_leader_epoch: leader_epoch,
                        fetch_offset: offset,
                        partition_max_bytes: limits.max_bytes,
                        ..FetchPartition::default()
                    }],
                    ..FetchTopic::default()
                }],
                ..FetchRequest::default()
            };
            let taken = self.client.fetch_lanes().take(self.client.world(), limits.max_wait);
            let answer = self.ask(leader, taken.lane(), topic_id, request, limits.max_wait).await;
            taken.answered();
            let response = match answer {
                Ok(response) => response,
                Err(error) => {
                    attempts.again(&self.client, error).await?;
                    continue;
                }
            };
            let whole = ErrorCode(response.error_code);
            let answers = response.responses.into_iter().flat_map(|topic| topic.partitions);
            let data = match answers.into_iter().find(|data| data.partition_index == self.partition) {
                Some(data) if whole.is_none() => data,
                _ if whole.is_error() => {
                    attempts.again(&self.client, Error::broker(whole, self.name())).await?;
                    continue;
                }
                _ => return Err(self.not_about_us("Fetch")),
            };
            match ErrorCode(data.error_code) {
                ErrorCode::NONE => return self.read(offset, data, limits.max_bytes).await,
                code => attempts.again(&self.client, Error::broker(code, self.name())).await?,
            }
        }
    }

    /// Unpacks off the I/O thread.
    async fn read(&self, offset: i64, data: PartitionData, max_bytes: i32) -> Result<Fetched> {
        let (high_watermark, last_stable, log_start) =
            (data.high_watermark, data.last_stable_offset, data.log_start_offset);
        let options = crate::consumer::ConsumerOptions::default();
        let rules = Rules {
            read_committed: self.read_committed,
            check_crcs: options.check_crcs,
            max_decompressed: options.max_decompressed_bytes,
        };
        let (send, receive) = oneshot::channel();
        let (topic, partition) = (self.topic.clone(), self.partition);
        let job = Box::new(move || {
            // Data packs well; what unpacks to more comes with the next call.
            let budget = (max_bytes as usize).saturating_mul(16).max(1 << 20);
            let cut = log::cut(topic, partition, offset, data, rules, budget, &mut Decompressor::new());
            let _ = send.send(cut);
        });
        self.client.world().blocking(job).await;
        let (chunks, next_offset) = receive
            .await
            .map_err(|_| Error::new(ErrorKind::Panic, "unpacking a fetch response panicked"))?
            .map_err(|error| Error::new(ErrorKind::Protocol, format!("{} at {offset}: {error}", self.name())))?;
        let records = chunks.iter().flat_map(record::records_of).collect();
        Ok(Fetched { records, next_offset, high_watermark, last_stable, log_start })
    }

    /// Sends one request and waits for its answer, and `wait` longer than for others.
    async fn ask<R: Request>(
        &self,
        leader: i32,
        lane: Lane,
        topic_id: Uuid,
        request: R,
        wait: Duration,
    ) -> Result<R::Response> {
        let cap = if topic_id == Uuid::ZERO { TOPIC_IDS - 1 } else { R::MAX_STABLE_VERSION };
        let timeout = self.client.options().request_timeout + wait;
        self.client.request_up_to(leader, lane, cap, |_| Ok(request), timeout).await
    }

    /// The leader, the topic's id and the leader's epoch.
    async fn leader(&self, attempts: &mut Attempts) -> Result<(i32, Uuid, i32)> {
        let metadata = self.client.metadata();
        loop {
            let snapshot = metadata.snapshot();
            if !std::mem::take(&mut attempts.stale)
                && let (Some((leader, epoch)), Some(topic)) =
                    (snapshot.leader(&self.topic, self.partition), snapshot.topic(&self.topic))
            {
                return Ok((leader, topic.id, epoch));
            }
            let refresh = timeout_at(attempts.deadline, metadata.refresh_topics(&[&self.topic])).await;
            let error = match refresh {
                Err(_) => return Err(attempts.over(metadata.last_error())),
                Ok(Err(error)) => error,
                Ok(Ok(fresh)) if fresh.leader(&self.topic, self.partition).is_some() => continue,
                Ok(Ok(fresh)) => {
                    metadata.fail_if_hopeless(&self.topic)?;
                    let code = fresh.topic_error(&self.topic).unwrap_or(ErrorCode::LEADER_NOT_AVAILABLE);
                    match fresh.topic(&self.topic) {
                        Some(topic) if topic.partitions.len() as i64 <= i64::from(self.partition) => {
                            Error::broker(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, self.name())
                        }
                        _ => Error::broker(code, self.name()),
                    }
                }
            };
            attempts.again(&self.client, error).await?;
        }
    }

    fn attempts(&self) -> Attempts {
        let options = self.client.options();
        Attempts {
            deadline: Instant::now() + options.default_api_timeout,
            backoff: Backoff::new(options.retry_backoff, options.retry_backoff_max),
            stale: false,
        }
    }

    fn refused(&self, code: ErrorCode, answer: &PartitionProduceResponse) -> Error {
        Error::broker_with(code, self.name(), answer.error_message.as_deref())
    }

    fn not_about_us(&self, api: &str) -> Error {
        Error::new(ErrorKind::Protocol, format!("the answer to {api} is not about {}", self.name()))
    }

    fn name(&self) -> String {
        format!("{}-{}", self.topic, self.partition)
    }
}

/// Answers after which nothing of the batch is in the log.
fn was_not_written(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NOT_LEADER_OR_FOLLOWER
            | ErrorCode::LEADER_NOT_AVAILABLE
            | ErrorCode::FENCED_LEADER_EPOCH
            | ErrorCode::UNKNOWN_LEADER_EPOCH
            | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::UNKNOWN_TOPIC_ID
            | ErrorCode::NOT_ENOUGH_REPLICAS
            | ErrorCode::CORRUPT_MESSAGE
            | ErrorCode::THROTTLING_QUOTA_EXCEEDED
    )
}

fn millis(of: Duration) -> i32 {
    i32::try_from(of.as_millis()).unwrap_or(i32::MAX)
}

/// The tries of one call.
struct Attempts {
    deadline: Instant,
    backoff: Backoff,
    /// What metadata says was wrong.
    stale: bool,
}

impl Attempts {
    /// Waits before the next try; the error when it cannot help or the time is over.
    async fn again(&mut self, client: &Client, error: Error) -> Result<()> {
        let pause = self.backoff.next(&**client.world());
        if !error.retriable() || Instant::now() + pause >= self.deadline {
            return Err(error);
        }
        self.stale = true;
        sleep(pause).await;
        Ok(())
    }

    fn over(&self, last: Option<Error>) -> Error {
        last.unwrap_or_else(|| Error::new(ErrorKind::RequestTimedOut, "no metadata within default.api.timeout.ms"))
    }
}
