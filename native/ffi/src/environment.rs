//! The environment: what one program, or one part of it, has of the engine; its queue, and how one waits for it.

use std::ffi::c_char;
use std::sync::Arc;
use std::time::Duration;

use dohle_bridge::bell::{Bell, Ringer, Waited};
use dohle_bridge::environment::Environment;
use dohle_bridge::failure::{Class, Failure};
use dohle_bridge::queue::ENTRY_WORDS;

use crate::error::{dohle_error, given, given_mut, guarded};
use crate::text;

/// Clients, producers, consumers and embedded brokers, and the queue in which they tell what happens. A program needs one.
/// Free it with `dohle_environment_free`.
pub struct dohle_environment {
    pub(crate) inner: Arc<Environment>,
    bell: Arc<Bell>,
}

/// A timeout in milliseconds; below 0: none.
pub(crate) fn timeout(ms: i64) -> Option<Duration> {
    u64::try_from(ms).ok().map(Duration::from_millis)
}

/// Makes an environment; `*environment` is then to be freed with `dohle_environment_free`. Result: 0.
///
/// # Safety
///
/// `environment` leads to a place for a pointer; `error` is NULL or leads to one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_environment_new(
    environment: *mut *mut dohle_environment,
    error: *mut *mut dohle_error,
) -> i32 {
    guarded(error, || {
        // SAFETY: this function's contract.
        let out = unsafe { given_mut(environment, "environment") }?;
        let bell = Arc::new(Bell::default());
        let inner = Environment::new(Box::new(Ringer(bell.clone())));
        *out = Box::into_raw(Box::new(dohle_environment { inner, bell }));
        Ok(0)
    })
}

/// Ends everything in it without waiting for anything: handles are closed, what waits returns (`dohle_wait` with 2). What is not
/// sent yet is lost; to lose nothing, close producers and consumers with their own operations first. The environment itself
/// stays, and can be freed once no call uses it any more. Once more: nothing happens.
///
/// # Safety
///
/// `environment` is NULL or an environment that is not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_environment_close(environment: *mut dohle_environment) {
    guarded(std::ptr::null_mut(), || {
        // SAFETY: this function's contract.
        if let Some(environment) = unsafe { environment.as_ref() } {
            environment.inner.close();
            environment.bell.close();
        }
        Ok(0)
    });
}

/// Closes an environment, as `dohle_environment_close`, and frees it. NULL: nothing happens.
///
/// # Safety
///
/// `environment` is NULL, or an environment that is not freed yet and that no other call uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_environment_free(environment: *mut dohle_environment) {
    if !environment.is_null() {
        // SAFETY: this function's contract.
        unsafe { dohle_environment_close(environment) };
        // SAFETY: this function's contract; it was made by `Box::into_raw`.
        drop(unsafe { Box::from_raw(environment) });
    }
}

/// Something that the engine has to say. Which members are set depends on `kind`; the others are 0.
#[repr(C)]
#[derive(Debug)]
pub struct dohle_entry {
    /// 1 delivery, 2 space, 3 chunks, 4 completion, 5 question, 6 event, 7 poison. Others: to be ignored, but for their text.
    ///
    /// - delivery: records of a producer were acknowledged, or failed (then `text` is the failure's JSON).
    /// - space: a producer whose memory was full has room: append what was left over.
    /// - chunks: a consumer whose `dohle_next_chunk` found nothing has something now.
    /// - completion: the call `id` of `dohle_call` is done: `text` is its response, or, when `index` is 1, its failure's JSON.
    /// - question: the engine asks, `text` says what: `{id, name, deadlineMs, request}`. Answer with the operation `environment.answer`.
    /// - event: something to know, `text` says what: `{name, …}`.
    /// - poison: the engine's part of a client has panicked: `text` is the failure's JSON. Close it.
    pub kind: i32,
    /// The producer, consumer or client it is about; 0: the environment.
    pub handle: u32,
    /// Delivery: the group that `dohle_append` answered. Completion: the call's id. Question: the question's id.
    pub id: u32,
    /// Delivery: index of its first record in the group. Completion: 0 done, 1 failed.
    pub index: u32,
    /// Delivery: number of records. Completion: number of chunks that go with it, to be taken with `dohle_take_chunk`.
    pub count: u32,
    /// Delivery: the partition.
    pub partition: i32,
    /// Delivery: are the records in the log? 0 no, 1 possibly, 2 yes.
    pub persistence: i32,
    /// 1: there is a text.
    pub has_text: i32,
    /// Delivery: offset of its first record; the others follow it one by one. −1: unknown, as with acks 0.
    pub base_offset: i64,
    /// Delivery: the time that the broker gave, in milliseconds since the epoch; −1: the records keep their own.
    pub append_time: i64,
    /// The text, or NULL. Handed over: free it with `dohle_text_free`.
    pub text: *mut c_char,
}

