//! What both ends of a connection need to prove who they are: secrets that nothing prints ([`Secret`]), what SCRAM computes
//! ([`scram`]), certificates and keys in PEM ([`pem`]). Functions of bytes: no I/O, no options, no protocol. Used by `client`
//! and `broker`, which know nothing of each other.
#![forbid(unsafe_code)]

pub mod pem;
pub mod scram;
mod secret;

pub use secret::Secret;

/// Compares in a time that does not tell where a difference is.
pub fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}
