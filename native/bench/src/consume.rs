//! Records in: chunk by chunk, every value looked at.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dohle_client::consumer::{
    Assignment, Chunk, Consumer, ConsumerEvent, ConsumerOptions, ConsumerSink, INDEX_WORDS, Question, StartAt,
    TopicPartition,
};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::connect;
use crate::job::Job;
use crate::watch::Watch;

#[derive(Default)]
struct Sink {
    ready: Notify,
}

impl ConsumerSink for Sink {
    fn chunks_ready(&self) {
        self.ready.notify_one();
    }
    fn question(&self, question: Question) {
        eprintln!("a question nobody expects: {question:?}");
    }
    fn event(&self, event: ConsumerEvent) {
        eprintln!("{event:?}");
    }
}

/// Reads `--warmup` records with one consumer, then the whole topic with the next.
pub fn all(job: &Job, runtime: &Runtime) -> String {
    if job.warmup > 0 {
        read(job, runtime, job.warmup, None);
    }
    read(job, runtime, job.records, Some(Watch::begin()))
}

fn read(job: &Job, runtime: &Runtime, records: u64, mut watch: Option<Watch>) -> String {
    let _inside = runtime.enter();
    let sink = Arc::new(Sink::default());
    let consumer = Consumer::new(&connect(job, runtime), ConsumerOptions::default(), sink.clone()).expect("a consumer");
    let assignment = |partition| Assignment {
        partition: TopicPartition::new(job.topic.as_str(), partition),
        start: StartAt::Earliest,
    };
    consumer.assign((0..job.partitions).map(assignment).collect()).expect("assign");
    let mut got = 0;
    while got < records {
        let Some(chunk) = consumer.next_chunk().expect("a chunk") else {
            runtime.block_on(sink.ready.notified());
            continue;
        };
        if got == 0
            && let Some(watch) = &mut watch
        {
            watch.arrived();
        }
        got += u64::from(chunk.count);
        black_box(touch(&chunk));
    }
    let result = watch.map(|watch| watch.end(got, 0, None)).unwrap_or_default();
    runtime.block_on(consumer.close(None)).expect("close");
    result
}

/// Looks at each value, then says that the chunk is finished.
fn touch(chunk: &Chunk) -> usize {
    let mut sum = 0;
    for record in chunk.index.chunks_exact(INDEX_WORDS) {
        let (start, length) = (record[5] as usize, record[6] as usize);
        sum += length + usize::from(chunk.bytes[start..start + length][0]);
    }
    chunk.control.finished.store(chunk.count, Ordering::Release);
    sum
}
