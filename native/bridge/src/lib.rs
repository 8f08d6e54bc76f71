//! The language-neutral edge: handles, arenas, chunks, one completion queue per environment, cold operations as JSON.
//!
//! It is not an API for people and decides nothing: every semantic rule lives in `dohle-client`. The edge crates
//! (`node`, later `ffi`, `python`, `java`) drive it; they convert their language's values to what is here, and back.
//!
//! - [`arena`]: the bytes of a run of records on the way out, one call for all of them.
//! - [`queue`]: what the engine has to say, as fixed entries of 48 bytes and texts beside them.
//! - [`bell`]: how the queue wakes a thread that waits, or an event loop that watches a descriptor.
//! - [`questions`]: what the engine asks of a program, answered by a cold call or not at all.
//! - [`environment`]: the table of handles, the queue and its wake-up, one per Node env, interpreter, JVM or AppDomain.
//! - [`pending`]: an operation whose outcome somebody waits for on their own thread, past the queue.
//! - [`cold`]: everything that is not hot, as one generic call with JSON on both sides.

pub mod arena;
pub(crate) mod asked;
pub(crate) mod assignors;
mod aws;
pub mod bell;
pub mod client;
pub mod cold;
pub mod consumer;
pub mod environment;
pub mod failure;
pub mod handles;
pub(crate) mod logs;
pub mod pending;
pub(crate) mod poll;
pub mod producer;
pub mod questions;
pub mod queue;
pub mod runtime;
pub(crate) mod tokens;
