//! The workshop of the workspace: imports schemas, generates code, checks dependencies.
fn main() {}
