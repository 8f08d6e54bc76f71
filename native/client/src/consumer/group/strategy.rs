//! The ways of sharing partitions out that a member offers its group: built-in ones and the application's own.
//! Not the algorithms (assignors/). Driven by `join`, and by the options' check.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::collections::Set;
use crate::{Error, ErrorKind, Result};

use super::super::handover::TopicPartition;
use super::assignors::{Assignor, Counts, Racks, withhold_moving};
use super::protocol::Member;

/// An assignor of the application's own, run by the member that leads its group. All members must know it by its name.
pub trait PartitionAssignor: Send + Sync {
    /// The name that members agree on: none of Kafka's own.
    fn name(&self) -> &str;

    /// Whether members keep their partitions through a rebalance (KIP-429). What must move is then withheld until its
    /// owner has given it up: `assign` need not care.
    fn is_cooperative(&self) -> bool {
        false
    }

    /// What this member tells the leader's `assign` of itself.
    fn user_data(&self) -> Option<Bytes> {
        None
    }

    /// One list per member, in the order of `members`. An error, or no answer in time, ends the consumer that leads: the
    /// group goes on without it.
    fn assign(&self, group: GroupToAssign) -> BoxFuture<'static, Result<Vec<Vec<TopicPartition>>>>;
}

/// What an assignor works from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupToAssign {
    /// All topics that any member subscribes to and that exist, sorted, with their numbers of partitions.
    pub topics: Vec<(Arc<str>, i32)>,
    /// All members, sorted by instance id and member id.
    pub members: Vec<Member>,
    /// How long the answer is waited for.
    pub deadline: Duration,
}

/// One of the strategies of `partition.assignment.strategy`.
#[derive(Clone)]
pub(crate) enum Strategy {
    /// One of Kafka's.
    BuiltIn(Assignor),
    /// One of the application's.
    Own(Arc<dyn PartitionAssignor>),
}

impl Strategy {
    pub fn name(&self) -> &str {
        match self {
            Strategy::BuiltIn(assignor) => assignor.name(),
            Strategy::Own(assignor) => assignor.name(),
        }
    }

    pub fn is_cooperative(&self) -> bool {
        match self {
            Strategy::BuiltIn(assignor) => assignor.is_cooperative(),
            Strategy::Own(assignor) => assignor.is_cooperative(),
        }
    }

    /// See [`Assignor::user_data`].
    pub fn user_data(&self, given: &[TopicPartition], generation: i32) -> Option<Bytes> {
        match self {
            Strategy::BuiltIn(assignor) => assignor.user_data(given, generation),
            Strategy::Own(assignor) => assignor.user_data(),
        }
    }

    /// One sorted list per member, in the order of `members`.
    pub async fn assign(
        &self,
        counts: &Counts,
        racks: &Racks,
        members: &[Member],
        deadline: Duration,
    ) -> Result<Vec<Vec<TopicPartition>>> {
        let own = match self {
            Strategy::BuiltIn(assignor) => return Ok(assignor.assign_near(counts, racks, members)),
            Strategy::Own(own) => own,
        };
        let topics = counts.iter().map(|(topic, &count)| (topic.clone(), count)).collect();
        let group = GroupToAssign { topics, members: members.to_vec(), deadline };
        let failed =
            |text: String| Error::new(ErrorKind::CallbackFailed, format!("the assignor '{}': {text}", own.name()));
        let mut lists = match tokio::time::timeout(deadline, own.assign(group)).await {
            Ok(lists) => lists.map_err(|error| error.context(format_args!("the assignor '{}'", own.name())))?,
            Err(_) => return Err(failed(format!("no assignment within {} ms", deadline.as_millis()))),
        };
        check(counts, members, &lists).map_err(failed)?;
        if own.is_cooperative() {
            withhold_moving(counts, members, &mut lists);
        }
        lists.iter_mut().for_each(|list| list.sort_unstable());
        Ok(lists)
    }
}

