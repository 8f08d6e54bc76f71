//! Handles and cold operations: everything that is not hot, as JSON, by a queue entry or waited for by the caller.

use std::ffi::c_char;

use dohle_bridge::consumer::Drive;
use dohle_bridge::failure::Failure;
use dohle_bridge::pending::Pending;

use crate::chunks::{checked, dohle_chunk, hand_over};
use crate::environment::{dohle_environment, timeout};
use crate::error::{dohle_error, given, given_mut, guarded};
use crate::text::{handed_over, lent};

/// What an arena lends, or nothing.
///
/// # Safety
///
/// `arena` is NULL or leads to `length` bytes that nobody writes during `'a`.
pub(crate) unsafe fn bytes<'a>(arena: *const u8, length: usize) -> Option<&'a [u8]> {
    // SAFETY: not null, and the caller's promise.
    (!arena.is_null()).then(|| unsafe { std::slice::from_raw_parts(arena, length) })
}

/// Makes a client (`kind` is "client", `parent` 0), or a producer ("producer") or a consumer of the client `parent`. Of consumers there are three kinds:
///
/// - "consumer" is driven through the queue: `dohle_next_chunk`, and entries of the kinds chunks and question.
/// - "polling consumer": a thread waits in `dohle_poll`. When partitions are revoked, those in hand are given up with the next poll.
/// - "listening consumer": the same, and the program is asked: the questions `assigned` and `revoke` (`{partitions}`; the answer says nothing)
///   come out of `dohle_poll`, and out of `dohle_question` while it leaves its group.
///
/// `options` is a JSON object of the options of docs/configuration.md; NULL: none. Nothing is connected yet.
/// Close it with the operation `client.close`, `producer.close` or `consumer.close`. Result: 0, and `*handle`.
///
/// # Safety
///
/// `environment` as in `dohle_wait`; `kind` and `options` are text (`options` may be NULL); `handle` leads to a place for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_open(
    environment: *const dohle_environment,
    kind: *const c_char,
    parent: u32,
    options: *const c_char,
    handle: *mut u32,
    error: *mut *mut dohle_error,
) -> i32 {
    guarded(error, || {
        // SAFETY: this function's contract, for all four.
        let (environment, kind) = unsafe { (given(environment, "environment")?, lent(kind, "kind")?) };
        // SAFETY: as above.
        let out = unsafe { given_mut(handle, "handle") }?;
        // SAFETY: as above.
        let options = if options.is_null() { "{}" } else { unsafe { lent(options, "options") }? };
        *out = match kind {
            "client" => environment.inner.open_client(options),
            "producer" => environment.inner.open_producer(parent, options),
            "consumer" => environment.inner.open_consumer(parent, options, Drive::Queue),
            "polling consumer" => environment.inner.open_consumer(parent, options, Drive::Poll),
            "listening consumer" => environment.inner.open_consumer(parent, options, Drive::Listen),
            _ => Err(Failure::argument("kind", "must be one of those that dohle.h tells of dohle_open")),
        }?;
        Ok(0)
    })
}

/// Runs an operation that never waits, such as `consumer.pause`. `request` is its JSON; NULL: `{}`.
/// Result: 0, and `*response`, JSON that is handed over: free it with `dohle_text_free`. `response` may be NULL.
///
/// # Safety
///
/// `environment` as in `dohle_wait`; `operation` and `request` are text; `response` is NULL or leads to a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_invoke(
    environment: *const dohle_environment,
    handle: u32,
    operation: *const c_char,
    request: *const c_char,
    response: *mut *mut c_char,
    error: *mut *mut dohle_error,
) -> i32 {
    guarded(error, || {
        // SAFETY: this function's contract.
        let (environment, (operation, request)) =
            unsafe { (given(environment, "environment")?, named(operation, request)?) };
        let text = environment.inner.invoke(handle, operation, request)?;
        // SAFETY: this function's contract.
        if let Some(out) = unsafe { response.as_mut() } {
            *out = handed_over(&text);
        }
        Ok(0)
    })
}

/// Starts an operation that waits for something, such as `admin.createTopics`; an entry of kind completion tells what came of it, also when it
/// could not be started. `id` is chosen by the caller, and must not be that of another call that is under way. `arena`: records that go with the
/// request, for the operations that take some; NULL: none. Result: 0.
///
/// # Safety
///
/// `environment` as in `dohle_wait`; `operation` and `request` are text; `arena` is NULL or leads to `arena_length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_call(
    environment: *const dohle_environment,
    id: u32,
    handle: u32,
    operation: *const c_char,
    request: *const c_char,
    arena: *const u8,
    arena_length: usize,
    error: *mut *mut dohle_error,
) -> i32 {
    guarded(error, || {
        // SAFETY: this function's contract.
        let (environment, (operation, request)) =
            unsafe { (given(environment, "environment")?, named(operation, request)?) };
        // SAFETY: this function's contract.
        let arena = unsafe { bytes(arena, arena_length) };
        environment.inner.call(id, handle, operation, request, arena);
        Ok(0)
    })
}

/// Stops a call of `dohle_call`: its completion does not come. What it has done stays done. Result: 0.
///
/// # Safety
///
/// `environment` as in `dohle_wait`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_cancel(
    environment: *const dohle_environment,
    id: u32,
    error: *mut *mut dohle_error,
) -> i32 {
    guarded(error, || {
        // SAFETY: this function's contract.
        unsafe { given(environment, "environment") }?.inner.cancel(id);
        Ok(0)
    })
}

