//! Responses on their way out: what the engine wrote is as the schema says, only some kinds of values need conversion.

use std::collections::BTreeSet;
use std::fmt::Write;

use anyhow::Result;
use serde_json::Value;

use super::Table;
use super::schema::{format, has_type, nullable, properties, reference};

/// Whether something in a value needs conversion.
fn special(table: &Table, schema: &Value) -> bool {
    fn look(table: &Table, schema: &Value, seen: &mut BTreeSet<String>) -> bool {
        match schema {
            Value::Object(members) => {
                let text = matches!(format(schema), "int64" | "base64" | "secret-base64" | "double")
                    && has_type(schema, "string");
                if text || format(schema) == "failure" {
                    return true;
                }
                let there = reference(schema).filter(|name| seen.insert((*name).to_owned()));
                there.is_some_and(|name| look(table, table.schema(name), seen))
                    || members.values().any(|member| look(table, member, seen))
            }
            Value::Array(elements) => elements.iter().any(|element| look(table, element, seen)),
            _ => false,
        }
    }
    look(table, schema, &mut BTreeSet::new())
}

/// An expression that converts `value`.
fn convert(table: &Table, schema: &Value, value: &str) -> String {
    if !special(table, schema) {
        return value.to_owned();
    }
    let plain = match (reference(schema), format(schema)) {
        (Some(name), _) => format!("decode{name}({value})"),
        (_, "int64") => format!("decodeInt64({value})"),
        (_, "base64") => format!("decodeBytes({value})"),
        (_, "secret-base64") => format!("decodeSecretBytes({value})"),
        (_, "double") => format!("decodeDouble({value})"),
        (_, "failure") => format!("decodeFailure({value})"),
        _ => format!("mapWire({value}, element => {})", convert(table, &schema["items"], "element")),
    };
    if nullable(schema) { format!("{value} == null ? null : {plain}") } else { plain }
}

/// The functions that convert what JSON has to values of the types that need it.
pub fn decoders(table: &Table) -> Result<String> {
    let mut out = String::new();
    for name in table.responses.iter().filter(|name| special(table, table.schema(name))) {
        let schema = table.schema(name);
        let members = properties(schema).into_iter().filter(|(_, schema, _)| special(table, schema));
        let members =
            members.map(|(name, schema, _)| format!("{name}: {}", convert(table, schema, &format!("value.{name}"))));
        writeln!(out, "\nfunction decode{name}(wire: unknown): {name} {{\n  const value = wire as Wire<{name}>")?;
        writeln!(out, "  return {{ ...value, {} }} as never\n}}", members.collect::<Vec<_>>().join(", "))?;
    }
    Ok(out)
}

/// An expression for the function that reads a response's JSON.
pub fn decoder(table: &Table, response: &Value) -> String {
    // What `JSON.parse` gives is as the schema says: the engine wrote it.
    match convert(table, response, "JSON.parse(text)").as_str() {
        "JSON.parse(text)" => "JSON.parse".to_owned(),
        // The text is read once: a nullable response would otherwise be parsed twice.
        converted if nullable(response) => {
            let converted = converted.replace("JSON.parse(text)", "value");
            format!("text => {{\n      const value = JSON.parse(text)\n      return {converted}\n    }}")
        }
        converted => format!("text => {converted}"),
    }
}
