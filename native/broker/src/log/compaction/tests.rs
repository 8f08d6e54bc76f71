//! What compaction leaves. `tests/broker/compaction.rs` compares the same with Apache Kafka.

use std::collections::BTreeMap;

use dohle_protocol::{
    compress::{Compression, Decompressor},
    records::batches,
};

use super::{
    super::{
        Isolation, Marker,
        tests::{Append, config, log},
    },
    *,
};

/// One batch per segment, and compaction whenever there is anything new.
const EAGER: &[(&str, &str)] =
    &[("cleanup.policy", "compact"), ("segment.bytes", "14"), ("min.cleanable.dirty.ratio", "0")];

fn eager(more: &[(&str, &str)]) -> Log {
    log(&[EAGER, more].concat())
}

async fn work(work: Box<Compacting>) -> Compacted {
    let tools = Tools { decompressors: &Decompressors::default(), max_decompressed_bytes: 1 << 20 };
    work.run(&tools).await.unwrap()
}

/// Compacts, if it is time.
async fn compact(log: &mut Log, now_ms: i64) -> bool {
    match log.compact(now_ms) {
        Need::Later(_) => false,
        Need::Now(job) => log.replace(work(job).await),
    }
}

fn due(log: &Log, now_ms: i64) -> Option<i64> {
    match log.compact(now_ms) {
        Need::Later(due) => due,
        Need::Now(_) => panic!("it is time"),
    }
}

/// Offset, key and value of all data records, read as a client reads; batches without records are `(last offset, "", None)`.
fn contents(log: &Log) -> Vec<(i64, String, Option<String>)> {
    let (mut all, mut at) = (Vec::new(), log.start_offset());
    while at < log.high_watermark() {
        let bytes = log.read(at, 1 << 20, true, Isolation::ReadUncommitted).unwrap().bytes;
        assert!(!bytes.is_empty(), "a reader at {at} comes no further");
        for batch in batches(bytes) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            let header = batch.header();
            at = header.last_offset() + 1;
            if header.record_count == 0 {
                all.push((header.last_offset(), String::new(), None));
            } else if header.attributes.is_control() {
                all.push((header.base_offset, "marker".into(), None));
            } else {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let plain = batch.plain(&mut Decompressor::new(), 1 << 20).unwrap();
                all.extend(
                    plain.iter().map(Result::unwrap).map(|r| (r.offset, text(r.key.unwrap()), r.value.map(text))),
                );
            }
        }
    }
    all
}

fn offsets(log: &Log) -> Vec<i64> {
    contents(log).into_iter().map(|(offset, ..)| offset).collect()
}

fn put(log: &mut Log, records: &[(&str, Option<&str>)]) -> i64 {
    log.put(Append { records, ..Append::default() })
}

/// The active segment, which is never touched: with a key of its own.
fn roll(log: &mut Log) -> i64 {
    put(log, &[("active", Some("v"))])
}

fn entry(offset: i64, key: &str, value: &str) -> (i64, String, Option<String>) {
    (offset, key.into(), Some(value.into()))
}

#[tokio::test]
async fn the_last_record_of_each_key_stays_at_its_offset() {
    for compression in Compression::ALL {
        let mut log = eager(&[]);
        log.put(Append {
            records: &[("a", Some("1")), ("b", Some("1")), ("a", Some("2"))],
            compression,
            ..Append::default()
        });
        log.put(Append { records: &[("c", Some("1")), ("b", Some("2"))], compression, ..Append::default() });
        put(&mut log, &[("a", Some("active"))]);
        let before = log.size();
        assert!(compact(&mut log, 2000).await);
        let expected = [entry(2, "a", "2"), entry(3, "c", "1"), entry(4, "b", "2"), entry(5, "a", "active")];
        assert_eq!(contents(&log), expected, "{compression}: the active segment counts for nothing");
        assert!(log.size() < before || compression != Compression::None);
        assert_eq!((log.start_offset(), log.high_watermark()), (0, 6));
        assert!(!compact(&mut log, 2000).await, "nothing is new");
        // The next round meets what the last one left.
        roll(&mut log);
        assert!(compact(&mut log, 2000).await);
        let expected = [entry(3, "c", "1"), entry(4, "b", "2"), entry(5, "a", "active"), entry(6, "active", "v")];
        assert_eq!(contents(&log), expected, "{compression}");
    }
}

