//! A producer and a group's consumer behind a network that changes bytes, then behind one that does not.
//!
//! Kafka's protocol has checksums for records and for nothing else: a flipped bit can name another partition or another
//! offset, and nobody can tell. So during the mischief it is asked that nothing panics, that every send settles once, and
//! that no value arrives changed. After it everything must work again by itself: what is sent then is acknowledged,
//! and read.

use std::cell::Cell;
use std::ops::AddAssign;
use std::sync::{Arc, Once};
use std::time::Duration;

use dohle_client::consumer::{Consumer, ConsumerEvent, ConsumerSink, INDEX_WORDS, Question, StartAt, TopicPartition};
use dohle_client::generated::options::{ClientOptions, ConsumerOptions, ProducerOptions};
use dohle_client::producer::{AppendError, Delivery, Placed, Producer};
use dohle_client::{Client, World};
use dohle_protocol::records::{Headers, RecordRef};
use dohle_simulation::world::{SimWorld, Trace};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::mischief::{Hostile, Mischief};
use super::network::{client_options, host_broker, run_to_the_end, simulation};
use super::produce::Sink;

const TOPIC: &str = "orders";
const PARTITIONS: i32 = 3;
/// How long after the mischief everything has to work again: a few times the longest limit and age below.
const RECOVERY: Duration = Duration::from_secs(120);

/// What the runs did.
#[derive(Debug, Default)]
pub struct Tally {
    pub runs: usize,
    pub mischief: usize,
    pub sent: usize,
    pub failed: usize,
    pub read: usize,
    pub consumers: usize,
    pub slowest: Duration,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.runs += other.runs;
        self.mischief += other.mischief;
        self.sent += other.sent;
        self.failed += other.failed;
        self.read += other.read;
        self.consumers += other.consumers;
        self.slowest = self.slowest.max(other.slowest);
    }
}

thread_local! {
    /// Panics of this thread, those that a task swallowed too.
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// From now on the panics of this thread are counted.
pub fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.with(|panics| panics.set(panics.get() + 1));
            before(info);
        }));
    });
    PANICS.with(|panics| panics.set(0));
}

/// How many there were.
pub fn panics() -> usize {
    PANICS.with(Cell::get)
}

/// Runs one seed to its end and checks it.
pub fn run(seed: u64) -> Tally {
    count_panics();
    let trace = Trace::default();
    let tally = Arc::new(Mutex::new(Tally { runs: 1, ..Tally::default() }));
    let mut sim = simulation(seed);
    host_broker(&mut sim, seed, PARTITIONS, &trace);
    let gap = [300, 1_000, 3_000, 10_000][seed as usize % 4];
    let mischief = Arc::new(Mischief::new(seed, gap));
    let (tracing, counted) = (trace.clone(), tally.clone());
    sim.client("client", async move {
        let world = SimWorld::new("client", seed, tracing.clone()).behind(Hostile::on(&mischief));
        let mut scene = Scene::new(Arc::new(world), mischief, tracing, seed);
        scene.play().await;
        *counted.lock() += scene.tally;
        Ok(())
    });
    run_to_the_end(sim, trace);
    assert_eq!(panics(), 0, "panics");
    std::mem::take(&mut *tally.lock())
}

struct Scene {
    world: Arc<SimWorld>,
    mischief: Arc<Mischief>,
    trace: Trace,
    client: Client,
    producer: Producer,
    told: Arc<Sink>,
    placed: Vec<Placed>,
    group: ConsumerOptions,
    reader: Reader,
    tally: Tally,
}

impl Scene {
    fn new(world: Arc<SimWorld>, mischief: Arc<Mischief>, trace: Trace, seed: u64) -> Self {
        let options = ClientOptions { metadata_max_age: Duration::from_secs(5), ..client_options() };
        let client = Client::new(world.clone(), options).unwrap();
        let told = Arc::new(Sink::new(trace.clone()));
        let options = ProducerOptions { delivery_timeout: Duration::from_secs(5), ..ProducerOptions::default() };
        let producer = Producer::new(&client, options, told.clone()).unwrap();
        let group = ConsumerOptions {
            group_id: Some("readers".to_owned()),
            auto_offset_reset: "earliest".to_owned(),
            session_timeout: Duration::from_secs(3),
            // A join whose answer never comes is given up after this.
            max_poll_interval: Duration::from_secs(10),
            heartbeat_interval: Duration::from_millis(300),
            auto_commit_interval: Duration::from_millis(400),
            fetch_max_wait: Duration::from_millis(100),
            partition_assignment_strategy: vec![
                if seed.is_multiple_of(2) { "range" } else { "cooperative-sticky" }.to_owned(),
            ],
            ..ConsumerOptions::default()
        };
        let reader = Reader::new(&client, &group, &trace);
        let tally = Tally { consumers: 1, ..Tally::default() };
        Scene { world, mischief, trace, client, producer, told, placed: Vec::new(), group, reader, tally }
    }

