//! From partitions with something to send to a request on the wire: pick, compress, stamp, write.

use std::sync::atomic::Ordering;

use dohle_protocol::Uuid;
use dohle_protocol::compress::{Compression, Compressor};
use dohle_protocol::messages::ProduceRequest;
use dohle_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use dohle_protocol::records::{BatchBuilder, SealedBatch};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::part::Next;
use super::settle::Fate;
use super::{Event, Pick, Sender, adopt};
use crate::error::{Error, ErrorKind, Result};
use crate::net::Connection;
use crate::producer::TopicId;
use crate::producer::accumulator::Accumulator;
use crate::producer::batch::{Body, State};
use crate::producer::idempotence::NO_PRODUCER;

/// Bytes to compress that are not worth another thread.
const COMPRESS_HERE: usize = 32 * 1024;
/// Bytes to compress that are worth a thread of their own.
const COMPRESS_APART: usize = 64 * 1024;
/// The last version of Produce that names topics; the next has only ids.
const LAST_WITH_NAMES: i16 = 12;
/// The first version of Produce in which a broker takes zstd (KIP-110).
const FIRST_WITH_ZSTD: i16 = 7;

/// The batch as it goes out; its first buffer is free again when compression took the bytes over.
fn sealed(mut builder: BatchBuilder, compressor: &mut Compressor, accumulator: &Accumulator) -> SealedBatch {
    let transactional = accumulator.transaction.is_some();
    let sealed = builder.seal_with(compressor, transactional, |bytes| accumulator.buffers.take(bytes));
    accumulator.buffers.give(builder.into_buffer());
    sealed
}

impl Sender {
    /// Begins as many requests to a node as it may have under way.
    pub(super) fn pump(&mut self, id: i32) {
        let max = self.accumulator.config.max_in_flight;
        while !self.broken {
            let Some(node) = self.nodes.get_mut(&id) else { return };
            if !node.wants_request(max) {
                return;
            }
            if node.connected().is_none() {
                return self.connect(id);
            }
            let picks = self.pick(id);
            if picks.is_empty() {
                return;
            }
            if let Some(node) = self.nodes.get_mut(&id) {
                node.in_flight += 1;
            }
            self.seal(id, picks);
        }
    }

    /// Takes the next batch of each partition that has one, up to `max.request.size`.
    fn pick(&mut self, id: i32) -> Vec<Pick> {
        let now = Instant::now();
        let limit = self.accumulator.config.max_request_size;
        let Some(node) = self.nodes.get_mut(&id) else { return Vec::new() };
        let (wire, idle) = (node.wire, node.in_flight == 0);
        let (mut ready, lazy) = (std::mem::take(&mut node.ready), std::mem::take(&mut node.lazy));
        let (mut picks, mut size) = (Vec::new(), 0);

        while let Some(slot) = ready.pop_front() {
            let part = &self.parts[slot as usize];
            if part.leader != id {
                continue;
            }
            let next = part.next(&self.circumstances(now));
            // Batches on a connection that broke come back first, or later ones would overtake them.
            let overtakes = part.on_wire > 0 && part.wire != wire;
            if overtakes || matches!(next, Next::Nothing | Next::OpenIfIdle) {
                self.parts[slot as usize].in_ready = false;
                if !overtakes {
                    self.visit(slot);
                }
                continue;
            }
            let len = self.length(slot, next);
            if !picks.is_empty() && size + len > limit {
                ready.push_front(slot);
                break;
            }
            size += len;
            self.parts[slot as usize].in_ready = false;
            picks.extend(self.take(slot, next, wire, id));
        }
        let may_hurry = idle || !picks.is_empty();
        let mut still_lazy = Vec::new();
        for slot in lazy {
            let part = &self.parts[slot as usize];
            if part.leader != id {
                continue;
            }
            let next = part.next(&self.circumstances(now));
            if next != Next::OpenIfIdle {
                self.parts[slot as usize].in_lazy = false;
                self.visit(slot);
                continue;
            }
            let len = self.length(slot, next);
            if may_hurry && part.on_wire == 0 && (picks.is_empty() || size + len <= limit) {
                size += len;
                self.parts[slot as usize].in_lazy = false;
                picks.extend(self.take(slot, next, wire, id));
            } else {
                still_lazy.push(slot);
            }
        }
        if let Some(node) = self.nodes.get_mut(&id) {
            ready.append(&mut node.ready);
            node.ready = ready;
            node.lazy.extend(still_lazy);
        }
        for pick in &picks {
            self.visit(pick.slot); // it may have more for the next request
        }
        picks
    }

