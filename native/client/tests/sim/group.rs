//! A producer, and members of one group that come and go: over a quiet network, or over one that is cut.
//!
//! Quiet: every record is processed exactly once, in the order of its partition, whoever owns that at the time. Cut: none
//! is left out, and what is committed in the end is the end of the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dohle_client::consumer::{Chunk, Consumer, ConsumerEvent, ConsumerSink, INDEX_WORDS, Question, TopicPartition};
use dohle_client::generated::options::{ConsumerOptions, ProducerOptions};
use dohle_client::producer::Producer;
use dohle_client::{Client, World};
use dohle_protocol::records::{Headers, RecordRef};
use dohle_simulation::world::{SimWorld, Trace};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::network::{Cut, client_options, cut_the_network, host_broker, run_to_the_end, simulation};
use super::produce::Sink;

const TOPIC: &str = "orders";
const GROUP: &str = "billing";
const PARTITIONS: i32 = 6;
const RECORDS: u32 = 300;
const MEMBERS: [&str; 3] = ["member-a", "member-b", "member-c"];

/// Without `Cut::Silent`: who waits for the rest of its group may wait long for a coordinator that vanished.
const CUTS: [Cut; 3] = [Cut::Broken, Cut::AnswersLost, Cut::Held];

/// What all hosts of a run see: they are one process, on one thread.
#[derive(Default)]
struct Shared {
    processed: Mutex<Vec<Processed>>,
    /// What the group has committed is the end of the log.
    committed: AtomicBool,
}

#[derive(Clone, Debug)]
struct Processed {
    member: &'static str,
    partition: i32,
    offset: i64,
    value: String,
}

/// Runs one seed to its end and checks it.
pub fn run(seed: u64, quiet: bool) -> Vec<String> {
    let trace = Trace::default();
    let shared = Arc::new(Shared::default());
    let mut sim = simulation(seed);
    host_broker(&mut sim, seed, PARTITIONS, &trace);

    let tracing = trace.clone();
    sim.client("producer", async move {
        let world = Arc::new(SimWorld::new("producer", seed, tracing.clone()));
        produce(world, tracing).await;
        Ok(())
    });
    let (sharing, tracing) = (shared.clone(), trace.clone());
    sim.client("watcher", async move {
        let world = Arc::new(SimWorld::new("watcher", seed, tracing.clone()));
        watch_commits(world, &sharing, tracing).await;
        Ok(())
    });
    for member in MEMBERS {
        let (sharing, tracing) = (shared.clone(), trace.clone());
        sim.client(member, async move {
            let world = Arc::new(SimWorld::new(member, seed, tracing.clone()));
            if !quiet {
                let (world, trace) = (world.clone(), tracing.clone());
                tokio::spawn(async move { cut_the_network(world, trace, member, &CUTS).await });
            }
            come_and_go(member, world, &sharing, tracing, seed).await;
            Ok(())
        });
    }
    let trace = run_to_the_end(sim, trace);
    check(&shared.processed.lock(), quiet);
    trace
}

async fn produce(world: Arc<SimWorld>, trace: Trace) {
    let client = Client::new(world.clone(), client_options()).unwrap();
    let sink = Arc::new(Sink::new(trace));
    let producer = Producer::new(&client, ProducerOptions::default(), sink.clone()).unwrap();
    let topic = producer.topic(TOPIC).unwrap();
    for n in 0..RECORDS {
        let value = format!("value {n}");
        let record = RecordRef { timestamp: -1, key: None, value: Some(value.as_bytes()), headers: Headers::None };
        producer.append(topic, Some(n as i32 % PARTITIONS), &record).unwrap();
        producer.poke();
        tokio::time::sleep(Duration::from_millis(world.random_u64() % 30)).await;
    }
    producer.flush().await;
    assert!(sink.deliveries().iter().all(|delivery| delivery.error.is_none()));
    producer.close(None).await;
    client.close().await;
}

/// One member's life: it comes at some time, may leave and come again, and stays until all is committed.
async fn come_and_go(member: &'static str, world: Arc<SimWorld>, shared: &Arc<Shared>, trace: Trace, seed: u64) {
    let client = Client::new(world.clone(), client_options()).unwrap();
    tokio::time::sleep(Duration::from_millis(world.random_u64() % 2000)).await;
    if world.random_u64().is_multiple_of(2) {
        let stay = Duration::from_millis(world.random_u64() % 3000);
        consume(member, &client, &world, shared, &trace, seed, Some(stay)).await;
        tokio::time::sleep(Duration::from_millis(world.random_u64() % 1000)).await;
    }
    consume(member, &client, &world, shared, &trace, seed, None).await;
    client.close().await;
}

