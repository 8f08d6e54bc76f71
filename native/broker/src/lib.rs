//! dohle-broker
