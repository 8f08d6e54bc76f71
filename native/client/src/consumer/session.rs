//! A fetch session with one broker (KIP-227): after one full request only what changes is said, in both directions.
//! No I/O and no positions of its own: the fetcher says what it wants, this says what must be written for it.
//! Driven by one fetch at a time.

use std::sync::Arc;

use dohle_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use dohle_protocol::messages::{FetchRequest, FetchResponse};
use dohle_protocol::{ErrorCode, Uuid};

use crate::collections::{Map, Set};

use super::handover::{Position, TopicPartition};

/// The first version that names topics by id only.
pub(crate) const TOPIC_IDS: i16 = 13;
/// Epoch of a request that begins a session (and ends the one whose id it carries).
const INITIAL: i32 = 0;
/// Epoch of a request that ends a session.
const FINAL: i32 = -1;
/// An offset that no request asks for.
const UNSAID: i64 = i64::MIN;

/// A partition that is to be fetched now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub tp: TopicPartition,
    /// Zero where the broker has none.
    pub topic_id: Uuid,
    /// The partition's epoch in the subscription: what comes is delivered under it.
    pub epoch: u32,
    pub from: Position,
    /// The leader's epoch as far as we know, else −1.
    pub leader_epoch: i32,
}

/// What the broker remembers of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    topic_id: Uuid,
    offset: i64,
    leader_epoch: i32,
}

/// One broker's session.
#[derive(Debug, Default)]
pub(crate) struct Session {
    id: i32,
    epoch: i32,
    by_id: bool,
    known: Map<TopicPartition, Known>,
    names: Map<Uuid, Arc<str>>,
    /// What the request under way asked for and the response has not yet answered.
    asked: Map<TopicPartition, Wanted>,
}

/// What a response means for the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Its partitions can be read.
    Good,
    /// The broker has forgotten the session: ask again, in full.
    Lost,
    /// The request as a whole failed.
    Failed(ErrorCode),
}

impl Session {
    /// Fills in the session's part of a request for exactly these partitions.
    pub fn ask(&mut self, wanted: Vec<Wanted>, version: i16, partition_max_bytes: i32, request: &mut FetchRequest) {
        let by_id = version >= TOPIC_IDS;
        if by_id != self.by_id {
            self.epoch = INITIAL;
            self.by_id = by_id;
        }
        if self.epoch == INITIAL {
            self.known.clear();
        }
        self.asked.clear();
        self.names.clear();
        let mut changed = Vec::new();
        for wanted in wanted {
            let now =
                Known { topic_id: wanted.topic_id, offset: wanted.from.offset, leader_epoch: wanted.leader_epoch };
            match self.known.insert(wanted.tp.clone(), now) {
                Some(before) if before == now => {}
                Some(before) if before.topic_id != now.topic_id => {
                    // Created anew under the same name: for the broker a different partition.
                    forget(&mut request.forgotten_topics_data, &wanted.tp, before.topic_id);
                    changed.push(wanted.clone());
                }
                _ => changed.push(wanted.clone()),
            }
            self.names.insert(wanted.topic_id, wanted.tp.topic.clone());
            self.asked.insert(wanted.tp.clone(), wanted);
        }
        let asked = &self.asked;
        self.known.retain(|tp, known| {
            let stays = asked.contains_key(tp);
            if !stays {
                forget(&mut request.forgotten_topics_data, tp, known.topic_id);
            }
            stays
        });
        request.session_id = self.id;
        request.session_epoch = self.epoch;
        request.topics = topics(changed, partition_max_bytes);
    }

    /// Takes note of a response's head.
    pub fn accept(&mut self, response: &FetchResponse) -> Verdict {
        let full = self.epoch == INITIAL;
        let error = ErrorCode(response.error_code);
        match error {
            ErrorCode::NONE if response.session_id == 0 => self.end(),
            ErrorCode::NONE if full || response.session_id == self.id => {
                self.id = response.session_id;
                // Epochs run from 1 to the largest number and start again at 1.
                self.epoch = self.epoch.checked_add(1).unwrap_or(1);
            }
            // An answer for another session: whatever it is, ours is not what we think.
            ErrorCode::NONE => self.end(),
            ErrorCode::FETCH_SESSION_ID_NOT_FOUND => self.end(),
            _ => self.epoch = INITIAL,
        }
        match error {
            ErrorCode::NONE => Verdict::Good,
            ErrorCode::FETCH_SESSION_ID_NOT_FOUND
            | ErrorCode::INVALID_FETCH_SESSION_EPOCH
            | ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR
                if !full =>
            {
                Verdict::Lost
            }
            error => Verdict::Failed(error),
        }
    }

    /// What was asked about a partition of the response: once, and nothing for one that was not asked for.
    pub fn answered(&mut self, topic: &str, topic_id: Uuid, partition: i32) -> Option<Wanted> {
        let topic = if self.by_id { self.names.get(&topic_id)?.clone() } else { Arc::from(topic) };
        self.asked.remove(&TopicPartition { topic, partition })
    }

