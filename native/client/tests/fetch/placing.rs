use std::time::Duration;

use dohle_client::ErrorKind;
use dohle_client::consumer::{Assignment, ConsumerOptions, StartAt};
use dohle_client::{TokioWorld, World};
use dohle_protocol::compress::Compression;
use dohle_protocol::messages::DeleteRecordsRequest;
use dohle_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};

use crate::support::*;

async fn filled(topic: &str, count: usize) -> Cluster {
    let cluster = Cluster::start().await;
    cluster.create(topic, 1).await;
    for i in 0..count / 100 {
        cluster.produce(topic, 0, &numbered(i * 100, 100), Compression::Lz4).await;
    }
    cluster
}

async fn delete_before(cluster: &Cluster, topic: &str, offset: i64) {
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: topic.into(),
            partitions: vec![DeleteRecordsPartition { partition_index: 0, offset, ..Default::default() }],
            ..Default::default()
        }],
        timeout_ms: 5000,
        ..Default::default()
    };
    let response = cluster.client.request_any(|_| Ok(request.clone()), Duration::from_secs(5)).await.unwrap();
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
}

#[tokio::test]
async fn every_start_is_found() {
    let cluster = filled("starts", 300).await;
    // Timestamps run from 1000 to 1099 in each batch.
    let starts = [
        (StartAt::Earliest, 0),
        (StartAt::Offset(0), 0),
        (StartAt::Offset(150), 150),
        (StartAt::Offset(299), 299),
        (StartAt::Timestamp(0), 0),
        (StartAt::Timestamp(1030), 30),
    ];
    for (start, offset) in starts {
        let mut reader = cluster.reader(ConsumerOptions::default());
        reader.assign("starts", 1, start);
        assert_eq!(reader.next().await.unwrap().offset, offset, "{start:?}");
    }
    for start in [StartAt::Latest, StartAt::Timestamp(5000), StartAt::Offset(300)] {
        let mut reader = cluster.reader(ConsumerOptions::default());
        reader.assign("starts", 1, start);
        let comes = reader.comes_within(Duration::from_millis(300)).await;
        assert_eq!(comes, None, "{start:?}");
        assert_eq!(reader.consumer.position(&tp("starts", 0)).unwrap(), Some(300), "{start:?}");
    }
}

