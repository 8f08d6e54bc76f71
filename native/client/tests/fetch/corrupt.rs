//! A line that damages bytes between broker and client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dohle_broker::{Broker, BrokerOptions};
use dohle_client::ErrorKind;
use dohle_client::consumer::{ConsumerOptions, StartAt};
use dohle_protocol::compress::Compression;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::*;

/// As long as `left` is not 0, the first byte of this text is changed wherever it passes, and `left` goes down.
const MARK: &[u8] = b"damage this";

/// A cluster whose broker is reached through a damaging line.
async fn damaged(left: u32) -> Cluster {
    let line = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = line.local_addr().unwrap().port();
    let mut options = BrokerOptions::default();
    options.advertised_port = Some(port);
    let broker = Broker::start_default(options).await.unwrap();
    let left = Arc::new(AtomicU32::new(left));
    tokio::spawn(forward(line, broker.address(), left));
    let client = connect_to(format!("127.0.0.1:{port}"));
    Cluster { broker, client }
}

async fn forward(line: TcpListener, to: SocketAddr, left: Arc<AtomicU32>) {
    while let Ok((near, _)) = line.accept().await {
        let far = TcpStream::connect(to).await.unwrap();
        let (mut near_in, mut near_out) = near.into_split();
        let (mut far_in, mut far_out) = far.into_split();
        let left = left.clone();
        tokio::spawn(async move {
            let _ = tokio::io::copy(&mut near_in, &mut far_out).await;
            let _ = far_out.shutdown().await;
        });
        tokio::spawn(async move {
            // Whole frames, so that the mark is never cut in two.
            while let Ok(length) = far_in.read_u32().await {
                let mut frame = vec![0; length as usize];
                if far_in.read_exact(&mut frame).await.is_err() {
                    break;
                }
                let mut at = 0;
                while let Some(found) = frame[at..].windows(MARK.len()).position(|window| window == MARK) {
                    let take = |left: u32| left.checked_sub(1);
                    if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok() {
                        frame[at + found] ^= 0x20;
                    }
                    at += found + MARK.len();
                }
                let sent = async {
                    near_out.write_u32(length).await?;
                    near_out.write_all(&frame).await
                };
                if sent.await.is_err() {
                    break;
                }
            }
        });
    }
}

async fn fill(cluster: &Cluster) {
    cluster.create("damaged", 1).await;
    cluster.produce("damaged", 0, &numbered(0, 10), Compression::None).await;
    cluster.produce("damaged", 0, &[b"10:".to_vec(), MARK.to_vec()], Compression::None).await;
    cluster.produce("damaged", 0, &numbered(12, 10), Compression::None).await;
}

#[tokio::test]
async fn damage_on_the_way_is_never_seen() {
    let cluster = damaged(2).await;
    fill(&cluster).await;
    let mut reader = cluster.reader(ConsumerOptions::default());
    reader.assign("damaged", 1, StartAt::Earliest);
    let all = reader.take(22).await;
    assert!(all.iter().zip(0..).all(|(got, offset)| got.offset == offset));
    assert_eq!(all[11].value, MARK);
}

#[tokio::test]
async fn damage_in_the_log_is_an_error_that_names_the_place_and_a_seek_goes_on() {
    let cluster = damaged(u32::MAX).await;
    fill(&cluster).await;
    let mut reader = cluster.reader(ConsumerOptions::default());
    reader.assign("damaged", 1, StartAt::Earliest);
    assert_eq!(reader.take(10).await[9].offset, 9, "what comes before it is delivered");
    let error = reader.next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.message().contains("damaged-0 at offset 10"), "{error}");
    assert!(error.message().contains("Crc"), "{error}");
    assert!(reader.comes_within(Duration::from_millis(300)).await.is_none(), "told once");
    reader.consumer.seek(&tp("damaged", 0), StartAt::Offset(12)).unwrap();
    assert_eq!(reader.take(10).await[9].offset, 21);
}

#[tokio::test]
async fn without_the_check_damage_is_data() {
    let cluster = damaged(u32::MAX).await;
    fill(&cluster).await;
    let mut reader = cluster.reader(ConsumerOptions { check_crcs: false, ..ConsumerOptions::default() });
    reader.assign("damaged", 1, StartAt::Earliest);
    assert_eq!(reader.take(22).await[11].value, b"Damage this");
}

#[tokio::test]
async fn a_batch_that_unpacks_to_too_much_is_refused() {
    let cluster = Cluster::start().await;
    cluster.create("bomb", 1).await;
    cluster.produce("bomb", 0, &numbered(0, 5), Compression::None).await;
    cluster.produce("bomb", 0, &[vec![0; 3_000_000]], Compression::Zstd).await;
    let mut reader = cluster.reader(ConsumerOptions { max_decompressed_bytes: 1 << 20, ..ConsumerOptions::default() });
    reader.assign("bomb", 1, StartAt::Earliest);
    reader.take(5).await;
    let error = reader.next().await.unwrap_err();
    assert!(error.message().contains("bomb-0 at offset 5"), "{error}");
    assert!(error.message().contains("more than 1048576 bytes"), "{error}");
}
