//! What is written of groups to `__consumer_offsets`: a group's records follow from what it is, and what differs from those that the
//! log has is appended before anyone hears of it. Offsets are appended as they are committed.
//! Driven by `groups`, under the lock of the group's partition.

use dohle_protocol::ErrorCode;

use super::{Group, Groups, Kind, groups::Shard, records, records::Written};
use crate::coordinator::{Entry, Origin};

impl Group {
    /// What is to be written for the log to say what is.
    pub(super) fn unwritten(&self, group_id: &str, now_ms: i64) -> Result<Vec<Entry>, ErrorCode> {
        if self.forgettable() {
            return Ok(self.tombstones());
        }
        if self.settled() {
            return Ok(Vec::new());
        }
        let now = self.kind.records(group_id, &self.written, now_ms)?;
        let mut entries = gone(&self.written, &now);
        let changed = now.into_iter().filter(|(key, value)| self.written.get(key) != Some(value));
        entries.extend(changed.map(|(key, value)| Entry { key, value: Some(value) }));
        Ok(entries)
    }

    /// What says that it is gone.
    pub(super) fn tombstones(&self) -> Vec<Entry> {
        gone(&self.written, &Written::new())
    }

    /// It was written.
    pub(super) fn settle(&mut self, entries: Vec<Entry>) {
        for Entry { key, value } in entries {
            match value {
                Some(value) => drop(self.written.insert(key, value)),
                None => drop(self.written.remove(&key)),
            }
        }
        self.kind.settle();
    }
}

/// What is not there any more. Who reads it must meet what belongs to a member before the member, and this before the group: the
/// types of keys say that backwards.
fn gone(before: &Written, now: &Written) -> Vec<Entry> {
    let gone = before.keys().rev().filter(|key| !now.contains_key(*key));
    gone.map(|key| Entry { key: key.clone(), value: None }).collect()
}

impl Group {
    fn settled(&self) -> bool {
        match &self.kind {
            Kind::Classic(classic) => !classic.changed && self.written.keys().all(records::is_classic),
            Kind::Consumer(consumer) => !consumer.changed && !self.written.keys().any(records::is_classic),
        }
    }
}

impl Kind {
    fn settle(&mut self) {
        match self {
            Self::Classic(classic) => classic.changed = false,
            Self::Consumer(consumer) => consumer.changed = false,
        }
    }

    fn records(&self, group_id: &str, written: &Written, now_ms: i64) -> Result<Written, ErrorCode> {
        match self {
            Self::Classic(classic) => classic.records(group_id, written, now_ms),
            Self::Consumer(consumer) => consumer.records(group_id),
        }
    }
}

impl Groups {
    /// Writes what has changed of a group, tells those who waited for that, and forgets the group if nothing is left of it.
    pub(super) fn settle(&self, index: i32, shard: &mut Shard, group_id: &str) -> Result<(), ErrorCode> {
        let Some(group) = shard.groups.get_mut(group_id) else { return Ok(()) };
        let done = group.unwritten(group_id, self.ledger.now_ms()).and_then(|entries| {
            self.write(index, &entries, Origin::Coordinator)?;
            group.settle(entries);
            Ok(())
        });
        if let Kind::Classic(classic) = &mut group.kind {
            classic.tell(done);
        }
        if done.is_ok() && group.forgettable() {
            shard.groups.remove(group_id);
        }
        done
    }

    /// Appends records; a failure is told as Kafka's coordinator tells it.
    pub(super) fn write(&self, index: i32, entries: &[Entry], from: Origin) -> Result<(), ErrorCode> {
        self.ledger.append(index, entries, from).map_err(|code| match code {
            ErrorCode::KAFKA_STORAGE_ERROR | ErrorCode::NOT_LEADER_OR_FOLLOWER => ErrorCode::NOT_COORDINATOR,
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::NOT_ENOUGH_REPLICAS | ErrorCode::REQUEST_TIMED_OUT => {
                ErrorCode::COORDINATOR_NOT_AVAILABLE
            }
            code => code,
        })
    }
}