#[tokio::test]
async fn readers_find_their_way_over_what_is_gone() {
    let mut log = eager(&[]);
    for _ in 0..10 {
        put(&mut log, &[("k", Some("v"))]);
    }
    assert!(compact(&mut log, 2000).await);
    assert_eq!(offsets(&log), [8, 9], "the last of the closed segments, and the active one");
    for from in 0..=8 {
        let slice = log.read(from, 1, true, Isolation::ReadUncommitted).unwrap();
        let first = batches(slice.bytes).next().unwrap().unwrap();
        assert_eq!(first.header().base_offset, 8, "from {from}");
        assert_eq!(log.available(from, Isolation::ReadUncommitted), Ok(log.size()));
    }
    assert!(log.batch_at_time(1000, 0).unwrap().is_some());
}

#[tokio::test]
async fn a_tombstone_stays_for_its_time_and_takes_the_key_with_it() {
    let mut log = eager(&[("delete.retention.ms", "500")]);
    put(&mut log, &[("a", Some("1")), ("b", Some("1"))]);
    put(&mut log, &[("a", None)]);
    roll(&mut log);
    assert!(compact(&mut log, 2000).await);
    assert_eq!(offsets(&log), [1, 2, 3], "from the first compaction on, 500 ms");
    let tombstone = batches(log.read(2, 1, true, Isolation::ReadUncommitted).unwrap().bytes).next().unwrap().unwrap();
    assert_eq!(tombstone.header().delete_horizon(), Some(2500));
    roll(&mut log);
    assert!(compact(&mut log, 2499).await);
    assert_eq!(offsets(&log), [1, 2, 3, 4]);
    roll(&mut log);
    assert!(compact(&mut log, 2500).await);
    assert_eq!(offsets(&log), [1, 4, 5]);
}

#[tokio::test]
async fn it_is_time_when_enough_is_new() {
    let ratio = ("min.cleanable.dirty.ratio", "0.5");
    let mut log = eager(&[ratio]);
    for key in ["a", "b", "c", "d"] {
        put(&mut log, &[(key, Some("v"))]);
    }
    assert!(compact(&mut log, 2000).await, "all of it is");
    for _ in 0..3 {
        put(&mut log, &[("e", Some("v"))]);
        assert!(!compact(&mut log, 2000).await, "no more than half");
    }
    put(&mut log, &[("e", Some("v"))]);
    assert!(compact(&mut log, 2000).await, "4 of 7");
}

#[tokio::test]
async fn what_is_too_young_stays_and_what_has_waited_too_long_does_not() {
    let mut log = eager(&[("min.compaction.lag.ms", "100")]);
    for timestamp in [1000, 1050, 1000] {
        log.put(Append { timestamp, ..Append::default() });
    }
    assert_eq!(due(&log, 1099), Some(1100));
    assert!(compact(&mut log, 1100).await);
    assert_eq!(offsets(&log), [0, 1, 2], "the second is too young, and the first the last before it");
    assert_eq!(due(&log, 1100), Some(1150));
    assert!(compact(&mut log, 1150).await);
    assert_eq!(offsets(&log), [1, 2]);

    let mut log = eager(&[("min.cleanable.dirty.ratio", "1"), ("max.compaction.lag.ms", "100")]);
    for timestamp in [1000, 1050, 1000] {
        log.put(Append { timestamp, ..Append::default() });
    }
    assert_eq!(due(&log, 1100), Some(1101));
    assert!(compact(&mut log, 1101).await);
    assert_eq!(offsets(&log), [1, 2]);
}

