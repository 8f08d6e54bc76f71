//! Who coordinates which group or transactional id, as FindCoordinator said.

/// What a coordinator coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoordinatorKind {
    /// A consumer group.
    Group,
    /// A transactional id.
    Transaction,
    /// A share group's partitions.
    Share,
}

#[derive(Default)]
pub(super) struct Coordinators {}
