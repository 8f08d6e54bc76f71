//! Who is asked about which items, and again.
//!
//! Every item goes to the broker that is responsible for it: the controller, the leader of a partition, the coordinator of a
//! group, a broker by its id. Items whose answer is "not now" or "not here" are asked for again, alone; the others keep what
//! they were told. It knows nothing of what is asked, nor its types: `call` does.

use std::time::Duration;

use dohle_protocol::{ErrorCode, Segments};
use futures_util::future::join_all;
use tokio::time::Instant;

use super::answer::unanswered;
use super::since::explain;
use super::{Admin, Attempts};
use crate::client::CoordinatorKind;
use crate::collections::{Map, Set};
use crate::consumer::TopicPartition;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Answered, Api, Head, Lane, Question};

/// A topic that was just created may be unknown to some broker for a moment: only then is it an error.
const BECOMES_KNOWN_WITHIN: Duration = Duration::from_secs(1);

/// Who is responsible for an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Whoever answers.
    Any,
    /// The controller; with KRaft any broker, which passes it on.
    Controller,
    /// This broker.
    Node(i32),
    /// The leader of the partition.
    Leader(TopicPartition),
    /// The coordinator of a group or transactional id.
    Coordinator(CoordinatorKind, String),
}

/// Where a request of this round goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Any,
    Node(i32),
}

/// A call about several items, which have numbers here instead of types: what waits, retries and routes exists once for all
/// operations.
pub(super) struct Drive<'a> {
    /// Its name, for errors.
    pub(super) doing: &'static str,
    /// How many items there are.
    pub(super) count: usize,
    /// What an item is called in errors.
    pub(super) name: &'a (dyn Fn(usize) -> String + Sync),
    /// Where each goes.
    pub(super) route: &'a (dyn Fn(usize) -> Route + Sync),
    /// A request holds one item only.
    pub(super) single: bool,
    /// The API that is asked.
    pub(super) api: Api,
    /// No version above it: newer ones name topics by ids only.
    pub(super) cap: i16,
    /// Its time limit; none: `default.api.timeout.ms`.
    pub(super) timeout: Option<Duration>,
    /// Writes the request about these items; the number is the `timeout_ms` for the broker.
    pub(super) write: &'a Write<'a>,
    /// Reads the answer about these items and keeps the values; fails when the response does as a whole. One verdict for each
    /// of the items.
    pub(super) read: &'a Read<'a>,
}

/// See [`Drive::write`].
pub(super) type Write<'a> = dyn Fn(Head<'_>, &[usize], i32) -> Result<Segments> + Sync + 'a;

/// See [`Drive::read`].
pub(super) type Read<'a> = dyn Fn(&[usize], Answered) -> Result<Vec<Verdict>> + Sync + 'a;

/// What a response says of an item.
pub(super) enum Verdict {
    /// Nothing.
    LeftOut,
    /// The value was kept.
    Done,
    /// It failed, with the broker's text if there is one.
    Failed(ErrorCode, Option<String>),
}

impl Admin {
    /// Asks about all items, and again about those that must wait or went to the wrong broker. One result for each.
    pub(super) async fn drive(&self, call: &Drive<'_>) -> Result<Vec<Result<()>>> {
        let begun = Instant::now();
        let mut attempts = self.start(call.doing, call.timeout);
        let mut results: Vec<Option<Result<()>>> = (0..call.count).map(|_| None).collect();
        loop {
            let pending: Vec<usize> = (0..results.len()).filter(|index| results[*index].is_none()).collect();
            if pending.is_empty() {
                break;
            }
            let untouched = pending.len() == results.len();
            let mut round = Round { again: None, results: &mut results };
            let requests = match attempts.limit(self.places(call, &pending, begun)).await {
                Ok(Ok((requests, failed))) => {
                    failed.into_iter().for_each(|(index, error, again)| round.failed(&[index], &error, again));
                    requests
                }
                Ok(Err(error)) | Err(error) => {
                    round.failed(&pending, &error, error.retriable());
                    Vec::new()
                }
            };
            let (left, timeout_ms) = (attempts.left(), attempts.left_ms());
            let asked = requests.iter().map(|(place, indices)| async move {
                let write = |head: Head<'_>| (call.write)(head, indices, timeout_ms);
                let question = Question { api: call.api, cap: call.cap, write: &write };
                self.ask_at(*place, &question, left).await
            });
            let told = join_all(asked).await;
            let mut refused = None;
            for ((place, indices), answered) in requests.iter().zip(told) {
                match answered.and_then(|answered| (call.read)(indices, answered)) {
                    Ok(verdicts) => {
                        if round.settle(call, indices, verdicts, begun) {
                            self.forget(call, *place, indices);
                        }
                    }
                    Err(error) => {
                        if error.retriable() {
                            self.forget(call, *place, indices);
                        } else if error.broker_code().is_none() {
                            refused = Some(error.clone());
                        }
                        round.failed(indices, &error, error.retriable());
                    }
                }
            }
            // Not of the items: the request could not be made, or not for this broker.
            if let Some(error) = refused.filter(|_| untouched && requests.len() == 1) {
                return Err(error.context(call.doing));
            }
            let Some(error) = round.again.take() else { continue };
            if let Err(error) = self.try_again(&mut attempts, call, error).await {
                if results.iter().all(Option::is_none) {
                    return Err(error);
                }
                let missing = results.iter_mut().filter(|result| result.is_none());
                missing.for_each(|result| *result = Some(Err(error.clone())));
            }
        }
        Ok(results.into_iter().flatten().collect())
    }

