//! Transactions whose partitions are led by several nodes.

use dohle_protocol::messages::{EndTxnRequest, InitProducerIdRequest};

use super::*;

/// Nodes of a transaction that has a record: who coordinates it, who leads its partition, and the third.
struct Begun {
    broker: Broker,
    coordinator: i32,
    leader: i32,
    third: i32,
    end: EndTxnRequest,
}

async fn begun(commit_timeout_ms: &str) -> Begun {
    let set = [("replica.lag.time.max.ms", "60000"), ("offsets.commit.timeout.ms", commit_timeout_ms)];
    let broker = three(&set).await;
    let id = "of t";
    to(&broker, 1).await.create_topic("t", 1, &[]).await;
    let coordinator = coordinator(&broker, 1, id, 1).await;
    let (leader, third) = (coordinator % 3 + 1, (coordinator + 1) % 3 + 1);
    broker.cluster().move_leader("t", 0, leader).unwrap();
    let mut at = to(&broker, coordinator).await;
    let init = InitProducerIdRequest {
        transactional_id: Some(id.into()),
        transaction_timeout_ms: 60_000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    let mut producer = (-1, -1);
    until("there is a producer", async || {
        let answer = at.ask(5, &init).await;
        producer = (answer.producer_id, answer.producer_epoch);
        answer.error_code == 0
    })
    .await;
    let records = Records { stamp: (producer.0, producer.1, 0), transactional: true, ..Records::new(["a"]) };
    let mut request = produce_request("t", 0, records.build());
    (request.acks, request.transactional_id) = (-1, Some(id.into()));
    let answer = to(&broker, leader).await.ask(12, &request).await;
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    let (transactional_id, (producer_id, producer_epoch)) = (id.to_string(), producer);
    let end = EndTxnRequest { transactional_id, producer_id, producer_epoch, committed: true, ..Default::default() };
    Begun { broker, coordinator, leader, third, end }
}

#[tokio::test]
async fn who_may_not_end_a_transaction_is_told_so_while_it_is_ending() {
    let Begun { broker, coordinator, leader, third, end } = begun("600000").await;
    // Its marker is not committed before they come together.
    broker.cluster().cut(leader, third).unwrap();
    let mut at = to(&broker, coordinator).await;
    at.send(5, &end).await;
    let mut other = to(&broker, coordinator).await;
    let abort = EndTxnRequest { committed: false, ..end.clone() };
    let copies = || broker.cluster().copies("t", 0);
    until("its marker is written", async || copies().iter().any(|of| of.node == leader && of.end_offset == 2)).await;
    assert_eq!(ErrorCode(other.ask(5, &abort).await.error_code), ErrorCode::INVALID_TXN_STATE);
    let fenced = EndTxnRequest { producer_epoch: end.producer_epoch - 1, ..end };
    assert_ne!(other.ask(5, &fenced).await.error_code, 0);
    broker.cluster().heal(leader, third).unwrap();
    assert!(at.frame().await.is_some());
    broker.stop().await;
}

#[tokio::test]
async fn a_marker_that_only_a_dead_leader_knows_to_be_written_is_written_to_the_next_one() {
    let Begun { broker, coordinator, leader, third, end } = begun("1000").await;
    let (cluster, mut at) = (broker.cluster(), to(&broker, coordinator).await);
    // The third has not the marker, which is not committed so; nor is it ever told by the leader that dies.
    cluster.cut(leader, third).unwrap();
    assert_ne!(at.ask(5, &end).await.error_code, 0);
    cluster.kill_node(leader).unwrap();
    until("the transaction is over", async || at.ask(5, &end).await.error_code == 0).await;
    let mut reader = to_leader(&broker, 0).await;
    let request = dohle_protocol::messages::FetchRequest { isolation_level: 1, ..fetch_request("t", 0, 0) };
    until("it is committed", async || {
        let part = reader.ask(12, &request).await.part();
        part.last_stable_offset == part.high_watermark && read(part.records).iter().any(|(.., value)| value == "a")
    })
    .await;
    broker.stop().await;
}
