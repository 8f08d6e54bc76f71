//! What the answer to a Produce request means for each batch in it: written, to be sent again, to be split, or failed.
//!
//! Java's rules (`Sender`, `TransactionManager`) but for two: a batch with records that Kafka refuses one by one goes again
//! without them, and after a gap nothing gets a new sequence before every answer under the old epoch is in, so that none
//! can be taken for a later write.

use std::time::Duration;

use dohle_protocol::compress::Decompressor;
use dohle_protocol::messages::ProduceResponse;
use dohle_protocol::messages::produce_response::PartitionProduceResponse;
use dohle_protocol::records::{BatchBuilder, batches};
use dohle_protocol::{ErrorClass, ErrorCode, Uuid};

use super::refusals::{may_be_kept, names_some};
use super::settle::Fate;
use super::{Pick, Sender};
use crate::collections::Map;
use crate::error::{Error, ErrorKind, Result};
use crate::metadata::LeaderHint;
use crate::net::Endpoint;
use crate::producer::batch::{Batch, Body, Runs, State};
use crate::producer::{Persistence, TopicId};

/// First pause while the markers of the transaction before are being written, which takes little time.
const CONCURRENT_TRANSACTIONS: Duration = Duration::from_millis(5);

impl Sender {
    pub(super) fn on_written(&mut self, node: i32, picks: &[Pick], outcome: Result<()>) {
        for pick in picks {
            self.come_off_wire(*pick);
            match &outcome {
                Ok(()) => {
                    self.parts[pick.slot as usize].succeeded();
                    let fate = Fate { persistence: Persistence::PossiblyPersisted, ..Fate::written(-1, -1) };
                    self.finish(*pick, &fate);
                }
                Err(error) => self.lost(*pick, error),
            }
        }
        self.request_ended(node, picks);
    }

    pub(super) fn on_answer(
        &mut self,
        node: i32,
        picks: &[Pick],
        topics: &[(TopicId, Uuid)],
        answer: Result<ProduceResponse>,
    ) {
        for pick in picks {
            self.come_off_wire(*pick);
        }
        match &answer {
            Ok(answer) => {
                self.take_hints(topics, answer);
                let pause = Duration::from_millis(answer.throttle_time_ms.max(0) as u64);
                if let Some(connection) = self.nodes.get(&node).and_then(|node| node.connection.as_ref()) {
                    connection.throttle(pause);
                }
                let results = by_partition(topics, answer, |id| &self.topics[id.0 as usize].topic.name);
                for pick in picks {
                    let part = &self.parts[pick.slot as usize];
                    match results.get(&(part.topic, part.shared.index)) {
                        Some(result) => self.on_result(*pick, result),
                        None => {
                            let what = format!("Produce to {}: the broker's answer leaves it out", part.name());
                            self.lost(*pick, &Error::new(ErrorKind::Disconnected, what));
                        }
                    }
                }
            }
            Err(error) => {
                if error.class() == ErrorClass::RefreshRetriable || error.kind() == ErrorKind::RequestTimedOut {
                    self.client.metadata().request_update();
                }
                picks.iter().for_each(|pick| self.lost(*pick, error));
            }
        }
        self.request_ended(node, picks);
    }