    /// A call of its own for each item, all at once: one that must wait holds up no other.
    pub(super) async fn drive_apart(&self, call: &Drive<'_>) -> Vec<Result<()>> {
        let asked = (0..call.count).map(|index| async move {
            let one = Drive {
                count: 1,
                name: &|_| (call.name)(index),
                route: &|_| (call.route)(index),
                write: &|head, _, timeout_ms| (call.write)(head, &[index], timeout_ms),
                read: &|_, answered| (call.read)(&[index], answered),
                ..*call
            };
            let results = self.drive(&one).await?;
            results.into_iter().next().unwrap_or_else(|| Err(unanswered(call.doing)))
        });
        join_all(asked).await
    }

    /// The requests of a round: which items go where; and the items that cannot go anywhere.
    #[allow(clippy::type_complexity)]
    async fn places(
        &self,
        call: &Drive<'_>,
        pending: &[usize],
        begun: Instant,
    ) -> Result<(Vec<(Place, Vec<usize>)>, Vec<(usize, Error, bool)>)> {
        let routes: Vec<Route> = pending.iter().map(|index| (call.route)(*index)).collect();
        self.know_leaders(&routes).await?;
        let found = join_all(routes.iter().map(|route| self.place(route, begun))).await;
        let mut requests: Vec<(Place, Vec<usize>)> = Vec::new();
        let mut at: Map<Place, usize> = Map::default();
        let mut failed = Vec::new();
        for (index, place) in pending.iter().zip(found) {
            match place {
                Err((error, again)) => failed.push((*index, error, again)),
                Ok(place) if call.single => requests.push((place, vec![*index])),
                Ok(place) => {
                    let request = *at.entry(place).or_insert_with(|| {
                        requests.push((place, Vec::new()));
                        requests.len() - 1
                    });
                    requests[request].1.push(*index);
                }
            }
        }
        Ok((requests, failed))
    }

    /// Asks for the topics whose leaders are needed and not known.
    async fn know_leaders(&self, routes: &[Route]) -> Result<()> {
        let snapshot = self.client.metadata().snapshot();
        let unknown = |route: &Route| match route {
            Route::Leader(tp) if snapshot.leader(&tp.topic, tp.partition).is_none() => Some(tp.topic.clone()),
            _ => None,
        };
        let topics: Set<_> = routes.iter().filter_map(unknown).collect();
        if !topics.is_empty() {
            let topics: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
            self.client.metadata().refresh_topics(&topics).await?;
        }
        Ok(())
    }

    /// Where an item goes, or why nowhere and whether that may pass.
    async fn place(&self, route: &Route, begun: Instant) -> Result<Place, (Error, bool)> {
        let found = match route {
            Route::Any => Ok(Place::Any),
            Route::Node(node) => Ok(Place::Node(*node)),
            Route::Controller => self.controller().await.map(Place::Node),
            Route::Coordinator(kind, key) => self.client.coordinator(*kind, key).await.map(Place::Node),
            Route::Leader(tp) => {
                return self.leader(tp).map(Place::Node).map_err(|code| {
                    let again = passes(code, route, begun) || (code.is_retriable() && !known_by_now(code, begun));
                    (Error::broker(code, tp), again)
                });
            }
        };
        found.map_err(|error| {
            let again = error.retriable();
            (error, again)
        })
    }

