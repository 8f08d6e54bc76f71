//! The Java edge: what `io.dohle.internal.Native` declares, over JNI.
//!
//! It converts between Java and `dohle-bridge`, and decides nothing. The jar in `wrappers/java` is the only one that calls it.
//!
//! - [`guard`]: what every exported function goes through.
//! - [`environment`]: the one environment of a JVM, and the pump that takes what the engine has to say.
//! - [`calls`]: handles and cold operations.
//! - [`producer`]: one record out per call, from memory that Java writes without a call.
//! - [`consumer`]: pages of records, copied once into a Java array.
//!
//! No thread of the engine is ever attached to the JVM: Java calls, and is never called, but for the making of an exception
//! on the thread that called.
//!
//! The addresses that Java holds (`outbox`, `reader`) are freed by Java, under the lock or by the one thread that uses them;
//! everything else is named by handles.

#![warn(clippy::undocumented_unsafe_blocks)]

mod calls;
mod consumer;
mod environment;
mod guard;
mod producer;
