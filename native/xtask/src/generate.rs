//! Runs generators and writes, or compares, what they put out.
//! Knows no table and no language: that is `generators/`.

use anyhow::{Context, Result, anyhow, bail, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One generated file. `path` is relative to the repository; `contents` is the whole file.
#[derive(Clone)]
pub struct Output {
    pub path: PathBuf,
    pub contents: String,
    format: bool,
}

impl Output {
    /// A file that is written as it is.
    pub fn text(path: impl Into<PathBuf>, contents: impl Into<String>) -> Self {
        Output { path: path.into(), contents: contents.into(), format: false }
    }

    /// A Rust file that rustfmt brings into shape.
    pub fn rust(path: impl Into<PathBuf>, contents: impl Into<String>) -> Self {
        Output { format: true, ..Output::text(path, contents) }
    }
}

/// A generator: a pure function of the repository's tables.
pub struct Generator {
    pub name: &'static str,
    /// Folders in which every file is this generator's: a file it no longer puts out is deleted.
    pub owns: &'static [&'static str],
    pub run: fn(root: &Path) -> Result<Vec<Output>>,
}

/// Writes what differs from what is there, one generator after the other: a later one may build what an earlier one wrote.
pub fn write(root: &Path, generators: &[Generator]) -> Result<()> {
    generators.iter().try_for_each(|generator| write_one(root, generator))
}

fn write_one(root: &Path, generator: &Generator) -> Result<()> {
    for (path, change) in changes(root, generator)? {
        let full = root.join(&path);
        match change {
            Some(contents) => {
                fs::create_dir_all(full.parent().context("an output lies in a folder")?)?;
                fs::write(&full, contents).with_context(|| format!("writing {}", path.display()))?;
                println!("wrote {}", path.display());
            }
            None => {
                fs::remove_file(&full)?;
                println!("removed {}", path.display());
            }
        }
    }
    Ok(())
}

/// Fails, naming the files, when anything differs.
pub fn verify(root: &Path, generators: &[Generator]) -> Result<()> {
    let mut stale = Vec::new();
    for generator in generators {
        stale.extend(changes(root, generator)?.keys().map(|path| format!("  {}", path.display())));
    }
    if stale.is_empty() {
        return Ok(());
    }
    bail!("generated files are stale; run `cargo run -p xtask -- codegen`:\n{}", stale.join("\n"))
}

/// New contents per path, `None` for a file that must go.
fn changes(root: &Path, generator: &Generator) -> Result<BTreeMap<PathBuf, Option<String>>> {
    let mut changes = BTreeMap::new();
    for folder in generator.owns {
        for path in files(root, Path::new(folder))? {
            changes.insert(path, None);
        }
    }
    let outputs = (generator.run)(root).with_context(|| format!("generator {}", generator.name))?;
    for Output { path, contents, format } in outputs {
        let contents = if format { rustfmt(root, &contents)? } else { contents };
        if fs::read_to_string(root.join(&path)).is_ok_and(|old| old == contents) {
            changes.remove(&path);
        } else {
            changes.insert(path, Some(contents));
        }
    }
    Ok(changes)
}

fn rustfmt(root: &Path, source: &str) -> Result<String> {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root.join("native/rustfmt.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("rustfmt is needed (rustup component add rustfmt)")?;
    let mut stdin = child.stdin.take().context("rustfmt has a standard input")?;
    // Written from another thread: rustfmt may begin to answer before it has read everything.
    let source = source.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(source.as_bytes()));
    let output = child.wait_with_output()?;
    writer.join().map_err(|_| anyhow!("the writer to rustfmt panicked"))??;
    ensure!(output.status.success(), "rustfmt refused a generated file");
    Ok(String::from_utf8(output.stdout)?)
}

fn files(root: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let full = root.join(folder);
    let mut found = Vec::new();
    if !full.exists() {
        return Ok(found);
    }
    for entry in fs::read_dir(full)? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() { found.extend(files(root, &path)?) } else { found.push(path) }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without the generator that builds a crate: cargo within a test waits for itself. `npm run check` runs them all.
    #[test]
    fn what_is_committed_is_what_the_generators_put_out() {
        let root = crate::repository_root().unwrap();
        for generator in crate::generators::ALL.iter().filter(|generator| generator.name != "operations") {
            verify(&root, std::slice::from_ref(generator)).unwrap();
        }
    }
}
