//! The workshop of the workspace: imports schemas, generates code, checks dependencies.
//! Nothing here ships; what it writes is committed.
//! Run as `cargo run -p xtask -- <task>` from `native/`.

mod dependencies;
mod generate;
mod generators;
mod import;
mod spec;

use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "usage: xtask <task>
  codegen [--verify]   write all generated files, or fail when one is stale
  codegen <generator>  write only one generator's files: messages, errors, options, header, operations
  import-schemas       read Kafka's message schemas from its published jars into native/spec/messages
  dependencies         check which crates ours depend on: direction, licences, sources, bans
  simulate [options]   run seeds of the simulation; --help tells more";

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
        ["simulate", options @ ..] => simulate(&root.join("native"), options),
        _ => bail!(USAGE),
    }
}

/// Builds the simulation and runs it. It is no dependency of this program, which writes code that it is made of.
fn simulate(native: &Path, options: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let simulation = ["run", "--locked", "--quiet", "--release", "-p", "dohle-simulation", "--"];
    let status = Command::new(cargo).args(simulation).args(options).current_dir(native).status()?;
    ensure!(status.success(), "the simulation failed");
    Ok(())
}

/// Asked for when it runs: a program that was built in one clone may run in another that has the same target folder.
fn repository_root() -> Result<PathBuf> {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").context("run it as `cargo run -p xtask`")?;
    Path::new(&here).ancestors().nth(2).map(Path::to_owned).context("xtask lies in native/xtask of the repository")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() && !entry.ends_with("target") {
                sources(&entry, found);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                found.push(entry);
            }
        }
    }

    /// Clones share a target folder in continuous integration, and cargo does not build anew what differs only by its place.
    #[test]
    fn no_program_remembers_the_folder_in_which_it_was_built() {
        let mut files = Vec::new();
        sources(&repository_root().unwrap().join("native"), &mut files);
        let remembers = concat!("env!(", "\"CARGO_MANIFEST_DIR\")");
        let wrong = files.iter().filter(|file| std::fs::read_to_string(file).unwrap().contains(remembers));
        assert_eq!(wrong.collect::<Vec<_>>(), Vec::<&PathBuf>::new());
        assert!(files.len() > 300);
    }
}
