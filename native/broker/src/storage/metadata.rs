//! The log of the cluster's metadata, `__cluster_metadata-0`: what a broker must know again after it was stopped. A record is safe
//! on the disk before what it says is told to anyone. There is one writer, and no snapshots yet: the log is as long as its history.

use std::{io, path::Path, sync::Arc};

use dohle_protocol::{
    Uuid,
    compress::{Compression, Compressor, Decompressor},
    messages::FeatureLevelRecord,
    records::{self, BatchBuilder, Headers, RecordRef},
};

use super::{
    identity,
    records::{Image, Record},
};
use crate::{
    BrokerOptions,
    config::TopicConfig,
    disk::{Disk, make_folder},
    log::{Batch, Isolation, Known, Log, Place},
};

/// The folder of the log, and the id of its topic (Kafka's Uuid.METADATA_TOPIC_ID).
pub(super) const FOLDER: &str = "__cluster_metadata-0";
const TOPIC_ID: Uuid = Uuid([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
/// The level of `metadata.version` that the records are written in, of Kafka 4.3.
const METADATA_VERSION: (&str, i16) = ("metadata.version", 30);
const READ_BYTES: usize = 1 << 20;

/// The log.
pub(super) struct Metadata {
    log: Log,
}

impl Metadata {
    /// Opens it, or begins it; answers what it says.
    pub fn open(disk: &Arc<dyn Disk>, folder: &Path, now_ms: i64) -> io::Result<(Self, Image)> {
        let folder = folder.join(FOLDER);
        make_folder(&**disk, &folder)?;
        let place = Place::new(disk.clone(), folder.clone());
        let set = [
            ("flush.messages", "1"),
            ("retention.ms", "-1"),
            ("retention.bytes", "-1"),
            ("segment.bytes", "1073741824"),
        ];
        let set = set.map(|(name, value)| (name.to_string(), value.to_string()));
        let options = BrokerOptions { segment_bytes: Some(1 << 30), ..BrokerOptions::default() };
        let config = TopicConfig::new(&options, set).map_err(io::Error::other)?;
        // As Kafka does: it is small, and everything depends on it.
        let known = Known { whole: true, ..Known::default() };
        let log = Log::open(place, Arc::new(config), 0, known, now_ms)?;
        identity::set_topic(&**disk, &folder, TOPIC_ID)?;
        let mut metadata = Self { log };
        let image = metadata.replay()?;
        if image.features.is_empty() {
            let (name, feature_level) = METADATA_VERSION;
            let level = FeatureLevelRecord { name: name.into(), feature_level, ..Default::default() };
            metadata.append(&[Record::Feature(level)], now_ms)?;
        }
        Ok((metadata, image))
    }

    fn replay(&self) -> io::Result<Image> {
        let (mut image, mut offset) = (Image::default(), self.log.start_offset());
        let decompressor = &mut Decompressor::default();
        let damaged = |error: records::RecordError| io::Error::new(io::ErrorKind::InvalidData, error);
        while offset < self.log.high_watermark() {
            let slice = self.log.read(offset, READ_BYTES, true, Isolation::ReadUncommitted);
            for batch in records::batches(slice.map_err(|code| io::Error::other(code.text()))?.bytes) {
                let batch = batch.map_err(damaged)?;
                offset = batch.last_offset() + 1;
                if batch.header().attributes.is_control() {
                    continue;
                }
                let plain = batch.plain(decompressor, 100 << 20).map_err(damaged)?;
                for record in plain.iter() {
                    let value = record.map_err(damaged)?.value.unwrap_or_default();
                    if let Some(record) = Record::decode(value)? {
                        image.apply(&record);
                    }
                }
            }
        }
        Ok(image)
    }

    /// Appends records, all or none; they are safe then.
    pub fn append(&mut self, all: &[Record], now_ms: i64) -> io::Result<()> {
        let mut builder = BatchBuilder::new(1024);
        for record in all {
            let value = record.encode()?;
            builder.append(&RecordRef { timestamp: now_ms, key: None, value: Some(&value), headers: Headers::None });
        }
        let mut compressor = Compressor::new(Compression::None, None).map_err(io::Error::other)?;
        let mut sealed = builder.seal(&mut compressor, false);
        sealed.stamp(-1, -1, -1);
        let batch = Batch {
            bytes: sealed.bytes(),
            last_offset_delta: all.len() as i32 - 1,
            max_timestamp: now_ms,
            append_time: -1,
            producer: None,
            transactional: false,
            v2: false,
        };
        self.log.append(&batch, now_ms).map_err(|code| io::Error::other(code.text())).map(drop)
    }

    pub fn close(&mut self) -> io::Result<()> {
        self.log.close()
    }
}
