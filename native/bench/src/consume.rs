//! Records in: chunk by chunk, every value looked at.

use std::hint::black_box;
use std::ops::Range;
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

/// One consumer with its sink.
pub struct Reader {
    consumer: Consumer,
    sink: Arc<Sink>,
}

impl Reader {
    /// Reads these partitions of the job's topic from their start, with the default options.
    pub fn open(job: &Job, runtime: &Runtime, partitions: Range<i32>) -> Self {
        let _inside = runtime.enter();
        let sink = Arc::new(Sink::default());
        let consumer =
            Consumer::new(&connect(job, runtime), ConsumerOptions::default(), sink.clone()).expect("a consumer");
        let assignment = |partition| Assignment {
            partition: TopicPartition::new(job.topic.as_str(), partition),
            start: StartAt::Earliest,
        };
        consumer.assign(partitions.map(assignment).collect()).expect("assign");
        Reader { consumer, sink }
    }

    /// The next chunk, waiting on this thread, which is none of the runtime's.
    pub fn next(&mut self, runtime: &Runtime) -> Chunk {
        match self.consumer.next_chunk().expect("a chunk") {
            Some(chunk) => chunk,
            None => runtime.block_on(self.wait()),
        }
    }

    /// The next chunk.
    pub async fn wait(&mut self) -> Chunk {
        loop {
            if let Some(chunk) = self.consumer.next_chunk().expect("a chunk") {
                return chunk;
            }
            self.sink.ready.notified().await;
        }
    }

    /// Says that a chunk's records are done.
    pub fn finish(&self, chunk: &Chunk) {
        chunk.control.finished.store(chunk.count, Ordering::Release);
    }
}

/// The values of a chunk.
pub fn values(chunk: &Chunk) -> impl Iterator<Item = &[u8]> {
    chunk.index.chunks_exact(INDEX_WORDS).map(|record| {
        let (start, length) = (record[5] as usize, record[6] as usize);
        &chunk.bytes[start..start + length]
    })
}

/// Reads `--warmup` records with one consumer, then the whole topic with the next.
pub fn all(job: &Job, runtime: &Runtime) -> String {
    if job.warmup > 0 {
        read(job, runtime, job.warmup, None);
    }
    read(job, runtime, job.records, Some(Watch::begin()))
}

fn read(job: &Job, runtime: &Runtime, records: u64, mut watch: Option<Watch>) -> String {
    let mut reader = Reader::open(job, runtime, 0..job.partitions);
    let mut got = 0;
    while got < records {
        let chunk = reader.next(runtime);
        if got == 0
            && let Some(watch) = &mut watch
        {
            watch.arrived();
        }
        got += u64::from(chunk.count);
        black_box(values(&chunk).map(|value| value.len() + usize::from(value[0])).sum::<usize>());
        reader.finish(&chunk);
    }
    let result = watch.map(|watch| watch.end(got, 0, None)).unwrap_or_default();
    runtime.block_on(reader.consumer.close(None)).expect("close");
    result
}
