//! What statistics tell of a consumer: counted per chunk, read when somebody asks.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::group::Identity;
use super::shared::Shared;
use super::subscription::{FetchState, Interest, Partition};
use super::{IsolationLevel, Position, watchdog};
use crate::statistics::{GroupStatistics, Instance, NO_OFFSET, PartitionStatistics, Report, Statistics, Window};

impl Instance for Shared {
    fn report(self: Arc<Self>) -> BoxFuture<'static, Option<Report>> {
        let report = (!self.is_closing()).then(|| gather(&self));
        std::future::ready(report).boxed()
    }
}

fn gather(shared: &Shared) -> Report {
    let committed_only = shared.options.isolation_level == IsolationLevel::ReadCommitted;
    let stalls = watchdog::statistics(shared);
    let mut statistics =
        Statistics { fetch_buffer_size_max: shared.options.fetch_buffer_bytes as u64, ..Statistics::default() };
    let subscribed = shared.look(|state| {
        statistics.fetch_buffer_size = state.buffered() as u64;
        (statistics.rxmsgs, statistics.rxmsg_bytes) = state.received;
        statistics.waited = state.waited();
        for (tp, partition) in state.subscription.iter_mut() {
            let one = of_partition(tp.partition, partition, committed_only);
            let topic = statistics.topics.entry(tp.topic.to_string()).or_default();
            topic.topic = tp.topic.to_string();
            topic.partitions.insert(tp.partition.to_string(), one);
        }
        for chunk in state.ready() {
            let topic = statistics.topics.get_mut(&*chunk.topic);
            let Some(one) = topic.and_then(|topic| topic.partitions.get_mut(&chunk.partition.to_string())) else {
                continue;
            };
            one.fetchq_cnt += u64::from(chunk.count);
            one.fetchq_size += chunk.bytes.len() as u64;
        }
        matches!(state.subscription.interest, Interest::Topics(_) | Interest::Matching | Interest::Leaving)
    });
    let mut assigned = 0;
    for stall in stalls {
        assigned += 1;
        let topic = statistics.topics.get_mut(&*stall.partition.topic);
        let partition = topic.and_then(|topic| topic.partitions.get_mut(&stall.partition.partition.to_string()));
        let Some(one) = partition else { continue };
        // The watchdog may have looked up an end of the log that the fetches have not told.
        one.consumer_lag = stall.lag.unwrap_or(-1);
        one.idle_ms = u64::try_from(stall.idle.as_millis()).unwrap_or(u64::MAX);
        (one.stalled, one.stalls) = (stall.stalled, stall.stalls);
    }
    let options = &shared.options;
    let member_id = Some(shared.group.identity().member_id).filter(|id| !id.is_empty());
    let labels = [
        ("group_id", options.group_id.clone()),
        ("group_instance_id", options.group_instance_id.clone()),
        ("group_member_id", member_id),
        ("client_rack", Some(options.client_rack.clone()).filter(|rack| !rack.is_empty())),
    ];
    statistics.labels = labels.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    statistics.cgrp = subscribed.then(|| of_group(shared, assigned));
    Report { statistics, ..Report::default() }
}

fn of_partition(number: i32, partition: &mut Partition, committed_only: bool) -> PartitionStatistics {
    let known = |offset: i64| if offset < 0 { NO_OFFSET } else { offset };
    let offset = |at: Option<Position>| at.map_or(NO_OFFSET, |at| known(at.offset));
    let finished = partition.finished();
    let end = if committed_only { partition.last_stable } else { partition.high_watermark };
    let left = |at: Option<Position>| at.filter(|_| end >= 0).map_or(-1, |at| (end - at.offset).max(0));
    PartitionStatistics {
        partition: number,
        fetch_state: match partition.state {
            _ if partition.held => "rebalancing",
            _ if partition.paused => "paused",
            FetchState::Committed => "offset-wait",
            FetchState::Reset(_) => "offset-query",
            FetchState::Validate => "validate-epoch-wait",
            FetchState::Fetch => "active",
            FetchState::Failed => "stopped",
        },
        next_offset: if partition.placed() { known(partition.fetch.offset) } else { NO_OFFSET },
        app_offset: offset(partition.position()),
        stored_offset: offset(finished),
        committed_offset: offset(partition.committed),
        lo_offset: known(partition.log_start),
        hi_offset: known(partition.high_watermark),
        ls_offset: known(partition.last_stable),
        consumer_lag_stored: left(finished),
        rxmsgs: partition.rx_records,
        rxbytes: partition.rx_bytes,
        ..PartitionStatistics::default()
    }
}

fn of_group(shared: &Shared, assigned: u64) -> GroupStatistics {
    let identity: Identity = shared.group.identity();
    let rebalances = shared.group.rebalances();
    GroupStatistics {
        state: if identity.is_member() { "up" } else { "init" },
        join_state: match (identity.joining, identity.is_member()) {
            (true, _) => "wait-join",
            (false, true) => "steady",
            (false, false) => "init",
        },
        rebalance_age: rebalances.last.map_or(0, |at| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX)),
        rebalance_cnt: rebalances.count,
        assignment_size: assigned,
        rebalances: Window::of(rebalances.took),
    }
}
