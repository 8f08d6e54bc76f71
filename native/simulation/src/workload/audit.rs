//! The log as it is in the end: read without a consumer, from the leaders, batch by batch.

use std::collections::BTreeMap;
use std::time::Duration;

use dohle_client::{Client, Lane};
use dohle_protocol::compress::Decompressor;
use dohle_protocol::messages::FetchRequest;
use dohle_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use dohle_protocol::messages::fetch_response::PartitionData;
use dohle_protocol::records::{ControlType, batches};

use crate::history::{Entry, Found, Log, Place, now};
use crate::stage::{LOOK, TOPICS};

use super::text;

/// How long a partition may be without a leader that answers, once all faults are over.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reads all partitions; an error says what could not be read.
pub async fn read(client: &Client) -> Result<Log, String> {
    let mut log = Log::new();
    for (topic, partitions) in TOPICS {
        for partition in 0..partitions {
            let place = Place { topic, partition };
            log.insert(place, read_partition(client, place).await?);
        }
    }
    Ok(log)
}

async fn read_partition(client: &Client, place: Place) -> Result<Found, String> {
    let mut reader = Reader::default();
    let begun = now();
    loop {
        match fetch(client, place, reader.next).await {
            Ok(data) => {
                let (end, stable) = (data.high_watermark, data.last_stable_offset);
                reader.take(data)?;
                if reader.next >= end {
                    return Ok(Found { entries: reader.entries, stable, end });
                }
            }
            Err(error) if now() - begun > PATIENCE => return Err(format!("{place:?} cannot be read: {error}")),
            Err(_) => tokio::time::sleep(LOOK * 2).await,
        }
    }
}

async fn fetch(client: &Client, place: Place, offset: i64) -> Result<PartitionData, String> {
    let snapshot = client.metadata().refresh_topics(&[place.topic]).await.map_err(|error| error.to_string())?;
    let topic = snapshot.topic(place.topic).ok_or("no such topic")?;
    let (leader, _) = snapshot.leader(place.topic, place.partition).ok_or("no leader")?;
    let wanted = FetchPartition {
        partition: place.partition,
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let topics = vec![FetchTopic { topic_id: topic.id, partitions: vec![wanted], ..FetchTopic::default() }];
    let request = FetchRequest { topics, max_wait_ms: 10, max_bytes: 1 << 20, ..FetchRequest::default() };
    let answer = client.request(leader, Lane::Fetch(0), &request, Duration::from_secs(5)).await;
    let mut response = answer.map_err(|error| error.to_string())?;
    let data = response.responses.pop().and_then(|mut topic| topic.partitions.pop()).ok_or("no answer")?;
    if data.error_code != 0 { Err(format!("error {}", data.error_code)) } else { Ok(data) }
}

/// What was read of a partition.
#[derive(Default)]
struct Reader {
    next: i64,
    entries: Vec<Entry>,
    /// Entries of transactions whose end was not read yet, by producer.
    open: BTreeMap<i64, Vec<usize>>,
    decompressor: Decompressor,
}

impl Reader {
    fn take(&mut self, data: PartitionData) -> Result<(), String> {
        for batch in batches(data.records.unwrap_or_default()) {
            let batch = batch.map_err(|error| error.to_string())?;
            batch.verify_crc().map_err(|error| error.to_string())?;
            let header = batch.header();
            let plain = batch.plain(&mut self.decompressor, 1 << 24).map_err(|error| error.to_string())?;
            if header.attributes.is_control() {
                let committed = plain.control_type() == Some(ControlType::Commit);
                for at in self.open.remove(&header.producer_id).unwrap_or_default() {
                    self.entries[at].committed = committed;
                }
            } else {
                let transactional = header.attributes.is_transactional();
                for record in plain.iter() {
                    let record = record.map_err(|error| error.to_string())?;
                    if record.offset < self.next {
                        continue;
                    }
                    if transactional {
                        self.open.entry(header.producer_id).or_default().push(self.entries.len());
                    }
                    let (id, source) =
                        record.value.and_then(text::read).map_or((None, None), |(id, of)| (Some(id), of));
                    self.entries.push(Entry { offset: record.offset, id, source, committed: !transactional });
                }
            }
            self.next = self.next.max(batch.last_offset() + 1);
        }
        Ok(())
    }
}
