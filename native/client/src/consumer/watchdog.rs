//! Notices partitions that have records to read and do not move, and says why: a consumer that looks alive and receives
//! nothing is the fault that users of every Kafka client report most.
//! It mends nothing and trusts nobody: it looks at positions only, and where nothing seems to be left to read it asks for the
//! end of the log itself, apart from the fetches. Driven by its own task and timer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::Error;
use crate::collections::Map;
use crate::generated::options::IsolationLevel;

use super::handover::TopicPartition;
use super::offsets;
use super::shared::Shared;
use super::subscription::{FetchState, Partition, Subscription};
use super::types::{ConsumerEvent, PartitionStatistics, Stall, StallReason, StartAt};

/// How long the fetcher, which never waits for anything, may take to say what it does.
const INSPECTION: Duration = Duration::from_secs(5);

/// What the fetcher says of each partition that it is responsible for, and what failed last.
pub(crate) type Doings = Map<TopicPartition, (StallReason, Option<Error>)>;

/// Who waits for the fetcher to say what it does.
pub(crate) type Inspection = oneshot::Sender<Doings>;

/// What is remembered of a partition.
#[derive(Debug)]
pub(crate) struct Watched {
    mark: Mark,
    since: Instant,
    /// The end of the log as we asked for it, −1 before; and when we last did.
    end: i64,
    asked: Instant,
    reported: Option<StallReason>,
    stalls: u64,
}

/// As long as this stays the same, nothing moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    epoch: u32,
    position: Option<i64>,
    paused: bool,
    held: bool,
}

impl Mark {
    fn of(partition: &Partition) -> Self {
        let position = partition.position().map(|at| at.offset);
        Self { epoch: partition.epoch, position, paused: partition.paused, held: partition.held }
    }
}

impl Watched {
    fn new(mark: Mark, now: Instant) -> Self {
        Self { mark, since: now, end: -1, asked: now, reported: None, stalls: 0 }
    }

    /// Takes in where the partition is now. When it moved, or has nothing to move for, `since` is now.
    fn look(&mut self, partition: &Partition, committed_only: bool, now: Instant) {
        let mark = Mark::of(partition);
        if mark.epoch != self.mark.epoch {
            self.end = -1;
        }
        let moved = std::mem::replace(&mut self.mark, mark) != mark;
        if moved || lag(partition, self.end, committed_only) == Some(0) {
            (self.since, self.reported) = (now, None);
        }
    }
}

/// Records left to read before `end` as we looked it up, or the end that the last fetch told; none: not known.
fn lag(partition: &Partition, end: i64, committed_only: bool) -> Option<i64> {
    let known = if committed_only { partition.last_stable } else { partition.high_watermark };
    let end = known.max(end);
    let position = partition.position()?.offset;
    (end >= 0).then_some((end - position).max(0))
}

/// Runs until the consumer ends.
pub(crate) async fn run(shared: Arc<Shared>) {
    let limit = shared.options.stalled_report;
    let tick = (limit / 4).max(Duration::from_millis(1));
    loop {
        sleep(tick).await;
        let (suspects, unsure) = survey(&shared, limit);
        if !unsure.is_empty() {
            look_up_ends(&shared, unsure, limit).await;
        }
        if !suspects.is_empty() {
            report(&shared, suspects).await;
        }
    }
}

/// The partitions that stand still, and those of which it is time to ask whether they do.
fn survey(shared: &Shared, limit: Duration) -> (Vec<TopicPartition>, Vec<(TopicPartition, u32)>) {
    let (mut suspects, mut unsure) = (Vec::new(), Vec::new());
    let committed_only = is_committed_only(shared);
    let now = Instant::now();
    let mut watched = shared.watched.lock();
    shared.with(|s| {
        watched.retain(|tp, _| s.get(tp).is_some());
        for (tp, partition) in s.iter() {
            let one = watched.entry(tp.clone()).or_insert_with(|| Watched::new(Mark::of(partition), now));
            one.look(partition, committed_only, now);
            if now.duration_since(one.since) >= limit {
                suspects.push(tp.clone());
            }
            // What the last fetch told may be old: it may be the fetches that have stopped.
            let has_work = lag(partition, one.end, committed_only).is_some_and(|left| left > 0);
            if !has_work && one.mark.position.is_some() && now.duration_since(one.asked) >= limit {
                one.asked = now;
                unsure.push((tp.clone(), partition.epoch));
            }
        }
    });
    (suspects, unsure)
}

