//! What statistics tell of a producer: counted per batch, read when somebody asks.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Command, Pick, Sender};
use crate::net::Connection;
use crate::producer::accumulator::Accumulator;
use crate::producer::batch::State;
use crate::statistics::{IdentityStatistics, Instance, PartitionStatistics, Report, Statistics, Window, micros};

impl Instance for Accumulator {
    fn report(self: Arc<Self>) -> BoxFuture<'static, Option<Report>> {
        async move {
            let (answer, report) = oneshot::channel();
            if self.command(Command::Report(answer)) { report.await.ok() } else { None }
        }
        .boxed()
    }
}

impl Sender {
    /// Batches are on their way to a node.
    pub(super) fn count(&mut self, node: i32, connection: &Connection, picks: &[Pick]) {
        let now = Instant::now();
        let mut again = false;
        for pick in picks {
            let part = &mut self.parts[pick.slot as usize];
            let Some(position) = part.position(pick.batch) else { continue };
            let batch = &mut part.written[position];
            batch.attempts += 1;
            again |= batch.attempts > 1;
            let (records, bytes) = (u64::from(batch.count()), batch.len() as u64);
            if batch.attempts == 1
                && let Some(node) = self.nodes.get_mut(&node)
            {
                node.int_latency.record(micros(now.saturating_duration_since(batch.created)));
            }
            part.written_records += records;
            part.written_bytes += bytes;
            let topic = &mut self.topics[part.topic.0 as usize];
            topic.batch_bytes.record(bytes);
            topic.batch_records.record(records);
        }
        if again {
            connection.retried();
        }
    }

    pub(super) fn report(&self) -> Report {
        let memory = &self.accumulator.memory;
        let mut statistics = Statistics {
            msg_size: memory.used() as u64,
            msg_size_max: memory.total() as u64,
            eos: self.identity.idempotent().then(|| self.identity_statistics()),
            ..Statistics::default()
        };
        let transactional_id = self.accumulator.config.transactional_id.clone();
        statistics.labels = transactional_id.map(|id| ("transactional_id", id)).into_iter().collect();
        (statistics.ackmsgs, statistics.errmsgs) = self.accumulator.fates();
        for state in &self.topics {
            let topic = statistics.topics.entry(state.topic.name.to_string()).or_default();
            topic.topic = state.topic.name.to_string();
            topic.batchsize = Window::of(state.batch_bytes.clone());
            topic.batchcnt = Window::of(state.batch_records.clone());
            let (records, bytes) = state.topic.room.lock().size();
            statistics.msg_cnt += records;
            if records > 0 {
                // librdkafka's partition of records that have none yet.
                let unassigned = PartitionStatistics {
                    partition: -1,
                    msgq_cnt: records,
                    msgq_bytes: bytes,
                    ..PartitionStatistics::default()
                };
                topic.partitions.insert("-1".to_owned(), unassigned);
            }
        }
        for part in &self.parts {
            let mut one = PartitionStatistics {
                partition: part.shared.index,
                txmsgs: part.written_records,
                txbytes: part.written_bytes,
                ..PartitionStatistics::default()
            };
            {
                let queue = part.shared.queue.lock();
                for open in queue.full.iter().chain(&queue.open) {
                    one.msgq_cnt += u64::from(open.runs.count());
                    one.msgq_bytes += open.builder.len() as u64;
                }
            }
            for batch in part.queued.iter().chain(&part.written).filter(|batch| !batch.settled) {
                if batch.state == State::OnWire {
                    one.msgs_inflight += u64::from(batch.count());
                } else {
                    one.xmit_msgq_cnt += u64::from(batch.count());
                    one.xmit_msgq_bytes += batch.len() as u64;
                }
            }
            statistics.msg_cnt += one.msgq_cnt + one.xmit_msgq_cnt + one.msgs_inflight;
            statistics.txmsgs += one.txmsgs;
            statistics.txmsg_bytes += one.txbytes;
            let topic = statistics.topics.entry(part.shared.topic.to_string()).or_default();
            topic.partitions.insert(one.partition.to_string(), one);
        }
        let waited = self.nodes.iter().map(|(id, node)| (*id, node.int_latency.clone()));
        Report { statistics, int_latency: waited.collect() }
    }

    fn identity_statistics(&self) -> IdentityStatistics {
        let current = self.identity.current();
        let described = self.accumulator.transaction.as_ref().map(|transaction| transaction.described());
        let (txn_state, txn_may_enq) = described.unwrap_or(("", true));
        IdentityStatistics {
            idemp_state: match current {
                Some(_) => "Assigned",
                None if self.identity.asking => "RequestPID",
                None => "Init",
            },
            txn_state,
            txn_may_enq,
            producer_id: current.map_or(-1, |id| id.id),
            producer_epoch: current.map_or(-1, |id| id.epoch.into()),
        }
    }
}
