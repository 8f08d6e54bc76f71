//! A consumer that reads along while the network is cut: it sees every record, once and in order.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dohle_client::Client;
use dohle_client::consumer::{
    Assignment, Consumer, ConsumerEvent, ConsumerOptions, ConsumerSink, INDEX_WORDS, Question, StartAt, TopicPartition,
};
use dohle_simulation::world::Trace;
use tokio::sync::Notify;

struct Sink {
    ready: Notify,
    trace: Trace,
}

impl ConsumerSink for Sink {
    fn chunks_ready(&self) {
        self.ready.notify_one();
    }

    fn question(&self, _: Question) {}

    fn event(&self, event: ConsumerEvent) {
        self.trace.note(format!("consumer: {event:?}"));
    }
}

/// Reads until `records` came, and checks that their values count up: record `n` is in partition `n % partitions`.
pub async fn along(client: Client, topic: &'static str, partitions: i32, records: i32, trace: Trace) {
    let sink = Arc::new(Sink { ready: Notify::new(), trace: trace.clone() });
    let consumer = Consumer::new(&client, ConsumerOptions::default(), sink.clone()).unwrap();
    let assignments = (0..partitions)
        .map(|partition| Assignment { partition: TopicPartition::new(topic, partition), start: StartAt::Earliest });
    consumer.assign(assignments.collect()).unwrap();
    let mut next: Vec<i32> = (0..partitions).collect();
    let mut seen = 0;
    while seen < records {
        let Some(chunk) = consumer.next_chunk().expect("no error reaches the loop") else {
            sink.ready.notified().await;
            continue;
        };
        trace.note(format!(
            "chunk of {} records at {} of partition {}",
            chunk.count, chunk.base_offset, chunk.partition
        ));
        for row in chunk.index.chunks_exact(INDEX_WORDS) {
            let value = &chunk.bytes[row[5] as usize..][..row[6] as usize];
            let expected = &mut next[chunk.partition as usize];
            assert_eq!(std::str::from_utf8(value).unwrap(), format!("value {expected}"));
            *expected += partitions;
        }
        chunk.control.stepped.store(chunk.count, Ordering::Release);
        chunk.control.finished.store(chunk.count, Ordering::Release);
        seen += chunk.count as i32;
    }
    consumer.close(None).await.unwrap();
}
