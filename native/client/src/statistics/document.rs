//! The document: librdkafka's names and units where it has them, and what is ours beside them.
//! Not a record of what is counted where: `mod.rs` gathers that. What we cannot know is not in it.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::histogram::Histogram;
use crate::consumer::StallReason;

/// What a producer or a consumer has done and holds now, as librdkafka's statistics tell it: the same paths, names and units
/// (`brokers.*.rtt.p99`, `topics.*.partitions.*.consumer_lag`). Counters begin with the object that they belong to and only
/// grow; windows such as `rtt` cover the time since the last report of the same kind.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Statistics {
    /// `client.id`, the kind and a number, such as `orders#producer-1`.
    pub name: String,
    /// `client.id`.
    pub client_id: String,
    /// `producer` or `consumer`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Time of a clock that never goes back, in microseconds since the client was made.
    pub ts: u64,
    /// Wall clock, in seconds since 1970.
    pub time: i64,
    /// Time since this producer or consumer was made, in microseconds.
    pub age: u64,
    /// Records that wait to be acknowledged.
    pub msg_cnt: u64,
    /// Bytes of `buffer.memory` in use; of a consumer, 0.
    pub msg_size: u64,
    /// `buffer.memory`; of a consumer, 0.
    pub msg_size_max: u64,
    /// Bytes of `fetch.buffer.bytes` held: fetched, and not yet asked for. Ours; of a producer, 0.
    pub fetch_buffer_size: u64,
    /// `fetch.buffer.bytes`. Ours; of a producer, 0.
    pub fetch_buffer_size_max: u64,
    /// Requests written, to all brokers, by the whole client: its producers and consumers share connections.
    pub tx: u64,
    /// Bytes of these requests.
    pub tx_bytes: u64,
    /// Responses of all brokers.
    pub rx: u64,
    /// Bytes of these responses.
    pub rx_bytes: u64,
    /// Records written to brokers, again when they were written again.
    pub txmsgs: u64,
    /// Bytes of these records in their batches, compressed.
    pub txmsg_bytes: u64,
    /// Records fetched that the program gets.
    pub rxmsgs: u64,
    /// Bytes of these records, decompressed.
    pub rxmsg_bytes: u64,
    /// Records that brokers have acknowledged. Ours.
    pub ackmsgs: u64,
    /// Records that have failed. Ours.
    pub errmsgs: u64,
    /// Topics whose metadata is known.
    pub metadata_cache_cnt: u64,
    /// The brokers that the client knows, by `host:port/id`.
    pub brokers: BTreeMap<String, BrokerStatistics>,
    /// The topics of this producer or consumer.
    pub topics: BTreeMap<String, TopicStatistics>,
    /// The group of a consumer that subscribes.
    pub cgrp: Option<GroupStatistics>,
    /// The identity of an idempotent or transactional producer.
    pub eos: Option<IdentityStatistics>,
    /// What else tells it from others, for telemetry.
    #[serde(skip)]
    pub labels: Vec<(&'static str, String)>,
    /// How long a consumer's loop has waited for records, for telemetry.
    #[serde(skip)]
    pub waited: Duration,
}

/// A broker, and the client's connections to it.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct BrokerStatistics {
    /// `host:port/id`.
    pub name: String,
    /// Its node id; −1 of a bootstrap server that has not told its own.
    pub nodeid: i32,
    /// `host:port`.
    pub nodename: String,
    /// `learned`, or `configured` of a bootstrap server.
    pub source: &'static str,
    /// `INIT` before the first connection, `CONNECT`, `UP` with at least one open connection, `DOWN`.
    pub state: &'static str,
    /// Requests that wait to be written.
    pub outbuf_cnt: u64,
    /// Requests that wait for their response.
    pub waitresp_cnt: u64,
    /// Requests written.
    pub tx: u64,
    /// Bytes of these requests.
    pub txbytes: u64,
    /// Requests that were not answered, as their connection broke.
    pub txerrs: u64,
    /// Produce requests with a batch that had been written before.
    pub txretries: u64,
    /// Requests that were not answered in time.
    pub req_timeouts: u64,
    /// Responses.
    pub rx: u64,
    /// Bytes of these responses.
    pub rxbytes: u64,
    /// Connections opened.
    pub connects: u64,
    /// Connections that ended, for whatever reason.
    pub disconnects: u64,
    /// Microseconds from a record's batch being begun to its request, of this producer's batches.
    pub int_latency: Window,
    /// Microseconds from a request being made to it being with the system.
    pub outbuf_latency: Window,
    /// Microseconds from a request being with the system to its response.
    pub rtt: Window,
    /// Milliseconds for which the broker throttled us (KIP-219), per response that said so.
    pub throttle: Window,
    /// As `rtt`, of Fetch requests and of commits, for telemetry.
    #[serde(skip)]
    pub fetch: Window,
    /// See `fetch`.
    #[serde(skip)]
    pub commit: Window,
    /// Requests written, by Kafka's name of the API.
    pub req: BTreeMap<String, u64>,
    /// The partitions of this producer or consumer that it leads, by `topic-partition`.
    pub toppars: BTreeMap<String, PartitionOfBroker>,
}