    fn leader(&self, tp: &TopicPartition) -> Result<i32, ErrorCode> {
        let snapshot = self.client.metadata().snapshot();
        if let Some((leader, _)) = snapshot.leader(&tp.topic, tp.partition) {
            return Ok(leader);
        }
        let partitions = snapshot.topic(&tp.topic).map(|topic| topic.partitions.len());
        if partitions.is_some_and(|count| usize::try_from(tp.partition).is_ok_and(|p| p < count)) {
            return Err(ErrorCode::LEADER_NOT_AVAILABLE);
        }
        Err(snapshot.topic_error(&tp.topic).unwrap_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))
    }

    /// The node to send what is the controller's.
    pub(super) async fn controller(&self) -> Result<i32> {
        let metadata = self.client.metadata();
        let mut controller = metadata.snapshot().controller;
        if controller < 0 {
            controller = metadata.refresh().await?.controller;
        }
        if controller < 0 {
            return Err(Error::broker(ErrorCode::NOT_CONTROLLER, "the cluster names no controller"));
        }
        Ok(controller)
    }

    async fn ask_at(&self, at: Place, question: &Question<'_>, left: Duration) -> Result<Answered> {
        let answered = match at {
            Place::Any => self.client.ask_any(question, left).await,
            Place::Node(node) => self.client.ask(node, Lane::General, question, left).await,
        };
        answered.map_err(|error| explain(question.api.key, error))
    }

    /// The coordinators that were asked may be others now.
    fn forget(&self, call: &Drive<'_>, at: Place, indices: &[usize]) {
        let Place::Node(node) = at else { return };
        for index in indices {
            if let Route::Coordinator(kind, key) = (call.route)(*index) {
                self.client.forget_coordinator(kind, &key, node);
            }
        }
    }

    /// Waits a little before the next try and, where another broker may be responsible now, looks it up.
    async fn try_again(&self, attempts: &mut Attempts, call: &Drive<'_>, error: Error) -> Result<()> {
        let elsewhere = matches!(
            error.kind(),
            ErrorKind::Broker(
                ErrorCode::NOT_CONTROLLER
                    | ErrorCode::NOT_LEADER_OR_FOLLOWER
                    | ErrorCode::LEADER_NOT_AVAILABLE
                    | ErrorCode::FENCED_LEADER_EPOCH
                    | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            ) | ErrorKind::BrokerUnreachable
                | ErrorKind::Disconnected
        );
        // A controller that moved is answered at once by the next broker; the first failure is no reason to wait.
        attempts.pause(error).await?;
        if elsewhere {
            let routes = (0..call.count).map(|index| (call.route)(index));
            let topics = routes.filter_map(|route| match route {
                Route::Leader(tp) => Some(tp.topic),
                _ => None,
            });
            let topics: Set<_> = topics.collect();
            let topics: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
            // Should it fail, the next try fails alike and says why.
            let metadata = self.client.metadata();
            let _ = match topics.as_slice() {
                [] => attempts.limit(metadata.refresh()).await?,
                topics => attempts.limit(metadata.refresh_topics(topics)).await?,
            };
        }
        Ok(())
    }
}

/// Whether a topic that is not known would be known by now if it were there.
fn known_by_now(code: ErrorCode, begun: Instant) -> bool {
    code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION && begun.elapsed() >= BECOMES_KNOWN_WITHIN
}

/// Whether the same item may be answered otherwise in a moment.
fn passes(code: ErrorCode, route: &Route, begun: Instant) -> bool {
    match code {
        ErrorCode::NOT_CONTROLLER
        | ErrorCode::THROTTLING_QUOTA_EXCEEDED
        | ErrorCode::NOT_COORDINATOR
        | ErrorCode::COORDINATOR_NOT_AVAILABLE
        | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        | ErrorCode::UNSTABLE_OFFSET_COMMIT
        | ErrorCode::CONCURRENT_TRANSACTIONS
        | ErrorCode::NOT_LEADER_OR_FOLLOWER
        | ErrorCode::LEADER_NOT_AVAILABLE
        | ErrorCode::FENCED_LEADER_EPOCH
        | ErrorCode::UNKNOWN_LEADER_EPOCH
        | ErrorCode::OFFSET_NOT_AVAILABLE => true,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => matches!(route, Route::Leader(_)) && !known_by_now(code, begun),
        _ => false,
    }
}

/// What came of one round of requests.
struct Round<'a> {
    /// Why some must be asked for again.
    again: Option<Error>,
    results: &'a mut [Option<Result<()>>],
}

impl Round<'_> {
    /// These items were not answered.
    fn failed(&mut self, indices: &[usize], error: &Error, again: bool) {
        if again {
            self.again = Some(error.clone());
            return;
        }
        indices.iter().for_each(|index| self.results[*index] = Some(Err(error.clone())));
    }

    /// Takes over what was answered. Whether the coordinator may be another one.
    fn settle(&mut self, call: &Drive<'_>, indices: &[usize], verdicts: Vec<Verdict>, begun: Instant) -> bool {
        let mut moved = false;
        for (index, verdict) in indices.iter().zip(verdicts) {
            let what = || format!("{}: {}", call.doing, (call.name)(*index));
            let (code, message) = match verdict {
                Verdict::LeftOut => {
                    self.results[*index] = Some(Err(unanswered(&what())));
                    continue;
                }
                Verdict::Done => {
                    self.results[*index] = Some(Ok(()));
                    continue;
                }
                Verdict::Failed(code, message) => (code, message),
            };
            let error = Error::broker_with(code, what(), message.as_deref());
            if passes(code, &(call.route)(*index), begun) {
                moved |= matches!(code, ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE);
                self.again = Some(error);
            } else {
                self.results[*index] = Some(Err(error));
            }
        }
        moved
    }
}
