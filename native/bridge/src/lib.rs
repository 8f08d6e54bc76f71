//! dohle-bridge
