//! Where decompressed bytes go: memory that is cleared when it is new, and never again.
//!
//! Codecs write into slices, which must be initialised before; to clear them each time costs as much as to copy them.
//! No codec and no cap; `Sink` has those. Whoever reads batches keeps it, or hands its memory on.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

/// Bytes written front to back. Behind them may lie bytes of earlier use, which nobody sees.
#[derive(Clone, Default)]
pub struct Output {
    /// All of it initialised; `..used` is what was written.
    memory: Vec<u8>,
    used: usize,
}

impl Output {
    /// Nothing, without memory.
    #[must_use]
    pub const fn new() -> Self {
        Self { memory: Vec::new(), used: 0 }
    }

    /// Nothing yet, in memory that was used before; its length counts, not what is in it.
    #[must_use]
    pub const fn again(memory: Vec<u8>) -> Self {
        Self { memory, used: 0 }
    }

    /// How much memory there is, written or not.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.memory.len()
    }

    /// Forgets what was written, and keeps the memory.
    pub const fn clear(&mut self) {
        self.used = 0;
    }

    /// Forgets what was written behind `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.used = self.used.min(len);
    }

    /// Appends bytes.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        let known = bytes.len().min(self.memory.len() - self.used);
        self.memory[self.used..self.used + known].copy_from_slice(&bytes[..known]);
        self.memory.extend_from_slice(&bytes[known..]);
        self.used += bytes.len();
    }

    /// The memory and how much of it is written.
    #[must_use]
    pub fn into_memory(self) -> (Vec<u8>, usize) {
        (self.memory, self.used)
    }

    /// What was written.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<u8> {
        self.memory.truncate(self.used);
        self.memory
    }

    /// Makes it likely that `more` bytes need no further memory.
    pub(super) fn reserve(&mut self, more: usize) {
        self.memory.reserve((self.used + more).saturating_sub(self.memory.len()));
    }

    /// What was written, and `len` bytes behind it to be written.
    pub(super) fn split(&mut self, len: usize) -> (&[u8], &mut [u8]) {
        let end = self.used + len;
        if self.memory.len() < end {
            self.memory.resize(end, 0);
        }
        let (written, fresh) = self.memory.split_at_mut(self.used);
        (written, &mut fresh[..len])
    }

    /// The first `len` bytes behind what was written are written now.
    pub(super) fn grow(&mut self, len: usize) {
        debug_assert!(self.used + len <= self.memory.len());
        self.used = (self.used + len).min(self.memory.len());
    }
}

impl Deref for Output {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[..self.used]
    }
}

impl From<Vec<u8>> for Output {
    /// All of `written` counts as written.
    fn from(written: Vec<u8>) -> Self {
        let used = written.len();
        Self { memory: written, used }
    }
}

impl From<Output> for Bytes {
    fn from(output: Output) -> Self {
        Self::from(output.into_vec())
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("used", &self.used).field("room", &self.room()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_before_is_never_seen() {
        let mut output = Output::again(vec![7; 10]);
        assert!(output.is_empty());
        output.extend_from_slice(b"ab");
        let (written, fresh) = output.split(3);
        assert_eq!((written, fresh.len()), (&b"ab"[..], 3));
        fresh[..2].copy_from_slice(b"cd");
        output.grow(2);
        assert_eq!(&output[..], b"abcd");
        output.extend_from_slice(b"0123456789");
        assert_eq!((&output[..], output.room()), (&b"abcd0123456789"[..], 14));
        output.truncate(3);
        output.truncate(9);
        assert_eq!(Bytes::from(output), b"abc"[..]);
    }

    #[test]
    fn memory_grows_by_what_is_missing_and_is_kept() {
        let mut output = Output::from(b"xy".to_vec());
        assert_eq!(output.split(4).1, [0; 4]);
        assert_eq!((output.len(), output.room()), (2, 6));
        output.clear();
        assert_eq!((output.len(), output.room()), (0, 6));
        assert_eq!(output.split(6).1.len(), 6);
        assert_eq!(output.into_memory().0.len(), 6);
    }
}
