//! Renders the table of options (`spec/options.toml`) as Rust structs, TypeScript interfaces and docs/configuration.md.
//! Not the reading of options: `client/src/options.rs` does that at run time. Driven by `xtask codegen`.

mod csharp;
mod java;
mod markdown;
mod python;
mod rust;
mod typescript;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::generate::Output;

const FROM: &str = "native/spec/options.toml";
/// No duration is longer than this, so that adding it to a clock cannot overflow.
const YEAR_MS: i64 = 31_536_000_000;

const OBJECTS: [(&str, &str); 3] = [
    ("client", "Options of `Kafka`: how to reach the cluster."),
    ("producer", "Options of a producer."),
    ("consumer", "Options of a consumer."),
];

#[derive(Deserialize)]
struct Table {
    option: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    key: Option<String>,
    field: Option<String>,
    of: String,
    #[serde(rename = "type")]
    kind: Kind,
    default: Option<toml::Value>,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    required: bool,
    min: Option<i64>,
    max: Option<i64>,
    #[serde(default)]
    values: Vec<String>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
    doc: String,
    source: String,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    String,
    List,
    Bool,
    Int,
    Long,
    Bytes,
    Ms,
    Enum,
    Pem,
    Secret,
}

/// Everything that is rendered from the table.
pub fn run(root: &Path) -> Result<Vec<Output>> {
    let text = std::fs::read_to_string(root.join(FROM)).with_context(|| format!("cannot read {FROM}"))?;
    let table: Table = toml::from_str(&text).with_context(|| format!("{FROM} is not as its head describes"))?;
    for row in &table.option {
        row.check()?;
    }
    let mut outputs = java::render(&table);
    outputs.extend([
        Output::rust("native/client/src/generated/options.rs", rust::render(&table)),
        Output::text("ts/generated/options.ts", typescript::render(&table)),
        Output::text("wrappers/python/dohle/_generated/options.py", python::render(&table)),
        Output::text("docs/configuration.md", markdown::render(&table)),
        csharp::render(&table),
    ]);
    Ok(outputs)
}

impl Table {
    fn of<'a>(&'a self, object: &'a str) -> impl Iterator<Item = &'a Row> {
        self.option.iter().filter(move |row| row.of == object)
    }
}

impl Row {
    fn check(&self) -> Result<()> {
        let name = &self.name;
        if !OBJECTS.iter().any(|(object, _)| *object == self.of) {
            bail!("{FROM}: {name}: of = {:?} is not an object", self.of);
        }
        if usize::from(self.default.is_some()) + usize::from(self.optional) + usize::from(self.required) != 1 {
            bail!("{FROM}: {name}: needs just one of default, optional and required");
        }
        if self.kind == Kind::Secret && !self.optional {
            bail!("{FROM}: {name}: a secret has no default");
        }
        if (self.kind == Kind::Enum) == self.values.is_empty() && self.kind != Kind::List {
            bail!("{FROM}: {name}: values go with an enum or a list");
        }
        Ok(())
    }

    fn key(&self) -> String {
        self.key.clone().unwrap_or_else(|| {
            let mut words = self.name.split(['.', '_']);
            let first = words.next().unwrap_or_default().to_owned();
            words.fold(first, |all, word| all + &capitalised(word))
        })
    }

    fn field(&self) -> String {
        self.field.clone().unwrap_or_else(|| self.name.trim_end_matches(".ms").replace('.', "_"))
    }

    /// The nested object it is a member of, and its name there.
    fn member(&self) -> Option<(String, String)> {
        let key = self.key();
        key.split_once('.').map(|(group, name)| (group.to_owned(), name.to_owned()))
    }

    fn constant(&self) -> String {
        format!("{}_{}", self.of.to_uppercase(), self.name.to_uppercase().replace('.', "_"))
    }

    fn enum_name(&self) -> String {
        if self.field() == "compression" {
            return "Compression".to_owned();
        }
        self.name.split(['.', '_']).map(capitalised).collect()
    }

    fn base_type(&self) -> String {
        match self.kind {
            Kind::String => "String".into(),
            Kind::List => "Vec<String>".into(),
            Kind::Bool => "bool".into(),
            Kind::Int => "i32".into(),
            Kind::Long => "i64".into(),
            Kind::Bytes => "usize".into(),
            Kind::Ms => "Duration".into(),
            Kind::Enum => self.enum_name(),
            Kind::Pem => "String".into(),
            Kind::Secret => "Secret".into(),
        }
    }

    fn rust_type(&self) -> String {
        if self.optional { format!("Option<{}>", self.base_type()) } else { self.base_type() }
    }

    fn default_text(&self) -> Option<String> {
        self.default.as_ref().map(|value| match value {
            toml::Value::Array(items) => items.iter().filter_map(|item| item.as_str()).collect::<Vec<_>>().join(","),
            toml::Value::String(s) => s.clone(),
            other => other.to_string(),
        })
    }

    fn rust_default(&self) -> String {
        let Some(default) = &self.default else {
            return if self.optional { "None".into() } else { "Default::default()".into() };
        };
        match (self.kind, default) {
            (Kind::String, value) => {
                let text = value.as_str().unwrap_or_default();
                if text.is_empty() { "String::new()".into() } else { format!("{text:?}.to_owned()") }
            }
            (Kind::List, toml::Value::Array(items)) => {
                let items: Vec<String> = items.iter().map(|item| format!("{item}.to_owned()")).collect();
                format!("vec![{}]", items.join(", "))
            }
            (Kind::Ms, value) => format!("Duration::from_millis({value})"),
            (Kind::Enum, value) => format!("{}::{}", self.enum_name(), variant(value.as_str().unwrap_or_default())),
            (_, value) => value.to_string(),
        }
    }

    fn allowed(&self) -> String {
        match (self.min, self.max) {
            _ if !self.values.is_empty() => self.values.join(", "),
            (Some(min), Some(max)) => format!("{min} to {max}"),
            (Some(min), None) if self.kind == Kind::Ms => format!("{min} to {YEAR_MS}"),
            (Some(min), None) => format!("{min} or more"),
            (None, Some(max)) => format!("up to {max}"),
            (None, None) => String::new(),
        }
    }

    fn unit(&self) -> &'static str {
        match self.kind {
            Kind::Ms => "milliseconds",
            Kind::Bytes => "bytes",
            Kind::Bool => "true or false",
            Kind::String => "a string",
            Kind::Pem => "text in PEM",
            Kind::Secret => "a secret string",
            Kind::List => "a list of strings",
            Kind::Enum => "one of",
            Kind::Int | Kind::Long => "a whole number",
        }
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The Rust variant of a value: `read_committed` is `ReadCommitted`, `SASL_SSL` is `SaslSsl`, `1` is `One`.
fn variant(value: &str) -> String {
    match value {
        "0" => "Zero".into(),
        "1" => "One".into(),
        _ if value.chars().any(char::is_lowercase) => value.split(['_', '-', '.']).map(capitalised).collect(),
        _ => variant(&value.to_lowercase()),
    }
}
