//! Committing offsets and taking them away, alone, with a topic, or with their group: what is told is in the log before.
//! Driven by the group APIs, and by the transaction coordinator when a transaction ends.

use dohle_protocol::ErrorCode;

use super::{Commit, Group, Groups, Offset, groups::Shard, records};
use crate::{
    coordinator::{Entry, Origin},
    log::Marker,
};

impl Groups {
    /// Commits the offsets that `choose` names, if this may be. A group that does not exist is made for a caller outside any
    /// generation (an admin client, a consumer without group membership).
    pub fn commit(
        &self,
        group_id: &str,
        commit: &Commit<'_>,
        choose: impl FnOnce() -> Vec<Offset>,
    ) -> Result<(), ErrorCode> {
        let (index, mut shard) = self.open(group_id)?;
        if !shard.groups.contains_key(group_id) && commit.who.generation >= 0 {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let group = shard.groups.entry(group_id.into()).or_default();
        let done = group.may_commit(commit).and_then(|()| {
            let offsets = choose();
            let now_ms = self.ledger.now_ms();
            let entries = offsets.iter().map(|offset| records::offset(group_id, offset, now_ms));
            let written = self.write(index, &entries.collect::<Result<Vec<Entry>, ErrorCode>>()?, commit.from);
            written.map(|()| group.offsets.commit(offsets, commit.from))
        });
        if group.forgettable() && group.written.is_empty() {
            shard.groups.remove(group_id);
        }
        done
    }

    /// A transaction that committed offsets of groups of this partition ended.
    pub fn end_transaction(&self, index: i32, marker: &Marker) -> Result<(), ErrorCode> {
        let mut shard = self.shards.get(index as usize).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?.lock();
        self.check(index, &shard)?;
        self.ledger.end(index, marker)?;
        let Shard { groups, .. } = &mut *shard;
        groups.values_mut().for_each(|group| group.offsets.end_transaction(marker.producer_id, marker.commit));
        groups.retain(|_, group| !(group.forgettable() && group.written.is_empty()));
        Ok(())
    }

    /// Deletes a group without members.
    pub fn delete(&self, group_id: &str) -> Result<(), ErrorCode> {
        let (index, mut shard) = self.open(group_id)?;
        match shard.groups.get_mut(group_id) {
            None => Err(ErrorCode::GROUP_ID_NOT_FOUND),
            Some(group) if group.has_members() => Err(ErrorCode::NON_EMPTY_GROUP),
            Some(group) => {
                let offsets: Vec<(String, i32)> = group.offsets.keys().collect();
                self.remove_group(index, (group_id, group), &offsets)?;
                shard.groups.remove(group_id);
                Ok(())
            }
        }
    }

    /// Deletes the offsets of a group that `choose` names.
    pub fn delete_offsets<T>(
        &self,
        group_id: &str,
        choose: impl FnOnce(Option<&Group>) -> Result<(T, Vec<(String, i32)>), ErrorCode>,
    ) -> Result<T, ErrorCode> {
        let (index, mut shard) = self.open(group_id)?;
        let (done, offsets) = choose(shard.groups.get(group_id))?;
        if let Some(group) = shard.groups.get_mut(group_id) {
            self.remove_offsets(index, (group_id, group), &offsets)?;
        }
        Ok(done)
    }

    /// Forgets the offsets of a deleted topic.
    pub fn forget_topic(&self, topic: &str) {
        for (index, shard) in (0..).zip(&self.shards) {
            for (id, group) in &mut shard.lock().groups {
                let offsets: Vec<(String, i32)> = group.offsets.keys().filter(|(name, _)| name == topic).collect();
                if let Err(code) = self.remove_offsets(index, (id, group), &offsets) {
                    tracing::error!(%code, group_id = id, topic, "that offsets of a deleted topic are gone is not written");
                }
                group.offsets.forget_topic(topic);
            }
        }
    }

    /// Writes that a group is gone, with these offsets.
    pub(super) fn remove_group(
        &self,
        index: i32,
        (group_id, group): (&str, &mut Group),
        offsets: &[(String, i32)],
    ) -> Result<(), ErrorCode> {
        self.remove_offsets(index, (group_id, group), offsets)?;
        let entries = group.tombstones();
        self.write(index, &entries, Origin::Coordinator)
    }

    /// Forgets offsets of a group.
    pub(super) fn remove_offsets(
        &self,
        index: i32,
        (group_id, group): (&str, &mut Group),
        offsets: &[(String, i32)],
    ) -> Result<(), ErrorCode> {
        let entries = offsets.iter().map(|(topic, partition)| records::no_offset(group_id, topic, *partition));
        self.write(index, &entries.collect::<Result<Vec<Entry>, ErrorCode>>()?, Origin::Coordinator)?;
        offsets.iter().for_each(|(topic, partition)| group.offsets.delete(topic, *partition));
        Ok(())
    }
}
