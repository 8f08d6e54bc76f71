//! A consumer whose offsets are committed by transactions: what is to be committed, and the way back after an abort.
//! Not the transaction: that is the producer's. Not the commit of a group's member either (commit.rs).
//! Driven by the language, around `Producer::commit_offsets`.

use dohle_protocol::ErrorCode;

use crate::{Error, Result};

use super::commit::Offsets;
use super::handover::{Position, TopicPartition};
use super::{CommittedOffset, Consumer, GroupMetadata};

/// A record up to which its partition is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedRecord {
    /// Its partition.
    pub partition: TopicPartition,
    /// Its offset; one more is committed.
    pub offset: i64,
    /// Its leader epoch, or −1.
    pub leader_epoch: i32,
    /// [`Chunk::epoch`] of the chunk that it came in.
    ///
    /// [`Chunk::epoch`]: super::Chunk::epoch
    pub chunk_epoch: u32,
}

/// Offsets to be committed by a transaction, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionOffsets {
    /// The offsets.
    pub offsets: Vec<(TopicPartition, CommittedOffset)>,
    /// As whom.
    pub group: GroupMetadata,
    /// Since which epoch of it the consumer has each partition.
    pub owned: Vec<u32>,
}

impl Consumer {
    /// What a transaction has to commit: after these records or (none) what is finished everywhere and not committed; and as
    /// whom (KIP-447).
    ///
    /// # Errors
    /// No `group.id`; offsets are committed automatically; `ILLEGAL_GENERATION`: a partition went to another member, which
    /// reads its records again, so that nothing made of them may be committed.
    pub fn transaction_offsets(&self, after: Option<&[FinishedRecord]>) -> Result<TransactionOffsets> {
        self.check_open()?;
        let shared = self.shared();
        shared.group_id()?;
        if shared.options.enable_auto_commit {
            return Err(Error::invalid_config(
                "enable.auto.commit: must be false where a transaction commits the offsets, or they are committed without it",
            ));
        }
        // Before the offsets: what was collected as a member of one generation is never sent as one of the next.
        let group = self.group_metadata()?;
        let (offsets, owned) = shared.with(|s| {
            let offsets: Offsets = match after {
                None => match s.gone.keys().min() {
                    Some(tp) => return Err(went(tp)),
                    None => s.uncommitted(None).into_iter().map(|(tp, at)| (tp, at.into())).collect(),
                },
                Some(records) => {
                    let of = |record: &FinishedRecord| {
                        let tp = &record.partition;
                        let owned = s.get(tp).is_some_and(|partition| record.chunk_epoch >= partition.owned);
                        let at = Position { offset: record.offset + 1, leader_epoch: record.leader_epoch };
                        if owned { Ok((tp.clone(), at.into())) } else { Err(went(tp)) }
                    };
                    records.iter().map(of).collect::<Result<_>>()?
                }
            };
            let owned = offsets.iter().filter_map(|(tp, _)| Some(s.get(tp)?.owned)).collect();
            Ok((offsets, owned))
        })?;
        Ok(TransactionOffsets { offsets, group, owned })
    }

    /// As whom to commit offsets that the coordinator has refused to who we were: none when we are not in the group any
    /// more, or a partition was lost meanwhile, be it ours again: whoever had it may have gone on.
    pub(crate) async fn renewed(
        &self,
        given: &TransactionOffsets,
        refused: &GroupMetadata,
        in_vain: impl Fn() -> bool,
    ) -> Option<GroupMetadata> {
        let shared = self.shared();
        let mut backoff = shared.backoff();
        loop {
            // Before the look at the partitions: who we are now has them still.
            let identity = shared.group.identity();
            let ours = shared.with(|s| {
                let mut pairs = given.offsets.iter().zip(&given.owned);
                given.owned.len() == given.offsets.len()
                    && pairs.all(|((tp, _), since)| s.get(tp).is_some_and(|partition| partition.owned == *since))
            });
            if !ours || !identity.is_member() || identity.member_id != refused.member_id || self.check_open().is_err() {
                return None;
            }
            if identity.generation != refused.generation {
                return Some(GroupMetadata { generation: identity.generation, ..refused.clone() });
            }
            // By KIP-848 the next heartbeat brings the epoch that is meant, or the end of the membership. A classic group
            // goes on to no generation without its members.
            if !identity.modern || in_vain() {
                return None;
            }
            tokio::time::sleep(backoff.next(&**shared.client.world())).await;
        }
    }

    /// A transaction has committed these offsets.
    pub fn offsets_committed(&self, offsets: &[(TopicPartition, CommittedOffset)]) {
        self.shared().with(|s| {
            for (tp, at) in offsets {
                s.committed(tp, Position { offset: at.offset, leader_epoch: at.leader_epoch });
                s.gone.retain(|gone, given| gone != tp || *given > at.offset);
            }
        });
    }

    /// Goes back to what the group has committed, asked of its coordinator, which knows how the last transaction ended; where
    /// it has nothing, to where reading began. When this has returned, nothing from before is delivered.
    ///
    /// # Errors
    /// No `group.id`.
    pub fn rewind(&self) -> Result<()> {
        self.check_open()?;
        self.shared().group_id()?;
        self.shared().change(|s| s.rewind());
        Ok(())
    }
}

fn went(tp: &TopicPartition) -> Error {
    let doing = format!("{tp} went to another member while a transaction had records of it that it had not committed");
    Error::broker(ErrorCode::ILLEGAL_GENERATION, doing)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::super::StartAt;
    use super::super::handover::Chunk;
    use super::super::subscription::tests::{chunk, partition};
    use super::super::subscription::{FetchState, Subscription};
    use super::*;

    /// A partition from offset 10 on, of which the loop was given `stepped` of three records.
    fn given(stepped: u32) -> (Subscription, Chunk) {
        let mut subscription = Subscription::default();
        subscription.add(partition(), StartAt::Offset(10), false);
        let epoch = subscription.get(&partition()).unwrap().epoch;
        let chunk = chunk(epoch, &[10, 11, 12], 13);
        subscription.get_mut(&partition()).unwrap().advance(chunk.next, false);
        assert!(subscription.hand_over(&chunk));
        chunk.control.stepped.store(stepped, Ordering::Relaxed);
        (subscription, chunk)
    }

    #[test]
    fn rewound_nothing_that_was_held_is_yielded_or_counts() {
        let (mut subscription, chunk) = given(2);
        subscription.rewind();
        assert_eq!(chunk.control.revoked.load(Ordering::Relaxed), 1);
        chunk.control.finished.store(2, Ordering::Relaxed);
        assert_eq!(subscription.uncommitted(None), []);
        let partition = subscription.get(&super::tests::partition()).unwrap();
        assert_eq!((partition.state, partition.origin), (FetchState::Committed, Some(Position::at(10))));
    }

    #[test]
    fn a_partition_that_went_with_records_given_and_not_committed_is_remembered_until_the_way_back() {
        for (stepped, committed, remembered) in
            [(0, None, None), (2, None, Some(12)), (2, Some(11), Some(12)), (2, Some(12), None)]
        {
            let (mut subscription, _) = given(stepped);
            if let Some(offset) = committed {
                subscription.committed(&partition(), Position::at(offset));
            }
            subscription.remove(&partition());
            assert_eq!(subscription.gone.get(&partition()).copied(), remembered, "{stepped} {committed:?}");
            subscription.rewind();
            assert!(subscription.gone.is_empty());
        }
    }
}
