//! Logs for the unit tests of this folder, and what they are written with; tests of rolling.

use std::sync::Arc;

use dohle_protocol::{
    compress::{Compression, Compressor},
    records::{BatchBuilder, Headers, RecordRef},
};

use super::*;
use crate::BrokerOptions;

/// A topic's configuration; the broker's is the default.
pub fn config(set: &[(&str, &str)]) -> TopicConfig {
    let set = set.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    TopicConfig::new(&BrokerOptions::default(), set).unwrap()
}

pub fn log(set: &[(&str, &str)]) -> Log {
    Log::new(Arc::new(config(set)), 7)
}

/// A batch to append.
pub struct Append<'a> {
    pub records: &'a [(&'a str, Option<&'a str>)],
    pub timestamp: i64,
    pub now_ms: i64,
    pub compression: Compression,
    /// Producer id, epoch, first sequence.
    pub stamp: (i64, i16, i32),
    pub transactional: bool,
}

impl Default for Append<'_> {
    fn default() -> Self {
        Self {
            records: &[("k", Some("v"))],
            timestamp: 1000,
            now_ms: 1000,
            compression: Compression::None,
            stamp: (-1, -1, -1),
            transactional: false,
        }
    }
}

impl Log {
    /// Appends; answers the offset.
    pub fn put(&mut self, append: Append<'_>) -> i64 {
        self.try_put(append).unwrap().base_offset
    }

    /// Appends, if it can.
    pub fn try_put(&mut self, append: Append<'_>) -> Result<Appended, ErrorCode> {
        let mut builder = BatchBuilder::new(1024);
        for (key, value) in append.records {
            let (key, value) = (Some(key.as_bytes()), value.map(str::as_bytes));
            builder.append(&RecordRef { timestamp: append.timestamp, key, value, headers: Headers::None });
        }
        let count = builder.count() as i32;
        let mut compressor = Compressor::new(append.compression, None).unwrap();
        let mut sealed = builder.seal(&mut compressor, append.transactional);
        let (id, epoch, first_sequence) = append.stamp;
        sealed.stamp(id, epoch, first_sequence);
        let stamp = ProducerStamp { id, epoch, first_sequence, last_sequence: first_sequence + count - 1 };
        let batch = Batch {
            bytes: sealed.bytes(),
            last_offset_delta: count - 1,
            max_timestamp: append.timestamp,
            append_time: -1,
            producer: (id >= 0).then_some(stamp),
            transactional: append.transactional,
            v2: false,
        };
        self.append(&batch, append.now_ms)
    }
}

fn bases(log: &Log) -> Vec<i64> {
    log.segments.iter().map(|segment| segment.base_offset).collect()
}

#[test]
fn a_segment_is_begun_when_the_active_one_is_older_than_segment_ms_by_its_records_times() {
    let mut log = log(&[("segment.ms", "100")]);
    for timestamp in [1000, 1050, 1100, 1101, 1150, 900] {
        log.put(Append { timestamp, now_ms: 1_000_000, ..Append::default() });
    }
    assert_eq!(bases(&log), [0, 3]);
}

#[test]
fn without_times_a_segment_is_as_old_as_its_first_append() {
    let mut log = log(&[("segment.ms", "100")]);
    for now_ms in [5000, 5100, 5101] {
        log.put(Append { timestamp: -1, now_ms, ..Append::default() });
    }
    assert_eq!(bases(&log), [0, 2]);
}

#[test]
fn jitter_takes_less_than_all_off_and_differs_between_partitions() {
    let set = [("segment.ms", "1000"), ("segment.jitter.ms", "1000")];
    let jitter = |seed: u64| Log::new(Arc::new(config(&set)), seed).jitter(0);
    let all: std::collections::BTreeSet<i64> = (0..100).map(jitter).collect();
    assert!(all.len() > 50 && all.iter().all(|one| (0..1000).contains(one)), "{all:?}");
    assert_eq!(log(&[]).jitter(0), 0);
}

#[test]
fn a_changed_size_of_segments_holds_from_the_next_append_on() {
    let mut log = log(&[]);
    log.put(Append::default());
    log.put(Append::default());
    log.set_config(Arc::new(config(&[("segment.bytes", "14")])));
    log.put(Append::default());
    assert_eq!(bases(&log), [0, 2]);
}