/// A partition that a broker leads.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct PartitionOfBroker {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
}

/// Values of a window of time: their number, and how they are spread. Percentiles are at most 6 % too high.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Window {
    /// The least value.
    pub min: u64,
    /// The largest value.
    pub max: u64,
    /// The mean.
    pub avg: u64,
    /// The sum of all values.
    pub sum: u64,
    /// How many values there were.
    pub cnt: u64,
    /// Half of the values are at most this.
    pub p50: u64,
    /// 75 % of the values are at most this.
    pub p75: u64,
    /// 90 % of the values are at most this.
    pub p90: u64,
    /// 95 % of the values are at most this.
    pub p95: u64,
    /// 99 % of the values are at most this.
    pub p99: u64,
    /// 99.99 % of the values are at most this.
    pub p99_99: u64,
    /// All values since the beginning.
    #[serde(skip)]
    pub all: Histogram,
    /// All values of the window.
    #[serde(skip)]
    pub new: Histogram,
}

/// A topic of a producer or consumer.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct TopicStatistics {
    /// The topic's name.
    pub topic: String,
    /// Bytes of the batches written, compressed.
    pub batchsize: Window,
    /// Records of the batches written.
    pub batchcnt: Window,
    /// Its partitions, by number.
    pub partitions: BTreeMap<String, PartitionStatistics>,
}

/// A partition of a producer or consumer. Offsets are −1001 and lags −1 while they are not known, as in librdkafka.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "PartitionStatistics")]
pub struct PartitionStatistics {
    /// The partition's number, from 0.
    pub partition: i32,
    /// The node that leads it; −1 while there is none.
    pub leader: i32,
    /// Records in the batch that is being filled, and in full ones that the sender has not taken over.
    pub msgq_cnt: u64,
    /// Bytes of these.
    pub msgq_bytes: u64,
    /// Records in batches that are ready to be written, or wait to be written again.
    pub xmit_msgq_cnt: u64,
    /// Bytes of these.
    pub xmit_msgq_bytes: u64,
    /// Records in requests under way.
    pub msgs_inflight: u64,
    /// Records fetched and not yet asked for.
    pub fetchq_cnt: u64,
    /// Bytes of these.
    pub fetchq_size: u64,
    /// `active`, `paused`, `rebalancing`, `offset-query`, `offset-wait`, `validate-epoch-wait`, `stopped`; of a producer `none`.
    pub fetch_state: &'static str,
    /// Where the next fetch begins.
    pub next_offset: i64,
    /// Offset of the next record that the program gets: its position.
    pub app_offset: i64,
    /// What is finished, and goes into the next commit.
    pub stored_offset: i64,
    /// What the group has committed, as far as we know.
    pub committed_offset: i64,
    /// The first offset in the log.
    pub lo_offset: i64,
    /// The high watermark: one more than the last offset that is replicated.
    pub hi_offset: i64,
    /// The last stable offset: up to where transactions are decided.
    pub ls_offset: i64,
    /// Records between the position and `hi_offset`, or `ls_offset` with `isolation.level=read_committed`. Of the position, not of
    /// what is committed, which is `consumer_lag_stored` after it is finished.
    pub consumer_lag: i64,
    /// The same from `stored_offset`.
    pub consumer_lag_stored: i64,
    /// Records written.
    pub txmsgs: u64,
    /// Bytes of these in their batches, compressed.
    pub txbytes: u64,
    /// Records fetched since it was assigned.
    pub rxmsgs: u64,
    /// Bytes of these, decompressed.
    pub rxbytes: u64,
    /// For how many milliseconds there was something to read, or nobody knew, and the position did not move. Ours.
    pub idle_ms: u64,
    /// Why it stands still, while it has for longer than `stalled.report.ms`. Ours.
    pub stalled: Option<StallReason>,
    /// How often it stood still for that long since it was assigned. Ours.
    pub stalls: u64,
}

