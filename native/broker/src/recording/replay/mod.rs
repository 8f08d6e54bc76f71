//! Sends the requests of a recording to a broker again, and compares its answers with the recorded ones.
//!
//! The order is the recorded one, across connections: a request is sent when every answer that was recorded before it is there.
//! One that does not wait for others (all but Fetch, JoinGroup and SyncGroup) is answered before anything else is sent, so that
//! requests take effect in the order in which they were recorded. Ids that a broker makes up are translated (`ids`); what is
//! compared and what is not is in `compare`, and of records in `records`; which node is sent what in `nodes`. Driven by whoever awaits [`replay`].

mod compare;
mod ids;
mod link;
mod nodes;
mod records;

use std::{collections::BTreeMap, io, net::SocketAddr, time::Duration};

use bytes::{Bytes, BytesMut};
use dohle_protocol::{
    ApiKey, frame,
    schema::{Direction, Schemas, Struct, response_body},
};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Frame, Recording, RecordingError, What};
use crate::{BrokerWorld, world::Stream};
use compare::compare;
use ids::Ids;
use link::Link;
use nodes::Nodes;
use records::Records;

/// How long an answer may take: as long as clients wait for a rebalance.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a broker has to take note of a request that waits for others, before the next one.
const SETTLE: Duration = Duration::from_millis(10);

/// Differences that are told one by one.
const TOLD: usize = 100;

/// How progress is told.
const PROGRESS: Duration = Duration::from_secs(5);

/// A replay that could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The broker cannot be reached.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The recording cannot be read.
    #[error("{0}")]
    Recording(#[from] RecordingError),
}

/// What came of a replay.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Connections made.
    pub connections: u64,
    /// Requests sent.
    pub requests: u64,
    /// Answers compared.
    pub compared: u64,
    /// Requests that were not sent, as they had secrets.
    pub left_out: u64,
    /// Differences in all.
    pub differences: u64,
    /// The first hundred of them.
    pub told: Vec<Difference>,
    /// The recording ended in the middle of an entry; what was there was replayed.
    pub torn: bool,
}

/// An answer that is not the recorded one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The recorded connection; 0: not of one connection.
    pub connection: u32,
    /// When the request was recorded, in microseconds since 1970.
    pub at_us: i64,
    /// API and version, such as `Produce v11`.
    pub request: String,
    /// What differs.
    pub what: String,
}

/// Replays a recording to the broker at `to`, and to the other nodes of its cluster by their ids: `speed` 0 as fast as the order allows, 1 with the recorded times, 2 twice as fast.
pub async fn replay(
    world: &dyn BrokerWorld,
    mut recording: Recording,
    to: SocketAddr,
    speed: f64,
) -> Result<Report, ReplayError> {
    let mut player = Player {
        world,
        nodes: Nodes::ask(world, to).await?,
        links: BTreeMap::new(),
        schemas: Schemas::default(),
        ids: Ids::default(),
        records: Records::default(),
        report: Report::default(),
    };
    let (began, mut told) = (Instant::now(), Instant::now());
    let mut first_us = None;
    loop {
        let entry = match recording.next() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(RecordingError::Torn { .. }) => {
                player.report.torn = true;
                break;
            }
            Err(error) => return Err(error.into()),
        };
        let since = entry.at_us.saturating_sub(*first_us.get_or_insert(entry.at_us));
        match entry.what {
            What::Request(frame) => {
                if speed > 0.0 {
                    let due = Duration::try_from_secs_f64(since.max(0) as f64 / 1e6 / speed).unwrap_or_default();
                    sleep_until(began + due).await;
                }
                player.request(entry.connection, entry.at_us, frame).await?;
            }
            What::Response(frame) => player.response(entry.connection, &frame).await,
            What::Closed => drop(player.links.remove(&entry.connection)),
            What::Opened(opened) => player.links.entry(entry.connection).or_default().node = opened.node,
            What::End => {}
        }
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            let (at, len) = recording.progress();
            let (requests, differences) = (player.report.requests, player.report.differences);
            tracing::info!(percent = at * 100 / len.max(1), requests, differences, "replaying");
        }
    }
    for what in player.records.missing() {
        player.report.add(Difference { connection: 0, at_us: 0, request: "Fetch".into(), what });
    }
    Ok(player.report)
}

impl Report {
    fn add(&mut self, difference: Difference) {
        self.differences += 1;
        if self.told.len() < TOLD {
            self.told.push(difference);
        }
    }
}

struct Player<'a> {
    world: &'a dyn BrokerWorld,
    nodes: Nodes,
    links: BTreeMap<u32, Link>,
    schemas: Schemas,
    ids: Ids,
    records: Records,
    report: Report,
}

/// A request that was sent, or left out, and whose recorded answer has not come yet.
struct Asked {
    correlation_id: i32,
    api: ApiKey,
    version: i16,
    at_us: i64,
    sent: Sent,
}