/// Asks for the ends of logs that seem to have nothing left to read. A failure is told by others, if it stays.
async fn look_up_ends(shared: &Arc<Shared>, asked: Vec<(TopicPartition, u32)>, limit: Duration) {
    let epochs: Map<TopicPartition, u32> = asked.iter().cloned().collect();
    let places = asked.into_iter().map(|(tp, _)| (tp, StartAt::Latest)).collect();
    let look_up = offsets::offsets_at(&shared.client, is_committed_only(shared), places);
    let Ok(Ok(ends)) = timeout(limit.min(shared.client.options().request_timeout), look_up).await else { return };
    let mut watched = shared.watched.lock();
    for (tp, end) in ends {
        let one = watched.get_mut(&tp).filter(|one| epochs.get(&tp) == Some(&one.mark.epoch));
        if let (Some(one), Some(end)) = (one, end) {
            one.end = end;
        }
    }
}

async fn report(shared: &Arc<Shared>, suspects: Vec<TopicPartition>) {
    let doings = inspect(shared).await;
    let committed_only = is_committed_only(shared);
    let mut stalls = Vec::new();
    {
        let mut watched = shared.watched.lock();
        let now = Instant::now();
        for tp in suspects {
            let unread = shared.has_unread(&tp);
            let found = shared.with(|s| {
                let partition = s.get(&tp)?;
                let one = watched.get_mut(&tp)?;
                // It may have moved while the fetcher was asked.
                one.look(partition, committed_only, now);
                (one.since != now).then(|| {
                    let (reason, cause) = why(partition, unread, doings.get(&tp));
                    (lag(partition, one.end, committed_only), reason, cause)
                })
            });
            let (Some((lag, reason, cause)), Some(one)) = (found, watched.get_mut(&tp)) else { continue };
            if one.reported.is_none() {
                one.stalls += 1;
            }
            if one.reported.replace(reason) != Some(reason) {
                let (position, idle) = (one.mark.position, now.duration_since(one.since));
                stalls.push(Stall { partition: tp, position, lag, idle, reason, cause });
            }
        }
    }
    for stall in stalls {
        let (lag, idle_ms, reason) = (stall.lag, stall.idle.as_millis() as u64, stall.reason.name());
        if stall.reason == StallReason::Paused {
            // The program's own wish.
            tracing::info!(partition = %stall.partition, lag, idle_ms, reason, "a partition stands still");
        } else {
            tracing::warn!(partition = %stall.partition, lag, idle_ms, reason, "a partition stands still");
        }
        shared.sink.event(ConsumerEvent::Stalled(stall));
    }
}

/// What the fetcher does for each partition. One that does not say is stuck, and everything that it should do with it.
async fn inspect(shared: &Shared) -> Doings {
    let (answer, doings) = oneshot::channel();
    *shared.inspection.lock() = Some(answer);
    shared.fetcher.notify_one();
    timeout(INSPECTION, doings).await.ok().and_then(Result::ok).unwrap_or_default()
}

fn why(
    partition: &Partition,
    unread: bool,
    doing: Option<&(StallReason, Option<Error>)>,
) -> (StallReason, Option<Error>) {
    if partition.paused {
        return (StallReason::Paused, None);
    }
    if partition.held {
        return (StallReason::Rebalancing, None);
    }
    match partition.state {
        FetchState::Failed => (StallReason::Failed, None),
        FetchState::Committed => (StallReason::LookingUp, None),
        FetchState::Fetch | FetchState::Validate if unread => (StallReason::NotAsked, None),
        FetchState::Fetch => doing.cloned().unwrap_or((StallReason::Fetching, None)),
        FetchState::Reset(_) | FetchState::Validate => doing.cloned().unwrap_or((StallReason::LookingUp, None)),
    }
}

fn is_committed_only(shared: &Shared) -> bool {
    shared.options.isolation_level == IsolationLevel::ReadCommitted
}

/// How all assigned partitions are doing, sorted.
pub(crate) fn statistics(shared: &Shared) -> Vec<PartitionStatistics> {
    let committed_only = is_committed_only(shared);
    let watched = shared.watched.lock();
    let now = Instant::now();
    let mut all: Vec<_> = shared.with(|s: &mut Subscription| {
        let one = |(tp, partition): (&TopicPartition, &Partition)| {
            let watched = watched.get(tp);
            // Of the place where it is now.
            let current = watched.filter(|one| one.mark == Mark::of(partition));
            let lag = lag(partition, current.map_or(-1, |one| one.end), committed_only);
            let still = current.filter(|_| lag != Some(0));
            PartitionStatistics {
                partition: tp.clone(),
                position: partition.position().map(|at| at.offset),
                lag,
                idle: still.map_or(Duration::ZERO, |one| now.duration_since(one.since)),
                stalled: still.and_then(|one| one.reported),
                stalls: watched.map_or(0, |one| one.stalls),
            }
        };
        s.iter().map(one).collect()
    });
    all.sort_unstable_by(|a, b| a.partition.cmp(&b.partition));
    all
}
