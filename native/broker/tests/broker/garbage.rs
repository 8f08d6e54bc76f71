//! Valid requests with damaged bytes: whatever comes, the broker answers or closes, and lives on.

use std::time::Duration;

use bytes::Bytes;
use dohle_protocol::{
    Request, frame,
    messages::{self, JoinGroupRequest, OffsetCommitRequest, join_group_request::JoinGroupRequestProtocol},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

/// A small generator of numbers: the same ones in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }
}

fn every_version<R: Request>(request: &R, frames: &mut Vec<Vec<u8>>) {
    for version in R::MIN_VERSION..=R::MAX_STABLE_VERSION {
        // A field that a version lacks cannot be written there.
        if let Ok(segments) = frame::encode_request(version, 1, Some("garbage"), request) {
            frames.push(segments.to_bytes().to_vec());
        }
    }
}

fn frames() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    every_version(&produce_request("t", 0, batch(["a", "b"])), &mut frames);
    let packed = dohle_protocol::compress::Compression::ALL
        .map(|compression| Records { compression, ..Records::new(["x".repeat(300)]) }.build());
    packed.into_iter().for_each(|records| every_version(&produce_request("t", 0, records), &mut frames));
    let mut fetch = fetch_request("t", 0, 0);
    fetch.max_wait_ms = 1;
    every_version(&fetch, &mut frames);
    every_version(&messages::MetadataRequest { topics: None, ..Default::default() }, &mut frames);
    every_version(&messages::ApiVersionsRequest::default(), &mut frames);
    let protocol =
        JoinGroupRequestProtocol { name: "range".into(), metadata: Bytes::from_static(b"m"), ..Default::default() };
    let join = JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 1000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        ..Default::default()
    };
    every_version(&join, &mut frames);
    every_version(&OffsetCommitRequest { group_id: "g".into(), ..Default::default() }, &mut frames);
    every_version(&messages::OffsetFetchRequest { group_id: "g".into(), ..Default::default() }, &mut frames);
    every_version(&messages::ListOffsetsRequest::default(), &mut frames);
    every_version(&messages::CreateTopicsRequest::default(), &mut frames);
    every_version(&messages::DescribeConfigsRequest::default(), &mut frames);
    every_version(&messages::SyncGroupRequest::default(), &mut frames);
    every_version(&messages::LeaveGroupRequest::default(), &mut frames);
    frames
}

fn damage(frame: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.roll(3) {
        // The length and the API stay as they are, so that the damage is met further in.
        let at = 6 + dice.roll(frame.len() - 6);
        match dice.roll(4) {
            0 => frame[at] = dice.roll(256) as u8,
            1 => frame[at] ^= 1 << dice.roll(8),
            2 => frame[at..].iter_mut().take(4).for_each(|byte| *byte = 0xff),
            _ => frame.truncate(at.max(16)),
        }
    }
    let length = frame.len() as i32 - 4;
    frame[..4].copy_from_slice(&length.to_be_bytes());
}

#[tokio::test]
async fn damaged_requests_never_panic_and_never_stop_the_broker() {
    let broker = broker().await;
    Connection::to(&broker).await.create_topic("t", 1, &[]).await;
    let (frames, mut dice) = (frames(), Dice(42));
    for round in 0..30 {
        for frame in &frames {
            let mut frame = frame.clone();
            damage(&mut frame, &mut dice);
            let mut connection = Connection::to(&broker).await;
            connection.stream.write_all(&frame).await.unwrap();
            connection.stream.shutdown().await.unwrap();
            // The answer, if there is one, is of no interest; a fetch or join may have been told to wait for years.
            let mut answer = Vec::new();
            let read = connection.stream.read_to_end(&mut answer);
            let _ = tokio::time::timeout(Duration::from_millis(20), read).await;
        }
        assert_eq!(broker.panics(), 0, "round {round}");
    }
    let mut connection = Connection::to(&broker).await;
    let end = connection.fetch("t", 0, 0).await.high_watermark;
    connection.produce("t", 0, batch(["still here"])).await;
    let read = read(connection.fetch("t", 0, end).await.records);
    assert_eq!(read[0].2, "still here");
}
