//! One produce and one fetch exchange behind a proxy that resets, stalls, truncates or changes them at every byte.
//!
//! Each shot has a client of its own and ends in a record that is written once or read as it was sent, by a retry, or in an
//! error with a code; never in silence, never in a panic, never in memory beyond what one frame may take at first. A flipped
//! byte that the batch's CRC covers is always mended; where nothing guards it (lengths, topics, offsets, error codes), the
//! answer may be an error.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dohle_client::consumer::{
    Assignment, Chunk, Consumer, ConsumerEvent, ConsumerOptions, ConsumerSink, INDEX_WORDS, Question, StartAt,
    TopicPartition,
};
use dohle_client::generated::options::{ClientOptions, ProducerOptions};
use dohle_client::producer::{AppendError, Persistence, Producer};
use dohle_client::{Client, Error};
use dohle_protocol::records::{Headers, RecordRef, batches};
use dohle_simulation::world::{SimWorld, Trace};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::aimed::{Aim, Aimed, Deed, Shot, Way};
use super::allocations::Watch;
use super::hostile::{count_panics, panics};
use super::network::{client_options, host_broker, run_to_the_end, simulation_of};
use super::produce::{self, Sink, TOPIC};

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
/// Nothing here may take longer: the longest limit of the options below, a few times.
const SILENCE: Duration = Duration::from_secs(30);
/// What one exchange may hold, the broker's side included: a frame that claims to be huge is begun with 1 MiB.
const CAP: usize = (1 << 20) + (1 << 19);
const LARGEST_FRAME: usize = 400;
const BEGINNING_OF_CRC_RANGE: usize = 21;

/// What the shots of a sweep came to.
#[derive(Debug, Default)]
pub struct Tally {
    pub shots: usize,
    pub mended: usize,
    pub errors: BTreeMap<String, usize>,
    /// The most that one of them held.
    pub peak: usize,
}

/// The exchanges that are swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    Produce,
    Fetch,
}

/// Runs every shot at one half of an exchange; `bits`: the ways in which each byte is changed.
pub fn run(exchange: Exchange, way: Way, bits: &'static [u8]) -> Tally {
    count_panics();
    let trace = Trace::default();
    let mut sim = simulation_of(1, Duration::from_secs(1_000_000), Duration::from_millis(2));
    host_broker(&mut sim, 1, 1, &trace);
    let tally = Arc::new(Mutex::new(Tally::default()));
    let (counted, tracing) = (tally.clone(), trace.clone());
    sim.client("client", async move {
        *counted.lock() = sweep(exchange, way, bits, tracing).await;
        Ok(())
    });
    run_to_the_end(sim, trace);
    assert_eq!(panics(), 0, "panics");
    Arc::into_inner(tally).expect("the simulation has ended").into_inner()
}

async fn sweep(exchange: Exchange, way: Way, bits: &[u8], trace: Trace) -> Tally {
    let mut bench = Bench::new(exchange, trace).await;
    bench.shoot(None, true).await.expect("without a shot");
    let (request, response) = bench.aim.seen();
    let frame = if way == Way::Request { request } else { response };
    assert!((20..=LARGEST_FRAME).contains(&frame.len()), "{exchange:?} {way:?} has {} bytes", frame.len());
    let guarded = crc_range(&frame);
    assert_eq!(
        guarded.is_empty(),
        (exchange, way) == (Exchange::Produce, Way::Response) || (exchange, way) == (Exchange::Fetch, Way::Request),
        "records go one way: {guarded:?}"
    );
    let mut tally = Tally::default();
    for at in 0..frame.len() {
        let flips = bits.iter().map(|bits| Deed::Flip(*bits));
        for deed in [Deed::Reset, Deed::Stall, Deed::Truncate].into_iter().chain(flips) {
            let shot = Shot { way, at, deed };
            let unguarded = matches!(deed, Deed::Flip(_)) && !guarded.contains(&at);
            let memory = Watch::begin();
            let outcome = bench.shoot(Some(shot), !unguarded).await;
            tally.peak = tally.peak.max(memory.peak());
            assert!(memory.peak() < CAP, "{exchange:?}, {shot:?}: held {} bytes", memory.peak());
            tally.shots += 1;
            match outcome {
                Ok(()) => tally.mended += 1,
                Err(error) => {
                    assert!(unguarded, "{exchange:?}, {shot:?} must be mended, not end in {error}");
                    *tally.errors.entry(error.code().into_owned()).or_default() += 1;
                }
            }
        }
    }
    bench.check_log().await;
    tally
}