/// Waits, on the caller's thread, until there is something to drain, for at most `timeout_ms` milliseconds; below 0: for ever.
/// Result: 1 there is something, 0 nothing came in time, 2 the environment is closed.
///
/// # Safety
///
/// `environment` is an environment that is not freed before the call has returned; `error` is NULL or leads to a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_wait(
    environment: *const dohle_environment,
    timeout_ms: i64,
    error: *mut *mut dohle_error,
) -> i32 {
    guarded(error, || {
        // SAFETY: this function's contract.
        let environment = unsafe { given(environment, "environment") }?;
        Ok(match environment.bell.wait(timeout(timeout_ms)) {
            Waited::TimedOut => 0,
            Waited::Rung => 1,
            Waited::Closed => 2,
        })
    })
}

/// For event loops (`poll`, `epoll`, `kqueue`; Unix only): a descriptor that is readable while there is something to drain, and once the
/// environment is closed. It belongs to the environment: neither read from it nor close it; `dohle_drain` empties it.
/// Result: the descriptor.
///
/// # Safety
///
/// As `dohle_wait`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_wake_fd(environment: *const dohle_environment, error: *mut *mut dohle_error) -> i32 {
    guarded(error, || {
        // SAFETY: this function's contract.
        let environment = unsafe { given(environment, "environment") }?;
        let refused = |why: std::io::Error| Failure::new("UNSUPPORTED", Class::Other, format!("no descriptor: {why}"));
        environment.bell.descriptor().map_err(refused)
    })
}

/// Takes what the engine has to say, in order, at most `capacity` entries and at most 128. Never waits. `entry_size` is
/// `sizeof(dohle_entry)`. The text of each entry is handed over. When there may be more, `dohle_wait` returns at once.
/// Result: the number of entries.
///
/// # Safety
///
/// `environment` as in `dohle_wait`; `entries` leads to `capacity` entries of `entry_size` bytes that nobody else uses during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_drain(
    environment: *const dohle_environment,
    entries: *mut dohle_entry,
    capacity: usize,
    entry_size: usize,
    error: *mut *mut dohle_error,
) -> i32 {
    guarded(error, || {
        // SAFETY: this function's contract.
        let environment = unsafe { given(environment, "environment") }?;
        if entries.is_null() || entry_size != size_of::<dohle_entry>() {
            return Err(Failure::argument("entries", "is NULL, or of another size than this library's dohle_entry"));
        }
        let capacity = capacity.min(MOST_ENTRIES);
        environment.bell.silence();
        let mut words = [0; MOST_ENTRIES * ENTRY_WORDS];
        let mut texts = Vec::new();
        let count = environment.inner.queue().drain(&mut words[..capacity * ENTRY_WORDS], &mut texts);
        if count == capacity {
            environment.bell.ring();
        }
        for (index, words) in words.chunks_exact(ENTRY_WORDS).take(count).enumerate() {
            let text = usize::try_from(words[7]).ok().map(|at| text::handed_over(&texts[at]));
            // SAFETY: `index < count <= capacity`, and the contract: so many places of this size, aligned for it.
            unsafe { entries.add(index).write(entry(words, text)) };
        }
        Ok(count as i32)
    })
}

/// Entries that one call gives at most, so that they find room on the stack.
const MOST_ENTRIES: usize = 128;

fn entry(words: &[i32], text: Option<*mut c_char>) -> dohle_entry {
    let long = |at: usize| i64::from(words[at + 1]) << 32 | i64::from(words[at] as u32);
    dohle_entry {
        kind: words[0],
        handle: words[1] as u32,
        id: words[2] as u32,
        index: words[3] as u32,
        count: words[4] as u32,
        partition: words[5],
        persistence: words[6],
        has_text: i32::from(text.is_some()),
        base_offset: long(8),
        append_time: long(10),
        text: text.unwrap_or(std::ptr::null_mut()),
    }
}
