//! dohle-node