    /// What the broker did with a partition makes one doubt that it remembers what we said (bits flip, and nothing but the
    /// records has a checksum): the next request says it again.
    pub fn doubt(&mut self, tp: &TopicPartition) {
        if let Some(known) = self.known.get_mut(tp) {
            known.offset = UNSAID;
        }
    }

    /// The response has been read. A full one that left partitions out did not begin the session we think it did.
    pub fn settle(&mut self, full: bool) {
        if full && !self.asked.is_empty() {
            self.epoch = INITIAL;
        }
        self.asked.clear();
    }

    /// The next request says everything anew, in a session of its own: what a broker has forgotten of one by mistake, it
    /// never mentions again.
    pub fn renew(&mut self) {
        self.epoch = INITIAL;
    }

    /// Whether the next request is a full one.
    pub fn is_full(&self) -> bool {
        self.epoch == INITIAL
    }

    /// No response came: what the broker knows now is unknown. The next request ends the session and begins another.
    pub fn lost(&mut self) {
        self.epoch = INITIAL;
        self.asked.clear();
    }

    /// Makes a request that ends the session, if there is one.
    pub fn farewell(&self) -> Option<FetchRequest> {
        (self.id != 0).then(|| FetchRequest {
            session_id: self.id,
            session_epoch: FINAL,
            max_wait_ms: 0,
            min_bytes: 0,
            ..FetchRequest::default()
        })
    }

    fn end(&mut self) {
        self.id = 0;
        self.epoch = INITIAL;
    }
}

fn forget(list: &mut Vec<ForgottenTopic>, tp: &TopicPartition, topic_id: Uuid) {
    match list.iter_mut().find(|topic| topic.topic_id == topic_id && *topic.topic == *tp.topic) {
        Some(topic) => topic.partitions.push(tp.partition),
        None => list.push(ForgottenTopic {
            topic: tp.topic.to_string(),
            topic_id,
            partitions: vec![tp.partition],
            ..ForgottenTopic::default()
        }),
    }
}

fn topics(wanted: Vec<Wanted>, partition_max_bytes: i32) -> Vec<FetchTopic> {
    let mut topics: Vec<FetchTopic> = Vec::new();
    let mut places: Map<Arc<str>, usize> = Map::default();
    for wanted in wanted {
        let place = *places.entry(wanted.tp.topic.clone()).or_insert_with(|| {
            topics.push(FetchTopic {
                topic: wanted.tp.topic.to_string(),
                topic_id: wanted.topic_id,
                ..FetchTopic::default()
            });
            topics.len() - 1
        });
        topics[place].partitions.push(FetchPartition {
            partition: wanted.tp.partition,
            current_leader_epoch: wanted.leader_epoch,
            fetch_offset: wanted.from.offset,
            partition_max_bytes,
            ..FetchPartition::default()
        });
    }
    topics
}

