//! What `xtask codegen` writes from `spec/options.toml`.

pub mod options;
