//! One partition as a log, for those who keep their own offsets: append a batch, read from an offset.
//! Not a producer nor a consumer: no group, no position, nothing gathered, nothing read ahead, no sequence numbers.
//! Driven by its callers: each call is one request at a time, asked again only while that cannot do anything twice.
//!
//! File map: `produce` · `fetch` · `lanes` connections of fetches · `record` a record with its own parts · here what both need.

mod fetch;
mod lanes;
mod produce;
mod record;

use std::sync::Arc;
use std::time::Duration;

use dohle_protocol::compress::Compression;
use dohle_protocol::{ErrorCode, Request, Uuid};
use tokio::time::{Instant, sleep, timeout_at};

use crate::net::Backoff;
use crate::{Client, Error, ErrorKind, Lane, Result};

pub use fetch::{FetchLimits, Fetched, FetchedChunks};
pub(crate) use lanes::Lanes;
pub use produce::{Batch, NotProduced, Produced};
pub use record::Record;

/// A partition that was just made may be unknown to some broker for a moment.
const BECOMES_KNOWN_WITHIN: Duration = Duration::from_secs(1);
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
        self.client.request_up_to(leader, lane, cap, |_| Ok(request.clone()), timeout).await
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
                Err(_) => return Err(attempts.over(&self.client)),
                Ok(Err(error)) => error,
                Ok(Ok(fresh)) if fresh.leader(&self.topic, self.partition).is_some() => continue,
                Ok(Ok(fresh)) => {
                    metadata.fail_if_hopeless(&self.topic)?;
                    let code = fresh.topic_error(&self.topic).unwrap_or(ErrorCode::LEADER_NOT_AVAILABLE);
                    match fresh.topic(&self.topic) {
                        Some(topic) if topic.partitions.len() as i64 <= i64::from(self.partition) => {
                            let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                            let text =
                                format!("{} has {} partitions, numbered from 0", self.topic, topic.partitions.len());
                            let error = Error::broker_with(code, self.name(), Some(&text));
                            if attempts.begun.elapsed() >= BECOMES_KNOWN_WITHIN {
                                return Err(error);
                            }
                            error
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
        let begun = Instant::now();
        Attempts {
            begun,
            deadline: begun + options.default_api_timeout,
            backoff: Backoff::new(options.retry_backoff, options.retry_backoff_max),
            stale: false,
        }
    }

    fn not_about_us(&self, api: &str) -> Error {
        Error::new(ErrorKind::Protocol, format!("the answer to {api} is not about {}", self.name()))
    }

    fn name(&self) -> String {
        format!("{}-{}", self.topic, self.partition)
    }
}

fn millis(of: Duration) -> i32 {
    i32::try_from(of.as_millis()).unwrap_or(i32::MAX)
}

/// The tries of one call.
struct Attempts {
    begun: Instant,
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

    fn over(&self, client: &Client) -> Error {
        let text = "no metadata within default.api.timeout.ms";
        let late = || client.too_late(Error::new(ErrorKind::RequestTimedOut, text));
        client.metadata().last_error().unwrap_or_else(late)
    }
}
