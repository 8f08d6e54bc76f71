//! The fate of records: deliveries, memory given back, expiry, and what a failed batch means for its partition.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::Sender;
use crate::error::{Error, ErrorKind};
use crate::producer::batch::{Batch, Body, Runs, State};
use crate::producer::{Delivery, Persistence};

/// What became of records, in all but the position.
#[derive(Clone)]
pub(super) struct Fate {
    pub persistence: Persistence,
    pub error: Option<Arc<Error>>,
    /// Of the batch's first record.
    pub base_offset: i64,
    pub append_time: i64,
}

impl Fate {
    pub fn written(base_offset: i64, append_time: i64) -> Self {
        Self { persistence: Persistence::Persisted, error: None, base_offset, append_time }
    }

    pub fn failed(error: Error, maybe_persisted: bool) -> Self {
        let persistence = if maybe_persisted { Persistence::PossiblyPersisted } else { Persistence::NotPersisted };
        Self { persistence, error: Some(Arc::new(error)), base_offset: -1, append_time: -1 }
    }
}

impl Sender {
    /// Tells the records at positions `range` of a batch their fate.
    pub(super) fn tell(&self, runs: &Runs, range: std::ops::Range<u32>, partition: i32, fate: &Fate) {
        let error = fate.error.as_ref().map(|error| self.in_transaction(error));
        for (group, first_index, count, position) in runs.within(range) {
            let base_offset = if fate.base_offset < 0 { -1 } else { fate.base_offset + i64::from(position) };
            self.accumulator.deliver(Delivery {
                group,
                first_index,
                count,
                partition,
                base_offset,
                append_time: fate.append_time,
                persistence: fate.persistence,
                error: error.clone(),
            });
        }
    }

    /// Lets go of a batch and of the memory it is counted in, and tells its records their fate unless that was done.
    fn conclude(&mut self, batch: Batch, partition: i32, fate: &Fate) {
        let Batch { runs, reserved, serial, settled, body, .. } = batch;
        if let Body::Sealed(sealed) = body
            && let Some(buffer) = sealed.into_buffer()
        {
            self.accumulator.buffers.give(buffer);
        }
        self.accumulator.release(reserved);
        if !settled {
            self.tell(&runs, 0..runs.count(), partition, fate);
            self.forget(serial);
        }
    }

    /// One batch less of this serial has an open fate.
    pub(super) fn forget(&mut self, serial: u64) {
        if let Some(count) = self.unsettled.get_mut(&serial) {
            *count -= 1;
            if *count == 0 {
                self.unsettled.remove(&serial);
            }
        }
    }

    /// Removes a written batch that the wire does not have; tells its fate unless that was done.
    pub(super) fn remove_written(&mut self, slot: u32, position: usize, fate: &Fate) {
        let part = &mut self.parts[slot as usize];
        let partition = part.shared.index;
        if let Some(batch) = part.written.remove(position) {
            self.conclude(batch, partition, fate);
        }
    }

    /// Lets batches go whose delivery timeout has passed. One on the wire is told its fate too, but its bytes stay owned and
    /// counted until the request has ended (CVE-2026-35554), and its partition starts nothing new before.
    pub(super) fn expire(&mut self, slot: u32, now: Instant) {
        let timeout = self.accumulator.config.delivery_timeout;
        let expired = |batch: &Batch| now.duration_since(batch.created) >= timeout;
        let mut position = 0;
        while let Some(batch) = self.parts[slot as usize].written.get(position) {
            if batch.settled || !expired(batch) {
                position += 1;
                continue;
            }
            let fate = self.timed_out(slot, batch, batch.maybe_persisted || batch.state == State::OnWire);
            let part = &mut self.parts[slot as usize];
            part.sequences.draining |= self.identity.idempotent() && part.written[position].sequence.is_some();
            position += usize::from(!self.give_up(slot, position, &fate));
        }
        while self.parts[slot as usize].queued.front().is_some_and(expired) {
            self.fail_queued(slot, |sender, batch| sender.timed_out(slot, batch, false));
        }
        // An open batch this old means that its leader was away all the time.
        let part = &mut self.parts[slot as usize];
        if part.open_since.is_some_and(|since| now.duration_since(since) >= timeout) {
            let (next_id, unsettled) = (&mut self.next_id, &mut self.unsettled);
            part.pull_open(|open| super::adopt(next_id, unsettled, open));
            self.expire(slot, now);
        }
    }

