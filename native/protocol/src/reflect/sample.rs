//! Random messages for tests: every field of a version, with a taste for the values at which encodings change.
//! Not uniform and not secret; the same seed gives the same values.
//! Driven by property tests, the oracle and fuzz targets.

use super::{FieldFacts, Reflect, ReflectError, Slot, Visitor};
use crate::{RawTaggedField, Uuid};
use bytes::Bytes;

/// Fills messages with random values.
#[derive(Clone, Debug)]
pub struct Sampler {
    state: u64,
    /// Add tagged fields that no schema knows.
    pub unknown_tags: bool,
}

impl Sampler {
    /// Starts at `seed`.
    pub fn new(seed: u64) -> Self {
        Sampler { state: seed, unknown_tags: true }
    }

    /// A message of this version. Fields the version lacks keep their default, so that it can be encoded.
    pub fn message<T: Reflect + Default>(&mut self, version: i16) -> T {
        let mut message = T::default();
        if let Err(error) = message.reflect(version, self) {
            unreachable!("a sampler never fails: {error}");
        }
        message
    }

    /// The next 64 random bits (splitmix64).
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next_u64() % bound.max(1) as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Often 0, −1 or an end of the range; truncation to a smaller type keeps that.
    fn integer(&mut self) -> i64 {
        match self.below(8) {
            0 => 0,
            1 => -1,
            2 => i64::MAX,
            3 => i64::MIN,
            4 => 1 << self.below(63),
            5 => self.below(300) as i64,
            _ => self.next_u64() as i64,
        }
    }

    fn text(&mut self) -> String {
        const LETTERS: [char; 12] = ['a', 'Z', '0', '-', '.', '_', ' ', '"', '\\', 'é', '語', '🦀'];
        let length = self.size();
        (0..length).map(|_| LETTERS[self.below(LETTERS.len())]).collect()
    }

    fn data(&mut self) -> Bytes {
        let length = if self.one_in(20) { 4000 + self.below(200) } else { self.size() };
        (0..length).map(|_| self.next_u64() as u8).collect()
    }

    fn uuid(&mut self) -> Uuid {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.next_u64().to_be_bytes());
        id[8..].copy_from_slice(&self.next_u64().to_be_bytes());
        Uuid(id)
    }

    fn size(&mut self) -> usize {
        match self.below(20) {
            0..4 => 0,
            4 => 120 + self.below(20),
            _ => self.below(12),
        }
    }

    fn fill(&mut self, slot: Slot<'_>, nullable: bool, version: i16) -> Result<(), ReflectError> {
        match slot {
            Slot::Bool(x) => *x = self.one_in(2),
            Slot::I8(x) => *x = self.integer() as i8,
            Slot::I16(x) => *x = self.integer() as i16,
            Slot::U16(x) => *x = self.integer() as u16,
            Slot::I32(x) => *x = if self.one_in(4) { i32::MIN } else { self.integer() as i32 },
            Slot::U32(x) => *x = self.integer() as u32,
            Slot::I64(x) => *x = self.integer(),
            Slot::F64(x) => *x = (self.integer() as i32) as f64 / 8.0,
            Slot::Uuid(x) => *x = if self.one_in(4) { Uuid::ZERO } else { self.uuid() },
            Slot::String(x) => *x = self.text(),
            Slot::Bytes(x) => *x = self.data(),
            Slot::Object(x) => x.reflect(version, self)?,
            Slot::Array(x) => {
                x.clear();
                for _ in 0..self.below(4) {
                    self.fill(x.push(), false, version)?;
                }
            }
            Slot::Optional(x) => match nullable && self.one_in(3) {
                true => x.set_none(),
                false => self.fill(x.set_default(), nullable, version)?,
            },
        }
        Ok(())
    }
}

impl Visitor for Sampler {
    fn field(&mut self, field: FieldFacts, slot: Slot<'_>, version: i16) -> Result<(), ReflectError> {
        if field.tagged && self.one_in(3) {
            return Ok(());
        }
        self.fill(slot, field.nullable, version)
    }

    fn unknown_tags(&mut self, tags: &mut Vec<RawTaggedField>, first_free: u32) {
        tags.clear();
        if !self.unknown_tags || !self.one_in(4) {
            return;
        }
        let mut tag = first_free;
        for _ in 0..=self.below(3) {
            tag += self.below(200) as u32;
            tags.push(RawTaggedField { tag, data: self.data() });
            tag += 1;
        }
    }
}
