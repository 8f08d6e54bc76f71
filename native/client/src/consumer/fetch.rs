//! One fetch: request, response, chunks, delivery.
//! It plans nothing and retries nothing; what became of each partition goes back to the fetcher.
//! Driven by the fetcher, at most one per broker at a time.

use std::sync::Arc;

use dohle_protocol::compress::Decompressor;
use dohle_protocol::messages::FetchRequest;
use dohle_protocol::messages::fetch_response::{FetchResponse, PartitionData};
use dohle_protocol::{ErrorCode, Request};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::generated::options::IsolationLevel;
use crate::metadata::LeaderHint;
use crate::net::Endpoint;
use crate::{Error, ErrorKind, Lane, Result};

use super::chunk::{self, CutError, Fetched, Rules};
use super::session::{self, Session, TOPIC_IDS, Verdict, Wanted};
use super::shared::Shared;

/// Records beyond this are unpacked and indexed off the I/O thread.
const INLINE_BYTES: usize = 64 * 1024;
/// What one response may become, in buffers: legitimate data packs well, but not without end.
const BUDGET_BUFFERS: usize = 4;

/// What goes from one fetch of a broker to the next.
#[derive(Debug)]
pub(crate) struct Link {
    pub session: Session,
    /// When the session began.
    began: Instant,
    decompressor: Decompressor,
    /// Bytes held per byte fetched, smoothed: how much to ask for so that what comes fits the buffer.
    growth: f64,
}

impl Default for Link {
    fn default() -> Self {
        Link { session: Session::default(), began: Instant::now(), decompressor: Decompressor::new(), growth: 2.0 }
    }
}

/// What became of one partition.
#[derive(Debug)]
pub(crate) struct Fate {
    pub wanted: Wanted,
    pub what: What,
}

/// The cases of [`Fate`].
#[derive(Debug)]
pub(crate) enum What {
    /// Read, delivered or up to date.
    Fine,
    /// The position is not in the log.
    OutOfRange { log_start: i64, high_watermark: i64 },
    /// The records at the position cannot be read.
    Unreadable(CutError),
    /// The leader says that this node is to be asked instead (KIP-392).
    Elsewhere(i32),
    /// The broker answered with an error; `hinted` when it named a leader that was news.
    Refused { code: ErrorCode, hinted: bool },
}

/// Fetches once. The link comes back whatever happens, unless its worker panicked.
pub(crate) async fn fetch(
    shared: &Arc<Shared>,
    node: i32,
    wanted: Vec<Wanted>,
    credit: usize,
    link: &mut Link,
) -> Result<Vec<Fate>> {
    let outcome = exchange(shared, node, wanted, credit, link).await;
    match outcome {
        Ok((full, response)) => read(shared, full, response, link).await,
        Err(error) => {
            link.session.lost();
            Err(error)
        }
    }
}

/// Sends the request; once more in full when the broker has forgotten the session.
async fn exchange(
    shared: &Shared,
    node: i32,
    wanted: Vec<Wanted>,
    credit: usize,
    link: &mut Link,
) -> Result<(bool, FetchResponse)> {
    let connection = shared.client.connection(node, Lane::Fetch(shared.number)).await?;
    let cap = if session::all_have_ids(&wanted) { FetchRequest::MAX_STABLE_VERSION } else { TOPIC_IDS - 1 };
    let version = connection.version_up_to::<FetchRequest>(cap)?;
    let options = &shared.options;
    let timeout = shared.client.options().request_timeout + options.fetch_max_wait;
    loop {
        let mut request = FetchRequest {
            replica_id: -1,
            max_wait_ms: clamp(options.fetch_max_wait.as_millis() as usize),
            min_bytes: clamp(options.fetch_min_bytes),
            max_bytes: clamp(options.fetch_max_bytes.min((credit as f64 / link.growth) as usize)).max(1),
            isolation_level: i8::from(options.isolation_level == IsolationLevel::ReadCommitted),
            rack_id: options.client_rack.clone(),
            ..FetchRequest::default()
        };
        if link.began.elapsed() >= shared.client.options().metadata_max_age {
            link.session.renew();
        }
        let full = link.session.is_full();
        if full {
            link.began = Instant::now();
        }
        link.session.ask(wanted.clone(), version, clamp(options.max_partition_fetch_bytes), &mut request);
        let response = connection.send(version, &request, timeout)?.response().await?;
        match link.session.accept(&response) {
            Verdict::Good => return Ok((full, response)),
            Verdict::Lost => {}
            Verdict::Failed(code) => return Err(Error::broker(code, format_args!("Fetch from broker {node}"))),
        }
    }
}

