//! Recovery of folders that were damaged in every way that a seed thinks of: several files, several places, files that are missing,
//! swapped or strange. `FUZZ_SESSIONS=n` tries ten times as many, `FUZZ_SEED=n` the one of a failure.

use std::{collections::BTreeSet, env, path::PathBuf, sync::Arc};

use bytes::Bytes;
use dohle_protocol::{records::batches, reflect::Sampler};

use super::{names, open::Known, place::Place};
use crate::{
    disk::{Disk, memory::MemoryDisk},
    log::{
        Isolation, Log, Marker,
        tests::{Append, config},
    },
};

const FOLDER: &str = "/logs/t-0";
const SET: &[(&str, &str)] = &[("segment.bytes", "400"), ("index.interval.bytes", "60"), ("retention.ms", "-1")];

fn open(disk: &MemoryDisk, known: Known) -> std::io::Result<Log> {
    let place = Place::new(Arc::new(disk.clone()), FOLDER.into());
    Log::open(place, Arc::new(config(SET)), 7, known, 1000)
}

/// Plain batches, transactions that are committed, aborted and left open.
fn fill(log: &mut Log, dice: &mut Sampler) {
    let mut sequences = [0; 3];
    for n in 0..20 + dice.below(30) {
        let timestamp = 900 + n as i64;
        let id = dice.below(4);
        let Some(sequence) = sequences.get_mut(id) else {
            let records = vec![("k", Some("a value")); 1 + dice.below(4)];
            log.put(Append { records: &records, timestamp, ..Append::default() });
            continue;
        };
        let stamp = (id as i64, 0, *sequence);
        log.put(Append { stamp, transactional: true, timestamp, ..Append::default() });
        *sequence += 1;
        if dice.below(2) == 0 {
            let commit = dice.below(2) == 0;
            let marker = Marker { producer_id: id as i64, epoch: 0, commit, coordinator_epoch: 0 };
            log.append_marker(&marker, 1000).unwrap();
        }
    }
}

/// Does one thing to one file.
fn damage(disk: &MemoryDisk, dice: &mut Sampler) {
    let names = disk.names(FOLDER);
    let path = |name: &str| PathBuf::from(FOLDER).join(name);
    let (one, other) = (&names[dice.below(names.len())], &names[dice.below(names.len())]);
    let mut bytes = disk.bytes(path(one));
    match dice.below(8) {
        0 | 1 if !bytes.is_empty() => {
            for _ in 0..1 + dice.below(4) {
                let at = dice.below(bytes.len());
                bytes[at] ^= 1 << dice.below(8);
            }
        }
        2 => bytes.truncate(dice.below(bytes.len() + 1)),
        3 => bytes.extend(vec![[0, 0xff, 0xa5][dice.below(3)]; 1 + dice.below(200)]),
        4 if !bytes.is_empty() => {
            let from = disk.bytes(path(other));
            let (at, length) = (dice.below(bytes.len()), dice.below(from.len().max(1)));
            bytes.truncate(at);
            bytes.extend_from_slice(&from[..length.min(from.len())]);
        }
        5 => return disk.remove(&path(one)).unwrap(),
        6 => {
            let kind = names::parse(one).map_or(names::LOG, |(_, kind)| kind);
            let suffix = ["", names::SWAP, names::CLEANED, names::DELETED][dice.below(4)];
            return disk.set(path(&format!("{}{suffix}", names::name(dice.below(80) as i64, kind))), bytes);
        }
        _ => bytes = disk.bytes(path(other)),
    }
    disk.set(path(one), bytes);
}

/// Every batch from the log's start to its end; each read comes further, unless there is nothing but a hole before the end.
fn contents(log: &Log) -> Vec<Bytes> {
    let (mut offset, mut found) = (log.start_offset(), Vec::new());
    while offset < log.high_watermark() {
        let slice = log.read(offset, 200, true, Isolation::ReadUncommitted).unwrap();
        if slice.bytes.is_empty() {
            break;
        }
        let before = offset;
        for batch in batches(slice.bytes) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            offset = batch.last_offset() + 1;
            found.push(batch.bytes().clone());
        }
        assert!(offset > before, "a reader at {before} comes no further");
    }
    found
}

/// A batch without its offset and epoch, which the leader sets and no CRC protects.
fn protected(batch: &Bytes) -> Bytes {
    batch.slice(16..)
}

fn session(seed: u64) {
    let mut dice = Sampler::new(seed);
    let disk = MemoryDisk::default();
    let mut log = open(&disk, Known { clean: true, ..Known::default() }).unwrap();
    fill(&mut log, &mut dice);
    let written: BTreeSet<Bytes> = contents(&log).iter().map(protected).collect();
    if dice.below(2) == 0 {
        log.close().unwrap();
    }
    let disk = disk.copy();
    for _ in 0..1 + dice.below(5) {
        damage(&disk, &mut dice);
    }

    // What a clean stop or a checkpoint vouches for is not looked at: it may be nonsense, but nothing panics over it.
    let recovery_point = dice.below(60) as i64;
    for known in [Known { clean: true, ..Known::default() }, Known { recovery_point, ..Known::default() }] {
        let Ok(mut log) = open(&disk.copy(), known) else { continue };
        for offset in log.start_offset().max(0)..log.high_watermark().min(200) {
            let _ = log.read(offset, 200, true, Isolation::ReadCommitted);
            let _ = log.batch_at_time(900 + offset, offset);
        }
        let _ = log.try_put(Append::default());
        let _ = log.close();
    }

    // Everything is looked at: what is there was written, it can be read and appended to, and is the same when opened again.
    let mut log = open(&disk, Known::default()).unwrap();
    let found = contents(&log);
    assert!(found.iter().all(|batch| written.contains(&protected(batch))), "a batch that nobody has written");
    let end = log.high_watermark();
    assert_eq!(log.put(Append { timestamp: 3000, ..Append::default() }), end);
    let whole = contents(&log);
    assert_eq!(whole.len(), found.len() + 1);
    log.close().unwrap();
    let again = open(&disk, Known { clean: true, ..Known::default() }).unwrap();
    assert!(contents(&again) == whole, "it is not the same when it is opened again");
}

#[test]
fn a_damaged_folder_is_recovered_to_what_was_written() {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("FUZZ_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("FUZZ_SESSIONS").map_or(300, |sessions| sessions * 10),
    };
    for seed in seeds {
        if let Err(panic) = std::panic::catch_unwind(|| session(seed)) {
            eprintln!("FUZZ_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
