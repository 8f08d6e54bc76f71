//! Buffers of batches, used again: at full speed the same memory goes round and round and stays in the caches.
//! Not an account: how much may be used at all is `Memory`'s. Taken on the append path, given back by the sender once a
//! batch is compressed or settled; a buffer that a socket still has is never here (CVE-2026-35554).

use bytes::BytesMut;
use parking_lot::Mutex;

/// Smaller batches are cheap to make, and larger ones too rare to be kept for.
const POOLED: std::ops::RangeInclusive<usize> = 8 * 1024..=4 * 1024 * 1024;
/// What an idle producer keeps, in bytes.
const IDLE_BYTES: usize = 1024 * 1024;

pub(crate) struct Buffers {
    /// Those for full batches, and those of half the size, which is what most codecs make of one.
    whole: Spare,
    half: Spare,
}

/// Buffers of one size.
struct Spare {
    room: usize,
    most: usize,
    buffers: Mutex<Vec<BytesMut>>,
}

impl Buffers {
    /// For batches of up to `batch_size` bytes, of which `buffer_memory` holds some.
    pub fn new(batch_size: usize, buffer_memory: usize) -> Self {
        let most = if POOLED.contains(&batch_size) { buffer_memory / batch_size } else { 0 };
        Self { whole: Spare::new(batch_size, most), half: Spare::new(batch_size / 2, most) }
    }

    /// How large to make a batch that is to have `bytes`: whole when it would be more than half of one.
    pub fn round(&self, bytes: usize) -> usize {
        let size = self.whole.room;
        if self.whole.most > 0 && bytes > size / 2 { bytes.max(size) } else { bytes }
    }

    /// A buffer with room for `bytes`.
    pub fn take(&self, bytes: usize) -> BytesMut {
        let size = self.whole.room;
        let spare = match bytes {
            bytes if bytes > size || bytes <= size / 4 => None,
            bytes if bytes > size / 2 => Some(&self.whole),
            _ => Some(&self.half),
        };
        match spare.filter(|spare| spare.most > 0) {
            Some(spare) => spare.take().unwrap_or_else(|| BytesMut::with_capacity(spare.room)),
            None => BytesMut::with_capacity(bytes),
        }
    }

    /// Takes a buffer back, to be used again or freed.
    pub fn give(&self, buffer: BytesMut) {
        let room = buffer.capacity();
        if let Some(spare) = [&self.whole, &self.half].into_iter().find(|spare| spare.room == room) {
            spare.give(buffer);
        }
    }

    /// Nothing waits to be sent: frees all but a few.
    pub fn rest(&self) {
        for spare in [&self.whole, &self.half] {
            spare.keep(IDLE_BYTES / spare.room.max(1));
        }
    }
}

impl Spare {
    fn new(room: usize, most: usize) -> Self {
        Self { room, most, buffers: Mutex::default() }
    }

    fn take(&self) -> Option<BytesMut> {
        self.buffers.lock().pop()
    }

    fn give(&self, buffer: BytesMut) {
        let mut buffers = self.buffers.lock();
        if buffers.len() < self.most {
            buffers.push(buffer);
        }
    }

    fn keep(&self, keep: usize) {
        let surplus = {
            let mut buffers = self.buffers.lock();
            let at = keep.min(buffers.len());
            buffers.split_off(at)
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
        assert_eq!(buffers.take(2_500).capacity(), 2_500);
        assert_eq!(buffers.take(20_000).capacity(), 20_000);
        for (asked, room) in [(5_001, 10_000), (2_501, 5_000)] {
            let mut taken: Vec<_> = (0..5).map(|_| buffers.take(asked)).collect();
            assert!(taken.iter().all(|buffer| buffer.capacity() == room));
            let third = taken[2].as_ptr();
            taken.drain(..).for_each(|buffer| buffers.give(buffer));
            assert_eq!(buffers.take(room).as_ptr(), third, "the last of the three that were kept");
        }
        buffers.give(BytesMut::with_capacity(9_999));
        assert_eq!((buffers.whole.buffers.lock().len(), buffers.half.buffers.lock().len()), (2, 2));
    }

    #[test]
    fn an_idle_producer_keeps_little() {
        let buffers = Buffers::new(256 * 1024, 32 << 20);
        let taken: Vec<_> = (0..20).map(|_| buffers.take(256 * 1024)).collect();
        taken.into_iter().for_each(|buffer| buffers.give(buffer));
        buffers.rest();
        assert_eq!(buffers.whole.buffers.lock().len(), 4);
    }

    #[test]
    fn odd_batch_sizes_are_not_kept() {
        for size in [1, 100, 1 << 30] {
            let buffers = Buffers::new(size, 1 << 30);
            let buffer = buffers.take(80);
            assert_eq!(buffer.capacity(), 80);
            buffers.give(buffer);
            assert_eq!(buffers.whole.buffers.lock().len() + buffers.half.buffers.lock().len(), 0);
        }
    }
}
