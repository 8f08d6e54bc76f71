//! The records of `__transaction_state` (Kafka's TransactionLog): a transactional id with its producer, and where its transaction
//! stands. Only their form: `journal` writes them, `loading` reads them.

use std::{collections::BTreeMap, time::Duration};

use dohle_protocol::{
    Decoder, ErrorCode, Message,
    messages::{TransactionLogKey, TransactionLogValue, transaction_log_value::PartitionsSchema},
};

use super::state::{Ending, Producer, Started, State, Transaction};
use crate::{
    coordinator::{Clock, Entry, codec, internal},
    topics::Topics,
};

/// The type of the keys: there is one.
const KEY: i16 = 0;
/// Kafka's numbers of states that are not ours: a decided end, of which not all markers are written.
const PREPARE_COMMIT: i8 = 2;
const PREPARE_ABORT: i8 = 3;
/// From this level of `transaction.version` on a value is of version 1.
const V2: i16 = 2;

/// What is known of a transactional id. `level`: that of the feature `transaction.version`.
pub(super) fn entry(id: &str, transaction: &Transaction, level: i16) -> Result<Entry, ErrorCode> {
    let version = i16::from(level >= 1);
    let mut known = transaction.record();
    if version == 0 {
        (known.previous_producer_id, known.client_transaction_version) = (-1, 0);
    }
    Ok(Entry { value: Some(codec::value(version, &known)?), ..gone(id)? })
}

/// A transactional id that is forgotten.
pub(super) fn gone(id: &str) -> Result<Entry, ErrorCode> {
    let key = codec::key(KEY, &TransactionLogKey { transactional_id: id.into() })?;
    Ok(Entry { key, value: None })
}

/// The transactional id of a record, and what is known of it.
pub(super) fn read(entry: &Entry) -> Result<(String, Option<TransactionLogValue>), String> {
    let mut decoder = Decoder::new(entry.key.clone());
    let kind = decoder.i16("type").map_err(|error| error.to_string())?;
    if kind != KEY {
        return Err(format!("a key of type {kind}"));
    }
    let key = TransactionLogKey::decode(&mut decoder, 0).map_err(|error| error.to_string())?;
    let value = entry.value.as_ref().map(codec::read::<TransactionLogValue>).transpose()?;
    Ok((key.transactional_id, value))
}

impl Transaction {
    fn record(&self) -> TransactionLogValue {
        let (status, epoch, version) = match &self.ending {
            None => (self.state.number(), self.producer.epoch, 0),
            Some(Ending { commit, epoch, bump, .. }) => {
                (if *commit { PREPARE_COMMIT } else { PREPARE_ABORT }, *epoch, if *bump { V2 } else { 0 })
            }
        };
        let mut topics = BTreeMap::<&str, Vec<i32>>::new();
        for (topic, index) in self.partitions.keys() {
            topics.entry(topic).or_default().push(*index);
        }
        if !self.offsets.is_empty() {
            topics.insert(internal::OFFSETS, self.offsets.iter().copied().collect());
        }
        let schema = |(topic, partition_ids): (&str, Vec<i32>)| PartitionsSchema {
            topic: topic.into(),
            partition_ids,
            ..Default::default()
        };
        TransactionLogValue {
            producer_id: self.producer.id,
            previous_producer_id: self.previous.map_or(-1, |previous| previous.id),
            producer_epoch: epoch,
            transaction_timeout_ms: self.timeout_ms(),
            transaction_status: status,
            transaction_partitions: (self.state != State::Empty).then(|| topics.into_iter().map(schema).collect()),
            transaction_last_update_timestamp_ms: self.touched_ms,
            transaction_start_timestamp_ms: self.started_ms().unwrap_or(-1),
            client_transaction_version: version,
            ..Default::default()
        }
    }

    /// What a record says; nothing if it says that the id is gone.
    pub(super) fn from_record(read: &TransactionLogValue, topics: &Topics, clock: &Clock) -> Option<Self> {
        let bump = read.client_transaction_version >= V2;
        let end = |commit| Ending::new(commit, read.producer_epoch, bump, clock.now);
        let (state, ending) = match read.transaction_status {
            PREPARE_COMMIT => (State::Ongoing, Some(end(true))),
            PREPARE_ABORT => (State::Ongoing, Some(end(false))),
            number => (State::of_number(number)?, None),
        };
        let before = i16::from(ending.is_some() && bump);
        let producer = Producer { id: read.producer_id, epoch: (read.producer_epoch - before).max(0) };
        let previous = (read.previous_producer_id >= 0 && producer.epoch > 0)
            .then(|| Producer { id: read.previous_producer_id, epoch: producer.epoch - 1 });
        let start_ms = read.transaction_start_timestamp_ms;
        let started = Started { at: clock.at(start_ms), wall_clock_ms: start_ms };
        let mut transaction = Self {
            producer,
            previous,
            timeout: Duration::from_millis(u64::try_from(read.transaction_timeout_ms).unwrap_or(0)),
            state,
            started: (state == State::Ongoing).then_some(started),
            ending,
            touched_ms: read.transaction_last_update_timestamp_ms,
            ..Self::new(producer.id, read.transaction_timeout_ms, 0)
        };
        for schema in read.transaction_partitions.iter().flatten() {
            if schema.topic == internal::OFFSETS {
                transaction.offsets.extend(&schema.partition_ids);
                continue;
            }
            // What was deleted since then needs no marker.
            let Some(topic) = topics.named(&schema.topic) else { continue };
            let partitions = schema.partition_ids.iter().filter_map(|index| Some((*index, topic.partition(*index)?)));
            transaction.partitions.extend(partitions.map(|(index, of)| ((topic.name.clone(), index), of)));
        }
        Some(transaction)
    }
}
