//! The consumer: reads partitions, alone (`assign`) or as a member of a group (`subscribe`).
//! Not a loop and not callbacks: the language asks for chunks ([`Consumer::next_chunk`]) and answers questions; the
//! engine never calls into it. Driven by the language's calls, by the fetcher task and by the coordinator task.
//!
//! File map: `handover` what crosses · `subscription` what is assigned and how far · `shared` the lock and the
//! wake-ups · `fetcher`, `session`, `chunk`, `offsets` the fetch half · `group/` membership, `commit`, `poll_clock`.

use std::sync::Arc;
use std::time::Duration;

use crate::{Client, Error, Result};

#[allow(dead_code)]
mod chunk;
mod fetcher;
mod handover;
mod shared;
mod subscription;

pub use crate::generated::options::ConsumerOptions;
pub use handover::{Chunk, ChunkControl, INDEX_WORDS, Position, TopicPartition};
use shared::Shared;

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

/// A consumer. Clones are the same consumer. All calls may come from any thread; those that are not `async` never wait.
#[derive(Clone)]
pub struct Consumer {
    shared: Arc<Shared>,
}

impl Consumer {
    /// Checks the options and starts the consumer's tasks. No I/O before `subscribe` or `assign`.
    pub fn new(client: &Client, options: ConsumerOptions, sink: Arc<dyn ConsumerSink>) -> Result<Consumer> {
        let shared = Shared::new(client.clone(), options, sink);
        client.world().spawn(Box::pin(fetcher::run(shared.clone())));
        Ok(Consumer { shared })
    }

    /// Joins the group for these topics; replaces what was subscribed before. Errors: no `group.id`, no or an invalid
    /// topic name, partitions assigned by hand.
    pub fn subscribe(&self, topics: Vec<String>) -> Result<()> {
        todo!()
    }

    /// Reads exactly these partitions, without rebalances; replaces what was assigned before. With a `group.id`,
    /// commits work all the same.
    pub fn assign(&self, assignments: Vec<Assignment>) -> Result<()> {
        todo!()
    }

    /// Ends the assignment or subscription: commits what is finished (if automatic), leaves the group.
    pub async fn unsubscribe(&self) -> Result<()> {
        todo!()
    }

    /// Takes one ready chunk, or arms `chunks_ready`. Never waits. Errors for the loop come out here: fatal ones every
    /// time from then on (the loop ends), others once.
    pub fn next_chunk(&self) -> Result<Option<Chunk>> {
        self.shared.next_chunk()
    }

    /// Moves the position. When this has returned, nothing from before is delivered. Error: not assigned.
    pub fn seek(&self, partition: &TopicPartition, to: StartAt) -> Result<()> {
        todo!()
    }

    /// Stops reading these. When this has returned, nothing of them is delivered; what was not yielded comes again after
    /// `resume`. Error: one is not assigned (then none is paused).
    pub fn pause(&self, partitions: &[TopicPartition]) -> Result<()> {
        todo!()
    }

    /// Ends `pause`. Error: one is not assigned (then none is resumed).
    pub fn resume(&self, partitions: &[TopicPartition]) -> Result<()> {
        todo!()
    }

    /// What is paused, sorted.
    pub fn paused(&self) -> Vec<TopicPartition> {
        todo!()
    }

    /// What is assigned now, sorted.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        todo!()
    }

    /// What is subscribed, sorted.
    pub fn subscription(&self) -> Vec<Arc<str>> {
        todo!()
    }

    /// Offset of the next record that the loop gets; none while it is being looked up. Error: not assigned.
    pub fn position(&self, partition: &TopicPartition) -> Result<Option<i64>> {
        todo!()
    }

    /// The ends of the log as last seen. Error: not assigned.
    pub fn watermarks(&self, partition: &TopicPartition) -> Result<Watermarks> {
        todo!()
    }

    /// Records between `position` and the end of what may be read (the last stable offset with `read_committed`, else
    /// the high watermark); none while either is not known. Error: not assigned.
    pub fn lag(&self, partition: &TopicPartition) -> Result<Option<i64>> {
        todo!()
    }

    /// What the group has committed, asked of the coordinator; none where it has nothing.
    pub async fn committed(
        &self,
        partitions: Vec<TopicPartition>,
    ) -> Result<Vec<(TopicPartition, Option<CommittedOffset>)>> {
        todo!()
    }

    /// Commits these offsets, or (none) what is finished everywhere. Settles when the coordinator has it.
    pub async fn commit(&self, offsets: Option<Vec<(TopicPartition, CommittedOffset)>>) -> Result<()> {
        todo!()
    }

    /// Offsets that partitions (assigned or not) have at these places: `Earliest`, `Latest`, `Timestamp`; none where no
    /// record is at or after the time.
    pub async fn offsets_at(&self, asked: Vec<(TopicPartition, StartAt)>) -> Result<Vec<(TopicPartition, Option<i64>)>> {
        todo!()
    }

    /// Who we are in the group now. Error: no `group.id`.
    pub fn group_metadata(&self) -> Result<GroupMetadata> {
        todo!()
    }

    /// Answers a [`Question`]. Unknown and late ids are ignored.
    pub fn answer(&self, id: u64) {
        todo!()
    }

    /// Asks the question of revocation, commits what is finished (if automatic), leaves the group, ends all tasks. Always
    /// settles, at the latest after `timeout` (none: `default.api.timeout.ms`); an error says what was not done, closed
    /// it is all the same. A second call is a no-op.
    pub async fn close(&self, timeout: Option<Duration>) -> Result<()> {
        todo!()
    }
}
