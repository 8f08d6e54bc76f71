//! Linger, flush, close, the waiting room, and what is refused.

use std::time::Duration;

use dohle_broker::{Action, BrokerOptions, Rule, When};
use dohle_client::producer::{AppendError, Delivery, DeliverySink, Persistence, Producer, ProducerOptions};
use dohle_protocol::records::{Headers, RecordRef};
use tokio::time::Instant;

use crate::common::*;

#[tokio::test(flavor = "multi_thread")]
async fn without_linger_an_idle_connection_sends_at_once() {
    let bench = bench(1, ProducerOptions::default()).await;
    let topic = bench.known_topic("idle").await;
    let warm = bench.send(topic, None, "warm");
    bench.ledger.outcome(warm).await;
    let start = Instant::now();
    for i in 0..50 {
        let placed = bench.send(topic, None, &i.to_string());
        bench.ledger.outcome(placed).await;
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?} for 50 round trips", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_linger_records_gather_while_a_request_is_under_way() {
    let bench = bench(1, ProducerOptions::default()).await;
    let topic = bench.known_topic("gather").await;
    let warm = bench.send(topic, None, "warm");
    bench.ledger.outcome(warm).await;
    bench.faults().add(Rule::new(Action::Delay { millis: 500, when: When::After }).api(0));
    bench.send(topic, None, "first");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let rest: Vec<_> = (0..100).map(|i| bench.send(topic, None, &i.to_string())).collect();
    bench.ledger.outcome(rest[99]).await;
    let batches = read(&bench.client, "gather", 0).await.1;
    assert_eq!(batches.len(), 3, "warm, one at once, and one of all that came while it was under way");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_linger_a_batch_waits_unless_it_is_full_or_flushed() {
    let options =
        ProducerOptions { linger: Some(Duration::from_millis(400)), batch_size: 2_000, ..ProducerOptions::default() };
    let bench = bench(1, options).await;
    let topic = bench.known_topic("linger").await;

    let start = Instant::now();
    let placed = bench.send(topic, None, "waits");
    bench.ledger.outcome(placed).await;
    assert!(start.elapsed() >= Duration::from_millis(390), "{:?}", start.elapsed());

    let start = Instant::now();
    let first = bench.send(topic, None, &"x".repeat(1_000));
    bench.send(topic, None, &"x".repeat(1_500));
    bench.ledger.outcome(first).await;
    assert!(start.elapsed() < Duration::from_millis(300), "full: {:?}", start.elapsed());

    let start = Instant::now();
    let placed = bench.send(topic, None, "flushed");
    bench.producer.flush().await;
    assert!(bench.ledger.get(placed).is_some());
    assert!(start.elapsed() < Duration::from_millis(300), "flushed: {:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn records_wait_in_call_order_for_a_topic_that_is_not_known_yet() {
    let bench = bench(3, ProducerOptions::default()).await;
    bench.faults().add(Rule::new(Action::Delay { millis: 300, when: When::Before }).api(3));
    let topic = bench.producer.topic("later").unwrap();
    let mut placed = Vec::new();
    for i in 0..3000 {
        // Some keyed, some to a partition, straight on while the doors open.
        let (key, partition) = ((i % 7).to_string(), (i % 2 == 0).then_some(i % 3));
        let value = i.to_string();
        let key = partition.is_none().then_some(key.as_bytes());
        let record = RecordRef { timestamp: 1, key, value: Some(value.as_bytes()), headers: Headers::None };
        placed.push((i, key.map(<[u8]>::to_vec), partition, bench.append(topic, partition, &record).unwrap()));
        if i % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bench.producer.poke();
    }
    bench.producer.flush().await;
    let mut per_partition = vec![Vec::new(); 3];
    for (i, key, partition, placed) in placed {
        let outcome = bench.ledger.get(placed).unwrap();
        assert!(outcome.error.is_none());
        let by_key = key.map(|key| (murmur2(&key) & 0x7fff_ffff) as i32 % 3);
        assert_eq!(Some(outcome.partition), partition.or(by_key));
        let log: &mut Vec<(i64, String)> = &mut per_partition[outcome.partition as usize];
        log.push((outcome.offset, i.to_string()));
    }
    for (partition, told) in per_partition.into_iter().enumerate() {
        assert!(told.is_sorted(), "in call order");
        let values: Vec<_> = told.into_iter().map(|(_, value)| value).collect();
        assert_eq!(bench.values("later", partition as i32).await, values);
    }
}

fn murmur2(data: &[u8]) -> u32 {
    // Straight from the definition, as a second opinion.
    let (m, mut h) = (0x5bd1_e995_u32, 0x9747_b28c_u32 ^ data.len() as u32);
    let mut words = data.chunks_exact(4);
    for w in &mut words {
        let k = u32::from_le_bytes(w.try_into().unwrap()).wrapping_mul(m);
        h = h.wrapping_mul(m) ^ (k ^ (k >> 24)).wrapping_mul(m);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        rest.iter().enumerate().for_each(|(i, b)| h ^= u32::from(*b) << (8 * i));
        h = h.wrapping_mul(m);
    }
    h = (h ^ (h >> 13)).wrapping_mul(m);
    h ^ (h >> 15)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_does_not_exist_fails_within_max_block_and_holds_up_no_other() {
    let options = ProducerOptions { max_block: Duration::from_millis(1_000), ..ProducerOptions::default() };
    let bench = bench_with(BrokerOptions::new().with_auto_create_topics(false), options, |_| {}).await;
    create_topic(&bench, "there").await;
    let (missing, there) = (bench.producer.topic("missing").unwrap(), bench.producer.topic("there").unwrap());
    let start = Instant::now();
    let lost = bench.send(missing, None, "lost");
    let found = bench.send(there, None, "found");
    assert!(bench.ledger.outcome(found).await.error.is_none());
    assert!(start.elapsed() < Duration::from_millis(900));
    let outcome = bench.ledger.outcome(lost).await;
    assert_eq!(outcome.code(), "UNKNOWN_TOPIC_OR_PARTITION");
    assert_eq!((outcome.partition, outcome.persistence), (-1, Persistence::NotPersisted));
    assert!(outcome.error.unwrap().message().contains("topic missing is still unknown after 1000 ms"));
    assert!(start.elapsed() >= Duration::from_millis(1_000) && start.elapsed() < Duration::from_millis(2_000));

    // It comes to be later: a new record finds it.
    create_topic(&bench, "missing").await;
    let placed = bench.send(missing, None, "now");
    assert_eq!(bench.ledger.outcome(placed).await.offset, 0);
}

async fn create_topic(bench: &Bench, name: &str) {
    use dohle_protocol::messages::CreateTopicsRequest;
    use dohle_protocol::messages::create_topics_request::CreatableTopic;
    let topic =
        CreatableTopic { name: name.to_owned(), num_partitions: 1, replication_factor: 1, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    let answer = bench.client.request_any(|_| Ok(request.clone()), Duration::from_secs(10)).await.unwrap();
    assert_eq!(answer.topics[0].error_code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_does_not_exist_fails_within_max_block() {
    let options = ProducerOptions { max_block: Duration::from_millis(500), ..ProducerOptions::default() };
    let bench = bench(2, options).await;
    let topic = bench.known_topic("two").await;
    let (beyond, within) = (bench.send(topic, Some(2), "beyond"), bench.send(topic, Some(1), "within"));
    assert!(bench.ledger.outcome(within).await.error.is_none());
    let outcome = bench.ledger.outcome(beyond).await;
    assert_eq!(outcome.code(), "UNKNOWN_TOPIC_OR_PARTITION");
    let message = outcome.error.unwrap().message().to_owned();
    assert!(message.contains("has 2 partitions"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_be_sent_is_refused_at_once() {
    let bench = bench(1, ProducerOptions::default()).await;
    for name in ["", "..", "a b", "ü", &"x".repeat(250)] {
        assert_eq!(bench.producer.topic(name).unwrap_err().code(), "INVALID_TOPIC_EXCEPTION", "{name}");
    }
    let topic = bench.producer.topic("refuse").unwrap();
    let refused = |partition, timestamp| match bench.append(topic, partition, &RecordRef { timestamp, ..record("x") }) {
        Err(AppendError::Invalid(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(refused(Some(-1), 1).contains("-1 is not a partition"));
    assert!(refused(None, -2).contains("-2 is not a timestamp"));
}

#[tokio::test(flavor = "multi_thread")]
async fn close_sends_what_there_is_and_takes_nothing_after() {
    let options = ProducerOptions { linger: Some(Duration::from_secs(60)), ..ProducerOptions::default() };
    let bench = bench(2, options).await;
    let topic = bench.producer.topic("close").unwrap();
    let placed: Vec<_> = (0..100).map(|i| bench.send(topic, Some(i % 2), "x")).collect();
    tokio::join!(bench.producer.close(None), bench.producer.close(None));
    assert!(placed.iter().all(|placed| bench.ledger.get(*placed).unwrap().error.is_none()));
    let Err(AppendError::Invalid(error)) = bench.append(topic, None, &record("late")) else { panic!("taken") };
    assert_eq!(error.code(), "CLOSED");
    bench.producer.flush().await;
    bench.producer.close(Some(Duration::ZERO)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn close_with_a_timeout_settles_everything_with_a_dead_broker() {
    let mut bench = bench(1, ProducerOptions::default()).await;
    let topic = bench.known_topic("dead").await;
    let unknown = bench.producer.topic("never-known").unwrap();
    bench.faults().add(Rule::new(Action::Drop { when: When::After }).api(0).forever());
    let written = bench.send(topic, None, "written");
    tokio::time::sleep(Duration::from_millis(200)).await;
    bench.broker.take().unwrap().stop().await;
    let waiting = [bench.send(topic, None, "waiting"), bench.send(unknown, None, "room")];
    let start = Instant::now();
    bench.producer.close(Some(Duration::from_millis(300))).await;
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(bench.ledger.get(written).unwrap().persistence, Persistence::PossiblyPersisted);
    for placed in waiting {
        assert_eq!(bench.ledger.get(placed).unwrap().code(), "CLOSED");
    }
    assert_eq!(bench.producer.buffered_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_producer_settles_what_it_has() {
    let options = ProducerOptions { linger: Some(Duration::from_secs(60)), ..ProducerOptions::default() };
    let bench = bench(1, options).await;
    let topic = bench.known_topic("drop").await;
    let placed = bench.send(topic, None, "x");
    let Bench { producer, ledger, .. } = bench;
    drop(producer);
    assert_eq!(ledger.outcome(placed).await.code(), "CLOSED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_client_fails_what_waits() {
    let bench = bench(1, ProducerOptions::default()).await;
    let topic = bench.known_topic("client").await;
    bench.faults().add(Rule::new(Action::Drop { when: When::After }).api(0).forever());
    let placed = bench.send(topic, None, "x");
    tokio::time::sleep(Duration::from_millis(100)).await;
    bench.client.close().await;
    assert_eq!(bench.ledger.outcome(placed).await.code(), "CLOSED");
    tokio::time::timeout(Duration::from_secs(5), bench.producer.close(None)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn flush_waits_for_the_waiting_room_too() {
    let bench = bench(1, ProducerOptions::default()).await;
    bench.faults().add(Rule::new(Action::Delay { millis: 200, when: When::Before }).api(3));
    let topic = bench.producer.topic("flush-room").unwrap();
    let placed = bench.send(topic, None, "x");
    bench.producer.flush().await;
    assert_eq!(bench.ledger.get(placed).unwrap().offset, 0);
    assert_eq!(bench.ledger.deliveries.load(std::sync::atomic::Ordering::SeqCst), 1);
}

/// Panics at its first delivery; a sink should not, but if anything in the task does, nobody may wait for ever.
struct Fragile {
    panicked: std::sync::atomic::AtomicBool,
    ledger: std::sync::Arc<Ledger>,
}

impl DeliverySink for Fragile {
    fn delivered(&self, delivery: Delivery) {
        assert!(self.panicked.swap(true, std::sync::atomic::Ordering::SeqCst), "the first one panics");
        self.ledger.delivered(delivery);
    }

    fn space_available(&self) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_task_fails_what_waits_and_everything_later() {
    let bench = bench(2, ProducerOptions::default()).await;
    bench.known_topic("panic").await;
    let sink = std::sync::Arc::new(Fragile { panicked: false.into(), ledger: bench.ledger.clone() });
    let options = ProducerOptions { linger: Some(Duration::from_secs(60)), ..ProducerOptions::default() };
    let producer = Producer::new(&bench.client, options, sink).unwrap();
    let topic = producer.topic("panic").unwrap();
    producer.append(topic, Some(0), &record("first")).unwrap();
    let flush = producer.flush();
    tokio::pin!(flush);
    assert!(futures_util::poll!(&mut flush).is_pending());
    let waiting = producer.append(topic, Some(1), &record("waiting"));
    flush.await;
    if let Ok(waiting) = waiting {
        let outcome = bench.ledger.outcome(waiting).await;
        assert!(outcome.error.is_none() || outcome.code() == "PANIC");
    }
    let Err(AppendError::Invalid(error)) = producer.append(topic, Some(1), &record("late")) else { panic!("taken") };
    assert_eq!((error.code().as_ref(), error.fatal()), ("PANIC", true));
    assert!(error.message().contains("the first one panics"));
    producer.flush().await;
    producer.close(None).await;
}