    async fn play(&mut self) {
        let end = Instant::now() + Duration::from_millis(3_000 + self.world.random_u64() % 5_000);
        let mut n = 0;
        while Instant::now() < end {
            for _ in 0..self.world.random_u64() % 5 {
                self.send(n % PARTITIONS, &format!("noise {n}"));
                n += 1;
            }
            self.read_for(Duration::from_millis(self.world.random_u64() % 40)).await;
        }
        self.trace.note("the network is calm".to_owned());
        self.mischief.calm();
        self.tally.mischief = self.mischief.done();
        let calm = Instant::now();

        // Until one round has come through whole, then three more, of which none may miss.
        for round in 0.. {
            let (sent, came) = self.round(round).await;
            if sent && came {
                break;
            }
            assert!(
                calm.elapsed() < RECOVERY,
                "round {round} after the mischief: sent {sent}, came {came}; {}",
                self.reader.story(round)
            );
        }
        self.tally.slowest = calm.elapsed();
        for round in 1_000..1_003 {
            let outcome = self.round(round).await;
            assert_eq!(outcome, (true, true), "round {round}, and then no longer: {}", self.reader.story(round));
        }

        self.producer.flush().await;
        let deliveries = self.told.deliveries();
        let mut settled: Vec<(u32, u32)> =
            deliveries.iter().flat_map(|d| (0..d.count).map(move |i| (d.group, d.first_index + i))).collect();
        settled.sort_unstable();
        let mut placed: Vec<(u32, u32)> = self.placed.iter().map(|placed| (placed.group, placed.index)).collect();
        placed.sort_unstable();
        assert_eq!(settled, placed, "every send settles once");
        self.tally.sent = placed.len();
        self.tally.failed = deliveries.iter().filter(|d| d.error.is_some()).map(|d| d.count as usize).sum();
        self.producer.close(None).await;
        let consumer = self.reader.consumer.clone();
        let closing = consumer.close(Some(Duration::from_secs(10)));
        tokio::pin!(closing);
        while tokio::time::timeout(Duration::from_millis(20), &mut closing).await.is_err() {
            self.reader.answer();
        }
        self.client.close().await;
    }

    /// Sends a record to each partition: whether all were acknowledged, and whether all came.
    async fn round(&mut self, round: i32) -> (bool, bool) {
        let first = self.placed.len();
        let marks: Vec<String> = (0..PARTITIONS).map(|partition| format!("round {round} {partition}")).collect();
        for (partition, mark) in (0..).zip(&marks) {
            self.send(partition, mark);
        }
        let end = Instant::now() + Duration::from_secs(6);
        loop {
            self.read_for(Duration::from_millis(50)).await;
            let came = marks.iter().all(|mark| self.reader.read.contains(mark));
            let sent = self.placed[first..].iter().all(|place| self.is_acknowledged(*place));
            if sent && came || Instant::now() >= end {
                return (sent, came);
            }
        }
    }

    fn is_acknowledged(&self, place: Placed) -> bool {
        let of =
            |d: &&Delivery| d.group == place.group && (d.first_index..d.first_index + d.count).contains(&place.index);
        self.told.deliveries().iter().find(of).is_some_and(|d| d.error.is_none())
    }

    fn send(&mut self, partition: i32, text: &str) {
        let value = format!("{text}#{:016x}", hash(text));
        let record = RecordRef { timestamp: -1, key: None, value: Some(value.as_bytes()), headers: Headers::None };
        let topic = self.producer.topic(TOPIC).unwrap();
        match self.producer.append(topic, Some(partition), &record) {
            Ok(placed) => self.placed.push(placed),
            Err(AppendError::Full) => panic!("so little fills no 32 MiB"),
            // A changed answer may have told of fewer partitions.
            Err(AppendError::Invalid(error)) => self.trace.note(format!("not sent: {error}")),
        }
        self.producer.poke();
    }

