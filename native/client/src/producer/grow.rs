//! A list that only grows, read without a lock: topics of a producer, partitions of a topic.
//! Not a concurrent map: one writer at a time (its owner's lock), any number of readers. The append path reads it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 8;
const CHUNKS: usize = 29;

/// Chunks of 8, 16, 32, … entries; an entry never moves.
pub(crate) struct Grow<T> {
    len: AtomicU32,
    chunks: [OnceLock<Box<[OnceLock<T>]>>; CHUNKS],
}

impl<T> Grow<T> {
    pub fn new() -> Self {
        Self { len: AtomicU32::new(0), chunks: [const { OnceLock::new() }; CHUNKS] }
    }

    pub fn len(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }

    pub fn get(&self, index: u32) -> Option<&T> {
        let (chunk, at) = place(index);
        self.chunks.get(chunk)?.get()?.get(at)?.get()
    }

    /// Appends; the caller sees to it that nobody else does at the same time.
    pub fn push(&self, value: T) -> u32 {
        let index = self.len.load(Ordering::Relaxed);
        let (chunk, at) = place(index);
        let entries =
            self.chunks[chunk].get_or_init(|| (0..FIRST << chunk).map(|_| OnceLock::new()).collect::<Box<[_]>>());
        let taken = entries[at].set(value).is_err();
        debug_assert!(!taken, "two writers");
        self.len.store(index + 1, Ordering::Release);
        index
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

fn place(index: u32) -> (usize, usize) {
    let n = u64::from(index) + u64::from(FIRST);
    let power = n.ilog2();
    ((power - FIRST.ilog2()) as usize, (n - (1 << power)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_every_entry_at_its_index() {
        let list = Grow::new();
        assert!(list.get(0).is_none());
        for n in 0..1000u32 {
            assert_eq!(list.push(n), n);
        }
        assert_eq!(list.len(), 1000);
        assert!((0..1000).all(|n| list.get(n) == Some(&n)));
        assert!(list.get(1000).is_none() && list.get(u32::MAX).is_none());
        assert_eq!(list.iter().copied().collect::<Vec<_>>(), (0..1000).collect::<Vec<_>>());
    }
}
