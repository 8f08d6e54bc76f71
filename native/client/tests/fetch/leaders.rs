//! Leaders that move and logs that lose their end: against brokers made of scripts.

use std::time::Duration;

use dohle_client::ErrorKind;
use dohle_client::consumer::{ConsumerOptions, StartAt};
use dohle_protocol::ErrorCode;

use crate::script::*;
use crate::support::*;

fn reader(address: String, options: ConsumerOptions) -> Reader {
    let reader = Reader::new(&connect_to(address), options);
    reader.assign("t", 1, StartAt::Offset(0));
    reader
}

#[tokio::test]
async fn a_leader_named_by_the_response_is_asked_without_new_metadata() {
    let log = batches(&[(0, 3), (10, 4)]);
    let epoch_ends = vec![(3, 10), (4, 20)];
    let script = Script { leader: (0, 3), hint: (1, 4), log, epoch_ends, ..Script::default() };
    let (script, address) = brokers(script).await;
    // From the first fetch on, node 0 is not the leader any more.
    let mut reader = reader(address, ConsumerOptions::default());
    reader.take(10).await;
    script.lock().asked.clear();
    script.lock().leader = (1, 4);
    assert_eq!(reader.take(10).await[9].offset, 19);
    let asked = script.lock().asked.clone();
    let refused = asked.iter().position(|(node, _, offsets)| *node == 0 && !offsets.is_empty());
    let moved = asked.iter().position(|(node, _, offsets)| *node == 1 && *offsets == [10]).unwrap();
    let refreshes = asked[refused.unwrap_or(0)..moved].iter().filter(|(_, epoch, _)| *epoch == -100).count();
    assert_eq!(refreshes, 0, "{asked:?}");
}

#[tokio::test]
async fn a_truncated_log_is_read_on_from_where_it_was_cut() {
    let log = batches(&[(0, 3), (10, 3)]);
    let script = Script { leader: (0, 3), hint: (1, 5), log, epoch_ends: vec![(3, 15)], ..Script::default() };
    let (script, address) = brokers(script).await;
    let mut reader = reader(address, ConsumerOptions { auto_offset_reset: "latest".into(), ..Default::default() });
    assert_eq!(reader.take(20).await[19].offset, 19);
    {
        // The new leader has lost 15 to 19 and has written others since.
        let mut script = script.lock();
        script.leader = (1, 5);
        script.log.push((15, 5, numbered(500, 3)));
    }
    let all = reader.take(3).await;
    assert_eq!((all[0].offset, number(&all[0].value)), (15, 500));
    assert_eq!(all[2].offset, 17);
}

#[tokio::test]
async fn without_a_policy_a_truncated_log_is_an_error() {
    let script = Script {
        leader: (0, 3),
        hint: (1, 5),
        log: batches(&[(0, 3), (10, 3)]),
        epoch_ends: vec![(3, 15)],
        ..Script::default()
    };
    let (script, address) = brokers(script).await;
    let mut reader = reader(address, ConsumerOptions { auto_offset_reset: "none".into(), ..Default::default() });
    reader.take(20).await;
    script.lock().leader = (1, 5);
    let error = reader.next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoOffset);
    assert!(error.message().contains("the log of t-0 was truncated below our position 20 (leader epoch 3)"), "{error}");
}

/// librdkafka #4427, #4293, #4447: whatever the new leader says instead of an answer, the position is the one that it was.
#[tokio::test]
async fn an_error_while_the_position_is_confirmed_resets_nothing() {
    for (code, lasting) in [
        (ErrorCode::TOPIC_AUTHORIZATION_FAILED, true),
        (ErrorCode::UNKNOWN_SERVER_ERROR, true),
        (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, false),
        (ErrorCode::FENCED_LEADER_EPOCH, false),
    ] {
        let script = Script {
            leader: (0, 3),
            hint: (1, 5),
            log: batches(&[(0, 3), (10, 3), (20, 5)]),
            epoch_ends: vec![(3, 20), (5, 30)],
            validation_error: Some(code),
            ..Script::default()
        };
        let (script, address) = brokers(script).await;
        let mut reader =
            reader(address, ConsumerOptions { auto_offset_reset: "earliest".into(), ..Default::default() });
        reader.take(20).await;
        script.lock().leader = (1, 5);
        if lasting {
            assert_eq!(reader.next().await.unwrap_err().broker_code(), Some(code), "it is told");
        }
        assert!(reader.comes_within(Duration::from_millis(300)).await.is_none(), "{code}");
        assert_eq!(reader.consumer.position(&tp("t", 0)).unwrap(), Some(20), "{code}");
        script.lock().validation_error = None;
        assert_eq!(reader.next().await.unwrap().offset, 20, "{code}");
    }
}

#[tokio::test]
async fn a_new_leader_that_has_everything_is_simply_read() {
    let script = Script {
        leader: (0, 3),
        hint: (1, 5),
        log: batches(&[(0, 3), (10, 3), (20, 5)]),
        epoch_ends: vec![(3, 20), (5, 30)],
        ..Script::default()
    };
    let (script, address) = brokers(script).await;
    let mut reader = reader(address, ConsumerOptions::default());
    reader.take(20).await;
    script.lock().leader = (1, 5);
    assert_eq!(reader.take(10).await[9].offset, 29);
}

#[tokio::test]
async fn a_closed_consumer_ends_its_sessions() {
    let log = batches(&[(0, 3)]);
    let (script, address) = brokers(Script { leader: (0, 3), log, ..Script::default() }).await;
    let mut reader = reader(address, ConsumerOptions { fetch_buffer_bytes: 1, ..Default::default() });
    // One chunk is held and no fetch is under way.
    tokio::time::timeout(SILENCE, async {
        while script.lock().asked.iter().all(|(_, epoch, _)| *epoch == -100) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    reader.consumer.close(None).await.unwrap();
    assert_eq!(reader.next().await.unwrap_err().kind(), ErrorKind::Closed);
    tokio::time::timeout(SILENCE, async {
        while !script.lock().asked.iter().any(|(_, epoch, _)| *epoch == -1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the broker is told");
}
