//! Runs generators and writes, or compares, what they put out.
//! Knows no table and no language: that is `generators/`.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One generated file. `path` is relative to the repository; `contents` is the whole file.
pub struct Output {
    pub path: PathBuf,
    pub contents: String,
}

impl Output {
    pub fn new(path: impl Into<PathBuf>, contents: impl Into<String>) -> Self {
        Output { path: path.into(), contents: contents.into() }
    }
}

/// A generator: a pure function of the repository's tables.
pub struct Generator {
    pub name: &'static str,
    /// Folders in which every file is this generator's: a file it no longer puts out is deleted.
    pub owns: &'static [&'static str],
    pub run: fn(root: &Path) -> Result<Vec<Output>>,
}

/// Writes what differs from what is there.
pub fn write(root: &Path, generators: &[Generator]) -> Result<()> {
    for (path, change) in changes(root, generators)? {
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
    let stale: Vec<String> = changes(root, generators)?.keys().map(|path| format!("  {}", path.display())).collect();
    if stale.is_empty() {
        return Ok(());
    }
    bail!("generated files are stale; run `cargo run -p xtask -- codegen`:\n{}", stale.join("\n"))
}

/// New contents per path, `None` for a file that must go.
fn changes(root: &Path, generators: &[Generator]) -> Result<BTreeMap<PathBuf, Option<String>>> {
    let mut changes = BTreeMap::new();
    for generator in generators {
        let outputs = (generator.run)(root).with_context(|| format!("generator {}", generator.name))?;
        for folder in generator.owns {
            for path in files(root, Path::new(folder))? {
                changes.insert(path, None);
            }
        }
        for Output { path, contents } in outputs {
            if fs::read_to_string(root.join(&path)).is_ok_and(|old| old == contents) {
                changes.remove(&path);
            } else {
                changes.insert(path, Some(contents));
            }
        }
    }
    Ok(changes)
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

    #[test]
    fn what_is_committed_is_what_the_generators_put_out() {
        let root = crate::repository_root().unwrap();
        verify(&root, crate::generators::ALL).unwrap();
    }
}
