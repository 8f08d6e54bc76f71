//! Text on its way between C and Rust.

use std::ffi::{CStr, CString, c_char};

use dohle_bridge::failure::Failure;

/// Text as C has it. What the engine says holds no NUL; should it ever, the text ends there.
pub(crate) fn owned(text: &str) -> CString {
    let end = text.bytes().position(|byte| byte == 0).unwrap_or(text.len());
    CString::new(&text[..end]).expect("cut before the first NUL")
}

/// Hands text over; `dohle_text_free` frees it.
pub(crate) fn handed_over(text: &str) -> *mut c_char {
    owned(text).into_raw()
}

/// Text that C lends.
///
/// # Safety
///
/// A pointer that is not NULL must lead to bytes that end with a NUL and stay as they are during `'a`.
pub(crate) unsafe fn lent<'a>(text: *const c_char, name: &str) -> Result<&'a str, Failure> {
    if text.is_null() {
        return Err(Failure::argument(name, "is NULL"));
    }
    // SAFETY: not null; the rest is the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| Failure::argument(name, "is not UTF-8"))
}

/// Frees text that was handed over. NULL: nothing happens.
///
/// # Safety
///
/// `text` is NULL, or was handed over by this library as text to be freed with this function, and is not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_text_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: this function's contract; it was made by `CString::into_raw`.
        drop(unsafe { CString::from_raw(text) });
    }
}
