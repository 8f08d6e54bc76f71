//! Declarations of the types, with their docs, and the map of operations.

use std::fmt::Write;

use anyhow::Result;

use super::super::model::{Kind, Member, Operation, Shape, Table, Type};

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

/// The type of a value, without `null`.
pub fn type_of(kind: &Kind) -> String {
    match kind {
        Kind::Type(name) => name.clone(),
        Kind::Literal(text) => format!("'{text}'"),
        Kind::Bytes | Kind::SecretBytes => "Uint8Array".into(),
        Kind::Failure => "KafkaError".into(),
        Kind::Text | Kind::Secret => "string".into(),
        Kind::Int64 | Kind::Double | Kind::Integer { .. } | Kind::Number => "number".into(),
        Kind::Boolean => "boolean".into(),
        Kind::List(element) => format!("{}[]", type_of(element)),
        Kind::Map(value) => format!("Record<string, {}>", type_of(value)),
        Kind::Nothing => "void".into(),
    }
}

/// Each in quotes.
pub fn quoted<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    names.into_iter().map(|name| format!("'{name}'")).collect()
}

/// One member of an interface.
pub fn property(out: &mut String, indent: &str, member: &Member, way_in: bool) -> Result<()> {
    let Member { name, slot, .. } = member;
    let kind = type_of(&slot.kind);
    match slot.kind {
        Kind::Literal(_) => doc(out, indent, "Which of them this is.", &[]),
        _ => doc(out, indent, &member.doc, &[]),
    }
    let declared = match (member.required, way_in) {
        (Some(_), _) => format!("{name}: {kind}"),
        (None, true) => format!("{name}?: {kind} | null | undefined"),
        (None, false) => format!("{name}: {kind} | null"),
    };
    writeln!(out, "{indent}{declared}")?;
    Ok(())
}

/// The declaration of a type.
pub fn declaration(table: &Table, declared: &Type) -> Result<String> {
    let Type { name, .. } = declared;
    let way_in = table.requests.contains(name);
    let mut out = String::from("\n");
    doc(&mut out, "", &declared.doc, &[]);
    match &declared.shape {
        Shape::Open(names) => {
            writeln!(out, "export type {name} =\n  | {}\n  | (string & {{}})", quoted(names).join("\n  | "))?;
        }
        Shape::Named(named) => {
            let rendered = RENDERED.iter().find(|(table, ..)| named.table.as_deref() == Some(*table));
            let names = rendered.map_or_else(|| quoted(&named.names).join("\n  | "), |(_, name, _)| (*name).to_owned());
            writeln!(out, "export type {name} =\n  | {names}\n  | (string & {{}}) | number")?;
        }
        Shape::Choice(choices) => {
            writeln!(out, "export type {name} =")?;
            for choice in choices {
                doc(&mut out, "  ", &choice.doc, &[]);
                writeln!(out, "  | '{}'", choice.value)?;
            }
        }
        Shape::Variants(variants) => {
            writeln!(out, "export type {name} =")?;
            for variant in variants {
                doc(&mut out, "  ", &variant.doc, &[]);
                writeln!(out, "  | {{")?;
                for member in &variant.object.members {
                    property(&mut out, "      ", member, way_in)?;
                }
                writeln!(out, "    }}")?;
            }
        }
        Shape::Object(object) if object.members.is_empty() => {
            writeln!(out, "export type {name} = Record<string, never>")?;
        }
        Shape::Object(object) => {
            writeln!(out, "export interface {name} {{")?;
            for member in &object.members {
                property(&mut out, "  ", member, way_in)?;
            }
            writeln!(out, "}}")?;
        }
    }
    Ok(out)
}

/// What a call gives back.
pub fn response_type(operation: &Operation) -> String {
    let kind = type_of(&operation.response.kind);
    if operation.response.nullable { format!("{kind} | null") } else { kind }
}

/// Requests and responses by the operation's name.
pub fn operations_map(table: &Table) -> Result<String> {
    let mut out = String::from("\n/** Requests and responses by name. */\nexport interface Operations {\n");
    for operation in &table.operations {
        let response = response_type(operation);
        writeln!(out, "  '{}': {{ request: {}; response: {response} }}", operation.name, operation.request)?;
    }
    out.push_str("}\n\n/** The name of an operation. */\nexport type OperationName = keyof Operations\n");
    Ok(out)
}
