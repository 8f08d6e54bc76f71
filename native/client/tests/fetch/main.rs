//! The fetch half of the consumer against the embedded broker.

mod corrupt;
mod failing;
mod leaders;
mod placing;
mod reading;
mod stress;
mod support;
