//! The consumer: reads partitions, alone (`assign`) or as a member of a group (`subscribe`).
//! Not a loop and not callbacks: the language asks for chunks ([`Consumer::next_chunk`]) and answers questions; the
//! engine never calls into it. Driven by the language's calls, by the fetcher task and by the coordinator task.
//!
//! File map: `handover` what crosses · `subscription` what is assigned and how far · `shared` the lock and the
//! wake-ups · `fetcher`, `fetch`, `session`, `chunk`, `spare`, `offsets` the fetch half · `group/` membership, `commit`, `poll_clock` ·
//! `watchdog` who stands still, and why · `report` what statistics tell.

use std::sync::Arc;
use std::time::Duration;

use dohle_protocol::Uuid;
use tokio::time::Instant;

use crate::client::Registration;
use crate::generated::options::IsolationLevel;
use crate::statistics::Instance;
use crate::telemetry::FAREWELL;
use crate::{Client, Error, Result};

mod checks;
mod chunk;
mod commit;
mod committed;
mod fetch;
mod fetcher;
pub(crate) mod group;
mod handover;
pub(crate) mod log;
mod offsets;
mod pattern;
mod poll_clock;
mod re2;
mod report;
mod reset_policy;
mod session;
mod shared;
mod spare;
mod state;
mod subscription;
mod transactional;
mod types;
mod view;
mod watchdog;

pub use crate::generated::options::{ConsumerOptions, GroupProtocol};
pub(crate) use checks::check_topic;
use checks::not_assigned;
pub use group::protocol::Member as GroupMember;
pub use group::strategy::{GroupToAssign, PartitionAssignor};
pub use handover::{Chunk, ChunkControl, INDEX_WORDS, Position, TopicPartition};
pub use pattern::TopicMatcher;
pub use re2::re2_of;
use shared::Shared;
use subscription::Interest;
pub use transactional::{FinishedRecord, TransactionOffsets};
pub use types::{
    Ask, Assignment, CommittedOffset, ConsumerEvent, ConsumerSink, GroupExit, GroupMetadata, PartitionStatistics,
    Question, Stall, StallReason, StartAt, Watermarks,
};

/// A consumer. Clones are the same consumer; when the last one goes without [`Consumer::close`], its tasks end at once
/// and its group finds out after `session.timeout.ms`. All calls may come from any thread; those that are not `async`
/// never wait.
///
/// ```
/// # use std::sync::Arc;
/// # use std::sync::atomic::Ordering;
/// # use dohle_client::Client;
/// use dohle_client::consumer::{Consumer, ConsumerEvent, ConsumerOptions, ConsumerSink, INDEX_WORDS, Question};
///
/// struct Sink {
///     ready: tokio::sync::Notify,
///     questions: tokio::sync::mpsc::UnboundedSender<Question>,
/// }
///
/// // Called by the engine's thread: it notes and returns.
/// impl ConsumerSink for Sink {
///     fn chunks_ready(&self) {
///         self.ready.notify_one();
///     }
///     fn question(&self, question: Question) {
///         let _ = self.questions.send(question);
///     }
///     fn event(&self, event: ConsumerEvent) {
///         println!("{event:?}");
///     }
/// }
///
/// # async fn example(client: &Client) -> dohle_client::Result<()> {
/// let (questions, mut asked) = tokio::sync::mpsc::unbounded_channel();
/// let sink = Arc::new(Sink { ready: tokio::sync::Notify::new(), questions });
/// let options = ConsumerOptions { group_id: Some("billing".into()), ..ConsumerOptions::default() };
/// let consumer = Consumer::new(client, options, sink.clone())?;
/// consumer.subscribe(vec!["orders".into()])?;
/// loop {
///     tokio::select! {
///         // Partitions came, or go when this is answered.
///         Some(question) = asked.recv() => consumer.answer(question.id),
///         () = sink.ready.notified() => {}
///     }
///     while let Some(chunk) = consumer.next_chunk()? {
///         for k in 0..chunk.count {
///             if chunk.control.revoked.load(Ordering::SeqCst) != 0 {
///                 break;
///             }
///             chunk.control.stepped.store(k + 1, Ordering::SeqCst);
///             let row = &chunk.index[k as usize * INDEX_WORDS..][..INDEX_WORDS];
///             let value = &chunk.bytes[row[5] as usize..][..row[6].max(0) as usize];
///             println!("{}: {value:?}", chunk.offset(k));
///             // What is finished is what is committed.
///             chunk.control.finished.store(k + 1, Ordering::SeqCst);
///         }
///     }
///     # break;
/// }
/// consumer.close(None).await
/// # }
/// ```
#[derive(Clone)]
pub struct Consumer {
    handle: Arc<Handle>,
}

