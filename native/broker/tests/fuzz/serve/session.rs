//! One broker and what must hold of it whatever it is asked: it never panics, answers are answers, a sound request is not
//! answered by hanging up, what one client waits for keeps no other waiting, and it stops.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use dohle_broker::{Broker, BrokerOptions};
use dohle_protocol::{
    ApiKey, Encoder, Message, frame,
    messages::{ApiVersionsRequest, CreateTopicsRequest, create_topics_request::CreatableTopic},
    reflect::Sampler,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::timeout,
};

use super::{Kind, Known, kind, world::MemoryWorld};

/// How long a client waits, of a time that jumps to the next thing that happens.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Session {
    world: Arc<MemoryWorld>,
    broker: Broker,
    /// Open from the beginning to the end.
    control: DuplexStream,
    pub known: Known,
}

impl Session {
    /// A broker with a topic.
    pub async fn start(seed: u64) -> Self {
        let world = Arc::new(MemoryWorld::new(seed));
        let broker = Broker::start(world.clone(), BrokerOptions::new()).await.unwrap();
        let control = world.dial();
        let mut session = Self { world, broker, control, known: Known::default() };
        let topic = |name: &str, partitions| CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic("t", 3), topic("u", 1)], ..Default::default() };
        let mut body = Encoder::new();
        request.encode(&mut body, 7).unwrap();
        session.ask(kind(ApiKey::CREATE_TOPICS.0), 7, &body.finish().to_bytes(), true).await;
        session
    }

    /// The versions of every API that the broker says it serves.
    pub async fn served(&mut self) -> Vec<(i16, i16)> {
        let answer = self.control_asks().await;
        let (_, answer) = frame::decode_response::<ApiVersionsRequest>(answer, 0).unwrap();
        let versions = answer.api_keys.iter().flat_map(|api| {
            // Produce is told from version 0 on, for librdkafka, and served from 3 on.
            let oldest = if api.api_key == ApiKey::PRODUCE.0 { 3 } else { api.min_version };
            (oldest..=api.max_version).map(|version| (api.api_key, version))
        });
        versions.collect()
    }

    /// Asks with a body of random and known values, sound or damaged.
    pub async fn roll(&mut self, kind: &Kind, version: i16, dice: &mut Sampler) {
        let made = (kind.make)(dice, &self.known, version);
        let mut body = match dice.below(4) {
            0 => (kind.change)(&made, dice, &self.known, version).expect("what was written can be read").to_vec(),
            _ => made.to_vec(),
        };
        let sound = dice.below(4) > 0;
        if !sound {
            super::damage(&mut body, dice);
        }
        self.ask(kind, version, &body, sound).await;
    }

    /// Asks on a connection of its own.
    pub async fn ask(&mut self, kind: &Kind, version: i16, body: &[u8], sound: bool) {
        let what = || format!("{} version {version}, body {body:02x?}", kind.name);
        let mut stream = self.world.dial();
        let frame = [&(kind.head)(version)[..], body].concat();
        stream.write_i32(frame.len() as i32).await.unwrap();
        stream.write_all(&frame).await.unwrap();
        match timeout(PATIENCE, read(&mut stream)).await {
            Ok(Some(answer)) => (kind.check)(answer, version, &mut self.known),
            Ok(None) => {
                // How an error is told to a client that reads no answer, and to one that logs in where nobody does.
                let login = [ApiKey::SASL_HANDSHAKE, ApiKey::SASL_AUTHENTICATE].contains(&kind.key);
                assert!(!sound || login || kind.unanswered(body, version), "{}: hung up", what());
            }
            Err(_) => {
                let waits = [ApiKey::FETCH, ApiKey::JOIN_GROUP, ApiKey::SYNC_GROUP].contains(&kind.key);
                assert!(waits || kind.unanswered(body, version), "{}: no answer", what());
            }
        }
        assert_eq!(self.broker.panics(), 0, "{}", what());
        self.control_asks().await;
    }

    /// The broker answers those who were there before, lets go of those who are gone, and stops.
    pub async fn finish(mut self) {
        self.control_asks().await;
        let gone = async {
            while self.broker.connections() > 1 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, gone).await.expect("the connections of clients that have gone are closed");
        timeout(PATIENCE, self.broker.stop()).await.expect("it stops");
        assert_eq!(self.broker.panics(), 0);
    }

    async fn control_asks(&mut self) -> Bytes {
        let frame = (kind(ApiKey::API_VERSIONS.0).head)(0);
        self.control.write_i32(frame.len() as i32).await.unwrap();
        self.control.write_all(&frame).await.unwrap();
        timeout(PATIENCE, read(&mut self.control)).await.expect("it answers").expect("it stays")
    }
}

/// The next frame; none when the broker has hung up.
async fn read(stream: &mut DuplexStream) -> Option<Bytes> {
    let length = stream.read_i32().await.ok()?;
    let mut frame = vec![0; usize::try_from(length).expect("a frame has a length")];
    stream.read_exact(&mut frame).await.ok()?;
    Some(frame.into())
}
