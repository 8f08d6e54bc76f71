use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dohle_client::consumer::{ConsumerOptions, StartAt};
use dohle_protocol::compress::Compression;

use crate::support::*;

const PARTITIONS: usize = 3;
const RECORDS: usize = 4000;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

async fn filled() -> Cluster {
    let cluster = Cluster::start().await;
    cluster.create("stress", PARTITIONS as i32).await;
    for partition in 0..PARTITIONS {
        let mut dice = Dice(partition as u64 + 1);
        let mut from = 0;
        while from < RECORDS {
            let count = (1 + dice.roll(120) as usize).min(RECORDS - from);
            let codec = Compression::ALL[dice.roll(5) as usize];
            cluster.produce("stress", partition as i32, &numbered(from, count), codec).await;
            from += count;
        }
    }
    cluster
}

fn tight(seed: u64) -> ConsumerOptions {
    // Small enough that the buffer is full most of the time, at other seeds never.
    let buffer = [3_000, 20_000, 10_000_000][seed as usize % 3];
    ConsumerOptions {
        fetch_buffer_bytes: buffer,
        max_partition_fetch_bytes: 6_000,
        fetch_max_wait: Duration::from_millis(20),
        ..ConsumerOptions::default()
    }
}

/// One loop that pauses, resumes, seeks and dawdles at random. What it gets is exactly what it asked for, always.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_pauses_seeks_and_slow_readers_see_every_record_in_order() {
    let cluster = filled().await;
    for seed in 1..=12u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut reader = cluster.reader(tight(seed));
        reader.assign("stress", PARTITIONS as i32, StartAt::Earliest);
        let mut next = [0i64; PARTITIONS];
        let mut paused = [false; PARTITIONS];
        let mut seeks = 60;
        while next.iter().any(|&next| next < RECORDS as i64) {
            let p = dice.roll(PARTITIONS as u64) as usize;
            match dice.roll(100) {
                0 => {
                    reader.consumer.pause(&[tp("stress", p as i32)]).unwrap();
                    paused[p] = true;
                }
                1..=3 => {
                    reader.consumer.resume(&[tp("stress", p as i32)]).unwrap();
                    paused[p] = false;
                }
                4 if seeks > 0 => {
                    seeks -= 1;
                    next[p] = (next[p] + dice.roll(400) as i64 - 250).clamp(0, RECORDS as i64 - 1);
                    reader.consumer.seek(&tp("stress", p as i32), StartAt::Offset(next[p])).unwrap();
                }
                5 => tokio::time::sleep(Duration::from_millis(dice.roll(4))).await,
                6 => tokio::task::yield_now().await,
                _ => {}
            }
            if (0..PARTITIONS).all(|p| paused[p] || next[p] == RECORDS as i64) {
                for p in (0..PARTITIONS).filter(|&p| paused[p]) {
                    reader.consumer.resume(&[tp("stress", p as i32)]).unwrap();
                }
                paused = [false; PARTITIONS];
                continue;
            }
            let got = reader.next().await.unwrap();
            let p = got.tp.partition as usize;
            assert!(!paused[p], "seed {seed}: {} is paused", got.tp);
            assert_eq!((got.offset, number(&got.value)), (next[p], next[p]), "seed {seed}: {}", got.tp);
            next[p] += 1;
        }
    }
}

/// Pauses and resumes come from another thread at any moment. A record may then come twice (the loop had passed the check
/// when the pause came), but none is left out, and the loop never waits for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pauses_from_another_thread_lose_nothing_and_silence_nobody() {
    let cluster = filled().await;
    for seed in 1..=6u64 {
        let mut reader = cluster.reader(tight(seed));
        reader.assign("stress", PARTITIONS as i32, StartAt::Earliest);
        let over = Arc::new(AtomicBool::new(false));
        let meddler = {
            let (consumer, over) = (reader.consumer.clone(), over.clone());
            // A thread of the application, not of the engine.
            #[allow(clippy::disallowed_methods)]
            std::thread::spawn(move || {
                let mut dice = Dice(seed * 77);
                while !over.load(Ordering::Relaxed) {
                    let p = tp("stress", dice.roll(PARTITIONS as u64) as i32);
                    consumer.pause(std::slice::from_ref(&p)).unwrap();
                    std::thread::sleep(Duration::from_micros(dice.roll(500)));
                    consumer.resume(&[p]).unwrap();
                    std::thread::sleep(Duration::from_micros(dice.roll(500)));
                }
            })
        };
        let mut next = [0i64; PARTITIONS];
        let mut dice = Dice(seed);
        while next.iter().any(|&next| next < RECORDS as i64) {
            let got = reader.next().await.unwrap();
            let p = got.tp.partition as usize;
            assert!(got.offset <= next[p], "seed {seed}: {} at {}, expected {}", got.tp, got.offset, next[p]);
            assert_eq!(number(&got.value), got.offset);
            next[p] = got.offset + 1;
            if dice.roll(200) == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        over.store(true, Ordering::Relaxed);
        meddler.join().unwrap();
    }
}
