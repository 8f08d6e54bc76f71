//! dohle-client
