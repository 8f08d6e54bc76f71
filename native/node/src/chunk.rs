//! A chunk as JavaScript gets it: its memory is lent, not copied, where the runtime allows that.
//!
//! It gives no view of records; `ts/internal` makes those.

use std::cell::Cell;
use std::sync::Arc;

use dohle_bridge::consumer::{Chunk, ChunkControl};
use napi::bindgen_prelude::{BufferSlice, External};
use napi::{Env, Result};
use napi_derive::napi;

/// A chunk and what describes it.
#[napi(object, object_from_js = false)]
pub struct ChunkData<'env> {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// What the offset deltas in the index are relative to.
    pub base_offset: i64,
    /// Leader epoch of the records, −1: unknown.
    pub leader_epoch: i32,
    /// Which ownership of the partition the records were read under, see `dohle_client::consumer::Chunk`.
    pub epoch: u32,
    /// Number of records.
    pub count: u32,
    /// The partition's high watermark.
    pub high_watermark: i64,
    /// What the index points into.
    pub bytes: BufferSlice<'env>,
    /// Ten i32 per record, see `dohle_client::consumer::Chunk`.
    pub index: BufferSlice<'env>,
    /// Three u32 shared with the engine: finished, stepped, revoked.
    pub shared: Option<BufferSlice<'env>>,
    /// Where memory cannot be shared: what `Edge::progress` takes.
    pub told: Option<External<Arc<ChunkControl>>>,
}

impl<'env> ChunkData<'env> {
    /// Lends the memory of `chunk`, or copies it when `copies` says so. Sets `copies` when the runtime refuses.
    pub fn new(env: &'env Env, chunk: Chunk, copies: &Cell<bool>) -> Result<Self> {
        let words: &[i32] = &chunk.index;
        // SAFETY: an i32 is four bytes, every byte of it is initialised, and u8 needs no alignment.
        let index_bytes = unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<u8>(), size_of_val(words)) };
        // SAFETY: the bytes belong to `index`, which the buffer keeps; nobody writes them, on either side.
        let index = unsafe { lend(env, index_bytes, chunk.index.clone(), copies)? };
        // SAFETY: the bytes belong to `bytes`, which the buffer keeps. JavaScript may write them: the engine does not
        // look at this range of the response again once it has handed the chunk over.
        let bytes = unsafe { lend(env, &chunk.bytes, chunk.bytes.clone(), copies)? };
        let shared = if copies.get() { None } else { share(env, &chunk.control, copies)? };
        Ok(Self {
            topic: chunk.topic.to_string(),
            partition: chunk.partition,
            base_offset: chunk.base_offset,
            leader_epoch: chunk.leader_epoch,
            epoch: chunk.epoch(),
            count: chunk.count,
            high_watermark: chunk.high_watermark,
            bytes,
            index,
            told: shared.is_none().then(|| External::new(chunk.control)),
            shared,
        })
    }
}

/// The words of a chunk, shared; `None`: the runtime made a copy, which shares nothing.
fn share<'env>(env: &'env Env, control: &Arc<ChunkControl>, copies: &Cell<bool>) -> Result<Option<BufferSlice<'env>>> {
    let start = Arc::as_ptr(control).cast::<u8>();
    // SAFETY: `ChunkControl` is three atomic u32 in C's layout, twelve initialised bytes; the slice is used for its
    // address and length only. JavaScript's stores are aligned words, which the engine reads as atomics.
    let words = unsafe { std::slice::from_raw_parts(start, size_of::<ChunkControl>()) };
    // SAFETY: the words belong to `control`, which the buffer keeps.
    let shared = unsafe { lend(env, words, control.clone(), copies)? };
    Ok((shared.as_ptr() == start).then_some(shared))
}

/// A buffer over `bytes` that keeps `owner` until JavaScript's garbage collector takes the buffer.
///
/// # Safety
///
/// `bytes` must stay valid for as long as `owner` lives.
unsafe fn lend<'env, T: 'static>(
    env: &'env Env,
    bytes: &[u8],
    owner: T,
    copies: &Cell<bool>,
) -> Result<BufferSlice<'env>> {
    if copies.get() || bytes.is_empty() {
        return BufferSlice::copy_from(env, bytes);
    }
    let start = bytes.as_ptr().cast_mut();
    // SAFETY: `owner` keeps the bytes valid and is dropped by the finalizer, once, after the buffer's last use.
    let buffer = unsafe { BufferSlice::from_external(env, start, bytes.len(), owner, |_, owner| drop(owner))? };
    copies.set(buffer.as_ptr() != start.cast_const());
    Ok(buffer)
}
