//! No message, however it lies about lengths and counts, makes the decoder allocate more than its bytes justify, and no
//! record costs an allocation on its way into a batch or out of one.
//! A test of its own: it replaces the allocator of its process.

use bytes::Bytes;
use dohle_protocol::compress::{Compression, Compressor, Decompressor};
use dohle_protocol::records::{BatchBuilder, Headers, INDEX_WIDTH, Indexer, RecordRef, Run, batches};
use dohle_protocol::reflect::{Reflect, Sampler};
use dohle_protocol::{Decoder, Encoder, Message, for_each_message, messages};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, remembering each thread's largest request, and how many there were.
struct Watching;

fn note(size: usize) {
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
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

/// How often memory was asked for during `work`.
fn allocations<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = COUNT.get();
    let result = work();
    (COUNT.get() - before, result)
}

#[test]
fn records_are_appended_indexed_and_read_without_an_allocation_each() {
    const RECORDS: usize = 1_000;
    let headers = [(b"trace".as_slice(), Some(b"4bf92f35".as_slice())), (b"none", None)];
    let record = |n: usize| RecordRef {
        timestamp: 1_700_000_000_000 + n as i64,
        key: Some(b"c-0001"),
        value: Some(b"{\"item\":\"tea\"}"),
        headers: Headers::List(&headers),
    };
    let mut builder = BatchBuilder::new(RECORDS * BatchBuilder::record_size_bound(&record(0)));
    let (asked, last) = allocations(|| (0..RECORDS).map(|n| builder.append(&record(n))).last());
    assert_eq!((asked, last), (0, Some(RECORDS as u32 - 1)), "while appending");

    let mut sealed = builder.seal(&mut Compressor::new(Compression::None, None).unwrap(), false);
    sealed.stamp(-1, -1, -1);
    let batch = batches(sealed.bytes()).next().unwrap().unwrap();
    let mut decompressor = Decompressor::new();
    let (asked, plain) = allocations(|| batch.plain(&mut decompressor, usize::MAX).unwrap());
    assert!(asked <= 2, "{asked} to read a batch that is not compressed");

    let mut index = Vec::with_capacity(RECORDS * INDEX_WIDTH);
    let all = Run { from_offset: 0, base_offset: 0, shift: 0, max_bytes: 1 << 20, at_least_one: true };
    let (asked, run) = allocations(|| Indexer::new(plain.header(), plain.records()).run(&all, &mut index).unwrap());
    assert_eq!((asked, run.count as usize), (0, RECORDS), "while indexing");

    let (asked, bytes) = allocations(|| {
        let views = plain.iter().map(|view| view.unwrap());
        views.map(|view| view.value.unwrap().len() + view.headers.iter().count()).sum::<usize>()
    });
    assert_eq!((asked, bytes), (0, RECORDS * (14 + 2)), "while reading");
}
