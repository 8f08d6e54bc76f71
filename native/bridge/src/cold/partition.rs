//! One partition as a log, on a client.

use std::sync::Arc;
use std::time::Duration;

use dohle_client::Client;
use dohle_client::partition as engine;
use dohle_protocol::compress::Compression;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::Int64;
use super::{Operation, Target};
use crate::arena::ArenaReader;
use crate::client::ClientResource;
use crate::consumer::Chunk;
use crate::environment::Resource;
use crate::failure::Failure;

/// The partitions of a client's cluster.
pub struct Partitions(Arc<ClientResource>);

impl Target for Partitions {
    const NAME: &'static str = "partition";

    fn of(resource: &Resource) -> Option<Self> {
        match resource {
            Resource::Client(client) => Some(Self(client.clone())),
            _ => None,
        }
    }
}

impl Partitions {
    fn client(&self) -> &Client {
        &self.0.client
    }
}

/// Where a batch was written.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppendedBatch {
    /// Offset of its first record; the others follow without gaps.
    pub offset: Int64,
    /// The time that the broker gave all of them, if it gave one.
    pub append_time: Option<Int64>,
}

/// Appends the records of an arena to a partition as one batch.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "PartitionProduce")]
pub struct Produce {
    /// The topic's name.
    pub topic: String,
    /// The partition's number, from 0.
    #[schemars(range(min = 0))]
    pub partition: i32,
    /// `none`, `gzip`, `snappy`, `lz4` or `zstd`. Default: `none`.
    pub compression: Option<String>,
    /// The records of the arena that goes with the request; their topic and partition there mean nothing.
    #[serde(skip)]
    #[schemars(skip)]
    records: Option<engine::Batch>,
}

impl Operation for Produce {
    const NAME: &'static str = "partition.produce";
    type Target = Partitions;
    type Response = AppendedBatch;

    fn lend(&mut self, arena: &[u8], target: &Partitions) -> Result<(), Failure> {
        let now = target.client().world().wall_clock_ms();
        let mut batch = engine::Batch::new(arena.len());
        for record in ArenaReader::new(arena, 0) {
            let record = record.map_err(|defect| Failure::panic(&defect.to_string()))?;
            batch.push(&record.to_append(now)?);
        }
        self.records = Some(batch);
        Ok(())
    }

    async fn run(self, target: Partitions) -> Result<AppendedBatch, Failure> {
        let mut log = engine::Partition::new(target.client(), &self.topic, self.partition)?;
        if let Some(name) = &self.compression {
            let codec = name.parse::<Compression>().map_err(|_| {
                let shown: String = name.chars().take(60).collect();
                Failure::argument("compression", &format!("'{shown}' is none of none, gzip, snappy, lz4 and zstd"))
            })?;
            log = log.with_compression(codec);
        }
        let produced = log.produce_batch(self.records.unwrap_or_else(|| engine::Batch::new(0))).await?;
        Ok(AppendedBatch { offset: Int64(produced.offset), append_time: produced.append_time.map(Int64) })
    }
}

/// What was read of a partition.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadRecords {
    /// Records in offset order; none when nothing came in time, or nothing but markers of transactions.
    #[serde(skip)]
    #[schemars(skip)]
    chunks: Vec<Chunk>,
    /// Where to read on: one more than the last offset that was read or passed over.
    pub next_offset: Int64,
    /// One more than the last offset that may be read.
    pub high_watermark: Int64,
    /// Up to where transactions are decided.
    pub last_stable: Int64,
    /// The first offset of the log.
    pub log_start: Int64,
}

/// Reads records of a partition from an offset on. They come as chunks beside the response.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "PartitionFetch")]
#[serde(rename_all = "camelCase")]
pub struct Fetch {
    /// The topic's name.
    pub topic: String,
    /// The partition's number, from 0.
    #[schemars(range(min = 0))]
    pub partition: i32,
    /// Where to begin.
    pub offset: Int64,
    /// The broker answers when it has so many bytes. Default: 1.
    #[schemars(range(min = 0))]
    pub min_bytes: Option<i32>,
    /// Most bytes asked for, before decompression; the first batch comes whole. Default: 1 MiB.
    #[schemars(range(min = 1))]
    pub max_bytes: Option<i32>,
    /// The broker answers at the latest after so many milliseconds. Default: 500.
    pub max_wait_ms: Option<u32>,
    /// Reads only what is committed. Default: false.
    pub read_committed: Option<bool>,
}

impl Operation for Fetch {
    const NAME: &'static str = "partition.fetch";
    type Target = Partitions;
    type Response = ReadRecords;

    async fn run(self, target: Partitions) -> Result<ReadRecords, Failure> {
        let mut log = engine::Partition::new(target.client(), &self.topic, self.partition)?;
        if self.read_committed == Some(true) {
            log = log.read_committed();
        }
        let default = engine::FetchLimits::default();
        let limits = engine::FetchLimits {
            min_bytes: self.min_bytes.unwrap_or(default.min_bytes),
            max_bytes: self.max_bytes.unwrap_or(default.max_bytes),
            max_wait: self.max_wait_ms.map_or(default.max_wait, |ms| Duration::from_millis(ms.into())),
        };
        let fetched = log.fetch_chunks(self.offset.0, limits).await?;
        Ok(ReadRecords {
            chunks: fetched.chunks,
            next_offset: Int64(fetched.next_offset),
            high_watermark: Int64(fetched.high_watermark),
            last_stable: Int64(fetched.last_stable),
            log_start: Int64(fetched.log_start),
        })
    }

    fn chunks(response: &mut ReadRecords) -> Vec<Chunk> {
        std::mem::take(&mut response.chunks)
    }
}