    async fn read_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if self.reader.step(&mut self.tally) {
                // An error for the application to mend; this one begins anew.
                self.trace.note("another consumer".to_owned());
                let consumer = self.reader.consumer.clone();
                tokio::spawn(async move { drop(consumer.close(Some(Duration::from_secs(1))).await) });
                let read = std::mem::take(&mut self.reader.read);
                self.reader = Reader::new(&self.client, &self.group, &self.trace);
                self.reader.read = read;
                self.tally.consumers += 1;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}

struct Reader {
    consumer: Consumer,
    sink: Arc<ReaderSink>,
    read: std::collections::BTreeSet<String>,
}

impl Reader {
    fn new(client: &Client, options: &ConsumerOptions, trace: &Trace) -> Self {
        let sink = Arc::new(ReaderSink { trace: trace.clone(), ready: Notify::new(), questions: Mutex::default() });
        let consumer = Consumer::new(client, options.clone(), sink.clone()).unwrap();
        consumer.subscribe(vec![TOPIC.to_owned()]).unwrap();
        Reader { consumer, sink, read: Default::default() }
    }

    fn answer(&self) {
        for question in std::mem::take(&mut *self.sink.questions.lock()) {
            self.consumer.answer(question.id);
        }
    }

    /// The loop was told that a partition cannot go on (records that could not be read three times in a row, an answer
    /// with an error that never passes): it waits for a seek.
    fn seek_back(&self) {
        for tp in self.consumer.assignment() {
            if self.consumer.position(&tp).is_ok_and(|position| position.is_none()) {
                self.consumer.seek(&tp, StartAt::Committed).unwrap();
            }
        }
    }

    /// What the consumer thinks, and which marks are missing.
    fn story(&self, round: i32) -> String {
        let of = |partition| {
            let tp = TopicPartition::new(TOPIC, partition);
            let came = self.read.contains(&format!("round {round} {partition}"));
            let (position, ends) = (self.consumer.position(&tp), self.consumer.watermarks(&tp));
            format!("{tp}: came {came}, position {position:?}, {ends:?}")
        };
        let partitions: Vec<String> = (0..PARTITIONS).map(of).collect();
        format!("assigned {:?}; {}", self.consumer.assignment(), partitions.join("; "))
    }

    /// Reads what is there. True when the consumer told of an error that stays.
    fn step(&mut self, tally: &mut Tally) -> bool {
        self.answer();
        loop {
            let chunk = match self.consumer.next_chunk() {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return false,
                Err(error) => {
                    self.sink.trace.note(format!("the loop hears: {error} (fatal: {})", error.fatal()));
                    if error.fatal() {
                        return true;
                    }
                    self.seek_back();
                    continue;
                }
            };
            for row in chunk.index.chunks_exact(INDEX_WORDS) {
                let value = std::str::from_utf8(&chunk.bytes[row[5] as usize..][..row[6] as usize]).unwrap();
                let (text, sum) = value.rsplit_once('#').unwrap_or_else(|| panic!("{value:?} was never sent"));
                assert_eq!(sum, format!("{:016x}", hash(text)), "{value:?} was never sent");
                self.sink.trace.note(format!("read {text} at {} of {}", chunk.base_offset, chunk.partition));
                self.read.insert(text.to_owned());
                tally.read += 1;
            }
            chunk.control.stepped.store(chunk.count, std::sync::atomic::Ordering::SeqCst);
            chunk.control.finished.store(chunk.count, std::sync::atomic::Ordering::SeqCst);
        }
    }
}

struct ReaderSink {
    trace: Trace,
    ready: Notify,
    questions: Mutex<Vec<Question>>,
}

impl ConsumerSink for ReaderSink {
    fn chunks_ready(&self) {
        self.ready.notify_one();
    }

    fn question(&self, question: Question) {
        self.questions.lock().push(question);
    }

    fn event(&self, event: ConsumerEvent) {
        self.trace.note(format!("consumer: {event:?}"));
    }
}

fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