struct Handle(Arc<Shared>, Registration);

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.0.is_closing() {
            self.0.end();
        }
    }
}

impl Consumer {
    /// Checks the options and starts the consumer's tasks. No I/O before `subscribe` or `assign`.
    pub fn new(client: &Client, options: ConsumerOptions, sink: Arc<dyn ConsumerSink>) -> Result<Consumer> {
        Consumer::with_assignors(client, options, sink, &[])
    }

    /// As [`Consumer::new`], with assignors of the application's own, which `partition.assignment.strategy` names.
    pub fn with_assignors(
        client: &Client,
        options: ConsumerOptions,
        sink: Arc<dyn ConsumerSink>,
        own: &[Arc<dyn PartitionAssignor>],
    ) -> Result<Consumer> {
        let assignors = checks::check(&options, own)?;
        let commits = options.enable_auto_commit && options.group_id.is_some();
        let grouped = options.group_id.is_some();
        let shared = Shared::new(client.clone(), options, sink)?;
        let instance: Arc<dyn Instance> = shared.clone();
        let registration = client.register("consumer", Arc::downgrade(&instance));
        shared.spawn(fetcher::run(shared.clone()));
        shared.spawn(group::membership::run(shared.clone(), assignors));
        if !shared.options.stalled_report.is_zero() {
            shared.spawn(watchdog::run(shared.clone()));
        }
        if grouped {
            shared.spawn(committed::run_lookups(shared.clone()));
            shared.spawn(pattern::run(shared.clone()));
        }
        if commits {
            shared.spawn(commit::run_automatic(shared.clone()));
        }
        Ok(Consumer { handle: Arc::new(Handle(shared, registration)) })
    }

    /// Its name in [`Client::statistics`].
    pub fn name(&self) -> &str {
        &self.handle.1.name
    }

    /// The id that a broker gave it for its metrics (KIP-714), waited for no longer than `timeout`. Error:
    /// `enable.metrics.push` is false, or no broker gave one in time.
    pub async fn client_instance_id(&self, timeout: Duration) -> Result<Uuid> {
        self.handle.1.session.id(timeout).await
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.handle.0
    }

    /// Joins the group for these topics; replaces what was subscribed before. Errors: no `group.id`, no or an invalid
    /// topic name, partitions assigned by hand.
    pub fn subscribe(&self, topics: Vec<String>) -> Result<()> {
        self.check_open()?;
        self.shared().group_id()?;
        let mut topics: Vec<Arc<str>> = topics.into_iter().map(Arc::from).collect();
        topics.sort_unstable();
        topics.dedup();
        if topics.is_empty() {
            return Err(Error::invalid_argument(
                "subscribe needs at least one topic; unsubscribe() ends a subscription",
            ));
        }
        topics.iter().try_for_each(|topic| check_topic(topic))?;
        self.set_interest(
            "subscribe",
            |interest| matches!(interest, Interest::None | Interest::Topics(_) | Interest::Matching),
            |s| {
                s.pattern = None;
                s.interest = Interest::Topics(topics.clone().into());
            },
        )?;
        self.shared().patterns.notify_one();
        self.shared().track(topics);
        Ok(())
    }

    /// Joins the group for the topics that match, those too that come later; replaces what was subscribed before. Kafka's
    /// own topics are left out. New topics are seen when the metadata is asked for, every `metadata.max.age.ms`. Errors: no
    /// `group.id`, partitions assigned by hand.
    pub fn subscribe_matching(&self, matcher: Arc<dyn TopicMatcher>) -> Result<()> {
        self.check_open()?;
        self.shared().group_id()?;
        self.set_interest(
            "subscribe",
            |interest| matches!(interest, Interest::None | Interest::Topics(_) | Interest::Matching),
            |s| {
                s.patterns += 1;
                s.pattern = Some(pattern::Pattern { matcher, serial: s.patterns, no_internal: true });
                if s.interest == Interest::None {
                    s.interest = Interest::Matching;
                }
            },
        )?;
        self.shared().patterns.notify_one();
        Ok(())
    }

