//! Quotas: a broker that answers with `throttle_time_ms` hears nothing on that connection until the time is over (KIP-219), from
//! a producer and from a consumer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dohle_broker::{Action, Broker, BrokerOptions, Rule};
use dohle_client::Client;
use dohle_client::consumer::{
    Assignment, Consumer, ConsumerEvent, ConsumerOptions, ConsumerSink, Question, StartAt, TopicPartition,
};
use dohle_client::producer::{Delivery, DeliverySink, Producer, ProducerOptions};
use dohle_client::statistics::Reader;
use dohle_protocol::ApiKey;
use dohle_protocol::frame::RequestHeader;
use dohle_protocol::records::{Headers, RecordRef};
use parking_lot::Mutex;

use super::line::broker_behind;
use super::support::{client_of, soon};

const PAUSE: Duration = Duration::from_millis(300);
const TOPIC: &str = "limited";

/// When each request that is throttled came: the broker reads nothing while a client is to pause, the line does.
type Times = Arc<Mutex<Vec<Instant>>>;

/// A broker that throttles whatever is asked of this API; the topic is there.
async fn limited(api: ApiKey) -> (Broker, Client, Times) {
    let times = Times::default();
    let noted = times.clone();
    let seen = move |header: RequestHeader, _| {
        if header.api_key == api {
            noted.lock().push(Instant::now());
        }
    };
    let (broker, address) = broker_behind(BrokerOptions::new(), seen).await;
    broker.faults().add(Rule::new(Action::Throttle { millis: PAUSE.as_millis() as u32 }).api(api.0).forever());
    let client = client_of(address);
    client.metadata().track([TOPIC], true);
    soon(client.metadata().wait_for_topic(TOPIC, Duration::from_secs(5))).await.unwrap();
    (broker, client, times)
}

/// Waits until so many came, then checks that none came before its time.
async fn are_apart(times: &Times, count: usize) {
    soon(async {
        while times.lock().len() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    for pair in times.lock().windows(2) {
        assert!(pair[1] - pair[0] >= PAUSE, "only {:?} apart", pair[1] - pair[0]);
    }
}

struct Nobody;

impl DeliverySink for Nobody {
    fn delivered(&self, delivery: Delivery) {
        assert!(delivery.error.is_none(), "{delivery:?}");
    }
    fn space_available(&self) {}
}

impl ConsumerSink for Nobody {
    fn chunks_ready(&self) {}
    fn question(&self, _: Question) {}
    fn event(&self, _: ConsumerEvent) {}
}

#[tokio::test]
async fn a_producer_above_its_quota_writes_nothing_until_the_pause_is_over() {
    let (_broker, client, times) = limited(ApiKey::PRODUCE).await;
    let options = ProducerOptions { enable_idempotence: Some(false), ..ProducerOptions::default() };
    let producer = Producer::new(&client, options, Arc::new(Nobody)).unwrap();
    let topic = producer.topic(TOPIC).unwrap();
    let record = RecordRef { timestamp: -1, key: None, value: Some(b"v"), headers: Headers::None };
    for _ in 0..3 {
        producer.append(topic, None, &record).unwrap();
        producer.poke();
        soon(producer.flush()).await;
    }
    are_apart(&times, 3).await;
    let statistics = client.statistics_of(producer.name(), Reader::Call).await.unwrap();
    let throttle = &statistics.brokers.values().find(|broker| broker.throttle.cnt > 0).unwrap().throttle;
    assert_eq!(throttle.cnt, 3);
    assert!((300..320).contains(&throttle.p50), "milliseconds, at most 6 % off: {throttle:?}");
}

#[tokio::test]
async fn a_consumer_above_its_quota_fetches_nothing_until_the_pause_is_over() {
    let (_broker, client, times) = limited(ApiKey::FETCH).await;
    let options = ConsumerOptions { stalled_report: Duration::ZERO, ..ConsumerOptions::default() };
    let consumer = Consumer::new(&client, options, Arc::new(Nobody)).unwrap();
    let partition = TopicPartition::new(TOPIC, 0);
    consumer.assign(vec![Assignment { partition, start: StartAt::Offset(0) }]).unwrap();
    are_apart(&times, 3).await;
}
