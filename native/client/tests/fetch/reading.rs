use std::time::Duration;

use dohle_broker::{Action, Rule, When};
use dohle_client::consumer::{ConsumerOptions, StartAt};
use dohle_protocol::ApiKey;
use dohle_protocol::compress::Compression;

use crate::support::*;

#[tokio::test]
async fn every_codec_is_read_in_order_with_timestamps() {
    let cluster = Cluster::start().await;
    cluster.create("codecs", 2).await;
    for partition in 0..2 {
        for (i, codec) in Compression::ALL.into_iter().cycle().take(20).enumerate() {
            cluster.produce("codecs", partition, &numbered(i * 50, 50), codec).await;
        }
    }
    let mut reader = cluster.reader(ConsumerOptions::default());
    reader.assign("codecs", 2, StartAt::Earliest);
    let mut next = [0; 2];
    for got in reader.take(2000).await {
        let expected = &mut next[got.tp.partition as usize];
        assert_eq!((got.offset, number(&got.value)), (*expected, *expected));
        assert_eq!(got.timestamp, 1000 + *expected % 50);
        *expected += 1;
    }
    assert_eq!(next, [1000, 1000]);
    assert!(reader.comes_within(Duration::from_millis(300)).await.is_none());
    // The watermarks came with the records.
    let marks = reader.consumer.watermarks(&tp("codecs", 1)).unwrap();
    assert_eq!((marks.log_start, marks.high_watermark), (0, 1000));
    assert_eq!(reader.consumer.lag(&tp("codecs", 1)).unwrap(), Some(0));
}

#[tokio::test]
async fn records_that_come_later_are_read_at_once() {
    let cluster = Cluster::start().await;
    cluster.create("later", 1).await;
    let options = ConsumerOptions { fetch_max_wait: Duration::from_secs(30), ..ConsumerOptions::default() };
    let mut reader = cluster.reader(options);
    reader.assign("later", 1, StartAt::Earliest);
    for i in 0..20 {
        cluster.produce("later", 0, &numbered(i, 1), Compression::None).await;
        let before = tokio::time::Instant::now();
        assert_eq!(reader.next().await.unwrap().offset, i as i64);
        assert!(before.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_program_that_keeps_chunks_is_never_silenced() {
    let cluster = Cluster::start().await;
    cluster.create("kept", 1).await;
    for i in 0..40 {
        cluster.produce("kept", 0, &[vec![i; 100_000]], Compression::None).await;
    }
    let options = ConsumerOptions { fetch_buffer_bytes: 200_000, ..ConsumerOptions::default() };
    let mut reader = cluster.reader(options);
    reader.assign("kept", 1, StartAt::Earliest);
    let mut kept = Vec::new();
    let mut count = 0;
    while count < 40 {
        let chunk = reader.next_chunk().await.unwrap();
        count += chunk.count;
        kept.push(chunk);
    }
}

#[tokio::test]
async fn prefetch_stops_at_the_buffer() {
    let cluster = Cluster::start().await;
    cluster.create("ahead", 1).await;
    for i in 0..100 {
        cluster.produce("ahead", 0, &[vec![i; 50_000]], Compression::None).await;
    }
    let options = ConsumerOptions {
        fetch_buffer_bytes: 300_000,
        max_partition_fetch_bytes: 100_000,
        ..ConsumerOptions::default()
    };
    let mut reader = cluster.reader(options);
    reader.assign("ahead", 1, StartAt::Earliest);
    let first = reader.next_chunk().await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    // What waits is bounded: a consumer that nobody reads does not fetch the log. (Delete the rest and see what comes.)
    let id = cluster
        .broker
        .faults()
        .add(Rule::new(Action::Error { code: 6, when: When::Before }).api(ApiKey::FETCH.0).topic("ahead").forever());
    let mut ready = first.count;
    while let Ok(Some(chunk)) = reader.consumer.next_chunk() {
        ready += chunk.count;
    }
    assert!((4..20).contains(&ready), "{ready} records of 50 kB were held in a buffer of 300 kB");
    cluster.broker.faults().remove(id);
    while ready < 100 {
        ready += reader.next_chunk().await.unwrap().count;
    }
}

#[tokio::test]
async fn an_oversized_record_comes_through_small_limits() {
    let cluster = Cluster::start().await;
    cluster.create("large", 1).await;
    cluster.produce("large", 0, &numbered(0, 3), Compression::None).await;
    cluster.produce("large", 0, &[[b"3:".to_vec(), vec![b'y'; 900_000]].concat()], Compression::None).await;
    cluster.produce("large", 0, &numbered(4, 3), Compression::Lz4).await;
    let options = ConsumerOptions {
        fetch_max_bytes: 1,
        max_partition_fetch_bytes: 1,
        fetch_buffer_bytes: 1000,
        ..ConsumerOptions::default()
    };
    let mut reader = cluster.reader(options);
    reader.assign("large", 1, StartAt::Earliest);
    let all = reader.take(7).await;
    assert!(all.iter().enumerate().all(|(i, got)| number(&got.value) == i as i64));
    assert_eq!(all[3].value.len(), 900_002);
}