    /// Reads exactly these partitions, without rebalances; replaces what was assigned before. With a `group.id`,
    /// commits work all the same.
    pub fn assign(&self, assignments: Vec<Assignment>) -> Result<()> {
        self.check_open()?;
        let shared = self.shared();
        for (i, Assignment { partition, start }) in assignments.iter().enumerate() {
            check_topic(&partition.topic)?;
            if partition.partition < 0 {
                return Err(Error::invalid_argument(format!("{partition}: a partition's number is 0 or more")));
            }
            if assignments[..i].iter().any(|other| other.partition == *partition) {
                return Err(Error::invalid_argument(format!("{partition} is there twice")));
            }
            self.check_start(partition, *start)?;
        }
        let mut before = Vec::new();
        self.set_interest(
            "assign",
            |interest| matches!(interest, Interest::None | Interest::Manual),
            |s| {
                before = s.uncommitted(None);
                s.clear();
                s.interest = Interest::Manual;
                for Assignment { partition, start } in &assignments {
                    s.add(partition.clone(), *start, false);
                }
            },
        )?;
        shared.track(shared.with(|s| s.topics()));
        if shared.options.enable_auto_commit && shared.options.group_id.is_some() && !before.is_empty() {
            let committing = shared.clone();
            shared.spawn(async move {
                let place = |(tp, at): (TopicPartition, Position)| (tp, CommittedOffset::from(at));
                let offsets = before.into_iter().map(place).collect();
                if let Err(error) =
                    commit::named(&committing, offsets, None, committing.client.options().request_timeout).await
                {
                    committing.sink.event(ConsumerEvent::CommitFailed(error));
                }
            });
        }
        Ok(())
    }

    /// Ends the assignment or subscription: commits what is finished (if automatic), leaves the group.
    pub async fn unsubscribe(&self) -> Result<()> {
        self.check_open()?;
        let shared = self.shared();
        if shared.with(|s| s.interest == Interest::Manual) {
            let committed = shared.commit_before_end().await;
            shared.unsubscribed();
            return committed;
        }
        shared.change(|s| {
            s.pattern = None;
            match s.interest {
                Interest::Topics(_) => s.interest = Interest::Leaving,
                Interest::Matching => s.interest = Interest::None,
                _ => {}
            }
        });
        shared.patterns.notify_one();
        shared.left_group().await;
        Ok(())
    }

    /// Takes one ready chunk, or arms `chunks_ready`. Never waits. Errors for the loop come out here: fatal ones every
    /// time from then on (the loop ends; after `close` it is `CLOSED`), others once.
    pub fn next_chunk(&self) -> Result<Option<Chunk>> {
        self.shared().next_chunk()
    }

    /// Moves the position. When this has returned, nothing from before is delivered. Error: not assigned.
    pub fn seek(&self, partition: &TopicPartition, to: StartAt) -> Result<()> {
        self.check_start(partition, to)?;
        match self.shared().change(|s| s.seek(partition, to)) {
            true => Ok(()),
            false => Err(not_assigned(partition)),
        }
    }

    /// Stops reading these. When this has returned, nothing of them is delivered; what was not yielded comes again after
    /// `resume`. Error: one is not assigned (then none is paused).
    pub fn pause(&self, partitions: &[TopicPartition]) -> Result<()> {
        self.on_all(partitions, |s, tp| s.pause(tp))
    }

    /// Ends `pause`. Error: one is not assigned (then none is resumed).
    pub fn resume(&self, partitions: &[TopicPartition]) -> Result<()> {
        self.on_all(partitions, |s, tp| s.resume(tp))
    }

    /// What the group has committed, asked of the coordinator; none where it has nothing.
    pub async fn committed(
        &self,
        partitions: Vec<TopicPartition>,
    ) -> Result<Vec<(TopicPartition, Option<CommittedOffset>)>> {
        self.check_member()?;
        self.shared().group_id()?;
        committed::committed(self.shared(), &partitions, self.api_timeout()).await
    }

    /// Commits these offsets, or (none) what is finished everywhere. Settles when the coordinator has it, with an error
    /// after `default.api.timeout.ms` at the latest. A member of a group commits only what is assigned to it.
    pub async fn commit(&self, offsets: Option<Vec<(TopicPartition, CommittedOffset)>>) -> Result<()> {
        self.check_member()?;
        let shared = self.shared();
        shared.group_id()?;
        let Some(offsets) = offsets else { return commit::finished(shared, None, self.api_timeout()).await };
        for (tp, offset) in &offsets {
            check_topic(&tp.topic)?;
            if offset.offset < 0 {
                return Err(Error::invalid_argument(format!(
                    "{tp}: an offset to commit is 0 or more, not {}",
                    offset.offset
                )));
            }
        }
        // Not of partitions that went to somebody else: that one's offsets would go back.
        let since = |s: &subscription::Subscription, tp: &TopicPartition| {
            s.get(tp).map(|partition| partition.owned).ok_or_else(|| not_assigned(tp))
        };
        let owned = shared.with(|s| match s.interest {
            Interest::Topics(_) | Interest::Leaving => {
                offsets.iter().map(|(tp, _)| since(s, tp)).collect::<Result<Vec<u32>>>().map(Some)
            }
            _ => Ok(None),
        })?;
        commit::named(shared, offsets, owned, self.api_timeout()).await
    }

