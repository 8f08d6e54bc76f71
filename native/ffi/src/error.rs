//! Failures as C gets them: an object with its parts as text, freed once.
//!
//! Every exported function runs in [`guarded`], so that no panic leaves the library.

use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use dohle_bridge::failure::Failure;

use crate::text;

/// A failure: why a call did not do what it should. Free it with `dohle_error_free`.
pub struct dohle_error {
    code: CString,
    message: CString,
    json: CString,
    failure: Failure,
    /// Of several records that were refused: why the others were.
    others: Vec<Self>,
}

impl dohle_error {
    pub(crate) fn boxed(failure: Failure) -> *mut Self {
        Box::into_raw(Box::new(Self::new(failure)))
    }

    /// The first of several, which has the others; NULL: there are none.
    pub(crate) fn several(failures: Vec<Failure>) -> *mut Self {
        let mut all = failures.into_iter().map(Self::new);
        let Some(mut first) = all.next() else { return std::ptr::null_mut() };
        first.others = all.collect();
        Box::into_raw(Box::new(first))
    }

    fn new(failure: Failure) -> Self {
        let (code, message, json) =
            (text::owned(&failure.code), text::owned(&failure.message), text::owned(&failure.to_json()));
        Self { code, message, json, failure, others: Vec::new() }
    }
}

/// The status of a failure.
pub(crate) const FAILED: i32 = -1;

/// Runs the body of an exported function. A failure, or a panic, goes to `error`.
pub(crate) fn guarded(error: *mut *mut dohle_error, body: impl FnOnce() -> Result<i32, Failure>) -> i32 {
    let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| Err(Failure::of_panic(&*payload)));
    match outcome {
        Ok(status) => status,
        Err(failure) => {
            if !error.is_null() {
                // SAFETY: not null, and so, as every function's contract says, a place for one pointer.
                unsafe { error.write(dohle_error::boxed(failure)) };
            }
            FAILED
        }
    }
}

/// What a pointer leads to, or the failure that it is NULL.
///
/// # Safety
///
/// A pointer that is not NULL must lead to a live `T` for as long as `'a`.
pub(crate) unsafe fn given<'a, T>(pointer: *const T, name: &str) -> Result<&'a T, Failure> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_ref() }.ok_or_else(|| Failure::argument(name, "is NULL"))
}

/// As [`given`], for what is written.
///
/// # Safety
///
/// As [`given`]; nobody else may use it during `'a`.
pub(crate) unsafe fn given_mut<'a, T>(pointer: *mut T, name: &str) -> Result<&'a mut T, Failure> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_mut() }.ok_or_else(|| Failure::argument(name, "is NULL"))
}

/// Kafka's name of the error, such as `UNKNOWN_TOPIC_OR_PARTITION`, or one of docs/errors.md. It lives as long as the error.
///
/// # Safety
///
/// `error` is NULL (then the result is NULL too) or an error that is not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_error_code(error: *const dohle_error) -> *const c_char {
    // SAFETY: this function's contract.
    unsafe { error.as_ref() }.map_or(std::ptr::null(), |error| error.code.as_ptr())
}

/// What went wrong and what to do, for people. It lives as long as the error.
///
/// # Safety
///
/// As `dohle_error_code`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_error_message(error: *const dohle_error) -> *const c_char {
    // SAFETY: this function's contract.
    unsafe { error.as_ref() }.map_or(std::ptr::null(), |error| error.message.as_ptr())
}

/// All of it as a JSON object: code, class (KIP-1050), message, retriable, fatal, abortable, persistence, causes. It lives as
/// long as the error.
///
/// # Safety
///
/// As `dohle_error_code`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_error_json(error: *const dohle_error) -> *const c_char {
    // SAFETY: this function's contract.
    unsafe { error.as_ref() }.map_or(std::ptr::null(), |error| error.json.as_ptr())
}

/// Of an error of `dohle_append`: why a record was refused, by the second number of its answer. NULL: there is none at this
/// place. It lives as long as `error`, and is not to be freed.
///
/// # Safety
///
/// As `dohle_error_code`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_error_at(error: *const dohle_error, place: u32) -> *const dohle_error {
    // SAFETY: this function's contract.
    let of = unsafe { error.as_ref() };
    let at = of.and_then(|error| if place == 0 { Some(error) } else { error.others.get(place as usize - 1) });
    at.map_or(std::ptr::null(), std::ptr::from_ref)
}

/// Whether the same call may succeed later.
///
/// # Safety
///
/// As `dohle_error_code`; of NULL it is false.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_error_retriable(error: *const dohle_error) -> bool {
    // SAFETY: this function's contract.
    unsafe { error.as_ref() }.is_some_and(|error| error.failure.retriable)
}

/// Whether the object that gave it is of no more use, and is to be closed.
///
/// # Safety
///
/// As `dohle_error_retriable`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_error_fatal(error: *const dohle_error) -> bool {
    // SAFETY: this function's contract.
    unsafe { error.as_ref() }.is_some_and(|error| error.failure.fatal)
}

/// Whether it ended a transaction, which is to be aborted.
///
/// # Safety
///
/// As `dohle_error_retriable`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_error_abortable(error: *const dohle_error) -> bool {
    // SAFETY: this function's contract.
    unsafe { error.as_ref() }.is_some_and(|error| error.failure.abortable)
}

/// Frees an error. NULL: nothing happens.
///
/// # Safety
///
/// `error` is NULL or an error that was handed over and is not freed yet; nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_error_free(error: *mut dohle_error) {
    if !error.is_null() {
        // SAFETY: this function's contract; it was made by `Box::into_raw`.
        drop(unsafe { Box::from_raw(error) });
    }
}