/// Where in the frame the bytes are that the CRC of its batch covers.
fn crc_range(frame: &[u8]) -> Range<usize> {
    let batch_at = |at: &usize| {
        let batch = batches(Bytes::copy_from_slice(&frame[*at..])).next();
        batch.is_some_and(|batch| batch.is_ok_and(|batch| batch.verify_crc().is_ok()))
    };
    match (0..frame.len()).find(batch_at) {
        Some(at) => {
            let length = i32::from_be_bytes(frame[at + 8..at + 12].try_into().unwrap()) as usize;
            at + BEGINNING_OF_CRC_RANGE..at + 12 + length
        }
        None => 0..0,
    }
}

struct Bench {
    exchange: Exchange,
    world: Arc<SimWorld>,
    aim: Arc<Aim>,
    trace: Trace,
    /// What was sent, and what its sender was told.
    sent: Vec<Sent>,
}

/// A record, and what was told of it.
struct Sent {
    value: String,
    told: Result<i64, Persistence>,
    /// Nothing was flipped that no checksum guards: the offset that was told is right.
    trusted: bool,
}

impl Bench {
    async fn new(exchange: Exchange, trace: Trace) -> Self {
        let aim = Arc::new(Aim::new(if exchange == Exchange::Produce { PRODUCE } else { FETCH }));
        let world = Arc::new(SimWorld::new("client", 1, trace.clone()).behind(Aimed::on(&aim)));
        let mut bench = Self { exchange, world, aim, trace, sent: Vec::new() };
        if exchange == Exchange::Fetch {
            bench.produce(true).await.unwrap();
        }
        bench
    }

    /// Plays the exchange with this shot at it; `trusted`: what is told of offsets must be right.
    async fn shoot(&mut self, shot: Option<Shot>, trusted: bool) -> Result<(), Error> {
        self.trace.take(); // what is kept would count as memory that the exchange needs
        self.trace.note(format!("{shot:?}"));
        self.aim.at(shot);
        let outcome = match self.exchange {
            Exchange::Produce => self.produce(trusted).await,
            Exchange::Fetch => self.read(trusted).await,
        };
        assert_eq!(self.aim.has_fired(), shot.is_some(), "{shot:?} hit nothing");
        outcome
    }

    fn client(&self) -> Client {
        let options = ClientOptions {
            request_timeout: Duration::from_millis(200),
            retry_backoff: Duration::from_millis(10),
            retry_backoff_max: Duration::from_millis(100),
            reconnect_backoff: Duration::from_millis(10),
            reconnect_backoff_max: Duration::from_millis(100),
            ..client_options()
        };
        Client::new(self.world.clone(), options).unwrap()
    }

