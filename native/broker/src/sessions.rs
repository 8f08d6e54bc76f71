//! Fetch sessions (KIP-227): what each fetching client reads, so that it need not repeat it and is told only changes.
//! A session is found by its id from any connection, and belongs to the client that got the id.
//! Driven by the Fetch API.

use std::{collections::VecDeque, sync::Arc};

use dohle_protocol::{ErrorCode, Uuid};
use parking_lot::Mutex;

use crate::collections::{Map, Set};

/// `max.incremental.fetch.session.cache.slots`.
const MAX_SESSIONS: usize = 1000;

/// No session.
pub(crate) const NO_SESSION: i32 = 0;
/// Epoch of a request that asks for a new session.
const INITIAL_EPOCH: i32 = 0;
/// Epoch of a request that ends its session, or wants none.
const FINAL_EPOCH: i32 = -1;

/// How a request names a topic: by name up to version 12, by id from version 13.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TopicKey {
    Name(Arc<str>),
    Id([u8; 16]),
}

/// A partition as a request names it.
pub(crate) type Key = (TopicKey, i32);

/// What is asked of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    pub offset: i64,
    pub max_bytes: i32,
    pub leader_epoch: i32,
}

/// What a client was last told of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub high_watermark: i64,
    pub start_offset: i64,
}

/// What one fetch asks for, in order, and how to answer it.
pub(crate) struct Context {
    pub session_id: i32,
    /// The session, when this is an answer of changes only.
    pub incremental: bool,
    pub wants: Vec<(Key, Want)>,
    session: Option<Arc<Mutex<Session>>>,
}

/// The fetch sessions of the node.
#[derive(Default)]
pub(crate) struct Sessions {
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    by_id: Map<i32, Arc<Mutex<Session>>>,
    /// Ids by last use, the longest unused first; may hold ids more than once, the last place counts.
    used: VecDeque<i32>,
}

struct Session {
    epoch: i32,
    by_id: bool,
    /// Partitions in the order in which they are read: those that had data go to the end.
    order: Vec<Key>,
    partitions: Map<Key, (Want, Option<Told>)>,
}

impl Sessions {
    /// Finds out what a request asks for. `random` makes the id of a new session.
    pub fn context(
        &self,
        (session_id, epoch): (i32, i32),
        asked: Vec<(Key, Want)>,
        forgotten: Vec<Key>,
        by_id: bool,
        random: impl FnMut() -> u64,
    ) -> Result<Context, ErrorCode> {
        if epoch == INITIAL_EPOCH || epoch == FINAL_EPOCH {
            self.close(session_id);
            let session = (epoch == INITIAL_EPOCH && !asked.is_empty()).then(|| Session::new(&asked, by_id));
            let (session_id, session) = session.map(|session| self.open(session, random)).unzip();
            let session_id = session_id.unwrap_or(NO_SESSION);
            return Ok(Context { session_id, incremental: false, wants: asked, session });
        }
        let session = self.find(session_id).ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        let mut locked = session.lock();
        if locked.epoch != epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        if locked.by_id != by_id {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        locked.update(asked, forgotten);
        locked.epoch = if epoch == i32::MAX { 1 } else { epoch + 1 };
        let wants = locked.wants();
        drop(locked);
        if wants.is_empty() {
            self.close(session_id);
            return Ok(Context { session_id: NO_SESSION, incremental: false, wants, session: None });
        }
        Ok(Context { session_id, incremental: true, wants, session: Some(session) })
    }

    /// The partitions of a session, for fault rules.
    pub fn partitions(&self, session_id: i32) -> Vec<Key> {
        let session = self.open.lock().by_id.get(&session_id).cloned();
        session.map_or(Vec::new(), |session| session.lock().order.clone())
    }

    fn find(&self, session_id: i32) -> Option<Arc<Mutex<Session>>> {
        let mut open = self.open.lock();
        let session = open.by_id.get(&session_id).cloned()?;
        open.touch(session_id);
        Some(session)
    }

    fn open(&self, session: Session, mut random: impl FnMut() -> u64) -> (i32, Arc<Mutex<Session>>) {
        let mut open = self.open.lock();
        let id = loop {
            let id = (random() & 0x7fff_ffff) as i32;
            if id != NO_SESSION && !open.by_id.contains_key(&id) {
                break id;
            }
        };
        while open.by_id.len() >= MAX_SESSIONS {
            let Some(oldest) = open.used.pop_front() else { break };
            if !open.used.contains(&oldest) {
                open.by_id.remove(&oldest);
            }
        }
        let session = Arc::new(Mutex::new(session));
        open.by_id.insert(id, session.clone());
        open.touch(id);
        (id, session)
    }

    fn close(&self, session_id: i32) {
        if session_id != NO_SESSION {
            self.open.lock().by_id.remove(&session_id);
        }
    }
}

impl Open {
    fn touch(&mut self, id: i32) {
        if self.used.back() == Some(&id) {
            return;
        }
        self.used.push_back(id);
        if self.used.len() > 4 * MAX_SESSIONS {
            let mut seen = Set::default();
            let kept: Vec<i32> = self.used.iter().rev().copied().filter(|id| seen.insert(*id)).collect();
            self.used = kept.into_iter().rev().filter(|id| self.by_id.contains_key(id)).collect();
        }
    }
}

impl Session {
    fn new(asked: &[(Key, Want)], by_id: bool) -> Self {
        let mut session = Self { epoch: 1, by_id, order: Vec::new(), partitions: Map::default() };
        session.update(asked.to_vec(), Vec::new());
        session
    }

