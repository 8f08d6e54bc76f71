//! What rules do to the bytes of an answer.

use bytes::{Bytes, BytesMut};
use dohle_protocol::Segments;

/// Length and correlation id: a client that cannot match an answer to its request sees nothing of the rest.
const ENVELOPE: usize = 8;

/// The part of a record batch before what its CRC covers.
const BEFORE_CRC_COVERS: usize = 21;

/// Changes to the bytes of one answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Damage {
    keep: Option<usize>,
    flips: Vec<Flip>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Flip {
    at: Option<usize>,
    drawn: u64,
}

impl Damage {
    /// Keeps the first `bytes` at most.
    pub fn truncate(&mut self, bytes: usize) {
        self.keep = Some(self.keep.map_or(bytes, |keep| keep.min(bytes)));
    }

    /// Changes the byte at `at`, or one that `drawn` chooses.
    pub fn corrupt(&mut self, at: Option<usize>, drawn: u64) {
        self.flips.push(Flip { at, drawn });
    }

    /// Changes a byte of `records` that their CRC covers, where a rule leaves the choice; true when it has.
    pub fn records(&mut self, records: &mut Bytes) -> bool {
        let Some(covered) = records.len().checked_sub(BEFORE_CRC_COVERS).filter(|covered| *covered > 0) else {
            return false;
        };
        let Some(at) = self.flips.iter().position(|flip| flip.at.is_none()) else { return false };
        let Flip { drawn, .. } = self.flips.remove(at);
        let mut copy = BytesMut::from(&records[..]);
        flip(&mut copy, BEFORE_CRC_COVERS + (drawn % covered as u64) as usize, drawn);
        *records = copy.freeze();
        true
    }

    /// Whether a rule still wants a byte of its own choice changed.
    pub fn chooses(&self) -> bool {
        self.flips.iter().any(|flip| flip.at.is_none())
    }

    /// The answer as it is sent, and whether the connection ends with it.
    pub fn apply(&self, answer: Segments) -> (Segments, bool) {
        if *self == Self::default() {
            return (answer, false);
        }
        let mut bytes = BytesMut::from(&answer.to_bytes()[..]);
        for &Flip { at, drawn } in &self.flips {
            let body = bytes.len().saturating_sub(ENVELOPE).max(1);
            let at = at.unwrap_or(ENVELOPE + (drawn % body as u64) as usize);
            flip(&mut bytes, at, drawn);
        }
        let cut = self.keep.is_some();
        bytes.truncate(self.keep.unwrap_or(usize::MAX));
        (Segments(vec![bytes.freeze()]), cut)
    }
}

/// Changes at least one bit of the byte at `at`, if there is such a byte.
fn flip(bytes: &mut [u8], at: usize, drawn: u64) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= ((drawn >> 32) as u8).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Segments {
        Segments(vec![Bytes::from_static(&[0, 0, 0, 6, 0, 0, 0, 9]), Bytes::from_static(&[1, 2])])
    }

    fn sent(damage: &Damage) -> (Vec<u8>, bool) {
        let (segments, cut) = damage.apply(answer());
        (segments.to_bytes().to_vec(), cut)
    }

    #[test]
    fn an_answer_is_cut_after_as_many_bytes_as_a_rule_says() {
        let mut damage = Damage::default();
        assert_eq!(sent(&damage).0, answer().to_bytes());
        damage.truncate(99);
        assert_eq!(sent(&damage), (answer().to_bytes().to_vec(), true));
        damage.truncate(3);
        damage.truncate(5);
        assert_eq!(sent(&damage), (vec![0, 0, 0], true));
    }

    #[test]
    fn one_byte_is_changed_and_not_the_envelope() {
        for drawn in [0, 1, 2, u64::MAX, 1 << 32] {
            let mut damage = Damage::default();
            damage.corrupt(None, drawn);
            let (bytes, cut) = sent(&damage);
            let changed: Vec<usize> = (0..10).filter(|at| bytes[*at] != answer().to_bytes()[*at]).collect();
            assert!(matches!(changed[..], [8 | 9]) && !cut, "{changed:?}");
        }
        let mut damage = Damage::default();
        damage.corrupt(Some(4), 0);
        damage.corrupt(Some(400), 0);
        assert_eq!(sent(&damage).0, [0, 0, 0, 6, 1, 0, 0, 9, 1, 2]);
    }

    #[test]
    fn records_are_changed_where_their_crc_covers_them() {
        let mut damage = Damage::default();
        damage.corrupt(None, u64::MAX);
        let mut records = Bytes::from(vec![0; 30]);
        assert!(!damage.clone().records(&mut records.slice(..21)), "nothing to change");
        assert!(damage.records(&mut records));
        assert!(records[..21].iter().all(|byte| *byte == 0) && records[21..].iter().any(|byte| *byte != 0));
        assert!(!damage.chooses() && !damage.records(&mut records), "once");
    }
}
