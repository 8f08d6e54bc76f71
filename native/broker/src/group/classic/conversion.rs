//! What the rest of `group` needs of a classic group: to make it one of KIP-848 and back, and to know which of its offsets grow old.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use tokio::time::Instant;

use super::{
    super::{
        Ageing,
        embedded::{self, Subscription},
    },
    Classic, JoinReply, Member, State, SyncReply,
};

impl Classic {
    pub fn generation(&self) -> i32 {
        self.generation
    }

    /// A group that has these members, in a generation.
    pub fn with_members(protocol_type: &str, generation: i32, members: impl Iterator<Item = Member>) -> Self {
        let members = members.zip(1..).map(|(member, order)| (member.id.clone(), Member { order, ..member }));
        let members: BTreeMap<String, Member> = members.collect();
        let instances = members.values().filter_map(|member| Some((member.instance_id.clone()?, member.id.clone())));
        let mut group = Self {
            state: State::Stable,
            generation,
            protocol_type: Some(protocol_type.into()),
            static_members: instances.collect(),
            joins: members.len() as u64,
            changed: true,
            ..Self::default()
        };
        group.members = members;
        group.protocol = group.select_protocol();
        group
    }

    /// Its members are to join again.
    pub fn start_over(&mut self, now: Instant) {
        self.rebalance(Duration::ZERO, now);
    }

    /// The group is none of this protocol, or not here, any more: whoever waits is told.
    pub fn dissolve(mut self, code: ErrorCode) {
        self.tell(Err(code));
        for (id, member) in self.members {
            if let Some(answer) = member.joining {
                drop(answer.send(JoinReply::refused(&id, code)));
            }
            if let Some(answer) = member.syncing {
                drop(answer.send(SyncReply::refused(code)));
            }
        }
    }

    /// From when on its offsets grow old, as Kafka's ClassicGroup says: while members are about, only those of topics that none
    /// of them reads; without, all from when the last one left; of a group that never had any, from their commit.
    pub fn ageing(&self) -> Ageing {
        match (self.state, self.empty_since) {
            (State::Empty, Some(since)) => Ageing::Since(since),
            (State::Empty, None) => Ageing::FromCommit,
            (State::Stable, _) if self.protocol_type() == embedded::TYPE => Ageing::FromCommit,
            _ => Ageing::Never,
        }
    }

    /// Whether a member reads the topic. Metadata that is not a subscription protects everything.
    pub fn subscribed(&self, topic: &str) -> bool {
        let reads = |metadata: &Bytes| {
            let subscription = Subscription::read(metadata);
            subscription.is_none_or(|subscription| subscription.topics.iter().any(|name| name == topic))
        };
        self.members.values().any(|member| member.protocols.iter().any(|(_, metadata)| reads(metadata)))
    }
}
