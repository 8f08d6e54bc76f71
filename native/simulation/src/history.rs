//! What happened in a run, as those saw it who took part: a plain list of events in virtual time, and the log as it is found in
//! the end. Nothing is judged here. Written by the workload and the faults, read by the checker.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dohle_client::producer::Persistence;
use parking_lot::Mutex;

use crate::world::hash;

/// One partition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub topic: &'static str,
    pub partition: i32,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A record of a producer: each `Producer` that is made has a number, and so has each record of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordId {
    pub writer: u32,
    pub n: u32,
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {}.{}", self.writer, self.n)
    }
}

/// How a transaction ended, as its producer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Committed,
    Aborted,
    /// Nobody told: the log knows.
    Unknown,
}

/// Something that happened. Readers are numbered as writers are: one number per `Consumer` that is made.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "who and why is there to be printed")]
pub enum What {
    /// A host of the application began to run.
    Started {
        host: &'static str,
    },
    /// It was killed.
    Killed {
        host: &'static str,
    },
    /// Its disk lost what was not synced.
    Forgotten {
        host: &'static str,
        bytes: u64,
        names: u64,
    },
    /// A fault began.
    Fault {
        kind: &'static str,
        detail: String,
    },
    /// All faults are over.
    Calm,
    WriterOpened {
        writer: u32,
        host: &'static str,
    },
    Sent {
        id: RecordId,
        transaction: Option<u32>,
    },
    Settled {
        id: RecordId,
        place: Place,
        offset: i64,
        persistence: Persistence,
        error: Option<String>,
    },
    TransactionEnded {
        writer: u32,
        transaction: u32,
        outcome: Outcome,
    },
    /// `group`: it is a member of the group.
    ReaderOpened {
        reader: u32,
        host: &'static str,
        group: bool,
        committed_only: bool,
    },
    /// A new generation, with all that the reader has in it.
    Joined {
        reader: u32,
        generation: i32,
        places: Vec<Place>,
    },
    Assigned {
        reader: u32,
        places: Vec<Place>,
    },
    /// Given up after the handshake.
    Revoked {
        reader: u32,
        places: Vec<Place>,
    },
    /// Taken away without one.
    Lost {
        reader: u32,
        places: Vec<Place>,
    },
    /// A record was yielded; `epoch` changes with the assignment and with each change of the position.
    Polled {
        reader: u32,
        epoch: u32,
        place: Place,
        offset: i64,
        id: Option<RecordId>,
    },
    Finished {
        reader: u32,
        place: Place,
        offset: i64,
    },
    /// The coordinator has acknowledged a commit.
    Committed {
        reader: u32,
        place: Place,
        offset: i64,
    },
    /// What the group has committed, as an outsider was told.
    Observed {
        place: Place,
        offset: i64,
    },
    ReaderClosed {
        reader: u32,
    },
    /// A host has closed all that it had; this is left.
    Left {
        host: &'static str,
        tasks: usize,
        sockets: usize,
        buffered: usize,
        instances: usize,
    },
    /// A task panicked.
    Panicked {
        host: &'static str,
        text: String,
    },
    /// Something was waited for in vain.
    Stuck {
        what: String,
    },
    /// For the reader of the history.
    Said {
        host: &'static str,
        text: String,
    },
}

/// An event and its virtual time.
#[derive(Clone, Debug)]
pub struct Event {
    pub at: Duration,
    pub what: What,
}

/// The growing list of a run. Clones are the same list.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<Event>>>);

impl What {
    /// It says that a record was acknowledged.
    pub fn acknowledges(&self) -> bool {
        matches!(self, Self::Settled { persistence: Persistence::Persisted, error: None, .. })
    }
}

impl Recorder {
    /// Records that were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.0.lock().iter().filter(|event| event.what.acknowledges()).count() as u64
    }

    /// Something happens now.
    pub fn note(&self, what: What) {
        self.0.lock().push(Event { at: now(), what });
    }

    /// Something happened at a time that is known to who is on no host.
    pub fn add(&self, at: Duration, what: What) {
        self.0.lock().push(Event { at, what });
    }

    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock())
    }
}

/// Virtual time since the beginning of the run.
pub fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

/// A record in the log.
#[derive(Clone, Debug)]
pub struct Entry {
    pub offset: i64,
    /// None of one whose bytes are not those that were sent.
    pub id: Option<RecordId>,
    /// The record that it was made of.
    pub source: Option<(Place, i64)>,
    /// It is no part of a transaction, or of one that was committed.
    pub committed: bool,
}

/// A partition as it is found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub entries: Vec<Entry>,
    /// Up to where transactions are decided, and the end.
    pub stable: i64,
    pub end: i64,
}

impl Found {
    /// One more than the last offset that a reader gets.
    pub fn visible_end(&self, committed_only: bool) -> i64 {
        let visible = self.entries.iter().rev().find(|entry| entry.committed || !committed_only);
        visible.map_or(0, |entry| entry.offset + 1)
    }
}

/// All partitions.
pub type Log = BTreeMap<Place, Found>;

/// A batch in a node's copy of a partition.
#[derive(Clone, PartialEq, Eq)]
pub struct Batch {
    pub first: i64,
    pub last: i64,
    pub epoch: i32,
    pub bytes: Bytes,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last, epoch, bytes } = self;
        write!(f, "{first}..={last} of epoch {epoch}, {} bytes, {:016x}", bytes.len(), hash(0, bytes))
    }
}

/// The committed batches of all copies, by node.
pub type Copies = BTreeMap<Place, BTreeMap<i32, Vec<Batch>>>;

/// What a run leaves to be judged.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    pub history: Vec<Event>,
    pub log: Log,
    /// Also of the internal topics.
    pub copies: Copies,
    /// The logs were on disks.
    pub on_disks: bool,
    /// How long a record may take to settle.
    pub delivery_timeout: Duration,
    /// Readers of the group get committed records only.
    pub group_committed_only: bool,
    /// The group commits its offsets in the transactions in which it writes what it makes of what it reads.
    pub exactly_once: bool,
}
