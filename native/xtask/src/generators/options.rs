//! Renders the table of options (`spec/options.toml`) as Rust structs, TypeScript interfaces and docs/configuration.md.
//! Not the reading of options: `client/src/options.rs` does that at run time. Driven by `xtask codegen`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
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
}

/// Everything that is rendered from the table.
pub fn run(root: &Path) -> Result<Vec<Output>> {
    let text = std::fs::read_to_string(root.join(FROM)).with_context(|| format!("cannot read {FROM}"))?;
    let table: Table = toml::from_str(&text).with_context(|| format!("{FROM} is not as its head describes"))?;
    for row in &table.option {
        row.check()?;
    }
    Ok(vec![
        Output::rust("native/client/src/generated/options.rs", rust(&table)),
        Output::text("ts/generated/options.ts", typescript(&table)),
        Output::text("docs/configuration.md", markdown(&table)),
    ])
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

/// The Rust variant of a value: `read_committed` is `ReadCommitted`, `1` is `One`.
fn variant(value: &str) -> String {
    match value {
        "0" => "Zero".into(),
        "1" => "One".into(),
        _ => value.split(['_', '-', '.']).map(capitalised).collect(),
    }
}

fn rust(table: &Table) -> String {
    let mut out = format!(
        "// Generated by `xtask codegen` from {FROM}; do not edit.\n\
         //! The options of each object, with their defaults, ranges and docs.\n\n\
         use std::time::Duration;\n\nuse serde_json::{{Map, Value}};\n\nuse crate::options::{{OptionError, Row, Source}};\n\n\
         pub use dohle_protocol::compress::Compression;\n"
    );
    for (object, doc) in OBJECTS {
        rust_struct(&mut out, table, object, doc);
    }
    for row in table.option.iter().filter(|row| row.kind == Kind::Enum && row.field() != "compression") {
        rust_enum(&mut out, row);
    }
    out
}

fn rust_struct(out: &mut String, table: &Table, object: &str, doc: &str) {
    let name = format!("{}Options", capitalised(object));
    let _ = writeln!(out, "\n/// {doc}\n#[derive(Debug, Clone, PartialEq)]\npub struct {name} {{");
    for row in table.of(object) {
        let _ = writeln!(out, "    /// `{}` ({}): {}", row.name, rust_facts(row), row.doc);
        let _ = writeln!(out, "    ///\n    /// Source: {}.", row.source);
        let _ = writeln!(out, "    pub {}: {},", row.field(), row.rust_type());
    }
    let _ = writeln!(out, "}}\n\nimpl Default for {name} {{\n    fn default() -> Self {{\n        Self {{");
    for row in table.of(object) {
        let _ = writeln!(out, "            {}: {},", row.field(), row.rust_default());
    }
    let _ = writeln!(out, "        }}\n    }}\n}}\n");
    for row in table.of(object) {
        let _ = writeln!(out, "const {}: Row = Row {{ name: {:?}, key: {:?} }};", row.constant(), row.name, row.key());
    }
    let rows: Vec<String> = table.of(object).map(Row::constant).collect();
    let _ = writeln!(out, "const {}_ROWS: &[Row] = &[{}];\n", object.to_uppercase(), rows.join(", "));
    let _ = writeln!(
        out,
        "impl {name} {{\n    /// Reads them from a JSON object, under Kafka's names or the camelCase ones. Absent and `null` are the default.\n    \
         ///\n    /// # Errors\n    /// An unknown name, a value of a wrong type or out of range, named.\n    \
         pub fn parse(given: &Map<String, Value>) -> Result<Self, OptionError> {{\n        \
         let source = Source::new(given, {}_ROWS)?;\n        let default = Self::default();\n        Ok(Self {{",
        object.to_uppercase()
    );
    for row in table.of(object) {
        let _ = writeln!(out, "            {}: {},", row.field(), rust_read(row));
    }
    let _ = writeln!(out, "        }})\n    }}\n}}");
}

fn rust_facts(row: &Row) -> String {
    let allowed = row.allowed();
    let unit = if allowed.is_empty() { row.unit().to_owned() } else { format!("{} {allowed}", row.unit()) };
    match row.default_text() {
        Some(text) if text.is_empty() => format!("{unit}; default empty"),
        Some(text) => format!("{unit}; default {text}"),
        None if row.required => format!("{unit}; required"),
        None => format!("{unit}; unset by default"),
    }
}

fn rust_read(row: &Row) -> String {
    let constant = row.constant();
    let values = format!("&{:?}", row.values);
    let range = format!(
        "{}, {}",
        row.min.unwrap_or(i64::MIN),
        row.max.unwrap_or(if row.kind == Kind::Ms { YEAR_MS } else { i64::MAX })
    )
    .replace(&i64::MIN.to_string(), "i64::MIN")
    .replace(&i64::MAX.to_string(), "i64::MAX");
    let read = match row.kind {
        Kind::String => format!("source.string({constant})?"),
        Kind::List => format!("source.list({constant}, {values})?"),
        Kind::Bool => format!("source.bool({constant})?"),
        Kind::Ms => format!("source.ms({constant}, {range})?"),
        Kind::Int => {
            let min = row.min.unwrap_or(i32::MIN.into());
            let max = row.max.unwrap_or(i32::MAX.into());
            format!("source.int({constant}, {min}, {max})?.map(|number| number as i32)")
        }
        Kind::Long => format!("source.int({constant}, {range})?"),
        Kind::Bytes => format!("source.int({constant}, {range})?.map(|bytes| bytes as usize)"),
        Kind::Enum if row.field() == "compression" => {
            format!("source.one_of({constant}, {values}, |text| text.parse().ok())?")
        }
        Kind::Enum => format!("source.one_of({constant}, {values}, {}::from_name)?", row.enum_name()),
    };
    if row.optional {
        read
    } else if row.required {
        let hint = format!("is needed ({} in TypeScript)", row.key());
        format!("{read}.ok_or_else(|| OptionError::new({constant}.name, {hint:?}))?")
    } else {
        format!("{read}.unwrap_or(default.{})", row.field())
    }
}

fn rust_enum(out: &mut String, row: &Row) {
    let name = row.enum_name();
    let _ = writeln!(
        out,
        "\n/// Values of `{}`.\n#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]\npub enum {name} {{",
        row.name
    );
    for value in &row.values {
        let _ = writeln!(out, "    /// `{value}`\n    {},", variant(value));
    }
    let _ = writeln!(
        out,
        "}}\n\nimpl {name} {{\n    /// The value of this name, if there is one.\n    pub fn from_name(name: &str) -> Option<Self> {{\n        match name {{"
    );
    for value in &row.values {
        let names: Vec<String> = std::iter::once(value)
            .chain(row.aliases.iter().filter(|(_, to)| *to == value).map(|(from, _)| from))
            .map(|name| format!("{name:?}"))
            .collect();
        let _ = writeln!(out, "            {} => Some(Self::{}),", names.join(" | "), variant(value));
    }
    let _ = writeln!(
        out,
        "            _ => None,\n        }}\n    }}\n\n    /// Its name in configurations.\n    pub fn name(self) -> &'static str {{\n        match self {{"
    );
    for value in &row.values {
        let _ = writeln!(out, "            Self::{} => {value:?},", variant(value));
    }
    let _ = writeln!(out, "        }}\n    }}\n}}");
}

fn typescript(table: &Table) -> String {
    let mut out = format!("// Generated by `xtask codegen` from {FROM}; do not edit.\n");
    for (object, doc) in OBJECTS {
        let name = format!("{}Options", capitalised(object));
        let _ = writeln!(out, "\n/** {doc} */\nexport interface {name} {{");
        for row in table.of(object) {
            let facts = if row.allowed().is_empty() {
                row.unit().to_owned()
            } else {
                format!("{} {}", row.unit(), row.allowed())
            };
            let _ = writeln!(
                out,
                "  /**\n   * {}\n   *\n   * `{}`, {facts}. Source: {}.",
                row.doc.replace("*/", "* /"),
                row.name,
                row.source
            );
            if let Some(default) = row.default_text() {
                let _ = writeln!(out, "   * @defaultValue {}", if default.is_empty() { "empty" } else { &default });
            }
            let optional = if row.required { "" } else { "?" };
            let _ = writeln!(
                out,
                "   */\n  {}{optional}: {}{}",
                row.key(),
                ts_type(row),
                if row.required { "" } else { " | undefined" }
            );
        }
        out.push_str("}\n");
    }
    out
}

fn ts_type(row: &Row) -> String {
    let quoted = || row.values.iter().map(|value| format!("'{value}'")).collect::<Vec<_>>().join(" | ");
    match row.kind {
        Kind::String => "string".into(),
        Kind::List if row.values.is_empty() => "string | string[]".into(),
        Kind::List => format!("({})[]", quoted()),
        Kind::Bool => "boolean".into(),
        Kind::Enum if row.name == "acks" => "'all' | -1 | 0 | 1".into(),
        Kind::Enum => quoted(),
        Kind::Int | Kind::Long | Kind::Bytes | Kind::Ms => "number".into(),
    }
}

fn markdown(table: &Table) -> String {
    let mut out = format!(
        "<!-- Generated by `xtask codegen` from {FROM}; do not edit. -->\n# Configuration\n\n\
         Every language takes an option under Kafka's name; TypeScript uses the camelCase name beside it. Durations are in\n\
         milliseconds, sizes in bytes. An unknown name, a wrong type or a value out of range is an error that says what is allowed.\n"
    );
    for (object, doc) in OBJECTS {
        let _ = writeln!(
            out,
            "\n## {}\n\n{doc}\n\n| option | TypeScript | takes | default | what it does |\n| --- | --- | --- | --- | --- |",
            capitalised(object)
        );
        for row in table.of(object) {
            let takes = if row.allowed().is_empty() {
                row.unit().to_owned()
            } else {
                format!("{}: {}", row.unit(), row.allowed())
            };
            let default = match row.default_text() {
                Some(text) if text.is_empty() => "empty".to_owned(),
                Some(text) => format!("`{text}`"),
                None if row.required => "required".into(),
                None => "unset".into(),
            };
            let doc = row.doc.replace('|', "\\|");
            let _ =
                writeln!(out, "| `{}` | `{}` | {takes} | {default} | {doc} ({}) |", row.name, row.key(), row.source);
        }
    }
    out
}