    /// A producer sends one record.
    async fn produce(&mut self, trusted: bool) -> Result<(), Error> {
        let client = self.client();
        let sink = Arc::new(Sink::new(self.trace.clone()));
        let options = ProducerOptions { delivery_timeout: Duration::from_secs(10), ..ProducerOptions::default() };
        let producer = Producer::new(&client, options, sink.clone()).unwrap();
        let value = format!("value {:06}", self.sent.len());
        let record = RecordRef { timestamp: 1, key: None, value: Some(value.as_bytes()), headers: Headers::None };
        let topic = producer.topic(TOPIC).unwrap();
        match producer.append(topic, Some(0), &record) {
            Ok(_) => {}
            Err(AppendError::Full) => panic!("one record fills nothing"),
            Err(AppendError::Invalid(error)) => panic!("{error}"),
        }
        timeout(SILENCE, producer.flush()).await.expect("the send settles");
        timeout(SILENCE, producer.close(None)).await.expect("the producer closes");
        timeout(SILENCE, client.close()).await.expect("the client closes");
        let deliveries = sink.deliveries();
        let [delivery] = &deliveries[..] else { panic!("settled once, not {deliveries:?}") };
        let told = delivery.error.as_ref().map_or(Ok(delivery.base_offset), |_| Err(delivery.persistence));
        self.sent.push(Sent { value, told, trusted });
        delivery.error.as_deref().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// A consumer reads the one record.
    async fn read(&self, trusted: bool) -> Result<(), Error> {
        let client = self.client();
        let ready = Arc::new(Ready::default());
        let options = ConsumerOptions {
            fetch_max_wait: Duration::from_millis(50),
            // A flipped offset is out of range: with `latest` the record would be passed over, as the application asked for.
            auto_offset_reset: "earliest".to_owned(),
            ..ConsumerOptions::default()
        };
        let consumer = Consumer::new(&client, options, ready.clone()).unwrap();
        let partition = TopicPartition::new(TOPIC, 0);
        consumer.assign(vec![Assignment { partition, start: StartAt::Earliest }]).unwrap();
        let outcome = timeout(SILENCE, async {
            loop {
                match consumer.next_chunk() {
                    Ok(Some(chunk)) => return Ok(chunk),
                    Ok(None) => ready.0.notified().await,
                    Err(error) => return Err(error),
                }
            }
        });
        let outcome = outcome.await.expect("the loop hears something").map(|chunk| self.check(&chunk, trusted));
        timeout(SILENCE, consumer.close(None)).await.expect("the consumer closes").unwrap();
        timeout(SILENCE, client.close()).await.expect("the client closes");
        outcome
    }

    fn check(&self, chunk: &Chunk, trusted: bool) {
        assert_eq!(chunk.count, 1);
        assert!(!trusted || chunk.base_offset == 0, "at {}", chunk.base_offset);
        let row: &[i32] = &chunk.index[..INDEX_WORDS];
        assert_eq!(&chunk.bytes[row[5] as usize..][..row[6] as usize], self.sent[0].value.as_bytes(), "what was sent");
    }

    /// In the log is what was sent: once if that was said, at most once if it was not, and nothing else.
    async fn check_log(&mut self) {
        self.aim.at(None);
        let client = self.client();
        client.metadata().track([TOPIC], false);
        client.metadata().wait_for_topic(TOPIC, SILENCE).await.unwrap();
        let mut found = BTreeMap::<String, Vec<i64>>::new();
        let mut end = 0;
        loop {
            let values = produce::fetch(&client, 0, end).await;
            if values.is_empty() {
                break;
            }
            for value in values {
                found.entry(value).or_default().push(end);
                end += 1;
            }
        }
        for Sent { value, told, trusted } in &self.sent {
            let places = found.remove(value).unwrap_or_default();
            match told {
                Ok(offset) => {
                    assert_eq!(places.len(), 1, "{value} was acknowledged");
                    // −1 where the broker knew a batch that came again, but no longer where it is.
                    assert!(
                        !trusted || *offset == -1 || *offset == places[0],
                        "{value}: {offset} instead of {places:?}"
                    );
                }
                Err(persistence) => assert!(places.len() <= 1, "{value}, {persistence:?}, is at {places:?}"),
            }
        }
        assert!(found.is_empty(), "never sent: {found:?}");
        client.close().await;
    }
}

#[derive(Default)]
struct Ready(Notify);

impl ConsumerSink for Ready {
    fn chunks_ready(&self) {
        self.0.notify_one();
    }

    fn question(&self, _: Question) {}

    fn event(&self, _: ConsumerEvent) {}
}
