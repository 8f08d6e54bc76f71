//! No message, however it lies about lengths and counts, makes the decoder allocate more than its bytes justify.
//! A test of its own: it replaces the allocator of its process.

use bytes::Bytes;
use dohle_protocol::reflect::{Reflect, Sampler};
use dohle_protocol::{Decoder, Encoder, Message, for_each_message, messages};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, remembering each thread's largest request.
struct Watching;

fn note(size: usize) {
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
}

// SAFETY: every call goes to the system's allocator unchanged; `note` neither allocates nor unwinds.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// Every 4-byte window becomes a huge count, every byte a huge varint; the largest allocation stays in proportion.
fn check<M: Message + Reflect>(version: i16) {
    let mut e = Encoder::new();
    Sampler::new(version as u64).message::<M>(version).encode(&mut e, version).unwrap();
    let honest = e.finish().to_bytes();
    for at in (0..honest.len()).step_by(1 + honest.len() / 400) {
        for lie in [[0x7f, 0xff, 0xff, 0xff].as_slice(), &[0x00, 0x00, 0xff, 0xff], &[0xff, 0xff, 0xff, 0xff, 0x0f]] {
            let bytes: Bytes = [&honest[..at], lie, honest.get(at + lie.len()..).unwrap_or(&[])].concat().into();
            let length = bytes.len();
            LARGEST.set(0);
            let result = M::decode(&mut Decoder::new(bytes), version);
            let largest = LARGEST.get();
            assert!(largest <= 2048 + 64 * length, "{} v{version}: {largest} for {length} bytes: {result:?}", M::NAME);
        }
    }
}

#[test]
fn allocations_stay_in_proportion_to_the_bytes_present() {
    macro_rules! all {
        ($($name:ident)*) => {$(
            for version in messages::$name::MIN_VERSION..=messages::$name::MAX_VERSION {
                check::<messages::$name>(version);
            }
        )*};
    }
    for_each_message!(all);
}