/// Whether all of these can be asked for by id.
pub(crate) fn all_have_ids(wanted: &[Wanted]) -> bool {
    let ids: Set<Uuid> = wanted.iter().map(|wanted| wanted.topic_id).collect();
    !ids.contains(&Uuid::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid([7; 16]);

    fn want(topic: &str, partition: i32, offset: i64) -> Wanted {
        Wanted {
            tp: TopicPartition::new(topic, partition),
            topic_id: ID,
            epoch: 1,
            from: Position::at(offset),
            leader_epoch: 3,
        }
    }

    fn ask(session: &mut Session, wanted: &[Wanted]) -> (i32, i32, Vec<(i32, i64)>, Vec<i32>) {
        let mut request = FetchRequest::default();
        session.ask(wanted.to_vec(), 13, 100, &mut request);
        let asked = request.topics.iter().flat_map(|topic| &topic.partitions);
        (
            request.session_id,
            request.session_epoch,
            asked.map(|partition| (partition.partition, partition.fetch_offset)).collect(),
            request.forgotten_topics_data.iter().flat_map(|topic| topic.partitions.clone()).collect(),
        )
    }

    fn answer(session_id: i32, error: ErrorCode) -> FetchResponse {
        FetchResponse { session_id, error_code: error.0, ..FetchResponse::default() }
    }

    fn established(session: &mut Session, wanted: &[Wanted]) {
        ask(session, wanted);
        assert_eq!(session.accept(&answer(5, ErrorCode::NONE)), Verdict::Good);
        for wanted in wanted {
            assert_eq!(session.answered("", ID, wanted.tp.partition).as_ref(), Some(wanted));
        }
        session.settle(true);
    }

    #[test]
    fn after_a_full_request_only_changes_are_said() {
        let mut session = Session::default();
        assert_eq!(ask(&mut session, &[want("t", 0, 1), want("t", 1, 1)]), (0, 0, vec![(0, 1), (1, 1)], vec![]));
        established(&mut session, &[want("t", 0, 1), want("t", 1, 1)]);
        let next = [want("t", 0, 9), want("t", 1, 1)];
        assert_eq!(ask(&mut session, &next), (5, 1, vec![(0, 9)], vec![]));
        session.accept(&answer(5, ErrorCode::NONE));
        assert_eq!(session.answered("", ID, 1).unwrap().from.offset, 1, "unchanged ones are answered too");
        assert_eq!(session.answered("", ID, 1), None, "once");
        assert_eq!(session.answered("", ID, 2), None, "never asked for");
        session.settle(false);
        assert_eq!(ask(&mut session, &[want("t", 1, 1)]), (5, 2, vec![], vec![0]), "forgotten");
        assert_eq!(session.farewell().map(|request| (request.session_id, request.session_epoch)), Some((5, -1)));
    }

    #[test]
    fn what_is_doubted_is_said_again_though_nothing_changed() {
        let mut session = Session::default();
        let wanted = [want("t", 0, 1), want("t", 1, 1)];
        established(&mut session, &wanted);
        assert_eq!(ask(&mut session, &wanted), (5, 1, vec![], vec![]));
        session.accept(&answer(5, ErrorCode::NONE));
        session.doubt(&wanted[1].tp);
        session.settle(false);
        assert_eq!(ask(&mut session, &wanted), (5, 2, vec![(1, 1)], vec![]));
    }

    #[test]
    fn a_topic_created_anew_is_forgotten_and_asked_for() {
        let mut session = Session::default();
        established(&mut session, &[want("t", 0, 1)]);
        let anew = Wanted { topic_id: Uuid([8; 16]), ..want("t", 0, 1) };
        assert_eq!(ask(&mut session, &[anew]), (5, 1, vec![(0, 1)], vec![0]));
    }

    #[test]
    fn session_errors_begin_anew() {
        for (error, id) in [
            (ErrorCode::FETCH_SESSION_ID_NOT_FOUND, 0),
            (ErrorCode::INVALID_FETCH_SESSION_EPOCH, 5),
            (ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR, 5),
        ] {
            let mut session = Session::default();
            established(&mut session, &[want("t", 0, 1)]);
            ask(&mut session, &[want("t", 0, 2)]);
            assert_eq!(session.accept(&answer(0, error)), Verdict::Lost);
            assert_eq!(ask(&mut session, &[want("t", 0, 2)]), (id, 0, vec![(0, 2)], vec![]));
            assert_eq!(session.accept(&answer(0, error)), Verdict::Failed(error), "a full request cannot be lost");
        }
    }

    #[test]
    fn without_a_session_each_request_is_full() {
        let mut session = Session::default();
        for _ in 0..3 {
            assert_eq!(ask(&mut session, &[want("t", 0, 1)]), (0, 0, vec![(0, 1)], vec![]));
            assert_eq!(session.accept(&answer(0, ErrorCode::NONE)), Verdict::Good);
        }
        assert_eq!(session.farewell(), None);
    }

    #[test]
    fn a_lost_connection_ends_the_session_with_the_next_request() {
        let mut session = Session::default();
        established(&mut session, &[want("t", 0, 1)]);
        ask(&mut session, &[want("t", 0, 2)]);
        session.lost();
        assert_eq!(ask(&mut session, &[want("t", 0, 2)]), (5, 0, vec![(0, 2)], vec![]));
        assert_eq!(session.accept(&answer(6, ErrorCode::NONE)), Verdict::Good);
        session.answered("", ID, 0);
        session.settle(true);
        assert_eq!(ask(&mut session, &[want("t", 0, 3)]).0, 6);
    }

    #[test]
    fn a_full_response_that_leaves_partitions_out_is_asked_for_again_in_full() {
        let mut session = Session::default();
        ask(&mut session, &[want("t", 0, 1), want("t", 1, 1)]);
        session.accept(&answer(5, ErrorCode::NONE));
        session.answered("", ID, 0);
        session.settle(true);
        assert!(session.is_full());
    }

    #[test]
    fn names_and_ids_do_not_share_a_session() {
        let mut session = Session::default();
        established(&mut session, &[want("t", 0, 1)]);
        let mut request = FetchRequest::default();
        session.ask(vec![want("t", 0, 1)], 12, 100, &mut request);
        assert_eq!((request.session_id, request.session_epoch, request.topics.len()), (5, 0, 1));
        session.accept(&answer(6, ErrorCode::NONE));
        assert!(session.answered("t", Uuid::ZERO, 0).is_some());
    }

    #[test]
    fn session_epochs_wrap_to_one() {
        let mut session = Session::default();
        established(&mut session, &[want("t", 0, 1)]);
        session.epoch = i32::MAX;
        ask(&mut session, &[want("t", 0, 1)]);
        session.accept(&answer(5, ErrorCode::NONE));
        assert_eq!(session.epoch, 1);
    }
}
