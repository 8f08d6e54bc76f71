//! The Python edge: `dohle._native`, on which `wrappers/python` builds the classes that programs see.
//!
//! It converts between Python and `dohle-bridge`, and decides nothing. One environment per Python object, so that what a
//! producer or a consumer has to tell comes out where that one is polled, on its caller's thread. No code of Python ever runs on
//! the engine's threads, and none under a lock of ours: dropping a reference may run a program's `__del__`, which may give the GIL away.
//!
//! File map: `core` an environment, cold calls, waiting · `producer`, `deliveries` records out and who asked for their fate ·
//! `consumer`, `message` records in · `input` what Python gives as bytes · `fork` what a forked child must not do · `error` failures.

#![warn(clippy::undocumented_unsafe_blocks)]

mod consumer;
mod core;
mod deliveries;
mod error;
mod fork;
mod input;
mod message;
mod producer;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<core::Core>()?;
    module.add_class::<producer::Producer>()?;
    module.add_class::<consumer::Consumer>()?;
    module.add_class::<message::Message>()?;
    fork::watch(module.py())
}
