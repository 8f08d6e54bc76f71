//! Records out: as fast as they go, with a bound on those under way, or one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dohle_client::generated::options::Acks;
use dohle_client::producer::{AppendError, Delivery, DeliverySink, Producer, ProducerOptions, TopicId};
use dohle_protocol::records::{Headers, RecordRef};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::connect;
use crate::job::Job;
use crate::watch::Watch;

/// Records appended between two pokes: as many as cross in one arena of a language.
const RUN: u64 = 1_000;

/// Counts what the producer reports.
#[derive(Default)]
struct Sink {
    settled: AtomicU64,
    failed: AtomicU64,
    news: Notify,
}

impl DeliverySink for Sink {
    fn delivered(&self, delivery: Delivery) {
        let count = u64::from(delivery.count);
        if let Some(error) = delivery.error
            && self.failed.fetch_add(count, Ordering::Relaxed) == 0
        {
            eprintln!("a record failed: {error}");
        }
        self.settled.fetch_add(count, Ordering::Release);
        self.news.notify_one();
    }

    fn space_available(&self) {
        self.news.notify_one();
    }
}

/// One producer with its sink, writing to the job's topic.
pub struct Sending<'a> {
    job: &'a Job,
    runtime: &'a Runtime,
    sink: Arc<Sink>,
    producer: Producer,
    topic: TopicId,
}

impl<'a> Sending<'a> {
    /// The default options, which are idempotent with acks all.
    pub fn new(job: &'a Job, runtime: &'a Runtime) -> Self {
        let client = connect(job, runtime);
        let options = ProducerOptions {
            compression: job.codec.parse().expect("--codec"),
            acks: Acks::from_name(&job.acks).expect("--acks"),
            ..ProducerOptions::default()
        };
        let sink = Arc::new(Sink::default());
        let _inside = runtime.enter();
        let producer = Producer::new(&client, options, sink.clone()).expect("a producer");
        let topic = producer.topic(&job.topic).expect("a topic");
        Sending { job, runtime, sink, producer, topic }
    }

    /// [`Full`]: there is no room, [`Sending::wait_for_space`].
    pub fn append(&self, partition: Option<i32>, key: Option<&[u8]>, value: &[u8]) -> Result<(), Full> {
        let record = RecordRef { timestamp: -1, key, value: Some(value), headers: Headers::None };
        match self.producer.append(self.topic, partition, &record) {
            Ok(_) => Ok(()),
            Err(AppendError::Full) => Err(Full),
            Err(AppendError::Invalid(error)) => panic!("{error}"),
        }
    }

    fn append_next(&self, i: u64) -> Result<(), Full> {
        self.append(None, self.job.key(i), self.job.value(i))
    }

    /// What was appended may go.
    pub fn poke(&self) {
        self.producer.poke();
    }

    /// Waits until there is room again, or for news of records.
    pub fn wait_for_space(&self) {
        self.producer.wants_space();
        self.wait();
    }

    fn settled(&self) -> u64 {
        self.sink.settled.load(Ordering::Acquire)
    }

    fn wait(&self) {
        self.runtime.block_on(self.sink.news.notified());
    }

    fn records(&self, from: u64, to: u64) {
        let mut next = from;
        while next < to {
            let room = match self.job.window {
                0 => RUN,
                window => (self.settled() + window).saturating_sub(next).min(RUN),
            };
            let end = (next + room).min(to);
            let mut full = false;
            while next < end && !full {
                full = self.append_next(next).is_err();
                next += u64::from(!full);
            }
            self.poke();
            if full {
                self.wait_for_space();
            } else if room == 0 {
                self.wait();
            }
        }
        self.runtime.block_on(self.producer.flush());
    }

    /// Flushes; how many records the broker has then.
    pub fn written(&self) -> u64 {
        self.runtime.block_on(self.producer.flush());
        self.settled() - self.sink.failed.load(Ordering::Relaxed)
    }

    /// The result of `records` measured ones; the flush is part of the time.
    pub fn end(self, watch: Watch, records: u64, latencies: Option<Vec<Duration>>) -> String {
        let written = self.written();
        let result = watch.end(records, written, latencies);
        self.runtime.block_on(self.producer.close(None));
        result
    }
}

/// `buffer.memory` is used up.
#[derive(Debug)]
pub struct Full;

/// As fast as they go, with at most `--window` under way if that is given.
pub fn stream(job: &Job, runtime: &Runtime) -> String {
    let sending = Sending::new(job, runtime);
    sending.records(0, job.warmup);
    let watch = Watch::begin();
    sending.records(job.warmup, job.warmup + job.records);
    sending.end(watch, job.records, None)
}

/// Each is settled before the next.
pub fn sequential(job: &Job, runtime: &Runtime) -> String {
    let sending = Sending::new(job, runtime);
    let mut latencies = Vec::with_capacity(job.records as usize);
    let mut watch = Watch::begin();
    for i in 0..job.warmup + job.records {
        if i == job.warmup {
            watch = Watch::begin();
        }
        let begun = Instant::now();
        while sending.append_next(i).is_err() {
            sending.wait_for_space();
        }
        sending.poke();
        while sending.settled() <= i {
            sending.wait();
        }
        if i >= job.warmup {
            latencies.push(begun.elapsed());
        }
    }
    sending.end(watch, job.records, Some(latencies))
}
