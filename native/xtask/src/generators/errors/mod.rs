//! `native/spec/errors.toml` → the table of `ErrorCode` in the protocol crate, the names in TypeScript, docs/errors.md.
//! The codes of our own (`CLOSED`, …) are in it for TypeScript and the docs; `client/src/error.rs` gives them, and has the test.

mod csharp;
mod java;
mod markdown;
mod python;
mod rust;
mod typescript;

use crate::generate::Output;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    error: Vec<Row>,
    own: Vec<Own>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    code: i16,
    name: String,
    class: Class,
    #[serde(default)]
    retriable: bool,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    name: String,
    class: Class,
    #[serde(default)]
    retriable: bool,
    text: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Class {
    None,
    Retriable,
    RefreshRetriable,
    TransactionAbortable,
    ApplicationRecoverable,
    InvalidConfiguration,
    Other,
}

const FROM: &str = "native/spec/errors.toml";

/// Everything that is rendered from the table.
pub fn run(root: &Path) -> Result<Vec<Output>> {
    let text = std::fs::read_to_string(root.join(FROM)).context(FROM)?;
    let table: Table = toml::from_str(&text).context(FROM)?;
    for (i, row) in table.error.iter().enumerate() {
        ensure!(i32::from(row.code) == i as i32 - 1, "{FROM}: {}: codes ascend by one from -1", row.name);
        ensure!(row.text.ends_with('.') && !row.text.contains(['\n', '|']), "{FROM}: {}: text is a sentence", row.name);
    }
    Ok(vec![
        Output::text("native/protocol/src/generated/errors.rs", rust::render(&table.error)),
        Output::text("ts/generated/errors.ts", typescript::render(&table)),
        Output::text("wrappers/python/dohle/_generated/errors.py", python::render(&table)),
        Output::text("docs/errors.md", markdown::render(&table)),
        csharp::render(&table),
        java::render(&table),
    ])
}

impl Class {
    fn words(self) -> &'static str {
        match self {
            Class::None | Class::Other => "",
            Class::Retriable => "retriable",
            Class::RefreshRetriable => "refresh retriable",
            Class::TransactionAbortable => "transaction abortable",
            Class::ApplicationRecoverable => "application recoverable",
            Class::InvalidConfiguration => "invalid configuration",
        }
    }
}