    /// Tells a written batch its fate and removes it, unless the wire has it: then it stays, settled, until its request ends.
    /// True if it was removed.
    fn give_up(&mut self, slot: u32, position: usize, fate: &Fate) -> bool {
        let part = &mut self.parts[slot as usize];
        let batch = &mut part.written[position];
        if batch.state != State::OnWire || self.broken {
            self.remove_written(slot, position, fate);
            return true;
        }
        if !std::mem::replace(&mut batch.settled, true) {
            let (runs, serial, partition) = (std::mem::take(&mut batch.runs), batch.serial, part.shared.index);
            self.tell(&runs, 0..runs.count(), partition, fate);
            self.forget(serial);
        }
        false
    }

    fn timed_out(&self, slot: u32, batch: &Batch, maybe_persisted: bool) -> Fate {
        let part = &self.parts[slot as usize];
        let why = match &batch.last_error {
            Some(error) => format!("the last attempt failed: {error}"),
            None if part.leader < 0 => "it has no leader".to_owned(),
            None => match self.nodes.get(&part.leader).and_then(|node| node.last_error.as_ref()) {
                Some(error) => format!("its leader cannot be reached: {error}"),
                None if self.identity.idempotent() && !self.identity.ready() => match &self.identity_error {
                    Some(error) => format!("no producer id yet: {error}"),
                    None => "no producer id yet".to_owned(),
                },
                None => "no answer came".to_owned(),
            },
        };
        let error = Error::new(
            ErrorKind::DeliveryTimeout,
            format!(
                "Produce to {}: not acknowledged within {} ms ({why})",
                part.name(),
                self.accumulator.config.delivery_timeout.as_millis()
            ),
        );
        let error = match &batch.last_error {
            Some(cause) => error.with_source(cause.clone()),
            None => self.client.too_late(error),
        };
        Fate::failed(error, maybe_persisted)
    }

    fn fail_queued(&mut self, slot: u32, fate: impl FnOnce(&Self, &Batch) -> Fate) {
        let part = &mut self.parts[slot as usize];
        let Some(batch) = part.queued.pop_front() else { return };
        part.shared.backlog.fetch_sub(1, Ordering::Relaxed);
        let partition = part.shared.index;
        let fate = fate(self, &batch);
        self.conclude(batch, partition, &fate);
    }

    /// Fails everything a partition has; nothing can be sent any more.
    pub(super) fn fail_part(&mut self, slot: u32) {
        self.fail_part_with(slot, &self.accumulator.why_closed());
    }

    pub(super) fn fail_part_with(&mut self, slot: u32, error: &Error) {
        let (next_id, unsettled) = (&mut self.next_id, &mut self.unsettled);
        self.parts[slot as usize].pull_open(|open| super::adopt(next_id, unsettled, open));
        let mut position = 0;
        while let Some(batch) = self.parts[slot as usize].written.get(position) {
            let (sequenced, on_wire) = (batch.sequence.is_some(), batch.state == State::OnWire);
            let fate = Fate::failed(error.clone(), batch.maybe_persisted || on_wire);
            self.parts[slot as usize].sequences.draining |= sequenced;
            position += usize::from(!self.give_up(slot, position, &fate));
        }
        while !self.parts[slot as usize].queued.is_empty() {
            self.fail_queued(slot, |_, _| Fate::failed(error.clone(), false));
        }
    }

    /// Fails everything that waits now, and goes on: what comes later is tried anew.
    pub(super) fn fail_pending(&mut self, error: &Error) {
        for slot in 0..self.parts.len() as u32 {
            self.fail_part_with(slot, error);
        }
        for index in 0..self.topics.len() {
            self.fail_room(index, error);
            self.watch_room(index);
        }
    }

    /// Ends a drain when everything written has met its fate: the epoch is bumped for this partition, and batches that were
    /// refused for their sequence are written again from 0.
    pub(super) fn end_drain(&mut self, slot: u32) {
        if self.transactions.is_some() {
            return;
        }
        let part = &mut self.parts[slot as usize];
        if !part.sequences.draining || !part.drained() || !part.sequences.restart(&mut self.identity) {
            return;
        }
        for batch in &mut part.written {
            let stamp = part.sequences.take(&self.identity, batch.count(), false);
            if let (Body::Sealed(sealed), Some((producer, sequence))) = (&mut batch.body, stamp) {
                sealed.stamp(producer.id, producer.epoch, sequence);
                batch.sequence = Some(sequence);
                batch.state = State::Idle;
            }
        }
    }
}
