//! What the sender learns of topics: partitions and leaders from metadata, and the waiting rooms until then.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dohle_protocol::{ErrorClass, ErrorCode};
use tokio::time::Instant;

use super::Sender;
use super::part::Part;
use super::settle::Fate;
use crate::error::{Error, ErrorKind};
use crate::metadata::TopicMeta;
use crate::producer::topic::{Partition, Topic};
use crate::producer::waiting_room::Chunk;
use crate::statistics::Histogram;

pub(super) struct TopicState {
    pub topic: Arc<Topic>,
    /// What the partitions were last taken from.
    pub meta: Option<Arc<TopicMeta>>,
    /// When the oldest record in the waiting room has been there for too long.
    pub room_due: Option<Instant>,
    /// Bytes and records of the batches written.
    pub batch_bytes: Histogram,
    pub batch_records: Histogram,
}

impl Sender {
    /// A topic is new, or its waiting room has a first record.
    pub(super) fn meet_topic(&mut self, topic: &Arc<Topic>) {
        let index = topic.id.0 as usize;
        while self.topics.len() <= index {
            // Topics are numbered in the order of their news, but for two threads that make one each at the same time.
            let Some(topic) = self.accumulator.topics().nth(self.topics.len()).cloned() else { return };
            self.client.metadata().track([&*topic.name], self.accumulator.config.allow_auto_create_topics);
            let (batch_bytes, batch_records) = <(Histogram, Histogram)>::default();
            self.topics.push(TopicState { topic, meta: None, room_due: None, batch_bytes, batch_records });
        }
        // Also for a topic that is known: what was refused before these records came is tried anew, and told to them.
        if !self.identity.ready() {
            self.ask_identity();
        }
        self.learn(index, false);
        self.want_metadata_if_missing();
    }

    pub(super) fn learn_all(&mut self) {
        for index in 0..self.topics.len() {
            self.learn(index, true);
        }
        self.want_metadata_if_missing();
    }

