//! Buffers of batches, used again: at full speed the same memory goes round and round and stays in the caches.
//! Not an account: how much may be used at all is `Memory`'s. Taken on the append path, given back by the sender once a
//! batch is compressed or settled; a buffer that a socket still has is never here (CVE-2026-35554).

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use parking_lot::Mutex;

/// Smaller batches are cheap to make, and larger ones too rare to be kept for.
const POOLED: std::ops::RangeInclusive<usize> = 8 * 1024..=4 * 1024 * 1024;
/// What an idle producer keeps, in bytes.
const IDLE_BYTES: usize = 1024 * 1024;

pub(crate) struct Buffers {
    /// Room of a buffer that is kept: that of a full batch.
    size: usize,
    most: usize,
    spare: Mutex<Vec<BytesMut>>,
    count: AtomicUsize,
}

impl Buffers {
    /// For batches of up to `batch_size` bytes, of which `buffer_memory` holds some.
    pub fn new(batch_size: usize, buffer_memory: usize) -> Self {
        let most = if POOLED.contains(&batch_size) { buffer_memory / batch_size } else { 0 };
        Self { size: batch_size, most, spare: Mutex::default(), count: 0.into() }
    }

    /// How large to make a batch that is to have `bytes`: whole when it would be more than half of one.
    pub fn round(&self, bytes: usize) -> usize {
        if self.most > 0 && bytes > self.size / 2 { bytes.max(self.size) } else { bytes }
    }

    /// A buffer with room for `bytes`.
    pub fn take(&self, bytes: usize) -> BytesMut {
        let bytes = self.round(bytes);
        if bytes == self.size
            && let Some(buffer) = self.spare.lock().pop()
        {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return buffer;
        }
        BytesMut::with_capacity(bytes)
    }

    /// Takes a buffer back, to be used again or freed.
    pub fn give(&self, buffer: BytesMut) {
        if buffer.capacity() != self.size {
            return;
        }
        let mut spare = self.spare.lock();
        if spare.len() < self.most {
            spare.push(buffer);
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Nothing waits to be sent: frees all but a few.
    pub fn rest(&self) {
        let keep = (IDLE_BYTES / self.size.max(1)).min(self.most);
        if self.count.load(Ordering::Relaxed) <= keep {
            return;
        }
        let surplus = {
            let mut spare = self.spare.lock();
            let at = keep.min(spare.len());
            let surplus = spare.split_off(at);
            spare.shrink_to_fit();
            self.count.store(at, Ordering::Relaxed);
            surplus
        };
        drop(surplus); // not under the lock: freeing takes its time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_round_and_nothing_beyond_the_memory_is_kept() {
        let buffers = Buffers::new(10_000, 30_000);
        assert_eq!(buffers.take(5_000).capacity(), 5_000);
        assert_eq!(buffers.take(20_000).capacity(), 20_000);
        let mut taken: Vec<_> = (0..5).map(|_| buffers.take(5_001)).collect();
        assert!(taken.iter().all(|buffer| buffer.capacity() == 10_000));
        let first = taken[2].as_ptr();
        taken.drain(..).for_each(|buffer| buffers.give(buffer));
        assert_eq!(buffers.spare.lock().len(), 3);
        assert_eq!(buffers.take(10_000).as_ptr(), first, "the one that was given last");
        buffers.give(BytesMut::with_capacity(9_999));
        assert_eq!(buffers.spare.lock().len(), 2);
    }

    #[test]
    fn an_idle_producer_keeps_little() {
        let buffers = Buffers::new(256 * 1024, 32 << 20);
        let taken: Vec<_> = (0..20).map(|_| buffers.take(256 * 1024)).collect();
        taken.into_iter().for_each(|buffer| buffers.give(buffer));
        buffers.rest();
        assert_eq!((buffers.spare.lock().len(), buffers.count.load(Ordering::Relaxed)), (4, 4));
    }

    #[test]
    fn odd_batch_sizes_are_not_kept() {
        for size in [1, 100, 1 << 30] {
            let buffers = Buffers::new(size, 1 << 30);
            let buffer = buffers.take(50);
            assert_eq!(buffer.capacity(), 50);
            buffers.give(buffer);
            assert!(buffers.spare.lock().is_empty());
        }
    }
}
