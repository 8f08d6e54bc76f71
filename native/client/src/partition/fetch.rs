//! Reading one partition from an offset on.
//! Not the consumer: no position, no session, nothing read ahead.
//! Driven by the caller of [`Partition::fetch`].

use std::time::Duration;

use dohle_protocol::ErrorCode;
use dohle_protocol::compress::Decompressor;
use dohle_protocol::messages::FetchRequest;
use dohle_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use dohle_protocol::messages::fetch_response::PartitionData;
use tokio::sync::oneshot;

use super::{Partition, Record, millis, record};
use crate::consumer::Chunk;
use crate::consumer::log::{self, Rules};
use crate::{Error, ErrorKind, Result};

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

/// What was read, as it lies in memory.
#[derive(Debug)]
pub struct FetchedChunks {
    /// In offset order. Their progress words mean nothing: nobody looks at them.
    pub chunks: Vec<Chunk>,
    /// See [`Fetched::next_offset`].
    pub next_offset: i64,
    /// See [`Fetched::high_watermark`].
    pub high_watermark: i64,
    /// See [`Fetched::last_stable`].
    pub last_stable: i64,
    /// See [`Fetched::log_start`].
    pub log_start: i64,
}

impl Partition {
    /// Reads from an offset on. Asked again after failures that may pass, within `default.api.timeout.ms`. An offset that is
    /// not in the log is the error `OFFSET_OUT_OF_RANGE`; at its end the records are none.
    pub async fn fetch(&self, offset: i64, limits: FetchLimits) -> Result<Fetched> {
        let FetchedChunks { chunks, next_offset, high_watermark, last_stable, log_start } =
            self.fetch_chunks(offset, limits).await?;
        let records = chunks.iter().flat_map(record::records_of).collect();
        Ok(Fetched { records, next_offset, high_watermark, last_stable, log_start })
    }

    /// As [`Partition::fetch`]: the records unpacked and indexed, not taken apart.
    pub async fn fetch_chunks(&self, offset: i64, limits: FetchLimits) -> Result<FetchedChunks> {
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
    async fn read(&self, offset: i64, data: PartitionData, max_bytes: i32) -> Result<FetchedChunks> {
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
        Ok(FetchedChunks { chunks, next_offset, high_watermark, last_stable, log_start })
    }
}