    /// Looks a topic up in what is known of the cluster. A refusal counts when it is `fresh`: one from before the records came may
    /// be over, and is asked about again.
    fn learn(&mut self, index: usize, fresh: bool) {
        let state = &mut self.topics[index];
        let topic = state.topic.clone();
        let snapshot = self.client.metadata().snapshot();
        if let Some(meta) = snapshot.topic(&topic.name).cloned() {
            if state.meta.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &meta)) {
                state.meta = Some(meta.clone());
                self.take_partitions(&topic, &meta);
            }
            self.open_room(index, meta.partitions.len() as u32);
        } else if let Some(code) = snapshot.topic_error(&topic.name)
            && fresh
            && !worth_waiting(code)
        {
            self.fail_room(index, &Error::broker(code, format_args!("metadata of {}", topic.name)));
        }
        self.watch_room(index);
    }

    /// Takes over partitions and leaders.
    fn take_partitions(&mut self, topic: &Arc<Topic>, meta: &TopicMeta) {
        for index in topic.partitions.len()..meta.partitions.len() as u32 {
            let slot = self.parts.len() as u32;
            let (limit, closed) = (self.accumulator.config.batch_size, self.accumulator.is_closed());
            let partition = Arc::new(Partition::new(topic.name.clone(), index as i32, slot, limit, closed));
            self.parts.push(Part::new(partition.clone(), topic.id, self.fresh_backoff()));
            topic.partitions.push(partition);
        }
        for partition in topic.partitions.iter() {
            let (leader, epoch) = meta
                .partitions
                .get(partition.index as usize)
                .map_or((-1, -1), |known| (known.leader, known.leader_epoch));
            partition.led.store(leader >= 0, Ordering::Relaxed);
            let part = &mut self.parts[partition.slot as usize];
            if (part.leader, part.leader_epoch) != (leader, epoch) {
                (part.leader, part.leader_epoch) = (leader, epoch);
                (part.in_ready, part.in_lazy) = (false, false);
                part.proven = false;
                // The new leader has refused nothing yet.
                part.retry_at = None;
                self.visit(partition.slot);
            }
        }
    }

    /// Moves records from the waiting room to their partitions, in call order, and opens the topic for everybody.
    fn open_room(&mut self, index: usize, count: u32) {
        let topic = self.topics[index].topic.clone();
        let accumulator = self.accumulator.clone();
        let partitioner = accumulator.config.partitioner;
        let mut released = 0;
        {
            let mut room = topic.room.lock();
            for chunk in room.take() {
                let mut rest = chunk.rest();
                let created = chunk.created;
                released += chunk.reserved;
                chunk.for_each(|asked, record, place| {
                    if count == 0 || asked >= count as i32 {
                        return rest.keep(asked, record, place, &accumulator.memory);
                    }
                    let choice = (asked < 0).then(|| partitioner.choose(record.key, count, &topic.memo, &*topic));
                    let partition = choice.map_or(asked as u32, |choice| choice.partition);
                    let Some(partition) = topic.partitions.get(partition) else {
                        unreachable!("partitions are added before they are counted")
                    };
                    accumulator.move_in(partition, record, place, created);
                    if let Some(choice) = choice.filter(|choice| choice.sticky) {
                        let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len) + 20;
                        partitioner.wrote(choice.partition, bytes, count, &topic.memo, &*topic);
                    }
                });
                room.put_back(rest);
            }
            room.listed = !room.is_empty();
            topic.count.store(count, Ordering::Release);
        }
        accumulator.release(released);
        if released > 0 {
            self.accumulator.wake.notify_one(); // the batches these records went to are news
        }
    }

    pub(super) fn watch_room(&mut self, index: usize) {
        let oldest = self.topics[index].topic.room.lock().oldest();
        self.topics[index].room_due = oldest.map(|oldest| oldest + self.accumulator.config.max_block);
        if oldest.is_some() {
            self.want_metadata();
        }
    }

    pub(super) fn rooms_due(&self) -> Option<Instant> {
        self.topics.iter().filter_map(|topic| topic.room_due).min()
    }

    pub(super) fn expire_rooms(&mut self, now: Instant) {
        for index in 0..self.topics.len() {
            if self.topics[index].room_due.is_none_or(|due| due > now) {
                continue;
            }
            let max_block = self.accumulator.config.max_block;
            let expired = {
                let mut room = self.topics[index].topic.room.lock();
                let expired = room.expired(now, max_block);
                room.listed = !room.is_empty();
                expired
            };
            if !expired.is_empty() {
                let error = self.why_unknown(index);
                self.fail_chunks(expired, &error);
            }
            self.watch_room(index);
        }
    }

    /// Why a topic, or a partition of it, is not known after `max.block.ms`.
    fn why_unknown(&self, index: usize) -> Error {
        let state = &self.topics[index];
        let (name, waited) = (&state.topic.name, self.accumulator.config.max_block.as_millis());
        let unknown = ErrorKind::Broker(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        if let Some(meta) = &state.meta {
            let count = meta.partitions.len();
            return Error::new(
                unknown,
                format!(
                    "topic {name} has {count} partitions, numbered from 0; the one asked for did not appear within {waited} ms"
                ),
            );
        }
        match (self.client.metadata().topic_error(name), self.client.metadata().last_error()) {
            (Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION), _) => {
                let hint = if self.accumulator.config.allow_auto_create_topics {
                    "it does not exist and the broker did not create it"
                } else {
                    "it does not exist, and allow.auto.create.topics is false"
                };
                Error::new(unknown, format!("topic {name} is still unknown after {waited} ms: {hint}"))
            }
            (Some(code), _) => Error::broker(code, format_args!("metadata of {name} after {waited} ms")),
            (None, Some(cause)) => Error::new(
                ErrorKind::MaxBlockTimeout,
                format!("topic {name} could not be looked up within {waited} ms: {cause}"),
            )
            .with_source(cause),
            (None, None) => {
                let servers = self.client.options().bootstrap_servers.join(", ");
                let text =
                    format!("topic {name} could not be looked up within {waited} ms: no answer yet from {servers}");
                self.client.too_late(Error::new(ErrorKind::MaxBlockTimeout, text))
            }
        }
    }

    pub(super) fn fail_room(&mut self, index: usize, error: &Error) {
        let chunks = {
            let mut room = self.topics[index].topic.room.lock();
            room.listed = false;
            room.take()
        };
        self.fail_chunks(chunks, error);
    }

    pub(super) fn fail_rooms(&mut self) {
        let error = self.accumulator.why_closed();
        for topic in self.accumulator.clone().topics() {
            let chunks = {
                let mut room = topic.room.lock();
                room.listed = false;
                room.take()
            };
            self.fail_chunks(chunks, &error);
        }
    }

    fn fail_chunks(&self, chunks: impl IntoIterator<Item = Chunk>, error: &Error) {
        let fate = Fate::failed(error.clone(), false);
        for chunk in chunks {
            self.tell(&chunk.runs, 0..chunk.runs.count(), -1, &fate);
            self.accumulator.release(chunk.reserved);
        }
    }

    pub(super) fn room_marks(&self) -> Vec<(usize, u64)> {
        let marks = self.topics.iter().enumerate().filter_map(|(index, state)| {
            let room = state.topic.room.lock();
            (!room.is_empty()).then(|| (index, room.mark()))
        });
        marks.collect()
    }

    /// Something waits for metadata: it is asked for again after a pause.
    pub(super) fn want_metadata(&mut self) {
        if self.metadata_due.is_none() {
            self.metadata_due = Some(Instant::now() + self.metadata_backoff.next(&*self.accumulator.world));
        }
    }

    pub(super) fn want_metadata_if_missing(&mut self) {
        let waits = self.topics.iter().any(|topic| topic.room_due.is_some())
            || self.parts.iter().any(|part| part.leader < 0 && part.busy());
        if waits {
            self.want_metadata();
        } else {
            self.metadata_due = None;
            self.metadata_backoff.reset();
        }
    }

    pub(super) fn untrack(&mut self) {
        let topics = std::mem::take(&mut self.topics);
        self.client.metadata().untrack(topics.iter().map(|state| &*state.topic.name));
    }
}

/// Whether an error of a topic may pass: it was just created, or is about to be.
fn worth_waiting(code: ErrorCode) -> bool {
    matches!(code.class(), ErrorClass::Retriable | ErrorClass::RefreshRetriable)
}
