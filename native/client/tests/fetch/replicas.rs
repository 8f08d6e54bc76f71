//! Fetching from the nearest replica (KIP-392): there, and back to the leader. Against brokers made of scripts.

use std::time::Duration;

use dohle_client::consumer::{ConsumerOptions, StartAt};

use crate::script::*;
use crate::support::*;

/// A leader that sends us to node 1 at once, and 60 records in batches of ten.
fn script() -> Script {
    let log = batches(&[(0, 3), (10, 3), (20, 3), (30, 3), (40, 3), (50, 3)]);
    Script { leader: (0, 3), hint: (0, 3), log, replica: Some(1), ..Script::default() }
}

/// One whose preferred replica counts for `lease`, and who has little in hand, so that it asks often.
fn reader(address: String, lease: Duration) -> Reader {
    let client = connect_with(address, |options| options.metadata_max_age = lease);
    let options = ConsumerOptions { client_rack: "here".into(), fetch_buffer_bytes: 1, ..Default::default() };
    let reader = Reader::new(&client, options);
    reader.assign("t", 1, StartAt::Offset(0));
    reader
}

/// Reads to offset 59: each record once and in order.
async fn read_on(reader: &mut Reader, from: i64) {
    let read: Vec<i64> = reader.take((60 - from) as usize).await.iter().map(|record| record.offset).collect();
    assert_eq!(read, (from..60).collect::<Vec<_>>());
}

/// Which nodes were asked for records, in order.
fn nodes(script: &Shared) -> Vec<i32> {
    let mut nodes: Vec<i32> =
        script.lock().asked.iter().filter(|(.., offsets)| !offsets.is_empty()).map(|(node, ..)| *node).collect();
    nodes.dedup();
    nodes
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_replica_in_the_same_rack_is_read_where_the_leader_says_so() {
    let (script, address) = brokers(script()).await;
    let mut reader = reader(address, LONG);
    read_on(&mut reader, 0).await;
    let asked = script.lock().asked.clone();
    assert!(asked.iter().any(|(node, _, offsets)| *node == 1 && *offsets == [10]), "{asked:?}");
    assert!(!asked.iter().any(|(node, _, offsets)| *node == 0 && *offsets == [10]), "{asked:?}");
}

#[tokio::test]
async fn when_its_time_is_over_the_leader_is_asked_again_and_says_where_to_read() {
    let (script, address) = brokers(script()).await;
    let lease = Duration::from_millis(300);
    let mut reader = reader(address, lease);
    reader.take(10).await;
    assert_eq!(nodes(&script), [0, 1]);
    // One batch may be here already. Back at the leader, and to the replica again.
    tokio::time::sleep(lease).await;
    reader.take(20).await;
    assert!(nodes(&script).starts_with(&[0, 1, 0, 1]), "{:?}", nodes(&script));
    // The leader sends us nowhere any more: the rest is read from it, though the replica still has it.
    script.lock().stays = true;
    tokio::time::sleep(lease).await;
    read_on(&mut reader, 30).await;
    assert_eq!(nodes(&script).last(), Some(&0));
}

#[tokio::test]
async fn a_replica_that_lacks_the_offset_resets_nothing_the_leader_has_the_last_word() {
    let (script, address) = brokers(script()).await;
    let mut reader = reader(address, LONG);
    reader.take(10).await;
    {
        let mut script = script.lock();
        (script.out_of_range, script.stays) = (Some(1), true);
    }
    read_on(&mut reader, 10).await;
    assert_eq!(nodes(&script).last(), Some(&0));
}

#[tokio::test]
async fn a_replica_that_is_gone_is_left_for_the_leader_without_waiting_for_its_time() {
    let (script, address) = brokers(script()).await;
    let mut reader = reader(address, LONG);
    reader.take(10).await;
    {
        let mut script = script.lock();
        (script.gone, script.stays) = (Some(1), true);
    }
    read_on(&mut reader, 10).await;
    assert_eq!(nodes(&script).last(), Some(&0));
}

#[tokio::test]
async fn one_that_is_no_replica_any_more_sends_us_back_to_the_leader() {
    let (script, address) = brokers(script()).await;
    let mut reader = reader(address, LONG);
    reader.take(10).await;
    // NOT_LEADER_OR_FOLLOWER from node 1.
    script.lock().replica = None;
    read_on(&mut reader, 10).await;
    assert_eq!(nodes(&script).last(), Some(&0));
}
