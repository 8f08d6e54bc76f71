//! The table as classes of properties in C#: `ProducerConfig`, `ConsumerConfig` and `AdminClientConfig`, each with the client's options.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{FROM, Kind, Row, Table};
use crate::generate::Output;
use crate::generators::csharp::{FOLDER, head, pascal, summary};

pub fn render(table: &Table) -> Output {
    let mut out = head(FROM);
    out.push_str("using System.Collections.Generic;\n\nnamespace Dohle\n{\n");
    enums(&mut out, table);
    class(
        &mut out,
        table,
        "client",
        "abstract class ClientConfig : Config",
        "Options of every client: how to reach the cluster.",
    );
    class(&mut out, table, "producer", "sealed class ProducerConfig : ClientConfig", "Options of a producer.");
    class(&mut out, table, "consumer", "sealed partial class ConsumerConfig : ClientConfig", "Options of a consumer.");
    class(&mut out, table, "admin", "sealed class AdminClientConfig : ClientConfig", "Options of an admin client.");
    out.push_str("    internal static class OptionNames\n    {\n");
    summary(&mut out, "        ", "The options that are the client's, by each of their names.");
    out.push_str("        public static readonly HashSet<string> Client = new HashSet<string>\n        {\n");
    let names: BTreeSet<String> = table.of("client").flat_map(|row| [row.name.clone(), row.key()]).collect();
    for name in names {
        let _ = writeln!(out, "            {name:?},");
    }
    out.push_str("        };\n    }\n}\n");
    Output::text(format!("{FOLDER}/Config.cs"), out)
}

fn enums(out: &mut String, table: &Table) {
    for row in table.option.iter().filter(|row| row.kind == Kind::Enum) {
        summary(out, "    ", &format!("Values of `{}`.", row.name));
        let _ = writeln!(out, "    public enum {}\n    {{", pascal(&row.name));
        for value in &row.values {
            summary(out, "        ", &format!("`{value}`"));
            let _ = writeln!(out, "        {},", value_name(row, value));
        }
        out.push_str("    }\n\n");
    }
}

/// The name of an enum's value: numbers have the names that Kafka's clients give them.
fn value_name(row: &Row, value: &str) -> String {
    match (row.name.as_str(), value) {
        ("acks", "1") => "Leader".into(),
        ("acks", "0") => "None".into(),
        _ => pascal(value),
    }
}

fn class(out: &mut String, table: &Table, of: &str, declaration: &str, doc: &str) {
    summary(out, "    ", &format!("{doc} Each property is the option of Kafka's name beside it; null: not set."));
    let _ = writeln!(out, "    public {declaration}\n    {{");
    for row in table.of(of) {
        property(out, row);
    }
    out.push_str("    }\n\n");
}

fn property(out: &mut String, row: &Row) {
    let (name, option) = (pascal(&row.name), format!("{:?}", row.name));
    if row.kind == Kind::Enum {
        let values = row.values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(out, "        private static readonly string[] {name}Names = {{ {values} }};");
    }
    let facts =
        if row.allowed().is_empty() { row.unit().to_owned() } else { format!("{}: {}", row.unit(), row.allowed()) };
    let default = match row.default_text() {
        Some(text) if text.is_empty() => "Default: empty.".to_owned(),
        Some(text) => format!("Default: {text}."),
        None if row.required => "Required.".into(),
        None => String::new(),
    };
    summary(out, "        ", &format!("`{}`, {facts}. {} {default} Source: {}.", row.name, row.doc, row.source));
    let (kind, get, set) = match row.kind {
        Kind::Bool => ("bool".to_owned(), format!("Bool({option})"), format!("Set({option}, value)")),
        Kind::Int | Kind::Ms => ("int".to_owned(), format!("(int?)Long({option})"), format!("Set({option}, value)")),
        Kind::Long | Kind::Bytes => ("long".to_owned(), format!("Long({option})"), format!("Set({option}, value)")),
        Kind::Enum => {
            let names = format!("{name}Names");
            (
                format!("global::Dohle.{name}"),
                format!("(global::Dohle.{name}?)Index({option}, {names})"),
                format!("Set({option}, (int?)value, {names})"),
            )
        }
        Kind::String | Kind::List | Kind::Pem | Kind::Secret => {
            ("string".to_owned(), format!("Get({option})"), format!("Set({option}, value)"))
        }
    };
    let _ = writeln!(
        out,
        "        public {kind}? {name}\n        {{\n            get => {get};\n            set => {set};\n        }}"
    );
}