    fn update(&mut self, asked: Vec<(Key, Want)>, forgotten: Vec<Key>) {
        for (key, want) in asked {
            match self.partitions.get_mut(&key) {
                Some((known, _)) => *known = want,
                None => {
                    self.order.push(key.clone());
                    self.partitions.insert(key, (want, None));
                }
            }
        }
        if !forgotten.is_empty() {
            for key in &forgotten {
                self.partitions.remove(key);
            }
            self.order.retain(|key| self.partitions.contains_key(key));
        }
    }

    fn wants(&self) -> Vec<(Key, Want)> {
        self.order.iter().map(|key| (key.clone(), self.partitions[key].0)).collect()
    }
}

impl Context {
    /// Remembers what the answer tells. Of an incremental answer, keeps only what is worth telling; the partitions
    /// with data are read last the next time.
    pub fn retain<T>(&self, parts: &mut Vec<(Key, T)>, tell: impl Fn(&T) -> Tell) {
        let Some(session) = &self.session else { return };
        let mut session = session.lock();
        let mut with_data = Set::default();
        parts.retain(|(key, part)| {
            let tell = tell(part);
            let news = session.partitions.get_mut(key).is_none_or(|(_, told)| {
                let news = tell.error || tell.data || *told != Some(tell.told);
                *told = (!tell.error).then_some(tell.told);
                news
            });
            if tell.data {
                with_data.insert(key.clone());
            }
            news || !self.incremental
        });
        if !with_data.is_empty() {
            let (last, first) = std::mem::take(&mut session.order).into_iter().partition(|key| with_data.contains(key));
            session.order = first;
            let mut last: Vec<Key> = last;
            session.order.append(&mut last);
        }
    }
}

/// What an answer says of one partition.
pub(crate) struct Tell {
    pub error: bool,
    pub data: bool,
    pub told: Told,
}

impl TopicKey {
    pub fn id(&self) -> Uuid {
        match self {
            Self::Name(_) => Uuid([0; 16]),
            Self::Id(id) => Uuid(*id),
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Id(_) => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(partition: i32) -> Key {
        (TopicKey::Name("t".into()), partition)
    }

    fn want(offset: i64) -> Want {
        Want { offset, max_bytes: 100, leader_epoch: -1 }
    }

    fn tell(high_watermark: i64, data: bool) -> Tell {
        Tell { error: false, data, told: Told { high_watermark, start_offset: 0 } }
    }

    fn full(sessions: &Sessions, partitions: i32) -> Context {
        let asked = (0..partitions).map(|n| (key(n), want(0))).collect();
        let mut next = 7;
        let random = || {
            next += 1;
            next
        };
        sessions.context((NO_SESSION, INITIAL_EPOCH), asked, Vec::new(), false, random).unwrap()
    }

    fn next(sessions: &Sessions, id: i32, epoch: i32) -> Result<Context, ErrorCode> {
        sessions.context((id, epoch), Vec::new(), Vec::new(), false, || 0)
    }

    #[test]
    fn an_incremental_answer_has_only_what_changed_and_data_goes_last_next_time() {
        let sessions = Sessions::default();
        let first = full(&sessions, 3);
        let mut parts: Vec<(Key, (i64, bool))> = (0..3).map(|n| (key(n), (5, n == 0))).collect();
        first.retain(&mut parts, |(hw, data)| tell(*hw, *data));
        assert_eq!(parts.len(), 3, "a full answer has everything");
        let second = next(&sessions, first.session_id, 1).unwrap();
        let order: Vec<i32> = second.wants.iter().map(|((_, partition), _)| *partition).collect();
        assert_eq!(order, [1, 2, 0]);
        let mut parts: Vec<(Key, (i64, bool))> = vec![(key(1), (5, false)), (key(2), (6, false)), (key(0), (5, false))];
        second.retain(&mut parts, |(hw, data)| tell(*hw, *data));
        assert_eq!(parts, [(key(2), (6, false))]);
    }

    #[test]
    fn epochs_count_and_unknown_sessions_are_told_so() {
        let sessions = Sessions::default();
        let id = full(&sessions, 1).session_id;
        assert!(next(&sessions, id, 1).is_ok());
        assert_eq!(next(&sessions, id, 1).err(), Some(ErrorCode::INVALID_FETCH_SESSION_EPOCH));
        assert!(next(&sessions, id, 2).is_ok());
        assert_eq!(next(&sessions, 99, 1).err(), Some(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
        let ended = next(&sessions, id, FINAL_EPOCH).unwrap();
        assert_eq!(ended.session_id, NO_SESSION);
        assert_eq!(next(&sessions, id, 3).err(), Some(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
    }

    #[test]
    fn forgotten_partitions_go_and_an_empty_session_ends() {
        let sessions = Sessions::default();
        let id = full(&sessions, 2).session_id;
        let one = sessions.context((id, 1), Vec::new(), vec![key(0)], false, || 0).unwrap();
        assert_eq!(one.wants, [(key(1), want(0))]);
        let none = sessions.context((id, 2), Vec::new(), vec![key(1)], false, || 0).unwrap();
        assert_eq!((none.session_id, none.wants.len()), (NO_SESSION, 0));
    }

    #[test]
    fn the_longest_unused_session_makes_room() {
        let sessions = Sessions::default();
        let asked = || vec![(key(0), want(0))];
        let mut n = 0;
        let ids: Vec<i32> = (0..=MAX_SESSIONS)
            .map(|_| {
                let random = || {
                    n += 1;
                    n
                };
                sessions.context((NO_SESSION, INITIAL_EPOCH), asked(), Vec::new(), false, random).unwrap().session_id
            })
            .collect();
        assert_eq!(next(&sessions, ids[0], 1).err(), Some(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
        assert!(next(&sessions, ids[1], 1).is_ok());
    }
}
