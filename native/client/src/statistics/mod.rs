//! What a client knows of itself: a snapshot of each producer and consumer, in librdkafka's words ([`Statistics`]).
//!
//! Nothing is gathered for it per record: connections count requests ([`BrokerCounters`]), the sender counts batches, the
//! consumer chunks, and gauges are read when somebody asks. Driven by whoever asks and by the timer of
//! `statistics.interval.ms`.

use std::sync::{Arc, Weak};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::client::Client;
use crate::collections::Map;
use crate::net::BrokerOverview;

mod broker;
mod document;
mod histogram;
mod prometheus;

pub(crate) use broker::{BrokerCounters, Tally, micros};
pub(crate) use document::NO_OFFSET;
pub use document::{
    BrokerStatistics, GroupStatistics, IdentityStatistics, PartitionOfBroker, PartitionStatistics, Statistics,
    TopicStatistics, Window,
};
pub use histogram::Histogram;
pub use prometheus::prometheus;

/// Who asks. Each has windows of its own, so that one does not shorten those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reader {
    /// A call of the program's: windows since the call before.
    Call,
    /// The timer of `statistics.interval.ms`.
    Timer,
    /// The pushes of KIP-714.
    Push,
    /// Metrics that are kept elsewhere: windows since the beginning.
    Metrics,
}

/// A producer or a consumer, as the registry asks it.
pub(crate) trait Instance: Send + Sync {
    /// What it knows of itself; none when it is closed.
    fn report(self: Arc<Self>) -> BoxFuture<'static, Option<Report>>;
}

/// What an instance knows of itself; the rest of the document is the client's.
#[derive(Default)]
pub(crate) struct Report {
    pub statistics: Statistics,
    /// Microseconds that batches waited before their first request, by node.
    pub int_latency: Map<i32, Histogram>,
}

/// The producers and consumers of one client.
pub(crate) struct Registry {
    begun: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    instances: Vec<Registered>,
    counts: Map<&'static str, u32>,
    previous: Map<(Reader, Arc<str>), Statistics>,
}

#[derive(Clone)]
struct Registered {
    name: Arc<str>,
    kind: &'static str,
    begun: Instant,
    instance: Weak<dyn Instance>,
}

impl Registry {
    pub fn new() -> Self {
        Self { begun: Instant::now(), state: Mutex::default() }
    }

    /// Adds a producer or consumer; returns its name.
    pub fn add(&self, client_id: &str, kind: &'static str, instance: Weak<dyn Instance>) -> Arc<str> {
        let mut state = self.state.lock();
        let number = state.counts.entry(kind).or_default();
        *number += 1;
        let name: Arc<str> = format!("{client_id}#{kind}-{number}").into();
        state.instances.push(Registered { name: name.clone(), kind, begun: Instant::now(), instance });
        name
    }

    /// Reports of all that are open, or of one, in the order in which they were made.
    pub async fn read(&self, client: &Client, reader: Reader, only: Option<&str>) -> Vec<Statistics> {
        let registered = {
            let mut state = self.state.lock();
            state.instances.retain(|one| one.instance.strong_count() > 0);
            let names: Vec<Arc<str>> = state.instances.iter().map(|one| one.name.clone()).collect();
            state.previous.retain(|(_, name), _| names.contains(name));
            state.instances.clone()
        };
        let mut all = Vec::new();
        for one in registered.into_iter().filter(|one| only.is_none_or(|only| *only == *one.name)) {
            let Some(instance) = one.instance.upgrade() else { continue };
            let Some(report) = instance.report().await else { continue };
            let mut statistics = self.complete(client, &one, report);
            if reader != Reader::Metrics {
                let before = self.state.lock().previous.insert((reader, one.name.clone()), statistics.clone());
                before.into_iter().for_each(|before| statistics.cut(&before));
            }
            all.push(statistics);
        }
        all
    }

    fn complete(&self, client: &Client, of: &Registered, report: Report) -> Statistics {
        let Report { mut statistics, mut int_latency } = report;
        let snapshot = client.metadata().snapshot();
        statistics.name = of.name.to_string();
        statistics.client_id = client.options().client_id.clone();
        statistics.kind = of.kind;
        statistics.ts = micros(self.begun.elapsed());
        statistics.time = client.world().wall_clock_ms() / 1000;
        statistics.age = micros(of.begun.elapsed());
        statistics.metadata_cache_cnt = snapshot.topics().count() as u64;
        let mut led: Map<i32, Vec<PartitionOfBroker>> = Map::default();
        for (name, topic) in &mut statistics.topics {
            for partition in topic.partitions.values_mut() {
                partition.leader = snapshot.leader(name, partition.partition).map_or(-1, |(leader, _)| leader);
                let of = PartitionOfBroker { topic: name.clone(), partition: partition.partition };
                led.entry(partition.leader).or_default().push(of);
            }
        }
        for overview in client.brokers() {
            let toppars = led.remove(&overview.id).unwrap_or_default();
            let waited = int_latency.remove(&overview.id).unwrap_or_default();
            let broker = broker(overview, waited, toppars);
            statistics.tx += broker.tx;
            statistics.tx_bytes += broker.txbytes;
            statistics.rx += broker.rx;
            statistics.rx_bytes += broker.rxbytes;
            statistics.brokers.insert(broker.name.clone(), broker);
        }
        statistics
    }
}

fn broker(overview: BrokerOverview, int_latency: Histogram, toppars: Vec<PartitionOfBroker>) -> BrokerStatistics {
    let BrokerOverview { id, endpoint, state, tally } = overview;
    let nodename = endpoint.to_string();
    // As librdkafka names them: a bootstrap server has no id yet.
    let (name, nodeid) = if id < 0 { (format!("{nodename}/bootstrap"), -1) } else { (format!("{nodename}/{id}"), id) };
    BrokerStatistics {
        name,
        nodeid,
        nodename,
        source: if id < 0 { "configured" } else { "learned" },
        state,
        outbuf_cnt: tally.queued,
        waitresp_cnt: tally.waiting,
        tx: tally.tx,
        txbytes: tally.tx_bytes,
        txerrs: tally.tx_errors,
        txretries: tally.retries,
        req_timeouts: tally.timeouts,
        rx: tally.rx,
        rxbytes: tally.rx_bytes,
        connects: tally.connects,
        disconnects: tally.disconnects,
        int_latency: Window::of(int_latency),
        outbuf_latency: Window::of(tally.outbuf_latency),
        rtt: Window::of(tally.rtt),
        throttle: Window::of(tally.throttle),
        fetch: Window::of(tally.fetch),
        commit: Window::of(tally.commit),
        req: tally.by_api.into_iter().map(|(api, count)| (api.name().to_owned(), count)).collect(),
        toppars: toppars.into_iter().map(|one| (format!("{}-{}", one.topic, one.partition), one)).collect(),
    }
}
