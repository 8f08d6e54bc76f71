//! Requests on their way in: an encoder per type, made of those in `ts/internal/encoders.ts`. Each checks every member, so
//! that nothing that JSON turns into `null` or leaves out becomes a default unnoticed.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Table;
use super::schema::{exact, format, has_type, nullable, properties, quoted, reach, reference};

/// The encoders of all request types, those that others use first.
pub fn encoders(table: &Table) -> Result<String> {
    let mut out = String::from("\n");
    let mut done = BTreeSet::new();
    for name in &table.requests {
        encoder(table, name, &mut done, &mut out)?;
    }
    Ok(out)
}

fn encoder(table: &Table, name: &str, done: &mut BTreeSet<String>, out: &mut String) -> Result<()> {
    if !done.insert(name.to_owned()) {
        return Ok(());
    }
    let schema = table.schema(name);
    let mut used = BTreeSet::new();
    reach(&table.types, schema, &mut used);
    for other in &used {
        encoder(table, other, done, out)?;
    }
    let how = of_type(schema).with_context(|| name.to_owned())?;
    out.push_str(&format!("const encode{name} = {how}\n"));
    Ok(())
}

/// The encoder of a type with a name.
fn of_type(schema: &Value) -> Result<String> {
    match format(schema) {
        "open" => return Ok("text".to_owned()),
        "named" => return Ok(format!("named({}, {})", bound(schema, "minimum")?, bound(schema, "maximum")?)),
        _ => {}
    }
    let Some(variants) = schema["oneOf"].as_array() else { return object(schema) };
    if variants.iter().all(|variant| variant["const"].is_string()) {
        let names = Value::Array(variants.iter().map(|variant| variant["const"].clone()).collect());
        return Ok(format!("oneOf({})", quoted(&names).join(", ")));
    }
    let mut members = Vec::new();
    for variant in variants {
        let kind = variant["properties"]["kind"]["const"].as_str().context("variants are told apart by `kind`")?;
        members.push(format!("  {kind}: {},\n", object(variant)?.replace('\n', "\n  ")));
    }
    Ok(format!("variants({{\n{}}})", members.concat()))
}

fn object(schema: &Value) -> Result<String> {
    let function = if exact(schema) { "exact" } else { "object" };
    let mut members = Vec::new();
    for (name, schema, required) in properties(schema) {
        let how = of_value(schema).with_context(|| name.clone())?;
        let how = if required && !nullable(schema) { how } else { format!("maybe({how})") };
        members.push(format!("  {name}: {how},\n"));
    }
    Ok(match members.as_slice() {
        [] => format!("{function}({{}})"),
        _ => format!("{function}({{\n{}}})", members.concat()),
    })
}

/// The encoder of a member, without `null`.
fn of_value(schema: &Value) -> Result<String> {
    if let Some(name) = reference(schema) {
        return Ok(format!("encode{name}"));
    }
    if let Some(only) = schema["const"].as_str() {
        return Ok(format!("oneOf('{only}')"));
    }
    Ok(match format(schema) {
        "int64" if has_type(schema, "string") => "int64".into(),
        "base64" | "secret-base64" => "bytes".into(),
        "double" => "double".into(),
        _ if has_type(schema, "string") => "text".into(),
        _ if has_type(schema, "boolean") => "flag".into(),
        _ if has_type(schema, "integer") => {
            format!("whole({}, {})", bound(schema, "minimum")?, bound(schema, "maximum")?)
        }
        _ if has_type(schema, "array") => format!("list({})", of_value(&schema["items"])?),
        _ if has_type(schema, "object") && schema["additionalProperties"].is_object() => {
            format!("map({})", of_value(&schema["additionalProperties"])?)
        }
        _ => bail!("a schema of unknown form: {schema}"),
    })
}

/// The least or the largest value of an integer, its own or that of its format.
fn bound(schema: &Value, which: &str) -> Result<i64> {
    if let Some(value) = schema[which].as_i64() {
        return Ok(value);
    }
    let (least, most): (i64, i64) = match format(schema) {
        "int16" => (i16::MIN.into(), i16::MAX.into()),
        "uint16" => (0, u16::MAX.into()),
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        "uint32" => (0, u32::MAX.into()),
        other => bail!("an integer of unknown format {other:?}"),
    };
    Ok(if which == "minimum" { least } else { most })
}
