//! Logs in files against logs in memory, and against everything that a crash, a full disk or a stranger can do to a folder.

use std::{path::PathBuf, sync::Arc};

use dohle_protocol::{ErrorCode, records::batches};
use proptest::prelude::*;

use super::{names, open::Known, place::Place};
use crate::{
    disk::{Disk, RealDisk, make_folder, memory::MemoryDisk},
    log::{
        Isolation, Log, Marker,
        tests::{Append, config, log},
    },
};

const FOLDER: &str = "/logs/t-0";

fn open(disk: &MemoryDisk, set: &[(&str, &str)], known: Known) -> Log {
    make_folder(disk, FOLDER.as_ref()).unwrap();
    let place = Place::new(Arc::new(disk.clone()), FOLDER.into());
    Log::open(place, Arc::new(config(set)), 7, known, 1000).unwrap()
}

fn clean() -> Known {
    Known { clean: true, ..Known::default() }
}

fn path(offset: i64, kind: &str) -> PathBuf {
    PathBuf::from(FOLDER).join(names::name(offset, kind))
}

/// All batches from an offset on: their first and last offsets.
fn all(log: &Log, from: i64) -> Vec<(i64, i64)> {
    let (mut offset, mut found) = (from, Vec::new());
    while offset < log.high_watermark() {
        let bytes = log.read(offset, 100, true, Isolation::ReadUncommitted).unwrap().bytes;
        if bytes.is_empty() {
            break;
        }
        for batch in batches(bytes) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            found.push((batch.header().base_offset, batch.last_offset()));
            offset = batch.last_offset() + 1;
        }
    }
    found
}

fn records(n: usize) -> Vec<(&'static str, Option<&'static str>)> {
    (0..n).map(|at| (["a", "b", "c"][at % 3], Some("a value of some length"))).collect()
}

fn put(log: &mut Log, count: usize, timestamp: i64) -> i64 {
    log.put(Append { records: &records(count), timestamp, ..Append::default() })
}

#[test]
fn a_log_is_the_same_after_a_clean_stop_and_goes_on_where_it_was() {
    let disk = MemoryDisk::default();
    let set = [("segment.bytes", "400"), ("index.interval.bytes", "1")];
    let mut log = open(&disk, &set, clean());
    for n in 0..10 {
        put(&mut log, 1 + n % 3, 1000 + n as i64);
    }
    log.delete_before(4).unwrap();
    let before = (all(&log, log.start_offset()), log.high_watermark(), log.size(), log.max_timestamp());
    log.close().unwrap();
    let known = Known { start_offset: 4, ..clean() };
    let mut log = open(&disk, &set, known);
    assert_eq!((all(&log, 4), log.high_watermark(), log.size(), log.max_timestamp()), before);
    assert_eq!(log.start_offset(), 4);
    assert_eq!(
        log.batch_at_time(1005, 0).unwrap(),
        log.read(before.1 - 8, 1, true, Isolation::ReadUncommitted).ok().map(|slice| slice.bytes)
    );
    let end = log.high_watermark();
    assert_eq!(put(&mut log, 2, 2000), end);
}

#[test]
fn a_clean_stop_leaves_nothing_to_read_but_the_tail() {
    let disk = MemoryDisk::default();
    let mut log = open(&disk, &[], clean());
    for n in 0..100 {
        put(&mut log, 1, n);
    }
    log.close().unwrap();
    // A byte of the records, which nobody looks at.
    let mut bytes = disk.bytes(path(0, names::LOG));
    bytes[80] ^= 1;
    disk.set(path(0, names::LOG), bytes);
    assert_eq!(open(&disk, &[], clean()).high_watermark(), 100);
    assert_eq!(open(&disk, &[], Known::default()).high_watermark(), 0, "else everything is looked at");
}

#[test]
fn a_log_that_must_be_whole_is_left_as_it_is_when_anything_but_its_end_is_torn() {
    let disk = MemoryDisk::default();
    let set = [("segment.bytes", "400")];
    let mut log = open(&disk, &set, clean());
    (0..10).for_each(|n| _ = put(&mut log, 2, n));
    let last = log.active().base_offset;
    assert!(last > 0);
    let known = Known { whole: true, ..Known::default() };
    let torn = |offset: i64| {
        let (disk, whole) = (disk.copy(), disk.bytes(path(offset, names::LOG)));
        let file = disk.open(&path(offset, names::LOG)).unwrap();
        file.truncate(whole.len() as u64 - 1).unwrap();
        let place = Place::new(Arc::new(disk.clone()), FOLDER.into());
        let opened = Log::open(place, Arc::new(config(&set)), 7, known, 1000).map(|log| log.high_watermark());
        (opened.map_err(|error| error.to_string()), file.len().unwrap() == whole.len() as u64 - 1)
    };
    let (refused, kept) = torn(0);
    assert!(refused.unwrap_err().contains("damaged at byte") && kept);
    assert_eq!(torn(last).0.map(|end| end >= last), Ok(true));
}