    fn length(&self, slot: u32, next: Next) -> usize {
        let part = &self.parts[slot as usize];
        match next {
            Next::Nothing => 0,
            Next::Written(position) => part.written[position].len(),
            Next::Queued => part.queued[0].len(),
            Next::Open | Next::OpenIfIdle => {
                part.shared.queue.lock().open.as_ref().map_or(0, |open| open.builder.len())
            }
        }
    }

    /// Puts a partition's next batch on the wire.
    fn take(&mut self, slot: u32, next: Next, wire: u64, node: i32) -> Option<Pick> {
        let part = &mut self.parts[slot as usize];
        let position = match next {
            Next::Nothing => return None,
            Next::Written(position) => position,
            Next::Queued | Next::Open | Next::OpenIfIdle => {
                if next != Next::Queued {
                    let (next_id, unsettled) = (&mut self.next_id, &mut self.unsettled);
                    part.pull_open(|open| adopt(next_id, unsettled, open));
                }
                part.written.push_back(part.queued.pop_front()?);
                part.shared.backlog.fetch_sub(1, Ordering::Relaxed);
                part.written.len() - 1
            }
        };
        let batch = &mut part.written[position];
        batch.state = State::OnWire;
        part.on_wire += 1;
        (part.wire, part.wire_node) = (wire, node);
        Some(Pick { slot, batch: batch.id })
    }

    /// Compresses what is not, here or elsewhere, and writes the request.
    fn seal(&mut self, node: i32, picks: Vec<Pick>) {
        let mut plain = Vec::<(Pick, BatchBuilder)>::new();
        for pick in &picks {
            let part = &mut self.parts[pick.slot as usize];
            let Some(position) = part.position(pick.batch) else { continue };
            let body = &mut part.written[position].body;
            match std::mem::replace(body, Body::Away) {
                Body::Plain(builder) => plain.push((*pick, builder)),
                other => *body = other,
            }
        }
        let bytes: usize = plain.iter().map(|(_, builder)| builder.len()).sum();
        if self.accumulator.config.compression == Compression::None || bytes <= COMPRESS_HERE {
            if let Some(mut compressor) = self.compressor() {
                for (pick, builder) in plain {
                    let sealed = sealed(builder, &mut compressor, &self.accumulator);
                    self.put_sealed(pick, sealed);
                }
                self.compressors.push(compressor);
            }
            return self.write(node, picks);
        }
        if let Some(node) = self.nodes.get_mut(&node) {
            node.making = true;
        }
        let jobs = self.compress_elsewhere(plain);
        self.events.push(Box::pin(async move {
            let (mut sealed, mut compressors) = (Vec::new(), Vec::new());
            for (batches, compressor) in join_all(jobs).await.into_iter().flatten() {
                sealed.extend(batches);
                compressors.push(compressor);
            }
            Event::Sealed { node, picks, sealed, compressors }
        }));
    }