fn in_transaction(log: &mut Log, producer: i64, sequence: i32, key: &str) -> i64 {
    let append = Append {
        records: &[(key, Some("v"))],
        stamp: (producer, 0, sequence),
        transactional: true,
        ..Append::default()
    };
    log.put(append)
}

fn end(log: &mut Log, producer_id: i64, commit: bool) {
    log.append_marker(&Marker { producer_id, epoch: 0, commit, coordinator_epoch: 0 }, 1000).unwrap();
}

#[tokio::test]
async fn of_an_aborted_transaction_nothing_stays_and_it_hides_nothing() {
    let mut log = eager(&[("delete.retention.ms", "500")]);
    put(&mut log, &[("a", Some("committed"))]);
    in_transaction(&mut log, 7, 0, "a");
    in_transaction(&mut log, 7, 1, "b");
    end(&mut log, 7, false);
    roll(&mut log);
    assert!(compact(&mut log, 2000).await);
    let empty = |offset| (offset, String::new(), None);
    let marker = |offset| (offset, "marker".to_string(), None);
    let expected = [entry(0, "a", "committed"), empty(2), marker(3), entry(4, "active", "v")];
    assert_eq!(contents(&log), expected, "the producer's last batch says what its sequence is");
    let aborted = |log: &Log| log.read(1, 1 << 20, true, Isolation::ReadCommitted).unwrap().aborted.unwrap().len();
    assert_eq!(aborted(&log), 1);
    // The marker goes when no batch of the transaction is left, and then 500 ms later.
    let stamp = (7, 0, 2);
    log.put(Append { stamp, ..Append::default() });
    roll(&mut log);
    assert!(compact(&mut log, 3000).await);
    roll(&mut log);
    assert!(compact(&mut log, 4000).await);
    assert!(offsets(&log).contains(&3));
    roll(&mut log);
    assert!(compact(&mut log, 4501).await);
    assert!(!offsets(&log).contains(&3));
    assert_eq!(aborted(&log), 0);
}

#[tokio::test]
async fn an_open_transaction_and_what_is_behind_it_wait() {
    let mut log = eager(&[]);
    put(&mut log, &[("k", Some("1"))]);
    put(&mut log, &[("k", Some("2"))]);
    in_transaction(&mut log, 7, 0, "k");
    put(&mut log, &[("k", Some("3"))]);
    roll(&mut log);
    assert!(compact(&mut log, 2000).await);
    assert_eq!(offsets(&log), [1, 2, 3, 4]);
    end(&mut log, 7, true);
    roll(&mut log);
    assert!(compact(&mut log, 2000).await);
    assert_eq!(contents(&log)[0], (2, String::new(), None), "the last of its producer");
    assert_eq!(offsets(&log)[1], 3);
}

#[tokio::test]
async fn a_producers_last_batch_is_left_as_a_header_until_it_writes_again_or_expires() {
    let mut log = eager(&[]);
    let batch = |sequence| Append { stamp: (7, 0, sequence), ..Append::default() };
    log.put(batch(0));
    log.put(batch(1));
    put(&mut log, &[("k", Some("v"))]);
    roll(&mut log);
    assert!(compact(&mut log, 2000).await);
    assert_eq!(offsets(&log), [1, 2, 3]);
    let slice = log.read(0, 1, true, Isolation::ReadUncommitted).unwrap();
    let left = batches(slice.bytes).next().unwrap().unwrap().header();
    assert_eq!((left.producer_id, left.producer_epoch, left.base_sequence, left.record_count), (7, 0, 1, 0));
    assert_eq!(log.put(batch(2)), 4, "its sequences go on");
    roll(&mut log);
    assert!(compact(&mut log, 2000).await);
    assert_eq!(offsets(&log), [3, 4, 5], "and it is gone when the next one is there");
}

