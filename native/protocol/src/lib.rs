//! dohle-protocol
