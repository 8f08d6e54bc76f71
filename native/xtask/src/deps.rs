//! Stub.
use anyhow::Result;
use std::path::Path;
/// Stub.
pub fn run(_root: &Path) -> Result<()> {
    Ok(())
}
