//! The C ABI of Dohle: `libdohle`, described by `include/dohle.h`, which is generated from here.
//!
//! It converts between C and `dohle-bridge`, and decides nothing. C#, C, C++ and whoever comes use it.
//!
//! # Rules of every function
//!
//! - **Status.** A negative result is a failure; `*error` is then set, unless `error` is NULL, and is to be freed with
//!   `dohle_error_free`. What is not negative says what each function tells of it. Outputs are written on success only.
//! - **Ownership.** What is lent (strings, arenas, arrays) is lent for the call and nothing of it is kept. What is handed over has one
//!   function that frees it, named where it is handed over; every such function takes NULL and does nothing.
//! - **Threads.** Every function may be called from every thread at any time. Only the freeing of an object must not run
//!   while another call uses the same object. No function calls back into the program: no code of it ever runs on the engine's threads.
//! - **Text** is UTF-8 and ends with a NUL. Requests, responses and options are JSON: those of docs/configuration.md and of
//!   the operations in `ts/generated/operations.ts`; 64-bit integers are decimal strings in it, and bytes are base64.
//! - **Structs** that are filled begin with their `size`, which the caller sets: a library that is newer than the header
//!   fills no more than that.
//! - **Handles** are numbers. One that was closed is never used again for something else: its use is the error `CLOSED`,
//!   and to close it once more does nothing.

#![warn(clippy::undocumented_unsafe_blocks)]
#![allow(non_camel_case_types)]

mod calls;
mod chunks;
mod environment;
mod error;
mod records;
mod text;

/// Version of this ABI. A library whose `dohle_abi_version` is another one is not to be used.
pub const DOHLE_ABI_VERSION: u32 = 1;

/// The ABI's version that the library was built with; see `DOHLE_ABI_VERSION`.
#[unsafe(no_mangle)]
pub extern "C" fn dohle_abi_version() -> u32 {
    DOHLE_ABI_VERSION
}

/// The version of Dohle, such as "0.1.0". Static: not to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn dohle_version() -> *const std::ffi::c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
