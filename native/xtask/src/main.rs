//! The workshop of the workspace: imports schemas, generates code, checks dependencies.
//! Nothing here ships; what it writes is committed.
//! Run as `cargo run -p xtask -- <task>` from `native/`.

mod dependencies;
mod generate;
mod generators;
mod import;
mod spec;

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: xtask <task>
  codegen [--verify]   write all generated files, or fail when one is stale
  codegen <generator>  write only one generator's files: messages, errors, options, header, operations
  import-schemas       read Kafka's message schemas from its published jars into native/spec/messages
  dependencies         check which crates ours depend on: direction, licences, sources, bans";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let root = repository_root()?;
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["codegen"] => generate::write(&root, generators::ALL),
        ["codegen", "--verify"] => generate::verify(&root, generators::ALL),
        ["codegen", name] => {
            let found = generators::ALL.iter().find(|generator| generator.name == *name);
            generate::write(&root, std::slice::from_ref(found.with_context(|| format!("no generator {name}"))?))
        }
        ["import-schemas"] => import::run(&root),
        ["dependencies"] => dependencies::check(&root.join("native")),
        _ => bail!(USAGE),
    }
}

fn repository_root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map(Path::to_owned).context("xtask lies in native/xtask of the repository")
}
