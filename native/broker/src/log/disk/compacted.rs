//! Compaction of a log in files: what it leaves is what it leaves in memory, wherever it is interrupted.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use dohle_protocol::{compress::Decompressor, records::batches};

use super::{open::Known, place::Place};
use crate::{
    disk::{Disk, memory::MemoryDisk},
    log::{
        Isolation, Log, Marker, Need, Tools,
        tests::{Append, config, log},
        validate::Decompressors,
    },
};

const SET: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("segment.bytes", "300"),
    ("min.cleanable.dirty.ratio", "0"),
    ("index.interval.bytes", "50"),
];
const FOLDER: &str = "/logs/t-0";

fn open(disk: &MemoryDisk, known: Known) -> Log {
    Log::open(Place::new(Arc::new(disk.clone()), FOLDER.into()), Arc::new(config(SET)), 7, known, 1000).unwrap()
}

fn fill(log: &mut Log) {
    for n in 0..12 {
        let key = ["a", "b", "c", "d"][n % 4];
        let value = n.to_string();
        let records = [(key, Some(&*value)), ("same", Some(&*value))];
        log.put(Append { records: &records, timestamp: 900 + n as i64, ..Append::default() });
        let stamp = (7, 0, n as i32);
        log.put(Append { records: &[("t", Some(&*value))], stamp, transactional: true, ..Append::default() });
        let marker = Marker { producer_id: 7, epoch: 0, commit: n % 3 > 0, coordinator_epoch: 0 };
        log.append_marker(&marker, 1000).unwrap();
    }
}

async fn compact(log: &mut Log) -> bool {
    let Need::Now(work) = log.compact(2000) else { return false };
    let tools = Tools { decompressors: &Decompressors::default(), max_decompressed_bytes: 1 << 20 };
    let Ok(compacted) = work.run(&tools).await else { return false };
    log.replace(compacted)
}

/// Offsets, and the last value of each key among the committed.
fn contents(log: &Log) -> (Vec<i64>, BTreeMap<String, String>) {
    let (mut offsets, mut last, mut at) = (Vec::new(), BTreeMap::new(), log.start_offset());
    while at < log.high_watermark() {
        let slice = log.read(at, 1 << 20, true, Isolation::ReadCommitted).unwrap();
        assert!(!slice.bytes.is_empty(), "a reader at {at} comes no further");
        let aborted = slice.aborted.unwrap();
        for batch in batches(slice.bytes) {
            let (batch, text) = (batch.unwrap(), |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap());
            at = batch.last_offset() + 1;
            let base = batch.header().base_offset;
            let hidden = aborted.iter().any(|one| {
                batch.header().producer_id == one.producer_id && (one.first_offset..=one.last_offset).contains(&base)
            });
            let plain = batch.plain(&mut Decompressor::default(), 1 << 20).unwrap();
            for record in plain.iter().map(Result::unwrap) {
                offsets.push(record.offset);
                if !hidden && !batch.header().attributes.is_control() {
                    last.insert(text(record.key.unwrap()), text(record.value.unwrap()));
                }
            }
        }
    }
    (offsets, last)
}

#[tokio::test]
async fn files_are_compacted_as_memory_is_and_are_the_same_when_they_are_opened_again() {
    let disk = MemoryDisk::default();
    let (mut file, mut memory) = (open(&disk, Known { clean: true, ..Known::default() }), log(SET));
    fill(&mut file);
    fill(&mut memory);
    let before = contents(&file);
    assert!(compact(&mut file).await && compact(&mut memory).await);
    let after = contents(&file);
    assert_eq!(after, contents(&memory));
    assert!(after.1 == before.1 && after.0.len() < before.0.len());
    assert_eq!(contents(&open(&disk.copy(), Known::default())), after, "after a crash");
    file.close().unwrap();
    assert_eq!(contents(&open(&disk, Known { clean: true, ..Known::default() })), after, "after a stop");
    assert!(disk.names(FOLDER).iter().all(|name| !name.contains(".cleaned") && !name.contains(".swap")));
}

#[tokio::test]
async fn wherever_compaction_is_interrupted_no_last_value_is_lost() {
    for renames in 0..60 {
        let disk = MemoryDisk::default();
        let mut file = open(&disk, Known { clean: true, ..Known::default() });
        fill(&mut file);
        let before = contents(&file).1;
        disk.fail_after_renames(renames);
        compact(&mut file).await;
        let after = disk.copy();
        let mut opened = open(&after, Known::default());
        assert_eq!(contents(&opened).1, before, "after {renames} renames");
        assert!(after.names(FOLDER).iter().all(|name| !name.contains(".cleaned") && !name.contains(".swap")));
        opened.put(Append { timestamp: 2000, ..Append::default() });
    }
}

#[tokio::test]
async fn compaction_of_a_deleted_topic_leaves_the_one_that_was_made_under_its_name_alone() {
    for late in [false, true] {
        let disk = MemoryDisk::default();
        let mut old = open(&disk, Known { clean: true, ..Known::default() });
        fill(&mut old);
        let Need::Now(work) = old.compact(2000) else { panic!("there is something to compact") };
        let tools = Tools { decompressors: &Decompressors::default(), max_decompressed_bytes: 1 << 20 };
        let (mut work, mut done) = (Some(work), None);
        if late {
            done = Some(work.take().unwrap().run(&tools).await.unwrap());
        }
        old.abandon();
        disk.rename(Path::new(FOLDER), Path::new("/logs/t-0.old-delete")).unwrap();
        let mut new = open(&disk, Known { clean: true, ..Known::default() });
        (0..3).for_each(|_| _ = new.put(Append::default()));
        if let Some(work) = work {
            assert!(work.run(&tools).await.is_err());
        }
        assert!(!done.is_some_and(|done| old.replace(done)));
        assert!(old.retain(i64::MAX).is_none() && matches!(old.compact(2000), Need::Later(None)));
        assert_eq!(contents(&open(&disk.copy(), Known::default())).0, [0, 1, 2]);
        assert_eq!(disk.names(FOLDER).iter().filter(|name| name.contains(".log")).count(), 1);
    }
}
