//! Topics and partitions as the append path sees them.
//! Not the sender's view: leaders, sequences and requests are `sender::part`. Created by name on first use; the sender adds
//! partitions when metadata comes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;

use super::TopicId;
use super::batch::{FIRST_STEP, OpenBatch};
use super::grow::Grow;
use super::partitioner::{Load, Memo};
use super::waiting_room::WaitingRoom;

pub(crate) struct Topic {
    pub id: TopicId,
    pub name: Arc<str>,
    /// Every partition ever known.
    pub partitions: Grow<Arc<Partition>>,
    /// How many of them records may go to; 0 while the metadata is unknown. Changed under the waiting room's lock, after
    /// the room was emptied: nobody overtakes who waits there.
    pub count: AtomicU32,
    pub memo: Memo,
    pub room: Mutex<WaitingRoom>,
}

pub(crate) struct Partition {
    pub topic: Arc<str>,
    pub index: i32,
    /// Its place in the sender's list.
    pub slot: u32,
    pub led: AtomicBool,
    /// Full batches that wait.
    pub backlog: AtomicU32,
    pub queue: Mutex<Queue>,
}

/// What was appended and not yet taken over by the sender.
pub(crate) struct Queue {
    pub open: Option<OpenBatch>,
    /// Full, oldest first; all of them before `open`.
    pub full: VecDeque<OpenBatch>,
    /// The sender knows that there is something here.
    pub listed: bool,
    pub closed: bool,
    /// Bytes a batch may have: `batch.size`, or less once the broker has refused a batch for its size.
    pub limit: usize,
    /// Bytes that batches had lately.
    pub usual: usize,
}

impl Topic {
    pub fn new(id: TopicId, name: Arc<str>, seed: u64) -> Self {
        Self { id, name, partitions: Grow::new(), count: 0.into(), memo: Memo::new(seed), room: Mutex::default() }
    }

    pub fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }
}

impl Queue {
    /// Takes the open batch, and remembers its size for the next one.
    pub fn take_open(&mut self) -> Option<OpenBatch> {
        let open = self.open.take()?;
        self.usual = ((self.usual + open.builder.len()) / 2).clamp(FIRST_STEP.min(self.limit), self.limit);
        Some(open)
    }
}

impl Load for Topic {
    fn load(&self, partition: u32) -> (bool, u32) {
        self.partitions
            .get(partition)
            .map_or((false, 0), |p| (p.led.load(Ordering::Relaxed), p.backlog.load(Ordering::Relaxed)))
    }
}

impl Partition {
    pub fn new(topic: Arc<str>, index: i32, slot: u32, limit: usize, closed: bool) -> Self {
        let usual = FIRST_STEP.min(limit);
        let queue = Queue { open: None, full: VecDeque::new(), listed: false, closed, limit, usual };
        Self { topic, index, slot, led: true.into(), backlog: 0.into(), queue: Mutex::new(queue) }
    }
}