#[test]
fn whatever_byte_the_last_segment_is_cut_at_the_whole_batches_before_it_are_there() {
    let disk = MemoryDisk::default();
    let set = [("segment.bytes", "600"), ("index.interval.bytes", "100")];
    let mut log = open(&disk, &set, clean());
    let mut ends = Vec::new();
    for n in 0..12 {
        put(&mut log, 1 + n % 3, n as i64);
        ends.push((log.size(), log.high_watermark()));
    }
    let base_offset = log.active().base_offset;
    let before = log.active().start_position;
    let whole = disk.bytes(path(base_offset, names::LOG));
    assert!(base_offset > 0 && whole.len() > 200);
    for cut in 0..=whole.len() {
        // What is behind the cut: nothing, zeros, or something else.
        for tail in [&[][..], &[0; 100], &[0xa5; 100]] {
            let (disk, torn) = (disk.copy(), [&whole[..cut], tail].concat());
            disk.set(path(base_offset, names::LOG), torn.clone());
            let known = Known { recovery_point: base_offset, ..Known::default() };
            let mut log = open(&disk, &set, known);
            // The zeros may be just what was cut off.
            let is_there = |end: u64| {
                let own = end.saturating_sub(before) as usize;
                torn.get(..own).is_some_and(|there| there == &whole[..own])
            };
            let there = ends.iter().rfind(|(end, _)| is_there(*end)).map_or(0, |(_, next)| *next);
            assert_eq!(log.high_watermark(), there, "cut at {cut}");
            assert_eq!(all(&log, 0).last().map(|(_, last)| last + 1), Some(there), "cut at {cut}");
            assert_eq!(put(&mut log, 1, 100), there);
            log.close().unwrap();
            assert_eq!(open(&disk, &set, clean()).high_watermark(), there + 1, "cut at {cut}");
        }
    }
}

#[test]
fn no_damage_to_a_folder_makes_the_broker_panic() {
    let disk = MemoryDisk::default();
    let set = [("segment.bytes", "300"), ("index.interval.bytes", "1")];
    let mut log = open(&disk, &set, clean());
    for n in 0..6 {
        let stamp = (7, 0, n);
        log.put(Append { stamp, transactional: true, timestamp: 900 + i64::from(n), ..Append::default() });
    }
    let marker = Marker { producer_id: 7, epoch: 0, commit: false, coordinator_epoch: 0 };
    log.append_marker(&marker, 1000).unwrap();
    log.close().unwrap();
    for name in disk.names(FOLDER) {
        let file = PathBuf::from(FOLDER).join(&name);
        let whole = disk.bytes(&file);
        for at in 0..whole.len() {
            for known in [clean(), Known::default()] {
                let disk = disk.copy();
                let mut damaged = whole.clone();
                damaged[at] ^= 0xff;
                disk.set(&file, damaged);
                let place = Place::new(Arc::new(disk), FOLDER.into());
                let Ok(log) = Log::open(place, Arc::new(config(&set)), 7, known, 1000) else { continue };
                for offset in (log.start_offset()..=log.high_watermark()).take(20) {
                    let _ = log.read(offset, 1000, true, Isolation::ReadCommitted);
                }
                let _ = log.batch_at_time(903, 0);
            }
        }
    }
}

#[test]
fn producers_and_transactions_are_known_after_a_stop_and_after_a_crash() {
    let disk = MemoryDisk::default();
    let set = [("segment.bytes", "250")];
    let mut log = open(&disk, &set, clean());
    let write = |log: &mut Log, id: i64, sequence: i32| {
        log.put(Append { stamp: (id, 3, sequence), transactional: true, ..Append::default() });
    };
    let end = |log: &mut Log, id: i64, commit: bool| {
        log.append_marker(&Marker { producer_id: id, epoch: 3, commit, coordinator_epoch: 2 }, 1000).unwrap();
    };
    for n in 0..3 {
        write(&mut log, 1, n);
        write(&mut log, 2, n);
    }
    end(&mut log, 1, false);
    write(&mut log, 3, 0);
    end(&mut log, 3, true);
    let told = |log: &Log| {
        let slice = log.read(0, 1 << 20, true, Isolation::ReadCommitted).unwrap();
        (log.producers(1000), log.last_stable_offset(), log.transactions.aborted(0, 100), slice.aborted)
    };
    let before = told(&log);
    assert_eq!((before.1, before.2.len()), (1, 1));
    let killed = open(&disk.copy(), &set, Known::default());
    assert_eq!(told(&killed), before, "after a crash");
    log.close().unwrap();
    let mut again = open(&disk, &set, clean());
    assert_eq!(told(&again), before, "after a stop");
    let stamp =
        |sequence| super::super::ProducerStamp { id: 2, epoch: 3, first_sequence: sequence, last_sequence: sequence };
    assert!(again.knows(&stamp(2), 1000) && !again.knows(&stamp(3), 1000));
    again.abort_open(1000, |_| true).unwrap();
    assert_eq!(again.last_stable_offset(), again.high_watermark());
    assert_eq!(again.transactions.aborted(0, 100).len(), 2);
}

