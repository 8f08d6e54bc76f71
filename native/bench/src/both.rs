//! Producers and consumers in one process: the way of a record from append to handler, and a hundred of each.

use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::consume::{Reader, values};
use crate::job::Job;
use crate::produce::Sending;
use crate::watch::Watch;

/// The record `i` with the nanoseconds since `start` in its first 8 bytes.
fn stamp(own: &mut Vec<u8>, job: &Job, i: u64, start: Instant) {
    own.clear();
    own.extend_from_slice(job.value(i));
    own[..8].copy_from_slice(&(start.elapsed().as_nanos() as u64).to_le_bytes());
}

/// Every millisecond as many records as are due by then are sent, whether or not earlier ones have arrived.
pub fn end_to_end(job: &Job, runtime: &Runtime) -> String {
    let (start, total) = (Instant::now(), job.rate * job.seconds);
    let sending = Sending::new(job, runtime);
    thread::scope(|scope| {
        let reading = scope.spawn(|| handle(job, runtime, start, total));
        let (begun, mut sent, mut own, mut watch) = (Instant::now(), 0, Vec::new(), Watch::begin());
        while sent < job.warmup + total {
            let due = (begun.elapsed().as_micros() as u64 * job.rate / 1_000_000).min(job.warmup + total);
            while sent < due {
                if sent == job.warmup {
                    watch = Watch::begin();
                }
                stamp(&mut own, job, sent, start);
                sending.append(None, None, &own).expect("room: little is under way");
                sending.poke();
                sent += 1;
            }
            thread::sleep(Duration::from_millis(1));
        }
        let latencies = reading.join().expect("the reader");
        sending.end(watch, total, Some(latencies))
    })
}

fn handle(job: &Job, runtime: &Runtime, start: Instant, total: u64) -> Vec<Duration> {
    let mut reader = Reader::open(job, runtime, 0..job.partitions);
    let mut latencies = Vec::with_capacity(total as usize);
    let mut got = 0;
    while got < job.warmup + total {
        let chunk = reader.next(runtime);
        let now = start.elapsed();
        for value in values(&chunk) {
            let sent = u64::from_le_bytes(value[..8].try_into().expect("8 bytes"));
            if got >= job.warmup {
                latencies.push(now.saturating_sub(Duration::from_nanos(sent)));
            }
            got += 1;
        }
        reader.finish(&chunk);
    }
    latencies
}

/// Producer and consumer `i` have a client each and use partition `i`. One thread serves all producers, one all consumers.
pub fn fan(job: &Job, runtime: &Runtime) -> String {
    let each = job.records / job.clients;
    let watch = Watch::begin();
    let producers: Vec<_> = (0..job.clients).map(|_| Sending::new(job, runtime)).collect();
    let readers = (0..job.clients as i32).map(|i| Reader::open(job, runtime, i..i + 1));
    let readers: Vec<_> = readers.collect();
    let got = AtomicI64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| runtime.block_on(read_all(readers, each, &got)));
        let mut sent = 0;
        while sent < each {
            let end = (sent + 100).min(each);
            for (partition, producer) in producers.iter().enumerate() {
                for i in sent..end {
                    while producer.append(Some(partition as i32), None, job.value(i)).is_err() {
                        producer.wait_for_space();
                    }
                }
                producer.poke();
            }
            sent = end;
        }
    });
    let written: u64 = producers.iter().map(Sending::written).sum();
    watch.end(got.load(Ordering::Acquire) as u64, written, None)
}

async fn read_all(readers: Vec<Reader>, each: u64, got: &AtomicI64) {
    let tasks = readers.into_iter().map(|mut reader| {
        tokio::spawn(async move {
            let mut left = each;
            while left > 0 {
                let chunk = reader.wait().await;
                left -= u64::from(chunk.count);
                reader.finish(&chunk);
            }
            each
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        got.fetch_add(task.await.expect("a reader") as i64, Ordering::AcqRel);
    }
}