#[tokio::test]
async fn offsets_are_looked_up_for_any_partition() {
    let cluster = filled("asked", 300).await;
    let reader = cluster.reader(ConsumerOptions::default());
    let asked = [
        (StartAt::Earliest, Some(0)),
        (StartAt::Latest, Some(300)),
        (StartAt::Timestamp(1030), Some(30)),
        (StartAt::Timestamp(9999), None),
    ];
    for (at, offset) in asked {
        let found = reader.consumer.offsets_at(vec![(tp("asked", 0), at)]).await.unwrap();
        assert_eq!(found, [(tp("asked", 0), offset)]);
    }
    let error = reader.consumer.offsets_at(vec![(tp("asked", 0), StartAt::Offset(1))]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[tokio::test]
async fn an_offset_out_of_range_follows_the_policy_at_both_ends() {
    let cluster = filled("range", 300).await;
    delete_before(&cluster, "range", 120).await;
    for (policy, below, above) in [("earliest", Some(120), Some(120)), ("latest", None, None)] {
        for (start, expected) in [(10, below), (1000, above)] {
            let options = ConsumerOptions { auto_offset_reset: policy.into(), ..ConsumerOptions::default() };
            let mut reader = cluster.reader(options);
            reader.assign("range", 1, StartAt::Offset(start));
            let got = reader.comes_within(Duration::from_millis(500)).await.map(|got| got.offset);
            assert_eq!(got, expected, "{policy} at {start}");
        }
    }
    for start in [10, 1000] {
        let options = ConsumerOptions { auto_offset_reset: "none".into(), ..ConsumerOptions::default() };
        let mut reader = cluster.reader(options);
        reader.assign("range", 1, StartAt::Offset(start));
        let error = reader.next().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoOffset);
        assert!(error.message().contains(&format!("offset {start} of range-0 is not in the log")), "{error}");
        // A seek goes on.
        reader.consumer.seek(&tp("range", 0), StartAt::Offset(200)).unwrap();
        assert_eq!(reader.next().await.unwrap().offset, 200);
    }
}

#[tokio::test]
async fn what_was_fetched_before_the_log_lost_it_is_still_delivered() {
    let cluster = filled("lost", 1000).await;
    let options = ConsumerOptions {
        auto_offset_reset: "latest".into(),
        fetch_buffer_bytes: 4000,
        max_partition_fetch_bytes: 4000,
        ..ConsumerOptions::default()
    };
    let mut reader = cluster.reader(options);
    reader.assign("lost", 1, StartAt::Earliest);
    assert_eq!(reader.next().await.unwrap().offset, 0);
    tokio::time::sleep(Duration::from_millis(200)).await;
    delete_before(&cluster, "lost", 1000).await;
    let mut next = 1;
    while let Some(got) = reader.comes_within(Duration::from_millis(800)).await {
        assert_eq!(got.offset, next, "in order and without a gap, as far as it was fetched");
        next += 1;
    }
    assert!((100..1000).contains(&next), "{next}");
    cluster.produce("lost", 0, &numbered(1000, 1), Compression::None).await;
    assert_eq!(reader.next().await.unwrap().offset, 1000, "then the policy");
}

#[tokio::test]
async fn a_seek_in_the_middle_of_a_chunk_with_a_fetch_under_way_lands_on_the_target_once() {
    let cluster = filled("seeks", 2000).await;
    let mut reader = cluster.reader(ConsumerOptions::default());
    reader.assign("seeks", 1, StartAt::Earliest);
    for target in [5, 1999, 0, 777, 778, 100, 1500] {
        reader.take(3).await;
        // Nothing is left to read at times: then a long poll is under way.
        reader.consumer.seek(&tp("seeks", 0), StartAt::Offset(target)).unwrap();
        assert_eq!(reader.consumer.position(&tp("seeks", 0)).unwrap(), Some(target));
        let got = reader.next().await.unwrap();
        assert_eq!((got.offset, number(&got.value)), (target, target));
        if target < 1999 {
            assert_eq!(reader.next().await.unwrap().offset, target + 1, "once");
        } else {
            reader.consumer.seek(&tp("seeks", 0), StartAt::Earliest).unwrap();
        }
    }
    // Two seeks in a row: the last one counts.
    reader.consumer.seek(&tp("seeks", 0), StartAt::Latest).unwrap();
    reader.consumer.seek(&tp("seeks", 0), StartAt::Timestamp(1050)).unwrap();
    assert_eq!(reader.next().await.unwrap().offset, 50);
}

#[tokio::test]
async fn a_pause_holds_and_gives_back_what_was_not_yielded() {
    let cluster = Cluster::start().await;
    cluster.create("paused", 2).await;
    for partition in 0..2 {
        cluster.produce("paused", partition, &numbered(0, 500), Compression::None).await;
    }
    let mut reader = cluster.reader(ConsumerOptions::default());
    reader.assign("paused", 2, StartAt::Earliest);
    let mut next = [0i64; 2];
    for round in 0..20 {
        let hold = round % 2;
        reader.consumer.pause(&[tp("paused", hold)]).unwrap();
        for _ in 0..40 {
            if next[1 - hold as usize] == 500 {
                break;
            }
            let got = reader.next().await.unwrap();
            assert_eq!(got.tp.partition, 1 - hold);
            assert_eq!(got.offset, next[got.tp.partition as usize]);
            next[got.tp.partition as usize] += 1;
        }
        reader.consumer.resume(&[tp("paused", hold)]).unwrap();
    }
    for _ in next[0] + next[1]..1000 {
        let got = reader.next().await.unwrap();
        assert_eq!(got.offset, next[got.tp.partition as usize]);
        next[got.tp.partition as usize] += 1;
    }
    assert_eq!(next, [500, 500]);
}

#[tokio::test]
async fn partitions_come_and_go() {
    let cluster = Cluster::start().await;
    cluster.create("moving", 4).await;
    for partition in 0..4 {
        cluster.produce("moving", partition, &numbered(0, 100), Compression::Zstd).await;
    }
    let mut reader = cluster.reader(ConsumerOptions::default());
    for partition in [0, 3, 1, 2, 0] {
        let assignment = Assignment { partition: tp("moving", partition), start: StartAt::Offset(7) };
        reader.consumer.assign(vec![assignment]).unwrap();
        for offset in 7..20 {
            let got = reader.next().await.unwrap();
            assert_eq!((got.tp.partition, got.offset), (partition, offset));
        }
    }
}

#[tokio::test]
async fn an_offset_out_of_range_is_reset_by_duration() {
    let cluster = Cluster::start().await;
    cluster.create("t", 1).await;
    let now = TokioWorld::current().wall_clock_ms();
    for (age_minutes, first) in [(600, 0), (61, 10), (30, 20), (1, 30)] {
        let records = batch_at(now - age_minutes * 60_000, &numbered(first, 10), Compression::None);
        cluster.produce_bytes("t", 0, records).await;
    }
    let reset = async |policy: &str| {
        let options = ConsumerOptions { auto_offset_reset: policy.to_owned(), ..ConsumerOptions::default() };
        let mut reader = cluster.reader(options);
        reader.assign("t", 1, StartAt::Offset(1_000));
        reader.next().await.unwrap().offset
    };
    assert_eq!(reset("by_duration:PT1H").await, 20, "the first record that is not older than an hour");
    assert_eq!(reset("by_duration:P1D").await, 0);
}