/// Takes a chunk that goes with a completion whose `count` is not 0. All are to be taken, also when nobody wants them.
/// Result: 1 and `*chunk`, as from `dohle_next_chunk`; 0: there is no more.
///
/// # Safety
///
/// `environment` as in `dohle_wait`; `chunk` leads to a `dohle_chunk` whose `size` is set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_take_chunk(
    environment: *const dohle_environment,
    id: u32,
    chunk: *mut dohle_chunk,
    error: *mut *mut dohle_error,
) -> i32 {
    guarded(error, || {
        // SAFETY: this function's contract.
        let environment = unsafe { given(environment, "environment") }?;
        // SAFETY: this function's contract. Looked at first: a chunk that cannot be handed over must not be taken.
        unsafe { checked(chunk) }?;
        match environment.inner.take_chunk(id) {
            // SAFETY: this function's contract.
            Some(next) => unsafe { hand_over(next, chunk) }.map(|()| 1),
            None => Ok(0),
        }
    })
}

/// An operation under way that somebody waits for: see `dohle_start`. Free it with `dohle_operation_free`.
pub struct dohle_operation {
    pending: Pending,
}

/// Starts an operation as `dohle_call` does, but its outcome comes to who waits with `dohle_operation_wait`, and not through the queue.
/// Result: 0, and `*started`, to be freed with `dohle_operation_free`.
///
/// # Safety
///
/// As `dohle_call`; `started` leads to a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_start(
    environment: *const dohle_environment,
    handle: u32,
    operation: *const c_char,
    request: *const c_char,
    arena: *const u8,
    arena_length: usize,
    started: *mut *mut dohle_operation,
    error: *mut *mut dohle_error,
) -> i32 {
    guarded(error, || {
        // SAFETY: this function's contract.
        let (environment, (operation, request)) =
            unsafe { (given(environment, "environment")?, named(operation, request)?) };
        // SAFETY: this function's contract.
        let (out, arena) = unsafe { (given_mut(started, "started")?, bytes(arena, arena_length)) };
        let pending = environment.inner.pending(handle, operation, request, arena)?;
        *out = Box::into_raw(Box::new(dohle_operation { pending }));
        Ok(0)
    })
}

/// Waits, on the caller's thread, for the outcome, for at most `timeout_ms` milliseconds; below 0: until it comes, which each operation's own time
/// limit ensures. Result: 1 and `*response` (JSON, handed over: `dohle_text_free`; `response` may be NULL); 0: nothing came in
/// time, call again; negative: the operation has failed. The outcome is given once.
///
/// # Safety
///
/// `operation` is an operation that is not freed before the call has returned; `response` and `error` are NULL or lead to a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_operation_wait(
    operation: *const dohle_operation,
    timeout_ms: i64,
    response: *mut *mut c_char,
    error: *mut *mut dohle_error,
) -> i32 {
    guarded(error, || {
        // SAFETY: this function's contract.
        let operation = unsafe { given(operation, "operation") }?;
        let Some(outcome) = operation.pending.wait(timeout(timeout_ms)) else { return Ok(0) };
        let text = outcome?;
        // SAFETY: this function's contract.
        if let Some(out) = unsafe { response.as_mut() } {
            *out = handed_over(&text);
        }
        Ok(1)
    })
}

/// Takes a chunk that goes with an operation's response (`partition.fetch`), once that has come.
/// Result: 1 and `*chunk`, as from `dohle_next_chunk`; 0: there is no more.
///
/// # Safety
///
/// `operation` as in `dohle_operation_wait`; `chunk` leads to a `dohle_chunk` whose `size` is set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_operation_chunk(
    operation: *const dohle_operation,
    chunk: *mut dohle_chunk,
    error: *mut *mut dohle_error,
) -> i32 {
    guarded(error, || {
        // SAFETY: this function's contract.
        let operation = unsafe { given(operation, "operation") }?;
        // SAFETY: as in `dohle_take_chunk`.
        unsafe { checked(chunk) }?;
        match operation.pending.take_chunk() {
            // SAFETY: this function's contract.
            Some(next) => unsafe { hand_over(next, chunk) }.map(|()| 1),
            None => Ok(0),
        }
    })
}

/// Frees an operation; one that is still under way is stopped, and what it has done stays done. NULL: nothing happens.
///
/// # Safety
///
/// `operation` is NULL, or an operation that is not freed yet and that no other call uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_operation_free(operation: *mut dohle_operation) {
    if !operation.is_null() {
        guarded(std::ptr::null_mut(), || {
            // SAFETY: this function's contract; it was made by `Box::into_raw`.
            drop(unsafe { Box::from_raw(operation) });
            Ok(0)
        });
    }
}

/// An operation's name and request.
///
/// # Safety
///
/// Both are NULL or text that stays during `'a`.
unsafe fn named<'a>(operation: *const c_char, request: *const c_char) -> Result<(&'a str, &'a str), Failure> {
    // SAFETY: the caller's promise.
    let operation = unsafe { lent(operation, "operation") }?;
    // SAFETY: the caller's promise.
    let request = if request.is_null() { "{}" } else { unsafe { lent(request, "request") }? };
    Ok((operation, request))
}
