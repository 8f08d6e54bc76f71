//! Reading what `schemars` puts out: references, kinds, members. Knows the schemas of `bridge/src/cold`, no others.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use serde_json::{Map, Value};

/// The name of the type that a schema refers to.
pub fn reference(schema: &Value) -> Option<&str> {
    let direct = schema["$ref"].as_str();
    let optional = || schema["anyOf"].as_array()?.iter().find_map(|one| one["$ref"].as_str());
    direct.or_else(optional)?.strip_prefix("#/$defs/")
}

/// Adds every type that a schema leads to.
pub fn reach(types: &Map<String, Value>, schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(name) = reference(schema)
                && found.insert(name.to_owned())
            {
                reach(types, &types[name], found);
            }
            members.values().for_each(|member| reach(types, member, found));
        }
        Value::Array(elements) => elements.iter().for_each(|element| reach(types, element, found)),
        _ => {}
    }
}

pub fn has_type(schema: &Value, name: &str) -> bool {
    match &schema["type"] {
        Value::String(only) => only == name,
        Value::Array(several) => several.iter().any(|one| one == name),
        _ => false,
    }
}

pub fn nullable(schema: &Value) -> bool {
    let in_any = || schema["anyOf"].as_array().is_some_and(|any| any.iter().any(|one| has_type(one, "null")));
    has_type(schema, "null") || in_any()
}

pub fn format(schema: &Value) -> &str {
    schema["format"].as_str().unwrap_or_default()
}

/// Whether members that are not in the schema are refused.
pub fn exact(schema: &Value) -> bool {
    schema["additionalProperties"] == Value::Bool(false)
}

/// The type of a value, without `null`.
pub fn type_of(schema: &Value) -> Result<String> {
    if let Some(name) = reference(schema) {
        return Ok(name.to_owned());
    }
    if let Some(text) = schema["const"].as_str() {
        return Ok(format!("'{text}'"));
    }
    Ok(match format(schema) {
        "int64" if has_type(schema, "string") => "number".into(),
        "base64" | "secret-base64" => "Uint8Array".into(),
        "double" => "number".into(),
        "failure" => "KafkaError".into(),
        _ if has_type(schema, "string") => "string".into(),
        _ if has_type(schema, "integer") || has_type(schema, "number") => "number".into(),
        _ if has_type(schema, "boolean") => "boolean".into(),
        _ if has_type(schema, "array") => format!("{}[]", type_of(&schema["items"])?),
        _ if has_type(schema, "object") && schema["additionalProperties"].is_object() => {
            format!("Record<string, {}>", type_of(&schema["additionalProperties"])?)
        }
        _ if has_type(schema, "null") => "void".into(),
        _ => bail!("a schema of unknown form: {schema}"),
    })
}

pub fn description(schema: &Value) -> &str {
    schema["description"].as_str().unwrap_or_default()
}

/// Name, schema and whether it must be there, of each member.
pub fn properties(schema: &Value) -> Vec<(&String, &Value, bool)> {
    let required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let members = schema["properties"].as_object().into_iter().flatten();
    members.map(|(name, property)| (name, property, required(name))).collect()
}

/// The strings of an array of them, each in quotes.
pub fn quoted(names: &Value) -> Vec<String> {
    names.as_array().into_iter().flatten().filter_map(Value::as_str).map(|name| format!("'{name}'")).collect()
}
