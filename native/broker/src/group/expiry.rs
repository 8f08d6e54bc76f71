//! Which committed offsets of which groups are kept no longer (`offsets.retention.minutes`). Driven by the housekeeping task.

use std::time::Duration;

use tokio::time::Instant;

use super::{Ageing, Group, Groups, Kind, groups::Shard};

impl Groups {
    /// Forgets offsets that are kept no longer, and groups that have nothing else; answers when there is next one.
    pub fn expire_offsets(&self, now: Instant, keep: Duration) -> Option<Instant> {
        let shards = (0..).zip(&self.shards);
        shards.filter_map(|(index, shard)| self.expire_in(index, &mut shard.lock(), now, keep)).min()
    }

    fn expire_in(&self, index: i32, shard: &mut Shard, now: Instant, keep: Duration) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        shard.groups.retain(|id, group| {
            let (expired, due) = group.expired_offsets(now, keep);
            next = next.into_iter().chain(due).min();
            let goes = !expired.is_empty() && !group.has_members() && group.offsets.has_only(&expired);
            let written = match () {
                () if expired.is_empty() => Ok(()),
                () if goes => self.remove_group(index, (id, group), &expired),
                () => self.remove_offsets(index, (id, group), &expired),
            };
            match written {
                Ok(()) if goes => tracing::debug!(group_id = id, "its last offset has expired"),
                Ok(()) => {}
                // They are looked at again when something is committed next.
                Err(code) => tracing::error!(%code, group_id = id, "that offsets have expired is not written"),
            }
            !goes || written.is_err()
        });
        next
    }
}

impl Group {
    /// Whether a member reads the topic. Metadata that is not a subscription protects everything.
    pub fn subscribed(&self, topic: &str) -> bool {
        match &self.kind {
            Kind::Classic(classic) => classic.subscribed(topic),
            Kind::Consumer(consumer) => consumer.subscribed(topic),
        }
    }

    fn expired_offsets(&self, now: Instant, keep: Duration) -> (Vec<(String, i32)>, Option<Instant>) {
        let Self { kind, offsets, .. } = self;
        let (ageing, read): (Ageing, &dyn Fn(&str) -> bool) = match kind {
            Kind::Classic(classic) => (classic.ageing(), &|topic| classic.subscribed(topic)),
            Kind::Consumer(consumer) => (Ageing::FromCommit, &|topic| consumer.subscribed(topic)),
        };
        offsets.expired(now, keep, ageing, read)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Clock, Commit, Committed, Identity, JoinAsk, Loading, Offset, Policy, SyncAsk},
        *,
    };
    use crate::{
        coordinator::{Ledger, Origin},
        topics::Topics,
    };
    use dohle_protocol::{ErrorCode, Uuid};

    const KEEP: Duration = Duration::from_secs(100);

    fn groups() -> Groups {
        let groups = Groups::new(Policy { upgrade: true, downgrade: true, max_size: 10 }, Ledger::of_a_test(50));
        groups.coordinate(&Loading { clock: Clock { now: Instant::now(), now_ms: 0 }, session_timeout: KEEP });
        groups
    }

    fn commit(groups: &Groups, group: &str, who: &Identity, topic: &str) {
        let commit = Commit { who, partitions: &[], from: Origin::Coordinator, knows_epochs: true };
        let committed = Committed::default();
        let offset = Offset { topic: topic.into(), topic_id: Uuid([1; 16]), partition: 0, committed };
        groups.commit(group, &commit, || vec![offset]).unwrap();
    }

    fn ids(groups: &Groups) -> Vec<String> {
        let mut ids = Vec::new();
        groups.each(|id, _| ids.push(id.into()));
        ids
    }

    fn outsider() -> Identity {
        Identity { generation: -1, ..Identity::default() }
    }

    fn ask(group: &str, member_id: &str) -> JoinAsk {
        JoinAsk {
            group_id: group.into(),
            member_id: member_id.into(),
            new_member_id: "m".into(),
            instance_id: None,
            client_id: String::new(),
            client_host: String::new(),
            session_timeout: Duration::from_secs(1000),
            rebalance_timeout: Duration::from_secs(1000),
            protocol_type: "consumer".into(),
            // Version 0 of a subscription to the topic "t".
            protocols: vec![("range".into(), bytes::Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff"))],
            id_first: false,
            may_skip_assignment: false,
            initial_delay: Duration::ZERO,
        }
    }

    async fn pass(groups: &Groups, seconds: u64) -> Option<Duration> {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        let now = Instant::now();
        groups.expire_offsets(now, KEEP).map(|due| due - now)
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_that_only_commits_is_forgotten_with_its_last_offset() {
        let groups = groups();
        commit(&groups, "g", &outsider(), "t");
        assert_eq!(pass(&groups, 60).await, Some(Duration::from_secs(40)));
        commit(&groups, "g", &outsider(), "u");
        assert_eq!(pass(&groups, 40).await, Some(Duration::from_secs(60)));
        assert_eq!(ids(&groups), ["g"]);
        assert_eq!(pass(&groups, 60).await, None);
        assert!(ids(&groups).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_classic_groups_offsets_are_kept_while_it_reads_the_topic_and_then_from_when_it_is_empty() {
        let (groups, topics) = (groups(), Topics::default());
        let joined = groups.join(ask("g", ""), &topics).await.unwrap();
        let who = Identity { member_id: joined.member_id, instance_id: None, generation: joined.generation };
        let sync = SyncAsk { who: who.clone(), protocol_type: None, protocol: None, assignments: Vec::new() };
        assert_eq!(groups.sync("g", sync, &topics).await.unwrap().error, ErrorCode::NONE);
        commit(&groups, "g", &who, "t");
        commit(&groups, "g", &who, "other");
        assert_eq!(pass(&groups, 100).await, None, "what it does not read has gone");
        let left =
            |topic| groups.with("g", |group| group.is_some_and(|group| group.offsets.committed(topic, 0).is_some()));
        assert!(left("t") && !left("other"));
        assert!(groups.leave("g", &[(who.member_id, None)], &topics)[0].is_ok());
        assert_eq!(pass(&groups, 99).await, Some(Duration::from_secs(1)));
        assert!(left("t"));
        pass(&groups, 1).await;
        assert!(ids(&groups).is_empty());
    }
}