    fn request_ended(&mut self, id: i32, picks: &[Pick]) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.in_flight -= 1;
        }
        self.stir(id);
        for pick in picks {
            self.visit(pick.slot);
        }
    }

    /// What the broker says of one batch.
    fn on_result(&mut self, pick: Pick, result: &PartitionProduceResponse) {
        let code = ErrorCode(result.error_code);
        let part = &mut self.parts[pick.slot as usize];
        let Some(position) = part.position(pick.batch) else { return };
        let batch = &mut part.written[position];
        if batch.settled {
            // Its time was over before; that it is known now what became of it changes nothing that was told.
            return self.finish(pick, &Fate::written(-1, -1));
        }
        // A gap ends a transaction: its epoch is bumped when it has been aborted, not before.
        let idempotent = self.identity.idempotent() && self.transactions.is_none();
        let behind = self.transactions.is_some() && !part.is_head(position);
        let batch = &mut part.written[position];
        batch.maybe_persisted |= code.is_error() && may_be_kept(code);
        match code {
            ErrorCode::NONE | ErrorCode::DUPLICATE_SEQUENCE_NUMBER => {
                part.succeeded();
                // With a code of its own, the broker knows that it has the batch, but not where.
                let base_offset = if code.is_error() { -1 } else { result.base_offset };
                self.finish(pick, &Fate::written(base_offset, result.log_append_time_ms));
            }
            // Larger than the topic takes, or than a segment of its log.
            ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE if batch.count() > 1 => {
                self.split(pick, position);
            }
            ErrorCode::INVALID_RECORD if self.transactions.is_none() && names_some(result, batch.count()) => {
                self.leave_out(pick, position, result)
            }
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER if idempotent => {
                part.proven = false;
                // Behind another that is not written yet, it is only early. As the first, it tells of a gap.
                if part.sequences.draining || part.is_head(position) {
                    part.sequences.draining = true;
                    part.written[position].state = State::Refused;
                }
            }
            // Behind another one of its transaction it is only early, too.
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER if behind => part.proven = false,
            // Without a start of the log the broker is not sure itself: its partition may be moving.
            ErrorCode::UNKNOWN_PRODUCER_ID if idempotent && result.log_start_offset >= 0 => {
                part.sequences.draining = true;
                batch.state = State::Refused;
                part.proven = false;
            }
            ErrorCode::UNKNOWN_PRODUCER_ID if idempotent => self.again(pick, self.error_of(pick, code, result), code),
            ErrorCode::CONCURRENT_TRANSACTIONS => {
                let pause = CONCURRENT_TRANSACTIONS * (1 << batch.attempts.clamp(1, 5) >> 1);
                part.rest(pause);
            }
            _ if code.is_retriable() => self.again(pick, self.error_of(pick, code, result), code),
            _ => {
                let maybe_persisted = batch.maybe_persisted;
                let error = match result.record_errors.first() {
                    Some(first) => {
                        let said = first.batch_index_error_message.as_deref().or(result.error_message.as_deref());
                        Error::broker_with(
                            code,
                            format_args!("Produce to {}", self.parts[pick.slot as usize].name()),
                            said,
                        )
                    }
                    None => self.error_of(pick, code, result),
                };
                self.fail_written(pick, Fate::failed(error, maybe_persisted));
            }
        }
    }

    fn error_of(&self, pick: Pick, code: ErrorCode, result: &PartitionProduceResponse) -> Error {
        let doing = format!("Produce to {}", self.parts[pick.slot as usize].name());
        Error::broker_with(code, doing, result.error_message.as_deref())
    }

    /// A batch has met its fate; its sequence is used up.
    fn finish(&mut self, pick: Pick, fate: &Fate) {
        if let Some(position) = self.parts[pick.slot as usize].position(pick.batch) {
            self.remove_written(pick.slot, position, fate);
        }
    }

    /// A batch failed for good and, if it had a sequence, leaves a gap.
    pub(super) fn fail_written(&mut self, pick: Pick, fate: Fate) {
        let part = &mut self.parts[pick.slot as usize];
        let Some(position) = part.position(pick.batch) else { return };
        part.sequences.draining |= part.written[position].sequence.is_some();
        part.proven = false;
        self.remove_written(pick.slot, position, &fate);
    }

    /// The broker may succeed with it later.
    fn again(&mut self, pick: Pick, error: Error, code: ErrorCode) {
        let world = self.accumulator.world.clone();
        let part = &mut self.parts[pick.slot as usize];
        if let Some(position) = part.position(pick.batch) {
            part.written[position].last_error = Some(error);
        }
        if code.class() == ErrorClass::RefreshRetriable {
            self.client.metadata().request_update();
        }
        // Where the answer named a newer leader, learning of it ends the pause.
        part.pause(&*world);
    }

    /// Nobody knows what became of the request that it was in.
    fn lost(&mut self, pick: Pick, error: &Error) {
        let world = self.accumulator.world.clone();
        let part = &mut self.parts[pick.slot as usize];
        let Some(position) = part.position(pick.batch) else { return };
        let batch = &mut part.written[position];
        if batch.settled {
            return self.finish(pick, &Fate::failed(error.clone(), true));
        }
        batch.maybe_persisted = true;
        if !error.retriable() {
            return self.fail_written(pick, Fate::failed(error.clone(), true));
        }
        batch.last_error = Some(error.clone());
        part.pause(&*world);
    }

    /// New leaders that the answer names (KIP-951).
    fn take_hints(&mut self, topics: &[(TopicId, Uuid)], answer: &ProduceResponse) {
        let mut hints = Vec::new();
        for topic in &answer.responses {
            let Some(id) = topic_of(topics, topic, |id| &self.topics[id.0 as usize].topic.name) else { continue };
            for partition in &topic.partition_responses {
                let leader = &partition.current_leader;
                if leader.leader_id >= 0 && leader.leader_epoch >= 0 {
                    hints.push(LeaderHint {
                        topic: &self.topics[id.0 as usize].topic.name,
                        partition: partition.index,
                        leader: leader.leader_id,
                        leader_epoch: leader.leader_epoch,
                    });
                }
            }
        }
        if hints.is_empty() {
            return;
        }
        let brokers = answer.node_endpoints.iter().filter_map(|node| {
            Some((node.node_id, Endpoint { host: node.host.as_str().into(), port: u16::try_from(node.port).ok()? }))
        });
        // If that is news, the update of the metadata comes back to `learn_all`.
        self.client.metadata().leader_hints(&hints, &brokers.collect::<Vec<_>>());
    }

    /// The broker takes no batch of this size: halves of it go in its place, with the same sequences.
    fn split(&mut self, pick: Pick, position: usize) {
        let part = &mut self.parts[pick.slot as usize];
        let batch = &part.written[position];
        let records = Records::of(batch);
        // Later batches are made no larger than what the broker may take.
        let mut queue = part.shared.queue.lock();
        queue.limit = queue.limit.min(records.as_ref().map_or(usize::MAX, |records| records.len / 2)).max(1024);
        drop(queue);
        let halves = records.map(|records| {
            let middle = batch.count() / 2;
            [records.some(|at| at < middle), records.some(|at| at >= middle)]
        });
        self.replace(pick, position, halves.into_iter().flatten().collect(), ErrorCode::MESSAGE_TOO_LARGE);
    }

    /// Records that Kafka refuses by themselves (KIP-467) fail with what it says of them; the others go again without them.
    fn leave_out(&mut self, pick: Pick, position: usize, result: &PartitionProduceResponse) {
        let code = ErrorCode(result.error_code);
        let part = &self.parts[pick.slot as usize];
        let (batch, partition) = (&part.written[position], part.shared.index);
        let refused: Map<u32, Option<&str>> = result
            .record_errors
            .iter()
            .map(|error| (error.batch_index as u32, error.batch_index_error_message.as_deref()))
            .collect();
        for (at, said) in (0..batch.count()).filter_map(|at| refused.get(&at).map(|said| (at, *said))) {
            let doing = format!("Produce to {}, record {at} of its batch", part.name());
            let error = Error::broker_with(code, doing, said.or(result.error_message.as_deref()));
            self.tell(&batch.runs, at..at + 1, partition, &Fate::failed(error, batch.maybe_persisted));
        }
        let rest = Records::of(batch).map(|records| records.some(|at| !refused.contains_key(&at)));
        self.replace(pick, position, rest.into_iter().collect(), code);
    }

    /// Puts other batches in the place of one that the broker did not take. They keep its sequences when they cover all of
    /// them; otherwise they are written under a new epoch.
    fn replace(&mut self, pick: Pick, position: usize, parts: Vec<(BatchBuilder, Runs)>, code: ErrorCode) {
        let Some(mut compressor) = self.compressor() else { return };
        let part = &mut self.parts[pick.slot as usize];
        let Some(old) = part.written.remove(position) else { return };
        part.proven = false;
        let covered = parts.iter().map(|(_, runs)| runs.count()).sum::<u32>() == old.count();
        let producer = part.sequences.producer();
        let mut sequence = old.sequence;
        part.sequences.draining |= sequence.is_some() && !covered;
        let mut given = 0;
        for (at, (builder, runs)) in parts.into_iter().enumerate() {
            let mut sealed = builder.seal(&mut compressor, self.transactions.is_some());
            let count = runs.count();
            let reserved = (old.reserved - given).min(sealed.len());
            given += reserved;
            let stamp = producer.zip(sequence).filter(|_| covered);
            if let Some((producer, first)) = stamp {
                sealed.stamp(producer.id, producer.epoch, first);
                sequence = Some(crate::producer::idempotence::after(first, count));
            }
            let mut batch = old.part(self.next_id, Body::Sealed(sealed), runs);
            self.next_id += 1;
            batch.reserved = reserved;
            batch.sequence = stamp.map(|(_, first)| first);
            // Not covered: its sequences would leave a gap, so it waits for the end of the drain.
            batch.state = if old.sequence.is_some() && !covered { State::Refused } else { State::Idle };
            *self.unsettled.entry(batch.serial).or_default() += 1;
            part.written.insert(position + at, batch);
        }
        self.compressors.push(compressor);
        let (serial, reserved, partition) = (old.serial, old.reserved - given, part.shared.index);
        if given == 0 && code != ErrorCode::INVALID_RECORD {
            // It could not be read back, which takes a bug: the batch fails as it is.
            let error = Error::broker(code, format_args!("Produce to {}", part.name()));
            self.tell(&old.runs, 0..old.count(), partition, &Fate::failed(error, old.maybe_persisted));
        }
        drop(old);
        self.forget(serial);
        self.accumulator.release(reserved);
    }
}

