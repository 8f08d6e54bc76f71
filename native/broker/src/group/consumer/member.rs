//! A member of a KIP-848 group, and how it comes to what it shall have: it gives up what goes to others, says so, and only
//! then moves to the new epoch; it gets what others have given up. Not who shall have what: that is `assignors`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use dohle_protocol::Uuid;
use tokio::time::Instant;

use super::{
    assignors::{Assignor, Partitions, flat},
    old_protocol::Classic as OldProtocol,
};

/// The epoch of a static member that is away and keeps its place.
pub(crate) const AWAY: i32 = -2;

/// Partitions, each with the epoch in which it was given (KIP-1251).
pub(crate) type Given = BTreeMap<(Uuid, i32), i32>;

/// Where a member stands on its way to what it shall have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There, for its epoch.
    #[default]
    Stable,
    /// Has to give up partitions.
    Unrevoked,
    /// Waits for partitions that others have to give up.
    Unreleased,
}

/// Which topics an expression may find: all, or those that the member's client may describe.
#[derive(Clone, Default)]
pub(crate) struct Sight(Option<Arc<Sees>>);

type Sees = dyn Fn(&str) -> bool + Send + Sync;

impl Sight {
    /// The topics that `sees` lets through.
    pub fn of(sees: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(sees)))
    }

    pub fn sees(&self, topic: &str) -> bool {
        self.0.as_ref().is_none_or(|sees| sees(topic))
    }
}

impl std::fmt::Debug for Sight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "what may be described" } else { "everything" })
    }
}

/// It makes no other member.
impl PartialEq for Sight {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A member.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Member {
    pub id: String,
    pub instance_id: Option<String>,
    pub rack_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout: Duration,
    pub assignor: Option<Assignor>,
    /// The topics that it names.
    pub topics: BTreeSet<String>,
    /// The expression that it gives besides.
    pub regex: Option<String>,
    /// Which topics its expression may find.
    pub sight: Sight,
    pub epoch: i32,
    pub previous_epoch: i32,
    pub progress: Progress,
    /// What it may read.
    pub assigned: Given,
    /// What it was told to give up.
    pub revoking: Given,
    /// What it shall have.
    pub target: Partitions,
    /// When it is taken for dead.
    pub session_deadline: Option<Instant>,
    /// Until when it must have given up what it was told to.
    pub revoke_deadline: Option<Instant>,
    /// What it has said, if it is of the classic protocol.
    pub classic: Option<OldProtocol>,
}

/// What a member's way depends on.
pub(super) struct Surroundings<'a> {
    /// The epoch of the target.
    pub epoch: i32,
    /// Topics it is subscribed to, by name or expression.
    pub subscribed: &'a BTreeSet<Uuid>,
    /// Its subscription is another one than before.
    pub resubscribed: bool,
    /// What other members have, or have not given up yet.
    pub taken: &'a BTreeSet<(Uuid, i32)>,
    /// What the member says that it has; none when it says nothing.
    pub owned: Option<&'a BTreeSet<(Uuid, i32)>>,
}

impl Member {
    /// When it is taken out, if it does nothing before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let classic = self.classic.as_ref().and_then(OldProtocol::deadline);
        [self.session_deadline, self.revoke_deadline, classic].into_iter().flatten().min()
    }

    /// Whether it has arrived at the target of this epoch.
    pub fn reconciled(&self, epoch: i32) -> bool {
        self.progress == Progress::Stable && self.epoch == epoch
    }

    /// All that others cannot have.
    pub fn holds(&self) -> impl Iterator<Item = (Uuid, i32)> {
        self.assigned.keys().chain(self.revoking.keys()).copied()
    }

    /// One step towards the target.
    pub(super) fn reconcile(&mut self, around: &Surroundings<'_>, now: Instant) {
        if self.reconciled(around.epoch) && !around.resubscribed {
            return;
        }
        let still_revoking = self.progress == Progress::Unrevoked && says_to_have(&self.revoking, around.owned);
        if still_revoking || self.reconciled(around.epoch) {
            if around.resubscribed {
                self.drop_unsubscribed(around);
            }
        } else {
            self.advance(around);
        }
        match (self.progress, self.revoke_deadline) {
            (Progress::Unrevoked, None) => self.revoke_deadline = Some(now + self.rebalance_timeout),
            (Progress::Unrevoked, Some(_)) => {}
            _ => self.revoke_deadline = None,
        }
    }

    fn advance(&mut self, around: &Surroundings<'_>) {
        let wanted = flat(&self.target).filter(|(topic, _)| around.subscribed.contains(topic));
        let wanted: BTreeSet<(Uuid, i32)> = wanted.collect();
        let (mut kept, lost): (Given, Given) =
            std::mem::take(&mut self.assigned).into_iter().partition(|(partition, _)| wanted.contains(partition));
        if !lost.is_empty() && says_to_have(&lost, around.owned) {
            (self.assigned, self.revoking) = (kept, lost);
            return self.enter(Progress::Unrevoked, self.epoch);
        }
        let missing = wanted.into_iter().filter(|partition| !kept.contains_key(partition));
        let (taken, free): (Vec<_>, Vec<_>) = missing.partition(|partition| around.taken.contains(partition));
        kept.extend(free.into_iter().map(|partition| (partition, around.epoch)));
        (self.assigned, self.revoking) = (kept, Given::new());
        self.enter(if taken.is_empty() { Progress::Stable } else { Progress::Unreleased }, around.epoch);
    }

    /// Its target is older than its subscription: what it no longer wants goes at once.
    fn drop_unsubscribed(&mut self, around: &Surroundings<'_>) {
        let (kept, lost): (Given, Given) = std::mem::take(&mut self.assigned)
            .into_iter()
            .partition(|((topic, _), _)| around.subscribed.contains(topic));
        self.assigned = kept;
        if lost.is_empty() {
            return;
        }
        let revoking: Given = self.revoking.iter().map(|(partition, epoch)| (*partition, *epoch)).chain(lost).collect();
        if says_to_have(&revoking, around.owned) {
            self.revoking = revoking;
            self.enter(Progress::Unrevoked, self.epoch);
        } else {
            self.enter(self.progress, self.epoch);
        }
    }

    fn enter(&mut self, progress: Progress, epoch: i32) {
        self.progress = progress;
        (self.previous_epoch, self.epoch) = (self.epoch, epoch);
    }
}

