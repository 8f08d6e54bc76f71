//! Written by `xtask codegen`, except for this file.

mod api_keys;
pub(crate) mod errors;
pub mod messages;
#[cfg(feature = "json")]
mod reflect;
pub(crate) mod schemas;
