//! Reading: whole batches, limits, waiting, sessions.

use std::time::Duration;

use dohle_protocol::{
    ErrorCode, Uuid,
    messages::{DeleteTopicsRequest, FetchRequest, FetchResponse, fetch_request::ForgottenTopic},
};
use tokio::time::Instant;

use crate::support::*;

#[tokio::test]
async fn the_middle_of_a_batch_answers_the_whole_batch() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 1, &[]).await;
    connection.produce("t", 0, batch(0..10)).await;
    connection.produce("t", 0, batch(10..20)).await;
    assert_eq!(offsets(connection.fetch("t", 0, 13).await.records), (10..20).collect::<Vec<_>>());
    assert_eq!(offsets(connection.fetch("t", 0, 3).await.records), (0..20).collect::<Vec<_>>());
    let end = connection.fetch("t", 0, 20).await;
    assert_eq!((end.error_code, end.high_watermark, end.records.map(|records| records.len())), (0, 20, Some(0)));
    for outside in [-1, 21] {
        let code = connection.fetch("t", 0, outside).await.error_code;
        assert_eq!(ErrorCode(code), ErrorCode::OFFSET_OUT_OF_RANGE);
    }
}

#[tokio::test]
async fn the_first_batch_may_exceed_every_limit_and_no_other_does() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 2, &[]).await;
    for partition in 0..2 {
        for _ in 0..3 {
            connection.produce("t", partition, batch(["x".repeat(1000)])).await;
        }
    }
    let mut request = fetch_request("t", 0, 0);
    request.topics[0].partitions[0].partition_max_bytes = 10;
    let second = request.topics[0].partitions[0].clone();
    request.topics[0].partitions.push(second);
    request.topics[0].partitions[1].partition = 1;
    let response = connection.ask(12, &request).await;
    let read: Vec<usize> = response.responses[0].partitions.iter().map(|p| offsets(p.records.clone()).len()).collect();
    assert_eq!(read, [1, 0], "one batch in all");
    request.max_bytes = 2500;
    for partition in &mut request.topics[0].partitions {
        partition.partition_max_bytes = 1 << 20;
    }
    let response = connection.ask(12, &request).await;
    let read: Vec<usize> = response.responses[0].partitions.iter().map(|p| offsets(p.records.clone()).len()).collect();
    assert_eq!(read, [2, 0]);
}

#[tokio::test]
async fn reads_across_segments_see_every_record_once() {
    let mut options = dohle_broker::BrokerOptions::new();
    options.segment_bytes = Some(500);
    let broker = dohle_broker::Broker::start_default(options).await.unwrap();
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 1, &[]).await;
    for n in 0..100 {
        connection.produce("t", 0, batch((0..3).map(|m| n * 3 + m))).await;
    }
    let mut seen = Vec::new();
    while seen.len() < 300 {
        let read = read(connection.fetch("t", 0, seen.len() as i64).await.records);
        assert!(!read.is_empty());
        seen.extend(read.into_iter().map(|(offset, _, value)| (offset, value)));
    }
    assert_eq!(seen, (0..300).map(|n| (n, n.to_string())).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_fetch_waits_for_records_and_not_longer_than_it_says() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 1, &[]).await;
    let mut request = fetch_request("t", 0, 0);
    request.max_wait_ms = 100;
    let start = Instant::now();
    assert_eq!(offsets(connection.ask(12, &request).await.part().records), [] as [i64; 0]);
    assert!(start.elapsed() >= Duration::from_millis(90));

    request.max_wait_ms = 20_000;
    let mut other = Connection::to(&broker).await;
    let (answer, ()) = tokio::join!(connection.ask(12, &request), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        other.produce("t", 0, batch(["a"])).await;
    });
    assert_eq!(offsets(answer.part().records), [0]);

    // Enough bytes are waited for: one more batch is not enough, two are.
    request.min_bytes = 250;
    request.topics[0].partitions[0].fetch_offset = 1;
    let (answer, ()) = tokio::join!(connection.ask(12, &request), async {
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            other.produce("t", 0, batch(["x".repeat(100)])).await;
        }
    });
    assert_eq!(offsets(answer.part().records), [1, 2]);
}

