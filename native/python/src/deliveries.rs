//! Who asked for the fate of a record, until it is known. Records whose sender did not ask are only counted.

use std::collections::{HashMap, VecDeque};

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::core::Told;
use crate::message::Delivered;

/// A record whose sender asked: what it consists of, and who is to be told.
pub(crate) struct Asked {
    pub index: u32,
    /// A function, or a future when `awaited`.
    pub who: Py<PyAny>,
    pub awaited: bool,
    pub topic: Py<PyString>,
    pub key: Option<Py<PyAny>>,
    pub value: Option<Py<PyAny>>,
    pub headers: Option<Py<PyAny>>,
    pub timestamp: i64,
}

/// The fate of a run of records of one group.
#[derive(Clone)]
pub(crate) struct Fate {
    pub partition: i32,
    pub base_offset: i64,
    pub append_time: i64,
    pub first_index: u32,
    pub persistence: i32,
    pub failure: Option<String>,
}

/// A record whose fate is known and whose sender was not told yet.
pub(crate) struct Settled {
    pub who: Py<PyAny>,
    pub awaited: bool,
    pub message: Delivered,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Deliveries {
    groups: HashMap<u32, VecDeque<Asked>>,
    settled: VecDeque<Settled>,
    appended: u64,
    delivered: u64,
    /// Records that failed and whose sender did not ask, with the last one's failure.
    unheard: (u64, Option<String>),
    /// There is room again.
    pub space: bool,
}

impl Deliveries {
    /// A record was appended.
    pub fn appended(&mut self, group: u32, asked: Option<Asked>) {
        self.appended += 1;
        if let Some(asked) = asked {
            self.groups.entry(group).or_default().push_back(asked);
        }
    }

    /// Records without a fate.
    pub fn outstanding(&self) -> u64 {
        self.appended - self.delivered
    }

    /// Those that have one and whose senders are to be told of it, and those that have none.
    pub fn untold(&self) -> u64 {
        self.outstanding() + self.settled.len() as u64
    }

    pub fn next(&mut self) -> Option<Settled> {
        self.settled.pop_front()
    }

    /// Who is still to be told of something.
    pub fn senders(&self) -> impl Iterator<Item = &Py<PyAny>> {
        self.groups.values().flatten().map(|one| &one.who).chain(self.settled.iter().map(|one| &one.who))
    }

    /// Nobody is told any more; what that leaves, to be dropped outside of locks.
    pub fn forget(&mut self) -> impl Sized + use<> {
        (std::mem::take(&mut self.groups), std::mem::take(&mut self.settled))
    }

    /// Failures that nobody asked about, since the last call.
    pub fn unheard(&mut self) -> Option<(u64, String)> {
        let (count, failure) = std::mem::take(&mut self.unheard);
        Some((count, failure?))
    }

    /// The engine tells the fate of a run of records.
    pub fn settle(&mut self, told: Told) {
        let (group, first, count) = (told.word(2) as u32, told.word(3) as u32, told.word(4) as u32);
        self.delivered += u64::from(count);
        let asked = self.groups.get_mut(&group);
        let (mut from, mut to) = (0, 0);
        if let Some(asked) = &asked {
            from = asked.partition_point(|one| one.index < first);
            to = asked.partition_point(|one| one.index < first + count);
        }
        let silent = u64::from(count) - (to - from) as u64;
        let fate = Fate {
            partition: told.word(5),
            persistence: told.word(6),
            base_offset: told.long(8),
            append_time: told.long(10),
            first_index: first,
            failure: told.text,
        };
        if let (1.., Some(failure)) = (silent, &fate.failure) {
            self.unheard = (self.unheard.0 + silent, Some(failure.clone()));
        }
        let Some(asked) = asked else { return };
        self.settled.extend(asked.drain(from..to).map(|one| Settled {
            awaited: one.awaited,
            message: Delivered {
                topic: one.topic,
                partition: fate.partition,
                offset: match fate.base_offset {
                    base if base >= 0 && fate.failure.is_none() => base + i64::from(one.index - fate.first_index),
                    _ => -1001,
                },
                timestamp: if fate.append_time >= 0 { fate.append_time } else { one.timestamp },
                append_time: fate.append_time >= 0,
                key: one.key,
                value: one.value,
                headers: one.headers,
                failure: fate.failure.clone().map(|text| (text, fate.persistence)),
            },
            who: one.who,
        }));
        if asked.is_empty() {
            self.groups.remove(&group);
        }
    }
}