#[test]
fn a_log_that_begins_anew_knows_nothing_of_transactions_that_were_open_before() {
    let (disk, set) = (MemoryDisk::default(), [("segment.bytes", "14")]);
    let mut log = open(&disk, &set, clean());
    for n in 0..3 {
        log.put(Append { stamp: (7, 0, n), transactional: true, ..Append::default() });
    }
    log.delete_before(2).unwrap();
    log.begin_at(500, 1000).unwrap();
    put(&mut log, 1, 1);
    put(&mut log, 1, 2);
    let ends = |log: &Log| (log.last_stable_offset(), log.high_watermark());
    assert_eq!(ends(&open(&disk.copy(), &set, Known { start_offset: 500, ..Known::default() })), (502, 502));
    log.truncate_to(501, 1000).unwrap();
    assert_eq!(ends(&log), (501, 501));
}

#[test]
fn what_was_acknowledged_with_flush_messages_1_is_there_when_the_machine_fails() {
    let disk = MemoryDisk::default();
    let set = [("flush.messages", "1"), ("segment.bytes", "500")];
    let mut log = open(&disk, &set, clean());
    for n in 0..20 {
        let offset = put(&mut log, 1, n);
        let after = open(
            &disk.crashed(),
            &set,
            Known { recovery_point: log.checkpoint().unwrap().recovery_point, ..Known::default() },
        );
        assert_eq!(after.high_watermark(), offset + 1);
    }
    let disk = MemoryDisk::default();
    let mut log = open(&disk, &[], clean());
    for n in 0..20 {
        put(&mut log, 1, n);
    }
    assert_eq!(open(&disk.crashed(), &[], Known::default()).high_watermark(), 0, "the test's disk forgets");
}

#[test]
fn a_full_disk_refuses_what_it_cannot_take_and_serves_what_it_has() {
    let disk = MemoryDisk::default();
    let mut log = open(&disk, &[("segment.bytes", "300")], clean());
    put(&mut log, 1, 1);
    disk.fail_writes(true);
    let batch =
        |log: &mut Log| log.try_put(Append { records: &records(2), ..Append::default() }).map(|at| at.base_offset);
    for _ in 0..3 {
        assert_eq!(batch(&mut log), Err(ErrorCode::KAFKA_STORAGE_ERROR));
    }
    assert_eq!(all(&log, 0), [(0, 0)]);
    disk.fail_writes(false);
    assert_eq!(batch(&mut log), Ok(1), "there is room again");
    assert_eq!(all(&log, 0), [(0, 0), (1, 2)]);
    assert_eq!(all(&open(&disk, &[], Known::default()), 0), [(0, 0), (1, 2)]);
}

#[test]
fn what_a_full_disk_took_of_a_batch_is_not_left_at_the_end_of_a_closed_segment() {
    let (disk, set) = (MemoryDisk::default(), [("segment.bytes", "200")]);
    let mut log = open(&disk, &set, clean());
    put(&mut log, 1, 1);
    let whole = disk.bytes(path(0, names::LOG)).len();
    disk.fail_writes(true);
    assert!(log.try_put(Append { records: &records(1), ..Append::default() }).is_err());
    assert!(disk.bytes(path(0, names::LOG)).len() > whole, "half of it is there");
    disk.fail_writes(false);
    put(&mut log, 3, 1);
    assert_eq!(all(&log, 0), [(0, 0), (1, 3)]);
    assert!(disk.names(FOLDER).contains(&names::name(1, names::LOG)), "it has gone to another segment");
    assert_eq!(all(&open(&disk, &set, Known::default()), 0), [(0, 0), (1, 3)]);
}