#[tokio::test]
async fn a_waiting_fetch_ends_when_its_topic_is_deleted_or_its_client_goes() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 1, &[]).await;
    let mut request = fetch_request("t", 0, 0);
    request.max_wait_ms = i32::MAX;
    let mut other = Connection::to(&broker).await;
    let delete = DeleteTopicsRequest { topic_names: vec!["t".into()], ..Default::default() };
    let (answer, _) = tokio::join!(connection.ask(12, &request), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        other.ask(5, &delete).await
    });
    assert_eq!(ErrorCode(answer.part().error_code), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);

    other.create_topic("t", 1, &[]).await;
    connection.send(12, &request).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    drop(connection);
    let gone = async {
        while broker.connections() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
}

#[tokio::test]
async fn leader_epochs_of_another_time_are_told_so() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    connection.create_topic("t", 1, &[]).await;
    let mut request = fetch_request("t", 0, 0);
    request.topics[0].partitions[0].current_leader_epoch = 5;
    let code = connection.ask(12, &request).await.part().error_code;
    assert_eq!(ErrorCode(code), ErrorCode::UNKNOWN_LEADER_EPOCH);
    request.topics[0].partitions[0].current_leader_epoch = 0;
    assert_eq!(connection.ask(12, &request).await.part().error_code, 0);
}

/// A fetch by topic id, in a session.
fn in_session(id: Uuid, session: (i32, i32), partitions: &[(i32, i64)]) -> FetchRequest {
    let mut request = fetch_request("", 0, 0);
    (request.session_id, request.session_epoch) = session;
    let want = request.topics[0].partitions[0].clone();
    request.topics[0].topic_id = id;
    request.topics[0].partitions = partitions
        .iter()
        .map(|(partition, fetch_offset)| {
            let mut want = want.clone();
            (want.partition, want.fetch_offset) = (*partition, *fetch_offset);
            want
        })
        .collect();
    if partitions.is_empty() {
        request.topics.clear();
    }
    request
}

fn told(response: &FetchResponse) -> Vec<(i32, usize)> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|p| (p.partition_index, offsets(p.records.clone()).len())).collect()
}

#[tokio::test]
async fn a_session_is_told_only_what_changed() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    let id = connection.create_topic("t", 3, &[]).await;
    let first = connection.ask(17, &in_session(id, (0, 0), &[(0, 0), (1, 0), (2, 0)])).await;
    assert_ne!(first.session_id, 0);
    assert_eq!(told(&first), [(0, 0), (1, 0), (2, 0)]);
    let session = first.session_id;
    connection.produce("t", 1, batch(["a", "b"])).await;
    let second = connection.ask(17, &in_session(id, (session, 1), &[])).await;
    assert_eq!((second.session_id, told(&second)), (session, vec![(1, 2)]));
    // The position moves; nothing is new; then one partition is forgotten while it gets a record.
    let third = connection.ask(17, &in_session(id, (session, 2), &[(1, 2)])).await;
    assert_eq!(told(&third), []);
    connection.produce("t", 0, batch(["a"])).await;
    let mut forget = in_session(id, (session, 3), &[]);
    let partitions = vec![0];
    forget.forgotten_topics_data = vec![ForgottenTopic { topic_id: id, partitions, ..Default::default() }];
    assert_eq!(told(&connection.ask(17, &forget).await), []);
    let wrong = connection.ask(17, &in_session(id, (session, 9), &[])).await;
    assert_eq!(ErrorCode(wrong.error_code), ErrorCode::INVALID_FETCH_SESSION_EPOCH);
    let unknown = connection.ask(17, &in_session(id, (session ^ 1, 1), &[])).await;
    assert_eq!(ErrorCode(unknown.error_code), ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
}

#[tokio::test]
async fn a_session_waits_too_and_learns_that_a_topic_was_recreated() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    let id = connection.create_topic("t", 1, &[]).await;
    let session = connection.ask(17, &in_session(id, (0, 0), &[(0, 0)])).await.session_id;
    let mut wait = in_session(id, (session, 1), &[]);
    wait.max_wait_ms = 20_000;
    let mut other = Connection::to(&broker).await;
    let (answer, ()) = tokio::join!(connection.ask(17, &wait), async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        other.produce("t", 0, batch(["a"])).await;
    });
    assert_eq!(told(&answer), [(0, 1)]);
    other.ask(5, &DeleteTopicsRequest { topic_names: vec!["t".into()], ..Default::default() }).await;
    other.create_topic("t", 1, &[]).await;
    let answer = connection.ask(17, &in_session(id, (session, 2), &[])).await;
    assert_eq!(ErrorCode(answer.part().error_code), ErrorCode::UNKNOWN_TOPIC_ID);
}