fn clamp(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// Takes the response apart and delivers what is in it.
async fn read(shared: &Arc<Shared>, full: bool, response: FetchResponse, link: &mut Link) -> Result<Vec<Fate>> {
    let endpoints: Vec<(i32, Endpoint)> = response
        .node_endpoints
        .iter()
        .filter_map(|node| Some((node.node_id, Endpoint::new(&node.host, u16::try_from(node.port).ok()?))))
        .collect();
    let mut fates = Vec::new();
    let mut work = Vec::new();
    let mut bytes = 0;
    for topic in response.responses {
        for data in topic.partitions {
            // Not asked for, or answered before: not ours to read.
            let Some(wanted) = link.session.answered(&topic.topic, topic.topic_id, data.partition_index) else {
                continue;
            };
            note_watermarks(shared, &wanted, &data);
            if let Some(what) = verdict(shared, &wanted, &data, &endpoints) {
                // An error, or nothing although there is more to read (other partitions may have filled the response; then
                // this costs a few bytes). Whatever made the broker do it, it hears again what we want.
                if data.error_code != ErrorCode::NONE.0 || readable_end(shared, &data) > wanted.from.offset {
                    link.session.doubt(&wanted.tp);
                }
                fates.push(Fate { wanted, what });
                continue;
            }
            let aborted = data.aborted_transactions.unwrap_or_default();
            let fetched = Fetched {
                topic: wanted.tp.topic.clone(),
                partition: wanted.tp.partition,
                epoch: wanted.epoch,
                from: wanted.from,
                records: data.records.unwrap_or_default(),
                aborted: aborted.iter().map(|entry| (entry.producer_id, entry.first_offset)).collect(),
                high_watermark: data.high_watermark,
            };
            bytes += fetched.records.len();
            work.push((wanted, fetched));
        }
    }
    link.session.settle(full);
    if work.is_empty() {
        shared.spare.rest();
        return Ok(fates);
    }
    let mut decompressor = std::mem::take(&mut link.decompressor);
    let charge;
    let mut done;
    if bytes <= INLINE_BYTES {
        (done, charge) = unpack(shared, work, &mut decompressor);
        link.decompressor = decompressor;
    } else {
        let (send, receive) = oneshot::channel();
        let worker = shared.clone();
        let job = Box::new(move || {
            let (done, charge) = unpack(&worker, work, &mut decompressor);
            let _ = send.send((done, charge, decompressor));
        });
        shared.client.world().blocking(job).await;
        (done, charge, link.decompressor) =
            receive.await.map_err(|_| Error::new(ErrorKind::Panic, "unpacking a fetch response panicked"))?;
    }
    if bytes > INLINE_BYTES {
        link.growth = (0.75 * link.growth + 0.25 * charge as f64 / bytes as f64).clamp(1.0, 64.0);
    }
    let unreadable = done.iter().filter(|fate| matches!(fate.what, What::Unreadable(_)));
    unreadable.for_each(|fate| link.session.doubt(&fate.wanted.tp));
    fates.append(&mut done);
    Ok(fates)
}

/// Cuts and delivers partition by partition, so that the first records are with the loop while the last are unpacked.
fn unpack(shared: &Shared, work: Vec<(Wanted, Fetched)>, decompressor: &mut Decompressor) -> (Vec<Fate>, usize) {
    let options = &shared.options;
    let rules = Rules {
        read_committed: options.isolation_level == IsolationLevel::ReadCommitted,
        check_crcs: options.check_crcs,
        max_decompressed: options.max_decompressed_bytes,
    };
    let budget = options.fetch_buffer_bytes.saturating_mul(BUDGET_BUFFERS);
    let mut charge = 0;
    let mut fates = Vec::with_capacity(work.len());
    for (wanted, fetched) in work {
        if charge >= budget {
            // Comes again with the next fetch.
            fates.push(Fate { wanted, what: What::Fine });
            continue;
        }
        let cut = chunk::cut(fetched, rules, budget - charge, decompressor, &shared.spare);
        charge += cut.charge;
        let moved = cut.next != wanted.from;
        if moved {
            shared.deliver(&wanted.tp, wanted.epoch, cut.chunks, wanted.from..cut.next);
        }
        let what = match cut.error {
            // With something before it, the next fetch begins at it and fails again.
            Some(error) if !moved => What::Unreadable(error),
            _ => What::Fine,
        };
        fates.push(Fate { wanted, what });
    }
    (fates, charge)
}

fn note_watermarks(shared: &Shared, wanted: &Wanted, data: &PartitionData) {
    if ErrorCode(data.error_code).is_error() {
        return;
    }
    shared.with(|s| {
        if let Some(partition) = s.at(&wanted.tp, wanted.epoch) {
            partition.high_watermark = data.high_watermark;
            partition.last_stable = data.last_stable_offset;
            partition.log_start = data.log_start_offset;
        }
    });
}

/// Up to where there is something for us to read.
fn readable_end(shared: &Shared, data: &PartitionData) -> i64 {
    match shared.options.isolation_level {
        IsolationLevel::ReadCommitted if data.last_stable_offset >= 0 => data.last_stable_offset,
        _ => data.high_watermark,
    }
}

/// What to do about a partition that has no records for us to read; none when it is to be read.
fn verdict(shared: &Shared, wanted: &Wanted, data: &PartitionData, endpoints: &[(i32, Endpoint)]) -> Option<What> {
    let code = ErrorCode(data.error_code);
    match code {
        ErrorCode::NONE if data.preferred_read_replica >= 0 => Some(What::Elsewhere(data.preferred_read_replica)),
        ErrorCode::NONE => match &data.records {
            Some(records) if !records.is_empty() => None,
            _ => Some(What::Fine),
        },
        ErrorCode::OFFSET_OUT_OF_RANGE => {
            Some(What::OutOfRange { log_start: data.log_start_offset, high_watermark: data.high_watermark })
        }
        code => {
            let leader = &data.current_leader;
            let hint = LeaderHint {
                topic: &wanted.tp.topic,
                partition: wanted.tp.partition,
                leader: leader.leader_id,
                leader_epoch: leader.leader_epoch,
            };
            let hinted = leader.leader_id >= 0 && shared.client.metadata().leader_hints(&[hint], endpoints);
            Some(What::Refused { code, hinted })
        }
    }
}
