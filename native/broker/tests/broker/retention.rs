//! What goes because it is old, as clients see it. The clock is the test's; the broker looks as soon as it is told to.

use dohle_broker::Broker;
use dohle_protocol::ErrorCode;

use crate::support::*;

/// Looks once a millisecond at most, and only when there is a reason.
const EAGER: (&str, &str) = ("log.retention.check.interval.ms", "1");

fn at(timestamp: i64) -> bytes::Bytes {
    Records { timestamp, ..Records::new(["v"]) }.build()
}

async fn code_at(connection: &mut Connection, topic: &str, offset: i64) -> ErrorCode {
    ErrorCode(connection.fetch(topic, 0, offset).await.error_code)
}

/// Waits until the log of a topic starts there.
async fn starts_at(connection: &mut Connection, topic: &str, offset: i64) {
    while connection.offset_at(topic, -2).await.0 != offset {
        tokio::task::yield_now().await;
    }
}

async fn start(properties: &[(&str, &str)]) -> (std::sync::Arc<HandClock>, Broker, Connection) {
    let (clock, broker) = HandClock::broker(&[&[EAGER], properties].concat()).await;
    let connection = Connection::to(&broker).await;
    (clock, broker, connection)
}

#[tokio::test]
async fn old_segments_go_and_everything_follows_the_logs_new_start() {
    let (clock, _broker, mut connection) = start(&[]).await;
    connection.create_topic("kept", 1, &[("retention.ms", "-1")]).await;
    connection.create_topic("t", 1, &[("retention.ms", "60000"), ("segment.ms", "10000")]).await;
    for timestamp in [NOW, NOW + 10_000, NOW + 20_001, NOW + 30_000] {
        assert_eq!(connection.produce("t", 0, at(timestamp)).await.error_code, 0);
    }
    clock.advance(70_000);
    // What is written makes it look: 60 s are not over for any of the first segment.
    connection.produce("kept", 0, at(NOW)).await;
    assert_eq!(connection.offset_at("t", -2).await, (0, -1));
    clock.advance(1);
    connection.produce("kept", 0, at(NOW)).await;
    starts_at(&mut connection, "t", 2).await;
    assert_eq!(code_at(&mut connection, "t", 1).await, ErrorCode::OFFSET_OUT_OF_RANGE);
    let fetched = connection.fetch("t", 0, 2).await;
    assert_eq!((fetched.log_start_offset, fetched.high_watermark), (2, 4));
    assert_eq!(offsets(fetched.records), [2, 3]);
    assert_eq!(connection.offset_at("t", 0).await, (2, NOW + 20_001));
    assert_eq!(connection.offset_at("t", -1).await.0, 4);
    assert_eq!(connection.offset_at("kept", -2).await.0, 0, "visited before it, in the same look");

    clock.advance(1_000_000);
    connection.produce("kept", 0, at(NOW)).await;
    starts_at(&mut connection, "t", 4).await;
    assert_eq!(code_at(&mut connection, "t", 3).await, ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(code_at(&mut connection, "t", 4).await, ErrorCode::NONE);
    let appended = connection.produce("t", 0, at(clock_now(&clock))).await;
    assert_eq!((appended.base_offset, appended.log_start_offset), (4, 4), "offsets go on");
}

fn clock_now(clock: &HandClock) -> i64 {
    dohle_broker::BrokerWorld::wall_clock_ms(clock)
}

#[tokio::test]
async fn a_changed_configuration_is_acted_on_without_anything_being_written() {
    let (clock, _broker, mut connection) = start(&[("log.retention.hours", "1")]).await;
    connection.create_topic("t", 1, &[]).await;
    connection.produce("t", 0, at(NOW)).await;
    clock.advance(5000);
    connection.configure("t", &[("retention.ms", "4000")]).await;
    starts_at(&mut connection, "t", 1).await;
}

#[tokio::test]
async fn a_producer_is_known_after_retention_has_taken_its_records() {
    let (clock, _broker, mut connection) = start(&[]).await;
    connection.create_topic("other", 1, &[("retention.ms", "-1")]).await;
    connection.create_topic("t", 1, &[("retention.ms", "1000")]).await;
    let first = Records { timestamp: NOW, stamp: (77, 0, 0), ..Records::new(["v"]) };
    connection.produce("t", 0, first.build()).await;
    clock.advance(1001);
    connection.produce("other", 0, at(NOW)).await;
    starts_at(&mut connection, "t", 1).await;
    // The producer is still known: its next batch follows, and a gap does not.
    let next = |sequence| Records { timestamp: NOW + 1001, stamp: (77, 0, sequence), ..Records::new(["v"]) }.build();
    let gap = connection.produce("t", 0, next(5)).await;
    assert_eq!(ErrorCode(gap.error_code), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(connection.produce("t", 0, next(1)).await.base_offset, 1);
}
