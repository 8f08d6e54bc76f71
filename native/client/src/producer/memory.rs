//! `buffer.memory`: how many bytes of records may wait, and who is told when there is room again.
//! Not an allocator: buffers are ordinary ones, this counts them. Taken on the append path, given back by the sender.

use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering};

pub(crate) struct Memory {
    total: usize,
    /// May go below 0: records that leave a waiting room were accepted already, and are counted twice for a moment.
    free: AtomicIsize,
    /// Bytes that the last refused reservation asked for.
    wanted: AtomicUsize,
    waiting: AtomicBool,
    /// How often someone began to wait.
    waits: AtomicUsize,
}

impl Memory {
    pub fn new(total: usize) -> Self {
        Self {
            total,
            free: AtomicIsize::new(total as isize),
            wanted: AtomicUsize::new(0),
            waiting: AtomicBool::new(false),
            waits: AtomicUsize::new(0),
        }
    }

    pub fn total(&self) -> usize {
        self.total
    }

    pub fn used(&self) -> usize {
        (self.total as isize - self.free.load(Ordering::Relaxed)).max(0) as usize
    }

    /// Takes `ideal` bytes, or `least` if there are no more; 0 if not even these are left.
    pub fn take(&self, least: usize, ideal: usize) -> usize {
        let mut free = self.free.load(Ordering::Relaxed);
        loop {
            let bytes = if free >= ideal as isize { ideal } else { least };
            if free < bytes as isize {
                self.wanted.store(least, Ordering::SeqCst);
                return 0;
            }
            let left = free - bytes as isize;
            match self.free.compare_exchange_weak(free, left, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return bytes,
                Err(now) => free = now,
            }
        }
    }

    /// Takes bytes for records that were accepted before, whatever is left.
    pub fn take_anyway(&self, bytes: usize) {
        self.free.fetch_sub(bytes as isize, Ordering::Relaxed);
    }

    /// Gives bytes back. True if someone who waits for room must be told now.
    #[must_use]
    pub fn give(&self, bytes: usize) -> bool {
        self.free.fetch_add(bytes as isize, Ordering::SeqCst);
        self.due()
    }

    /// Someone waits for room. True if it is there already and must be told now.
    ///
    /// The order matters: an append that found no room and a batch that settles in between would otherwise miss each
    /// other, and nobody would ever tell. Here either `give` sees `waiting`, or this sees the bytes given.
    #[must_use]
    pub fn wait(&self) -> bool {
        self.waits.fetch_add(1, Ordering::SeqCst);
        self.waiting.store(true, Ordering::SeqCst);
        self.due()
    }

    /// Whether someone waits: batches do not linger then.
    pub fn awaited(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Grows each time that someone begins to wait.
    pub fn waits(&self) -> usize {
        self.waits.load(Ordering::SeqCst)
    }

    fn due(&self) -> bool {
        self.waiting.load(Ordering::SeqCst)
            && self.free.load(Ordering::SeqCst) >= self.wanted.load(Ordering::SeqCst) as isize
            && self.waiting.swap(false, Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_ideal_then_the_least_then_nothing() {
        let memory = Memory::new(100);
        assert_eq!(memory.take(10, 60), 60);
        assert_eq!(memory.take(10, 60), 10);
        assert_eq!(memory.take(40, 60), 0);
        assert_eq!(memory.used(), 70);
        assert!(!memory.give(70), "nobody waits");
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn tells_once_and_only_when_what_was_refused_fits() {
        let memory = Memory::new(100);
        assert_eq!(memory.take(90, 90), 90);
        assert_eq!(memory.take(50, 80), 0);
        assert!(!memory.wait());
        assert!(!memory.give(30), "40 of 50 are free");
        assert!(memory.give(30));
        assert!(!memory.give(30), "told already");
    }

    #[test]
    fn room_made_between_the_refusal_and_the_wait_is_told_at_once() {
        let memory = Memory::new(100);
        assert_eq!(memory.take(90, 90), 90);
        assert_eq!(memory.take(50, 50), 0);
        assert!(!memory.give(90));
        assert!(memory.wait());
    }

    #[test]
    fn debt_from_a_waiting_room_is_paid_before_others_get_room() {
        let memory = Memory::new(100);
        assert_eq!(memory.take(100, 100), 100);
        memory.take_anyway(100);
        assert!(!memory.give(100));
        assert_eq!(memory.take(1, 1), 0);
        assert!(!memory.give(100));
        assert_eq!(memory.take(100, 100), 100);
    }
}
