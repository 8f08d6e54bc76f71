//! What the application does: producers of all kinds, a group, and readers that only look. Each program runs on a host of its own,
//! notes what it does and is told, and judges nothing.

pub mod audit;
pub mod copies;
pub mod members;
pub mod pen;
pub mod reading;
pub mod teller;
pub mod text;
pub mod verifier;
pub mod writers;
