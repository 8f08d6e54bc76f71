//! Quotas: a broker that answers with `throttle_time_ms` hears nothing on that connection until the time is over (KIP-219), from
//! a producer and from a consumer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dohle_client::consumer::{
    Assignment, Consumer, ConsumerEvent, ConsumerOptions, ConsumerSink, Question, StartAt, TopicPartition,
};
use dohle_client::producer::{Delivery, DeliverySink, Producer, ProducerOptions};
use dohle_client::statistics::Reader;
use dohle_protocol::ApiKey;
use dohle_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use dohle_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use dohle_protocol::messages::{
    ApiVersionsRequest, FetchRequest, FetchResponse, MetadataRequest, ProduceRequest, ProduceResponse,
};
use dohle_protocol::records::{Headers, RecordRef};
use parking_lot::Mutex;

use super::support::{Conn, Peer, client_of, cluster, known_apis, soon, versions};

const PAUSE: Duration = Duration::from_millis(300);
const TOPIC: &str = "limited";

/// When each Produce and Fetch came.
type Times = Arc<Mutex<Vec<Instant>>>;

async fn limited() -> (Peer, Times) {
    let times = Times::default();
    let noted = times.clone();
    let peer = Peer::start(move |_, conn| serve(conn, noted.clone())).await;
    (peer, times)
}

async fn serve(mut conn: Conn, times: Times) -> Option<()> {
    let throttle_time_ms = PAUSE.as_millis() as i32;
    loop {
        let request = conn.next().await?;
        let header = request.header.clone();
        match header.api_key {
            ApiKey::API_VERSIONS => conn.reply::<ApiVersionsRequest>(&header, &versions(known_apis())).await?,
            ApiKey::METADATA => {
                let response = cluster(conn.address, &[TOPIC]);
                conn.reply::<MetadataRequest>(&header, &response).await?;
            }
            ApiKey::PRODUCE => {
                times.lock().push(Instant::now());
                let responses = vec![TopicProduceResponse {
                    name: TOPIC.to_owned(),
                    partition_responses: vec![PartitionProduceResponse::default()],
                    ..Default::default()
                }];
                let response = ProduceResponse { throttle_time_ms, responses, ..Default::default() };
                conn.reply::<ProduceRequest>(&header, &response).await?;
            }
            ApiKey::FETCH => {
                times.lock().push(Instant::now());
                let partitions = vec![PartitionData::default()];
                let topic = FetchableTopicResponse { topic: TOPIC.to_owned(), partitions, ..Default::default() };
                let response = FetchResponse { throttle_time_ms, responses: vec![topic], ..Default::default() };
                conn.reply::<FetchRequest>(&header, &response).await?;
            }
            other => panic!("{other:?} was not expected"),
        }
    }
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
    let (peer, times) = limited().await;
    let client = client_of(peer.address);
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
    let (peer, times) = limited().await;
    let client = client_of(peer.address);
    let options = ConsumerOptions { stalled_report: Duration::ZERO, ..ConsumerOptions::default() };
    let consumer = Consumer::new(&client, options, Arc::new(Nobody)).unwrap();
    let partition = TopicPartition::new(TOPIC, 0);
    consumer.assign(vec![Assignment { partition, start: StartAt::Offset(0) }]).unwrap();
    are_apart(&times, 3).await;
}
