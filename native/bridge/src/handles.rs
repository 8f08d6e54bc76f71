//! The table of handles: small numbers that stand for what the engine owns, safe to use after close.
//!
//! It is not reference counting: a handle is valid from insert to remove, and a number is never given out twice.
//! [`crate::environment`] drives it.

use std::collections::VecDeque;

/// What a language holds: the slot in the low 16 bits, the slot's generation (from 1) in the high 16. Never 0.
pub type Handle = u32;

struct Slot<T> {
    generation: u16,
    value: Option<T>,
}

/// Values by generational handle. A slot whose generations are used up is retired, so an old handle never means a new value.
pub struct Handles<T> {
    slots: Vec<Slot<T>>,
    free: VecDeque<u16>,
}

impl<T> Default for Handles<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: VecDeque::new() }
    }
}

impl<T> Handles<T> {
    /// Stores a value. `None` when 65,536 are stored already.
    pub fn insert(&mut self, value: T) -> Option<Handle> {
        let slot = match self.free.pop_front() {
            Some(slot) => slot,
            None => {
                let slot = u16::try_from(self.slots.len()).ok()?;
                self.slots.push(Slot { generation: 1, value: None });
                slot
            }
        };
        let entry = &mut self.slots[usize::from(slot)];
        entry.value = Some(value);
        Some(u32::from(entry.generation) << 16 | u32::from(slot))
    }

    /// The value of a handle, unless it was removed or never given out.
    pub fn at(&self, handle: Handle) -> Option<&T> {
        let slot = self.slots.get((handle & 0xFFFF) as usize)?;
        if u32::from(slot.generation) == handle >> 16 { slot.value.as_ref() } else { None }
    }

    /// Takes a value out; its handle is invalid from now on.
    pub fn remove(&mut self, handle: Handle) -> Option<T> {
        self.at(handle)?;
        let number = (handle & 0xFFFF) as u16;
        let slot = &mut self.slots[usize::from(number)];
        let value = slot.value.take();
        if slot.generation < u16::MAX {
            slot.generation += 1;
            self.free.push_back(number);
        }
        value
    }

    /// Takes everything out.
    pub fn drain(&mut self) -> Vec<T> {
        let handles: Vec<Handle> = (self.slots.iter().enumerate())
            .filter(|(_, slot)| slot.value.is_some())
            .map(|(number, slot)| u32::from(slot.generation) << 16 | number as u32)
            .collect();
        handles.into_iter().filter_map(|handle| self.remove(handle)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_handle_never_means_the_next_value_of_its_slot() {
        let mut handles = Handles::default();
        let first = handles.insert("a").unwrap();
        assert_eq!(handles.at(first), Some(&"a"));
        assert_eq!(handles.remove(first), Some("a"));
        let second = handles.insert("b").unwrap();
        assert_eq!(handles.at(first), None);
        assert_eq!(handles.remove(first), None);
        assert_eq!(handles.at(second), Some(&"b"));
        assert_eq!(handles.at(0), None);
    }

    #[test]
    fn a_slot_is_retired_when_its_generations_are_used_up() {
        let mut handles = Handles::default();
        let first = handles.insert(0).unwrap();
        handles.remove(first);
        for value in 1..200_000u32 {
            let handle = handles.insert(value).unwrap();
            assert_ne!(handle, first);
            assert_eq!(handles.remove(handle), Some(value));
        }
        assert_eq!(handles.slots.len(), 4);
    }
}
