//! What clippy cannot tell apart: `select!` without `biased` polls in random order, and no two simulated runs are equal.

use std::path::Path;

fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Lines of a file that open a `select!` whose next line is not `biased;`.
fn unbiased(text: &str) -> Vec<usize> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let opens = |line: &str| line.contains("select! {") && !line.starts_with("//");
    let is_biased = |at: usize| lines.get(at + 1).is_some_and(|next| *next == "biased;");
    (0..lines.len()).filter(|at| opens(lines[*at]) && !is_biased(*at)).map(|at| at + 1).collect()
}

#[test]
fn every_select_is_biased_in_the_engine_and_in_the_broker() {
    let native = Path::new("..");
    let mut files = Vec::new();
    sources(&native.join("client/src"), &mut files);
    sources(&native.join("broker/src"), &mut files);
    let mut wrong = Vec::new();
    for file in &files {
        for line in unbiased(&std::fs::read_to_string(file).unwrap()) {
            wrong.push(format!("{}:{line}", file.display()));
        }
    }
    assert!(files.len() > 20, "the sources were not found");
    assert!(wrong.is_empty(), "begin with `biased;`: {wrong:#?}");
}

#[test]
fn the_check_itself_finds_an_unbiased_select() {
    assert_eq!(unbiased("a\ntokio::select! {\n    x = y => {}\n}\nselect! {\n  biased;\n}"), [2]);
}
