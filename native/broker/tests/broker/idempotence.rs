//! What a partition remembers of an idempotent producer, case by case. True of Apache Kafka too: `DOHLE_KAFKA=host:port` runs the
//! same cases there.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use dohle_broker::{Broker, BrokerWorld, TokioWorld};
use dohle_protocol::{
    ErrorCode,
    messages::{
        DeleteRecordsRequest, InitProducerIdRequest,
        delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
    },
};

use crate::support::*;

const MAX: i32 = i32::MAX;

/// Something that a producer, or an administrator, does.
#[derive(Clone, Copy, Debug)]
enum Do {
    /// Sends a batch: epoch, first sequence, records.
    Send(i16, i32, usize),
    /// DeleteRecords up to the end of the log.
    DeleteAll,
    /// Waits until retention has taken all.
    Retention,
}
use Do::{DeleteAll, Retention, Send};

const OK: ErrorCode = ErrorCode::NONE;
const GAP: ErrorCode = ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER;
const OLD: ErrorCode = ErrorCode::INVALID_PRODUCER_EPOCH;
const WRONG: ErrorCode = ErrorCode::INVALID_RECORD;

/// A step, and how it is answered: the code and, of a batch, its offset.
type Step = (Do, ErrorCode, i64);

const CASES: &[(&str, &[Step])] = &[
    (
        "the last five batches are answered again, an older one is not",
        &[
            (Send(0, 0, 1), OK, 0),
            (Send(0, 1, 2), OK, 1),
            (Send(0, 3, 1), OK, 3),
            (Send(0, 4, 1), OK, 4),
            (Send(0, 5, 1), OK, 5),
            (Send(0, 6, 1), OK, 6),
            (Send(0, 1, 2), OK, 1),
            (Send(0, 6, 1), OK, 6),
            (Send(0, 0, 1), GAP, -1),
            (Send(0, 7, 1), OK, 7),
            (Send(0, 1, 2), GAP, -1),
        ],
    ),
    (
        "a batch with the same first sequence and another last one is not the same",
        &[(Send(0, 0, 3), OK, 0), (Send(0, 0, 2), GAP, -1), (Send(0, 1, 2), GAP, -1), (Send(0, 0, 3), OK, 0)],
    ),
    ("a gap", &[(Send(0, 0, 1), OK, 0), (Send(0, 2, 1), GAP, -1), (Send(0, 1, 1), OK, 1)]),
    ("an older epoch", &[(Send(3, 0, 1), OK, 0), (Send(2, 1, 1), OLD, -1), (Send(2, 0, 1), OLD, -1)]),
    (
        "a producer that nothing is known of begins anywhere",
        &[(Send(4, 55, 1), OK, 0), (Send(4, 54, 1), GAP, -1), (Send(4, 57, 1), GAP, -1), (Send(4, 56, 1), OK, 1)],
    ),
    (
        "after the last sequence comes 0",
        &[
            (Send(0, MAX - 1, 2), OK, 0),
            (Send(0, 1, 1), GAP, -1),
            (Send(0, 0, 1), OK, 2),
            (Send(0, MAX - 1, 2), OK, 0),
            (Send(0, 1, 1), OK, 3),
        ],
    ),
    (
        "a batch may have the last sequence and 0",
        &[(Send(0, MAX, 3), OK, 0), (Send(0, MAX, 3), OK, 0), (Send(0, 3, 1), GAP, -1), (Send(0, 2, 1), OK, 3)],
    ),
    (
        "a newer epoch begins at 0 and ends the older one",
        &[
            (Send(0, 0, 1), OK, 0),
            (Send(0, 1, 1), OK, 1),
            (Send(1, 2, 1), GAP, -1),
            (Send(1, 0, 1), OK, 2),
            (Send(0, 1, 1), OLD, -1),
            (Send(0, 2, 1), OLD, -1),
            (Send(1, 0, 1), OK, 2),
            (Send(1, 1, 1), OK, 3),
        ],
    ),
    ("a sequence below 0", &[(Send(0, -1, 1), WRONG, -1), (Send(0, -5, 1), WRONG, -1)]),
    (
        "deleted records are remembered",
        &[
            (Send(0, 0, 1), OK, 0),
            (Send(0, 1, 1), OK, 1),
            (DeleteAll, OK, 2),
            (Send(0, 1, 1), OK, 1),
            (Send(0, 3, 1), GAP, -1),
            (Send(0, 2, 1), OK, 2),
        ],
    ),
    (
        "what retention has taken is remembered",
        &[
            (Send(0, 0, 1), OK, 0),
            (Send(0, 1, 1), OK, 1),
            (Retention, OK, 2),
            (Send(0, 0, 1), OK, 0),
            (Send(0, 3, 1), GAP, -1),
            (Send(0, 2, 1), OK, 2),
        ],
    ),
];

/// A broker, or Apache Kafka, and names that are new there.
struct Place {
    _broker: Option<Broker>,
    address: SocketAddr,
}