#[test]
fn after_a_sync_that_failed_nothing_more_is_taken() {
    let disk = MemoryDisk::default();
    let mut log = open(&disk, &[("flush.messages", "1")], clean());
    put(&mut log, 1, 1);
    disk.fail_syncs(true);
    let refused = log.try_put(Append::default()).err();
    disk.fail_syncs(false);
    assert_eq!((refused, log.try_put(Append::default()).err()), (Some(ErrorCode::KAFKA_STORAGE_ERROR), refused));
}

#[test]
fn the_real_disk_does_what_the_one_in_memory_does() {
    let folder = std::env::temp_dir().join(format!("dohle-log-{}", std::process::id()));
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let place = || Place::new(disk.clone(), folder.join("t-0"));
    let set = Arc::new(config(&[("segment.bytes", "400"), ("index.interval.bytes", "50")]));
    let mut log = Log::open(place(), set.clone(), 7, clean(), 1000).unwrap();
    for n in 0..20 {
        put(&mut log, 1 + n % 3, n as i64);
    }
    let before = all(&log, 0);
    log.close().unwrap();
    drop(log);
    for known in [clean(), Known::default()] {
        let log = Log::open(place(), set.clone(), 7, known, 1000).unwrap();
        assert_eq!(all(&log, 0), before);
    }
    let lock = disk.lock(&folder.join(".lock")).unwrap();
    assert!(lock.is_some() && disk.lock(&folder.join(".lock")).unwrap().is_none(), "locked once");
    assert!(disk.space(&folder).unwrap().is_none_or(|space| space.total >= space.free));
    drop(lock);
    assert!(disk.lock(&folder.join(".lock")).unwrap().is_some());
    disk.remove_folder(&folder).unwrap();
}

/// What is done to a log in files and one in memory at the same time.
#[derive(Clone, Debug)]
enum Step {
    Put(usize, i64),
    Delete(i64),
    Truncate(i64),
    Stop,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..5_usize, 0..100_i64).prop_map(|(count, timestamp)| Step::Put(count, timestamp)),
        1 => (0..60_i64).prop_map(Step::Delete),
        1 => (0..60_i64).prop_map(Step::Truncate),
        1 => Just(Step::Stop),
        1 => Just(Step::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_log_in_files_is_as_one_in_memory(
        steps in prop::collection::vec(step(), 1..60),
        segment_bytes in 100..2000_u32,
        interval in 0..500_u32,
    ) {
        let (segment_bytes, interval) = (segment_bytes.to_string(), interval.to_string());
        let set = [("segment.bytes", &*segment_bytes), ("index.interval.bytes", &*interval), ("retention.ms", "-1")];
        let disk = MemoryDisk::default();
        let (mut file, mut memory) = (open(&disk, &set, clean()), log(&set));
        for step in steps {
            match step {
                Step::Put(count, timestamp) => {
                    prop_assert_eq!(put(&mut file, count, timestamp), put(&mut memory, count, timestamp));
                }
                Step::Delete(offset) => prop_assert_eq!(file.delete_before(offset), memory.delete_before(offset)),
                Step::Truncate(offset) => {
                    // Where a batch begins, as leader epochs do.
                    let start = memory.start_offset();
                    let begin = all(&memory, start).into_iter().map(|(first, _)| first).filter(|first| *first >= start);
                    let offset = begin.take_while(|first| *first <= offset).last().unwrap_or(start);
                    file.truncate_to(offset, 1000).unwrap();
                    memory.truncate_to(offset, 1000).unwrap();
                }
                Step::Stop => {
                    file.close().unwrap();
                    file = open(&disk, &set, Known { start_offset: file.start_offset(), ..clean() });
                }
                Step::Kill => {
                    let start_offset = file.start_offset();
                    file = open(&disk, &set, Known { start_offset, ..Known::default() });
                }
            }
            prop_assert_eq!(file.high_watermark(), memory.high_watermark());
            prop_assert_eq!(file.start_offset(), memory.start_offset());
            prop_assert_eq!(all(&file, file.start_offset()), all(&memory, memory.start_offset()));
            for offset in file.start_offset()..file.high_watermark() {
                let read = |log: &Log| log.read(offset, 150, false, Isolation::ReadUncommitted).unwrap().bytes;
                prop_assert_eq!(read(&file), read(&memory));
                let available = |log: &Log| log.available(offset, Isolation::ReadUncommitted);
                prop_assert_eq!(available(&file), available(&memory));
            }
            for time in [0, 30, 60, 99] {
                let found = |log: &Log| log.batch_at_time(time, log.start_offset()).unwrap();
                prop_assert_eq!(found(&file), found(&memory));
            }
        }
    }
}