#[tokio::test]
async fn small_segments_become_one_and_what_was_deleted_meanwhile_is_not_put_back() {
    let mut log = eager(&[]);
    for key in ["a", "b", "c", "d"] {
        put(&mut log, &[(key, Some("v"))]);
    }
    log.set_config(Arc::new(config(&[("cleanup.policy", "compact,delete"), ("min.cleanable.dirty.ratio", "0")])));
    let Need::Now(job) = log.compact(2000) else { panic!("it is time") };
    let done = work(job).await;
    assert_eq!((done.replaces, done.segments.len()), (3, 1));
    log.delete_before(1).unwrap();
    assert!(!log.replace(done), "its first segment is gone");
    assert_eq!(offsets(&log), [1, 2, 3]);
    assert!(compact(&mut log, 2000).await);
    assert_eq!((offsets(&log), log.segments.len()), (vec![1, 2, 3], 2));
}

/// The last value of each key for who reads committed records, read as a client reads.
fn values(log: &Log) -> BTreeMap<String, String> {
    let (mut values, mut at) = (BTreeMap::new(), log.start_offset());
    while at < log.last_stable_offset() {
        let slice = log.read(at, 1 << 20, true, Isolation::ReadCommitted).unwrap();
        assert!(!slice.bytes.is_empty(), "a reader at {at} comes no further");
        let (mut ahead, mut aborted) = (slice.aborted.unwrap(), Vec::new());
        for batch in batches(slice.bytes) {
            let batch = batch.unwrap();
            let header = batch.header();
            at = header.last_offset() + 1;
            aborted.extend(ahead.extract_if(.., |one| one.first_offset < at).map(|one| one.producer_id));
            if header.attributes.is_control() {
                aborted.retain(|producer| *producer != header.producer_id);
            } else if !header.attributes.is_transactional() || !aborted.contains(&header.producer_id) {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                for record in batch.plain(&mut Decompressor::new(), 1 << 20).unwrap().iter().map(Result::unwrap) {
                    match record.value {
                        Some(value) => drop(values.insert(text(record.key.unwrap()), text(value))),
                        None => drop(values.remove(&text(record.key.unwrap()))),
                    }
                }
            }
        }
    }
    values
}

/// Numbers that look random, the same ones in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (super::super::mix(self.0) % most) as usize
    }
}

#[tokio::test]
async fn whatever_is_written_the_last_committed_value_of_every_key_is_the_same_after_compaction() {
    const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let bytes = ["14", "300", "2000"][dice.below(3)];
        let mut log = eager(&[("segment.bytes", bytes), ("delete.retention.ms", "3")]);
        let (mut sequences, mut open) = ([0; 4], [false; 4]);
        for n in 0..80 {
            let value = n.to_string();
            let records: Vec<(&str, Option<&str>)> = (0..=dice.below(3))
                .map(|_| (KEYS[dice.below(6)], Some(value.as_str()).filter(|_| dice.below(4) > 0)))
                .collect();
            let compression = Compression::ALL[dice.below(5)];
            let producer = dice.below(4);
            let mut append = Append { records: &records, compression, ..Append::default() };
            match dice.below(10) {
                0 | 1 if open[producer] => {
                    end(&mut log, producer as i64, dice.below(2) == 0);
                    open[producer] = false;
                }
                0..4 => {
                    (append.stamp, append.transactional) = ((producer as i64, 0, sequences[producer]), true);
                    sequences[producer] += records.len() as i32;
                    open[producer] = true;
                    log.put(append);
                }
                4 => {
                    let before = values(&log);
                    compact(&mut log, 2000 + n).await;
                    assert_eq!(values(&log), before, "seed {seed}, step {n}");
                }
                _ => drop(log.put(append)),
            }
        }
        (0..4)
            .filter(|producer| open[*producer])
            .for_each(|producer| end(&mut log, producer as i64, producer % 2 == 0));
        let before = values(&log);
        log.set_config(Arc::new(config(&[EAGER, &[("delete.retention.ms", "3")]].concat())));
        for round in 0..3 {
            roll(&mut log);
            assert!(compact(&mut log, 3000 + round * 10).await);
            let mut after = values(&log);
            after.remove("active");
            assert_eq!(after, before, "seed {seed}");
        }
    }
}
