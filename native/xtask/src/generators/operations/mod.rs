//! The cold operations of `native/bridge`: their types, their codecs and the admin methods, in every language.
//! A language is a module with `pub fn render(table: &Table) -> Result<Vec<Output>>` and a line in [`run`]. The table comes
//! from `cargo run -p dohle-bridge --example operations`, so that this crate does not depend on code that it generates.

mod csharp;
mod java;
mod model;
mod python;
mod typescript;

use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;

use crate::generate::Output;
use model::Table;

pub fn run(root: &Path) -> Result<Vec<Output>> {
    let table = table(root)?;
    let languages = [typescript::render, python::render, csharp::render, java::render];
    Ok(languages.iter().map(|render| render(&table)).collect::<Result<Vec<_>>>()?.concat())
}

fn table(root: &Path) -> Result<Table> {
    let output = Command::new("cargo")
        .args(["run", "--quiet", "--locked", "--package", "dohle-bridge", "--example", "operations"])
        .current_dir(root.join("native"))
        .output()
        .context("running the example that prints the table of operations")?;
    ensure!(output.status.success(), "no table of operations: {}", String::from_utf8_lossy(&output.stderr));
    Table::read(&serde_json::from_slice(&output.stdout)?)
}