impl Place {
    async fn new() -> Self {
        if let Ok(address) = std::env::var("DOHLE_KAFKA") {
            return Self { _broker: None, address: address.parse().unwrap() };
        }
        let (clock, broker) = HandClock::broker(&[("log.retention.check.interval.ms", "1")]).await;
        clock.advance(TokioWorld.wall_clock_ms() - NOW);
        Self { address: broker.address(), _broker: Some(broker) }
    }

    async fn topic(&self) -> (Connection, String) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("idempotence-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut connection = Connection::at(self.address).await;
        connection.create_topic(&name, 1, &[]).await;
        while connection.metadata(&name).await.1 == 0 {}
        (connection, name)
    }
}

/// Sends; a leader that is not ready yet is asked again.
async fn send(connection: &mut Connection, topic: &str, stamp: (i64, i16, i32), count: usize) -> (ErrorCode, i64) {
    let timestamp = TokioWorld.wall_clock_ms() - 60_000;
    let records = Records { stamp, timestamp, ..Records::new((0..count).map(|n| format!("value {n}"))) };
    loop {
        let answer = connection.produce(topic, 0, records.build()).await;
        if ErrorCode(answer.error_code) != ErrorCode::NOT_LEADER_OR_FOLLOWER {
            return (ErrorCode(answer.error_code), answer.base_offset);
        }
    }
}

async fn step(connection: &mut Connection, topic: &str, id: i64, what: Do) -> (ErrorCode, i64) {
    match what {
        Send(epoch, sequence, count) => send(connection, topic, (id, epoch, sequence), count).await,
        DeleteAll => {
            let partitions = vec![DeleteRecordsPartition { offset: -1, ..Default::default() }];
            let topics = vec![DeleteRecordsTopic { name: topic.into(), partitions, ..Default::default() }];
            let request = DeleteRecordsRequest { topics, timeout_ms: 10_000, ..Default::default() };
            let answer = connection.ask(2, &request).await.topics.remove(0).partitions.remove(0);
            (ErrorCode(answer.error_code), answer.low_watermark)
        }
        Retention => {
            connection.configure(topic, &[("retention.ms", "1000")]).await;
            while connection.offset_at(topic, -2).await != connection.offset_at(topic, -1).await {
                tokio::task::yield_now().await;
            }
            connection.configure(topic, &[("retention.ms", "3600000")]).await;
            (OK, connection.offset_at(topic, -2).await.0)
        }
    }
}

#[tokio::test]
async fn a_partition_answers_an_idempotent_producer_as_apache_kafka_does() {
    let place = Place::new().await;
    for (case, steps) in CASES {
        let (mut connection, topic) = place.topic().await;
        let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
        let id = connection.ask(4, &request).await.producer_id;
        for (n, (what, code, offset)) in steps.iter().enumerate() {
            let answered = step(&mut connection, &topic, id, *what).await;
            assert_eq!(answered, (*code, *offset), "{case}: step {n}, {what:?}");
        }
    }
}

#[tokio::test]
async fn a_transaction_of_v2_begins_at_sequence_0_where_nothing_is_known_of_its_producer() {
    let place = Place::new().await;
    let (mut connection, topic) = place.topic().await;
    let request = InitProducerIdRequest {
        transactional_id: Some(topic.clone()),
        transaction_timeout_ms: 60_000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    let producer = loop {
        let answer = connection.ask(5, &request).await;
        if answer.error_code == 0 {
            break (answer.producer_id, answer.producer_epoch);
        }
    };
    for (sequence, expected) in [(5, GAP), (0, OK), (2, GAP), (1, OK)] {
        let stamp = (producer.0, producer.1, sequence);
        let timestamp = TokioWorld.wall_clock_ms();
        let records = Records { stamp, timestamp, transactional: true, ..Records::new(["v"]) };
        let mut request = produce_request(&topic, 0, records.build());
        request.transactional_id = Some(topic.clone());
        let code = loop {
            let code = connection.ask(12, &request).await.responses[0].partition_responses[0].error_code;
            if ErrorCode(code) != ErrorCode::NOT_LEADER_OR_FOLLOWER {
                break ErrorCode(code);
            }
        };
        assert_eq!(code, expected, "sequence {sequence}");
    }
}

#[tokio::test]
async fn a_producer_and_a_transactional_id_are_forgotten_after_their_time() {
    let properties = [("producer.id.expiration.ms", "1000"), ("transactional.id.expiration.ms", "5000")];
    let (clock, broker) = HandClock::broker(&properties).await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 1, &[]).await;
    let mut batch = async |sequence| {
        let records = Records { stamp: (7, 0, sequence), ..Records::new(["v"]) };
        ErrorCode(connection.produce("t", 0, records.build()).await.error_code)
    };
    assert_eq!(batch(0).await, OK);
    clock.advance(999);
    assert_eq!(batch(5).await, GAP);
    clock.advance(1);
    assert_eq!(batch(5).await, OK, "anywhere, as of one that was never seen");

    let init = InitProducerIdRequest {
        transactional_id: Some("x".into()),
        transaction_timeout_ms: 1000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    let first = connection.ask(5, &init).await.producer_id;
    clock.advance(4999);
    assert_eq!(connection.ask(5, &init).await.producer_id, first);
    clock.advance(5000);
    assert_ne!(connection.ask(5, &init).await.producer_id, first);
}
