//! Producer id, epochs and sequences: the one place that gives them out (KIP-98, KIP-360).
//! Not the rules of when a batch may go: those are `sender::part`, which asks here for a stamp at a batch's first write. The
//! sender task owns all of it, so nothing here is shared.

/// Whom a broker takes a batch for: a producer id and its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerId {
    pub id: i64,
    pub epoch: i16,
}

/// No producer id: the batch is not idempotent.
pub(crate) const NO_PRODUCER: ProducerId = ProducerId { id: -1, epoch: -1 };

/// The producer's id as it is now; a bump of its epoch concerns one partition and the others follow when they are drained.
#[derive(Debug)]
pub(crate) struct Identity {
    idempotent: bool,
    current: Option<ProducerId>,
    /// A request for an id is under way.
    pub asking: bool,
}

impl Identity {
    pub fn new(idempotent: bool) -> Self {
        Self { idempotent, current: None, asking: false }
    }

    pub fn idempotent(&self) -> bool {
        self.idempotent
    }

    /// Whether batches can be stamped: there is an id, or none is needed.
    pub fn ready(&self) -> bool {
        !self.idempotent || self.current.is_some()
    }

    pub fn set(&mut self, id: ProducerId) {
        self.current = Some(id);
        self.asking = false;
    }

    pub fn current(&self) -> Option<ProducerId> {
        self.current
    }
}

/// The sequences of one partition.
#[derive(Debug)]
pub(crate) struct Sequences {
    producer: Option<ProducerId>,
    next: i32,
    /// There is a gap, or may be one: nothing new is written until all that was written has met its fate. Then the epoch is
    /// bumped and the partition starts at 0.
    pub draining: bool,
}

impl Sequences {
    pub fn new() -> Self {
        Self { producer: None, next: 0, draining: false }
    }

    /// Whether the partition still uses an id or epoch that is not the current one.
    pub fn stale(&self, identity: &Identity) -> bool {
        self.producer.is_some() && self.producer != identity.current
    }

    /// Id, epoch and base sequence for a batch of `count` records that is written for the first time. `drained`: nothing
    /// else that was written waits for its fate, so that a change of epoch is safe. None if it must wait.
    pub fn take(&mut self, identity: &Identity, count: u32, drained: bool) -> Option<(ProducerId, i32)> {
        if self.draining {
            return None;
        }
        if self.producer.is_none() || (drained && self.stale(identity)) {
            (self.producer, self.next) = (Some(identity.current?), 0);
        }
        let base = self.next;
        self.next = after(base, count);
        Some((self.producer?, base))
    }

    /// The pair that batches of this partition carry.
    pub fn producer(&self) -> Option<ProducerId> {
        self.producer
    }

    /// All that was written has met its fate, or was refused for its sequence: starts at 0 under an epoch that no batch of
    /// this partition has had. False if a new producer id is needed for that.
    pub fn restart(&mut self, identity: &mut Identity) -> bool {
        let Some(current) = identity.current else { return false };
        if self.producer == Some(current) {
            // The last epoch is the broker's to use up.
            if current.epoch >= i16::MAX - 1 {
                identity.current = None;
                return false;
            }
            identity.current = Some(ProducerId { epoch: current.epoch + 1, ..current });
        }
        *self = Self { producer: identity.current, next: 0, draining: false };
        true
    }
}

/// The sequence `count` records on: after the highest one comes 0.
pub(crate) fn after(sequence: i32, count: u32) -> i32 {
    ((i64::from(sequence) + i64::from(count)) & i64::from(i32::MAX)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(epoch: i16) -> Identity {
        let mut identity = Identity::new(true);
        identity.set(ProducerId { id: 7, epoch });
        identity
    }

    #[test]
    fn sequences_count_records_and_wrap_to_zero() {
        assert_eq!(after(10, 5), 15);
        assert_eq!(after(i32::MAX, 1), 0);
        assert_eq!(after(i32::MAX - 1, 4), 2);
        let (identity, mut sequences) = (identity(0), Sequences::new());
        assert_eq!(sequences.take(&identity, 3, true), Some((ProducerId { id: 7, epoch: 0 }, 0)));
        assert_eq!(sequences.take(&identity, 1, false).unwrap().1, 3);
        assert_eq!(sequences.take(&identity, 1, false).unwrap().1, 4);
    }

    #[test]
    fn nothing_is_stamped_without_an_id_or_while_draining() {
        let mut sequences = Sequences::new();
        assert_eq!(sequences.take(&Identity::new(true), 1, true), None);
        sequences.draining = true;
        assert_eq!(sequences.take(&identity(0), 1, true), None);
    }

    #[test]
    fn a_bump_concerns_the_others_only_when_they_are_drained() {
        let mut identity = identity(4);
        let (mut a, mut b) = (Sequences::new(), Sequences::new());
        a.take(&identity, 10, true);
        b.take(&identity, 10, true);
        a.draining = true;
        assert!(a.restart(&mut identity));
        assert_eq!(a.take(&identity, 1, true), Some((ProducerId { id: 7, epoch: 5 }, 0)));
        assert!(b.stale(&identity));
        assert_eq!(b.take(&identity, 1, false), Some((ProducerId { id: 7, epoch: 4 }, 10)));
        assert_eq!(b.take(&identity, 1, true), Some((ProducerId { id: 7, epoch: 5 }, 0)));
    }

    #[test]
    fn a_partition_behind_takes_the_current_epoch_without_another_bump() {
        let mut identity = identity(4);
        let (mut a, mut b) = (Sequences::new(), Sequences::new());
        a.take(&identity, 1, true);
        b.take(&identity, 1, true);
        assert!(a.restart(&mut identity) && b.restart(&mut identity));
        assert_eq!(identity.current().unwrap().epoch, 5);
        assert_eq!(b.producer(), a.producer());
    }

    #[test]
    fn the_last_epoch_asks_for_a_new_id() {
        let mut identity = identity(i16::MAX - 1);
        let mut sequences = Sequences::new();
        sequences.take(&identity, 1, true);
        sequences.draining = true;
        assert!(!sequences.restart(&mut identity));
        assert!(!identity.ready());
        identity.set(ProducerId { id: 8, epoch: 0 });
        assert!(sequences.restart(&mut identity));
        assert_eq!(sequences.take(&identity, 1, true), Some((ProducerId { id: 8, epoch: 0 }, 0)));
    }
}
