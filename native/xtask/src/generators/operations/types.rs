//! Declarations of the types, with their docs, and the map of operations.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::Value;

use super::schema::{description, format, nullable, properties, quoted, type_of};
use super::{Operation, Table};

/// Tables that other generators have rendered: their name in a schema, the type, its file.
pub const RENDERED: [(&str, &str, &str); 1] = [("errors", "BrokerErrorCode", "./errors.ts")];

/// A doc comment; a paragraph that begins with `Default:` becomes a tag. Nothing when there is nothing to say.
pub fn doc(out: &mut String, indent: &str, text: &str, more: &[String]) {
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        let paragraph = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        match paragraph.strip_prefix("Default: ") {
            Some(value) => lines.push(format!("@defaultValue {}", value.trim_end_matches('.'))),
            None => lines.push(paragraph),
        }
    }
    if !more.is_empty() {
        lines.push(String::new());
        lines.extend_from_slice(more);
    }
    match lines.as_slice() {
        [] => return,
        [line] => {
            let _ = writeln!(out, "{indent}/** {line} */");
            return;
        }
        _ => {}
    }
    let _ = writeln!(out, "{indent}/**");
    for line in lines {
        let _ = writeln!(out, "{}", format!("{indent} * {line}").trim_end());
    }
    let _ = writeln!(out, "{indent} */");
}

/// One member of an interface.
pub fn property(out: &mut String, indent: &str, schema: &Value, way_in: bool, of: (&str, bool)) -> Result<()> {
    let (name, required) = of;
    let kind = type_of(schema)?;
    match schema["const"].as_str() {
        Some(_) => doc(out, indent, "Which of them this is.", &[]),
        None => doc(out, indent, description(schema), &[]),
    }
    let declared = match (required, way_in) {
        (true, _) => format!("{name}: {kind}"),
        (false, true) => format!("{name}?: {kind} | null | undefined"),
        (false, false) => format!("{name}: {kind} | null"),
    };
    writeln!(out, "{indent}{declared}")?;
    Ok(())
}

/// The declaration of a type.
pub fn declaration(table: &Table, name: &str) -> Result<String> {
    let schema = table.schema(name);
    let way_in = table.requests.contains(name);
    let mut out = String::from("\n");
    doc(&mut out, "", description(schema), &[]);
    if matches!(format(schema), "open" | "named") {
        let rendered = RENDERED.iter().find(|(table, ..)| schema["x-table"] == *table);
        let names =
            rendered.map_or_else(|| quoted(&schema["examples"]).join("\n  | "), |(_, name, _)| (*name).to_owned());
        let number = if format(schema) == "named" { " | number" } else { "" };
        writeln!(out, "export type {name} =\n  | {names}\n  | (string & {{}}){number}")?;
    } else if let Some(variants) = schema["oneOf"].as_array() {
        writeln!(out, "export type {name} =")?;
        for variant in variants {
            doc(&mut out, "  ", description(variant), &[]);
            if variant["const"].is_string() {
                writeln!(out, "  | {}", type_of(variant)?)?;
                continue;
            }
            writeln!(out, "  | {{")?;
            for (name, schema, required) in properties(variant) {
                property(&mut out, "      ", schema, way_in, (name, required))?;
            }
            writeln!(out, "    }}")?;
        }
    } else if properties(schema).is_empty() {
        writeln!(out, "export type {name} = Record<string, never>")?;
    } else {
        writeln!(out, "export interface {name} {{")?;
        for (name, schema, required) in properties(schema) {
            property(&mut out, "  ", schema, way_in, (name, required))?;
        }
        writeln!(out, "}}")?;
    }
    Ok(out)
}

/// What a call gives back.
pub fn response_type(operation: &Operation) -> Result<String> {
    let kind = type_of(&operation.response)?;
    let none = kind != "void" && nullable(&operation.response);
    Ok(if none { format!("{kind} | null") } else { kind })
}

/// Requests and responses by the operation's name.
pub fn operations_map(table: &Table) -> Result<String> {
    let mut out = String::from("\n/** Requests and responses by name. */\nexport interface Operations {\n");
    for operation in &table.operations {
        let response = response_type(operation).with_context(|| operation.name.clone())?;
        writeln!(out, "  '{}': {{ request: {}; response: {response} }}", operation.name, operation.request)?;
    }
    out.push_str("}\n\n/** The name of an operation. */\nexport type OperationName = keyof Operations\n");
    Ok(out)
}
