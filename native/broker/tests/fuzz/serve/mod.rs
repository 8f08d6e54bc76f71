//! Requests that a seed or a fuzzer makes, asked of a broker in memory: no socket, a clock that jumps, one thread.
//! Driven by the tests beside it, and by the target `serve` of `native/fuzz`.

mod kinds;
mod known;
mod session;
mod world;

pub use kinds::{Kind, kind};
pub use known::{Known, damage};
pub use session::Session;