/// The records of a sealed batch, to make others of.
struct Records {
    plain: dohle_protocol::records::PlainBatch,
    runs: Runs,
    len: usize,
}

impl Records {
    fn of(batch: &Batch) -> Option<Self> {
        let Body::Sealed(sealed) = &batch.body else { return None };
        let raw = batches(sealed.bytes()).next()?.ok()?;
        let plain = raw.plain(&mut Decompressor::new(), usize::MAX).ok()?;
        let len = plain.records().len();
        Some(Self { plain, runs: batch.runs.clone(), len })
    }

    /// A batch of the records at the positions that `wanted` picks.
    fn some(&self, wanted: impl Fn(u32) -> bool) -> (BatchBuilder, Runs) {
        let (mut builder, mut runs) = (BatchBuilder::new(self.len / 2), Runs::default());
        for (at, record) in (0..).zip(self.plain.iter()) {
            if let (true, Ok(record), Some((group, index))) = (wanted(at), record, self.runs.at(at)) {
                builder.append(&record.as_ref());
                runs.push(group, index);
            }
        }
        (builder, runs)
    }
}

fn topic_of<'a>(
    topics: &[(TopicId, Uuid)],
    answer: &dohle_protocol::messages::produce_response::TopicProduceResponse,
    name: impl Fn(TopicId) -> &'a str,
) -> Option<TopicId> {
    let known = topics
        .iter()
        .find(|(id, uuid)| if answer.name.is_empty() { *uuid == answer.topic_id } else { name(*id) == answer.name });
    known.map(|(id, _)| *id)
}

/// The answer by topic and partition; a broker may leave out, reorder or repeat (then the first counts).
fn by_partition<'a, 'b>(
    topics: &[(TopicId, Uuid)],
    answer: &'a ProduceResponse,
    name: impl Fn(TopicId) -> &'b str,
) -> Map<(TopicId, i32), &'a PartitionProduceResponse> {
    let mut results = Map::default();
    for topic in &answer.responses {
        let Some(id) = topic_of(topics, topic, &name) else { continue };
        for partition in &topic.partition_responses {
            results.entry((id, partition.index)).or_insert(partition);
        }
    }
    results
}
