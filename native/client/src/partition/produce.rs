//! Appending a batch to one partition.
//! Not the producer: no sequence numbers, so nothing is sent again that may have been written.
//! Driven by the caller of [`Partition::produce`].

use std::time::Duration;

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use dohle_protocol::compress::{Compression, Compressor};
use dohle_protocol::messages::ProduceRequest;
use dohle_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use dohle_protocol::messages::produce_response::PartitionProduceResponse;
use dohle_protocol::records::{BatchBuilder, RecordRef};
use tokio::sync::oneshot;

use super::{Partition, Record, millis};
use crate::producer::{Persistence, may_be_kept};
use crate::{Error, ErrorKind, Lane};

/// Where a batch was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Produced {
    /// Offset of its first record; the others follow without gaps.
    pub offset: i64,
    /// The time that the broker gave all of them, when the topic has `message.timestamp.type=LogAppendTime`.
    pub append_time: Option<i64>,
}

/// Why a batch was not acknowledged, and whether it is in the log all the same. Becomes an [`Error`] by `?`.
#[derive(Clone, Debug)]
pub struct NotProduced {
    /// Why.
    pub error: Error,
    /// Whether it is in the log, as far as can be known.
    pub persistence: Persistence,
}

impl NotProduced {
    fn sent(error: Error) -> Self {
        Self { error: error.context("the batch may have been written"), persistence: Persistence::PossiblyPersisted }
    }
}

/// An error from before anything was sent, or of a broker that has refused the batch.
impl From<Error> for NotProduced {
    fn from(error: Error) -> Self {
        Self { error, persistence: Persistence::NotPersisted }
    }
}

impl From<NotProduced> for Error {
    fn from(of: NotProduced) -> Self {
        of.error
    }
}

impl std::fmt::Display for NotProduced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for NotProduced {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// Records put together for one [`Partition::produce_batch`], each copied once, as the log has it.
pub struct Batch {
    builder: BatchBuilder,
    count: usize,
}

impl Batch {
    /// An empty one with room for about so many bytes; it grows.
    pub fn new(bytes: usize) -> Self {
        Self { builder: BatchBuilder::new(bytes + 128), count: 0 }
    }

    /// Adds a record.
    pub fn push(&mut self, record: &RecordRef<'_>) {
        self.builder.append(record);
        self.count += 1;
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a batch of {} records", self.count)
    }
}

impl Partition {
    /// Appends the records as one batch and waits for all replicas in sync (`acks=all`).
    ///
    /// Asked again, within `default.api.timeout.ms`, where the answer says that nothing was written (the leader has moved),
    /// and where nothing was sent. After any other failure (a lost connection, a timeout, a leader that gave up its place
    /// after it had written) the batch may have been written or not, and only who keeps the offsets can tell, by reading:
    /// the error says so.
    pub async fn produce(&self, records: &[Record]) -> Result<Produced, NotProduced> {
        let now = self.client.world().wall_clock_ms();
        let mut batch = Batch::new(records.iter().map(Record::size).sum());
        records.iter().for_each(|record| record.append_to(&mut batch, now));
        self.produce_batch(batch).await
    }

    /// As [`Partition::produce`], of records that were put together before. A record without a time of its own needs
    /// [`Partition::now`].
    pub async fn produce_batch(&self, batch: Batch) -> Result<Produced, NotProduced> {
        if batch.count == 0 {
            return Err(Error::invalid_argument("records: at least one is needed").into());
        }
        let bytes = self.sealed(batch).await?;
        let mut attempts = self.attempts();
        loop {
            let (leader, topic_id, _) = self.leader(&mut attempts).await?;
            // Failing to connect is before anything was sent.
            if let Err(error) = self.client.connection(leader, Lane::Produce).await {
                attempts.again(&self.client, error).await?;
                continue;
            }
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
            let answer = self.ask(leader, Lane::Produce, topic_id, request, Duration::ZERO).await;
            let response = answer.map_err(|error| match error.kind() {
                // Found out before it is written.
                ErrorKind::Unsupported => error.into(),
                _ => self.unknown(error),
            })?;
            let answers = response.responses.into_iter().flat_map(|topic| topic.partition_responses);
            let Some(answer) = answers.into_iter().find(|answer| answer.index == self.partition) else {
                return Err(self.unknown(self.not_about_us("Produce")));
            };
            match ErrorCode(answer.error_code) {
                ErrorCode::NONE => {
                    let append_time = (answer.log_append_time_ms >= 0).then_some(answer.log_append_time_ms);
                    return Ok(Produced { offset: answer.base_offset, append_time });
                }
                code if was_not_written(code, &answer) => {
                    attempts.again(&self.client, self.refused(code, &answer)).await?;
                }
                code => return Err(self.unknown(self.refused(code, &answer))),
            }
        }
    }

    /// The time that records without one get.
    pub fn now(&self) -> i64 {
        self.client.world().wall_clock_ms()
    }

    /// The batch as it goes over the wire; compressed off the I/O thread.
    async fn sealed(&self, batch: Batch) -> Result<Bytes, Error> {
        let mut compressor = Compressor::new(self.compression, None)
            .map_err(|error| Error::invalid_argument(format!("compression: {error}")))?;
        let seal = move || {
            let mut sealed = batch.builder.seal(&mut compressor, false);
            sealed.stamp(-1, -1, -1);
            sealed.bytes()
        };
        if self.compression == Compression::None {
            return Ok(seal());
        }
        let (send, receive) = oneshot::channel();
        let job = Box::new(move || drop(send.send(seal())));
        self.client.world().blocking(job).await;
        receive.await.map_err(|_| Error::new(ErrorKind::Panic, "compressing a batch panicked"))
    }

    /// The batch may be in the log. What was wrong may be the metadata, which the next call finds mended.
    fn unknown(&self, error: Error) -> NotProduced {
        self.client.metadata().request_update();
        NotProduced::sent(error)
    }

    fn refused(&self, code: ErrorCode, answer: &PartitionProduceResponse) -> Error {
        Error::broker_with(code, self.name(), answer.error_message.as_deref())
    }
}

/// Whether nothing of the batch is in the log. A broker that has appended a batch and then gives up the partition says so
/// with the same codes as one that never had it: but with the offset of the batch.
fn was_not_written(code: ErrorCode, answer: &PartitionProduceResponse) -> bool {
    let moved = matches!(
        code,
        ErrorCode::NOT_LEADER_OR_FOLLOWER
            | ErrorCode::LEADER_NOT_AVAILABLE
            | ErrorCode::FENCED_LEADER_EPOCH
            | ErrorCode::UNKNOWN_LEADER_EPOCH
            | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    !may_be_kept(code) || (moved && answer.base_offset < 0)
}