enum Sent {
    /// It had secrets.
    LeftOut,
    /// It waits for others.
    Waits(Option<Struct>),
    /// What came of it.
    Answered(Option<Struct>, Result<Bytes, String>),
}

async fn connect(world: &dyn BrokerWorld, address: SocketAddr) -> Result<Box<dyn Stream>, ReplayError> {
    world.connect(address).await.map_err(|source| ReplayError::Connect { address, source })
}

impl Player<'_> {
    async fn request(&mut self, connection: u32, at_us: i64, recorded: Frame) -> Result<(), ReplayError> {
        let header = frame::decode_request_header(recorded.bytes.clone());
        let Some((header, body)) = header.ok().filter(|_| !recorded.bare) else {
            self.report.left_out += 1;
            return Ok(());
        };
        let (api, version, correlation_id) = (header.api_key, header.api_version, header.correlation_id);
        let link = self.links.entry(connection).or_default();
        if recorded.redacted || matches!(api, ApiKey::SASL_HANDSHAKE | ApiKey::SASL_AUTHENTICATE) {
            self.report.left_out += 1;
            link.asked.push_back(Asked { correlation_id, api, version, at_us, sent: Sent::LeftOut });
            return Ok(());
        }
        let (mut bytes, head) = (recorded.bytes.clone(), body.position());
        let asked = self.schemas.decode(api, Direction::Request, version, bytes.slice(head..)).ok();
        if let Some(asked) = &asked {
            let mut translated = asked.clone();
            self.ids.translate(&mut translated, &link.sessions);
            if let Ok(body) = self.schemas.encode(api, Direction::Request, version, &translated) {
                let mut whole = BytesMut::from(&bytes[..head]);
                whole.extend_from_slice(&body);
                bytes = whole.freeze();
            }
        }
        if !link.is_open() {
            link.open(connect(self.world, self.nodes.address(link.node)).await?);
            self.report.connections += 1;
        }
        self.report.requests += 1;
        link.send(&bytes).await;
        let unanswered = api == ApiKey::PRODUCE && asked.as_ref().is_some_and(|asked| asked.int("acks") == Some(0));
        if unanswered {
            return Ok(());
        }
        // Answers of one connection come in order: whatever is behind one that waits for others waits too.
        let in_group = |api| matches!(api, ApiKey::JOIN_GROUP | ApiKey::SYNC_GROUP);
        let behind = link.asked.iter().any(|asked| in_group(asked.api) && matches!(asked.sent, Sent::Waits(_)));
        let sent = if behind || in_group(api) || api == ApiKey::FETCH {
            if in_group(api) {
                sleep(SETTLE).await;
            }
            Sent::Waits(asked)
        } else {
            Sent::Answered(asked, link.answer(correlation_id, PATIENCE).await)
        };
        link.asked.push_back(Asked { correlation_id, api, version, at_us, sent });
        Ok(())
    }

    async fn response(&mut self, connection: u32, recorded: &Frame) {
        let Some(link) = self.links.get_mut(&connection) else { return };
        let Ok(correlation_id) = frame::peek_correlation_id(&recorded.bytes) else { return };
        let Some(place) = link.asked.iter().position(|asked| asked.correlation_id == correlation_id) else { return };
        let Some(Asked { api, version, at_us, sent, .. }) = link.asked.remove(place) else { return };
        let (asked, answer) = match sent {
            Sent::LeftOut => return,
            Sent::Waits(asked) => (asked, link.answer(correlation_id, PATIENCE).await),
            Sent::Answered(asked, answer) => (asked, answer),
        };
        // One that a fault rule cut or that has lost its secrets says nothing that could be compared.
        if recorded.redacted || recorded.bytes.len() < recorded.announced as usize {
            return;
        }
        self.report.compared += 1;
        let mut found = Vec::new();
        match answer {
            Err(why) => found.push(why),
            Ok(answer) => {
                let read = |frame: &Bytes| {
                    let body = response_body(api, version, frame)?;
                    self.schemas.decode(api, Direction::Response, version, body).ok()
                };
                match (read(&recorded.bytes), read(&answer)) {
                    (Some(was), Some(is)) => {
                        self.ids.learn(asked.as_ref(), &was, &is, &mut link.sessions);
                        if api == ApiKey::FETCH {
                            self.records.fetched(&was, &is, &self.ids, &mut found);
                        } else {
                            compare(api, was, is, &self.ids, &mut found);
                        }
                    }
                    (Some(_), None) => found.push("the answer cannot be read".into()),
                    (None, _) => {}
                }
            }
        }
        for what in found {
            let request = format!("{} v{version}", api.name());
            self.report.add(Difference { connection, at_us, request, what });
        }
    }
}