/// librdkafka's `RD_KAFKA_OFFSET_INVALID`.
pub(crate) const NO_OFFSET: i64 = -1001;

impl Default for PartitionStatistics {
    fn default() -> Self {
        Self {
            partition: 0,
            leader: -1,
            msgq_cnt: 0,
            msgq_bytes: 0,
            xmit_msgq_cnt: 0,
            xmit_msgq_bytes: 0,
            msgs_inflight: 0,
            fetchq_cnt: 0,
            fetchq_size: 0,
            fetch_state: "none",
            next_offset: NO_OFFSET,
            app_offset: NO_OFFSET,
            stored_offset: NO_OFFSET,
            committed_offset: NO_OFFSET,
            lo_offset: NO_OFFSET,
            hi_offset: NO_OFFSET,
            ls_offset: NO_OFFSET,
            consumer_lag: -1,
            consumer_lag_stored: -1,
            txmsgs: 0,
            txbytes: 0,
            rxmsgs: 0,
            rxbytes: 0,
            idle_ms: 0,
            stalled: None,
            stalls: 0,
        }
    }
}

/// A consumer's group.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct GroupStatistics {
    /// `up` as a member of a generation, else `init`.
    pub state: &'static str,
    /// `steady`, `wait-join` while a rebalance is under way, `init` before the first.
    pub join_state: &'static str,
    /// Milliseconds since the last rebalance ended; 0 before the first.
    pub rebalance_age: u64,
    /// How often a rebalance has ended with partitions or none for us.
    pub rebalance_cnt: u64,
    /// How many partitions are assigned.
    pub assignment_size: u64,
    /// Milliseconds that rebalances took, for telemetry.
    #[serde(skip)]
    pub rebalances: Window,
}

/// A producer's identity.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct IdentityStatistics {
    /// `Assigned` with a producer id, `RequestPID` while one is asked for, `Init` before.
    pub idemp_state: &'static str,
    /// `Init`, `Ready`, `InTransaction`, `AbortableError`, `BeginCommit`, `BeginAbort`, `FatalError`; empty without a `transactional.id`.
    pub txn_state: &'static str,
    /// Whether records are taken: a transaction is open.
    pub txn_may_enq: bool,
    /// The producer id; −1 while there is none.
    pub producer_id: i64,
    /// Its epoch; −1 while there is none.
    pub producer_epoch: i32,
}

impl Serialize for StallReason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl JsonSchema for StallReason {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StallReason".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = StallReason::ALL.iter().map(|reason| reason.name()).collect();
        json_schema!({
            "type": "string",
            "format": "open",
            "examples": names,
            "description": "Why a partition stands still: see `Stall.reason`.",
        })
    }
}

impl Window {
    pub(crate) fn of(all: Histogram) -> Self {
        let mut window = Window { all, ..Window::default() };
        window.cut(&Histogram::default());
        window
    }

    /// Makes it the window since `earlier`.
    fn cut(&mut self, earlier: &Histogram) {
        let new = self.all.since(earlier);
        *self = Window {
            min: new.min(),
            max: new.max(),
            avg: new.sum().checked_div(new.count()).unwrap_or(0),
            sum: new.sum(),
            cnt: new.count(),
            p50: new.at(0.5),
            p75: new.at(0.75),
            p90: new.at(0.9),
            p95: new.at(0.95),
            p99: new.at(0.99),
            p99_99: new.at(0.9999),
            all: std::mem::take(&mut self.all),
            new,
        };
    }
}

impl Statistics {
    /// Makes all windows those since an earlier report.
    pub(crate) fn cut(&mut self, earlier: &Statistics) {
        for (name, broker) in &mut self.brokers {
            let Some(before) = earlier.brokers.get(name) else { continue };
            broker.int_latency.cut(&before.int_latency.all);
            broker.outbuf_latency.cut(&before.outbuf_latency.all);
            broker.rtt.cut(&before.rtt.all);
            broker.throttle.cut(&before.throttle.all);
            broker.fetch.cut(&before.fetch.all);
            broker.commit.cut(&before.commit.all);
        }
        if let (Some(group), Some(before)) = (&mut self.cgrp, &earlier.cgrp) {
            group.rebalances.cut(&before.rebalances.all);
        }
        for (name, topic) in &mut self.topics {
            let Some(before) = earlier.topics.get(name) else { continue };
            topic.batchsize.cut(&before.batchsize.all);
            topic.batchcnt.cut(&before.batchcnt.all);
        }
    }
}
