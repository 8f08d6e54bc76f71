//! Responses on their way out: what the engine wrote is as the schema says, only some kinds of values need conversion.

use std::collections::BTreeSet;
use std::fmt::Write;

use anyhow::Result;

use super::super::model::{Kind, Slot, Table};

/// Whether something in a value needs conversion.
fn special(table: &Table, kind: &Kind) -> bool {
    fn look(table: &Table, kind: &Kind, seen: &mut BTreeSet<String>) -> bool {
        match kind {
            Kind::Int64 | Kind::Bytes | Kind::SecretBytes | Kind::Double | Kind::Failure => true,
            Kind::List(inner) | Kind::Map(inner) => look(table, inner, seen),
            Kind::Type(name) if seen.insert(name.clone()) => {
                let mut members = table.get(name).objects().flat_map(|object| &object.members);
                members.any(|member| look(table, &member.slot.kind, seen))
            }
            _ => false,
        }
    }
    look(table, kind, &mut BTreeSet::new())
}

/// An expression that converts `value`.
fn convert(table: &Table, slot: &Slot, value: &str) -> String {
    let plain = convert_kind(table, &slot.kind, value);
    if slot.nullable && plain != value { format!("{value} == null ? null : {plain}") } else { plain }
}

fn convert_kind(table: &Table, kind: &Kind, value: &str) -> String {
    if !special(table, kind) {
        return value.to_owned();
    }
    match kind {
        Kind::Type(name) => format!("decode{name}({value})"),
        Kind::Int64 => format!("decodeInt64({value})"),
        Kind::Bytes => format!("decodeBytes({value})"),
        Kind::SecretBytes => format!("decodeSecretBytes({value})"),
        Kind::Double => format!("decodeDouble({value})"),
        Kind::Failure => format!("decodeFailure({value})"),
        Kind::List(inner) | Kind::Map(inner) => {
            format!("mapWire({value}, element => {})", convert_kind(table, inner, "element"))
        }
        _ => value.to_owned(),
    }
}

/// The functions that convert what JSON has to values of the types that need it.
pub fn decoders(table: &Table) -> Result<String> {
    let mut out = String::new();
    for name in &table.responses {
        let members = table.get(name).objects().flat_map(|object| &object.members);
        let members = members.filter(|member| special(table, &member.slot.kind));
        let members = members.map(|member| {
            format!("{}: {}", member.name, convert(table, &member.slot, &format!("value.{}", member.name)))
        });
        let members = members.collect::<Vec<_>>().join(", ");
        if members.is_empty() {
            continue;
        }
        writeln!(out, "\nfunction decode{name}(wire: unknown): {name} {{\n  const value = wire as Wire<{name}>")?;
        writeln!(out, "  return {{ ...value, {members} }} as never\n}}")?;
    }
    Ok(out)
}

/// An expression for the function that reads a response's JSON.
pub fn decoder(table: &Table, response: &Slot) -> String {
    // What `JSON.parse` gives is as the schema says: the engine wrote it.
    match convert(table, response, "JSON.parse(text)").as_str() {
        "JSON.parse(text)" => "JSON.parse".to_owned(),
        // The text is read once: a nullable response would otherwise be parsed twice.
        converted if response.nullable => {
            let converted = converted.replace("JSON.parse(text)", "value");
            format!("text => {{\n      const value = JSON.parse(text)\n      return {converted}\n    }}")
        }
        converted => format!("text => {converted}"),
    }
}