/// What would break the group: a partition that does not exist, has two owners or one that did not subscribe to it.
fn check(counts: &Counts, members: &[Member], lists: &[Vec<TopicPartition>]) -> Result<(), String> {
    if lists.len() != members.len() {
        return Err(format!("it made {} lists for {} members", lists.len(), members.len()));
    }
    let mut given = Set::default();
    for (member, list) in members.iter().zip(lists) {
        for tp in list {
            let exists = counts.get(&tp.topic).is_some_and(|&count| (0..count).contains(&tp.partition));
            let problem = match () {
                () if !exists => "which does not exist",
                () if !member.subscribes(&tp.topic) => "which did not subscribe to it",
                () if !given.insert(tp) => "and to another member",
                () => continue,
            };
            return Err(format!("it gave {tp} to {}, {problem}", member.id));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    struct Fixed(Result<Vec<Vec<TopicPartition>>>, bool);

    impl PartitionAssignor for Fixed {
        fn name(&self) -> &str {
            "fixed"
        }

        fn is_cooperative(&self) -> bool {
            self.1
        }

        fn assign(&self, _: GroupToAssign) -> BoxFuture<'static, Result<Vec<Vec<TopicPartition>>>> {
            std::future::ready(self.0.clone()).boxed()
        }
    }

    fn group() -> (Counts, Vec<Member>) {
        let member = |id: &str, topic: &str| Member { id: id.into(), topics: vec![topic.into()], ..Member::default() };
        (Counts::from([("a".into(), 2), ("b".into(), 1)]), vec![member("one", "a"), member("two", "b")])
    }

    fn tp(topic: &str, partition: i32) -> TopicPartition {
        TopicPartition::new(topic, partition)
    }

    async fn assign(fixed: Fixed) -> Result<Vec<Vec<TopicPartition>>> {
        let (counts, members) = group();
        Strategy::Own(Arc::new(fixed)).assign(&counts, &Racks::new(), &members, Duration::from_secs(60)).await
    }

    #[tokio::test]
    async fn an_assignment_that_would_break_the_group_is_refused_with_what_is_wrong() {
        let good = vec![vec![tp("a", 1), tp("a", 0)], vec![]];
        assert_eq!(assign(Fixed(Ok(good), false)).await.unwrap(), [vec![tp("a", 0), tp("a", 1)], vec![]]);
        let bad = [
            (vec![vec![]], "1 lists for 2 members"),
            (vec![vec![tp("a", 2)], vec![]], "a-2 to one, which does not exist"),
            (vec![vec![tp("b", 0)], vec![]], "b-0 to one, which did not subscribe to it"),
            (vec![vec![tp("a", 0), tp("a", 0)], vec![]], "a-0 to one, and to another member"),
        ];
        for (lists, text) in bad {
            let error = assign(Fixed(Ok(lists), false)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::CallbackFailed);
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[tokio::test]
    async fn what_a_cooperative_one_moves_is_withheld_until_its_owner_has_given_it_up() {
        let (counts, mut members) = group();
        members[1].topics = vec!["a".into()];
        members[0].owned = vec![tp("a", 0), tp("a", 1)];
        members[0].generation = 3;
        for (cooperative, second) in [(true, vec![]), (false, vec![tp("a", 1)])] {
            let moved = vec![vec![tp("a", 0)], vec![tp("a", 1)]];
            let strategy = Strategy::Own(Arc::new(Fixed(Ok(moved), cooperative)));
            let lists = strategy.assign(&counts, &Racks::new(), &members, Duration::from_secs(60)).await.unwrap();
            assert_eq!(lists, [vec![tp("a", 0)], second]);
        }
    }

    #[tokio::test]
    async fn an_assignor_that_fails_or_never_answers_is_an_error_that_names_it() {
        let error = assign(Fixed(Err(Error::new(ErrorKind::CallbackFailed, "thrown")), false)).await.unwrap_err();
        assert!(error.to_string().contains("the assignor 'fixed': thrown"), "{error}");

        struct Silent;
        impl PartitionAssignor for Silent {
            fn name(&self) -> &str {
                "silent"
            }
            fn assign(&self, _: GroupToAssign) -> BoxFuture<'static, Result<Vec<Vec<TopicPartition>>>> {
                std::future::pending().boxed()
            }
        }
        let (counts, members) = group();
        let strategy = Strategy::Own(Arc::new(Silent));
        let error = strategy.assign(&counts, &Racks::new(), &members, Duration::from_millis(5)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CallbackFailed);
        assert!(error.to_string().contains("'silent': no assignment within 5 ms"), "{error}");
    }
}