/// Whether a member still has some of these. One that does not say what it has may have them.
fn says_to_have(given: &Given, owned: Option<&BTreeSet<(Uuid, i32)>>) -> bool {
    owned.is_none_or(|owned| owned.iter().any(|partition| given.contains_key(partition)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Uuid = Uuid([7; 16]);

    struct World {
        member: Member,
        epoch: i32,
        taken: BTreeSet<(Uuid, i32)>,
        subscribed: BTreeSet<Uuid>,
    }

    fn set(partitions: &[i32]) -> BTreeSet<(Uuid, i32)> {
        partitions.iter().map(|partition| (T, *partition)).collect()
    }

    impl World {
        fn new() -> Self {
            Self { member: Member::default(), epoch: 0, taken: BTreeSet::new(), subscribed: BTreeSet::from([T]) }
        }

        fn target(&mut self, epoch: i32, partitions: &[i32]) -> &mut Self {
            self.epoch = epoch;
            self.member.target = Partitions::from([(T, partitions.iter().copied().collect())]);
            self
        }

        fn step(&mut self, owned: Option<&[i32]>) -> (Progress, i32, Vec<i32>) {
            let owned = owned.map(set);
            let around = Surroundings {
                epoch: self.epoch,
                subscribed: &self.subscribed,
                resubscribed: false,
                taken: &self.taken,
                owned: owned.as_ref(),
            };
            self.member.reconcile(&around, Instant::now());
            let assigned = self.member.assigned.keys().map(|(_, partition)| *partition).collect();
            (self.member.progress, self.member.epoch, assigned)
        }
    }

    #[tokio::test]
    async fn partitions_are_given_up_before_the_epoch_moves_on() {
        let mut one = World::new();
        assert_eq!(one.target(1, &[0, 1, 2]).step(Some(&[])), (Progress::Stable, 1, vec![0, 1, 2]));
        assert_eq!(one.target(2, &[0]).step(None), (Progress::Unrevoked, 1, vec![0]));
        assert!(one.member.revoke_deadline.is_some());
        assert_eq!(one.step(None), (Progress::Unrevoked, 1, vec![0]), "it says nothing: it may have them still");
        assert_eq!(one.step(Some(&[0, 2])), (Progress::Unrevoked, 1, vec![0]));
        assert_eq!(one.member.holds().count(), 3, "nobody else can have them");
        assert_eq!(one.step(Some(&[0])), (Progress::Stable, 2, vec![0]));
        assert_eq!((one.member.revoke_deadline, one.member.holds().count()), (None, 1));
    }

    #[tokio::test]
    async fn what_others_hold_comes_when_they_have_let_go() {
        let mut two = World::new();
        two.taken = set(&[1]);
        assert_eq!(two.target(2, &[1, 2]).step(Some(&[])), (Progress::Unreleased, 2, vec![2]));
        two.taken.clear();
        assert_eq!(two.step(None), (Progress::Stable, 2, vec![1, 2]));
        assert_eq!(two.member.assigned[&(T, 1)], 2);
    }

    #[tokio::test]
    async fn a_newer_target_may_return_what_was_being_given_up() {
        let mut one = World::new();
        one.target(1, &[0, 1]).step(Some(&[]));
        one.target(2, &[0]).step(None);
        // The other one left meanwhile. What was told to go goes first, and then comes back.
        assert_eq!(one.target(3, &[0, 1]).step(None), (Progress::Unrevoked, 1, vec![0]));
        assert_eq!(one.step(Some(&[0])), (Progress::Stable, 3, vec![0, 1]));
        assert_eq!(one.member.assigned[&(T, 1)], 3, "given anew");
    }
}
