//! The fetch half of the consumer against the embedded broker.

mod corrupt;
mod failing;
mod placing;
mod reading;
mod stress;
mod support;