async fn consume(
    member: &'static str,
    client: &Client,
    world: &Arc<SimWorld>,
    shared: &Arc<Shared>,
    trace: &Trace,
    seed: u64,
    stay: Option<Duration>,
) {
    let sink = Arc::new(GroupSink { member, trace: trace.clone(), ready: Notify::new(), questions: Mutex::default() });
    let strategy = if seed.is_multiple_of(2) { "range" } else { "cooperative-sticky" };
    let options = ConsumerOptions {
        group_id: Some(GROUP.to_owned()),
        auto_offset_reset: "earliest".to_owned(),
        session_timeout: Duration::from_secs(3),
        heartbeat_interval: Duration::from_millis(300),
        auto_commit_interval: Duration::from_millis(400),
        fetch_max_wait: Duration::from_millis(100),
        partition_assignment_strategy: vec![strategy.to_owned()],
        ..ConsumerOptions::default()
    };
    let consumer = Consumer::new(client, options, sink.clone()).unwrap();
    consumer.subscribe(vec![TOPIC.to_owned()]).unwrap();
    let until = stay.map(|stay| tokio::time::Instant::now() + stay);
    let closing = || match until {
        Some(until) => tokio::time::Instant::now() >= until,
        None => shared.committed.load(Ordering::SeqCst),
    };
    while !closing() {
        sink.answer_all(&consumer);
        match consumer.next_chunk() {
            Ok(Some(chunk)) => process(member, &chunk, world, shared, &sink, &consumer).await,
            Ok(None) => {
                let _ = tokio::time::timeout(Duration::from_millis(50), sink.ready.notified()).await;
            }
            Err(error) => trace.note(format!("{member}: {error}")),
        }
    }
    trace.note(format!("{member} closes"));
    let close = consumer.close(Some(Duration::from_secs(30)));
    tokio::pin!(close);
    loop {
        tokio::select! {
            biased;
            closed = &mut close => {
                trace.note(format!("{member} closed: {closed:?}"));
                return;
            }
            () = sink.ready.notified() => sink.answer_all(&consumer),
        }
    }
}

/// A loop as the languages have it: the three steps of `ChunkControl`, and questions answered between two records.
async fn process(
    member: &'static str,
    chunk: &Chunk,
    world: &SimWorld,
    shared: &Shared,
    sink: &GroupSink,
    consumer: &Consumer,
) {
    for k in 0..chunk.count {
        chunk.control.finished.store(k, Ordering::SeqCst);
        sink.answer_all(consumer);
        if chunk.control.revoked.load(Ordering::SeqCst) != 0 {
            return;
        }
        chunk.control.stepped.store(k + 1, Ordering::SeqCst);
        let word = |n: usize| chunk.index[k as usize * INDEX_WORDS + n] as usize;
        let value = String::from_utf8(chunk.bytes[word(5)..word(5) + word(6)].to_vec()).unwrap();
        let processed = Processed { member, partition: chunk.partition, offset: chunk.offset(k), value };
        sink.trace.note(format!("{processed:?}"));
        shared.processed.lock().push(processed);
        tokio::time::sleep(Duration::from_millis(world.random_u64() % 8)).await;
    }
    chunk.control.finished.store(chunk.count, Ordering::SeqCst);
}

struct GroupSink {
    member: &'static str,
    trace: Trace,
    ready: Notify,
    questions: Mutex<Vec<Question>>,
}

impl GroupSink {
    fn answer_all(&self, consumer: &Consumer) {
        let questions = std::mem::take(&mut *self.questions.lock());
        for question in questions {
            self.trace.note(format!("{} answers {:?}", self.member, question.what));
            consumer.answer(question.id);
        }
    }
}

impl ConsumerSink for GroupSink {
    fn chunks_ready(&self) {
        self.ready.notify_one();
    }

    fn question(&self, question: Question) {
        self.questions.lock().push(question);
        self.ready.notify_one();
    }

    fn event(&self, event: ConsumerEvent) {
        self.trace.note(format!("{}: {event:?}", self.member));
    }
}

fn check(processed: &[Processed], quiet: bool) {
    let mut values: Vec<&str> = processed.iter().map(|processed| &*processed.value).collect();
    values.sort_unstable();
    values.dedup();
    assert_eq!(values.len(), RECORDS as usize, "none is left out");
    for partition in 0..PARTITIONS {
        let offsets: Vec<_> =
            processed.iter().filter(|p| p.partition == partition).map(|p| (p.offset, p.member)).collect();
        if quiet {
            let expected: Vec<i64> = (0..i64::from(RECORDS) / i64::from(PARTITIONS)).collect();
            let found: Vec<i64> = offsets.iter().map(|(offset, _)| *offset).collect();
            assert_eq!(found, expected, "partition {partition}, once and in order: {offsets:?}");
        }
    }
    for processed in processed {
        let n: i64 = processed.value.trim_start_matches("value ").parse().unwrap();
        assert_eq!((processed.offset, processed.partition), (n / 6, (n % 6) as i32), "{processed:?}");
    }
}

/// Looks from outside at what the group commits: it never goes back, never beyond what was processed, and in the end it is
/// the end of the log.
async fn watch_commits(world: Arc<SimWorld>, shared: &Shared, trace: Trace) {
    let client = Client::new(world, client_options()).unwrap();
    let sink = Arc::new(GroupSink { member: "watcher", trace, ready: Notify::new(), questions: Mutex::default() });
    let options = ConsumerOptions { group_id: Some(GROUP.to_owned()), ..ConsumerOptions::default() };
    let consumer = Consumer::new(&client, options, sink).unwrap();
    let partitions: Vec<_> = (0..PARTITIONS).map(|partition| TopicPartition::new(TOPIC, partition)).collect();
    let mut before = vec![0; PARTITIONS as usize];
    while !before.iter().all(|offset| *offset == i64::from(RECORDS) / i64::from(PARTITIONS)) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let Ok(committed) = consumer.committed(partitions.clone()).await else { continue };
        for (partition, committed) in committed {
            let offset = committed.map_or(0, |committed| committed.offset);
            let known = &mut before[partition.partition as usize];
            assert!(offset >= *known, "{partition}: committed {known}, then {offset}");
            *known = offset;
            let processed = shared.processed.lock();
            let highest = processed.iter().filter(|p| p.partition == partition.partition).map(|p| p.offset + 1).max();
            assert!(offset <= highest.unwrap_or(0), "{partition}: committed {offset}, processed up to {highest:?}");
        }
    }
    shared.committed.store(true, Ordering::SeqCst);
    consumer.close(None).await.unwrap();
    client.close().await;
}
