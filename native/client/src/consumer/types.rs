//! The consumer's vocabulary: questions and events, places to start at and to commit, watermarks.
//! Plain data; nothing here decides anything.

use std::time::Duration;

use crate::Error;

#[allow(unused_imports)] // for the links in the documentation
use super::Consumer;
use super::handover::{Position, TopicPartition};

/// What the engine tells the language. Called on engine threads, never under a lock; implementations only enqueue.
pub trait ConsumerSink: Send + Sync {
    /// A `next_chunk` that found nothing may be called again: there is a chunk or an error. Once per such call.
    fn chunks_ready(&self);
    /// Something the language must answer with [`Consumer::answer`]; see [`Question`].
    fn question(&self, question: Question);
    /// Something to know; unanswered.
    fn event(&self, event: ConsumerEvent);
}

/// What the engine asks of the language, each with an id to be answered by [`Consumer::answer`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Question {
    /// To be given to [`Consumer::answer`]. An unknown or late id is ignored.
    pub id: u64,
    /// What is asked.
    pub what: Ask,
    /// How long the answer is waited for. Then, and when the consumer closes, it counts as answered.
    pub deadline: Duration,
}

/// The cases of [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ask {
    /// These partitions are about to be given up. Their chunks' `revoked` words are set already. Yield nothing more of
    /// them, write `finished`, run the user's callback (which may commit), then answer: the engine commits what is
    /// finished and gives them up. Without an answer until the deadline it does so all the same.
    Revoke(Vec<TopicPartition>),
    /// These partitions came. Nothing of them is fetched before the answer, so that the user's callback may seek.
    Assigned(Vec<TopicPartition>),
}

/// What the engine tells without waiting for an answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConsumerEvent {
    /// We are a member of the group's new generation, with all of these partitions.
    Joined {
        /// The group's generation.
        generation: i32,
        /// Our id in it.
        member_id: String,
        /// All partitions we have now, not only new ones.
        partitions: Vec<TopicPartition>,
    },
    /// These partitions were given up after the handshake.
    Revoked(Vec<TopicPartition>),
    /// These partitions were taken from us without a handshake (thrown out of the group): others may have them already,
    /// what was finished and not committed is read again by them.
    Lost(Vec<TopicPartition>),
    /// The loop did not ask for its next record for `max.poll.interval.ms`: we left the group. Its next step joins again.
    MaxPollExceeded(Error),
    /// An automatic commit failed and is tried again.
    CommitFailed(Error),
    /// Something failed and is tried again, with back-off: the coordinator cannot be reached, the group is being loaded…
    Retrying(Error),
    /// A partition has records to read, and its position has not moved for `stalled.report.ms`. Once, and again when the
    /// reason changes, until it moves.
    Stalled(Stall),
}

/// A partition that stands still.
#[derive(Clone, Debug)]
pub struct Stall {
    /// Which.
    pub partition: TopicPartition,
    /// Offset of the next record that the loop gets; none while it is being looked up.
    pub position: Option<i64>,
    /// Records that could be read; none while the position is not known.
    pub lag: Option<i64>,
    /// For how long it has been so.
    pub idle: Duration,
    /// Why, as far as can be seen.
    pub reason: StallReason,
    /// What failed last, when that is the reason.
    pub cause: Option<Error>,
}

/// Why a partition stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StallReason {
    /// The program has paused it. `paused`
    Paused,
    /// It is being given up, or came and the program has not answered yet. `rebalancing`
    Rebalancing,
    /// Records are here, and the program does not ask for the next one. `not-asked`
    NotAsked,
    /// `fetch.buffer.bytes` are held of other partitions, and the program does not ask for them. `no-credit`
    NoCredit,
    /// Its position is being looked up. `looking-up`
    LookingUp,
    /// It has no leader, or its topic is not known. `no-leader`
    NoLeader,
    /// What was asked for failed, and is asked for again after a pause. `backing-off`
    BackingOff,
    /// It is asked for, and nothing comes. `fetching`
    Fetching,
    /// It waits for a seek; the loop was told why. `failed`
    Failed,
}

impl StallReason {
    /// All of them.
    pub const ALL: [StallReason; 9] = [
        Self::Paused,
        Self::Rebalancing,
        Self::NotAsked,
        Self::NoCredit,
        Self::LookingUp,
        Self::NoLeader,
        Self::BackingOff,
        Self::Fetching,
        Self::Failed,
    ];

    /// Its name in every language.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Rebalancing => "rebalancing",
            Self::NotAsked => "not-asked",
            Self::NoCredit => "no-credit",
            Self::LookingUp => "looking-up",
            Self::NoLeader => "no-leader",
            Self::BackingOff => "backing-off",
            Self::Fetching => "fetching",
            Self::Failed => "failed",
        }
    }
}

/// How a partition is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionStatistics {
    /// Which.
    pub partition: TopicPartition,
    /// Offset of the next record that the loop gets; none while it is being looked up.
    pub position: Option<i64>,
    /// Records that could be read; none while that is not known.
    pub lag: Option<i64>,
    /// For how long there was something to read and the position did not move. As exact as the watchdog looks: a quarter
    /// of `stalled.report.ms`.
    pub idle: Duration,
    /// Why it stands still, while it does for longer than `stalled.report.ms`.
    pub stalled: Option<StallReason>,
    /// How often it stood still for so long since it was assigned.
    pub stalls: u64,
}

/// What becomes of the membership when a consumer closes (KIP-1092).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupExit {
    /// Members with a `group.instance.id` remain until `session.timeout.ms` is over, so that they can come back to their
    /// partitions without a rebalance; the others leave.
    #[default]
    Default,
    /// Leaves: the others get the partitions at once.
    Leave,
    /// Remains: the others get the partitions when `session.timeout.ms` is over.
    Remain,
}

/// Where to begin with a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At this offset. When it is not in the log, `auto.offset.reset` decides.
    Offset(i64),
    /// At the start of the log.
    Earliest,
    /// At the end of the log: only records that come later.
    Latest,
    /// At the first record with this timestamp (milliseconds) or later; at the end when there is none.
    Timestamp(i64),
    /// At the group's committed offset; when there is none, `auto.offset.reset` decides. Needs `group.id`.
    Committed,
}

/// One partition to read, for [`Consumer::assign`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Which.
    pub partition: TopicPartition,
    /// From where.
    pub start: StartAt,
}

/// A place to commit or one that was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// Offset of the next record to read: one more than the last finished one.
    pub offset: i64,
    /// Leader epoch of the record before, or −1.
    pub leader_epoch: i32,
    /// The application's own text.
    pub metadata: String,
}

/// The ends of a partition as the last fetch response told them; −1 where not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// The first offset in the log.
    pub log_start: i64,
    /// Up to where transactions are decided.
    pub last_stable: i64,
    /// Up to where records are replicated: one more than the last readable offset.
    pub high_watermark: i64,
}

/// What identifies us to a transaction that commits our offsets (KIP-447).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadata {
    /// `group.id`
    pub group_id: String,
    /// −1 outside of a generation.
    pub generation: i32,
    /// Empty outside of a generation.
    pub member_id: String,
    /// `group.instance.id`
    pub group_instance_id: Option<String>,
}

impl From<Position> for CommittedOffset {
    fn from(at: Position) -> Self {
        CommittedOffset { offset: at.offset, leader_epoch: at.leader_epoch, metadata: String::new() }
    }
}
