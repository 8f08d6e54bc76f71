//! Reading the groups of a partition of `__consumer_offsets`, when it comes to this node, and giving them up when it goes.
//! What a key had last counts, whatever was before; a record that cannot be read is passed over and told, as by Kafka.

use std::{collections::BTreeMap, io, time::Duration};

use dohle_protocol::messages::{GroupMetadataValue, OffsetCommitKey, OffsetCommitValue};

use super::{
    Classic, Clock, Committed, Group, Groups, Kind, Offsets,
    consumer::{self, Consumer},
    groups::{Shard, Standing},
    records::{self, Key, Written},
};
use crate::{
    coordinator::{Entry, Found, Origin},
    topics::Topics,
};

/// What groups depend on when they are loaded.
pub(crate) struct Loading {
    pub clock: Clock,
    /// How long a member of KIP-848 may be silent.
    pub session_timeout: Duration,
}

/// What records say so far.
#[derive(Default)]
struct Image {
    offsets: BTreeMap<String, Offsets>,
    groups: BTreeMap<String, Written>,
}

impl Groups {
    /// Loads the partitions that this node has begun to lead, and gives up those that it leads no more.
    pub fn coordinate(&self, with: &Loading) {
        for (index, shard) in (0..).zip(&self.shards) {
            let standing = shard.lock().standing;
            match (self.ledger.epoch(index), standing) {
                (Some(epoch), Standing::Here(loaded)) if loaded == epoch => {}
                (None, Standing::Elsewhere) => {}
                (None, _) => self.unload(index),
                (Some(epoch), _) => {
                    if let Err(error) = self.load(index, epoch, with) {
                        tracing::error!(%error, index, "the groups of a partition cannot be loaded");
                    }
                }
            }
        }
    }

    /// Gives all up.
    pub fn give_up(&self) {
        (0..self.shards.len() as i32).for_each(|index| self.unload(index));
    }

    /// Loads the groups of a partition in a leader epoch: meanwhile, and if that fails, nobody is served.
    pub fn load(&self, index: i32, epoch: i32, with: &Loading) -> io::Result<()> {
        self.unload(index);
        let shard = self.shards.get(index as usize).ok_or(io::ErrorKind::NotFound)?;
        shard.lock().standing = Standing::Loading;
        let mut image = Image::default();
        let read = self.ledger.read(index, |found| image.take(found, &with.clock));
        let mut shard = shard.lock();
        if read.is_err() {
            shard.standing = Standing::Elsewhere;
            return read;
        }
        *shard = Shard { groups: image.into_groups(self.ledger.topics(), with), standing: Standing::Here(epoch) };
        drop(shard);
        self.changed.notify_one();
        Ok(())
    }

    /// Gives the groups of a partition up: who waits is told to look for their coordinator.
    pub fn unload(&self, index: i32) {
        let Some(shard) = self.shards.get(index as usize) else { return };
        for (_, group) in std::mem::take(&mut *shard.lock()).groups {
            if let Kind::Classic(classic) = group.kind {
                classic.dissolve(dohle_protocol::ErrorCode::NOT_COORDINATOR);
            }
        }
    }
}

impl Image {
    fn take(&mut self, found: Found, clock: &Clock) {
        let (from, entry) = match found {
            Found::Record(from, entry) => (from, entry),
            Found::End { producer_id, commit } => {
                return self.offsets.values_mut().for_each(|offsets| offsets.end_transaction(producer_id, commit));
            }
        };
        if let Err(reason) = self.take_record(from, entry, clock) {
            tracing::error!(reason, "a record of groups cannot be read, and is passed over");
        }
    }

    fn take_record(&mut self, from: Origin, Entry { key, value }: Entry, clock: &Clock) -> Result<(), String> {
        match Key::read(&key)? {
            Key::Offset(named) => {
                let committed = value.map(|value| records::read::<OffsetCommitValue>(&value)).transpose()?;
                let committed = committed.map(|read| Committed::from_record(read, clock));
                let OffsetCommitKey { group, topic, partition } = named;
                let offsets = self.offsets.entry(group).or_default();
                match (committed, from) {
                    (Some(committed), Origin::Coordinator) => offsets.store(&topic, partition, committed),
                    (Some(committed), Origin::Transaction { producer_id, .. }) => {
                        offsets.store_pending(producer_id, &topic, partition, committed);
                    }
                    (None, _) => offsets.delete(&topic, partition),
                }
            }
            Key::Group(group, _) => {
                let written = self.groups.entry(group).or_default();
                match value {
                    Some(value) => drop(written.insert(key, value)),
                    None => drop(written.remove(&key)),
                }
            }
            Key::Other(_) => {}
        }
        Ok(())
    }

    fn into_groups(mut self, topics: &Topics, with: &Loading) -> BTreeMap<String, Group> {
        let mut groups = BTreeMap::new();
        for (id, written) in self.groups {
            let kind = kind_of(&id, &written, topics, with).unwrap_or_else(|reason| {
                tracing::error!(reason, group_id = id, "what is known of a group cannot be read");
                Kind::default()
            });
            let offsets = self.offsets.remove(&id).unwrap_or_default();
            groups.insert(id, Group { kind, offsets, written });
        }
        groups.extend(self.offsets.into_iter().map(|(id, offsets)| (id, Group { offsets, ..Group::default() })));
        groups.retain(|_, group| !group.forgettable());
        groups
    }
}

/// The group that its records say.
fn kind_of(id: &str, written: &Written, topics: &Topics, with: &Loading) -> Result<Kind, String> {
    if written.keys().any(consumer::is_consumer) {
        tracing::debug!(group_id = id, "loaded");
        return Ok(Kind::Consumer(Consumer::from_records(written, topics, with)?));
    }
    match written.iter().find(|(key, _)| records::is_classic(key)) {
        None => Ok(Kind::default()),
        Some((_, value)) => {
            tracing::debug!(group_id = id, "loaded");
            Ok(Kind::Classic(Classic::from_record(records::read::<GroupMetadataValue>(value)?, &with.clock)))
        }
    }
}

#[cfg(test)]
mod tests;