    /// Jobs of some size each, so that a large request is compressed on several threads.
    #[allow(clippy::type_complexity)]
    fn compress_elsewhere(
        &mut self,
        plain: Vec<(Pick, BatchBuilder)>,
    ) -> Vec<BoxFuture<'static, Option<(Vec<(Pick, SealedBatch)>, Compressor)>>> {
        let mut shares = vec![Vec::new()];
        let mut share_bytes = 0;
        for (pick, builder) in plain {
            if share_bytes >= COMPRESS_APART {
                shares.push(Vec::new());
                share_bytes = 0;
            }
            share_bytes += builder.len();
            if let Some(share) = shares.last_mut() {
                share.push((pick, builder));
            }
        }
        let world = self.accumulator.world.clone();
        let jobs = shares.into_iter().filter_map(|share| {
            let mut compressor = self.compressor()?;
            let (done, result) = oneshot::channel();
            let accumulator = self.accumulator.clone();
            let work = world.blocking(Box::new(move || {
                let seal = |(pick, builder)| (pick, sealed(builder, &mut compressor, &accumulator));
                let sealed: Vec<_> = share.into_iter().map(seal).collect();
                let _ = done.send((sealed, compressor));
            }));
            Some(work.then(|()| async { result.await.ok() }).boxed())
        });
        jobs.collect()
    }

    pub(super) fn compressor(&mut self) -> Option<Compressor> {
        let config = &self.accumulator.config;
        self.compressors.pop().or_else(|| Compressor::new(config.compression, config.compression_level).ok())
    }

    fn put_sealed(&mut self, pick: Pick, sealed: SealedBatch) {
        let part = &mut self.parts[pick.slot as usize];
        let Some(position) = part.position(pick.batch) else { return };
        let batch = &mut part.written[position];
        // What compression saved is free for other records.
        let saved = batch.reserved.saturating_sub(sealed.len());
        batch.reserved -= saved;
        batch.body = Body::Sealed(sealed);
        self.accumulator.release(saved);
    }

    pub(super) fn on_sealed(
        &mut self,
        id: i32,
        picks: Vec<Pick>,
        sealed: Vec<(Pick, SealedBatch)>,
        compressors: Vec<Compressor>,
    ) {
        self.compressors.extend(compressors);
        for (pick, sealed) in sealed {
            self.put_sealed(pick, sealed);
        }
        if let Some(node) = self.nodes.get_mut(&id) {
            node.making = false;
        }
        self.write(id, picks);
        self.stir(id);
    }

    /// Stamps the batches and hands the request to the connection.
    fn write(&mut self, id: i32, mut picks: Vec<Pick>) {
        picks.retain(|pick| self.stamp(*pick));
        let connection = self.nodes.get_mut(&id).and_then(|node| {
            // A connection that was opened after the batches were picked is another wire: they would be out of order.
            let connection = node.connected();
            connection.filter(|_| picks.iter().all(|pick| self.parts[pick.slot as usize].wire == node.wire))
        });
        let outcome = match (picks.is_empty(), connection) {
            (true, _) => None,
            (false, None) => Some(Err(None)),
            (false, Some(connection)) => Some(self.hand_over(id, &connection, &picks).map_err(Some)),
        };
        match outcome {
            Some(Ok(())) => return,
            None => {}
            // The connection broke before: nothing was written, and no pause is due.
            Some(Err(None)) => self.take_back(&picks),
            Some(Err(Some(error))) if error.retriable() => self.take_back(&picks),
            Some(Err(Some(error))) => {
                for pick in &picks {
                    self.come_off_wire(*pick);
                    self.fail_written(*pick, Fate::failed(error.clone(), false));
                }
            }
        }
        if let Some(node) = self.nodes.get_mut(&id) {
            node.in_flight -= 1;
        }
        self.stir(id);
        for pick in picks {
            self.visit(pick.slot);
        }
    }

    fn hand_over(&mut self, id: i32, connection: &Connection, picks: &[Pick]) -> Result<()> {
        let config = &self.accumulator.config;
        let (request, topics) = self.request(picks);
        let names_only = topics.iter().any(|(_, id)| *id == Uuid::ZERO);
        let highest = if names_only { LAST_WITH_NAMES } else { i16::MAX }.min(self.highest_produce());
        let version = connection.version_up_to::<ProduceRequest>(highest)?;
        if config.compression == Compression::Zstd && version < FIRST_WITH_ZSTD {
            return Err(Error::new(ErrorKind::Unsupported, "compression.type: the broker is too old for zstd"));
        }
        let (timeout, own) = (config.request_timeout, picks.to_vec());
        self.started();
        if config.acks == 0 {
            let written = connection.send_unanswered(version, &request, timeout)?;
            self.events.push(written.map(move |outcome| Event::Written { node: id, picks: own, outcome }).boxed());
        } else {
            let exchange = connection.send(version, &request, timeout)?;
            self.events.push(Box::pin(async move {
                Event::Answered { node: id, picks: own, topics, answer: exchange.response().await }
            }));
        }
        self.count(id, connection, picks);
        Ok(())
    }

    /// The request, and the topics in it with the ids they go under.
    fn request(&self, picks: &[Pick]) -> (ProduceRequest, Vec<(TopicId, Uuid)>) {
        let config = &self.accumulator.config;
        let mut topics = Vec::<(TopicId, Uuid)>::new();
        let mut places = crate::collections::Map::<TopicId, usize>::default();
        let mut topic_data = Vec::<TopicProduceData>::new();
        for pick in picks {
            let part = &self.parts[pick.slot as usize];
            let Some(position) = part.position(pick.batch) else { continue };
            let Body::Sealed(sealed) = &part.written[position].body else { continue };
            let place = *places.entry(part.topic).or_insert_with(|| {
                let id = self.topics[part.topic.0 as usize].meta.as_ref().map_or(Uuid::ZERO, |meta| meta.id);
                topics.push((part.topic, id));
                topic_data.push(TopicProduceData {
                    name: part.shared.topic.to_string(),
                    topic_id: id,
                    ..TopicProduceData::default()
                });
                topic_data.len() - 1
            });
            topic_data[place].partition_data.push(PartitionProduceData {
                index: part.shared.index,
                records: Some(sealed.bytes()),
                ..PartitionProduceData::default()
            });
        }
        let timeout_ms = i32::try_from(config.request_timeout.as_millis()).unwrap_or(i32::MAX);
        (
            ProduceRequest {
                transactional_id: config.transactional_id.clone(),
                acks: config.acks,
                timeout_ms,
                topic_data,
                ..ProduceRequest::default()
            },
            topics,
        )
    }

    /// Gives a batch its sequence, once. False if it does not go after all.
    fn stamp(&mut self, pick: Pick) -> bool {
        let part = &mut self.parts[pick.slot as usize];
        let Some(position) = part.position(pick.batch) else { return false };
        if part.written[position].settled {
            self.come_off_wire(pick);
            self.remove_written(pick.slot, position, &Fate::failed(Error::closed("producer"), false));
            return false;
        }
        // A change of epoch is safe when no other batch has a sequence of the old one.
        let drained = part.written.iter().all(|other| other.id == pick.batch || other.sequence.is_none());
        let batch = &mut part.written[position];
        let Body::Sealed(sealed) = &mut batch.body else {
            self.come_off_wire(pick);
            let error = Error::new(ErrorKind::Panic, "compressing a batch panicked");
            self.remove_written(pick.slot, position, &Fate::failed(error, false));
            return false;
        };
        if !self.identity.idempotent() {
            if !std::mem::replace(&mut batch.stamped, true) {
                sealed.stamp(NO_PRODUCER.id, NO_PRODUCER.epoch, -1);
            }
        } else if batch.sequence.is_none() {
            let Some((producer, sequence)) = part.sequences.take(&self.identity, sealed.count(), drained) else {
                // A drain began while it was compressed: it waits in front of the others.
                batch.state = State::Idle;
                part.on_wire -= 1;
                part.queued.extend(part.written.remove(position));
                part.queued.rotate_right(1);
                part.shared.backlog.fetch_add(1, Ordering::Relaxed);
                return false;
            };
            sealed.stamp(producer.id, producer.epoch, sequence);
            batch.sequence = Some(sequence);
        }
        true
    }

    /// The request was not written: its batches go with the next one.
    fn take_back(&mut self, picks: &[Pick]) {
        for pick in picks {
            self.come_off_wire(*pick);
        }
    }

    /// A batch's request is over.
    pub(super) fn come_off_wire(&mut self, pick: Pick) {
        let part = &mut self.parts[pick.slot as usize];
        if let Some(position) = part.position(pick.batch)
            && part.written[position].state == State::OnWire
        {
            part.written[position].state = State::Idle;
            part.on_wire -= 1;
        }
    }
}