    /// Offsets that partitions (assigned or not) have at these places: `Earliest`, `Latest`, `Timestamp`; none where no
    /// record is at or after the time.
    pub async fn offsets_at(
        &self,
        asked: Vec<(TopicPartition, StartAt)>,
    ) -> Result<Vec<(TopicPartition, Option<i64>)>> {
        self.check_open()?;
        let shared = self.shared();
        let read_committed = shared.options.isolation_level == IsolationLevel::ReadCommitted;
        offsets::offsets_at(&shared.client, read_committed, asked).await
    }

    /// Who we are in the group now. Error: no `group.id`.
    pub fn group_metadata(&self) -> Result<GroupMetadata> {
        let shared = self.shared();
        let identity = shared.group.identity();
        Ok(GroupMetadata {
            group_id: shared.group_id()?.to_owned(),
            generation: identity.generation,
            member_id: identity.member_id,
            group_instance_id: shared.options.group_instance_id.clone(),
        })
    }

    /// Answers a [`Question`]. Unknown and late ids are ignored.
    pub fn answer(&self, id: u64) {
        self.shared().group.answer(id);
    }

    /// Asks the question of revocation, commits what is finished (if automatic), leaves the group, ends all tasks. Always
    /// settles, at the latest after `timeout` (none: `default.api.timeout.ms`); an error says what was not done, closed
    /// it is all the same. A second call waits for the first.
    pub async fn close(&self, timeout: Option<Duration>) -> Result<()> {
        self.close_with(timeout, GroupExit::Default).await
    }

    /// As [`Consumer::close`], and says what becomes of the membership.
    pub async fn close_with(&self, timeout: Option<Duration>, exit: GroupExit) -> Result<()> {
        let shared = self.shared();
        let deadline = Instant::now() + timeout.unwrap_or(self.api_timeout());
        let session = &self.handle.1.session;
        let told = deadline.min(Instant::now() + FAREWELL);
        session.begin_farewell();
        // While there is something to tell of.
        session.gathered(told).await;
        let first = shared.begin_close(deadline, exit);
        shared.ended().await;
        session.farewell(told).await;
        match shared.close_error() {
            Some(error) if first => Err(error),
            _ => Ok(()),
        }
    }

    /// `default.api.timeout.ms`: how long a call may take where no time is given.
    pub fn api_timeout(&self) -> Duration {
        self.shared().client.options().default_api_timeout
    }

    // ---- checks -------------------------------------------------------------------------------------------------

    fn check_open(&self) -> Result<()> {
        match self.shared().is_closing() {
            true => Err(Error::closed("consumer")),
            false => Ok(()),
        }
    }

    /// While it closes, whoever is asked about the revocation may commit, until the group is left.
    fn check_member(&self) -> Result<()> {
        match self.shared().has_left() {
            true => Err(Error::closed("consumer")),
            false => Ok(()),
        }
    }

    fn check_start(&self, partition: &TopicPartition, start: StartAt) -> Result<()> {
        match start {
            StartAt::Offset(offset) if offset < 0 => {
                Err(Error::invalid_argument(format!("{partition}: an offset is 0 or more, not {offset}")))
            }
            StartAt::Timestamp(ms) if ms < 0 => {
                Err(Error::invalid_argument(format!("{partition}: a timestamp is 0 or more, not {ms}")))
            }
            StartAt::Committed => self.shared().group_id().map(drop),
            _ => Ok(()),
        }
    }

    fn set_interest(
        &self,
        call: &str,
        allowed: impl FnOnce(&Interest) -> bool,
        set: impl FnOnce(&mut subscription::Subscription),
    ) -> Result<()> {
        self.shared().change(|s| {
            if !allowed(&s.interest) {
                let is = match s.interest {
                    Interest::Manual => "partitions are assigned by hand",
                    Interest::Leaving => "unsubscribe has not ended",
                    _ => "topics are subscribed",
                };
                return Err(Error::invalid_argument(format!("{call}: {is}; unsubscribe first")));
            }
            set(s);
            Ok(())
        })
    }

    fn on_all(
        &self,
        partitions: &[TopicPartition],
        change: impl Fn(&mut subscription::Subscription, &TopicPartition) -> bool,
    ) -> Result<()> {
        self.shared().change(|s| {
            if let Some(missing) = partitions.iter().find(|tp| s.get(tp).is_none()) {
                return Err(not_assigned(missing));
            }
            partitions.iter().for_each(|tp| {
                change(s, tp);
            });
            Ok(())
        })
    }
}
