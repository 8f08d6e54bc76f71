//! Memory of chunks, used again: what is unpacked goes into memory that is cleared already and likely in the caches.
//! Not an account: what is held is `fetch.buffer.bytes`'. Driven by chunk.rs; memory comes back when the last view of a
//! chunk is gone, whoever has it and on whatever thread, so that none is ever written while somebody can read it.

use std::sync::Arc;

use bytes::Bytes;
use dohle_protocol::compress::Output;
use parking_lot::Mutex;

/// Smaller pieces are cheap to make, and larger ones too rare to be kept for.
const KEPT: std::ops::RangeInclusive<usize> = 16 * 1024..=4 * 1024 * 1024;
/// What is kept at most, in bytes, however large `fetch.buffer.bytes` is.
const MOST: usize = 16 * 1024 * 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Spare {
    most: usize,
    free: Mutex<Free>,
}

#[derive(Debug, Default)]
struct Free {
    pieces: Vec<Vec<u8>>,
    bytes: usize,
}

impl Spare {
    /// For a consumer that holds up to so many bytes.
    pub fn new(fetch_buffer_bytes: usize) -> Arc<Self> {
        Arc::new(Spare { most: fetch_buffer_bytes.min(MOST), free: Mutex::default() })
    }

    /// Something to unpack into: the piece that came back last, if there is one.
    pub fn take(&self) -> Output {
        let mut free = self.free.lock();
        let piece = free.pieces.pop().unwrap_or_default();
        free.bytes -= piece.len();
        Output::again(piece)
    }

    /// Takes a piece back, to be used again or freed.
    pub fn give(&self, piece: Vec<u8>) {
        let size = piece.len();
        if !KEPT.contains(&size) {
            return;
        }
        let mut free = self.free.lock();
        if free.bytes + size <= self.most {
            free.bytes += size;
            free.pieces.push(piece);
        }
    }

    /// What was unpacked, to be handed out. `output` is empty then; its memory stays with it when less than half of it was
    /// written, so that a few bytes never keep many.
    pub fn seal(self: &Arc<Self>, output: &mut Output) -> Bytes {
        if output.len() < output.room() / 2 {
            let bytes = Bytes::copy_from_slice(output);
            output.clear();
            return bytes;
        }
        let (memory, used) = std::mem::take(output).into_memory();
        Bytes::from_owner(Lent { memory, used, spare: self.clone() })
    }

    /// The consumer has read all there is: frees everything.
    pub fn rest(&self) {
        let free = std::mem::take(&mut *self.free.lock());
        drop(free); // not under the lock: freeing takes its time
    }
}

/// The memory of a chunk, until its last view is gone.
struct Lent {
    memory: Vec<u8>,
    used: usize,
    spare: Arc<Spare>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.used]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.spare.give(std::mem::take(&mut self.memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(spare: &Spare, bytes: &[u8]) -> Output {
        let mut output = spare.take();
        output.extend_from_slice(bytes);
        output
    }

    fn free(spare: &Spare) -> (usize, usize) {
        let free = spare.free.lock();
        (free.pieces.len(), free.bytes)
    }

    #[test]
    fn memory_comes_back_when_the_last_view_is_gone_and_not_before() {
        let spare = Spare::new(usize::MAX);
        let whole = spare.seal(&mut written(&spare, &[1; 100_000]));
        let start = whole.as_ptr();
        let view = whole.slice(99_000..);
        drop(whole);
        assert_eq!(free(&spare), (0, 0));
        let other = spare.seal(&mut written(&spare, &[2; 100_000]));
        assert_eq!((&view[..], &other[..3]), (&[1; 1_000][..], &[2; 3][..]));
        drop(view);
        assert_eq!(free(&spare), (1, 100_000));
        let again = spare.seal(&mut written(&spare, &[3; 60_000]));
        assert_eq!((again.as_ptr(), again.len()), (start, 60_000));
    }

    #[test]
    fn few_bytes_never_keep_much_memory() {
        let spare = Spare::new(usize::MAX);
        drop(spare.seal(&mut written(&spare, &[1; 100_000])));
        let mut output = written(&spare, &[2; 49_999]);
        let first = spare.seal(&mut output);
        assert_eq!((output.room(), output.len(), first.len()), (100_000, 0, 49_999));
        output.extend_from_slice(&[3; 50_000]);
        let second = spare.seal(&mut output);
        assert_eq!((output.room(), &first[..2], second.len()), (0, &[2, 2][..], 50_000));
    }

    #[test]
    fn no_more_is_kept_than_the_consumer_holds_and_nothing_odd() {
        let spare = Spare::new(250_000);
        for size in [100_000, 100_000, 100_000, 100, 5 << 20] {
            spare.give(vec![0; size]);
        }
        assert_eq!(free(&spare), (2, 200_000));
        spare.rest();
        assert_eq!(free(&spare), (0, 0));
    }
}
